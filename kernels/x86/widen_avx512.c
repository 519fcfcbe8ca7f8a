/* SPDX-License-Identifier: MIT */
#include <immintrin.h>

#include "kernels/x86/widen.h"

static __mmask16 lanes_left(size_t n)
{
    return n >= 16 ? 0xffff : (__mmask16)((1u << n) - 1);
}

QR_WIDEN_FN(qr_widen_f16_avx512)
{
    const uint8_t *at = src;

    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 left = lanes_left(n - i);
        const __m256i h = _mm256_maskz_loadu_epi16(left, at + 2 * i);

        _mm512_mask_storeu_ps(dst + i, left, _mm512_cvtph_ps(h));
    }
}

QR_WIDEN_FN(qr_widen_bf16_avx512)
{
    const uint8_t *at = src;

    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 left = lanes_left(n - i);
        const __m512i h = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(left, at + 2 * i));

        _mm512_mask_storeu_ps(dst + i, left, _mm512_castsi512_ps(_mm512_slli_epi32(h, 16)));
    }
}
