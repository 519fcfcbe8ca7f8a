/* SPDX-License-Identifier: MIT */
/* x86/attention_body -- the walk over spans, panels and tiles that the vector variants share.
 *
 * Included once by each x86/attention_<level>.c, after what depends on the level:
 *     TILE_QUERIES, TILE_PANELS, TILE_COLUMNS    the most that a tile takes
 *     TILE_Q8          1: for int8 pages; then query_quantize() too, a scaled query to its quants
 *     scores_of()      scores of qn queries against pn panels of keys: 1, 2 or 4
 *     row_max()        the greatest of a query's scores in a span
 *     weigh_row()      those scores to weights, and their sum; int8 values' scales, at scales_at in
 *                      each panel, go into the weights
 *     values_of()      weighted values of qn queries in columns_n columns (8, 16, 32 or 64)
 *                      from `column` of the values on, chained on to what stands in o, which is
 *                      where these columns' sums are
 * qn, pn, columns_n and the type are constants in each call.
 *
 * A query is one head of one row.  Up to QR_ATTENTION_QUERIES go over a span together, tile by
 * tile: a tile's scores against all keys of the span, its weights, its values.  Scores stand in
 * the same lines for all tiles and do not go out to the second-level cache; sums of values are in
 * registers for a whole span.  Keys and values come from memory once, with the first tile, and
 * from the second-level cache for the others.  While the first tile works on a panel, the one
 * QR_PREFETCH_PANELS behind it in the order of use is prefetched into the second-level cache: keys
 * of the span, its values, the next span, and in the end what the caller says is read next.  So a
 * thread asks for lines without a pause: a core has places for some twenty at once, and memory that
 * stands in pieces of a few KB keeps it waiting for these, not for bytes.  (Panels that later tiles
 * alone see, at the diagonal, were just written.)
 *
 * Keys that only some rows of a tile see (at its diagonal and at a window's edge) get their scores
 * with the others, which row_max and weigh_row leave out; their values are added for each query
 * alone, so that a row meets only values of keys that it sees.
 *
 * Thread: any.   Memory: the caller's scratch. */

#define SPAN_PANELS (QR_KV_SPAN / QR_KV_PANEL)

#include "kernels/x86/attention_tiles.h"

static_assert(TILE_QUERIES <= QR_ATTENTION_TILE, "a tile's scores have a place");

/* ---- rows ------------------------------------------------------------------------------ */

static void scale_row(float *out, const float *q, uint32_t n, float scale)
{
    for (uint32_t i = 0; i < n; i++)
        out[i] = q[i] * scale;
}

/* ---- spans ---------------------------------------------------------------------------- */

/* Rows that go over the spans together: of one sequence, or of several that see whole spans which
 * they share. */
struct pass {
    const struct qr_kv_view *kv;
    struct qr_attention_scratch *s;
    uint32_t position; /* of the first row; rows of several sequences: the spans' last key */
    uint32_t rows_n;
    uint32_t end; /* behind the last key that any row sees here */
    uint32_t group_n;
    uint32_t window;
    const uint8_t *const *next; /* read after the pass; NULL: not known */
    uint32_t queries_n;
    uint32_t tile_n; /* queries in a tile, at most TILE_QUERIES */
};

/* One span's panels that any row of the pass sees, as they are read. */
struct span {
    uint32_t index;
    uint32_t begin; /* panels of the span */
    uint32_t end;
    const uint8_t *keys[SPAN_PANELS]; /* by place in the span */
    /* keys, values, and what is read next */
    const uint8_t *order[2 * SPAN_PANELS + QR_PREFETCH_PANELS];
    /* the keys that each query sees, as places in the span; none: equal */
    uint16_t query_begin[QR_ATTENTION_QUERIES];
    uint16_t query_end[QR_ATTENTION_QUERIES];
};

/* As few tiles as can be, and as even. */
static uint32_t tile_queries(uint32_t queries_n)
{
    uint32_t tiles_n = (queries_n + TILE_QUERIES - 1) / TILE_QUERIES;

    return (queries_n + tiles_n - 1) / tiles_n;
}

