/* SPDX-License-Identifier: MIT */
/* GPT-2: learned positions, LayerNorm, biases everywhere, Q, K and V in one tensor, and GELU in its
 * tanh form between two matrices. */
#include "runtime/model/architecture.h"

static void forward(struct qr_pass *p)
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
        qr_pass_up(p, layer);
        qr_pass_multiply_add(p, &layer->down, &p->hidden);
    }
    qr_pass_finish(p, &m->head_norm);
}

const struct qr_architecture qr_gpt2 = {
    .name = "gpt2",
    .norm = QR_NORM_LAYER,
    .positions = QR_POSITIONS_LEARNED,
    .tensors = {{"attn_qkv", QR_Q, QR_V, QR_BIAS_MUST},
                {"attn_output", QR_O, QR_O, QR_BIAS_MUST},
                {"ffn_up", QR_UP, QR_UP, QR_BIAS_MUST},
                {"ffn_down", QR_DOWN, QR_DOWN, QR_BIAS_MUST}},
    .forward = forward,
};
