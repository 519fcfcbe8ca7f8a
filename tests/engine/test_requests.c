/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "support/engine.h"

static const int32_t one[] = {1};

/* ---- validation --------------------------------------------------------------------------- */

static void refused(quire_engine *engine, const struct quire_request *request, int status,
                    const char *field)
{
    struct quire_error error;
    quire_id id = 77;

    assert_int_equal(quire_submit(engine, request, &id, &error), status);
    assert_int_equal(id, 0);
    assert_int_equal(error.status, status);
    assert_string_equal(error.field, field);
    assert_true(strlen(error.text) > 10);
    assert_null(strchr(error.text, '\n'));
}

/* Goal: a field out of range is refused by the name that OpenAI and vLLM use.
 * Method: a good request with one field made bad. */
static void bad_fields_are_named(void **state)
{
    quire_engine *engine = start(*state);
    const struct quire_request good = greedy(one, 1, 4);
    struct quire_request r;

#define BAD(field, name, value)                                                                    \
    do {                                                                                           \
        r = good;                                                                                  \
        r.field = value;                                                                           \
        refused(engine, &r, QUIRE_INVALID, name);                                                  \
    } while (0)
    BAD(size, "size", 0);
    BAD(prompt, "prompt", NULL);
    BAD(cache_salt, "cache_salt", ((struct quire_text){NULL, 3}));
    BAD(cache_salt, "cache_salt", ((struct quire_text){"long", 1089}));
    BAD(client, "client", ((struct quire_text){NULL, 3}));
    BAD(end_user, "end_user", ((struct quire_text){NULL, 3}));
    BAD(prompt_n, "prompt", 0);
    BAD(max_tokens, "max_tokens", 0);
    BAD(min_tokens, "min_tokens", 5);
    BAD(temperature, "temperature", -0.1f);
    BAD(temperature, "temperature", NAN);
    BAD(temperature, "temperature", INFINITY);
    BAD(top_p, "top_p", 0.0f);
    BAD(top_p, "top_p", 1.1f);
    BAD(top_p, "top_p", NAN);
    BAD(min_p, "min_p", -0.1f);
    BAD(min_p, "min_p", 1.5f);
    BAD(top_k, "top_k", -2);
    BAD(repetition_penalty, "repetition_penalty", -0.5f);
    BAD(repetition_penalty, "repetition_penalty", INFINITY);
    BAD(repetition_penalty, "repetition_penalty", NAN);
    BAD(frequency_penalty, "frequency_penalty", 2.1f);
    BAD(frequency_penalty, "frequency_penalty", NAN);
    BAD(presence_penalty, "presence_penalty", -2.1f);
    BAD(logit_bias_n, "logit_bias", 1);
    BAD(logprobs, "logprobs", 21);
    BAD(logprobs, "logprobs", -2);
    BAD(flags, "flags", 64);
    BAD(stop_n, "stop", 1);
    BAD(stop_ids_n, "stop_token_ids", 1);
#undef BAD
    refused(engine, NULL, QUIRE_INVALID, "");
    assert_int_equal(quire_submit(engine, &good, NULL, NULL), QUIRE_INVALID);
    stop_and_free(engine);
}

/* Goal: a bad element of an array, or an array that is too long, is refused by the field's name.
 * Method: a good request with one bad array. */
static void bad_arrays_are_named(void **state)
{
    quire_engine *engine = start(*state);
    const struct quire_request good = greedy(one, 1, 4);
    struct quire_request r = good;
    int32_t outside[] = {1, 5, 1024}, negative[] = {-1}, many[65] = {0};
    struct quire_text text = {"x", 1};
    static const struct quire_logit_bias biases[301] = {{1, 100.1f}, {1, NAN}, {1024, 1.0f}};

    r.logit_bias = biases;
    r.logit_bias_n = 301;
    refused(engine, &r, QUIRE_INVALID, "logit_bias");
    for (int i = 0; i < 3; i++) { /* too great, not a number, no token */
        r.logit_bias = biases + i;
        r.logit_bias_n = 1;
        refused(engine, &r, QUIRE_INVALID, "logit_bias");
    }
    r = good;
    r.prompt = outside;
    r.prompt_n = 3;
    refused(engine, &r, QUIRE_INVALID, "prompt");
    r.prompt = negative;
    r.prompt_n = 1;
    refused(engine, &r, QUIRE_INVALID, "prompt");
    r = good;
    r.stop_ids = outside;
    r.stop_ids_n = 3;
    refused(engine, &r, QUIRE_INVALID, "stop_token_ids");
    r.stop_ids = many;
    r.stop_ids_n = 65;
    refused(engine, &r, QUIRE_INVALID, "stop_token_ids");
    r = good;
    r.stop = &text;
    r.stop_n = 17;
    refused(engine, &r, QUIRE_INVALID, "stop");
    stop_and_free(engine);
}

