/* SPDX-License-Identifier: MIT */
#include "kernelcheck.h"

#include <stdio.h>
#include <string.h>

#include "support/type_blocks.h"

/* ---- made-up matrices ---------------------------------------------------------------------- */

struct problem {
    struct qr_matrix m;
    struct qr_acts acts;
    uint8_t *data;
    void *acts_memory;
};

/* Random blocks of n values in the file's format.  All quants occur, also -128 in 8 bits; scales
 * have either sign, some are zero.  Blocks with all bits equal are the extremes, in which every
 * quant and inner scale has its least or greatest value: a sum that is too narrow would overflow.
 */
static void random_blocks(struct kc_random *r, enum qr_type type, uint8_t *to, size_t n)
{
    const struct qr_type_traits *t = qr_type_traits(type);
    size_t blocks_n = n / t->block_n;

    for (size_t i = 0; i < blocks_n; i++, to += t->block_bytes) {
        for (uint32_t j = 0; j < t->block_bytes; j++)
            to[j] = (uint8_t)(i % 8 < 2 ? 0 - i % 8 : kc_random_u32(r));
        float d = kc_random_u32(r) % 16 ? kc_random_float(r) * 0.02f : 0.0f;
        type_blocks_set(type, to, d, kc_random_float(r) * 0.02f);
    }
}

static void problem_init(struct problem *p, struct kc_random *r, enum qr_type type, uint32_t n,
                         uint32_t k, uint32_t rows_max)
{
    const struct qr_type_traits *t = qr_type_traits(type);
    size_t row_bytes = (size_t)(k / t->block_n) * t->block_bytes;

    if (!qr_matrix_shape(&p->m, type, n, k)) {
        fprintf(stderr, "kernelcheck: %s has no packed form of %u x %u\n", t->name, n, k);
        __builtin_trap();
    }
    uint8_t *rows = kc_memory(n * row_bytes);
    random_blocks(r, type, rows, (size_t)n * k);
    p->data = kc_memory(qr_matrix_bytes(&p->m));
    p->m.data = p->data;
    qr_matrix_pack(&p->m, p->data, rows, 0, p->m.panels_n);
    kc_memory_free(rows);
    p->acts_memory = kc_memory(qr_acts_bytes(rows_max, k));
    qr_acts_init(&p->acts, p->acts_memory, k);
}

static void problem_deinit(struct problem *p)
{
    kc_memory_free(p->data);
    kc_memory_free(p->acts_memory);
}

#define MOST (127.0f / 32.0f) /* its scale needs no rounding */

static void fill_acts(struct problem *p, const struct qr_gemm_kernels *k, struct kc_random *r,
                      uint32_t rows_n)
{
    float *x = kc_memory(p->m.k * sizeof *x);
    for (uint32_t row = 0; row < rows_n; row++) {
        for (uint32_t i = 0; i < p->m.k; i++) {
            x[i] = kc_random_normal(r);
            if (row % 5 == 3) x[i] = x[i] < 0 ? -MOST : MOST; /* all quants +-127 */
            if (row % 5 == 4) x[i] = row % 2 ? -MOST : MOST;  /* all of one sign */
        }
        k->quantize(&p->acts, row, row + 1, 0, x, 0, p->m.k);
    }
    kc_memory_free(x);
}

/* ---- against scalar ------------------------------------------------------------------------ */

#define ROWS_MAX 41u

/* Computes g by both functions, each into memory of its own.  The guards after the columns must
 * stay unchanged. */
