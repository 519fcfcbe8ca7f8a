/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "tools/client/delta.h"
#include "tools/client/sse.h"
#include "tools/client/terminal.h"
#include "tools/quire/answer.h"

#define ERROR_BODY_MAX 4096u

struct stream {
    const struct qr_ask *ask;
    struct qr_answer *answer;
    struct qr_failure *why;
    struct qr_http_call *call;
    struct qr_sse sse;
    double began_s;
    uint32_t chunks_n;
    bool bad, done, ended, has_usage;
    char error_body[ERROR_BODY_MAX];
    size_t error_body_n;
};

static void set(json_t *object, const char *key, json_t *value)
{
    json_object_set_new(object, key, value);
}

/* bounded: with the limit on tokens; without it a chat has the rest of the context. */
static json_t *body_of(const struct qr_ask *ask, bool bounded)
{
    const struct qr_answer_sampling *s = ask->sampling;
    json_t *body = json_object();
    if (ask->turns) {
        json_t *messages = json_array();
        for (size_t i = 0; i < ask->turns_n; i++)
            json_array_append_new(messages, json_pack("{s:s, s:s}", "role", ask->turns[i].role,
                                                      "content", ask->turns[i].content));
        set(body, "messages", messages);
    } else if (ask->ids) {
        json_t *ids = json_array();
        for (size_t i = 0; i < ask->ids_n; i++)
            json_array_append_new(ids, json_integer(ask->ids[i]));
        set(body, "prompt", ids);
    } else {
        json_t *text = json_stringn(ask->text, ask->text_n);
        set(body, "prompt", text ? text : json_stringn_nocheck(ask->text, ask->text_n));
    }
    if (bounded)
        set(body, ask->turns ? "max_completion_tokens" : "max_tokens", json_integer(s->max_tokens));
    for (int i = 0; i < QR_SAMPLER_SETTINGS_N; i++) {
        const struct qr_sampler_setting *setting = &qr_sampler_settings[i];
        const struct qr_answer_setting *cli = &s->settings[i];
        if (!qr_answer_setting_is_sent(cli, false)) continue;
        set(body, setting->name,
            setting->integer ? json_integer(cli->integer) : json_real(cli->real));
    }
    if (s->min_tokens) set(body, "min_tokens", json_integer(s->min_tokens));
    if (s->seeded) set(body, "seed", json_integer(s->seed));
    if (s->ignore_eos) set(body, "ignore_eos", json_true());
    if (ask->wants_ids) set(body, "return_token_ids", json_true());
    if (s->stop.items_n) {
        json_t *stop = json_array();
        for (size_t i = 0; i < s->stop.items_n; i++)
            json_array_append_new(stop, json_string(s->stop.items[i]));
        set(body, "stop", stop);
    }
    set(body, "stream", json_true());
    set(body, "stream_options", json_pack("{s:b}", "include_usage", 1));
    return body;
}

static void on_event(void *user, const char *data, size_t n)
{
    struct stream *s = user;
    struct qr_answer *a = s->answer;
    struct qr_delta chunk;
    if (s->bad || s->done) return;
    if (!qr_delta_read(&chunk, data, n)) {
        s->bad = !qr_failed(s->why, "the server sent an event that is not JSON");
        return;
    }
    if (chunk.error) s->bad = !qr_failed(s->why, "%s", chunk.error);
    s->done = chunk.done;
    if (chunk.has_token && !s->chunks_n++) a->first_s = qr_clock_s() - s->began_s;
    bool ok = true;
    if (chunk.text_n) {
        ok = qr_answer_add_text(a, chunk.text, chunk.text_n);
        if (s->ask->piece) s->ask->piece(s->ask->user, chunk.text, chunk.text_n);
    }
    for (size_t i = 0; ok && i < json_array_size(chunk.token_ids); i++)
        ok = qr_answer_add_id(a, (int32_t)json_integer_value(json_array_get(chunk.token_ids, i)));
    if (!ok) s->bad = !qr_failed(s->why, "out of memory");
    if (chunk.finish) strncpy(a->finish, chunk.finish, sizeof a->finish - 1);
    if (chunk.has_usage) {
        s->has_usage = true;
        a->prompt_n = chunk.prompt_n;
        a->completion_n = chunk.completion_n;
        a->cached_n = chunk.cached_n;
    }
    qr_delta_release(&chunk);
}

