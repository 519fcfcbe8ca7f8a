/* SPDX-License-Identifier: MIT */
#include <float.h>
#include <immintrin.h>

#include "kernels/gemm_layout.h"
#include "kernels/x86/gemm.h"
#include "kernels/x86/unroll.h"

struct half_sums {
    int32_t first, second;
};

/* The sums of int8[0..16) and int8[16..32): as unsigned, which one instruction sums by eights. */
INLINE struct half_sums half_sums_of(__m256i bytes)
{
    __m256i raised = _mm256_xor_si256(bytes, _mm256_set1_epi8((char)0x80));
    __m256i eights = _mm256_sad_epu8(raised, _mm256_setzero_si256());
    __m256i halves = _mm256_add_epi32(eights, _mm256_shuffle_epi32(eights, 0x4e));
    return (struct half_sums){_mm_cvtsi128_si32(_mm256_castsi256_si128(halves)) - 16 * 128,
                              _mm_cvtsi128_si32(_mm256_extracti128_si256(halves, 1)) - 16 * 128};
}

INLINE float greatest(__m256 v)
{
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

QR_QUANTIZE_FN(qr_quantize_avx2)
{
    const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
    /* packing works in 128-bit lanes: dwords back into their order */
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);

    assert(k0 % QR_ACT_BLOCK == 0 && n % QR_ACT_BLOCK == 0 && k0 + n <= acts->k);
    for (uint32_t i = 0; i < n; i += QR_ACT_BLOCK) {
        struct qr_act_row *a = qr_act_row(acts, row, (k0 + i) / QR_ACT_BLOCK);
        __m256 v[4], most = _mm256_setzero_ps();
        __m256i q[4];
        UNROLL
        for (uint32_t j = 0; j < 4; j++) {
            v[j] = _mm256_loadu_ps(x + i + 8 * j);
            most = _mm256_max_ps(_mm256_and_ps(v[j], magnitude), most); /* passes over NaN */
        }
        float amax = greatest(most);
        bool usable = amax >= QR_ACT_AMAX_MIN && amax <= FLT_MAX;
        __m256 inverse = _mm256_set1_ps(usable ? 127.0f / amax : 0.0f);
        UNROLL
        for (uint32_t j = 0; j < 4; j++)
            q[j] = _mm256_cvtps_epi32(_mm256_mul_ps(v[j], inverse));
        __m256i bytes =
            _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
        bytes = _mm256_permutevar8x32_epi32(bytes, order);
        struct half_sums sums = half_sums_of(bytes);

        _mm256_store_si256((__m256i *)a->q, bytes);
        a->d = usable ? amax / 127.0f : 0.0f;
        a->s = a->d * (float)(sums.first + sums.second);
        a->start_8 = -8 * (sums.first + sums.second);
        a->start_128 = -128 * (sums.first + sums.second);
        a->start_32[0] = -32 * sums.first;
        a->start_32[1] = -32 * sums.second;
        a->half_s[0] = a->d * (float)sums.first;
        a->half_s[1] = a->d * (float)sums.second;
    }
}
