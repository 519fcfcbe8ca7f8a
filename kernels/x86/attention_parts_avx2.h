/* SPDX-License-Identifier: MIT */
/* x86/attention_parts_avx2 -- softmax and values of attention in AVX2, for float and int8 pages.
 *
 * Included only by files compiled for AVX2, after TILE_QUERIES is defined.
 *
 * Thread: any.   Memory: none. */
#ifndef QR_KERNELS_X86_ATTENTION_PARTS_AVX2_H
#define QR_KERNELS_X86_ATTENTION_PARTS_AVX2_H

#include <immintrin.h>
#include <stdbool.h>

#include "kernels/attention_order.h"
#include "kernels/attention_q8.h"
#include "kernels/exponential.h"
#include "kernels/x86/power_avx2.h"
#include "kernels/x86/unroll.h"

#define VALUE_BYTES(type) ((type) == QR_KV_F32 ? 4u : (type) == QR_KV_Q8 ? 1u : 2u)

/* Two things that clang needs.  It unrolls a loop completely only if it sees a constant bound
 * before inlining: so a tile's loops test both a constant and a parameter (i < TILE_QUERIES && i <
 * qn). And it would move loads forward until they fill the registers: LOADS_STAY stops it. */
#define LOADS_STAY __asm__ volatile("" ::: "memory")

INLINE __m256 load8(enum qr_kv_type type, const uint8_t *at)
{
    if (type == QR_KV_Q8)
        return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)at)));
    if (type == QR_KV_F32) return _mm256_loadu_ps((const void *)at);
    if (type == QR_KV_F16) return _mm256_cvtph_ps(_mm_loadu_si128((const void *)at));
    return _mm256_castsi256_ps(
        _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)at)), 16));
}

/* ---- weights --------------------------------------------------------------------------- */

/* Lane i is key from + i: all ones if that key is in [begin, end), else 0. */
INLINE __m256 lanes_seen(uint32_t from, uint32_t begin, uint32_t end)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i key = _mm256_add_epi32(lane, _mm256_set1_epi32((int)from));
    const __m256i before = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)begin), key);

    return _mm256_castsi256_ps(
        _mm256_andnot_si256(before, _mm256_cmpgt_epi32(_mm256_set1_epi32((int)end), key)));
}

INLINE __m256 exp2_8(__m256 x) /* x <= 0 */
{
    __m256 n, f, p;

    x = _mm256_max_ps(_mm256_set1_ps(-QR_EXP2_LIMIT), x); /* NaN stays NaN */
    n = _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    f = _mm256_sub_ps(x, n);
    p = _mm256_fmadd_ps(_mm256_set1_ps(QR_EXP2_C5), f, _mm256_set1_ps(QR_EXP2_C4));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(QR_EXP2_C3));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(QR_EXP2_C2));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(QR_EXP2_C1));
    p = _mm256_fmadd_ps(p, f, _mm256_set1_ps(1.0f));
    return scale_by_power(p, _mm256_cvtps_epi32(n));
}

/* The fixed tree: lane i plus lane i + 8, then i + 4, i + 2, i + 1. */
INLINE float lanes_sum(__m256 low, __m256 high)
{
    __m256 a = _mm256_add_ps(low, high);
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));

    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}

INLINE float lanes_max(__m256 a)
{
    __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));

    b = _mm_max_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_max_ss(b, _mm_movehdup_ps(b)));
}

/* Turns the 16 scores from key i on into weights and adds these to sum.  edge: keys outside
 * [begin, end) get weight 0.  scaled: the stored weights are multiplied by the values' scales. */
INLINE void weigh(const bool scaled, struct qr_attention_weight_row r, uint32_t i, bool edge,
                  __m256 max, __m256 sum[2])
{
    const uint8_t *scales = scaled ? r.panels[i / QR_KV_PANEL] + r.scales_at : NULL;

    UNROLL
    for (uint32_t j = 0; j < 2; j++) {
        __m256 e = exp2_8(_mm256_sub_ps(_mm256_loadu_ps(r.p + i + 8 * j), max));

        if (edge) e = _mm256_and_ps(lanes_seen(i + 8 * j, r.begin, r.end), e);
        sum[j] = _mm256_add_ps(sum[j], e);
        if (scaled) e = _mm256_mul_ps(e, _mm256_loadu_ps((const void *)(scales + 32 * j)));
        _mm256_storeu_ps(r.p + i + 8 * j, e);
    }
}

