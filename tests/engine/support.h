/* SPDX-License-Identifier: MIT */
/* support -- what the engine's tests share: models, engines, and answers gathered from events.
 *
 * Thread: the test's.   Memory: malloc. */
#ifndef TESTS_ENGINE_SUPPORT_H
#define TESTS_ENGINE_SUPPORT_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/quire.h"
#include "support/smollm2.h"

#define TINY       QUIRE_TEST_DATA "/llama-tiny.q8_0.gguf"
#define ANSWER_MAX 1024
#define WAIT_MS    120000 /* only so that a test that hangs fails */
#define UNUSED     __attribute__((unused))

struct scored {
    int32_t token;
    float logprob;
    uint32_t top_n;
    struct quire_logprob top[20];
};

struct answer {
    quire_id id;
    uint32_t prompt_n, ids_n;
    struct scored prompt[ANSWER_MAX], ids[ANSWER_MAX];
    char text[16384];
    size_t text_n;
    int terminals_n, kind, finish, status;
    int32_t stop_id;
    char stop[64];
    struct quire_usage usage;
};

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#elif defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN 0
#endif

/* The SmolLM2 file, or NULL and a printed reason. */
static UNUSED const char *smollm2_unless_tsan(void)
{
    if (!UNDER_TSAN) return smollm2();
    printf("skipped: SmolLM2 takes minutes under ThreadSanitizer; the tiny model runs\n");
    return NULL;
}

static UNUSED quire_model *open_model(const char *path)
{
    struct quire_model_settings settings;
    struct quire_error error;
    quire_model *model;

    quire_model_settings_defaults(&settings);
    settings.path = path;
    if (quire_model_open(&settings, &model, &error)) fail_msg("%s", error.text);
    return model;
}

/* For a group of tests whose state is a model. */
static UNUSED int open_tiny(void **state)
{
    *state = open_model(TINY);
    return 0;
}

static UNUSED int close_model(void **state)
{
    quire_model_close(*state);
    return 0;
}

/* TINY with a tokenizer that no one knows: it serves token ids only. */
static UNUSED quire_model *open_model_without_text(void)
{
    static const char key[] = "tokenizer.ggml.model";
    const size_t value = sizeof key - 1 + 4 + 8; /* behind the key, its kind and its length */
    char path[] = "/tmp/quire-no-text-XXXXXX";
    FILE *in = fopen(TINY, "rb");
    int fd = mkstemp(path);

    assert_true(in && fd >= 0);
    fseek(in, 0, SEEK_END);
    size_t n = (size_t)ftell(in), at = 0;
    rewind(in);
    char *bytes = malloc(n);
    assert_int_equal(fread(bytes, 1, n, in), n);
    fclose(in);
    while (memcmp(bytes + at, key, sizeof key - 1))
        at++;
    assert_memory_equal(bytes + at + value, "llama", 5);
    memcpy(bytes + at + value, "other", 5);
    assert_int_equal(write(fd, bytes, n), n);
    close(fd);
    free(bytes);
    quire_model *model = open_model(path);
    unlink(path);
    return model;
}

static UNUSED struct quire_engine_settings engine_settings(void)
{
    struct quire_engine_settings settings;

    quire_engine_settings_defaults(&settings);
    settings.kv_memory_bytes = (uint64_t)64 << 20;
    settings.threads = 2;
    return settings;
}

static UNUSED quire_engine *start_with(const struct quire_engine_settings *settings,
                                       quire_model *model)
{
    struct quire_error error;
    quire_engine *engine;

    if (quire_engine_start(settings, model, &engine, &error)) fail_msg("%s", error.text);
    return engine;
}

static UNUSED quire_engine *start(quire_model *model)
{
    struct quire_engine_settings settings = engine_settings();

    return start_with(&settings, model);
}

/* Every page is free or cached and nothing lives: what has to hold when every request has ended. */
static UNUSED void assert_empty(const quire_engine *engine)
{
    struct quire_stats stats = {.size = sizeof stats};

    quire_stats(engine, &stats);
    assert_int_equal(stats.running, 0);
    assert_int_equal(stats.waiting, 0);
    assert_int_equal(stats.pages_held, 0);
    assert_int_equal(stats.pages_free + stats.pages_cached, stats.pages_all);
}

