/* SPDX-License-Identifier: MIT */
/* gemm_float -- rows of f32 activations times a packed F32, F16 or BF16 matrix.
 *
 * A matrix is packed into panels of 32 outputs (QR_FLOAT_PANEL_N).  Weights keep the file's type,
 * so the packed matrix is no larger than the file's:
 *
 *     F32, F16   k = 0 | w of output 0 | 1 | 2 | ..  | 31 |   k = 1 | w of output 0 | ..
 *     BF16       k = 0 | w of output 0 | 16 | 1 | 17 | ..  | 15 | 31 |   k = 1 | ..
 *
 * A vector of BF16 words becomes outputs 0 to 15 by one shift and outputs 16 to 31 by one mask. The
 * last panel is padded with zero outputs.  Activations are plain rows of floats.
 *
 * Order of operations: widening is exact; an output is one chain over k from 0,
 * acc = fma(w[k], x[k], acc), for any number of rows or threads.  So every variant equals scalar
 * bit for bit (except NaN payloads), and a row's bits do not depend on other rows.
 *
 * Thread: any; calls for different panels or rows may run at once.
 * Memory: the caller's, panels 64-byte aligned. */
#ifndef QR_KERNELS_GEMM_FLOAT_H
#define QR_KERNELS_GEMM_FLOAT_H

#include "kernels/gemm.h"

#define QR_FLOAT_PANEL_N 32u

/* Fills all fields except data.  False: the type is not a float type, or n or k is 0. */
bool qr_float_matrix_shape(struct qr_matrix *m, enum qr_type type, uint32_t n, uint32_t k);
/* Packs panels [begin, end).  dst is the address of panel 0; rows is the file's data of the whole
 * matrix, n rows of k weights, of any alignment. */
void qr_float_matrix_pack(const struct qr_matrix *m, uint8_t *dst, const void *rows, uint32_t begin,
                          uint32_t end);

/* One product: panels [panel_begin, panel_end) of m times rows_n rows of x.  Row r and column c of
 * panel panel_begin + p go to out[r * out_stride + QR_FLOAT_PANEL_N * p + c]; columns past m->n are
 * not written. */
struct qr_gemm_float_args {
    const struct qr_matrix *m;
    uint32_t panel_begin;
    uint32_t panel_end;
    const float *x; /* [rows_n][k], x_stride floats from row to row */
    size_t x_stride;
    uint32_t rows_n;
    float *out;
    size_t out_stride;
    bool add; /* add the finished sums to out instead of storing them */
};
#define QR_GEMM_FLOAT_FN(name) void name(const struct qr_gemm_float_args *g)
typedef QR_GEMM_FLOAT_FN(qr_gemm_float_fn);

struct qr_gemm_float_kernels {
    qr_gemm_float_fn *f32;
    qr_gemm_float_fn *f16;
    qr_gemm_float_fn *bf16;
};

/* The kernel for a matrix's type; NULL if the type is not a float type. */
qr_gemm_float_fn *qr_gemm_float_for(const struct qr_gemm_float_kernels *k, enum qr_type type);

void qr_gemm_float_init(struct qr_gemm_float_kernels *k, unsigned cpu_flags);

#endif
