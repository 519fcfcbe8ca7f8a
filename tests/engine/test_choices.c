/* SPDX-License-Identifier: MIT */
/* n, best_of and quire_fork: choices and forks share pages, and have the bits of single requests.
 */
#include "support/engine.h"

#define CHOICES_MAX 8u

static int32_t prompt[ANSWER_MAX];

static quire_engine *start_small(quire_model *model, uint64_t kv_bytes, uint32_t running_max,
                                 bool no_cache)
{
    struct quire_engine_settings settings = engine_settings();

    settings.kv_memory_bytes = kv_bytes;
    settings.running_max = running_max;
    settings.step_tokens = 128;
    settings.no_prefix_cache = no_cache;
    return start_with(&settings, model);
}

static uint64_t bytes_of_pages(quire_model *model, uint32_t pages_n)
{
    struct quire_stats stats = {.size = sizeof stats};
    quire_engine *engine = start(model);

    quire_stats(engine, &stats);
    quire_engine_free(engine);
    return stats.page_bytes * pages_n;
}

/* Draws at temperature 1 with penalties and logprobs, n choices. */
static struct quire_request drawn(uint32_t prompt_n, uint32_t max_tokens, uint64_t seed, uint32_t n)
{
    struct quire_request request = greedy(prompt, prompt_n, max_tokens);

    request.temperature = 1;
    request.seed = seed;
    request.flags |= QUIRE_REQUEST_SEEDED;
    request.logprobs = 3;
    request.repetition_penalty = 1.1f;
    request.presence_penalty = 0.5f;
    request.frequency_penalty = 0.3f;
    request.n = n;
    return request;
}

/* Runs choice i as a single request in an engine without a prefix cache. */
static struct answer *alone(quire_engine *engine, struct quire_request request, uint32_t i)
{
    request.seed += i;
    request.n = request.best_of = 0;
    return run(engine, request);
}

static struct quire_stats stats_of(quire_engine *engine)
{
    struct quire_stats stats = {.size = sizeof stats};

    quire_stats(engine, &stats);
    return stats;
}

/* Goal: choice i has the bits of a single request with seed + i.  The prompt is computed and
 * counted once, and all choices but one copy its last page. Method: prompts that end inside a page,
 * at its edge and one past it, with and without a prefix cache; compare with single requests in an
 * engine without one. */
static void choices_are_requests_alone(void **state)
{
    quire_engine *own = start_small(*state, 64 << 20, 8, true);

    for (uint32_t i = 0; i < 10; i++) {
        static const uint32_t lengths[] = {1, 31, 32, 33, 100};
        uint32_t prompt_n = lengths[i / 2], n = CHOICES_MAX;
        quire_engine *engine = start_small(*state, 64 << 20, 8, i % 2);
        struct quire_request request = drawn(prompt_n, 40, 7 + i, n);
        struct answer *answers = submit(engine, request);
        gather(engine, n);
        struct quire_stats stats = stats_of(engine);

        for (uint32_t j = 0; j < n; j++) {
            struct answer *answer = alone(own, request, j);
            assert_same(&answers[j], answer);
            assert_int_equal(answers[j].usage.prompt_tokens, prompt_n);
            assert_int_equal(answers[j].ids_n, 40);
            free(answer);
        }
        assert_memory_not_equal(answers[0].ids, answers[1].ids, 40 * sizeof answers[0].ids[0]);
        assert_int_equal(stats.prompt_tokens, prompt_n);
        assert_int_equal(stats.computed_tokens, prompt_n + n * 39);
        assert_int_equal(stats.page_copies, prompt_n % 32 ? n - 1 : 0);
        free(answers);
        stop_and_free(engine);
    }
    stop_and_free(own);
}

/* Goal: greedy choices are equal.
 * Method: four greedy choices of 30 tokens. */
static void greedy_choices_are_equal(void **state)
{
    quire_engine *engine = start(*state);
    struct quire_request request = greedy(prompt, 45, 30);

    request.n = 4;
    struct answer *answers = submit(engine, request);
    gather(engine, 4);
    for (uint32_t i = 1; i < 4; i++)
        assert_same(&answers[i], &answers[0]);
    free(answers);
    stop_and_free(engine);
}

