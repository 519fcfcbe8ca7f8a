/* SPDX-License-Identifier: MIT */
/* x86/limits -- the x86 variants of limits.h, in ascending order of levels.  Included by limits.c
 * and by the variants' files.
 *
 * Thread: any.   Memory: none. */
#ifndef QR_KERNELS_X86_LIMITS_H
#define QR_KERNELS_X86_LIMITS_H

#include "kernels/cpu.h"
#include "kernels/limits.h"

QR_LIMIT_FN(qr_limit_int8_avx2);
QR_LIMIT_FN(qr_limit_fp32_avx2);
QR_LIMIT_READ_FN(qr_limit_read_avx2);
QR_LIMIT_FN(qr_limit_fp32_avx512);
QR_LIMIT_READ_FN(qr_limit_read_avx512);
QR_LIMIT_FN(qr_limit_int8_avx512vnni);
QR_LIMIT_FN(qr_limit_bf16_avx512bf16);

static inline void limits_init_x86(struct qr_limit_kernels *k, unsigned flags)
{
    if (!(flags & QR_CPU_AVX2)) return;
    k->int8 = qr_limit_int8_avx2;
    k->fp32 = qr_limit_fp32_avx2;
    k->read = qr_limit_read_avx2;

    if (!(flags & QR_CPU_AVX512)) return;
    k->fp32 = qr_limit_fp32_avx512;
    k->read = qr_limit_read_avx512;

    if (!(flags & QR_CPU_AVX512VNNI)) return;
    k->int8 = qr_limit_int8_avx512vnni;

    if (!(flags & QR_CPU_AVX512BF16)) return;
    k->bf16 = qr_limit_bf16_avx512bf16;
}

#endif
