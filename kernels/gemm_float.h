/* SPDX-License-Identifier: MIT */
/* gemm_float -- rows of f32 activations times an F32, F16 or BF16 matrix, by OpenBLAS.
 *
 * The matrix stays in the file's rows, [n][k].  Work is done in column panels of one fixed size
 * (QR_FLOAT_PANEL_N outputs) whatever the number of threads; F16 and BF16 panels are widened into
 * the caller's scratch.  OpenBLAS gives a row the same bits for any number of rows, except on its
 * small-matrix path, and in the last group of rows of its kernels for AVX2 and older (Haswell's
 * and Zen's: 12): rows are padded until rows * panel * k is above 1,000,000, and to whole groups
 * (measured with 0.3.21; a test keeps this true for every kernel that the machine can run).
 *
 * This is the only file that knows cblas.  OpenBLAS runs single-threaded inside the team.
 *
 * Thread: any.   Memory: scratch is the caller's, one a thread, 64-byte aligned. */
#ifndef QR_KERNELS_GEMM_FLOAT_H
#define QR_KERNELS_GEMM_FLOAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/types.h"

#define QR_FLOAT_PANEL_N 256u

struct qr_float_matrix {
    enum qr_type type; /* F32, F16 or BF16 */
    uint32_t n, k;
    uint32_t panels_n;
    const void *data; /* [n][k], any alignment that the type's size divides */
};
/* k is at least 8.  False: the type is no float type. */
bool qr_float_matrix_init(struct qr_float_matrix *m, enum qr_type type, uint32_t n, uint32_t k,
                          const void *data);

/* n values of an F16 or BF16 row to f32, exactly. */
#define QR_WIDEN_FN(name) void name(const void *src, float *dst, size_t n)
typedef QR_WIDEN_FN(qr_widen_fn);

struct qr_float_kernels {
    qr_widen_fn *f16;
    qr_widen_fn *bf16;
};
void qr_float_init(struct qr_float_kernels *k, unsigned cpu_flags);

/* Bytes of one thread's scratch for rows_max rows of up to k_max. */
size_t qr_gemm_float_scratch_bytes(uint32_t rows_max, uint32_t k_max);

/* out[r][column] for rows [0, rows_n) and the panels [panel_begin, panel_end); x is [rows_n][k]
 * with stride x_stride.  out points at the column of panel_begin.  add: as qr_gemm_fn. */
void qr_gemm_float(const struct qr_float_kernels *kernels, const struct qr_float_matrix *m,
                   uint32_t panel_begin, uint32_t panel_end, const float *x, size_t x_stride,
                   uint32_t rows_n, float *out, size_t out_stride, bool add, void *scratch);

#endif
