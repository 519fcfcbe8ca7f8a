/* SPDX-License-Identifier: MIT */
#include "runtime/model/attend.h"

#include <assert.h>

#include "runtime/base/memory.h"
#include "runtime/model/rows.h"

/* What storing a value costs, in the multiply-adds that qr_pass_run counts. */
#define STORE_COST 16u

struct attend_work {
    struct qr_activations *a;
    uint32_t layer;
    bool store;    /* each item stores its own keys and values */
    bool quantize; /* each item quantises its results: a head's part of a row is whole blocks */
};

static uint32_t group_n(const struct qr_activations *a)
{
    return a->model->shape.heads_n / a->model->shape.kv_heads_n;
}

/* An item of a list of query tiles: the item's query tile and KV head.  NULL: padding. */
static const struct qr_tile *tile_at(const struct qr_activations *a, const uint32_t *list,
                                     uint32_t item, uint32_t *head)
{
    const uint32_t heads_n = a->model->shape.kv_heads_n;
    uint32_t tile = list[item / heads_n];

    *head = item % heads_n;
    return tile == QR_NO_TILE ? NULL : &a->tiles.tiles[tile];
}

/* Items of all query tiles. */
static uint32_t items_n(const struct qr_activations *a)
{
    return a->tiles.order_n * a->model->shape.kv_heads_n;
}

static uint32_t alone_items_n(const struct qr_activations *a)
{
    return a->plan.alone_n * a->model->shape.kv_heads_n;
}

static uint32_t bundle_items_n(const struct qr_activations *a)
{
    return a->plan.cascade.bundles_n * a->model->shape.kv_heads_n;
}

/* ---- an item's steps ------------------------------------------------------------------------ */

static struct qr_kv_view view_of(const struct attend_work *w, const struct qr_tile *tile,
                                 uint32_t head)
{
    const struct qr_activations *a = w->a;

    return qr_kv_store_view(a->kv, w->layer, head, a->tiles.step->seqs[tile->seq].pages);
}

/* Rotates queries and keys, and stores keys and values. */
static void store_tile(const struct attend_work *w, const struct qr_tile *tile, uint32_t head)
{
    struct qr_activations *a = w->a;
    const struct qr_model_shape *s = &a->model->shape;
    const uint32_t group = group_n(a);
    struct qr_kv_view view = view_of(w, tile, head);

    for (uint32_t i = 0; i < tile->rows_n; i++) {
        uint32_t row = tile->row + i;
        float *q = qr_row(&a->qkv, row) + (size_t)head * group * s->head_dim;
        float *k = qr_row(&a->qkv, row) + (size_t)(s->heads_n + head) * s->head_dim;
        const float *v = k + (size_t)s->kv_heads_n * s->head_dim;
        const float *cosines = qr_row(&a->cosines, row);
        const float *sines = qr_row(&a->sines, row);
        a->model->rotate(q, group, s->head_dim, s->rotary_n, cosines, sines);
        a->model->rotate(k, 1, s->head_dim, s->rotary_n, cosines, sines);
        a->model->kernels->attention.put(&view, tile->position + i, k, v);
    }
}

static const float *queries_of(const struct qr_activations *a, const struct qr_tile *tile,
                               uint32_t head)
{
    return qr_row(&a->qkv, tile->row) + (size_t)head * group_n(a) * a->model->shape.head_dim;
}

static struct qr_attention_rows rows_of(const struct qr_activations *a, const struct qr_tile *tile,
                                        uint32_t head, uint32_t thread)
{
    const struct qr_model_shape *s = &a->model->shape;
    const size_t column = (size_t)head * group_n(a) * s->head_dim;

    return (struct qr_attention_rows){
        .q = queries_of(a, tile, head),
        .q_stride = a->qkv.stride,
        .out = a->attended.floats + tile->out_row * a->attended.stride + column,
        .out_stride = a->attended.stride,
        .rows_n = tile->rows_n,
        .position = tile->position,
        .group_n = group_n(a),
        .window = a->tiles.window,
        .scratch = qr_pass_scratch(a->pass, thread),
    };
}

static void quantize_tile(const struct attend_work *w, const struct qr_tile *tile, uint32_t head)
{
    struct qr_inputs *in = &w->a->attended;
    const uint32_t n = group_n(w->a) * w->a->model->shape.head_dim;

    w->a->model->kernels->gemm.quantize(
        &in->acts, tile->out_row, tile->out_row + tile->rows_n, head * n,
        in->floats + tile->out_row * in->stride + (size_t)head * n, in->stride, n);
}

