/* SPDX-License-Identifier: MIT */
/* The scheduler with a prefix tree: reuse, publishing, eviction, waiting for a prefix. */
#include "fixture.h"

/* running_max, waiting_max, step_tokens, prefill_chunk, context_max */
#define LIMITS(...) ((struct qr_scheduler_limits){__VA_ARGS__, .window = 0})
#define PAGE        16u
#define TEXTS_MAX   8u
#define TEXT_MAX    512u

/* The sequences' texts.  An answer is written after the prompt before its tokens are known. */
struct prefix_texts {
    int32_t tokens[TEXTS_MAX][TEXT_MAX];
    const int32_t *first[TEXTS_MAX];
};

/* Tokens 0, 1, 2 ... up to `differ_at`, and other tokens from there on. */
static void write_text(struct prefix_texts *t, uint32_t which, uint32_t differ_at)
{
    for (uint32_t i = 0; i < TEXT_MAX; i++)
        t->tokens[which][i] = (int32_t)(i < differ_at ? i : 1000 * (which + 1) + i);
    t->first[which] = t->tokens[which];
}

static qr_seq_id submit_text(struct fixture *f, const struct prefix_texts *t, uint32_t which,
                             uint32_t prompt_n, uint32_t tokens_max)
{
    const struct qr_submission submission = {
        .tokens = &t->first[which], .prompt_n = prompt_n, .tokens_max = tokens_max};
    qr_seq_id id = qr_scheduler_submit(f->s, &submission);

    assert_int_not_equal(id, QR_SEQ_NONE);
    qr_scheduler_check(f->s);
    return id;
}

/* Runs a prompt alone and ends it after so many steps. */
static void run_text(struct fixture *f, const struct prefix_texts *t, uint32_t which,
                     uint32_t prompt_n, uint32_t steps_n)
{
    qr_seq_id id = submit_text(f, t, which, prompt_n, prompt_n + steps_n);

    fixture_steps(f, steps_n - 1);
    fixture_plan(f);
    fixture_commit(f, id);
    assert_state(f, id, QR_SEQ_FREE);
}

/* Goal: tokens that a finished sequence has computed, prompt and answer, are not computed again,
 * exactly up to the first token that differs.
 * Method: 40 tokens of a prompt and 9 of an answer; then prompts that differ from that text from
 * each token on. */
static void reuse_is_exact_to_the_token(void **state)
{
    (void)state;
    for (uint32_t cut = 0; cut <= 50; cut++) {
        struct fixture f;
        struct prefix_texts t;

        fixture_open_tree(&f, LIMITS(4, 4, 128, 0, 128), 16, PAGE);
        write_text(&t, 0, TEXT_MAX);
        write_text(&t, 1, cut);
        run_text(&f, &t, 0, 40, 10);
        submit_text(&f, &t, 1, 64, 80);
        fixture_plan(&f);
        assert_item(&f, 0, 0, cut < 49 ? cut : 49, 64 - (cut < 49 ? cut : 49), true);
        assert_int_equal(fixture_stats(&f).page_copies, cut < 49 ? cut % PAGE != 0 : 1);
        assert_int_equal(fixture_stats(&f).prefix_queries, 40 + 64);
        assert_int_equal(fixture_stats(&f).prefix_hits, cut < 49 ? cut : 49);
        fixture_commit(&f, 0);
        fixture_close(&f);
    }
}

/* Goal: a prompt that is cached whole computes only its last token, for its logits.
 * Method: prompts that end inside a page and at its edge, twice. */
static void whole_prompt_computes_one_token(void **state)
{
    (void)state;
    for (uint32_t prompt_n = 30; prompt_n <= 33; prompt_n++) {
        struct fixture f;
        struct prefix_texts t;

        fixture_open_tree(&f, LIMITS(4, 4, 128, 0, 128), 16, PAGE);
        write_text(&t, 0, TEXT_MAX);
        run_text(&f, &t, 0, prompt_n, 1);
        submit_text(&f, &t, 0, prompt_n, 80);
        fixture_plan(&f);
        assert_item(&f, 0, 0, prompt_n - 1, 1, true);
        fixture_commit(&f, 0);
        fixture_close(&f);
    }
}

/* Goal: a cancelled sequence publishes all tokens that it has computed.
 * Method: cancel one after two chunks of its prompt. */
