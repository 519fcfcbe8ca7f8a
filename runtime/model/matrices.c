/* SPDX-License-Identifier: MIT */
/* The layers' matrices over the team.
 *
 * An item is (slab of rows, panel).  Panels run fastest, so a thread that takes a grain of items
 * keeps one slab of activations in its cache.  Where a step's matrices are too large for the shared
 * cache, all rows are one slab and the kernel cuts it, so that the weights are read from memory
 * once. */
#include <assert.h>
#include <string.h>

#include "runtime/model/pass.h"

#define SLAB_BYTES   ((size_t)384 << 10) /* activations a slab: most of a second-level cache */
#define RESIDENT_MAX ((size_t)4 << 20)   /* weights that stay cached from one slab to the next */
#define PARTS_MAX    3u

struct part {
    const struct qr_weights *weights;
    float *out;
    size_t stride;
    uint32_t begin; /* its first panel among all parts' */
};

/* How rows are cut: partitions_n partitions of partition_rows, each of them into slabs_each slabs
 * of slab_rows. */
struct slabs {
    uint32_t rows_n;
    uint32_t partitions_n, partition_rows;
    uint32_t slabs_each, slab_rows;
};

struct multiply_work {
    struct qr_pass *p;
    const struct qr_inputs *in;
    struct part parts[PARTS_MAX + 1]; /* the one past the last only begins */
    uint32_t parts_n;
    struct slabs slabs;
    uint32_t panels_n;
    bool add;
};

/* Each partition's rows are cut by themselves, so that items belong to partitions as rows do. */
static struct slabs own_slabs(const struct qr_pass *p)
{
    if (p->own_rows == 0)
        return (struct slabs){.rows_n = p->rows_n, .partitions_n = 1, .partition_rows = p->rows_n};
    return (struct slabs){
        .rows_n = p->rows_n, .partitions_n = p->threads_n, .partition_rows = p->own_rows};
}

static uint32_t slabs_n(const struct slabs *slabs)
{
    return slabs->partitions_n * slabs->slabs_each;
}

/* For matrices of so many bytes. */
static void cut_slabs(struct slabs *slabs, uint32_t k, size_t weights_bytes, bool any_float)
{
    size_t row_bytes = any_float ? k * sizeof(float) : k;
    uint32_t most = (uint32_t)(SLAB_BYTES / row_bytes / QR_TILE_ROWS * QR_TILE_ROWS);

    if (most == 0) most = QR_TILE_ROWS;
    slabs->slabs_each =
        weights_bytes > RESIDENT_MAX ? 1 : (slabs->partition_rows + most - 1) / most;
    slabs->slab_rows =
        qr_whole_tiles((slabs->partition_rows + slabs->slabs_each - 1) / slabs->slabs_each);
}

/* The rows of a slab.  False: none, the last partition may not be full. */
static bool slab_rows(const struct slabs *slabs, uint32_t slab, uint32_t *begin, uint32_t *end)
{
    uint32_t partition = slab / slabs->slabs_each * slabs->partition_rows;

    *begin = partition + slab % slabs->slabs_each * slabs->slab_rows;
    *end = *begin + slabs->slab_rows;
    if (*end > partition + slabs->partition_rows) *end = partition + slabs->partition_rows;
    if (*end > slabs->rows_n) *end = slabs->rows_n;
    return *begin < *end;
}

/* Panels [begin, end) of all parts for one slab. */
static void multiply_panels(const struct multiply_work *w, uint32_t row_begin, uint32_t row_end,
                            uint32_t begin, uint32_t end)
{
    const struct part *part = w->parts;

    while (begin < end) {
        while (begin >= part[1].begin)
            part++;
        uint32_t stop = end < part[1].begin ? end : part[1].begin;
        uint32_t panel = begin - part->begin;
        float *out = part->out + row_begin * part->stride + (size_t)panel * part->weights->panel_n;
        qr_weights_multiply(part->weights, panel, stop - part->begin, w->in, row_begin, row_end,
                            out, part->stride, w->add);
        begin = stop;
    }
}

