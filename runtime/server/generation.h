/* SPDX-License-Identifier: MIT */
/* generation -- one POST that asks for generated text, from its body to its answer.
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
#include "runtime/server/tools.h"
#include "runtime/server/words.h"

struct qr_generation;

/* What differs between the endpoints. */
struct qr_generation_kind {
    enum qr_endpoint endpoint; /* whose fields the request has, once translated */
    const char *id_prefix;
    const char *object, *delta_object;
    /* Makes a chat request of a body that another API has.  NULL: the body is one as it is. */
    struct qr_json *(*translate)(const struct qr_json *body, struct qr_api_failure *failure);
    /* Gives a failure of the chat request the names of the body's API.  May be NULL. */
    void (*rename)(struct qr_api_failure *failure);
    bool cuts_max_tokens; /* max_tokens is cut to what fits, not refused */
    bool keeps_scores;    /* chat's logprobs are kept whole, beside those of a delta */
    bool is_message;      /* a choice's text is read as a message */
    bool (*read_prompts)(struct qr_prompts *prompts, const struct qr_server_settings *settings,
                         const struct qr_json *body, const struct qr_model_limits *limits,
                         struct qr_api_failure *failure);
    void (*add_logprobs)(struct qr_generation_choice *choice, const struct quire_event *event);
    /* Puts into a choice what precedes its first token: an echoed prompt.  May be NULL. */
    void (*begin_choice)(struct qr_generation_choice *choice);
    /* Writes the members "choices": of the SSE event that opens a choice (NULL: there is no such
     * event), of a whole answer, and of an SSE event with a delta.  For the API that completions
     * and chat share (openai.h). */
    void (*put_opening)(const struct qr_generation_choice *choice, struct qr_buffer *out);
    void (*put_choices)(struct qr_generation *generation, struct qr_buffer *out);
    void (*put_delta)(struct qr_generation_choice *choice, struct qr_buffer *out);
    /* Writes a whole answer; sends what a choice has collected as events; sends a stream's end. */
    void (*put_answer)(struct qr_generation *generation, struct qr_buffer *out);
    void (*send_delta)(struct qr_generation_choice *choice);
    void (*send_end)(struct qr_generation *generation);
};

struct qr_generation {
    struct qr_server_job job; /* first: a pointer to the job is one to its generation */
    struct qr_generation *prev, *next;
    const struct qr_generation_kind *kind;
    struct qr_buffer body;    /* the request's; freed when it has been parsed */
    struct qr_json *document; /* the body */
    struct qr_json *chat;     /* the request made of it; NULL: the document is the request */
    struct qr_params params;
    struct qr_words words;
    struct qr_tools tools;
    struct qr_prompts prompts;
    struct qr_api_failure failure;
    quire_grammar *grammar;               /* what its answers are held to; NULL: nothing */
    struct qr_generation_choice *choices; /* [choices_n] */
    size_t choices_n;                     /* n for each prompt */
    uint32_t live_n;                      /* choices in the engine */
    bool submitted;                       /* all choices were accepted */
    char id[48];
    uint64_t created_s;
    bool begun;                         /* a stream's first event has been sent */
    uint32_t sequence_n;                /* events sent, where they are numbered */
    struct qr_generation *touched_next; /* generations with events in this turn */
    bool touched;
};

/* The request: the body, or what was made of it. */
const struct qr_json *qr_generation_request(const struct qr_generation *generation);
/* Sends one SSE event.  If its payload could not be built, the generation fails. */
void qr_generation_put_event(struct qr_generation *generation, const char *event,
                             const struct qr_buffer *payload);

/* Starts a generation for the request that conn has read. */
void qr_generation_begin(struct qr_conn *conn, const struct qr_generation_kind *kind);
/* Adds an event of the engine to its choice. */
void qr_generation_take(struct qr_server *server, const struct quire_event *event);
/* Writes what the events of this turn have produced, and frees the generations that have ended. */
void qr_generation_send(struct qr_server *server);
/* Pings the streams that are quiet. */
void qr_generation_ping(struct qr_server *server);
void qr_generation_cancel_all(struct qr_server *server);

#endif
