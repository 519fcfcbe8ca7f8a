/* SPDX-License-Identifier: MIT */
/* x86/power_avx2 -- the last step of exp2 and exp in AVX2, which has no scalef.
 *
 * Included only by files compiled for AVX2.
 *
 * Thread: any.   Memory: none. */
#ifndef QR_KERNELS_X86_POWER_AVX2_H
#define QR_KERNELS_X86_POWER_AVX2_H

#include <immintrin.h>

#include "kernels/x86/unroll.h"

/* v 2^n in two products, of which the first is exact. */
INLINE __m256 scale_by_power(__m256 v, __m256i n)
{
    const __m256i bias = _mm256_set1_epi32(127);
    const __m256i half = _mm256_srai_epi32(n, 1);
    const __m256i other = _mm256_sub_epi32(n, half);

    v = _mm256_mul_ps(v, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23)));
    return _mm256_mul_ps(v,
                         _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(other, bias), 23)));
}

#endif
