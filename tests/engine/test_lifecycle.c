/* SPDX-License-Identifier: MIT */
#include <poll.h>
#include <pthread.h>
#include <time.h>

#include "runtime/engine/engine.h"
#include "support/engine.h"

#define TRIES 100 /* while other work keeps a thread from its core */

static const int32_t one[] = {1};

/* Goal: quire_model_info describes the file.
 * Method: compare with the tiny file's figures. */
static void a_model_says_what_it_is(void **state)
{
    struct quire_model_info info = {.size = sizeof info};
    quire_model *model = open_model(TINY);

    (void)state;
    quire_model_info(model, &info);
    assert_string_equal(info.architecture, "llama");
    assert_int_equal(info.vocab_n, 1024);
    assert_int_equal(info.heads_n, 8);
    assert_int_equal(info.kv_heads_n, 2);
    assert_int_equal(info.head_dim, 32);
    assert_true(info.has_tokenizer && info.adds_bos);
    assert_false(info.adds_eos);
    assert_null(info.tokenizer_note);
    assert_string_equal(info.tokenizer_split, "none"); /* SentencePiece */
    assert_null(quire_model_warning(model, 0));
    assert_true(info.has_template); /* the file's own */
    assert_null(info.template_note);
    assert_true(info.weights_n > 0 && info.file_bytes > 0);
    uint64_t values_n = (uint64_t)info.layers_n * info.kv_heads_n * info.head_dim * 2;
    assert_int_equal(quire_model_kv_token_bytes(model, QUIRE_KV_F16), values_n * 2);
    assert_int_equal(quire_model_kv_token_bytes(model, QUIRE_KV_F32), values_n * 4);
    assert_int_equal(quire_model_kv_token_bytes(model, 77), 0);
    quire_model_close(model);
    quire_model_close(NULL);
}

/* Goal: an unsupported tokenizer is named in a note, and text functions refuse.
 * Method: the tiny model with another tokenizer.ggml.model. */
static void an_unknown_tokenizer_is_noted(void **state)
{
    struct quire_model_info info = {.size = sizeof info};
    quire_model *model = open_model_without_text();
    size_t n;

    (void)state;
    quire_model_info(model, &info);
    assert_false(info.has_tokenizer);
    assert_non_null(strstr(info.tokenizer_note, "\"other\""));
    assert_null(info.tokenizer_split);
    assert_int_equal(quire_tokenize(model, "a", 1, 0, NULL, 0, &n), QUIRE_NO_TOKENIZER);
    quire_model_close(model);
}

/* Goal: a caller with an older, shorter struct is read and written within its size.
 * Method: shortened structs, followed by guard bytes. */
static void structs_of_other_sizes_are_respected(void **state)
{
    quire_model *model = open_model(TINY);
    union {
        struct quire_engine_settings settings;
        struct quire_stats stats;
        unsigned char bytes[sizeof(struct quire_stats) + 16];
    } short_one, long_one;
    struct quire_error error;
    quire_engine *engine;

    (void)state;
    size_t cut = offsetof(struct quire_engine_settings, running_max);
    memset(&short_one, 0xee, sizeof short_one);
    quire_engine_settings_defaults_sized(&short_one.settings, cut);
    assert_int_equal(short_one.settings.size, cut);
    for (size_t i = cut; i < sizeof short_one; i++)
        assert_int_equal(short_one.bytes[i], 0xee);
    assert_int_equal(quire_engine_start(&short_one.settings, model, &engine, &error), QUIRE_OK);

    cut = offsetof(struct quire_stats, page_bytes);
    memset(&short_one, 0xee, sizeof short_one);
    short_one.stats.size = cut;
    quire_stats(engine, &short_one.stats);
    assert_int_equal(short_one.stats.page_tokens, 32);
    for (size_t i = cut; i < sizeof short_one; i++)
        assert_int_equal(short_one.bytes[i], 0xee);
    quire_engine_free(engine);

    size_t longer = sizeof(struct quire_engine_settings) + 8;
    quire_engine_settings_defaults_sized(&long_one.settings, longer);
    assert_int_equal(quire_engine_start(&long_one.settings, model, &engine, &error), QUIRE_OK);
    quire_engine_free(engine);
    long_one.bytes[longer - 1] = 1;
    assert_int_equal(quire_engine_start(&long_one.settings, model, &engine, &error),
                     QUIRE_UNSUPPORTED);
    assert_null(engine);
    long_one.settings.size = 0;
    assert_int_equal(quire_engine_start(&long_one.settings, model, &engine, &error), QUIRE_INVALID);
    assert_string_equal(error.field, "size");
    quire_model_close(model);
}

