/* SPDX-License-Identifier: MIT */
/* rows -- operations on one row of floats between the matrices.
 *
 * Each works on one row, so that a row's bits cannot depend on other rows.  Sums have 16 lanes
 * (index mod 16), which one fixed tree adds in every variant: lane i plus lane i + 8, then i + 4,
 * i + 2, i + 1.  Every n is a multiple of 8 unless the function says otherwise.
 *
 * Thread: any.   Memory: the caller's. */
#ifndef QR_KERNELS_ROWS_H
#define QR_KERNELS_ROWS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

/* out = x / sqrt(mean(x^2) + eps) * weight.  out may be x. */
#define QR_RMS_NORM_FN(name)                                                                       \
    void name(float *out, const float *x, const float *weight, float eps, uint32_t n)
typedef QR_RMS_NORM_FN(qr_rms_norm_fn);

/* out = (x - mean(x)) / sqrt(mean((x - mean)^2) + eps) * weight + bias.  out may be x. */
#define QR_LAYER_NORM_FN(name)                                                                     \
    void name(float *out, const float *x, const float *weight, const float *bias, float eps,       \
              uint32_t n)
typedef QR_LAYER_NORM_FN(qr_layer_norm_fn);

/* Rotates the pairs (2i, 2i + 1) of heads_n heads of head_dim values, in place.  cosines and sines
 * of the angles: [rotary_n / 2] each.  Values from rotary_n on are unchanged. */
#define QR_ROPE_FN(name)                                                                           \
    void name(float *x, uint32_t heads_n, uint32_t head_dim, uint32_t rotary_n,                    \
              const float *cosines, const float *sines)
typedef QR_ROPE_FN(qr_rope_fn);

/* The same for the pairs (i, i + rotary_n / 2), GPT-NeoX's order. */
typedef QR_ROPE_FN(qr_rope_halves_fn);

/* out = gate / (1 + exp(-gate)) * up.  out may be gate or up. */
#define QR_SWIGLU_FN(name) void name(float *out, const float *gate, const float *up, uint32_t n)
typedef QR_SWIGLU_FN(qr_swiglu_fn);

/* GELU in its tanh form: out = x / 2 * (1 + tanh(u)), u = sqrt(2 / pi) * (x + 0.044715 x^3),
 * computed as x / (1 + exp(-2 u)).  out may be x. */
#define QR_GELU_FN(name) void name(float *out, const float *x, uint32_t n)
typedef QR_GELU_FN(qr_gelu_fn);
#define QR_GELU_LINEAR -0x1.988454p+0f /* -2 sqrt(2 / pi) */
#define QR_GELU_CUBIC  -0x1.2444f2p-4f /* that times 0.044715 */

/* out += x */
#define QR_ADD_FN(name) void name(float *out, const float *x, uint32_t n)
typedef QR_ADD_FN(qr_add_fn);

struct qr_scored {
    float value;
    uint32_t index;
};

/* The index of the greatest value; of equal values the lowest index.  NaN never wins; all NaN: 0. n
 * is any number above 0. */
#define QR_ARGMAX_FN(name) uint32_t name(const float *x, uint32_t n)
typedef QR_ARGMAX_FN(qr_argmax_fn);

/* Merges the values [first, first + n) of a row into *best, which starts as QR_BEST_NONE.  After
 * all segments of the row, in any order, best is argmax's; it is still QR_BEST_NONE if all are NaN.
 * To merge two bests, pass one of them as a segment of one value.  n is any number above 0. */
#define QR_BEST_FN(name)                                                                           \
    void name(struct qr_scored *best, const float *x, uint32_t n, uint32_t first)
typedef QR_BEST_FN(qr_best_fn);
#define QR_BEST_NONE ((struct qr_scored){-INFINITY, UINT32_MAX})

/* log(sum(exp(x))): exp(x - max) in f32, their sums and the logarithm in double.  n is any number
 * above 0. */
#define QR_LOGSUMEXP_FN(name) float name(const float *x, uint32_t n)
typedef QR_LOGSUMEXP_FN(qr_logsumexp_fn);

/* out[k]: the k greatest values with their indices, in descending order; equal values in ascending
 * order of index.  k <= n, n is any number.  Does not sort the whole row. */
#define QR_TOPK_FN(name) void name(const float *x, uint32_t n, uint32_t k, struct qr_scored *out)
typedef QR_TOPK_FN(qr_topk_fn);

struct qr_row_kernels {
    qr_rms_norm_fn *rms_norm;
    qr_layer_norm_fn *layer_norm;
    qr_rope_fn *rope;
    qr_rope_halves_fn *rope_halves;
    qr_swiglu_fn *swiglu;
    qr_gelu_fn *gelu;
    qr_add_fn *add;
    qr_argmax_fn *argmax;
    qr_best_fn *best;
    qr_logsumexp_fn *logsumexp;
    qr_topk_fn *topk;
};
void qr_rows_init(struct qr_row_kernels *k, unsigned cpu_flags);

#endif