static void cancelled_leaves_its_pages(void **state)
{
    struct fixture f;
    struct prefix_texts t;
    qr_seq_id a;

    (void)state;
    fixture_open_tree(&f, LIMITS(4, 4, 128, 20, 128), 16, PAGE);
    write_text(&t, 0, TEXT_MAX);
    a = submit_text(&f, &t, 0, 64, 80);
    fixture_steps(&f, 2);
    fixture_cancel(&f, a);
    assert_int_equal(f.world.pool.cached_n, 3);
    submit_text(&f, &t, 0, 64, 80);
    fixture_plan(&f);
    assert_item(&f, 0, 0, 40, 20, false);
    fixture_commit(&f, 0);
    fixture_close(&f);
}

/* Goal: a fresh sequence takes nothing from the tree, because pages hold no logits, and counts in
 * neither queries nor hits.  Others can use what it computes.
 * Method: the same prompt, fresh, after and before one that is not. */
static void fresh_computes_every_token(void **state)
{
    struct fixture f;
    struct prefix_texts t;

    (void)state;
    fixture_open_tree(&f, LIMITS(4, 4, 128, 0, 128), 16, PAGE);
    write_text(&t, 0, TEXT_MAX);
    for (int round = 0; round < 2; round++) {
        const struct qr_submission submission = {
            .tokens = &t.first[0], .prompt_n = 40, .tokens_max = 41, .fresh = true};
        qr_seq_id id = qr_scheduler_submit(f.s, &submission);
        fixture_plan(&f);
        assert_item(&f, 0, id, 0, 40, true);
        fixture_commit(&f, id);
        assert_int_equal(f.world.pool.cached_n, 3);
    }
    assert_int_equal(fixture_stats(&f).prefix_queries, 0);
    submit_text(&f, &t, 0, 40, 41);
    fixture_plan(&f);
    assert_item(&f, 0, 0, 39, 1, true);
    fixture_commit(&f, 0);
    fixture_close(&f);
}

/* Goal: salts share nothing.
 * Method: one prompt under two salts, then again under each. */
static void salts_share_nothing(void **state)
{
    struct fixture f;
    struct prefix_texts t;

    (void)state;
    fixture_open_tree(&f, LIMITS(4, 4, 128, 0, 128), 16, PAGE);
    write_text(&t, 0, TEXT_MAX);
    for (uint32_t i = 0; i < 4; i++) {
        const struct qr_submission submission = {
            .tokens = &t.first[0], .prompt_n = 40, .tokens_max = 41, .salt = {{0, i % 2}}};
        qr_seq_id id = qr_scheduler_submit(f.s, &submission);
        fixture_plan(&f);
        assert_item(&f, 0, id, i < 2 ? 0 : 39, i < 2 ? 40 : 1, true);
        fixture_commit(&f, id);
    }
    fixture_close(&f);
}

/* Goal: cached pages are evicted before any sequence is preempted, the coldest first.
 * Method: the tree has two texts of two pages in a pool of six; a running sequence grows over
 * four. */
static void eviction_comes_before_preemption(void **state)
{
    struct fixture f;
    struct prefix_texts t;
    qr_seq_id a, b;

    (void)state;
    fixture_open_tree(&f, LIMITS(4, 4, 128, 0, 128), 6, PAGE);
    for (uint32_t i = 0; i < 4; i++)
        write_text(&t, i, 0);
    run_text(&f, &t, 0, 32, 1);
    run_text(&f, &t, 1, 32, 1);
    a = submit_text(&f, &t, 2, 16, 60);
    b = submit_text(&f, &t, 3, 16, 60);
    fixture_step(&f);
    assert_int_equal(f.world.pool.free_n, 0);
    fixture_step(&f);
    assert_int_equal(f.plan.preempted_n, 0);
    assert_int_equal(fixture_stats(&f).evictions, 2);
    assert_int_equal(f.world.pool.cached_n, 2);
    fixture_cancel(&f, a);
    fixture_cancel(&f, b);
    submit_text(&f, &t, 1, 32, 33);
    fixture_plan(&f);
    assert_item(&f, 0, 1, 31, 1, true);
    fixture_commit(&f, 1);
    fixture_close(&f);
}

/* Goal: a preempted sequence publishes its pages and resumes from those that are still there.  If
 * all are, nothing is computed twice.
 * Method: two sequences grow into a full pool; the older one takes a page of the other's, and
 * ends; then the later one finds no page for itself. */