/* Goal: an impossible setting is refused by name.
 * Method: good settings with one made bad. */
static void bad_settings_are_refused(void **state)
{
    static const struct {
        const char *field;
        size_t offset;
        uint32_t value;
        int status;
    } cases[] = {
#define CASE(name, value, status)                                                                  \
    {#name, offsetof(struct quire_engine_settings, name), value, status}
        CASE(page_tokens, 0, QUIRE_INVALID),
        CASE(page_tokens, 33, QUIRE_INVALID),
        CASE(kv_type, 9, QUIRE_INVALID),
        CASE(threads, 5000, QUIRE_INVALID),
        CASE(context_max, 1u << 30, QUIRE_INVALID),
        CASE(context_max, 3, QUIRE_INVALID),
        CASE(running_max, 0, QUIRE_INVALID),
        CASE(running_max, 1u << 20, QUIRE_INVALID),
        CASE(waiting_max, 0, QUIRE_INVALID),
        CASE(waiting_max, UINT32_MAX, QUIRE_INVALID),
        CASE(step_tokens, 10, QUIRE_INVALID),
        CASE(step_tokens, UINT32_MAX, QUIRE_INVALID),
        CASE(target_itl_ms, 60001, QUIRE_INVALID),
        CASE(no_prefix_cache, 2, QUIRE_INVALID),
        CASE(kv_memory_bytes, 100, QUIRE_INVALID),
#undef CASE
    };
    quire_model *model = open_model(TINY);
    quire_engine *engine;
    struct quire_error error;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct quire_engine_settings settings = engine_settings();
        char *at = (char *)&settings + cases[i].offset;
        if (!strcmp(cases[i].field, "kv_memory_bytes"))
            settings.kv_memory_bytes = cases[i].value;
        else
            memcpy(at, &cases[i].value, sizeof cases[i].value);
        assert_int_equal(quire_engine_start(&settings, model, &engine, &error), cases[i].status);
        assert_int_equal(error.status, cases[i].status);
        assert_string_equal(error.field, cases[i].field);
        assert_true(strlen(error.text) > 10);
        assert_null(engine);
    }
    /* A context that is set must fit the pages; otherwise it shrinks to them. */
    struct quire_engine_settings settings = engine_settings();
    struct quire_stats stats = {.size = sizeof stats};
    settings.kv_memory_bytes = 64 << 10;
    engine = start_with(&settings, model);
    quire_stats(engine, &stats);
    assert_int_equal(stats.context_max, stats.pages_all * stats.page_tokens);
    quire_engine_free(engine);
    settings.context_max = stats.context_max + 1;
    assert_int_equal(quire_engine_start(&settings, model, &engine, &error), QUIRE_INVALID);
    assert_string_equal(error.field, "kv_memory_bytes");
    quire_model_close(model);
}

/* Goal: mistakes in opening a model are statuses with a sentence.
 * Method: no settings, no path, a missing file, a text file, a bad level. */
static void bad_models_are_refused(void **state)
{
    struct quire_model_settings settings;
    struct quire_error error;
    quire_model *model = (quire_model *)&settings;

    (void)state;
    quire_model_settings_defaults(&settings);
    assert_int_equal(quire_model_open(NULL, &model, &error), QUIRE_INVALID);
    assert_int_equal(quire_model_open(&settings, &model, &error), QUIRE_INVALID);
    assert_string_equal(error.field, "path");
    settings.path = "/nowhere/at/all.gguf";
    assert_int_equal(quire_model_open(&settings, &model, &error), QUIRE_SYSTEM);
    assert_null(model);
    settings.path = QUIRE_SOURCE_DIR "/LICENSE";
    assert_int_equal(quire_model_open(&settings, &model, &error), QUIRE_BAD_FILE);
    settings.path = TINY;
    settings.cpu_level = "pentium";
    assert_int_equal(quire_model_open(&settings, &model, &error), QUIRE_INVALID);
    assert_string_equal(error.field, "cpu_level");
    settings.cpu_level = "scalar";
    assert_int_equal(quire_model_open(&settings, &model, NULL), QUIRE_OK);
    struct quire_model_info info = {.size = sizeof info};
    quire_model_info(model, &info);
    assert_string_equal(info.cpu_level, "scalar");
    assert_int_equal(info.sliding_window, 0);
    quire_model_close(model);
    settings.sliding_window = 48;
    assert_int_equal(quire_model_open(&settings, &model, NULL), QUIRE_OK);
    quire_model_info(model, &info);
    assert_int_equal(info.sliding_window, 48);
    quire_model_close(model);
}

