/* SPDX-License-Identifier: MIT */
#include "fixture.h"

/* running_max, waiting_max, step_tokens, prefill_chunk, context_max */
#define LIMITS(...) ((struct qr_scheduler_limits){__VA_ARGS__, .window = 0})
#define PAGE        16u

static uint64_t preemptions(const struct fixture *f)
{
    struct qr_scheduler_stats stats;

    qr_scheduler_stats(f->s, &stats);
    return stats.preemptions;
}

/* Goal: if no page is left, the latest admitted sequence is preempted, and no other.
 * Method: three sequences of one page each in a pool of four; all need a second page in one step.
 * The first finds the last free page, the second gets the third's. */
static void latest_is_preempted(void **state)
{
    struct fixture f;
    qr_seq_id a, b, c;

    (void)state;
    fixture_open(&f, LIMITS(4, 4, 64, 0, 64), 4, PAGE);
    a = fixture_submit(&f, 16, 64);
    b = fixture_submit(&f, 16, 64);
    c = fixture_submit(&f, 16, 64);
    fixture_step(&f);
    fixture_step(&f);
    assert_int_equal(f.plan.preempted_n, 1);
    assert_int_equal(f.plan.items_n, 2);
    assert_item(&f, 0, a, 16, 1, true);
    assert_item(&f, 1, b, 16, 1, true);
    assert_state(&f, c, QR_SEQ_WAITING);
    assert_int_equal(f.world.pool.free_n, 0);
    assert_int_equal(preemptions(&f), 1);
    for (qr_seq_id id = 0; id < 3; id++)
        fixture_cancel(&f, id);
    fixture_close(&f);
}

/* Goal: if the latest sequence finds no page, it preempts itself and drops all its pages.  Alone,
 * it is admitted although it needs every page.
 * Method: the older sequence holds one of three pages, the latest two, and needs a third. */
static void latest_preempts_itself(void **state)
{
    struct fixture f;
    qr_seq_id a, b;

    (void)state;
    fixture_open(&f, LIMITS(4, 4, 64, 0, 64), 3, PAGE);
    a = fixture_submit(&f, 5, 48);
    b = fixture_submit(&f, 32, 48);
    fixture_step(&f);
    fixture_step(&f);
    assert_int_equal(f.plan.preempted_n, 1);
    assert_int_equal(f.plan.items_n, 1);
    assert_item(&f, 0, a, 5, 1, true);
    assert_state(&f, b, QR_SEQ_WAITING);
    assert_int_equal(f.world.pool.free_n, 2);
    fixture_plan(&f);
    fixture_commit(&f, a);
    fixture_step(&f);
    assert_item(&f, 0, b, 0, 33, true);
    assert_int_equal(f.world.pool.free_n, 0);
    fixture_cancel(&f, b);
    fixture_close(&f);
}

/* Goal: a preempted sequence is computed again from its first token, generated tokens included.
 * Tokens computed twice are counted once as recomputed.
 * Method: a prompt of 31 that has generated two tokens, one of them computed, needs a third page;
 * then it comes back. */
static void preempted_starts_from_its_first_token(void **state)
{
    struct fixture f;
    struct qr_scheduler_stats stats;
    qr_seq_id a, b;

    (void)state;
    fixture_open(&f, LIMITS(4, 4, 64, 16, 64), 4, PAGE);
    a = fixture_submit(&f, 25, 64);
    b = fixture_submit(&f, 31, 64);
    fixture_steps(&f, 3);
    assert_state(&f, b, QR_SEQ_RUNNING);
    fixture_step(&f);
    assert_state(&f, b, QR_SEQ_WAITING);
    fixture_cancel(&f, a);

    fixture_step(&f);
    assert_item(&f, 0, b, 0, 16, false);
    qr_scheduler_stats(f.s, &stats);
    assert_int_equal(stats.recomputed_tokens, 16);
    fixture_step(&f);
    assert_item(&f, 0, b, 16, 16, false);
    fixture_step(&f);
    assert_item(&f, 0, b, 32, 1, true);
    fixture_steps(&f, 3);
    qr_scheduler_stats(f.s, &stats);
    assert_int_equal(stats.preemptions, 1);
    assert_int_equal(stats.recomputed_tokens, 32);
    fixture_cancel(&f, b);
    fixture_close(&f);
}

/* Goal: growth does not take pages that are promised to a prompt.  The prompt's sequence is
 * preempted instead of being left without a page in its middle.
 * Method: all free pages are promised to the later sequence when the older one needs a page. */
static void growth_leaves_promised_pages(void **state)
{
    struct fixture f;
    qr_seq_id a, b;

    (void)state;
    fixture_open(&f, LIMITS(4, 4, 64, 16, 80), 5, PAGE);
    a = fixture_submit(&f, 31, 64);
    fixture_steps(&f, 2);
    b = fixture_submit(&f, 48, 64);
    fixture_step(&f);
    assert_state(&f, b, QR_SEQ_RUNNING);
    assert_int_equal(f.world.pool.free_n, 2);
    fixture_step(&f);
    assert_int_equal(f.plan.preempted_n, 1);
    assert_state(&f, b, QR_SEQ_WAITING);
    assert_int_equal(f.world.pool.free_n, 2);
    fixture_cancel(&f, a);
    fixture_cancel(&f, b);
    fixture_close(&f);
}

/* Goal: sequences preempted in one step wait in order of their admission, before those that never
 * ran.
 * Method: two are preempted in one step while two more wait; then the older ones end. */
