/* SPDX-License-Identifier: MIT */
/* The types with blocks of 32 values. */
#include "kernels/x86/gemm_vnni.h"

GEMM(q4_0, QR_TYPE_Q4_0)
GEMM(q4_1, QR_TYPE_Q4_1)
GEMM(q5_0, QR_TYPE_Q5_0)
GEMM(q5_1, QR_TYPE_Q5_1)
GEMM(q8_0, QR_TYPE_Q8_0)
GEMM(iq4_nl, QR_TYPE_IQ4_NL)