static struct pass pass_make(const struct qr_kv_view *kv, const struct qr_attention_rows *a,
                             uint32_t row, uint32_t rows_n)
{
    uint32_t queries_n = rows_n * a->group_n;

    return (struct pass){.kv = kv,
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

static uint32_t row_begin(const struct pass *s, uint32_t end)
{
    return qr_attention_begin(s->window, end);
}

/* key as a place in span b: 0 before it, QR_KV_SPAN past it. */
static uint32_t in_span(uint32_t key, uint32_t b)
{
    if (key <= b * QR_KV_SPAN) return 0;
    return key - b * QR_KV_SPAN < QR_KV_SPAN ? key - b * QR_KV_SPAN : QR_KV_SPAN;
}

/* What is read after the span's n panels of keys and of values. */
static void span_next(struct span *b, const struct pass *s, uint32_t n)
{
    const uint8_t **next = b->order + 2 * n;
    uint32_t known =
        qr_attention_panels(s->kv, (b->index + 1) * QR_KV_SPAN, s->end, next, QR_PREFETCH_PANELS);

    for (uint32_t i = 0; known + i < QR_PREFETCH_PANELS; i++)
        next[known + i] = s->next ? s->next[i] : next[-1];
}

static void span_find(struct span *b, const struct pass *s, uint32_t index)
{
    uint32_t last_end = s->position + s->rows_n;
    uint32_t n, q = 0;

    for (uint32_t end = s->position + 1; end <= last_end; end++) {
        for (uint32_t h = 0; h < s->group_n; h++, q++) {
            b->query_begin[q] = (uint16_t)in_span(row_begin(s, end), index);
            b->query_end[q] = (uint16_t)in_span(end, index);
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

/* Where the panel at place `at` stands in the order of use. */
static const uint8_t *const *keys_at(const struct span *b, uint32_t at)
{
    return b->order + (at - b->begin);
}

static const uint8_t *const *values_at(const struct span *b, uint32_t at)
{
    return b->order + (b->end - b->begin) + (at - b->begin);
}

static struct qr_attention_queries queries_of(const struct pass *s, uint32_t q)
{
    return (struct qr_attention_queries){
        .floats = s->s->q + q * s->kv->head_dim,
        .quants = s->s->q8 + q * s->kv->head_dim,
        .scales = s->s->q_scale + q,
        .starts = s->s->q_start + q,
    };
}

/* Where a tile's queries stand: [first, first + n). */
struct queries {
    uint32_t first;
    uint32_t n;
};

/* The panels of the span that any of them sees. */
static uint32_t tile_begin(const struct span *b, struct queries t)
{
    return b->query_begin[t.first] / QR_KV_PANEL;
}

static uint32_t tile_end(const struct span *b, struct queries t)
{
    return (b->query_end[t.first + t.n - 1] + QR_KV_PANEL - 1) / QR_KV_PANEL;
}

/* A tile's scores and weights, [queries][QR_ATTENTION_SCORES]: each tile's in the same place. */
static float *tile_scores_at(const struct pass *s, struct queries t, uint32_t q)
{
    return s->s->p + (q - t.first) * QR_ATTENTION_SCORES;
}

/* called: not the first tile, which calls for panels. */
static void tile_scores(const struct pass *s, const struct span *b, struct queries t, bool called)
{
    const struct qr_attention_queries queries = queries_of(s, t.first);
    const uint32_t begin = tile_begin(b, t), end = tile_end(b, t);
    const uint8_t *const *keys = keys_at(b, begin);

    if (begin < end)
        scores_tile(s->kv->type, t.n, end - begin, keys, called ? keys : keys + QR_PREFETCH_PANELS,
                    &queries, s->kv->head_dim, s->s->p + begin * QR_KV_PANEL);
}

/* Scores to weights.  All maxima come first: a row's takes the time of a dozen instructions, one
 * after the other, which the next row's do not wait for. */
static void tile_softmax(const struct pass *s, const struct span *b, struct queries t)
{
    const size_t scales_at = s->kv->v_offset + qr_q8_scales_at(s->kv->head_dim);

    for (uint32_t q = t.first; q < t.first + t.n; q++)
        if (b->query_begin[q] < b->query_end[q])
            s->s->m_span[q] = row_max(tile_scores_at(s, t, q), b->query_begin[q], b->query_end[q]);
    for (uint32_t q = t.first; q < t.first + t.n; q++)
        if (b->query_begin[q] < b->query_end[q])
            s->s->l_span[q] = weigh_row(TILE_Q8, tile_scores_at(s, t, q), b->query_begin[q],
                                        b->query_end[q], b->keys, scales_at, s->s->m_span[q]);
}

/* Values of the keys [begin, end), places in the span, for queries t, whose weights are at p. */
static inline void keys_values(const struct pass *s, const struct span *b, struct queries t,
                               const float *p, uint32_t begin, uint32_t end, bool called)
{
    const uint32_t at = begin / QR_KV_PANEL, from = at * QR_KV_PANEL;
    const uint8_t *const *values = values_at(b, at);

    if (begin < end)
        values_tile(s->kv->type, t.n, values, called ? values : values + QR_PREFETCH_PANELS,
                    begin - from, end - from, p + from, s->kv->head_dim,
                    s->s->o_span + t.first * s->kv->head_dim);
}

/* What all of a tile's rows see is added for all of them together, in its place between the keys
 * before and behind that, added for each query alone. */
static void tile_values(const struct pass *s, const struct span *b, struct queries t, bool called)
{
    uint32_t begin = b->query_begin[t.first + t.n - 1];
    uint32_t end = b->query_end[t.first];

    memset(s->s->o_span + t.first * s->kv->head_dim, 0, t.n * s->kv->head_dim * sizeof(float));
    if (begin > end) begin = end;
    for (uint32_t q = t.first; q < t.first + t.n; q++)
        keys_values(s, b, (struct queries){q, 1}, tile_scores_at(s, t, q), b->query_begin[q], begin,
                    true);
    keys_values(s, b, t, s->s->p, begin, end, called);
    for (uint32_t q = t.first; q < t.first + t.n; q++)
        keys_values(s, b, (struct queries){q, 1}, tile_scores_at(s, t, q),
                    b->query_begin[q] > end ? b->query_begin[q] : end, b->query_end[q], true);
}

static void span_run(const struct pass *s, struct span *b, uint32_t index)
{
    span_find(b, s, index);
    for (uint32_t q = 0; q < s->queries_n; q += s->tile_n) {
        struct queries t = {q, s->queries_n - q < s->tile_n ? s->queries_n - q : s->tile_n};
        tile_scores(s, b, t, q > 0);
        tile_softmax(s, b, t);
        tile_values(s, b, t, q > 0);
    }
}

/* ---- passes ---------------------------------------------------------------------------- */

static struct qr_attention_state span_state(const struct pass *s, uint32_t q)
{
    return (struct qr_attention_state){&s->s->m_span[q], &s->s->l_span[q],
                                       s->s->o_span + q * s->kv->head_dim};
}

static struct qr_attention_state sum_state(const struct pass *s, uint32_t q)
{
    return (struct qr_attention_state){&s->s->m[q], &s->s->l[q], s->s->o + q * s->kv->head_dim};
}

/* Row r's queries. */
static void pass_take(const struct pass *s, uint32_t r, const float *q)
{
    const uint32_t n = s->group_n * s->kv->head_dim;

    scale_row(s->s->q + r * n, q, n, qr_attention_scale(s->kv->head_dim));
#if TILE_Q8
    for (uint32_t i = r * s->group_n; i < (r + 1) * s->group_n; i++)
        query_quantize(s->s, i, s->kv->head_dim);
#endif
}

/* A row's sum so far, from where it was left or to there. */
static void pass_load(const struct pass *s, uint32_t r, const void *partial)
{
    for (uint32_t h = 0; h < s->group_n; h++)
        qr_attention_merge(sum_state(s, r * s->group_n + h),
                           qr_attention_partial((void *)partial, 0, h, s->group_n, s->kv->head_dim),
                           true, s->kv->head_dim);
}

static void pass_store(const struct pass *s, uint32_t r, void *partial)
{
    for (uint32_t h = 0; h < s->group_n; h++)
        qr_attention_merge(qr_attention_partial(partial, 0, h, s->group_n, s->kv->head_dim),
                           sum_state(s, r * s->group_n + h), true, s->kv->head_dim);
}

/* The results' lines, for writing: wanted at the end, fetched while the last span is worked on. */
static void pass_prefetch(const struct pass *s, const float *out, size_t out_stride)
{
    for (uint32_t r = 0; r < s->rows_n; r++)
        for (uint32_t i = 0; i < s->group_n * s->kv->head_dim; i += 16)
            __builtin_prefetch(out + r * out_stride + i, 1, 2);
}

/* Span `index` onto the sums of those that see some of it. */
static void pass_span(const struct pass *s, struct span *b, uint32_t index, bool summed)
{
    span_run(s, b, index);
    for (uint32_t q = 0; q < s->queries_n; q++) {
        uint32_t first = row_begin(s, s->position + q / s->group_n + 1) / QR_KV_SPAN;

        if (b->query_begin[q] < b->query_end[q])
            qr_attention_merge(sum_state(s, q), span_state(s, q), !summed && index == first,
                               s->kv->head_dim);
    }
}

static void pass_run(const struct pass *s, uint32_t summed_n, float *out, size_t out_stride)
{
    const uint32_t head_dim = s->kv->head_dim;
    const uint32_t spans_end = (s->end - 1) / QR_KV_SPAN + 1;
    struct span b;

    for (uint32_t i = summed_n ? summed_n : row_begin(s, s->position + 1) / QR_KV_SPAN;
         i < spans_end; i++) {
        if (i + 1 == spans_end && s->rows_n > 1) pass_prefetch(s, out, out_stride);
        pass_span(s, &b, i, summed_n > 0);
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
        struct pass s = pass_make(kv, a, row, a->rows_n - row < rows_n ? a->rows_n - row : rows_n);

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
    const struct pass s = {.kv = kv,
                           .s = a->scratch,
                           .position = end - 1,
                           .rows_n = a->rows_n,
                           .end = end,
                           .group_n = a->group_n,
                           .next = a->next,
                           .queries_n = a->rows_n * a->group_n,
                           .tile_n = tile_queries(a->rows_n * a->group_n)};
    struct span b;

    qr_attention_shared_check(kv, a, span_begin, span_end);
    for (uint32_t r = 0; r < s.rows_n; r++) {
        pass_take(&s, r, a->q[r]);
        if (span_begin > 0) pass_load(&s, r, a->partials[r]);
    }
    for (uint32_t i = span_begin; i < span_end; i++)
        pass_span(&s, &b, i, span_begin > 0);
    for (uint32_t r = 0; r < s.rows_n; r++)
        pass_store(&s, r, a->partials[r]);
}

static void attend_spans(const struct qr_kv_view *kv, const struct qr_attention_rows *a,
                         uint32_t span_begin, uint32_t span_end, void *partial)
{
    struct pass s = pass_make(kv, a, 0, 1);
    uint32_t first = row_begin(&s, a->position + 1) / QR_KV_SPAN;
    struct span b;

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

#if !TILE_Q8 /* partial results are alike for all types */
static void attend_merge(const struct qr_kv_view *kv, const struct qr_attention_rows *a,
                         uint32_t spans_n, const void *partial)
{
    struct pass s = pass_make(kv, a, 0, 1);
    uint32_t first = row_begin(&s, a->position + 1) / QR_KV_SPAN;

    qr_attention_check(kv, a);
    assert(a->rows_n == 1 && spans_n == a->position / QR_KV_SPAN + 1);
    for (uint32_t q = 0; q < s.queries_n; q++) {
        for (uint32_t b = first; b < spans_n; b++)
            qr_attention_merge(sum_state(&s, q),
                               qr_attention_partial((void *)partial, b, q, s.group_n, kv->head_dim),
                               b == first, kv->head_dim);
        qr_attention_finish(a->out + q * kv->head_dim, sum_state(&s, q), kv->head_dim);
    }
}
#endif
