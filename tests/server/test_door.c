/* SPDX-License-Identifier: MIT */
/* Who may enter, and what every answer carries: Host and Origin, CORS, keys, request ids, HEAD. */
#include "support/daemon.h"

static struct daemon server;

static int start(const char *const *more)
{
    daemon_start(&server, TINY, more);
    return 0;
}

static int start_closed(void **state)
{
    static const char *const flags[] = {"--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0", NULL};
    (void)state;
    return start(flags);
}

static int start_cors(void **state)
{
    static const char *const flags[] = {"--listen",
                                        "127.0.0.1:0",
                                        "--cors-origin",
                                        "https://app.example",
                                        "--cors-origin",
                                        "http://other.example:81",
                                        "--alias",
                                        "org/my model",
                                        NULL};
    (void)state;
    return start(flags);
}

static int stop(void **state)
{
    (void)state;
    daemon_stop(&server);
    return 0;
}

/* The port of the nth --listen, from the log. */
static uint16_t port_of(int which)
{
    static char log[65536];
    FILE *file = fopen(server.log, "r");
    assert_non_null(file);
    size_t n = fread(log, 1, sizeof log - 1, file);
    (void)fclose(file);
    log[n] = '\0';
    const char *at = log;
    for (int i = 0; i <= which; i++) {
        at = strstr(at, "listening on http://127.0.0.1:");
        assert_non_null(at);
        at += strlen("listening on http://127.0.0.1:");
    }
    return (uint16_t)strtoul(at, NULL, 10);
}

static struct stream connect_tcp(int which)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons(port_of(which)),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct stream s = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_true(s.fd >= 0);
    assert_int_equal(connect(s.fd, (struct sockaddr *)&to, sizeof to), 0);
    return s;
}

/* One request over TCP, with these header lines. */
static void ask_tcp(const char *request_line, const char *lines, struct answer *a)
{
    char text[1024];
    struct stream s = connect_tcp(0);
    (void)snprintf(text, sizeof text, "%s HTTP/1.1\r\n%s\r\n", request_line, lines);
    send_text(s.fd, text);
    assert_true(read_answer(&s, a));
    stream_end(&s);
}

static void assert_status(const char *request_line, const char *lines, int status)
{
    struct answer a;
    ask_tcp(request_line, lines, &a);
    if (a.status != status) print_error("%s %s: %d %s\n", request_line, lines, a.status, a.body);
    assert_int_equal(a.status, status);
    answer_free(&a);
}

/* Goal: without keys a web page reaches a loopback server neither by its origin nor by a name that
 *       points here.
 * Method: Hosts and Origins of this machine and of others, over TCP; over the Unix socket none is
 * checked. */
static void foreign_pages_are_refused(void **state)
{
    (void)state;
    assert_status("GET /version", "Host: localhost:80\r\n", 200);
    assert_status("GET /version", "Host: 127.0.0.1\r\n", 200);
    assert_status("GET /version", "Host: evil.example\r\n", 403);
    assert_status("GET /health", "Host: evil.example\r\n", 403);
    assert_status("GET /version", "Host: localhost.evil.example\r\n", 403);
    assert_status("GET /version", "Host: localhost\r\nOrigin: http://localhost:3000\r\n", 200);
    assert_status("GET /version", "Host: localhost\r\nOrigin: https://evil.example\r\n", 403);
    assert_status("GET /version", "Host: localhost\r\nOrigin: null\r\n", 403);
    assert_status("OPTIONS /v1/models", "Host: localhost\r\nOrigin: http://localhost\r\n", 405);

    struct answer a;
    struct stream s = {.fd = connect_to(server.socket)};
    send_text(s.fd, "GET /version HTTP/1.1\r\nHost: any\r\nOrigin: https://evil.example\r\n\r\n");
    assert_true(read_answer(&s, &a));
    assert_int_equal(a.status, 200);
    answer_free(&a);
    stream_end(&s);
}

/* Goal: --listen may be repeated.
 * Method: ask over both addresses. */
