/* SPDX-License-Identifier: MIT */
/* Attention over the team.
 *
 * An item is (tile, KV head): the tile's rows of one sequence, all query heads that share the KV
 * head.  It rotates its own queries and keys and puts its keys and values; where each sequence is
 * one tile nothing else is needed before it attends, so one pass does all (decode).  Where a
 * sequence has several tiles, all keys are put before any tile attends.
 *
 * Rows that share their first blocks go over these together first (cascade.c).
 *
 * A few long sequences, fewer items than would keep the threads busy, are spread by their blocks
 * of 256 keys; the kernel's partial results merge to the same bits (kernels/attention.h).
 *
 * With a sliding window nothing before a row's window is touched, not even a block's number: its
 * page may be gone. */
#include <assert.h>

#include "runtime/model/pass.h"

#define SPREAD_CONTEXT_MIN (2 * QR_KV_SPAN) /* under two blocks there is nothing to spread */
#define ITEMS_A_THREAD     2u               /* fewer than these: spread */
/* What putting a value costs, in the multiply-adds that qr_pass_run counts. */
#define STORE_COST 16u
#define CACHE_LINE 64u

struct attend_work {
    struct qr_pass *p;
    uint32_t layer;
    bool store;
    bool quantize; /* in the item: a head's part of a row is whole blocks */
};

static uint32_t group_n(const struct qr_model_shape *s)
{
    return s->heads_n / s->kv_heads_n;
}

static uint32_t items_n(const struct qr_pass *p)
{
    return p->order_n * p->model->shape.kv_heads_n;
}

/* NULL: padding, the partition has fewer tiles than its stretch. */
static const struct qr_tile *tile_of(const struct qr_pass *p, uint32_t item, uint32_t *head)
{
    const uint32_t heads_n = p->model->shape.kv_heads_n;
    uint32_t tile = p->order[item / heads_n];

    *head = item % heads_n;
    return tile == QR_NO_TILE ? NULL : &p->tiles[tile];
}

static bool is_spread(const struct qr_pass *p)
{
    uint32_t most = 0;

    if (p->threads_n == 1 || items_n(p) >= qr_pass_spread_items(p)) return false;
    if (p->model->shape.sliding_window && p->model->shape.sliding_window <= SPREAD_CONTEXT_MIN)
        return false;
    for (uint32_t i = 0; i < p->tiles_n; i++) {
        if (p->tiles[i].rows_n != 1) return false;
        if (p->tiles[i].position > most) most = p->tiles[i].position;
    }
    return most >= SPREAD_CONTEXT_MIN;
}

void qr_pass_arrange(struct qr_pass *p)
{
    p->spread = is_spread(p);
    if (p->spread)
        p->shared.chunks_n = 0;
    else
        qr_pass_share(p);
    p->shared.alone_n = 0;
    for (uint32_t i = 0; i < p->order_n; i++) {
        uint32_t tile = p->order[i];
        if (p->shared.chunks_n && (tile == QR_NO_TILE || p->tiles[tile].summed_n)) continue;
        p->shared.alone[p->shared.alone_n++] = tile;
    }
}

/* Items of tiles that are in no chunk. */
static uint32_t alone_items(const struct qr_pass *p)
{
    return p->shared.alone_n * p->model->shape.kv_heads_n;
}

static const struct qr_tile *alone_of(const struct qr_pass *p, uint32_t item, uint32_t *head)
{
    const uint32_t heads_n = p->model->shape.kv_heads_n;

    uint32_t tile = p->shared.alone[item / heads_n];

    *head = item % heads_n;
    return tile == QR_NO_TILE ? NULL : &p->tiles[tile];
}

/* ---- an item's parts ------------------------------------------------------------------------ */

static struct qr_kv_view view_of(const struct qr_pass *p, uint32_t layer, uint32_t head,
                                 const struct qr_tile *tile)
{
    return qr_kv_store_view(p->kv, layer, head, p->step->seqs[tile->seq].pages);
}

