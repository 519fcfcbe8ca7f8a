/* SPDX-License-Identifier: MIT */
/* http -- parses HTTP/1.x requests from bytes that arrive in any pieces.
 *
 *   IDLE -> HEADERS -> BODY -> DONE -> (qr_http_next) -> IDLE
 *     \________\________\____-> BAD
 *
 * A request that a proxy in front might read otherwise is BAD: a folded header, a space before a
 * colon, two Host lines, a transfer coding besides chunked (RFC 9112, 3.2, 5.1, 5.2 and 6.1).
 *
 * DONE: the request can be read until qr_http_next; bytes after it have not been consumed.
 * BAD: `failure` holds the status and text.  The connection cannot be used further, because the
 * start of the next request is unknown.
 *
 * Thread: one at a time.   Memory: the allocator's; bounded by the limits given. */
#ifndef QR_SERVER_HTTP_H
#define QR_SERVER_HTTP_H

#include <http_parser.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/server/buffer.h"
#include "runtime/server/errors.h"

enum qr_http_stage { QR_HTTP_IDLE, QR_HTTP_HEADERS, QR_HTTP_BODY, QR_HTTP_DONE, QR_HTTP_BAD };

/* The headers that the server reads.  All others are counted and skipped. */
#define QR_HTTP_HEADER_MAP(X)                                                                      \
    X(QR_HTTP_AUTHORIZATION, "authorization")                                                      \
    X(QR_HTTP_API_KEY, "x-api-key")                                                                \
    X(QR_HTTP_HOST, "host")                                                                        \
    X(QR_HTTP_ORIGIN, "origin")                                                                    \
    X(QR_HTTP_ASKED_HEADERS, "access-control-request-headers")                                     \
    X(QR_HTTP_REQUEST_ID, "x-request-id")                                                          \
    X(QR_HTTP_ANTHROPIC_VERSION, "anthropic-version")                                              \
    X(QR_HTTP_CONTENT_ENCODING, "content-encoding")                                                \
    X(QR_HTTP_TRANSFER_ENCODING, "transfer-encoding")                                              \
    X(QR_HTTP_EXPECT, "expect")
enum qr_http_header {
#define QR_HTTP_HEADER_ENUM(name, text) name,
    QR_HTTP_HEADER_MAP(QR_HTTP_HEADER_ENUM)
#undef QR_HTTP_HEADER_ENUM
        QR_HTTP_HEADERS_N
};

struct qr_http_parser {
    http_parser parser;
    enum qr_http_stage stage;
    size_t header_max;
    size_t body_max;
    size_t header_bytes;
    char field[32]; /* the header's name so far, cut: the names that matter are shorter */
    size_t field_n;
    enum qr_http_header header; /* QR_HTTP_HEADERS_N: one that is skipped */
    bool in_value;
    uint32_t line;      /* lines read, empty ones before the request not counted */
    size_t line_n;      /* bytes of the line so far, its CR not counted */
    bool named;         /* the line's colon has been read */
    bool headers_ended; /* the headers have been checked to their end */
    struct qr_buffer url;
    struct qr_buffer headers[QR_HTTP_HEADERS_N]; /* values; n = 0: missing or empty */
    uint32_t counts[QR_HTTP_HEADERS_N];          /* how often each came */
    struct qr_buffer body;
    struct qr_api_failure failure; /* BAD */
};

void qr_http_init(struct qr_http_parser *http, const struct quire_allocator *memory,
                  size_t header_max, size_t body_max);
void qr_http_deinit(struct qr_http_parser *http);

/* Consumes bytes up to the end of one request and returns how many.  Check `stage` afterwards. */
size_t qr_http_feed(struct qr_http_parser *http, const char *data, size_t n);
/* Prepares for the next request. */
void qr_http_next(struct qr_http_parser *http);

/* ---- after the headers ------------------------------------------------------------------- */

const char *qr_http_method(const struct qr_http_parser *http); /* "GET" */
/* The path without the query; n = 0 if the target has no path. */
struct quire_text qr_http_path(const struct qr_http_parser *http);
/* A header's value; n = 0: missing or empty. */
struct quire_text qr_http_value(const struct qr_http_parser *http, enum qr_http_header header);
struct quire_text qr_http_body(const struct qr_http_parser *http);
bool qr_http_keep_alive(const struct qr_http_parser *http);
/* True if the client understands chunked answers: HTTP/1.1 and later. */
bool qr_http_takes_chunks(const struct qr_http_parser *http);
bool qr_http_expects_continue(const struct qr_http_parser *http);

#endif
