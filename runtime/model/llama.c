/* SPDX-License-Identifier: MIT */
/* Llama, and models whose files call themselves one: Mistral (its window is a key), SmolLM2,
 * TinyLlama.  Converters reorder the rows of Q and K, so that neighbours are rotated together. */
#include "runtime/model/architecture.h"
#include "runtime/model/attend.h"
#include "runtime/model/matrices.h"
#include "runtime/model/rows.h"

void qr_llama_layer(struct qr_activations *a, uint32_t i)
{
    qr_rows_attn_norm(a, i);
    qr_matrices_qkv(a, i);
    qr_attend_layer(a, i);
    qr_matrices_output(a, i);
    qr_rows_ffn_norm(a, i);
    qr_matrices_gate_up(a, i);
    qr_matrices_down(a, i);
}

const struct qr_architecture qr_llama = {
    .name = "llama",
    .norm = QR_NORM_RMS,
    .positions = QR_ROPE_PAIRS,
    .tensors = {{"attn_q", QR_Q, QR_Q, QR_BIAS_MAY},
                {"attn_k", QR_K, QR_K, QR_BIAS_MAY},
                {"attn_v", QR_V, QR_V, QR_BIAS_MAY},
                {"attn_output", QR_O, QR_O, QR_BIAS_MAY},
                {"ffn_gate", QR_GATE, QR_GATE, QR_BIAS_MAY},
                {"ffn_up", QR_UP, QR_UP, QR_BIAS_MAY},
                {"ffn_down", QR_DOWN, QR_DOWN, QR_BIAS_MAY}},
    .layer = qr_llama_layer,
};
