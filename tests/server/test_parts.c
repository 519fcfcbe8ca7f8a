/* SPDX-License-Identifier: MIT */
/* The server's small parts: events, metrics, errors, keys, flags, log lines, buffers. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "runtime/base/memory.h"
#include "runtime/server/door.h"
#include "runtime/server/errors.h"
#include "runtime/server/limits.h"
#include "runtime/server/log.h"
#include "runtime/server/metrics.h"
#include "runtime/server/options.h"
#include "runtime/server/scope.h"
#include "runtime/server/sse.h"

static struct quire_allocator memory;

static void assert_buffer(const struct qr_buffer *out, const char *expected)
{
    assert_false(out->failed);
    assert_int_equal(out->n, strlen(expected));
    assert_memory_equal(out->data, expected, out->n);
}

static struct quire_text text_of(const char *string)
{
    return (struct quire_text){.data = string, .n = strlen(string)};
}

/* Goal: events have the form that clients read, with and without HTTP chunks.
 * Method: write two events each way and compare the bytes. */
static void events_are_framed(void **state)
{
    (void)state;
    struct qr_buffer out;
    qr_buffer_init(&out, &memory);
    qr_sse_put(&out, NULL, "{\"a\":1}", 7, false);
    qr_sse_put_end(&out, true, false);
    assert_buffer(&out, "data: {\"a\":1}\n\ndata: [DONE]\n\n");
    qr_buffer_clear(&out);
    qr_sse_put(&out, NULL, "{\"a\":\"0123456789\"}", 18, true);
    qr_sse_put_end(&out, true, true);
    assert_buffer(&out, "1a\r\ndata: {\"a\":\"0123456789\"}\n\n\r\n"
                        "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
    qr_buffer_deinit(&out);
}

/* Goal: buckets are cumulative, and the sum and count agree with them.
 * Method: fill in the statistics and look for each expected line. */
static void metrics_are_prometheus_text(void **state)
{
    (void)state;
    static const double bounds[] = {0.5, 2, INFINITY};
    const uint64_t cancelled[QR_CANCEL_REASONS_N] = {3, 1};
    const struct qr_memory_figure figures[] = {{"io", 77}};
    struct quire_stats stats = {.running = 2,
                                .waiting = 5,
                                .pages_all = 8,
                                .page_tokens = 32,
                                .page_bytes = 1024,
                                .pages_free = 5,
                                .pages_cached = 1,
                                .pages_held = 2,
                                .pages_shared = 1,
                                .prefix_queries = 40,
                                .prefix_hits = 30,
                                .page_copies = 9,
                                .page_evictions = 8,
                                .grammars_compiled = 14,
                                .grammars_reused = 15,
                                .preemptions = 21,
                                .recomputed_tokens = 22,
                                .slots_held = 800,
                                .slots_empty = 100,
                                .prompt_tokens = 11,
                                .generation_tokens = 13,
                                .finished_stop = 4,
                                .finished_length = 6};
    stats.step_s =
        (struct quire_histogram){.bounds = bounds, .bins_n = 3, .counts = {1, 2, 3}, .sum = 9.25};
    struct qr_buffer out;
    qr_buffer_init(&out, &memory);
    qr_metrics_put(&out, &stats, cancelled, figures, 1);
    qr_buffer_put(&out, "", 1);
    static const char *const lines[] = {
        "\nquire_num_requests_running 2\n",
        "\nquire_num_requests_waiting 5\n",
        "\nquire_kv_cache_usage_perc 0.25\n",
        "\nquire_kv_bytes_per_token 32\n",
        "\nquire_pages{state=\"free\"} 5\n",
        "\nquire_pages{state=\"cached\"} 1\n",
        "\nquire_pages{state=\"held\"} 2\n",
        "\nquire_pages{state=\"shared\"} 1\n",
        "\nquire_prompt_tokens_total 11\n",
        "\nquire_generation_tokens_total 13\n",
        "\nquire_num_preemptions_total 21\n",
        "\nquire_preempted_tokens_recomputed_total 22\n",
        "\nquire_prefix_cache_queries_total 40\n",
        "\nquire_prefix_cache_hits_total 30\n",
        "\nquire_page_copies_total 9\n",
        "\nquire_page_evictions_total 8\n",
        "\nquire_grammars_compiled_total 14\n",
        "\nquire_grammars_reused_total 15\n",
        "\nquire_kv_waste_ratio 0.125\n",
        "\nquire_request_success_total{finished_reason=\"stop\"} 4\n",
        "\nquire_request_success_total{finished_reason=\"length\"} 6\n",
        "\nquire_request_cancelled_total{reason=\"disconnect\"} 3\n",
        "\nquire_jemalloc_bytes{kind=\"io\"} 77\n",
        "\n# TYPE quire_step_seconds histogram\n"
        "quire_step_seconds_bucket{le=\"0.5\"} 1\n"
        "quire_step_seconds_bucket{le=\"2\"} 3\n"
        "quire_step_seconds_bucket{le=\"+Inf\"} 6\n"
        "quire_step_seconds_sum 9.25\n"
        "quire_step_seconds_count 6\n",
        "\n# TYPE quire_time_to_first_token_seconds histogram\n",
        "\n# TYPE quire_inter_token_latency_seconds histogram\n",
        "\n# TYPE quire_e2e_request_latency_seconds histogram\n",
        "\n# TYPE quire_request_queue_time_seconds histogram\n",
        "\n# TYPE quire_request_prefill_time_seconds histogram\n",
        "\n# TYPE quire_request_decode_time_seconds histogram\n",
        "\n# TYPE quire_iteration_tokens histogram\n",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (!strstr(out.data, lines[i])) fail_msg("missing: %s", lines[i]);
    qr_buffer_deinit(&out);
}

/* Goal: a failure is OpenAI's error object; each status of the engine has its HTTP status.
 * Method: write two failures and compare the bytes, then map each status. */
static void errors_have_openais_shape(void **state)
{
    (void)state;
    struct qr_api_failure failure;
    struct qr_buffer out;
    qr_buffer_init(&out, &memory);
    assert_false(qr_fail_field(&failure, "top_p", "not \"%d\"", 5));
    qr_failure_put(&failure, &out);
    assert_buffer(&out, "{\"error\":{\"message\":\"not \\\"5\\\"\",\"type\":"
                        "\"invalid_request_error\",\"param\":\"top_p\",\"code\":null}}");
    qr_buffer_clear(&out);
    assert_false(qr_fail(&failure, 401, "invalid_api_key", NULL, "no"));
    qr_failure_put(&failure, &out);
    assert_buffer(&out, "{\"error\":{\"message\":\"no\",\"type\":\"authentication_error\","
                        "\"param\":null,\"code\":\"invalid_api_key\"}}");
    qr_buffer_deinit(&out);

    struct quire_error error = {.status = QUIRE_INVALID, .field = "stop_ids", .text = "too many"};
    static const struct {
        int status, http;
    } map[] = {{QUIRE_INVALID, 400},     {QUIRE_TOO_LONG, 400},   {QUIRE_NO_TOKENIZER, 400},
               {QUIRE_NO_TEMPLATE, 400}, {QUIRE_QUEUE_FULL, 429}, {QUIRE_STOPPING, 503},
               {QUIRE_NO_MEMORY, 500},   {QUIRE_SYSTEM, 500}};
    for (size_t i = 0; i < sizeof map / sizeof map[0]; i++) {
        (void)qr_fail_engine(&failure, map[i].status, &error);
        assert_int_equal(failure.http_status, map[i].http);
        assert_int_equal(failure.retry_after_s > 0, map[i].http == 429);
    }
    (void)qr_fail_engine(&failure, QUIRE_INVALID, &error);
    assert_string_equal(failure.param, "stop_token_ids");
    assert_string_equal(failure.message, "too many");
}

/* Goal: exactly the keys of the file are accepted, and each is told from the others.
 * Method: look up right keys, prefixes, extensions and other schemes. */
static void keys_are_compared_whole(void **state)
{
    (void)state;
    static const char keys[] = "alpha\r\n\nbeta \ngamma";
    static const struct {
        const char *header;
        bool fits;
    } cases[] = {{"Bearer alpha", true},  {"bearer beta", true},    {"Bearer gamma", true},
                 {"Bearer alph", false},  {"Bearer alphaa", false}, {"Bearer ", false},
                 {"Bearer", false},       {"alpha", false},         {"Basic alpha", false},
                 {"Bearer beta ", false}, {"Bearer alphb", false},  {"", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct quire_text key = qr_door_bearer(text_of(cases[i].header));
        assert_int_equal(qr_door_find_key(keys, sizeof keys - 1, key.data, key.n) > 0,
                         cases[i].fits);
    }
    assert_int_equal(qr_door_find_key(keys, sizeof keys - 1, "alpha", 5), 1);
    assert_int_equal(qr_door_find_key(keys, sizeof keys - 1, "beta", 4), 9);
}

/* Goal: only names that cannot be pointed at this machine by others count as its own.
 * Method: ask for names, addresses and their look-alikes, and take hosts out of origins. */
static void hosts_of_this_machine_are_known(void **state)
{
    (void)state;
    static const char *const local[] = {"localhost",      "LOCALHOST:80", "a.localhost",
                                        "127.0.0.1:8000", "[::1]:80",     "192.168.1.2",
                                        "[fe80::1]"};
    static const char *const foreign[] = {"",           "example.org", "localhost.example.org",
                                          "xlocalhost", "127.0.0.1.x", "[::1",
                                          ".",          "1.2.3",       "localhost\xff"};
    for (size_t i = 0; i < sizeof local / sizeof *local; i++)
        assert_true(qr_door_host_is_local(text_of(local[i])));
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        assert_false(qr_door_host_is_local(text_of(foreign[i])));
    struct quire_text host = qr_door_origin_host(text_of("http://a:1"));
    assert_int_equal(host.n, 3);
    assert_memory_equal(host.data, "a:1", 3);
    assert_int_equal(qr_door_origin_host(text_of("null")).n, 0);
}

/* Goal: the caller's name precedes the salt, so no salt equals another caller's.
 * Method: make the salt of each scope and compare the bytes, also for the longest salt. */
static void a_scope_names_the_caller(void **state)
{
    (void)state;
    char out[QR_CACHE_SALT_MAX], longest[QR_SALT_MAX] = {0};
    const struct quire_text salt = {.data = "s", .n = 1}, none = {.data = NULL, .n = 0};
    const struct qr_caller caller = {.uid = UINT32_MAX - 1, .key = 7};
    struct quire_text made = qr_scope_salt(QR_SCOPE_GLOBAL, &caller, salt, out);
    assert_ptr_equal(made.data, salt.data);
    assert_int_equal(qr_scope_salt(QR_SCOPE_GLOBAL, &caller, none, out).n, 0);
    made = qr_scope_salt(QR_SCOPE_UID, &caller, salt, out);
    assert_int_equal(made.n, 16);
    assert_memory_equal(made.data, "uid 4294967294 s", 16);
    made = qr_scope_salt(QR_SCOPE_KEY, &caller, none, out);
    assert_int_equal(made.n, 6);
    assert_memory_equal(made.data, "key 7 ", 6);
    made = qr_scope_salt(QR_SCOPE_UID, &caller,
                         (struct quire_text){.data = longest, .n = sizeof longest}, out);
    assert_int_equal(made.n, 15 + QR_SALT_MAX);
}

static enum qr_server_options_result options_of(struct qr_options *o, char *why, const char *a,
                                                const char *b, const char *c)
{
    char *argv[] = {(char *)"quired", (char *)"--model", (char *)"m.gguf",
                    (char *)a,        (char *)b,         (char *)c};
    int argc = 3 + (a != NULL) + (b != NULL) + (c != NULL);
    return qr_server_options_parse(argc, argv, o, why, 256);
}

/* Goal: each flag is read, in both spellings.
 * Method: parse command lines and compare the options. */
static void flags_are_read(void **state)
{
    (void)state;
    struct qr_options o;
    char why[256];
    assert_int_equal(options_of(&o, why, NULL, NULL, NULL), QR_SERVER_OPTIONS_RUN);
    assert_string_equal(o.model, "m.gguf");
    assert_int_equal(o.page_tokens, 32);
    assert_int_equal(o.drain_ms, 30000);
    assert_int_equal(o.log_level, QR_LOG_INFO);
    assert_int_equal(options_of(&o, why, "--kv-memory=512M", "--page-tokens", "64"),
                     QR_SERVER_OPTIONS_RUN);
    assert_true(o.kv_memory_bytes == 512ull << 20);
    assert_int_equal(o.page_tokens, 64);
    assert_int_equal(
        options_of(&o, why, "--kv-type=bf16", "--log-format=json", "--log-level=debug"),
        QR_SERVER_OPTIONS_RUN);
    assert_int_equal(o.kv_type, QUIRE_KV_BF16);
    assert_true(o.log_json);
    assert_int_equal(o.log_level, QR_LOG_DEBUG);
    assert_int_equal(options_of(&o, why, "--drain-timeout=0.25", "--allow-uid=5", "--allow-uid=6"),
                     QR_SERVER_OPTIONS_RUN);
    assert_int_equal(o.drain_ms, 250);
    assert_int_equal(o.allow_uids_n, 2);
    assert_int_equal(o.allow_uids[1], 6);
    assert_int_equal(o.no_prefix_cache, 0);
    assert_int_equal(options_of(&o, why, "--no-prefix-cache", "--threads", "3"),
                     QR_SERVER_OPTIONS_RUN);
    assert_int_equal(o.no_prefix_cache, 1);
    assert_int_equal(o.threads, 3);
    assert_int_equal(o.sliding_window, 0);
    assert_int_equal(options_of(&o, why, "--sliding-window", "64", NULL), QR_SERVER_OPTIONS_RUN);
    assert_int_equal(o.sliding_window, 64);
    assert_int_equal(options_of(&o, why, "--sliding-window=0", NULL, NULL), QR_SERVER_OPTIONS_RUN);
    assert_true(o.sliding_window == QUIRE_WINDOW_NONE);
    assert_int_equal(o.cache_scope, QR_SCOPE_GLOBAL);
    assert_int_equal(options_of(&o, why, "--cache-scope=uid", NULL, NULL), QR_SERVER_OPTIONS_RUN);
    assert_int_equal(o.cache_scope, QR_SCOPE_UID);
    assert_int_equal(options_of(&o, why, "--cache-scope=key", "--api-key-file=k", "--listen=:1"),
                     QR_SERVER_OPTIONS_RUN);
    assert_int_equal(o.cache_scope, QR_SCOPE_KEY);
    assert_int_equal(options_of(&o, why, "--help", NULL, NULL), QR_SERVER_OPTIONS_HELP);
    assert_int_equal(options_of(&o, why, "--version", NULL, NULL), QR_SERVER_OPTIONS_VERSION);
}

/* Goal: a wrong flag is refused with an error that names it.
 * Method: parse each wrong flag and look for words of the error. */
static void wrong_flags_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *flag, *words;
    } bad[] = {
        {"--nonsense", "no flag --nonsense"},
        {"model", "\"model\" is not a flag"},
        {"--threads", "needs a value"},
        {"--threads=0", "from 1"},
        {"--threads=many", "\"many\""},
        {"--kv-memory=lots", "512M"},
        {"--kv-memory=99999999T", "512M"},
        {"--page-tokens=48", "16, 32, 64 or 128"},
        {"--kv-type=f8", "f16,f32,bf16,q8"},
        {"--target-itl=0", "from 1"},
        {"--target-itl=soon", "\"soon\""},
        {"--no-prefix-cache=1", "takes no value"},
        {"--cache-scope=user", "one of global,uid,key"},
        {"--cache-scope=key", "needs --api-key-file"},
        {"--sliding-window=-1", "from 0"},
        {"--alias=", "must not be empty"},
        {"--drain-timeout=-1", "seconds"},
        {"--log-level=loud", "error,warn"},
        {"--allow-uid=me", "number"},
        {"--socket=/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "at most 107"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct qr_options o;
        char why[256] = "";
        assert_int_equal(options_of(&o, why, bad[i].flag, NULL, NULL), QR_SERVER_OPTIONS_WRONG);
        if (!strstr(why, bad[i].words)) fail_msg("%s: \"%s\"", bad[i].flag, why);
    }
    struct qr_options o;
    char why[256], *argv[] = {(char *)"quired"};
    assert_int_equal(qr_server_options_parse(1, argv, &o, why, sizeof why),
                     QR_SERVER_OPTIONS_WRONG);
    assert_non_null(strstr(why, "--model"));
    assert_int_equal(options_of(&o, why, "--cache-scope=uid", "--listen=127.0.0.1:0", NULL),
                     QR_SERVER_OPTIONS_WRONG);
    assert_non_null(strstr(why, "--cache-scope uid does not go with --listen"));
}

/* Goal: sizes are powers of 1,024, and no size overflows.
 * Method: parse good and bad sizes. */
static void sizes_are_read(void **state)
{
    (void)state;
    uint64_t n;
    assert_true(qr_server_options_size("65536", &n) && n == 65536);
    assert_true(qr_server_options_size("512M", &n) && n == 512ull << 20);
    assert_true(qr_server_options_size("4g", &n) && n == 4ull << 30);
    assert_true(qr_server_options_size("4GiB", &n) && n == 4ull << 30);
    assert_true(qr_server_options_size("2TB", &n) && n == 2ull << 40);
    static const char *const bad[] = {
        "", "M", "-1", " 1", "1.5G", "1X", "1Mi", "1MM", "18446744073709551616", "16777216T"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(qr_server_options_size(bad[i], &n));
}

static size_t read_all(int fd, char *text, size_t n)
{
    ssize_t got = read(fd, text, n - 1);
    assert_true(got >= 0);
    text[got] = '\0';
    return (size_t)got;
}

/* Goal: a log entry is one line for any bytes of a client; JSON lines are valid JSON.
 * Method: log a path with a newline, quotes and other bytes into a pipe, in both formats. */
static void log_lines_cannot_be_forged(void **state)
{
    (void)state;
    int ends[2];
    char text[4096];
    assert_int_equal(pipe(ends), 0);
    struct qr_log log = {.level = QR_LOG_INFO, .json = false, .fd = ends[1]};
    const struct qr_log_request request = {.method = "GET",
                                           .path = "/a\nb\"\\\x7f\xff",
                                           .status = 499,
                                           .seconds = 0.5,
                                           .prompt_tokens = 3,
                                           .completion_tokens = 4,
                                           .note = "disconnect"};
    qr_log(&log, QR_LOG_DEBUG, "not written");
    qr_log_request(&log, &request);
    size_t n = read_all(ends[0], text, sizeof text);
    assert_ptr_equal(strchr(text, '\n'), text + n - 1);
    assert_non_null(
        strstr(text, "GET /a\\x0ab\"\\\\x7f\\xff 499 500.0 ms, 3 + 4 tokens, disconnect"));

    log.json = true;
    qr_log(&log, QR_LOG_WARN, "it's \"%s\"", "q\n");
    (void)read_all(ends[0], text, sizeof text);
    json_t *line = json_loads(text, 0, NULL);
    assert_non_null(line);
    assert_string_equal(json_string_value(json_object_get(line, "message")), "it's \"q\n\"");
    assert_string_equal(json_string_value(json_object_get(line, "level")), "warn");
    json_decref(line);
    qr_log_request(&log, &request);
    (void)read_all(ends[0], text, sizeof text);
    line = json_loads(text, 0, NULL);
    assert_non_null(line);
    assert_int_equal(json_integer_value(json_object_get(line, "status")), 499);
    json_decref(line);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void *refuse(void *context, void *pointer, size_t bytes)
{
    size_t *left = context;
    if (bytes == 0) {
        free(pointer);
        return NULL;
    }
    if (bytes > *left) return NULL;
    return realloc(pointer, bytes);
}

/* Goal: a buffer without memory reports it and keeps what it had.
 * Method: exceed an allocator of 200 bytes, then clear the buffer and use it again. */
static void a_buffer_remembers_that_it_failed(void **state)
{
    (void)state;
    size_t left = 200;
    struct quire_allocator poor = {refuse, &left};
    struct qr_buffer buffer;
    char long_text[300];
    memset(long_text, 'x', sizeof long_text);
    qr_buffer_init(&buffer, &poor);
    qr_buffer_puts(&buffer, "abc");
    qr_buffer_put(&buffer, long_text, sizeof long_text);
    qr_buffer_puts(&buffer, "def");
    assert_true(buffer.failed);
    assert_int_equal(buffer.n, 3);
    qr_buffer_clear(&buffer);
    qr_buffer_printf(&buffer, "%d-%d", 1, 2);
    assert_buffer(&buffer, "1-2");
    qr_buffer_drop(&buffer, 2);
    assert_buffer(&buffer, "2");
    qr_buffer_deinit(&buffer);
}

int main(void)
{
    memory = qr_allocator((struct quire_allocator){NULL, NULL});
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_framed),
        cmocka_unit_test(metrics_are_prometheus_text),
        cmocka_unit_test(errors_have_openais_shape),
        cmocka_unit_test(keys_are_compared_whole),
        cmocka_unit_test(hosts_of_this_machine_are_known),
        cmocka_unit_test(a_scope_names_the_caller),
        cmocka_unit_test(flags_are_read),
        cmocka_unit_test(wrong_flags_are_named),
        cmocka_unit_test(sizes_are_read),
        cmocka_unit_test(log_lines_cannot_be_forged),
        cmocka_unit_test(a_buffer_remembers_that_it_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