/* ---- prefetching ---------------------------------------------------------------------------- */

/* Repeats the last of n panels to the end of the list.  False: there is none. */
static bool fill_up(const uint8_t *panels[QR_PREFETCH_PANELS], uint32_t n)
{
    for (uint32_t i = n; i > 0 && i < QR_PREFETCH_PANELS; i++)
        panels[i] = panels[i - 1];
    return n > 0;
}

/* The panels that the items alone from `item` on touch first: those that they store into, then
 * those that they read.  Most of these items are this thread's; a hint costs little where they are
 * not.  False: there are no more items. */
static bool next_panels(const struct attend_work *w, uint32_t item,
                        const uint8_t *panels[QR_PREFETCH_PANELS])
{
    const struct qr_activations *a = w->a;
    uint32_t n = 0;
    uint32_t head;

    for (; item < alone_items_n(a) && n < QR_PREFETCH_PANELS; item++) {
        const struct qr_tile *tile = tile_at(a, a->plan.alone, item, &head);
        if (!tile) break;
        struct qr_kv_view view = view_of(w, tile, head);
        if (w->store) panels[n++] = qr_attention_written(&view, tile->position);
        n += qr_attention_first(&view, tile->position, a->tiles.window, 0, panels + n,
                                QR_PREFETCH_PANELS - n);
    }
    return fill_up(panels, n);
}

/* The panels that a bundle's rows from `row` on read alone. */
static bool next_row_panels(const struct attend_work *w, const struct qr_bundle *bundle,
                            uint32_t head, uint32_t row, const uint8_t *panels[QR_PREFETCH_PANELS])
{
    const struct qr_cascade *c = &w->a->plan.cascade;
    uint32_t n = 0;

    for (; row < bundle->rows_n && n < QR_PREFETCH_PANELS; row++) {
        uint32_t at = c->order[bundle->first + row];
        const struct qr_tile *tile = &w->a->tiles.tiles[at];
        struct qr_kv_view view = view_of(w, tile, head);
        n += qr_attention_first(&view, tile->position, 0, c->spans[at], panels + n,
                                QR_PREFETCH_PANELS - n);
    }
    return fill_up(panels, n);
}

/* Prefetches the lines of the first value that the item stores: its panel is among the last that
 * the item reads, and stores wait for each other. */
static void prefetch_value(const struct attend_work *w, uint32_t item)
{
    const struct qr_activations *a = w->a;
    uint32_t head;
    size_t bytes;

    if (item >= alone_items_n(a)) return;
    const struct qr_tile *tile = tile_at(a, a->plan.alone, item, &head);
    if (!tile) return;
    struct qr_kv_view view = view_of(w, tile, head);
    const uint8_t *value = qr_attention_value(&view, tile->position, &bytes);
    for (size_t i = 0; i < bytes; i += QR_CACHE_LINE)
        __builtin_prefetch(value + i, 1, 3);
}

/* ---- items: a query tile alone, a bundle ---------------------------------------------------- */

static void attend_alone(const struct attend_work *w, uint32_t item, uint32_t thread)
{
    const struct qr_activations *a = w->a;
    const uint8_t *next[QR_PREFETCH_PANELS];
    uint32_t head;
    const struct qr_tile *tile = tile_at(a, a->plan.alone, item, &head);

    if (!tile) return;
    struct qr_kv_view view = view_of(w, tile, head);
    struct qr_attention_rows rows = rows_of(a, tile, head, thread);
    if (next_panels(w, item + 1, next)) rows.next = next;
    if (w->store) {
        prefetch_value(w, item + 1);
        store_tile(w, tile, head);
    }
    a->model->kernels->attention.attend(&view, &rows);
    if (w->quantize) quantize_tile(w, tile, head);
}

/* The spans that a bundle's rows share.  Later rows share fewer: after the last row's spans that
 * row leaves, and the others go on. */
