/* SPDX-License-Identifier: MIT */
#include "support/engine.h"

const char *smollm2_unless_tsan(void)
{
    if (!UNDER_TSAN) return smollm2();
    printf("skipped: SmolLM2 takes minutes under ThreadSanitizer; the tiny model runs\n");
    return NULL;
}

quire_model *open_model(const char *path)
{
    struct quire_model_settings settings;
    struct quire_error error;
    quire_model *model;

    quire_model_settings_defaults(&settings);
    settings.path = path;
    if (quire_model_open(&settings, &model, &error)) fail_msg("%s", error.text);
    return model;
}

int open_tiny(void **state)
{
    *state = open_model(TINY);
    return 0;
}

int close_model(void **state)
{
    quire_model_close(*state);
    return 0;
}

quire_model *open_model_without_text(void)
{
    static const char key[] = "tokenizer.ggml.model";
    const size_t value = sizeof key - 1 + 4 + 8; /* after the key: type and length */
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

struct quire_engine_settings engine_settings(void)
{
    struct quire_engine_settings settings;

    quire_engine_settings_defaults(&settings);
    settings.kv_memory_bytes = (uint64_t)64 << 20;
    settings.threads = 2;
    return settings;
}

quire_engine *start_with(const struct quire_engine_settings *settings, quire_model *model)
{
    struct quire_error error;
    quire_engine *engine;

    if (quire_engine_start(settings, model, &engine, &error)) fail_msg("%s", error.text);
    return engine;
}

quire_engine *start(quire_model *model)
{
    struct quire_engine_settings settings = engine_settings();

    return start_with(&settings, model);
}

void assert_empty(const quire_engine *engine)
{
    struct quire_stats stats = {.size = sizeof stats};

    quire_stats(engine, &stats);
    assert_int_equal(stats.running, 0);
    assert_int_equal(stats.waiting, 0);
    assert_int_equal(stats.pages_held, 0);
    assert_int_equal(stats.pages_free + stats.pages_cached, stats.pages_all);
}

void stop_and_free(quire_engine *engine)
{
    assert_empty(engine);
    quire_engine_free(engine);
}

struct quire_request greedy(const int32_t *prompt, size_t prompt_n, uint32_t n)
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

struct answer *submit(quire_engine *engine, struct quire_request request)
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

struct answer *take(const struct quire_event *event)
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

void gather(quire_engine *engine, uint32_t n)
{
    struct quire_event event;

    while (n) {
        if (quire_wait(engine, &event, WAIT_MS) != 1) fail_msg("no event in %d ms", WAIT_MS);
        n -= (uint32_t)take(&event)->terminals_n;
    }
    assert_int_equal(quire_next(engine, &event), 0);
}

struct answer *run(quire_engine *engine, struct quire_request request)
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

void assert_same(const struct answer *a, const struct answer *b)
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
