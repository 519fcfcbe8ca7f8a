/* SPDX-License-Identifier: MIT */
/* How quired begins and ends: exit statuses, sockets, signals, its manager. */
#include "support/daemon.h"

#define SLOW "--cpu-level", "scalar", "--threads", "1"

/* Runs quired to its end; its exit status.  Its one line on standard error must hold `words`. */
static int run_to_end(const char *const *args, const char *words)
{
    struct daemon d;
    int out;
    daemon_folder(&d);
    daemon_spawn(&d, args, &out);
    int status = daemon_wait(&d);
    (void)close(out);
    if (words && !daemon_log_has(&d, words)) fail_msg("not in %s: %s", d.log, words);
    daemon_clean(&d);
    return status;
}

/* Goal: wrong usage exits with 2 and an error that says why.
 * Method: run each wrong command line to its end and look for words in its log. */
static void wrong_usage_ends_with_2(void **state)
{
    (void)state;
    const char *const nothing[] = {NULL};
    const char *const unknown[] = {"--model", TINY, "--nonsense", NULL};
    const char *const later[] = {"--model", TINY, "--kv-type", "q4", NULL};
    const char *const level[] = {
        "--model", TINY, "--cpu-level", "abacus", "--socket", "/tmp/quire-test-never", NULL};
    const char *const open_door[] = {
        "--model", TINY, "--listen", "0.0.0.0:0", "--socket", "/tmp/quire-test-never", NULL};
    const char *const keys[] = {"--model", TINY, "--api-key-file", "/nonexistent", NULL};
    const char *const both[] = {"--model", TINY, "--target-itl", "60", "--step-tokens",
                                "512",     NULL};
    assert_int_equal(run_to_end(nothing, "--model FILE.gguf is required"), 2);
    assert_int_equal(run_to_end(unknown, "no flag --nonsense"), 2);
    assert_int_equal(run_to_end(later, "f16,f32,bf16,q8"), 2);
    assert_int_equal(run_to_end(level, "abacus"), 2);
    assert_int_equal(run_to_end(open_door, "expected --api-key-file"), 2);
    assert_int_equal(run_to_end(keys, "/nonexistent"), 2);
    assert_int_equal(run_to_end(both, "--target-itl and --step-tokens"), 2);
    assert_int_equal(access("/tmp/quire-test-never", F_OK), -1);
    assert_int_equal(access("/tmp/quire-test-never.lock", F_OK), -1);
}

/* Goal: --help and --version exit with 0.
 * Method: run both to their end. */
static void asking_ends_with_0(void **state)
{
    (void)state;
    const char *const help[] = {"--help", NULL};
    const char *const version[] = {"--version", NULL};
    assert_int_equal(run_to_end(help, NULL), 0);
    assert_int_equal(run_to_end(version, NULL), 0);
}

static void copy_part(const char *from, const char *to, size_t n)
{
    char *data = malloc(n);
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    assert_non_null(data);
    assert_non_null(in);
    assert_non_null(out);
    assert_int_equal(fread(data, 1, n, in), n);
    assert_int_equal(fwrite(data, 1, n, out), n);
    (void)fclose(in);
    (void)fclose(out);
    free(data);
}

/* Goal: a model that cannot be loaded exits with 3 and leaves no socket.
 * Method: run with the model's file cut at several lengths, with a text and with no file. */
static void a_bad_model_ends_with_3(void **state)
{
    (void)state;
    struct daemon d;
    char model[128];
    int out;
    static const size_t lengths[] = {0, 3, 100, 30000, 1000000};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        daemon_folder(&d);
        (void)snprintf(model, sizeof model, "%s/m.gguf", d.folder);
        copy_part(TINY, model, lengths[i]);
        const char *const args[] = {"--model", model, "--socket", d.socket, NULL};
        daemon_spawn(&d, args, &out);
        assert_int_equal(daemon_wait(&d), 3);
        (void)close(out);
        assert_true(daemon_log_has(&d, " error "));
        assert_int_equal(access(d.socket, F_OK), -1);
        (void)unlink(model);
        daemon_clean(&d);
    }
    const char *const text[] = {"--model", QUIRE_TEST_DATA "/ppl_text.txt", "--socket",
                                "/tmp/quire-test-never", NULL};
    const char *const none[] = {"--model", "/nonexistent.gguf", "--socket", "/tmp/quire-test-never",
                                NULL};
    assert_int_equal(run_to_end(text, "GGUF"), 3);
    assert_int_equal(run_to_end(none, "/nonexistent.gguf"), 3);
}

