/* SPDX-License-Identifier: MIT */
/* Connections: kept, pipelined, slow, broken, left; the queue; keys; TCP. */
#include "support/daemon.h"

static struct daemon server;

/* A model that takes its time, so that requests can be caught in the middle. */
#define SLOW "--cpu-level", "scalar", "--threads", "1"
/* Ends by itself after more seconds than any of these tests takes. */
#define LONG_PROMPT                                                                                \
    "\"prompt\":[[1],[2],[3],[4],[5],[6],[7],[8]],\"max_tokens\":2000,\"ignore_eos\":true"

static int start_plain(void **state)
{
    (void)state;
    daemon_start(&server, TINY, NULL);
    return 0;
}

static int start_narrow(void **state)
{
    static const char *const flags[] = {SLOW, "--max-running", "1", "--max-waiting", "8", NULL};
    (void)state;
    daemon_start(&server, TINY, flags);
    return 0;
}

/* One short deadline each: no other can strike a client that is only slow. */
static int start_short_headers(void **state)
{
    static const char *const flags[] = {"--header-timeout", "0.2", NULL};
    (void)state;
    daemon_start(&server, TINY, flags);
    return 0;
}

static int start_short_idle(void **state)
{
    static const char *const flags[] = {"--idle-timeout", "0.1", NULL};
    (void)state;
    daemon_start(&server, TINY, flags);
    return 0;
}

static int start_short_writes(void **state)
{
    static const char *const flags[] = {"--write-timeout", "0.2", NULL};
    (void)state;
    daemon_start(&server, TINY, flags);
    return 0;
}

static int start_tcp_with_keys(void **state)
{
    (void)state;
    char keys[128];
    daemon_folder(&server);
    (void)snprintf(keys, sizeof keys, "%s/keys", server.folder);
    FILE *file = fopen(keys, "w");
    assert_non_null(file);
    (void)fputs("sesame\nopen\n", file);
    (void)fclose(file);
    const char *const flags[] = {"--listen", "127.0.0.1:0", "--api-key-file", keys, "--alias",
                                 "mine",     NULL};
    daemon_start_in(&server, TINY, flags);
    (void)unlink(keys);
    return 0;
}

static int start_for_some(void **state)
{
    static const char *const flags[] = {"--allow-uid", "12345", NULL};
    (void)state;
    daemon_start(&server, TINY, flags);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    daemon_stop(&server);
    return 0;
}

static struct stream open_stream(void)
{
    struct stream s = {.fd = connect_to(server.socket)};
    assert_true(s.fd >= 0);
    return s;
}

#define GET_HEALTH  "GET /health HTTP/1.1\r\nHost: a\r\n\r\n"
#define GET_VERSION "GET /version HTTP/1.1\r\nHost: a\r\n\r\n"

/* Goal: a connection is kept, after errors of the API too.
 * Method: a hundred requests on one, every third of them wrong. */
static void a_connection_is_kept(void **state)
{
    (void)state;
    struct stream s = open_stream();
    for (int i = 0; i < 100; i++) {
        struct answer a;
        send_post(s.fd, "/v1/completions",
                  i % 3 ? "{\"prompt\":[1,2],\"max_tokens\":2}" : "{\"prompt\":[1,2]");
        assert_true(read_answer(&s, &a));
        assert_int_equal(a.status, i % 3 ? 200 : 400);
        assert_null(header(&a, "Connection"));
        answer_free(&a);
    }
    stream_end(&s);
}

/* Goal: requests sent together are answered in their order, even if the first are slow.
 * Method: send five requests in one write, a stream among them, and read five answers. */
static void pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    struct stream s = open_stream();
    static const char body[] = "{\"prompt\":[1],\"max_tokens\":20,\"stream\":true}";
    char all[1024];
    (void)snprintf(
        all, sizeof all,
        GET_HEALTH
        "POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n%s" GET_VERSION
        "GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n" GET_HEALTH,
        sizeof body - 1, body);
    send_text(s.fd, all);
    struct answer a;
    static const int statuses[] = {200, 200, 200, 404, 200};
    for (int i = 0; i < 5; i++) {
        assert_true(read_answer(&s, &a));
        assert_int_equal(a.status, statuses[i]);
        if (i == 1) json_decref(events_of(&a));
        if (i == 2) assert_non_null(strstr(a.body, "version"));
        answer_free(&a);
    }
    stream_end(&s);
}

/* Goal: more requests may be pipelined than the server keeps in memory.
 * Method: a child sends 20,000 requests after a slow one, while the parent reads the answers. */
