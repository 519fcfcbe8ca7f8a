/* SPDX-License-Identifier: MIT */
/* The order of a llama's layers. */
#include "runtime/model/pass.h"

static unsigned wants_of_attention(const struct qr_layer *layer)
{
    return qr_weights_wants(&layer->q) | qr_weights_wants(&layer->k) | qr_weights_wants(&layer->v);
}

static unsigned wants_of_ffn(const struct qr_layer *layer)
{
    return qr_weights_wants(&layer->gate) | qr_weights_wants(&layer->up);
}

void qr_llama_forward(struct qr_pass *p)
{
    const struct qr_model *m = p->model;
    const uint32_t layers_n = m->shape.layers_n;

    qr_pass_tile(p);
    for (uint32_t i = 0; i < layers_n; i++) {
        const struct qr_layer *layer = &m->layers[i];
        /* Of the last layer, rows that nobody asks for owe their keys and values only. */
        bool select = i + 1 == layers_n && p->outputs_n <= p->rows_n / 2;

        if (i == 0)
            qr_pass_embed(p, layer->attn_norm, wants_of_attention(layer));
        else
            qr_pass_norm(p, layer->attn_norm, wants_of_attention(layer));
        qr_pass_project(p, layer);
        if (select) {
            qr_pass_store(p, i);
            qr_pass_select(p);
        }
        if (p->rows_n == 0) return;
        qr_pass_attend(p, i, !select, qr_weights_wants(&layer->o));
        qr_pass_multiply_add(p, &layer->o, &p->attended);
        qr_pass_norm(p, layer->ffn_norm, wants_of_ffn(layer));
        qr_pass_gate_up(p, layer);
        qr_pass_multiply_add(p, &layer->down, &p->hidden);
    }
    qr_pass_finish(p, m->head_norm);
}
