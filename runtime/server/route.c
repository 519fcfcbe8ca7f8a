/* SPDX-License-Identifier: MIT */
#include "runtime/server/route.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "runtime/server/api.h"
#include "runtime/server/conn.h"
#include "runtime/server/door.h"

struct route {
    const char *path; /* without /v1; a path that ends in '/' stands for all below it */
    const char *method;
    void (*handler)(struct qr_conn *conn);
    bool open;    /* needs no key */
    bool drained; /* 503 while draining */
};

/* HEAD is answered wherever GET is.  Each path is served with and without /v1 in front. */
static const struct route routes[] = {
    {"/completions", "POST", qr_api_completions, false, true},
    {"/chat/completions", "POST", qr_api_chat, false, true},
    {"/chat/completions/input_tokens", "POST", qr_api_chat_input_tokens, false, true},
    {"/responses", "POST", qr_api_responses, false, true},
    {"/responses/input_tokens", "POST", qr_api_input_tokens, false, true},
    {"/messages", "POST", qr_api_messages, false, true},
    {"/messages/count_tokens", "POST", qr_api_count_tokens, false, true},
    {"/embeddings", "POST", qr_api_embeddings, false, false},
    {"/models", "GET", qr_api_models, false, false},
    {"/models/", "GET", qr_api_model, false, false},
    {"/tokenize", "POST", qr_api_tokenize, false, true},
    {"/detokenize", "POST", qr_api_detokenize, false, true},
    {"/tokenizer_info", "GET", qr_api_tokenizer_info, false, false},
    {"/health", "GET", qr_api_health, true, true},
    {"/version", "GET", qr_api_version, false, false},
    {"/metrics", "GET", qr_api_metrics, false, false},
};

struct quire_text qr_route_path(const struct qr_http_parser *http)
{
    static const char version[] = "/v1";
    const size_t version_n = sizeof version - 1;
    struct quire_text path = qr_http_path(http);

    if (path.n > version_n && memcmp(path.data, version, version_n) == 0 &&
        path.data[version_n] == '/') {
        path.data += version_n;
        path.n -= version_n;
    }
    while (path.n > 1 && path.data[path.n - 1] == '/')
        path.n--;
    return path;
}

static bool leads(const char *prefix, struct quire_text path)
{
    const size_t n = strlen(prefix);
    return path.n >= n && memcmp(path.data, prefix, n) == 0;
}

static const struct route *find(struct quire_text path)
{
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        const char *at = routes[i].path;
        const size_t n = strlen(at);
        const bool below = at[n - 1] == '/';
        if (leads(at, path) && (below ? path.n > n : path.n == n)) return &routes[i];
    }
    return NULL;
}

/* A client's X-Request-Id is kept if it is short and printable, so that it fits a header. */
static void name_request(struct qr_conn *conn)
{
    struct quire_text given = qr_http_value(&conn->http, QR_HTTP_REQUEST_ID);
    unsigned char bytes[12] = {0};
    bool fits = given.n > 0 && given.n < sizeof conn->request_id;

    for (size_t i = 0; fits && i < given.n; i++)
        fits = given.data[i] > ' ' && given.data[i] < 127 && given.data[i] != '"' &&
               given.data[i] != '\\';
    if (fits) {
        (void)snprintf(conn->request_id, sizeof conn->request_id, "%.*s", (int)given.n, given.data);
    } else {
        int n = snprintf(conn->request_id, sizeof conn->request_id, "req_");
        (void)uv_random(NULL, NULL, bytes, sizeof bytes, 0, NULL);
        for (size_t i = 0; i < sizeof bytes; i++)
            n += snprintf(conn->request_id + n, sizeof conn->request_id - (size_t)n, "%02x",
                          bytes[i]);
    }
    qr_buffer_printf(&conn->more_head, "%s: %s\r\n",
                     conn->anthropic ? "request-id" : "x-request-id", conn->request_id);
}

void qr_route(struct qr_conn *conn)
{
    struct qr_api_failure failure;
    const char *method = qr_http_method(&conn->http);
    struct quire_text path = qr_route_path(&conn->http);
    const struct route *route = find(path);

    conn->anthropic = leads("/messages", path);
    name_request(conn);
    qr_door_put_cors(conn);
    if (qr_door_preflight(conn)) return;
    /* Keys are checked before the path, so that a caller without a key learns no paths. */
    if (!qr_door_knows(conn, &failure)) {
        qr_conn_answer_failure(conn, &failure);
    } else if (!(route && route->open) && !qr_door_has_key(conn)) {
        (void)qr_fail(&failure, 401, "invalid_api_key", NULL, "a valid API key is required");
        qr_conn_answer_failure(conn, &failure);
    } else if (!route) {
        (void)qr_fail(&failure, 404, NULL, NULL, "there is nothing at this path");
        qr_conn_answer_failure(conn, &failure);
    } else if (strcmp(route->method, method) != 0 &&
               !(strcmp(route->method, "GET") == 0 && conn->head_only)) {
        qr_conn_answer_method(conn, strcmp(route->method, "GET") == 0 ? "GET, HEAD" : "POST");
    } else if (route->drained && conn->server->draining) {
        (void)qr_fail_engine(&failure, QUIRE_STOPPING, NULL);
        qr_conn_answer_failure(conn, &failure);
    } else {
        route->handler(conn);
    }
}