static void much_may_be_pipelined(void **state)
{
    (void)state;
    enum { REQUESTS = 20000 };
    struct stream s = open_stream();
    pid_t writer = fork();
    assert_true(writer >= 0);
    if (writer == 0) {
        send_post(s.fd, "/v1/completions", "{\"prompt\":[1],\"max_tokens\":50}");
        for (int i = 0; i < REQUESTS; i++)
            send_text(s.fd, GET_VERSION);
        _exit(0);
    }
    struct answer a;
    for (int i = 0; i <= REQUESTS; i++) {
        assert_true(read_answer(&s, &a));
        assert_int_equal(a.status, 200);
        answer_free(&a);
    }
    assert_int_equal(waitpid(writer, NULL, 0), writer);
    stream_end(&s);
}

/* Goal: a request may arrive byte by byte.
 * Method: send two requests in single bytes and read both answers. */
static void a_request_may_come_byte_by_byte(void **state)
{
    (void)state;
    static const char text[] =
        "POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 29\r\n\r\n"
        "{\"prompt\":[1],\"max_tokens\":3}" GET_HEALTH;
    struct stream s = open_stream();
    for (size_t i = 0; i < sizeof text - 1; i++)
        send_bytes(s.fd, text + i, 1);
    struct answer a;
    assert_true(read_answer(&s, &a));
    assert_int_equal(a.status, 200);
    answer_free(&a);
    assert_true(read_answer(&s, &a));
    assert_int_equal(a.status, 200);
    answer_free(&a);
    stream_end(&s);
}

/* Goal: bytes that are not HTTP are answered, and end the connection but not the server.
 * Method: send each kind of nonsense on a connection of its own, then ask for /version. */
static void nonsense_is_answered_and_ended(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int status;
    } bad[] = {
        {"\x16\x03\x01 nonsense\r\n\r\n", 400},
        {"GET / HTTP/3.0\r\n\r\n", 505},
        {"POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", 413}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct stream s = open_stream();
        struct answer a;
        send_text(s.fd, bad[i].text);
        assert_true(read_answer(&s, &a));
        assert_int_equal(a.status, bad[i].status);
        assert_string_equal(header(&a, "Connection"), "close");
        assert_non_null(strstr(a.body, "\"error\""));
        answer_free(&a);
        assert_false(read_answer(&s, &a));
        stream_end(&s);
    }
    json_decref(ask_json(&server, "/version", NULL, 200));
}

/* Goal: a client that keeps sending after a refusal still reads it: no reset destroys it.
 * Method: announce 20 MB, send 8 MB, and read the 413. */
static void a_refusal_survives_a_sending_client(void **state)
{
    (void)state;
    struct stream s = open_stream();
    struct answer a;
    static char megabyte[1 << 20];
    memset(megabyte, ' ', sizeof megabyte);
    send_text(s.fd, "POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 20971520\r\n\r\n");
    for (int i = 0; i < 8; i++)
        send_bytes(s.fd, megabyte, sizeof megabyte);
    assert_true(read_answer(&s, &a));
    assert_int_equal(a.status, 413);
    answer_free(&a);
    stream_end(&s);
}

/* Goal: a client that waits with its body is told to send it.
 * Method: send headers with Expect: 100-continue, read 100, send the body. */
