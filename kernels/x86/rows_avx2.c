/* SPDX-License-Identifier: MIT */
/* rows in AVX2.  The 16 lanes are two vectors.  A row with n = 8 mod 16 ends with one vector; other
 * remainders, which only logits have, are padded. */
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "kernels/exponential.h"
#include "kernels/rows_topk.h"
#include "kernels/x86/power_avx2.h"
#include "kernels/x86/rows.h"
#include "kernels/x86/unroll.h"

#define VECTOR 8u
#define LANES  16u

/* The fixed tree: lane i plus lane i + 8, then i + 4, i + 2, i + 1. */
INLINE float lanes_sum(__m256 low, __m256 high)
{
    __m256 a = _mm256_add_ps(low, high);
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));

    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}

INLINE __m256 exp_8(__m256 x)
{
    __m256 n, f, p;

    x = _mm256_max_ps(_mm256_set1_ps(-QR_EXP_LIMIT), x); /* NaN stays NaN */
    x = _mm256_min_ps(_mm256_set1_ps(QR_EXP_LIMIT), x);
    n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(QR_EXP_LOG2E)),
                        _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    f = _mm256_fnmadd_ps(n, _mm256_set1_ps(QR_EXP_LN2_HIGH), x);
    f = _mm256_fnmadd_ps(n, _mm256_set1_ps(QR_EXP_LN2_LOW), f);
    p = _mm256_fmadd_ps(_mm256_set1_ps(QR_EXP_C6), f, _mm256_set1_ps(QR_EXP_C5));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(QR_EXP_C4));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(QR_EXP_C3));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(QR_EXP_C2));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(1.0f));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(1.0f));
    return scale_by_power(p, _mm256_cvtps_epi32(n));
}

