/* SPDX-License-Identifier: MIT */
/* fixture -- a world and its last plan, for tests of single steps. */
#ifndef QR_TESTS_SCHEDULER_FIXTURE_H
#define QR_TESTS_SCHEDULER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "world.h"

#define FIXTURE_ITEMS 64u

struct fixture {
    struct world world;
    struct qr_scheduler *s;
    uint32_t page_tokens;
    struct qr_plan plan;
    struct qr_plan_item items[FIXTURE_ITEMS]; /* a copy: valid after the commit */
};

static inline void fixture_open(struct fixture *f, struct qr_scheduler_limits limits,
                                uint32_t pages_n, uint32_t page_tokens)
{
    world_open(&f->world, &limits, pages_n, page_tokens, false);
    f->s = f->world.scheduler;
    f->page_tokens = page_tokens;
    qr_scheduler_check(f->s);
}

/* The same with a prefix tree. */
static inline void fixture_open_tree(struct fixture *f, struct qr_scheduler_limits limits,
                                     uint32_t pages_n, uint32_t page_tokens)
{
    world_open(&f->world, &limits, pages_n, page_tokens, true);
    f->s = f->world.scheduler;
    f->page_tokens = page_tokens;
    qr_scheduler_check(f->s);
}

/* Every sequence must have ended: every page is free or cached. */
static inline void fixture_close(struct fixture *f)
{
    qr_scheduler_check(f->s);
    assert_int_equal(qr_scheduler_running_n(f->s), 0);
    assert_int_equal(qr_scheduler_waiting_n(f->s), 0);
    assert_int_equal(f->world.pool.free_n + f->world.pool.cached_n, f->world.pool.pages_n);
    world_close(&f->world);
}

static inline void fixture_plan(struct fixture *f)
{
    const struct qr_plan *plan = qr_scheduler_plan(f->s);

    qr_scheduler_check(f->s);
    assert_true(plan->items_n <= FIXTURE_ITEMS);
    f->plan = *plan;
    memcpy(f->items, plan->items, plan->items_n * sizeof f->items[0]);
}

/* Commits the plan.  `finished` ends; QR_SEQ_NONE: none ends.  Asserts that no running sequence has
 * a whole unused page. */
static inline void fixture_commit(struct fixture *f, qr_seq_id finished)
{
    struct qr_result results[FIXTURE_ITEMS];
    struct qr_scheduler_stats before, after;
    uint64_t most = (uint64_t)qr_scheduler_running_n(f->s) * (f->page_tokens - 1);

    for (uint32_t i = 0; i < f->plan.items_n; i++)
        results[i] = (struct qr_result){.finished = f->items[i].seq == finished};
    qr_scheduler_stats(f->s, &before);
    qr_scheduler_commit(f->s, results, f->plan.items_n);
    qr_scheduler_check(f->s);
    qr_scheduler_stats(f->s, &after);
    assert_true(after.slots_empty - before.slots_empty <= most);
}

static inline void fixture_step(struct fixture *f)
{
    fixture_plan(f);
    fixture_commit(f, QR_SEQ_NONE);
}

static inline void fixture_steps(struct fixture *f, uint32_t n)
{
    while (n-- > 0)
        fixture_step(f);
}

static inline qr_seq_id try_submit(struct qr_scheduler *s, uint32_t prompt_n, uint32_t tokens_max)
{
    const struct qr_submission submission = {.prompt_n = prompt_n, .tokens_max = tokens_max};

    return qr_scheduler_submit(s, &submission);
}

static inline qr_seq_id fixture_submit(struct fixture *f, uint32_t prompt_n, uint32_t tokens_max)
{
    qr_seq_id id = try_submit(f->s, prompt_n, tokens_max);

    assert_int_not_equal(id, QR_SEQ_NONE);
    qr_scheduler_check(f->s);
    return id;
}

static inline void fixture_cancel(struct fixture *f, qr_seq_id id)
{
    qr_scheduler_cancel(f->s, id);
    qr_scheduler_check(f->s);
}

static inline void assert_item(const struct fixture *f, uint32_t i, qr_seq_id seq,
                               uint32_t position, uint32_t tokens_n, bool wants_logits)
{
    assert_true(i < f->plan.items_n);
    assert_int_equal(f->items[i].seq, seq);
    assert_int_equal(f->items[i].position, position);
    assert_int_equal(f->items[i].tokens_n, tokens_n);
    assert_int_equal(f->items[i].wants_logits, wants_logits);
}

static inline void assert_state(const struct fixture *f, qr_seq_id seq, enum qr_seq_state state)
{
    assert_int_equal(qr_scheduler_state(f->s, seq), state);
}

static inline struct qr_scheduler_stats fixture_stats(const struct fixture *f)
{
    struct qr_scheduler_stats stats;

    qr_scheduler_stats(f->s, &stats);
    return stats;
}

#endif
