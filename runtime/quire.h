/* SPDX-License-Identifier: MIT */
/* quire.h -- serve language models on CPUs, from inside your own program.
 *
 * A model is an opened GGUF file.  An engine runs requests against one model, many at a time, on
 * its own thread and compute team.  quire_submit hands in a request.  Its tokens come back as
 * events in a completion queue, which has a descriptor that any event loop can poll.
 *
 *     quire_model_open -> quire_engine_start -> quire_submit ... quire_next / quire_wait
 *                      -> quire_engine_stop  -> quire_model_close
 *
 * Promises
 *   - Every accepted request ends in exactly one QUIRE_EVENT_DONE or QUIRE_EVENT_ERROR.  A request
 *     with n choices ends in one for each choice.
 *   - A request's tokens and logprobs have the same bits alone or in a batch, at any number of
 *     threads, with any chunking of its prompt.  Only the instruction set may change them.
 *   - The library never calls back on a foreign thread, never ends the process, and never aborts
 *     because of a caller's mistake.  It has no global state: engines are independent.
 *
 * Versions: every settings struct begins with its own size.  Call its _defaults function first,
 * then change fields.  A library newer than your header reads and writes only the fields that you
 * know. An older library refuses a field that it does not know, unless the field is zero.  Programs
 * that load the library with dlsym call the _defaults_sized functions with the size of their
 * struct.
 *
 * Threads: a model and a grammar may be used from any number of threads, and so may quire_submit,
 * quire_fork, quire_cancel and quire_stats.  quire_next and quire_wait may be called from one
 * thread at a time. */
#ifndef QUIRE_H
#define QUIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define QUIRE_VERSION_MAJOR 0
#define QUIRE_VERSION_MINOR 1
#define QUIRE_VERSION_PATCH 0

#if defined(__GNUC__)
#define QUIRE_API __attribute__((visibility("default")))
#else
#define QUIRE_API
#endif

/* ---- statuses and errors -------------------------------------------------------------- */

#define QUIRE_STATUS_MAP(X)                                                                        \
    X(QUIRE_OK, 0, "success")                                                                      \
    X(QUIRE_INVALID, -1, "an argument is out of its range")                                        \
    X(QUIRE_NO_MEMORY, -2, "out of memory")                                                        \
    X(QUIRE_SYSTEM, -3, "the operating system refused")                                            \
    X(QUIRE_BAD_FILE, -4, "the file is not a well-formed GGUF model")                              \
    X(QUIRE_UNSUPPORTED, -5, "the model or the setting asks for something quire does not do")      \
    X(QUIRE_TOO_LONG, -6, "the request does not fit the context or the pages")                     \
    X(QUIRE_QUEUE_FULL, -7, "the waiting queue is full")                                           \
    X(QUIRE_STOPPING, -8, "the engine is stopping")                                                \
    X(QUIRE_NO_TOKENIZER, -9, "the model's tokenizer is not supported: use token ids")             \
    X(QUIRE_NO_TEMPLATE, -10, "the model has no chat template that is supported")                  \
    X(QUIRE_BUFFER_SMALL, -11, "the caller's buffer is too small")                                 \
    X(QUIRE_NOT_FOUND, -12, "no such request")                                                     \
    X(QUIRE_NO_TOKEN, -13, "no token of the vocabulary continues the text as the grammar asks")

enum quire_status {
#define QUIRE_STATUS_ENUM(name, value, text) name = value,
    QUIRE_STATUS_MAP(QUIRE_STATUS_ENUM)
#undef QUIRE_STATUS_ENUM
};

/* Why a call failed: what was given, where, and what was expected.  Functions that take one fill it
 * on failure; NULL is allowed. */
struct quire_error {
    int status;     /* enum quire_status */
    char field[32]; /* the setting or request field at fault; "": none */
    char text[288]; /* one sentence, no newline */
};

/* The text of a status; "unknown status" for other numbers.  Static. */
QUIRE_API const char *quire_status_text(int status);
/* "0.1.0" */
QUIRE_API const char *quire_version(void);

/* ---- memory --------------------------------------------------------------------------- */

