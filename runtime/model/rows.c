/* SPDX-License-Identifier: MIT */
#include "runtime/model/rows.h"

#include <assert.h>
#include <math.h>

#include "runtime/model/architecture.h"

/* Rows in an item: a whole tile of activations where there are many, so that two threads do not
 * write the same cache lines; fewer where there would be nothing to divide. */
#define ITEM_ROWS     16u
#define ITEM_ROWS_FEW 4u
#define MANY_ROWS     64u
/* What a norm and quantising cost a value, in the multiply-adds that qr_pass_run counts. */
#define NORM_COST     16u
#define QUANTIZE_COST 8u

struct norm_work {
    struct qr_activations *a;
    const struct qr_norm *norm;
    unsigned wants;
    uint32_t item_rows;
    bool embed;
};

static uint32_t item_rows(uint32_t rows_n)
{
    return rows_n >= MANY_ROWS ? ITEM_ROWS : ITEM_ROWS_FEW;
}

size_t qr_rows_scratch_bytes(const struct qr_model_shape *shape)
{
    return shape->width * sizeof(float);
}

/* ---- embedding and norms -------------------------------------------------------------------- */

static void embed_row(const struct qr_activations *a, uint32_t row, uint32_t position,
                      float *scratch)
{
    const struct qr_model *m = a->model;
    int32_t token = a->tiles.step->tokens[a->tiles.step_rows[row]];

    assert(token >= 0 && (uint32_t)token < m->shape.vocab_n);
    qr_dequantize(m->embedding_type, m->embedding + (size_t)token * m->embedding_row_bytes,
                  qr_row(&a->x, row), m->shape.width);
    if (!m->positions) return;
    const size_t bytes = m->positions->data_n / m->shape.context_max;
    qr_dequantize((enum qr_type)m->positions->type, m->positions->data + position * bytes, scratch,
                  m->shape.width);
    m->kernels->rows.add(qr_row(&a->x, row), scratch, m->shape.width);
}

/* In double, so that a far position's angle keeps its digits; row by row, so that no table is as
 * long as the context. */
static void angle_row(const struct qr_activations *a, uint32_t row, uint32_t position)
{
    const struct qr_model *m = a->model;
    float *cosines = qr_row(&a->cosines, row);
    float *sines = qr_row(&a->sines, row);
    double cosine;
    double sine;

    for (uint32_t i = 0; i < m->shape.rotary_n / 2; i++) {
        sincos((double)position * m->frequencies[i], &sine, &cosine);
        cosines[i] = (float)(cosine * m->magnitude);
        sines[i] = (float)(sine * m->magnitude);
    }
}

static uint32_t position_of(const struct qr_step *step, uint32_t row)
{
    uint32_t begin = 0;
    uint32_t end = step->seqs_n;

    while (end - begin > 1) { /* the last sequence that begins at or before row */
        uint32_t middle = begin + (end - begin) / 2;
        if (step->seqs[middle].row <= row)
            begin = middle;
        else
            end = middle;
    }
    return step->seqs[begin].position + (row - step->seqs[begin].row);
}

static void norm_floats(const struct qr_model *m, const struct qr_norm *norm, const float *x,
                        float *out)
{
    const struct qr_model_shape *s = &m->shape;

    if (m->architecture->norm == QR_NORM_LAYER)
        m->kernels->rows.layer_norm(out, x, norm->weight, norm->bias, s->norm_eps, s->width);
    else
        m->kernels->rows.rms_norm(out, x, norm->weight, s->norm_eps, s->width);
}

static void norm_row(const struct norm_work *w, uint32_t row, uint32_t thread)
{
    struct qr_activations *a = w->a;
    const struct qr_model *m = a->model;
    struct qr_inputs *in = &a->normed;
    float *out = qr_pass_scratch(a->pass, thread);

    if (w->embed) {
        uint32_t position = position_of(a->tiles.step, a->tiles.step_rows[row]);
        embed_row(a, row, position, out);
        angle_row(a, row, position);
    }
    if (w->wants & QR_WANTS_FLOATS) out = in->floats + row * in->stride;
    norm_floats(m, w->norm, qr_row(&a->x, row), out);
    if (w->wants & QR_WANTS_ACTS)
        m->kernels->gemm.quantize(&in->acts, row, row + 1, 0, out, 0, m->shape.width);
}