static void a_body_is_asked_for(void **state)
{
    (void)state;
    struct stream s = open_stream();
    struct answer a;
    send_text(s.fd, "POST /v1/completions HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                    "Content-Length: 29\r\n\r\n");
    assert_true(read_answer(&s, &a));
    assert_int_equal(a.status, 100);
    answer_free(&a);
    send_text(s.fd, "{\"prompt\":[1],\"max_tokens\":3}");
    assert_true(read_answer(&s, &a));
    assert_int_equal(a.status, 200);
    answer_free(&a);
    stream_end(&s);
}

/* Goal: a client that leaves during its stream, or while it waits, is cancelled and its pages
 * are freed.
 * Method: with a batch of one, start a stream and queue two requests; then close all three in
 * turn. */
static void a_client_that_leaves_is_cancelled(void **state)
{
    (void)state;
    const char *cancelled = "quire_request_cancelled_total{reason=\"disconnect\"}";
    struct stream streaming = open_stream(), waiting = open_stream(), plain = open_stream();
    send_post(streaming.fd, "/v1/completions",
              "{\"prompt\":[1],\"max_tokens\":2000,\"ignore_eos\":true,\"stream\":true}");
    assert_true(stream_find(&streaming, 0, "data: ") > 0);
    send_post(waiting.fd, "/v1/completions",
              "{\"prompt\":[2],\"max_tokens\":2000,\"ignore_eos\":true,\"stream\":true}");
    assert_true(stream_find(&waiting, 0, "\r\n\r\n") > 0);
    send_post(plain.fd, "/v1/completions",
              "{\"prompt\":[3],\"max_tokens\":2000,\"ignore_eos\":true}");
    await_metric(&server, "quire_num_requests_waiting", 2);
    assert_true(metric(&server, "quire_pages{state=\"held\"}") > 0);
    stream_end(&waiting);
    await_metric(&server, cancelled, 1);
    stream_end(&plain);
    await_metric(&server, cancelled, 2);
    stream_end(&streaming);
    await_metric(&server, cancelled, 3);
    await_metric(&server, "quire_pages{state=\"held\"}", 0);
    await_metric(&server, "quire_num_requests_running", 0);
    await_metric(&server, "quire_num_requests_waiting", 0);
    assert_true(daemon_log_has(&server, " 499 "));
}

/* Goal: a full queue refuses at once with Retry-After, and takes no part of a list.
 * Method: fill six of eight places, send four prompts, then a list that could never fit. */
static void a_full_queue_refuses(void **state)
{
    (void)state;
    struct stream one = open_stream(), others = open_stream();
    struct answer a;
    send_post(one.fd, "/v1/completions",
              "{\"prompt\":[1],\"max_tokens\":2000,\"ignore_eos\":true,\"stream\":true}");
    assert_true(stream_find(&one, 0, "data: ") > 0);
    send_post(others.fd, "/v1/completions",
              "{\"prompt\":[[2],[3],[4],[5],[6],[7]],\"max_tokens\":2000,\"ignore_eos\":true}");
    await_metric(&server, "quire_num_requests_waiting", 6);

    ask(&server, "POST", "/v1/completions", "{\"prompt\":[[1],[2],[3],[4]]}", &a);
    assert_int_equal(a.status, 429);
    assert_non_null(header(&a, "Retry-After"));
    assert_non_null(strstr(a.body, "rate_limit_error"));
    answer_free(&a);
    await_metric(&server, "quire_num_requests_waiting", 6);

    ask(&server, "POST", "/v1/completions", "{\"prompt\":[[1],[2],[3],[4],[5],[6],[7],[8],[9]]}",
        &a);
    assert_int_equal(a.status, 400);
    assert_non_null(strstr(a.body, "at most 8 prompts"));
    answer_free(&a);
    stream_end(&others);
    stream_end(&one);
    await_metric(&server, "quire_num_requests_waiting", 0);
    await_metric(&server, "quire_num_requests_running", 0);
    json_decref(ask_json(&server, "/v1/completions", "{\"prompt\":[1],\"max_tokens\":1}", 200));
}

/* Goal: a request that does not arrive in time is ended with 408.
 * Method: send a part of a request line, of headers and of a body, each after a whole request. */
static void dawdling_requests_are_ended(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "GET /health HT", "GET /health HTTP/1.1\r\nHost: a\r\nA: b\r\n",
        "POST /tokenize HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        struct stream s = open_stream();
        struct answer a;
        send_text(s.fd, GET_HEALTH);
        assert_true(read_answer(&s, &a));
        answer_free(&a);
        send_text(s.fd, parts[i]);
        assert_true(read_answer(&s, &a));
        assert_int_equal(a.status, 408);
        assert_string_equal(header(&a, "Connection"), "close");
        answer_free(&a);
        assert_false(read_answer(&s, &a));
        stream_end(&s);
    }
}

/* Goal: an idle connection is closed without an answer.
 * Method: connect, send nothing, and read the end. */
static void idle_connections_are_ended(void **state)
{
    (void)state;
    struct stream idle = open_stream();
    assert_false(stream_more(&idle));
    assert_int_equal(idle.n, 0);
    stream_end(&idle);
}

/* Goal: a client that does not read is dropped, and its requests are cancelled.
 * Method: ask for long streams, read only when the metrics have counted 8 slow readers. */
static void a_client_that_does_not_read_is_left(void **state)
{
    (void)state;
    struct stream s = open_stream();
    send_post(s.fd, "/v1/completions", "{" LONG_PROMPT ",\"stream\":true,\"logprobs\":20}");
    await_metric(&server, "quire_request_cancelled_total{reason=\"slow_reader\"}", 8);
    await_metric(&server, "quire_pages{state=\"held\"}", 0);
    assert_true(daemon_log_has(&server, "slow_reader"));
    while (stream_more(&s)) {
    }
    assert_null(memmem(s.data, s.n, "[DONE]", 6));
    stream_end(&s);
}