/* Allocates the library's small memory.  resize(context, NULL, n) allocates n bytes,
 * resize(context, p, n) grows or shrinks p, resize(context, p, 0) frees p and returns NULL.  Memory
 * is aligned as malloc's.  The library calls resize from any of its threads.  A NULL resize means
 * malloc.  Weights and KV pages are mapped from the system instead. */
struct quire_allocator {
    void *(*resize)(void *context, void *memory, size_t bytes);
    void *context;
};

/* ---- models --------------------------------------------------------------------------- */

typedef struct quire_model quire_model;
typedef struct quire_engine quire_engine;

struct quire_model_settings {
    size_t size;                      /* sizeof(struct quire_model_settings) */
    const char *path;                 /* a GGUF file; required */
    struct quire_allocator allocator; /* malloc where left zero */
    uint32_t threads;                 /* that repack weights; 0: the cores available */
    const char *cpu_level;            /* "scalar", "avx2", "avx512", "avx512vnni", "avx512bf16";
                                         NULL: the best this machine has */
    uint32_t sliding_window;   /* tokens that a token attends to, itself included; 0: the file's
                                  value; QUIRE_WINDOW_NONE: all, whatever the file says */
    const char *chat_template; /* a Jinja template instead of the file's; NULL: the file's */
    /* NULL, or a function that quire_model_open calls on its own thread, once for each unsupported
     * thing in the file.  Some of these refuse the model; the first of them is *error too.  Without
     * others the model is served: its tokenizer, parts of its chat template.  Opening then reports
     * all of them instead of ending at the first. */
    void (*unsupported)(void *context, const char *sentence);
    void *unsupported_context;
};
#define QUIRE_WINDOW_NONE UINT32_MAX
QUIRE_API void quire_model_settings_defaults_sized(struct quire_model_settings *settings,
                                                   size_t size);
static inline void quire_model_settings_defaults(struct quire_model_settings *settings)
{
    quire_model_settings_defaults_sized(settings, sizeof *settings);
}

/* Opens a model.  On success the caller owns *model and closes it after all its engines are freed.
 * On failure *model is NULL and *error (may be NULL) says why: QUIRE_SYSTEM, QUIRE_BAD_FILE,
 * QUIRE_UNSUPPORTED, QUIRE_NO_MEMORY or QUIRE_INVALID. */
QUIRE_API int quire_model_open(const struct quire_model_settings *settings, quire_model **model,
                               struct quire_error *error);
QUIRE_API void quire_model_close(quire_model *model); /* NULL is allowed */

/* Strings live as long as the model. */
struct quire_model_info {
    size_t size;              /* set by the caller before the call */
    const char *name;         /* general.name, else the file's base name */
    const char *architecture; /* "llama" */
    const char *cpu_level;    /* the kernels in use: "avx512vnni" */
    uint32_t layers_n;
    uint32_t width; /* embedding length */
    uint32_t heads_n;
    uint32_t kv_heads_n;
    uint32_t head_dim;
    uint32_t vocab_n;
    uint32_t context_max; /* tokens */
    uint64_t file_bytes;
    uint64_t weights_bytes;  /* resident after repacking */
    uint64_t weights_n;      /* parameters in matrices; a tied embedding counts once */
    uint64_t head_weights_n; /* parameters in the output head, included in weights_n */
    int32_t bos_id;          /* -1: none */
    int32_t eos_id;          /* -1: none */
    bool adds_bos;           /* text prompts begin with BOS */
    bool has_tokenizer;
    bool has_template;
    const char *tokenizer_note;  /* NULL, or why there is no tokenizer */
    uint32_t sliding_window;     /* in use; 0: none */
    const char *template_note;   /* NULL, or why there is no template, or which fallback is used */
    bool adds_eos;               /* QUIRE_TEXT_EOS has an effect */
    const char *tokenizer_split; /* the pre-tokenizer: "llama-bpe"; "none": SentencePiece; NULL: no
                                    tokenizer */
    const char *chat_template;   /* the source of the template in use; NULL: none */
    const char *tools_template;  /* of the one used where a request has tools; NULL: the same */
};
QUIRE_API void quire_model_info(const quire_model *model, struct quire_model_info *info);

/* Warnings about the model's file: what is unusual and what quire does instead.  index counts from
 * 0; NULL after the last.  The strings live as long as the model. */
QUIRE_API const char *quire_model_warning(const quire_model *model, uint32_t index);

