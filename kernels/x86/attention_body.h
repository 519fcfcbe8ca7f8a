/* SPDX-License-Identifier: MIT */
/* x86/attention_body -- the walk over spans, panels and register tiles that all vector variants
 * share.
 *
 * Each x86/attention_<level>.c includes this once, after it has defined:
 *     TILE_QUERIES, TILE_PANELS, TILE_COLUMNS    the largest register tile
 *     TILE_Q8          1 for int8 pages; then also query_quantize(), which quantises a scaled query
 *     scores_of()      the scores of qn queries against pn (1, 2 or 4) panels of keys
 *     row_max()        the greatest of a query's scores in a span
 *     weigh_row()      turns those scores into weights and returns their sum; weights of int8
 *                      values are multiplied by the values' scales
 *     values_of()      adds the weighted values of qn queries in columns_n (8, 16, 32 or 64)
 *                      columns, from `column` on, to these columns' sums
 * qn, pn, columns_n and the type are constants in each call.
 *
 * A query is one head of one row.  A pass takes up to QR_ATTENTION_QUERIES queries over a span,
 * one register tile after the other:
 *
 *                    panels of 16 keys            columns of 16 values
 *               +----+----+----+-- -+----+       +------+------+-- -+
 *     tile 0    | scores -> weights      |  -->  | sums of values   |   reads memory, prefetches
 *     tile 1    | in the same scratch    |  -->  |                  |   reads the L2
 *      ...
 *
 * The scores of all tiles use the same lines of the scratch, so they stay in the L1.  Sums of
 * values stay in registers for a whole span.  The first tile brings keys and values from memory;
 * the others find them in the L2.  While the first tile works on a panel, it prefetches into the L2
 * the panel QR_PREFETCH_PANELS later in the order of use: the span's keys, its values, the next
 * span, and at the end the panels that the caller names in `next`.  Memory requests thus never
 * pause, and a core can have about twenty in flight.  (The first tile does not see the last panels
 * at the diagonal; these were written just before.)
 *
 * At the diagonal and at a window's edge only some rows of a tile see a key.  Their scores are
 * computed with the others' and ignored by row_max and weigh_row.  Their values are added for each
 * query separately, so that a row uses only the values of keys that it sees.
 *
 * Thread: any.   Memory: the caller's scratch. */

#define SPAN_PANELS (QR_KV_SPAN / QR_KV_PANEL)

#include "kernels/x86/attention_tiles.h"

static_assert(TILE_QUERIES <= QR_ATTENTION_TILE, "a tile's scores fit the scratch");

/* ---- spans ----------------------------------------------------------------------------- */

/* Rows that go over the spans together: of one sequence, or of several sequences that share these
 * spans and see them whole. */
struct attention_pass {
    const struct qr_kv_view *kv;
    struct qr_attention_scratch *s;
    uint32_t position; /* of the first row; rows of several sequences: the spans' last key */
    uint32_t rows_n;
    uint32_t end; /* one past the last key that any row sees */
    uint32_t group_n;
    uint32_t window;
    const uint8_t *const *next; /* panels that are read after the pass; NULL: unknown */
    uint32_t queries_n;
    uint32_t tile_n; /* queries in a register tile, at most TILE_QUERIES */
};

/* The panels of one span that any row of the pass sees. */
struct pass_span {
    uint32_t index;
    uint32_t begin; /* panels, by place in the span */
    uint32_t end;
    const uint8_t *keys[SPAN_PANELS]; /* by place in the span */
    /* in the order of use: keys, values, then the panels after the span */
    const uint8_t *order[2 * SPAN_PANELS + QR_PREFETCH_PANELS];
    /* the keys that each query sees, by place in the span; equal: no key */
    uint16_t query_begin[QR_ATTENTION_QUERIES];
    uint16_t query_end[QR_ATTENTION_QUERIES];
};

/* The queries [first, first + n) of a pass and their scores. */
struct register_tile {
    uint32_t first;
    uint32_t n;
    float *p; /* [n][QR_ATTENTION_SCORES]: scores, then weights */
};

