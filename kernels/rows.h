/* SPDX-License-Identifier: MIT */
/* rows -- what happens to one row of floats between the matrices.
 *
 * Each works on one row, so that a row's bits cannot depend on its neighbours.  Sums go in 16
 * lanes (index mod 16) and one fixed tree, the same in every variant: lane i meets lane i + 8,
 * then i + 4, i + 2, i + 1.  Every n is a multiple of 8.
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

/* Rotates neighbouring pairs (2i, 2i + 1) of heads_n heads of head_dim values by the angles whose
 * cosines and sines are given, [rotary_n / 2] each; values past rotary_n stay.  In place. */
#define QR_ROPE_FN(name)                                                                           \
    void name(float *x, uint32_t heads_n, uint32_t head_dim, uint32_t rotary_n,                    \
              const float *cosines, const float *sines)
typedef QR_ROPE_FN(qr_rope_fn);

/* The same for the pairs (i, i + rotary_n / 2): how GPT-NeoX lays heads out. */
typedef QR_ROPE_FN(qr_rope_halves_fn);

/* out = gate / (1 + exp(-gate)) * up.  out may be gate or up. */
#define QR_SWIGLU_FN(name) void name(float *out, const float *gate, const float *up, uint32_t n)
typedef QR_SWIGLU_FN(qr_swiglu_fn);

/* GELU by its tanh form: out = x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))), computed as
 * x / (1 + exp(-2 u)) of the tanh's argument u.  out may be x. */
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

/* The index of the greatest value, the lowest of equals; NaN never wins (all NaN: 0). */
#define QR_ARGMAX_FN(name) uint32_t name(const float *x, uint32_t n)
typedef QR_ARGMAX_FN(qr_argmax_fn);

/* Folds a piece of a row, its values [first, first + n), into the row's best so far.  Of pieces
 * that make the row, in any order, the best is argmax's: a best that begins as QR_BEST_NONE, and
 * still is it after nothing but NaN.  Two bests meet as a piece of one value.  n > 0 is any. */
#define QR_BEST_FN(name)                                                                           \
    void name(struct qr_scored *best, const float *x, uint32_t n, uint32_t first)
typedef QR_BEST_FN(qr_best_fn);
#define QR_BEST_NONE ((struct qr_scored){-INFINITY, UINT32_MAX})

/* log(sum(exp(x))), in double after one f32 pass of exp(x - max) in lanes.  n is any. */
#define QR_LOGSUMEXP_FN(name) float name(const float *x, uint32_t n)
typedef QR_LOGSUMEXP_FN(qr_logsumexp_fn);

/* The k greatest values in descending order, equals by ascending index: their indices.  k <= n.
 * No sort of the whole row. heap: k pairs of scratch are inside out. */
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
