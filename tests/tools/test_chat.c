/* SPDX-License-Identifier: MIT */
/* Tests of `quire chat`: its sampling defaults, the limit of an answer, and how it says the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "support/fake_server.h"
#include "support/process.h"
#include "support/smollm2.h"

#define TINY QUIRE_TEST_DATA "/llama-tiny.q8_0.gguf"

#define RUN(...) process_run((const char *const[]){__VA_ARGS__, NULL}, "", 0)

static const char *smollm2_file; /* NULL: not on this machine */

/* The fields of the requests that a fake server received. */
struct received {
    double temperature[2], min_p[2];
    json_int_t limit[2]; /* max_completion_tokens; 0: absent */
    const char *finish;  /* of the answer */
    unsigned tokens_n;   /* in its usage */
    bool refuses;        /* the first request */
};

static bool chat_script(const struct fake_exchange *x)
{
    struct received *r = x->server->user;
    json_t *json = json_loads(x->body, 0, NULL);
    const unsigned i = x->number < 2 ? x->number : 1;
    r->temperature[i] = json_number_value(json_object_get(json, "temperature"));
    r->min_p[i] = json_number_value(json_object_get(json, "min_p"));
    r->limit[i] = json_integer_value(json_object_get(json, "max_completion_tokens"));
    json_decref(json);
    if (r->refuses && x->number == 0)
        return fake_answer(x, 400,
                           "{\"error\":{\"message\":\"This model's maximum context length is 64 "
                           "tokens, and the prompt has 40\"}}");
    struct fake_text t = {0};
    char usage[160];
    fake_put(&t, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                 "Transfer-Encoding: chunked\r\n\r\n");
    snprintf(usage, sizeof usage,
             "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"},\"finish_reason\":\"%s\"}],"
             "\"usage\":{\"prompt_tokens\":40,\"completion_tokens\":%u}}\n\n",
             r->finish, r->tokens_n);
    fake_put_chunk(&t, usage);
    fake_put_chunk(&t, "data: [DONE]\n\n");
    fake_put(&t, "0\r\n\r\n");
    bool ok = fake_send(x->fd, t.bytes, t.n);
    free(t.bytes);
    return ok;
}

/* Asserts that chat prints "Hi" and that its line about the end ends so. */
static void assert_ends(struct process_result *r, const char *end)
{
    assert_int_equal(r->code, 0);
    assert_string_equal(r->out, "Hi\n");
    size_t n = strlen(r->err), end_n = strlen(end);
    if (n < end_n || strcmp(r->err + n - end_n, end) != 0) fail_msg("'%s'", r->err);
    process_free(r);
}

/* Goal: chat asks a server for temperature 0.7, min_p 0.05 and at most 1,024 tokens; options change
 *       these; the answer's end is printed.
 * Method: a fake server that records the fields and ends by "stop", then by "length". */
static void chat_has_defaults_and_says_the_end(void **state)
{
    (void)state;
    struct fake_server server;
    struct received received = {.finish = "stop", .tokens_n = 9};
    fake_start(&server, chat_script, &received);
    struct process_result r = RUN("quire", "chat", "--socket", server.path, "hi");
    assert_ends(&r, "; stop]\n");
    assert_true(received.temperature[0] == 0.7 && received.min_p[0] == 0.05);
    assert_int_equal(received.limit[0], 1024);

    received.finish = "length";
    received.tokens_n = 7;
    r = RUN("quire", "chat", "--socket", server.path, "--temperature", "1.5", "--min-p", "0",
            "--max-tokens", "7", "hi");
    assert_ends(&r, "; length: --max-tokens 7]\n");
    assert_true(received.temperature[1] == 1.5 && received.min_p[1] == 0);
    assert_int_equal(received.limit[1], 7);
    fake_stop(&server);
}

/* Goal: if the context has less room than the limit, the answer may fill the context.
 * Method: a server that refuses the limit; then SmolLM2 with a context of 64. */
static void a_short_context_is_filled(void **state)
{
    (void)state;
    struct fake_server server;
    struct received received = {.finish = "length", .tokens_n = 24, .refuses = true};
    fake_start(&server, chat_script, &received);
    struct process_result r = RUN("quire", "chat", "--socket", server.path, "hi");
    assert_ends(&r, "; length: the context is full]\n");
    assert_int_equal(received.limit[0], 1024);
    assert_int_equal(received.limit[1], 0);
    fake_stop(&server);

    if (!smollm2_file) {
        print_message("the part with SmolLM2 is skipped: it is not on this machine\n");
        return;
    }
    r = RUN("quire", "chat", "--model", smollm2_file, "--kv-memory", "64M", "--max-context", "64",
            "--ignore-eos", "Say hello.");
    assert_int_equal(r.code, 0);
    assert_non_null(strstr(r.err, "; length: the context is full]\n"));
    process_free(&r);
}

/* The ids of a sampled text in process, with these options. */
static char *sampled(const char *temperature, const char *min_p)
{
    const char *arguments[20] = {"quire",   "generate",     "--model",   TINY,     "--kv-memory",
                                 "64M",     "--ids",        "5,6,7",     "--seed", "42",
                                 "--quiet", "--ignore-eos", "--show-ids"};
    size_t n = 13;
    if (temperature) {
        arguments[n++] = "--temperature";
        arguments[n++] = temperature;
        arguments[n++] = "--min-p";
        arguments[n++] = min_p;
    }
    struct process_result r = process_run(arguments, "", 0);
    assert_int_equal(r.code, 0);
    free(r.err);
    return r.out;
}

/* Goal: in process, too, the defaults are temperature 0.7 and min_p 0.05.
 * Method: one seed with no options, with these values, and with the API's. */
static void generate_has_the_same_defaults(void **state)
{
    (void)state;
    char *plain = sampled(NULL, NULL), *named = sampled("0.7", "0.05"), *api = sampled("1", "0");
    assert_string_equal(plain, named);
    assert_string_not_equal(plain, api);
    free(plain);
    free(named);
    free(api);
}

int main(void)
{
    if (!process_built("quire")) {
        printf("skipped: %s/quire is not built\n", QUIRE_BUILD_DIR);
        return 0;
    }
    smollm2_file = smollm2();
    unsetenv("QUIRE_MODEL"); /* each test sets its own model */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chat_has_defaults_and_says_the_end),
        cmocka_unit_test(a_short_context_is_filled),
        cmocka_unit_test(generate_has_the_same_defaults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