static void every_address_is_served(void **state)
{
    (void)state;
    assert_int_not_equal(port_of(0), port_of(1));
    for (int i = 0; i < 2; i++) {
        struct answer a;
        struct stream s = connect_tcp(i);
        send_text(s.fd, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_true(read_answer(&s, &a));
        assert_int_equal(a.status, 200);
        answer_free(&a);
        stream_end(&s);
    }
}

/* Goal: pages of --cors-origin may read answers, errors and streams; others may not.
 * Method: ask with each origin and read the headers. */
static void named_origins_are_let_in(void **state)
{
    (void)state;
    static const char *const lines[] = {"GET /version", "GET /nothing", "POST /v1/completions"};
    struct answer a;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        ask_tcp(lines[i], "Host: localhost\r\nOrigin: https://app.example\r\n", &a);
        assert_string_equal(header(&a, "Access-Control-Allow-Origin"), "https://app.example");
        assert_string_equal(header(&a, "Vary"), "Origin");
        answer_free(&a);
    }
    assert_status("GET /version", "Host: app.example\r\n", 200);
    assert_status("GET /version", "Host: localhost\r\nOrigin: https://evil.example\r\n", 403);
    ask_tcp("GET /version", "Host: localhost\r\nOrigin: http://localhost\r\n", &a);
    assert_int_equal(a.status, 200);
    assert_null(header(&a, "Access-Control-Allow-Origin"));
    answer_free(&a);
}

/* Goal: a preflight is answered with what it asked for, and without a body.
 * Method: ask for headers that "*" does not cover, and for some that cannot be echoed. */
static void preflights_are_answered(void **state)
{
    (void)state;
    struct answer a;
    ask_tcp("OPTIONS /v1/messages",
            "Host: localhost\r\nOrigin: http://other.example:81\r\nAccess-Control-Request-Method: "
            "POST\r\nAccess-Control-Request-Headers: authorization,x-api-key\r\n",
            &a);
    assert_int_equal(a.status, 204);
    assert_int_equal(a.body_n, 0);
    assert_string_equal(header(&a, "Access-Control-Allow-Headers"), "authorization,x-api-key");
    assert_non_null(strstr(header(&a, "Access-Control-Allow-Methods"), "POST"));
    answer_free(&a);
    ask_tcp("OPTIONS /v1/messages",
            "Host: localhost\r\nOrigin: https://app.example\r\nAccess-Control-Request-Headers: "
            "a<b\r\n",
            &a);
    assert_int_equal(a.status, 204);
    assert_null(header(&a, "Access-Control-Allow-Headers"));
    answer_free(&a);
}

/* Goal: HEAD has the headers of GET and never a body, so a kept connection stays in step.
 * Method: HEAD and then GET on one connection, for paths that are, are not and want POST. */
static void head_has_no_body(void **state)
{
    (void)state;
    static const char *const paths[] = {"/health", "/v1/models", "/nothing", "/v1/completions"};
    static const int statuses[] = {200, 200, 404, 405};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        char text[256], all[8192];
        size_t n = 0, more;
        struct stream s = connect_tcp(0);
        (void)snprintf(text, sizeof text,
                       "HEAD %s HTTP/1.1\r\nHost: localhost\r\n\r\n"
                       "GET /health HTTP/1.0\r\n\r\n",
                       paths[i]);
        send_text(s.fd, text);
        while ((more = receive(s.fd, all + n, sizeof all - 1 - n)) > 0)
            n += more;
        all[n] = '\0';
        (void)snprintf(text, sizeof text, "HTTP/1.1 %d ", statuses[i]);
        assert_memory_equal(all, text, strlen(text));
        const char *end = strstr(all, "\r\n\r\n");
        assert_non_null(strstr(all, "Content-Length: "));
        assert_memory_equal(end + 4, "HTTP/1.1 200 OK", 15);
        stream_end(&s);
    }
}

/* Goal: a model is found by its id, however the client encodes it, with and without /v1.
 * Method: the list's object, and ids that are not there. */
