/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "support/fake_server.h"
#include "tools/client/http.h"

/* The events that a call received. */
struct seen {
    struct qr_http_call *call;
    char body[4096];
    size_t body_n;
    int status;
    bool done, failed, cancels;
    char failure[400];
};

static void on_body(void *user, int status, const char *bytes, size_t n)
{
    struct seen *s = user;
    assert_true(s->body_n + n < sizeof s->body);
    memcpy(s->body + s->body_n, bytes, n);
    s->body_n += n;
    s->status = status;
    if (s->cancels) {
        qr_http_cancel(s->call);
        s->call = NULL;
    }
}

static void on_done(void *user, int status, const struct qr_failure *failure)
{
    struct seen *s = user;
    assert_false(s->done);
    s->done = true;
    s->status = status;
    s->failed = failure != NULL;
    if (failure) snprintf(s->failure, sizeof s->failure, "%s", failure->text);
}

static const struct qr_http_handler handler = {on_body, on_done};

struct client {
    uv_loop_t loop;
    struct qr_http *http;
};

static void open_client(struct client *c, const char *socket)
{
    struct qr_address address;
    struct qr_failure why;
    assert_true(qr_address_read(&address, socket, NULL, &why));
    assert_int_equal(uv_loop_init(&c->loop), 0);
    c->http = qr_http_create(&c->loop, &address, "secret");
    assert_non_null(c->http);
}

static void close_client(struct client *c)
{
    qr_http_destroy(c->http);
    uv_run(&c->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&c->loop), 0);
}

static struct qr_http_call *start(struct qr_http *http, const char *path, struct seen *seen)
{
    static const char body[] = "{}";
    const struct qr_http_request request = {"POST", path, body, sizeof body - 1};
    return qr_http_start(http, &request, &handler, seen);
}

static struct seen get(struct client *c, const char *path)
{
    struct seen seen = {0};
    seen.call = start(c->http, path, &seen);
    assert_non_null(seen.call);
    while (!seen.done)
        uv_run(&c->loop, UV_RUN_ONCE);
    return seen;
}

static const char chunked[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                              "5\r\nhello\r\n1\r\n \r\n5;x=y\r\nworld\r\n0\r\n\r\n";

/* Path "/N": sends the chunked answer in writes of N bytes. */
static bool split_script(const struct fake_exchange *x)
{
    return fake_send_split(x->fd, chunked, sizeof chunked - 1, strtoul(x->path + 1, NULL, 10));
}

/* Goal: a chunked answer is reassembled for every cut, over one keep-alive connection.
 * Method: writes of every size; the server counts connections. */
static void chunked_answers_are_read_however_cut(void **state)
{
    (void)state;
    struct fake_server server;
    struct client c;
    static const char whole[] = "hello world";
    fake_start(&server, split_script, NULL);
    open_client(&c, server.path);
    for (size_t piece = 1; piece < sizeof chunked; piece++) {
        char path[16];
        snprintf(path, sizeof path, "/%zu", piece);
        struct seen seen = get(&c, path);
        assert_false(seen.failed);
        assert_int_equal(seen.status, 200);
        assert_int_equal(seen.body_n, sizeof whole - 1);
        assert_memory_equal(seen.body, whole, sizeof whole - 1);
    }
    assert_int_equal(atomic_load(&server.connections_n), 1);
    close_client(&c);
    fake_stop(&server);
}

/* Answers the first request of a connection and closes on the second, as a server does at its idle
 * timeout. */
static bool closing_script(const struct fake_exchange *x)
{
    return x->on_connection == 0 && fake_answer(x, 200, "ok");
}

/* Goal: no call fails because the server closed an idle connection.
 * Method: a server that closes on every second request of a connection. */
static void a_stale_connection_is_replaced(void **state)
{
    (void)state;
    struct fake_server server;
    struct client c;
    fake_start(&server, closing_script, NULL);
    open_client(&c, server.path);
    for (int i = 0; i < 8; i++) {
        struct seen seen = get(&c, "/");
        assert_false(seen.failed);
        assert_int_equal(seen.body_n, 2);
    }
    assert_int_equal(atomic_load(&server.connections_n), 8);
    assert_int_equal(atomic_load(&server.requests_n), 8 + 7);
    close_client(&c);
    fake_stop(&server);
}

static bool broken_script(const struct fake_exchange *x)
{
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "rubbish\r\n\r\n",
        "",
    };
    const char *answer = answers[x->path[1] - '0'];
    fake_send(x->fd, answer, strlen(answer));
    return false;
}