static void store_tile(const struct attend_work *w, const struct qr_tile *tile, uint32_t head)
{
    struct qr_pass *p = w->p;
    const struct qr_model_shape *s = &p->model->shape;
    const uint32_t group = group_n(s);
    struct qr_kv_view view = view_of(p, w->layer, head, tile);

    for (uint32_t i = 0; i < tile->rows_n; i++) {
        uint32_t row = tile->row + i;
        float *q = qr_row(&p->qkv, row) + (size_t)head * group * s->head_dim;
        float *k = qr_row(&p->qkv, row) + (size_t)(s->heads_n + head) * s->head_dim;
        const float *v = k + (size_t)s->kv_heads_n * s->head_dim;
        const float *cosines = qr_row(&p->cosines, row);
        const float *sines = qr_row(&p->sines, row);
        p->model->rotate(q, group, s->head_dim, s->rotary_n, cosines, sines);
        p->model->rotate(k, 1, s->head_dim, s->rotary_n, cosines, sines);
        p->model->kernels->attention.put(&view, tile->position + i, k, v);
    }
}

static const float *queries_of(const struct qr_pass *p, const struct qr_tile *tile, uint32_t head)
{
    const struct qr_model_shape *s = &p->model->shape;

    return qr_row(&p->qkv, tile->row) + (size_t)head * group_n(s) * s->head_dim;
}

/* Where a thread leaves the sum of the blocks that row i of its chunk shares. */
static void *shared_partial(const struct qr_pass *p, uint32_t thread, uint32_t i)
{
    return p->shared.partials + ((size_t)thread * qr_pass_chunk_rows(p) + i) * p->partial_bytes;
}

static struct qr_attention_rows rows_of(const struct qr_pass *p, const struct qr_tile *tile,
                                        uint32_t head, uint32_t thread)
{
    const struct qr_model_shape *s = &p->model->shape;
    const size_t column = (size_t)head * group_n(s) * s->head_dim;

    return (struct qr_attention_rows){
        .q = queries_of(p, tile, head),
        .q_stride = p->qkv.stride,
        .out = p->attended.floats + tile->out_row * p->attended.stride + column,
        .out_stride = p->attended.stride,
        .rows_n = tile->rows_n,
        .position = tile->position,
        .group_n = group_n(s),
        .window = s->sliding_window,
        .scratch = qr_pass_scratch(p, thread),
    };
}

static void quantize_item(const struct attend_work *w, const struct qr_tile *tile, uint32_t head)
{
    struct qr_inputs *in = &w->p->attended;
    const struct qr_model_shape *s = &w->p->model->shape;
    const uint32_t n = group_n(s) * s->head_dim;

    w->p->model->kernels->gemm.quantize(
        &in->acts, tile->out_row, tile->out_row + tile->rows_n, head * n,
        in->floats + tile->out_row * in->stride + (size_t)head * n, in->stride, n);
}

/* ---- passes --------------------------------------------------------------------------------- */

static void store_items(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    const struct attend_work *w = work;
    uint32_t head;

    (void)thread;
    for (uint32_t item = begin; item < end; item++) {
        const struct qr_tile *tile = tile_of(w->p, item, &head);
        if (tile) store_tile(w, tile, head);
    }
}

/* The last of n panels again, to the end of the list.  False: there is none. */
static bool fill_up(const uint8_t *panels[QR_PREFETCH_PANELS], uint32_t n)
{
    for (uint32_t i = n; i > 0 && i < QR_PREFETCH_PANELS; i++)
        panels[i] = panels[i - 1];
    return n > 0;
}

/* The panels that items of tiles from `item` on read first: into which they put, then as they
 * attend.  Most likely they are this thread's too; a hint costs little where they are not.  False:
 * no more items. */