static void multiply_items(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    const struct multiply_work *w = work;

    (void)thread;
    while (begin < end) {
        uint32_t slab = begin / w->panels_n;
        uint32_t slab_end = (slab + 1) * w->panels_n;
        uint32_t stop = end < slab_end ? end : slab_end;
        uint32_t row_begin, row_end;
        if (slab_rows(&w->slabs, slab, &row_begin, &row_end))
            multiply_panels(w, row_begin, row_end, begin - slab * w->panels_n,
                            stop - slab * w->panels_n);
        begin = stop;
    }
}

static void add_part(struct multiply_work *w, const struct qr_weights *weights, float *out,
                     size_t stride)
{
    assert(w->parts_n < PARTS_MAX);
    w->parts[w->parts_n++] =
        (struct part){.weights = weights, .out = out, .stride = stride, .begin = w->panels_n};
    w->panels_n += weights->panels_n;
    w->parts[w->parts_n].begin = w->panels_n;
}

static void multiply(struct multiply_work *w)
{
    uint32_t k = w->parts[0].weights->k;
    uint64_t outputs_n = 0;
    size_t bytes = 0;
    bool any_float = false;

    for (uint32_t i = 0; i < w->parts_n; i++) {
        bytes += qr_weights_bytes(w->parts[i].weights);
        any_float |= w->parts[i].weights->is_float;
        outputs_n += w->parts[i].weights->n;
    }
    cut_slabs(&w->slabs, k, bytes, any_float);
    qr_pass_prefetch(w->p, &w->parts[0].weights->prefetch);
    qr_pass_run(w->p, &(struct qr_work){.fn = multiply_items,
                                        .work = w,
                                        .work_bytes = sizeof(*w),
                                        .items_n = slabs_n(&w->slabs) * w->panels_n,
                                        .cost = w->slabs.rows_n * outputs_n * k});
}

void qr_pass_project(struct qr_pass *p, const struct qr_layer *layer)
{
    struct multiply_work w = {.p = p, .in = &p->normed, .slabs = own_slabs(p)};
    float *out = p->qkv.data;

    qr_pass_enter(p, QR_PHASE_QKV);
    add_part(&w, &layer->q, out, p->qkv.stride);
    add_part(&w, &layer->k, out + layer->q.n, p->qkv.stride);
    add_part(&w, &layer->v, out + layer->q.n + layer->k.n, p->qkv.stride);
    multiply(&w);
}

void qr_pass_multiply_add(struct qr_pass *p, const struct qr_weights *weights,
                          const struct qr_inputs *in)
{
    struct multiply_work w = {.p = p, .in = in, .slabs = own_slabs(p), .add = true};

    qr_pass_enter(p, in == &p->hidden ? QR_PHASE_DOWN : QR_PHASE_OUTPUT);
    add_part(&w, weights, p->x.data, p->x.stride);
    multiply(&w);
}

void qr_pass_head(struct qr_pass *p, const struct qr_inputs *in, uint32_t rows_n)
{
    struct slabs slabs = {.rows_n = rows_n, .partitions_n = 1, .partition_rows = rows_n};
    struct multiply_work w = {.p = p, .in = in, .slabs = slabs};

    qr_pass_enter(p, QR_PHASE_HEAD);
    add_part(&w, &p->model->head, p->logits.data, p->logits.stride);
    multiply(&w);
}

/* ---- gate and up, or up alone --------------------------------------------------------------- */

struct gate_work {
    struct qr_pass *p;
    const struct qr_layer *layer;
    struct slabs slabs;
    uint32_t units_n; /* of QR_GATE_N outputs of each matrix */
    uint32_t first;   /* 0: gate and up; 1: up alone */
};