/* Goal: NULL arguments are errors, not crashes.
 * Method: call the functions with NULL. */
static void null_is_no_crash(void **state)
{
    struct quire_event event;
    quire_id id;

    (void)state;
    quire_engine_stop(NULL, 0);
    quire_engine_free(NULL);
    assert_int_equal(quire_next(NULL, &event), QUIRE_INVALID);
    assert_int_equal(quire_wait(NULL, &event, 0), QUIRE_INVALID);
    assert_int_equal(quire_submit(NULL, NULL, &id, NULL), QUIRE_INVALID);
    assert_int_equal(quire_cancel(NULL, 1), QUIRE_INVALID);
    assert_int_equal(quire_fd(NULL), -1);
    quire_stats(NULL, NULL);
    assert_string_equal(quire_status_text(QUIRE_QUEUE_FULL), "the waiting queue is full");
    assert_string_equal(quire_status_text(17), "unknown status");
    assert_string_equal(quire_version(), "0.1.0");
}

/* Goal: an idle engine takes no turns: it sleeps in poll.
 * Method: the count of turns does not change before the first request and after the last, with 16
 * engines at once. */
static void idle_engines_take_no_turns(void **state)
{
    enum { ENGINES = 16 };
    struct quire_engine_settings settings = engine_settings();
    quire_model *model = open_model(TINY);
    quire_engine *engines[ENGINES];
    uint64_t turns[ENGINES];

    (void)state;
    settings.kv_memory_bytes = 1 << 20;
    settings.running_max = settings.waiting_max = 4;
    for (int i = 0; i < ENGINES; i++) {
        engines[i] = start_with(&settings, model);
        free(run(engines[i], greedy(one, 1, 3)));
    }
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    for (int i = 0; i < ENGINES; i++)
        turns[i] = atomic_load(&engines[i]->turns);
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    for (int i = 0; i < ENGINES; i++) {
        assert_int_equal(atomic_load(&engines[i]->turns), turns[i]);
        stop_and_free(engines[i]);
    }
    quire_model_close(model);
}

/* Goal: engines on one model are independent.
 * Method: two run the same and different requests at once; one of them stops. */
static void two_engines_share_a_model(void **state)
{
    quire_model *model = open_model(TINY);
    quire_engine *a = start(model), *b = start(model);

    (void)state;
    struct answer *from_a = submit(a, greedy(one, 1, 40));
    struct answer *from_b = submit(b, greedy(one, 1, 40));
    assert_int_equal(from_a->id, from_b->id);
    gather(a, 1);
    quire_engine_free(a);
    gather(b, 1);
    assert_same(from_a, from_b);
    stop_and_free(b);
    quire_model_close(model);
    free(from_a);
    free(from_b);
}

/* Goal: the descriptor is readable while events wait, and only then.
 * Method: poll it before and after a request, and between its events. */
static void the_descriptor_follows_the_events(void **state)
{
    quire_model *model = open_model(TINY);
    quire_engine *engine = start(model);
    struct pollfd fd = {.fd = quire_fd(engine), .events = POLLIN};
    struct quire_event event;
    int events_n = 0;

    (void)state;
    assert_int_equal(poll(&fd, 1, 0), 0);
    assert_int_equal(quire_wait(engine, &event, 0), 0);
    assert_int_equal(quire_wait(engine, &event, 5), 0);
    struct answer *answer = submit(engine, greedy(one, 1, 5));
    while (!answer->terminals_n) {
        assert_int_equal(poll(&fd, 1, WAIT_MS), 1);
        while (quire_next(engine, &event) == 1) {
            (void)take(&event);
            events_n++;
        }
    }
    assert_int_equal(events_n, 6);
    assert_int_equal(poll(&fd, 1, 0), 0);
    stop_and_free(engine);
    quire_model_close(model);
    free(answer);
}