/* Goal: preempted choices have the same bits.
 * Method: 6 choices of 100 + 90 tokens in a pool for two of them. */
static void preempted_choices_are_the_same(void **state)
{
    quire_engine *own = start_small(*state, 64 << 20, 8, true);

    for (uint32_t no_cache = 0; no_cache < 2; no_cache++) {
        quire_engine *engine = start_small(*state, bytes_of_pages(*state, 12), 8, no_cache);
        struct quire_request request = drawn(100, 90, 11, 6);
        struct answer *answers = submit(engine, request);

        gather(engine, 6);
        assert_true(stats_of(engine).preemptions > 0);
        for (uint32_t i = 0; i < 6; i++) {
            struct answer *answer = alone(own, request, i);
            assert_same(&answers[i], answer);
            free(answer);
        }
        free(answers);
        stop_and_free(engine);
    }
    stop_and_free(own);
}

static double sum_of(const struct answer *answer)
{
    double sum = 0;

    for (uint32_t i = 0; i < answer->ids_n; i++)
        sum += (double)answer->ids[i].logprob;
    return sum;
}

/* Goal: best_of returns the n with the highest cumulative logprobs, best first.
 * Method: generate all eight; then the best three of eight, with and without logprobs. */
static void best_of_gives_the_likeliest(void **state)
{
    quire_engine *engine = start(*state);
    struct quire_request request = drawn(40, 20, 5, 8);
    struct answer *all = submit(engine, request);

    gather(engine, 8);
    for (uint32_t hidden = 0; hidden < 2; hidden++) {
        bool given[8] = {false};
        request.n = 3;
        request.best_of = 8;
        request.logprobs = hidden ? -1 : 3;
        struct answer *best = submit(engine, request);
        gather(engine, 3);
        for (uint32_t i = 0; i < 3; i++) {
            uint32_t which = 8;
            for (uint32_t j = 0; j < 8; j++)
                if (!given[j] && (which == 8 || sum_of(&all[j]) > sum_of(&all[which]))) which = j;
            given[which] = true;
            assert_int_equal(best[i].text_n, all[which].text_n);
            assert_memory_equal(best[i].text, all[which].text, all[which].text_n);
            if (!hidden) assert_same(&best[i], &all[which]);
            if (hidden) assert_true(isnan(best[i].ids[0].logprob) && best[i].ids[0].top_n == 0);
        }
        free(best);
    }
    free(all);
    stop_and_free(engine);
}

/* Goal: each choice has the prompt's scores before its tokens, also with max_tokens 0.
 * Method: 0, 4 and 8 tokens of three choices; compare with single requests. */
static void each_choice_has_the_scores(void **state)
{
    quire_engine *engine = start(*state);

    for (uint32_t max_tokens = 0; max_tokens <= 8; max_tokens += 4) {
        struct quire_request request = drawn(200, max_tokens, 5, 3);
        request.flags |= QUIRE_REQUEST_PROMPT_LOGPROBS;
        struct answer *answers = submit(engine, request);
        gather(engine, 3);
        for (uint32_t i = 0; i < 3; i++) {
            struct answer *answer = alone(engine, request, i);
            assert_int_equal(answers[i].prompt_n, 200);
            assert_int_equal(answers[i].finish, QUIRE_FINISH_LENGTH);
            assert_same(&answers[i], answer);
            free(answer);
        }
        free(answers);
    }
    stop_and_free(engine);
}

/* Goal: a cancel ends all choices, each with one event, at any time.
 * Method: cancel after 0 to 5 steps, with and without best_of. */
