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
#include "kernels/exponential.h"
#include "kernels/rows.h"

/* kernelcheck compares variants with scalar.  Here each kernel is compared with its definition. */
static const char *const levels[] = {"scalar", "avx2", "avx512"};
#define LEVELS_N (sizeof levels / sizeof levels[0])

static bool take_level(size_t i, struct qr_row_kernels *k)
{
    unsigned flags = 0;

    if (!qr_cpu_level_flags(levels[i], &flags) || (flags & qr_cpu_flags()) != flags) return false;
    qr_rows_init(k, flags);
    return true;
}

static float random_float(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (float)(int32_t)(*state >> 32) * 0x1p-31f;
}

/* The error in units in the last place of the true value. */
static double ulps(float got, double want)
{
    int exponent;

    frexp(want, &exponent);
    return fabs((double)got - want) / ldexp(1.0, (exponent < -125 ? -125 : exponent) - 24);
}

/* Goal: 2^x and e^x are within 2 ulp over the whole range.
 * Method: compare every 97th float with double; then 0, infinities and NaN. */
static void exponentials_are_within_two_ulp(void **state)
{
    double worst2 = 0, worst = 0;

    (void)state;
    for (uint32_t bits = 0; bits < 0x43200000u; bits += 97) { /* up to 160 */
        float x, got;

        memcpy(&x, &bits, sizeof x);
        got = qr_exp2(-x);
        if (x < 149) worst2 = fmax(worst2, ulps(got, exp2(-(double)x)));
        if (x < 88) {
            worst = fmax(worst, ulps(qr_exp(x), exp((double)x)));
            worst = fmax(worst, ulps(qr_exp(-x), exp(-(double)x)));
        }
    }
    assert_true(worst2 < 2.0);
    assert_true(worst < 2.0);
    assert_true(qr_exp2(0.0f) == 1.0f && qr_exp2(-0.0f) == 1.0f && qr_exp2(-5.0f) == 0x1p-5f);
    assert_true(qr_exp2(-INFINITY) == 0.0f && qr_exp2(-1e30f) == 0.0f && qr_exp2(-149.0f) > 0.0f);
    assert_true(qr_exp(0.0f) == 1.0f && qr_exp(-INFINITY) == 0.0f && qr_exp(200.0f) == INFINITY);
    assert_true(isnan(qr_exp2(NAN)) && isnan(qr_exp(NAN)));
}

/* Goal: rms_norm is x / sqrt(mean(x^2) + eps) * weight.
 * Method: compare with double; a row of zeros stays zeros. */
static void rms_norm_is_what_it_says(void **state)
{
    static const uint32_t lengths[] = {8, 24, 576, 2048};
    static float x[2048], weight[2048], out[2048];
    struct qr_row_kernels k;
    uint64_t seed = 1;

    (void)state;
    for (size_t i = 0; i < 4 * LEVELS_N; i++) {
        uint32_t n = lengths[i % 4];
        double sum = 0;

        if (!take_level(i / 4, &k)) continue;
        for (uint32_t j = 0; j < n; j++) {
            x[j] = 3.0f * random_float(&seed);
            weight[j] = random_float(&seed);
            sum += (double)x[j] * (double)x[j];
        }
        k.rms_norm(out, x, weight, 1e-5f, n);
        for (uint32_t j = 0; j < n; j++)
            assert_true(ulps(out[j], (double)x[j] / sqrt(sum / n + (double)1e-5f) *
                                         (double)weight[j]) < 8.0);
        memset(x, 0, sizeof x);
        k.rms_norm(out, x, weight, 1e-5f, n);
        for (uint32_t j = 0; j < n; j++)
            assert_true(out[j] == 0.0f);
    }
}

/* Goal: layer_norm is (x - mean) / sqrt(variance + eps) * weight + bias.
 * Method: compare with double, also for rows far from zero; equal values become the bias. */
static void layer_norm_is_what_it_says(void **state)
{
    static const uint32_t lengths[] = {8, 24, 256, 2048};
    static float x[2048], weight[2048], bias[2048], out[2048];
    struct qr_row_kernels k;
    uint64_t seed = 6;

    (void)state;
    for (size_t i = 0; i < 4 * LEVELS_N; i++) {
        uint32_t n = lengths[i % 4];
        double mean = 0, variance = 0;

        if (!take_level(i / 4, &k)) continue;
        for (uint32_t j = 0; j < n; j++) {
            x[j] = 4.0f + random_float(&seed);
            weight[j] = random_float(&seed);
            bias[j] = random_float(&seed);
            mean += (double)x[j] / n;
        }
        for (uint32_t j = 0; j < n; j++)
            variance += ((double)x[j] - mean) * ((double)x[j] - mean) / n;
        k.layer_norm(out, x, weight, bias, 1e-5f, n);
        for (uint32_t j = 0; j < n; j++)
            assert_true(
                fabs((double)out[j] -
                     ((double)x[j] - mean) / sqrt(variance + (double)1e-5f) * (double)weight[j] -
                     (double)bias[j]) < 4e-6);
        for (uint32_t j = 0; j < n; j++)
            x[j] = 3.0f;
        k.layer_norm(out, x, weight, bias, 1e-5f, n);
        assert_memory_equal(out, bias, n * sizeof out[0]);
    }
}