static void norm_items(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    const struct norm_work *w = work;
    uint32_t stop = end * w->item_rows;

    if (stop > w->a->tiles.rows_n) stop = w->a->tiles.rows_n;
    for (uint32_t row = begin * w->item_rows; row < stop; row++)
        norm_row(w, row, thread);
}

static void run_norm(struct norm_work w)
{
    const struct qr_tiles *t = &w.a->tiles;
    const uint32_t width = w.a->model->shape.width;

    w.item_rows = item_rows(t->rows_n);
    qr_pass_run(
        w.a->pass,
        &(struct qr_work){.fn = norm_items,
                          .work = &w,
                          .work_bytes = sizeof w,
                          .items_n = (qr_tiles_divided_rows(t) + w.item_rows - 1) / w.item_rows,
                          .phase = w.embed ? QR_PHASE_EMBED : QR_PHASE_NORM,
                          .cost = (uint64_t)t->rows_n * width * NORM_COST});
}

void qr_rows_attn_norm(struct qr_activations *a, uint32_t i)
{
    const struct qr_layer *layer = &a->model->layers[i];

    run_norm((struct norm_work){.a = a,
                                .norm = &layer->attn_norm,
                                .wants = qr_weights_wants(&layer->q) | qr_weights_wants(&layer->k) |
                                         qr_weights_wants(&layer->v),
                                .embed = i == 0});
}

void qr_rows_ffn_norm(struct qr_activations *a, uint32_t i)
{
    const struct qr_layer *layer = &a->model->layers[i];
    unsigned gate = layer->gate.n ? qr_weights_wants(&layer->gate) : 0;

    run_norm((struct norm_work){
        .a = a, .norm = &layer->ffn_norm, .wants = gate | qr_weights_wants(&layer->up)});
}

static void finish(void *work)
{
    struct qr_activations *a = work;
    const struct qr_tiles *t = &a->tiles;

    for (uint32_t i = 0; i < t->step->outputs_n; i++)
        norm_floats(a->model, &a->model->head_norm,
                    qr_row(&a->x, t->pass_rows[t->step->outputs[i]]), qr_row(&a->states, i));
}

void qr_rows_finish(struct qr_activations *a)
{
    qr_pass_run_alone(a->pass, QR_PHASE_NORM, finish, a);
}

/* ---- quantising ----------------------------------------------------------------------------- */

struct quantize_work {
    struct qr_activations *a;
    struct qr_inputs *in;
    uint32_t rows_n;
    uint32_t item_rows;
};

static void quantize_items(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    const struct quantize_work *w = work;
    uint32_t row = begin * w->item_rows;
    uint32_t stop = end * w->item_rows;

    (void)thread;
    if (stop > w->rows_n) stop = w->rows_n;
    if (row >= stop) return;
    w->a->model->kernels->gemm.quantize(&w->in->acts, row, stop, 0,
                                        w->in->floats + row * w->in->stride, w->in->stride,
                                        w->in->acts.k);
}

void qr_rows_quantize(struct qr_activations *a, struct qr_inputs *in, uint32_t rows_n)
{
    const struct qr_tiles *t = &a->tiles;
    struct quantize_work w = {.a = a, .in = in, .rows_n = rows_n, .item_rows = item_rows(rows_n)};
    uint32_t divided_n = t->owned_n ? qr_tiles_divided_rows(t) : rows_n;

    assert(t->owned_n == 0 || rows_n == t->rows_n);
    qr_pass_run(a->pass, &(struct qr_work){.fn = quantize_items,
                                           .work = &w,
                                           .work_bytes = sizeof w,
                                           .items_n = (divided_n + w.item_rows - 1) / w.item_rows,
                                           .phase = QR_PHASE_NORM,
                                           .cost = (uint64_t)rows_n * in->acts.k * QUANTIZE_COST});
}
