/* SPDX-License-Identifier: MIT */
/* attend_plan -- how the query tiles of a step attend, the same in every layer.
 *
 * An item of attention is (query tile, KV head), or (bundle, KV head).
 *
 *     bundles    rows that share their first spans go over these together (cascade.h)
 *     alone      each other query tile by itself
 *     spread     instead of both, where a few long sequences are too few items to keep the threads
 *                busy: an item is a stretch of spans, and the partial results are merged
 *
 * The plan's memory holds these lists and the partial results of spans.
 *
 * Thread: its engine's; stages read it.   Memory: the caller's, fixed at init.
 * Invariant: every query tile is in one bundle or in `alone`, once. */
#ifndef QR_MODEL_ATTEND_PLAN_H
#define QR_MODEL_ATTEND_PLAN_H

#include "runtime/model/cascade.h"

struct qr_attend_plan {
    const struct qr_model_shape *shape;
    uint32_t threads_n, rows_max, context_max;
    size_t partial_bytes; /* of one span's result */
    struct qr_cascade cascade;
    uint32_t alone_n;
    uint32_t *alone;          /* [2 * rows_max]: query tiles in the order of work, or QR_NO_TILE */
    uint32_t *span_begins;    /* spread: [items + 1], each item's first span among all */
    uint8_t *span_partials;   /* spread: a place for every span of every item */
    uint8_t *bundle_partials; /* [threads_n][qr_cascade_rows_max()][partial_bytes] */
    uint64_t keys;            /* that all rows see, each row's counted */
    bool spread;
    bool whole; /* each sequence is one query tile: it needs no keys of other items */
    bool owned; /* items follow the partitions of rows, with about as many keys in each */
};

size_t qr_attend_plan_bytes(const struct qr_model_shape *shape, uint32_t threads_n,
                            uint32_t rows_max, uint32_t context_max);
/* shape stays as long as the plan. */
void qr_attend_plan_init(struct qr_attend_plan *p, void *memory, const struct qr_model_shape *shape,
                         uint32_t threads_n, uint32_t rows_max, uint32_t context_max);

/* Plans for the query tiles of a step. */
void qr_attend_plan_make(struct qr_attend_plan *p, const struct qr_tiles *t, uint32_t page_tokens);

/* Spans up to the key at `position`. */
uint32_t qr_attend_plan_spans(uint32_t position);
/* The first span with a key that the row at `position` sees. */
uint32_t qr_attend_plan_first_span(uint32_t window, uint32_t position);
/* spread: an item's place for partial results, from span 0 on. */
uint8_t *qr_attend_plan_partials(const struct qr_attend_plan *p, uint32_t item);
/* Where a thread leaves the sum of the spans that row i of its bundle shares. */
void *qr_attend_plan_bundle_partial(const struct qr_attend_plan *p, uint32_t thread, uint32_t i);

#endif
