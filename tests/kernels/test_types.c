/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/types.h"

/* ---- traits -------------------------------------------------------------------------------- */

/* Goal: the supported types have ggml's numbers, names and block sizes.
 * Method: against a table written from ggml's definition. */
static void supported_types_have_ggmls_numbers(void **state)
{
    static const struct {
        uint32_t number;
        const char *name;
        uint32_t block_n, block_bytes;
        bool is_float;
    } want[] = {
        {0, "F32", 1, 4, true},        {1, "F16", 1, 2, true},        {30, "BF16", 1, 2, true},
        {2, "Q4_0", 32, 18, false},    {3, "Q4_1", 32, 20, false},    {8, "Q8_0", 32, 34, false},
        {12, "Q4_K", 256, 144, false}, {14, "Q6_K", 256, 210, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        const struct qr_type_traits *t = qr_type_traits(want[i].number);
        assert_string_equal(t->name, want[i].name);
        assert_int_equal(t->block_n, want[i].block_n);
        assert_int_equal(t->block_bytes, want[i].block_bytes);
        assert_int_equal(t->is_float, want[i].is_float);
    }
}

/* Goal: a known type without support can be named in its refusal.
 * Method: some of them: a name, and a block of 0. */
static void known_types_without_support_have_names(void **state)
{
    (void)state;
    assert_string_equal(qr_type_traits(10)->name, "Q2_K");
    assert_string_equal(qr_type_traits(23)->name, "IQ4_XS");
    assert_string_equal(qr_type_traits(39)->name, "MXFP4");
    assert_int_equal(qr_type_traits(10)->block_n, 0);
    assert_int_equal(qr_type_traits(23)->block_n, 0);
    assert_int_equal(qr_type_traits(39)->block_n, 0);
}

/* Goal: any number is safe to ask about.
 * Method: numbers that ggml never gave. */
static void unknown_numbers_have_no_name(void **state)
{
    static const uint32_t numbers[] = {42, 1000, 0x7fffffff, 0xffffffff};
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_null(qr_type_traits(numbers[i])->name);
        assert_int_equal(qr_type_traits(numbers[i])->block_n, 0);
    }
}

/* ---- numbers ------------------------------------------------------------------------------- */

/* Goal: every half is read right, and comes back as itself.
 * Method: all 65,536 against ldexp; NaN stays NaN. */
static void every_f16_is_exact(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        int exponent = (int)(h >> 10 & 31), fraction = (int)(h & 1023);
        float got = qr_f16_to_f32((uint16_t)h);
        assert_int_equal(!!signbit(got), h >> 15);
        if (exponent == 31 && fraction) {
            assert_true(isnan(got));
            assert_true(isnan(qr_f16_to_f32(qr_f32_to_f16(got))));
            continue;
        }
        double want = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
        if (exponent == 31) want = INFINITY;
        assert_true(fabs((double)got) == want);
        assert_int_equal(qr_f32_to_f16(got), h);
    }
}

/* Goal: f32 to f16 rounds to the nearest, ties to even, past 65,519.99 to infinity.
 * Method: between each two neighbouring halves: just below the middle, the middle, just above. */
static void f32_to_f16_rounds_to_nearest_even(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x7bff; h++) {
        float low = qr_f16_to_f32((uint16_t)h), high = qr_f16_to_f32((uint16_t)(h + 1));
        float middle = low + (high - low) * 0.5f;
        assert_int_equal(qr_f32_to_f16(nextafterf(middle, 0.0f)), h);
        assert_int_equal(qr_f32_to_f16(middle), h % 2 ? h + 1 : h);
        assert_int_equal(qr_f32_to_f16(nextafterf(middle, INFINITY)), h + 1);
        assert_int_equal(qr_f32_to_f16(-middle), (h % 2 ? h + 1 : h) | 0x8000);
    }
    assert_int_equal(qr_f32_to_f16(65519.0f), 0x7bff);
    assert_int_equal(qr_f32_to_f16(65520.0f), 0x7c00);
    assert_int_equal(qr_f32_to_f16(1e30f), 0x7c00);
    assert_int_equal(qr_f32_to_f16(-INFINITY), 0xfc00);
    assert_int_equal(qr_f32_to_f16(1e-30f), 0);
}

/* Goal: the same for bf16.
 * Method: all finite neighbours in steps; NaN with only low bits set stays NaN. */
static void f32_to_bf16_rounds_to_nearest_even(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x7f7f; h++) {
        float low = qr_bf16_to_f32((uint16_t)h), high = qr_bf16_to_f32((uint16_t)(h + 1));
        float middle = low + (high - low) * 0.5f;
        assert_int_equal(qr_f32_to_bf16(low), h);
        assert_int_equal(qr_f32_to_bf16(nextafterf(middle, 0.0f)), h);
        assert_int_equal(qr_f32_to_bf16(middle), h % 2 ? h + 1 : h);
        assert_int_equal(qr_f32_to_bf16(nextafterf(middle, INFINITY)), h + 1);
    }
    uint32_t bits = 0x7f800001;
    float nan;
    memcpy(&nan, &bits, sizeof nan);
    assert_true(isnan(qr_bf16_to_f32(qr_f32_to_bf16(nan))));
}

/* ---- blocks -------------------------------------------------------------------------------- */

static void fill(uint8_t *to, size_t n)
{
    uint32_t x = 77;
    for (size_t i = 0; i < n; i++) {
        x = (x * 1103515245u + 12345u) & 0x7fffffffu;
        to[i] = (uint8_t)(x >> 16);
    }
}

