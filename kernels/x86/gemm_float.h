/* SPDX-License-Identifier: MIT */
/* x86/gemm_float -- the x86 variants of gemm_float.h.  gemm_float_init_x86 fills the table in
 * ascending order of levels.  Included by gemm_float.c and by the variants' files.
 *
 * Thread: any.   Memory: none. */
#ifndef QR_KERNELS_X86_GEMM_FLOAT_H
#define QR_KERNELS_X86_GEMM_FLOAT_H

#include "kernels/cpu.h"
#include "kernels/gemm_float.h"

QR_GEMM_FLOAT_FN(qr_gemm_f32_avx2);
QR_GEMM_FLOAT_FN(qr_gemm_f16_avx2);
QR_GEMM_FLOAT_FN(qr_gemm_bf16_avx2);

QR_GEMM_FLOAT_FN(qr_gemm_f32_avx512);
QR_GEMM_FLOAT_FN(qr_gemm_f16_avx512);
QR_GEMM_FLOAT_FN(qr_gemm_bf16_avx512);

static inline void gemm_float_init_x86(struct qr_gemm_float_kernels *k, unsigned flags)
{
    if (!(flags & QR_CPU_AVX2)) return;
    k->f32 = qr_gemm_f32_avx2;
    k->f16 = qr_gemm_f16_avx2;
    k->bf16 = qr_gemm_bf16_avx2;

    if (!(flags & QR_CPU_AVX512)) return;
    k->f32 = qr_gemm_f32_avx512;
    k->f16 = qr_gemm_f16_avx512;
    k->bf16 = qr_gemm_bf16_avx512;
}

#endif