static void on_body(void *user, int status, const char *bytes, size_t n)
{
    struct stream *s = user;
    if (status == 200) {
        if (!s->bad && !qr_sse_feed(&s->sse, bytes, n))
            s->bad = !qr_failed(s->why, "the server's stream is too long");
        return;
    }
    size_t room = sizeof s->error_body - s->error_body_n;
    if (n > room) n = room;
    memcpy(s->error_body + s->error_body_n, bytes, n);
    s->error_body_n += n;
}

static void on_done(void *user, int status, const struct qr_failure *failure)
{
    struct stream *s = user;
    s->ended = true;
    s->call = NULL;
    if (s->bad) return;
    if (failure) {
        s->bad = !qr_failed(s->why, "%s", failure->text);
    } else if (status != 200) {
        qr_http_error_text(status, s->error_body, s->error_body_n, s->why);
        s->bad = true;
    } else if (!s->done) {
        s->bad = !qr_failed(s->why, "the stream ended without [DONE]");
    }
}

/* Polls the interrupt's flag: a signal may arrive on any thread and does not wake the loop. */
static void on_tick(uv_timer_t *timer)
{
    struct stream *s = timer->data;
    if (!qr_answer_interrupted || !s->call) return;
    qr_http_cancel(s->call);
    s->call = NULL;
    s->ended = true;
    strcpy(s->answer->finish, "cancelled");
}

/* Sends the request and reads the whole stream. */
static bool get(const struct qr_source *source, const struct qr_ask *ask, bool bounded,
                struct qr_answer *answer, struct qr_failure *why)
{
    static const struct qr_http_handler handler = {on_body, on_done};
    struct stream s = {.ask = ask, .answer = answer, .why = why, .began_s = qr_clock_s()};
    json_t *json = body_of(ask, bounded);
    char *body = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    uv_loop_t loop;
    uv_timer_t tick;
    if (!body || uv_loop_init(&loop) < 0) {
        free(body);
        return qr_failed(why, "out of memory");
    }
    struct qr_http *http = qr_http_create(&loop, &source->address, source->api_key);
    qr_sse_init(&s.sse, on_event, &s);
    uv_timer_init(&loop, &tick);
    tick.data = &s;
    uv_timer_start(&tick, on_tick, 100, 100);
    const struct qr_http_request request = {
        "POST", ask->turns ? "/v1/chat/completions" : "/v1/completions", body, strlen(body)};
    if (http) s.call = qr_http_start(http, &request, &handler, &s);
    if (!s.call) s.bad = !qr_failed(why, "out of memory");
    while (s.call && !s.ended)
        uv_run(&loop, UV_RUN_ONCE);
    if (http) qr_http_destroy(http);
    uv_close((uv_handle_t *)&tick, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    qr_sse_deinit(&s.sse);
    free(body);
    answer->total_s = qr_clock_s() - s.began_s;
    if (!s.has_usage) answer->completion_n = s.chunks_n;
    return !s.bad;
}

bool qr_answer_remote(const struct qr_source *source, const struct qr_ask *ask,
                      struct qr_answer *answer, struct qr_failure *why)
{
    if (get(source, ask, true, answer, why)) return true;
    /* OpenAI's words for a prompt and a limit that exceed the context together.  What the context
     * has left is then below the limit. */
    if (!ask->turns || !strstr(why->text, "maximum context length")) return false;
    why->text[0] = 0;
    return get(source, ask, false, answer, why);
}