static bool check_part(qr_gemm_fn *fn, qr_gemm_fn *spec, struct qr_gemm_args g, char *message,
                       size_t size)
{
    uint32_t rows_n = g.row_end - g.row_begin;
    size_t stride = (size_t)(g.panel_end - g.panel_begin) * QR_PANEL_N + 3;
    float *got = kc_memory(rows_n * stride * sizeof *got);
    float *want = kc_memory(rows_n * stride * sizeof *want);
    char what[128];

    for (size_t i = 0; i < rows_n * stride; i++)
        got[i] = want[i] = (float)(i % 13) - 6.0f;
    g.out_stride = stride;
    g.out = got;
    fn(&g);
    g.out = want;
    spec(&g);
    snprintf(what, sizeof what, "n %u, k %u, rows %u-%u, panels %u-%u%s", g.m->n, g.m->k,
             g.row_begin, g.row_end, g.panel_begin, g.panel_end, g.add ? ", add" : "");
    bool ok =
        kc_equal_bits(got, want, (struct kc_rows){rows_n, stride, stride}, what, message, size);
    kc_memory_free(got);
    kc_memory_free(want);
    return ok;
}

#define ROWS_MANY 512u

/* Compares every number of rows up to ROWS_MANY with one scalar run: slabs, tiles and remainders
 * differ for each. */
static bool check_each_count(enum qr_type type, qr_gemm_fn *fn, qr_gemm_fn *spec,
                             const struct qr_kernels *scalar, char *message, size_t size)
{
    uint32_t unit = qr_type_traits(type)->block_n, k = unit > 32 ? 4 * unit : 18 * unit;
    struct kc_random r = {.state = 99 + (uint64_t)type};
    struct problem p;
    bool ok = true;

    problem_init(&p, &r, type, 20, k, ROWS_MANY);
    fill_acts(&p, &scalar->gemm, &r, ROWS_MANY);
    size_t stride = (size_t)p.m.panels_n * QR_PANEL_N;
    float *got = kc_memory(ROWS_MANY * stride * sizeof *got);
    float *want = kc_memory(ROWS_MANY * stride * sizeof *want);
    struct qr_gemm_args g = {&p.m, 0, p.m.panels_n, &p.acts, 0, ROWS_MANY, want, stride, false};
    spec(&g);
    g.out = got;
    for (uint32_t rows_n = 1; ok && rows_n <= ROWS_MANY; rows_n++) {
        char what[64];
        snprintf(what, sizeof what, "n %u, k %u, %u rows", p.m.n, p.m.k, rows_n);
        g.row_end = rows_n;
        fn(&g);
        ok = kc_equal_bits(got, want, (struct kc_rows){rows_n, p.m.n, stride}, what, message, size);
    }
    kc_memory_free(got);
    kc_memory_free(want);
    problem_deinit(&p);
    return ok;
}

static bool check_type(enum qr_type type, const struct qr_kernels *k,
                       const struct qr_kernels *scalar, char *message, size_t size)
{
    static const uint32_t outputs[] = {1, 16, 50};
    static const uint32_t inputs[] = {1, 2, 3, 18};
    uint32_t unit = qr_type_traits(type)->block_n;
    qr_gemm_fn *fn = qr_gemm_for(&k->gemm, type), *spec = qr_gemm_for(&scalar->gemm, type);
    struct kc_random r = {.state = 7 + (uint64_t)type};
    bool ok = true;

    for (uint32_t i = 0; ok && i < 12; i++) {
        struct problem p;
        uint32_t blocks = inputs[i / 3] > 3 && unit > 32 ? 4 : inputs[i / 3];
        problem_init(&p, &r, type, outputs[i % 3], blocks * unit, ROWS_MAX);
        fill_acts(&p, &scalar->gemm, &r, ROWS_MAX);
        for (uint32_t rows_n = 1; ok && rows_n <= ROWS_MAX; rows_n += rows_n < 18 ? 1 : 5) {
            const struct qr_gemm_args g = {&p.m, 0, p.m.panels_n, &p.acts, 0, rows_n,
                                           NULL, 0, rows_n % 2};
            ok = check_part(fn, spec, g, message, size);
        }
        const struct qr_gemm_args g = {
            &p.m, p.m.panels_n / 2, p.m.panels_n, &p.acts, 16, 37, NULL, 0, false};
        ok = ok && check_part(fn, spec, g, message, size);
        problem_deinit(&p);
    }
    return ok && check_each_count(type, fn, spec, scalar, message, size);
}

/* ---- time ---------------------------------------------------------------------------------- */