static bool panels_of(const struct attend_work *w, uint32_t item,
                      const uint8_t *panels[QR_PREFETCH_PANELS])
{
    const uint32_t window = w->p->model->shape.sliding_window;
    uint32_t n = 0;
    uint32_t head;

    for (; item < alone_items(w->p) && n < QR_PREFETCH_PANELS; item++) {
        const struct qr_tile *tile = alone_of(w->p, item, &head);
        if (!tile) break;
        struct qr_kv_view view = view_of(w->p, w->layer, head, tile);
        if (w->store) panels[n++] = qr_attention_written(&view, tile->position);
        n += qr_attention_first(&view, tile->position, window, 0, panels + n,
                                QR_PREFETCH_PANELS - n);
    }
    return fill_up(panels, n);
}

/* Calls for the lines of the first value that the item puts: its panel is among the last that the
 * item reads, and stores wait for each other. */
static void call_for_value(const struct attend_work *w, uint32_t item)
{
    uint32_t head;
    size_t bytes;
    const struct qr_tile *tile = item < alone_items(w->p) ? alone_of(w->p, item, &head) : NULL;

    if (!tile) return;
    struct qr_kv_view view = view_of(w->p, w->layer, head, tile);
    const uint8_t *value = qr_attention_value(&view, tile->position, &bytes);
    for (size_t i = 0; i < bytes; i += CACHE_LINE)
        __builtin_prefetch(value + i, 1, 3);
}

static void attend_alone(const struct attend_work *w, uint32_t item, uint32_t thread)
{
    const uint8_t *next[QR_PREFETCH_PANELS];
    uint32_t head;
    const struct qr_tile *tile = alone_of(w->p, item, &head);
    if (!tile) return;
    struct qr_kv_view view = view_of(w->p, w->layer, head, tile);
    struct qr_attention_rows rows = rows_of(w->p, tile, head, thread);

    if (panels_of(w, item + 1, next)) rows.next = next;
    if (w->store) {
        call_for_value(w, item + 1);
        store_tile(w, tile, head);
    }
    w->p->model->kernels->attention.attend(&view, &rows);
    if (w->quantize) quantize_item(w, tile, head);
}

/* The panels that a chunk's rows from `row` on read by themselves. */
static bool panels_of_rows(const struct attend_work *w, const struct qr_chunk *chunk, uint32_t head,
                           uint32_t row, const uint8_t *panels[QR_PREFETCH_PANELS])
{
    uint32_t n = 0;

    for (; row < chunk->rows_n && n < QR_PREFETCH_PANELS; row++) {
        const struct qr_tile *tile = &w->p->tiles[w->p->shared.order[chunk->first + row]];
        struct qr_kv_view view = view_of(w->p, w->layer, head, tile);
        n += qr_attention_first(&view, tile->position, 0, tile->summed_n, panels + n,
                                QR_PREFETCH_PANELS - n);
    }
    return fill_up(panels, n);
}

/* A chunk's rows share ever fewer blocks: after those that the last ones share too these leave, and
 * the others go on. */
static void attend_shared(const struct attend_work *w, const struct qr_chunk *chunk, uint32_t head,
                          uint32_t thread)
{
    const struct qr_pass *p = w->p;
    const uint32_t *order = p->shared.order + chunk->first;
    const float *q[QR_ATTENTION_QUERIES];
    void *partials[QR_ATTENTION_QUERIES];
    const uint8_t *next[QR_PREFETCH_PANELS];
    struct qr_attention_shared a = {.q = q,
                                    .partials = partials,
                                    .rows_n = chunk->rows_n,
                                    .group_n = group_n(&p->model->shape),
                                    .scratch = qr_pass_scratch(p, thread)};
    struct qr_kv_view view = view_of(p, w->layer, head, &p->tiles[order[0]]);

    for (uint32_t i = 0; i < chunk->rows_n; i++) {
        const struct qr_tile *tile = &p->tiles[order[i]];
        if (w->store) store_tile(w, tile, head);
        q[i] = queries_of(p, tile, head);
        partials[i] = shared_partial(p, thread, i);
    }
    if (panels_of_rows(w, chunk, head, 0, next)) a.next = next;
    for (uint32_t begin = 0, end; a.rows_n > 0; begin = end) {
        end = p->tiles[order[a.rows_n - 1]].summed_n;
        p->model->kernels->attention.attend_shared(&view, &a, begin, end);
        while (a.rows_n > 0 && p->tiles[order[a.rows_n - 1]].summed_n == end)
            a.rows_n--;
    }
}

