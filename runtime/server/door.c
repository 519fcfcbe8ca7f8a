/* SPDX-License-Identifier: MIT */
#include "runtime/server/door.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "runtime/server/conn.h"

static struct quire_text text_of(const char *string)
{
    return (struct quire_text){.data = string, .n = strlen(string)};
}

static bool same(struct quire_text a, struct quire_text b)
{
    return a.n == b.n && strncasecmp(a.data, b.data, a.n) == 0;
}

/* ---- Host and Origin ----------------------------------------------------------------------- */

/* "a" of "a:80" and "::1" of "[::1]:80". */
static struct quire_text without_port(struct quire_text host)
{
    if (host.n > 0 && host.data[0] == '[') {
        const char *end = memchr(host.data, ']', host.n);
        if (!end) return (struct quire_text){"", 0};
        return (struct quire_text){.data = host.data + 1, .n = (size_t)(end - host.data) - 1};
    }
    const char *colon = memchr(host.data, ':', host.n);
    return (struct quire_text){.data = host.data,
                               .n = colon ? (size_t)(colon - host.data) : host.n};
}

bool qr_door_host_is_local(struct quire_text host)
{
    static const char local[] = "localhost", under[] = ".localhost";
    const size_t under_n = sizeof under - 1;
    struct quire_text name = without_port(host);
    char address[INET6_ADDRSTRLEN];
    struct in6_addr out;

    if (same(name, text_of(local))) return true;
    if (name.n > under_n && strncasecmp(name.data + name.n - under_n, under, under_n) == 0)
        return true;
    if (name.n == 0 || name.n >= sizeof address) return false;
    memcpy(address, name.data, name.n);
    address[name.n] = '\0';
    return inet_pton(AF_INET, address, &out) == 1 || inet_pton(AF_INET6, address, &out) == 1;
}

struct quire_text qr_door_origin_host(struct quire_text origin)
{
    for (size_t i = 0; i + 2 < origin.n; i++)
        if (memcmp(origin.data + i, "://", 3) == 0)
            return (struct quire_text){.data = origin.data + i + 3, .n = origin.n - i - 3};
    return (struct quire_text){"", 0};
}

/* One of --cors-origin; as a host if `host`, else as an origin. */
static bool is_listed(const struct qr_server_settings *s, struct quire_text value, bool host)
{
    for (size_t i = 0; i < s->cors_origins_n; i++) {
        struct quire_text listed = text_of(s->cors_origins[i]);
        if (listed.n == 1 && listed.data[0] == '*') return true;
        if (same(host ? without_port(qr_door_origin_host(listed)) : listed, value)) return true;
    }
    return false;
}

bool qr_door_knows(const struct qr_conn *conn, struct qr_api_failure *failure)
{
    const struct qr_server_settings *s = &conn->server->settings;
    struct quire_text host = qr_http_value(&conn->http, QR_HTTP_HOST);
    struct quire_text origin = qr_http_value(&conn->http, QR_HTTP_ORIGIN);

    if (!conn->loopback || s->api_keys) return true;
    if (host.n > 0 && !qr_door_host_is_local(host) && !is_listed(s, without_port(host), true))
        return qr_fail(failure, 403, "host_not_allowed", NULL,
                       "Host \"%.*s\" is not this machine; expected localhost or an address "
                       "(quired --cors-origin allows another)",
                       (int)(host.n < 100 ? host.n : 100), host.data);
    if (origin.n > 0 && !is_listed(s, origin, false) &&
        !qr_door_host_is_local(qr_door_origin_host(origin)))
        return qr_fail(failure, 403, "origin_not_allowed", NULL,
                       "Origin \"%.*s\" is not allowed; expected a page of this machine "
                       "(quired --cors-origin allows another)",
                       (int)(origin.n < 100 ? origin.n : 100), origin.data);
    return true;
}

/* ---- CORS ---------------------------------------------------------------------------------- */