/* Goal: an answer that is incomplete, not HTTP, or missing is a failure.
 * Method: one server for each. */
static void broken_answers_fail(void **state)
{
    (void)state;
    struct fake_server server;
    struct client c;
    fake_start(&server, broken_script, NULL);
    open_client(&c, server.path);
    for (char path[] = "/0"; path[1] < '4'; path[1]++) {
        struct seen seen = get(&c, path);
        assert_true(seen.failed);
        assert_non_null(strstr(seen.failure, server.path));
    }
    close_client(&c);
    fake_stop(&server);
}

/* Goal: without a server the failure names the address and arrives after start has returned.
 * Method: a socket that does not exist. */
static void a_missing_server_is_a_failure(void **state)
{
    (void)state;
    struct client c;
    open_client(&c, "/tmp/quire-nobody.sock");
    struct seen seen = get(&c, "/");
    assert_true(seen.failed);
    assert_non_null(strstr(seen.failure, "/tmp/quire-nobody.sock"));
    close_client(&c);
}

/* Goal: an answer that ends at close, and one without a body, are complete.
 * Method: both, from one server. */
static bool plain_script(const struct fake_exchange *x)
{
    const char *answer =
        x->path[1] == 'a' ? "HTTP/1.0 200 OK\r\n\r\nto the end" : "HTTP/1.1 204 No Content\r\n\r\n";
    fake_send(x->fd, answer, strlen(answer));
    return x->path[1] != 'a';
}

static void answers_without_a_length_are_read(void **state)
{
    (void)state;
    struct fake_server server;
    struct client c;
    fake_start(&server, plain_script, NULL);
    open_client(&c, server.path);
    struct seen seen = get(&c, "/b");
    assert_false(seen.failed);
    assert_int_equal(seen.status, 204);
    seen = get(&c, "/a");
    assert_false(seen.failed);
    assert_int_equal(seen.body_n, 10);
    close_client(&c);
    fake_stop(&server);
}

/* Goal: a call may cancel itself in its body callback; it gets no more events, and other calls
 *       work.
 * Method: cancel in the first body, then start another call. */
static void cancelling_from_the_body_is_safe(void **state)
{
    (void)state;
    struct fake_server server;
    struct client c;
    fake_start(&server, split_script, NULL);
    open_client(&c, server.path);
    struct seen seen = {.cancels = true};
    seen.call = start(c.http, "/1", &seen);
    while (seen.call)
        uv_run(&c.loop, UV_RUN_ONCE);
    for (int i = 0; i < 20; i++)
        uv_run(&c.loop, UV_RUN_NOWAIT);
    assert_false(seen.done);
    struct seen other = get(&c, "/0");
    assert_false(other.failed);
    assert_int_equal(other.body_n, 11);
    close_client(&c);
    fake_stop(&server);
}

/* Goal: a client may be destroyed while calls are running.
 * Method: a server that never answers. */
static bool silent_script(const struct fake_exchange *x)
{
    char byte;
    return recv(x->fd, &byte, 1, 0) > 0;
}

