/* SPDX-License-Identifier: MIT */
#include "runtime/model/matrices.h"

#include <assert.h>
#include <string.h>

#define SLAB_BYTES   ((size_t)384 << 10) /* activations a slab: most of a second-level cache */
#define RESIDENT_MAX ((size_t)4 << 20)   /* weights that stay cached from one slab to the next */
#define PARTS_MAX    3u
/* How many floats of two matrices' outputs a thread holds when it turns gate and up into the next
 * activations: 128 rows of 2 x 32 are 32 KB, about a first-level cache. */
#define GATE_ROWS 128u
#define GATE_N    32u

/* One of the matrices that are multiplied as one. */
struct joined_matrix {
    const struct qr_weights *weights;
    float *out;
    size_t stride;
    uint32_t begin; /* its first panel among all */
};

/* How rows are cut: partitions_n partitions of partition_rows, each of them into slabs_each slabs
 * of slab_rows. */
struct slabs {
    uint32_t rows_n;
    uint32_t partitions_n, partition_rows;
    uint32_t slabs_each, slab_rows;
};

struct multiply_work {
    const struct qr_inputs *in;
    struct joined_matrix parts[PARTS_MAX + 1]; /* of the one after the last only `begin` counts */
    uint32_t parts_n;
    struct slabs slabs;
    uint32_t panels_n;
    bool add;
};

static struct slabs undivided(uint32_t rows_n)
{
    return (struct slabs){.rows_n = rows_n, .partitions_n = 1, .partition_rows = rows_n};
}

/* Each partition's rows are cut by themselves, so that items belong to partitions as rows do. */
static struct slabs step_slabs(const struct qr_tiles *t)
{
    if (t->owned_n == 0) return undivided(t->rows_n);
    return (struct slabs){
        .rows_n = t->rows_n, .partitions_n = t->threads_n, .partition_rows = t->owned_n};
}

static uint32_t slabs_n(const struct slabs *slabs)
{
    return slabs->partitions_n * slabs->slabs_each;
}

/* Cuts for matrices of so many bytes. */
static void cut_slabs(struct slabs *slabs, uint32_t k, size_t weights_bytes, bool any_float)
{
    size_t row_bytes = any_float ? k * sizeof(float) : k;
    uint32_t most = (uint32_t)(SLAB_BYTES / row_bytes / QR_TILE_ROWS * QR_TILE_ROWS);

    if (slabs->rows_n == 0) return; /* no items */
    if (most == 0) most = QR_TILE_ROWS;
    slabs->slabs_each =
        weights_bytes > RESIDENT_MAX ? 1 : (slabs->partition_rows + most - 1) / most;
    slabs->slab_rows =
        qr_whole_tiles((slabs->partition_rows + slabs->slabs_each - 1) / slabs->slabs_each);
}

/* The rows of a slab.  False: there are none, since the last partition is not full. */
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
    const struct joined_matrix *part = w->parts;

    while (begin < end) {
        while (begin >= part[1].begin)
            part++;
        uint32_t stop = end < part[1].begin ? end : part[1].begin;
        uint32_t panel = begin - part->begin;
        const struct qr_product product = {.in = w->in,
                                           .row_begin = row_begin,
                                           .row_end = row_end,
                                           .panel_begin = panel,
                                           .panel_end = stop - part->begin,
                                           .out = part->out + row_begin * part->stride +
                                                  (size_t)panel * part->weights->panel_n,
                                           .out_stride = part->stride,
                                           .add = w->add};
        qr_weights_multiply(part->weights, &product);
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
    w->parts[w->parts_n++] = (struct joined_matrix){
        .weights = weights, .out = out, .stride = stride, .begin = w->panels_n};
    w->panels_n += weights->panels_n;
    w->parts[w->parts_n].begin = w->panels_n;
}

