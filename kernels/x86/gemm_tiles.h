/* SPDX-License-Identifier: MIT */
/* x86/gemm_tiles -- the loops around a variant's tile function.
 *
 *     for each slab of rows         its activations stay in the L2 while all panels are read once
 *       for each panel              it stays in the L1 for all tiles of the slab
 *         for each tile of 16 rows  the tile function runs over all of k
 *
 * Thread: any.   Memory: none. */
#ifndef QR_KERNELS_X86_GEMM_TILES_H
#define QR_KERNELS_X86_GEMM_TILES_H

#include <immintrin.h>

#include "kernels/gemm_layout.h"
#include "kernels/x86/unroll.h"

/* Activations of a slab; for an L2 of 1 MB or more. */
#define SLAB_BYTES (384u << 10)

/* The distance from the weights in use to the weights that are prefetched, for any number of rows.
 * It reaches into the next panel, and past the end of the last one (a prefetch cannot fault).  It
 * is a small part of the L1: 16 KB would evict the activations of 8 rows and more. */
#define PREFETCH_BYTES 4096u

/* Prefetches the first bytes of a call's panels.  No tile did so before, if another thread read the
 * panels before these. */
INLINE void prefetch_begin(const uint8_t *weights)
{
    for (uint32_t at = 0; at < PREFETCH_BYTES; at += 64)
        _mm_prefetch((const char *)weights + at, _MM_HINT_T0);
}

INLINE void prefetch_block(const uint8_t *at, uint32_t block_bytes)
{
    UNROLL
    for (uint32_t i = 0; i < block_bytes; i += 64)
        _mm_prefetch((const char *)at + i, _MM_HINT_T0);
}

/* One panel with up to QR_TILE_ROWS rows. */
struct row_tile {
    const uint8_t *weights;
    const struct qr_act_row *acts;
    uint32_t blocks_n;
    uint32_t rows_n;
    uint32_t columns_n; /* 16, or fewer in the last panel */
    float *out;
    size_t out_stride;
    bool add;
};
typedef void tile_fn(const struct row_tile *t);

INLINE void gemm_by_tiles(tile_fn *tile, const struct qr_gemm_args *g)
{
    const struct qr_matrix *m = g->m;
    size_t tiles_n = SLAB_BYTES / g->acts->tile_bytes;
    uint32_t slab_rows = (uint32_t)(tiles_n ? tiles_n : 1) * QR_TILE_ROWS;

    qr_gemm_check(g);
    prefetch_begin(m->data + g->panel_begin * m->panel_stride);
    for (uint32_t slab = g->row_begin; slab < g->row_end; slab += slab_rows) {
        uint32_t slab_end = g->row_end - slab < slab_rows ? g->row_end : slab + slab_rows;
        for (uint32_t panel = g->panel_begin; panel < g->panel_end; panel++) {
            uint32_t columns_n = m->n - panel * QR_PANEL_N;
            struct row_tile t = {
                .weights = m->data + panel * m->panel_stride,
                .blocks_n = m->k / QR_ACT_BLOCK,
                .columns_n = columns_n < QR_PANEL_N ? columns_n : QR_PANEL_N,
                .out_stride = g->out_stride,
                .add = g->add,
            };
            for (uint32_t row = slab; row < slab_end; row += QR_TILE_ROWS) {
                t.acts = qr_act_row(g->acts, row, 0);
                t.rows_n = slab_end - row < QR_TILE_ROWS ? slab_end - row : QR_TILE_ROWS;
                t.out = g->out + (row - g->row_begin) * g->out_stride +
                        (size_t)(panel - g->panel_begin) * QR_PANEL_N;
                tile(&t);
            }
        }
    }
}

/* qr_gemm_layout as a constant of the type: blocks in a group, and its bytes. */
INLINE uint32_t group_blocks_of(enum qr_type type)
{
    switch (type) {
    case QR_TYPE_Q2_K:
    case QR_TYPE_Q3_K:
    case QR_TYPE_Q4_K:
    case QR_TYPE_Q5_K:
    case QR_TYPE_Q6_K:
    case QR_TYPE_IQ4_XS: return 8;
    default: return 2;
    }
}

INLINE uint32_t group_bytes_of(enum qr_type type)
{
    switch (type) {
    case QR_TYPE_Q4_0: return QR_Q4_0_GROUP;
    case QR_TYPE_Q4_1: return QR_Q4_1_GROUP;
    case QR_TYPE_Q5_0: return QR_Q5_0_GROUP;
    case QR_TYPE_Q5_1: return QR_Q5_1_GROUP;
    case QR_TYPE_Q8_0: return QR_Q8_0_GROUP;
    case QR_TYPE_IQ4_NL: return QR_IQ4_NL_GROUP;
    case QR_TYPE_Q2_K: return QR_Q2_K_GROUP;
    case QR_TYPE_Q3_K: return QR_Q3_K_GROUP;
    case QR_TYPE_Q4_K: return QR_Q4_K_GROUP;
    case QR_TYPE_Q5_K: return QR_Q5_K_GROUP;
    case QR_TYPE_Q6_K: return QR_Q6_K_GROUP;
    case QR_TYPE_IQ4_XS: return QR_IQ4_XS_GROUP;
    default: return 0;
    }
}

/* The offset of the residuals in a group; they are added before the group's two blocks.  0: the
 * type has none. */
INLINE uint32_t residuals_at(enum qr_type type)
{
    switch (type) {
    case QR_TYPE_Q4_1: return QR_Q4_1_RESIDUAL;
    case QR_TYPE_Q5_1: return QR_Q5_1_RESIDUAL;
    default: return 0;
    }
}

/* Whether a block has one minimum for all 32 k.  Q2_K has one for each half. */
INLINE bool takes_minimum(enum qr_type type)
{
    return type == QR_TYPE_Q4_K || type == QR_TYPE_Q5_K;
}

#endif