/* As few tiles as possible, and of as equal sizes as possible. */
static uint32_t tile_queries(uint32_t queries_n)
{
    uint32_t tiles_n = (queries_n + TILE_QUERIES - 1) / TILE_QUERIES;

    return (queries_n + tiles_n - 1) / tiles_n;
}

static struct attention_pass pass_make(const struct qr_kv_view *kv,
                                       const struct qr_attention_rows *a, uint32_t row,
                                       uint32_t rows_n)
{
    uint32_t queries_n = rows_n * a->group_n;

    return (struct attention_pass){.kv = kv,
                                   .s = a->scratch,
                                   .position = a->position + row,
                                   .rows_n = rows_n,
                                   .end = a->position + row + rows_n,
                                   .group_n = a->group_n,
                                   .window = a->window,
                                   .next = a->next,
                                   .queries_n = queries_n,
                                   .tile_n = tile_queries(queries_n)};
}

static uint32_t row_begin(const struct attention_pass *s, uint32_t end)
{
    return qr_attention_begin(s->window, end);
}

/* A key's place in span i: 0 for a key before the span, QR_KV_SPAN for one after it. */
static uint32_t place_in_span(uint32_t key, uint32_t i)
{
    if (key <= i * QR_KV_SPAN) return 0;
    return key - i * QR_KV_SPAN < QR_KV_SPAN ? key - i * QR_KV_SPAN : QR_KV_SPAN;
}

/* Appends to `order` what is read after the span's n panels of keys and n of values. */
static void span_next(struct pass_span *b, const struct attention_pass *s, uint32_t n)
{
    const uint8_t **next = b->order + 2 * n;
    uint32_t known =
        qr_attention_panels(s->kv, (b->index + 1) * QR_KV_SPAN, s->end, next, QR_PREFETCH_PANELS);

    for (uint32_t i = 0; known + i < QR_PREFETCH_PANELS; i++)
        next[known + i] = s->next ? s->next[i] : next[-1];
}

static void span_find(struct pass_span *b, const struct attention_pass *s, uint32_t index)
{
    uint32_t last_end = s->position + s->rows_n;
    uint32_t n, q = 0;

    for (uint32_t end = s->position + 1; end <= last_end; end++) {
        for (uint32_t h = 0; h < s->group_n; h++, q++) {
            b->query_begin[q] = (uint16_t)place_in_span(row_begin(s, end), index);
            b->query_end[q] = (uint16_t)place_in_span(end, index);
        }
    }
    b->index = index;
    b->begin = b->query_begin[0] / QR_KV_PANEL;
    b->end = (b->query_end[q - 1] + QR_KV_PANEL - 1) / QR_KV_PANEL;
    n = qr_attention_panels(s->kv, (index * SPAN_PANELS + b->begin) * QR_KV_PANEL,
                            (index * SPAN_PANELS + b->end) * QR_KV_PANEL, b->order,
                            2 * SPAN_PANELS) /
        2;
    memcpy(b->keys + b->begin, b->order, n * sizeof b->keys[0]);
    span_next(b, s, n);
}

/* The part of `order` that begins with the keys of the panel at place `at`. */
static const uint8_t *const *keys_at(const struct pass_span *b, uint32_t at)
{
    return b->order + (at - b->begin);
}

/* The same for its values. */
static const uint8_t *const *values_at(const struct pass_span *b, uint32_t at)
{
    return b->order + (b->end - b->begin) + (at - b->begin);
}

static struct qr_attention_queries queries_of(const struct attention_pass *s, uint32_t q)
{
    return (struct qr_attention_queries){
        .floats = s->s->q + q * s->kv->head_dim,
        .quants = s->s->q8 + q * s->kv->head_dim,
        .scales = s->s->q_scale + q,
        .starts = s->s->q_start + q,
    };
}

/* Query q of a tile as a tile of its own. */
static struct register_tile tile_of_one(struct register_tile t, uint32_t q)
{
    return (struct register_tile){q, 1, t.p + (q - t.first) * QR_ATTENTION_SCORES};
}

