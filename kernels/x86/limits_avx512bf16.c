/* SPDX-License-Identifier: MIT */
#include <immintrin.h>

#include "kernels/x86/limits.h"
#include "kernels/x86/unroll.h"

#define CHAINS_N 16u

QR_LIMIT_FN(qr_limit_bf16_avx512bf16)
{
    /* 0x3f00 is 0.5: the sums stay finite */
    __m512i acc[CHAINS_N], a = _mm512_set1_epi16(0x3f00), b = _mm512_set1_epi16(0x3f00);
    UNROLL
    for (uint32_t i = 0; i < CHAINS_N; i++)
        acc[i] = _mm512_setzero_si512();
    for (uint32_t round = 0; round < rounds; round++) {
        UNROLL
        for (uint32_t i = 0; i < CHAINS_N; i++)
            __asm__ volatile("vdpbf16ps %1, %2, %0" : "+v"(acc[i]) : "v"(a), "v"(b));
    }
    return 64.0 * CHAINS_N * rounds;
}