static void preempted_resumes_without_recomputing(void **state)
{
    struct fixture f;
    struct prefix_texts t;
    qr_seq_id a, b;

    (void)state;
    fixture_open_tree(&f, LIMITS(4, 4, 128, 0, 64), 4, PAGE);
    write_text(&t, 0, 0);
    write_text(&t, 1, 0);
    a = submit_text(&f, &t, 0, 30, 64);
    b = submit_text(&f, &t, 1, 25, 64);
    fixture_steps(&f, 4);
    assert_int_equal(f.plan.preempted_n, 1);
    assert_state(&f, b, QR_SEQ_WAITING);
    assert_int_equal(f.world.pool.cached_n, 1); /* its second page was the coldest */
    fixture_cancel(&f, a);
    fixture_step(&f);
    assert_item(&f, 0, b, 16, 12, true);
    assert_int_equal(fixture_stats(&f).recomputed_tokens, 11);
    fixture_cancel(&f, b);
    fixture_close(&f);

    fixture_open_tree(&f, LIMITS(4, 4, 128, 0, 64), 4, PAGE);
    a = submit_text(&f, &t, 0, 20, 64);
    b = submit_text(&f, &t, 1, 30, 64);
    fixture_steps(&f, 4);
    assert_state(&f, b, QR_SEQ_WAITING);
    assert_int_equal(f.world.pool.cached_n, 2);
    fixture_cancel(&f, a);
    fixture_step(&f);
    assert_item(&f, 0, b, 32, 1, true);
    assert_int_equal(fixture_stats(&f).recomputed_tokens, 0);
    fixture_cancel(&f, b);
    fixture_close(&f);
}

/* Goal: if no page is left to copy a partly matched page into, its tokens are computed; the
 * sequence is still admitted.
 * Method: a pool of three pages, all cached; the same text again needs all three. */
static void no_room_for_the_copy(void **state)
{
    struct fixture f;
    struct prefix_texts t;

    (void)state;
    fixture_open_tree(&f, LIMITS(4, 4, 128, 0, 48), 3, PAGE);
    write_text(&t, 0, 0);
    run_text(&f, &t, 0, 44, 1);
    assert_int_equal(f.world.pool.cached_n, 3);
    submit_text(&f, &t, 0, 44, 48);
    fixture_plan(&f);
    assert_item(&f, 0, 0, 32, 12, true);
    assert_int_equal(fixture_stats(&f).page_copies, 0);
    fixture_commit(&f, 0);
    fixture_close(&f);
}

/* Goal: requests with one prefix that come together compute it once.  The later ones wait and hold
 * no page, and start in the step after the first one's prefill.
 * Method: eight prompts of 106 shared tokens and 14 of their own, at once, in chunks of 48. */
static void prefix_is_computed_once(void **state)
{
    struct fixture f;
    struct prefix_texts t;

    (void)state;
    fixture_open_tree(&f, LIMITS(8, 8, 256, 48, 128), 64, PAGE);
    for (uint32_t i = 0; i < TEXTS_MAX; i++) {
        write_text(&t, i, 106);
        submit_text(&f, &t, i, 120, 128);
    }
    for (int step = 0; step < 3; step++) {
        fixture_step(&f);
        assert_int_equal(f.plan.items_n, 1);
        assert_int_equal(qr_scheduler_running_n(f.s), 1);
        assert_int_equal(qr_page_pool_held_n(&f.world.pool), step == 2 ? 8 : 3 * (step + 1));
    }
    assert_int_equal(fixture_stats(&f).waits, 3);
    fixture_step(&f);
    assert_int_equal(f.plan.items_n, 8);
    for (uint32_t i = 1; i < 8; i++)
        assert_item(&f, i, i, 106, 14, true);
    assert_int_equal(fixture_stats(&f).computed_tokens, 120 + 1 + 7 * 14);
    for (qr_seq_id id = 0; id < 8; id++)
        fixture_cancel(&f, id);
    fixture_close(&f);
}

/* Goal: if the sequence that is waited for ends, the first waiting one takes over in the same
 * step, from where the other stopped; the others then wait for it.
 * Method: cancel the first one after a chunk. */
