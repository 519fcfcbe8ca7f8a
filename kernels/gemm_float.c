/* SPDX-License-Identifier: MIT */
#include "kernels/gemm_float.h"

#include <assert.h>
#include <cblas.h>
#include <pthread.h>
#include <string.h>

#include "kernels/cpu.h"

/* OpenBLAS takes another path, with other sums, for small products; this is above it. */
#define PRODUCT_MIN 1000000u

/* What else a row's sums depend on, in OpenBLAS's kernel for this machine.  Haswell's and Zen's sum
 * in one chain over k, except in the first and last 8 outputs of a product, where the row's place
 * in a group of 12 decides, and in a last group that is not full.  Older ones give an odd row out
 * other sums.  So rows are filled up to a multiple of `unit`, and a panel gets `margin` outputs
 * before and behind it that are thrown away.  The AVX-512 kernels need neither. */
struct blas_shape {
    const char *core;
    uint32_t unit;
    uint32_t margin;
};
static const struct blas_shape blas_shapes[] = {
    {"SkylakeX", 1, 0}, {"Cooperlake", 1, 0}, {"SapphireRapids", 1, 0},
    {"Haswell", 12, 8}, {"Zen", 12, 8},       {NULL, 24, 8}, /* any other */
};
#define UNIT_MAX   24u
#define MARGIN_MAX 8u

/* Rows of one product at the most: a multiple of every unit, below the size at which OpenBLAS
 * itself cuts rows. */
#define ROWS_CHUNK 1152u

#define K_MIN 8u

/* A last panel is filled up to a multiple of this. */
#define OUTPUTS_UNIT 64u

/* ---- widening -------------------------------------------------------------------------- */

static QR_WIDEN_FN(widen_f16_scalar)
{
    qr_dequantize(QR_TYPE_F16, src, dst, n);
}

static QR_WIDEN_FN(widen_bf16_scalar)
{
    qr_dequantize(QR_TYPE_BF16, src, dst, n);
}

#if defined(__x86_64__)
#include "kernels/x86/widen.h"
#endif

void qr_float_init(struct qr_float_kernels *k, unsigned cpu_flags)
{
    k->f16 = widen_f16_scalar;
    k->bf16 = widen_bf16_scalar;
#if defined(__x86_64__)
    widen_init_x86(k, cpu_flags);
#else
    (void)cpu_flags;
#endif
}

/* ---- OpenBLAS on the caller's thread only ---------------------------------------------- */

/* The number of OpenBLAS's threads belongs to the process, and a host may use them itself.  So it
 * is 1 only while one of our products runs, and then again what it was.  A build of OpenBLAS
 * without threads may also be without locks (nothing tells): there, products take turns. */
static pthread_mutex_t blas_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned blas_users_n;
static int blas_threads_n;

static void blas_enter(void)
{
    pthread_mutex_lock(&blas_lock);
    if (openblas_get_parallel() == OPENBLAS_SEQUENTIAL) return;
    if (blas_users_n++ == 0) {
        blas_threads_n = openblas_get_num_threads();
        openblas_set_num_threads(1);
    }
    pthread_mutex_unlock(&blas_lock);
}

static void blas_leave(void)
{
    if (openblas_get_parallel() != OPENBLAS_SEQUENTIAL) {
        pthread_mutex_lock(&blas_lock);
        if (--blas_users_n == 0) openblas_set_num_threads(blas_threads_n);
    }
    pthread_mutex_unlock(&blas_lock);
}

/* ---- matrices -------------------------------------------------------------------------- */

bool qr_float_matrix_init(struct qr_float_matrix *m, enum qr_type type, uint32_t n, uint32_t k,
                          const void *data)
{
    if (type != QR_TYPE_F32 && type != QR_TYPE_F16 && type != QR_TYPE_BF16) return false;
    m->type = type;
    m->n = n;
    m->k = k;
    m->panels_n = (n + QR_FLOAT_PANEL_N - 1) / QR_FLOAT_PANEL_N;
    m->data = data;
    return true;
}

static const struct blas_shape *blas_shape(void)
{
    const struct blas_shape *s = blas_shapes;
    const char *core = openblas_get_corename();

    while (s->core && strcmp(core, s->core) != 0)
        s++;
    return s;
}

/* Outputs of a product: a panel's, or those of the last panel filled up. The number of rows is made
 * up for what is missing, as only the product counts. */
static uint32_t outputs_of(uint32_t columns_n)
{
    return (columns_n + OUTPUTS_UNIT - 1) / OUTPUTS_UNIT * OUTPUTS_UNIT;
}

/* Rows that a product has at the least. */
static uint32_t rows_least(uint32_t outputs_n, uint32_t k, uint32_t unit)
{
    uint32_t least = PRODUCT_MIN / (outputs_n * k) + 1;

    return (least + unit - 1) / unit * unit;
}

/* Rows of one product at the most. */
static uint32_t rows_most(uint32_t least)
{
    return 2 * least > ROWS_CHUNK ? 2 * least : ROWS_CHUNK;
}

/* Rows of the next product, of left in all: never so many that fewer than least are left over. */
static uint32_t rows_chunk(uint32_t left, uint32_t least)
{
    uint32_t most = rows_most(least);

    if (left <= most) return left;
    return left - most >= least ? most : left - least;
}

/* Scratch: weights [outputs][k], rows [rows_least][k] where there are too few, results
 * [rows][outputs], outputs with their margins; each begins at 64 bytes. */
static size_t floats_up(size_t n)
{
    return (n + 15) / 16 * 16;
}

static size_t weights_floats(uint32_t k)
{
    return floats_up((size_t)(QR_FLOAT_PANEL_N + 2 * MARGIN_MAX) * k);
}