struct quire_request;
/* Sets the sampler settings that the model's file recommends (general.sampling.*) in a request with
 * defaults, and returns their number.  Values out of range are ignored. */
QUIRE_API uint32_t quire_model_sampling(const quire_model *model, struct quire_request *request);

/* ---- text ----------------------------------------------------------------------------- */

enum {
    QUIRE_TEXT_SPECIAL = 1, /* tokenize: recognise special tokens in the text;
                               detokenize: write special tokens */
    QUIRE_TEXT_BOS = 2,     /* tokenize: begin with BOS if the model asks for it */
    QUIRE_TEXT_EOS = 4,     /* tokenize: end with EOS if the model asks for it; few do */
    QUIRE_TEXT_BEGIN = 8    /* detokenize: the ids begin a text.  SentencePiece adds a space at the
                               beginning of a text; it is removed with this flag */
};

/* Text to ids.  Accepts any bytes.  Invalid UTF-8 becomes U+FFFD, or byte tokens with
 * SentencePiece. Qwen 2's text is normalised first (Unicode form C).  *ids_n is the number of ids
 * of the whole text.  If that exceeds capacity, the result is QUIRE_BUFFER_SMALL and ids [0,
 * capacity) are valid. n bytes give at most 3 n + 3 ids.  ids may be NULL with capacity 0.  Any
 * thread. */
QUIRE_API int quire_tokenize(const quire_model *model, const char *text, size_t text_n,
                             unsigned flags, int32_t *ids, size_t capacity, size_t *ids_n);

/* Ids to bytes, without a terminating NUL.  Sizes are as in quire_tokenize.  Bytes that are not
 * valid UTF-8 are written unchanged.  QUIRE_INVALID: an id outside the vocabulary.  Any thread. */
QUIRE_API int quire_detokenize(const quire_model *model, const int32_t *ids, size_t ids_n,
                               unsigned flags, char *text, size_t capacity, size_t *text_n);

struct quire_text {
    const char *data;
    size_t n;
};

struct quire_message {
    struct quire_text role; /* "system", "user", "assistant" ... */
    struct quire_text content;
};

/* A JSON value in the caller's memory: messages with tool calls or content parts, tools, documents,
 * a template's own variables. */
enum quire_value_kind {
    QUIRE_VALUE_NONE = 0, /* null */
    QUIRE_VALUE_BOOL = 1,
    QUIRE_VALUE_INTEGER = 2,
    QUIRE_VALUE_REAL = 3,
    QUIRE_VALUE_TEXT = 4,
    QUIRE_VALUE_LIST = 5,
    QUIRE_VALUE_MAP = 6
};
struct quire_value {
    int kind;                      /* enum quire_value_kind */
    size_t n;                      /* LIST, MAP: items */
    const struct quire_text *keys; /* MAP: [n], in order */
    union {
        bool truth;
        int64_t integer;
        double real;
        struct quire_text text;
        const struct quire_value *items; /* LIST, MAP: [n] */
    } as;
};

enum {
    QUIRE_RENDER_GENERATION_PROMPT = 1, /* end the text where the assistant's answer begins */
    QUIRE_RENDER_CONTINUE = 2           /* end the text inside the last message, to continue it; not
                                           together with GENERATION_PROMPT */
};

struct quire_conversation {
    size_t size;
    const struct quire_message *messages; /* [messages_n]: the simple case.  Or: */
    size_t messages_n;
    const struct quire_value *values; /* a LIST of MAPs, each with "role" and further keys for the
                                         template.  "content" is a TEXT, a LIST of {"type": "text",
                                         "text": ...}, or absent */
    const struct quire_value *tools;  /* a LIST; NULL: none */
    const struct quire_value *documents; /* a LIST; NULL: none */
    const struct quire_value *variables; /* a MAP of further template variables, or NULL */
    uint32_t flags;                      /* QUIRE_RENDER_* */
    int64_t now_s; /* the time for strftime_now, in seconds since 1970; 0: the clock's */
};
QUIRE_API void quire_conversation_defaults_sized(struct quire_conversation *conversation,
                                                 size_t size);
static inline void quire_conversation_defaults(struct quire_conversation *conversation)
{
    quire_conversation_defaults_sized(conversation, sizeof *conversation);
}

