/* SPDX-License-Identifier: MIT */
/* kernels -- the dispatch table of all kernels.
 *
 * Scalar C is the specification and always built.  A variant is in a file that is compiled with its
 * level's flags; it enters the table if the CPU has that level.
 *
 * Thread: any; constant after qr_kernels_init.   Memory: the caller's. */
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
    struct qr_gemm_float_kernels gemm_float;
    struct qr_attention_kernels attention;
    struct qr_row_kernels rows;
    struct qr_limit_kernels limits;
};

/* cpu_flags: qr_cpu_flags(), or fewer to force a lower level. */
void qr_kernels_init(struct qr_kernels *k, unsigned cpu_flags);

#endif
