/* SPDX-License-Identifier: MIT */
/* tiles -- which thread owns which rows, the order of rows in a pass, and the query tiles.
 *
 * From 16 rows a thread on, each thread owns rows, a partition of whole tiles of activations, and
 * does all of a layer's work on them.  It reads in one stage what it wrote in the stage before, so
 * no cache line moves between cores.
 *
 * A row's matrices cost the same everywhere; its attention grows with the keys that it sees.  So
 * query tiles go, from a sequence's last to its first, to the thread with the fewest keys so far.
 * A query tile that does not fit into the partition is cut.
 *
 *     step rows   a0 a1 a2 a3 | b0 b1 b2      as the scheduler ordered them
 *     pass rows   a2 a3 b0 .. | a0 a1 b1 b2   by partition; step_rows and pass_rows map both ways
 *
 * No row's bits depend on the order.
 *
 * Thread: its engine's; stages read it.   Memory: the caller's, fixed at init.
 * Invariant: every pass row is in exactly one query tile, and no query tile crosses partitions. */
#ifndef QR_MODEL_TILES_H
#define QR_MODEL_TILES_H

#include <stddef.h>

#include "kernels/gemm.h"
#include "runtime/model/step.h"

/* Rows of one sequence that attend together. */
struct qr_tile {
    uint32_t seq;
    uint32_t row;      /* the pass row where its queries, keys and values begin */
    uint32_t out_row;  /* the row where its results begin */
    uint32_t rows_n;   /* at most QR_ATTENTION_ROWS_MAX */
    uint32_t position; /* of its first row */
};
#define QR_NO_TILE UINT32_MAX

/* What a partition holds while tiles are assigned. */
struct qr_dealt {
    uint32_t rows_n;
    uint32_t tiles_n;
    uint64_t keys; /* that its rows see */
};

struct qr_tiles {
    const struct qr_step *step; /* NULL between steps */
    uint32_t threads_n;
    uint32_t rows_max;
    uint32_t window;  /* keys that a row sees, its own included; 0: all before it */
    uint32_t rows_n;  /* the step's; after qr_tiles_select those with outputs */
    uint32_t owned_n; /* rows of each partition but the last, whole tiles; 0: threads own none */
    uint32_t tiles_n;
    uint32_t order_n;
    uint32_t *step_rows;    /* [rows_max]: the step row at a pass row */
    uint32_t *pass_rows;    /* [rows_max]: the pass row of a step row */
    struct qr_tile *tiles;  /* [rows_max] */
    uint32_t *order;        /* [2 * rows_max]: query tiles in the order of work.  Where threads own
                               rows each partition's are an equal stretch, padded with QR_NO_TILE */
    struct qr_dealt *dealt; /* [threads_n] */
};

size_t qr_tiles_bytes(uint32_t threads_n, uint32_t rows_max);
void qr_tiles_init(struct qr_tiles *t, void *memory, uint32_t threads_n, uint32_t rows_max);

/* Assigns the step's rows to the threads and cuts them into query tiles. */
void qr_tiles_cut(struct qr_tiles *t, const struct qr_step *step, uint32_t window);
/* Keeps only the rows with outputs, in the order of the outputs.  Each is a query tile: `row` is
 * where it was, `out_row` is where it goes. */
void qr_tiles_select(struct qr_tiles *t);

/* Keys that the query tile's rows see, each row's counted. */
uint64_t qr_tiles_keys(const struct qr_tiles *t, const struct qr_tile *tile);

static inline uint32_t qr_whole_tiles(uint32_t rows_n)
{
    return (rows_n + QR_TILE_ROWS - 1) / QR_TILE_ROWS * QR_TILE_ROWS;
}

/* Rows to divide among threads.  Where threads own rows, the last partition may not be full, and
 * rows past rows_n do not exist. */
static inline uint32_t qr_tiles_divided_rows(const struct qr_tiles *t)
{
    return t->owned_n ? t->owned_n * t->threads_n : t->rows_n;
}

#endif
