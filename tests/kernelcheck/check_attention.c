/* SPDX-License-Identifier: MIT */
#include "kernelcheck.h"

#include <stdio.h>
#include <string.h>

#include "kv_pages.h"

static const char *const type_names[] = {"f32", "f16", "bf16", "q8"};

/* ---- against scalar -------------------------------------------------------------------- */

struct shape {
    enum qr_kv_type type;
    uint32_t head_dim, group_n, page_tokens, position, rows_n, window;
};

/* Writes keys and values by the `put` of each.  False: the pages differ. */
static bool fill(struct kv_pages *pages, const struct qr_kernels *k, struct kv_pages *other,
                 const struct qr_kernels *scalar, uint32_t tokens_n, uint64_t seed)
{
    float kv[2 * QR_HEAD_DIM_MAX];
    size_t bytes =
        (tokens_n + pages->view.page_tokens - 1) / pages->view.page_tokens * pages->view.page_bytes;

    for (uint32_t t = 0; t < tokens_n; t++) {
        kv_pages_fill(kv, 2 * (size_t)pages->view.head_dim, &seed);
        k->attention.put(&pages->view, t, kv, kv + pages->view.head_dim);
        scalar->attention.put(&other->view, t, kv, kv + pages->view.head_dim);
    }
    return memcmp(pages->view.base, other->view.base, bytes) == 0;
}

static void by_spans(const struct qr_kernels *k, const struct qr_kv_view *view,
                     const struct qr_attention_rows *a)
{
    uint32_t spans_n = a->position / QR_KV_SPAN + 1;
    void *partial = kc_memory(spans_n * qr_attention_partial_bytes(a->group_n, view->head_dim));

    for (uint32_t b = spans_n; b-- > 0;)
        k->attention.attend_spans(view, a, b, b + 1, partial);
    k->attention.attend_merge(view, a, spans_n, partial);
    kc_memory_free(partial);
}

/* rows_n sequences with the same pages, all at the same position: the spans before the last one go
 * together, in two calls if there are several; then each row continues alone. */
static void by_shared_spans(const struct qr_kernels *k, const struct qr_kv_view *view,
                            const struct qr_attention_rows *a, uint32_t rows_n)
{
    const uint32_t spans_n = a->position / QR_KV_SPAN;
    const size_t bytes = qr_attention_partial_bytes(a->group_n, view->head_dim);
    uint8_t *partial = kc_memory(rows_n * bytes);
    const float *q[QR_ATTENTION_ROWS_MAX];
    void *partials[QR_ATTENTION_ROWS_MAX];
    struct qr_attention_shared shared = {.q = q,
                                         .partials = partials,
                                         .rows_n = rows_n,
                                         .group_n = a->group_n,
                                         .scratch = a->scratch};

    for (uint32_t r = 0; r < rows_n; r++) {
        q[r] = a->q + r * a->q_stride;
        partials[r] = partial + r * bytes;
    }
    k->attention.attend_shared(view, &shared, 0, 1);
    if (spans_n > 1) k->attention.attend_shared(view, &shared, 1, spans_n);
    for (uint32_t r = 0; r < rows_n; r++) {
        struct qr_attention_rows row = *a;

        row.q = q[r];
        row.out = a->out + r * a->out_stride;
        row.rows_n = 1;
        row.summed_n = spans_n;
        row.partial = partials[r];
        k->attention.attend(view, &row);
    }
    kc_memory_free(partial);
}

static void each_alone(const struct qr_kernels *k, const struct qr_kv_view *view,
                       const struct qr_attention_rows *a, uint32_t rows_n)
{
    for (uint32_t r = 0; r < rows_n; r++) {
        struct qr_attention_rows row = *a;

        row.q = a->q + r * a->q_stride;
        row.out = a->out + r * a->out_stride;
        row.rows_n = 1;
        k->attention.attend(view, &row);
    }
}

