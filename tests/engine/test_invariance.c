/* SPDX-License-Identifier: MIT */
/* A request's tokens and logprobs have the same bits alone and in a batch, with any number of
 * threads, with any chunks, preempted or not. */
#include "support/engine.h"

enum { CROWD = 32 };

struct given {
    int32_t prompts[CROWD][200];
    struct quire_logit_bias bias[CROWD];
    struct quire_request requests[CROWD];
};

/* 32 different requests: lengths, sampling, logprobs, prompt logprobs.  Those of a real model are
 * short, because each token of a single request reads all weights. */
static void make_requests(struct given *g, uint32_t vocab_n)
{
    const uint32_t longest = vocab_n == 1024 ? 180 : 60, answer_n = vocab_n == 1024 ? 30 : 8;
    unsigned seed = 11;

    for (uint32_t i = 0; i < CROWD; i++) {
        uint32_t prompt_n = 1 + (uint32_t)rand_r(&seed) % longest;
        for (uint32_t t = 0; t < prompt_n; t++)
            g->prompts[i][t] = (int32_t)((uint32_t)rand_r(&seed) % vocab_n);
        g->bias[i] = (struct quire_logit_bias){g->prompts[i][0], 3.0f};
        struct quire_request *r = &g->requests[i];
        *r = greedy(g->prompts[i], prompt_n, 5 + (uint32_t)rand_r(&seed) % answer_n);
        r->logprobs = (int32_t)(i % 5) - 1;
        r->flags |= QUIRE_REQUEST_SEEDED;
        r->seed = i;
        if (i % 3 == 0) r->flags |= QUIRE_REQUEST_PROMPT_LOGPROBS;
        if (i % 4 == 1) r->temperature = 1.0f;
        if (i % 4 == 2) {
            r->temperature = 0.8f;
            r->top_p = 0.95f;
        }
        if (i % 8 == 3) {
            r->temperature = 1.2f;
            r->top_k = 50;
            r->min_p = 0.02f;
        }
        if (i % 3 == 1) {
            r->repetition_penalty = 1.3f;
            r->presence_penalty = 0.4f;
            r->frequency_penalty = 0.6f;
        }
        if (i % 5 == 2) {
            r->logit_bias = &g->bias[i];
            r->logit_bias_n = 1;
        }
    }
}

/* Runs all requests on one engine, one by one or at once. */
static void run_all(quire_model *model, const struct quire_engine_settings *settings,
                    const struct given *g, bool together, struct answer **answers,
                    uint64_t *preemptions)
{
    quire_engine *engine = start_with(settings, model);
    struct quire_stats stats = {.size = sizeof stats};

    for (uint32_t i = 0; i < CROWD; i++) {
        answers[i] = submit(engine, g->requests[i]);
        if (!together) gather(engine, 1);
    }
    if (together) gather(engine, CROWD);
    quire_stats(engine, &stats);
    if (preemptions) *preemptions = stats.preemptions;
    stop_and_free(engine);
}

static void assert_all_same(struct answer *const *a, struct answer *const *b)
{
    for (uint32_t i = 0; i < CROWD; i++) {
        assert_int_equal(a[i]->kind, QUIRE_EVENT_DONE);
        assert_same(a[i], b[i]);
    }
}

static void free_all(struct answer **answers)
{
    for (uint32_t i = 0; i < CROWD; i++)
        free(answers[i]);
}

static void invariance(quire_model *model, uint32_t vocab_n, uint32_t kv_type, uint64_t tight_bytes)
{
    struct quire_engine_settings settings = engine_settings();
    struct given *g = calloc(1, sizeof *g);
    struct answer *alone[CROWD], *other[CROWD];
    uint64_t preemptions = 0;

    make_requests(g, vocab_n);
    settings.kv_type = kv_type;
    settings.threads = 1;
    run_all(model, &settings, g, false, alone, NULL);

    settings.threads = 2;
    run_all(model, &settings, g, true, other, NULL);
    assert_all_same(alone, other);
    free_all(other);

    settings.prefill_chunk = 16;
    run_all(model, &settings, g, true, other, NULL);
    assert_all_same(alone, other);
    free_all(other);

    settings.prefill_chunk = 7;
    settings.page_tokens = 16;
    settings.threads = 1;
    settings.target_itl_ms = vocab_n == 1024 ? 1 : 30; /* chunks that depend on the clock */
    run_all(model, &settings, g, true, other, NULL);
    assert_all_same(alone, other);
    free_all(other);
    settings.target_itl_ms = 0;

    /* Pages for a few sequences only: some are preempted and computed again. */
    settings.prefill_chunk = 0;
    settings.threads = 2;
    settings.kv_memory_bytes = tight_bytes;
    run_all(model, &settings, g, true, other, &preemptions);
    assert_all_same(alone, other);
    assert_true(preemptions > 0);
    free_all(other);

    free_all(alone);
    free(g);
}

static void tiny_f16(void **state)
{
    quire_model *model = open_model(TINY);

    (void)state;
    invariance(model, 1024, QUIRE_KV_F16, 512 << 10);
    quire_model_close(model);
}

static void tiny_f32(void **state)
{
    quire_model *model = open_model(TINY);

    (void)state;
    invariance(model, 1024, QUIRE_KV_F32, 1 << 20);
    quire_model_close(model);
}

static void tiny_bf16(void **state)
{
    quire_model *model = open_model(TINY);

    (void)state;
    invariance(model, 1024, QUIRE_KV_BF16, 512 << 10);
    quire_model_close(model);
}

static void tiny_q8(void **state)
{
    quire_model *model = open_model(TINY);

    (void)state;
    invariance(model, 1024, QUIRE_KV_Q8, 288 << 10);
    quire_model_close(model);
}

static void smollm2_f16(void **state)
{
    const char *path = smollm2_unless_tsan();

    (void)state;
    if (!path) skip();
    quire_model *model = open_model(path);
    invariance(model, 49152, QUIRE_KV_F16, (uint64_t)10 << 20);
    quire_model_close(model);
}

/* Goal: a request without a seed is random, one with a seed is not.
 * Method: run each twice. */
static void only_seeded_requests_repeat(void **state)
{
    quire_model *model = open_model(TINY);
    quire_engine *engine = start(model);
    int32_t prompt[] = {1, 2};
    struct quire_request r = greedy(prompt, 2, 40);

    (void)state;
    r.temperature = 1.5f;
    struct answer *a = run(engine, r), *b = run(engine, r);
    assert_memory_not_equal(a->ids, b->ids, 40 * sizeof a->ids[0]);
    free(a);
    free(b);
    r.flags |= QUIRE_REQUEST_SEEDED;
    a = run(engine, r);
    b = run(engine, r);
    assert_same(a, b);
    free(a);
    free(b);
    stop_and_free(engine);
    quire_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiny_f16),    cmocka_unit_test(tiny_f32),
        cmocka_unit_test(tiny_bf16),   cmocka_unit_test(tiny_q8),
        cmocka_unit_test(smollm2_f16), cmocka_unit_test(only_seeded_requests_repeat),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
