/* SPDX-License-Identifier: MIT */
/* x86/widen -- the x86 variants of F16 and BF16 to f32 (gemm_float.h).  All exact.
 *
 * Thread: any.   Memory: the caller's. */
#ifndef QR_KERNELS_X86_WIDEN_H
#define QR_KERNELS_X86_WIDEN_H

#include "kernels/cpu.h"
#include "kernels/gemm_float.h"

QR_WIDEN_FN(qr_widen_f16_avx2);
QR_WIDEN_FN(qr_widen_bf16_avx2);
QR_WIDEN_FN(qr_widen_f16_avx512);
QR_WIDEN_FN(qr_widen_bf16_avx512);

static inline void widen_init_x86(struct qr_float_kernels *k, unsigned flags)
{
    if (!(flags & QR_CPU_AVX2)) return;
    k->f16 = qr_widen_f16_avx2;
    k->bf16 = qr_widen_bf16_avx2;

    if (!(flags & QR_CPU_AVX512)) return;
    k->f16 = qr_widen_f16_avx512;
    k->bf16 = qr_widen_bf16_avx512;
}

#endif