/* Goal: with keys, only their holders are answered, except for /health; TCP and Unix sockets
 * behave alike.
 * Method: send each request without a key, with a wrong one and with each right one, on both. */
static void keys_open_the_door(void **state)
{
    (void)state;
    static char text[4096];
    FILE *log = fopen(server.log, "r");
    assert_non_null(log);
    size_t n = fread(text, 1, sizeof text - 1, log);
    (void)fclose(log);
    text[n] = '\0';
    const char *url = strstr(text, "http://127.0.0.1:");
    assert_non_null(url);
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)strtoul(url + 17, NULL, 10)),
                             .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    for (int tcp = 0; tcp < 2; tcp++) {
        struct stream s = {.fd = tcp ? socket(AF_INET, SOCK_STREAM, 0) : connect_to(server.socket)};
        if (tcp) assert_int_equal(connect(s.fd, (struct sockaddr *)&to, sizeof to), 0);
        static const struct {
            const char *text;
            int status;
        } cases[] = {
            {GET_HEALTH, 200},
            {"GET /v1/models HTTP/1.1\r\nHost: a\r\n\r\n", 401},
            {"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", 401},
            {"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n", 401},
            {"GET /v1/models HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sesam\r\n\r\n", 401},
            {"GET /v1/models HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer sesame\r\n\r\n", 200},
            {"GET /v1/models HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer open\r\n\r\n", 200},
        };
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            struct answer a;
            send_text(s.fd, cases[i].text);
            assert_true(read_answer(&s, &a));
            assert_int_equal(a.status, cases[i].status);
            if (a.status == 401) assert_string_equal(header(&a, "WWW-Authenticate"), "Bearer");
            if (a.body_n && a.status == 200) assert_non_null(strstr(a.body, "\"mine\""));
            answer_free(&a);
        }
        stream_end(&s);
    }
}

/* As another user: whether a request is answered. */
static bool answered_as(uid_t user)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        char text[256];
        if (setuid(user) != 0) _exit(2);
        int fd = connect_to(server.socket);
        if (fd < 0 || send(fd, GET_HEALTH, sizeof GET_HEALTH - 1, MSG_NOSIGNAL) < 0) _exit(1);
        _exit(recv(fd, text, sizeof text, 0) > 0 ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
    return WEXITSTATUS(status) == 0;
}

/* Goal: a socket that is open to all serves its owner and the named users only.
 * Method: as root, become each user in a child and ask for /health. */
static void only_users_named_are_served(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        (void)printf("skipped: only root can become another user\n");
        skip();
    }
    struct stat status;
    assert_int_equal(stat(server.socket, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0666);
    assert_int_equal(chmod(server.folder, 0711), 0);
    assert_true(answered_as(0));
    assert_true(answered_as(12345));
    assert_false(answered_as(12346));
    assert_true(answered_as(12345));
}

int main(void)
{
    const struct CMUnitTest plain[] = {
        cmocka_unit_test(a_connection_is_kept),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(much_may_be_pipelined),
        cmocka_unit_test(a_request_may_come_byte_by_byte),
        cmocka_unit_test(nonsense_is_answered_and_ended),
        cmocka_unit_test(a_refusal_survives_a_sending_client),
        cmocka_unit_test(a_body_is_asked_for),
    };
    const struct CMUnitTest narrow[] = {
        cmocka_unit_test(a_client_that_leaves_is_cancelled),
        cmocka_unit_test(a_full_queue_refuses),
    };
    const struct CMUnitTest headers[] = {
        cmocka_unit_test(dawdling_requests_are_ended),
    };
    const struct CMUnitTest idle[] = {
        cmocka_unit_test(idle_connections_are_ended),
    };
    const struct CMUnitTest writes[] = {
        cmocka_unit_test(a_client_that_does_not_read_is_left),
    };
    const struct CMUnitTest keys[] = {
        cmocka_unit_test(keys_open_the_door),
    };
    const struct CMUnitTest some[] = {
        cmocka_unit_test(only_users_named_are_served),
    };
    int failed = cmocka_run_group_tests(plain, start_plain, stop);
    failed += cmocka_run_group_tests(narrow, start_narrow, stop);
    failed += cmocka_run_group_tests(headers, start_short_headers, stop);
    failed += cmocka_run_group_tests(idle, start_short_idle, stop);
    failed += cmocka_run_group_tests(writes, start_short_writes, stop);
    failed += cmocka_run_group_tests(keys, start_tcp_with_keys, stop);
    failed += cmocka_run_group_tests(some, start_for_some, stop);
    return failed;
}
