/* SPDX-License-Identifier: MIT */
/* request -- one request's memory and state.  A request for n choices is n of these with one id.
 *
 *     SUBMITTED           LIVE                           ENDED
 *     in the inbox  --->  waiting or running in   --->   its terminal event is made and waits in
 *                         the scheduler                  the completion queue; freed when taken
 *
 * quire_submit makes it in one allocation, with copies of all that the caller's struct points to.
 *
 * Thread: a comment before each group of fields names it.
 * Memory: the engine's allocator.  The prompt's and the generated ids are one array, which the
 * scheduler reads too.  The array is inside the allocation until it has to grow.  Each event
 * has its own allocation, except the terminal one, which is inside. */
#ifndef QR_ENGINE_REQUEST_H
#define QR_ENGINE_REQUEST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/engine/restriction.h"
#include "runtime/engine/sampler.h"
#include "runtime/engine/stop.h"
#include "runtime/grammar/grammar.h"
#include "runtime/quire.h"
#include "runtime/text/tokenizer.h"
#include "scheduler/scheduler.h"

/* An event in a list.  Its top and text follow in the same allocation. */
struct qr_event_node {
    struct qr_event_node *next;
    struct quire_event event;
};

struct qr_request {
    /* Constant from quire_submit on. */
    quire_id id;
    uint32_t choice;
    void *user;
    uint32_t prompt_n; /* a fork gets prompt and salt when the engine thread takes it */
    quire_id fork_of;  /* the parent; 0: not a fork */
    uint32_t fork_choice;
    uint32_t max_tokens, min_tokens;
    uint32_t flags; /* QUIRE_REQUEST_* */
    const int32_t *stop_ids;
    uint32_t stop_ids_n;
    const int32_t *shown_ids;
    uint32_t shown_ids_n;
    struct qr_restriction restriction;
    struct qr_sampling sampling;
    struct qr_prefix_salt salt; /* pages are shared between equal salts; zero: no salt given */
    int32_t priority;
    struct qr_party client, end_user; /* hashes of their names; zero: no name given */
    uint64_t submitted_ns;

    /* Any thread. */
    atomic_bool cancelled;
    struct qr_request *inbox_next; /* inbox.h */
    struct qr_request *table_next; /* request_table.h, under its lock */

    /* Only the engine thread. */
    struct qr_request *live_next, *live_prev;
    struct qr_request *attached; /* group.h: the next choice, until the prompt is computed */
    struct qr_request *leader;   /* group.h: computes the prompt; NULL: this one does */
    struct qr_ranking *ranking;  /* NULL: all choices are returned */
    double logprob_sum;          /* of the generated tokens; for the ranking */
    bool logprobs_hidden;        /* the ranking needs them, the caller does not */
    qr_seq_id seq;
    bool admitted;
    bool ended;
    uint32_t prompt_events; /* PROMPT events made so far */
    const int32_t *prompt;  /* [prompt_n], followed in the same array by generated */
    int32_t *generated;     /* [generated_max] */
    uint32_t generated_n;
    uint32_t generated_max;
    int32_t *grown;         /* the array, when it has an allocation of its own; else NULL */
    uint32_t cached_tokens; /* prompt tokens found in the cache when first admitted */
    struct qr_detokenizer detokenizer;
    struct qr_stop stop;
    struct qr_constraint constraint; /* its grammar is NULL: the text is not constrained */
    uint64_t admitted_ns, first_token_ns, last_token_ns;
    struct qr_event_node *fresh, *fresh_last; /* made in this turn, not yet published */
    struct qr_request *fresh_next;            /* the next request with such events */
    bool fresh_listed;

    /* Under the lock of the completion queue. */
    struct qr_request *ready_next;
    struct qr_event_node *events, *events_last;
    bool ready;

    /* Part of the allocation, so that a request can end when memory is out. */
    struct qr_event_node terminal;
    char *tail; /* the terminal event's text */
};

/* Makes a request from fields that quire_submit has checked.  grammar and tokenizer may be NULL.
 * NULL: no memory. */
struct qr_request *qr_request_create(const struct quire_request *from, struct qr_grammar *grammar,
                                     const struct qr_tokenizer *tokenizer,
                                     const struct quire_allocator *allocator);
/* Gives a fork its prompt, which is all tokens of the parent, and the parent's salt.  False: no
 * memory. */
bool qr_request_continue(struct qr_request *r, const struct qr_request *parent,
                         const struct quire_allocator *allocator);
/* Frees the request and the events in its lists. */
void qr_request_destroy(struct qr_request *r, const struct quire_allocator *allocator);

/* Token `index` of the sequence, prompt or generated. */
static inline int32_t qr_request_token(const struct qr_request *r, uint32_t index)
{
    return r->prompt[index];
}

/* Appends a generated token.  False: no memory. */
bool qr_request_append(struct qr_request *r, int32_t token,
                       const struct quire_allocator *allocator);

#endif
