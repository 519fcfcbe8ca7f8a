/* SPDX-License-Identifier: MIT */
/* rows in AVX-512.  A mask selects the last values of a row. */
#include <immintrin.h>
#include <math.h>

#include "kernels/exponential.h"
#include "kernels/rows_topk.h"
#include "kernels/x86/rows.h"
#include "kernels/x86/unroll.h"

#define LANES     16u
#define LANES_ALL ((__mmask16)0xffff)

/* The lanes of [i, n). */
INLINE __mmask16 lanes_left(uint32_t i, uint32_t n)
{
    return n - i >= LANES ? LANES_ALL : (__mmask16)((1u << (n - i)) - 1);
}

/* The fixed tree: lane i plus lane i + 8, then i + 4, i + 2, i + 1. */
INLINE float lanes_sum(__m512 x)
{
    __m256 a = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));

    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}

INLINE __m512 exp_16(__m512 x)
{
    __m512 n, f, p;

    x = _mm512_max_ps(_mm512_set1_ps(-QR_EXP_LIMIT), x); /* NaN stays NaN */
    x = _mm512_min_ps(_mm512_set1_ps(QR_EXP_LIMIT), x);
    n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(QR_EXP_LOG2E)),
                             _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    f = _mm512_fnmadd_ps(n, _mm512_set1_ps(QR_EXP_LN2_HIGH), x);
    f = _mm512_fnmadd_ps(n, _mm512_set1_ps(QR_EXP_LN2_LOW), f);
    p = _mm512_fmadd_ps(_mm512_set1_ps(QR_EXP_C6), f, _mm512_set1_ps(QR_EXP_C5));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(QR_EXP_C4));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(QR_EXP_C3));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(QR_EXP_C2));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(p, n);
}

QR_RMS_NORM_FN(qr_rms_norm_avx512)
{
    __m512 sum = _mm512_setzero_ps();
    __m512 scale;

    for (uint32_t i = 0; i < n; i += LANES) {
        const __m512 v = _mm512_maskz_loadu_ps(lanes_left(i, n), x + i);

        sum = _mm512_fmadd_ps(v, v, sum);
    }
    scale = _mm512_set1_ps(1.0f / sqrtf(lanes_sum(sum) / (float)n + eps));
    for (uint32_t i = 0; i < n; i += LANES) {
        const __mmask16 left = lanes_left(i, n);
        const __m512 v = _mm512_mul_ps(_mm512_maskz_loadu_ps(left, x + i), scale);

        _mm512_mask_storeu_ps(out + i, left,
                              _mm512_mul_ps(v, _mm512_maskz_loadu_ps(left, weight + i)));
    }
}

QR_LAYER_NORM_FN(qr_layer_norm_avx512)
{
    __m512 sum = _mm512_setzero_ps();
    __m512 mean, scale;

    for (uint32_t i = 0; i < n; i += LANES)
        sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(lanes_left(i, n), x + i));
    mean = _mm512_set1_ps(lanes_sum(sum) / (float)n);
    sum = _mm512_setzero_ps();
    for (uint32_t i = 0; i < n; i += LANES) {
        const __mmask16 left = lanes_left(i, n);
        const __m512 v = _mm512_maskz_sub_ps(left, _mm512_maskz_loadu_ps(left, x + i), mean);

        sum = _mm512_fmadd_ps(v, v, sum);
    }
    scale = _mm512_set1_ps(1.0f / sqrtf(lanes_sum(sum) / (float)n + eps));
    for (uint32_t i = 0; i < n; i += LANES) {
        const __mmask16 left = lanes_left(i, n);
        const __m512 v =
            _mm512_mul_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(left, x + i), mean), scale);

        _mm512_mask_storeu_ps(out + i, left,
                              _mm512_fmadd_ps(v, _mm512_maskz_loadu_ps(left, weight + i),
                                              _mm512_maskz_loadu_ps(left, bias + i)));
    }
}

