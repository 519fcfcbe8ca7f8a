/* SPDX-License-Identifier: MIT */
#include "kernelcheck.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define N_MAX 33333u

/* Row lengths of models, and lengths that end inside a vector; rows of logits have any length. */
static const uint32_t lengths[] = {8, 16, 24, 64, 72, 192, 576, 1536, 2048, 4088, 4096};
#define LENGTHS_N (sizeof lengths / sizeof lengths[0])
static const uint32_t any_lengths[] = {1,  2,  7,  8,  9,   15,   16,   17,   31,
                                       33, 63, 64, 65, 100, 1023, 4095, 33333};
#define ANY_LENGTHS_N (sizeof any_lengths / sizeof any_lengths[0])

/* kind 0: ordinary; 1: wide; 2: few different values; 3: specials among them */
static void fill(float *x, uint32_t n, uint32_t kind, struct kc_random *r)
{
    static const float specials[] = {NAN, INFINITY, -INFINITY, -0.0f, 0.0f, 1e-42f, 3e38f, -3e38f};

    for (uint32_t i = 0; i < n; i++) {
        x[i] = kc_random_normal(r);
        if (kind == 1) x[i] *= 60.0f;
        if (kind == 2) x[i] = (float)(kc_random_u32(r) % 5);
        if (kind == 3 && kc_random_u32(r) % 4 == 0) x[i] = specials[kc_random_u32(r) % 8];
    }
}

/* Equal, or both NaN with any payload. */
static bool equal(const float *a, const float *b, uint32_t n, const char *what, char *message,
                  size_t size)
{
    for (uint32_t i = 0; i < n; i++) {
        if (memcmp(a + i, b + i, sizeof *a) == 0 || (isnan(a[i]) && isnan(b[i]))) continue;
        snprintf(message, size, "%s: n %u, value %u is %.9g, scalar %.9g", what, n, i, (double)a[i],
                 (double)b[i]);
        return false;
    }
    return true;
}

struct buffers {
    float *x, *y, *got, *want;
    struct kc_random r;
    struct qr_scored *got_k, *want_k;
};

static struct buffers make(void)
{
    return (struct buffers){.x = kc_memory(N_MAX * sizeof(float)),
                            .y = kc_memory(N_MAX * sizeof(float)),
                            .got = kc_memory(N_MAX * sizeof(float)),
                            .want = kc_memory(N_MAX * sizeof(float)),
                            .got_k = kc_memory(N_MAX * sizeof(struct qr_scored)),
                            .want_k = kc_memory(N_MAX * sizeof(struct qr_scored)),
                            .r = {.state = 21}};
}

static bool done(struct buffers *b, bool ok)
{
    kc_memory_free(b->x);
    kc_memory_free(b->y);
    kc_memory_free(b->got);
    kc_memory_free(b->want);
    kc_memory_free(b->got_k);
    kc_memory_free(b->want_k);
    return ok;
}

/* ---- checks ---------------------------------------------------------------------------- */

/* One row of n values.  x and y, with its second half, are random. */
struct row_case {
    const struct qr_row_kernels *k, *scalar;
    struct buffers *b;
    uint32_t n, round;
    char *message;
    size_t size;
};
typedef bool row_case_fn(const struct row_case *c);

struct row_cases {
    const uint32_t *lengths;
    uint32_t lengths_n, rounds_n, kinds_n; /* rounds for each length; their kinds alternate */
};
#define ROW_LENGTHS(kinds)                                                                         \
    {                                                                                              \
        lengths, LENGTHS_N, kinds, kinds                                                           \
    }
#define ANY_LENGTHS(rounds)                                                                        \
    {                                                                                              \
        any_lengths, ANY_LENGTHS_N, rounds, 4                                                      \
    }

static bool each_case(const struct qr_kernels *k, const struct qr_kernels *scalar,
                      struct row_cases cases, row_case_fn *fn, char *message, size_t size)
{
    struct buffers b = make();
    struct row_case c = {&k->rows, &scalar->rows, &b, 0, 0, message, size};
    bool ok = true;

