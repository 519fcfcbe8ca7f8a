/* SPDX-License-Identifier: MIT */
/* Prompts that begin like earlier ones: no token is computed again without need, and the answers
 * have the bits of an engine without a cache. */
#include "support/engine.h"

enum { CROWD = 64, LONGEST = 340, PREFIX = 300 };

static struct quire_stats stats_of(const quire_engine *engine)
{
    struct quire_stats stats = {.size = sizeof stats};

    quire_stats(engine, &stats);
    return stats;
}

static double rows_of(const quire_engine *engine)
{
    return stats_of(engine).step_tokens.sum;
}

static struct quire_engine_settings settings_for(bool cached)
{
    struct quire_engine_settings settings = engine_settings();

    settings.kv_memory_bytes = (uint64_t)192 << 20;
    settings.no_prefix_cache = !cached;
    return settings;
}

/* Random ids, the same for the same seed. */
static void draw(int32_t *ids, uint32_t n, unsigned seed, uint32_t vocab_n)
{
    for (uint32_t i = 0; i < n; i++)
        ids[i] = (int32_t)((uint32_t)rand_r(&seed) % vocab_n);
}

/* ---- exactness ------------------------------------------------------------------------------ */

/* Goal: a prompt reuses exactly the tokens that it shares with a cached one: by usage, by computed
 * rows, by the figures.  The answer is that of an engine without a cache.
 * Method: prompts that differ at both sides of a page's edge and in the middle of pages.
 * server/reuse does the same with a real model. */
static void reuse_is_exact(void **state)
{
    quire_model *model = open_model(TINY);
    static const uint32_t cuts[] = {1, 31, 32, 33, 250, 299};
    struct quire_engine_settings cold_settings = settings_for(false);
    struct quire_engine_settings settings = settings_for(true);
    quire_engine *cold = start_with(&cold_settings, model), *engine = start_with(&settings, model);
    int32_t prefix[PREFIX], prompt[PREFIX + 20];
    uint64_t hits = 0;

    (void)state;
    draw(prefix, PREFIX, 1, 1024);
    struct answer *first = run(engine, greedy(prefix, PREFIX, 1));
    assert_int_equal(first->usage.cached_tokens, 0);
    free(first);
    for (uint32_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        draw(prompt, PREFIX + 20, 2 + i, 1024);
        memcpy(prompt, prefix, cuts[i] * sizeof *prompt);
        prompt[cuts[i]] = (prefix[cuts[i]] + 1 + (int32_t)i) % 1024;
        struct quire_request r = greedy(prompt, PREFIX + 20, 6);
        r.logprobs = 3;
        double before = rows_of(engine);
        struct answer *warm = run(engine, r), *alone = run(cold, r);
        assert_int_equal(warm->usage.cached_tokens, cuts[i]);
        assert_true(rows_of(engine) - before == PREFIX + 20 - cuts[i] + 5);
        assert_same(warm, alone);
        hits += cuts[i];
        assert_int_equal(stats_of(engine).prefix_hits, hits);
        assert_int_equal(stats_of(engine).prefix_queries, PREFIX + (i + 1) * (PREFIX + 20));
        free(warm);
        free(alone);
    }
    assert_int_equal(stats_of(cold).prefix_queries, 0);
    assert_int_equal(stats_of(cold).pages_cached, 0);
    stop_and_free(engine);
    stop_and_free(cold);
    quire_model_close(model);
}

/* Goal: a repeated prompt computes one token.  A conversation reuses the answer's tokens too.
 * Method: a prompt twice; then prompt, answer and more. */
static void conversations_go_on_for_little(void **state)
{
    quire_model *model = open_model(TINY);
    struct quire_engine_settings settings = settings_for(true);
    quire_engine *engine = start_with(&settings, model);
    int32_t ids[200];

    (void)state;
    draw(ids, 200, 5, 1024);
    struct answer *first = run(engine, greedy(ids, 100, 30));
    double before = rows_of(engine);
    struct answer *again = run(engine, greedy(ids, 100, 30));
    assert_int_equal(again->usage.cached_tokens, 99);
    assert_true(rows_of(engine) - before == 1 + 29);
    assert_same(first, again);

    for (uint32_t i = 0; i < 30; i++)
        ids[100 + i] = first->ids[i].token;
    before = rows_of(engine);
    struct answer *next = run(engine, greedy(ids, 150, 1));
    assert_int_equal(next->usage.cached_tokens, 129); /* its last token was never computed */
    assert_true(rows_of(engine) - before == 21);
    free(first);
    free(again);
    free(next);
    stop_and_free(engine);
    quire_model_close(model);
}

/* Goal: the pages of a cancelled request are reused.
 * Method: cancel one that has generated; submit its prompt again. */