static void destroying_ends_calls(void **state)
{
    (void)state;
    struct fake_server server;
    struct client c;
    struct seen seen[4] = {{0}};
    fake_start(&server, silent_script, NULL);
    open_client(&c, server.path);
    for (int i = 0; i < 4; i++)
        seen[i].call = start(c.http, "/", &seen[i]);
    for (int i = 0; i < 10; i++)
        uv_run(&c.loop, UV_RUN_NOWAIT);
    close_client(&c);
    for (int i = 0; i < 4; i++)
        assert_false(seen[i].done);
    fake_stop(&server);
}

/* Goal: a blocking call returns the whole answer, and OpenAI's error message is extracted.
 * Method: a server that refuses the request. */
static bool refusing_script(const struct fake_exchange *x)
{
    return fake_answer(x, 400, "{\"error\":{\"message\":\"n is wrong\",\"param\":\"n\"}}");
}

static void ask_returns_the_whole_answer(void **state)
{
    static const struct qr_http_request models = {"GET", "/v1/models", NULL, 0};
    static const struct qr_http_request root = {"GET", "/", NULL, 0};
    (void)state;
    struct fake_server server;
    struct qr_address address;
    struct qr_failure why = {""};
    struct qr_reply reply;
    fake_start(&server, refusing_script, NULL);
    assert_true(qr_address_read(&address, server.path, NULL, &why));
    assert_true(qr_http_ask(&address, NULL, &models, &reply, &why));
    assert_int_equal(reply.status, 400);
    qr_http_error_text(reply.status, reply.body, reply.body_n, &why);
    assert_string_equal(why.text, "HTTP 400: n is wrong");
    free(reply.body);
    fake_stop(&server);
    assert_false(qr_http_ask(&address, NULL, &root, &reply, &why));
    qr_http_error_text(502, "<html>", 6, &why);
    assert_string_equal(why.text, "HTTP 502: <html>");
}

/* Goal: addresses are parsed, and malformed ones are refused with an error.
 * Method: URLs of every form. */
static void addresses_are_read(void **state)
{
    (void)state;
    struct qr_address a;
    struct qr_failure why;
    assert_true(qr_address_read(&a, NULL, "http://127.0.0.1:8000/v1/", &why));
    assert_false(a.is_unix);
    assert_string_equal(a.base, "");
    assert_string_equal(a.host, "127.0.0.1:8000");
    assert_int_equal(ntohs(((struct sockaddr_in *)&a.tcp)->sin_port), 8000);
    assert_true(qr_address_read(&a, NULL, "http://[::1]:81/proxy", &why));
    assert_string_equal(a.base, "/proxy");
    assert_int_equal(ntohs(((struct sockaddr_in6 *)&a.tcp)->sin6_port), 81);
    assert_true(qr_address_read(&a, NULL, "http://127.0.0.1", &why));
    assert_int_equal(ntohs(((struct sockaddr_in *)&a.tcp)->sin_port), 80);
    static const char *const wrong[] = {"https://x", "http://", "127.0.0.1:80",
                                        "http://127.0.0.1:8x", "http://127.0.0.1:123456"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        why.text[0] = 0;
        assert_false(qr_address_read(&a, NULL, wrong[i], &why));
        assert_true(why.text[0] != 0);
    }
    char longest[200];
    memset(longest, 'x', sizeof longest);
    longest[108] = 0;
    assert_false(qr_address_read(&a, longest, NULL, &why));
    longest[107] = 0;
    assert_true(qr_address_read(&a, longest, NULL, &why));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunked_answers_are_read_however_cut),
        cmocka_unit_test(a_stale_connection_is_replaced),
        cmocka_unit_test(broken_answers_fail),
        cmocka_unit_test(a_missing_server_is_a_failure),
        cmocka_unit_test(answers_without_a_length_are_read),
        cmocka_unit_test(cancelling_from_the_body_is_safe),
        cmocka_unit_test(destroying_ends_calls),
        cmocka_unit_test(ask_returns_the_whole_answer),
        cmocka_unit_test(addresses_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