static UNUSED void stop_and_free(quire_engine *engine)
{
    assert_empty(engine);
    quire_engine_free(engine);
}

/* A greedy request for n tokens that ignores the end of sequence. */
static UNUSED struct quire_request greedy(const int32_t *prompt, size_t prompt_n, uint32_t n)
{
    struct quire_request request;

    quire_request_defaults(&request);
    request.prompt = prompt;
    request.prompt_n = prompt_n;
    request.max_tokens = n;
    request.temperature = 0;
    request.flags = QUIRE_REQUEST_IGNORE_EOS;
    return request;
}

/* answer[i] is choice i's. */
static UNUSED struct answer *submit(quire_engine *engine, struct quire_request request)
{
    struct answer *answer = calloc(request.n ? request.n : 1, sizeof *answer);
    struct quire_error error;

    request.user = answer;
    if (quire_submit(engine, &request, &answer->id, &error)) fail_msg("%s", error.text);
    for (uint32_t i = 1; i < request.n; i++)
        answer[i].id = answer->id;
    return answer;
}

static void keep(struct scored *to, const struct quire_event *event)
{
    to->token = event->token;
    to->logprob = event->logprob;
    to->top_n = event->top_n;
    if (event->top_n) memcpy(to->top, event->top, event->top_n * sizeof *event->top);
}

/* Asserts what holds for every event: order, indices, one terminal. */
static UNUSED struct answer *take(const struct quire_event *event)
{
    struct answer *a = (struct answer *)event->user + event->choice;

    assert_int_equal(a->terminals_n, 0);
    if (event->text.n) memcpy(a->text + a->text_n, event->text.data, event->text.n);
    a->text_n += event->text.n;
    switch (event->kind) {
    case QUIRE_EVENT_PROMPT:
        assert_int_equal(event->index, a->prompt_n);
        assert_int_equal(a->ids_n, 0);
        keep(&a->prompt[a->prompt_n++], event);
        break;
    case QUIRE_EVENT_TOKEN:
        assert_int_equal(event->index, a->ids_n);
        keep(&a->ids[a->ids_n++], event);
        break;
    case QUIRE_EVENT_DONE:
    case QUIRE_EVENT_ERROR:
        a->terminals_n++;
        a->kind = event->kind;
        a->finish = event->finish;
        a->status = event->status;
        a->stop_id = event->stop_id;
        a->usage = event->usage;
        if (event->stop.n) memcpy(a->stop, event->stop.data, event->stop.n);
        assert_int_equal(a->usage.completion_tokens, a->ids_n);
        break;
    default: fail_msg("event of kind %d", event->kind);
    }
    return a;
}

/* Takes events until n more requests, or choices, have ended. */
static UNUSED void gather(quire_engine *engine, uint32_t n)
{
    struct quire_event event;

    while (n) {
        if (quire_wait(engine, &event, WAIT_MS) != 1) fail_msg("no event in %d ms", WAIT_MS);
        n -= (uint32_t)take(&event)->terminals_n;
    }
    assert_int_equal(quire_next(engine, &event), 0);
}

static UNUSED struct answer *run(quire_engine *engine, struct quire_request request)
{
    struct answer *answer = submit(engine, request);

    gather(engine, 1);
    return answer;
}

static void assert_same_scores(const struct scored *a, const struct scored *b, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(a[i].token, b[i].token);
        assert_memory_equal(&a[i].logprob, &b[i].logprob, sizeof a[i].logprob);
        assert_int_equal(a[i].top_n, b[i].top_n);
        assert_memory_equal(a[i].top, b[i].top, a[i].top_n * sizeof a[i].top[0]);
    }
}

/* The same bits: tokens, logprobs, text, end. */
static UNUSED void assert_same(const struct answer *a, const struct answer *b)
{
    assert_int_equal(a->prompt_n, b->prompt_n);
    assert_same_scores(a->prompt, b->prompt, a->prompt_n);
    assert_int_equal(a->ids_n, b->ids_n);
    assert_same_scores(a->ids, b->ids, a->ids_n);
    assert_int_equal(a->text_n, b->text_n);
    assert_memory_equal(a->text, b->text, a->text_n);
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->finish, b->finish);
    assert_int_equal(a->stop_id, b->stop_id);
}

#endif
