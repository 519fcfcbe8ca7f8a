/* SPDX-License-Identifier: MIT */
/* What happens to single rows between the matrices: embedding, angles, norms, quantising. */
#include <assert.h>
#include <math.h>

#include "runtime/model/architecture.h"

/* Rows in an item: a whole tile of activations where there are many, so that two threads do not
 * write the same cache lines; fewer where there would be nothing to share out. */
#define PIECE_ROWS     16u
#define PIECE_ROWS_FEW 4u
#define MANY_ROWS      64u
/* What a norm and quantising cost a value, in the multiply-adds that qr_pass_run counts. */
#define NORM_COST     16u
#define QUANTIZE_COST 8u

struct norm_work {
    struct qr_pass *p;
    const struct qr_norm *norm;
    unsigned wants;
    uint32_t item_rows;
    bool embed;
};

static uint32_t item_rows(uint32_t rows_n)
{
    return rows_n >= MANY_ROWS ? PIECE_ROWS : PIECE_ROWS_FEW;
}

static void embed_row(const struct qr_pass *p, uint32_t row, uint32_t position, float *scratch)
{
    const struct qr_model *m = p->model;
    int32_t token = p->step->tokens[p->step_rows[row]];

    assert(token >= 0 && (uint32_t)token < m->shape.vocab_n);
    qr_dequantize(m->embedding_type, m->embedding + (size_t)token * m->embedding_row_bytes,
                  qr_row(&p->x, row), m->shape.width);
    if (!m->positions) return;
    const size_t bytes = m->positions->data_n / m->shape.context_max;
    qr_dequantize((enum qr_type)m->positions->type, m->positions->data + position * bytes, scratch,
                  m->shape.width);
    m->kernels->rows.add(qr_row(&p->x, row), scratch, m->shape.width);
}

/* In double, so that a far position's angle keeps its digits; each row for itself, so that no
 * table has to be as long as the context. */
static void angle_row(const struct qr_pass *p, uint32_t row, uint32_t position)
{
    const struct qr_model *m = p->model;
    float *cosines = qr_row(&p->cosines, row);
    float *sines = qr_row(&p->sines, row);
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
    struct qr_pass *p = w->p;
    const struct qr_model *m = p->model;
    struct qr_inputs *in = &p->normed;
    float *out = qr_pass_scratch(p, thread);

    if (w->embed) {
        uint32_t position = position_of(p->step, p->step_rows[row]);
        embed_row(p, row, position, out);
        angle_row(p, row, position);
    }
    if (w->wants & QR_WANTS_FLOATS) out = in->floats + row * in->stride;
    norm_floats(m, w->norm, qr_row(&p->x, row), out);
    if (w->wants & QR_WANTS_ACTS)
        m->kernels->gemm.quantize(&in->acts, row, row + 1, 0, out, 0, m->shape.width);
}

static void norm_items(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    const struct norm_work *w = work;
    uint32_t stop = end * w->item_rows;

    if (stop > w->p->rows_n) stop = w->p->rows_n;
    for (uint32_t row = begin * w->item_rows; row < stop; row++)
        norm_row(w, row, thread);
}

static void run_norm(struct qr_pass *p, const struct qr_norm *norm, unsigned wants, bool embed)
{
    struct norm_work w = {.p = p, .norm = norm, .wants = wants, .embed = embed};

    qr_pass_enter(p, embed ? QR_PHASE_EMBED : QR_PHASE_NORM);
    w.item_rows = item_rows(p->rows_n);
    qr_pass_run(
        p, &(struct qr_work){.fn = norm_items,
                             .work = &w,
                             .work_bytes = sizeof(w),
                             .items_n = (qr_pass_partition_rows(p) + w.item_rows - 1) / w.item_rows,
                             .cost = (uint64_t)p->rows_n * p->model->shape.width * NORM_COST});
}

void qr_pass_embed(struct qr_pass *p, const struct qr_norm *norm, unsigned wants)
{
    run_norm(p, norm, wants, true);
}

void qr_pass_norm(struct qr_pass *p, const struct qr_norm *norm, unsigned wants)
{
    run_norm(p, norm, wants, false);
}

void qr_pass_finish(struct qr_pass *p, const struct qr_norm *norm)
{
    const struct qr_model *m = p->model;

    qr_pass_flush(p);
    qr_pass_enter(p, QR_PHASE_NORM);
    for (uint32_t i = 0; i < p->outputs_n; i++)
        norm_floats(m, norm, qr_row(&p->x, p->pass_rows[p->step->outputs[i]]),
                    qr_row(&p->states, i));
}

struct quantize_work {
    struct qr_pass *p;
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
    w->p->model->kernels->gemm.quantize(&w->in->acts, row, stop, 0,
                                        w->in->floats + row * w->in->stride, w->in->stride,
                                        w->in->acts.k);
}

void qr_pass_quantize(struct qr_pass *p, struct qr_inputs *in, uint32_t rows_n)
{
    struct quantize_work w = {.p = p, .in = in, .rows_n = rows_n};
    uint32_t shared_n = p->own_rows ? qr_pass_partition_rows(p) : rows_n;

    assert(p->own_rows == 0 || rows_n == p->rows_n);
    qr_pass_enter(p, QR_PHASE_NORM);
    w.item_rows = item_rows(rows_n);
    qr_pass_run(p, &(struct qr_work){.fn = quantize_items,
                                     .work = &w,
                                     .work_bytes = sizeof(w),
                                     .items_n = (shared_n + w.item_rows - 1) / w.item_rows,
                                     .cost = (uint64_t)rows_n * in->acts.k * QUANTIZE_COST});
}
