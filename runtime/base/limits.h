/* SPDX-License-Identifier: MIT */
/* limits -- the limits of the library and of the reader of answers, each with its reason.  The
 * server's own are in server/limits.h. */
#ifndef QR_BASE_LIMITS_H
#define QR_BASE_LIMITS_H

/* Model files.  A header with a larger field is refused. */
#define QR_GGUF_KEYS_MAX    65536u              /* real files have 20 to 60 */
#define QR_GGUF_TENSORS_MAX 65536u              /* 126 layers of 9 are 1,134 */
#define QR_GGUF_PARTS_MAX   1024u               /* of 50 GB each; published models have up to 200 */
#define QR_GGUF_NAME_MAX    256u                /* ggml's own limit is 64 */
#define QR_GGUF_DIMS_MAX    4u                  /* ggml's */
#define QR_VOCAB_MAX        (1u << 20)          /* largest published: 262,144 */
#define QR_MERGES_MAX       (4u * QR_VOCAB_MAX) /* largest published: 0.6 million, 262,144 tokens */
#define QR_LAYERS_MAX       512u                /* largest published: 126 */
#define QR_CONTEXT_MAX      (1u << 20)          /* 1,048,576 tokens: 64 Ki pages of 16 */

/* Requests. */
#define QR_STOP_STRINGS_MAX 16u        /* OpenAI's limit is 4; each follows every byte of text */
#define QR_STOP_BYTES_MAX   1024u      /* one stop string; held-back text is at most this long */
#define QR_STOP_IDS_MAX     64u        /* compared one by one with each generated token */
#define QR_SHOWN_IDS_MAX    64u        /* a family of tool calls has about twenty */
#define QR_BANS_MAX         256u       /* banned sequences: each is looked at before each draw */
#define QR_BAN_IDS_MAX      64u        /* tokens of one */
#define QR_LOGIT_BIAS_MAX   300u       /* OpenAI's */
#define QR_BIAS_MAX         100.0f     /* OpenAI's, of either sign */
#define QR_PENALTY_MAX      2.0f       /* OpenAI's for presence and frequency, of either sign */
#define QR_CACHE_SALT_MAX   1088u      /* a caller's 1,024 and its name; a hash is kept */
#define QR_CHOICES_MAX      128u       /* OpenAI's n */
#define QR_LOGPROBS_MAX     20u        /* OpenAI's */
#define QR_RUNNING_LIMIT    4096u      /* 16 times the default of quired */
#define QR_WAITING_LIMIT    (1u << 20) /* 0.4 KB each in the scheduler: 400 MB */

/* Chat templates: foreign code that runs once a request.  The largest published template has 30 KB,
 * about 3,000 nodes and 20 levels.  For a message it takes about 100 steps and twice the message's
 * bytes of memory. */
#define QR_TEMPLATE_BYTES_MAX    (256u << 10)
#define QR_TEMPLATE_HEIGHT_MAX   250u       /* an expression's or a block's nesting in the source */
#define QR_TEMPLATE_DEPTH_MAX    1000u      /* nesting at run time, with calls: Python's */
#define QR_TEMPLATE_STEPS_MAX    (1u << 24) /* about a second */
#define QR_TEMPLATE_MEMORY_MAX   ((size_t)64 << 20) /* and QR_TEMPLATE_MEMORY_TIMES the input */
#define QR_TEMPLATE_MEMORY_TIMES 16u
#define QR_TEMPLATE_OUTPUT_MAX   ((size_t)64 << 20)
#define QR_TEMPLATE_RANGE_MAX    100000 /* jinja2's sandbox's */

/* Tool calls.  The most text that a parser holds until it can be written: arguments before the
 * name, or a value before its type is known.  The longest answers of today have 128 Ki tokens of
 * about 4 bytes. */
#define QR_PARSE_HELD_MAX ((size_t)1 << 20)

/* Rows whose logits are held at once: 64 rows of 49,152 are 12.6 MB, about half of a last-level
 * cache slice group, and enough rows for the head to reach its full rate. */
#define QR_LOGITS_ROWS 64u

#endif