static void preempted_wait_first_and_in_order(void **state)
{
    struct fixture f;
    qr_seq_id a, b, c, d, e;

    (void)state;
    fixture_open(&f, LIMITS(4, 4, 64, 0, 64), 4, PAGE);
    a = fixture_submit(&f, 16, 64);
    b = fixture_submit(&f, 16, 64);
    c = fixture_submit(&f, 8, 64);
    d = fixture_submit(&f, 8, 64);
    fixture_step(&f);
    e = fixture_submit(&f, 1, 64);
    fixture_step(&f);
    assert_int_equal(f.plan.preempted_n, 2);
    assert_int_equal(f.plan.admitted_n, 0);
    fixture_cancel(&f, a);
    fixture_cancel(&f, b);
    fixture_step(&f);
    assert_int_equal(f.plan.admitted_n, 3);
    assert_item(&f, 0, c, 0, 9, true);
    assert_item(&f, 1, d, 0, 9, true);
    assert_item(&f, 2, e, 0, 1, true);
    fixture_cancel(&f, c);
    fixture_cancel(&f, d);
    fixture_cancel(&f, e);
    fixture_close(&f);
}

/* Goal: a preempted sequence comes back only if the free pages cover its length and one page for
 * every sequence that then runs.
 * Method: it needs 4 pages while one other runs; an older one ends and leaves 5, or 6. */
static void readmission_leaves_room_to_grow(void **state)
{
    (void)state;
    for (uint32_t older_pages = 3; older_pages <= 4; older_pages++) {
        struct fixture f;
        qr_seq_id older, a, b;

        fixture_open(&f, LIMITS(4, 4, 256, 0, 128), older_pages + 6, PAGE);
        older = fixture_submit(&f, older_pages * PAGE - 12, 128);
        a = fixture_submit(&f, 40, 128);
        b = fixture_submit(&f, 40, 128);
        fixture_steps(&f, 10);
        assert_int_equal(f.plan.preempted_n, 1);
        assert_state(&f, b, QR_SEQ_WAITING);
        fixture_cancel(&f, older);
        assert_int_equal(f.world.pool.free_n, older_pages + 2);
        fixture_step(&f);
        assert_state(&f, b, older_pages == 4 ? QR_SEQ_RUNNING : QR_SEQ_WAITING);
        fixture_cancel(&f, a);
        fixture_step(&f);
        assert_state(&f, b, QR_SEQ_RUNNING);
        fixture_cancel(&f, b);
        fixture_close(&f);
    }
}

/* Goal: preempted sequences are kept even if the queue is full; new ones are refused meanwhile.
 * Method: a full queue of two, when two are preempted. */
static void preempted_may_exceed_the_queue(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f, LIMITS(4, 2, 64, 0, 64), 4, PAGE);
    fixture_submit(&f, 15, 64);
    fixture_submit(&f, 15, 64);
    fixture_step(&f);
    fixture_submit(&f, 4, 64);
    fixture_submit(&f, 4, 64);
    fixture_step(&f);
    assert_int_equal(qr_scheduler_running_n(f.s), 4);
    fixture_submit(&f, 4, 64);
    fixture_submit(&f, 4, 64);
    fixture_step(&f);
    assert_int_equal(f.plan.preempted_n, 2);
    assert_int_equal(qr_scheduler_waiting_n(f.s), 4);
    assert_int_equal(try_submit(f.s, 4, 64), QR_SEQ_NONE);
    for (qr_seq_id id = 0; id < 6; id++)
        fixture_cancel(&f, id);
    fixture_close(&f);
}

/* Goal: a sequence that fits all pages finishes alone and is never preempted.
 * Method: grow from one token to the last slot of the pool. */
static void alone_it_fills_every_page(void **state)
{
    struct fixture f;
    qr_seq_id a;

    (void)state;
    fixture_open(&f, LIMITS(4, 4, 64, 0, 48), 3, PAGE);
    a = fixture_submit(&f, 1, 48);
    fixture_steps(&f, 47);
    assert_item(&f, 0, a, 46, 1, true);
    fixture_plan(&f);
    assert_item(&f, 0, a, 47, 1, true);
    assert_int_equal(f.world.pool.free_n, 0);
    fixture_commit(&f, a);
    assert_int_equal(preemptions(&f), 0);
    fixture_close(&f);
}

/* Goal: many sequences in a pool for one all finish, in order of arrival, and the oldest one
 * computes in every step.
 * Method: eight sequences that each grow to the whole pool. */
static void crowd_finishes_in_order(void **state)
{
    struct fixture f;
    uint32_t steps_n = 0;

    (void)state;
    fixture_open(&f, LIMITS(8, 8, 64, 0, 64), 4, PAGE);
    for (int i = 0; i < 8; i++)
        fixture_submit(&f, 10, 64);
    for (qr_seq_id oldest = 0; oldest < 8; oldest++) {
        uint32_t computed = 0, before;
        do {
            before = computed;
            fixture_plan(&f);
            for (uint32_t i = 0; i < f.plan.items_n; i++)
                if (f.items[i].seq == oldest) computed = f.items[i].position + f.items[i].tokens_n;
            assert_true(computed > before);
            fixture_commit(&f, computed == 64 ? oldest : QR_SEQ_NONE);
            steps_n++;
        } while (computed < 64);
    }
    assert_true(preemptions(&f) > 0);
    assert_true(steps_n <= 8 * 64);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(latest_is_preempted),
        cmocka_unit_test(latest_preempts_itself),
        cmocka_unit_test(preempted_starts_from_its_first_token),
        cmocka_unit_test(growth_leaves_promised_pages),
        cmocka_unit_test(preempted_wait_first_and_in_order),
        cmocka_unit_test(readmission_leaves_room_to_grow),
        cmocka_unit_test(preempted_may_exceed_the_queue),
        cmocka_unit_test(alone_it_fills_every_page),
        cmocka_unit_test(crowd_finishes_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
