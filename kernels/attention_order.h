/* SPDX-License-Identifier: MIT */
/* attention_order -- what all variants of attention share: the keys that a row sees, the addresses
 * of panels and partial results, the scratch, and the merge of spans.
 *
 * Private to attention.
 *
 * Thread: any.   Memory: the caller's. */
#ifndef QR_KERNELS_ATTENTION_ORDER_H
#define QR_KERNELS_ATTENTION_ORDER_H

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "kernels/attention.h"
#include "kernels/exponential.h"

/* Floats from one row of scores to the next: 64 bytes more than a power of two, so that the rows of
 * a tile fall into different sets of the L1. */
#define QR_ATTENTION_SCORES (QR_KV_SPAN + 16u)

/* The most queries that any level's register tile has. */
#define QR_ATTENTION_TILE 6u

struct qr_attention_scratch {
    float q[QR_ATTENTION_QUERIES * QR_HEAD_DIM_MAX];   /* scaled queries */
    int8_t q8[QR_ATTENTION_QUERIES * QR_HEAD_DIM_MAX]; /* the same quantised, for q8 */
    float q_scale[QR_ATTENTION_QUERIES];
    int32_t q_start[QR_ATTENTION_QUERIES];                /* cancels the 128 in stored keys */
    float p[QR_ATTENTION_TILE * QR_ATTENTION_SCORES];     /* a tile's scores, then weights */
    float o[QR_ATTENTION_QUERIES * QR_HEAD_DIM_MAX];      /* the sum so far */
    float o_span[QR_ATTENTION_QUERIES * QR_HEAD_DIM_MAX]; /* the span's result */
    float m[QR_ATTENTION_QUERIES];
    float l[QR_ATTENTION_QUERIES];
    float m_span[QR_ATTENTION_QUERIES];
    float l_span[QR_ATTENTION_QUERIES];
};

/* A tile's queries in the scratch. */
struct qr_attention_queries {
    const float *floats;   /* [queries][head_dim] */
    const int8_t *quants;  /* [queries][head_dim], for int8 pages as the next two */
    const float *scales;   /* [queries] */
    const int32_t *starts; /* [queries], see q_start */
};

/* What a tile's scores are made of and where they go. */
struct qr_attention_score_tile {
    const uint8_t *const *keys;     /* [panels] */
    const uint8_t *const *prefetch; /* [panels]: prefetch[i] while keys[i] is in use */
    struct qr_attention_queries queries;
    uint32_t head_dim;
    float *p; /* [queries][QR_ATTENTION_SCORES], from the first panel's first key on */
};

/* One query's scores in a span, which become its weights in place. */
struct qr_attention_weight_row {
    float *p;
    uint32_t begin; /* the keys that the query sees, as places in the span */
    uint32_t end;
    const uint8_t *const *panels; /* the span's panels of K */
    size_t scales_at;             /* from a panel of K to its int8 values' scales */
};

/* What a tile's weighted values are made of and where they go. */
struct qr_attention_value_tile {
    const uint8_t *const *values;   /* [panels] */
    const uint8_t *const *prefetch; /* [panels], as in qr_attention_score_tile */
    uint32_t begin;                 /* keys, counted from the first key of values[0] */
    uint32_t end;
    const float *p; /* weights, [queries][QR_ATTENTION_SCORES], from the same key on */
    uint32_t head_dim;
    float *o; /* [queries][head_dim], added to */
};

/* One query's maximum, sum of weights and weighted sum of values (head_dim). */
struct qr_attention_state {
    float *m;
    float *l;
    float *o;
};

/* Head h of span b's partial result.  A partial result is m[group_n], l[group_n],
 * o[group_n][head_dim]; consecutive ones are qr_attention_partial_bytes() apart. */
static inline struct qr_attention_state qr_attention_partial(void *partial, uint32_t b, uint32_t h,
                                                             uint32_t group_n, uint32_t head_dim)
{
    size_t floats = qr_attention_partial_bytes(group_n, head_dim) / sizeof(float);
    float *at = (float *)partial + b * floats;

    return (struct qr_attention_state){at + h, at + group_n + h,
                                       at + 2 * (size_t)group_n + (size_t)h * head_dim};
}

/* Merges a span's state into the sum so far.  first: the sum so far is empty. */
static inline void qr_attention_merge(struct qr_attention_state sum, struct qr_attention_state span,
                                      bool first, uint32_t head_dim)
{
    float m, keep, take;

    if (first) {
        *sum.m = *span.m;
        *sum.l = *span.l;
        memcpy(sum.o, span.o, head_dim * sizeof *sum.o);
        return;
    }
    m = *span.m > *sum.m ? *span.m : *sum.m;
    keep = qr_exp2(*sum.m - m);
    take = qr_exp2(*span.m - m);
    *sum.m = m;
    *sum.l = fmaf(*span.l, take, *sum.l * keep);
    for (uint32_t d = 0; d < head_dim; d++)
        sum.o[d] = fmaf(span.o[d], take, sum.o[d] * keep);
}