QR_RMS_NORM_FN(qr_rms_norm_avx2)
{
    __m256 sum[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    __m256 scale;

    for (uint32_t i = 0; i < n; i += VECTOR) {
        const __m256 v = _mm256_loadu_ps(x + i);

        if (i % LANES == 0)
            sum[0] = _mm256_fmadd_ps(v, v, sum[0]);
        else
            sum[1] = _mm256_fmadd_ps(v, v, sum[1]);
    }
    scale = _mm256_set1_ps(1.0f / sqrtf(lanes_sum(sum[0], sum[1]) / (float)n + eps));
    for (uint32_t i = 0; i < n; i += VECTOR)
        _mm256_storeu_ps(out + i, _mm256_mul_ps(_mm256_mul_ps(_mm256_loadu_ps(x + i), scale),
                                                _mm256_loadu_ps(weight + i)));
}

QR_LAYER_NORM_FN(qr_layer_norm_avx2)
{
    __m256 sum[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    __m256 mean, scale;

    for (uint32_t i = 0; i < n; i += VECTOR)
        sum[i / VECTOR % 2] = _mm256_add_ps(sum[i / VECTOR % 2], _mm256_loadu_ps(x + i));
    mean = _mm256_set1_ps(lanes_sum(sum[0], sum[1]) / (float)n);
    sum[0] = sum[1] = _mm256_setzero_ps();
    for (uint32_t i = 0; i < n; i += VECTOR) {
        const __m256 v = _mm256_sub_ps(_mm256_loadu_ps(x + i), mean);

        sum[i / VECTOR % 2] = _mm256_fmadd_ps(v, v, sum[i / VECTOR % 2]);
    }
    scale = _mm256_set1_ps(1.0f / sqrtf(lanes_sum(sum[0], sum[1]) / (float)n + eps));
    for (uint32_t i = 0; i < n; i += VECTOR) {
        const __m256 v = _mm256_mul_ps(_mm256_sub_ps(_mm256_loadu_ps(x + i), mean), scale);

        _mm256_storeu_ps(
            out + i, _mm256_fmadd_ps(v, _mm256_loadu_ps(weight + i), _mm256_loadu_ps(bias + i)));
    }
}

QR_ROPE_FN(qr_rope_avx2)
{
    const __m256i pairs = _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);

    for (uint32_t h = 0; h < heads_n; h++, x += head_dim) {
        uint32_t i = 0;

        for (; i + VECTOR <= rotary_n; i += VECTOR) {
            const __m256 c = _mm256_permutevar8x32_ps(
                _mm256_castps128_ps256(_mm_loadu_ps(cosines + i / 2)), pairs);
            const __m256 s = _mm256_permutevar8x32_ps(
                _mm256_castps128_ps256(_mm_loadu_ps(sines + i / 2)), pairs);
            const __m256 v = _mm256_loadu_ps(x + i);

            _mm256_storeu_ps(
                x + i, _mm256_fmaddsub_ps(v, c, _mm256_mul_ps(_mm256_permute_ps(v, 0xb1), s)));
        }
        for (; i < rotary_n; i += 2) {
            float even = x[i];
            float odd = x[i + 1];

            x[i] = fmaf(even, cosines[i / 2], -(odd * sines[i / 2]));
            x[i + 1] = fmaf(odd, cosines[i / 2], even * sines[i / 2]);
        }
    }
}

QR_ROPE_FN(qr_rope_halves_avx2)
{
    const uint32_t half = rotary_n / 2;

    for (uint32_t h = 0; h < heads_n; h++, x += head_dim) {
        float *other = x + half;
        uint32_t i = 0;

        for (; i + VECTOR <= half; i += VECTOR) {
            const __m256 c = _mm256_loadu_ps(cosines + i);
            const __m256 s = _mm256_loadu_ps(sines + i);
            const __m256 first = _mm256_loadu_ps(x + i);
            const __m256 second = _mm256_loadu_ps(other + i);

            _mm256_storeu_ps(x + i, _mm256_fmsub_ps(first, c, _mm256_mul_ps(second, s)));
            _mm256_storeu_ps(other + i, _mm256_fmadd_ps(second, c, _mm256_mul_ps(first, s)));
        }
        for (; i < half; i++) {
            float first = x[i];
            float second = other[i];

            x[i] = fmaf(first, cosines[i], -(second * sines[i]));
            other[i] = fmaf(second, cosines[i], first * sines[i]);
        }
    }
}

QR_SWIGLU_FN(qr_swiglu_avx2)
{
    const __m256 one = _mm256_set1_ps(1.0f);

    for (uint32_t i = 0; i < n; i += VECTOR) {
        const __m256 g = _mm256_loadu_ps(gate + i);
        const __m256 e = exp_8(_mm256_xor_ps(g, _mm256_set1_ps(-0.0f)));

        _mm256_storeu_ps(out + i, _mm256_mul_ps(_mm256_div_ps(g, _mm256_add_ps(one, e)),
                                                _mm256_loadu_ps(up + i)));
    }
}

QR_GELU_FN(qr_gelu_avx2)
{
    const __m256 one = _mm256_set1_ps(1.0f);

    for (uint32_t i = 0; i < n; i += VECTOR) {
        const __m256 v = _mm256_loadu_ps(x + i);
        const __m256 slope = _mm256_fmadd_ps(_mm256_mul_ps(v, v), _mm256_set1_ps(QR_GELU_CUBIC),
                                             _mm256_set1_ps(QR_GELU_LINEAR));

        _mm256_storeu_ps(out + i,
                         _mm256_div_ps(v, _mm256_add_ps(one, exp_8(_mm256_mul_ps(v, slope)))));
    }
}

QR_ADD_FN(qr_add_avx2)
{
    for (uint32_t i = 0; i < n; i += VECTOR)
        _mm256_storeu_ps(out + i, _mm256_add_ps(_mm256_loadu_ps(out + i), _mm256_loadu_ps(x + i)));
}

/* The greatest number; -infinity if there is none. */
INLINE float row_max(const float *x, uint32_t n)
{
    __m256 max[4];
    float most = -INFINITY;
    float lanes[VECTOR];
    uint32_t i = 0;

    for (uint32_t j = 0; j < 4; j++)
        max[j] = _mm256_set1_ps(-INFINITY);
    for (; i + 4 * VECTOR <= n; i += 4 * VECTOR) /* NaN in the first operand: returns the second */
        for (uint32_t j = 0; j < 4; j++)
            max[j] = _mm256_max_ps(_mm256_loadu_ps(x + i + j * VECTOR), max[j]);
    _mm256_storeu_ps(lanes,
                     _mm256_max_ps(_mm256_max_ps(max[0], max[1]), _mm256_max_ps(max[2], max[3])));
    for (uint32_t j = 0; j < VECTOR; j++)
        most = lanes[j] > most ? lanes[j] : most;
    for (; i < n; i++)
        most = x[i] > most ? x[i] : most;
    return most;
}

QR_ARGMAX_FN(qr_argmax_avx2)
{
    const float max = row_max(x, n);
    uint32_t i = 0;

    for (; i + VECTOR <= n; i += VECTOR) {
        uint32_t found = (uint32_t)_mm256_movemask_ps(
            _mm256_cmp_ps(_mm256_loadu_ps(x + i), _mm256_set1_ps(max), _CMP_EQ_OQ));

        if (found) return i + (uint32_t)__builtin_ctz(found);
    }
    for (; i < n; i++)
        if (x[i] == max) return i;
    return 0;
}

/* Most segments have no value that reaches the best: in random order the n-th segment has one with
 * probability 1 / n.  So the index is searched only after a compare. */
QR_BEST_FN(qr_best_avx2)
{
    const __m256 value = _mm256_set1_ps(best->value);
    __m256 reach = _mm256_setzero_ps();
    uint32_t i = 0;
    uint32_t at;

    for (; i + VECTOR <= n; i += VECTOR)
        reach = _mm256_or_ps(reach, _mm256_cmp_ps(_mm256_loadu_ps(x + i), value, _CMP_GE_OQ));
    bool any = _mm256_movemask_ps(reach) != 0;
    for (; i < n; i++)
        any |= x[i] >= best->value;
    if (!any) return;
    at = qr_argmax_avx2(x, n);
    if (x[at] > best->value || first + at < best->index)
        *best = (struct qr_scored){x[at], first + at};
}

INLINE void add_exps(__m256d sum[4], const float *x, float max)
{
    for (uint32_t j = 0; j < 2; j++) {
        const __m256 v = _mm256_sub_ps(_mm256_loadu_ps(x + j * VECTOR), _mm256_set1_ps(max));
        const __m256 e = exp_8(v);

        sum[2 * j] = _mm256_add_pd(sum[2 * j], _mm256_cvtps_pd(_mm256_castps256_ps128(e)));
        sum[2 * j + 1] =
            _mm256_add_pd(sum[2 * j + 1], _mm256_cvtps_pd(_mm256_extractf128_ps(e, 1)));
    }
}

QR_LOGSUMEXP_FN(qr_logsumexp_avx2)
{
    const float max = row_max(x, n);
    __m256d sum[4];
    __m128d a;
    float last[LANES];
    uint32_t i = 0;

    if (isinf(max)) return max;
    for (uint32_t j = 0; j < 4; j++)
        sum[j] = _mm256_setzero_pd();
    for (; i + LANES <= n; i += LANES)
        add_exps(sum, x + i, max);
    if (i < n) { /* the exponential of -infinity is 0 */
        for (uint32_t j = 0; j < LANES; j++)
            last[j] = i + j < n ? x[i + j] : -INFINITY;
        add_exps(sum, last, max);
    }
    sum[0] = _mm256_add_pd(_mm256_add_pd(sum[0], sum[2]), _mm256_add_pd(sum[1], sum[3]));
    a = _mm_add_pd(_mm256_castpd256_pd128(sum[0]), _mm256_extractf128_pd(sum[0], 1));
    return (float)((double)max + log(_mm_cvtsd_f64(_mm_add_sd(a, _mm_unpackhi_pd(a, a)))));
}

/* A bit for each of the values [i, i + 8) that reaches floor.  past: a bit for each value that is
 * greater than floor, or if either is NaN, for which qr_topk_offer decides. */
INLINE uint32_t reaching(const float *x, uint32_t i, uint32_t n, float floor, bool past)
{
    const __m256 f = _mm256_set1_ps(floor);
    uint32_t found = 0;

    if (i + VECTOR <= n)
        return (uint32_t)_mm256_movemask_ps(
            past ? _mm256_cmp_ps(_mm256_loadu_ps(x + i), f, _CMP_NLE_UQ)
                 : _mm256_cmp_ps(_mm256_loadu_ps(x + i), f, _CMP_GE_OQ));
    for (uint32_t j = 0; i + j < n; j++)
        found |= (uint32_t)(past ? !(x[i + j] <= floor) : x[i + j] >= floor) << j;
    return found;
}

QR_TOPK_FN(qr_topk_avx2)
{
    uint32_t i = k;
    float floor;

    if (k == 0) return;
    floor = qr_topk_floor(x, n, k, out, row_max);
    if (floor > -INFINITY)
        i = qr_topk_fill(x, n, k, out, floor, VECTOR, reaching);
    else
        qr_topk_begin(x, k, out);
    for (; i < n; i += VECTOR) {
        uint32_t found = reaching(x, i, n, out[0].value, true);

        for (; found; found &= found - 1) {
            uint32_t at = i + (uint32_t)__builtin_ctz(found);

            qr_topk_offer(out, k, x[at], at);
        }
    }
    qr_topk_end(out, k);
}
