/* SPDX-License-Identifier: MIT */
/* The runner of stages: where it puts a barrier, and that stages run once and in order.
 *
 * Each test runs stages of two items on two threads that own rows.  Item i is partition i.  An item
 * sees which items of the stage before were done when it began. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "runtime/base/limits.h"
#include "runtime/base/memory.h"
#include "runtime/model/pass.h"

#define THREADS    2u
#define WAIT_TRIES 20000u /* of 100 us: long past any pause of the machine */

static struct quire_allocator allocator;

struct bench {
    struct qr_team *team;
    struct qr_pass pass;
    void *memory;
};

static void bench_open(struct bench *b)
{
    allocator = qr_allocator((struct quire_allocator){0});
    b->team = qr_team_create(&allocator, THREADS);
    assert_non_null(b->team);
    b->memory = qr_alloc_aligned(&allocator, qr_pass_bytes(THREADS, 64));
    assert_non_null(b->memory);
    qr_pass_init(&b->pass, b->memory, b->team, 64);
}

static void bench_close(struct bench *b)
{
    qr_team_destroy(b->team);
    qr_free_aligned(&allocator, b->memory);
}

static void nap(void)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

/* ---- barriers ------------------------------------------------------------------------------- */

/* Two stages.  Item 1 of the first is held until item 0 of the second is done, which happens only
 * if the second has no barrier, or for a limited time. */
struct watch {
    atomic_bool first_done;  /* item 1 of the first stage */
    atomic_bool second_done; /* item 0 of the second */
    atomic_bool went_ahead;  /* item 0 of the second began before item 1 of the first was done */
    uint32_t tries;          /* how long item 1 is held at most */
};

struct watch_work {
    struct watch *w;
};

static void first_items(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    struct watch *w = ((struct watch_work *)work)->w;

    (void)thread;
    for (uint32_t item = begin; item < end; item++) {
        if (item != 1) continue;
        for (uint32_t i = 0; i < w->tries && !atomic_load(&w->second_done); i++)
            nap();
        atomic_store(&w->first_done, true);
    }
}

static void second_items(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    struct watch *w = ((struct watch_work *)work)->w;

    (void)thread;
    for (uint32_t item = begin; item < end; item++) {
        if (item != 0) continue;
        if (!atomic_load(&w->first_done)) atomic_store(&w->went_ahead, true);
        atomic_store(&w->second_done, true);
    }
}

static void add(struct qr_pass *p, qr_team_fn *fn, struct watch *w, enum qr_rows_of reads,
                enum qr_rows_of writes)
{
    const struct watch_work work = {.w = w};

    qr_pass_run(p, &(struct qr_work){.fn = fn,
                                     .work = &work,
                                     .work_bytes = sizeof work,
                                     .items_n = THREADS,
                                     .grain = QR_GRAIN_OWNER,
                                     .reads = reads,
                                     .writes = writes,
                                     .cost = UINT64_MAX});
}

/* Whether a thread went from the first stage to the second while the other was in the first. */
static bool goes_ahead(struct bench *b, const enum qr_rows_of first[2],
                       const enum qr_rows_of second[2], bool shared, bool expected)
{
    struct watch w = {.tries = expected ? WAIT_TRIES : 100};

    qr_pass_begin(&b->pass, true);
    b->pass.shared = shared;
    add(&b->pass, first_items, &w, first[0], first[1]);
    add(&b->pass, second_items, &w, second[0], second[1]);
    qr_pass_end(&b->pass);
    assert_true(w.first_done && w.second_done);
    return w.went_ahead;
}

/* Goal: a stage has a barrier if, and only if, it reads rows of other partitions or the stage
 * before read or wrote them; and every stage has one while another process uses a thread's core.
 * Method: each pair of what two stages read and write; thread 1 is held in the first, until thread
 * 0 has gone on or, where it may not, for 10 ms. */