/* The panels that any query of the tile sees, by place in the span. */
static uint32_t tile_begin(const struct pass_span *b, struct register_tile t)
{
    return b->query_begin[t.first] / QR_KV_PANEL;
}

static uint32_t tile_end(const struct pass_span *b, struct register_tile t)
{
    return (b->query_end[t.first + t.n - 1] + QR_KV_PANEL - 1) / QR_KV_PANEL;
}

static void tile_scores(const struct attention_pass *s, const struct pass_span *b,
                        struct register_tile t, bool prefetch)
{
    const uint32_t begin = tile_begin(b, t), end = tile_end(b, t);
    const uint8_t *const *keys = keys_at(b, begin);
    const struct qr_attention_score_tile tile = {
        .keys = keys,
        .prefetch = prefetch ? keys + QR_PREFETCH_PANELS : keys,
        .queries = queries_of(s, t.first),
        .head_dim = s->kv->head_dim,
        .p = t.p + begin * QR_KV_PANEL,
    };

    if (begin < end) scores_tile(s->kv->type, t.n, end - begin, &tile);
}

/* Turns scores into weights.  All maxima come first: each is a chain of dependent instructions, and
 * the chains of different rows overlap. */
static void tile_softmax(const struct attention_pass *s, const struct pass_span *b,
                         struct register_tile t)
{
    struct qr_attention_weight_row r = {
        .panels = b->keys,
        .scales_at = s->kv->v_offset + qr_q8_scales_at(s->kv->head_dim),
    };

    for (uint32_t q = t.first; q < t.first + t.n; q++)
        if (b->query_begin[q] < b->query_end[q])
            s->s->m_span[q] = row_max(tile_of_one(t, q).p, b->query_begin[q], b->query_end[q]);
    for (uint32_t q = t.first; q < t.first + t.n; q++) {
        r.p = tile_of_one(t, q).p;
        r.begin = b->query_begin[q];
        r.end = b->query_end[q];
        if (r.begin < r.end) s->s->l_span[q] = weigh_row(TILE_Q8, r, s->s->m_span[q]);
    }
}

/* Adds the values of the keys [begin, end), by place in the span, for the tile's queries. */
static inline void keys_values(const struct attention_pass *s, const struct pass_span *b,
                               struct register_tile t, uint32_t begin, uint32_t end, bool prefetch)
{
    const uint32_t at = begin / QR_KV_PANEL, from = at * QR_KV_PANEL;
    const uint8_t *const *values = values_at(b, at);
    const struct qr_attention_value_tile tile = {
        .values = values,
        .prefetch = prefetch ? values + QR_PREFETCH_PANELS : values,
        .begin = begin - from,
        .end = end - from,
        .p = t.p + from,
        .head_dim = s->kv->head_dim,
        .o = s->s->o_span + t.first * s->kv->head_dim,
    };

    if (begin < end) values_tile(s->kv->type, t.n, &tile);
}

/* All queries of the tile see the keys [begin, end): their values are added for all queries
 * together. The values of the keys before and after these are added for each query separately.  A
 * query's values are added in the order of the keys. */
static void tile_values(const struct attention_pass *s, const struct pass_span *b,
                        struct register_tile t, bool prefetch)
{
    uint32_t begin = b->query_begin[t.first + t.n - 1];
    uint32_t end = b->query_end[t.first];

    memset(s->s->o_span + t.first * s->kv->head_dim, 0, t.n * s->kv->head_dim * sizeof(float));
    if (begin > end) begin = end;
    for (uint32_t q = t.first; q < t.first + t.n; q++)
        keys_values(s, b, tile_of_one(t, q), b->query_begin[q], begin, false);
    keys_values(s, b, t, begin, end, prefetch);
    for (uint32_t q = t.first; q < t.first + t.n; q++)
        keys_values(s, b, tile_of_one(t, q), b->query_begin[q] > end ? b->query_begin[q] : end,
                    b->query_end[q], false);
}

