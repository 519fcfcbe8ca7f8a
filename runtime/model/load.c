/* SPDX-License-Identifier: MIT */
/* Loads a model from a parsed file: places in the model's region what find.c has found, packs the
 * matrices on all threads, and gives the file's pages under them back to the system. */
#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/model/loader.h"
#include "runtime/model/rope.h"
#include "runtime/model/shape.h"

/* ---- vectors -------------------------------------------------------------------------------- */

static void load_vectors(struct qr_loader *l)
{
    for (uint32_t i = 0; i < l->vectors_n; i++) {
        const struct qr_loader_vector *v = &l->vectors[i];
        const size_t bytes = qr_type_traits(v->tensor->type)->block_bytes;
        float *floats = (float *)l->memory;
        l->memory += qr_whole_lines(v->n * sizeof(float));
        qr_dequantize((enum qr_type)v->tensor->type, v->tensor->data + v->skip * bytes, floats,
                      v->n);
        *v->to = floats;
    }
}

static void load_frequencies(struct qr_loader *l)
{
    struct qr_model *m = l->model;
    double *frequencies = (double *)l->memory;

    l->memory += qr_whole_lines(m->shape.rotary_n / 2 * sizeof(double));
    qr_rope_frequencies(&m->shape, l->divided ? l->divisors : NULL, frequencies);
    m->frequencies = frequencies;
    m->magnitude = qr_rope_magnitude(&m->shape.rope);
    m->rotate = m->architecture->positions == QR_ROPE_HALVES ? m->kernels->rows.rope_halves
                                                             : m->kernels->rows.rope;
}

/* ---- packing -------------------------------------------------------------------------------- */

static void list_packed(struct qr_loader *l, struct qr_weights *w)
{
    if (!w->n) return; /* this architecture has no such part */
    l->packed[l->packed_n] = w;
    l->begins[l->packed_n + 1] = l->begins[l->packed_n] + w->panels_n;
    l->packed_n++;
}

static int list_all(struct qr_loader *l)
{
    struct qr_model *m = l->model;
    const uint32_t most = QR_PARTS_N * m->shape.layers_n + 1;

    l->packed = qr_alloc_zero(&m->allocator, most, sizeof l->packed[0]);
    l->begins = qr_alloc_zero(&m->allocator, most + 1, sizeof l->begins[0]);
    if (!l->packed || !l->begins)
        return qr_error(l->error, QUIRE_NO_MEMORY, "no memory for a list of %" PRIu32 " matrices",
                        most);
    for (uint32_t i = 0; i < m->shape.layers_n; i++)
        for (unsigned part = 0; part < QR_PARTS_N; part++)
            list_packed(l, qr_layer_part(&m->layers[i], part));
    list_packed(l, &m->head);
    return QUIRE_OK;
}

/* One stage reads gate and up together, so their panels alternate in memory. */
static void alternate(struct qr_layer *layer)
{
    struct qr_matrix *gate = &layer->gate.packed;
    struct qr_matrix *up = &layer->up.packed;

    if (!layer->gate.n || layer->gate.is_float != layer->up.is_float)
        return; /* panels of other widths */
    assert(gate->panels_n == up->panels_n);
    assert(gate->data + qr_matrix_bytes(gate) == up->data);
    gate->panel_stride = up->panel_stride = gate->panel_bytes + up->panel_bytes;
    up->data = gate->data + gate->panel_bytes;
}

/* The memory from one matrix to another. */
static struct qr_stream stream_of(const struct qr_weights *first, const struct qr_weights *last)
{
    const struct qr_matrix *m = &last->packed;
    size_t bytes = (size_t)(m->data - first->packed.data) + (m->panels_n - 1) * m->panel_stride +
                   m->panel_bytes;
    return (struct qr_stream){.data = first->packed.data, .bytes = bytes};
}

/* Sets what a step reads after each matrix.  After the head the next step begins. */
static void chain(struct qr_model *m)
{
    const uint32_t layers_n = m->shape.layers_n;

    m->head.prefetch = stream_of(&m->layers[0].q, &m->layers[0].v);
    for (uint32_t i = 0; i < layers_n; i++) {
        struct qr_layer *layer = &m->layers[i];
        layer->q.prefetch = layer->k.prefetch = layer->v.prefetch = stream_of(&layer->o, &layer->o);
        layer->o.prefetch = stream_of(layer->gate.n ? &layer->gate : &layer->up, &layer->up);
        layer->gate.prefetch = layer->up.prefetch = stream_of(&layer->down, &layer->down);
        layer->down.prefetch =
            i + 1 < layers_n ? stream_of(&layer[1].q, &layer[1].v) : stream_of(&m->head, &m->head);
    }
}