/* The characters of a list of header names and of an origin: what is echoed holds no others. */
static bool is_plain(struct quire_text text)
{
    for (size_t i = 0; i < text.n; i++) {
        const unsigned char c = (unsigned char)text.data[i];
        if (!isalnum(c) && !strchr("-_., :/[]", c)) return false;
        if (c == '\0') return false;
    }
    return true;
}

static bool is_allowed(const struct qr_conn *conn, struct quire_text origin)
{
    return origin.n > 0 && is_plain(origin) && is_listed(&conn->server->settings, origin, false);
}

void qr_door_put_cors(struct qr_conn *conn)
{
    struct quire_text origin = qr_http_value(&conn->http, QR_HTTP_ORIGIN);

    if (conn->server->settings.cors_origins_n == 0) return;
    qr_buffer_puts(&conn->more_head, "Vary: Origin\r\n");
    if (!is_allowed(conn, origin)) return;
    qr_buffer_printf(&conn->more_head,
                     "Access-Control-Allow-Origin: %.*s\r\n"
                     "Access-Control-Expose-Headers: request-id, x-request-id, retry-after\r\n",
                     (int)origin.n, origin.data);
}

bool qr_door_preflight(struct qr_conn *conn)
{
    struct quire_text origin = qr_http_value(&conn->http, QR_HTTP_ORIGIN);
    struct quire_text asked = qr_http_value(&conn->http, QR_HTTP_ASKED_HEADERS);

    if (strcmp(qr_http_method(&conn->http), "OPTIONS") != 0 || !is_allowed(conn, origin))
        return false;
    qr_buffer_puts(&conn->more_head, "Access-Control-Allow-Methods: GET, HEAD, POST, OPTIONS\r\n"
                                     "Access-Control-Max-Age: 600\r\n");
    /* Repeated and not "*", which never covers authorization. */
    if (asked.n > 0 && is_plain(asked))
        qr_buffer_printf(&conn->more_head, "Access-Control-Allow-Headers: %.*s\r\n", (int)asked.n,
                         asked.data);
    qr_conn_answer(conn, 204, NULL, "", 0);
    return true;
}

/* ---- keys ---------------------------------------------------------------------------------- */

/* Constant time for a length: a timing attack learns no prefix of a key. */
static bool equal(const char *a, const char *b, size_t n)
{
    unsigned char differ = 0;
    for (size_t i = 0; i < n; i++)
        differ |= (unsigned char)a[i] ^ (unsigned char)b[i];
    return differ == 0;
}

size_t qr_door_find_key(const char *keys, size_t keys_n, const char *key, size_t key_n)
{
    size_t fits = 0;
    for (size_t i = 0; i < keys_n;) {
        const char *end = memchr(keys + i, '\n', keys_n - i);
        size_t n = end ? (size_t)(end - keys) - i : keys_n - i;
        size_t line_n = n;
        while (n > 0 && (keys[i + n - 1] == '\r' || keys[i + n - 1] == ' '))
            n--;
        if (n > 0 && n == key_n && equal(keys + i, key, n)) fits = i + 1;
        i += line_n + 1;
    }
    return fits;
}

struct quire_text qr_door_bearer(struct quire_text header)
{
    static const char scheme[] = "Bearer ";
    const size_t n = sizeof scheme - 1;
    if (header.n <= n || strncasecmp(header.data, scheme, n) != 0)
        return (struct quire_text){"", 0};
    return (struct quire_text){.data = header.data + n, .n = header.n - n};
}

bool qr_door_has_key(struct qr_conn *conn)
{
    const struct qr_server_settings *s = &conn->server->settings;
    struct quire_text key = qr_http_value(&conn->http, QR_HTTP_API_KEY);

    conn->caller.key = 0;
    if (!s->api_keys) return true;
    if (key.n == 0) key = qr_door_bearer(qr_http_value(&conn->http, QR_HTTP_AUTHORIZATION));
    if (key.n > 0) conn->caller.key = qr_door_find_key(s->api_keys, s->api_keys_n, key.data, key.n);
    return conn->caller.key > 0;
}