static void waiter_takes_over(void **state)
{
    struct fixture f;
    struct prefix_texts t;
    qr_seq_id ids[3];

    (void)state;
    fixture_open_tree(&f, LIMITS(8, 8, 256, 48, 128), 64, PAGE);
    for (uint32_t i = 0; i < 3; i++) {
        write_text(&t, i, 106);
        ids[i] = submit_text(&f, &t, i, 120, 128);
    }
    fixture_step(&f);
    assert_int_equal(f.plan.items_n, 1);
    fixture_cancel(&f, ids[0]);
    fixture_step(&f);
    assert_int_equal(f.plan.items_n, 1);
    assert_item(&f, 0, ids[1], 48, 48, false);
    fixture_step(&f);
    assert_item(&f, 0, ids[1], 96, 24, true);
    assert_int_equal(f.plan.items_n, 1);
    fixture_step(&f);
    assert_int_equal(f.plan.items_n, 2);
    assert_item(&f, 1, ids[2], 106, 14, true);
    fixture_cancel(&f, ids[1]);
    fixture_cancel(&f, ids[2]);
    fixture_close(&f);
}

/* Goal: a sequence does not wait for less than half a page, for pages of another salt, for a
 * sequence that will not fill the page, or if it is fresh.
 * Method: a second prompt with 7 and with 8 common tokens; then each reason by itself. */
static void nobody_waits_for_little(void **state)
{
    const struct {
        uint32_t common_n, leader_n;
        bool fresh, salted, waits;
    } cases[] = {
        {7, 64, false, false, false}, {8, 64, false, false, true},  {40, 64, false, false, true},
        {40, 64, true, false, false}, {40, 64, false, true, false}, {14, 15, false, false, false},
        {14, 16, false, false, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture f;
        struct prefix_texts t;
        qr_seq_id a, b;

        fixture_open_tree(&f, LIMITS(8, 8, 256, 0, 128), 64, PAGE);
        write_text(&t, 0, TEXT_MAX);
        write_text(&t, 1, cases[i].common_n);
        a = submit_text(&f, &t, 0, cases[i].leader_n, 100);
        b = qr_scheduler_submit(f.s, &(struct qr_submission){.tokens = &t.first[1],
                                                             .prompt_n = 60,
                                                             .tokens_max = 100,
                                                             .salt = {{cases[i].salted, 0}},
                                                             .fresh = cases[i].fresh});
        fixture_step(&f);
        assert_state(&f, a, QR_SEQ_RUNNING);
        assert_state(&f, b, cases[i].waits ? QR_SEQ_WAITING : QR_SEQ_RUNNING);
        fixture_step(&f);
        assert_state(&f, b, QR_SEQ_RUNNING);
        fixture_cancel(&f, a);
        fixture_cancel(&f, b);
        fixture_close(&f);
    }
}

/* Goal: sequences that compute the same text at the same time end with the same pages.
 * Method: two sequences of one text, where the second could not wait, because it was there before
 * the first filled a page; compare the held pages. */
static void shared_pages_are_held_once(void **state)
{
    struct fixture f;
    struct prefix_texts t;

    (void)state;
    fixture_open_tree(&f, LIMITS(8, 8, 256, 0, 128), 64, PAGE);
    write_text(&t, 0, TEXT_MAX);
    submit_text(&f, &t, 0, 15, 100);
    submit_text(&f, &t, 0, 15, 100);
    fixture_steps(&f, 1);
    assert_int_equal(qr_page_pool_held_n(&f.world.pool), 2);
    fixture_steps(&f, 1);
    assert_int_equal(qr_page_pool_held_n(&f.world.pool), 1);
    assert_int_equal(f.world.pool.shared_n, 1);
    fixture_steps(&f, 1);
    assert_int_equal(qr_page_pool_held_n(&f.world.pool), 3);
    fixture_cancel(&f, 0);
    fixture_cancel(&f, 1);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reuse_is_exact_to_the_token),
        cmocka_unit_test(whole_prompt_computes_one_token),
        cmocka_unit_test(cancelled_leaves_its_pages),
        cmocka_unit_test(fresh_computes_every_token),
        cmocka_unit_test(salts_share_nothing),
        cmocka_unit_test(eviction_comes_before_preemption),
        cmocka_unit_test(preempted_resumes_without_recomputing),
        cmocka_unit_test(no_room_for_the_copy),
        cmocka_unit_test(prefix_is_computed_once),
        cmocka_unit_test(waiter_takes_over),
        cmocka_unit_test(nobody_waits_for_little),
        cmocka_unit_test(shared_pages_are_held_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
