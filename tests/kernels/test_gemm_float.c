/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cblas.h>
#include <cmocka.h>

#include "kernels/cpu.h"
#include "kernels/gemm_float.h"

static const enum qr_type types[] = {QR_TYPE_F32, QR_TYPE_F16, QR_TYPE_BF16};
#define TYPES_N (sizeof types / sizeof types[0])

static const char *const levels[] = {"scalar", "avx2", "avx512"};
#define LEVELS_N (sizeof levels / sizeof levels[0])

/* False: the machine has no such level. */
static bool level_kernels(size_t level, struct qr_gemm_float_kernels *k)
{
    unsigned flags;

    if (!qr_cpu_level_flags(levels[level], &flags) || (flags & qr_cpu_flags()) != flags)
        return false;
    qr_gemm_float_init(k, flags);
    return true;
}

static float random_float(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (float)(int32_t)(*state >> 32) * 0x1p-31f;
}

static void *memory(size_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 63) / 64 * 64);

    assert_non_null(p);
    return p;
}

struct product {
    struct qr_matrix m;
    uint8_t *stored; /* the file's rows */
    float *weights;  /* their values, [n][k] */
    uint8_t *data;
    float *x; /* [rows_max][k] */
};

static struct product make(enum qr_type type, uint32_t n, uint32_t k, uint32_t rows_max)
{
    uint64_t seed = 1 + n + k;
    size_t values = (size_t)n * k;
    uint32_t bytes = qr_type_traits(type)->block_bytes;
    struct product p = {.stored = memory(values * bytes),
                        .weights = memory(values * sizeof(float)),
                        .x = memory((size_t)rows_max * k * sizeof(float))};

    for (size_t i = 0; i < values; i++) {
        float f = random_float(&seed);
        uint16_t half = type == QR_TYPE_F16 ? qr_f32_to_f16(f) : qr_f32_to_bf16(f);
        memcpy(p.stored + i * bytes, type == QR_TYPE_F32 ? (void *)&f : (void *)&half, bytes);
    }
    qr_dequantize(type, p.stored, p.weights, values);
    for (size_t i = 0; i < (size_t)rows_max * k; i++)
        p.x[i] = random_float(&seed);
    assert_true(qr_float_matrix_shape(&p.m, type, n, k));
    p.data = memory(qr_matrix_bytes(&p.m));
    p.m.data = p.data;
    qr_float_matrix_pack(&p.m, p.data, p.stored, 0, p.m.panels_n);
    return p;
}

static void end(struct product *p)
{
    free(p->stored);
    free(p->weights);
    free(p->data);
    free(p->x);
}

/* Rows [row, row + rows_n) over the whole matrix, out [rows_n][n]. */
static void run(const struct product *p, const struct qr_gemm_float_kernels *k, uint32_t row,
                uint32_t rows_n, float *out)
{
    qr_gemm_float_for(k, p->m.type)(&(struct qr_gemm_float_args){
        &p->m, 0, p->m.panels_n, p->x + (size_t)row * p->m.k, p->m.k, rows_n, out, p->m.n, false});
}

/* Goal: a float product is the product.
 * Method: compare with OpenBLAS on the weights as floats: every type and level, a last panel that
 * is not full, an odd k, few and many rows. */
static void equals_openblas(void **state)
{
    static const uint32_t rows[] = {1, 7, 70};
    const uint32_t n = 333, k = 577;
    float *out = memory(70 * n * sizeof(float)), *want = memory(70 * n * sizeof(float));
    struct qr_gemm_float_kernels kernels;

    (void)state;
    for (size_t t = 0; t < TYPES_N; t++) {
        struct product p = make(types[t], n, k, 70);

        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, 70, (int)n, (int)k, 1.0f, p.x, (int)k,
                    p.weights, (int)k, 0.0f, want, (int)n);
        for (size_t i = 0; i < LEVELS_N * 3; i++) {
            if (!level_kernels(i / 3, &kernels)) continue;
            memset(out, 0xff, 70 * n * sizeof(float));
            run(&p, &kernels, 0, rows[i % 3], out);
            for (size_t j = 0; j < (size_t)rows[i % 3] * n; j++)
                assert_true(fabsf(want[j] - out[j]) < 4e-5f);
        }
        end(&p);
    }
    free(out);
    free(want);
}

/* Goal: every 16-bit weight has the value that types.h defines, including denormals and
 * infinities.
 * Method: a matrix of all of them with k = 1 times the activation 1, at every level. */
