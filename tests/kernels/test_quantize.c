/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/cpu.h"
#include "kernels/gemm.h"
#include "kernels/gemm_layout.h"

#define K      224u /* seven blocks: a four and three more */
#define ROWS_N 18u

static const char *const levels[] = {"scalar", "avx2", "avx512"};

struct fixture {
    struct qr_acts acts;
    size_t bytes;
};

static int setup(void **state)
{
    struct fixture *f = malloc(sizeof *f);
    f->bytes = qr_acts_bytes(ROWS_N, K);
    qr_acts_init(&f->acts, aligned_alloc(64, f->bytes), K);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    free(f->acts.data);
    free(f);
    return 0;
}

/* The level's kernel; NULL: this machine has no such level. */
static qr_quantize_fn *kernel_of(const char *level)
{
    struct qr_gemm_kernels k;
    unsigned flags = 0;
    assert_true(qr_cpu_level_flags(level, &flags));
    if ((flags & qr_cpu_flags()) != flags) return NULL;
    qr_gemm_init(&k, flags);
    return k.quantize;
}

static void random_row(float *x, uint32_t n, uint32_t seed)
{
    for (uint32_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(int32_t)seed * 0x1p-29f;
    }
}

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* Goal: a block's scale is the least number of three significant bits with which the greatest
 * value is at most 127. magic is the matching power of two with j in its low byte.
 * Method: amax from the least to the greatest that is supported, in steps of 0.25 %. */
static void scales_have_three_bits(void **state)
{
    (void)state;
    for (float amax = QR_ACT_AMAX_MIN; amax <= QR_ACT_AMAX_MAX; amax *= 1.0025f) {
        struct qr_act_scale s = qr_act_scale(amax);
        uint32_t quarter = bits_of(s.d) >> 21 & 3;
        float power = s.d / (1.0f + 0.25f * (float)quarter);
        assert_true((bits_of(s.d) & 0x1fffff) == 0 && frexpf(power, &(int){0}) == 0.5f);
        assert_true(s.magic == (0x1.8p23f + 64.0f * (float)quarter) * power);
        assert_true((bits_of(s.magic) & 0xff) == 64 * quarter);
        assert_true(fabsf(s.inverse * s.d - 1.0f) < 1e-6f);
        assert_true(amax <= s.d * 127.0001f);
        assert_true(amax > s.d *
                               (quarter ? 1.0f - 0.25f / (1.0f + 0.25f * (float)quarter) : 0.875f) *
                               126.999f);
    }
}

/* Goal: amax outside the supported range gives a scale of 0 and a magic that is harmless in sums.
 * Method: zero, values that are too small or too large, infinity and NaN. */
static void scales_outside_are_zero(void **state)
{
    static const float outside[] = {0.0f, 0x1p-61f, 1e-45f, 0x1p101f, INFINITY, NAN};
    (void)state;
    for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
        struct qr_act_scale s = qr_act_scale(outside[i]);
        assert_true(s.d == 0.0f && s.inverse == 0.0f && s.magic == 0x1.8p23f);
    }
}

/* Goal: an integer added to the bits of magic, minus magic as a float, is the integer times 2^e,
 * exactly.
 * Method: the greatest sums that a block of 8-bit weights can have, for every j. */
static void sums_on_magic_are_exact(void **state)
{
    static const int32_t sums[] = {0, 1, -1, 32 * 255 * 127, -32 * 128 * 127, 1040385, -520191};
    (void)state;
    for (float amax = 0x1p-60f; amax <= 0x1p100f; amax *= 1.19f) {
        struct qr_act_scale s = qr_act_scale(amax);
        float power = s.d / (1.0f + 0.25f * (float)(bits_of(s.d) >> 21 & 3));
        for (size_t i = 0; i < sizeof sums / sizeof sums[0]; i++) {
            uint32_t bits = bits_of(s.magic) + (uint32_t)sums[i];
            float sum;
            memcpy(&sum, &bits, sizeof sum);
            assert_true(sum - s.magic == (float)sums[i] * power);
        }
    }
}

/* Goal: a quantised value is within half a step of the value; the greatest uses at least four
 * fifths of the range; the sums are the sums of the quants.
 * Method: recompute each field: random rows, every level, over dirty memory. */