/* Goal: stop strings need a tokenizer.
 * Method: submit one to a model without. */
static void stop_strings_need_a_tokenizer(void **state)
{
    (void)state;
    const struct quire_engine_settings settings = engine_settings();
    const struct quire_text text = {"x", 1};
    const int32_t prompt = 1;
    quire_model *model = open_model_without_text();
    quire_engine *engine = start_with(&settings, model);
    struct quire_request r;

    quire_request_defaults(&r);
    r.prompt = &prompt;
    r.prompt_n = 1;
    r.stop = &text;
    r.stop_n = 1;
    refused(engine, &r, QUIRE_NO_TOKENIZER, "stop");
    quire_engine_free(engine);
    quire_model_close(model);
}

/* Goal: a request that cannot fit is refused with both numbers; one that just fits is served.
 * Method: at the limit of the context, and of the pages. */
static void too_long_is_refused(void **state)
{
    struct quire_engine_settings settings = engine_settings();
    struct quire_error error;
    int32_t prompt[256];
    quire_id id;

    for (int i = 0; i < 256; i++)
        prompt[i] = 1 + i;
    settings.context_max = 64;
    quire_engine *engine = start_with(&settings, *state);
    struct quire_request r = greedy(prompt, 60, 5);
    assert_int_equal(quire_submit(engine, &r, &id, &error), QUIRE_TOO_LONG);
    assert_string_equal(error.field, "max_tokens");
    assert_non_null(strstr(error.text, "at most 4"));
    r = greedy(prompt, 65, 1);
    assert_int_equal(quire_submit(engine, &r, &id, &error), QUIRE_TOO_LONG);
    assert_string_equal(error.field, "prompt");
    assert_non_null(strstr(error.text, "65"));
    assert_non_null(strstr(error.text, "64"));
    r = greedy(prompt, 64, 1);
    assert_int_equal(quire_submit(engine, &r, &id, &error), QUIRE_TOO_LONG);
    assert_string_equal(error.field, "prompt");
    r = greedy(prompt, 1, UINT32_MAX);
    assert_int_equal(quire_submit(engine, &r, &id, &error), QUIRE_TOO_LONG);
    struct answer *answer = run(engine, greedy(prompt, 60, 4));
    assert_int_equal(answer->finish, QUIRE_FINISH_LENGTH);
    assert_int_equal(answer->ids_n, 4);
    free(answer);
    answer = run(engine, greedy(prompt, 63, 1));
    assert_int_equal(answer->ids_n, 1);
    free(answer);
    r = greedy(prompt, 64, 0);
    r.flags |= QUIRE_REQUEST_PROMPT_LOGPROBS;
    answer = run(engine, r);
    assert_int_equal(answer->prompt_n, 64);
    free(answer);
    stop_and_free(engine);

    struct quire_stats stats = {.size = sizeof stats};
    settings = engine_settings();
    settings.kv_memory_bytes = 100 << 10;
    engine = start_with(&settings, *state);
    quire_stats(engine, &stats);
    assert_true(stats.context_max < 256);
    r = greedy(prompt, stats.context_max, 1);
    assert_int_equal(quire_submit(engine, &r, &id, &error), QUIRE_TOO_LONG);
    assert_non_null(strstr(error.text, "KV pages"));
    answer = run(engine, greedy(prompt, stats.context_max - 3, 3));
    assert_int_equal(answer->ids_n, 3);
    free(answer);
    stop_and_free(engine);
}