/* The weighted sum of values over the sum of weights. */
static inline void qr_attention_finish(float *out, struct qr_attention_state sum, uint32_t head_dim)
{
    const float share = 1.0f / *sum.l;

    for (uint32_t d = 0; d < head_dim; d++)
        out[d] = sum.o[d] * share;
}

/* K of the sequence's panel `panel`; its V is v_offset bytes further. */
static inline uint8_t *qr_kv_panel(const struct qr_kv_view *kv, uint32_t panel)
{
    uint32_t panels_n = kv->page_tokens / QR_KV_PANEL;

    return kv->base + kv->pages[panel / panels_n] * kv->page_bytes +
           panel % panels_n * qr_kv_panel_bytes(kv->type, kv->head_dim);
}

/* A list of panels that is filled from its first place. */
struct qr_kv_panel_list {
    const uint8_t **panels; /* [max] */
    uint32_t n;
    uint32_t max;
};

/* Appends panels [at, stop) of the keys (offset 0) or of the values (offset v_offset) until the
 * list is full.  at <= stop. */
static inline void qr_kv_panels_append(struct qr_kv_panel_list *list, const struct qr_kv_view *kv,
                                       uint32_t at, uint32_t stop, size_t offset)
{
    const uint32_t page_panels = kv->page_tokens / QR_KV_PANEL;
    const size_t bytes = qr_kv_panel_bytes(kv->type, kv->head_dim);
    uint32_t page = at / page_panels, i = at % page_panels;

    if (stop - at > list->max - list->n) stop = at + (list->max - list->n);
    for (; at < stop; page++, i = 0) {
        const uint8_t *first = kv->base + kv->pages[page] * kv->page_bytes + offset;
        for (; i < page_panels && at < stop; i++, at++)
            list->panels[list->n++] = first + i * bytes;
    }
}

/* Lists the panels of the keys [begin, end), at most panels_n, in the order of use: each span's
 * keys, then its values.  Returns their number. */
static inline uint32_t qr_attention_panels(const struct qr_kv_view *kv, uint32_t begin,
                                           uint32_t end, const uint8_t **panels, uint32_t panels_n)
{
    const uint32_t span_panels = QR_KV_SPAN / QR_KV_PANEL;
    struct qr_kv_panel_list list = {.panels = panels, .max = panels_n};
    uint32_t at = begin / QR_KV_PANEL, last = (end + QR_KV_PANEL - 1) / QR_KV_PANEL;

    while (at < last && list.n < panels_n) {
        uint32_t stop = (at / span_panels + 1) * span_panels;
        if (stop > last) stop = last;
        qr_kv_panels_append(&list, kv, at, stop, 0);
        qr_kv_panels_append(&list, kv, at, stop, kv->v_offset);
        at = stop;
    }
    return list.n;
}

/* The first key that a row sees; `end` is one past the last. */
static inline uint32_t qr_attention_begin(uint32_t window, uint32_t end)
{
    return window && end > window ? end - window : 0;
}

static inline float qr_attention_scale(uint32_t head_dim)
{
    return (float)(1.4426950408889634 / sqrt((double)head_dim));
}

static inline void qr_kv_view_check(const struct qr_kv_view *kv)
{
    assert(kv->head_dim % 8 == 0 && kv->head_dim > 0 && kv->head_dim <= QR_HEAD_DIM_MAX);
    assert(kv->page_tokens % QR_KV_PANEL == 0 && kv->page_tokens > 0);
}

static inline void qr_attention_check(const struct qr_kv_view *kv,
                                      const struct qr_attention_rows *a)
{
    qr_kv_view_check(kv);
    assert(a->rows_n > 0 && a->rows_n <= QR_ATTENTION_ROWS_MAX);
    assert(a->group_n > 0 && a->group_n <= QR_GROUP_MAX);
    assert(a->summed_n == 0 || (a->rows_n == 1 && a->window == 0 && a->partial &&
                                a->summed_n <= a->position / QR_KV_SPAN));
}

static inline void qr_attention_shared_check(const struct qr_kv_view *kv,
                                             const struct qr_attention_shared *a,
                                             uint32_t span_begin, uint32_t span_end)
{
    qr_kv_view_check(kv);
    assert(a->rows_n > 0 && a->group_n > 0 && a->rows_n <= QR_ATTENTION_QUERIES / a->group_n);
    assert(span_begin < span_end);
}

#endif
