/* SPDX-License-Identifier: MIT */
#include <immintrin.h>

#include "kernels/x86/limits.h"
#include "kernels/x86/unroll.h"

#define CHAINS_N 16u

QR_LIMIT_FN(qr_limit_fp32_avx512)
{
    __m512 acc[CHAINS_N], a = _mm512_set1_ps(0.5f), b = _mm512_set1_ps(1.0f);
    UNROLL
    for (uint32_t i = 0; i < CHAINS_N; i++)
        acc[i] = _mm512_setzero_ps();
    for (uint32_t round = 0; round < rounds; round++) {
        UNROLL
        for (uint32_t i = 0; i < CHAINS_N; i++)
            __asm__ volatile("vfmadd213ps %1, %2, %0" : "+v"(acc[i]) : "v"(a), "v"(b));
    }
    return 32.0 * CHAINS_N * rounds;
}

QR_LIMIT_READ_FN(qr_limit_read_avx512)
{
    const uint8_t *p = data;
    __m512i acc[4];
    UNROLL
    for (uint32_t i = 0; i < 4; i++)
        acc[i] = _mm512_setzero_si512();
    for (size_t at = 0; at < bytes; at += 256) {
        UNROLL
        for (uint32_t i = 0; i < 4; i++) {
            _mm_prefetch((const char *)p + at + 4096 + 64 * i, _MM_HINT_T0);
            acc[i] = _mm512_xor_si512(acc[i], _mm512_load_si512(p + at + 64 * i));
        }
    }
    acc[0] = _mm512_xor_si512(_mm512_xor_si512(acc[0], acc[1]), _mm512_xor_si512(acc[2], acc[3]));
    *sink = (uint64_t)_mm512_reduce_add_epi64(acc[0]);
}
