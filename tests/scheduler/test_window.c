/* SPDX-License-Identifier: MIT */
/* Sequences with a sliding window: pages before the window are dropped. */
#include "fixture.h"

/* A sequence holds at most ONE pages at once: ceil((2 * 64 - 2) / 32) + 1. */
enum { PAGE = 32, WINDOW = 64, TOKENS = 2000, PAGES = 80, ONE = 5, TEXTS = 4 };

static const struct qr_prefix_salt no_salt = {{0, 0}};

struct window_texts {
    int32_t tokens[TEXTS][TOKENS];
    const int32_t *first[TEXTS];
};

static void open_stepping(struct fixture *f, uint32_t window, uint32_t pages_n, bool has_tree,
                          uint32_t step_tokens, uint32_t prefill_chunk)
{
    const struct qr_scheduler_limits limits = {.running_max = 4,
                                               .waiting_max = 4,
                                               .step_tokens = step_tokens,
                                               .prefill_chunk = prefill_chunk,
                                               .context_max = TOKENS,
                                               .window = window};

    if (has_tree)
        fixture_open_tree(f, limits, pages_n, PAGE);
    else
        fixture_open(f, limits, pages_n, PAGE);
}

static void open_windowed(struct fixture *f, uint32_t window, uint32_t pages_n, bool has_tree)
{
    open_stepping(f, window, pages_n, has_tree, 256, 0);
}

/* Texts that differ from a token on. */
static void write_texts(struct window_texts *t, uint32_t differ_at)
{
    for (uint32_t which = 0; which < TEXTS; which++) {
        for (uint32_t i = 0; i < TOKENS; i++)
            t->tokens[which][i] = (int32_t)(i < differ_at ? i : 10000 * (which + 1) + i);
        t->first[which] = t->tokens[which];
    }
}

static qr_seq_id submit_text(struct fixture *f, const struct window_texts *t, uint32_t which,
                             uint32_t prompt_n, uint32_t tokens_max)
{
    const struct qr_submission submission = {
        .tokens = &t->first[which], .prompt_n = prompt_n, .tokens_max = tokens_max};
    qr_seq_id id = qr_scheduler_submit(f->s, &submission);

    assert_int_not_equal(id, QR_SEQ_NONE);
    return id;
}

/* Runs a sequence alone from its prompt to its last token.  Returns the most pages that were held,
 * counted after each plan and after each commit. */
static uint32_t run_alone(struct fixture *f, qr_seq_id id, uint32_t tokens_max)
{
    uint32_t held_max = 0;

    while (qr_scheduler_state(f->s, id) != QR_SEQ_FREE) {
        bool last;
        fixture_plan(f);
        assert_int_equal(f->plan.items_n, 1);
        last = f->items[0].position + f->items[0].tokens_n == tokens_max;
        if (qr_page_pool_held_n(&f->world.pool) > held_max)
            held_max = qr_page_pool_held_n(&f->world.pool);
        fixture_commit(f, last ? id : QR_SEQ_NONE);
        if (qr_page_pool_held_n(&f->world.pool) > held_max)
            held_max = qr_page_pool_held_n(&f->world.pool);
    }
    return held_max;
}

/* Goal: 2,000 tokens with a window of 64 never hold more than 5 pages of 32 tokens, prompt or
 * answer, with the tree or without.  Without a window they hold all pages.
 * Method: three prompts, the longest computed in chunks; count held pages twice a step. */
static void sequence_holds_no_more_than_its_window(void **state)
{
    static const uint32_t prompts[] = {1, 900, TOKENS};
    static struct window_texts t;

    (void)state;
    write_texts(&t, TOKENS);
    for (uint32_t i = 0; i < 6; i++) {
        struct fixture f;
        open_windowed(&f, WINDOW, PAGES, i % 2);
        assert_in_range(run_alone(&f, submit_text(&f, &t, 0, prompts[i / 2], TOKENS), TOKENS), 3,
                        ONE);
        if (i % 2) assert_int_equal(f.world.pool.cached_n, (TOKENS + PAGE - 1) / PAGE);
        fixture_close(&f);
        open_windowed(&f, 0, PAGES, i % 2);
        assert_int_equal(run_alone(&f, submit_text(&f, &t, 0, prompts[i / 2], TOKENS), TOKENS),
                         (TOKENS + PAGE - 1) / PAGE);
        fixture_close(&f);
    }
}