static void attend_shared(const struct attend_work *w, const struct qr_bundle *bundle,
                          uint32_t head, uint32_t thread)
{
    const struct qr_activations *a = w->a;
    const uint32_t *spans = a->plan.cascade.spans;
    const uint32_t *order = a->plan.cascade.order + bundle->first;
    const float *q[QR_ATTENTION_QUERIES];
    void *partials[QR_ATTENTION_QUERIES];
    const uint8_t *next[QR_PREFETCH_PANELS];
    struct qr_attention_shared shared = {.q = q,
                                         .partials = partials,
                                         .rows_n = bundle->rows_n,
                                         .group_n = group_n(a),
                                         .scratch = qr_pass_scratch(a->pass, thread)};
    struct qr_kv_view view = view_of(w, &a->tiles.tiles[order[0]], head);

    for (uint32_t i = 0; i < bundle->rows_n; i++) {
        const struct qr_tile *tile = &a->tiles.tiles[order[i]];
        if (w->store) store_tile(w, tile, head);
        q[i] = queries_of(a, tile, head);
        partials[i] = qr_attend_plan_bundle_partial(&a->plan, thread, i);
    }
    if (next_row_panels(w, bundle, head, 0, next)) shared.next = next;
    for (uint32_t begin = 0, end; shared.rows_n > 0; begin = end) {
        end = spans[order[shared.rows_n - 1]];
        a->model->kernels->attention.attend_shared(&view, &shared, begin, end);
        while (shared.rows_n > 0 && spans[order[shared.rows_n - 1]] == end)
            shared.rows_n--;
    }
}

/* The shared spans, then each row alone from there on. */
static void attend_bundle(const struct attend_work *w, const struct qr_bundle *bundle,
                          uint32_t head, uint32_t thread)
{
    const struct qr_activations *a = w->a;
    const struct qr_cascade *c = &a->plan.cascade;
    const uint8_t *next[QR_PREFETCH_PANELS];

    attend_shared(w, bundle, head, thread);
    for (uint32_t i = 0; i < bundle->rows_n; i++) {
        uint32_t at = c->order[bundle->first + i];
        const struct qr_tile *tile = &a->tiles.tiles[at];
        struct qr_kv_view view = view_of(w, tile, head);
        struct qr_attention_rows rows = rows_of(a, tile, head, thread);
        rows.summed_n = c->spans[at];
        rows.partial = qr_attend_plan_bundle_partial(&a->plan, thread, i);
        if (next_row_panels(w, bundle, head, i + 1, next)) rows.next = next;
        a->model->kernels->attention.attend(&view, &rows);
        if (w->quantize) quantize_tile(w, tile, head);
    }
}

/* ---- stages --------------------------------------------------------------------------------- */

static void store_items(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    const struct attend_work *w = work;
    uint32_t head;

    (void)thread;
    for (uint32_t item = begin; item < end; item++) {
        const struct qr_tile *tile = tile_at(w->a, w->a->tiles.order, item, &head);
        if (tile) store_tile(w, tile, head);
    }
}

static void store(const struct attend_work *w)
{
    const struct qr_activations *a = w->a;
    const struct qr_model_shape *s = &a->model->shape;

    qr_pass_run(a->pass, &(struct qr_work){.fn = store_items,
                                           .work = w,
                                           .work_bytes = sizeof *w,
                                           .items_n = items_n(a),
                                           .phase = QR_PHASE_STORE,
                                           .cost = (uint64_t)a->tiles.rows_n * s->kv_heads_n *
                                                   s->head_dim * STORE_COST});
}

/* Items are (bundle, KV head), then (query tile alone, KV head). */
static void attend_items(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    const struct attend_work *w = work;
    const uint32_t heads_n = w->a->model->shape.kv_heads_n;
    const uint32_t bundle_items = bundle_items_n(w->a);

    for (uint32_t item = begin; item < end; item++)
        if (item < bundle_items)
            attend_bundle(w, &w->a->plan.cascade.bundles[item / heads_n], item % heads_n, thread);
        else
            attend_alone(w, item - bundle_items, thread);
}

/* Items that do not follow the partitions are taken by any thread: bundles one at a time, query
 * tiles in eighths of what a thread would own. */