/* Goal: rope rotates neighbouring pairs and leaves values from rotary_n on.
 * Method: compare with double: whole heads and partly rotated ones. */
static void rope_turns_pairs(void **state)
{
    static const uint32_t shapes[][3] = {{9, 64, 64}, {2, 40, 40}, {3, 64, 20}};
    float x[576], out[576], cosines[32], sines[32];
    struct qr_row_kernels k;
    uint64_t seed = 2;

    (void)state;
    for (size_t i = 0; i < 3 * LEVELS_N; i++) {
        const uint32_t *s = shapes[i % 3];
        uint32_t n = s[0] * s[1];

        if (!take_level(i / 3, &k)) continue;
        for (uint32_t j = 0; j < n; j++)
            out[j] = x[j] = random_float(&seed);
        for (uint32_t j = 0; j < s[2] / 2; j++) {
            cosines[j] = cosf((float)j);
            sines[j] = sinf((float)j);
        }
        k.rope(out, s[0], s[1], s[2], cosines, sines);
        for (uint32_t j = 0; j < n; j += 2) {
            uint32_t d = j % s[1];
            double c = d < s[2] ? (double)cosines[d / 2] : 1;
            double z = d < s[2] ? (double)sines[d / 2] : 0;

            assert_true(fabs((double)out[j] - ((double)x[j] * c - (double)x[j + 1] * z)) < 2e-7);
            assert_true(fabs((double)out[j + 1] - ((double)x[j] * z + (double)x[j + 1] * c)) <
                        2e-7);
        }
    }
}

/* Goal: rope_halves rotates value i with value i + rotary_n / 2 and leaves values from rotary_n
 * on.
 * Method: compare with double: whole heads and partly rotated ones. */
static void rope_halves_turns_halves(void **state)
{
    static const uint32_t shapes[][3] = {{9, 64, 64}, {2, 40, 40}, {3, 64, 20}};
    float x[576], out[576], cosines[32], sines[32];
    struct qr_row_kernels k;
    uint64_t seed = 8;

    (void)state;
    for (size_t i = 0; i < 3 * LEVELS_N; i++) {
        const uint32_t *s = shapes[i % 3];
        const uint32_t half = s[2] / 2;

        if (!take_level(i / 3, &k)) continue;
        for (uint32_t j = 0; j < s[0] * s[1]; j++)
            out[j] = x[j] = random_float(&seed);
        for (uint32_t j = 0; j < half; j++) {
            cosines[j] = cosf((float)j);
            sines[j] = sinf((float)j);
        }
        k.rope_halves(out, s[0], s[1], s[2], cosines, sines);
        for (uint32_t j = 0; j < s[0] * s[1]; j++) {
            uint32_t d = j % s[1];
            double expected = (double)x[j];
            if (d < half)
                expected =
                    (double)x[j] * (double)cosines[d] - (double)x[j + half] * (double)sines[d];
            else if (d < s[2])
                expected = (double)x[j] * (double)cosines[d - half] +
                           (double)x[j - half] * (double)sines[d - half];
            assert_true(fabs((double)out[j] - expected) < 2e-7);
        }
    }
}

/* Goal: gelu is its tanh form, for values of any size.
 * Method: compare with double; far below zero the result is 0, far above it is the value. */
static void gelu_is_the_tanh_form(void **state)
{
    static float x[1536], out[1536];
    struct qr_row_kernels k;
    uint64_t seed = 7;

    (void)state;
    for (size_t i = 0; i < LEVELS_N; i++) {
        if (!take_level(i, &k)) continue;
        for (uint32_t j = 0; j < 1536; j++)
            x[j] = 6.0f * random_float(&seed);
        x[5] = -1e15f;
        x[6] = -100.0f;
        x[7] = 100.0f;
        k.gelu(out, x, 1536);
        assert_true(out[5] == 0.0f && out[6] == 0.0f && out[7] == 100.0f);
        for (uint32_t j = 8; j < 1536; j++) {
            double v = (double)x[j];
            double u = sqrt(2 / acos(-1)) * (v + 0.044715 * v * v * v);
            assert_true(fabs((double)out[j] - v / (1 + exp(-2 * u))) < 4e-7 * (fabs(v) + 0.1));
            assert_true(fabs(v / 2 * (1 + tanh(u)) - v / (1 + exp(-2 * u))) < 1e-12);
        }
    }
}