static void multiply(struct qr_pass *p, struct multiply_work *w, enum qr_phase phase)
{
    const struct qr_weights *first = w->parts[0].weights;
    uint64_t outputs_n = 0;
    size_t bytes = 0;
    bool any_float = false;

    for (uint32_t i = 0; i < w->parts_n; i++) {
        bytes += qr_weights_bytes(w->parts[i].weights);
        any_float |= w->parts[i].weights->is_float;
        outputs_n += w->parts[i].weights->n;
    }
    cut_slabs(&w->slabs, first->k, bytes, any_float);
    qr_pass_run(p, &(struct qr_work){.fn = multiply_items,
                                     .work = w,
                                     .work_bytes = sizeof *w,
                                     .items_n = slabs_n(&w->slabs) * w->panels_n,
                                     .phase = phase,
                                     .cost = w->slabs.rows_n * outputs_n * first->k,
                                     .next = first->prefetch.data,
                                     .next_bytes = first->prefetch.bytes});
}

void qr_matrices_qkv(struct qr_activations *a, uint32_t i)
{
    const struct qr_layer *layer = &a->model->layers[i];
    struct multiply_work w = {.in = &a->normed, .slabs = step_slabs(&a->tiles)};
    float *out = a->qkv.data;

    add_part(&w, &layer->q, out, a->qkv.stride);
    add_part(&w, &layer->k, out + layer->q.n, a->qkv.stride);
    add_part(&w, &layer->v, out + layer->q.n + layer->k.n, a->qkv.stride);
    multiply(a->pass, &w, QR_PHASE_QKV);
}

/* x += in times weights. */
static void multiply_add(struct qr_activations *a, const struct qr_weights *weights,
                         const struct qr_inputs *in, enum qr_phase phase)
{
    struct multiply_work w = {.in = in, .slabs = step_slabs(&a->tiles), .add = true};

    add_part(&w, weights, a->x.data, a->x.stride);
    multiply(a->pass, &w, phase);
}

void qr_matrices_output(struct qr_activations *a, uint32_t i)
{
    multiply_add(a, &a->model->layers[i].o, &a->attended, QR_PHASE_OUTPUT);
}

void qr_matrices_down(struct qr_activations *a, uint32_t i)
{
    multiply_add(a, &a->model->layers[i].down, &a->hidden, QR_PHASE_DOWN);
}

void qr_matrices_head(struct qr_activations *a, const struct qr_inputs *in, uint32_t rows_n,
                      const struct qr_rows *out)
{
    struct multiply_work w = {.in = in, .slabs = undivided(rows_n)};

    add_part(&w, &a->model->head, out->data, out->stride);
    multiply(a->pass, &w, QR_PHASE_HEAD);
}

/* ---- gate and up, or up alone --------------------------------------------------------------- */

struct gate_work {
    struct qr_activations *a;
    const struct qr_layer *layer;
    struct slabs slabs;
    uint32_t items_n; /* of a slab, each GATE_N outputs of both matrices */
    uint32_t first;   /* 0: gate and up; 1: up alone */
};

size_t qr_matrices_scratch_bytes(void)
{
    return 2 * (size_t)GATE_ROWS * GATE_N * sizeof(float);
}

/* Writes n activations of each row, GATE_N apart, in the form that down wants. */
static void put_hidden(const struct gate_work *w, uint32_t row_begin, uint32_t row_end,
                       uint32_t column, uint32_t n, const float *from)
{
    struct qr_inputs *hidden = &w->a->hidden;

    if (!w->layer->down.is_float) {
        w->a->model->kernels->gemm.quantize(&hidden->acts, row_begin, row_end, column, from, GATE_N,
                                            n);
        return;
    }
    for (uint32_t row = row_begin; row < row_end; row++, from += GATE_N)
        memcpy(hidden->floats + row * hidden->stride + column, from, n * sizeof(float));
}

