/* SPDX-License-Identifier: MIT */
/* x86/rows -- the x86 variants of rows.h, in ascending order of levels.  Each equals scalar bit for
 * bit.
 *
 * Thread: any.   Memory: the caller's. */
#ifndef QR_KERNELS_X86_ROWS_H
#define QR_KERNELS_X86_ROWS_H

#include "kernels/cpu.h"
#include "kernels/rows.h"

QR_RMS_NORM_FN(qr_rms_norm_avx2);
QR_LAYER_NORM_FN(qr_layer_norm_avx2);
QR_ROPE_FN(qr_rope_avx2);
QR_ROPE_FN(qr_rope_halves_avx2);
QR_SWIGLU_FN(qr_swiglu_avx2);
QR_GELU_FN(qr_gelu_avx2);
QR_ADD_FN(qr_add_avx2);
QR_ARGMAX_FN(qr_argmax_avx2);
QR_BEST_FN(qr_best_avx2);
QR_LOGSUMEXP_FN(qr_logsumexp_avx2);
QR_TOPK_FN(qr_topk_avx2);

QR_RMS_NORM_FN(qr_rms_norm_avx512);
QR_LAYER_NORM_FN(qr_layer_norm_avx512);
QR_ROPE_FN(qr_rope_avx512);
QR_ROPE_FN(qr_rope_halves_avx512);
QR_SWIGLU_FN(qr_swiglu_avx512);
QR_GELU_FN(qr_gelu_avx512);
QR_ADD_FN(qr_add_avx512);
QR_ARGMAX_FN(qr_argmax_avx512);
QR_BEST_FN(qr_best_avx512);
QR_LOGSUMEXP_FN(qr_logsumexp_avx512);
QR_TOPK_FN(qr_topk_avx512);

static inline void rows_init_x86(struct qr_row_kernels *k, unsigned flags)
{
    if (!(flags & QR_CPU_AVX2)) return;
    k->rms_norm = qr_rms_norm_avx2;
    k->layer_norm = qr_layer_norm_avx2;
    k->rope = qr_rope_avx2;
    k->rope_halves = qr_rope_halves_avx2;
    k->swiglu = qr_swiglu_avx2;
    k->gelu = qr_gelu_avx2;
    k->add = qr_add_avx2;
    k->argmax = qr_argmax_avx2;
    k->best = qr_best_avx2;
    k->logsumexp = qr_logsumexp_avx2;
    k->topk = qr_topk_avx2;

    if (!(flags & QR_CPU_AVX512)) return;
    k->rms_norm = qr_rms_norm_avx512;
    k->layer_norm = qr_layer_norm_avx512;
    k->rope = qr_rope_avx512;
    k->rope_halves = qr_rope_halves_avx512;
    k->swiglu = qr_swiglu_avx512;
    k->gelu = qr_gelu_avx512;
    k->add = qr_add_avx512;
    k->argmax = qr_argmax_avx512;
    k->best = qr_best_avx512;
    k->logsumexp = qr_logsumexp_avx512;
    k->topk = qr_topk_avx512;
}

#endif
