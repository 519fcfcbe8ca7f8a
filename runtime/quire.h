/* SPDX-License-Identifier: MIT */
/* quire.h -- serve language models on CPUs, from inside your own program.
 *
 * A model is a GGUF file opened once.  An engine runs requests against one model on its own
 * thread and compute team, many at a time.  Requests go in with quire_submit; their tokens come
 * back as events, taken from a completion queue whose descriptor any event loop can poll.
 *
 *     quire_model_open -> quire_engine_start -> quire_submit ... quire_next / quire_wait
 *                      -> quire_engine_stop  -> quire_model_close
 *
 * Promises
 *   - Every accepted request ends in exactly one QUIRE_EVENT_DONE or QUIRE_EVENT_ERROR; one that
 *     asks for n choices, in exactly one for each of them.
 *   - A request's tokens and logprobs have the same bits alone or in a crowd, at any number of
 *     threads, however its prompt was cut into chunks.  Only the instruction set may change them.
 *   - Nothing here calls back on a foreign thread, ends the process, or aborts for a caller's
 *     mistake.  There is no global state: two engines do not know each other.
 *
 * Every settings struct begins with its own size: call its _defaults function first, then change
 * what you want.  A library newer than your header writes and reads only the fields that you know;
 * an older one refuses a field that it does not know, unless it is zero.  (From another language,
 * by dlsym: the _defaults_sized functions, with the size of your struct.)
 *
 * Threads: a model may be used from any number of threads.  quire_submit, quire_fork, quire_cancel
 * and quire_stats may be called from any thread.  quire_next and quire_wait belong to one thread at
 * a time. */
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

/* What went wrong, in a sentence: what, where, and what was expected.  Filled on failure by the
 * functions that take one; may be NULL where nobody wants to know. */
struct quire_error {
    int status;     /* enum quire_status */
    char field[32]; /* the setting or request field at fault, "" where there is none */
    char text[288]; /* one sentence, no newline */
};

/* The fixed text of a status; "unknown status" for others. */
QUIRE_API const char *quire_status_text(int status);
/* "0.1.0" */
QUIRE_API const char *quire_version(void);

/* ---- memory --------------------------------------------------------------------------- */

/* Where the library's small memory comes from.  resize(context, NULL, n) allocates n bytes,
 * resize(context, p, n) grows or shrinks, resize(context, p, 0) frees and returns NULL.  Memory
 * is aligned as malloc's.  May be called from any thread.  A NULL resize means malloc.
 * Weights and KV pages do not come from here: they are mapped from the system. */
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
    uint32_t threads;                 /* for repacking weights; 0: the cores available */
    const char *cpu_level;            /* "scalar", "avx2", "avx512", "avx512vnni", "avx512bf16";
                                         NULL: the best this machine has */
    uint32_t sliding_window;   /* keys that a token sees, its own among them; 0: what the file
                                  says, QUIRE_WINDOW_NONE: all, even if it says otherwise */
    const char *chat_template; /* a Jinja template instead of the file's; NULL: the file's */
    /* NULL, or called within quire_model_open, on its thread, for each thing in the file that is
     * not supported: whatever refuses the model (the first is *error too), and what a model is
     * served without: its tokenizer, parts of its chat template.  Then opening does not end at the
     * first. */
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

/* Opens a model.  On success *model is the caller's, to be closed after every engine on it has
 * stopped.  On failure *model is NULL and *error (may be NULL) says why: QUIRE_SYSTEM,
 * QUIRE_BAD_FILE, QUIRE_UNSUPPORTED, QUIRE_NO_MEMORY or QUIRE_INVALID. */
QUIRE_API int quire_model_open(const struct quire_model_settings *settings, quire_model **model,
                               struct quire_error *error);
QUIRE_API void quire_model_close(quire_model *model); /* NULL is allowed */

/* Strings live as long as the model. */
struct quire_model_info {
    size_t size;              /* set by the caller before the call */
    const char *name;         /* general.name, else the file's base name */
    const char *architecture; /* "llama" */
    const char *cpu_level;    /* the kernels in use */
    uint32_t layers_n;
    uint32_t width; /* embedding length */
    uint32_t heads_n;
    uint32_t kv_heads_n;
    uint32_t head_dim;
    uint32_t vocab_n;
    uint32_t context_max; /* tokens */
    uint64_t file_bytes;
    uint64_t weights_bytes;  /* resident after repacking */
    uint64_t weights_n;      /* parameters in matrices, the embedding counted once */
    uint64_t head_weights_n; /* of them in the output head */
    int32_t bos_id;          /* -1: none */
    int32_t eos_id;          /* -1: none */
    bool adds_bos;           /* text prompts get BOS in front */
    bool has_tokenizer;
    bool has_template;
    const char *tokenizer_note;  /* NULL, or why there is no tokenizer */
    uint32_t sliding_window;     /* in use; 0: none */
    const char *template_note;   /* NULL, or why there is no template, or which fallback is used */
    bool adds_eos;               /* QUIRE_TEXT_EOS does something */
    const char *tokenizer_split; /* how text is cut before merging: "llama-bpe"; NULL: no tokenizer,
                                    "none": SentencePiece */
};
QUIRE_API void quire_model_info(const quire_model *model, struct quire_model_info *info);

