/* SPDX-License-Identifier: MIT */
/* Which decoding rows go over which blocks together ("cascade").
 *
 * Sequences that begin alike have the same pages there.  Their rows are sorted by these, so that
 * those with the most in common next to each other, and cut into chunks: a chunk's rows see the
 * first blocks of its first row together, each as many as it shares with that one.  An item is
 * (chunk, KV head): it goes over the shared blocks, and then on with each row by itself.
 *
 * Only whole blocks before a row's own key are shared, so none of their pages is written in this
 * step.  With a sliding window nothing is: rows see the same keys only where they are as far. */
#include <string.h>

#include "runtime/model/pass.h"

#define QUERIES_MIN    6u /* a chunk has at least so many where it can: a tile of the kernel's */
#define ITEMS_A_THREAD 6u /* and there are so many items where rows allow it */

static uint32_t whole_blocks(const struct qr_tile *tile)
{
    return tile->position / QR_KV_SPAN;
}

static const qr_page_id *pages_of(const struct qr_pass *p, const struct qr_tile *tile)
{
    return p->step->seqs[tile->seq].pages;
}

/* Pages that two rows have in common from the first on, of their whole blocks. */
static uint32_t common_pages(const struct qr_pass *p, const struct qr_tile *a,
                             const struct qr_tile *b)
{
    const qr_page_id *x = pages_of(p, a), *y = pages_of(p, b);
    uint32_t blocks_n = whole_blocks(a) < whole_blocks(b) ? whole_blocks(a) : whole_blocks(b);
    uint32_t n = 0, most = blocks_n * (QR_KV_SPAN / p->kv->shape.page_tokens);

    while (n < most && x[n] == y[n])
        n++;
    return n;
}

static uint32_t common_blocks(const struct qr_pass *p, uint32_t a, uint32_t b)
{
    return common_pages(p, &p->tiles[a], &p->tiles[b]) * p->kv->shape.page_tokens / QR_KV_SPAN;
}

/* By pages; a row whose whole blocks end comes after those that go on, so that a chunk's first row
 * has as many as any. */
static bool comes_before(const struct qr_pass *p, uint32_t a, uint32_t b)
{
    const struct qr_tile *x = &p->tiles[a], *y = &p->tiles[b];
    const uint32_t block_pages = QR_KV_SPAN / p->kv->shape.page_tokens;
    uint32_t n = common_pages(p, x, y);

    if (n == whole_blocks(x) * block_pages || n == whole_blocks(y) * block_pages)
        return whole_blocks(x) > whole_blocks(y);
    return pages_of(p, x)[n] < pages_of(p, y)[n];
}

/* The rows that could share, sorted: each is inserted after those that come before it. */
static uint32_t sort_rows(struct qr_pass *p)
{
    uint32_t n = 0;

    for (uint32_t tile = 0; tile < p->tiles_n; tile++) {
        if (p->tiles[tile].rows_n != 1 || whole_blocks(&p->tiles[tile]) == 0) continue;
        uint32_t low = 0, high = n;
        while (low < high) {
            uint32_t middle = (low + high) / 2;
            if (comes_before(p, tile, p->shared.order[middle]))
                high = middle;
            else
                low = middle + 1;
        }
        memmove(p->shared.order + low + 1, p->shared.order + low,
                (n - low) * sizeof p->shared.order[0]);
        p->shared.order[low] = tile;
        n++;
    }
    return n;
}

uint32_t qr_pass_chunk_rows(const struct qr_pass *p)
{
    return QR_ATTENTION_QUERIES / (p->model->shape.heads_n / p->model->shape.kv_heads_n);
}

static uint32_t chunk_rows(const struct qr_pass *p, uint32_t rows_n)
{
    const struct qr_model_shape *s = &p->model->shape;
    const uint32_t group_n = s->heads_n / s->kv_heads_n;
    uint32_t least = (QUERIES_MIN + group_n - 1) / group_n;
    uint32_t n = rows_n * s->kv_heads_n / (ITEMS_A_THREAD * p->threads_n);

    if (n < least) n = least;
    if (n < 2) n = 2;
    return n < qr_pass_chunk_rows(p) ? n : qr_pass_chunk_rows(p);
}

/* How many rows from the one at `first` of the order on are a chunk.  A row that has more in common
 * with the next one begins another. */
static uint32_t chunk_end(struct qr_pass *p, uint32_t first, uint32_t rows_n, uint32_t most)
{
    const uint32_t *order = p->shared.order;
    uint32_t end = first + 1;

    for (; end < rows_n && end - first < most; end++) {
        uint32_t n = common_blocks(p, order[first], order[end]);
        if (n == 0) break;
        if (end + 1 < rows_n && common_blocks(p, order[end], order[end + 1]) > n) break;
        p->tiles[order[end]].summed_n = n;
    }
    return end;
}

void qr_pass_share(struct qr_pass *p)
{
    struct qr_shared *shared = &p->shared;
    uint32_t rows_n, most;

    shared->chunks_n = 0;
    if (p->model->shape.sliding_window || p->tiles_n < 2) return;
    rows_n = sort_rows(p);
    most = chunk_rows(p, rows_n);
    for (uint32_t first = 0, end; first < rows_n; first = end) {
        end = chunk_end(p, first, rows_n, most);
        if (end - first < 2) continue;
        p->tiles[shared->order[first]].summed_n = p->tiles[shared->order[first + 1]].summed_n;
        shared->chunks[shared->chunks_n++] =
            (struct qr_chunk){.first = first, .rows_n = end - first};
    }
}