/* No less than rows_least * k for any number of outputs and any unit, and rising with k. */
static size_t rows_floats(uint32_t k)
{
    return floats_up(PRODUCT_MIN / OUTPUTS_UNIT + (size_t)UNIT_MAX * k);
}

size_t qr_gemm_float_scratch_bytes(uint32_t rows_max, uint32_t k_max)
{
    size_t sums = 0;

    for (uint32_t n = OUTPUTS_UNIT; n <= QR_FLOAT_PANEL_N; n += OUTPUTS_UNIT) {
        uint32_t least = rows_least(n, K_MIN, UNIT_MAX);
        size_t rows_n = rows_max < rows_most(least) ? rows_max : rows_most(least);
        size_t floats = (rows_n > least ? rows_n : least) * (n + 2 * MARGIN_MAX);

        sums = floats > sums ? floats : sums;
    }
    return (weights_floats(k_max) + rows_floats(k_max) + floats_up(sums)) * sizeof(float);
}

/* The weights of outputs [first, first + n) in floats, n rows of k: the file's own where they are
 * that, otherwise widened.  Outputs that the matrix does not have are zeros. */
static const float *panel_weights(const struct qr_float_kernels *kernels,
                                  const struct qr_float_matrix *m, int64_t first, uint32_t n,
                                  float *scratch)
{
    int64_t end = first + n;
    size_t before = first < 0 ? (size_t)-first * m->k : 0;
    size_t behind = end > m->n ? (size_t)(end - m->n) * m->k : 0;
    size_t values = (size_t)n * m->k - before - behind;
    size_t offset = first < 0 ? 0 : (size_t)first * m->k;
    const uint8_t *data = m->data;

    if (m->type == QR_TYPE_F32) {
        const float *rows = (const float *)(const void *)(data + 4 * offset);

        if (before == 0 && behind == 0) return rows;
        memcpy(scratch + before, rows, values * sizeof(float));
    } else if (m->type == QR_TYPE_F16) {
        kernels->f16(data + 2 * offset, scratch + before, values);
    } else {
        kernels->bf16(data + 2 * offset, scratch + before, values);
    }
    memset(scratch, 0, before * sizeof(float));
    memset(scratch + before + values, 0, behind * sizeof(float));
    return scratch;
}

static void panel_store(float *out, size_t out_stride, const float *sums, size_t sums_stride,
                        uint32_t rows_n, uint32_t columns_n, bool add)
{
    for (uint32_t r = 0; r < rows_n; r++, out += out_stride, sums += sums_stride) {
        if (!add) {
            memcpy(out, sums, columns_n * sizeof(float));
            continue;
        }
        for (uint32_t c = 0; c < columns_n; c++)
            out[c] += sums[c];
    }
}

/* n outputs of a number of rows that OpenBLAS may be given. */
static void panel_product(const float *weights, const float *x, size_t x_stride, uint32_t rows_n,
                          uint32_t n, uint32_t k, float *sums)
{
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows_n, (int)n, (int)k, 1.0f, x,
                (int)x_stride, weights, (int)k, 0.0f, sums, (int)n);
}

/* Columns [first, first + columns_n), all of one panel, of every row. */
static void panel_run(const struct qr_float_kernels *kernels, const struct qr_float_matrix *m,
                      uint32_t first, uint32_t columns_n, const float *x, size_t x_stride,
                      uint32_t rows_n, float *out, size_t out_stride, bool add, float *scratch)
{
    const struct blas_shape *shape = blas_shape();
    float *rest = scratch + weights_floats(m->k);
    float *sums = rest + rows_floats(m->k);
    uint32_t outputs_n = outputs_of(columns_n);
    uint32_t all_n = outputs_n + 2 * shape->margin;
    uint32_t least = rows_least(outputs_n, m->k, shape->unit);
    uint32_t whole_n = rows_n < least ? 0 : rows_n / shape->unit * shape->unit;
    uint32_t rest_n = rows_n - whole_n;
    const float *weights =
        panel_weights(kernels, m, (int64_t)first - shape->margin, all_n, scratch);

    for (uint32_t r = 0, n; r < whole_n; r += n) {
        n = rows_chunk(whole_n - r, least);
        panel_product(weights, x + r * x_stride, x_stride, n, all_n, m->k, sums);
        panel_store(out + r * out_stride, out_stride, sums + shape->margin, all_n, n, columns_n,
                    add);
    }
    if (rest_n == 0) return;
    memset(rest, 0, (size_t)least * m->k * sizeof(float)); /* filled up with zeros */
    for (uint32_t r = 0; r < rest_n; r++)
        memcpy(rest + (size_t)r * m->k, x + (whole_n + r) * x_stride, m->k * sizeof(float));
    panel_product(weights, rest, m->k, least, all_n, m->k, sums);
    panel_store(out + whole_n * out_stride, out_stride, sums + shape->margin, all_n, rest_n,
                columns_n, add);
}

void qr_gemm_float(const struct qr_float_kernels *kernels, const struct qr_float_matrix *m,
                   uint32_t panel_begin, uint32_t panel_end, const float *x, size_t x_stride,
                   uint32_t rows_n, float *out, size_t out_stride, bool add, void *scratch)
{
    assert(m->k >= K_MIN && panel_end <= m->panels_n);
    if (rows_n == 0) return;
    blas_enter();
    for (uint32_t p = panel_begin; p < panel_end; p++, out += QR_FLOAT_PANEL_N) {
        uint32_t first = p * QR_FLOAT_PANEL_N;
        uint32_t columns_n = m->n - first < QR_FLOAT_PANEL_N ? m->n - first : QR_FLOAT_PANEL_N;

        panel_run(kernels, m, first, columns_n, x, x_stride, rows_n, out, out_stride, add, scratch);
    }
    blas_leave();
}
