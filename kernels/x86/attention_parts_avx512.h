/* SPDX-License-Identifier: MIT */
/* x86/attention_parts_avx512 -- softmax and values of attention in AVX-512, for float and int8
 * pages.
 *
 * Included only by files compiled for AVX-512, after TILE_QUERIES is defined.
 *
 * Thread: any.   Memory: none. */
#ifndef QR_KERNELS_X86_ATTENTION_PARTS_AVX512_H
#define QR_KERNELS_X86_ATTENTION_PARTS_AVX512_H

#include <immintrin.h>
#include <stdbool.h>

#include "kernels/attention_order.h"
#include "kernels/attention_q8.h"
#include "kernels/exponential.h"
#include "kernels/x86/unroll.h"

#define LANES_ALL 0xffffu

#define VALUE_BYTES(type) ((type) == QR_KV_F32 ? 4u : (type) == QR_KV_Q8 ? 1u : 2u)

/* Two things that clang needs.  It unrolls a loop completely only if it sees a constant bound
 * before inlining: so a tile's loops test both a constant and a parameter (i < TILE_QUERIES && i <
 * qn). And it would move loads forward until they fill the registers: LOADS_STAY stops it. */
#define LOADS_STAY __asm__ volatile("" ::: "memory")

/* Converts 16 stored values to floats.  half: reads only 8; the others become 0. */
INLINE __m512 load16(enum qr_kv_type type, const uint8_t *at, bool half)
{
    __m256i h;

    if (type == QR_KV_Q8)
        return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(half ? _mm_loadl_epi64((const void *)at)
                                                            : _mm_loadu_si128((const void *)at)));
    if (type == QR_KV_F32) return half ? _mm512_maskz_loadu_ps(0xff, at) : _mm512_loadu_ps(at);
    h = half ? _mm256_maskz_loadu_epi16(0xff, at) : _mm256_loadu_si256((const void *)at);
    if (type == QR_KV_F16) return _mm512_cvtph_ps(h);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

/* ---- weights --------------------------------------------------------------------------- */

/* The panel's lanes with keys in [begin, end). */
INLINE __mmask16 lanes_seen(uint32_t panel, uint32_t begin, uint32_t end)
{
    uint32_t from = panel * QR_KV_PANEL;
    uint32_t low = begin > from ? begin - from : 0;
    uint32_t high = end - from < QR_KV_PANEL ? end - from : QR_KV_PANEL;

    return (__mmask16)((LANES_ALL << low) & (LANES_ALL >> (QR_KV_PANEL - high)));
}

/* x <= 0; scalef returns 0 below the smallest float. */
INLINE __m512 exp2_16(__m512 x)
{
    __m512 n = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m512 f = _mm512_sub_ps(x, n);
    __m512 p = _mm512_fmadd_ps(_mm512_set1_ps(QR_EXP2_C5), f, _mm512_set1_ps(QR_EXP2_C4));

    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(QR_EXP2_C3));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(QR_EXP2_C2));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(QR_EXP2_C1));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(p, n);
}

/* The fixed tree: lane i plus lane i + 8, then i + 4, i + 2, i + 1. */
INLINE float lanes_sum(__m512 x)
{
    __m256 a = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));

    b = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(b, _mm_movehdup_ps(b)));
}

/* Turns a panel's scores into weights and returns these.  scaled: the stored weights are multiplied
 * by the values' scales. */
INLINE __m512 weigh(const bool scaled, float *p, const uint8_t *scales, __m512 max)
{
    __m512 e = exp2_16(_mm512_sub_ps(_mm512_loadu_ps(p), max));

    _mm512_storeu_ps(p, scaled ? _mm512_mul_ps(e, _mm512_loadu_ps(scales)) : e);
    return e;
}