static bool check_shape(const struct shape *s, const struct qr_kernels *k,
                        const struct qr_kernels *scalar, uint64_t seed, char *message, size_t size)
{
    /* hints may point anywhere */
    static const uint8_t *const anywhere[QR_PREFETCH_PANELS] = {NULL, (const uint8_t *)4096};
    uint32_t tokens_n = s->position + s->rows_n;
    size_t row = (size_t)s->group_n * s->head_dim;
    struct kv_pages got_kv, want_kv;
    float *q = kc_memory(s->rows_n * row * sizeof *q);
    float *got = kc_memory(s->rows_n * row * sizeof *got);
    float *want = kc_memory(s->rows_n * row * sizeof *want);
    struct qr_attention_rows a = {.q = q,
                                  .q_stride = row,
                                  .out = got,
                                  .out_stride = row,
                                  .rows_n = s->rows_n,
                                  .position = s->position,
                                  .group_n = s->group_n,
                                  .window = s->window,
                                  .scratch = kc_memory(qr_attention_scratch_bytes()),
                                  .next = seed % 2 ? anywhere : NULL};
    char what[128];
    bool ok;

    snprintf(what, sizeof what,
             "%s, head_dim %u, group %u, page %u, position %u, rows %u, window %u",
             type_names[s->type], s->head_dim, s->group_n, s->page_tokens, s->position, s->rows_n,
             s->window);
    got_kv = kv_pages_make(s->type, s->head_dim, 1, s->page_tokens, tokens_n, 7);
    want_kv = kv_pages_make(s->type, s->head_dim, 1, s->page_tokens, tokens_n, 7);
    ok = fill(&got_kv, k, &want_kv, scalar, tokens_n, seed);
    if (!ok) snprintf(message, size, "put: %s: bytes of the pages differ", what);
    kv_pages_fill(q, s->rows_n * row, &seed);
    if (ok) {
        k->attention.attend(&got_kv.view, &a);
        a.out = want;
        scalar->attention.attend(&want_kv.view, &a);
        ok = kc_equal_bits(got, want, (struct kc_rows){s->rows_n, row, row}, what, message, size);
    }
    if (ok && s->rows_n == 1) {
        memset(got, 0, row * sizeof *got);
        a.out = got;
        by_spans(k, &got_kv.view, &a);
        ok = kc_equal_bits(got, want, (struct kc_rows){1, row, row}, what, message, size);
    }
    if (ok && s->window == 0 && s->position >= QR_KV_SPAN &&
        s->rows_n * s->group_n <= QR_ATTENTION_QUERIES) {
        a.out = got;
        by_shared_spans(k, &got_kv.view, &a, s->rows_n);
        a.out = want;
        each_alone(scalar, &want_kv.view, &a, s->rows_n);
        ok = kc_equal_bits(got, want, (struct kc_rows){s->rows_n, row, row}, what, message, size);
    }
    kc_memory_free(a.scratch);
    kc_memory_free(want);
    kc_memory_free(got);
    kc_memory_free(q);
    kv_pages_free(&want_kv);
    kv_pages_free(&got_kv);
    return ok;
}

static bool check(const struct qr_kernels *k, const struct qr_kernels *scalar, char *message,
                  size_t size)
{
    static const uint32_t head_dims[] = {64, 128, 8, 24, 40, 72, 80, 96, 120, 192, 256, 16, 32};
    static const uint32_t groups[] = {3, 1, 4, 8, 2, 5, 6, 7, 16, 9};
    static const uint32_t pages[] = {32, 16, 64, 128, 48};
    static const uint32_t rows[] = {1, 32, 1, 2, 16, 7, 1, 31};
    static const uint32_t positions[] = {0, 300, 15, 16, 255, 600, 256, 511, 63, 1000, 230};
    static const uint32_t windows[] = {0, 0, 100, 0, 1, 300, 17};
    struct kc_random r = {.state = 3};

    for (uint32_t i = 0; i < 208; i++) {
        struct shape s = {.type = (enum qr_kv_type)(i % QR_KV_TYPES_N),
                          .head_dim = head_dims[i % 13],
                          .group_n = groups[kc_random_u32(&r) % 10],
                          .page_tokens = pages[kc_random_u32(&r) % 5],
                          .position = positions[kc_random_u32(&r) % 11],
                          .rows_n = rows[kc_random_u32(&r) % 8],
                          .window = windows[kc_random_u32(&r) % 7]};

        /* scalar takes some nanoseconds for each key, query and dimension */
        while (s.rows_n > 1 &&
               (uint64_t)s.rows_n * s.group_n * s.head_dim * s.position > 8u * 1000 * 1000)
            s.rows_n /= 2;
        if (!check_shape(&s, k, scalar, i + 1, message, size)) return false;
    }
    return true;
}

/* ---- timed ----------------------------------------------------------------------------- */

struct bench_shape {
    uint32_t sequences_n, tokens_n, heads_n, group_n, head_dim;
    bool prefill;
    const char *name;
};

#define PREFIX_ROWS 4u /* rows that go over a prefix together */

struct bench_work {
    const struct qr_kernels *kernels;
    struct bench_shape shape;
    uint32_t texts_n;      /* sequences with pages of their own */
    struct kv_pages pages; /* of all sequences, shuffled */
    float *q, *out;
    uint8_t *scratch;  /* one a thread */
    uint8_t *partials; /* PREFIX_ROWS a thread */
};