static void cancel_ends_every_choice(void **state)
{
    quire_engine *engine = start(*state);

    for (uint32_t steps = 0; steps < 6; steps++) {
        struct quire_request request = drawn(700, 300, 1, 5);
        request.best_of = steps % 2 ? 6 : 0;
        struct answer *answers = submit(engine, request);
        uint64_t before = stats_of(engine).steps;
        while (steps > 0 && stats_of(engine).steps < before + steps)
            usleep(100);
        assert_int_equal(quire_cancel(engine, answers[0].id), QUIRE_OK);
        gather(engine, 5);
        for (uint32_t i = 0; i < 5; i++)
            assert_int_equal(answers[i].finish, QUIRE_FINISH_CANCELLED);
        assert_int_equal(quire_cancel(engine, answers[0].id), QUIRE_NOT_FOUND);
        assert_empty(engine);
        free(answers);
    }
    stop_and_free(engine);
}

static int refusal(quire_engine *engine, struct quire_request request, struct quire_error *error)
{
    quire_id id;
    int status = quire_submit(engine, &request, &id, error);

    assert_int_equal(id, 0);
    return status;
}

/* Goal: more choices than can run at once are refused by field, with the number that can.
 * Method: n and best_of above the limit and above running_max, best_of below n, too many tokens. */
static void too_many_choices_are_refused(void **state)
{
    quire_engine *engine = start_small(*state, 64 << 20, 4, false);
    struct quire_request request = drawn(8, 4, 1, 129);
    struct quire_error error;

    assert_int_equal(refusal(engine, request, &error), QUIRE_INVALID);
    assert_string_equal(error.field, "n");
    request.n = 5;
    assert_int_equal(refusal(engine, request, &error), QUIRE_INVALID);
    assert_string_equal(error.field, "n");
    assert_non_null(strstr(error.text, "at most 4"));
    request.n = 3;
    request.best_of = 2;
    assert_int_equal(refusal(engine, request, &error), QUIRE_INVALID);
    assert_string_equal(error.field, "best_of");
    request.best_of = 5;
    assert_int_equal(refusal(engine, request, &error), QUIRE_INVALID);
    assert_string_equal(error.field, "best_of");
    request.best_of = 0;
    request.max_tokens = 100000;
    assert_int_equal(refusal(engine, request, &error), QUIRE_TOO_LONG);
    assert_string_equal(error.field, "max_tokens");
    assert_non_null(strstr(error.text, "at most"));
    stop_and_free(engine);
}

/* Goal: n choices take n places in the queue, all or none.
 * Method: 4 run and 3 wait in a queue of 4; then two do not fit, and one does. */
static void choices_wait_together(void **state)
{
    struct quire_engine_settings settings = engine_settings();
    struct quire_error error;

    settings.running_max = 4;
    settings.waiting_max = 4;
    quire_engine *engine = start_with(&settings, *state);
    struct answer *running = submit(engine, drawn(40, 900, 1, 4)), *three, *one;

    while (stats_of(engine).running < 4)
        usleep(100);
    three = submit(engine, drawn(40, 4, 2, 3));
    assert_int_equal(refusal(engine, drawn(40, 4, 3, 2), &error), QUIRE_QUEUE_FULL);
    one = submit(engine, drawn(40, 4, 4, 1));
    assert_int_equal(stats_of(engine).waiting, 4);
    assert_int_equal(quire_cancel(engine, running[0].id), QUIRE_OK);
    gather(engine, 8);
    assert_int_equal(three[2].ids_n, 4);
    assert_int_equal(one->ids_n, 4);
    free(running);
    free(three);
    free(one);
    stop_and_free(engine);
}

/* The tokens that the parent had at the fork, as a prompt. */
static struct answer *alone_from(quire_engine *own, const struct answer *parent,
                                 uint32_t parent_prompt_n, const struct answer *child,
                                 struct quire_request request)
{
    static int32_t ids[2 * ANSWER_MAX];
    uint32_t known_n = child->usage.prompt_tokens;

    assert_in_range(known_n, parent_prompt_n, parent_prompt_n + parent->ids_n);
    memcpy(ids, prompt, parent_prompt_n * sizeof ids[0]);
    for (uint32_t i = 0; parent_prompt_n + i < known_n; i++)
        ids[parent_prompt_n + i] = parent->ids[i].token;
    request.prompt = ids;
    request.prompt_n = known_n;
    return run(own, request);
}

