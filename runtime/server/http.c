/* SPDX-License-Identifier: MIT */
#include "runtime/server/http.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

static struct qr_http_parser *of(http_parser *parser)
{
    return parser->data;
}

static int bad(struct qr_http_parser *http, int status, const char *message)
{
    http->stage = QR_HTTP_BAD;
    (void)qr_fail(&http->failure, status, NULL, NULL, "%s", message);
    return -1;
}

static int count_header(struct qr_http_parser *http, size_t n)
{
    http->header_bytes += n;
    if (http->header_bytes <= http->header_max) return 0;
    return bad(http, 431, "the request's headers are too long");
}

/* ---- callbacks: one value may arrive in several calls ------------------------------------ */

static int on_url(http_parser *parser, const char *at, size_t n)
{
    struct qr_http_parser *http = of(parser);
    qr_buffer_put(&http->url, at, n);
    return count_header(http, n);
}

static int on_header_field(http_parser *parser, const char *at, size_t n)
{
    struct qr_http_parser *http = of(parser);
    if (http->in_value) {
        http->in_value = false;
        http->field_n = 0;
    }
    size_t room = sizeof http->field - http->field_n;
    memcpy(http->field + http->field_n, at, n < room ? n : room);
    http->field_n += n < room ? n : room;
    return count_header(http, n + 4); /* ": " and the line's end */
}

static bool field_is(const struct qr_http_parser *http, const char *name)
{
    return http->field_n == strlen(name) && strncasecmp(http->field, name, http->field_n) == 0;
}

static enum qr_http_header header_of(const struct qr_http_parser *http)
{
    static const char *const names[] = {
#define NAME(header, text) text,
        QR_HTTP_HEADER_MAP(NAME)
#undef NAME
    };
    for (size_t i = 0; i < QR_HTTP_HEADERS_N; i++)
        if (field_is(http, names[i])) return (enum qr_http_header)i;
    return QR_HTTP_HEADERS_N;
}

static int on_header_value(http_parser *parser, const char *at, size_t n)
{
    struct qr_http_parser *http = of(parser);
    if (!http->in_value) {
        http->in_value = true;
        /* A trailer, after a chunked body, sets nothing. */
        http->header = http->stage == QR_HTTP_HEADERS ? header_of(http) : QR_HTTP_HEADERS_N;
        if (http->header < QR_HTTP_HEADERS_N) {
            qr_buffer_clear(&http->headers[http->header]);
            http->counts[http->header]++;
        }
    }
    if (http->header < QR_HTTP_HEADERS_N) qr_buffer_put(&http->headers[http->header], at, n);
    return count_header(http, n);
}

static bool value_is(const struct qr_http_parser *http, enum qr_http_header header,
                     const char *expected)
{
    struct quire_text value = qr_http_value(http, header);
    return value.n == strlen(expected) && strncasecmp(value.data, expected, value.n) == 0;
}

/* Headers that say where the body ends and whom it is for. */
static int check_headers(struct qr_http_parser *http)
{
    const http_parser *parser = &http->parser;
    const uint32_t *counts = http->counts;
    if (counts[QR_HTTP_HOST] > 1) return bad(http, 400, "more than one Host header");
    if (counts[QR_HTTP_HOST] == 0 && parser->http_minor >= 1)
        return bad(http, 400, "the Host header is missing");
    if (counts[QR_HTTP_AUTHORIZATION] > 1 || counts[QR_HTTP_API_KEY] > 1)
        return bad(http, 400, "more than one Authorization or X-Api-Key header");
    if (counts[QR_HTTP_TRANSFER_ENCODING] > 1)
        return bad(http, 400, "more than one Transfer-Encoding header");
    if (counts[QR_HTTP_TRANSFER_ENCODING] && !value_is(http, QR_HTTP_TRANSFER_ENCODING, "chunked"))
        return bad(http, 501, "the transfer coding is not supported; expected chunked");
    if (http->headers[QR_HTTP_CONTENT_ENCODING].n > 0 &&
        !value_is(http, QR_HTTP_CONTENT_ENCODING, "identity"))
        return bad(http, 415, "the content coding is not supported; expected an uncoded body");
    return 0;
}

static int on_headers_complete(http_parser *parser)
{
    struct qr_http_parser *http = of(parser);
    if (parser->http_major != 1)
        return bad(http, 505, "the HTTP version is not supported; expected 1.0 or 1.1");
    /* An Upgrade header may be ignored.  CONNECT may not: what follows it is not HTTP. */
    if (parser->method == HTTP_CONNECT) return bad(http, 405, "CONNECT is not allowed");
    parser->upgrade = 0;

    if (check_headers(http) < 0) return -1;
    bool sized = (parser->flags & F_CONTENTLENGTH) != 0;
    if (sized && parser->content_length > http->body_max)
        return bad(http, 413, "the request's body is too long");
    http->stage = QR_HTTP_BODY;
    return 0;
}

static int on_body(http_parser *parser, const char *at, size_t n)
{
    struct qr_http_parser *http = of(parser);
    if (n > http->body_max - http->body.n) return bad(http, 413, "the request's body is too long");
    qr_buffer_put(&http->body, at, n);
    return 0;
}

static int on_message_complete(http_parser *parser)
{
    struct qr_http_parser *http = of(parser);
    http->stage = QR_HTTP_DONE;
    http_parser_pause(parser, 1);
    return 0;
}

