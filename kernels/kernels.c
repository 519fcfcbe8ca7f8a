/* SPDX-License-Identifier: MIT */
#include "kernels/kernels.h"

void qr_kernels_init(struct qr_kernels *k, unsigned cpu_flags)
{
    k->cpu_flags = cpu_flags;
    qr_gemm_init(&k->gemm, cpu_flags);
    qr_gemm_float_init(&k->gemm_float, cpu_flags);
    qr_attention_init(&k->attention, cpu_flags);
    qr_rows_init(&k->rows, cpu_flags);
    qr_limits_init(&k->limits, cpu_flags);
}