/* Renders a conversation with the model's chat template, a Jinja template.  Sizes are as in
 * quire_detokenize.  The template is bounded in steps and memory and can only produce text.
 * QUIRE_NO_TEMPLATE; QUIRE_NO_MEMORY; QUIRE_INVALID: malformed values, a template that fails or
 * exceeds its bounds, or a conversation that the template refuses (with the template's own text).
 * Any thread. */
QUIRE_API int quire_render_conversation(const quire_model *model,
                                        const struct quire_conversation *conversation, char *text,
                                        size_t capacity, size_t *text_n, struct quire_error *error);
/* The same for messages alone. */
QUIRE_API int quire_render(const quire_model *model, const struct quire_message *messages,
                           size_t messages_n, bool add_generation_prompt, char *text,
                           size_t capacity, size_t *text_n, struct quire_error *error);

/* ---- grammars ------------------------------------------------------------------------- */

/* A grammar holds generated text to a form: JSON that a schema accepts, a regular expression, or
 * one of a list of texts.  It is compiled once and may be used by any number of requests at once,
 * on any engine of its model. */
typedef struct quire_grammar quire_grammar;

/* Exactly one of json_schema, regex, choices, gbnf and structural_tag is given.
 *   json_schema  a JSON document: a schema of draft 2020-12, 2019-09, 7, 6 or 4.  The text is JSON,
 *                properties in the schema's order.
 *   regex        the whole text matches it.  ECMA-262's syntax without references to groups,
 *                look-around and \b.
 *   choices      the text is one of them.
 *   gbnf         a grammar as in llama.cpp's grammar files; its start is `root`.  Errors name line
 *                and column.
 *   structural_tag  a JSON document, as vLLM's response_format has it: free text until a trigger,
 *                then what a schema or another form says, then free text. */
struct quire_grammar_settings {
    size_t size;
    struct quire_text json_schema;
    struct quire_text regex;
    const struct quire_text *choices; /* [choices_n] */
    size_t choices_n;
    /* json_schema: a regular expression for the space between tokens.  NULL: at most one blank, or
     * one or two newlines and up to 20 blanks; "": none. */
    const char *whitespace;
    uint64_t memory_max; /* bytes for the grammar and all requests that use it; 0: 64 MiB */
    /* 1: where a schema has `properties` and does not say, others are not allowed. */
    uint32_t no_additional_properties;
    struct quire_text gbnf;
    struct quire_text structural_tag;
};
QUIRE_API void quire_grammar_settings_defaults_sized(struct quire_grammar_settings *settings,
                                                     size_t size);
static inline void quire_grammar_settings_defaults(struct quire_grammar_settings *settings)
{
    quire_grammar_settings_defaults_sized(settings, sizeof *settings);
}

/* Compiles a grammar for a model's vocabulary.  Bounded in time (about a second) and memory, and
 * safe on any thread: do it where waiting harms nobody.  On success *grammar is the caller's, to be
 * freed before the model is closed; requests that use it keep it alive by themselves.  On failure
 * *grammar is NULL and *error (may be NULL) says why: QUIRE_INVALID for what is malformed,
 * QUIRE_UNSUPPORTED for what cannot be held (a schema's keyword is named, with its path) or is too
 * large, QUIRE_NO_TOKENIZER, QUIRE_NO_MEMORY.  The model keeps the last 64 grammars, up to 256 MiB:
 * compiling one of them again takes microseconds. */
QUIRE_API int quire_grammar_compile(const quire_model *model,
                                    const struct quire_grammar_settings *settings,
                                    quire_grammar **grammar, struct quire_error *error);
QUIRE_API void quire_grammar_free(quire_grammar *grammar); /* NULL is allowed */

/* Checks a text: *accepted_n is how many of its bytes some text of the grammar begins with, *whole
 * (may be NULL) whether the text is one.  Any thread. */
QUIRE_API int quire_grammar_match(quire_grammar *grammar, const char *text, size_t text_n,
                                  size_t *accepted_n, bool *whole);

/* How far one text has come in a grammar: for hosts that draw tokens by themselves, and to see why
 * a text is refused.  It counts in its grammar's memory_max.  One thread at a time. */
