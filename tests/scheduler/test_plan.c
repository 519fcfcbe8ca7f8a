/* SPDX-License-Identifier: MIT */
#include "fixture.h"

/* running_max, waiting_max, step_tokens, prefill_chunk, context_max */
#define LIMITS(...) ((struct qr_scheduler_limits){__VA_ARGS__, .window = 0})

/* Goal: without a sequence a plan has no items and needs no commit.
 * Method: plan twice. */
static void no_sequence_no_items(void **state)
{
    struct fixture f;

    (void)state;
    fixture_open(&f, LIMITS(4, 4, 32, 0, 64), 8, 16);
    fixture_plan(&f);
    assert_int_equal(f.plan.items_n, 0);
    assert_int_equal(f.plan.tokens_n, 0);
    fixture_plan(&f);
    assert_int_equal(f.plan.items_n, 0);
    fixture_close(&f);
}

/* Goal: a sequence's chunks follow each other without gap or overlap.  Only the last one wants
 * logits; then the sequence computes one token a step.
 * Method: 40 tokens in chunks of 16. */
static void chunks_cover_the_prompt(void **state)
{
    struct fixture f;
    qr_seq_id a;

    (void)state;
    fixture_open(&f, LIMITS(4, 4, 32, 16, 64), 8, 16);
    a = fixture_submit(&f, 40, 64);
    fixture_step(&f);
    assert_item(&f, 0, a, 0, 16, false);
    assert_int_equal(f.plan.admitted_n, 1);
    fixture_step(&f);
    assert_item(&f, 0, a, 16, 16, false);
    assert_int_equal(f.plan.admitted_n, 0);
    fixture_step(&f);
    assert_item(&f, 0, a, 32, 8, true);
    fixture_step(&f);
    assert_item(&f, 0, a, 40, 1, true);
    fixture_step(&f);
    assert_item(&f, 0, a, 41, 1, true);
    assert_int_equal(f.plan.items_n, 1);
    fixture_cancel(&f, a);
    fixture_close(&f);
}

/* Goal: prefill_chunk 0 means the whole budget.
 * Method: a prompt of 100 under a budget of 60. */
static void chunk_zero_is_the_budget(void **state)
{
    struct fixture f;
    qr_seq_id a;

    (void)state;
    fixture_open(&f, LIMITS(4, 4, 60, 0, 128), 8, 16);
    a = fixture_submit(&f, 100, 128);
    fixture_step(&f);
    assert_item(&f, 0, a, 0, 60, false);
    fixture_step(&f);
    assert_item(&f, 0, a, 60, 40, true);
    fixture_cancel(&f, a);
    fixture_close(&f);
}

/* Goal: a sequence with one token left comes before one in prefill, even if the latter is older.
 * Method: a long old prompt in chunks of 16, and a short one that decodes meanwhile. */
static void decodes_come_first(void **state)
{
    struct fixture f;
    qr_seq_id a, b;

    (void)state;
    fixture_open(&f, LIMITS(4, 4, 40, 16, 128), 16, 16);
    a = fixture_submit(&f, 100, 128);
    b = fixture_submit(&f, 5, 128);
    fixture_step(&f);
    assert_item(&f, 0, a, 0, 16, false);
    assert_item(&f, 1, b, 0, 5, true);
    fixture_step(&f);
    assert_int_equal(f.plan.items_n, 2);
    assert_item(&f, 0, b, 5, 1, true);
    assert_item(&f, 1, a, 16, 16, false);
    fixture_cancel(&f, a);
    fixture_cancel(&f, b);
    fixture_close(&f);
}

/* Goal: decodes are in order of admission, and so is prefill.
 * Method: four sequences, two of each kind, submitted alternately. */
static void each_kind_is_in_order_of_admission(void **state)
{
    struct fixture f;
    qr_seq_id a, b, c, d;

    (void)state;
    fixture_open(&f, LIMITS(4, 4, 40, 8, 128), 32, 16);
    a = fixture_submit(&f, 4, 128);
    b = fixture_submit(&f, 50, 128);
    c = fixture_submit(&f, 4, 128);
    d = fixture_submit(&f, 50, 128);
    fixture_step(&f);
    fixture_step(&f);
    assert_int_equal(f.plan.items_n, 4);
    assert_item(&f, 0, a, 4, 1, true);
    assert_item(&f, 1, c, 4, 1, true);
    assert_item(&f, 2, b, 8, 8, false);
    assert_item(&f, 3, d, 8, 8, false);
    for (qr_seq_id id = 0; id < 4; id++)
        fixture_cancel(&f, id);
    fixture_close(&f);
}

