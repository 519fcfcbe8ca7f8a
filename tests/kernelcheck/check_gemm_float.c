/* SPDX-License-Identifier: MIT */
#include "kernelcheck.h"

#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const enum qr_type types[] = {QR_TYPE_F32, QR_TYPE_F16, QR_TYPE_BF16};

/* ---- made-up matrices ------------------------------------------------------------------------ */

struct problem {
    struct qr_matrix m;
    uint8_t *data;
    float *rows; /* [n][k]: the values of the stored weights */
    float *x;    /* [rows_max][x_stride] */
    size_t x_stride;
};

/* Some weights are denormal in their type, some zero of either sign. */
static float random_weight(struct kc_random *r, enum qr_type type)
{
    float f = kc_random_float(r);

    switch (kc_random_u32(r) % 16) {
    case 0: return f * (type == QR_TYPE_F16 ? 0x1p-15f : 0x1p-127f);
    case 1: return f < 0 ? -0.0f : 0.0f;
    default: return f;
    }
}

static void problem_init(struct problem *p, struct kc_random *r, enum qr_type type, uint32_t n,
                         uint32_t k, uint32_t rows_max)
{
    const uint32_t bytes = qr_type_traits(type)->block_bytes;
    uint8_t *stored = kc_memory((size_t)n * k * bytes);

    p->rows = kc_memory((size_t)n * k * sizeof *p->rows);
    for (size_t i = 0; i < (size_t)n * k; i++) {
        float f = random_weight(r, type);
        uint16_t half = type == QR_TYPE_F16 ? qr_f32_to_f16(f) : qr_f32_to_bf16(f);
        memcpy(stored + i * bytes, type == QR_TYPE_F32 ? (void *)&f : (void *)&half, bytes);
    }
    qr_dequantize(type, stored, p->rows, (size_t)n * k);
    if (!qr_float_matrix_shape(&p->m, type, n, k)) __builtin_trap();
    if (k % 2) p->m.panel_stride += 192; /* as with another matrix's panels between */
    p->data = kc_memory((p->m.panels_n - 1) * p->m.panel_stride + p->m.panel_bytes);
    p->m.data = p->data;
    qr_float_matrix_pack(&p->m, p->data, stored, 0, p->m.panels_n);
    kc_memory_free(stored);
    p->x_stride = k + (k % 3); /* rows at any address */
    p->x = kc_memory(rows_max * p->x_stride * sizeof *p->x);
    for (size_t i = 0; i < rows_max * p->x_stride; i++)
        p->x[i] = kc_random_normal(r);
}

static void problem_deinit(struct problem *p)
{
    kc_memory_free(p->data);
    kc_memory_free(p->rows);
    kc_memory_free(p->x);
}

/* ---- against scalar -------------------------------------------------------------------------- */

#define ROWS_MAX 33u

/* Computes g by both functions, each into memory of its own.  The guards after the columns must
 * stay unchanged. */
static bool check_part(qr_gemm_float_fn *fn, qr_gemm_float_fn *spec, struct qr_gemm_float_args g,
                       char *message, size_t size)
{
    const size_t stride = (size_t)(g.panel_end - g.panel_begin) * QR_FLOAT_PANEL_N + 3;
    float *got = kc_memory(g.rows_n * stride * sizeof *got);
    float *want = kc_memory(g.rows_n * stride * sizeof *want);
    char what[128];

    for (size_t i = 0; i < g.rows_n * stride; i++)
        got[i] = want[i] = (float)(i % 13) - 6.0f;
    g.out_stride = stride;
    g.out = got;
    fn(&g);
    g.out = want;
    spec(&g);
    snprintf(what, sizeof what, "%s, n %u, k %u, %u rows, panels %u-%u%s",
             qr_type_traits(g.m->type)->name, g.m->n, g.m->k, g.rows_n, g.panel_begin, g.panel_end,
             g.add ? ", add" : "");
    bool ok =
        kc_equal_bits(got, want, (struct kc_rows){g.rows_n, stride, stride}, what, message, size);
    kc_memory_free(got);
    kc_memory_free(want);
    return ok;
}

/* All panels with rows [row, row + rows_n). */
static struct qr_gemm_float_args args_of(const struct problem *p, uint32_t row, uint32_t rows_n,
                                         bool add)
{
    return (struct qr_gemm_float_args){.m = &p->m,
                                       .panel_end = p->m.panels_n,
                                       .x = p->x + row * p->x_stride,
                                       .x_stride = p->x_stride,
                                       .rows_n = rows_n,
                                       .add = add};
}

static bool check_type(enum qr_type type, const struct qr_kernels *k,
                       const struct qr_kernels *scalar, char *message, size_t size)
{
    static const uint32_t outputs[] = {1, 16, 31, 70};
    static const uint32_t inputs[] = {1, 2, 7, 64, 145};
    qr_gemm_float_fn *fn = qr_gemm_float_for(&k->gemm_float, type);
    qr_gemm_float_fn *spec = qr_gemm_float_for(&scalar->gemm_float, type);
    struct kc_random r = {.state = 7 + (uint64_t)type};
    bool ok = true;

    for (uint32_t i = 0; ok && i < 20; i++) {
        struct problem p;
        problem_init(&p, &r, type, outputs[i % 4], inputs[i / 4], ROWS_MAX);
        for (uint32_t n = 1; ok && n <= ROWS_MAX; n++)
            ok = check_part(fn, spec, args_of(&p, 0, n, n % 2), message, size);
        struct qr_gemm_float_args upper = args_of(&p, 5, 28, false);
        upper.panel_begin = p.m.panels_n / 2;
        ok = ok && check_part(fn, spec, upper, message, size);
        problem_deinit(&p);
    }
    return ok;
}