typedef struct quire_matcher quire_matcher;
/* QUIRE_NO_MEMORY: also where the grammar's bytes are used up.  The grammar may be freed first, the
 * model may not be closed. */
QUIRE_API int quire_matcher_create(quire_grammar *grammar, quire_matcher **matcher);
QUIRE_API void quire_matcher_free(quire_matcher *matcher); /* NULL is allowed */
/* bits [(vocab_n + 63) / 64]: bit id is set where the token may come next.  *may_end (may be NULL):
 * the text may end here.  QUIRE_NO_MEMORY: as above, and the bits are of no use. */
QUIRE_API int quire_matcher_mask(quire_matcher *matcher, uint64_t *bits, bool *may_end);
/* bits [4]: the same for the next byte. */
QUIRE_API int quire_matcher_bytes(quire_matcher *matcher, uint64_t bits[4]);
/* A token, or any text as if it were one.  QUIRE_NO_TOKEN: it may not come next, and nothing has
 * changed. */
QUIRE_API int quire_matcher_accept(quire_matcher *matcher, int32_t token);
QUIRE_API int quire_matcher_accept_text(quire_matcher *matcher, const char *text, size_t text_n);
/* Takes back the last n tokens.  QUIRE_INVALID: there were fewer, or n is above 32. */
QUIRE_API int quire_matcher_rollback(quire_matcher *matcher, uint32_t n);

/* ---- engines -------------------------------------------------------------------------- */

enum quire_kv_type { QUIRE_KV_F16 = 0, QUIRE_KV_F32 = 1, QUIRE_KV_BF16 = 2, QUIRE_KV_Q8 = 3 };

struct quire_engine_settings {
    size_t size;
    struct quire_allocator allocator;
    uint64_t kv_memory_bytes; /* 0: half of what is free, within the cgroup's limit */
    uint32_t page_tokens;     /* 16, 32 (default), 64 or 128 */
    uint32_t kv_type;         /* enum quire_kv_type */
    uint32_t threads;         /* 0: the physical cores that the process may use */
    uint32_t context_max;     /* tokens; 0: the model's, or less if the pages hold
                                 less.  If set, the pages must hold it (with a
                                 sliding window: the window) */
    uint32_t running_max;     /* sequences in a batch; 256 */
    uint32_t waiting_max;     /* requests in the queue, each choice counts; 1024 */
    uint32_t step_tokens;     /* token budget of a step, at least running_max + 16;
                                 0: the more of 256 and running_max + 64 */
    uint32_t prefill_chunk;   /* most prompt tokens of one request in a step;
                                 0: step_tokens */
    uint32_t no_prefix_cache; /* 1: every request computes its whole prompt, and no page is kept */
    uint32_t profile;         /* 1: measure where steps spend their time (quire_profile) */
    uint32_t target_itl_ms;   /* milliseconds between a request's tokens: prefill chunks are cut to
                                 it, by the measured cost of earlier steps.  0: step_tokens alone
                                 cuts them.  Not together with step_tokens */
};
/* Bytes of one token's keys and values in pages of kv_type.  0: kv_type is unknown, or cannot hold
 * this model's heads. */
QUIRE_API uint64_t quire_model_kv_token_bytes(const quire_model *model, uint32_t kv_type);

QUIRE_API void quire_engine_settings_defaults_sized(struct quire_engine_settings *settings,
                                                    size_t size);
static inline void quire_engine_settings_defaults(struct quire_engine_settings *settings)
{
    quire_engine_settings_defaults_sized(settings, sizeof *settings);
}

/* Starts an engine: its thread, its compute team, its KV pages.  The model must outlive it.  On
 * success the caller owns *engine.  On failure *engine is NULL: QUIRE_INVALID, QUIRE_NO_MEMORY,
 * QUIRE_SYSTEM or QUIRE_UNSUPPORTED. */
QUIRE_API int quire_engine_start(const struct quire_engine_settings *settings, quire_model *model,
                                 quire_engine **engine, struct quire_error *error);

/* Stops an engine.  New requests are refused at once.  Running and waiting ones have drain_ms
 * milliseconds to finish; the others then end as QUIRE_FINISH_CANCELLED.  Events can be taken until
 * quire_engine_free.  Blocks until the engine's threads have ended. */