static const http_parser_settings callbacks = {
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* ---- public ------------------------------------------------------------------------------ */

void qr_http_init(struct qr_http_parser *http, const struct quire_allocator *memory,
                  size_t header_max, size_t body_max)
{
    memset(http, 0, sizeof *http);
    http->header_max = header_max;
    http->body_max = body_max;
    qr_buffer_init(&http->url, memory);
    for (size_t i = 0; i < QR_HTTP_HEADERS_N; i++)
        qr_buffer_init(&http->headers[i], memory);
    qr_buffer_init(&http->body, memory);
    qr_http_next(http);
}

void qr_http_deinit(struct qr_http_parser *http)
{
    qr_buffer_deinit(&http->url);
    for (size_t i = 0; i < QR_HTTP_HEADERS_N; i++)
        qr_buffer_deinit(&http->headers[i]);
    qr_buffer_deinit(&http->body);
}

void qr_http_next(struct qr_http_parser *http)
{
    http_parser_init(&http->parser, HTTP_REQUEST);
    http->parser.data = http;
    http->stage = QR_HTTP_IDLE;
    http->header_bytes = 0;
    http->field_n = 0;
    http->in_value = false;
    http->line = 0;
    http->line_n = 0;
    http->named = http->headers_ended = false;
    qr_buffer_clear(&http->url);
    for (size_t i = 0; i < QR_HTTP_HEADERS_N; i++) {
        qr_buffer_clear(&http->headers[i]);
        http->counts[i] = 0;
    }
    qr_buffer_clear(&http->body);
}

/* http_parser joins folded lines and, built as Debian builds it, takes a space in a header's name.
 * So the lines are checked before it sees them. */
static bool lines_are_plain(struct qr_http_parser *http, const char *data, size_t n)
{
    for (size_t i = 0; i < n && !http->headers_ended; i++) {
        const char c = data[i];
        const bool blank = c == ' ' || c == '\t';
        if (c == '\n') {
            http->headers_ended = http->line_n == 0;
            http->line++;
            http->line_n = 0;
            http->named = false;
        } else if (c != '\r') {
            if (http->line > 0 && blank && !http->named) return false;
            http->named |= c == ':';
            http->line_n++;
        }
    }
    return true;
}

static bool any_failed(const struct qr_http_parser *http)
{
    bool failed = http->url.failed || http->body.failed;
    for (size_t i = 0; i < QR_HTTP_HEADERS_N; i++)
        failed |= http->headers[i].failed;
    return failed;
}

size_t qr_http_feed(struct qr_http_parser *http, const char *data, size_t n)
{
    assert(http->stage != QR_HTTP_DONE && http->stage != QR_HTTP_BAD);
    size_t skipped = 0;
    if (http->stage == QR_HTTP_IDLE) {
        /* Empty lines before a request are legal (RFC 9112, 2.2). */
        while (skipped < n && (data[skipped] == '\r' || data[skipped] == '\n'))
            skipped++;
        if (skipped == n) return n;
        http->stage = QR_HTTP_HEADERS;
    }
    if (http->stage == QR_HTTP_HEADERS && !lines_are_plain(http, data + skipped, n - skipped)) {
        (void)bad(http, 400, "a header is folded, or has a space before its colon");
        return n;
    }
    size_t used =
        skipped + http_parser_execute(&http->parser, &callbacks, data + skipped, n - skipped);
    if (http->stage == QR_HTTP_BAD) return n;

    enum http_errno error = HTTP_PARSER_ERRNO(&http->parser);
    if (error == HPE_HEADER_OVERFLOW) {
        (void)bad(http, 431, "the request's headers are too long");
    } else if (error != HPE_OK && http->stage != QR_HTTP_DONE) {
        http->stage = QR_HTTP_BAD;
        (void)qr_fail(&http->failure, 400, NULL, NULL, "not a valid HTTP request: %s",
                      http_errno_description(error));
    } else if (any_failed(http)) {
        (void)bad(http, 500, "out of memory");
    }
    return used;
}

const char *qr_http_method(const struct qr_http_parser *http)
{
    return http_method_str((enum http_method)http->parser.method);
}

struct quire_text qr_http_path(const struct qr_http_parser *http)
{
    struct http_parser_url url;
    struct quire_text path = {.data = "", .n = 0};
    http_parser_url_init(&url);
    if (http->url.n == 0 || http_parser_parse_url(http->url.data, http->url.n, 0, &url) != 0)
        return path;
    if (url.field_set & (1u << UF_PATH)) {
        path.data = http->url.data + url.field_data[UF_PATH].off;
        path.n = url.field_data[UF_PATH].len;
    }
    return path;
}

struct quire_text qr_http_value(const struct qr_http_parser *http, enum qr_http_header header)
{
    const struct qr_buffer *value = &http->headers[header];
    size_t n = value->n;
    while (n > 0 && (value->data[n - 1] == ' ' || value->data[n - 1] == '\t'))
        n--;
    return (struct quire_text){.data = n ? value->data : "", .n = n};
}

struct quire_text qr_http_body(const struct qr_http_parser *http)
{
    return (struct quire_text){.data = http->body.n ? http->body.data : "", .n = http->body.n};
}

bool qr_http_keep_alive(const struct qr_http_parser *http)
{
    return http_should_keep_alive(&http->parser) != 0;
}

bool qr_http_takes_chunks(const struct qr_http_parser *http)
{
    return http->parser.http_major == 1 && http->parser.http_minor >= 1;
}

bool qr_http_expects_continue(const struct qr_http_parser *http)
{
    return qr_http_takes_chunks(http) && value_is(http, QR_HTTP_EXPECT, "100-continue");
}