static void cancelled_requests_leave_their_pages(void **state)
{
    quire_model *model = open_model(TINY);
    struct quire_engine_settings settings = settings_for(true);
    quire_engine *engine = start_with(&settings, model);
    struct quire_event event;
    int32_t ids[100];

    (void)state;
    draw(ids, 100, 6, 1024);
    struct answer *a = submit(engine, greedy(ids, 100, 400));
    while (a->ids_n < 3) {
        assert_int_equal(quire_wait(engine, &event, WAIT_MS), 1);
        take(&event);
    }
    assert_int_equal(quire_cancel(engine, a->id), QUIRE_OK);
    gather(engine, 1);
    struct answer *b = run(engine, greedy(ids, 100, 2));
    assert_int_equal(b->usage.cached_tokens, 99);
    free(a);
    free(b);
    stop_and_free(engine);
    quire_model_close(model);
}

/* Goal: a scored prompt is computed completely, with the same scores each time.
 * Method: twice, after the prompt was cached. */
static void scoring_bypasses_cached_pages(void **state)
{
    quire_model *model = open_model(TINY);
    struct quire_engine_settings settings = settings_for(true);
    quire_engine *engine = start_with(&settings, model);
    int32_t ids[90];

    (void)state;
    draw(ids, 90, 7, 1024);
    free(run(engine, greedy(ids, 90, 1)));
    struct quire_request r = greedy(ids, 90, 3);
    r.flags |= QUIRE_REQUEST_PROMPT_LOGPROBS;
    r.logprobs = 2;
    struct answer *a = run(engine, r), *b = run(engine, r);
    assert_int_equal(a->prompt_n, 90);
    assert_int_equal(a->usage.cached_tokens, 0);
    assert_int_equal(b->usage.cached_tokens, 0);
    assert_same(a, b);
    free(a);
    free(b);
    stop_and_free(engine);
    quire_model_close(model);
}

/* Goal: requests share pages only within a salt.  The answers are the same.
 * Method: one prompt with no salt, two salts that differ in the last byte, and one with a NUL, each
 * twice. */
static void salts_part_requests(void **state)
{
    const struct quire_text salts[] = {
        {NULL, 0}, {"tenant-1", 8}, {"tenant-2", 8}, {"tenant-1\0", 9}};
    quire_model *model = open_model(TINY);
    struct quire_engine_settings settings = settings_for(true);
    quire_engine *engine = start_with(&settings, model);
    struct answer *answers[2][4];
    int32_t ids[70];

    (void)state;
    draw(ids, 70, 9, 1024);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 4; i++) {
            struct quire_request r = greedy(ids, 70, 4);
            r.cache_salt = salts[i];
            answers[round][i] = run(engine, r);
            assert_int_equal(answers[round][i]->usage.cached_tokens, round == 0 ? 0 : 69);
            assert_same(answers[round][i], answers[0][0]);
        }
    for (int i = 0; i < 8; i++)
        free(answers[i / 4][i % 4]);
    stop_and_free(engine);
    quire_model_close(model);
}

/* Goal: requests that arrive together compute their common prefix once.
 * Method: eight arrive while one keeps the engine busy; count the computed rows. */
static void a_shared_prefix_is_computed_once(void **state)
{
    enum { SHARED = 412, OWN = 16, SHARERS = 8 };
    quire_model *model = open_model(TINY);
    struct quire_engine_settings settings = settings_for(true);
    int32_t ids[SHARERS][SHARED + OWN];
    struct answer *answers[SHARERS];
    const int32_t other[] = {5};

    (void)state;
    settings.prefill_chunk = 100;
    quire_engine *engine = start_with(&settings, model);
    for (uint32_t i = 0; i < SHARERS; i++) {
        draw(ids[i], SHARED, 8, 1024);
        draw(ids[i] + SHARED, OWN, 100 + i, 1024);
    }
    struct answer *busy = submit(engine, greedy(other, 1, 200));
    for (uint32_t i = 0; i < SHARERS; i++)
        answers[i] = submit(engine, greedy(ids[i], SHARED + OWN, 1));
    gather(engine, SHARERS + 1);
    uint32_t cached_n = 0;
    for (uint32_t i = 0; i < SHARERS; i++) {
        cached_n += answers[i]->usage.cached_tokens;
        free(answers[i]);
    }
    assert_int_equal(cached_n, (SHARERS - 1) * SHARED);
    assert_true(rows_of(engine) == 200 + SHARED + SHARERS * OWN);
    free(busy);
    stop_and_free(engine);
    quire_model_close(model);
}

/* ---- bits ----------------------------------------------------------------------------------- */

struct given {
    int32_t prompts[CROWD][LONGEST];
    struct quire_request requests[CROWD];
};

/* 64 requests over four prefixes that differ after any token, many of them almost equal.  Those of
 * a real model are short, because each token of a single request reads all weights. */