/* Only the first and the last panel can have lanes that the query does not see. */
INLINE float row_max(const float *p, uint32_t begin, uint32_t end)
{
    const uint32_t first = begin / QR_KV_PANEL;
    const uint32_t last = (end - 1) / QR_KV_PANEL;
    __m512 max = _mm512_set1_ps(-INFINITY);

    max = _mm512_mask_loadu_ps(max, lanes_seen(first, begin, end), p + first * QR_KV_PANEL);
    for (uint32_t i = first + 1; i < last; i++)
        max = _mm512_max_ps(_mm512_loadu_ps(p + i * QR_KV_PANEL), max);
    max = _mm512_mask_max_ps(max, lanes_seen(last, begin, end),
                             _mm512_loadu_ps(p + last * QR_KV_PANEL), max);
    return _mm512_reduce_max_ps(max);
}

/* A panel's 16 values' scales. */
INLINE const uint8_t *scales_of(const bool scaled, struct qr_attention_weight_row r, uint32_t panel)
{
    return scaled ? r.panels[panel] + r.scales_at : NULL;
}

/* Turns scores into weights and returns the weights' sum.  scaled: the stored weights are
 * multiplied by the values' scales. */
INLINE float weigh_row(const bool scaled, struct qr_attention_weight_row r, float m)
{
    const uint32_t first = r.begin / QR_KV_PANEL;
    const uint32_t last = (r.end - 1) / QR_KV_PANEL;
    const __m512 max = _mm512_set1_ps(m);
    __m512 sum, e;

    e = weigh(scaled, r.p + first * QR_KV_PANEL, scales_of(scaled, r, first), max);
    sum = _mm512_maskz_mov_ps(lanes_seen(first, r.begin, r.end), e);
    for (uint32_t i = first + 1; i < last; i++) {
        e = weigh(scaled, r.p + i * QR_KV_PANEL, scales_of(scaled, r, i), max);
        sum = _mm512_add_ps(sum, e);
    }
    if (last > first) {
        e = weigh(scaled, r.p + last * QR_KV_PANEL, scales_of(scaled, r, last), max);
        sum = _mm512_mask_add_ps(sum, lanes_seen(last, r.begin, r.end), sum, e);
    }
    return lanes_sum(sum);
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
    const uint32_t vn = (columns_n + 15) / 16;
    const bool half = columns_n == 8;
    const size_t vector = 16 * VALUE_BYTES(type);
    const size_t row = head_dim * VALUE_BYTES(type);
    const __mmask16 mask = half ? 0xff : LANES_ALL;
    __m512 sum[TILE_QUERIES][4];

    UNROLL
    for (uint32_t i = 0; i < TILE_QUERIES && i < qn; i++)
        UNROLL
    for (uint32_t j = 0; j < 4 && j < vn; j++)
        sum[i][j] = _mm512_maskz_loadu_ps(mask, o + i * head_dim + j * 16);
    while (begin < end) {
        uint32_t panel = begin / QR_KV_PANEL;
        uint32_t stop = (panel + 1) * QR_KV_PANEL < end ? (panel + 1) * QR_KV_PANEL : end;
        size_t offset = begin % QR_KV_PANEL * row + column * VALUE_BYTES(type);
        const uint8_t *v = values[panel] + offset;
        const uint8_t *next = prefetch[panel] + offset;

        for (; begin < stop; begin++, v += row, next += row) {
            LOADS_STAY;
            __m512 x[4];

            UNROLL
            for (uint32_t j = 0; j < 4 && j < vn; j++) {
                if (j * vector % 64 == 0)
                    _mm_prefetch((const char *)next + j * vector, _MM_HINT_T1);
                x[j] = load16(type, v + j * vector, half);
            }
            UNROLL
            for (uint32_t i = 0; i < TILE_QUERIES && i < qn; i++) {
                const __m512 w = _mm512_set1_ps(p[i * QR_ATTENTION_SCORES + begin]);
                UNROLL
                for (uint32_t j = 0; j < 4 && j < vn; j++)
                    sum[i][j] = _mm512_fmadd_ps(w, x[j], sum[i][j]);
            }
        }
    }
    UNROLL
    for (uint32_t i = 0; i < TILE_QUERIES && i < qn; i++)
        UNROLL
    for (uint32_t j = 0; j < 4 && j < vn; j++)
        _mm512_mask_storeu_ps(o + i * head_dim + j * 16, mask, sum[i][j]);
}

#endif