static void every_half_is_exact(void **state)
{
    const uint32_t n = 65536;
    uint16_t *halves = memory(n * sizeof *halves);
    float *want = memory(n * sizeof(float)), *out = memory(n * sizeof(float));
    uint8_t *data = memory(n * sizeof *halves);
    const float one = 1;
    struct qr_gemm_float_kernels kernels;
    struct qr_matrix m;

    (void)state;
    for (uint32_t i = 0; i < n; i++)
        halves[i] = (uint16_t)i;
    for (size_t i = 0; i < LEVELS_N * 2; i++) {
        if (!level_kernels(i / 2, &kernels)) continue;
        assert_true(qr_float_matrix_shape(&m, types[1 + i % 2], n, 1));
        m.data = data;
        qr_float_matrix_pack(&m, data, halves, 0, m.panels_n);
        qr_dequantize(m.type, halves, want, n);
        qr_gemm_float_for(&kernels, m.type)(
            &(struct qr_gemm_float_args){&m, 0, m.panels_n, &one, 1, 1, out, n, false});
        for (uint32_t j = 0; j < n; j++)
            if (isnan(want[j]))
                assert_true(isnan(out[j]));
            else
                assert_true(want[j] == out[j]);
    }
    free(halves);
    free(want);
    free(out);
    free(data);
}

#define ROWS_MAX 512u

/* Goal: a row's bits depend neither on the number of rows, nor on its place, nor on the level.
 * Method: compare 1 to 40, 64, 200 and 512 rows at once with each row alone in scalar: one full
 * panel and one that is not, short and long rows. */
static void a_row_is_the_same_among_any_number(void **state)
{
    static const uint32_t widths[] = {1, 8, 65, 576};
    const uint32_t n = 40;
    float *alone = memory(ROWS_MAX * n * sizeof(float));
    float *out = memory(ROWS_MAX * n * sizeof(float));
    struct qr_gemm_float_kernels kernels;

    (void)state;
    for (size_t i = 0; i < TYPES_N * 4; i++) {
        struct product p = make(types[i % TYPES_N], n, widths[i / TYPES_N], ROWS_MAX);

        assert_true(level_kernels(0, &kernels));
        for (uint32_t r = 0; r < ROWS_MAX; r++) /* all of the first 64, and some more */
            if (r < 64 || r % 37 == 0) run(&p, &kernels, r, 1, alone + (size_t)r * n);
        for (size_t level = 1; level < LEVELS_N; level++) {
            if (!level_kernels(level, &kernels)) continue;
            for (uint32_t rows_n = 1; rows_n <= ROWS_MAX; rows_n++) {
                if (rows_n > 40 && rows_n != 64 && rows_n != 200 && rows_n != 512) continue;
                memset(out, 0xff, ROWS_MAX * n * sizeof(float));
                run(&p, &kernels, 0, rows_n, out);
                for (uint32_t r = 0; r < rows_n; r++)
                    if (r < 64 || r % 37 == 0)
                        assert_memory_equal(out + (size_t)r * n, alone + (size_t)r * n,
                                            n * sizeof(float));
            }
        }
        end(&p);
    }
    free(alone);
    free(out);
}

/* Goal: panels can be computed in any calls and write only their own columns.
 * Method: compare all panels at once with panel by panel, backwards, into wider rows; the columns
 * between are unchanged. */
static void panels_stand_alone(void **state)
{
    const uint32_t n = 80, k = 192, rows_n = 5, stride = 100;
    float *whole = memory((size_t)rows_n * n * sizeof(float));
    float *parts = memory((size_t)rows_n * stride * sizeof(float));
    struct product p = make(QR_TYPE_BF16, n, k, rows_n);
    struct qr_gemm_float_kernels kernels;
    uint32_t untouched;

    (void)state;
    for (size_t level = 0; level < LEVELS_N; level++) {
        if (!level_kernels(level, &kernels)) continue;
        run(&p, &kernels, 0, rows_n, whole);
        memset(parts, 0xff, (size_t)rows_n * stride * sizeof(float));
        assert_int_equal(p.m.panels_n, 3);
        for (uint32_t i = 3; i-- > 0;)
            kernels.bf16(&(struct qr_gemm_float_args){&p.m, i, i + 1, p.x, k, rows_n,
                                                      parts + (size_t)i * QR_FLOAT_PANEL_N, stride,
                                                      false});
        for (size_t r = 0; r < rows_n; r++) {
            assert_memory_equal(parts + r * stride, whole + r * n, n * sizeof(float));
            for (size_t c = n; c < stride; c++) {
                memcpy(&untouched, parts + r * stride + c, sizeof untouched);
                assert_int_equal(untouched, UINT32_MAX);
            }
        }
    }
    free(whole);
    free(parts);
    end(&p);
}

