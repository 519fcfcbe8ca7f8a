/* SPDX-License-Identifier: MIT */
/* gemm -- rows of activations times a packed, quantised matrix.
 *
 * A matrix has n outputs; each is a row of k weights in the model file.  It is packed into panels
 * of 16 outputs.  A kernel reads a panel from its first byte to its last:
 *
 *     file: n rows of k weights           packed: panels of 16 outputs
 *     output 0   [.. k weights ..]        panel 0  | 32 k of 16 outputs | 32 k of .. |  ..  |
 *     output 1   [..           ..]        panel 1  | 32 k of 16 outputs | ..
 *      ..                                  ..      panel_stride bytes from panel to panel
 *     output n-1 [..           ..]        the last panel is padded with zero outputs
 *
 * gemm_layout.h has each type's layout in detail.
 *
 * Activations are quantised to int8 in blocks of 32 k and stored in tiles of 16 rows.  A block's
 * scale is amax / 127 rounded up to three significant bits, which saves the kernels a product for
 * each row, output and block (qr_act_scale).  The block also stores its sums, by which the weights'
 * offsets and minima are multiplied (struct qr_act_row).
 *
 * Order of operations: an output is one chain over k, acc = fma(dw * da, (float)isum, acc), block
 * after block (Q6_K: first 16 k of a block, then the other 16), for any number of rows or threads.
 * Integer sums are exact.  Q4_1 and Q5_1 add the minima of two blocks before both, with the
 * minima's residuals and the sums of activations rounded to bf16.  Therefore every variant equals
 * scalar bit for bit, and a row's bits do not depend on other rows.
 *
 * Thread: any; calls for different panels or rows may run at once.
 * Memory: the caller's, 64-byte aligned. */
#ifndef QR_KERNELS_GEMM_H
#define QR_KERNELS_GEMM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/types.h"

#define QR_PANEL_N   16u /* outputs in a panel */
#define QR_TILE_ROWS 16u /* rows in an activation tile */
#define QR_ACT_BLOCK 32u /* k in an activation block */

struct qr_matrix {
    enum qr_type type;   /* the file's type; each type has a packed form of its own */
    uint32_t n;          /* outputs */
    uint32_t k;          /* inputs, a multiple of 32 (of 256 for K-quants and IQ4_XS) */
    uint32_t panels_n;   /* ceil(n / QR_PANEL_N) */
    size_t panel_bytes;  /* a multiple of 64 */
    size_t panel_stride; /* bytes from one panel to the next: panel_bytes, or more if the panels of
                            two matrices alternate in memory */
    const uint8_t *data; /* panel 0 */
};

/* Fills all fields except data.  False: the type has no packed form, n or k is 0, or k is not a
 * multiple of the type's block. */
bool qr_matrix_shape(struct qr_matrix *m, enum qr_type type, uint32_t n, uint32_t k);
size_t qr_matrix_bytes(const struct qr_matrix *m);
/* Packs panels [begin, end).  dst is the address of panel 0; rows is the file's data of the whole
 * matrix, n rows of k weights, of any alignment. */
void qr_matrix_pack(const struct qr_matrix *m, uint8_t *dst, const void *rows, uint32_t begin,
                    uint32_t end);

/* Quantised activations: rows_max x k.  Writing different rows, or different blocks of one row,
 * from several threads is safe. */
struct qr_acts {
    uint32_t k;
    size_t tile_bytes; /* of QR_TILE_ROWS rows */
    uint8_t *data;     /* [tiles][tile_bytes] */
};
size_t qr_acts_bytes(uint32_t rows_max, uint32_t k);
void qr_acts_init(struct qr_acts *acts, void *memory, uint32_t k);

/* Quantises rows [row_begin, row_end).  x: the first row's values, rows x_stride floats apart; the
 * n values of each row become k0 to k0 + n of acts.  n and k0 are multiples of 32.  Rounds to
 * nearest even.  A block with an infinity, or with amax under 2^-60 or over 2^100, becomes zeros;
 * the result of NaN is unspecified. Seven parameters: a struct made calls for one row measurably
 * slower (docs/notes/kernels.md). */
#define QR_QUANTIZE_FN(name)                                                                       \
    void name(struct qr_acts *acts, uint32_t row_begin, uint32_t row_end, uint32_t k0,             \
              const float *x, size_t x_stride, uint32_t n)
typedef QR_QUANTIZE_FN(qr_quantize_fn);

/* One product: panels [panel_begin, panel_end) of m times rows [row_begin, row_end) of acts.  Row
 * row_begin + r and column c of panel panel_begin + p go to
 * out[r * out_stride + QR_PANEL_N * p + c]; columns past m->n are not written. */
struct qr_gemm_args {
    const struct qr_matrix *m;
    uint32_t panel_begin;
    uint32_t panel_end;
    const struct qr_acts *acts;
    uint32_t row_begin; /* a multiple of QR_TILE_ROWS */
    uint32_t row_end;
    float *out;
    size_t out_stride; /* not a multiple of 1,024: rows 4,096 bytes apart share a cache set */
    bool add;          /* add the finished sums to out instead of storing them */
};
#define QR_GEMM_FN(name) void name(const struct qr_gemm_args *g)
typedef QR_GEMM_FN(qr_gemm_fn);

struct qr_gemm_kernels {
    qr_quantize_fn *quantize;
    qr_gemm_fn *q4_0; /* all exact: every variant equals scalar, bit for bit */
    qr_gemm_fn *q4_1;
    qr_gemm_fn *q5_0;
    qr_gemm_fn *q5_1;
    qr_gemm_fn *q8_0;
    qr_gemm_fn *iq4_nl;
    qr_gemm_fn *q2_k;
    qr_gemm_fn *q3_k;
    qr_gemm_fn *q4_k;
    qr_gemm_fn *q5_k;
    qr_gemm_fn *q6_k;
    qr_gemm_fn *iq4_xs;
};

/* The kernel for a matrix's type; NULL if the type has none. */
qr_gemm_fn *qr_gemm_for(const struct qr_gemm_kernels *k, enum qr_type type);

void qr_gemm_init(struct qr_gemm_kernels *k, unsigned cpu_flags);

#endif