/* The shared blocks, then each row by itself from there on. */
static void attend_chunk(const struct attend_work *w, const struct qr_chunk *chunk, uint32_t head,
                         uint32_t thread)
{
    const struct qr_pass *p = w->p;
    const uint8_t *next[QR_PREFETCH_PANELS];

    attend_shared(w, chunk, head, thread);
    for (uint32_t i = 0; i < chunk->rows_n; i++) {
        const struct qr_tile *tile = &p->tiles[p->shared.order[chunk->first + i]];
        struct qr_kv_view view = view_of(p, w->layer, head, tile);
        struct qr_attention_rows rows = rows_of(p, tile, head, thread);
        rows.summed_n = tile->summed_n;
        rows.partial = shared_partial(p, thread, i);
        if (panels_of_rows(w, chunk, head, i + 1, next)) rows.next = next;
        p->model->kernels->attention.attend(&view, &rows);
        if (w->quantize) quantize_item(w, tile, head);
    }
}

/* An item is (chunk, KV head), then (tile that is in none, KV head). */
static void attend_items(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    const struct attend_work *w = work;
    const uint32_t heads_n = w->p->model->shape.kv_heads_n;
    const uint32_t chunk_items = w->p->shared.chunks_n * heads_n;

    for (uint32_t item = begin; item < end; item++) {
        if (item < chunk_items)
            attend_chunk(w, &w->p->shared.chunks[item / heads_n], item % heads_n, thread);
        else
            attend_alone(w, item - chunk_items, thread);
    }
}

static uint32_t blocks_of(uint32_t position)
{
    return position / QR_KV_SPAN + 1;
}

/* The first block that holds a key which the row at `position` sees. */
static uint32_t first_block(const struct qr_pass *p, uint32_t position)
{
    const uint32_t window = p->model->shape.sliding_window;

    return window && position >= window ? (position + 1 - window) / QR_KV_SPAN : 0;
}

static uint32_t blocks_max(const struct qr_pass *p)
{
    return blocks_of(p->context_max - 1);
}

/* An item's place for partial results, from its block 0 on. */
static uint8_t *partials_of(const struct qr_pass *p, uint32_t item)
{
    return p->partials + (size_t)item * blocks_max(p) * p->partial_bytes;
}

static void attend_blocks(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    const struct attend_work *w = work;
    const struct qr_pass *p = w->p;
    uint32_t item = 0;
    uint32_t head;

    while (begin < end) {
        while (begin >= p->blocks[item + 1])
            item++;
        uint32_t stop = end < p->blocks[item + 1] ? end : p->blocks[item + 1];
        const struct qr_tile *tile = tile_of(p, item, &head);
        struct qr_kv_view view = view_of(p, w->layer, head, tile);
        struct qr_attention_rows rows = rows_of(p, tile, head, thread);
        uint32_t first = first_block(p, tile->position);
        p->model->kernels->attention.attend_spans(&view, &rows, first + begin - p->blocks[item],
                                                  first + stop - p->blocks[item],
                                                  partials_of(p, item));
        begin = stop;
    }
}