/* Goal: a step costs what its tokens read, and no token reads more than its window.
 * Method: one sequence decodes at 201 tokens while a prompt is computed, at 1 a read and a window
 * of 64. The prompt's first 64 tokens read 64 * 65 / 2, which is 1 too much, and each later token
 * reads 64. */
static void tokens_read_their_window(void **state)
{
    static struct window_texts t;
    struct qr_step_budget budget = {0, 0, 1};

    (void)state;
    write_texts(&t, 0);
    for (uint32_t has_tree = 0; has_tree < 2; has_tree++) {
        struct fixture f;
        open_windowed(&f, WINDOW, PAGES, has_tree);
        qr_seq_id a = submit_text(&f, &t, 0, 200, TOKENS);
        fixture_steps(&f, 4);
        qr_seq_id b = submit_text(&f, &t, 1, 200, TOKENS);
        budget.cost_max = 64 + 2080 - 1;
        qr_scheduler_set_budget(f.s, &budget);
        fixture_step(&f);
        assert_item(&f, 0, a, 200, 1, true);
        assert_item(&f, 1, b, 0, 63, false);
        assert_int_equal(f.plan.reads_n, 64 + 63 * 64 / 2);
        budget.cost_max = 64 + 30 * 64 + 63;
        qr_scheduler_set_budget(f.s, &budget);
        fixture_step(&f);
        assert_item(&f, 1, b, 63, 30, false);
        assert_int_equal(f.plan.reads_n, 64 + 30 * 64);
        fixture_cancel(&f, a);
        fixture_cancel(&f, b);
        fixture_close(&f);
    }
}

/* Goal: pages that left the window are free for others: two sequences with more tokens together
 * than there are pages for run to their ends, and none is preempted.
 * Method: a pool of 63 pages, two sequences that grow to 2,000 tokens. */
static void pages_before_the_window_serve_others(void **state)
{
    static struct window_texts t;

    (void)state;
    write_texts(&t, 0);
    for (uint32_t has_tree = 0; has_tree < 2; has_tree++) {
        struct fixture f;
        open_windowed(&f, WINDOW, 63, has_tree);
        qr_seq_id a = submit_text(&f, &t, 0, 1, TOKENS), b = submit_text(&f, &t, 1, 1, TOKENS);
        for (uint32_t i = 0; i < TOKENS - 1; i++) {
            fixture_step(&f);
            assert_true(qr_page_pool_held_n(&f.world.pool) <= 2 * ONE);
        }
        fixture_cancel(&f, a);
        fixture_cancel(&f, b);
        assert_int_equal(fixture_stats(&f).preemptions, 0);
        assert_int_equal(fixture_stats(&f).computed_tokens, 2 * (TOKENS - 1));
        fixture_close(&f);
    }
}

/* Goal: pages that left the window are still in the tree: a second sequence matches all of them,
 * and holds those that its next token sees.
 * Method: 1,000 tokens that end, then 1,000 that differ from token 700 on. */
static void pages_before_the_window_are_found_again(void **state)
{
    static struct window_texts t;
    struct fixture f;
    struct qr_scheduler_stats stats;

    (void)state;
    write_texts(&t, 700);
    open_windowed(&f, WINDOW, PAGES, true);
    run_alone(&f, submit_text(&f, &t, 0, 1000, 1000), 1000);
    assert_in_range(run_alone(&f, submit_text(&f, &t, 1, 1000, 1000), 1000), 3, ONE);
    qr_scheduler_stats(f.s, &stats);
    assert_int_equal(stats.prefix_hits, 700);
    assert_int_equal(stats.computed_tokens, 1000 + 300);
    fixture_close(&f);
}

