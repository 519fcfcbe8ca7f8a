/* SPDX-License-Identifier: MIT */
/* A model with a sliding window releases the pages that left the window, and its answers have the
 * same bits.  mistral-tiny's window is 64 tokens. */
#include "support/engine.h"

#define WINDOWED QUIRE_TEST_DATA "/mistral-tiny.f16.gguf"

/* ONE: the most pages that a sequence holds at once. */
enum { VOCAB = 1024, LONG = 1100, MANY = 900, HELD_MAX = 6, ONE = 5, CROWD = 12, PREFIX = 260 };

static int32_t prompts[CROWD][LONG];

static struct quire_stats stats_of(const quire_engine *engine)
{
    struct quire_stats stats = {.size = sizeof stats};

    quire_stats(engine, &stats);
    return stats;
}

/* Random ids; all begin with the same PREFIX. */
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

/* Goal: 2,000 tokens with a window of 64 hold at most 6 pages of 32 tokens, by the figures at every
 * token, with and without a cache, in pools of 63 and of 5 pages.  The bits are the same.  Released
 * pages are cached and found again; in the small pool the window's pages suffice.
 * Method: a prompt of 1,100 tokens and an answer of 900; again, from the cache. */
static void long_answers_hold_few_pages(void **state)
{
    struct answer *first = NULL;
    uint64_t page_bytes = 0;

    for (uint32_t way = 0; way < 4; way++) {
        struct quire_engine_settings settings = settings_for(way % 2);
        if (way >= 2) settings.kv_memory_bytes = ONE * page_bytes;
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
        page_bytes = stats_of(engine).page_bytes;
        if (way == 1) assert_int_equal(stats_of(engine).pages_cached, (LONG + MANY - 1 + 31) / 32);
        if (way % 2) {
            struct answer *again = run(engine, request);
            if (way == 1) assert_int_equal(again->usage.cached_tokens, LONG - 1);
            assert_same(again, first);
            free(again);
        }
        if (way == 3) { /* the window's pages suffice to find the answer's end */
            static int32_t whole[LONG + MANY];
            memcpy(whole, prompts[0], LONG * sizeof whole[0]);
            for (uint32_t i = 0; i < MANY; i++)
                whole[LONG + i] = first->ids[i].token;
            struct answer *last = run(engine, greedy(whole, LONG + MANY, 1));
            assert_int_equal(last->usage.cached_tokens, LONG + MANY - 1);
            free(last);
        }
        if (!first)
            first = answer;
        else
            free(answer);
        stop_and_free(engine);
    }
    free(first);
}

/* Requests with a common prefix and different lengths, sampling and choices. */
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

static struct answer *fork_of(quire_engine *engine, const struct answer *parent, uint64_t seed)
{
    struct quire_request request = greedy(NULL, 0, 150);
    struct answer *child = calloc(1, sizeof *child);
    struct quire_error error;

    request.temperature = 1;
    request.seed = seed;
    request.flags |= QUIRE_REQUEST_SEEDED;
    request.logprobs = 2;
    request.user = child;
    if (quire_fork(engine, parent->id, 0, &request, &child->id, &error)) fail_msg("%s", error.text);
    return child;
}

/* Goal: a fork of an answer that released most of its pages has the bits of a request with the
 * tokens known by then, and the parent's bits do not change. Method: forks of a long answer in a
 * pool of 20 pages, with and without a cache; each again alone in an engine without one. */
static void forks_are_requests_alone(void **state)
{
    struct quire_engine_settings settings = settings_for(false);
    quire_engine *own = start_with(&settings, *state);
    struct quire_request request = greedy(prompts[0], 300, MANY);
    struct answer *expected = run(own, request);
    uint64_t page_bytes = stats_of(own).page_bytes;

    for (uint32_t cached = 0; cached < 2; cached++) {
        struct answer *parent, *children[3];
        settings = settings_for(cached);
        settings.kv_memory_bytes = 20 * page_bytes;
        quire_engine *engine = start_with(&settings, *state);
        parent = submit(engine, request);
        for (uint32_t i = 0; i < 3; i++) {
            uint64_t steps = stats_of(engine).steps;
            while (stats_of(engine).steps < steps + 50)
                usleep(100);
            children[i] = fork_of(engine, parent, i);
        }
        gather(engine, 4);
        assert_same(parent, expected);
        for (uint32_t i = 0; i < 3; i++) {
            static int32_t ids[300 + MANY];
            uint32_t known_n = children[i]->usage.prompt_tokens;
            struct quire_request as = greedy(ids, known_n, 150);
            assert_in_range(known_n, 300, 300 + MANY);
            memcpy(ids, prompts[0], 300 * sizeof ids[0]);
            for (uint32_t k = 0; 300 + k < known_n; k++)
                ids[300 + k] = parent->ids[k].token;
            as.temperature = 1;
            as.seed = i;
            as.flags |= QUIRE_REQUEST_SEEDED;
            as.logprobs = 2;
            struct answer *alone = run(own, as);
            assert_same(children[i], alone);
            free(alone);
            free(children[i]);
        }
        free(parent);
        stop_and_free(engine);
    }
    free(expected);
    stop_and_free(own);
}

/* Goal: alone, in a batch, cached, chunked, evicted, preempted and as one of several choices: the
 * same bits. Method: an engine without a cache answers one by one; compare the others, some with
 * few pages, with `==`. */
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
        if (way) settings.kv_memory_bytes = page_bytes * (way == 3 ? 8 : 25);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_answers_hold_few_pages),
        cmocka_unit_test(same_bits_whatever_is_let_go),
        cmocka_unit_test(forks_are_requests_alone),
    };

    return cmocka_run_group_tests(tests, setup, close_model);
}
