/* SPDX-License-Identifier: MIT */
/* attention over int8 pages in AVX-512 with VNNI.  A register tile is 6 queries by 4 panels of
 * keys, or 6 queries by 64 columns of values.
 *
 * vpdpbusd multiplies unsigned stored keys (quant + 128) by the query's signed quants.  Each sum
 * starts at -128 times the sum of the query's quants, which cancels the 128 at no cost. */
#include <string.h>

#define TILE_QUERIES 6
#define TILE_PANELS  4u
#define TILE_COLUMNS 64
#define TILE_Q8      1

#include "kernels/x86/attention.h"
#include "kernels/x86/attention_parts_avx512.h"
#include "kernels/x86/quantize_row_avx2.h"

INLINE void scores_of(const enum qr_kv_type type, const uint32_t qn, const uint32_t pn,
                      const struct qr_attention_score_tile *t, uint32_t at)
{
    const uint8_t *const *const keys = t->keys + at;
    const uint8_t *const *const prefetch = t->prefetch + at;
    const uint32_t head_dim = t->head_dim;
    float *const p = t->p + at * QR_KV_PANEL;
    const int8_t *const q = t->queries.quants;
    const float *const q_scale = t->queries.scales;
    const size_t scales_at = qr_q8_scales_at(head_dim);
    __m512i sum[TILE_QUERIES][4];

    (void)type;
    UNROLL
    for (uint32_t i = 0; i < TILE_QUERIES && i < qn; i++)
        UNROLL
    for (uint32_t j = 0; j < 4 && j < pn; j++)
        sum[i][j] = _mm512_set1_epi32(t->queries.starts[i]);
    for (uint32_t d = 0; d < head_dim; d += 4) {
        const size_t offset = (size_t)d * QR_KV_PANEL;
        __m512i k[4];

        UNROLL
        for (uint32_t j = 0; j < 4 && j < pn; j++)
            _mm_prefetch((const char *)prefetch[j] + offset, _MM_HINT_T1);
        LOADS_STAY;
        UNROLL
        for (uint32_t j = 0; j < 4 && j < pn; j++)
            k[j] = _mm512_loadu_si512(keys[j] + offset);
        UNROLL
        for (uint32_t i = 0; i < TILE_QUERIES && i < qn; i++) {
            int32_t four;

            memcpy(&four, q + i * head_dim + d, sizeof four);
            const __m512i x = _mm512_set1_epi32(four);
            UNROLL
            for (uint32_t j = 0; j < 4 && j < pn; j++)
                sum[i][j] = _mm512_dpbusd_epi32(sum[i][j], k[j], x);
        }
    }
    UNROLL
    for (uint32_t j = 0; j < 4 && j < pn; j++)
        _mm_prefetch((const char *)prefetch[j] + scales_at, _MM_HINT_T1);
    UNROLL
    for (uint32_t j = 0; j < 4 && j < pn; j++) {
        const __m512 scale = _mm512_loadu_ps(keys[j] + scales_at);

        UNROLL
        for (uint32_t i = 0; i < TILE_QUERIES && i < qn; i++)
            _mm512_storeu_ps(p + i * QR_ATTENTION_SCORES + j * QR_KV_PANEL,
                             _mm512_mul_ps(_mm512_cvtepi32_ps(sum[i][j]),
                                           _mm512_mul_ps(scale, _mm512_set1_ps(q_scale[i]))));
    }
}

static void query_quantize(struct qr_attention_scratch *s, uint32_t query, uint32_t head_dim)
{
    int32_t sum;

    s->q_scale[query] =
        quantize_row(s->q + query * head_dim, head_dim, s->q8 + query * head_dim, &sum);
    s->q_start[query] = -QR_Q8_KEY_RAISE * sum;
}

#include "kernels/x86/attention_body.h"

QR_ATTEND_FN(qr_attend_avx512vnni)
{
    if (kv->type == QR_KV_Q8)
        attend(kv, a);
    else
        qr_attend_avx512(kv, a);
}

QR_ATTEND_SHARED_FN(qr_attend_shared_avx512vnni)
{
    if (kv->type == QR_KV_Q8)
        attend_shared(kv, a, span_begin, span_end);
    else
        qr_attend_shared_avx512(kv, a, span_begin, span_end);
}

QR_ATTEND_SPANS_FN(qr_attend_spans_avx512vnni)
{
    if (kv->type == QR_KV_Q8)
        attend_spans(kv, a, span_begin, span_end, partial);
    else
        qr_attend_spans_avx512(kv, a, span_begin, span_end, partial);
}