struct bench_work {
    struct problem *copies; /* together larger than any cache, like a model's matrices */
    uint32_t copies_n;
    uint32_t rows_n;
    qr_gemm_fn *fn;
    float *out;
    size_t stride;
};

static void run_gemm(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    const struct bench_work *w = work;
    uint32_t panels_n = w->copies[0].m.panels_n;
    (void)thread;
    while (begin < end) {
        uint32_t copy = begin / panels_n, first = begin % panels_n;
        uint32_t last = end - copy * panels_n < panels_n ? end - copy * panels_n : panels_n;
        const struct problem *p = &w->copies[copy];
        w->fn(&(struct qr_gemm_args){&p->m, first, last, &p->acts, 0, w->rows_n,
                                     w->out + (size_t)first * QR_PANEL_N, w->stride, false});
        begin += last - first;
    }
}

#define BENCH_ROWS_MAX 512u
#define BENCH_GRAIN    16u /* panels a grain */

/* "gemm_q4_k" */
static void bench_name(char name[24], enum qr_type type)
{
    snprintf(name, 24, "gemm_%s", qr_type_traits(type)->name);
    for (char *c = name; *c; c++)
        *c |= *c >= 'A' && *c <= 'Z' ? 32 : 0;
}

static void bench_shape(struct kc_bench *b, enum qr_type type, uint32_t n, uint32_t k)
{
    static const uint32_t rows[] = {1, 8, 16, 64, 512};
    qr_gemm_fn *fn = qr_gemm_for(&b->kernels->gemm, type);
    struct kc_random r = {.state = 3};
    struct problem first;
    char name[24], shape[64];

    problem_init(&first, &r, type, n, k, BENCH_ROWS_MAX);
    fill_acts(&first, &b->kernels->gemm, &r, BENCH_ROWS_MAX);
    size_t bytes = qr_matrix_bytes(&first.m);
    uint32_t copies_n = (uint32_t)((96u << 20) / bytes) + 1;
    struct problem *copies = kc_memory(copies_n * sizeof *copies);
    uint8_t *data = kc_memory(copies_n * bytes + 65536); /* one stream, like a model's file */
    for (uint32_t i = 0; i < copies_n; i++) {
        copies[i] = first;
        memcpy(data + i * bytes, first.data, bytes);
        copies[i].m.data = data + i * bytes;
    }
    /* not a multiple of 4,096 bytes: such rows would share one set of the cache */
    size_t stride = ((size_t)first.m.panels_n + 1) * QR_PANEL_N;
    float *out = kc_memory(BENCH_ROWS_MAX * stride * sizeof *out);
    bench_name(name, type);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct bench_work w = {copies, rows[i] >= 64 ? 1 : copies_n, rows[i], fn, out, stride};
        uint32_t items_n = w.copies_n * first.m.panels_n;
        double seconds = kc_time(b, run_gemm, &w, items_n, BENCH_GRAIN) / w.copies_n;
        snprintf(shape, sizeof shape, "M %u, N %u, K %u", rows[i], n, k);
        if (rows[i] == 1)
            kc_result(b, name, shape, seconds, (double)bytes, KC_READ);
        else
            kc_result(b, name, shape, seconds, 2.0 * rows[i] * n * k, KC_INT8);
    }
    kc_memory_free(out);
    kc_memory_free(data);
    kc_memory_free(copies);
    problem_deinit(&first);
}

/* ---- time of few rows, from memory --------------------------------------------------------- */

#define MEMORY_BYTES ((size_t)1 << 30) /* of weights, far more than any cache holds */

/* Few rows over weights in memory, as decode of one to eight sequences of a large model.  The limit
 * is the streaming read of the same bytes, measured before each figure. */