/* Goal: pages that no full hit reads are evicted first, from the last to the first, and the whole
 * text is found until they are all gone.  Then the others go, the last one first.
 * Method: 1,000 tokens that end, then evictions.  Of 32 pages a hit of 999 tokens reads the last
 * 3; a hit of 500 reads pages 13 to 15. */
static void pages_that_no_full_hit_reads_go_first(void **state)
{
    static struct window_texts t;
    struct fixture f;
    qr_page_id pages[TOKENS / PAGE + 1];

    (void)state;
    write_texts(&t, 0);
    open_windowed(&f, WINDOW, 40, true);
    run_alone(&f, submit_text(&f, &t, 0, 1000, 1000), 1000);
    for (uint32_t evicted_n = 0; evicted_n <= 32; evicted_n++) {
        uint32_t all = evicted_n < 30 ? 999 : evicted_n == 30 ? 31 * PAGE : 0;
        assert_int_equal(qr_prefix_tree_match(&f.world.tree, no_salt, t.tokens[0], 999, pages),
                         all);
        if (evicted_n <= 13) /* page 15 is the fourteenth to be evicted */
            assert_int_equal(qr_prefix_tree_match(&f.world.tree, no_salt, t.tokens[0], 500, pages),
                             500);
        assert_int_equal(qr_prefix_tree_evict(&f.world.tree), evicted_n < 32);
    }
    fixture_close(&f);
}

/* Goal: a text that comes again is matched by its window's pages alone, and holds no page before
 * them.  Most of a pool may be evicted meanwhile.
 * Method: 1,000 tokens that end, evict all pages that no full hit reads, the same text again. */
static void text_is_found_by_its_window(void **state)
{
    static struct window_texts t;
    struct fixture f;
    struct qr_scheduler_stats stats;

    (void)state;
    write_texts(&t, 0);
    open_windowed(&f, WINDOW, 40, true);
    run_alone(&f, submit_text(&f, &t, 0, 1000, 1000), 1000);
    for (uint32_t i = 0; i < 29; i++)
        assert_true(qr_prefix_tree_evict(&f.world.tree));
    qr_seq_id id = submit_text(&f, &t, 0, 1000, 1100);
    fixture_plan(&f);
    assert_item(&f, 0, id, 999, 1, true);
    for (uint32_t i = 0; i < 29; i++)
        assert_int_equal(f.items[0].pages[i], QR_PAGE_NONE);
    assert_int_equal(qr_page_pool_held_n(&f.world.pool), 3);
    fixture_commit(&f, QR_SEQ_NONE);
    fixture_steps(&f, 99);
    fixture_plan(&f);
    fixture_commit(&f, id);
    qr_scheduler_stats(f.s, &stats);
    assert_int_equal(stats.prefix_hits, 999);
    assert_int_equal(stats.computed_tokens, 1000 + 101);
    fixture_close(&f);
}

/* Goal: long sequences run together in a pool that could not hold the tokens of one of them.  Each
 * is promised what it can hold at once, and none is preempted.  A smaller pool runs fewer.
 * Method: four prompts of 1,500 tokens that grow to 2,000, 63 pages each, in 20 pages and in 19. */
static void many_long_sequences_share_few_pages(void **state)
{
    static struct window_texts t;

    (void)state;
    write_texts(&t, 0);
    for (uint32_t i = 0; i < 4; i++) {
        struct fixture f;
        struct qr_scheduler_stats stats;
        uint32_t most_n = 0, first_at = 0;
        open_windowed(&f, WINDOW, i / 2 == 0 ? TEXTS * ONE : TEXTS * ONE - 1, i % 2);
        for (uint32_t k = 0; k < TEXTS; k++)
            submit_text(&f, &t, k, 1500, TOKENS);
        while (qr_scheduler_running_n(f.s) > 0 || qr_scheduler_waiting_n(f.s) > 0) {
            struct qr_result results[TEXTS] = {{0}};
            fixture_plan(&f);
            if (qr_scheduler_running_n(f.s) > most_n) most_n = qr_scheduler_running_n(f.s);
            if (f.plan.items_n == TEXTS && first_at == 0) first_at = f.items[0].position + 1;
            for (uint32_t k = 0; k < f.plan.items_n; k++)
                results[k].finished = f.items[k].position + f.items[k].tokens_n == TOKENS;
            qr_scheduler_commit(f.s, results, f.plan.items_n);
            qr_scheduler_check(f.s);
        }
        /* With one page less the last sequence waits until the others are in their last chunk. */
        assert_int_equal(first_at, i / 2 == 0 ? 1 : 1500 / 64 * 64 + 1);
        qr_scheduler_stats(f.s, &stats);
        assert_int_equal(most_n, TEXTS);
        assert_int_equal(stats.preemptions, 0);
        assert_int_equal(stats.recomputed_tokens, 0);
        fixture_close(&f);
    }
}