/* n activations of each row, QR_GATE_N apart, into the form that down wants. */
static void keep(const struct gate_work *w, uint32_t row_begin, uint32_t row_end, uint32_t column,
                 uint32_t n, const float *from)
{
    struct qr_inputs *hidden = &w->p->hidden;

    if (!w->layer->down.is_float) {
        w->p->model->kernels->gemm.quantize(&hidden->acts, row_begin, row_end, column, from,
                                            QR_GATE_N, n);
        return;
    }
    for (uint32_t row = row_begin; row < row_end; row++, from += QR_GATE_N)
        memcpy(hidden->floats + row * hidden->stride + column, from, n * sizeof(float));
}

/* n values of what gate and up (or up alone) have made, into the activations between the matrices.
 */
static void activate(const struct gate_work *w, float *gate, const float *up, uint32_t n)
{
    const struct qr_row_kernels *rows = &w->p->model->kernels->rows;

    if (w->first == 0)
        rows->swiglu(gate, gate, up, n);
    else
        rows->gelu(gate, up, n);
}

/* A unit is as many outputs of each as stay in a thread's cache between the matrices and the
 * activations that they become. */
static void gate_unit(const struct gate_work *w, uint32_t unit, uint32_t row_begin,
                      uint32_t row_end, uint32_t thread)
{
    const struct qr_weights *weights[2] = {&w->layer->gate, &w->layer->up};
    float *gate = qr_pass_scratch(w->p, thread);
    float *up = gate + QR_GATE_ROWS * QR_GATE_N;
    float *outs[2] = {gate, up};
    uint32_t column = unit * QR_GATE_N;
    uint32_t n = w->layer->up.n - column;

    if (n > QR_GATE_N) n = QR_GATE_N;
    for (uint32_t row = row_begin; row < row_end; row += QR_GATE_ROWS) {
        uint32_t stop = row_end - row < QR_GATE_ROWS ? row_end : row + QR_GATE_ROWS;
        for (uint32_t at = 0; at < n; at += QR_PANEL_N) {
            for (uint32_t i = w->first; i < 2; i++) {
                uint32_t panel = (column + at) / weights[i]->panel_n;
                if (at % weights[i]->panel_n) continue; /* a float panel is wider */
                qr_weights_multiply(weights[i], panel, panel + 1, &w->p->normed, row, stop,
                                    outs[i] + at, QR_GATE_N, false);
            }
        }
        /* All rows at once, in both: rows do not wait for one another's last steps. */
        activate(w, gate, up, (stop - row) * QR_GATE_N);
        keep(w, row, stop, column, n, gate);
    }
}

static void gate_items(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    const struct gate_work *w = work;

    for (uint32_t item = begin; item < end; item++) {
        uint32_t row_begin, row_end;
        if (slab_rows(&w->slabs, item / w->units_n, &row_begin, &row_end))
            gate_unit(w, item % w->units_n, row_begin, row_end, thread);
    }
}

static void gate_or_up(struct qr_pass *p, const struct qr_layer *layer, uint32_t first)
{
    struct gate_work w = {.p = p, .layer = layer, .slabs = own_slabs(p), .first = first};
    const struct qr_weights *up = &layer->up;
    bool any_float = up->is_float || (first == 0 && layer->gate.is_float);
    size_t bytes = qr_weights_bytes(up) + (first == 0 ? qr_weights_bytes(&layer->gate) : 0);

    qr_pass_enter(p, QR_PHASE_GATE_UP);
    w.units_n = (up->n + QR_GATE_N - 1) / QR_GATE_N;
    cut_slabs(&w.slabs, up->k, bytes, any_float);
    qr_pass_prefetch(p, &layer->up.prefetch);
    qr_pass_run(p, &(struct qr_work){.fn = gate_items,
                                     .work = &w,
                                     .work_bytes = sizeof(w),
                                     .items_n = slabs_n(&w.slabs) * w.units_n,
                                     .cost = (2 - first) * (uint64_t)p->rows_n * up->n * up->k});
}

void qr_pass_gate_up(struct qr_pass *p, const struct qr_layer *layer)
{
    gate_or_up(p, layer, 0);
}

void qr_pass_up(struct qr_pass *p, const struct qr_layer *layer)
{
    gate_or_up(p, layer, 1);
}