/* Goal: a step uses its whole budget and no more, the oldest prompt first.
 * Method: three prompts of 30 under a budget of 50. */
static void budget_is_filled_oldest_first(void **state)
{
    struct fixture f;
    qr_seq_id a, b, c;

    (void)state;
    fixture_open(&f, LIMITS(4, 4, 50, 0, 128), 32, 16);
    a = fixture_submit(&f, 30, 128);
    b = fixture_submit(&f, 30, 128);
    c = fixture_submit(&f, 30, 128);
    fixture_step(&f);
    assert_int_equal(f.plan.tokens_n, 50);
    assert_int_equal(f.plan.items_n, 2);
    assert_item(&f, 0, a, 0, 30, true);
    assert_item(&f, 1, b, 0, 20, false);
    assert_state(&f, c, QR_SEQ_WAITING);
    fixture_step(&f);
    assert_int_equal(f.plan.tokens_n, 1 + 10 + 30);
    assert_item(&f, 0, a, 30, 1, true);
    assert_item(&f, 1, b, 20, 10, true);
    assert_item(&f, 2, c, 0, 30, true);
    for (qr_seq_id id = 0; id < 3; id++)
        fixture_cancel(&f, id);
    fixture_close(&f);
}

/* Goal: however many sequences decode, prefill gets QR_PREFILL_MIN tokens of a step.
 * Method: the smallest allowed budget, all slots but one decoding, then a prompt of 100. */
static void prefill_gets_its_share_of_a_full_batch(void **state)
{
    struct fixture f;
    qr_seq_id ids[8], late;

    (void)state;
    fixture_open(&f, LIMITS(8, 8, 8 + QR_PREFILL_MIN, 0, 128), 64, 16);
    for (uint32_t i = 0; i < 7; i++)
        ids[i] = fixture_submit(&f, 2, 128);
    fixture_steps(&f, 2);
    assert_int_equal(f.plan.items_n, 7);
    late = fixture_submit(&f, 100, 128);
    for (uint32_t step = 0; step < 5; step++) {
        fixture_step(&f);
        assert_int_equal(f.plan.items_n, 8);
        assert_item(&f, 7, late, step * 17, 17, false);
        assert_int_equal(f.plan.tokens_n, 8 + QR_PREFILL_MIN);
    }
    fixture_cancel(&f, late);
    for (uint32_t i = 0; i < 7; i++)
        fixture_cancel(&f, ids[i]);
    fixture_close(&f);
}

/* Goal: pages are taken as tokens are written, not at the admission, so a sequence never holds an
 * unused page.
 * Method: a prompt of 60 in chunks of 10, pages of 16; count after every step. */
static void pages_are_taken_as_they_are_written(void **state)
{
    const uint32_t held_n[] = {1, 2, 2, 3, 4, 4};
    struct fixture f;
    struct qr_scheduler_stats stats, before = {0};
    qr_seq_id a;

    (void)state;
    fixture_open(&f, LIMITS(4, 4, 40, 10, 64), 8, 16);
    a = fixture_submit(&f, 60, 64);
    for (uint32_t i = 0; i < 6; i++) {
        fixture_step(&f);
        assert_int_equal(f.world.pool.pages_n - f.world.pool.free_n, held_n[i]);
        qr_scheduler_stats(f.s, &stats);
        assert_int_equal(stats.slots_held - before.slots_held, held_n[i] * 16);
        assert_int_equal(stats.slots_empty - before.slots_empty, held_n[i] * 16 - (i + 1) * 10);
        before = stats;
    }
    fixture_cancel(&f, a);
    fixture_close(&f);
}

/* Goal: over all steps less than 4 % of the slots in held pages have no token, which is what
 * SOSP'23 gives for PagedAttention.
 * Method: 200 prompts of 100 to 1,000 tokens with 8 to come, 32 at a time, pages of 32; the
 * sequence that has run longest ends. */