/* Goal: a sequence of any length fits if the pages that it holds at once do.  Otherwise it fits if
 * it has no more tokens than the pages have slots.
 * Method: pools of 5 and 4 pages.  Alone in 5 pages a sequence runs to its 2,000th token, and
 * again from the tree, with a partly matched page for whose copy there is no room. */
static void any_length_fits_in_a_windows_pages(void **state)
{
    static struct window_texts t;
    struct fixture f;

    (void)state;
    write_texts(&t, 0);
    open_windowed(&f, WINDOW, ONE - 1, true);
    assert_true(qr_scheduler_fits(f.s, (ONE - 1) * PAGE));
    assert_false(qr_scheduler_fits(f.s, (ONE - 1) * PAGE + 1));
    fixture_close(&f);
    for (uint32_t has_tree = 0; has_tree < 2; has_tree++) {
        open_windowed(&f, WINDOW, ONE, has_tree);
        assert_true(qr_scheduler_fits(f.s, TOKENS));
        assert_false(qr_scheduler_fits(f.s, TOKENS + 1));
        for (uint32_t i = 0; i < 2; i++)
            assert_in_range(run_alone(&f, submit_text(&f, &t, 0, 1990, TOKENS), TOKENS), 1, ONE);
        fixture_close(&f);
    }
}

/* Goal: with a window too, a prompt that two sequences have is computed once, although its first
 * pages are evicted before the second can be admitted.
 * Method: two prompts of 500 tokens in a pool of 12 pages. */
static void prefix_is_computed_once(void **state)
{
    static struct window_texts t;
    struct fixture f;
    struct qr_scheduler_stats stats;

    (void)state;
    write_texts(&t, TOKENS);
    open_windowed(&f, WINDOW, 12, true);
    qr_seq_id a = submit_text(&f, &t, 0, 500, 600), b = submit_text(&f, &t, 1, 500, 600);
    while (qr_scheduler_running_n(f.s) < 2)
        fixture_step(&f);
    qr_scheduler_stats(f.s, &stats);
    assert_int_equal(stats.waits, 8); /* once for each chunk of 64 tokens */
    assert_int_equal(stats.prefix_hits, 480);
    fixture_cancel(&f, a);
    fixture_cancel(&f, b);
    fixture_close(&f);
}

/* Goal: a sequence in prefill is promised new pages for those that it drops, although another
 * still reads the dropped ones.  A second reader is admitted only if there are pages for both;
 * then none is preempted.
 * Method: a text of 1,500 tokens, and one that has its first two pages in common and computes a
 * token a step, in pools of 9 pages and of 10. The first drops the two pages while the second has
 * them. */
static void sharing_leaves_pages_for_both(void **state)
{
    static struct window_texts t;

    (void)state;
    write_texts(&t, WINDOW);
    for (uint32_t pages_n = 2 * ONE - 1; pages_n <= 2 * ONE; pages_n++) {
        struct fixture f;
        open_stepping(&f, WINDOW, pages_n, true, WINDOW + 1, 0);
        qr_seq_id a = submit_text(&f, &t, 0, 1500, TOKENS);
        fixture_step(&f);
        qr_seq_id b = submit_text(&f, &t, 1, 1500, TOKENS);
        fixture_plan(&f);
        assert_item(&f, 0, a, WINDOW, WINDOW, false);
        assert_int_equal(f.plan.items_n, pages_n == 2 * ONE ? 2 : 1);
        if (f.plan.items_n == 2) assert_item(&f, 1, b, WINDOW, 1, false);
        fixture_commit(&f, QR_SEQ_NONE);
        fixture_steps(&f, 30);
        assert_int_equal(fixture_stats(&f).preemptions, 0);
        fixture_cancel(&f, a);
        fixture_cancel(&f, b);
        fixture_close(&f);
    }
}