static void attend(const struct attend_work *w, uint64_t cost)
{
    const struct qr_activations *a = w->a;
    const uint32_t bundle_items = bundle_items_n(a), alone = alone_items_n(a);
    const uint32_t grains_n = 8 * a->pass->threads_n;
    uint32_t grain = bundle_items ? 1 : (alone + grains_n - 1) / grains_n;
    enum qr_rows_of reads = w->store ? QR_ROWS_OWN : QR_ROWS_SEQ;

    qr_pass_run(a->pass, &(struct qr_work){.fn = attend_items,
                                           .work = w,
                                           .work_bytes = sizeof *w,
                                           .items_n = bundle_items + alone,
                                           .grain = a->plan.owned ? QR_GRAIN_OWNER : grain,
                                           .reads = bundle_items ? QR_ROWS_ANY : reads,
                                           .writes = a->plan.owned ? QR_ROWS_OWN : QR_ROWS_ANY,
                                           .phase = QR_PHASE_ATTEND,
                                           .cost = cost});
}

/* ---- a few long sequences, spread by spans -------------------------------------------------- */

static void store_all(void *work)
{
    const struct attend_work *w = work;

    store_items(work, 0, items_n(w->a), 0);
}

static void attend_spans(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    const struct attend_work *w = work;
    const struct qr_activations *a = w->a;
    const uint32_t *begins = a->plan.span_begins;
    uint32_t item = 0;
    uint32_t head;

    while (begin < end) {
        while (begin >= begins[item + 1])
            item++;
        uint32_t stop = end < begins[item + 1] ? end : begins[item + 1];
        const struct qr_tile *tile = tile_at(a, a->tiles.order, item, &head);
        struct qr_kv_view view = view_of(w, tile, head);
        struct qr_attention_rows rows = rows_of(a, tile, head, thread);
        uint32_t first = qr_attend_plan_first_span(rows.window, tile->position);
        a->model->kernels->attention.attend_spans(&view, &rows, first + begin - begins[item],
                                                  first + stop - begins[item],
                                                  qr_attend_plan_partials(&a->plan, item));
        begin = stop;
    }
}

static void merge_all(void *work)
{
    const struct attend_work *w = work;
    const struct qr_activations *a = w->a;
    uint32_t head;

    for (uint32_t item = 0; item < items_n(a); item++) {
        const struct qr_tile *tile = tile_at(a, a->tiles.order, item, &head);
        struct qr_kv_view view = view_of(w, tile, head);
        struct qr_attention_rows rows = rows_of(a, tile, head, 0);
        a->model->kernels->attention.attend_merge(&view, &rows,
                                                  qr_attend_plan_spans(tile->position),
                                                  qr_attend_plan_partials(&a->plan, item));
        if (w->quantize) quantize_tile(w, tile, head);
    }
}

/* Partial results merge to the same bits (kernels/attention.h). */
static void attend_spread(struct attend_work *w, uint64_t cost)
{
    const struct qr_activations *a = w->a;

    if (w->store) qr_pass_run_alone(a->pass, QR_PHASE_ATTEND, store_all, w);
    qr_pass_run(a->pass, &(struct qr_work){.fn = attend_spans,
                                           .work = w,
                                           .work_bytes = sizeof *w,
                                           .items_n = a->plan.span_begins[items_n(a)],
                                           .reads = QR_ROWS_ANY,
                                           .writes = QR_ROWS_ANY,
                                           .phase = QR_PHASE_ATTEND,
                                           .cost = cost});
    qr_pass_run_alone(a->pass, QR_PHASE_ATTEND, merge_all, w);
}

/* ---- a layer -------------------------------------------------------------------------------- */

void qr_attend_layer(struct qr_activations *a, uint32_t layer)
{
    const struct qr_model_shape *s = &a->model->shape;
    const bool acts = qr_weights_wants(&a->model->layers[layer].o) & QR_WANTS_ACTS;
    const bool whole_blocks = group_n(a) * s->head_dim % QR_ACT_BLOCK == 0;
    const bool last = layer + 1 == s->layers_n;
    struct attend_work w = {.a = a, .layer = layer, .quantize = acts && whole_blocks};

    if (last && a->tiles.step->outputs_n <= a->tiles.rows_n / 2) {
        store(&w);
        qr_activations_select(a);
    } else if (a->plan.whole) {
        w.store = true;
    } else {
        store(&w);
    }
    uint64_t cost = 2 * a->plan.keys * s->heads_n * s->head_dim;
    if (a->plan.spread)
        attend_spread(&w, cost);
    else
        attend(&w, cost);
    if (acts && !whole_blocks) qr_rows_quantize(a, &a->attended, a->tiles.rows_n);
}
