/* SPDX-License-Identifier: MIT */
/* Sequences of stages: which items wait for which. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "runtime/base/memory.h"
#include "runtime/base/team.h"

#define THREADS_MAX 5u
#define ITEMS_MAX   40u
#define WAIT_MAX_NS UINT64_C(10000000000) /* a test that waits longer fails */

/* ---- order ---------------------------------------------------------------------------------- */

struct chain {
    uint32_t threads_n, stages_n;
    struct qr_stage stages[QR_STAGES_MAX];
    struct stage_work {
        struct chain *chain;
        uint32_t stage;
        _Atomic uint32_t done[ITEMS_MAX];
        _Atomic uint32_t all;
    } works[QR_STAGES_MAX];
    _Atomic uint32_t early; /* items that began before the items they need were done */
};

/* Whether the items that an item needs are done: with a barrier the whole stage before, without one
 * the same partition of that stage. */
static bool may_begin(struct chain *c, uint32_t stage, uint32_t item)
{
    if (stage == 0) return true;
    const struct stage_work *before = &c->works[stage - 1];
    const uint32_t before_n = c->stages[stage - 1].items_n;
    if (c->stages[stage].barrier) return atomic_load(&before->all) == before_n;
    uint32_t partition = qr_partition_of(c->threads_n, item, c->stages[stage].items_n);
    for (uint32_t i = qr_partition_begin(c->threads_n, partition, before_n);
         i < qr_partition_end(c->threads_n, partition, before_n); i++)
        if (atomic_load(&before->done[i]) != 1) return false;
    return true;
}

static void note(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    struct stage_work *w = work;

    (void)thread;
    for (uint32_t i = begin; i < end; i++) {
        if (!may_begin(w->chain, w->stage, i)) atomic_fetch_add(&w->chain->early, 1);
        atomic_fetch_add(&w->done[i], 1);
        atomic_fetch_add(&w->all, 1);
    }
}

static uint32_t next_random(uint32_t *x)
{
    return *x = *x * 1664525u + 1013904223u, *x >> 16;
}

static void make_chain(struct chain *c, uint32_t threads_n, uint32_t seed)
{
    memset(c, 0, sizeof *c);
    c->threads_n = threads_n;
    c->stages_n = 1 + next_random(&seed) % (seed % 50 ? 64 : QR_STAGES_MAX);
    for (uint32_t i = 0; i < c->stages_n; i++) {
        c->works[i].chain = c;
        c->works[i].stage = i;
        c->stages[i] = (struct qr_stage){.fn = note,
                                         .work = &c->works[i],
                                         .items_n = next_random(&seed) % (ITEMS_MAX + 1),
                                         .grain = next_random(&seed) % 3,
                                         .barrier = next_random(&seed) % 4 == 0};
        if (next_random(&seed) % 3 == 0)
            c->stages[i].items_n %= 3; /* so some partitions have no items */
    }
}

/* Goal: every item of every stage is done once, after the items that it needs: after a barrier the
 * whole stage before, otherwise its own partition of that stage.
 * Method: 2,000 chains of 1 to 64 stages, one in 50 of up to QR_STAGES_MAX, with 0 to 40 items
 * each, on 1 to 5 threads.  Each item checks that the items it needs are done. */
static void stages_follow_in_order(void **state)
{
    const struct quire_allocator a = qr_allocator((struct quire_allocator){0});
    static struct chain c;

    (void)state;
    for (uint32_t threads_n = 1; threads_n <= THREADS_MAX; threads_n++) {
        struct qr_team *team = qr_team_create(&a, threads_n);
        assert_non_null(team);
        for (uint32_t i = 0; i < 400; i++) {
            make_chain(&c, threads_n, threads_n * 1000 + i);
            qr_team_run_stages(team, c.stages, c.stages_n);
            assert_int_equal(atomic_load(&c.early), 0);
            for (uint32_t stage = 0; stage < c.stages_n; stage++)
                for (uint32_t item = 0; item < ITEMS_MAX; item++)
                    assert_int_equal(atomic_load(&c.works[stage].done[item]),
                                     item < c.stages[stage].items_n ? 1 : 0);
        }
        qr_team_destroy(team);
    }
}

