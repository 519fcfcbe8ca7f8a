/* SPDX-License-Identifier: MIT */
/* turn -- one turn of the engine thread: takes the inbox, ends cancelled requests, runs a step, and
 * publishes figures and events. */
#include <assert.h>
#include <stddef.h>

#include "runtime/engine/engine.h"

/* Ends a live request in any state.  Call between two steps. */
static void end_cancelled(quire_engine *e, struct qr_request *r)
{
    qr_seq_id seq = r->seq;

    qr_answer_finish(e, r, QUIRE_FINISH_CANCELLED);
    if (seq == QR_SEQ_NONE) return;
    qr_scheduler_cancel(e->scheduler, seq);
    e->by_seq[seq] = NULL;
}

static struct qr_submission submission_of(const struct qr_request *r)
{
    return (struct qr_submission){
        .tokens = &r->prompt,
        .prompt_n = r->prompt_n,
        .tokens_max = r->prompt_n + r->max_tokens,
        .salt = r->salt,
        /* Scores need logits, and cached pages have only keys and values. */
        .fresh = (r->flags & QUIRE_REQUEST_PROMPT_LOGPROBS) != 0,
        .priority = r->priority,
        .client = r->client,
        .user = r->end_user,
    };
}

static void put(quire_engine *e, struct qr_request *r, qr_seq_id seq)
{
    assert(seq < e->seqs_max); /* room was taken in quire_submit */
    r->seq = seq;
    e->by_seq[seq] = r;
}

/* Submits a request and the choices attached to it. */
static void submit(quire_engine *e, struct qr_request *leader)
{
    const struct qr_submission submission = submission_of(leader);

    put(e, leader, qr_scheduler_submit(e->scheduler, &submission));
    for (struct qr_request *r = leader->attached; r; r = r->attached)
        put(e, r, qr_scheduler_attach(e->scheduler, leader->seq, &r->prompt));
}

static const struct qr_request *find(const quire_engine *e, quire_id id, uint32_t choice)
{
    const struct qr_request *r = e->live;

    while (r && (r->id != id || r->choice != choice))
        r = r->live_next;
    return r;
}

/* Each choice of a fork continues the parent on its own. */
static void take_fork(quire_engine *e, struct qr_request *first)
{
    const struct qr_request *parent = find(e, first->fork_of, first->fork_choice);

    for (struct qr_request *r = first, *next; r; r = next) {
        uint64_t known_n = parent ? parent->prompt_n + parent->generated_n : 0;

        next = r->attached;
        r->attached = r->leader = NULL;
        if (!parent || parent->seq == QR_SEQ_NONE) {
            qr_answer_error(e, r, QUIRE_NOT_FOUND);
        } else if (known_n + r->max_tokens > e->limits.context_max) {
            qr_answer_error(e, r, QUIRE_TOO_LONG);
        } else if (!qr_request_continue(r, parent, &e->allocator)) {
            qr_answer_error(e, r, QUIRE_NO_MEMORY);
        } else {
            const struct qr_submission submission = submission_of(r);
            put(e, r, qr_scheduler_fork(e->scheduler, parent->seq, &submission));
        }
    }
}

static void take_in(quire_engine *e, struct qr_request *list)
{
    while (list) {
        struct qr_request *r = list;
        list = r->inbox_next;

        for (struct qr_request *each = r; each; each = each->attached) {
            each->live_next = e->live;
            if (e->live) e->live->live_prev = each;
            e->live = each;
        }
        if (r->fork_of)
            take_fork(e, r);
        else
            submit(e, r);
    }
}

static void end_all(quire_engine *e, bool flagged_only)
{
    struct qr_request *next;

    for (struct qr_request *r = e->live; r; r = next) {
        next = r->live_next;
        if (!flagged_only || atomic_load_explicit(&r->cancelled, memory_order_relaxed))
            end_cancelled(e, r);
    }
}

static void count(quire_engine *e)
{
    struct quire_stats *s = &e->stats.now;
    struct qr_scheduler_stats of_scheduler;

    qr_scheduler_stats(e->scheduler, &of_scheduler);
    s->running = qr_scheduler_running_n(e->scheduler);
    s->waiting = qr_scheduler_waiting_n(e->scheduler);
    s->pages_free = e->pool.free_n;
    s->pages_cached = e->pool.cached_n;
    s->pages_held = qr_page_pool_held_n(&e->pool);
    s->pages_shared = e->pool.shared_n;
    s->pages_ready = qr_prefault_n(&e->prefault);
    s->pages_ready_wanted = qr_prefault_wanted_n(&e->prefault, e->pool.taken_n);
    s->steps = of_scheduler.steps;
    s->computed_tokens = of_scheduler.computed_tokens;
    s->preemptions = of_scheduler.preemptions;
    s->recomputed_tokens = of_scheduler.recomputed_tokens;
    s->prefix_queries = of_scheduler.prefix_queries;
    s->prefix_hits = of_scheduler.prefix_hits;
    s->page_copies = of_scheduler.page_copies;
    s->page_evictions = of_scheduler.evictions;
    s->slots_held = of_scheduler.slots_held;
    s->slots_empty = of_scheduler.slots_empty;
    qr_stats_publish(&e->stats);
}

/* Publishes figures before events, so that a caller who has seen the end of a request finds its
 * pages free or cached in the figures. */
static void publish(quire_engine *e)
{
    struct qr_request *fresh = e->fresh;

    count(e);
    if (e->phases.on) qr_stats_publish_phases(&e->stats, &e->phases);
    e->fresh = NULL;
    while (e->dropped) {
        struct qr_request *r = e->dropped;
        e->dropped = r->fresh_next;
        qr_request_destroy(r, &e->allocator);
    }
    qr_completion_publish(&e->completion, fresh);
}

enum qr_turn qr_engine_turn(void *context)
{
    quire_engine *e = context;
    uint64_t begin = qr_clock_ns();

    e->now_ns = begin;
    if (e->phases.on) qr_phases_begin(&e->phases, QR_PHASE_INBOX);
    atomic_fetch_add_explicit(&e->turns, 1, memory_order_relaxed);
    bool stopping = atomic_load(&e->stopping);
    if (stopping && !e->closed) {
        take_in(e, qr_inbox_close(&e->inbox));
        e->closed = true;
    } else {
        take_in(e, qr_inbox_take(&e->inbox));
    }
    if (atomic_exchange(&e->cancels, false)) end_all(e, true);
    if (stopping && begin >= atomic_load(&e->stop_ns)) end_all(e, false);

    bool stepped = qr_engine_step(e);
    qr_phases_enter(&e->phases, QR_PHASE_PUBLISH);
    publish(e);
    qr_phases_enter(&e->phases, QR_PHASE_INBOX);
    if (stepped) return QR_TURN_AGAIN;
    assert(!e->live);
    if (!e->closed)
        return qr_prefault_ahead(&e->prefault, e->pool.taken_n) ? QR_TURN_AGAIN : QR_TURN_SLEEP;
    qr_completion_end(&e->completion);
    return QR_TURN_END;
}
