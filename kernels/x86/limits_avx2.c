/* SPDX-License-Identifier: MIT */
#include <immintrin.h>

#include "kernels/x86/limits.h"
#include "kernels/x86/unroll.h"

/* Twelve chains are more than latency times issue width, and leave registers for the operands. */
#define CHAINS_N 12u

/* The level's dot: multiply bytes and add pairs, then add to the sum. */
QR_LIMIT_FN(qr_limit_int8_avx2)
{
    __m256i acc[CHAINS_N], a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(5);
    UNROLL
    for (uint32_t i = 0; i < CHAINS_N; i++)
        acc[i] = _mm256_setzero_si256();
    for (uint32_t round = 0; round < rounds; round++) {
        UNROLL
        for (uint32_t i = 0; i < CHAINS_N; i++)
            __asm__ volatile("vpmaddubsw %1, %2, %%ymm15\n\tvpaddw %%ymm15, %0, %0"
                             : "+x"(acc[i])
                             : "x"(a), "x"(b)
                             : "xmm15");
    }
    return 64.0 * CHAINS_N * rounds;
}

QR_LIMIT_FN(qr_limit_fp32_avx2)
{
    __m256 acc[CHAINS_N], a = _mm256_set1_ps(0.5f), b = _mm256_set1_ps(1.0f);
    UNROLL
    for (uint32_t i = 0; i < CHAINS_N; i++)
        acc[i] = _mm256_setzero_ps();
    for (uint32_t round = 0; round < rounds; round++) {
        UNROLL
        for (uint32_t i = 0; i < CHAINS_N; i++)
            __asm__ volatile("vfmadd213ps %1, %2, %0" : "+x"(acc[i]) : "x"(a), "x"(b));
    }
    return 16.0 * CHAINS_N * rounds;
}

QR_LIMIT_READ_FN(qr_limit_read_avx2)
{
    const uint8_t *p = data;
    __m256i acc[4];
    UNROLL
    for (uint32_t i = 0; i < 4; i++)
        acc[i] = _mm256_setzero_si256();
    for (size_t at = 0; at < bytes; at += 128) {
        _mm_prefetch((const char *)p + at + 4096, _MM_HINT_T0);
        _mm_prefetch((const char *)p + at + 4096 + 64, _MM_HINT_T0);
        UNROLL
        for (uint32_t i = 0; i < 4; i++)
            acc[i] = _mm256_xor_si256(acc[i], _mm256_load_si256((const void *)(p + at + 32 * i)));
    }
    acc[0] = _mm256_xor_si256(_mm256_xor_si256(acc[0], acc[1]), _mm256_xor_si256(acc[2], acc[3]));
    *sink = (uint64_t)_mm256_extract_epi64(acc[0], 0) ^ (uint64_t)_mm256_extract_epi64(acc[0], 3);
}