/* Goal: a live server keeps its socket; the socket of a killed one is replaced.
 * Method: start a second server on the path, then kill the first and start again. */
static void a_live_socket_is_kept_and_a_stale_one_taken(void **state)
{
    (void)state;
    struct daemon d, second;
    int out;
    daemon_start(&d, TINY, NULL);
    second = d;
    const char *const args[] = {"--model", TINY, "--socket", d.socket, NULL};
    daemon_spawn(&second, args, &out);
    assert_int_equal(daemon_wait(&second), 1);
    (void)close(out);
    assert_true(daemon_log_has(&d, "another server is using"));
    json_decref(ask_json(&d, "/version", NULL, 200));

    assert_int_equal(kill(d.pid, SIGKILL), 0);
    assert_int_equal(waitpid(d.pid, NULL, 0), d.pid);
    assert_int_equal(access(d.socket, F_OK), 0);
    memset(d.ready, 0, sizeof d.ready);
    daemon_start_in(&d, TINY, NULL);
    json_decref(ask_json(&d, "/version", NULL, 200));
    daemon_stop(&d);
}

static void begin_stream(const struct daemon *d, struct stream *s, int max_tokens)
{
    char body[128];
    (void)snprintf(body, sizeof body,
                   "{\"prompt\":[1],\"max_tokens\":%d,\"ignore_eos\":true,\"stream\":true}",
                   max_tokens);
    memset(s, 0, sizeof *s);
    s->fd = connect_to(d->socket);
    assert_true(s->fd >= 0);
    send_post(s->fd, "/v1/completions", body);
    assert_true(stream_find(s, 0, "data: ") > 0);
}

static void await_refusal(const struct daemon *d)
{
    for (int ms = 0; ms < WAIT_MS; ms += 5) {
        int fd = connect_to(d->socket);
        if (fd < 0) return;
        (void)close(fd);
        (void)usleep(5000);
    }
    fail_msg("connections are still taken");
}

/* Goal: after SIGTERM new requests are refused and running ones finish.
 * Method: signal during a stream; ask on an open connection; read the stream to its end. */