QUIRE_API void quire_engine_stop(quire_engine *engine, uint32_t drain_ms);
/* Frees an engine and all events that were not taken.  Stops it first, with drain_ms 0. */
QUIRE_API void quire_engine_free(quire_engine *engine); /* NULL is allowed */

/* ---- requests ------------------------------------------------------------------------- */

typedef uint64_t quire_id; /* never 0, never used twice by one engine */

enum {
    QUIRE_REQUEST_IGNORE_EOS = 1,      /* do not end at end-of-sequence tokens */
    QUIRE_REQUEST_PROMPT_LOGPROBS = 2, /* one QUIRE_EVENT_PROMPT for each prompt token */
    QUIRE_REQUEST_SEEDED = 4,          /* use seed; without it the engine draws one */
    QUIRE_REQUEST_SPECIAL_TEXT = 8     /* all special tokens have their text */
};

struct quire_logit_bias {
    int32_t token;
    float bias; /* [-100, 100] */
};

struct quire_ids {
    const int32_t *ids;
    size_t ids_n;
};

struct quire_request {
    size_t size;
    const int32_t *prompt; /* [prompt_n], at least one id */
    size_t prompt_n;
    uint32_t max_tokens; /* 0 only with PROMPT_LOGPROBS; default 16 */
    uint32_t min_tokens; /* nothing ends the text before this many tokens */
    float temperature;   /* 0: greedy; default 1 */
    float top_p;         /* (0, 1]; default 1 */
    float min_p;         /* [0, 1]; default 0 */
    int32_t top_k;       /* 0 or -1: off; default 0 */
    uint64_t seed;
    uint32_t flags;                /* QUIRE_REQUEST_* */
    int32_t logprobs;              /* alternatives for each token, 0 to 20; -1: no logprobs */
    const struct quire_text *stop; /* [stop_n] strings that end the text, up to 16 */
    size_t stop_n;
    const int32_t *stop_ids; /* [stop_ids_n] tokens that end the text, up to 64 */
    size_t stop_ids_n;
    void *user; /* returned in every event */
    /* Requests share cached pages only with requests of the same salt; n = 0: with those without
     * one.  Up to 1,088 bytes. */
    struct quire_text cache_salt;
    /* Choices, up to 128 and running_max; 0: 1.  The prompt is computed once.  Choice i has the
     * bits of a request of its own with seed + i. */
    uint32_t n;
    /* Generate this many (n to 128); return the n with the highest cumulative logprob, best first,
     * after all have ended.  0: n. */
    uint32_t best_of;
    int32_t priority; /* lower goes first; default 0 */
    /* Fair-share identities, any bytes.  Clients of one priority have fair shares; a client's end
     * users divide its share.  All requests without one (n = 0) count as one client, or user. */
    struct quire_text client;
    struct quire_text end_user;
    /* Changes of the logits before a token is drawn, in this order.  Logprobs are those of the
     * unchanged logits.  For a fork the prompt is all of its parent's tokens. */
    const struct quire_logit_bias *logit_bias; /* [logit_bias_n], added; up to 300 */
    size_t logit_bias_n;
    float repetition_penalty; /* > 0; for tokens of the prompt and generated ones: divides a
                                 positive logit, multiplies a negative one; 0 or 1: off */
    float frequency_penalty;  /* [-2, 2]; subtracted once for each time a token was generated */
    float presence_penalty;   /* [-2, 2]; subtracted once from generated tokens */
    /* Holds the generated text to a grammar of the engine's model; NULL: free text.  The mask comes
     * after penalties and biases and before temperature.  The request ends with QUIRE_FINISH_STOP
     * when nothing may follow, even before min_tokens.  Each choice is held by itself, a fork from
     * its own beginning.  If no token can continue the text: QUIRE_EVENT_ERROR, QUIRE_NO_TOKEN. */
    quire_grammar *grammar;
    /* Control tokens whose text is part of the answer's text; without this they have none.  A
     * grammar allows them by that text, and no other control token. */
    const int32_t *shown_ids; /* [shown_ids_n], up to 64 */
    size_t shown_ids_n;
    /* Only these tokens may be drawn; the end of the text too must be one of them.  n = 0: all.  As
     * with a grammar, QUIRE_NO_TOKEN if none is left. */
    const int32_t *allowed_ids; /* [allowed_ids_n] */
    size_t allowed_ids_n;
    /* Sequences of tokens that the answer never has. */
    const struct quire_ids *bans; /* [bans_n], up to 256, each of 1 to 64 tokens */
    size_t bans_n;
};
QUIRE_API void quire_request_defaults_sized(struct quire_request *request, size_t size);
static inline void quire_request_defaults(struct quire_request *request)
{
    quire_request_defaults_sized(request, sizeof *request);
}

