/* SPDX-License-Identifier: MIT */
/* x86/gemm_float_tiles -- the loops around a float variant's tile functions.
 *
 *     for each slab of rows    its activations stay in the L2 while all panels are read once
 *       for each panel
 *         for each tile        the tile function runs over all of k with its sums in registers
 *
 * Rows are divided evenly among the fewest tiles that hold them: 16 rows are 8 and 8, not 14 and 2,
 * because a tile of few rows waits for its weights.
 *
 * Thread: any.   Memory: none. */
#ifndef QR_KERNELS_X86_GEMM_FLOAT_TILES_H
#define QR_KERNELS_X86_GEMM_FLOAT_TILES_H

#include <assert.h>
#include <immintrin.h>

#include "kernels/gemm_float.h"
#include "kernels/x86/unroll.h"

/* Activations of a slab; for an L2 of 1 MB or more. */
#define FLOAT_SLAB_BYTES (384u << 10)

/* The distance from the weights in use to the weights that are prefetched.  It reaches into the
 * next panel, and past the end of the last one (a prefetch cannot fault). */
#define FLOAT_PREFETCH_BYTES 4096u

/* One panel with some rows. */
struct float_tile {
    const uint8_t *weights;
    const float *x;
    size_t x_stride;
    uint32_t k;
    uint32_t columns_n; /* QR_FLOAT_PANEL_N, or fewer in the last panel */
    float *out;
    size_t out_stride;
    bool add;
};
typedef void float_tile_fn(const struct float_tile *t);

INLINE uint32_t line_bytes_of(enum qr_type type)
{
    return QR_FLOAT_PANEL_N * (type == QR_TYPE_F32 ? 4 : 2);
}

/* Prefetches one k's weights, FLOAT_PREFETCH_BYTES after `line`. */
INLINE void prefetch_line(enum qr_type type, const uint8_t *line)
{
    const char *at = (const char *)line + FLOAT_PREFETCH_BYTES;

    _mm_prefetch(at, _MM_HINT_T0);
    if (type == QR_TYPE_F32) _mm_prefetch(at + 64, _MM_HINT_T0);
}

/* tiles[r - 1] computes r rows, 1 to most. */
INLINE void gemm_float_by_tiles(float_tile_fn *const *tiles, uint32_t most,
                                const struct qr_gemm_float_args *g)
{
    const struct qr_matrix *m = g->m;
    const size_t slab_tiles = FLOAT_SLAB_BYTES / (most * sizeof(float) * m->k);
    const uint32_t slab_rows = most * (uint32_t)(slab_tiles ? slab_tiles : 1);

    assert(g->panel_end <= m->panels_n);
    for (uint32_t slab = 0; slab < g->rows_n; slab += slab_rows) {
        uint32_t slab_n = g->rows_n - slab < slab_rows ? g->rows_n - slab : slab_rows;
        for (uint32_t panel = g->panel_begin; panel < g->panel_end; panel++) {
            uint32_t columns_n = m->n - panel * QR_FLOAT_PANEL_N;
            uint32_t tiles_n = (slab_n + most - 1) / most;
            struct float_tile t = {
                .weights = m->data + panel * m->panel_stride,
                .x_stride = g->x_stride,
                .k = m->k,
                .columns_n = columns_n < QR_FLOAT_PANEL_N ? columns_n : QR_FLOAT_PANEL_N,
                .out_stride = g->out_stride,
                .add = g->add,
            };
            for (uint32_t row = 0, n; row < slab_n; row += n, tiles_n--) {
                n = (slab_n - row + tiles_n - 1) / tiles_n;
                t.x = g->x + (slab + row) * g->x_stride;
                t.out = g->out + (slab + row) * g->out_stride +
                        (size_t)(panel - g->panel_begin) * QR_FLOAT_PANEL_N;
                tiles[n - 1](&t);
            }
        }
    }
}

#endif