/* Only the first and the last panel can have lanes that the query does not see. */
INLINE float row_max(const float *p, uint32_t begin, uint32_t end)
{
    const __m256 least = _mm256_set1_ps(-INFINITY);
    const uint32_t first = begin / QR_KV_PANEL * QR_KV_PANEL;
    const uint32_t last = (end - 1) / QR_KV_PANEL * QR_KV_PANEL;
    __m256 max = least;

    for (uint32_t i = first; i < end; i += 8) {
        __m256 s = _mm256_loadu_ps(p + i);

        if (i < first + QR_KV_PANEL || i >= last)
            s = _mm256_blendv_ps(least, s, lanes_seen(i, begin, end));
        max = _mm256_max_ps(s, max);
    }
    return lanes_max(max);
}

/* Turns scores into weights and returns the weights' sum.  scaled: the stored weights are
 * multiplied by the values' scales. */
INLINE float weigh_row(const bool scaled, struct qr_attention_weight_row r, float m)
{
    const uint32_t first = r.begin / QR_KV_PANEL * QR_KV_PANEL;
    const uint32_t last = (r.end - 1) / QR_KV_PANEL * QR_KV_PANEL;
    const __m256 max = _mm256_set1_ps(m);
    __m256 sum[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};

    weigh(scaled, r, first, true, max, sum);
    for (uint32_t i = first + QR_KV_PANEL; i < last; i += QR_KV_PANEL)
        weigh(scaled, r, i, false, max, sum);
    if (last > first) weigh(scaled, r, last, true, max, sum);
    return lanes_sum(sum[0], sum[1]);
}

/* ---- values ---------------------------------------------------------------------------- */

INLINE void values_of(const enum qr_kv_type type, const uint32_t qn, const uint32_t columns_n,
                      uint32_t column, const struct qr_attention_value_tile *t)
{
    const uint8_t *const *const values = t->values;
    const uint8_t *const *const prefetch = t->prefetch;
    const float *const p = t->p;
    const uint32_t head_dim = t->head_dim, end = t->end;
    uint32_t begin = t->begin;
    float *const o = t->o + column;
    const size_t vector = 8 * VALUE_BYTES(type);
    const size_t row = head_dim * VALUE_BYTES(type);
    const uint32_t vn = columns_n / 8;
    __m256 sum[TILE_QUERIES][4];

    UNROLL
    for (uint32_t i = 0; i < TILE_QUERIES && i < qn; i++)
        UNROLL
    for (uint32_t j = 0; j < 4 && j < vn; j++)
        sum[i][j] = _mm256_loadu_ps(o + i * head_dim + j * 8);
    while (begin < end) {
        uint32_t panel = begin / QR_KV_PANEL;
        uint32_t stop = (panel + 1) * QR_KV_PANEL < end ? (panel + 1) * QR_KV_PANEL : end;
        size_t offset = begin % QR_KV_PANEL * row + column * VALUE_BYTES(type);
        const uint8_t *v = values[panel] + offset;
        const uint8_t *next = prefetch[panel] + offset;

        for (; begin < stop; begin++, v += row, next += row) {
            LOADS_STAY;
            __m256 w[TILE_QUERIES];

            UNROLL
            for (uint32_t i = 0; i < TILE_QUERIES && i < qn; i++)
                w[i] = _mm256_broadcast_ss(&p[i * QR_ATTENTION_SCORES + begin]);
            UNROLL
            for (uint32_t j = 0; j < 4 && j < vn; j++) {
                const __m256 x = load8(type, v + j * vector);

                if (j * vector % 64 == 0)
                    _mm_prefetch((const char *)next + j * vector, _MM_HINT_T1);
                UNROLL
                for (uint32_t i = 0; i < TILE_QUERIES && i < qn; i++)
                    sum[i][j] = _mm256_fmadd_ps(w[i], x, sum[i][j]);
            }
        }
    }
    UNROLL
    for (uint32_t i = 0; i < TILE_QUERIES && i < qn; i++)
        UNROLL
    for (uint32_t j = 0; j < 4 && j < vn; j++)
        _mm256_storeu_ps(o + i * head_dim + j * 8, sum[i][j]);
}

#endif