static int create_region(struct qr_loader *l)
{
    struct qr_model *m = l->model;
    size_t bytes = qr_whole_lines(m->shape.rotary_n / 2 * sizeof(double));

    for (uint32_t i = 0; i < l->vectors_n; i++)
        bytes += qr_whole_lines(l->vectors[i].n * sizeof(float));
    for (uint32_t i = 0; i < l->packed_n; i++)
        if (!qr_add_size(bytes, qr_weights_bytes(l->packed[i]), &bytes)) bytes = SIZE_MAX;
    if (!qr_region_create(&m->region, bytes))
        return qr_error(l->error, QUIRE_NO_MEMORY, "no memory for %zu bytes of packed weights",
                        bytes);
    m->weights_bytes += bytes;
    l->memory = m->region.base;
    for (uint32_t i = 0; i < l->packed_n; i++) {
        l->packed[i]->packed.data = l->memory;
        l->memory += qr_weights_bytes(l->packed[i]);
    }
    for (uint32_t i = 0; i < m->shape.layers_n; i++)
        alternate(&m->layers[i]);
    chain(m);
    return QUIRE_OK;
}

static void pack_panels(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    const struct qr_loader *l = work;
    uint32_t i = 0;

    (void)thread;
    while (begin < end) {
        while (begin >= l->begins[i + 1])
            i++;
        uint32_t stop = end < l->begins[i + 1] ? end : l->begins[i + 1];
        const struct qr_weights *w = l->packed[i];
        qr_weights_pack(w, (uint8_t *)(uintptr_t)w->packed.data, begin - l->begins[i],
                        stop - l->begins[i]);
        begin = stop;
    }
}

/* Drops the whole pages under each packed tensor from this process.  If one is read again, the
 * system reads it from the file. */
static void give_back(const struct qr_loader *l)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

    if (!l->file->mapped) return; /* dropping other memory would zero it */
    for (uint32_t i = 0; i < l->packed_n; i++) {
        const struct qr_gguf_tensor *t = l->packed[i]->tensor;
        uintptr_t begin = ((uintptr_t)t->data + page - 1) / page * page;
        uintptr_t end = ((uintptr_t)t->data + t->data_n) / page * page;
        if (begin < end) (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
    }
}

/* ---- the whole ------------------------------------------------------------------------------ */

static int make_tables(struct qr_loader *l)
{
    struct qr_model *m = l->model;
    const uint32_t layers_n = m->shape.layers_n;
    const uint32_t vectors_most = (QR_PARTS_N + 4) * layers_n + 2; /* biases and norms */

    m->layers = qr_alloc_zero(&m->allocator, layers_n, sizeof m->layers[0]);
    m->part_tensors =
        qr_alloc_zero(&m->allocator, (size_t)layers_n * QR_PARTS_N, sizeof m->part_tensors[0]);
    l->used = qr_alloc_zero(&m->allocator, l->file->tensors_n, sizeof l->used[0]);
    l->vectors = qr_alloc_zero(&m->allocator, vectors_most, sizeof l->vectors[0]);
    if (m->layers && m->part_tensors && l->used && l->vectors) return QUIRE_OK;
    return qr_error(l->error, QUIRE_NO_MEMORY, "no memory for a table of %" PRIu32 " layers",
                    layers_n);
}

/* Refusals are in l->refusals.  The status is an error that ends the loading. */
static int load(struct qr_loader *l)
{
    struct qr_model *m = l->model;
    int status = qr_model_shape_read(&m->shape, &m->architecture, l->file, l->refusals);

    if (!status) status = make_tables(l);
    if (!status) status = qr_loader_find(l);
    if (!status && l->refusals->status) return QUIRE_OK; /* all refusals were told */
    if (!status) status = list_all(l);
    if (!status) status = create_region(l);
    if (status) return status;
    load_frequencies(l);
    load_vectors(l);
    qr_team_run(l->team, pack_panels, l, l->begins[l->packed_n], 0);
    give_back(l);
    return QUIRE_OK;
}

int qr_model_load(struct qr_model **model, const struct qr_model_source *source,
                  struct qr_refusals *refusals)
{
    const struct quire_allocator *allocator = source->allocator;
    const uint32_t window = source->window;
    struct qr_loader l = {
        .file = source->file, .team = source->team, .refusals = refusals, .error = &refusals->last};
    int status = QUIRE_OK;

    *model = NULL;
    l.model = qr_alloc_zero(allocator, 1, sizeof *l.model);
    if (!l.model) status = qr_error(l.error, QUIRE_NO_MEMORY, "no memory for a model");
    if (!status) {
        l.model->allocator = *allocator;
        l.model->kernels = source->kernels;
        status = load(&l);
    }
    (void)qr_refused(refusals, status);
    qr_free(allocator, l.used);
    qr_free(allocator, l.packed);
    qr_free(allocator, l.vectors);
    qr_free(allocator, l.begins);
    if (refusals->status) {
        qr_model_unload(l.model);
        return refusals->status;
    }
    if (window) l.model->shape.sliding_window = window == QUIRE_WINDOW_NONE ? 0 : window;
    *model = l.model;
    return QUIRE_OK;
}

void qr_model_unload(struct qr_model *model)
{
    if (!model) return;
    struct quire_allocator allocator = model->allocator;
    qr_region_destroy(&model->region);
    qr_free(&allocator, model->layers);
    qr_free(&allocator, model->part_tensors);
    qr_free(&allocator, model);
}

const char *qr_model_architecture(const struct qr_model *model)
{
    return model->architecture->name;
}