/* Goal: swiglu is gate * sigmoid(gate) * up, for gates of any size.
 * Method: compare with double; far below zero the result is 0 and not NaN. */
static void swiglu_is_what_it_says(void **state)
{
    static float gate[1536], up[1536], out[1536];
    struct qr_row_kernels k;
    uint64_t seed = 3;

    (void)state;
    for (size_t i = 0; i < LEVELS_N; i++) {
        if (!take_level(i, &k)) continue;
        for (uint32_t j = 0; j < 1536; j++) {
            gate[j] = 80.0f * random_float(&seed);
            up[j] = random_float(&seed);
        }
        gate[5] = -3e38f;
        gate[6] = -100.0f;
        gate[7] = 100.0f;
        up[7] = 0.25f;
        k.swiglu(out, gate, up, 1536);
        assert_true(out[5] == 0.0f && out[6] == 0.0f && out[7] == 25.0f);
        for (uint32_t j = 8; j < 1536; j++)
            assert_true(
                ulps(out[j], (double)gate[j] / (1 + exp(-(double)gate[j])) * (double)up[j]) < 4.0);
    }
}

/* Goal: add adds.
 * Method: exact sums. */
static void add_adds(void **state)
{
    float x[40], out[40];
    struct qr_row_kernels k;

    (void)state;
    for (size_t i = 0; i < LEVELS_N; i++) {
        if (!take_level(i, &k)) continue;
        for (uint32_t j = 0; j < 40; j++) {
            x[j] = (float)j;
            out[j] = 0.5f;
        }
        k.add(out, x, 40);
        for (uint32_t j = 0; j < 40; j++)
            assert_true(out[j] == (float)j + 0.5f);
    }
}

/* n values, of which -1 is the greatest: first at `at`, again at the end; with NaN among them. */
static void put_greatest(float *x, uint32_t n, uint32_t at)
{
    for (uint32_t j = 0; j < n; j++)
        x[j] = j % 5 == 1 ? NAN : -2.0f;
    x[at] = -1.0f;
    x[n - 1] = -1.0f;
}

/* Goal: argmax returns the first of equal values and never NaN.
 * Method: the greatest value at each place of rows of many lengths, again after it, with NaN among
 * them. */
static void argmax_takes_the_first_of_equals(void **state)
{
    float x[70];
    struct qr_row_kernels k;

    (void)state;
    for (size_t i = 0; i < LEVELS_N; i++) {
        if (!take_level(i, &k)) continue;
        for (uint32_t n = 1; n <= 70; n++) {
            for (uint32_t at = 0; at < n; at++) {
                put_greatest(x, n, at);
                assert_int_equal(k.argmax(x, n), at);
            }
        }
        for (uint32_t j = 0; j < 70; j++)
            x[j] = NAN;
        assert_int_equal(k.argmax(x, 70), 0);
        x[33] = -INFINITY;
        assert_int_equal(k.argmax(x, 70), 33);
        x[66] = INFINITY;
        assert_int_equal(k.argmax(x, 70), 66);
    }
}

/* The best of x's segments of segment_n values, in ascending or descending order. */
static struct qr_scored best_of(const struct qr_row_kernels *k, const float *x, uint32_t n,
                                uint32_t segment_n, bool backwards)
{
    struct qr_scored best = QR_BEST_NONE;
    uint32_t segments_n = (n + segment_n - 1) / segment_n;

    for (uint32_t i = 0; i < segments_n; i++) {
        uint32_t at = (backwards ? segments_n - 1 - i : i) * segment_n;
        k->best(&best, x + at, n - at < segment_n ? n - at : segment_n, at);
    }
    return best;
}

/* Goal: best over the segments of a row, in any order, is argmax: the first of equals, never NaN.
 * Method: the greatest value at each place of rows of many lengths, again after it, with NaN among
 * them; rows of NaN, of -infinity and of both zeros. */
