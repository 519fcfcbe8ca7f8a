/* SPDX-License-Identifier: MIT */
/* gemm_float -- rows of f32 activations times an F32, F16 or BF16 matrix, packed for it.
 *
 * A matrix is packed into panels of 32 outputs (QR_FLOAT_PANEL_N), each one stream: for every k the
 * 32 weights in the file's own type, so that nothing is wider in memory than in the file.
 *
 *   F32, F16  [k][32]
 *   BF16      [k][16][2]: words 2c and 2c + 1 are outputs c and 16 + c, so that a whole vector
 *             widens by one shift for its even words and one mask for its odd ones
 *
 * The last panel is filled up with outputs that are zero.  Activations are rows of floats as they
 * are.  Widening is exact.
 *
 * Order: an output is one chain over k from 0, acc = fma(w[k], x[k], acc), whatever the number of
 * rows or threads.  So every variant equals scalar bit for bit (NaNs' payloads apart), and a row's
 * bits do not depend on its neighbours.
 *
 * Thread: any; panels and rows can be spread at will.   Memory: the caller's, panels 64-byte
 * aligned. */
#ifndef QR_KERNELS_GEMM_FLOAT_H
#define QR_KERNELS_GEMM_FLOAT_H

#include "kernels/gemm.h"

#define QR_FLOAT_PANEL_N 32u

/* Fills all but data.  False: the type is no float type, or there is nothing in the matrix. */
bool qr_float_matrix_shape(struct qr_matrix *m, enum qr_type type, uint32_t n, uint32_t k);
/* Packs panels [begin, end) into dst (the address of panel 0).  rows: the file's data of the whole
 * matrix, n rows of k weights, any alignment. */
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

struct qr_float_kernels {
    qr_gemm_float_fn *f32;
    qr_gemm_float_fn *f16;
    qr_gemm_float_fn *bf16;
};

/* The kernel for a matrix's type; NULL for a type that is no float type. */
qr_gemm_float_fn *qr_gemm_float_for(const struct qr_float_kernels *k, enum qr_type type);

void qr_float_init(struct qr_float_kernels *k, unsigned cpu_flags);

#endif
