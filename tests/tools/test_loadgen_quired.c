/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/process.h"

/* A quired on llama-tiny, shared by the tests. */
struct server {
    char folder[64], socket[96];
    pid_t pid;
    FILE *out;
};

static struct server server;

static int start_server(void **state)
{
    (void)state;
    if (!process_built("quired") || !process_built("loadgen")) return 0;
    snprintf(server.folder, sizeof server.folder, "/tmp/quire-loadgen-XXXXXX");
    assert_non_null(mkdtemp(server.folder));
    snprintf(server.socket, sizeof server.socket, "%s/s", server.folder);
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    server.pid = fork();
    assert_true(server.pid >= 0);
    if (server.pid == 0) {
        dup2(ends[1], 1);
        close(ends[0]);
        execl(QUIRE_BUILD_DIR "/quired", "quired", "--model",
              QUIRE_TEST_DATA "/llama-tiny.q8_0.gguf", "--socket", server.socket, "--kv-memory",
              "64M", "--log-level", "error", (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    server.out = fdopen(ends[0], "r");
    char line[256];
    assert_non_null(fgets(line, sizeof line, server.out)); /* "ready on", or end of file */
    assert_non_null(strstr(line, "ready on"));
    return 0;
}

/* Goal: the server stops with exit code 0 after the load.
 * Method: ask it to stop and wait. */
static int stop_server(void **state)
{
    (void)state;
    if (!server.pid) return 0;
    int status = 0;
    kill(server.pid, SIGTERM);
    waitpid(server.pid, &status, 0);
    fclose(server.out);
    unlink(server.socket);
    char lock[128];
    snprintf(lock, sizeof lock, "%s.lock", server.socket);
    unlink(lock);
    rmdir(server.folder);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : 1;
}

static void need_server(void)
{
    if (server.pid) return;
    print_message("skipped: quired and loadgen are not built in %s\n", QUIRE_BUILD_DIR);
    skip();
}

static json_int_t whole(const json_t *json, const char *key)
{
    return json_integer_value(json_object_get(json, key));
}

/* Runs loadgen with these options and returns its saved file; *code is its exit code. */
static json_t *load(const char *const *options, int *code)
{
    char path[128];
    snprintf(path, sizeof path, "%s/result.json", server.folder);
    const char *arguments[32] = {"loadgen", "--socket",      server.socket, "--max-seconds",
                                 "100",     "--save-result", path,          "--save-detailed"};
    size_t n = 8;
    for (size_t i = 0; options[i]; i++)
        arguments[n++] = options[i];
    struct process_result r = process_run(arguments, "", 0);
    *code = r.code;
    if (r.code) print_message("%s", r.err);
    assert_non_null(strstr(r.out, "============ Serving Benchmark Result ============"));
    json_t *json = json_load_file(path, 0, NULL);
    assert_non_null(json);
    unlink(path);
    process_free(&r);
    return json;
}

#define LOAD(code, ...) load((const char *const[]){__VA_ARGS__, NULL}, code)

/* Goal: in closed loop every request gets exactly the requested tokens.
 * Method: 30 requests of 40 tokens in and 12 out, 8 at a time, after a warm-up. */
static void closed_loop_loses_nothing(void **state)
{
    (void)state;
    need_server();
    int code;
    json_t *json = LOAD(&code, "--num-prompts", "30", "--concurrency", "8", "--input-len", "40",
                        "--output-len", "12", "--ignore-eos", "--warmups", "4", "--goodput",
                        "ttft:100000", "e2el:100000");
    assert_int_equal(code, 0);
    assert_int_equal(whole(json, "completed"), 30);
    assert_int_equal(whole(json, "failed"), 0);
    assert_int_equal(whole(json, "total_input_tokens"), 30 * 40);
    assert_int_equal(whole(json, "total_output_tokens"), 30 * 12);
    assert_true(json_real_value(json_object_get(json, "request_goodput")) > 0);
    const json_t *itls = json_object_get(json, "itls");
    for (size_t i = 0; i < 30; i++)
        assert_in_range(json_array_size(json_array_get(itls, i)), 11, 12);
    json_decref(json);
}

/* Goal: bursty open loop works with varying lengths and a shared prefix.
 * Method: 20 requests; check that the lengths are within their bounds. */
static void open_loop_over_a_prefix(void **state)
{
    (void)state;
    need_server();
    int code;
    json_t *json = LOAD(&code, "--workload", "shared-prefix", "--prefix-len", "30", "--num-prompts",
                        "20", "--request-rate", "200", "--burstiness", "0.5", "--input-len", "10",
                        "--output-len", "8", "--range-ratio", "0.5", "--ignore-eos", "--seed", "7");
    assert_int_equal(code, 0);
    assert_int_equal(whole(json, "completed"), 20);
    for (size_t i = 0; i < 20; i++) {
        const json_t *in = json_array_get(json_object_get(json, "input_lens"), i);
        const json_t *out = json_array_get(json_object_get(json, "output_lens"), i);
        assert_in_range(json_integer_value(in), 35, 45);
        assert_in_range(json_integer_value(out), 4, 12);
    }
    json_decref(json);
}

/* Goal: conversations grow by the tokens that the server generated.
 * Method: 9 requests of 3 turns: 10, 10 + 6 + 10, ... tokens. */
static void conversations_grow(void **state)
{
    (void)state;
    need_server();
    int code;
    json_t *json =
        LOAD(&code, "--workload", "multi-turn", "--turns", "3", "--num-prompts", "9",
             "--concurrency", "2", "--input-len", "10", "--output-len", "6", "--ignore-eos");
    assert_int_equal(code, 0);
    const json_t *in = json_object_get(json, "input_lens");
    for (size_t i = 0; i < 9; i++)
        assert_int_equal(json_integer_value(json_array_get(in, i)), 10 + i % 3 * 16);
    json_decref(json);
}

/* Goal: a refused request fails with the server's message, and the exit code is 1.
 * Method: ids far outside the vocabulary. */
static void refusals_are_exit_1(void **state)
{
    (void)state;
    need_server();
    int code;
    json_t *json = LOAD(&code, "--vocab", "1000000", "--num-prompts", "3");
    assert_int_equal(code, 1);
    assert_int_equal(whole(json, "failed"), 3);
    const char *error = json_string_value(json_array_get(json_object_get(json, "errors"), 0));
    static const char refused[] = "HTTP 400: ";
    assert_memory_equal(error, refused, sizeof refused - 1);
    json_decref(json);
}

/* Goal: without a server, or with wrong usage, loadgen prints an error and exits with 1 or 2.
 * Method: both. */
static void loadgen_ends_with_its_codes(void **state)
{
    (void)state;
    need_server();
    const char *const nobody[] = {"loadgen", "--socket", "/tmp/quire-nobody.sock", NULL};
    struct process_result r = process_run(nobody, "", 0);
    assert_int_equal(r.code, 1);
    assert_non_null(strstr(r.err, "quire-nobody"));
    process_free(&r);
    const char *const wrong[] = {"loadgen", "--workload", "file", NULL};
    r = process_run(wrong, "", 0);
    assert_int_equal(r.code, 2);
    assert_non_null(strstr(r.err, "--dataset-path"));
    process_free(&r);
}

/* The output of `quire generate` for ids; `from` selects server or model, with these options. */
static char *generate(const char *from, const char *where, const char *const *more)
{
    const char *arguments[32] = {"quire",        "generate",     from,     where,           "--ids",
                                 "5,6,7",        "--max-tokens", "40",     "--temperature", "0",
                                 "--ignore-eos", "--show-ids",   "--quiet"};
    for (size_t n = 13, i = 0; more[i]; i++)
        arguments[n++] = more[i];
    struct process_result r = process_run(arguments, "", 0);
    assert_int_equal(r.code, 0);
    char *out = strdup(r.out);
    assert_true(strlen(out) > 10);
    process_free(&r);
    return out;
}

/* Goal: `quire generate` gives the same answer through a server and in process.
 * Method: generate from ids both ways, plain and with penalties, which change the answer. */
static void the_command_line_asks_servers(void **state)
{
    static const char *const asked[][7] = {
        {NULL},
        {"--repetition-penalty", "1.7", NULL},
        {"--presence-penalty", "2", "--frequency-penalty", "-0.25", NULL}};
    char *plain = NULL;
    (void)state;
    need_server();
    if (!process_built("quire")) skip();
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        char *a = generate("--socket", server.socket, asked[i]);
        char *b = generate("--model", QUIRE_TEST_DATA "/llama-tiny.q8_0.gguf", asked[i]);
        assert_string_equal(a, b);
        if (plain)
            assert_string_not_equal(a, plain);
        else
            plain = strdup(a);
        free(a);
        free(b);
    }
    free(plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closed_loop_loses_nothing),
        cmocka_unit_test(open_loop_over_a_prefix),
        cmocka_unit_test(conversations_grow),
        cmocka_unit_test(refusals_are_exit_1),
        cmocka_unit_test(loadgen_ends_with_its_codes),
        cmocka_unit_test(the_command_line_asks_servers),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