    for (uint32_t i = 0; ok && i < cases.rounds_n * cases.lengths_n; i++) {
        c.n = cases.lengths[i / cases.rounds_n];
        c.round = i % cases.rounds_n;
        uint32_t kind = c.round % cases.kinds_n;

        fill(b.x, c.n, kind, &b.r);
        if (cases.lengths == lengths) {
            fill(b.y, c.n, kind == 3 ? 3 : 0, &b.r);
            fill(b.y + N_MAX / 2, c.n, 0, &b.r);
        }
        memcpy(b.got, b.x, c.n * sizeof(float)); /* the kernels work in place */
        ok = fn(&c);
    }
    return done(&b, ok);
}

static bool rms_norm_is_equal(const struct row_case *c)
{
    c->k->rms_norm(c->b->got, c->b->got, c->b->y, 1e-5f, c->n);
    c->scalar->rms_norm(c->b->want, c->b->x, c->b->y, 1e-5f, c->n);
    return equal(c->b->got, c->b->want, c->n, "rms_norm", c->message, c->size);
}

static bool layer_norm_is_equal(const struct row_case *c)
{
    const float *bias = c->b->y + N_MAX / 2;

    c->k->layer_norm(c->b->got, c->b->got, c->b->y, bias, 1e-5f, c->n);
    c->scalar->layer_norm(c->b->want, c->b->x, c->b->y, bias, 1e-5f, c->n);
    return equal(c->b->got, c->b->want, c->n, "layer_norm", c->message, c->size);
}

static bool swiglu_is_equal(const struct row_case *c)
{
    c->k->swiglu(c->b->got, c->b->got, c->b->y, c->n);
    c->scalar->swiglu(c->b->want, c->b->x, c->b->y, c->n);
    return equal(c->b->got, c->b->want, c->n, "swiglu", c->message, c->size);
}

static bool gelu_is_equal(const struct row_case *c)
{
    c->k->gelu(c->b->got, c->b->got, c->n);
    c->scalar->gelu(c->b->want, c->b->x, c->n);
    return equal(c->b->got, c->b->want, c->n, "gelu", c->message, c->size);
}

static bool add_is_equal(const struct row_case *c)
{
    memcpy(c->b->want, c->b->x, c->n * sizeof(float));
    c->k->add(c->b->got, c->b->y, c->n);
    c->scalar->add(c->b->want, c->b->y, c->n);
    return equal(c->b->got, c->b->want, c->n, "add", c->message, c->size);
}

static bool argmax_is_equal(const struct row_case *c)
{
    if (c->round == 39)
        for (uint32_t j = 0; j < c->n; j++)
            c->b->x[j] = j % 3 ? NAN : -INFINITY;
    uint32_t got = c->k->argmax(c->b->x, c->n), want = c->scalar->argmax(c->b->x, c->n);

    if (got == want) return true;
    snprintf(c->message, c->size, "argmax: n %u: %u, scalar %u", c->n, got, want);
    return false;
}

/* Segments of random lengths, from a random place to the row's end, then from the row's beginning.
 */
static void best_of_segments(const struct qr_row_kernels *k, const struct row_case *c,
                             uint32_t seed, struct qr_scored *best)
{
    struct kc_random r = {.state = seed};
    uint32_t start = kc_random_u32(&r) % c->n;

    *best = QR_BEST_NONE;
    for (uint32_t done = 0, n; done < c->n; done += n) {
        uint32_t at = (start + done) % c->n, left = at < start ? start - at : c->n - at;

        n = 1 + kc_random_u32(&r) % 150;
        if (n > left) n = left;
        k->best(best, c->b->x + at, n, at);
    }
}

