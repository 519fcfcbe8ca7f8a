/* SPDX-License-Identifier: MIT */
/* K-quants and IQ4_XS: blocks of 256 values, with a scale for each 16 or 32 of them. */
#include "kernels/x86/gemm_vnni.h"

GEMM(q2_k, QR_TYPE_Q2_K)
GEMM(q3_k, QR_TYPE_Q3_K)
GEMM(q4_k, QR_TYPE_Q4_K)
GEMM(q5_k, QR_TYPE_Q5_K)
GEMM(q6_k, QR_TYPE_Q6_K)
GEMM(iq4_xs, QR_TYPE_IQ4_XS)
