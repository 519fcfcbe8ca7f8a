/* SPDX-License-Identifier: MIT */
/* Among whom computed prompts are reused: --cache-scope, with cache_salt, on each endpoint that
 * runs a prompt. */
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "support/daemon.h"

#define PROMPT_N 70
#define OTHER    12345

static struct daemon server;

/* Two keys, and a scope or none. */
static void start_with_keys(const char *scope)
{
    char path[512];
    daemon_folder(&server);
    (void)snprintf(path, sizeof path, "%s/keys", server.folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs("sesame\nopen\n", file);
    (void)fclose(file);
    const char *flags[] = {"--api-key-file", path, scope ? "--cache-scope" : NULL, scope, NULL};
    daemon_start_in(&server, TINY, flags);
}

static int start_key_scope(void **state)
{
    (void)state;
    start_with_keys("key");
    return 0;
}

static int start_keys_only(void **state)
{
    (void)state;
    start_with_keys(NULL);
    return 0;
}

static int start_uid_scope_with_keys(void **state)
{
    (void)state;
    start_with_keys("uid");
    return 0;
}

static int start_uid_scope(void **state)
{
    static const char *const flags[] = {"--allow-uid", "12345", "--cache-scope", "uid", NULL};
    (void)state;
    daemon_start(&server, TINY, flags);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    char path[512];
    (void)snprintf(path, sizeof path, "%s/keys", server.folder);
    (void)unlink(path);
    daemon_stop(&server);
    return 0;
}

static char *body_of(bool chat, const char *salt)
{
    json_t *body = json_pack("{s:i,s:i}", "max_tokens", 1, "temperature", 0);
    if (chat) {
        json_object_set_new(body, "messages",
                            json_pack("[{s:s,s:s}]", "role", "user", "content",
                                      "Nobody else shall learn that this was asked, ever."));
    } else {
        json_t *ids = json_array();
        for (int i = 0; i < PROMPT_N; i++)
            json_array_append_new(ids, json_integer(400 + i * 7 % 300));
        json_object_set_new(body, "prompt", ids);
    }
    if (salt) json_object_set_new(body, "cache_salt", json_string(salt));
    char *text = json_dumps(body, JSON_COMPACT);
    json_decref(body);
    return text;
}

/* What was cached of the prompt, asked with a key (NULL: none) and a salt (NULL: none); -1: the
 * answer is a 400. */
static long long cached(bool chat, const char *key, const char *salt)
{
    char *body = body_of(chat, salt), head[512];
    struct stream s = {.fd = connect_to(server.socket)};
    struct answer a;
    int n = snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n",
                     chat ? "/v1/chat/completions" : "/v1/completions", strlen(body));
    if (key) n += snprintf(head + n, sizeof head - (size_t)n, "Authorization: Bearer %s\r\n", key);
    (void)snprintf(head + n, sizeof head - (size_t)n, "\r\n");
    send_text(s.fd, head);
    send_text(s.fd, body);
    assert_true(read_answer(&s, &a));
    json_t *json = json_loadb(a.body, a.body_n, JSON_ALLOW_NUL, NULL);
    assert_non_null(json);
    long long n_cached = -1, prompt_n = 0;
    if (a.status != 400) {
        assert_int_equal(a.status, 200);
        n_cached = int_at(json, "usage.prompt_tokens_details.cached_tokens");
        prompt_n = int_at(json, "usage.prompt_tokens");
    }
    json_decref(json);
    answer_free(&a);
    stream_end(&s);
    free(body);
    assert_true(n_cached <= 0 || n_cached == prompt_n - 1);
    return n_cached;
}

/* Goal: with scope key, a key's prompts are reused for that key only, and per salt; a salt that
 * spells another key's name finds nothing.
 * Method: send one prompt with two keys, with and without salts, and read cached_tokens. */
static void keys_share_nothing(void **state)
{
    (void)state;
    for (int chat = 0; chat < 2; chat++) {
        assert_int_equal(cached(chat, "sesame", NULL), 0);
        assert_int_equal(cached(chat, "open", NULL), 0);
        assert_true(cached(chat, "sesame", NULL) > 0);
        assert_true(cached(chat, "open", NULL) > 0);
        assert_int_equal(cached(chat, "sesame", "salt"), 0);
        assert_int_equal(cached(chat, "open", "salt"), 0);
        assert_true(cached(chat, "sesame", "salt") > 0);
        assert_int_equal(cached(chat, "open", "key 1 "), 0);
    }
}

