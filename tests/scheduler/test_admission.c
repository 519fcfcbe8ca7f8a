/* SPDX-License-Identifier: MIT */
#include "fixture.h"

/* running_max, waiting_max, step_tokens, prefill_chunk, context_max */
#define LIMITS(...) ((struct qr_scheduler_limits){__VA_ARGS__, .window = 0})

/* Goal: the queue takes waiting_max sequences and refuses the next one at once.  A sequence that
 * leaves makes room for one.
 * Method: fill the queue, admit one sequence, fill it again. */
static void queue_is_bounded(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f, LIMITS(1, 3, 32, 0, 64), 8, 16);
    for (int i = 0; i < 3; i++)
        fixture_submit(&f, 10, 64);
    assert_int_equal(try_submit(f.s, 10, 64), QR_SEQ_NONE);
    fixture_step(&f);
    assert_int_equal(qr_scheduler_running_n(f.s), 1);
    assert_int_equal(qr_scheduler_waiting_n(f.s), 2);
    fixture_submit(&f, 10, 64);
    assert_int_equal(try_submit(f.s, 10, 64), QR_SEQ_NONE);
    for (qr_seq_id id = 0; id < 4; id++)
        fixture_cancel(&f, id);
    fixture_close(&f);
}

/* Goal: at most running_max sequences run, and a slot that becomes free is taken in the next step.
 * Method: five short prompts for two slots; one of them ends. */
static void slots_are_bounded(void **state)
{
    struct fixture f;
    qr_seq_id ids[5];

    (void)state;
    fixture_open(&f, LIMITS(2, 8, 64, 0, 64), 16, 16);
    for (int i = 0; i < 5; i++)
        ids[i] = fixture_submit(&f, 4, 64);
    fixture_plan(&f);
    assert_int_equal(f.plan.admitted_n, 2);
    fixture_commit(&f, ids[0]);
    assert_int_equal(qr_scheduler_running_n(f.s), 1);
    fixture_plan(&f);
    assert_int_equal(f.plan.admitted_n, 1);
    assert_state(&f, ids[2], QR_SEQ_RUNNING);
    assert_state(&f, ids[3], QR_SEQ_WAITING);
    fixture_commit(&f, QR_SEQ_NONE);
    for (int i = 1; i < 5; i++)
        fixture_cancel(&f, ids[i]);
    fixture_close(&f);
}

/* Goal: the queue is served in order of arrival.  A sequence that does not fit yet is not
 * overtaken.
 * Method: one sequence holds the pages, a big prompt waits, and a small one that would fit comes
 * after it. */
static void nobody_overtakes(void **state)
{
    struct fixture f;
    qr_seq_id a, big, small;

    (void)state;
    fixture_open(&f, LIMITS(4, 4, 128, 0, 96), 6, 16);
    a = fixture_submit(&f, 40, 60);
    fixture_step(&f);
    big = fixture_submit(&f, 60, 96);
    small = fixture_submit(&f, 4, 16);
    fixture_step(&f);
    assert_int_equal(f.plan.admitted_n, 0);
    assert_state(&f, big, QR_SEQ_WAITING);
    assert_state(&f, small, QR_SEQ_WAITING);
    fixture_plan(&f);
    fixture_commit(&f, a);
    fixture_step(&f);
    assert_int_equal(f.plan.admitted_n, 2);
    assert_item(&f, 0, big, 0, 60, true);
    assert_item(&f, 1, small, 0, 4, true);
    fixture_cancel(&f, big);
    fixture_cancel(&f, small);
    fixture_close(&f);
}

/* Goal: an admission counts the known tokens, not those that may be generated.
 * Method: four prompts of one page that may each grow to the whole pool. */
static void tokens_to_come_do_not_count(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f, LIMITS(4, 4, 128, 0, 64), 4, 16);
    for (int i = 0; i < 4; i++)
        fixture_submit(&f, 10, 64);
    fixture_step(&f);
    assert_int_equal(f.plan.admitted_n, 4);
    for (qr_seq_id id = 0; id < 4; id++)
        fixture_cancel(&f, id);
    fixture_close(&f);
}

/* Goal: pages that are promised to an admitted prompt are given to no other admission.
 * Method: a prompt of 4 pages in chunks of one, then a second one that would fit the free pages.
 * It is admitted only when the pool is a page larger. */
static void promised_pages_admit_nobody_else(void **state)
{
    (void)state;
    for (uint32_t pages_n = 5; pages_n <= 6; pages_n++) {
        struct fixture f;
        qr_seq_id a, b;

        fixture_open(&f, LIMITS(4, 4, 128, 16, 64), pages_n, 16);
        a = fixture_submit(&f, 64, 64);
        b = fixture_submit(&f, 20, 64);
        fixture_step(&f);
        assert_state(&f, a, QR_SEQ_RUNNING);
        assert_state(&f, b, pages_n == 5 ? QR_SEQ_WAITING : QR_SEQ_RUNNING);
        fixture_cancel(&f, a);
        fixture_cancel(&f, b);
        fixture_close(&f);
    }
}

/* Goal: a sequence is admitted only in a step that has a token for it.
 * Method: the first prompt takes the whole budget. */
static void no_budget_no_admission(void **state)
{
    struct fixture f;
    qr_seq_id a, b;

    (void)state;
    fixture_open(&f, LIMITS(4, 4, 32, 0, 64), 16, 16);
    a = fixture_submit(&f, 32, 64);
    b = fixture_submit(&f, 4, 64);
    fixture_step(&f);
    assert_int_equal(f.plan.admitted_n, 1);
    assert_state(&f, b, QR_SEQ_WAITING);
    fixture_step(&f);
    assert_state(&f, b, QR_SEQ_RUNNING);
    fixture_cancel(&f, a);
    fixture_cancel(&f, b);
    fixture_close(&f);
}

/* Goal: fits refuses a sequence that is longer than the context or than all pages.
 * Method: two schedulers: in one the context is the smaller limit, in the other the pages. */
static void fits_is_context_and_pages(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f, LIMITS(4, 4, 32, 0, 64), 3, 16);
    assert_int_equal(qr_scheduler_tokens_max(f.s), 48);
    assert_true(qr_scheduler_fits(f.s, 48));
    assert_false(qr_scheduler_fits(f.s, 49));
    fixture_close(&f);
    fixture_open(&f, LIMITS(4, 4, 32, 0, 40), 3, 16);
    assert_int_equal(qr_scheduler_tokens_max(f.s), 40);
    assert_true(qr_scheduler_fits(f.s, 40));
    assert_false(qr_scheduler_fits(f.s, 41));
    assert_false(qr_scheduler_fits(f.s, UINT32_MAX));
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queue_is_bounded),
        cmocka_unit_test(slots_are_bounded),
        cmocka_unit_test(nobody_overtakes),
        cmocka_unit_test(tokens_to_come_do_not_count),
        cmocka_unit_test(promised_pages_admit_nobody_else),
        cmocka_unit_test(no_budget_no_admission),
        cmocka_unit_test(fits_is_context_and_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
