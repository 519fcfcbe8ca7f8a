/* SPDX-License-Identifier: MIT */
/* cascade -- decoding rows that go over shared spans together.
 *
 * Sequences that begin alike have the same pages there.  Their rows are sorted by pages, so that
 * rows with the most in common are neighbours, and cut into bundles.  A bundle's rows go over the
 * first spans of its first row together, each as far as it shares them.  Then each goes on alone.
 *
 *     row 0   |====|====|====|----|--    spans: 3      ==== together
 *     row 1   |====|====|====|--                3      ---- alone
 *     row 2   |====|====|---|                   2
 *
 * Only whole spans before a row's own key are shared, so this step writes none of their pages.
 * With a sliding window nothing is shared: rows at different positions see different keys.
 *
 * Thread: its engine's; stages read it.   Memory: the caller's, fixed at init.
 * Invariant: a bundle has at least 2 rows; no row shares more spans than the row before it. */
#ifndef QR_MODEL_CASCADE_H
#define QR_MODEL_CASCADE_H

#include "runtime/model/model.h"
#include "runtime/model/tiles.h"

/* A stretch of the cascade's order. */
struct qr_bundle {
    uint32_t first;
    uint32_t rows_n;
};

struct qr_cascade {
    uint32_t rows_max;
    uint32_t bundles_n;
    uint32_t *order;           /* [rows_max]: query tiles of one row, similar ones neighbours */
    uint32_t *spans;           /* [rows_max]: spans that a query tile shares; 0: in no bundle */
    struct qr_bundle *bundles; /* [rows_max / 2 + 1] */
};

size_t qr_cascade_bytes(uint32_t rows_max);
void qr_cascade_init(struct qr_cascade *c, void *memory, uint32_t rows_max);

/* Finds the bundles of a step's query tiles. */
void qr_cascade_find(struct qr_cascade *c, const struct qr_tiles *t,
                     const struct qr_model_shape *shape, uint32_t page_tokens);

/* The most rows of a bundle. */
uint32_t qr_cascade_rows_max(const struct qr_model_shape *shape);

#endif