/* Goal: the caller's memory may change as soon as submit returns.
 * Method: overwrite the prompt at once; the answer is that of the prompt given. */
static void requests_are_copied(void **state)
{
    quire_engine *engine = start(*state);
    int32_t prompt[] = {5, 6, 7};
    struct answer *before = run(engine, greedy(prompt, 3, 20));
    struct answer *after = submit(engine, greedy(prompt, 3, 20));

    memset(prompt, 0, sizeof prompt);
    gather(engine, 1);
    assert_same(before, after);
    free(before);
    free(after);
    stop_and_free(engine);
}

/* ---- the queue ---------------------------------------------------------------------------- */

/* Goal: the queue's limit holds at once, refusals are counted, and room returns.
 * Method: one sequence runs, three may wait; submit until refused; cancel all; submit again. */
static void a_full_queue_refuses_at_once(void **state)
{
    struct quire_engine_settings settings = engine_settings();
    struct quire_request r = greedy(one, 1, 400);
    struct quire_stats stats = {.size = sizeof stats};
    struct answer *answers[64];
    uint32_t n = 0;
    int status = QUIRE_OK;

    settings.running_max = 1;
    settings.waiting_max = 3;
    quire_engine *engine = start_with(&settings, *state);
    for (int round = 0; round < 3; round++) {
        for (n = 0; n < 64; n++) {
            answers[n] = calloc(1, sizeof **answers);
            r.user = answers[n];
            status = quire_submit(engine, &r, &answers[n]->id, NULL);
            if (status) break;
        }
        free(answers[n]);
        assert_int_equal(status, QUIRE_QUEUE_FULL);
        assert_in_range(n, 3, 4 + 60);
        quire_stats(engine, &stats);
        assert_int_equal(stats.refused, round + 1);
        assert_in_range(stats.waiting, 1, 4);
        for (uint32_t i = n; i-- > 0;)
            (void)quire_cancel(engine, answers[i]->id);
        gather(engine, n);
        for (uint32_t i = 0; i < n; i++)
            free(answers[i]);
        assert_empty(engine);
    }
    stop_and_free(engine);
}

/* Goal: with more requests than slots each gets all its tokens, and the figures count them.
 * Method: 100 requests, 7 slots. */
static void a_crowd_is_served_whole(void **state)
{
    struct quire_engine_settings settings = engine_settings();
    struct answer *answers[100];

    settings.running_max = 7;
    quire_engine *engine = start_with(&settings, *state);
    for (uint32_t i = 0; i < 100; i++)
        answers[i] = submit(engine, greedy(one, 1, 1 + i % 23));
    gather(engine, 100);
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(answers[i]->ids_n, 1 + i % 23);
        assert_int_equal(answers[i]->usage.prompt_tokens, 1);
        assert_int_equal(answers[i]->finish, QUIRE_FINISH_LENGTH);
        free(answers[i]);
    }
    struct quire_stats stats = {.size = sizeof stats};
    quire_stats(engine, &stats);
    assert_int_equal(stats.finished_length, 100);
    assert_int_equal(stats.prompt_tokens, 100);
    assert_int_equal(stats.generation_tokens, 4 * (23 * 24 / 2) + 8 * 9 / 2);
    uint64_t first = 0, ends = 0;
    for (uint32_t i = 0; i < stats.time_to_first_token_s.bins_n; i++)
        first += stats.time_to_first_token_s.counts[i];
    for (uint32_t i = 0; i < stats.e2e_s.bins_n; i++)
        ends += stats.e2e_s.counts[i];
    assert_int_equal(first, 100);
    assert_int_equal(ends, 100);
    assert_true(isinf(stats.e2e_s.bounds[stats.e2e_s.bins_n - 1]));
    stop_and_free(engine);
}

/* Goal: the queue takes events of requests alternately.
 * Method: let three requests finish unread; compare the order of their events. */