static void make_requests(struct given *g, uint32_t vocab_n)
{
    const uint32_t longest = vocab_n == 1024 ? LONGEST : 60, answer_n = vocab_n == 1024 ? 30 : 8;
    unsigned seed = 3;

    for (uint32_t i = 0; i < CROWD; i++) {
        uint32_t prompt_n = 1 + (uint32_t)rand_r(&seed) % longest;
        uint32_t cut = (uint32_t)rand_r(&seed) % (prompt_n + 1);
        struct quire_request *r = &g->requests[i];
        draw(g->prompts[i], prompt_n, 1000 + i, vocab_n);
        draw(g->prompts[i], cut, 50 + i % 4, vocab_n);
        *r = greedy(g->prompts[i], prompt_n, 3 + (uint32_t)rand_r(&seed) % answer_n);
        r->logprobs = (int32_t)(i % 3) - 1;
        r->flags |= QUIRE_REQUEST_SEEDED;
        r->seed = i;
        if (i % 5 == 1) r->temperature = 1.0f;
        if (i % 3 == 1) {
            r->repetition_penalty = 1.2f;
            r->frequency_penalty = 0.5f;
        }
        if (i % 8 == 2) r->flags |= QUIRE_REQUEST_PROMPT_LOGPROBS;
    }
}

static void run_all(quire_engine *engine, const struct given *g, bool together,
                    struct answer **answers)
{
    for (uint32_t i = 0; i < CROWD; i++) {
        answers[i] = submit(engine, g->requests[i]);
        if (!together) gather(engine, 1);
    }
    if (together) gather(engine, CROWD);
}

/* Runs all twice on one engine; the second time they find their pages.  Sums the cached tokens. */
static struct quire_stats compare_all(quire_model *model,
                                      const struct quire_engine_settings *settings,
                                      const struct given *g, bool together,
                                      struct answer *const *expected)
{
    quire_engine *engine = start_with(settings, model);
    struct answer *answers[CROWD];
    struct quire_stats stats;

    for (int round = 0; round < 2; round++) {
        run_all(engine, g, together, answers);
        for (uint32_t i = 0; i < CROWD; i++) {
            assert_int_equal(answers[i]->kind, QUIRE_EVENT_DONE);
            assert_same(answers[i], expected[i]);
            free(answers[i]);
        }
    }
    stats = stats_of(engine);
    stop_and_free(engine);
    return stats;
}

static void same_bits(quire_model *model, uint32_t vocab_n, uint32_t kv_type, uint64_t tight_bytes,
                      bool every_way)
{
    struct quire_engine_settings settings = settings_for(false);
    struct given *g = calloc(1, sizeof *g);
    struct answer *cold[CROWD];
    struct quire_stats stats;

    make_requests(g, vocab_n);
    settings.kv_type = kv_type;
    quire_engine *engine = start_with(&settings, model);
    run_all(engine, g, false, cold);
    stop_and_free(engine);

    settings.no_prefix_cache = 0;
    stats = compare_all(model, &settings, g, true, cold);
    assert_true(stats.prefix_hits > 0 && stats.page_copies > 0);
    if (every_way) {
        stats = compare_all(model, &settings, g, false, cold);
        assert_true(stats.prefix_hits > 0 && stats.page_copies > 0);
        settings.prefill_chunk = 7;
        settings.page_tokens = 16;
        settings.threads = 1;
        compare_all(model, &settings, g, true, cold);
    }

    settings.threads = 2;
    settings.page_tokens = 32;
    settings.prefill_chunk = 50;
    settings.kv_memory_bytes = tight_bytes;
    stats = compare_all(model, &settings, g, true, cold);
    assert_true(stats.preemptions > 0 && stats.page_evictions > 0 && stats.prefix_hits > 0);

    for (uint32_t i = 0; i < CROWD; i++)
        free(cold[i]);
    free(g);
}

/* Goal: cold, cached, chunked, evicted, preempted, alone or among 64: the same bits.
 * Method: an engine without a cache answers one by one; compare the others with `==`. */
static void tiny_bits(void **state)
{
    quire_model *model = open_model(TINY);

    (void)state;
    same_bits(model, 1024, QUIRE_KV_F16, 512 << 10, true);
    same_bits(model, 1024, QUIRE_KV_F32, 1 << 20, true);
    same_bits(model, 1024, QUIRE_KV_BF16, 512 << 10, true);
    same_bits(model, 1024, QUIRE_KV_Q8, 288 << 10, false);
    quire_model_close(model);
}

static void smollm2_bits(void **state)
{
    const char *path = smollm2_unless_tsan();

    (void)state;
    if (!path) skip();
    quire_model *model = open_model(path);
    same_bits(model, 49152, QUIRE_KV_F16, (uint64_t)7 << 20, false);
    quire_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reuse_is_exact),
        cmocka_unit_test(conversations_go_on_for_little),
        cmocka_unit_test(cancelled_requests_leave_their_pages),
        cmocka_unit_test(scoring_bypasses_cached_pages),
        cmocka_unit_test(salts_part_requests),
        cmocka_unit_test(a_shared_prefix_is_computed_once),
        cmocka_unit_test(tiny_bits),
        cmocka_unit_test(smollm2_bits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