/* Sentences about what is odd in the model's file and what is done instead, for whoever runs it:
 * index 0 is the first, NULL comes after the last.  They live as long as the model. */
QUIRE_API const char *quire_model_warning(const quire_model *model, uint32_t index);

/* ---- text ----------------------------------------------------------------------------- */

enum {
    QUIRE_TEXT_SPECIAL = 1, /* tokenize: special tokens in the text are recognised;
                               detokenize: special tokens are written out */
    QUIRE_TEXT_BOS = 2,     /* tokenize: BOS in front where the model asks for it */
    QUIRE_TEXT_EOS = 4,     /* tokenize: EOS behind where the model asks for it: few do */
    QUIRE_TEXT_BEGIN = 8    /* detokenize: the ids begin a text.  SentencePiece puts a space in
                               front of one, which is left out again; what goes on keeps it */
};

/* Text to ids.  Any bytes are taken; bad UTF-8 is read as U+FFFD, or by SentencePiece as its bytes.
 * Qwen 2's is composed first (Unicode's form C).  *ids_n is the number of ids of the whole text; if
 * it is more than capacity nothing past capacity is written and the result is QUIRE_BUFFER_SMALL.
 * n bytes never make more than 3 n + 3 ids.  ids may be NULL with capacity 0. */
QUIRE_API int quire_tokenize(const quire_model *model, const char *text, size_t text_n,
                             unsigned flags, int32_t *ids, size_t capacity, size_t *ids_n);

/* Ids to bytes, as quire_tokenize for sizes; no terminating NUL.  Bytes that are no valid UTF-8
 * are written as they are.  QUIRE_INVALID for an id outside the vocabulary. */
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

/* A value as JSON has them, in the caller's memory: what a conversation's messages may hold beside
 * text (tool calls, parts of a content), tools, documents, a template's own variables. */
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
    const struct quire_text *keys; /* MAP: [n], in their order */
    union {
        bool truth;
        int64_t integer;
        double real;
        struct quire_text text;
        const struct quire_value *items; /* LIST, MAP: [n] */
    } as;
};

enum {
    QUIRE_RENDER_GENERATION_PROMPT = 1, /* the text ends where the assistant begins */
    QUIRE_RENDER_CONTINUE = 2           /* the text ends where the last message does, so that it is
                                           continued; not together with GENERATION_PROMPT */
};

struct quire_conversation {
    size_t size;
    const struct quire_message *messages; /* [messages_n]: the simple case.  Or: */
    size_t messages_n;
    const struct quire_value *values; /* a LIST of MAPs, each with "role" and whatever the template
                                         knows.  "content" is a TEXT, a LIST of {"type": "text",
                                         "text": ...}, or none */
    const struct quire_value *tools;  /* a LIST; NULL: none */
    const struct quire_value *documents; /* a LIST; NULL: none */
    const struct quire_value *variables; /* a MAP of what else the template may ask for, or NULL */
    uint32_t flags;                      /* QUIRE_RENDER_* */
    int64_t now_s; /* what strftime_now takes for now, in seconds since 1970; 0: the clock's */
};
QUIRE_API void quire_conversation_defaults_sized(struct quire_conversation *conversation,
                                                 size_t size);
static inline void quire_conversation_defaults(struct quire_conversation *conversation)
{
    quire_conversation_defaults_sized(conversation, sizeof *conversation);
}

/* Renders a conversation by the model's chat template, a Jinja template.  Sizes as
 * quire_detokenize.  QUIRE_NO_TEMPLATE; QUIRE_INVALID for values that are malformed, for what the
 * template refuses (the error's text is then the template's own) and for what it fails at or uses
 * up (steps, memory): it cannot do anything but make text.  QUIRE_NO_MEMORY. */
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