static void events_come_in_turns(void **state)
{
    quire_engine *engine = start(*state);
    struct answer *answers[3];
    struct quire_event event;

    for (int i = 0; i < 3; i++)
        answers[i] = submit(engine, greedy(one, 1, 30));
    quire_engine_stop(engine, WAIT_MS);
    for (int round = 0; round < 31; round++) {
        bool seen[3] = {false};
        for (int i = 0; i < 3; i++) {
            assert_int_equal(quire_next(engine, &event), 1);
            struct answer *from = take(&event);
            for (int k = 0; k < 3; k++)
                if (from == answers[k]) {
                    assert_false(seen[k]);
                    seen[k] = true;
                }
        }
    }
    assert_int_equal(quire_next(engine, &event), 0);
    for (int i = 0; i < 3; i++)
        free(answers[i]);
    stop_and_free(engine);
}

/* ---- cancel ------------------------------------------------------------------------------- */

struct canceller {
    quire_engine *engine;
    quire_id id;
    int status;
};

static void *cancel_thread(void *argument)
{
    struct canceller *c = argument;

    c->status = quire_cancel(c->engine, c->id);
    return NULL;
}

static int cancel_elsewhere(quire_engine *engine, quire_id id)
{
    struct canceller c = {engine, id, 0};
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, cancel_thread, &c), 0);
    pthread_join(thread, NULL);
    return c.status;
}

/* Goal: a request can be cancelled in every state, from another thread, and ends exactly once.
 * Method: while it generates, waits for a full batch, is in the middle of its prompt, after submit,
 * after its end, and twice. */
static void cancel_works_in_every_state(void **state)
{
    struct quire_engine_settings settings = engine_settings();
    struct quire_event event;
    int32_t prompt[400];

    for (int i = 0; i < 400; i++)
        prompt[i] = i;
    settings.running_max = 1;
    settings.prefill_chunk = 1; /* a prompt of 400 takes 400 steps */
    quire_engine *engine = start_with(&settings, *state);

    struct answer *running = submit(engine, greedy(one, 1, 450));
    assert_int_equal(quire_wait(engine, &event, WAIT_MS), 1);
    (void)take(&event);
    struct answer *waiting = submit(engine, greedy(one, 1, 450));
    assert_int_equal(cancel_elsewhere(engine, waiting->id), QUIRE_OK);
    while (!waiting->terminals_n)
        if (quire_wait(engine, &event, WAIT_MS) == 1) (void)take(&event);
    assert_int_equal(waiting->finish, QUIRE_FINISH_CANCELLED);
    assert_int_equal(waiting->ids_n, 0);
    assert_int_equal(running->terminals_n, 0);
    assert_int_equal(cancel_elsewhere(engine, running->id), QUIRE_OK);
    (void)cancel_elsewhere(engine, running->id);
    gather(engine, 1);
    assert_int_equal(running->finish, QUIRE_FINISH_CANCELLED);
    assert_int_equal(cancel_elsewhere(engine, running->id), QUIRE_NOT_FOUND);

    struct quire_request r = greedy(prompt, 400, 10);
    r.flags |= QUIRE_REQUEST_PROMPT_LOGPROBS; /* so that its progress shows */
    struct answer *prefilling = submit(engine, r);
    while (prefilling->prompt_n < 3)
        if (quire_wait(engine, &event, WAIT_MS) == 1) (void)take(&event);
    assert_int_equal(cancel_elsewhere(engine, prefilling->id), QUIRE_OK);
    gather(engine, 1);
    assert_int_equal(prefilling->finish, QUIRE_FINISH_CANCELLED);
    assert_true(prefilling->prompt_n < 400);

    for (int i = 0; i < 200; i++) { /* right after submit: the inbox, the queue or the first step */
        struct answer *a = submit(engine, greedy(one, 1, 450));
        assert_int_equal(quire_cancel(engine, a->id), QUIRE_OK);
        gather(engine, 1);
        assert_int_equal(a->terminals_n, 1);
        assert_int_equal(a->finish, QUIRE_FINISH_CANCELLED);
        free(a);
    }
    assert_int_equal(quire_cancel(engine, 0), QUIRE_NOT_FOUND);
    assert_int_equal(quire_cancel(engine, 1u << 30), QUIRE_NOT_FOUND);
    free(running);
    free(waiting);
    free(prefilling);
    stop_and_free(engine);
}

/* ---- many threads --------------------------------------------------------------------------- */