static void span_run(const struct attention_pass *s, struct pass_span *b, uint32_t index)
{
    span_find(b, s, index);
    for (uint32_t q = 0; q < s->queries_n; q += s->tile_n) {
        uint32_t n = s->queries_n - q < s->tile_n ? s->queries_n - q : s->tile_n;
        struct register_tile t = {q, n, s->s->p};
        tile_scores(s, b, t, q == 0);
        tile_softmax(s, b, t);
        tile_values(s, b, t, q == 0);
    }
}

/* ---- passes ---------------------------------------------------------------------------- */

static void scale_row(float *out, const float *q, uint32_t n, float scale)
{
    for (uint32_t i = 0; i < n; i++)
        out[i] = q[i] * scale;
}

static struct qr_attention_state span_state(const struct attention_pass *s, uint32_t q)
{
    return (struct qr_attention_state){&s->s->m_span[q], &s->s->l_span[q],
                                       s->s->o_span + q * s->kv->head_dim};
}

static struct qr_attention_state sum_state(const struct attention_pass *s, uint32_t q)
{
    return (struct qr_attention_state){&s->s->m[q], &s->s->l[q], s->s->o + q * s->kv->head_dim};
}

/* Takes row r's queries into the scratch. */
static void pass_take(const struct attention_pass *s, uint32_t r, const float *q)
{
    const uint32_t n = s->group_n * s->kv->head_dim;

    scale_row(s->s->q + r * n, q, n, qr_attention_scale(s->kv->head_dim));
#if TILE_Q8
    for (uint32_t i = r * s->group_n; i < (r + 1) * s->group_n; i++)
        query_quantize(s->s, i, s->kv->head_dim);
#endif
}

/* Loads row r's sum so far from a partial result. */
static void pass_load(const struct attention_pass *s, uint32_t r, const void *partial)
{
    for (uint32_t h = 0; h < s->group_n; h++)
        qr_attention_merge(sum_state(s, r * s->group_n + h),
                           qr_attention_partial((void *)partial, 0, h, s->group_n, s->kv->head_dim),
                           true, s->kv->head_dim);
}

/* Stores row r's sum so far into a partial result. */
static void pass_store(const struct attention_pass *s, uint32_t r, void *partial)
{
    for (uint32_t h = 0; h < s->group_n; h++)
        qr_attention_merge(qr_attention_partial(partial, 0, h, s->group_n, s->kv->head_dim),
                           sum_state(s, r * s->group_n + h), true, s->kv->head_dim);
}

/* Prefetches the results' lines for writing, before the last span. */
static void pass_prefetch(const struct attention_pass *s, const float *out, size_t out_stride)
{
    for (uint32_t r = 0; r < s->rows_n; r++)
        for (uint32_t i = 0; i < s->group_n * s->kv->head_dim; i += 16)
            __builtin_prefetch(out + r * out_stride + i, 1, 2);
}

/* Merges span `index` into the sums of the queries that see any of its keys. */
static void pass_merge_span(const struct attention_pass *s, struct pass_span *b, uint32_t index,
                            bool summed)
{
    span_run(s, b, index);
    for (uint32_t q = 0; q < s->queries_n; q++) {
        uint32_t first = row_begin(s, s->position + q / s->group_n + 1) / QR_KV_SPAN;

        if (b->query_begin[q] < b->query_end[q])
            qr_attention_merge(sum_state(s, q), span_state(s, q), !summed && index == first,
                               s->kv->head_dim);
    }
}

static void pass_run(const struct attention_pass *s, uint32_t summed_n, float *out,
                     size_t out_stride)
{
    const uint32_t head_dim = s->kv->head_dim;
    const uint32_t spans_end = (s->end - 1) / QR_KV_SPAN + 1;
    struct pass_span b;

    for (uint32_t i = summed_n ? summed_n : row_begin(s, s->position + 1) / QR_KV_SPAN;
         i < spans_end; i++) {
        if (i + 1 == spans_end && s->rows_n > 1) pass_prefetch(s, out, out_stride);
        pass_merge_span(s, &b, i, summed_n > 0);
    }
    for (uint32_t r = 0; r < s->rows_n; r++)
        for (uint32_t h = 0; h < s->group_n; h++)
            qr_attention_finish(out + r * out_stride + h * head_dim,
                                sum_state(s, r * s->group_n + h), head_dim);
}

