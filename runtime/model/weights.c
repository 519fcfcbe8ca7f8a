/* SPDX-License-Identifier: MIT */
#include "runtime/model/weights.h"

bool qr_weights_init(struct qr_weights *w, const struct qr_kernels *kernels,
                     const struct qr_gguf_tensor *tensor)
{
    enum qr_type type = (enum qr_type)tensor->type;

    *w = (struct qr_weights){.tensor = tensor, .add = kernels->rows.add};
    if (!tensor->data || tensor->dims[0] > UINT32_MAX / 2 || tensor->dims[1] > UINT32_MAX / 2)
        return false;
    w->k = (uint32_t)tensor->dims[0];
    w->n = (uint32_t)tensor->dims[1];
    w->is_float = qr_type_traits(tensor->type)->is_float;
    if (w->is_float) {
        w->gemm_float = qr_gemm_float_for(&kernels->gemm_float, type);
        if (!qr_float_matrix_shape(&w->packed, type, w->n, w->k)) return false;
        w->panel_n = QR_FLOAT_PANEL_N;
    } else {
        w->gemm = qr_gemm_for(&kernels->gemm, type);
        if (!w->gemm || !qr_matrix_shape(&w->packed, type, w->n, w->k)) return false;
        w->panel_n = QR_PANEL_N;
    }
    w->panels_n = w->packed.panels_n;
    return true;
}

void qr_weights_pack(const struct qr_weights *w, uint8_t *memory, uint32_t begin, uint32_t end)
{
    if (w->is_float)
        qr_float_matrix_pack(&w->packed, memory, w->tensor->data, begin, end);
    else
        qr_matrix_pack(&w->packed, memory, w->tensor->data, begin, end);
}

/* After the product, while its rows are in the cache. */
static void add_bias(const struct qr_weights *w, const struct qr_product *p)
{
    const uint32_t begin = p->panel_begin * w->panel_n;
    const uint32_t end = p->panel_end * w->panel_n < w->n ? p->panel_end * w->panel_n : w->n;

    for (uint32_t row = 0; row < p->row_end - p->row_begin; row++)
        w->add(p->out + row * p->out_stride, w->bias + begin, end - begin);
}

void qr_weights_multiply(const struct qr_weights *w, const struct qr_product *p)
{
    const struct qr_inputs *in = p->in;

    if (w->is_float)
        w->gemm_float(&(struct qr_gemm_float_args){.m = &w->packed,
                                                   .panel_begin = p->panel_begin,
                                                   .panel_end = p->panel_end,
                                                   .x = in->floats + p->row_begin * in->stride,
                                                   .x_stride = in->stride,
                                                   .rows_n = p->row_end - p->row_begin,
                                                   .out = p->out,
                                                   .out_stride = p->out_stride,
                                                   .add = p->add});
    else
        w->gemm(&(struct qr_gemm_args){.m = &w->packed,
                                       .panel_begin = p->panel_begin,
                                       .panel_end = p->panel_end,
                                       .acts = &in->acts,
                                       .row_begin = p->row_begin,
                                       .row_end = p->row_end,
                                       .out = p->out,
                                       .out_stride = p->out_stride,
                                       .add = p->add});
    if (w->bias) add_bias(w, p);
}

/* ---- a model -------------------------------------------------------------------------------- */

const struct qr_model_shape *qr_model_shape(const struct qr_model *model)
{
    return &model->shape;
}

uint64_t qr_model_weights_bytes(const struct qr_model *model)
{
    return model->weights_bytes;
}

uint64_t qr_model_weights_n(const struct qr_model *model, uint64_t *head_n)
{
    *head_n = (uint64_t)model->shape.width * model->shape.vocab_n;
    return model->weights_n;
}
