/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/memory.h"
#include "runtime/server/http.h"

#define HEADER_MAX 512
#define BODY_MAX   100

static struct quire_allocator memory;

static const char post[] = "\r\nPOST /v1/completions?x=1 HTTP/1.1\r\n"
                           "Host: a\r\n"
                           "aUTHORIZATION: Bearer se cret\r\n"
                           "Expect: 100-continue\r\n"
                           "Content-Length: 11\r\n\r\n"
                           "hello\0world";
#define POST_N (sizeof post - 1)

static const char chunked[] =
    "POST /tokenize HTTP/1.1\r\nHost: a\r\n"
    "Transfer-Encoding: chunked\r\n\r\n"
    "5\r\nhello\r\n6;ext=1\r\n\0world\r\n0\r\nAuthorization: Bearer x\r\n\r\n";
#define CHUNKED_N (sizeof chunked - 1)

static void assert_text(struct quire_text text, const char *expected, size_t n)
{
    assert_int_equal(text.n, n);
    assert_memory_equal(text.data, expected, n);
}

/* Feeds in two pieces and, where the first does not end the request, the second. */
static size_t feed(struct qr_http_parser *http, const char *data, size_t n, size_t cut)
{
    size_t used = qr_http_feed(http, data, cut);
    if (http->stage == QR_HTTP_DONE || http->stage == QR_HTTP_BAD) return used;
    assert_int_equal(used, cut);
    return used + qr_http_feed(http, data + cut, n - cut);
}

static void assert_post(const struct qr_http_parser *http)
{
    assert_int_equal(http->stage, QR_HTTP_DONE);
    assert_string_equal(qr_http_method(http), "POST");
    assert_text(qr_http_path(http), "/v1/completions", 15);
    assert_text(qr_http_body(http), "hello\0world", 11);
    assert_text(qr_http_value(http, QR_HTTP_AUTHORIZATION), "Bearer se cret", 14);
    assert_true(qr_http_keep_alive(http));
    assert_true(qr_http_takes_chunks(http));
    assert_true(qr_http_expects_continue(http));
}

/* Goal: bytes may come in any pieces.
 * Method: two requests one after another, cut at every byte of the first, and byte by byte. */
static void a_request_may_be_split_anywhere(void **state)
{
    (void)state;
    struct qr_http_parser http;
    qr_http_init(&http, &memory, HEADER_MAX, BODY_MAX);
    for (size_t cut = 0; cut < POST_N; cut++) {
        assert_int_equal(feed(&http, post, POST_N, cut), POST_N);
        assert_post(&http);
        qr_http_next(&http);
    }
    for (size_t cut = 0; cut < CHUNKED_N; cut++) {
        assert_int_equal(feed(&http, chunked, CHUNKED_N, cut), CHUNKED_N);
        assert_int_equal(http.stage, QR_HTTP_DONE);
        assert_text(qr_http_body(&http), "hello\0world", 11);
        assert_int_equal(qr_http_value(&http, QR_HTTP_AUTHORIZATION).n, 0); /* a trailer */
        qr_http_next(&http);
    }
    for (size_t i = 0; i < POST_N; i++)
        assert_int_equal(qr_http_feed(&http, post + i, 1), 1);
    assert_post(&http);
    qr_http_deinit(&http);
}

/* Goal: bytes after a request are not consumed.
 * Method: feed three requests in one piece and continue at each returned position. */
static void a_request_ends_where_it_ends(void **state)
{
    (void)state;
    struct qr_http_parser http;
    char both[2 * POST_N + CHUNKED_N];
    memcpy(both, post, POST_N);
    memcpy(both + POST_N, chunked, CHUNKED_N);
    memcpy(both + POST_N + CHUNKED_N, post, POST_N);
    qr_http_init(&http, &memory, HEADER_MAX, BODY_MAX);
    size_t at = qr_http_feed(&http, both, sizeof both);
    assert_int_equal(at, POST_N);
    assert_post(&http);
    qr_http_next(&http);
    at += qr_http_feed(&http, both + at, sizeof both - at);
    assert_int_equal(at, POST_N + CHUNKED_N);
    qr_http_next(&http);
    at += qr_http_feed(&http, both + at, sizeof both - at);
    assert_int_equal(at, sizeof both);
    assert_post(&http);
    qr_http_deinit(&http);
}