/* More rows than a slab, with guards after the columns. */
static bool check_slabs(const struct qr_kernels *k, const struct qr_kernels *scalar, char *message,
                        size_t size)
{
    struct kc_random r = {.state = 5};
    struct problem p;

    problem_init(&p, &r, QR_TYPE_F16, 34, 1200, 170);
    bool ok = check_part(k->gemm_float.f16, scalar->gemm_float.f16, args_of(&p, 0, 170, true),
                         message, size);
    problem_deinit(&p);
    return ok;
}

static bool check(const struct qr_kernels *k, const struct qr_kernels *scalar, char *message,
                  size_t size)
{
    bool ok = check_slabs(k, scalar, message, size);

    for (size_t t = 0; ok && t < sizeof types / sizeof types[0]; t++)
        ok = check_type(types[t], k, scalar, message, size);
    return ok;
}

static bool same(const struct qr_kernels *a, const struct qr_kernels *b)
{
    return a->gemm_float.f16 == b->gemm_float.f16;
}

/* ---- time ------------------------------------------------------------------------------------ */

#define BENCH_ROWS_MAX 512u
#define BENCH_GRAIN    4u   /* panels a grain */
#define BLAS_PANEL_N   512u /* outputs of one product of OpenBLAS */

struct bench_work {
    const struct problem *p;
    const uint8_t *copies; /* together larger than any cache, like a model's matrices */
    uint32_t rows_n;
    qr_gemm_float_fn *fn;
    float *out;
    size_t stride;
};

static void run_gemm(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    const struct bench_work *w = work;
    struct qr_matrix m = w->p->m;

    (void)thread;
    while (begin < end) {
        uint32_t copy = begin / m.panels_n, first = begin % m.panels_n;
        uint32_t last = end - copy * m.panels_n < m.panels_n ? end - copy * m.panels_n : m.panels_n;
        m.data = w->copies + copy * qr_matrix_bytes(&m);
        w->fn(&(struct qr_gemm_float_args){&m, first, last, w->p->x, w->p->x_stride, w->rows_n,
                                           w->out + (size_t)first * QR_FLOAT_PANEL_N, w->stride,
                                           false});
        begin += last - first;
    }
}

/* The same by OpenBLAS, on the file's rows as floats. */
static void run_blas(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    const struct bench_work *w = work;
    const struct qr_matrix *m = &w->p->m;

    (void)thread;
    for (uint32_t item = begin; item < end; item++) {
        uint32_t first = item * BLAS_PANEL_N;
        uint32_t n = m->n - first < BLAS_PANEL_N ? m->n - first : BLAS_PANEL_N;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)w->rows_n, (int)n, (int)m->k,
                    1.0f, w->p->x, (int)w->p->x_stride, w->p->rows + (size_t)first * m->k,
                    (int)m->k, 0.0f, w->out + first, (int)w->stride);
    }
}

static void bench_rows(struct kc_bench *b, struct bench_work *w, uint32_t copies_n, bool blas)
{
    const struct qr_matrix *m = &w->p->m;
    const char *type = qr_type_traits(m->type)->name;
    char shape[64];
    double seconds;

    snprintf(shape, sizeof shape, "%s%s M %u, N %u, K %u", type, blas ? " OpenBLAS" : "", w->rows_n,
             m->n, m->k);
    if (blas)
        seconds = kc_time(b, run_blas, w, (m->n + BLAS_PANEL_N - 1) / BLAS_PANEL_N, 1);
    else
        seconds = kc_time(b, run_gemm, w, copies_n * m->panels_n, BENCH_GRAIN) / copies_n;
    if (w->rows_n == 1)
        kc_result(b, "gemm_float", shape, seconds, (double)qr_matrix_bytes(m), KC_READ);
    else
        kc_result(b, "gemm_float", shape, seconds, 2.0 * w->rows_n * m->n * m->k, KC_FP32);
}

static void bench_shape(struct kc_bench *b, enum qr_type type, uint32_t n, uint32_t k)
{
    static const uint32_t rows[] = {1, 8, 32, 64, 512};
    struct kc_random r = {.state = 3};
    struct problem p;

    problem_init(&p, &r, type, n, k, BENCH_ROWS_MAX);
    size_t bytes = qr_matrix_bytes(&p.m);
    uint32_t copies_n = (uint32_t)((96u << 20) / bytes) + 1;
    uint8_t *copies = kc_memory(copies_n * bytes + 65536);
    for (uint32_t i = 0; i < copies_n; i++)
        memcpy(copies + i * bytes, p.data, bytes);
    size_t stride = n + 16; /* not a multiple of 4,096 bytes */
    float *out = kc_memory(BENCH_ROWS_MAX * stride * sizeof *out);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct bench_work w = {.p = &p,
                               .copies = copies,
                               .rows_n = rows[i],
                               .fn = qr_gemm_float_for(&b->kernels->gemm_float, type),
                               .out = out,
                               .stride = stride};
        bench_rows(b, &w, rows[i] >= 64 ? 1 : copies_n, false);
        if (type == QR_TYPE_F32 && rows[i] >= 64) bench_rows(b, &w, 1, true);
    }
    kc_memory_free(out);
    kc_memory_free(copies);
    problem_deinit(&p);
}

/* SmolLM2's gate and up, down and head, and a matrix of a larger model. */
static void bench(struct kc_bench *b)
{
    openblas_set_num_threads(1); /* the team's threads call it */
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
        bench_shape(b, types[t], 1536, 576);
        bench_shape(b, types[t], 576, 1536);
        if (types[t] == QR_TYPE_F16) bench_shape(b, types[t], 49152, 576);
        bench_shape(b, types[t], 2048, 2048);
    }
}

const struct kc_suite kc_gemm_float = {"gemm_float", same, check, bench};
