/* SPDX-License-Identifier: MIT */
#include "runtime/server/route.h"

#include <string.h>
#include <strings.h>

#include "runtime/server/api.h"
#include "runtime/server/conn.h"

struct route {
    const char *path;
    const char *method;
    void (*handler)(struct qr_conn *conn);
    bool open;    /* needs no key */
    bool drained; /* 503 while draining */
};

static const struct route routes[] = {
    {"/v1/completions", "POST", qr_api_completions, false, true},
    {"/v1/chat/completions", "POST", qr_api_chat, false, true},
    {"/v1/models", "GET", qr_api_models, false, false},
    {"/tokenize", "POST", qr_api_tokenize, false, true},
    {"/detokenize", "POST", qr_api_detokenize, false, true},
    {"/health", "GET", qr_api_health, true, true},
    {"/version", "GET", qr_api_version, false, false},
    {"/metrics", "GET", qr_api_metrics, false, false},
};

/* Constant time for a length: a timing attack learns no prefix of a key. */
static bool equal(const char *a, const char *b, size_t n)
{
    unsigned char differ = 0;
    for (size_t i = 0; i < n; i++)
        differ |= (unsigned char)a[i] ^ (unsigned char)b[i];
    return differ == 0;
}

size_t qr_route_key(const char *keys, size_t keys_n, const char *header, size_t header_n)
{
    static const char scheme[] = "Bearer ";
    const size_t scheme_n = sizeof scheme - 1;
    if (header_n <= scheme_n || strncasecmp(header, scheme, scheme_n) != 0) return 0;
    header += scheme_n;
    header_n -= scheme_n;

    size_t fits = 0;
    for (size_t i = 0; i < keys_n;) {
        const char *end = memchr(keys + i, '\n', keys_n - i);
        size_t n = end ? (size_t)(end - keys) - i : keys_n - i;
        size_t line_n = n;
        while (n > 0 && (keys[i + n - 1] == '\r' || keys[i + n - 1] == ' '))
            n--;
        if (n > 0 && n == header_n && equal(keys + i, header, n)) fits = i + 1;
        i += line_n + 1;
    }
    return fits;
}

static bool has_key(struct qr_conn *conn)
{
    const struct qr_server_settings *s = &conn->server->settings;
    const struct qr_buffer *header = &conn->http.authorization;
    conn->caller.key = 0;
    if (!s->api_keys) return true;
    if (header->n > 0)
        conn->caller.key = qr_route_key(s->api_keys, s->api_keys_n, header->data, header->n);
    return conn->caller.key > 0;
}

void qr_route(struct qr_conn *conn)
{
    struct qr_api_failure failure;
    struct quire_text path = qr_http_path(&conn->http);
    const struct route *route = NULL;
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        if (strlen(routes[i].path) == path.n && memcmp(routes[i].path, path.data, path.n) == 0)
            route = &routes[i];
    /* Checked before the path, so that a caller without a key learns no paths. */
    if (!(route && route->open) && !has_key(conn)) {
        (void)qr_fail(&failure, 401, "invalid_api_key", NULL, "a valid API key is required");
        qr_conn_answer_failure(conn, &failure);
    } else if (!route) {
        (void)qr_fail(&failure, 404, NULL, NULL, "there is nothing at this path");
        qr_conn_answer_failure(conn, &failure);
    } else if (strcmp(route->method, qr_http_method(&conn->http)) != 0) {
        qr_conn_answer_method(conn, route->method);
    } else if (route->drained && conn->server->draining) {
        (void)qr_fail_engine(&failure, QUIRE_STOPPING, NULL);
        qr_conn_answer_failure(conn, &failure);
    } else {
        route->handler(conn);
    }
}
