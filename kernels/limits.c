/* SPDX-License-Identifier: MIT */
#include "kernels/limits.h"

#include <string.h>

#include "kernels/cpu.h"

/* Plain C: on a machine without variants the figures are those of compiled code. */
#define CHAINS_N 64

static QR_LIMIT_FN(int8_scalar)
{
    int32_t acc[CHAINS_N] = {0};
    for (uint32_t round = 0; round < rounds; round++) {
        int8_t a = (int8_t)round, b = (int8_t)(round >> 3);
        for (uint32_t i = 0; i < CHAINS_N; i++)
            acc[i] += a * (int8_t)(b + (int8_t)i);
        __asm__ volatile("" : : "r"(acc) : "memory");
    }
    return 2.0 * CHAINS_N * rounds;
}

static QR_LIMIT_FN(fp32_scalar)
{
    float acc[CHAINS_N] = {0};
    for (uint32_t round = 0; round < rounds; round++) {
        for (uint32_t i = 0; i < CHAINS_N; i++)
            acc[i] = acc[i] * 0.5f + 1.0f;
        __asm__ volatile("" : : "r"(acc) : "memory");
    }
    return 2.0 * CHAINS_N * rounds;
}

static QR_LIMIT_READ_FN(read_scalar)
{
    const uint8_t *bytes_at = data;
    uint64_t sums[8] = {0};
    for (size_t i = 0; i < bytes; i += sizeof sums) {
        __builtin_prefetch(bytes_at + i + 4096);
        for (uint32_t j = 0; j < 8; j++) {
            uint64_t word;
            memcpy(&word, bytes_at + i + 8 * j, sizeof word);
            sums[j] += word;
        }
    }
    for (uint32_t j = 1; j < 8; j++)
        sums[0] += sums[j];
    *sink = sums[0];
}

#if defined(__x86_64__)
#include "kernels/x86/limits.h"
#endif

void qr_limits_init(struct qr_limit_kernels *k, unsigned cpu_flags)
{
    *k = (struct qr_limit_kernels){
        .int8 = int8_scalar, .bf16 = NULL, .fp32 = fp32_scalar, .read = read_scalar};
#if defined(__x86_64__)
    limits_init_x86(k, cpu_flags);
#else
    (void)cpu_flags;
#endif
}