static void a_stage_waits_for_rows_that_others_write(void **state)
{
    struct bench b;

    (void)state;
    bench_open(&b);
    for (unsigned i = 0; i < 81; i++) {
        const enum qr_rows_of first[2] = {i % 3, i / 3 % 3}, second[2] = {i / 9 % 3, i / 27};
        bool waits = first[0] == QR_ROWS_ANY || first[1] != QR_ROWS_OWN || second[0] != QR_ROWS_OWN;
        if (goes_ahead(&b, first, second, false, !waits) == waits)
            fail_msg("reads %d writes %d, then reads %d writes %d: expected %s", first[0], first[1],
                     second[0], second[1], waits ? "a barrier" : "no barrier");
    }
    static const enum qr_rows_of own[2] = {QR_ROWS_OWN, QR_ROWS_OWN};
    assert_false(goes_ahead(&b, own, own, true, false));
    bench_close(&b);
}

/* Goal: what the last stage before a pause wrote does not hold up the first one after it.
 * Method: a stage that writes any rows, a piece of work alone, then two stages of own rows. */
static void nothing_is_left_over_from_before(void **state)
{
    static const enum qr_rows_of own[2] = {QR_ROWS_OWN, QR_ROWS_OWN};
    struct watch w = {0};
    struct bench b;

    (void)state;
    bench_open(&b);
    qr_pass_begin(&b.pass, true);
    add(&b.pass, second_items, &w, QR_ROWS_ANY, QR_ROWS_ANY);
    assert_true(goes_ahead(&b, own, own, false, true));
    assert_true(w.second_done);
    bench_close(&b);
}

/* ---- once and in order ---------------------------------------------------------------------- */

struct sums {
    uint32_t stage[THREADS]; /* the next stage of each partition */
    bool ordered;
};

struct sum_work {
    struct sums *sums;
    uint32_t stage;
};

static void sum_items(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    const struct sum_work *w = work;

    (void)thread;
    for (uint32_t item = begin; item < end; item++)
        if (w->sums->stage[item]++ != w->stage) w->sums->ordered = false;
}

static void check_alone(void *work)
{
    struct sums *s = work;

    for (uint32_t i = 0; i < THREADS; i++)
        if (s->stage[i] != s->stage[0]) s->ordered = false;
    s->stage[0]++;
    s->stage[1]++;
}

/* Goal: each stage runs once, in order, whether stages are collected or run at once, and though
 * there are more than are handed in together; work alone runs between.
 * Method: 3 x QR_STAGES_MAX stages whose work is on the stack; after every hundredth, work alone.
 */
static void stages_run_once_and_in_order(void **state)
{
    struct bench b;

    (void)state;
    bench_open(&b);
    for (uint32_t owned = 0; owned < 2; owned++) {
        struct sums sums = {.ordered = true};
        qr_pass_begin(&b.pass, owned);
        for (uint32_t i = 0; i < 3 * QR_STAGES_MAX; i++) {
            const struct sum_work work = {.sums = &sums, .stage = i};
            struct qr_work stage = {.fn = sum_items,
                                    .work = &work,
                                    .work_bytes = sizeof work,
                                    .items_n = THREADS,
                                    .cost = i % 2 ? UINT64_MAX : 0};
            if (i % 100 == 99)
                qr_pass_run_alone(&b.pass, QR_PHASE_NORM, check_alone, &sums);
            else
                qr_pass_run(&b.pass, &stage);
            stage.items_n = 0; /* a stage without items is none */
            qr_pass_run(&b.pass, &stage);
        }
        qr_pass_end(&b.pass);
        assert_true(sums.ordered);
        assert_int_equal(sums.stage[0], 3 * QR_STAGES_MAX);
        assert_int_equal(sums.stage[1], 3 * QR_STAGES_MAX);
    }
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stage_waits_for_rows_that_others_write),
        cmocka_unit_test(nothing_is_left_over_from_before),
        cmocka_unit_test(stages_run_once_and_in_order),
    };

    return cmocka_run_group_tests_name("model/pass", tests, NULL, NULL);
}
