/* SPDX-License-Identifier: MIT */
#include "runtime/model/cascade.h"

#include <string.h>

#include "kernels/attention.h"
#include "runtime/model/layout.h"

#define QUERIES_MIN    6u /* of a bundle, where rows allow it: a tile of the kernel's */
#define ITEMS_A_THREAD 6u /* bundles times KV heads, where rows allow it */

static void lay_out(struct qr_cascade *c, struct qr_layout *l)
{
    c->order = qr_layout_place(l, c->rows_max, sizeof c->order[0]);
    c->spans = qr_layout_place(l, c->rows_max, sizeof c->spans[0]);
    c->bundles = qr_layout_place(l, c->rows_max / 2 + 1, sizeof c->bundles[0]);
}

size_t qr_cascade_bytes(uint32_t rows_max)
{
    struct qr_cascade c = {.rows_max = rows_max};
    struct qr_layout l = {0};

    lay_out(&c, &l);
    return l.bytes;
}

void qr_cascade_init(struct qr_cascade *c, void *memory, uint32_t rows_max)
{
    *c = (struct qr_cascade){.rows_max = rows_max};
    lay_out(c, &(struct qr_layout){.base = memory});
}

/* ---- what rows have in common --------------------------------------------------------------- */

/* The query tiles of a step, and how many pages make a span. */
struct finder {
    const struct qr_tiles *t;
    uint32_t span_pages;
};

static uint32_t whole_spans(const struct finder *f, uint32_t tile)
{
    return f->t->tiles[tile].position / QR_KV_SPAN;
}

static const qr_page_id *pages_of(const struct finder *f, uint32_t tile)
{
    return f->t->step->seqs[f->t->tiles[tile].seq].pages;
}

/* Pages that two rows have in common from the first on, of their whole spans. */
static uint32_t common_pages(const struct finder *f, uint32_t a, uint32_t b)
{
    const qr_page_id *x = pages_of(f, a), *y = pages_of(f, b);
    uint32_t x_n = whole_spans(f, a), y_n = whole_spans(f, b);
    uint32_t n = 0, most = (x_n < y_n ? x_n : y_n) * f->span_pages;

    while (n < most && x[n] == y[n])
        n++;
    return n;
}

static uint32_t common_spans(const struct finder *f, uint32_t a, uint32_t b)
{
    return common_pages(f, a, b) / f->span_pages;
}

/* By pages.  A row whose whole spans end comes after rows that go on, so that a bundle's first row
 * has the most. */
static bool comes_before(const struct finder *f, uint32_t a, uint32_t b)
{
    uint32_t n = common_pages(f, a, b);

    if (n == whole_spans(f, a) * f->span_pages || n == whole_spans(f, b) * f->span_pages)
        return whole_spans(f, a) > whole_spans(f, b);
    return pages_of(f, a)[n] < pages_of(f, b)[n];
}

/* Sorts the rows that could share, by insertion. */
static uint32_t sort_rows(struct qr_cascade *c, const struct finder *f)
{
    uint32_t n = 0;

    for (uint32_t tile = 0; tile < f->t->tiles_n; tile++) {
        if (f->t->tiles[tile].rows_n != 1 || whole_spans(f, tile) == 0) continue;
        uint32_t low = 0, high = n;
        while (low < high) {
            uint32_t middle = (low + high) / 2;
            if (comes_before(f, tile, c->order[middle]))
                high = middle;
            else
                low = middle + 1;
        }
        memmove(c->order + low + 1, c->order + low, (n - low) * sizeof c->order[0]);
        c->order[low] = tile;
        n++;
    }
    return n;
}

/* ---- bundles -------------------------------------------------------------------------------- */

uint32_t qr_cascade_rows_max(const struct qr_model_shape *shape)
{
    return QR_ATTENTION_QUERIES / (shape->heads_n / shape->kv_heads_n);
}

/* The most rows of a bundle in a step with so many rows that could share. */
static uint32_t bundle_rows(const struct qr_model_shape *s, uint32_t threads_n, uint32_t rows_n)
{
    const uint32_t group_n = s->heads_n / s->kv_heads_n;
    uint32_t least = (QUERIES_MIN + group_n - 1) / group_n;
    uint32_t n = rows_n * s->kv_heads_n / (ITEMS_A_THREAD * threads_n);

    if (n < least) n = least;
    if (n < 2) n = 2;
    return n < qr_cascade_rows_max(s) ? n : qr_cascade_rows_max(s);
}

/* The end of the bundle that begins at `first` of the order.  A row that has more in common with
 * the next row than with the first begins another bundle. */
static uint32_t bundle_end(struct qr_cascade *c, const struct finder *f, uint32_t first,
                           uint32_t rows_n, uint32_t most)
{
    const uint32_t *order = c->order;
    uint32_t end = first + 1;

    for (; end < rows_n && end - first < most; end++) {
        uint32_t n = common_spans(f, order[first], order[end]);
        if (n == 0) break;
        if (end + 1 < rows_n && common_spans(f, order[end], order[end + 1]) > n) break;
        c->spans[order[end]] = n;
    }
    return end;
}

void qr_cascade_find(struct qr_cascade *c, const struct qr_tiles *t,
                     const struct qr_model_shape *shape, uint32_t page_tokens)
{
    const struct finder f = {.t = t, .span_pages = QR_KV_SPAN / page_tokens};

    c->bundles_n = 0;
    memset(c->spans, 0, t->tiles_n * sizeof c->spans[0]);
    if (t->window || t->tiles_n < 2) return;
    uint32_t rows_n = sort_rows(c, &f);
    uint32_t most = bundle_rows(shape, t->threads_n, rows_n);
    for (uint32_t first = 0, end; first < rows_n; first = end) {
        end = bundle_end(c, &f, first, rows_n, most);
        if (end - first < 2) continue;
        c->spans[c->order[first]] = c->spans[c->order[first + 1]];
        c->bundles[c->bundles_n++] = (struct qr_bundle){.first = first, .rows_n = end - first};
    }
}