static struct answer *fork_of(quire_engine *engine, const struct answer *parent, uint32_t choice,
                              struct quire_request request)
{
    struct answer *answer = calloc(request.n ? request.n : 1, sizeof *answer);
    struct quire_error error;

    request.user = answer;
    request.prompt = NULL;
    request.prompt_n = 0;
    if (quire_fork(engine, parent->id, choice, &request, &answer->id, &error))
        fail_msg("%s", error.text);
    return answer;
}

/* Goal: a fork has the bits of a request with its parent's tokens as prompt, and the parent's bits
 * do not change, with and without a cache. Method: fork two choices at many positions; one fork has
 * two choices. */
static void forks_are_requests_alone(void **state)
{
    quire_engine *own = start_small(*state, 64 << 20, 8, true);

    for (uint32_t no_cache = 0; no_cache < 2; no_cache++) {
        quire_engine *engine = start_small(*state, 64 << 20, 8, no_cache);
        struct quire_request request = drawn(50, 900, 21, 2), forked = drawn(0, 24, 77, 1);
        struct answer *parents = submit(engine, request), *children[6];
        uint32_t in_middle_n = 0;

        for (uint32_t i = 0; i < 6; i++) {
            uint64_t steps = stats_of(engine).steps;
            while (stats_of(engine).steps < steps + 9)
                usleep(100);
            forked.n = i == 3 ? 2 : 1;
            children[i] = fork_of(engine, &parents[i % 2], i % 2, forked);
        }
        gather(engine, 2 + 7);
        for (uint32_t i = 0; i < 6; i++) {
            for (uint32_t j = 0; j < (i == 3 ? 2u : 1u); j++) {
                struct quire_request as = forked;
                as.n = 1;
                as.seed += j;
                struct answer *answer = alone_from(own, &parents[i % 2], 50, &children[i][j], as);
                assert_same(&children[i][j], answer);
                free(answer);
            }
            in_middle_n += children[i]->usage.prompt_tokens > 51;
            free(children[i]);
        }
        assert_true(in_middle_n > 0);
        /* A fork computes only the tokens that it generates. */
        assert_int_equal(stats_of(engine).computed_tokens, 50 + 2 * 899 + 7 * 24);
        for (uint32_t i = 0; i < 2; i++) {
            struct answer *answer = alone(own, request, i);
            assert_same(&parents[i], answer);
            free(answer);
        }
        free(parents);
        stop_and_free(engine);
    }
    stop_and_free(own);
}

/* Takes events until this answer has ended. */
static void gather_one(quire_engine *engine, const struct answer *answer)
{
    struct quire_event event;

    while (!answer->terminals_n) {
        if (quire_wait(engine, &event, WAIT_MS) != 1) fail_msg("no event in %d ms", WAIT_MS);
        take(&event);
    }
}

/* Goal: an impossible fork ends with its reason.
 * Method: forks with a prompt, with a salt, of unknown and ended parents, of a choice that does not
 * exist, and a too long one. */
static void impossible_forks_say_why(void **state)
{
    quire_engine *engine = start(*state);
    struct quire_request request = drawn(50, 900, 1, 1), forked = drawn(8, 4, 1, 1);
    struct answer *parent = submit(engine, request), *child;
    struct quire_error error;
    quire_id id;

    assert_int_equal(quire_fork(engine, parent->id, 0, &forked, &id, &error), QUIRE_INVALID);
    assert_string_equal(error.field, "prompt");
    forked.prompt = NULL;
    forked.prompt_n = 0;
    forked.cache_salt = (struct quire_text){"a", 1};
    assert_int_equal(quire_fork(engine, parent->id, 0, &forked, &id, &error), QUIRE_INVALID);
    assert_string_equal(error.field, "cache_salt");
    forked.cache_salt.n = 0;
    assert_int_equal(quire_fork(engine, parent->id + 1, 0, &forked, &id, &error), QUIRE_NOT_FOUND);
    forked.max_tokens = stats_of(engine).context_max;
    child = fork_of(engine, parent, 0, forked);
    gather_one(engine, child);
    assert_int_equal(child->kind, QUIRE_EVENT_ERROR);
    assert_int_equal(child->status, QUIRE_TOO_LONG);
    free(child);
    forked.max_tokens = 4;
    child = fork_of(engine, parent, 1, forked); /* it has no choice 1 */
    gather_one(engine, child);
    assert_int_equal(child->status, QUIRE_NOT_FOUND);
    free(child);
    assert_int_equal(quire_cancel(engine, parent->id), QUIRE_OK);
    gather(engine, 1);
    assert_int_equal(quire_fork(engine, parent->id, 0, &forked, &id, &error), QUIRE_NOT_FOUND);
    free(parent);
    stop_and_free(engine);
}