static bool best_is_equal(const struct row_case *c)
{
    struct qr_scored got, want;
    uint32_t argmax = c->scalar->argmax(c->b->x, c->n);

    best_of_segments(c->k, c, c->round, &got);
    best_of_segments(c->scalar, c, c->round, &want);
    if (got.index == want.index && memcmp(&got.value, &want.value, sizeof got.value) == 0 &&
        (want.index == argmax || (want.index == QR_BEST_NONE.index && argmax == 0)))
        return true;
    snprintf(c->message, c->size, "best: n %u: %u (%.9g), scalar %u (%.9g), argmax %u", c->n,
             got.index, (double)got.value, want.index, (double)want.value, argmax);
    return false;
}

static bool logsumexp_is_equal(const struct row_case *c)
{
    c->b->got[0] = c->k->logsumexp(c->b->x, c->n);
    c->b->want[0] = c->scalar->logsumexp(c->b->x, c->n);
    return equal(c->b->got, c->b->want, 1, "logsumexp", c->message, c->size);
}

static bool topk_is_equal(const struct row_case *c)
{
    const struct qr_scored *got = c->b->got_k, *want = c->b->want_k;
    uint32_t most = c->n < 500 ? c->n : 500;
    uint32_t best = c->round < 4 ? c->n : 1 + kc_random_u32(&c->b->r) % most;

    c->k->topk(c->b->x, c->n, best, c->b->got_k);
    c->scalar->topk(c->b->x, c->n, best, c->b->want_k);
    for (uint32_t j = 0; j < best; j++) {
        if (got[j].index == want[j].index) continue;
        snprintf(c->message, c->size, "topk: n %u, k %u, place %u: index %u, scalar %u", c->n, best,
                 j, got[j].index, want[j].index);
        return false;
    }
    return true;
}

#define ROW_CHECK(kernel, ...)                                                                     \
    static bool check_##kernel(const struct qr_kernels *k, const struct qr_kernels *scalar,        \
                               char *message, size_t size)                                         \
    {                                                                                              \
        return each_case(k, scalar, (struct row_cases)__VA_ARGS__, kernel##_is_equal, message,     \
                         size);                                                                    \
    }

ROW_CHECK(rms_norm, ROW_LENGTHS(3))
ROW_CHECK(layer_norm, ROW_LENGTHS(3))
ROW_CHECK(swiglu, ROW_LENGTHS(4))
ROW_CHECK(gelu, ROW_LENGTHS(4))
ROW_CHECK(add, ROW_LENGTHS(4))
ROW_CHECK(argmax, ANY_LENGTHS(40))
ROW_CHECK(best, ANY_LENGTHS(40))
ROW_CHECK(logsumexp, ANY_LENGTHS(8))
ROW_CHECK(topk, ANY_LENGTHS(16))

/* Whole heads of several shapes. */
static bool check_rotation(qr_rope_fn *rope, qr_rope_fn *expected, char *message, size_t size)
{
    static const uint32_t shapes[][3] = {{9, 64, 64}, {3, 128, 128}, {2, 8, 8},   {5, 40, 40},
                                         {4, 80, 32}, {1, 96, 24},   {3, 64, 20}, {2, 16, 2}};
    struct buffers b = make();
    bool ok = true;

    for (uint32_t i = 0; ok && i < 8; i++) {
        uint32_t n = shapes[i][0] * shapes[i][1];

        fill(b.x, n, 0, &b.r);
        for (uint32_t j = 0; j < shapes[i][2] / 2; j++) {
            b.y[j] = cosf((float)(7 * j));
            b.y[N_MAX / 2 + j] = sinf((float)(7 * j));
        }
        memcpy(b.got, b.x, n * sizeof(float));
        memcpy(b.want, b.x, n * sizeof(float));
        rope(b.got, shapes[i][0], shapes[i][1], shapes[i][2], b.y, b.y + N_MAX / 2);
        expected(b.want, shapes[i][0], shapes[i][1], shapes[i][2], b.y, b.y + N_MAX / 2);
        ok = equal(b.got, b.want, n, "rope", message, size);
    }
    return done(&b, ok);
}