QR_ROPE_FN(qr_rope_avx512)
{
    const __m512i pairs = _mm512_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7);

    for (uint32_t i = 0; i < rotary_n; i += LANES) {
        const __mmask16 left = lanes_left(i, rotary_n);
        const __mmask16 half = lanes_left(i / 2, rotary_n / 2) & 0xff;
        const __m512 c = _mm512_permutexvar_ps(pairs, _mm512_maskz_loadu_ps(half, cosines + i / 2));
        const __m512 s = _mm512_permutexvar_ps(pairs, _mm512_maskz_loadu_ps(half, sines + i / 2));
        float *at = x + i;

        for (uint32_t h = 0; h < heads_n; h++, at += head_dim) {
            const __m512 v = _mm512_maskz_loadu_ps(left, at);
            const __m512 cross = _mm512_mul_ps(_mm512_permute_ps(v, 0xb1), s);

            _mm512_mask_storeu_ps(at, left, _mm512_fmaddsub_ps(v, c, cross));
        }
    }
}

QR_ROPE_FN(qr_rope_halves_avx512)
{
    const uint32_t half = rotary_n / 2;

    for (uint32_t i = 0; i < half; i += LANES) {
        const __mmask16 left = lanes_left(i, half);
        const __m512 c = _mm512_maskz_loadu_ps(left, cosines + i);
        const __m512 s = _mm512_maskz_loadu_ps(left, sines + i);
        float *at = x + i;

        for (uint32_t h = 0; h < heads_n; h++, at += head_dim) {
            const __m512 first = _mm512_maskz_loadu_ps(left, at);
            const __m512 second = _mm512_maskz_loadu_ps(left, at + half);

            _mm512_mask_storeu_ps(at, left, _mm512_fmsub_ps(first, c, _mm512_mul_ps(second, s)));
            _mm512_mask_storeu_ps(at + half, left,
                                  _mm512_fmadd_ps(second, c, _mm512_mul_ps(first, s)));
        }
    }
}

QR_SWIGLU_FN(qr_swiglu_avx512)
{
    const __m512 one = _mm512_set1_ps(1.0f);

    for (uint32_t i = 0; i < n; i += LANES) {
        const __mmask16 left = lanes_left(i, n);
        const __m512 g = _mm512_maskz_loadu_ps(left, gate + i);
        const __m512 minus = _mm512_xor_ps(g, _mm512_set1_ps(-0.0f));
        const __m512 v = _mm512_div_ps(g, _mm512_add_ps(one, exp_16(minus)));

        _mm512_mask_storeu_ps(out + i, left, _mm512_mul_ps(v, _mm512_maskz_loadu_ps(left, up + i)));
    }
}

QR_GELU_FN(qr_gelu_avx512)
{
    const __m512 one = _mm512_set1_ps(1.0f);

    for (uint32_t i = 0; i < n; i += LANES) {
        const __mmask16 left = lanes_left(i, n);
        const __m512 v = _mm512_maskz_loadu_ps(left, x + i);
        const __m512 slope = _mm512_fmadd_ps(_mm512_mul_ps(v, v), _mm512_set1_ps(QR_GELU_CUBIC),
                                             _mm512_set1_ps(QR_GELU_LINEAR));
        const __m512 e = exp_16(_mm512_mul_ps(v, slope));

        _mm512_mask_storeu_ps(out + i, left, _mm512_div_ps(v, _mm512_add_ps(one, e)));
    }
}

QR_ADD_FN(qr_add_avx512)
{
    for (uint32_t i = 0; i < n; i += LANES) {
        const __mmask16 left = lanes_left(i, n);

        _mm512_mask_storeu_ps(out + i, left,
                              _mm512_add_ps(_mm512_maskz_loadu_ps(left, out + i),
                                            _mm512_maskz_loadu_ps(left, x + i)));
    }
}

/* The greatest number; -infinity if there is none.  Four chains hide the latency. */
INLINE float row_max(const float *x, uint32_t n)
{
    __m512 max[4];
    uint32_t i = 0;

    for (uint32_t j = 0; j < 4; j++)
        max[j] = _mm512_set1_ps(-INFINITY);
    for (; i + 4 * LANES <= n; i += 4 * LANES) /* NaN in the first operand: returns the second */
        for (uint32_t j = 0; j < 4; j++)
            max[j] = _mm512_max_ps(_mm512_loadu_ps(x + i + j * LANES), max[j]);
    for (; i < n; i += LANES) {
        const __mmask16 left = lanes_left(i, n);

        max[0] = _mm512_mask_max_ps(max[0], left, _mm512_maskz_loadu_ps(left, x + i), max[0]);
    }
    return _mm512_reduce_max_ps(
        _mm512_max_ps(_mm512_max_ps(max[0], max[1]), _mm512_max_ps(max[2], max[3])));
}