static void attend(const struct qr_kv_view *kv, const struct qr_attention_rows *a)
{
    uint32_t passes_n = (a->rows_n * a->group_n + QR_ATTENTION_QUERIES - 1) / QR_ATTENTION_QUERIES;
    uint32_t rows_n = (a->rows_n + passes_n - 1) / passes_n;

    qr_attention_check(kv, a);
    while (rows_n * a->group_n > QR_ATTENTION_QUERIES)
        rows_n--;
    for (uint32_t row = 0; row < a->rows_n; row += rows_n) {
        struct attention_pass s =
            pass_make(kv, a, row, a->rows_n - row < rows_n ? a->rows_n - row : rows_n);

        for (uint32_t r = 0; r < s.rows_n; r++)
            pass_take(&s, r, a->q + (row + r) * a->q_stride);
        if (a->summed_n) pass_load(&s, 0, a->partial);
        pass_run(&s, a->summed_n, a->out + row * a->out_stride, a->out_stride);
    }
}

static void attend_shared(const struct qr_kv_view *kv, const struct qr_attention_shared *a,
                          uint32_t span_begin, uint32_t span_end)
{
    const uint32_t end = span_end * QR_KV_SPAN;
    const struct attention_pass s = {.kv = kv,
                                     .s = a->scratch,
                                     .position = end - 1,
                                     .rows_n = a->rows_n,
                                     .end = end,
                                     .group_n = a->group_n,
                                     .next = a->next,
                                     .queries_n = a->rows_n * a->group_n,
                                     .tile_n = tile_queries(a->rows_n * a->group_n)};
    struct pass_span b;

    qr_attention_shared_check(kv, a, span_begin, span_end);
    for (uint32_t r = 0; r < s.rows_n; r++) {
        pass_take(&s, r, a->q[r]);
        if (span_begin > 0) pass_load(&s, r, a->partials[r]);
    }
    for (uint32_t i = span_begin; i < span_end; i++)
        pass_merge_span(&s, &b, i, span_begin > 0);
    for (uint32_t r = 0; r < s.rows_n; r++)
        pass_store(&s, r, a->partials[r]);
}

static void attend_spans(const struct qr_kv_view *kv, const struct qr_attention_rows *a,
                         uint32_t span_begin, uint32_t span_end, void *partial)
{
    struct attention_pass s = pass_make(kv, a, 0, 1);
    uint32_t first = row_begin(&s, a->position + 1) / QR_KV_SPAN;
    struct pass_span b;

    qr_attention_check(kv, a);
    assert(a->rows_n == 1 && span_end <= a->position / QR_KV_SPAN + 1);
    pass_take(&s, 0, a->q);
    for (uint32_t i = span_begin > first ? span_begin : first; i < span_end; i++) {
        span_run(&s, &b, i);
        for (uint32_t q = 0; q < s.queries_n; q++)
            qr_attention_merge(qr_attention_partial(partial, i, q, s.group_n, kv->head_dim),
                               span_state(&s, q), true, kv->head_dim);
    }
}

#if !TILE_Q8 /* partial results have the same form for all types */
static void attend_merge(const struct qr_kv_view *kv, const struct qr_attention_rows *a,
                         uint32_t spans_n, const void *partial)
{
    struct attention_pass s = pass_make(kv, a, 0, 1);
    uint32_t first = row_begin(&s, a->position + 1) / QR_KV_SPAN;

    qr_attention_check(kv, a);
    assert(a->rows_n == 1 && spans_n == a->position / QR_KV_SPAN + 1);
    for (uint32_t q = 0; q < s.queries_n; q++) {
        for (uint32_t i = first; i < spans_n; i++)
            qr_attention_merge(sum_state(&s, q),
                               qr_attention_partial((void *)partial, i, q, s.group_n, kv->head_dim),
                               i == first, kv->head_dim);
        qr_attention_finish(a->out + q * kv->head_dim, sum_state(&s, q), kv->head_dim);
    }
}
#endif