/* Exactly one of json_schema, regex and choices is given.
 *   json_schema  a JSON document: a schema of draft 2020-12, 2019-09, 7, 6 or 4.  The text is JSON,
 *                properties in the schema's order.
 *   regex        the whole text matches it.  ECMA-262's syntax without references to groups,
 *                look-around and \b.
 *   choices      the text is one of them. */
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
 * large, QUIRE_NO_TOKENIZER, QUIRE_NO_MEMORY. */
QUIRE_API int quire_grammar_compile(const quire_model *model,
                                    const struct quire_grammar_settings *settings,
                                    quire_grammar **grammar, struct quire_error *error);
QUIRE_API void quire_grammar_free(quire_grammar *grammar); /* NULL is allowed */

/* Checks a text: *accepted_n is how many of its bytes some text of the grammar begins with, *whole
 * (may be NULL) whether the text is one.  Any thread. */
QUIRE_API int quire_grammar_match(quire_grammar *grammar, const char *text, size_t text_n,
                                  size_t *accepted_n, bool *whole);

/* ---- engines -------------------------------------------------------------------------- */

enum quire_kv_type { QUIRE_KV_F16 = 0, QUIRE_KV_F32 = 1, QUIRE_KV_BF16 = 2, QUIRE_KV_Q8 = 3 };

struct quire_engine_settings {
    size_t size;
    struct quire_allocator allocator;
    uint64_t kv_memory_bytes; /* 0: half of what is free, within the cgroup's limit */
    uint32_t page_tokens;     /* 16, 32 (default), 64 or 128 */
    uint32_t kv_type;         /* enum quire_kv_type */
    uint32_t threads;         /* 0: the physical cores that the process may use */
    uint32_t context_max;     /* 0: the model's, or what the pages hold if that is
                                 less; if set, the pages have to hold it (with a
                                 sliding window: what is read of it at once) */
    uint32_t running_max;     /* sequences in a batch; 256 */
    uint32_t waiting_max;     /* requests in the queue, each choice of one counted; 1024 */
    uint32_t step_tokens;     /* token budget of a step, at least running_max + 16;
                                 0: the more of 256 and running_max + 64 */
    uint32_t prefill_chunk;   /* most prompt tokens of one request in a step;
                                 0: the budget's */
    uint32_t no_prefix_cache; /* 1: every request computes its whole prompt, and no page is kept */
    uint32_t profile;         /* 1: quire_profile tells where steps spend their time */
    uint32_t target_itl_ms;   /* prefill is cut so that no more than this passes between a request's
                                 tokens, as far as steps so far tell; 0: step_tokens alone cuts it.
                                 Not with step_tokens */
};
/* Bytes that the keys and values of one token take in pages of a type.  0: there are no such pages,
 * or they cannot hold this model's heads. */
QUIRE_API uint64_t quire_model_kv_token_bytes(const quire_model *model, uint32_t kv_type);

QUIRE_API void quire_engine_settings_defaults_sized(struct quire_engine_settings *settings,
                                                    size_t size);
static inline void quire_engine_settings_defaults(struct quire_engine_settings *settings)
{
    quire_engine_settings_defaults_sized(settings, sizeof *settings);
}

/* Starts an engine: its thread, its compute team, its pages.  The model must outlive it. */
QUIRE_API int quire_engine_start(const struct quire_engine_settings *settings, quire_model *model,
                                 quire_engine **engine, struct quire_error *error);

/* Stops an engine.  New requests are refused at once; running and waiting ones are given drain_ms
 * (0: none) to finish, the rest end as QUIRE_FINISH_CANCELLED.  Their events can be taken until
 * quire_engine_free.  Blocks until the engine's threads have ended. */
QUIRE_API void quire_engine_stop(quire_engine *engine, uint32_t drain_ms);
/* Frees a stopped engine (stops a running one first, drain_ms 0) and all events not taken. */
QUIRE_API void quire_engine_free(quire_engine *engine); /* NULL is allowed */

/* ---- requests ------------------------------------------------------------------------- */

typedef uint64_t quire_id; /* never 0, never used twice by one engine */

enum {
    QUIRE_REQUEST_IGNORE_EOS = 1,      /* generate on past end-of-sequence tokens */
    QUIRE_REQUEST_PROMPT_LOGPROBS = 2, /* one QUIRE_EVENT_PROMPT for each prompt token */
    QUIRE_REQUEST_SEEDED = 4           /* seed counts; otherwise one is drawn */
};

struct quire_logit_bias {
    int32_t token;
    float bias; /* [-100, 100] */
};