/* Turns n outputs of gate and up (or of up alone) into activations, in gate's place. */
static void activate(const struct gate_work *w, float *gate, const float *up, uint32_t n)
{
    const struct qr_row_kernels *rows = &w->a->model->kernels->rows;

    if (w->first == 0)
        rows->swiglu(gate, gate, up, n);
    else
        rows->gelu(gate, up, n);
}

/* Columns [column, column + n) of gate and up (or of up alone) for rows that fit the scratch. */
static void multiply_gate(const struct gate_work *w, struct qr_product product, uint32_t column,
                          uint32_t n, float *const outs[2])
{
    const struct qr_weights *weights[2] = {&w->layer->gate, &w->layer->up};

    for (uint32_t at = 0; at < n; at += QR_PANEL_N) {
        for (uint32_t i = w->first; i < 2; i++) {
            if (at % weights[i]->panel_n) continue; /* a float panel is wider */
            product.panel_begin = (column + at) / weights[i]->panel_n;
            product.panel_end = product.panel_begin + 1;
            product.out = outs[i] + at;
            qr_weights_multiply(weights[i], &product);
        }
    }
}

/* An item's outputs of both matrices stay in the thread's cache until they are activations. */
static void gate_item(const struct gate_work *w, uint32_t item, uint32_t row_begin,
                      uint32_t row_end, uint32_t thread)
{
    float *gate = qr_pass_scratch(w->a->pass, thread);
    float *up = gate + GATE_ROWS * GATE_N;
    float *const outs[2] = {gate, up};
    uint32_t column = item * GATE_N;
    uint32_t n = w->layer->up.n - column;

    if (n > GATE_N) n = GATE_N;
    for (uint32_t row = row_begin; row < row_end; row += GATE_ROWS) {
        uint32_t stop = row_end - row < GATE_ROWS ? row_end : row + GATE_ROWS;
        const struct qr_product product = {
            .in = &w->a->normed, .row_begin = row, .row_end = stop, .out_stride = GATE_N};
        multiply_gate(w, product, column, n, outs);
        /* All rows in one call: the next row's arithmetic starts while the last one ends. */
        activate(w, gate, up, (stop - row) * GATE_N);
        put_hidden(w, row, stop, column, n, gate);
    }
}

static void gate_items(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    const struct gate_work *w = work;

    for (uint32_t item = begin; item < end; item++) {
        uint32_t row_begin, row_end;
        if (slab_rows(&w->slabs, item / w->items_n, &row_begin, &row_end))
            gate_item(w, item % w->items_n, row_begin, row_end, thread);
    }
}

/* first: as gate_work's. */
static void gate_or_up(struct qr_activations *a, uint32_t i, uint32_t first)
{
    const struct qr_layer *layer = &a->model->layers[i];
    const struct qr_weights *up = &layer->up;
    struct gate_work w = {.a = a, .layer = layer, .slabs = step_slabs(&a->tiles), .first = first};
    bool any_float = up->is_float || (first == 0 && layer->gate.is_float);
    size_t bytes = qr_weights_bytes(up) + (first == 0 ? qr_weights_bytes(&layer->gate) : 0);

    w.items_n = (up->n + GATE_N - 1) / GATE_N;
    cut_slabs(&w.slabs, up->k, bytes, any_float);
    qr_pass_run(a->pass,
                &(struct qr_work){.fn = gate_items,
                                  .work = &w,
                                  .work_bytes = sizeof w,
                                  .items_n = slabs_n(&w.slabs) * w.items_n,
                                  .phase = QR_PHASE_GATE_UP,
                                  .cost = (2 - first) * (uint64_t)a->tiles.rows_n * up->n * up->k,
                                  .next = up->prefetch.data,
                                  .next_bytes = up->prefetch.bytes});
}

void qr_matrices_gate_up(struct qr_activations *a, uint32_t i)
{
    gate_or_up(a, i, 0);
}

void qr_matrices_up(struct qr_activations *a, uint32_t i)
{
    gate_or_up(a, i, 1);
}
