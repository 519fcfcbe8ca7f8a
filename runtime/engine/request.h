/* SPDX-License-Identifier: MIT */
/* request -- one request's memory and state.  One with n choices is n of these, with
 * one id.
 *
 * Made by quire_submit in one allocation with copies of all that the caller's struct points to;
 * SUBMITTED (in the inbox), LIVE (the engine thread's: waiting or running in the scheduler), ENDED
 * (its terminal event is made; the completion queue's) until that event has been taken.
 *
 * Thread: a comment in the struct names the thread or the lock that owns each group of fields.
 * Memory: the engine's allocator.  Prompt and generated ids are one array, which the scheduler
 * reads too.  It begins inside the request; if it has to grow, it moves to an allocation of its
 * own.  Each event has its own allocation, except the terminal one, which is inside. */
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

/* An event that waits to be taken; its top and text follow in the same allocation. */
struct qr_event_node {
    struct qr_event_node *next;
    struct quire_event event;
};

struct qr_request {
    /* Constant from quire_submit on. */
    quire_id id;
    uint32_t choice; /* once ranked, the one it is given out as */
    void *user;
    uint32_t prompt_n; /* of a fork: from when it is taken in */
    quire_id fork_of;  /* 0: no fork; with prompt and salt to come from there */
    uint32_t fork_choice;
    uint32_t max_tokens, min_tokens;
    uint32_t flags; /* QUIRE_REQUEST_* */
    const int32_t *stop_ids;
    uint32_t stop_ids_n;
    const int32_t *shown_ids;
    uint32_t shown_ids_n;
    struct qr_restriction restriction;
    struct qr_sampling sampling;
    struct qr_prefix_salt salt; /* whom it shares pages with; zero: those without one */
    int32_t priority;
    struct qr_party client, end_user; /* hashes of their names; zero: none was given */
    uint64_t submitted_ns;

    /* Any thread. */
    atomic_bool cancelled;
    struct qr_request *inbox_next; /* inbox.h */
    struct qr_request *table_next; /* request_table.h, under its lock */

    /* The engine thread's. */
    struct qr_request *live_next, *live_prev;
    struct qr_request *attached; /* group.h: the next choice, until the prompt is computed */
    struct qr_request *leader;   /* the one that computes it; NULL: it is that itself, or alone */
    struct qr_ranking *ranking;  /* NULL: all choices are given out */
    double logprob_sum;          /* ranked: of the generated tokens */
    bool logprobs_hidden;        /* only the ranking needs them */
    qr_seq_id seq;
    bool admitted;
    bool ended;
    uint32_t prompt_events; /* PROMPT events made so far */
    const int32_t *prompt;  /* [prompt_n], followed in the same array by: */
    int32_t *generated;     /* [generated_max] */
    uint32_t generated_n;
    uint32_t generated_max;
    int32_t *grown;         /* the array, once it is no longer inside the request */
    uint32_t cached_tokens; /* of the prompt, when first admitted */
    struct qr_detokenizer detokenizer;
    struct qr_stop stop;
    struct qr_constraint constraint; /* grammar NULL: the text is free */
    uint64_t admitted_ns, first_token_ns, last_token_ns;
    struct qr_event_node *fresh, *fresh_last; /* made in this turn, not yet published */
    struct qr_request *fresh_next;            /* the next request with such events */
    bool fresh_listed;

    /* The completion queue's, under its lock. */
    struct qr_request *ready_next;
    struct qr_event_node *events, *events_last;
    bool ready;

    /* Made on ending: what needs no memory that might not be there. */
    struct qr_event_node terminal;
    char *tail; /* the terminal event's text */
};

/* What quire_submit has checked: every count within its limit. tokenizer: NULL, none.  grammar:
 * what its text is held to, or NULL.  NULL: no memory. */
struct qr_request *qr_request_create(const struct quire_request *from, struct qr_grammar *grammar,
                                     const struct qr_tokenizer *tokenizer,
                                     const struct quire_allocator *allocator);
/* A fork's prompt is all that the parent has, its salt the parent's.  False: no memory. */
bool qr_request_continue(struct qr_request *r, const struct qr_request *parent,
                         const struct quire_allocator *allocator);
/* And every event that is still with it. */
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