QR_ARGMAX_FN(qr_argmax_avx512)
{
    const __m512 max = _mm512_set1_ps(row_max(x, n));

    for (uint32_t i = 0; i < n; i += LANES) {
        const __mmask16 left = lanes_left(i, n);
        const __mmask16 found =
            _mm512_mask_cmp_ps_mask(left, _mm512_maskz_loadu_ps(left, x + i), max, _CMP_EQ_OQ);

        if (found) return i + (uint32_t)__builtin_ctz(found);
    }
    return 0;
}

/* Most segments have no value that reaches the best: in random order the n-th segment has one with
 * probability 1 / n.  So the index is searched only after a compare. */
QR_BEST_FN(qr_best_avx512)
{
    const __m512 value = _mm512_set1_ps(best->value);
    __mmask16 reach = 0;
    uint32_t at;

    for (uint32_t i = 0; i < n; i += LANES) {
        const __mmask16 left = lanes_left(i, n);

        reach |=
            _mm512_mask_cmp_ps_mask(left, _mm512_maskz_loadu_ps(left, x + i), value, _CMP_GE_OQ);
    }
    if (!reach) return;
    at = qr_argmax_avx512(x, n);
    if (x[at] > best->value || first + at < best->index)
        *best = (struct qr_scored){x[at], first + at};
}

QR_LOGSUMEXP_FN(qr_logsumexp_avx512)
{
    const float max = row_max(x, n);
    __m512d low = _mm512_setzero_pd();
    __m512d high = _mm512_setzero_pd();
    __m256d a;
    __m128d b;

    if (isinf(max)) return max;
    for (uint32_t i = 0; i < n; i += LANES) {
        const __mmask16 left = lanes_left(i, n);
        const __m512 v = _mm512_sub_ps(_mm512_maskz_loadu_ps(left, x + i), _mm512_set1_ps(max));
        const __m512 e = _mm512_maskz_mov_ps(left, exp_16(v));

        low = _mm512_add_pd(low, _mm512_cvtps_pd(_mm512_castps512_ps256(e)));
        high = _mm512_add_pd(high, _mm512_cvtps_pd(_mm512_extractf32x8_ps(e, 1)));
    }
    low = _mm512_add_pd(low, high);
    a = _mm256_add_pd(_mm512_castpd512_pd256(low), _mm512_extractf64x4_pd(low, 1));
    b = _mm_add_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
    return (float)((double)max + log(_mm_cvtsd_f64(_mm_add_sd(b, _mm_unpackhi_pd(b, b)))));
}

/* A bit for each of the values [i, i + 16) that reaches floor.  past: a bit for each value that is
 * greater than floor, or if either is NaN, for which qr_topk_offer decides. */
INLINE uint32_t reaching(const float *x, uint32_t i, uint32_t n, float floor, bool past)
{
    const __mmask16 left = lanes_left(i, n);
    const __m512 v = _mm512_maskz_loadu_ps(left, x + i);
    const __m512 f = _mm512_set1_ps(floor);

    return past ? _mm512_mask_cmp_ps_mask(left, v, f, _CMP_NLE_UQ)
                : _mm512_mask_cmp_ps_mask(left, v, f, _CMP_GE_OQ);
}

QR_TOPK_FN(qr_topk_avx512)
{
    uint32_t i = k;
    float floor;

    if (k == 0) return;
    floor = qr_topk_floor(x, n, k, out, row_max);
    if (floor > -INFINITY)
        i = qr_topk_fill(x, n, k, out, floor, LANES, reaching);
    else
        qr_topk_begin(x, k, out);
    for (; i < n; i += LANES) {
        uint32_t found = reaching(x, i, n, out[0].value, true);

        for (; found; found &= found - 1) {
            uint32_t at = i + (uint32_t)__builtin_ctz(found);

            qr_topk_offer(out, k, x[at], at);
        }
    }
    qr_topk_end(out, k);
}
