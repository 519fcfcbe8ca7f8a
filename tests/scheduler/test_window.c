/* SPDX-License-Identifier: MIT */
/* Sequences whose tokens see only the last ones: the pages before these are let go. */
#include "fixture.h"

enum { PAGE = 32, WINDOW = 64, TOKENS = 2000, PAGES = 80, HELD_MAX = 6 };

struct texts {
    int32_t tokens[2][TOKENS];
    const int32_t *first[2];
};

static void open_windowed(struct fixture *f, uint32_t window, uint32_t pages_n, bool has_tree)
{
    const struct qr_scheduler_limits limits = {.running_max = 4,
                                               .waiting_max = 4,
                                               .step_tokens = 256,
                                               .context_max = TOKENS,
                                               .window = window};

    if (has_tree)
        fixture_open_tree(f, limits, pages_n, PAGE);
    else
        fixture_open(f, limits, pages_n, PAGE);
}

/* Two texts that part at a token. */
static void write_texts(struct texts *t, uint32_t part_at)
{
    for (uint32_t which = 0; which < 2; which++) {
        for (uint32_t i = 0; i < TOKENS; i++)
            t->tokens[which][i] = (int32_t)(i < part_at ? i : 10000 * (which + 1) + i);
        t->first[which] = t->tokens[which];
    }
}

static qr_seq_id submit_text(struct fixture *f, const struct texts *t, uint32_t which,
                             uint32_t prompt_n, uint32_t tokens_max)
{
    const struct qr_submission submission = {
        .tokens = &t->first[which], .prompt_n = prompt_n, .tokens_max = tokens_max};
    qr_seq_id id = qr_scheduler_submit(f->s, &submission);

    assert_int_not_equal(id, QR_SEQ_NONE);
    return id;
}

/* Runs a sequence alone from its prompt to its last token; the most pages that were held, counted
 * when a step's are taken and again when it has been committed. */
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

/* Goal: 2,000 tokens with a window of 64 never hold more than 6 pages of 32 tokens, be they prompt
 * or answer, with the tree and without; without a window they hold all.
 * Method: three prompts, the longest computed in chunks; held pages counted twice a step. */
static void sequence_holds_no_more_than_its_window(void **state)
{
    static const uint32_t prompts[] = {1, 900, TOKENS};
    static struct texts t;

    (void)state;
    write_texts(&t, TOKENS);
    for (uint32_t i = 0; i < 6; i++) {
        struct fixture f;
        open_windowed(&f, WINDOW, PAGES, i % 2);
        assert_in_range(run_alone(&f, submit_text(&f, &t, 0, prompts[i / 2], TOKENS), TOKENS), 3,
                        HELD_MAX);
        if (i % 2) assert_int_equal(f.world.pool.cached_n, (TOKENS + PAGE - 1) / PAGE);
        fixture_close(&f);
        open_windowed(&f, 0, PAGES, i % 2);
        assert_int_equal(run_alone(&f, submit_text(&f, &t, 0, prompts[i / 2], TOKENS), TOKENS),
                         (TOKENS + PAGE - 1) / PAGE);
        fixture_close(&f);
    }
}

/* Goal: what the window has left is free for others: two sequences that together have more tokens
 * than there are pages for run to their ends, and nobody is preempted.
 * Method: a pool of 63 pages, two sequences that grow to 2,000 tokens. */
static void pages_that_are_left_serve_others(void **state)
{
    static struct texts t;

    (void)state;
    write_texts(&t, 0);
    for (uint32_t has_tree = 0; has_tree < 2; has_tree++) {
        struct fixture f;
        struct qr_scheduler_stats stats;
        open_windowed(&f, WINDOW, 63, has_tree);
        qr_seq_id a = submit_text(&f, &t, 0, 1, TOKENS), b = submit_text(&f, &t, 1, 1, TOKENS);
        for (uint32_t i = 0; i < TOKENS - 1; i++) {
            fixture_step(&f);
            assert_true(qr_page_pool_held_n(&f.world.pool) <= 2 * HELD_MAX);
        }
        fixture_cancel(&f, a);
        fixture_cancel(&f, b);
        qr_scheduler_stats(f.s, &stats);
        assert_int_equal(stats.preemptions, 0);
        assert_int_equal(stats.computed_tokens, 2 * (TOKENS - 1));
        fixture_close(&f);
    }
}

/* Goal: the tree still has what the window has left: a second sequence takes it all up, and holds
 * of it what its next token sees.
 * Method: 1,000 tokens that end, then 1,000 that part from them at token 700. */
static void pages_that_are_left_are_found_again(void **state)
{
    static struct texts t;
    struct fixture f;
    struct qr_scheduler_stats stats;

    (void)state;
    write_texts(&t, 700);
    open_windowed(&f, WINDOW, PAGES, true);
    run_alone(&f, submit_text(&f, &t, 0, 1000, 1000), 1000);
    assert_in_range(run_alone(&f, submit_text(&f, &t, 1, 1000, 1000), 1000), 3, HELD_MAX);
    qr_scheduler_stats(f.s, &stats);
    assert_int_equal(stats.prefix_hits, 700);
    assert_int_equal(stats.computed_tokens, 1000 + 300);
    fixture_close(&f);
}

/* Goal: of a sequence that has ended the last pages are evicted first, not those that it left
 * first. Method: 1,000 tokens that end; another text takes 10 pages of a pool of 40, 32 of them
 * cached. */
static void what_was_left_first_stays_longest(void **state)
{
    static struct texts t;
    struct fixture f;
    struct qr_scheduler_stats stats;

    (void)state;
    write_texts(&t, 0);
    open_windowed(&f, WINDOW, 40, true);
    run_alone(&f, submit_text(&f, &t, 0, 1000, 1000), 1000);
    run_alone(&f, submit_text(&f, &t, 1, 10 * PAGE, 10 * PAGE), 10 * PAGE);
    qr_scheduler_stats(f.s, &stats);
    assert_int_equal(stats.evictions, 2);
    run_alone(&f, submit_text(&f, &t, 0, 1000, 1000), 1000);
    qr_scheduler_stats(f.s, &stats);
    assert_int_equal(stats.prefix_hits, 30 * PAGE);
    fixture_close(&f);
}

/* Goal: nobody waits for a page that a running sequence has left and that was evicted since.
 * Method: a prompt of 30 pages is computed beside another until its first page is evicted; then a
 * third one comes with its text. */
static void nobody_waits_for_what_was_left(void **state)
{
    static struct texts t;
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
    assert_item(&f, 1, a, f.items[1].position, PAGE, false); /* still at its prompt */
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
        cmocka_unit_test(pages_that_are_left_serve_others),
        cmocka_unit_test(pages_that_are_left_are_found_again),
        cmocka_unit_test(what_was_left_first_stays_longest),
        cmocka_unit_test(nobody_waits_for_what_was_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