static void fields_say_what_they_are(void **state)
{
    struct fixture *f = *state;
    for (size_t l = 0; l < 3; l++) {
        qr_quantize_fn *quantize = kernel_of(levels[l]);
        if (!quantize) continue;
        memset(f->acts.data, 0x55, f->bytes);
        for (uint32_t row = 0; row < ROWS_N; row++) {
            float x[K];
            random_row(x, K, row + 1);
            quantize(&f->acts, row, row + 1, 0, x, 0, K);
            for (uint32_t b = 0; b < K / 32; b++) {
                const struct qr_act_row *a = qr_act_row(&f->acts, row, b);
                int32_t sums[2] = {0, 0}, most = 0;
                float amax = 0;
                for (uint32_t i = 0; i < 32; i++) {
                    float error = fabsf(x[b * 32 + i] - a->d * (float)a->q[i]);
                    assert_true(error <= a->d * 0.5001f);
                    sums[i / 16] += a->q[i];
                    if (abs(a->q[i]) > most) most = abs(a->q[i]);
                    amax = fmaxf(amax, fabsf(x[b * 32 + i]));
                }
                assert_true(most >= 101 && most <= 127);
                assert_true(a->d == qr_act_scale(amax).d && a->magic == qr_act_scale(amax).magic);
                assert_true(a->s == a->d * (float)(sums[0] + sums[1]));
                assert_int_equal(*qr_act_pair_s(&f->acts, row, b), qr_f32_to_bf16(a->s));
                assert_int_equal(a->start_8, -8 * (sums[0] + sums[1]));
                assert_int_equal(a->magic_8, (int32_t)bits_of(a->magic) + a->start_8);
                assert_int_equal(a->start_32[0], -32 * sums[0]);
                assert_int_equal(a->start_32[1], -32 * sums[1]);
            }
            assert_int_equal(*qr_act_pair_s(&f->acts, row, K / 32), 0); /* unused, but read */
        }
    }
}

/* Goal: halves round to even.
 * Method: amax 127, so that a step is exactly 1, and values between two steps. */
static void halves_round_to_even(void **state)
{
    struct fixture *f = *state;
    for (size_t l = 0; l < 3; l++) {
        qr_quantize_fn *quantize = kernel_of(levels[l]);
        if (!quantize) continue;
        float x[32] = {127.0f, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f, 126.5f};
        const int8_t want[8] = {127, 0, 2, 2, 0, -2, -2, 126};
        quantize(&f->acts, 0, 1, 0, x, 0, 32);
        assert_memory_equal(qr_act_row(&f->acts, 0, 0)->q, want, sizeof want);
    }
}

/* The fields of a row's block that no other block shares. */
#define OWN_BYTES offsetof(struct qr_act_row, pair_s)

static void expect_same_block(const struct qr_acts *acts, uint32_t row, uint32_t block,
                              const struct qr_act_row *want, uint16_t want_s)
{
    assert_memory_equal(qr_act_row(acts, row, block), want, OWN_BYTES);
    assert_int_equal(*qr_act_pair_s(acts, row, block), want_s);
}

/* Goal: a block that is zero, too small, too large or not finite becomes zeros; other blocks are
 * unaffected.
 * Method: each kind in each place of a row, over dirty memory; compare with the row without it. */
static void blocks_outside_are_zero(void **state)
{
    static const float kinds[] = {0.0f,      -0.0f,    1e-45f,   1e-31f,    0x1.fffffep-61f,
                                  0x1p-100f, 0x1p101f, INFINITY, -INFINITY, -0x1.000002p100f};
    struct fixture *f = *state;
    struct qr_act_row zero;
    memset(&zero, 0, sizeof zero);
    zero.magic = 0x1.8p23f;
    zero.magic_8 = (int32_t)QR_ACT_MAGIC_ONE;
    for (size_t l = 0; l < 3; l++) {
        qr_quantize_fn *quantize = kernel_of(levels[l]);
        if (!quantize) continue;
        for (size_t i = 0; i < sizeof kinds / sizeof kinds[0] * (K / 32); i++) {
            const uint32_t place = i % (K / 32);
            float x[K];
            memset(f->acts.data, 0x55, f->bytes);
            random_row(x, K, 9);
            quantize(&f->acts, 2, 3, 0, x, 0, K);
            for (uint32_t j = 0; j < 32; j++)
                x[place * 32 + j] = kinds[i / (K / 32)];
            quantize(&f->acts, 3, 4, 0, x, 0, K);
            for (uint32_t b = 0; b < K / 32; b++) {
                if (b == place)
                    expect_same_block(&f->acts, 3, b, &zero, 0);
                else
                    expect_same_block(&f->acts, 3, b, qr_act_row(&f->acts, 2, b),
                                      *qr_act_pair_s(&f->acts, 2, b));
            }
        }
    }
}

/* Goal: quantising a range of rows equals quantising them one by one.
 * Method: every range within two tiles, of one block to all, over dirty memory: equal memory. */
