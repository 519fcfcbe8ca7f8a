/* SPDX-License-Identifier: MIT */
/* generation -- one POST to a generating endpoint: its prompts go to the engine, what comes back
 * becomes an answer or a stream.
 *
 * PREPARING (parsed and tokenised, maybe on a worker) -> RUNNING (its choices are in the engine)
 * -> gone when the last choice has ended.  A generation whose client has left cancels its choices
 * and lives on until the engine has ended them.
 *
 * Chunks: an event is held until the turn of the loop is over, so that a last token and the end
 * that follows it are one chunk, as clients that count chunks expect.
 *
 * Thread: the loop's; prepare may run on a worker.   Memory: the server's allocator. */
#ifndef QR_SERVER_GENERATION_H
#define QR_SERVER_GENERATION_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/server/buffer.h"
#include "runtime/server/job.h"
#include "runtime/server/json.h"
#include "runtime/server/params.h"
#include "runtime/server/prompt.h"

struct qr_generation;

/* What has come of one choice and is not yet answered: all of it, or when streaming the next
 * chunk's.  The JSON pieces are the insides of lists and objects. */
struct qr_choice {
    struct qr_generation *generation;
    uint32_t index; /* prompt * n + i */
    quire_id id;    /* of the prompt's request; 0: not in the engine */
    bool ended;
    bool closed;       /* its last chunk has been sent */
    bool opened;       /* its first one has */
    uint32_t tokens_n; /* in the pieces below */
    struct qr_buffer text;
    struct qr_buffer ids;
    struct qr_buffer tokens, values, tops, offsets; /* completions' logprobs */
    struct qr_buffer content;                       /* chat's logprobs */
    struct qr_buffer prompt_logprobs;               /* vLLM's */
    uint64_t characters;                            /* of the text so far: text_offset */
    int finish;                                     /* enum quire_finish, once ended */
    int32_t stop_id;
    struct qr_buffer stop; /* the stop string that matched */
    struct quire_usage usage;
};

/* What the two endpoints do each their own way. */
struct qr_generation_kind {
    enum qr_endpoint endpoint;
    const char *id_prefix;
    const char *object, *chunk_object;
    bool (*read_prompts)(struct qr_prompts *prompts, const quire_model *model,
                         const struct qr_json *body, const struct qr_model_limits *limits,
                         struct qr_api_failure *failure);
    void (*add_logprobs)(struct qr_choice *choice, const struct quire_event *event);
    /* The text and ids that a choice begins with. */
    void (*begin_choice)(struct qr_choice *choice);
    /* "choices": of a chunk before a choice's first (NULL: there is none), of the whole answer,
     * and of a chunk. */
    void (*put_opening)(const struct qr_choice *choice, struct qr_buffer *out);
    void (*put_choices)(struct qr_generation *generation, struct qr_buffer *out);
    void (*put_chunk)(struct qr_choice *choice, struct qr_buffer *out);
};

struct qr_generation {
    struct qr_server_job job; /* first: a job's pointer is its generation's */
    struct qr_generation *prev, *next;
    const struct qr_generation_kind *kind;
    struct qr_buffer body; /* the request's, as it came */
    struct qr_json *document;
    struct qr_params params;
    struct qr_prompts prompts;
    struct qr_api_failure failure;
    struct qr_choice *choices; /* [choices_n] */
    size_t choices_n;          /* n for each prompt */
    uint32_t live_n;           /* choices in the engine */
    bool submitted;            /* all choices were accepted */
    char id[48];
    uint64_t created_s;
    struct qr_generation *touched_next; /* generations with events in this turn */
    bool touched;
};

/* Begins a generation for the request that conn has read. */
void qr_generation_begin(struct qr_conn *conn, const struct qr_generation_kind *kind);
/* Takes an event of the engine. */
void qr_generation_take(struct qr_server *server, const struct quire_event *event);
/* Sends what the events of this turn have made, and ends the generations that they have ended. */
void qr_generation_send(struct qr_server *server);
void qr_generation_cancel_all(struct qr_server *server);

/* ---- for the kinds ------------------------------------------------------------------------- */

/* What it continues. */
const struct qr_prompt *qr_generation_prompt(const struct qr_choice *choice);
/* "stop", "length" or "abort" in quotes, or null while a choice goes on. */
void qr_generation_put_finish(const struct qr_choice *choice, struct qr_buffer *out);
/* The stop string in quotes, the id out of stop_token_ids, or null. */
void qr_generation_put_stop_reason(const struct qr_choice *choice, struct qr_buffer *out);

#endif