static void bench_put(struct bench_work *w)
{
    float kv[2 * QR_HEAD_DIM_MAX];
    uint64_t seed = 9;

    for (uint32_t h = 0; h < w->shape.heads_n; h++) {
        struct qr_kv_view view = w->pages.view;

        view.base += h * w->pages.head_bytes;
        for (uint32_t t = 0; t < w->texts_n * w->shape.tokens_n; t++) {
            kv_pages_fill(kv, 2 * (size_t)w->shape.head_dim, &seed);
            w->kernels->attention.put(&view, t, kv, kv + w->shape.head_dim);
        }
    }
}

/* An item is one KV head of one sequence and, in prefill, of QR_ATTENTION_ROWS_MAX rows.  The last
 * rows, which take longest, come first. */
static void run(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    struct bench_work *w = work;
    const struct bench_shape *s = &w->shape;
    size_t heads = (size_t)s->heads_n * s->group_n * s->head_dim;
    uint32_t tiles = s->prefill ? s->tokens_n / QR_ATTENTION_ROWS_MAX : 1;

    for (uint32_t i = begin; i < end; i++) {
        uint32_t tile = tiles - 1 - i / s->heads_n % tiles;
        uint32_t sequence = i / s->heads_n / tiles;
        uint32_t row = s->prefill ? tile * QR_ATTENTION_ROWS_MAX : 0;
        size_t column = (size_t)(i % s->heads_n) * s->group_n * s->head_dim;

        struct qr_kv_view view = w->pages.view;
        struct qr_attention_rows a = {
            .q = w->q + (sequence + row) * heads + column,
            .q_stride = heads,
            .out = w->out + (sequence + row) * heads + column,
            .out_stride = heads,
            .rows_n = s->prefill ? QR_ATTENTION_ROWS_MAX : 1,
            .position = s->prefill ? row : s->tokens_n - 1,
            .group_n = s->group_n,
            .scratch = w->scratch + thread * qr_attention_scratch_bytes(),
        };

        view.base += i % s->heads_n * w->pages.head_bytes;
        view.pages += sequence * (s->tokens_n / view.page_tokens);
        w->kernels->attention.attend(&view, &a);
    }
}

/* The pages of texts_n sequences, and queries and results of rows_n rows. */
static struct bench_work bench_begin(const struct kc_bench *b, const struct bench_shape *s,
                                     uint32_t texts_n, uint32_t rows_n, enum qr_kv_type type)
{
    size_t values = (size_t)rows_n * s->heads_n * s->group_n * s->head_dim;
    uint64_t seed = 4;
    struct bench_work w = {
        .kernels = b->kernels,
        .shape = *s,
        .texts_n = texts_n,
        .pages = kv_pages_make(type, s->head_dim, s->heads_n, 32, texts_n * s->tokens_n, 8),
        .q = kc_memory(values * sizeof(float)),
        .out = kc_memory(values * sizeof(float)),
        .scratch = kc_memory(b->threads_n * qr_attention_scratch_bytes()),
        .partials = kc_memory(b->threads_n * PREFIX_ROWS *
                              qr_attention_partial_bytes(s->group_n, s->head_dim)),
    };

    kv_pages_fill(w.q, values, &seed);
    bench_put(&w);
    return w;
}

static void bench_end(struct bench_work *w)
{
    kv_pages_free(&w->pages);
    kc_memory_free(w->q);
    kc_memory_free(w->out);
    kc_memory_free(w->scratch);
    kc_memory_free(w->partials);
}

static void bench_shape(struct kc_bench *b, const struct bench_shape *s, enum qr_kv_type type)
{
    uint32_t rows_n = s->prefill ? s->tokens_n : s->sequences_n;
    uint32_t tiles = s->prefill ? s->tokens_n / QR_ATTENTION_ROWS_MAX : 1;
    struct bench_work w = bench_begin(b, s, s->sequences_n, rows_n, type);
    char shape[64];
    double keys, seconds;

    seconds = kc_time(b, run, &w, s->sequences_n * s->heads_n * tiles, 1);
    snprintf(shape, sizeof shape, "%s %s", type_names[type], s->name);
    /* two products of 2 operations for each visible key; K and V are read once */
    keys = s->prefill ? (double)s->tokens_n * (s->tokens_n + 1) / 2 : s->tokens_n;
    if (s->prefill)
        kc_result(b, "attention", shape, seconds,
                  4.0 * keys * s->heads_n * s->group_n * s->head_dim, KC_FP32);
    else
        kc_result(b, "attention", shape, seconds,
                  (double)s->sequences_n * s->tokens_n / QR_KV_PANEL * s->heads_n * 2 *
                      (double)qr_kv_panel_bytes(type, s->head_dim),
                  KC_READ);
    bench_end(&w);
}

