/* SPDX-License-Identifier: MIT */
/* limits -- every limit of the runtime, each with the sum that explains it. */
#ifndef QR_BASE_LIMITS_H
#define QR_BASE_LIMITS_H

/* Model files.  A field of a header is believed only up to these. */
#define QR_GGUF_KEYS_MAX 65536u        /* real files have 20 to 60 */
#define QR_GGUF_TENSORS_MAX 65536u     /* 126 layers of 9 are 1,134 */
#define QR_GGUF_PARTS_MAX 1024u        /* of 50 GB each; published models have up to 200 */
#define QR_GGUF_NAME_MAX 256u          /* ggml's own limit is 64 */
#define QR_GGUF_DIMS_MAX 4u            /* ggml's */
#define QR_VOCAB_MAX (1u << 20)        /* largest published: 262,144 */
#define QR_LAYERS_MAX 512u             /* largest published: 126 */
#define QR_CONTEXT_MAX (1u << 20)      /* 1,048,576 tokens: 128 Ki pages of 8 */

/* Requests. */
#define QR_STOP_STRINGS_MAX 16u
#define QR_STOP_BYTES_MAX 1024u        /* one stop string; held-back text is at most this long */
#define QR_STOP_IDS_MAX 64u
#define QR_CACHE_SALT_MAX 1024u        /* a key or a name; it is kept as a hash of 16 bytes */
#define QR_CHOICES_MAX 128u            /* OpenAI's n */
#define QR_LOGPROBS_MAX 20u            /* OpenAI's */
#define QR_RUNNING_LIMIT 4096u
#define QR_WAITING_LIMIT (1u << 20)

/* Rows whose logits are held at once: 64 rows of 49,152 are 12.6 MB, about half of a last-level
 * cache slice group, and enough rows for the head to reach its full rate. */
#define QR_LOGITS_ROWS 64u

#endif