static void bench_from_memory(struct kc_bench *b, enum qr_type type)
{
    static const uint32_t rows[] = {1, 2, 3, 4, 8};
    const uint32_t n = 4096, k = 4096;
    qr_gemm_fn *fn = qr_gemm_for(&b->kernels->gemm, type);
    struct kc_random r = {.state = 3};
    struct problem first;
    char name[24], shape[64];

    problem_init(&first, &r, type, n, k, 8);
    fill_acts(&first, &b->kernels->gemm, &r, 8);
    size_t bytes = qr_matrix_bytes(&first.m);
    uint32_t copies_n = (uint32_t)(MEMORY_BYTES / bytes) + 1;
    size_t whole = copies_n * bytes >> 20 << 20;
    struct problem *copies = kc_memory(copies_n * sizeof *copies);
    uint8_t *data = kc_memory(copies_n * bytes + 65536);
    for (uint32_t i = 0; i < copies_n; i++) {
        copies[i] = first;
        memcpy(data + i * bytes, first.data, bytes);
        copies[i].m.data = data + i * bytes;
    }
    size_t stride = ((size_t)first.m.panels_n + 1) * QR_PANEL_N;
    float *out = kc_memory(8 * stride * sizeof *out);
    bench_name(name, type);
    double general = b->limits[KC_READ];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct bench_work w = {copies, copies_n, rows[i], fn, out, stride};
        b->limits[KC_READ] = kc_read_rate(b, data, whole);
        double seconds = kc_time(b, run_gemm, &w, copies_n * first.m.panels_n, BENCH_GRAIN);
        snprintf(shape, sizeof shape, "M %u, N %u, K %u, 1 GB", rows[i], n, k);
        kc_result(b, name, shape, seconds, (double)bytes * copies_n, KC_READ);
    }
    b->limits[KC_READ] = general;
    kc_memory_free(out);
    kc_memory_free(data);
    kc_memory_free(copies);
    problem_deinit(&first);
}

static void bench_type(struct kc_bench *b, enum qr_type type)
{
    bench_from_memory(b, type);
    if (qr_type_traits(type)->block_n == 256) {
        bench_shape(b, type, 2048, 2048);
        bench_shape(b, type, 2048, 8192);
        return;
    }
    bench_shape(b, type, 576, 576);
    bench_shape(b, type, 1536, 576);
    bench_shape(b, type, 576, 1536);
    if (type == QR_TYPE_Q8_0) bench_shape(b, type, 49152, 576);
    bench_shape(b, type, 2048, 2048);
    bench_shape(b, type, 8192, 2048);
    bench_shape(b, type, 2048, 8192);
}

#define GEMM_SUITE(field, type)                                                                    \
    static bool same_##field(const struct qr_kernels *a, const struct qr_kernels *b)               \
    {                                                                                              \
        return a->gemm.field == b->gemm.field;                                                     \
    }                                                                                              \
    static bool check_##field(const struct qr_kernels *k, const struct qr_kernels *scalar,         \
                              char *message, size_t size)                                          \
    {                                                                                              \
        return check_type(type, k, scalar, message, size);                                         \
    }                                                                                              \
    static void bench_##field(struct kc_bench *b)                                                  \
    {                                                                                              \
        bench_type(b, type);                                                                       \
    }                                                                                              \
    const struct kc_suite kc_gemm_##field = {"gemm_" #field, same_##field, check_##field,          \
                                             bench_##field}

GEMM_SUITE(q4_0, QR_TYPE_Q4_0);
GEMM_SUITE(q4_1, QR_TYPE_Q4_1);
GEMM_SUITE(q5_0, QR_TYPE_Q5_0);
GEMM_SUITE(q5_1, QR_TYPE_Q5_1);
GEMM_SUITE(q8_0, QR_TYPE_Q8_0);
GEMM_SUITE(iq4_nl, QR_TYPE_IQ4_NL);
GEMM_SUITE(q2_k, QR_TYPE_Q2_K);
GEMM_SUITE(q3_k, QR_TYPE_Q3_K);
GEMM_SUITE(q4_k, QR_TYPE_Q4_K);
GEMM_SUITE(q5_k, QR_TYPE_Q5_K);
GEMM_SUITE(q6_k, QR_TYPE_Q6_K);
GEMM_SUITE(iq4_xs, QR_TYPE_IQ4_XS);
