/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/loadgen/metrics.h"

static double gaps_a[] = {0.010, 0.030};
static double gaps_b[] = {0.020};

/* Three successful requests (one of a single token) and a failed one. */
static struct qr_record records[] = {
    {.ok = true,
     .start_s = 0,
     .ttft_s = 0.100,
     .latency_s = 0.140,
     .input_n = 10,
     .output_n = 3,
     .gaps_s = gaps_a,
     .gaps_n = 2},
    {.ok = true,
     .start_s = 0.5,
     .ttft_s = 0.200,
     .latency_s = 0.220,
     .input_n = 20,
     .output_n = 2,
     .gaps_s = gaps_b,
     .gaps_n = 1},
    {.ok = false,
     .start_s = 0.6,
     .ttft_s = 9,
     .latency_s = 9,
     .input_n = 1000,
     .output_n = 1000,
     .error = "HTTP 429: full"},
    {.ok = true, .start_s = 1.9, .ttft_s = 0.300, .latency_s = 0.300, .input_n = 30, .output_n = 1},
};

static const struct qr_goodput no_goodput = {false, HUGE_VAL, HUGE_VAL, HUGE_VAL};

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-9 * (1 + fabs(b));
}

static struct qr_metrics compute(const struct qr_goodput *goodput)
{
    struct qr_metrics m;
    assert_true(qr_metrics_compute(&m, records, 4, 2.0, goodput));
    return m;
}

/* Goal: every figure follows its definition; a failed request counts only as failed.
 * Method: figures worked out by hand. */
static void figures_follow_their_definitions(void **state)
{
    (void)state;
    struct qr_metrics m = compute(&no_goodput);
    assert_int_equal(m.completed, 3);
    assert_int_equal(m.failed, 1);
    assert_int_equal(m.input_n, 60);
    assert_int_equal(m.output_n, 6);
    assert_true(near(m.request_rate, 1.5));
    assert_true(near(m.output_rate, 3));
    assert_true(near(m.total_rate, 33));
    assert_true(near(m.ttft.mean_ms, 200));
    assert_true(near(m.ttft.median_ms, 200));
    assert_true(near(m.ttft.p99_ms, 298));
    assert_true(near(m.ttft.std_ms, sqrt(20000.0 / 3)));
    assert_true(
        near(m.tpot.mean_ms, 20)); /* (140 - 100) / 2 and (220 - 200) / 1; none of the last */
    assert_true(near(m.itl.mean_ms, 20));
    assert_true(near(m.itl.median_ms, 20));
    assert_true(near(m.itl.p99_ms, 29.8));
    assert_true(near(m.e2el.mean_ms, 220));
}

/* Goal: peaks are counted over whole seconds from the first start.
 * Method: the records above: second 0 has five tokens of two requests, second 2 the last one. */
static void peaks_are_by_seconds(void **state)
{
    (void)state;
    struct qr_metrics m = compute(&no_goodput);
    assert_true(m.peak_output_rate == 5);
    assert_int_equal(m.peak_concurrent, 2);
}

/* Goal: a request is good if no value exceeds its bound; a single token has no TPOT.
 * Method: bounds that separate the three requests. */
static void goodput_counts_what_keeps_every_bound(void **state)
{
    (void)state;
    struct qr_goodput g;
    struct qr_failure why;
    const char *const items[] = {"ttft:200", "e2el:500,tpot:21"};
    assert_true(qr_goodput_read(&g, items, 2, &why));
    struct qr_metrics m = compute(&g);
    assert_int_equal(m.good, 2);
    assert_true(near(m.goodput, 1));
    const char *const tight[] = {"ttft:1000", "tpot:19"};
    assert_true(qr_goodput_read(&g, tight, 2, &why));
    m = compute(&g);
    assert_int_equal(m.good, 1);
    const char *const wrong[] = {"itl:3"};
    assert_false(qr_goodput_read(&g, wrong, 1, &why));
    assert_non_null(strstr(why.text, "itl"));
    const char *const worse[] = {"ttft"};
    assert_false(qr_goodput_read(&g, worse, 1, &why));
}

/* Goal: the report equals vLLM's line by line.
 * Method: compare the whole text. */