/* Submits a request and copies everything that it points to.  Never waits for a step.  QUIRE_OK:
 * *id is set and events follow.  n choices take n places in the queue, all or none.  Otherwise
 * nothing was accepted: QUIRE_INVALID, QUIRE_TOO_LONG, QUIRE_QUEUE_FULL, QUIRE_STOPPING or
 * QUIRE_NO_MEMORY; error->field names the field.  Any thread. */
QUIRE_API int quire_submit(quire_engine *engine, const struct quire_request *request, quire_id *id,
                           struct quire_error *error);

/* Forks a choice of a running request at the engine's next step.  The new request's prompt is the
 * parent's prompt and all tokens generated by then; usage.prompt_tokens tells how many.  It has the
 * bits of a request submitted with that prompt.  Parent and fork share pages; each copies a page
 * before writing into it.  request->prompt and cache_salt must be empty: the parent's are used.
 * QUIRE_OK: *forked is set and events follow.  If the parent ends before the step, or max_tokens do
 * not fit, each choice ends with an ERROR: QUIRE_NOT_FOUND or QUIRE_TOO_LONG.  Otherwise as
 * quire_submit; QUIRE_NOT_FOUND: the parent has already ended.  Any thread. */
QUIRE_API int quire_fork(quire_engine *engine, quire_id id, uint32_t choice,
                         const struct quire_request *request, quire_id *forked,
                         struct quire_error *error);

/* Asks a request to end, with all its choices, before the next step.  Its terminal events follow;
 * it may have finished by itself meanwhile.  QUIRE_NOT_FOUND: it has already ended.  Never
 * allocates, never waits for a step.  Any thread. */
QUIRE_API int quire_cancel(quire_engine *engine, quire_id id);

/* ---- events --------------------------------------------------------------------------- */

enum quire_event_kind {
    QUIRE_EVENT_PROMPT = 1, /* a prompt token's logprob, in order, before the first TOKEN */
    QUIRE_EVENT_TOKEN = 2,  /* a generated token */
    QUIRE_EVENT_DONE = 3,   /* terminal: finish says how */
    QUIRE_EVENT_ERROR = 4   /* terminal: status says why */
};

enum quire_finish {
    QUIRE_FINISH_STOP = 1,     /* end of sequence, a stop id or a stop string */
    QUIRE_FINISH_LENGTH = 2,   /* max_tokens or the context's end */
    QUIRE_FINISH_CANCELLED = 3 /* quire_cancel or the engine's stop */
};

struct quire_logprob {
    int32_t token;
    float logprob;
};

struct quire_usage {
    uint32_t prompt_tokens;
    uint32_t completion_tokens;
    uint32_t cached_tokens; /* prompt tokens taken from cached pages */
};

/* One event.  Its pointers are valid until the next quire_next or quire_wait on that engine. */
struct quire_event {
    int kind;        /* enum quire_event_kind */
    uint32_t choice; /* 0 to n - 1; each choice has its events in order */
    quire_id id;
    void *user;
    /* PROMPT, TOKEN */
    int32_t token;
    uint32_t index;                  /* in the prompt, or among the generated tokens */
    float logprob;                   /* natural logarithm, of the model's own distribution; NAN
                                        if not asked for, and for the prompt's first token */
    const struct quire_logprob *top; /* [top_n], best first */
    uint32_t top_n;
    /* TOKEN, DONE: the text that is now certain: whole characters, and nothing that may belong to a
     * stop string.  DONE carries the text that was held back until then. */
    struct quire_text text;
    /* DONE */
    int finish;               /* enum quire_finish */
    int32_t stop_id;          /* the token that ended the text (end of sequence or a stop
                                 id; its TOKEN has no text); -1: none */
    struct quire_text stop;   /* the stop string that ended the text; n = 0: none */
    struct quire_usage usage; /* TOKEN, DONE and ERROR */
    /* ERROR */
    int status; /* enum quire_status */
};