/* Goal: a stop with a drain lets requests finish, and their events can be taken afterwards.
 * Method: stop with a long drain while 8 requests run. */
static void a_drain_lets_requests_finish(void **state)
{
    quire_model *model = open_model(TINY);
    quire_engine *engine = start(model);
    struct answer *answers[8];
    struct quire_event event;
    quire_id id;

    (void)state;
    for (int i = 0; i < 8; i++)
        answers[i] = submit(engine, greedy(one, 1, 60));
    quire_engine_stop(engine, WAIT_MS);
    struct quire_request more = greedy(one, 1, 1);
    assert_int_equal(quire_submit(engine, &more, &id, NULL), QUIRE_STOPPING);
    gather(engine, 8);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(answers[i]->finish, QUIRE_FINISH_LENGTH);
        assert_int_equal(answers[i]->ids_n, 60);
        free(answers[i]);
    }
    assert_int_equal(quire_wait(engine, &event, -1), 0); /* no event will come, and it returns */
    assert_false(qr_inbox_push(&engine->inbox, NULL));   /* the inbox is closed */
    quire_engine_stop(engine, 0);
    stop_and_free(engine);
    quire_model_close(model);
}

/* Goal: a stop without a drain cancels requests in every state.
 * Method: 12 requests where two can run. */
static void a_stop_cancels_the_rest(void **state)
{
    struct quire_engine_settings settings = engine_settings();
    quire_model *model = open_model(TINY);
    struct answer *answers[12];

    (void)state;
    settings.running_max = 2;
    settings.waiting_max = 16;
    quire_engine *engine = start_with(&settings, model);
    for (int i = 0; i < 12; i++)
        answers[i] = submit(engine, greedy(one, 1, 200));
    quire_engine_stop(engine, 0);
    gather(engine, 12);
    for (int i = 0; i < 12; i++) {
        assert_int_equal(answers[i]->terminals_n, 1);
        if (answers[i]->ids_n < 200) assert_int_equal(answers[i]->finish, QUIRE_FINISH_CANCELLED);
        free(answers[i]);
    }
    stop_and_free(engine);
    quire_model_close(model);
}

static void *stop_at_once(void *engine)
{
    quire_engine_stop(engine, 0);
    return NULL;
}

/* Goal: a second stop shortens the first one's drain.
 * Method: a drain of hours, and a request that does not end within the test; another thread stops
 * again. */
static void a_second_stop_shortens_the_drain(void **state)
{
    quire_model *model = open_model(TINY);
    quire_engine *engine = start(model);
    pthread_t thread;
    struct answer *answers[64];

    (void)state;
    for (int i = 0; i < 64; i++)
        answers[i] = submit(engine, greedy(one, 1, 400));
    pthread_create(&thread, NULL, stop_at_once, engine);
    quire_engine_stop(engine, 3600000);
    pthread_join(thread, NULL);
    gather(engine, 64);
    assert_int_equal(answers[63]->finish, QUIRE_FINISH_CANCELLED);
    for (int i = 0; i < 64; i++)
        free(answers[i]);
    stop_and_free(engine);
    quire_model_close(model);
}

/* Goal: events that were not taken are freed with the engine.
 * Method: free it with events in the queue, under the sanitizers. */
static void events_not_taken_are_freed(void **state)
{
    quire_model *model = open_model(TINY);
    quire_engine *engine = start(model);
    struct quire_event event;
    struct answer *answers[4];

    (void)state;
    for (int i = 0; i < 4; i++)
        answers[i] = submit(engine, greedy(one, 1, 10 + 30 * (uint32_t)i));
    assert_int_equal(quire_wait(engine, &event, WAIT_MS), 1);
    assert_int_equal(quire_wait(engine, &event, WAIT_MS), 1);
    quire_engine_free(engine);
    quire_model_close(model);
    for (int i = 0; i < 4; i++)
        free(answers[i]);
}

/* Goal: the machine's limits are plausible, and written within the caller's struct.
 * Method: two threads; one thread, which has no distance, into a shortened struct; wrong sizes. */
