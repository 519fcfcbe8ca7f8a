/* SPDX-License-Identifier: MIT */
/* Qwen2 and Qwen2.5: a llama with biases on Q, K and V, and heads that are rotated by halves. */
#include "runtime/model/architecture.h"

const struct qr_architecture qr_qwen2 = {
    .name = "qwen2",
    .norm = QR_NORM_RMS,
    .positions = QR_ROPE_HALVES,
    .tensors = {{"attn_q", QR_Q, QR_Q, QR_BIAS_MUST},
                {"attn_k", QR_K, QR_K, QR_BIAS_MUST},
                {"attn_v", QR_V, QR_V, QR_BIAS_MUST},
                {"attn_output", QR_O, QR_O, QR_BIAS_NONE},
                {"ffn_gate", QR_GATE, QR_GATE, QR_BIAS_NONE},
                {"ffn_up", QR_UP, QR_UP, QR_BIAS_NONE},
                {"ffn_down", QR_DOWN, QR_DOWN, QR_BIAS_NONE}},
    .layer = qr_llama_layer,
};
