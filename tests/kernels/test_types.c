/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/types.h"
#include "runtime/base/memory.h"
#include "runtime/model/gguf.h"

/* ---- traits -------------------------------------------------------------------------------- */

/* Goal: the supported types have ggml's numbers, names and block sizes.
 * Method: compare with a table written from ggml's definitions. */
static void supported_types_have_ggmls_numbers(void **state)
{
    static const struct {
        uint32_t number;
        const char *name;
        uint32_t block_n, block_bytes;
        bool is_float;
    } want[] = {
        {0, "F32", 1, 4, true},          {1, "F16", 1, 2, true},
        {30, "BF16", 1, 2, true},        {2, "Q4_0", 32, 18, false},
        {3, "Q4_1", 32, 20, false},      {8, "Q8_0", 32, 34, false},
        {6, "Q5_0", 32, 22, false},      {7, "Q5_1", 32, 24, false},
        {20, "IQ4_NL", 32, 18, false},   {10, "Q2_K", 256, 84, false},
        {11, "Q3_K", 256, 110, false},   {12, "Q4_K", 256, 144, false},
        {13, "Q5_K", 256, 176, false},   {14, "Q6_K", 256, 210, false},
        {23, "IQ4_XS", 256, 136, false},
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

/* Goal: an error can name a known type without support.
 * Method: some of them: a name, and a block size of 0. */
static void known_types_without_support_have_names(void **state)
{
    (void)state;
    assert_string_equal(qr_type_traits(9)->name, "Q8_1");
    assert_string_equal(qr_type_traits(16)->name, "IQ2_XXS");
    assert_string_equal(qr_type_traits(39)->name, "MXFP4");
    assert_int_equal(qr_type_traits(9)->block_n, 0);
    assert_int_equal(qr_type_traits(16)->block_n, 0);
    assert_int_equal(qr_type_traits(39)->block_n, 0);
}

/* Goal: any number is accepted.
 * Method: numbers that ggml never defined. */
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

/* Goal: every f16 converts exactly to f32 and back.
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

/* Goal: f32 to f16 rounds to nearest, ties to even, and above 65,519.99 to infinity.
 * Method: between each two neighbouring f16: just below the middle, the middle, just above. */
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

/* Goal: f32 to bf16 rounds to nearest, ties to even.
 * Method: finite neighbours in steps; NaN with only low bits set stays NaN. */
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

static const struct qr_gguf_tensor *tensor(const struct qr_gguf *file, const char *name,
                                           const char *suffix)
{
    char full[32];
    (void)snprintf(full, sizeof full, "%s%s", name, suffix);
    const struct qr_gguf_tensor *t = qr_gguf_tensor(file, full);
    if (!t) fail_msg("types.gguf has no tensor %s", full);
    return t;
}

/* Goal: every supported type has the values that ggml gives it, bit for bit.
 * Method: blocks with all quants, all inner scales and extreme f16, one byte off any alignment,
 * against the values of PyPI's gguf 0.19 (make_type_cases.py). */
static void blocks_mean_what_ggml_means(void **state)
{
    struct quire_allocator allocator = qr_allocator((struct quire_allocator){0});
    struct quire_error error = {0};
    struct qr_gguf file;
    uint32_t types_n = 0;

    (void)state;
    if (qr_gguf_open(&file, QUIRE_TEST_DATA "/types.gguf", &allocator, &error))
        fail_msg("%s", error.text);
    for (uint32_t type = 1; type < 64; type++) {
        const struct qr_type_traits *traits = qr_type_traits(type);
        if (!traits->block_n) continue;
        const struct qr_gguf_tensor *blocks = tensor(&file, traits->name, "");
        const struct qr_gguf_tensor *want = tensor(&file, traits->name, ".f32");
        size_t n = want->data_n / sizeof(float);
        uint8_t *bytes = malloc(blocks->data_n + 1);
        float *got = malloc(want->data_n);

        assert_true(bytes && got);
        assert_int_equal(blocks->type, type);
        assert_int_equal(blocks->data_n, n / traits->block_n * traits->block_bytes);
        memcpy(bytes + 1, blocks->data, blocks->data_n);
        qr_dequantize((enum qr_type)type, bytes + 1, got, n);
        for (size_t i = 0; i < n; i++) {
            float expected;
            memcpy(&expected, want->data + i * sizeof expected, sizeof expected);
            if (memcmp(&got[i], &expected, sizeof expected) != 0)
                fail_msg("%s: value %zu is %.9g, expected %.9g", traits->name, i, (double)got[i],
                         (double)expected);
        }
        free(bytes);
        free(got);
        types_n++;
    }
    assert_int_equal(types_n, 14); /* all but F32 */
    qr_gguf_close(&file);
}

/* Goal: float types are read exactly, from any address.
 * Method: known numbers, one byte off. */
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