/* Goal: a third sequence that shares nothing is admitted only if there are also pages for those
 * that the other two will drop one after the other.
 * Method: the same two in chunks of 16 tokens, so that one holds 4 pages, then a third, in pools
 * of 11 pages and of 12. */
static void what_others_share_counts_for_a_third(void **state)
{
    static struct window_texts t;

    (void)state;
    write_texts(&t, WINDOW);
    for (uint32_t i = 0; i < TOKENS; i++) /* another text */
        t.tokens[2][i] = (int32_t)(50000 + i);
    for (uint32_t pages_n = 11; pages_n <= 12; pages_n++) {
        struct fixture f;
        open_stepping(&f, WINDOW, pages_n, true, 64, 16);
        qr_seq_id a = submit_text(&f, &t, 0, 1500, TOKENS);
        fixture_steps(&f, 4);
        qr_seq_id b = submit_text(&f, &t, 1, 1500, TOKENS);
        fixture_step(&f); /* both at 80 */
        qr_seq_id c = submit_text(&f, &t, 2, 1500, TOKENS);
        fixture_plan(&f);
        assert_int_equal(f.plan.items_n, pages_n == 12 ? 3 : 2);
        fixture_commit(&f, QR_SEQ_NONE);
        fixture_steps(&f, 30);
        assert_int_equal(fixture_stats(&f).preemptions, 0);
        fixture_cancel(&f, a);
        fixture_cancel(&f, b);
        fixture_cancel(&f, c);
        fixture_close(&f);
    }
}

/* Goal: shared pages count from the admission on, also for a third sequence in the same plan.
 * Method: the tree has the two pages with which the first two begin; the third has nothing in
 * common with them.  It lacks 4 pages, and 2 are counted for the shared ones: pools of 11 pages
 * and of 12. */
static void shared_pages_count_in_the_same_plan(void **state)
{
    static struct window_texts t;

    (void)state;
    write_texts(&t, WINDOW);
    for (uint32_t i = 0; i < TOKENS; i++) /* another text */
        t.tokens[3][i] = (int32_t)(50000 + i);
    for (uint32_t pages_n = 11; pages_n <= 12; pages_n++) {
        struct fixture f;
        qr_seq_id ids[3];
        open_stepping(&f, WINDOW, pages_n, true, 64, 16);
        run_alone(&f, submit_text(&f, &t, 0, WINDOW + 1, WINDOW + 1), WINDOW + 1);
        for (uint32_t i = 0; i < 3; i++)
            ids[i] = submit_text(&f, &t, i + 1, 1500, TOKENS);
        fixture_plan(&f);
        assert_item(&f, 0, ids[0], WINDOW, 16, false);
        assert_item(&f, 1, ids[1], WINDOW, 16, false);
        assert_int_equal(f.plan.items_n, pages_n == 12 ? 3 : 2);
        fixture_commit(&f, QR_SEQ_NONE);
        fixture_steps(&f, 30);
        assert_int_equal(fixture_stats(&f).preemptions, 0);
        for (uint32_t i = 0; i < 3; i++)
            fixture_cancel(&f, ids[i]);
        fixture_close(&f);
    }
}

/* Goal: if another sequence has grown into the pages for a promise that is to be renewed, the
 * latest is preempted, and the others go on in the same step.
 * Method: the same in chunks of 16 tokens, so that one holds 4 pages, and one that generates: 9
 * pages for all three.  The latter takes a second page, or not, before the first has dropped both
 * pages that the second reads. */
