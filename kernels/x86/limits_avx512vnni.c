/* SPDX-License-Identifier: MIT */
#include <immintrin.h>

#include "kernels/x86/limits.h"
#include "kernels/x86/unroll.h"

#define CHAINS_N 16u

QR_LIMIT_FN(qr_limit_int8_avx512vnni)
{
    __m512i acc[CHAINS_N], a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(5);
    UNROLL
    for (uint32_t i = 0; i < CHAINS_N; i++)
        acc[i] = _mm512_setzero_si512();
    for (uint32_t round = 0; round < rounds; round++) {
        UNROLL
        for (uint32_t i = 0; i < CHAINS_N; i++)
            __asm__ volatile("vpdpbusd %1, %2, %0" : "+v"(acc[i]) : "v"(a), "v"(b));
    }
    return 128.0 * CHAINS_N * rounds;
}
