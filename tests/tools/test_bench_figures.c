/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "tools/client/numbers.h"
#include "tools/quire/bench.h"

/* SmolLM2's weights and the limits of one measured machine. */
static const struct quire_model_info model = {
    .weights_n = 134479872, .head_weights_n = 28311552, .weights_bytes = 98000000};
static const struct quire_limits limits = {
    .int8_ops = 920e9, .bf16_flops = 467e9, .fp32_flops = 233e9, .read_bytes = 32e9};

static bool about(double a, double b)
{
    return fabs(a - b) < 0.01 * b;
}

/* Goal: the computed limits equal those worked out by hand.
 * Method: prefill 920 / 0.212, a large batch 920 / 0.269, alone 32 GB / 98 MB. */
static void limits_follow_from_arithmetic(void **state)
{
    (void)state;
    struct qr_cost cost;
    const char *bound;
    qr_cost_of(&cost, &model, &limits);
    assert_string_equal(cost.ops_name, "int8");
    assert_true(about(512 / qr_cost_seconds(&cost, 512, 1, 1, &bound), 4320));
    assert_string_equal(bound, "int8");
    assert_true(about(64 / qr_cost_seconds(&cost, 64, 64, 1, &bound), 3420));
    assert_string_equal(bound, "int8");
    assert_true(about(1 / qr_cost_seconds(&cost, 1, 1, 1, &bound), 326));
    assert_string_equal(bound, "read");
}

/* Goal: float weights are compared with float limits.
 * Method: the same weights at four bytes each. */
static void float_weights_have_float_limits(void **state)
{
    (void)state;
    struct qr_cost cost;
    struct quire_model_info wide = model;
    wide.weights_bytes = 4 * wide.weights_n;
    qr_cost_of(&cost, &wide, &limits);
    assert_string_equal(cost.ops_name, "fp32");
    assert_true(cost.ops == 233e9);
}

/* Goal: best, median and share are right for rates and for times.
 * Method: three values of each. */
static void rows_know_their_best(void **state)
{
    (void)state;
    struct qr_cost cost;
    qr_cost_of(&cost, &model, &limits);
    struct qr_bench_row rate = {
        .values = {100, 163, 120}, .values_n = 3, .tokens_n = 1, .sampled_n = 1, .steps_n = 1};
    qr_bench_settle(&rate, &cost);
    assert_true(qr_bench_best(&rate) == 163);
    assert_true(qr_bench_median(&rate) == 120);
    assert_true(about(qr_bench_share(&rate, 163), 0.5));

    struct qr_bench_row time = {.is_time = true,
                                .values = {8, 6.2, 7},
                                .values_n = 3,
                                .tokens_n = 64 * 191.0,
                                .sampled_n = 64 * 64.0,
                                .steps_n = 64};
    qr_bench_settle(&time, &cost);
    assert_true(qr_bench_best(&time) == 6.2);
    assert_true(about(time.limit, (64 * 191 * 0.21234e9 + 64 * 64 * 0.05662e9) / 920e9));
    assert_true(about(qr_bench_share(&time, 2 * time.limit), 0.5));

    struct qr_bench_row none = {.is_time = true, .values = {1}, .values_n = 1};
    qr_bench_settle(&none, &cost);
    assert_true(qr_bench_share(&none, 1) == 0);
}

/* Goal: of repeated measurements each limit keeps the best; the core distance keeps least and most.
 * Method: one measurement without a distance, then a near, a far and another one without. */
static void limits_keep_the_best_and_the_span(void **state)
{
    (void)state;
    struct qr_bench_limits kept = {0};
    struct quire_limits now = limits;
    char text[QR_NUMBER_ROOM];
    qr_bench_keep_limits(&kept, &now);
    assert_string_equal(qr_bench_format_distance(text, &kept), "none");

    now = (struct quire_limits){.int8_ops = 1, .read_bytes = 60e9, .core_to_core_ns = 45.2};
    qr_bench_keep_limits(&kept, &now);
    assert_string_equal(qr_bench_format_distance(text, &kept), "45");
    now.core_to_core_ns = 44.8;
    qr_bench_keep_limits(&kept, &now);
    assert_string_equal(qr_bench_format_distance(text, &kept), "45");
    now.core_to_core_ns = 250;
    qr_bench_keep_limits(&kept, &now);
    now.core_to_core_ns = 0;
    qr_bench_keep_limits(&kept, &now);
    assert_string_equal(qr_bench_format_distance(text, &kept), "45-250");
    assert_true(kept.best.core_to_core_ns == 44.8 && kept.core_to_core_most_ns == 250);
    assert_true(kept.best.int8_ops == 920e9 && kept.best.bf16_flops == 467e9 &&
                kept.best.fp32_flops == 233e9 && kept.best.read_bytes == 60e9);
}

/* Goal: drawn ids are repeatable and avoid both ends of the vocabulary.
 * Method: two draws with one seed, one with another. */
static void prompts_are_drawn_from_the_middle(void **state)
{
    (void)state;
    int32_t a[500], b[500], c[500];
    qr_batch_draw(1, 320, a, 500);
    qr_batch_draw(1, 320, b, 500);
    qr_batch_draw(2, 320, c, 500);
    assert_memory_equal(a, b, sizeof a);
    assert_memory_not_equal(a, c, sizeof a);
    for (int i = 0; i < 500; i++)
        assert_in_range(a[i], 20, 299);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_follow_from_arithmetic),
        cmocka_unit_test(float_weights_have_float_limits),
        cmocka_unit_test(rows_know_their_best),
        cmocka_unit_test(limits_keep_the_best_and_the_span),
        cmocka_unit_test(prompts_are_drawn_from_the_middle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