struct quire_request {
    size_t size;
    const int32_t *prompt; /* [prompt_n], at least one id */
    size_t prompt_n;
    uint32_t max_tokens; /* 0 only with PROMPT_LOGPROBS; default 16 */
    uint32_t min_tokens; /* so many come before a stop of any kind */
    float temperature;   /* 0: greedy; default 1 */
    float top_p;         /* (0, 1]; default 1 */
    float min_p;         /* [0, 1]; default 0 */
    int32_t top_k;       /* 0 or -1: off; default 0 */
    uint64_t seed;
    uint32_t flags;                /* QUIRE_REQUEST_* */
    int32_t logprobs;              /* -1: none; 0..20 alternatives a token; default -1 */
    const struct quire_text *stop; /* [stop_n] strings that end the text, up to 16 */
    size_t stop_n;
    const int32_t *stop_ids; /* [stop_ids_n] tokens that end it, up to 64 */
    size_t stop_ids_n;
    void *user;                   /* comes back in every event */
    struct quire_text cache_salt; /* up to 1,088 bytes.  What was computed of a prompt is reused
                                     among requests of one salt only; n = 0: those without */
    uint32_t n;       /* choices, up to 128 and running_max; 0: 1.  The prompt is computed once.
                         Choice i draws from seed + i, and is what a request alone with that seed
                         is, bit for bit */
    uint32_t best_of; /* as many are generated, n to 128, and the n with the highest cumulative
                         logprob are given, best first, when all have ended; 0: n */
    int32_t
        priority; /* lower goes first; default 0.  Within a priority clients have fair shares: */
    struct quire_text client; /* whose request it is, any bytes; n = 0: one client's like others */
    struct quire_text end_user; /* for whom the client asks: they divide their client's share */
    /* What is done to the logits before a token is drawn, in this order; logprobs are of the logits
     * as they came.  A fork's prompt is all that its parent has. */
    const struct quire_logit_bias *logit_bias; /* [logit_bias_n], added; up to 300 */
    size_t logit_bias_n;
    float repetition_penalty; /* > 0; tokens of the prompt and generated ones: divides a positive
                                 logit, multiplies another; 0 or 1: none */
    float frequency_penalty;  /* [-2, 2]; generated tokens: subtracted as often as generated */
    float presence_penalty;   /* [-2, 2]; generated tokens: subtracted once */
    /* What the generated text has to be, NULL: anything.  Of the engine's model.  Tokens that
     * cannot go on so are never drawn, after penalties and biases and before temperature; the
     * request ends (QUIRE_FINISH_STOP) when nothing may follow, even before min_tokens.  Each
     * choice is held to it by itself, a fork from where it begins.  Where no token can go on: an
     * ERROR, QUIRE_NO_TOKEN. */
    quire_grammar *grammar;
};
QUIRE_API void quire_request_defaults_sized(struct quire_request *request, size_t size);
static inline void quire_request_defaults(struct quire_request *request)
{
    quire_request_defaults_sized(request, sizeof *request);
}

/* Hands a request in; everything it points to is copied.  QUIRE_OK: *id is set, events will
 * follow.  n choices take n places in the queue, all or none.  Otherwise nothing was accepted:
 * QUIRE_INVALID, QUIRE_TOO_LONG, QUIRE_QUEUE_FULL (at once, by a counter), QUIRE_STOPPING,
 * QUIRE_NO_MEMORY; error->field names the field. */
QUIRE_API int quire_submit(quire_engine *engine, const struct quire_request *request, quire_id *id,
                           struct quire_error *error);

/* Forks a choice of a request that has not ended, as it stands at the engine's next step: into a
 * new request whose prompt is that choice's prompt with all that it has generated by then (usage
 * says how long that is), and which goes on as one submitted with that prompt would, bit for bit.
 * Both read the same pages, and copy one only to write into it.  `request` says all but prompt and
 * cache_salt, which have to be empty: they are the parent's.  QUIRE_OK: *forked is set, events will
 * follow; if the parent has ended by then, or max_tokens more do not fit, an ERROR for each choice:
 * QUIRE_NOT_FOUND, QUIRE_TOO_LONG.  Otherwise as quire_submit; QUIRE_NOT_FOUND where the parent has
 * ended already. */
QUIRE_API int quire_fork(quire_engine *engine, quire_id id, uint32_t choice,
                         const struct quire_request *request, quire_id *forked,
                         struct quire_error *error);

/* Asks a request to end before the next step, all its choices; its terminal event follows as any
 * other's (it may have finished by itself meanwhile).  QUIRE_NOT_FOUND where it has ended already.
 * Never allocates, never waits for a step. */
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
    uint32_t cached_tokens; /* prompt tokens whose keys and values were not computed again */
};