static void a_range_is_its_rows(void **state)
{
    struct fixture *f = *state;
    uint8_t *one_by_one = malloc(f->bytes);
    float x[ROWS_N][K];
    for (uint32_t row = 0; row < ROWS_N; row++)
        random_row(x[row], K, row + 1);
    for (size_t l = 0; l < 3; l++) {
        qr_quantize_fn *quantize = kernel_of(levels[l]);
        if (!quantize) continue;
        for (uint32_t i = 0; i < ROWS_N * (ROWS_N + 1) * K / 32; i++) {
            uint32_t begin = i % ROWS_N, end = i / ROWS_N % (ROWS_N + 1);
            uint32_t n = i / ROWS_N / (ROWS_N + 1) * 32 + 32;
            if (end <= begin) continue;
            memset(f->acts.data, 0x55, f->bytes);
            for (uint32_t row = begin; row < end; row++)
                quantize(&f->acts, row, row + 1, K - n, x[row], K, n);
            memcpy(one_by_one, f->acts.data, f->bytes);
            memset(f->acts.data, 0x55, f->bytes);
            quantize(&f->acts, begin, end, K - n, x[begin], K, n);
            assert_memory_equal(one_by_one, f->acts.data, f->bytes);
        }
    }
    free(one_by_one);
}

/* Goal: a row can be written in any parts and in any order, without changing other rows.
 * Method: compare whole rows in ascending order with parts of rows in descending order: equal
 * memory. */
static void parts_and_order_do_not_matter(void **state)
{
    struct fixture *f = *state;
    uint8_t *first = malloc(f->bytes);
    for (size_t l = 0; l < 3; l++) {
        qr_quantize_fn *quantize = kernel_of(levels[l]);
        float x[K];
        if (!quantize) continue;
        memset(f->acts.data, 0x55, f->bytes);
        for (uint32_t row = 0; row < ROWS_N; row++) {
            random_row(x, K, row + 1);
            quantize(&f->acts, row, row + 1, 0, x, 0, K);
        }
        memcpy(first, f->acts.data, f->bytes);
        memset(f->acts.data, 0x55, f->bytes);
        for (uint32_t row = ROWS_N; row-- > 0;) {
            random_row(x, K, row + 1);
            quantize(&f->acts, row, row + 1, K - 32, x + K - 32, 0, 32);
            quantize(&f->acts, row, row + 1, 32, x + 32, 0, K - 64);
            quantize(&f->acts, row, row + 1, 0, x, 0, 32);
        }
        assert_memory_equal(first, f->acts.data, f->bytes);
    }
    free(first);
}

/* Goal: NaN and infinity change only their own block.
 * Method: a row with both; its neighbours in the row and in the tile are as without. */
static void not_finite_harms_its_own_block_only(void **state)
{
    struct fixture *f = *state;
    for (size_t l = 0; l < 3; l++) {
        qr_quantize_fn *quantize = kernel_of(levels[l]);
        struct qr_act_row before[3];
        uint16_t s[3];
        float x[K];
        if (!quantize) continue;
        random_row(x, K, 5);
        for (uint32_t row = 0; row < 3; row++)
            quantize(&f->acts, row, row + 1, 0, x, 0, K);
        before[0] = *qr_act_row(&f->acts, 0, 1);
        before[1] = *qr_act_row(&f->acts, 1, 0);
        before[2] = *qr_act_row(&f->acts, 2, 1);
        s[0] = *qr_act_pair_s(&f->acts, 0, 1);
        s[1] = *qr_act_pair_s(&f->acts, 1, 0);
        s[2] = *qr_act_pair_s(&f->acts, 2, 1);
        x[32] = NAN;
        x[40] = -INFINITY;
        quantize(&f->acts, 1, 2, 0, x, 0, K);
        expect_same_block(&f->acts, 0, 1, &before[0], s[0]);
        expect_same_block(&f->acts, 1, 0, &before[1], s[1]);
        expect_same_block(&f->acts, 2, 1, &before[2], s[2]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scales_have_three_bits),
        cmocka_unit_test(scales_outside_are_zero),
        cmocka_unit_test(sums_on_magic_are_exact),
        cmocka_unit_test_setup_teardown(fields_say_what_they_are, setup, teardown),
        cmocka_unit_test_setup_teardown(halves_round_to_even, setup, teardown),
        cmocka_unit_test_setup_teardown(blocks_outside_are_zero, setup, teardown),
        cmocka_unit_test_setup_teardown(a_range_is_its_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(parts_and_order_do_not_matter, setup, teardown),
        cmocka_unit_test_setup_teardown(not_finite_harms_its_own_block_only, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
