/* SPDX-License-Identifier: MIT */
/* K-quants: blocks of 256 values, in them sub-blocks with scales of their own. */
#include "kernels/x86/gemm_vnni.h"

GEMM(q4_k, QR_TYPE_Q4_K)
GEMM(q6_k, QR_TYPE_Q6_K)
