/* SPDX-License-Identifier: MIT */
/* attention over int8 pages in AVX2.  A register tile is 3 queries by 2 panels of keys, or 3
 * queries by 32 columns of values.
 *
 * vpmaddubsw multiplies unsigned by signed bytes and adds two products in 16 bits with saturation;
 * 2 * 255 * 127 would saturate.  So the key's magnitude is multiplied by the query's quant with the
 * key's sign: at most 2 * 128 * 127. */
#include <string.h>

#define TILE_QUERIES 3
#define TILE_PANELS  2u
#define TILE_COLUMNS 32
#define TILE_Q8      1

#include "kernels/x86/attention.h"
#include "kernels/x86/attention_parts_avx2.h"
#include "kernels/x86/quantize_row_avx2.h"

INLINE void scores_of(const enum qr_kv_type type, const uint32_t qn, const uint32_t pn,
                      const struct qr_attention_score_tile *t, uint32_t at)
{
    const uint8_t *const *const keys = t->keys + at;
    const uint8_t *const *const prefetch = t->prefetch + at;
    const uint32_t head_dim = t->head_dim;
    float *const p = t->p + at * QR_KV_PANEL;
    const __m256i raise = _mm256_set1_epi8((char)QR_Q8_KEY_RAISE);
    const __m256i ones = _mm256_set1_epi16(1);
    const int8_t *const q = t->queries.quants;
    const float *const q_scale = t->queries.scales;
    const size_t scales_at = qr_q8_scales_at(head_dim);
    const uint32_t vn = 2 * pn;
    __m256i sum[TILE_QUERIES][4];

    (void)type;
    UNROLL
    for (uint32_t i = 0; i < TILE_QUERIES && i < qn; i++)
        UNROLL
    for (uint32_t j = 0; j < 4 && j < vn; j++)
        sum[i][j] = _mm256_setzero_si256();
    for (uint32_t d = 0; d < head_dim; d += 4) {
        const size_t offset = (size_t)d * QR_KV_PANEL;

        UNROLL
        for (uint32_t j = 0; j < TILE_PANELS && j < pn; j++)
            _mm_prefetch((const char *)prefetch[j] + offset, _MM_HINT_T1);
        LOADS_STAY;
        UNROLL
        for (uint32_t j = 0; j < 4 && j < vn; j++) {
            const __m256i k = _mm256_xor_si256(
                _mm256_loadu_si256((const void *)(keys[j / 2] + offset + j % 2 * 32)), raise);
            const __m256i magnitude = _mm256_abs_epi8(k);

            UNROLL
            for (uint32_t i = 0; i < TILE_QUERIES && i < qn; i++) {
                int32_t four;

                memcpy(&four, q + i * head_dim + d, sizeof four);
                const __m256i x = _mm256_sign_epi8(_mm256_set1_epi32(four), k);
                sum[i][j] = _mm256_add_epi32(
                    sum[i][j], _mm256_madd_epi16(_mm256_maddubs_epi16(magnitude, x), ones));
            }
        }
    }
    UNROLL
    for (uint32_t j = 0; j < TILE_PANELS && j < pn; j++)
        _mm_prefetch((const char *)prefetch[j] + scales_at, _MM_HINT_T1);
    UNROLL
    for (uint32_t j = 0; j < 4 && j < vn; j++) {
        const __m256 scale = _mm256_loadu_ps((const void *)(keys[j / 2] + scales_at + j % 2 * 32));

        UNROLL
        for (uint32_t i = 0; i < TILE_QUERIES && i < qn; i++)
            _mm256_storeu_ps(p + i * QR_ATTENTION_SCORES + j * 8,
                             _mm256_mul_ps(_mm256_cvtepi32_ps(sum[i][j]),
                                           _mm256_mul_ps(scale, _mm256_set1_ps(q_scale[i]))));
    }
}

static void query_quantize(struct qr_attention_scratch *s, uint32_t query, uint32_t head_dim)
{
    int32_t sum;

    s->q_scale[query] =
        quantize_row(s->q + query * head_dim, head_dim, s->q8 + query * head_dim, &sum);
}

#include "kernels/x86/attention_body.h"

QR_ATTEND_FN(qr_attend_q8_avx2)
{
    attend(kv, a);
}

QR_ATTEND_SHARED_FN(qr_attend_shared_q8_avx2)
{
    attend_shared(kv, a, span_begin, span_end);
}

QR_ATTEND_SPANS_FN(qr_attend_spans_q8_avx2)
{
    attend_spans(kv, a, span_begin, span_end, partial);
}

QR_KV_PUT_FN(qr_kv_put_q8_avx2)
{
    const uint32_t lane = position % QR_KV_PANEL;
    const size_t scale_at = qr_q8_scales_at(kv->head_dim) + lane * sizeof(float);
    uint8_t *k = qr_kv_panel(kv, position / QR_KV_PANEL);
    uint8_t *v = k + kv->v_offset;
    int8_t quants[QR_HEAD_DIM_MAX];
    int32_t sum;
    float scale;

    scale = quantize_row(key, kv->head_dim, quants, &sum);
    memcpy(k + scale_at, &scale, sizeof scale);
    for (uint32_t d = 0; d < kv->head_dim; d += 4) {
        uint32_t four;

        memcpy(&four, quants + d, sizeof four);
        four ^= 0x80808080u; /* adds 128 to each byte */
        memcpy(k + qr_q8_key_at(d, lane), &four, sizeof four);
    }
    scale = quantize_row(value, kv->head_dim, quants, &sum);
    memcpy(v + scale_at, &scale, sizeof scale);
    memcpy(v + (size_t)lane * kv->head_dim, quants, kv->head_dim);
}