static void a_model_is_found_by_its_id(void **state)
{
    (void)state;
    static const char *const found[] = {"/v1/models/org%2Fmy%20model", "/models/org/my%20model",
                                        "/v1/models/org%2fmy%20model/"};
    static const char *const missing[] = {"/v1/models/org", "/v1/models/org%2Fmy%20model2",
                                          "/v1/models/org/my%2", "/models/%00"};
    json_t *list = ask_json(&server, "/v1/models", NULL, 200);
    for (size_t i = 0; i < sizeof found / sizeof *found; i++) {
        json_t *one = ask_json(&server, found[i], NULL, 200);
        assert_true(json_equal(one, json_array_get(json_object_get(list, "data"), 0)));
        json_decref(one);
    }
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
        json_t *error = ask_json(&server, missing[i], NULL, 404);
        const json_t *code = json_object_get(json_object_get(error, "error"), "code");
        assert_string_equal(json_string_value(code), "model_not_found");
        json_decref(error);
    }
    json_decref(list);
}

/* Goal: each answer has a request id, the client's if it sent one that fits a header.
 * Method: send one, none, and one that does not fit. */
static void requests_have_ids(void **state)
{
    (void)state;
    struct answer a;
    char first[80];
    ask_tcp("GET /version", "Host: localhost\r\nX-Request-Id: abc-1\r\n", &a);
    assert_string_equal(header(&a, "x-request-id"), "abc-1");
    answer_free(&a);
    ask_tcp("GET /version", "Host: localhost\r\nX-Request-Id: a b\r\n", &a);
    (void)snprintf(first, sizeof first, "%s", header(&a, "x-request-id"));
    assert_memory_equal(first, "req_", 4);
    answer_free(&a);
    ask_tcp("GET /version", "Host: localhost\r\n", &a);
    assert_string_not_equal(header(&a, "x-request-id"), first);
    answer_free(&a);
    ask_tcp("GET /v1/messages", "Host: localhost\r\n", &a);
    json_t *error = json_loads(a.body, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(error, "request_id")),
                        header(&a, "request-id"));
    json_decref(error);
    answer_free(&a);
}

static int start_pinging(void **state)
{
    static const char *const flags[] = {"--sse-ping-interval", "0.05", "--max-running", "1", NULL};
    (void)state;
    return start(flags);
}

/* Goal: a stream that waits gets comments, which are no events, so that proxies keep it.
 * Method: one stream at a time is served; a second one waits for the first, and is read. */
static void quiet_streams_are_pinged(void **state)
{
    (void)state;
    struct stream first = {.fd = connect_to(server.socket)};
    struct stream second = {.fd = connect_to(server.socket)};
    struct answer a;
    send_post(first.fd, "/v1/completions",
              "{\"prompt\":[1],\"max_tokens\":2000,\"ignore_eos\":true,\"stream\":true}");
    assert_true(stream_find(&first, 0, "data: ") > 0);
    send_post(second.fd, "/v1/completions", "{\"prompt\":[2],\"max_tokens\":2,\"stream\":true}");
    const size_t ping = stream_find(&second, 0, "\r\n3\r\n:\n\n\r\n");
    assert_true(ping > 0);
    stream_end(&first);
    assert_true(stream_find(&second, ping, "data: [DONE]\n\n") > ping);
    stream_end(&second);
    ask(&server, "GET", "/health", "", &a);
    assert_int_equal(a.status, 200);
    answer_free(&a);
}

int main(void)
{
    const struct CMUnitTest closed[] = {
        cmocka_unit_test(foreign_pages_are_refused),
        cmocka_unit_test(every_address_is_served),
    };
    const struct CMUnitTest cors[] = {
        cmocka_unit_test(named_origins_are_let_in), cmocka_unit_test(preflights_are_answered),
        cmocka_unit_test(head_has_no_body),         cmocka_unit_test(a_model_is_found_by_its_id),
        cmocka_unit_test(requests_have_ids),
    };
    const struct CMUnitTest pinging[] = {
        cmocka_unit_test(quiet_streams_are_pinged),
    };
    return cmocka_run_group_tests(pinging, start_pinging, stop) +
           cmocka_run_group_tests(closed, start_closed, stop) +
           cmocka_run_group_tests(cors, start_cors, stop);
}