static void waste_is_under_four_percent(void **state)
{
    enum { REQUESTS = 200, RUNNING = 32, OUT = 8 };
    uint32_t answers[RUNNING + REQUESTS] = {0}; /* tokens that each has generated */
    struct qr_scheduler_stats stats;
    struct fixture f;
    unsigned seed = 7;

    (void)state;
    fixture_open(&f, LIMITS(RUNNING, REQUESTS, 256, 256, 1024), 2048, 32);
    for (uint32_t i = 0; i < REQUESTS; i++) {
        uint32_t prompt_n = 100 + (uint32_t)rand_r(&seed) % 901;
        fixture_submit(&f, prompt_n, prompt_n + OUT + 16);
    }
    for (uint32_t ended_n = 0; ended_n < REQUESTS;) {
        qr_seq_id finished = QR_SEQ_NONE;
        fixture_plan(&f);
        for (uint32_t i = 0; i < f.plan.items_n; i++) {
            qr_seq_id seq = f.items[i].seq;
            assert_true(seq < RUNNING + REQUESTS);
            answers[seq] += f.items[i].wants_logits;
            if (finished == QR_SEQ_NONE && answers[seq] >= OUT) finished = seq;
        }
        fixture_commit(&f, finished);
        if (finished == QR_SEQ_NONE) continue;
        answers[finished] = 0;
        ended_n++;
    }
    qr_scheduler_stats(f.s, &stats);
    assert_true(stats.slots_held > 0 && stats.preemptions == 0);
    assert_true(stats.slots_empty * 25 < stats.slots_held);
    fixture_close(&f);
}

/* Goal: an item's pages are those of its tokens.
 * Method: the item's pages are held, and stay the same from step to step as more are added. */
static void items_carry_their_pages(void **state)
{
    struct fixture f;
    qr_seq_id a;
    qr_page_id first;

    (void)state;
    fixture_open(&f, LIMITS(4, 4, 40, 16, 64), 8, 16);
    a = fixture_submit(&f, 48, 64);
    fixture_plan(&f);
    first = f.items[0].pages[0];
    assert_int_equal(qr_page_pool_refs(&f.world.pool, first), 1);
    fixture_commit(&f, QR_SEQ_NONE);
    fixture_plan(&f);
    assert_int_equal(f.items[0].pages[0], first);
    assert_int_not_equal(f.items[0].pages[1], first);
    assert_int_equal(qr_page_pool_refs(&f.world.pool, f.items[0].pages[1]), 1);
    fixture_commit(&f, a);
    fixture_close(&f);
}

/* Goal: in a step with a decode, prefill gets what the budget leaves, to the token.  Tokens and
 * reads have their own prices.
 * Method: one sequence decodes at 20 tokens while a prompt of 100 is computed, at 10 a token and 1
 * a read.  Two chunks of 20 cost 10 + 20 + 200 + 210 and 10 + 21 + 200 + 610; a third one of 20
 * would cost 10 + 22 + 200 + 1010, which is 1 too much. */
static void budget_cuts_prefill(void **state)
{
    struct qr_step_budget budget = {10 + 20 + 200 + 210, 10, 1};
    struct fixture f;
    qr_seq_id a, b;

    (void)state;
    fixture_open(&f, LIMITS(4, 4, 128, 0, 128), 32, 16);
    a = fixture_submit(&f, 19, 128);
    fixture_step(&f);
    b = fixture_submit(&f, 100, 128);
    qr_scheduler_set_budget(f.s, &budget);
    fixture_step(&f);
    assert_item(&f, 0, a, 19, 1, true);
    assert_item(&f, 1, b, 0, 20, false);
    assert_int_equal(f.plan.reads_n, 20 + 210);
    budget.cost_max = 10 + 21 + 200 + 610;
    qr_scheduler_set_budget(f.s, &budget);
    fixture_step(&f);
    assert_item(&f, 1, b, 20, 20, false);
    budget.cost_max = 10 + 22 + 200 + 1010 - 1;
    qr_scheduler_set_budget(f.s, &budget);
    fixture_step(&f);
    assert_item(&f, 1, b, 40, 19, false);
    fixture_cancel(&f, a);
    fixture_cancel(&f, b);
    fixture_close(&f);
}

