/* SPDX-License-Identifier: MIT */
/* kernels -- the one dispatch table.
 *
 * Scalar C is the specification and always there; a variant is a file of its own with its own
 * compile flags, put into the table where the CPU has its level.
 *
 * Thread: any; constant once made.   Memory: the caller's. */
#ifndef QR_KERNELS_KERNELS_H
#define QR_KERNELS_KERNELS_H

#include "kernels/attention.h"
#include "kernels/cpu.h"
#include "kernels/gemm.h"
#include "kernels/gemm_float.h"
#include "kernels/limits.h"
#include "kernels/rows.h"

struct qr_kernels {
    unsigned cpu_flags;
    struct qr_gemm_kernels gemm;
    struct qr_float_kernels gemm_float;
    struct qr_attention_kernels attention;
    struct qr_row_kernels rows;
    struct qr_limit_kernels limits;
};

/* cpu_flags: qr_cpu_flags(), or fewer to force a lower level. */
void qr_kernels_init(struct qr_kernels *k, unsigned cpu_flags);

#endif