static void promise_is_renewed_before_the_latest_runs(void **state)
{
    static struct window_texts t;

    (void)state;
    write_texts(&t, WINDOW);
    for (uint32_t i = 0; i < TOKENS; i++) /* another text */
        t.tokens[2][i] = (int32_t)(50000 + i);
    for (uint32_t grows = 0; grows < 2; grows++) {
        struct fixture f;
        open_stepping(&f, WINDOW, 9, true, 20, 16);
        qr_seq_id c = submit_text(&f, &t, 2, grows ? 26 : 10, 1000);
        fixture_steps(&f, 2);
        qr_seq_id a = submit_text(&f, &t, 0, 1500, TOKENS);
        fixture_steps(&f, 4);
        qr_seq_id b = submit_text(&f, &t, 1, 1500, TOKENS);
        fixture_plan(&f);
        assert_int_equal(f.plan.items_n, 3);
        assert_item(&f, 1, a, WINDOW, 16, false);
        assert_item(&f, 2, b, WINDOW, 3, false);
        fixture_commit(&f, QR_SEQ_NONE);
        fixture_steps(&f, 3);
        fixture_plan(&f);
        assert_int_equal(f.plan.preempted_n, grows);
        assert_int_equal(f.plan.items_n, 3 - grows);
        assert_int_equal(f.items[0].seq, c);
        assert_item(&f, 1, a, 2 * WINDOW, 16, false);
        assert_state(&f, b, grows ? QR_SEQ_WAITING : QR_SEQ_RUNNING);
        fixture_commit(&f, QR_SEQ_NONE);
        fixture_cancel(&f, a);
        fixture_cancel(&f, b);
        fixture_cancel(&f, c);
        fixture_close(&f);
    }
}

/* Goal: a sequence does not wait for a page that a running sequence has dropped and that was
 * evicted since.
 * Method: a prompt of 30 pages is computed while another runs, until its first page is evicted;
 * then a third sequence comes with its text. */
static void nobody_waits_for_a_dropped_page(void **state)
{
    static struct window_texts t;
    const struct qr_prefix_salt salt = {{0, 0}};
    struct fixture f;
    qr_page_id page;

    (void)state;
    write_texts(&t, 0);
    open_windowed(&f, PAGE, 36, true);
    qr_seq_id a = submit_text(&f, &t, 0, 30 * PAGE, 31 * PAGE);
    fixture_steps(&f, 8);
    qr_seq_id b = submit_text(&f, &t, 1, 12 * PAGE, 14 * PAGE);
    do {
        fixture_step(&f);
    } while (qr_prefix_tree_match(&f.world.tree, salt, t.tokens[0], PAGE, &page) > 0);
    qr_seq_id c = submit_text(&f, &t, 0, 2 * PAGE + 1, 3 * PAGE);
    fixture_plan(&f);
    assert_int_equal(f.plan.items_n, 3);
    assert_item(&f, 1, a, f.items[1].position, PAGE, false); /* still in its prefill */
    assert_item(&f, 2, c, 0, PAGE, false);
    fixture_commit(&f, QR_SEQ_NONE);
    fixture_cancel(&f, a);
    fixture_cancel(&f, b);
    fixture_cancel(&f, c);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequence_holds_no_more_than_its_window),
        cmocka_unit_test(tokens_read_their_window),
        cmocka_unit_test(pages_before_the_window_serve_others),
        cmocka_unit_test(pages_before_the_window_are_found_again),
        cmocka_unit_test(pages_that_no_full_hit_reads_go_first),
        cmocka_unit_test(text_is_found_by_its_window),
        cmocka_unit_test(many_long_sequences_share_few_pages),
        cmocka_unit_test(any_length_fits_in_a_windows_pages),
        cmocka_unit_test(prefix_is_computed_once),
        cmocka_unit_test(sharing_leaves_pages_for_both),
        cmocka_unit_test(what_others_share_counts_for_a_third),
        cmocka_unit_test(shared_pages_count_in_the_same_plan),
        cmocka_unit_test(promise_is_renewed_before_the_latest_runs),
        cmocka_unit_test(nobody_waits_for_a_dropped_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
