/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "tools/client/http.h"

#define REPLY_MAX (256u << 20)

struct ask {
    struct qr_reply *reply;
    struct qr_failure *why;
    bool ok;
    bool ended;
    bool too_long;
};

static void ask_body(void *user, int status, const char *bytes, size_t n)
{
    (void)status;
    struct ask *ask = user;
    struct qr_reply *r = ask->reply;
    char *grown = n < REPLY_MAX - r->body_n ? realloc(r->body, r->body_n + n + 1) : NULL;
    if (!grown) {
        ask->too_long = true;
        return;
    }
    memcpy(grown + r->body_n, bytes, n);
    r->body = grown;
    r->body_n += n;
    r->body[r->body_n] = 0;
}

static void ask_done(void *user, int status, const struct qr_failure *failure)
{
    struct ask *ask = user;
    ask->reply->status = status;
    ask->ended = true;
    if (failure)
        qr_failed(ask->why, "%s", failure->text);
    else if (ask->too_long)
        qr_failed(ask->why, "the answer is longer than %u bytes, or memory is out", REPLY_MAX);
    else
        ask->ok = true;
}

bool qr_http_ask(const struct qr_address *address, const char *api_key,
                 const struct qr_http_request *request, struct qr_reply *reply,
                 struct qr_failure *why)
{
    static const struct qr_http_handler handler = {ask_body, ask_done};
    struct ask ask = {.reply = reply, .why = why};
    *reply = (struct qr_reply){0};
    uv_loop_t loop;
    if (uv_loop_init(&loop) < 0) return qr_failed(why, "cannot create an event loop");
    struct qr_http *http = qr_http_create(&loop, address, api_key);
    if (!http) {
        uv_loop_close(&loop);
        return qr_failed(why, "out of memory");
    }
    struct qr_http_call *call = qr_http_start(http, request, &handler, &ask);
    if (!call) qr_failed(why, "out of memory");
    /* Not until the loop is empty: the connection that is kept open keeps it alive. */
    while (call && !ask.ended)
        uv_run(&loop, UV_RUN_ONCE);
    qr_http_destroy(http);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    if (ask.ok && !reply->body) {
        reply->body = calloc(1, 1);
        ask.ok = reply->body != NULL;
    }
    if (!ask.ok) {
        free(reply->body);
        reply->body = NULL;
    }
    return ask.ok;
}

void qr_http_error_text(int status, const char *body, size_t body_n, struct qr_failure *why)
{
    json_t *json = body_n ? json_loadb(body, body_n, JSON_DECODE_ANY, NULL) : NULL;
    const json_t *error = json_object_get(json, "error");
    const char *text = json_string_value(json_object_get(error, "message"));
    if (!text) text = json_string_value(error);
    if (!text) text = json_string_value(json_object_get(json, "message"));
    if (text)
        qr_failed(why, "HTTP %d: %s", status, text);
    else
        qr_failed(why, "HTTP %d: %.*s", status, (int)(body_n < 200 ? body_n : 200),
                  body ? body : "");
    json_decref(json);
}
