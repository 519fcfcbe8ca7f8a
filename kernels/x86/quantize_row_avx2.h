/* SPDX-License-Identifier: MIT */
/* x86/quantize_row_avx2 -- qr_q8_quantize (attention_q8.h) in AVX2, for queries and for put.
 *
 * Included only by files compiled for AVX2.
 *
 * Thread: any.   Memory: none. */
#ifndef QR_KERNELS_X86_QUANTIZE_ROW_AVX2_H
#define QR_KERNELS_X86_QUANTIZE_ROW_AVX2_H

#include <immintrin.h>

#include "kernels/attention_q8.h"
#include "kernels/x86/unroll.h"

/* The bits of the greatest magnitude.  Magnitudes compare as their bits do, NaN above infinity.  n
 * is a multiple of 8. */
INLINE uint32_t most_of(const float *x, uint32_t n)
{
    const __m256i magnitude = _mm256_set1_epi32((int)QR_F32_MAGNITUDE);
    __m256i most = _mm256_setzero_si256();
    __m128i m;

    for (uint32_t i = 0; i < n; i += 8)
        most = _mm256_max_epi32(
            most, _mm256_and_si256(_mm256_loadu_si256((const void *)(x + i)), magnitude));
    m = _mm_max_epi32(_mm256_castsi256_si128(most), _mm256_extracti128_si256(most, 1));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4e));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(m);
}

INLINE int32_t lanes_total(__m256i x)
{
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));

    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1));
    return _mm_cvtsi128_si32(s);
}

/* n is a multiple of 8. */
INLINE float quantize_row(const float *x, uint32_t n, int8_t *out, int32_t *sum)
{
    const uint32_t most = most_of(x, n);
    __m256i total = _mm256_setzero_si256();
    __m256 inverse;
    float amax;

    memcpy(&amax, &most, sizeof amax);
    if (most >= QR_F32_INF_BITS || amax < QR_Q8_AMAX_MIN) {
        memset(out, 0, n);
        *sum = 0;
        return most >= QR_F32_INF_BITS ? NAN : 0.0f;
    }
    inverse = _mm256_set1_ps(127.0f / amax);
    for (uint32_t i = 0; i < n; i += 8) {
        __m256i q = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + i), inverse));
        __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));

        total = _mm256_add_epi32(total, q);
        _mm_storel_epi64((void *)(out + i), _mm_packs_epi16(words, words));
    }
    *sum = lanes_total(total);
    return amax / 127.0f;
}

#endif