/* Goal: nothing of one request remains in the next.
 * Method: feed a POST with all headers, then a plain GET. */
static void the_next_request_begins_clean(void **state)
{
    (void)state;
    static const char get[] = "GET /health HTTP/1.0\r\n\r\n";
    struct qr_http_parser http;
    qr_http_init(&http, &memory, HEADER_MAX, BODY_MAX);
    (void)qr_http_feed(&http, post, POST_N);
    qr_http_next(&http);
    assert_int_equal(http.stage, QR_HTTP_IDLE);
    assert_int_equal(qr_http_feed(&http, get, sizeof get - 1), sizeof get - 1);
    assert_int_equal(http.stage, QR_HTTP_DONE);
    assert_string_equal(qr_http_method(&http), "GET");
    assert_int_equal(qr_http_body(&http).n, 0);
    assert_int_equal(qr_http_value(&http, QR_HTTP_AUTHORIZATION).n, 0);
    assert_false(qr_http_expects_continue(&http));
    assert_false(qr_http_keep_alive(&http));
    assert_false(qr_http_takes_chunks(&http));
    qr_http_deinit(&http);
}

static void assert_bad(const char *data, size_t n, int status)
{
    for (size_t cut = 0; cut < n; cut++) {
        struct qr_http_parser http;
        qr_http_init(&http, &memory, HEADER_MAX, BODY_MAX);
        (void)feed(&http, data, n, cut);
        assert_int_equal(http.stage, QR_HTTP_BAD);
        assert_int_equal(http.failure.http_status, status);
        assert_true(strlen(http.failure.message) > 0);
        qr_http_deinit(&http);
    }
}

/* Goal: a malformed request is refused with its status, however it is split.
 * Method: feed each one, split at every byte. */
static void bad_requests_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *data;
        int status;
    } bad[] = {
        {"hello\r\n\r\n", 400},
        {"GET / HTTP/x\r\n\r\n", 400},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
        {"GET / HTTP/2.0\r\n\r\n", 505},
        {"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 405},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
         400},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n", 413},
        {"GET / HTTP/1.1\r\nA: b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nX:\r\n b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\n X: b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\r\nX-Api-Key: b\r\nX-Api-Key: c\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n", 400},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx", 415},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 400},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_bad(bad[i].data, strlen(bad[i].data), bad[i].status);
}

/* Goal: long URLs, long and many headers, and chunks that add up are refused.
 * Method: exceed each limit, split at every byte. */
static void lengths_are_bounded(void **state)
{
    (void)state;
    char text[2048];
    int n = snprintf(text, sizeof text, "GET /%0600d HTTP/1.1\r\nHost: a\r\n\r\n", 7);
    assert_bad(text, (size_t)n, 431);
    n = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\nA: %0600d\r\n\r\n", 7);
    assert_bad(text, (size_t)n, 431);
    n = snprintf(text, sizeof text, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < 110; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "a:\r\n");
    n += snprintf(text + n, sizeof text - (size_t)n, "\r\n");
    assert_bad(text, (size_t)n, 431);
    n = snprintf(text, sizeof text,
                 "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "40\r\n%064d\r\n40\r\n%064d\r\n0\r\n\r\n",
                 1, 2);
    assert_bad(text, (size_t)n, 413);
}

/* Goal: an offer to upgrade is ignored, and the body is read.
 * Method: feed a POST with an Upgrade header. */
static void upgrades_are_ignored(void **state)
{
    (void)state;
    static const char text[] =
        "POST /a HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"
        "Content-Length: 2\r\n\r\nhi";
    struct qr_http_parser http;
    qr_http_init(&http, &memory, HEADER_MAX, BODY_MAX);
    assert_int_equal(qr_http_feed(&http, text, sizeof text - 1), sizeof text - 1);
    assert_int_equal(http.stage, QR_HTTP_DONE);
    assert_text(qr_http_body(&http), "hi", 2);
    qr_http_deinit(&http);
}

int main(void)
{
    memory = qr_allocator((struct quire_allocator){NULL, NULL});
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_may_be_split_anywhere),
        cmocka_unit_test(a_request_ends_where_it_ends),
        cmocka_unit_test(the_next_request_begins_clean),
        cmocka_unit_test(bad_requests_are_refused),
        cmocka_unit_test(lengths_are_bounded),
        cmocka_unit_test(upgrades_are_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