static bool check_rope(const struct qr_kernels *k, const struct qr_kernels *scalar, char *message,
                       size_t size)
{
    return check_rotation(k->rows.rope, scalar->rows.rope, message, size);
}

static bool check_rope_halves(const struct qr_kernels *k, const struct qr_kernels *scalar,
                              char *message, size_t size)
{
    return check_rotation(k->rows.rope_halves, scalar->rows.rope_halves, message, size);
}

/* ---- timed ----------------------------------------------------------------------------- */

#define ROWS_N 64u

struct row_work {
    const struct qr_kernels *k;
    float *x, *y, *out;     /* [ROWS_N][n] */
    struct qr_scored *best; /* [ROWS_N][best_n] */
    float *angles;
    uint32_t n, best_n;
};

static void run_rms_norm(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    struct row_work *w = work;

    (void)thread;
    for (size_t r = begin; r < end; r++)
        w->k->rows.rms_norm(w->out + r * w->n, w->x + r * w->n, w->y, 1e-5f, w->n);
}

static void run_layer_norm(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    struct row_work *w = work;

    (void)thread;
    for (size_t r = begin; r < end; r++)
        w->k->rows.layer_norm(w->out + r * w->n, w->x + r * w->n, w->y, w->y + w->n, 1e-5f, w->n);
}

static void run_rope_halves(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    struct row_work *w = work;

    (void)thread;
    for (size_t r = begin; r < end; r++)
        w->k->rows.rope_halves(w->x + r * w->n, w->n / 64, 64, 64, w->angles, w->angles + 32);
}

static void run_gelu(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    struct row_work *w = work;

    (void)thread;
    for (size_t r = begin; r < end; r++)
        w->k->rows.gelu(w->out + r * w->n, w->x + r * w->n, w->n);
}

static void run_rope(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    struct row_work *w = work;

    (void)thread;
    for (size_t r = begin; r < end; r++)
        w->k->rows.rope(w->x + r * w->n, w->n / 64, 64, 64, w->angles, w->angles + 32);
}

static void run_swiglu(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    struct row_work *w = work;

    (void)thread;
    for (size_t r = begin; r < end; r++)
        w->k->rows.swiglu(w->out + r * w->n, w->x + r * w->n, w->y + r * w->n, w->n);
}

static void run_add(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    struct row_work *w = work;

    (void)thread;
    for (size_t r = begin; r < end; r++)
        w->k->rows.add(w->out + r * w->n, w->x + r * w->n, w->n);
}

static void run_argmax(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    struct row_work *w = work;

    (void)thread;
    for (size_t r = begin; r < end; r++)
        w->out[r] = (float)w->k->rows.argmax(w->x + r * w->n, w->n);
}

/* In segments, as the head computes a row. */
static void run_best(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    struct row_work *w = work;

    (void)thread;
    for (size_t r = begin; r < end; r++) {
        struct qr_scored best = QR_BEST_NONE;
        for (uint32_t at = 0; at < w->n; at += 128)
            w->k->rows.best(&best, w->x + r * w->n + at, 128, at);
        w->out[r] = (float)best.index;
    }
}

static void run_logsumexp(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    struct row_work *w = work;

    (void)thread;
    for (size_t r = begin; r < end; r++)
        w->out[r] = w->k->rows.logsumexp(w->x + r * w->n, w->n);
}

static void run_topk(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    struct row_work *w = work;

    (void)thread;
    for (size_t r = begin; r < end; r++)
        w->k->rows.topk(w->x + r * w->n, w->n, w->best_n, w->best + r * w->best_n);
}

