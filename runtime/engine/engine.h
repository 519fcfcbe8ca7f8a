/* SPDX-License-Identifier: MIT */
/* engine -- what a quire_engine is made of, and who may touch which part.
 *
 * Requests come in by the inbox, leave by the completion queue; between the two they are the
 * engine thread's alone.  One turn of its loop (turn.c):
 *     the inbox is taken, cancelled requests end, one step goes through the model (step.c), what
 *     came of it becomes events (answer.c), figures and events are published; without a step some
 *     pages are prefaulted for the next ones (prefault.h).
 *
 * RUNNING, then STOPPING (the inbox is closed, what is live finishes or is cancelled), then STOPPED
 * (the thread has ended; events can still be taken).
 *
 * Thread: each part says whose it is.   Memory: the allocator given; KV pages are a region. */
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

/* What one output row of a step is for: for the request, and those attached to it. */
struct qr_output {
    struct qr_request *request;
    uint32_t prompt_index; /* the prompt token it scores; 0: it yields the next token, of each */
};

/* One choice to be made of an output row. */
struct qr_step_draw {
    struct qr_request *request;
    uint32_t output; /* in the group of rows whose logits are there */
    uint32_t prompt_index;
    enum qr_constraint_state held; /* where the request's grammar stood; OPEN without one */
    struct qr_choice choice;
};

/* A step's arrays, filled anew each time. */
struct qr_step_arrays {
    int32_t *tokens;            /* [step_tokens] */
    struct qr_step_seq *seqs;   /* [running_max] */
    uint32_t *outputs;          /* [step_tokens] */
    struct qr_output *meaning;  /* [step_tokens] */
    struct qr_result *results;  /* [running_max] */
    struct qr_step_draw *draws; /* [QR_LOGITS_ROWS + running_max] */
};

struct quire_engine {
    /* Constant once started. */
    struct quire_allocator allocator;
    const quire_model *model;
    struct qr_scheduler_limits limits; /* waiting_max: the scheduler's, see start.c */
    uint32_t waiting_max;              /* the caller's */
    uint64_t secret;                   /* seeds of requests that bring none */
    uint64_t salt_key[2]; /* so that a client cannot find two salts, or names, of one hash */
    bool pages_bind;      /* context_max is what the pages hold */

    /* Any thread. */
    struct qr_inbox inbox;
    struct qr_request_table table;
    struct qr_completion completion;
    struct qr_stats stats;
    struct qr_loop *loop;
    _Atomic uint64_t ids;
    _Atomic uint32_t queued; /* accepted and not yet admitted: at most waiting_max */
    _Atomic uint64_t refused;
    atomic_bool cancels; /* some request's flag was set since the last look */
    _Atomic uint64_t turns;
    atomic_bool stopping;
    _Atomic uint64_t stop_ns; /* when what is live is cancelled */
    pthread_mutex_t join_lock;
    bool join_lock_made;
    bool thread_runs; /* under join_lock */
    pthread_t thread;

    /* The engine thread's. */
    struct qr_team *team;
    struct qr_region kv;
    struct qr_page_pool pool;
    void *pool_memory;
    struct qr_prefix_tree tree;
    void *tree_memory; /* NULL: there is none */
    struct qr_kv_store store;
    struct qr_prefault prefault;
    struct qr_scheduler *scheduler;
    struct qr_forward *forward;
    struct qr_sampler_scratch *scratch; /* [threads] */
    struct qr_step_arrays step;
    struct qr_pace pace;        /* target_s 0: prefill is cut to step_tokens alone */
    char *text;                 /* room for one token's */
    struct qr_request **by_seq; /* [seqs_max] */
    uint32_t seqs_max;
    struct qr_request *live;    /* list */
    struct qr_request *fresh;   /* requests with events of this turn */
    struct qr_request *dropped; /* choices that are not returned; freed at the turn's end */
    uint64_t now_ns;
    bool closed; /* the inbox is */
    struct qr_phases phases;
};

/* turn.c: one turn of the loop; context is the engine. */
enum qr_turn qr_engine_turn(void *context);

/* step.c: plans and computes one step.  False: there was nothing to do. */
bool qr_engine_step(quire_engine *e);

/* answer.c: events.  After any of them r->ended says whether the request has ended: the caller then
 * takes its sequence out of the scheduler. */
void qr_answer_prompt(quire_engine *e, struct qr_request *r, const struct qr_choice *choice,
                      uint32_t index);
void qr_answer_token(quire_engine *e, struct qr_request *r, const struct qr_choice *choice);
void qr_answer_finish(quire_engine *e, struct qr_request *r, enum quire_finish finish);
/* The request's grammar allows nothing more: ends the request, or an error. */
void qr_answer_held(quire_engine *e, struct qr_request *r, enum qr_constraint_state state);
void qr_answer_error(quire_engine *e, struct qr_request *r, enum quire_status status);

/* start.c: gives back all that an engine holds; its thread has ended or never ran. */
void qr_engine_release(quire_engine *e);

#endif
