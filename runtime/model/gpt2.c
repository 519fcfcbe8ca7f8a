/* SPDX-License-Identifier: MIT */
/* GPT-2: learned positions, LayerNorm, biases everywhere, Q, K and V in one tensor, and GELU in its
 * tanh form between two matrices. */
#include "runtime/model/architecture.h"
#include "runtime/model/attend.h"
#include "runtime/model/matrices.h"
#include "runtime/model/rows.h"

static void layer(struct qr_activations *a, uint32_t i)
{
    qr_rows_attn_norm(a, i);
    qr_matrices_qkv(a, i);
    qr_attend_layer(a, i);
    qr_matrices_output(a, i);
    qr_rows_ffn_norm(a, i);
    qr_matrices_up(a, i);
    qr_matrices_down(a, i);
}

const struct qr_architecture qr_gpt2 = {
    .name = "gpt2",
    .norm = QR_NORM_LAYER,
    .positions = QR_POSITIONS_LEARNED,
    .tensors = {{"attn_qkv", QR_Q, QR_V, QR_BIAS_MUST},
                {"attn_output", QR_O, QR_O, QR_BIAS_MUST},
                {"ffn_up", QR_UP, QR_UP, QR_BIAS_MUST},
                {"ffn_down", QR_DOWN, QR_DOWN, QR_BIAS_MUST}},
    .layer = layer,
};