/* One event.  Its pointers are good until the next quire_next or quire_wait on that engine. */
struct quire_event {
    int kind;        /* enum quire_event_kind */
    uint32_t choice; /* of the request's n, from 0 on; each has its events in order */
    quire_id id;
    void *user;
    /* PROMPT, TOKEN */
    int32_t token;
    uint32_t index;                  /* in the prompt, or among the generated */
    float logprob;                   /* natural, of the model's own distribution; NAN where
                                        not asked for, and for the prompt's first token */
    const struct quire_logprob *top; /* [top_n], best first */
    uint32_t top_n;
    /* TOKEN, DONE: text that has become certain (whole characters; nothing that a stop string may
     * still swallow).  A DONE carries what was held back until then. */
    struct quire_text text;
    /* DONE */
    int finish;               /* enum quire_finish */
    int32_t stop_id;          /* the token that stopped it (end of sequence or a stop
                                 id: its TOKEN has no text), -1: none */
    struct quire_text stop;   /* the stop string that did, n = 0: none */
    struct quire_usage usage; /* DONE and ERROR */
    /* ERROR */
    int status; /* enum quire_status */
};

/* A descriptor that is readable while events may be waiting.  Poll it; never read it. */
QUIRE_API int quire_fd(const quire_engine *engine);
/* Takes one event: 1 taken, 0 none there. */
QUIRE_API int quire_next(quire_engine *engine, struct quire_event *event);
/* The same, but waits up to timeout_ms (-1: as long as it takes): 1 taken, 0 timed out, or the
 * engine has stopped and nothing is left. */
QUIRE_API int quire_wait(quire_engine *engine, struct quire_event *event, int timeout_ms);

/* ---- figures -------------------------------------------------------------------------- */

#define QUIRE_HISTOGRAM_BINS 24

/* counts[i] values were at most bounds[i] and more than bounds[i - 1]; the last bin in use has
 * the bound infinity. */
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
    uint64_t prompt_tokens; /* of requests admitted, each prompt once */
    uint64_t generation_tokens;
    uint64_t computed_tokens; /* rows that went through the model */
    uint64_t preemptions;
    uint64_t recomputed_tokens;
    uint64_t finished_stop, finished_length, cancelled;
    uint64_t refused;                     /* QUIRE_QUEUE_FULL */
    uint64_t prefix_queries, prefix_hits; /* prompt tokens looked up in cached pages, and found */
    uint64_t page_copies;                 /* of pages that others read too, before writing */
    uint64_t page_evictions;              /* cached pages that gave way to others */
    uint64_t slots_held, slots_empty;     /* summed over steps: slots for tokens in held pages, and
                                             those of them that had none */
    struct quire_histogram time_to_first_token_s, inter_token_s, e2e_s, queue_s, prefill_s,
        decode_s, step_s, step_tokens;
    /* Pages whose memory the system was asked for, and how many are to be: more than the requests
     * so far took.  It takes some milliseconds a MB on some machines, so an engine sees to it while
     * it has nothing to do, and sleeps when all are. */
    uint64_t pages_ready, pages_ready_wanted;
};
QUIRE_API void quire_stats(const quire_engine *engine, struct quire_stats *stats);

/* Where the steps of an engine with settings.profile have spent their time until its last turn, as
 * the engine's thread saw it: the phases of a step, in order.  Every nanosecond of a turn with work
 * is in one of them. */
struct quire_phase {
    const char *name;
    uint64_t ns;
    uint64_t wait_ns; /* of it: waiting for other threads of the team to finish */
};
/* Writes up to `capacity` phases and returns how many there are: 0 without settings.profile. */
QUIRE_API size_t quire_profile(const quire_engine *engine, struct quire_phase *phases,
                               size_t capacity);

/* What this machine can do at the most, measured for about `ms` milliseconds with the number of
 * threads given (0: the cores available): what every rate is to be held against. */
struct quire_limits {
    size_t size;       /* set by the caller before the call */
    double int8_ops;   /* multiply and add counted as two, a second */
    double bf16_flops; /* 0 where the machine has no bf16 dot */
    double fp32_flops;
    double read_bytes; /* streaming read, a second */
    /* How far apart the cores were at the end of it: how long a word takes from one thread to the
     * next, in nanoseconds, of more than two threads the most.  0: one thread, or one whose core
     * was not to be had. */
    double core_to_core_ns;
};
QUIRE_API int quire_measure_limits(uint32_t threads, uint32_t ms, struct quire_limits *limits);

#ifdef __cplusplus
}
#endif
#endif