/* ---- over one prefix ---- */

static size_t query_at(const struct bench_shape *s, uint32_t row, uint32_t head)
{
    return ((size_t)row * s->heads_n + head) * s->group_n * s->head_dim;
}

/* An item is one KV head of one sequence. */
static void run_alone(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    struct bench_work *w = work;
    const struct bench_shape *s = &w->shape;

    for (uint32_t i = begin; i < end; i++) {
        const size_t at = query_at(s, i / s->heads_n, i % s->heads_n);
        struct qr_kv_view view = w->pages.view;
        struct qr_attention_rows a = {
            .q = w->q + at,
            .out = w->out + at,
            .rows_n = 1,
            .position = s->tokens_n - 1,
            .group_n = s->group_n,
            .scratch = w->scratch + thread * qr_attention_scratch_bytes(),
        };

        view.base += i % s->heads_n * w->pages.head_bytes;
        w->kernels->attention.attend(&view, &a);
    }
}

/* An item is one KV head of PREFIX_ROWS sequences. */
static void run_together(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    struct bench_work *w = work;
    const struct bench_shape *s = &w->shape;
    const size_t partial_bytes = qr_attention_partial_bytes(s->group_n, s->head_dim);
    uint8_t *partial = w->partials + thread * PREFIX_ROWS * partial_bytes;

    for (uint32_t i = begin; i < end; i++) {
        struct qr_kv_view view = w->pages.view;
        const float *q[PREFIX_ROWS];
        void *partials[PREFIX_ROWS];
        struct qr_attention_shared a = {
            .q = q,
            .partials = partials,
            .rows_n = PREFIX_ROWS,
            .group_n = s->group_n,
            .scratch = w->scratch + thread * qr_attention_scratch_bytes(),
        };

        view.base += i % s->heads_n * w->pages.head_bytes;
        for (uint32_t r = 0; r < PREFIX_ROWS; r++) {
            q[r] = w->q + query_at(s, i / s->heads_n * PREFIX_ROWS + r, i % s->heads_n);
            partials[r] = partial + r * partial_bytes;
        }
        w->kernels->attention.attend_shared(&view, &a, 0, s->tokens_n / QR_KV_SPAN);
    }
}

static void bench_prefix(struct kc_bench *b, enum qr_kv_type type)
{
    const struct bench_shape s = {16, 1024, 3, 3, 64, false, "16 over one 1024, 3 x 3 x 64"};
    const double flops = 4.0 * s.sequences_n * s.tokens_n * s.heads_n * s.group_n * s.head_dim;
    struct bench_work w = bench_begin(b, &s, 1, s.sequences_n, type);
    char shape[64];
    double seconds = kc_time(b, run_alone, &w, s.sequences_n * s.heads_n, 1);

    snprintf(shape, sizeof shape, "%s %s, each alone", type_names[type], s.name);
    kc_result(b, "attention", shape, seconds, flops, KC_FP32);
    seconds = kc_time(b, run_together, &w, s.sequences_n / PREFIX_ROWS * s.heads_n, 1);
    snprintf(shape, sizeof shape, "%s %s, together", type_names[type], s.name);
    kc_result(b, "attention", shape, seconds, flops, KC_FP32);
    bench_end(&w);
}

static void bench(struct kc_bench *b)
{
    static const struct bench_shape shapes[] = {
        {64, 512, 3, 3, 64, false, "decode 64 x 512, 3 x 3 x 64"},
        {64, 1024, 3, 3, 64, false, "decode 64 x 1024, 3 x 3 x 64"},
        {16, 512, 8, 4, 64, false, "decode 16 x 512, 8 x 4 x 64"},
        {16, 512, 8, 4, 128, false, "decode 16 x 512, 8 x 4 x 128"},
        {1, 512, 3, 3, 64, true, "prefill 512, 3 x 3 x 64"},
        {1, 2048, 3, 3, 64, true, "prefill 2048, 3 x 3 x 64"},
        {1, 512, 8, 4, 128, true, "prefill 512, 8 x 4 x 128"},
    };

    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        for (int type = 0; type < QR_KV_TYPES_N; type++)
            bench_shape(b, &shapes[i], (enum qr_kv_type)type);
    for (int type = 0; type < QR_KV_TYPES_N; type++)
        bench_prefix(b, (enum qr_kv_type)type);
}

static bool same(const struct qr_kernels *a, const struct qr_kernels *b)
{
    return a->attention.attend == b->attention.attend;
}

const struct kc_suite kc_attention = {"attention", same, check, bench};