/* A descriptor that is readable while events may be waiting.  Poll it; do not read or close it.  It
 * lives as long as the engine. */
QUIRE_API int quire_fd(const quire_engine *engine);
/* Takes one event.  1: *event is set; 0: there is no event. */
QUIRE_API int quire_next(quire_engine *engine, struct quire_event *event);
/* Takes one event, waiting up to timeout_ms milliseconds (-1: without limit).  1: *event is set; 0:
 * the time is over, or the engine has stopped and no event is left. */
QUIRE_API int quire_wait(quire_engine *engine, struct quire_event *event, int timeout_ms);

/* ---- figures -------------------------------------------------------------------------- */

#define QUIRE_HISTOGRAM_BINS 24

/* counts[i] values were above bounds[i - 1] and at most bounds[i].  The last bin's bound is
 * infinity. */
struct quire_histogram {
    const double *bounds; /* [bins_n], static */
    uint32_t bins_n;
    uint64_t counts[QUIRE_HISTOGRAM_BINS];
    double sum;
};

struct quire_stats {
    size_t size; /* set by the caller before the call */
    uint32_t running;
    uint32_t waiting;
    uint32_t threads;
    uint32_t page_tokens;
    uint32_t context_max;
    uint32_t waiting_max;
    uint64_t page_bytes;
    uint64_t pages_all, pages_free, pages_cached, pages_held, pages_shared;
    uint64_t steps;
    uint64_t prompt_tokens; /* of admitted requests, each prompt once */
    uint64_t generation_tokens;
    uint64_t computed_tokens; /* rows that went through the model */
    uint64_t preemptions;
    uint64_t recomputed_tokens;
    uint64_t finished_stop, finished_length, cancelled;
    uint64_t refused;                     /* QUIRE_QUEUE_FULL */
    uint64_t prefix_queries, prefix_hits; /* prompt tokens looked up in the cache, and found */
    uint64_t page_copies;                 /* of shared pages, before writing */
    uint64_t page_evictions;              /* cached pages given to others */
    uint64_t slots_held, slots_empty;     /* token slots in held pages, summed over steps; slots
                                             without a token */
    struct quire_histogram time_to_first_token_s, inter_token_s, e2e_s, queue_s, prefill_s,
        decode_s, step_s, step_tokens;
    /* Pages whose memory is prefaulted, and the engine's goal: more than requests have used so far.
     * Prefaulting takes some milliseconds a MB on some machines.  An idle engine does it, and
     * sleeps when the goal is reached. */
    uint64_t pages_ready, pages_ready_wanted;
    /* Of the model, for all its engines: grammars compiled (or refused), and asked for again while
     * they were kept. */
    uint64_t grammars_compiled, grammars_reused;
};
QUIRE_API void quire_stats(const quire_engine *engine, struct quire_stats *stats);

/* The time of an engine's steps by phase, in order, if settings.profile is set.  Phases are timed
 * on the engine's thread, up to its last turn, and cover each turn with work completely. */
struct quire_phase {
    const char *name;
    uint64_t ns;
    uint64_t wait_ns; /* part of ns: waiting for other threads of the team */
};
/* Writes up to `capacity` phases and returns their number; 0 without settings.profile. */
QUIRE_API size_t quire_profile(const quire_engine *engine, struct quire_phase *phases,
                               size_t capacity);

/* The machine's limits, measured for about `ms` milliseconds on `threads` threads (0: the cores
 * available).  quire bench reports each rate as a share of them. */
struct quire_limits {
    size_t size;       /* set by the caller before the call */
    double int8_ops;   /* operations a second; a multiply-add counts as two */
    double bf16_flops; /* 0: the machine has no bf16 dot product */
    double fp32_flops;
    double read_bytes; /* streaming read, bytes a second */
    /* Nanoseconds for a word to pass from one thread to another, the maximum over neighbours.  0:
     * one thread, or a core that was busy. */
    double core_to_core_ns;
};
QUIRE_API int quire_measure_limits(uint32_t threads, uint32_t ms, struct quire_limits *limits);

#ifdef __cplusplus
}
#endif
#endif