static void sigterm_lets_requests_finish(void **state)
{
    (void)state;
    static const char *const flags[] = {SLOW, "--drain-timeout", "1000", NULL};
    struct daemon d;
    struct stream running, idle;
    struct answer a;
    daemon_start(&d, TINY, flags);
    idle = (struct stream){.fd = connect_to(d.socket)};
    begin_stream(&d, &running, 60);
    assert_int_equal(kill(d.pid, SIGTERM), 0);
    await_refusal(&d);
    send_text(idle.fd, "GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(read_answer(&idle, &a));
    assert_int_equal(a.status, 503);
    assert_string_equal(header(&a, "Connection"), "close");
    answer_free(&a);
    assert_true(read_answer(&running, &a));
    json_t *events = events_of(&a);
    assert_string_equal(
        text_at(json_array_get(events, json_array_size(events) - 1), "choices.0.finish_reason"),
        "length");
    assert_true(json_array_size(events) > 40);
    json_decref(events);
    answer_free(&a);
    assert_int_equal(daemon_wait(&d), 0);
    stream_end(&running);
    stream_end(&idle);
    daemon_clean(&d);
}

/* Goal: a second signal, or the drain timeout, cancels; the client is told, the exit status is 0.
 * Method: a request that would take longer than the test. */
static void impatience_cancels(void **state)
{
    (void)state;
    static const char *const short_drain[] = {SLOW, "--drain-timeout", "0.1", NULL};
    static const char *const long_drain[] = {SLOW, "--drain-timeout", "1000", NULL};
    for (int twice = 0; twice < 2; twice++) {
        struct daemon d;
        struct stream running, plain;
        struct answer a;
        daemon_start(&d, TINY, twice ? long_drain : short_drain);
        plain = (struct stream){.fd = connect_to(d.socket)};
        send_post(plain.fd, "/v1/completions",
                  "{\"prompt\":[[1],[2],[3],[4]],\"max_tokens\":2000,\"ignore_eos\":true}");
        begin_stream(&d, &running, 2000);
        assert_int_equal(kill(d.pid, SIGTERM), 0);
        await_refusal(&d);
        if (twice) assert_int_equal(kill(d.pid, SIGINT), 0);
        assert_true(read_answer(&running, &a));
        json_t *events = events_of(&a);
        assert_string_equal(
            text_at(json_array_get(events, json_array_size(events) - 1), "choices.0.finish_reason"),
            "abort");
        json_decref(events);
        answer_free(&a);
        assert_true(read_answer(&plain, &a));
        assert_int_equal(a.status, 503);
        answer_free(&a);
        assert_int_equal(daemon_wait(&d), 0);
        stream_end(&running);
        stream_end(&plain);
        daemon_clean(&d);
    }
}

/* Goal: an idle server ends at once, even with open connections.
 * Method: connect, send SIGINT, and wait for exit status 0. */
static void sigterm_does_not_wait_for_idle_clients(void **state)
{
    (void)state;
    struct daemon d;
    daemon_start(&d, TINY, NULL);
    int fd = connect_to(d.socket);
    json_decref(ask_json(&d, "/version", NULL, 200));
    assert_int_equal(kill(d.pid, SIGINT), 0);
    assert_int_equal(daemon_wait(&d), 0);
    assert_int_equal(access(d.socket, F_OK), -1);
    (void)close(fd);
    daemon_clean(&d);
}

/* Goal: systemd's socket is served and not removed, and systemd is told when the server is
 * ready.
 * Method: pass a listening socket and a notification socket, as systemd does. */
static void a_socket_of_the_manager_is_served(void **state)
{
    (void)state;
    static const char *const args[] = {"--model", TINY, "--kv-memory", "16M", NULL};
    struct daemon d;
    int out;
    char told[64] = "", notify_path[96];
    daemon_folder(&d);
    (void)snprintf(notify_path, sizeof notify_path, "%s/n", d.folder);
    struct sockaddr_un at_socket = {.sun_family = AF_UNIX}, at_notify = {.sun_family = AF_UNIX};
    (void)snprintf(at_socket.sun_path, sizeof at_socket.sun_path, "%s", d.socket);
    (void)snprintf(at_notify.sun_path, sizeof at_notify.sun_path, "%s", notify_path);
    int served = socket(AF_UNIX, SOCK_STREAM, 0), notified = socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_int_equal(bind(served, (struct sockaddr *)&at_socket, sizeof at_socket), 0);
    assert_int_equal(listen(served, 8), 0);
    assert_int_equal(bind(notified, (struct sockaddr *)&at_notify, sizeof at_notify), 0);
    d.handed = served;
    d.notified = notify_path;
    daemon_spawn(&d, args, &out);
    daemon_await_ready(&d, out);
    assert_non_null(strstr(d.ready, d.socket));
    struct pollfd wait = {.fd = notified, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, WAIT_MS), 1);
    assert_true(recv(notified, told, sizeof told - 1, 0) > 0);
    assert_string_equal(told, "READY=1");
    json_decref(ask_json(&d, "/version", NULL, 200));
    assert_int_equal(kill(d.pid, SIGTERM), 0);
    assert_int_equal(daemon_wait(&d), 0);
    memset(told, 0, sizeof told);
    assert_true(recv(notified, told, sizeof told - 1, MSG_DONTWAIT) > 0);
    assert_string_equal(told, "STOPPING=1");
    assert_int_equal(access(d.socket, F_OK), 0);
    (void)close(served);
    (void)close(notified);
    (void)unlink(notify_path);
    daemon_clean(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_usage_ends_with_2),
        cmocka_unit_test(asking_ends_with_0),
        cmocka_unit_test(a_bad_model_ends_with_3),
        cmocka_unit_test(a_live_socket_is_kept_and_a_stale_one_taken),
        cmocka_unit_test(sigterm_lets_requests_finish),
        cmocka_unit_test(impatience_cancels),
        cmocka_unit_test(sigterm_does_not_wait_for_idle_clients),
        cmocka_unit_test(a_socket_of_the_manager_is_served),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