static void best_is_argmax_by_segments(void **state)
{
    static const uint32_t segments[] = {1, 7, 8, 16, 33, 128};
    float x[70];
    struct qr_row_kernels k;

    (void)state;
    for (size_t i = 0; i < 12 * LEVELS_N; i++) {
        uint32_t segment_n = segments[i % 6];
        bool backwards = i / 6 % 2;

        if (!take_level(i / 12, &k)) continue;
        for (uint32_t n = 1; n <= 70; n++) {
            for (uint32_t at = 0; at < n; at++) {
                put_greatest(x, n, at);
                struct qr_scored best = best_of(&k, x, n, segment_n, backwards);
                assert_int_equal(best.index, at);
                assert_true(best.value == -1.0f);
            }
        }
        for (uint32_t j = 0; j < 70; j++)
            x[j] = NAN;
        assert_int_equal(best_of(&k, x, 70, segment_n, backwards).index, UINT32_MAX);
        x[33] = x[65] = -INFINITY;
        assert_int_equal(best_of(&k, x, 70, segment_n, backwards).index, 33);
        x[21] = 0.0f;
        x[20] = x[60] = -0.0f;
        assert_int_equal(best_of(&k, x, 70, segment_n, backwards).index, 20);
        x[66] = INFINITY;
        assert_int_equal(best_of(&k, x, 70, segment_n, backwards).index, 66);
    }
}

/* Goal: logsumexp is exact to the rounding of a float, for logits of any size.
 * Method: compare with double: logits shifted far up and down, every remainder of a vector. */
static void logsumexp_is_what_it_says(void **state)
{
    static const uint32_t lengths[] = {1, 7, 16, 33, 49152};
    static float x[49152];
    struct qr_row_kernels k;
    uint64_t seed = 4;

    (void)state;
    for (size_t i = 0; i < 5 * LEVELS_N; i++) {
        uint32_t n = lengths[i % 5];

        if (!take_level(i / 5, &k)) continue;
        for (int shift = -500; shift <= 500; shift += 250) {
            double sum = 0;

            for (uint32_t j = 0; j < n; j++) {
                x[j] = 20.0f * random_float(&seed) + (float)shift;
                sum += exp((double)x[j] - shift);
            }
            assert_true(fabs((double)k.logsumexp(x, n) - (log(sum) + shift)) <
                        1e-6 + 1e-7 * abs(shift));
        }
        for (uint32_t j = 0; j < n; j++)
            x[j] = -INFINITY;
        assert_true(k.logsumexp(x, n) == -INFINITY);
        x[n - 1] = 3.0f;
        assert_true(k.logsumexp(x, n) == 3.0f);
    }
}

static int by_value_then_index(const void *a, const void *b)
{
    const struct qr_scored *x = a, *y = b;

    if (isnan(x->value) != isnan(y->value)) return isnan(x->value) ? 1 : -1;
    if (x->value != y->value && !isnan(x->value)) return x->value > y->value ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

/* Goal: topk is the beginning of a sort: descending, equals by index, NaN last.
 * Method: compare with qsort: rows with many equals and with NaN, ascending and descending rows, k
 * from 1 to all. */
static void topk_is_the_head_of_a_sort(void **state)
{
    static float x[49155];
    static struct qr_scored sorted[49155], out[49155];
    static const uint32_t lengths[] = {1, 5, 16, 17, 3001, 49155};
    static const uint32_t wanted[] = {1, 2, 20, 256, 49155};
    struct qr_row_kernels k;
    uint64_t seed = 5;

    (void)state;
    for (size_t i = 0; i < 5 * 6 * LEVELS_N; i++) {
        uint32_t n = lengths[i % 6];

        if (!take_level(i / 30, &k)) continue;
        for (uint32_t j = 0; j < n; j++) {
            x[j] = random_float(&seed);
            if (i / 6 % 5 == 1) x[j] = floorf(4.0f * x[j]);
            if (i / 6 % 5 == 2) x[j] = (float)j;
            if (i / 6 % 5 == 3) x[j] = -(float)j;
            if (i / 6 % 5 == 4 && j % 3 == 0) x[j] = j % 2 ? NAN : -INFINITY;
            sorted[j] = (struct qr_scored){x[j], j};
        }
        qsort(sorted, n, sizeof sorted[0], by_value_then_index);
        for (size_t w = 0; w < 5; w++) {
            uint32_t best = wanted[w] < n ? wanted[w] : n;

            k.topk(x, n, best, out);
            for (uint32_t j = 0; j < best; j++)
                assert_int_equal(out[j].index, sorted[j].index);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exponentials_are_within_two_ulp),
        cmocka_unit_test(rms_norm_is_what_it_says),
        cmocka_unit_test(layer_norm_is_what_it_says),
        cmocka_unit_test(rope_turns_pairs),
        cmocka_unit_test(rope_halves_turns_halves),
        cmocka_unit_test(swiglu_is_what_it_says),
        cmocka_unit_test(gelu_is_the_tanh_form),
        cmocka_unit_test(add_adds),
        cmocka_unit_test(argmax_takes_the_first_of_equals),
        cmocka_unit_test(best_is_argmax_by_segments),
        cmocka_unit_test(logsumexp_is_what_it_says),
        cmocka_unit_test(topk_is_the_head_of_a_sort),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