enum { SUBMITTERS = 6, EACH = 60 };

struct crowd {
    quire_engine *engine;
    uint32_t number;
    _Atomic uint32_t *accepted;
    struct answer answers[EACH];
};

static void *submit_many(void *argument)
{
    struct crowd *c = argument;
    unsigned seed = c->number;

    for (uint32_t i = 0; i < EACH; i++) {
        int32_t prompt[] = {(int32_t)(c->number + 1), (int32_t)i};
        struct quire_request r = greedy(prompt, 2, 1 + (uint32_t)rand_r(&seed) % 30);
        quire_id id;

        r.user = &c->answers[i];
        if (rand_r(&seed) % 3 == 0) r.temperature = 0.8f;
        int status = quire_submit(c->engine, &r, &id, NULL);
        if (status == QUIRE_QUEUE_FULL) {
            sched_yield();
            i--;
            continue;
        }
        if (status) break; /* stopping */
        atomic_fetch_add(c->accepted, 1);
        if (rand_r(&seed) % 4 == 0) (void)quire_cancel(c->engine, id);
        struct quire_stats stats = {.size = sizeof stats};
        quire_stats(c->engine, &stats);
    }
    return NULL;
}

/* Runs the crowd.  stop: stops the engine in the middle. */
static void run_crowd(quire_model *model, bool stop)
{
    struct quire_engine_settings settings = engine_settings();
    struct crowd *crowds[SUBMITTERS];
    pthread_t threads[SUBMITTERS];
    _Atomic uint32_t accepted = 0;
    uint32_t ended = 0;
    struct quire_event event;

    settings.running_max = 8;
    settings.waiting_max = 16;
    settings.kv_memory_bytes = 512 << 10; /* few pages: preemption too */
    quire_engine *engine = start_with(&settings, model);
    for (uint32_t i = 0; i < SUBMITTERS; i++) {
        crowds[i] = calloc(1, sizeof **crowds);
        crowds[i]->engine = engine;
        crowds[i]->number = i;
        crowds[i]->accepted = &accepted;
        pthread_create(&threads[i], NULL, submit_many, crowds[i]);
    }
    uint32_t wanted = stop ? SUBMITTERS * EACH / 3 : SUBMITTERS * EACH;
    while (ended < wanted) {
        if (quire_wait(engine, &event, WAIT_MS) != 1) fail_msg("a request was lost");
        ended += (uint32_t)take(&event)->terminals_n;
    }
    if (stop) quire_engine_stop(engine, 0);
    for (uint32_t i = 0; i < SUBMITTERS; i++)
        pthread_join(threads[i], NULL);
    while (quire_wait(engine, &event, stop ? -1 : 0) == 1)
        ended += (uint32_t)take(&event)->terminals_n;
    assert_int_equal(ended, atomic_load(&accepted));
    for (uint32_t i = 0; i < SUBMITTERS; i++)
        free(crowds[i]);
    stop_and_free(engine);
}

/* Goal: every accepted request ends exactly once (take() asserts that no event follows).
 * Method: many threads submit and cancel at the same time. */
static void every_request_ends_once(void **state)
{
    run_crowd(*state, false);
}

/* Goal: if the engine stops meanwhile, accepted requests end and later ones are refused.
 * Method: many threads submit and cancel while the engine stops. */
static void a_stop_among_submitters_loses_nothing(void **state)
{
    for (int i = 0; i < 5; i++)
        run_crowd(*state, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_fields_are_named),
        cmocka_unit_test(bad_arrays_are_named),
        cmocka_unit_test(stop_strings_need_a_tokenizer),
        cmocka_unit_test(too_long_is_refused),
        cmocka_unit_test(requests_are_copied),
        cmocka_unit_test(a_full_queue_refuses_at_once),
        cmocka_unit_test(a_crowd_is_served_whole),
        cmocka_unit_test(events_come_in_turns),
        cmocka_unit_test(cancel_works_in_every_state),
        cmocka_unit_test(every_request_ends_once),
        cmocka_unit_test(a_stop_among_submitters_loses_nothing),
    };

    return cmocka_run_group_tests(tests, open_tiny, close_model);
}
