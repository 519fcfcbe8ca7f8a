/* SPDX-License-Identifier: MIT */
/* cpu -- the instruction sets of this machine, as the levels that kernels are written for.
 *
 * A level's bit is set only together with the bits of all levels below it, and only if the
 * operating system saves its registers.
 *
 * Thread: any.   Memory: none. */
#ifndef QR_KERNELS_CPU_H
#define QR_KERNELS_CPU_H

#include <stdbool.h>

enum {
    QR_CPU_AVX2 = 1u << 0,   /* with FMA and F16C */
    QR_CPU_AVX512 = 1u << 1, /* F, BW, DQ, VL */
    QR_CPU_AVX512VNNI = 1u << 2,
    QR_CPU_AVX512BF16 = 1u << 3,
    QR_CPU_NEON = 1u << 8,
    QR_CPU_NEON_DOTPROD = 1u << 9
};

/* Every level that this machine has. */
unsigned qr_cpu_flags(void);

/* *flags becomes the flags of the named level and of all levels below it: "scalar", "avx2",
 * "avx512", "avx512vnni", "avx512bf16", "neon" or "neondotprod".  False: unknown name, *flags is
 * unchanged. */
bool qr_cpu_level_flags(const char *name, unsigned *flags);

/* The name of the highest level in flags; "scalar" for 0. */
const char *qr_cpu_level_name(unsigned flags);

#endif