/* Goal: with a scope, a salt may still have 1,024 bytes, and no more.
 * Method: send salts of 1,025 and 1,024 bytes. */
static void a_salt_keeps_its_length(void **state)
{
    char salt[1026];
    (void)state;
    memset(salt, 's', sizeof salt - 1);
    salt[1025] = 0;
    for (int chat = 0; chat < 2; chat++) {
        assert_int_equal(cached(chat, "open", salt), -1);
        assert_int_equal(cached(chat, "open", salt + 1), 0);
        assert_true(cached(chat, "open", salt + 1) > 0);
    }
}

/* Goal: without a scope keys share, and only salts separate.
 * Method: send one prompt with two keys and several salts, and read cached_tokens. */
static void keys_share_by_default(void **state)
{
    (void)state;
    for (int chat = 0; chat < 2; chat++) {
        assert_int_equal(cached(chat, "sesame", NULL), 0);
        assert_true(cached(chat, "open", NULL) > 0);
        assert_int_equal(cached(chat, "sesame", "salt"), 0);
        assert_true(cached(chat, "open", "salt") > 0);
        assert_int_equal(cached(chat, "open", "key 1 "), 0);
    }
}

/* Goal: scope uid depends on the uid only, not on the key.
 * Method: two keys of one user; a salt parts them further. */
static void a_user_s_keys_share(void **state)
{
    (void)state;
    for (int chat = 0; chat < 2; chat++) {
        assert_int_equal(cached(chat, "sesame", NULL), 0);
        assert_true(cached(chat, "open", NULL) > 0);
        assert_int_equal(cached(chat, "open", "salt"), 0);
        assert_true(cached(chat, "sesame", "salt") > 0);
    }
}

/* The same as another user: whether something was cached. */
static bool cached_as(uid_t user, bool chat, const char *salt)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (setuid(user) != 0) _exit(2);
        _exit(cached(chat, NULL, salt) > 0 ? 1 : 0);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
    return WEXITSTATUS(status) == 1;
}

/* Goal: with scope uid, a user's prompts are reused for that user only, and per salt.
 * Method: as root, become two users in children and send one prompt, with and without salts. */
static void users_share_nothing(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        (void)printf("skipped: only root can become another user\n");
        skip();
    }
    assert_int_equal(chmod(server.folder, 0711), 0);
    for (int chat = 0; chat < 2; chat++) {
        assert_false(cached_as(0, chat, NULL));
        assert_false(cached_as(OTHER, chat, NULL));
        assert_true(cached_as(0, chat, NULL));
        assert_true(cached_as(OTHER, chat, NULL));
        assert_false(cached_as(OTHER, chat, "salt"));
        assert_false(cached_as(0, chat, "salt"));
        assert_true(cached_as(OTHER, chat, "salt"));
    }
}

/* Goal: scope uid is not taken where a client has no uid.
 * Method: the program with a TCP socket of the manager's in place of --socket. */
static void a_tcp_socket_handed_over_is_refused(void **state)
{
    static const char *const args[] = {"--model", TINY, "--cache-scope", "uid", NULL};
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct daemon d;
    int out;

    (void)state;
    daemon_folder(&d);
    int served = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(served, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(served, 8), 0);
    d.handed = served;
    daemon_spawn(&d, args, &out);
    (void)close(out);
    assert_int_equal(daemon_wait(&d), 2);
    assert_true(daemon_log_has(&d, "--cache-scope uid"));
    (void)close(served);
    daemon_clean(&d);
}

int main(void)
{
    const struct CMUnitTest key[] = {
        cmocka_unit_test(keys_share_nothing),
        cmocka_unit_test(a_salt_keeps_its_length),
    };
    const struct CMUnitTest all[] = {
        cmocka_unit_test(keys_share_by_default),
    };
    const struct CMUnitTest uid_with_keys[] = {
        cmocka_unit_test(a_user_s_keys_share),
    };
    const struct CMUnitTest uid[] = {
        cmocka_unit_test(users_share_nothing),
    };
    const struct CMUnitTest alone[] = {
        cmocka_unit_test(a_tcp_socket_handed_over_is_refused),
    };
    int failed = cmocka_run_group_tests(key, start_key_scope, stop);
    failed += cmocka_run_group_tests(all, start_keys_only, stop);
    failed += cmocka_run_group_tests(uid_with_keys, start_uid_scope_with_keys, stop);
    failed += cmocka_run_group_tests(uid, start_uid_scope, stop);
    failed += cmocka_run_group_tests(alone, NULL, NULL);
    return failed;
}