static void put_f16(uint8_t *to, float f)
{
    uint16_t h = qr_f32_to_f16(f);
    memcpy(to, &h, 2);
}

struct value {
    int index;
    float value;
};

/* Goal: each block format means what ggml means by it.
 * Method: made-up bytes, with scales 0.0123 and -0.0456, at an odd address; the values expected are
 * those of PyPI's gguf 0.19 (gguf.quants.dequantize). */
static void blocks_mean_what_ggml_means(void **state)
{
    static const struct {
        enum qr_type type;
        int d, m; /* where the f16 stand; m -1: none */
        struct value values[16];
    } want[] = {
        {QR_TYPE_Q4_0,
         0,
         -1,
         {{0, -0.036895751953125f},
          {1, 0.012298583984375f},
          {15, 0.086090087890625f},
          {16, 0.061492919921875f},
          {17, -0.036895751953125f},
          {31, 0.02459716796875f}}},
        {QR_TYPE_Q4_1,
         0,
         2,
         {{0, 0.114288330078125f},
          {1, 0.015899658203125f},
          {15, -0.02099609375f},
          {16, -0.02099609375f},
          {17, 0.0281982421875f},
          {31, 0.077392578125f}}},
        {QR_TYPE_Q8_0,
         0,
         -1,
         {{0, -0.528839111328125f},
          {1, 1.094573974609375f},
          {15, -0.996185302734375f},
          {16, -1.1806640625f},
          {17, -1.15606689453125f},
          {31, 0.774810791015625f}}},
        {QR_TYPE_Q4_K,
         0,
         2,
         {{0, 1.328521728515625f},
          {1, 9.076629638671875f},
          {31, 1.8819580078125f},
          {32, 2.46026611328125f},
          {63, 3.825408935546875f},
          {64, 1.953033447265625f},
          {100, 3.89532470703125f},
          {127, 1.43560791015625f},
          {128, 2.19329833984375f},
          {130, 3.05419921875f},
          {177, 4.817108154296875f},
          {200, 6.381683349609375f},
          {223, 6.93511962890625f},
          {224, 5.3831787109375f},
          {254, 9.19573974609375f},
          {255, 6.908203125f}}},
        {QR_TYPE_Q6_K,
         208,
         -1,
         {{0, 4.8702392578125f},
          {1, 5.31298828125f},
          {31, 1.99237060546875f},
          {32, 2.4105224609375f},
          {63, 38.851226806640625f},
          {64, 20.83380126953125f},
          {100, 2.43511962890625f},
          {127, -17.2672119140625f},
          {128, 2.275238037109375f},
          {130, -10.01104736328125f},
          {177, 7.84649658203125f},
          {200, 14.7091064453125f},
          {223, -10.330810546875f},
          {224, -5.841827392578125f},
          {254, -1.807891845703125f},
          {255, 6.02630615234375f}}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        const struct qr_type_traits *t = qr_type_traits(want[i].type);
        uint8_t memory[257];
        uint8_t *bytes = memory + 1;
        float values[256];
        fill(bytes, t->block_bytes);
        put_f16(bytes + want[i].d, 0.0123f);
        if (want[i].m >= 0) put_f16(bytes + want[i].m, -0.0456f);
        qr_dequantize(want[i].type, bytes, values, t->block_n);
        size_t values_n = t->block_n == 32 ? 6 : 16;
        for (size_t j = 0; j < values_n; j++) {
            const struct value *v = &want[i].values[j];
            if (values[v->index] != v->value) {
                fail_msg("%s: value %d is %.9g, expected %.9g", t->name, v->index,
                         (double)values[v->index], (double)v->value);
            }
        }
    }
}

/* Goal: float types come out as they are, from any address.
 * Method: known numbers written one byte off. */
static void floats_are_exact_at_odd_addresses(void **state)
{
    const float numbers[3] = {1.5f, -0.25f, 1e-3f};
    const uint16_t f16[3] = {0x3e00, 0xb400, 0x1419}, bf16[3] = {0x3fc0, 0xbe80, 0x3a83};
    uint8_t bytes[16];
    float got[3];
    (void)state;
    memcpy(bytes + 1, numbers, sizeof numbers);
    qr_dequantize(QR_TYPE_F32, bytes + 1, got, 3);
    assert_memory_equal(got, numbers, sizeof got);
    memcpy(bytes + 1, f16, sizeof f16);
    qr_dequantize(QR_TYPE_F16, bytes + 1, got, 3);
    for (int i = 0; i < 3; i++)
        assert_true(fabsf(got[i] - numbers[i]) <= fabsf(numbers[i]) / 2048);
    memcpy(bytes + 1, bf16, sizeof bf16);
    qr_dequantize(QR_TYPE_BF16, bytes + 1, got, 3);
    for (int i = 0; i < 3; i++)
        assert_true(fabsf(got[i] - numbers[i]) <= fabsf(numbers[i]) / 256);
    assert_true(got[0] == 1.5f && got[1] == -0.25f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(supported_types_have_ggmls_numbers),
        cmocka_unit_test(known_types_without_support_have_names),
        cmocka_unit_test(unknown_numbers_have_no_name),
        cmocka_unit_test(every_f16_is_exact),
        cmocka_unit_test(f32_to_f16_rounds_to_nearest_even),
        cmocka_unit_test(f32_to_bf16_rounds_to_nearest_even),
        cmocka_unit_test(blocks_mean_what_ggml_means),
        cmocka_unit_test(floats_are_exact_at_odd_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
