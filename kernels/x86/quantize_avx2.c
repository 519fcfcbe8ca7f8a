/* SPDX-License-Identifier: MIT */
#include <immintrin.h>

#include "kernels/gemm_layout.h"
#include "kernels/x86/gemm.h"
#include "kernels/x86/unroll.h"

/* qr_act_scale in all lanes. */
struct scales {
    __m128 d, inverse, unit;
    __m128i usable; /* all ones or none */
};

INLINE struct scales scales_of(__m128 amax)
{
    const __m128 inverses = _mm_setr_ps(1.0f, 1.0f / 1.25f, 1.0f / 1.5f, 1.0f / 1.75f);
    const __m128i below = _mm_set1_epi32(0x1fffff);
    __m128i usable = _mm_castps_si128(_mm_and_ps(_mm_cmpge_ps(amax, _mm_set1_ps(QR_ACT_AMAX_MIN)),
                                                 _mm_cmple_ps(amax, _mm_set1_ps(QR_ACT_AMAX_MAX))));
    __m128i bits = _mm_castps_si128(_mm_mul_ps(amax, _mm_set1_ps(1.0f / 127.0f)));
    bits = _mm_andnot_si128(below, _mm_add_epi32(bits, below));
    __m128i e =
        _mm_sub_epi32(_mm_and_si128(bits, _mm_set1_epi32(0x7f800000)), _mm_set1_epi32(0x3f800000));
    __m128i quarter = _mm_srli_epi32(bits, 21); /* its two lowest bits */
    __m128i times_64 = _mm_and_si128(_mm_srli_epi32(bits, 15), _mm_set1_epi32(0xc0));
    __m128i inverse = _mm_sub_epi32(_mm_castps_si128(_mm_permutevar_ps(inverses, quarter)), e);
    __m128i offset = _mm_and_si128(usable, _mm_add_epi32(e, times_64));
    return (struct scales){
        .d = _mm_castsi128_ps(_mm_and_si128(usable, bits)),
        .inverse = _mm_castsi128_ps(_mm_and_si128(usable, inverse)),
        .unit = _mm_castsi128_ps(_mm_add_epi32(offset, _mm_set1_epi32((int)QR_ACT_UNIT_ONE))),
        .usable = usable,
    };
}

INLINE __m128 greatest(__m256 v)
{
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    m = _mm_max_ps(m, _mm_shuffle_ps(m, m, 0x4e));
    return _mm_max_ps(m, _mm_shuffle_ps(m, m, 0xb1));
}

/* What follows from the sums of q's halves. */
INLINE void store_sums(struct qr_act_row *a, __m256i bytes, const struct scales *s)
{
    /* as unsigned, which one instruction sums by eights: two of each half */
    __m256i raised = _mm256_xor_si256(bytes, _mm256_set1_epi8((char)0x80));
    __m256i eights = _mm256_sad_epu8(raised, _mm256_setzero_si256());
    __m128i low = _mm256_castsi256_si128(eights), high = _mm256_extracti128_si256(eights, 1);
    __m128i halves =
        _mm_sub_epi32(_mm_add_epi32(_mm_unpacklo_epi32(low, high), _mm_unpackhi_epi32(low, high)),
                      _mm_set1_epi32(16 * 128)); /* first, second, -, - */
    __m128i total = _mm_add_epi32(halves, _mm_shuffle_epi32(halves, 0xb1));
    __m128i sums = _mm_unpacklo_epi64(total, halves); /* total, total, first, second */
    __m128 times_d = _mm_mul_ps(_mm_cvtepi32_ps(sums), s->d);
    __m128 total_d_unit = _mm_unpacklo_ps(s->d, s->unit);

    _mm_storeu_ps(&a->d, _mm_movelh_ps(total_d_unit, times_d));
    a->start_8 = -8 * _mm_cvtsi128_si32(sums);
    _mm_storeu_si128(
        (__m128i *)a->start_32,
        _mm_castps_si128(_mm_shuffle_ps(
            _mm_castsi128_ps(_mm_slli_epi32(_mm_sub_epi32(_mm_setzero_si128(), sums), 5)), times_d,
            0xee)));
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
        const struct scales s = scales_of(greatest(most));
        const __m256 inverse = _mm256_set_m128(s.inverse, s.inverse);
        UNROLL
        for (uint32_t j = 0; j < 4; j++)
            q[j] = _mm256_cvtps_epi32(_mm256_mul_ps(v[j], inverse));
        __m256i bytes =
            _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
        bytes = _mm256_permutevar8x32_epi32(bytes, order);
        /* infinity times 0 is not 0 */
        bytes = _mm256_and_si256(bytes, _mm256_set_m128i(s.usable, s.usable));
        _mm256_store_si256((__m256i *)a->q, bytes);
        store_sums(a, bytes, &s);
    }
}
