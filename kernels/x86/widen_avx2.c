/* SPDX-License-Identifier: MIT */
#include <immintrin.h>

#include "kernels/types.h"
#include "kernels/x86/widen.h"

QR_WIDEN_FN(qr_widen_f16_avx2)
{
    const uint8_t *at = src;
    size_t i = 0;

    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(dst + i, _mm256_cvtph_ps(_mm_loadu_si128((const void *)(at + 2 * i))));
    qr_dequantize(QR_TYPE_F16, at + 2 * i, dst + i, n - i);
}

QR_WIDEN_FN(qr_widen_bf16_avx2)
{
    const uint8_t *at = src;
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        const __m256i h = _mm256_cvtepu16_epi32(_mm_loadu_si128((const void *)(at + 2 * i)));

        _mm256_storeu_ps(dst + i, _mm256_castsi256_ps(_mm256_slli_epi32(h, 16)));
    }
    qr_dequantize(QR_TYPE_BF16, at + 2 * i, dst + i, n - i);
}
