/* SPDX-License-Identifier: MIT */
/* Llama, and all that is one by its file: Mistral (whose window is a key), SmolLM2, TinyLlama.
 * Converters reorder the rows of Q and K, so that neighbours are rotated together. */
#include "runtime/model/architecture.h"

void qr_llama_forward(struct qr_pass *p)
{
    const struct qr_model *m = p->model;
    const uint32_t layers_n = m->shape.layers_n;

    qr_pass_tile(p);
    for (uint32_t i = 0; i < layers_n; i++) {
        const struct qr_layer *layer = &m->layers[i];

        if (i == 0)
            qr_pass_embed(p, &layer->attn_norm, qr_layer_wants_attention(layer));
        else
            qr_pass_norm(p, &layer->attn_norm, qr_layer_wants_attention(layer));
        qr_pass_project(p, layer);
        bool stored = i + 1 == layers_n && qr_pass_narrow(p, i);
        if (p->rows_n == 0) return;
        qr_pass_attend(p, i, !stored, qr_weights_wants(&layer->o));
        qr_pass_multiply_add(p, &layer->o, &p->attended);
        qr_pass_norm(p, &layer->ffn_norm, qr_layer_wants_ffn(layer));
        qr_pass_gate_up(p, layer);
        qr_pass_multiply_add(p, &layer->down, &p->hidden);
    }
    qr_pass_finish(p, &m->head_norm);
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
    .forward = qr_llama_forward,
};
