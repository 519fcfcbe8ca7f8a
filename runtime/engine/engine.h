/* SPDX-License-Identifier: MIT */
/* engine -- the parts of a quire_engine, and the threads that may use each part.
 *
 *     callers -> inbox -> | engine thread                      | -> completion queue -> callers
 *                         | turn: take inbox, end cancelled,   |
 *                         |       step, publish                |
 *
 * Only the engine thread uses a request between the two queues.  A turn of its loop (turn.c) takes
 * the inbox, ends cancelled requests, runs one step through the model (step.c), makes events of the
 * results (answer.c), and publishes figures and events.  A turn without a step prefaults some pages
 * (prefault.h).
 *
 * States: RUNNING; STOPPING (the inbox is closed, live requests finish or are cancelled); STOPPED
 * (the thread has ended, events can still be taken).
 *
 * Thread: a comment before each group of fields names it.
 * Memory: the allocator given; KV pages are a region. */
#ifndef QR_ENGINE_ENGINE_H
#define QR_ENGINE_ENGINE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cache/kv_store.h"
#include "cache/page_pool.h"
#include "cache/prefix_tree.h"
#include "runtime/base/machine.h"
#include "runtime/base/memory.h"
#include "runtime/base/phases.h"
#include "runtime/base/team.h"
#include "runtime/engine/completion.h"
#include "runtime/engine/inbox.h"
#include "runtime/engine/loop.h"
#include "runtime/engine/model_handle.h"
#include "runtime/engine/pace.h"
#include "runtime/engine/prefault.h"
#include "runtime/engine/request.h"
#include "runtime/engine/request_table.h"
#include "runtime/engine/sampler.h"
#include "runtime/engine/stats.h"
#include "runtime/model/forward.h"
#include "scheduler/scheduler.h"

/* The purpose of one output row of a step, for a request and the requests attached to it. */
struct qr_output {
    struct qr_request *request;
    uint32_t
        prompt_index; /* the prompt token that the row scores; 0: the row gives the next token */
};

/* One token to draw, or to score, from an output row. */
struct qr_step_draw {
    struct qr_request *request;
    uint32_t output; /* index of the row in its group of at most QR_LOGITS_ROWS */
    uint32_t prompt_index;
    enum qr_constraint_state held; /* of the request's grammar; OPEN without a grammar */
    struct qr_choice choice;
};

/* A step's arrays, filled again in each step. */
struct qr_step_arrays {
    int32_t *tokens;            /* [step_tokens] */
    struct qr_step_seq *seqs;   /* [running_max] */
    uint32_t *outputs;          /* [step_tokens] */
    struct qr_output *meaning;  /* [step_tokens] */
    struct qr_result *results;  /* [running_max] */
    struct qr_step_draw *draws; /* [QR_LOGITS_ROWS + running_max] */
};

struct quire_engine {
    /* Any thread: constant after the start. */
    struct quire_allocator allocator;
    const quire_model *model;
    struct qr_scheduler_limits limits; /* waiting_max: the scheduler's, see start.c */
    uint32_t waiting_max;              /* the caller's */
    uint64_t secret;                   /* gives seeds to requests without one */
    uint64_t salt_key[2]; /* of the hash of salts and names, so that no client finds a collision */
    bool pages_bind;      /* the number of pages limits context_max */

    /* Any thread. */
    struct qr_inbox inbox;
    struct qr_request_table table;
    struct qr_completion completion;
    struct qr_stats stats;
    struct qr_loop *loop;
    _Atomic uint64_t ids;
    _Atomic uint32_t queued; /* accepted and not yet admitted: at most waiting_max */
    _Atomic uint64_t refused;
    atomic_bool cancels; /* a request's cancelled flag was set since the last turn */
    _Atomic uint64_t turns;
    atomic_bool stopping;
    _Atomic uint64_t stop_ns; /* live requests are cancelled at this time */
    pthread_mutex_t join_lock;
    bool join_lock_made;
    bool thread_runs; /* under join_lock */
    pthread_t thread;

    /* Only the engine thread. */
    struct qr_team *team;
    struct qr_region kv;
    struct qr_page_pool pool;
    void *pool_memory;
    struct qr_prefix_tree tree;
    void *tree_memory; /* NULL: no prefix cache */
    struct qr_kv_store store;
    struct qr_prefault prefault;
    struct qr_scheduler *scheduler;
    struct qr_forward *forward;
    struct qr_sampler_scratch *scratch; /* [threads] */
    struct qr_step_arrays step;
    struct qr_pace pace;        /* target_s 0: only step_tokens limits prefill */
    char *text;                 /* room for the text of one token */
    struct qr_request **by_seq; /* [seqs_max] */
    uint32_t seqs_max;
    struct qr_request *live;    /* list */
    struct qr_request *fresh;   /* requests with events of this turn */
    struct qr_request *dropped; /* choices that are not returned; freed at the turn's end */
    uint64_t now_ns;
    bool closed; /* the inbox is closed */
    struct qr_phases phases;
};

/* turn.c: one turn of the loop; context is the engine. */
enum qr_turn qr_engine_turn(void *context);

/* step.c: plans and computes one step.  False: there was no work. */
bool qr_engine_step(quire_engine *e);

/* answer.c: makes events.  After each call r->ended says whether the request has ended.  If so the
 * caller removes its sequence from the scheduler. */
void qr_answer_prompt(quire_engine *e, struct qr_request *r, const struct qr_choice *choice,
                      uint32_t index);
void qr_answer_token(quire_engine *e, struct qr_request *r, const struct qr_choice *choice);
void qr_answer_finish(quire_engine *e, struct qr_request *r, enum quire_finish finish);
/* The grammar allows no more tokens: ends the request, with an error unless the state is DONE. */
void qr_answer_held(quire_engine *e, struct qr_request *r, enum qr_constraint_state state);
void qr_answer_error(quire_engine *e, struct qr_request *r, enum quire_status status);

/* start.c: frees everything that an engine holds.  Its thread has ended or never ran. */
void qr_engine_release(quire_engine *e);

#endif
