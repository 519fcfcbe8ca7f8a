/* SPDX-License-Identifier: MIT */
/* generation -- one POST to /v1/completions or /v1/chat/completions, from its body to its answer.
 *
 *   PREPARING ----------> RUNNING ------------------> ended and freed
 *   parse and tokenise,   its choices are in the      after the last choice's last event
 *   maybe on a worker     engine
 *
 * A generation whose client leaves cancels its choices.  It lives until the engine has ended them.
 *
 * An event of the engine is not written at once: a turn of the loop collects a choice's last token
 * and its end into one SSE event, because clients that count events expect that.
 *
 * Thread: the loop's; the preparing job may run on a worker.   Memory: the server's allocator. */
#ifndef QR_SERVER_GENERATION_H
#define QR_SERVER_GENERATION_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/server/buffer.h"
#include "runtime/server/choice.h"
#include "runtime/server/job.h"
#include "runtime/server/json.h"
#include "runtime/server/params.h"
#include "runtime/server/prompt.h"

struct qr_generation;

/* What differs between the two endpoints. */
struct qr_generation_kind {
    enum qr_endpoint endpoint;
    const char *id_prefix;
    const char *object, *delta_object;
    bool (*read_prompts)(struct qr_prompts *prompts, const struct qr_server_settings *settings,
                         const struct qr_json *body, const struct qr_model_limits *limits,
                         struct qr_api_failure *failure);
    void (*add_logprobs)(struct qr_generation_choice *choice, const struct quire_event *event);
    /* Puts into a choice what precedes its first token: an echoed prompt.  May be NULL. */
    void (*begin_choice)(struct qr_generation_choice *choice);
    /* Each writes the member "choices": of the SSE event that opens a choice (NULL: there is no
     * such event), of a whole answer, and of an SSE event with a delta. */
    void (*put_opening)(const struct qr_generation_choice *choice, struct qr_buffer *out);
    void (*put_choices)(struct qr_generation *generation, struct qr_buffer *out);
    void (*put_delta)(struct qr_generation_choice *choice, struct qr_buffer *out);
};

struct qr_generation {
    struct qr_server_job job; /* first: a pointer to the job is one to its generation */
    struct qr_generation *prev, *next;
    const struct qr_generation_kind *kind;
    struct qr_buffer body; /* the request's; freed when it has been parsed */
    struct qr_json *document;
    struct qr_params params;
    struct qr_prompts prompts;
    struct qr_api_failure failure;
    quire_grammar *grammar;               /* what its answers are held to; NULL: nothing */
    struct qr_generation_choice *choices; /* [choices_n] */
    size_t choices_n;                     /* n for each prompt */
    uint32_t live_n;                      /* choices in the engine */
    bool submitted;                       /* all choices were accepted */
    char id[48];
    uint64_t created_s;
    struct qr_generation *touched_next; /* generations with events in this turn */
    bool touched;
};

/* Starts a generation for the request that conn has read. */
void qr_generation_begin(struct qr_conn *conn, const struct qr_generation_kind *kind);
/* Adds an event of the engine to its choice. */
void qr_generation_take(struct qr_server *server, const struct quire_event *event);
/* Writes what the events of this turn have produced, and frees the generations that have ended. */
void qr_generation_send(struct qr_server *server);
void qr_generation_cancel_all(struct qr_server *server);

#endif
