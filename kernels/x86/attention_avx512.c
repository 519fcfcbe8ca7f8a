/* SPDX-License-Identifier: MIT */
/* attention in AVX-512.  A register tile is 6 queries by 4 panels of keys (24 sums), or 6 queries
 * by 64 columns of values. */
#define TILE_QUERIES 6
#define TILE_PANELS  4u
#define TILE_COLUMNS 64
#define TILE_Q8      0

#include "kernels/x86/attention.h"
#include "kernels/x86/attention_parts_avx512.h"

/* ---- scores ---------------------------------------------------------------------------- */

INLINE void scores_of(const enum qr_kv_type type, const uint32_t qn, const uint32_t pn,
                      const struct qr_attention_score_tile *t, uint32_t at)
{
    const uint8_t *const *const keys = t->keys + at;
    const uint8_t *const *const prefetch = t->prefetch + at;
    const uint32_t head_dim = t->head_dim;
    float *const p = t->p + at * QR_KV_PANEL;
    const float *const q = t->queries.floats;
    const size_t row = QR_KV_PANEL * VALUE_BYTES(type);
    __m512 sum[TILE_QUERIES][4];

    UNROLL
    for (uint32_t i = 0; i < TILE_QUERIES && i < qn; i++)
        UNROLL
    for (uint32_t j = 0; j < 4 && j < pn; j++)
        sum[i][j] = _mm512_setzero_ps();
    for (uint32_t d = 0; d < head_dim; d += 2) {
        const size_t offset = d * row;

        UNROLL
        for (uint32_t j = 0; j < 4 && j < pn; j++) {
            _mm_prefetch((const char *)prefetch[j] + offset, _MM_HINT_T1);
            if (row == 64) _mm_prefetch((const char *)prefetch[j] + offset + 64, _MM_HINT_T1);
        }
        UNROLL
        for (uint32_t e = 0; e < 2; e++) {
            LOADS_STAY;
            __m512 k[4];

            UNROLL
            for (uint32_t j = 0; j < 4 && j < pn; j++)
                k[j] = load16(type, keys[j] + offset + e * row, false);
            UNROLL
            for (uint32_t i = 0; i < TILE_QUERIES && i < qn; i++) {
                const __m512 one = _mm512_set1_ps(q[i * head_dim + d + e]);
                UNROLL
                for (uint32_t j = 0; j < 4 && j < pn; j++)
                    sum[i][j] = _mm512_fmadd_ps(one, k[j], sum[i][j]);
            }
        }
    }
    UNROLL
    for (uint32_t i = 0; i < TILE_QUERIES && i < qn; i++)
        UNROLL
    for (uint32_t j = 0; j < 4 && j < pn; j++)
        _mm512_storeu_ps(p + i * QR_ATTENTION_SCORES + j * QR_KV_PANEL, sum[i][j]);
}

#include "kernels/x86/attention_body.h"

/* int8 pages: there is no variant for AVX-512 without VNNI, so AVX2's serves. */
QR_ATTEND_FN(qr_attend_avx512)
{
    if (kv->type == QR_KV_Q8)
        qr_attend_avx2(kv, a);
    else
        attend(kv, a);
}

QR_ATTEND_SHARED_FN(qr_attend_shared_avx512)
{
    if (kv->type == QR_KV_Q8)
        qr_attend_shared_avx2(kv, a, span_begin, span_end);
    else
        attend_shared(kv, a, span_begin, span_end);
}

QR_ATTEND_SPANS_FN(qr_attend_spans_avx512)
{
    if (kv->type == QR_KV_Q8)
        qr_attend_spans_avx2(kv, a, span_begin, span_end, partial);
    else
        attend_spans(kv, a, span_begin, span_end, partial);
}

QR_ATTEND_MERGE_FN(qr_attend_merge_avx512)
{
    attend_merge(kv, a, spans_n, partial);
}
