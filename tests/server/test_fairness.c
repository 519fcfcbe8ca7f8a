/* SPDX-License-Identifier: MIT */
/* Whose turn it is, over the socket: priorities, API keys, and a key's users.
 *
 * One slot, held by a stream until every request of a test waits.  All are streams that go on for
 * long, so the one that says something is the one that was admitted; then it is left. */
#include "support/daemon.h"

#define REQUESTS_MAX 32u
#define TOKENS_N     1900u

static struct daemon server;

static int start(void **state)
{
    (void)state;
    daemon_folder(&server);
    char keys[96];
    (void)snprintf(keys, sizeof keys, "%s/keys", server.folder);
    FILE *file = fopen(keys, "w");
    assert_non_null(file);
    (void)fputs("sesame\nopen\n", file);
    (void)fclose(file);
    const char *const flags[] = {"--api-key-file", keys, "--max-running", "1", NULL};
    daemon_start_in(&server, TINY, flags);
    (void)unlink(keys);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    daemon_stop(&server);
    return 0;
}

/* A stream that waits or runs when this returns; more: fields to add. */
static int submit(const char *key, const char *more)
{
    char head[256], body[512], byte;
    (void)snprintf(body, sizeof body,
                   "{\"prompt\":[1,2,3],\"max_tokens\":%u,\"ignore_eos\":true,\"stream\":true%s}",
                   TOKENS_N, more);
    (void)snprintf(head, sizeof head,
                   "POST /v1/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\n"
                   "Content-Length: %zu\r\n\r\n",
                   key, strlen(body));
    int fd = connect_to(server.socket);
    assert_true(fd >= 0);
    send_text(fd, head);
    send_text(fd, body);
    for (unsigned newlines_n = 0; newlines_n < 2;) { /* the head comes at once */
        assert_int_equal(receive(fd, &byte, 1), 1);
        if (byte != '\r') newlines_n = byte == '\n' ? newlines_n + 1 : 0;
    }
    return fd;
}

struct request {
    const char *key, *more;
};

static bool readable(int fd)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    return poll(&wait, 1, 0) == 1;
}

/* Whether a stream goes on: more comes, again and again, and none of it is its end.  What was on
 * its way when this was called is not proof. */
static bool goes_on(int fd)
{
    char bytes[4096 + 8] = "";
    size_t kept_n = 0; /* of what came before, so that an end cut in two is seen */

    for (int i = 0; i < 3; i++) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (poll(&wait, 1, WAIT_MS) != 1) return false;
        ssize_t n;
        while ((n = recv(fd, bytes + kept_n, 4096, MSG_DONTWAIT)) > 0) {
            size_t all_n = kept_n + (size_t)n;
            if (memmem(bytes, all_n, "[DONE]", 6)) return false;
            kept_n = all_n < 5 ? all_n : 5;
            memmove(bytes, bytes + all_n - kept_n, kept_n);
        }
        if (n == 0) return false;
    }
    return true;
}

/* All wait, then each runs until it has said something; order gets their numbers.  False: one of
 * them was at its end before it was looked at. */
static bool try_all(const struct request *requests, unsigned n, unsigned *order)
{
    struct pollfd waits[REQUESTS_MAX];
    int holder = submit("sesame", "");
    bool held;
    for (unsigned i = 0; i < n; i++) {
        waits[i] =
            (struct pollfd){.fd = submit(requests[i].key, requests[i].more), .events = POLLIN};
    }
    held = goes_on(holder);
    for (unsigned i = 0; i < n; i++)
        held &= !readable(waits[i].fd);
    (void)close(holder);
    for (unsigned i = 0; i < n && held; i++) {
        held = poll(waits, n, WAIT_MS) == 1;
        for (unsigned k = 0; k < n; k++) {
            if (waits[k].fd < 0 || !waits[k].revents) continue;
            order[i] = k;
            (void)close(waits[k].fd);
            waits[k].fd = -1; /* poll looks past it */
        }
    }
    for (unsigned i = 0; i < n; i++)
        if (waits[i].fd >= 0) (void)close(waits[i].fd);
    return held;
}

static void run_all(const struct request *requests, unsigned n, unsigned *order)
{
    for (int i = 0; i < 50; i++)
        if (try_all(requests, n, order)) return;
    fail_msg("no stream lasted for long enough");
}

/* When the request of that number was admitted, from 0 on. */
static unsigned place_of(const unsigned *order, unsigned n, unsigned request)
{
    for (unsigned i = 0; i < n; i++)
        if (order[i] == request) return i;
    fail_msg("request %u never ran", request);
    return n;
}

/* Goal: a lower priority goes first, negative ones too; none is 0.
 * Method: five of one key, the later the more urgent. */
static void lower_priority_goes_first(void **state)
{
    static const struct request requests[] = {{"open", ",\"priority\":2147483647"},
                                              {"open", ",\"priority\":7"},
                                              {"open", ""},
                                              {"open", ",\"priority\":-1"},
                                              {"open", ",\"priority\":-2147483648"}};
    unsigned order[REQUESTS_MAX];
    (void)state;
    run_all(requests, 5, order);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(order[i], 4 - i);
}

/* Goal: one key's queue does not delay another key's first request, however many users it names.
 * Method: six of one key, three with users of their own; then one of another. */
static void keys_have_equal_shares(void **state)
{
    static const struct request requests[] = {{"sesame", ",\"user\":\"a\""},
                                              {"sesame", ""},
                                              {"sesame", ",\"user\":\"b\""},
                                              {"sesame", ""},
                                              {"sesame", ",\"user\":\"c\""},
                                              {"sesame", ""},
                                              {"open", ""}};
    unsigned order[REQUESTS_MAX];
    (void)state;
    run_all(requests, 7, order);
    assert_true(place_of(order, 7, 6) <= 1);
}

/* Goal: a key's users divide its share.
 * Method: five requests of one user, then one of another user and one without a user. */
static void users_divide_a_keys_share(void **state)
{
    static const struct request requests[] = {
        {"open", ",\"user\":\"many\""}, {"open", ",\"user\":\"many\""},
        {"open", ",\"user\":\"many\""}, {"open", ",\"user\":\"many\""},
        {"open", ",\"user\":\"many\""}, {"open", ",\"user\":\"one\""},
        {"open", ",\"user\":null"}};
    unsigned order[REQUESTS_MAX];
    (void)state;
    run_all(requests, 7, order);
    assert_true(place_of(order, 7, 5) <= 2);
    assert_true(place_of(order, 7, 6) <= 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lower_priority_goes_first),
        cmocka_unit_test(keys_have_equal_shares),
        cmocka_unit_test(users_divide_a_keys_share),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