/* arrays: how many arrays of n floats a row reads or writes */
static void time_rows(struct kc_bench *b, const char *kernel, qr_team_fn *fn, uint32_t n,
                      uint32_t best_n, double arrays)
{
    size_t values = (size_t)ROWS_N * n;
    struct kc_random r = {.state = 6};
    struct row_work w = {.k = b->kernels,
                         .x = kc_memory(values * sizeof(float)),
                         .y = kc_memory(values * sizeof(float)),
                         .out = kc_memory(values * sizeof(float)),
                         .best = kc_memory((size_t)ROWS_N * best_n * sizeof(struct qr_scored)),
                         .angles = kc_memory(64 * sizeof(float)),
                         .n = n,
                         .best_n = best_n};
    char shape[64];
    double seconds;

    for (size_t i = 0; i < values; i++) {
        w.x[i] = kc_random_normal(&r);
        w.y[i] = kc_random_normal(&r);
    }
    for (uint32_t i = 0; i < 32; i++) {
        w.angles[i] = cosf((float)i);
        w.angles[32 + i] = sinf((float)i);
    }
    seconds = kc_time(b, fn, &w, ROWS_N, 0);
    if (best_n)
        snprintf(shape, sizeof shape, "%u rows of %u, k %u (%.2f us)", ROWS_N, n, best_n,
                 seconds * 1e6 / ROWS_N);
    else
        snprintf(shape, sizeof shape, "%u rows of %u (%.3f ns)", ROWS_N, n,
                 seconds * 1e9 / (double)values);
    kc_result(b, kernel, shape, seconds, arrays * 4.0 * (double)values, KC_READ);
    kc_memory_free(w.x);
    kc_memory_free(w.y);
    kc_memory_free(w.out);
    kc_memory_free(w.best);
    kc_memory_free(w.angles);
}

static void bench_rms_norm(struct kc_bench *b)
{
    time_rows(b, "rms_norm", run_rms_norm, 576, 0, 2);
}

static void bench_layer_norm(struct kc_bench *b)
{
    time_rows(b, "layer_norm", run_layer_norm, 768, 0, 2);
}

static void bench_rope_halves(struct kc_bench *b)
{
    time_rows(b, "rope_halves", run_rope_halves, 576, 0, 2);
}

static void bench_gelu(struct kc_bench *b)
{
    time_rows(b, "gelu", run_gelu, 3072, 0, 2);
}

static void bench_rope(struct kc_bench *b)
{
    time_rows(b, "rope", run_rope, 576, 0, 2);
}

static void bench_swiglu(struct kc_bench *b)
{
    time_rows(b, "swiglu", run_swiglu, 1536, 0, 3);
}

static void bench_add(struct kc_bench *b)
{
    time_rows(b, "add", run_add, 576, 0, 3);
}

static void bench_argmax(struct kc_bench *b)
{
    time_rows(b, "argmax", run_argmax, 49152, 0, 1);
}

static void bench_best(struct kc_bench *b)
{
    time_rows(b, "best", run_best, 49152, 0, 1);
}

static void bench_logsumexp(struct kc_bench *b)
{
    time_rows(b, "logsumexp", run_logsumexp, 49152, 0, 1);
}

static void bench_topk(struct kc_bench *b)
{
    time_rows(b, "topk", run_topk, 49152, 20, 1);
    time_rows(b, "topk", run_topk, 49152, 256, 1);
    time_rows(b, "topk", run_topk, 128256, 256, 1);
}

/* ---- suites ---------------------------------------------------------------------------- */

#define ROW_SUITE(kernel)                                                                          \
    static bool same_##kernel(const struct qr_kernels *a, const struct qr_kernels *b)              \
    {                                                                                              \
        return a->rows.kernel == b->rows.kernel;                                                   \
    }                                                                                              \
    const struct kc_suite kc_##kernel = {#kernel, same_##kernel, check_##kernel, bench_##kernel}

ROW_SUITE(rms_norm);
ROW_SUITE(layer_norm);
ROW_SUITE(rope);
ROW_SUITE(rope_halves);
ROW_SUITE(swiglu);
ROW_SUITE(gelu);
ROW_SUITE(add);
ROW_SUITE(argmax);
ROW_SUITE(best);
ROW_SUITE(logsumexp);
ROW_SUITE(topk);