static void attend_spread(struct attend_work *w, uint64_t cost)
{
    struct qr_pass *p = w->p;
    uint32_t n = items_n(p);
    uint32_t head;

    assert(p->own_rows == 0); /* few rows */
    if (w->store) store_items(w, 0, n, 0);
    p->blocks[0] = 0;
    for (uint32_t item = 0; item < n; item++) {
        uint32_t position = tile_of(p, item, &head)->position;
        p->blocks[item + 1] = p->blocks[item] + blocks_of(position) - first_block(p, position);
    }
    qr_pass_run(p, &(struct qr_work){.fn = attend_blocks,
                                     .work = w,
                                     .work_bytes = sizeof(*w),
                                     .items_n = p->blocks[n],
                                     .cost = cost});
    for (uint32_t item = 0; item < n; item++) {
        const struct qr_tile *tile = tile_of(p, item, &head);
        struct qr_kv_view view = view_of(p, w->layer, head, tile);
        struct qr_attention_rows rows = rows_of(p, tile, head, 0);
        p->model->kernels->attention.attend_merge(&view, &rows, blocks_of(tile->position),
                                                  partials_of(p, item));
        if (w->quantize) quantize_item(w, tile, head);
    }
}

static void store(struct attend_work *w)
{
    struct qr_pass *p = w->p;
    const struct qr_model_shape *s = &p->model->shape;

    qr_pass_enter(p, QR_PHASE_STORE);
    qr_pass_run(p, &(struct qr_work){.fn = store_items,
                                     .work = w,
                                     .work_bytes = sizeof(*w),
                                     .items_n = items_n(p),
                                     .cost = (uint64_t)p->rows_n * s->kv_heads_n * s->head_dim *
                                             STORE_COST});
}

static void attend_all(struct attend_work *w, uint64_t cost)
{
    struct qr_pass *p = w->p;
    uint32_t chunk_items = p->shared.chunks_n * p->model->shape.kv_heads_n;
    uint32_t alone = alone_items(p);
    /* Where partitions are uneven, any free thread takes items. */
    uint32_t grain = chunk_items ? 1 : (alone + 8 * p->threads_n - 1) / (8 * p->threads_n);
    bool kept = p->kept && chunk_items == 0;

    qr_pass_run(p, &(struct qr_work){.fn = attend_items,
                                     .work = w,
                                     .work_bytes = sizeof(*w),
                                     .items_n = chunk_items + alone,
                                     .grain = kept ? QR_GRAIN_OWNER : grain,
                                     .reads = p->tiled || chunk_items > 0 ? QR_READS_OTHER_ROWS
                                                                          : QR_READS_OWN_ROWS,
                                     .cost = cost});
}

bool qr_pass_narrow(struct qr_pass *p, uint32_t layer)
{
    struct attend_work w = {.p = p, .layer = layer};

    if (p->outputs_n > p->rows_n / 2) return false;
    store(&w);
    qr_pass_flush(p);
    qr_pass_select(p);
    return true;
}

void qr_pass_attend(struct qr_pass *p, uint32_t layer, bool store_first, unsigned wants)
{
    const struct qr_model_shape *s = &p->model->shape;
    struct attend_work w = {.p = p, .layer = layer, .store = store_first};
    uint64_t cost = 2 * p->keys * s->heads_n * s->head_dim;
    bool whole_blocks = group_n(s) * s->head_dim % QR_ACT_BLOCK == 0;

    w.quantize = (wants & QR_WANTS_ACTS) && whole_blocks;
    if (w.store && p->tiled) {
        store(&w);
        w.store = false;
    }
    qr_pass_enter(p, QR_PHASE_ATTEND);
    if (p->spread)
        attend_spread(&w, cost);
    else
        attend_all(&w, cost);
    if ((wants & QR_WANTS_ACTS) && !whole_blocks) qr_pass_quantize(p, &p->attended, p->rows_n);
}

uint32_t qr_pass_spread_items(const struct qr_pass *p)
{
    return ITEMS_A_THREAD * p->threads_n;
}

size_t qr_pass_partials_bytes(const struct qr_pass *p)
{
    return (size_t)qr_pass_spread_items(p) * blocks_max(p) * p->partial_bytes;
}
