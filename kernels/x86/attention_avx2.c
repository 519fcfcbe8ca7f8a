/* SPDX-License-Identifier: MIT */
/* attention in AVX2.  A register tile is 3 queries by 2 panels of keys (12 sums), or 3 queries by
 * 32 columns of values. */
#include <string.h>

#define TILE_QUERIES 3
#define TILE_PANELS  2u
#define TILE_COLUMNS 32
#define TILE_Q8      0

#include "kernels/types.h"
#include "kernels/x86/attention.h"
#include "kernels/x86/attention_parts_avx2.h"

/* ---- scores ---------------------------------------------------------------------------- */

INLINE void scores_of(const enum qr_kv_type type, const uint32_t qn, const uint32_t pn,
                      const struct qr_attention_score_tile *t, uint32_t at)
{
    const uint8_t *const *const keys = t->keys + at;
    const uint8_t *const *const prefetch = t->prefetch + at;
    const uint32_t head_dim = t->head_dim;
    float *const p = t->p + at * QR_KV_PANEL;
    const float *const q = t->queries.floats;
    const size_t half = 8 * VALUE_BYTES(type);
    const uint32_t vn = 2 * pn;
    __m256 sum[TILE_QUERIES][4];

    UNROLL
    for (uint32_t i = 0; i < TILE_QUERIES && i < qn; i++)
        UNROLL
    for (uint32_t j = 0; j < 4 && j < vn; j++)
        sum[i][j] = _mm256_setzero_ps();
    for (uint32_t d = 0; d < head_dim; d += 2) {
        const size_t offset = d * 2 * half;

        UNROLL
        for (uint32_t j = 0; j < TILE_PANELS && j < pn; j++) {
            _mm_prefetch((const char *)prefetch[j] + offset, _MM_HINT_T1);
            if (half == 32) _mm_prefetch((const char *)prefetch[j] + offset + 64, _MM_HINT_T1);
        }
        UNROLL
        for (uint32_t e = 0; e < 2; e++) {
            LOADS_STAY;
            __m256 x[TILE_QUERIES];

            UNROLL
            for (uint32_t i = 0; i < TILE_QUERIES && i < qn; i++)
                x[i] = _mm256_broadcast_ss(&q[i * head_dim + d + e]);
            UNROLL
            for (uint32_t j = 0; j < 4 && j < vn; j++) {
                const __m256 k = load8(type, keys[j / 2] + offset + (2 * e + j % 2) * half);
                UNROLL
                for (uint32_t i = 0; i < TILE_QUERIES && i < qn; i++)
                    sum[i][j] = _mm256_fmadd_ps(x[i], k, sum[i][j]);
            }
        }
    }
    UNROLL
    for (uint32_t i = 0; i < TILE_QUERIES && i < qn; i++)
        UNROLL
    for (uint32_t j = 0; j < 4 && j < vn; j++)
        _mm256_storeu_ps(p + i * QR_ATTENTION_SCORES + j * 8, sum[i][j]);
}

#include "kernels/x86/attention_body.h"

QR_ATTEND_FN(qr_attend_avx2)
{
    if (kv->type == QR_KV_Q8)
        qr_attend_q8_avx2(kv, a);
    else
        attend(kv, a);
}

QR_ATTEND_SHARED_FN(qr_attend_shared_avx2)
{
    if (kv->type == QR_KV_Q8)
        qr_attend_shared_q8_avx2(kv, a, span_begin, span_end);
    else
        attend_shared(kv, a, span_begin, span_end);
}

QR_ATTEND_SPANS_FN(qr_attend_spans_avx2)
{
    if (kv->type == QR_KV_Q8)
        qr_attend_spans_q8_avx2(kv, a, span_begin, span_end, partial);
    else
        attend_spans(kv, a, span_begin, span_end, partial);
}

QR_ATTEND_MERGE_FN(qr_attend_merge_avx2)
{
    attend_merge(kv, a, spans_n, partial);
}

/* ---- put ------------------------------------------------------------------------------- */

QR_KV_PUT_FN(qr_kv_put_avx2)
{
    const size_t lane = position % QR_KV_PANEL;
    if (kv->type == QR_KV_Q8) {
        qr_kv_put_q8_avx2(kv, position, key, value);
        return;
    }
    uint8_t *k = qr_kv_panel(kv, position / QR_KV_PANEL);
    uint8_t *v = k + kv->v_offset;

    if (kv->type == QR_KV_F32) {
        float *to = (float *)(void *)k + lane;

        for (size_t d = 0; d < kv->head_dim; d++)
            to[d * QR_KV_PANEL] = key[d];
        memcpy((float *)(void *)v + lane * kv->head_dim, value, kv->head_dim * sizeof *value);
        return;
    }
    k += lane * 2;
    v += lane * kv->head_dim * 2;
    for (size_t d = 0; d < kv->head_dim; d += 8) {
        uint16_t h[8];

        if (kv->type == QR_KV_F16) {
            _mm_storeu_si128((void *)h,
                             _mm256_cvtps_ph(_mm256_loadu_ps(key + d), _MM_FROUND_TO_NEAREST_INT));
            _mm_storeu_si128((void *)(v + d * 2), _mm256_cvtps_ph(_mm256_loadu_ps(value + d),
                                                                  _MM_FROUND_TO_NEAREST_INT));
        } else {
            for (size_t i = 0; i < 8; i++)
                h[i] = qr_f32_to_bf16(value[d + i]);
            memcpy(v + d * 2, h, sizeof h);
            for (size_t i = 0; i < 8; i++)
                h[i] = qr_f32_to_bf16(key[d + i]);
        }
        for (size_t i = 0; i < 8; i++)
            memcpy(k + (d + i) * QR_KV_PANEL * 2, &h[i], 2);
    }
}