static void limits_are_measured(void **state)
{
    struct quire_limits limits = {.size = sizeof limits};

    (void)state;
    assert_int_equal(quire_measure_limits(2, 20, &limits), QUIRE_OK);
    assert_int_equal(limits.size, sizeof limits);
    assert_true(limits.int8_ops > 1e6 && limits.fp32_flops > 1e6 && limits.read_bytes > 1e6);
    assert_true(limits.bf16_flops >= 0.0);
    for (int i = 0; i < TRIES && qr_cores_available() > 1 && limits.core_to_core_ns == 0.0; i++)
        assert_int_equal(quire_measure_limits(2, 0, &limits), QUIRE_OK);
    assert_true(qr_cores_available() < 2 || limits.core_to_core_ns > 0.0);

    limits.core_to_core_ns = limits.read_bytes = -1.0;
    limits.size = offsetof(struct quire_limits, core_to_core_ns);
    assert_int_equal(quire_measure_limits(1, 0, &limits), QUIRE_OK);
    assert_true(limits.read_bytes > 1e6 && limits.core_to_core_ns == -1.0);
    limits.size = sizeof limits;
    assert_int_equal(quire_measure_limits(1, 0, &limits), QUIRE_OK);
    assert_true(limits.core_to_core_ns == 0.0);

    limits.size = 0;
    assert_int_equal(quire_measure_limits(1, 0, &limits), QUIRE_INVALID);
    assert_int_equal(quire_measure_limits(0, 0, NULL), QUIRE_INVALID);
}

/* Goal: a profile divides the time of steps into phases; without settings.profile there is none.
 * Method: one request with and one without; compare the phases' sum with the clock, and waits with
 * their phases. */
static void a_profile_sums_up(void **state)
{
    struct quire_engine_settings settings = engine_settings();
    struct quire_phase phases[64];
    quire_model *model = open_model(TINY);

    (void)state;
    for (uint32_t on = 0; on < 2; on++) {
        settings.profile = on;
        quire_engine *engine = start_with(&settings, model);
        uint64_t began = qr_clock_ns(), sum = 0, decode = 0;
        struct quire_request request = greedy(one, 1, 8);
        quire_id id;
        struct quire_event event = {0};
        assert_int_equal(quire_submit(engine, &request, &id, NULL), QUIRE_OK);
        while (event.kind != QUIRE_EVENT_DONE)
            assert_true(quire_wait(engine, &event, -1) > 0);
        uint64_t passed = qr_clock_ns() - began;
        size_t n = quire_profile(engine, phases, 64);
        if (!on) {
            assert_int_equal(n, 0);
            quire_engine_free(engine);
            continue;
        }
        assert_in_range(n, 10, 64);
        assert_int_equal(quire_profile(engine, NULL, 0), n);
        for (size_t i = 0; i < n; i++) {
            assert_non_null(phases[i].name);
            assert_true(phases[i].wait_ns <= phases[i].ns);
            sum += phases[i].ns;
            if (!strcmp(phases[i].name, "q, k, v") || !strcmp(phases[i].name, "output head") ||
                !strcmp(phases[i].name, "attention") || !strcmp(phases[i].name, "down"))
                decode += phases[i].ns > 0;
        }
        assert_int_equal(decode, 4);
        assert_true(sum <= passed);
        quire_engine_free(engine);
    }
    assert_int_equal(quire_profile(NULL, phases, 64), 0);
    quire_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_profile_sums_up),
        cmocka_unit_test(a_model_says_what_it_is),
        cmocka_unit_test(an_unknown_tokenizer_is_noted),
        cmocka_unit_test(structs_of_other_sizes_are_respected),
        cmocka_unit_test(bad_settings_are_refused),
        cmocka_unit_test(bad_models_are_refused),
        cmocka_unit_test(null_is_no_crash),
        cmocka_unit_test(idle_engines_take_no_turns),
        cmocka_unit_test(two_engines_share_a_model),
        cmocka_unit_test(the_descriptor_follows_the_events),
        cmocka_unit_test(a_drain_lets_requests_finish),
        cmocka_unit_test(a_stop_cancels_the_rest),
        cmocka_unit_test(a_second_stop_shortens_the_drain),
        cmocka_unit_test(events_not_taken_are_freed),
        cmocka_unit_test(limits_are_measured),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