/* The same work in each of n stages. */
static void repeat(struct qr_stage *stages, uint32_t n, qr_team_fn *fn, void *work,
                   uint32_t items_n)
{
    for (uint32_t i = 0; i < n; i++)
        stages[i] = (struct qr_stage){.fn = fn, .work = work, .items_n = items_n};
}

/* ---- not waiting ---------------------------------------------------------------------------- */

#define PARTITION 8u
#define STAGES    3u

struct ahead {
    uint32_t owner;            /* the thread that stops in its first grain */
    _Atomic bool stopped;      /* the owner has stopped */
    _Atomic uint32_t others_n; /* items done in the other thread's partitions, in all stages */
    _Atomic bool all_in_time;  /* all of them were done before the owner went on */
};

static void stop_first(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    struct ahead *h = work;
    const uint64_t start = qr_clock_ns();

    if (thread != h->owner) {
        while (!atomic_load(&h->stopped) && qr_clock_ns() - start < WAIT_MAX_NS) {
        }
        if (begin / PARTITION != h->owner) atomic_fetch_add(&h->others_n, end - begin);
        return;
    }
    if (atomic_exchange(&h->stopped, true)) return;
    while (atomic_load(&h->others_n) < STAGES * PARTITION && qr_clock_ns() - start < WAIT_MAX_NS) {
    }
    atomic_store(&h->all_in_time, atomic_load(&h->others_n) == STAGES * PARTITION);
}

/* Goal: without barriers a thread does all its partitions while another, the caller or a helper, is
 * still in its first.
 * Method: one thread stops in its first grain until the other has done its partition of every
 * stage. */
static void threads_do_not_wait_for_each_other(void **state)
{
    const struct quire_allocator a = qr_allocator((struct quire_allocator){0});
    struct qr_team *team = qr_team_create(&a, 2);

    (void)state;
    assert_non_null(team);
    for (uint32_t owner = 0; owner < 2; owner++) {
        bool in_time = false;
        for (int i = 0; i < 50 && !in_time; i++) { /* a late thread finds nothing to stop in */
            struct ahead h = {.owner = owner};
            struct qr_stage stages[STAGES];
            repeat(stages, STAGES, stop_first, &h, 2 * PARTITION);
            qr_team_run_stages(team, stages, STAGES);
            in_time = atomic_load(&h.all_in_time);
            if (atomic_load(&h.stopped)) assert_true(in_time);
        }
        assert_true(in_time);
    }
    qr_team_destroy(team);
}

/* Goal: an idle thread takes a partition through its stages, even if the owner does not come back.
 * Method: a helper that waits in the only grain that it takes until all other items are done. */
struct left {
    _Atomic bool stopped;
    _Atomic uint32_t caller_n; /* items that the caller has done */
    uint32_t in_hand;
    bool all_else;
};

static void leave(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    struct left *l = work;
    const uint64_t start = qr_clock_ns();

    if (thread == 0) {
        while (!atomic_load(&l->stopped) && qr_clock_ns() - start < WAIT_MAX_NS) {
        }
        atomic_fetch_add(&l->caller_n, end - begin);
        return;
    }
    if (atomic_exchange(&l->stopped, true)) return;
    l->in_hand = end - begin;
    /* Its own partition cannot leave the first stage meanwhile.  The caller can do the other items
     * of that, and its own partitions. */
    const uint32_t others = STAGES * PARTITION + PARTITION - l->in_hand;
    while (atomic_load(&l->caller_n) < others && qr_clock_ns() - start < WAIT_MAX_NS) {
    }
    l->all_else = atomic_load(&l->caller_n) >= others;
    (void)nanosleep(&(struct timespec){.tv_nsec = 1000}, NULL);
}