/* Goal: add rounds once, after the chain.
 * Method: compare with the old value plus the product computed without add. */
static void add_comes_after_the_sum(void **state)
{
    const uint32_t n = 70, k = 76;
    struct qr_gemm_float_kernels kernels;

    (void)state;
    for (uint32_t i = 0; i < LEVELS_N * 2; i++) {
        uint32_t rows_n = i % 2 ? 64 : 1;
        if (!level_kernels(i / 2, &kernels)) continue;
        struct product p = make(QR_TYPE_F16, n, k, rows_n);
        float *sums = memory((size_t)rows_n * n * sizeof(float));
        float *out = memory((size_t)rows_n * n * sizeof(float));

        run(&p, &kernels, 0, rows_n, sums);
        for (size_t j = 0; j < (size_t)rows_n * n; j++) {
            out[j] = 0.37f * (float)j;
            sums[j] = out[j] + sums[j];
        }
        kernels.f16(
            &(struct qr_gemm_float_args){&p.m, 0, p.m.panels_n, p.x, k, rows_n, out, n, true});
        assert_memory_equal(out, sums, (size_t)rows_n * n * sizeof(float));
        free(sums);
        free(out);
        end(&p);
    }
}

/* Goal: panels can be packed separately, in any order, from any address; padding is zero.
 * Method: compare packing from an odd address, backwards, into dirty memory, with the whole; then
 * check the last panel's unused outputs. */
static void panels_pack_alone(void **state)
{
    const uint32_t n = 70, k = 77;

    (void)state;
    for (size_t t = 0; t < TYPES_N; t++) {
        struct product p = make(types[t], n, k, 1);
        uint32_t bytes = qr_type_traits(types[t])->block_bytes;
        uint8_t *odd = memory((size_t)n * k * bytes + 1);
        uint8_t *parts = memory(qr_matrix_bytes(&p.m));

        assert_int_equal(qr_matrix_bytes(&p.m), (size_t)96 * k * bytes); /* not widened */
        memcpy(odd + 1, p.stored, (size_t)n * k * bytes);
        memset(parts, 0xff, qr_matrix_bytes(&p.m));
        for (uint32_t i = p.m.panels_n; i-- > 0;)
            qr_float_matrix_pack(&p.m, parts, odd + 1, i, i + 1);
        assert_memory_equal(parts, p.data, qr_matrix_bytes(&p.m));
        const uint8_t *last = parts + 2 * p.m.panel_bytes;
        for (uint32_t i = 0; i < QR_FLOAT_PANEL_N * k; i++) {
            uint32_t place = i % QR_FLOAT_PANEL_N;
            uint32_t c = types[t] == QR_TYPE_BF16 ? place / 2 + place % 2 * 16 : place;
            for (uint32_t j = 0; c >= n - 64 && j < bytes; j++)
                assert_int_equal(last[(size_t)i * bytes + j], 0);
        }
        free(odd);
        free(parts);
        end(&p);
    }
}

/* Goal: a quantised matrix and an empty one are refused.
 * Method: one of each. */
static void only_float_types_are_taken(void **state)
{
    struct qr_gemm_float_kernels kernels;
    struct qr_matrix m;

    (void)state;
    qr_gemm_float_init(&kernels, 0);
    assert_null(qr_gemm_float_for(&kernels, QR_TYPE_Q8_0));
    assert_false(qr_float_matrix_shape(&m, QR_TYPE_Q8_0, 64, 64));
    assert_false(qr_float_matrix_shape(&m, QR_TYPE_Q4_K, 64, 256));
    assert_false(qr_float_matrix_shape(&m, QR_TYPE_F32, 0, 64));
    assert_false(qr_float_matrix_shape(&m, QR_TYPE_F32, 64, 0));
    assert_true(qr_float_matrix_shape(&m, QR_TYPE_F16, 65, 3));
    assert_int_equal(m.panels_n, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_openblas),
        cmocka_unit_test(every_half_is_exact),
        cmocka_unit_test(a_row_is_the_same_among_any_number),
        cmocka_unit_test(panels_stand_alone),
        cmocka_unit_test(add_comes_after_the_sum),
        cmocka_unit_test(panels_pack_alone),
        cmocka_unit_test(only_float_types_are_taken),
    };

    openblas_set_num_threads(1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