/* Goal: prefill gets QR_PREFILL_MIN tokens of a step whatever the budget; then no sequence is
 * admitted.  Without a decode the budget does not count.
 * Method: a budget that allows nothing, and two prompts. */
static void budget_leaves_prefill_its_least(void **state)
{
    const struct qr_step_budget nothing = {0, 10, 1};
    struct fixture f;
    qr_seq_id a, b, c;

    (void)state;
    fixture_open(&f, LIMITS(4, 4, 128, 0, 128), 32, 16);
    qr_scheduler_set_budget(f.s, &nothing);
    a = fixture_submit(&f, 60, 128);
    fixture_step(&f);
    assert_item(&f, 0, a, 0, 60, true);
    b = fixture_submit(&f, 26, 128);
    c = fixture_submit(&f, 26, 128);
    fixture_step(&f);
    assert_int_equal(f.plan.items_n, 2);
    assert_item(&f, 1, b, 0, QR_PREFILL_MIN, false);
    assert_state(&f, c, QR_SEQ_WAITING);
    fixture_step(&f);
    assert_int_equal(f.plan.items_n, 3);
    assert_item(&f, 1, b, QR_PREFILL_MIN, 10, true);
    assert_item(&f, 2, c, 0, QR_PREFILL_MIN - 10, false);
    fixture_cancel(&f, a);
    fixture_cancel(&f, b);
    fixture_cancel(&f, c);
    fixture_close(&f);
}

/* Goal: after a cut chunk no sequence is admitted, although a new one would be cheaper because it
 * reads less.
 * Method: one sequence decodes at 20 tokens and a prompt of 100 is at 60. A chunk of 20 costs 20 *
 * 10 + 1410, at 10 a token and 1 a read.  The 65 that are left do not cover the 21st token, which
 * costs 91, but would cover 5 tokens of a new sequence, 5 * 10 + 15. If the chunk is not cut, the
 * new sequence gets them. */
static void nobody_is_admitted_after_a_cut(void **state)
{
    struct qr_step_budget budget = {0, 10, 1};
    struct fixture f;
    qr_seq_id a, b, c;

    (void)state;
    fixture_open(&f, LIMITS(4, 4, 128, 60, 128), 32, 16);
    a = fixture_submit(&f, 18, 128);
    fixture_step(&f);
    b = fixture_submit(&f, 100, 128);
    fixture_step(&f);
    c = fixture_submit(&f, 40, 128);
    budget.cost_max = 10 + 20 + 20 * 10 + 1410 + 65;
    qr_scheduler_set_budget(f.s, &budget);
    fixture_step(&f);
    assert_int_equal(f.plan.items_n, 2);
    assert_item(&f, 0, a, 19, 1, true);
    assert_item(&f, 1, b, 60, 20, false);
    assert_int_equal(f.plan.admitted_n, 0);
    assert_state(&f, c, QR_SEQ_WAITING);
    budget.cost_max = 10 + 21 + 20 * 10 + 1810 + 65;
    qr_scheduler_set_budget(f.s, &budget);
    fixture_step(&f);
    assert_int_equal(f.plan.items_n, 3);
    assert_item(&f, 1, b, 80, 20, true);
    assert_item(&f, 2, c, 0, 5, false);
    fixture_cancel(&f, a);
    fixture_cancel(&f, b);
    fixture_cancel(&f, c);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_sequence_no_items),
        cmocka_unit_test(chunks_cover_the_prompt),
        cmocka_unit_test(chunk_zero_is_the_budget),
        cmocka_unit_test(decodes_come_first),
        cmocka_unit_test(each_kind_is_in_order_of_admission),
        cmocka_unit_test(budget_is_filled_oldest_first),
        cmocka_unit_test(prefill_gets_its_share_of_a_full_batch),
        cmocka_unit_test(pages_are_taken_as_they_are_written),
        cmocka_unit_test(waste_is_under_four_percent),
        cmocka_unit_test(items_carry_their_pages),
        cmocka_unit_test(budget_cuts_prefill),
        cmocka_unit_test(budget_leaves_prefill_its_least),
        cmocka_unit_test(nobody_is_admitted_after_a_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
