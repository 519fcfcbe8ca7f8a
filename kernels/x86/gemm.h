/* SPDX-License-Identifier: MIT */
/* x86/gemm -- the x86 variants of gemm.h.  gemm_init_x86 fills the table in ascending order of
 * levels. Included by gemm.c and by the variants' files.
 *
 * Thread: any.   Memory: none. */
#ifndef QR_KERNELS_X86_GEMM_H
#define QR_KERNELS_X86_GEMM_H

#include "kernels/cpu.h"
#include "kernels/gemm.h"

QR_QUANTIZE_FN(qr_quantize_avx2);
QR_GEMM_FN(qr_gemm_q4_0_avx2);
QR_GEMM_FN(qr_gemm_q4_1_avx2);
QR_GEMM_FN(qr_gemm_q5_0_avx2);
QR_GEMM_FN(qr_gemm_q5_1_avx2);
QR_GEMM_FN(qr_gemm_q8_0_avx2);
QR_GEMM_FN(qr_gemm_iq4_nl_avx2);
QR_GEMM_FN(qr_gemm_q2_k_avx2);
QR_GEMM_FN(qr_gemm_q3_k_avx2);
QR_GEMM_FN(qr_gemm_q4_k_avx2);
QR_GEMM_FN(qr_gemm_q5_k_avx2);
QR_GEMM_FN(qr_gemm_q6_k_avx2);
QR_GEMM_FN(qr_gemm_iq4_xs_avx2);

QR_GEMM_FN(qr_gemm_q4_0_avx512vnni);
QR_GEMM_FN(qr_gemm_q4_1_avx512vnni);
QR_GEMM_FN(qr_gemm_q5_0_avx512vnni);
QR_GEMM_FN(qr_gemm_q5_1_avx512vnni);
QR_GEMM_FN(qr_gemm_q8_0_avx512vnni);
QR_GEMM_FN(qr_gemm_iq4_nl_avx512vnni);
QR_GEMM_FN(qr_gemm_q2_k_avx512vnni);
QR_GEMM_FN(qr_gemm_q3_k_avx512vnni);
QR_GEMM_FN(qr_gemm_q4_k_avx512vnni);
QR_GEMM_FN(qr_gemm_q5_k_avx512vnni);
QR_GEMM_FN(qr_gemm_q6_k_avx512vnni);
QR_GEMM_FN(qr_gemm_iq4_xs_avx512vnni);

QR_GEMM_FN(qr_gemm_q4_1_avx512bf16);
QR_GEMM_FN(qr_gemm_q5_1_avx512bf16);
/* Whether this machine's bf16 dot is two fma, the pair's second product first, as Intel's manual
 * says and scalar code computes. */
bool qr_gemm_dots_are_two_fmas_avx512bf16(void);

static inline void gemm_init_x86(struct qr_gemm_kernels *k, unsigned flags)
{
    if (!(flags & QR_CPU_AVX2)) return;
    k->quantize = qr_quantize_avx2;
    k->q4_0 = qr_gemm_q4_0_avx2;
    k->q4_1 = qr_gemm_q4_1_avx2;
    k->q5_0 = qr_gemm_q5_0_avx2;
    k->q5_1 = qr_gemm_q5_1_avx2;
    k->q8_0 = qr_gemm_q8_0_avx2;
    k->iq4_nl = qr_gemm_iq4_nl_avx2;
    k->q2_k = qr_gemm_q2_k_avx2;
    k->q3_k = qr_gemm_q3_k_avx2;
    k->q4_k = qr_gemm_q4_k_avx2;
    k->q5_k = qr_gemm_q5_k_avx2;
    k->q6_k = qr_gemm_q6_k_avx2;
    k->iq4_xs = qr_gemm_iq4_xs_avx2;

    if (!(flags & QR_CPU_AVX512VNNI)) return;
    k->q4_0 = qr_gemm_q4_0_avx512vnni;
    k->q4_1 = qr_gemm_q4_1_avx512vnni;
    k->q5_0 = qr_gemm_q5_0_avx512vnni;
    k->q5_1 = qr_gemm_q5_1_avx512vnni;
    k->q8_0 = qr_gemm_q8_0_avx512vnni;
    k->iq4_nl = qr_gemm_iq4_nl_avx512vnni;
    k->q2_k = qr_gemm_q2_k_avx512vnni;
    k->q3_k = qr_gemm_q3_k_avx512vnni;
    k->q4_k = qr_gemm_q4_k_avx512vnni;
    k->q5_k = qr_gemm_q5_k_avx512vnni;
    k->q6_k = qr_gemm_q6_k_avx512vnni;
    k->iq4_xs = qr_gemm_iq4_xs_avx512vnni;

    if (!(flags & QR_CPU_AVX512BF16) || !qr_gemm_dots_are_two_fmas_avx512bf16()) return;
    k->q4_1 = qr_gemm_q4_1_avx512bf16;
    k->q5_1 = qr_gemm_q5_1_avx512bf16;
}

#endif