static void a_partition_that_was_left_is_helped(void **state)
{
    const struct quire_allocator a = qr_allocator((struct quire_allocator){0});
    struct qr_team *team = qr_team_create(&a, 2);
    bool seen = false;

    (void)state;
    assert_non_null(team);
    for (int i = 0; i < 50 && !seen; i++) {
        struct left l = {.in_hand = 0};
        struct qr_stage stages[STAGES];
        repeat(stages, STAGES, leave, &l, 2 * PARTITION);
        qr_team_run_stages(team, stages, STAGES);
        seen = atomic_load(&l.stopped);
        if (seen) assert_true(l.all_else);
    }
    assert_true(seen);
    qr_team_destroy(team);
}

/* Goal: a thread that has gone to sleep at a barrier takes part in the next stage.
 * Method: the caller does one item that takes far longer than helpers spin.  Then come many items
 * that sleep. */
struct barrier {
    _Atomic uint32_t first_by; /* the thread that did the one item */
    _Atomic uint32_t threads;  /* a bit for each thread that did one of the others */
};

static void long_item(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    struct barrier *m = work;

    assert_int_equal(end - begin, 1);
    atomic_store(&m->first_by, thread);
    (void)nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
}

static void short_items(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    struct barrier *m = work;

    (void)begin;
    (void)end;
    atomic_fetch_or(&m->threads, 1u << thread);
    (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static void sleepers_come_to_the_next_stage(void **state)
{
    const struct quire_allocator a = qr_allocator((struct quire_allocator){0});
    struct qr_team *team = qr_team_create(&a, 2);
    bool seen = false;

    (void)state;
    assert_non_null(team);
    for (int i = 0; i < 50 && !seen; i++) {
        struct barrier m = {.threads = 0};
        struct qr_stage stages[2] = {
            {.fn = long_item, .work = &m, .items_n = 1},
            {.fn = short_items, .work = &m, .items_n = 40, .grain = 1, .barrier = true}};
        (void)nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
        qr_team_run_stages(team, stages, 2);
        if (atomic_load(&m.first_by) != 0) continue;
        assert_int_equal(atomic_load(&m.threads), 3);
        seen = true;
    }
    assert_true(seen);
    qr_team_destroy(team);
}

/* Goal: the team reports a shared core, of the caller and of a helper, and stops after a while.
 * Method: stages in which one thread sleeps for longer than it works; then a pause. */
struct lost {
    const struct qr_team *team;
    uint32_t sleeper;
    _Atomic bool slept;
    _Atomic bool told; /* the sleeper saw the report, later in the same run */
};

static void lose_core(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    struct lost *l = work;
    const uint64_t start = qr_clock_ns();

    (void)begin;
    (void)end;
    if (thread != l->sleeper) { /* wait, so that the sleeper gets items */
        while (!atomic_load(&l->slept) && qr_clock_ns() - start < WAIT_MAX_NS) {
        }
        return;
    }
    if (qr_team_is_shared(l->team)) atomic_store(&l->told, true);
    (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    atomic_store(&l->slept, true);
}

static void lost_cores_are_told(void **state)
{
    const struct quire_allocator a = qr_allocator((struct quire_allocator){0});

    (void)state;
    for (uint32_t sleeper = 0; sleeper < 2; sleeper++) {
        struct qr_team *team = qr_team_create(&a, 2);
        bool told = false;
        assert_non_null(team);
        for (int i = 0; i < 50 && !told; i++) { /* other load may delay a thread */
            struct lost l = {.team = team, .sleeper = sleeper};
            struct qr_stage stages[4];
            repeat(stages, 4, lose_core, &l, 16);
            qr_team_run_stages(team, stages, 4);
            told = sleeper == 0 ? qr_team_is_shared(team) : atomic_load(&l.told);
        }
        assert_true(told);
        (void)nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
        assert_false(qr_team_is_shared(team));
        qr_team_destroy(team);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stages_follow_in_order),
        cmocka_unit_test(threads_do_not_wait_for_each_other),
        cmocka_unit_test(a_partition_that_was_left_is_helped),
        cmocka_unit_test(sleepers_come_to_the_next_stage),
        cmocka_unit_test(lost_cores_are_told),
    };
    return cmocka_run_group_tests_name("base/stages", tests, NULL, NULL);
}