/* Goal: a stop string ends the choice that contains it, and no other.
 * Method: a stop string from one choice's text that the other texts lack. */
static void each_choice_stops_by_itself(quire_engine *engine)
{
    struct quire_request request = drawn(33, 60, 3, 4);
    struct answer *whole = submit(engine, request), *answers;
    uint32_t stopped_n = 0;

    gather(engine, 4);
    struct quire_text stop = {whole[2].text + whole[2].text_n / 2, 3};
    while (stop.data[0] < 1 || stop.data[1] < 1 || stop.data[2] < 1) /* not whole characters */
        stop.data++;
    request.stop = &stop;
    request.stop_n = 1;
    answers = submit(engine, request);
    gather(engine, 4);
    for (uint32_t i = 0; i < 4; i++) {
        struct answer *answer = alone(engine, request, i);
        assert_same(&answers[i], answer);
        assert_string_equal(answers[i].stop, answer->stop);
        stopped_n += answers[i].finish == QUIRE_FINISH_STOP;
        free(answer);
    }
    assert_int_equal(answers[2].finish, QUIRE_FINISH_STOP);
    assert_in_range(stopped_n, 1, 3);
    free(whole);
    free(answers);
}

/* Goal: choices and forks of a real model have the bits of single requests.
 * Method: SmolLM2, 4 choices of 30 tokens and a fork of one of them. */
static void smollm2_choices_are_requests_alone(void **state)
{
    const char *path = smollm2_unless_tsan();

    (void)state;
    if (!path) skip();
    quire_model *model = open_model(path);
    quire_engine *engine = start(model), *own = start_small(model, 64 << 20, 8, true);
    struct quire_request request = drawn(45, 30, 9, 4), forked = drawn(0, 10, 5, 1);
    struct answer *answers = submit(engine, request), *child;

    while (stats_of(engine).steps < 5)
        usleep(1000);
    child = fork_of(engine, answers, 2, forked);
    gather(engine, 5);
    for (uint32_t i = 0; i < 4; i++) {
        struct answer *answer = alone(own, request, i);
        assert_same(&answers[i], answer);
        free(answer);
    }
    struct answer *answer = alone_from(own, &answers[2], 45, child, forked);
    assert_same(child, answer);
    free(answer);
    free(child);
    free(answers);
    each_choice_stops_by_itself(engine);
    stop_and_free(own);
    stop_and_free(engine);
    quire_model_close(model);
}

static int setup(void **state)
{
    for (uint32_t i = 0; i < ANSWER_MAX; i++)
        prompt[i] = (int32_t)(3 + (i * 37 + i / 7) % 250);
    return open_tiny(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(choices_are_requests_alone),
        cmocka_unit_test(greedy_choices_are_equal),
        cmocka_unit_test(preempted_choices_are_the_same),
        cmocka_unit_test(best_of_gives_the_likeliest),
        cmocka_unit_test(each_choice_has_the_scores),
        cmocka_unit_test(cancel_ends_every_choice),
        cmocka_unit_test(too_many_choices_are_refused),
        cmocka_unit_test(choices_wait_together),
        cmocka_unit_test(forks_are_requests_alone),
        cmocka_unit_test(impossible_forks_say_why),
        cmocka_unit_test(smollm2_choices_are_requests_alone),
    };

    return cmocka_run_group_tests(tests, setup, close_model);
}
