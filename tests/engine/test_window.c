/* SPDX-License-Identifier: MIT */
/* A model with a sliding window gives back the pages that its sequences have left behind, and
 * answers with the same bits as ever.  mistral-tiny's window is 64 tokens. */
#include "engine/support.h"

#define WINDOWED QUIRE_TEST_DATA "/mistral-tiny.f16.gguf"

enum { VOCAB = 1024, LONG = 1100, MANY = 900, HELD_MAX = 6, CROWD = 12, PREFIX = 260 };

static int32_t prompts[CROWD][LONG];

static struct quire_stats stats_of(const quire_engine *engine)
{
    struct quire_stats stats = {.size = sizeof stats};

    quire_stats(engine, &stats);
    return stats;
}

/* Any ids; all begin with the same PREFIX. */
static void draw_prompts(void)
{
    unsigned seed = 5;

    for (uint32_t i = 0; i < CROWD; i++)
        for (uint32_t t = 0; t < LONG; t++)
            prompts[i][t] = i > 0 && t < PREFIX ? prompts[0][t] : rand_r(&seed) % VOCAB;
}

static struct quire_engine_settings settings_for(bool cached)
{
    struct quire_engine_settings settings = engine_settings();

    settings.no_prefix_cache = !cached;
    return settings;
}

/* Goal: 2,000 tokens with a window of 64 hold at most 6 pages of 32 tokens, as the figures tell it
 * at every token, with and without a prefix cache; and the bits are the same.  What is left behind
 * is cached, and found again. Method: a prompt of 1,100 tokens and an answer of 900; again, from
 * the cache. */
static void long_answers_hold_few_pages(void **state)
{
    struct answer *first = NULL;

    for (uint32_t cached = 0; cached < 2; cached++) {
        struct quire_engine_settings settings = settings_for(cached);
        quire_engine *engine = start_with(&settings, *state);
        struct quire_request request = greedy(prompts[0], LONG, MANY);
        struct quire_event event;
        request.logprobs = 3;
        struct answer *answer = submit(engine, request);
        while (answer->terminals_n == 0) {
            assert_int_equal(quire_wait(engine, &event, WAIT_MS), 1);
            assert_true(stats_of(engine).pages_held <= HELD_MAX);
            take(&event);
        }
        assert_int_equal(answer->ids_n, MANY);
        if (first) assert_same(answer, first);
        if (cached) {
            assert_int_equal(stats_of(engine).pages_cached, (LONG + MANY - 1 + 31) / 32);
            struct answer *again = run(engine, request);
            assert_int_equal(again->usage.cached_tokens, LONG - 1);
            assert_same(again, first);
            free(again);
            free(answer);
        }
        if (!first) first = answer;
        stop_and_free(engine);
    }
    free(first);
}

/* Requests that have a prefix in common, and part in length, sampling and choices. */
static struct quire_request request_of(uint32_t i)
{
    struct quire_request request = greedy(prompts[i], 200 + 35 * i, 60 + 9 * i);

    request.logprobs = 2;
    request.seed = i;
    request.flags |= QUIRE_REQUEST_SEEDED;
    if (i % 3 == 1) request.temperature = 1;
    if (i % 4 == 1) request.n = 3;
    return request;
}

/* Goal: alone and cold, in a crowd, from the cache, chunked, evicted, preempted and as one of
 * several choices: the same bits.
 * Method: an engine without a cache answers one by one; the others, some with few pages, are
 * compared with `==`. */
static void same_bits_whatever_is_let_go(void **state)
{
    struct quire_engine_settings settings = settings_for(false);
    quire_engine *cold = start_with(&settings, *state);
    struct answer *expected[CROWD][3];
    uint64_t preemptions = 0, evictions = 0;

    for (uint32_t i = 0; i < CROWD; i++)
        for (uint32_t choice = 0; choice < (request_of(i).n ? request_of(i).n : 1); choice++) {
            struct quire_request request = request_of(i);
            request.n = 0;
            request.seed += choice;
            expected[i][choice] = run(cold, request);
        }
    uint64_t page_bytes = stats_of(cold).page_bytes;
    stop_and_free(cold);

    for (uint32_t way = 0; way < 4; way++) {
        struct answer *answers[CROWD];
        uint32_t choices_n = 0;
        settings = settings_for(way != 1);
        if (way == 2) settings.prefill_chunk = 19;
        if (way) settings.kv_memory_bytes = page_bytes * 25; /* the longest request's, and one */
        quire_engine *engine = start_with(&settings, *state);
        for (uint32_t i = 0; i < CROWD; i++) {
            answers[i] = submit(engine, request_of(i));
            choices_n += request_of(i).n ? request_of(i).n : 1;
        }
        gather(engine, choices_n);
        for (uint32_t i = 0; i < CROWD; i++) {
            for (uint32_t choice = 0; choice < (request_of(i).n ? request_of(i).n : 1); choice++)
                assert_same(&answers[i][choice], expected[i][choice]);
            free(answers[i]);
        }
        preemptions += stats_of(engine).preemptions;
        evictions += stats_of(engine).page_evictions;
        stop_and_free(engine);
    }
    assert_true(preemptions > 0 && evictions > 0);
    for (uint32_t i = 0; i < CROWD; i++)
        for (uint32_t choice = 0; choice < (request_of(i).n ? request_of(i).n : 1); choice++)
            free(expected[i][choice]);
}

static int setup(void **state)
{
    draw_prompts();
    *state = open_model(WINDOWED);
    return 0;
}

static int teardown(void **state)
{
    quire_model_close(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_answers_hold_few_pages),
        cmocka_unit_test(same_bits_whatever_is_let_go),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