static void the_report_is_vllms(void **state)
{
    (void)state;
    static const char expected[] = "============ Serving Benchmark Result ============\n"
                                   "Successful requests:                     3         \n"
                                   "Failed requests:                         1         \n"
                                   "Maximum request concurrency:             8         \n"
                                   "Request rate configured (RPS):           4.00      \n"
                                   "Benchmark duration (s):                  2.00      \n"
                                   "Total input tokens:                      60        \n"
                                   "Total generated tokens:                  6         \n"
                                   "Request throughput (req/s):              1.50      \n"
                                   "Request goodput (req/s):                 1.00      \n"
                                   "Output token throughput (tok/s):         3.00      \n"
                                   "Peak output token throughput (tok/s):    5.00      \n"
                                   "Peak concurrent requests:                2.00      \n"
                                   "Total token throughput (tok/s):          33.00     \n"
                                   "---------------Time to First Token----------------\n"
                                   "Mean TTFT (ms):                          200.00    \n"
                                   "Median TTFT (ms):                        200.00    \n"
                                   "P99 TTFT (ms):                           298.00    \n"
                                   "-----Time per Output Token (excl. 1st token)------\n"
                                   "Mean TPOT (ms):                          20.00     \n"
                                   "Median TPOT (ms):                        20.00     \n"
                                   "P99 TPOT (ms):                           20.00     \n"
                                   "---------------Inter-token Latency----------------\n"
                                   "Mean ITL (ms):                           20.00     \n"
                                   "Median ITL (ms):                         20.00     \n"
                                   "P99 ITL (ms):                            29.80     \n"
                                   "----------------End-to-end Latency----------------\n"
                                   "Mean E2EL (ms):                          220.00    \n"
                                   "Median E2EL (ms):                        220.00    \n"
                                   "P99 E2EL (ms):                           298.40    \n"
                                   "==================================================\n";
    struct qr_load_settings s = {.concurrency = 8,
                                 .request_rate = 4,

                                 .goodput = {true, 200, 21, 500}};
    struct qr_metrics m = compute(&s.goodput);
    FILE *file = tmpfile();
    qr_report_print(file, &m, &s);
    char text[4096];
    rewind(file);
    size_t n = fread(text, 1, sizeof text - 1, file);
    text[n] = 0;
    fclose(file);
    assert_string_equal(text, expected);
}

/* Goal: the saved file has vLLM's keys; single requests only if requested.
 * Method: look up the keys. */
static void the_saved_result_has_vllms_keys(void **state)
{
    (void)state;
    static const char *const keys[] = {"date",
                                       "endpoint_type",
                                       "backend",
                                       "model_id",
                                       "num_prompts",
                                       "request_rate",
                                       "burstiness",
                                       "max_concurrency",
                                       "duration",
                                       "completed",
                                       "failed",
                                       "total_input_tokens",
                                       "total_output_tokens",
                                       "request_throughput",
                                       "request_goodput",
                                       "output_throughput",
                                       "total_token_throughput",
                                       "max_output_tokens_per_s",
                                       "max_concurrent_requests",
                                       "mean_ttft_ms",
                                       "median_ttft_ms",
                                       "std_ttft_ms",
                                       "p99_ttft_ms",
                                       "mean_tpot_ms",
                                       "p99_itl_ms",
                                       "median_e2el_ms"};
    static const char *const details[] = {"input_lens",  "output_lens", "ttfts",          "itls",
                                          "start_times", "errors",      "generated_texts"};
    struct qr_load_settings s = {.request_rate = HUGE_VAL, .burstiness = 1, .goodput = no_goodput};
    struct qr_metrics m = compute(&s.goodput);
    json_t *json = qr_report_json(&m, records, 4, &s, "m", "openai");
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        assert_non_null(json_object_get(json, keys[i]));
    for (size_t i = 0; i < sizeof details / sizeof *details; i++)
        assert_null(json_object_get(json, details[i]));
    assert_string_equal(json_string_value(json_object_get(json, "request_rate")), "inf");
    json_decref(json);
    s.save_detailed = true;
    json = qr_report_json(&m, records, 4, &s, "m", "openai");
    for (size_t i = 0; i < sizeof details / sizeof *details; i++)
        assert_int_equal(json_array_size(json_object_get(json, details[i])), 4);
    assert_string_equal(json_string_value(json_array_get(json_object_get(json, "errors"), 2)),
                        "HTTP 429: full");
    json_decref(json);
}

/* Goal: there is a report without requests, and with failed requests only.
 * Method: no records; then only the failed one. */
static void nothing_completed_is_zeros(void **state)
{
    (void)state;
    struct qr_metrics m;
    assert_true(qr_metrics_compute(&m, NULL, 0, 0, &no_goodput));
    assert_int_equal(m.completed, 0);
    assert_true(m.request_rate == 0);
    assert_true(qr_metrics_compute(&m, &records[2], 1, 1, &no_goodput));
    assert_int_equal(m.failed, 1);
    assert_int_equal(m.output_n, 0);
    assert_true(m.ttft.p99_ms == 0);
}

/* Goal: each kind of failure is shown once.
 * Method: four failures of two kinds. */
static void failures_are_shown_once_a_kind(void **state)
{
    (void)state;
    struct qr_record bad[4] = {{.error = "one"}, {.error = "two"}, {.error = "one"}, {.ok = true}};
    FILE *file = tmpfile();
    qr_report_failures(file, bad, 4);
    char text[512];
    rewind(file);
    size_t n = fread(text, 1, sizeof text - 1, file);
    text[n] = 0;
    fclose(file);
    assert_string_equal(text, "loadgen: request 0 failed: one\nloadgen: request 1 failed: two\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_follow_their_definitions),
        cmocka_unit_test(peaks_are_by_seconds),
        cmocka_unit_test(goodput_counts_what_keeps_every_bound),
        cmocka_unit_test(the_report_is_vllms),
        cmocka_unit_test(the_saved_result_has_vllms_keys),
        cmocka_unit_test(nothing_completed_is_zeros),
        cmocka_unit_test(failures_are_shown_once_a_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
