/* SPDX-License-Identifier: MIT */
#include "runtime/model/attend_plan.h"

#include "kernels/attention.h"
#include "runtime/base/stage.h"
#include "runtime/model/layout.h"

#define SPREAD_CONTEXT_MIN (2 * QR_KV_SPAN) /* under two spans there is nothing to spread */
#define ITEMS_A_THREAD     2u               /* with fewer items: spread */
/* The most keys of a partition may exceed the mean by one in so many. */
#define KEYS_UNEVEN 8u

/* The most items that are spread. */
static uint32_t spread_items(const struct qr_attend_plan *p)
{
    return ITEMS_A_THREAD * p->threads_n;
}

uint32_t qr_attend_plan_spans(uint32_t position)
{
    return position / QR_KV_SPAN + 1;
}

uint32_t qr_attend_plan_first_span(uint32_t window, uint32_t position)
{
    return window && position >= window ? (position + 1 - window) / QR_KV_SPAN : 0;
}

/* Bytes of partial results that an item has. */
static size_t item_bytes(const struct qr_attend_plan *p)
{
    return qr_attend_plan_spans(p->context_max - 1) * p->partial_bytes;
}

static void lay_out(struct qr_attend_plan *p, struct qr_layout *l)
{
    const size_t alone_max = 2 * (size_t)p->rows_max;
    const size_t rows = (size_t)p->threads_n * qr_cascade_rows_max(p->shape);

    p->span_begins = qr_layout_place(l, spread_items(p) + 1, sizeof p->span_begins[0]);
    p->span_partials = qr_layout_place(l, spread_items(p), item_bytes(p));
    p->alone = qr_layout_place(l, alone_max, sizeof p->alone[0]);
    p->bundle_partials = qr_layout_place(l, rows, p->partial_bytes);
    void *memory = qr_layout_place(l, 1, qr_cascade_bytes(p->rows_max));
    if (memory) qr_cascade_init(&p->cascade, memory, p->rows_max);
}

static struct qr_attend_plan plan_of(const struct qr_model_shape *shape, uint32_t threads_n,
                                     uint32_t rows_max, uint32_t context_max)
{
    return (struct qr_attend_plan){.shape = shape,
                                   .threads_n = threads_n,
                                   .rows_max = rows_max,
                                   .context_max = context_max,
                                   .partial_bytes = qr_attention_partial_bytes(
                                       shape->heads_n / shape->kv_heads_n, shape->head_dim)};
}

size_t qr_attend_plan_bytes(const struct qr_model_shape *shape, uint32_t threads_n,
                            uint32_t rows_max, uint32_t context_max)
{
    struct qr_attend_plan p = plan_of(shape, threads_n, rows_max, context_max);
    struct qr_layout l = {0};

    lay_out(&p, &l);
    return l.bytes;
}

void qr_attend_plan_init(struct qr_attend_plan *p, void *memory, const struct qr_model_shape *shape,
                         uint32_t threads_n, uint32_t rows_max, uint32_t context_max)
{
    *p = plan_of(shape, threads_n, rows_max, context_max);
    lay_out(p, &(struct qr_layout){.base = memory});
}

uint8_t *qr_attend_plan_partials(const struct qr_attend_plan *p, uint32_t item)
{
    return p->span_partials + item * item_bytes(p);
}

void *qr_attend_plan_bundle_partial(const struct qr_attend_plan *p, uint32_t thread, uint32_t i)
{
    return p->bundle_partials +
           ((size_t)thread * qr_cascade_rows_max(p->shape) + i) * p->partial_bytes;
}

/* ---- of a step ------------------------------------------------------------------------------ */

static bool is_spread(const struct qr_attend_plan *p, const struct qr_tiles *t)
{
    uint32_t most = 0;

    if (p->threads_n == 1 || t->order_n * p->shape->kv_heads_n >= spread_items(p)) return false;
    if (t->window && t->window <= SPREAD_CONTEXT_MIN) return false;
    for (uint32_t i = 0; i < t->tiles_n; i++) {
        if (t->tiles[i].rows_n != 1) return false;
        if (t->tiles[i].position > most) most = t->tiles[i].position;
    }
    return most >= SPREAD_CONTEXT_MIN;
}

static void list_spans(struct qr_attend_plan *p, const struct qr_tiles *t)
{
    const uint32_t heads_n = p->shape->kv_heads_n;

    p->span_begins[0] = 0;
    for (uint32_t item = 0; item < t->order_n * heads_n; item++) {
        uint32_t position = t->tiles[t->order[item / heads_n]].position;
        p->span_begins[item + 1] = p->span_begins[item] + qr_attend_plan_spans(position) -
                                   qr_attend_plan_first_span(t->window, position);
    }
}

/* A query tile in a bundle is not alone.  Padding keeps the items in step with the partitions,
 * which bundles do not follow. */
static void list_alone(struct qr_attend_plan *p, const struct qr_tiles *t)
{
    p->alone_n = 0;
    for (uint32_t i = 0; i < t->order_n; i++) {
        uint32_t tile = t->order[i];
        if (p->cascade.bundles_n && (tile == QR_NO_TILE || p->cascade.spans[tile])) continue;
        p->alone[p->alone_n++] = tile;
    }
}

/* Whether each partition's stretch of the order writes rows of that partition only, and each sees
 * about as many keys: then a thread does its own items and need not wait for others. */
static bool is_owned(const struct qr_attend_plan *p, const struct qr_tiles *t)
{
    uint64_t most = 0, all = 0;

    if (t->owned_n == 0 || p->cascade.bundles_n) return false;
    for (uint32_t partition = 0; partition < p->threads_n; partition++) {
        uint32_t end = qr_partition_end(p->threads_n, partition, t->order_n);
        uint64_t keys = 0;
        for (uint32_t i = qr_partition_begin(p->threads_n, partition, t->order_n); i < end; i++) {
            if (t->order[i] == QR_NO_TILE) continue;
            const struct qr_tile *tile = &t->tiles[t->order[i]];
            if (tile->out_row / t->owned_n != partition) return false;
            keys += qr_tiles_keys(t, tile);
        }
        all += keys;
        if (keys > most) most = keys;
    }
    return most * p->threads_n - all <= all / KEYS_UNEVEN;
}

void qr_attend_plan_make(struct qr_attend_plan *p, const struct qr_tiles *t, uint32_t page_tokens)
{
    p->keys = 0;
    for (uint32_t i = 0; i < t->tiles_n; i++)
        p->keys += qr_tiles_keys(t, &t->tiles[i]);
    p->whole = t->tiles_n == t->step->seqs_n;
    p->spread = is_spread(p, t);
    if (p->spread) {
        p->cascade.bundles_n = 0;
        list_spans(p, t);
    } else {
        qr_cascade_find(&p->cascade, t, p->shape, page_tokens);
    }
    list_alone(p, t);
    p->owned = is_owned(p, t);
}
