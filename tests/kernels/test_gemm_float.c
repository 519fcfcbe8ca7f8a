/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernels/cpu.h"
#include "kernels/gemm_float.h"

#define ROWS_MAX 512u

static const enum qr_type types[] = {QR_TYPE_F32, QR_TYPE_F16, QR_TYPE_BF16};

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
    struct qr_float_kernels kernels;
    struct qr_float_matrix m;
    float *weights; /* exact values of the stored ones, [n][k] */
    void *data;
    float *x; /* [ROWS_MAX][k] */
    void *scratch;
};

static struct product make(enum qr_type type, uint32_t n, uint32_t k, unsigned cpu_flags)
{
    uint64_t seed = 1 + n + k;
    size_t values = (size_t)n * k;
    struct product p = {.weights = memory(values * 4),
                        .data = memory(values * 4),
                        .x = memory((size_t)ROWS_MAX * k * 4),
                        .scratch = memory(qr_gemm_float_scratch_bytes(ROWS_MAX, k))};

    for (size_t i = 0; i < values; i++) {
        float f = random_float(&seed);
        uint16_t h = type == QR_TYPE_F16 ? qr_f32_to_f16(f) : qr_f32_to_bf16(f);

        if (type == QR_TYPE_F32)
            memcpy((uint8_t *)p.data + 4 * i, &f, 4);
        else
            memcpy((uint8_t *)p.data + 2 * i, &h, 2);
    }
    qr_dequantize(type, p.data, p.weights, values);
    for (size_t i = 0; i < (size_t)ROWS_MAX * k; i++)
        p.x[i] = random_float(&seed);
    qr_float_init(&p.kernels, cpu_flags);
    assert_true(qr_float_matrix_init(&p.m, type, n, k, p.data));
    return p;
}

static void end(struct product *p)
{
    free(p->weights);
    free(p->data);
    free(p->x);
    free(p->scratch);
}

static void run(struct product *p, uint32_t row, uint32_t rows_n, float *out)
{
    qr_gemm_float(&p->kernels, &p->m, 0, p->m.panels_n, p->x + (size_t)row * p->m.k, p->m.k, rows_n,
                  out, p->m.n, false, p->scratch);
}

/* Goal: what is computed is the product.
 * Method: every type, a ragged last panel, few rows and many, against sums in double. */
static void equals_a_product_in_double(void **state)
{
    static const uint32_t rows[] = {1, 7, 70};
    const uint32_t n = 320, k = 576;
    float *out = memory((size_t)ROWS_MAX * n * 4);

    (void)state;
    for (size_t t = 0; t < 9; t++) {
        struct product p = make(types[t % 3], n, k, qr_cpu_flags());

        run(&p, 0, rows[t / 3], out);
        for (size_t r = 0; r < rows[t / 3]; r++) {
            for (size_t c = 0; c < n; c += 7) {
                double sum = 0;

                for (size_t i = 0; i < k; i++)
                    sum += (double)p.x[r * k + i] * (double)p.weights[c * k + i];
                assert_true(fabs(sum - (double)out[r * n + c]) < 2e-5);
            }
        }
        end(&p);
    }
    free(out);
}

/* Goal: a row's bits do not depend on how many rows there are, nor on which of them it is.
 * Method: for the widths of models, a whole panel and last ones of 8 and 72 columns, 1 to 40, 64
 * and 512 rows at once against each row alone. */
static void a_row_is_the_same_among_any_number(void **state)
{
    static const uint32_t widths[] = {8, 64, 192, 576, 1536, 2048};

    (void)state;
    for (size_t w = 0; w < sizeof widths / sizeof widths[0]; w++) {
        for (uint32_t n = 264; n <= 328; n += 64) {
            struct product p =
                make(w % 2 ? QR_TYPE_F16 : QR_TYPE_F32, n, widths[w], qr_cpu_flags());
            float *alone = memory((size_t)ROWS_MAX * n * 4);
            float *out = memory((size_t)ROWS_MAX * n * 4);

            for (uint32_t r = 0; r < ROWS_MAX; r++) /* all of the first 64, and some more */
                if (r < 64 || r % 37 == 0) run(&p, r, 1, alone + (size_t)r * n);
            for (uint32_t rows_n = 1; rows_n <= ROWS_MAX; rows_n++) {
                if (rows_n > 40 && rows_n != 64 && rows_n != 512) continue;
                memset(out, 0xff, (size_t)ROWS_MAX * n * 4);
                run(&p, 0, rows_n, out);
                for (uint32_t r = 0; r < rows_n; r++)
                    if (r < 64 || r % 37 == 0)
                        assert_memory_equal(out + (size_t)r * n, alone + (size_t)r * n, n * 4);
            }
            free(alone);
            free(out);
            end(&p);
        }
    }
}

/* Goal: panels can be spread over threads at will.
 * Method: all panels at once against panel by panel, backwards, into wider rows; what is between
 * stays. */
static void panels_stand_alone(void **state)
{
    const uint32_t n = 600, k = 192, rows_n = 5, stride = 700;
    struct product p = make(QR_TYPE_BF16, n, k, qr_cpu_flags());
    float *whole = memory((size_t)rows_n * n * 4);
    float *parts = memory((size_t)rows_n * stride * 4);
    uint32_t untouched;

    (void)state;
    run(&p, 0, rows_n, whole);
    memset(parts, 0xff, (size_t)rows_n * stride * 4);
    assert_int_equal(p.m.panels_n, 3);
    for (uint32_t i = 3; i-- > 0;)
        qr_gemm_float(&p.kernels, &p.m, i, i + 1, p.x, k, rows_n, parts + i * QR_FLOAT_PANEL_N,
                      stride, false, p.scratch);
    for (size_t r = 0; r < rows_n; r++) {
        assert_memory_equal(parts + r * stride, whole + r * n, n * 4);
        for (size_t c = n; c < stride; c++) {
            memcpy(&untouched, parts + r * stride + c, 4);
            assert_int_equal(untouched, UINT32_MAX);
        }
    }
    free(whole);
    free(parts);
    end(&p);
}

/* Goal: add rounds once, after the sum.
 * Method: what stood there plus the product computed without it. */
static void add_comes_after_the_sum(void **state)
{
    const uint32_t n = 320, k = 576;

    (void)state;
    for (uint32_t rows_n = 1; rows_n <= 64; rows_n += 63) {
        struct product p = make(QR_TYPE_F16, n, k, qr_cpu_flags());
        float *sums = memory((size_t)rows_n * n * 4);
        float *out = memory((size_t)rows_n * n * 4);

        run(&p, 0, rows_n, sums);
        for (size_t i = 0; i < (size_t)rows_n * n; i++) {
            out[i] = 0.37f * (float)i;
            sums[i] = out[i] + sums[i];
        }
        qr_gemm_float(&p.kernels, &p.m, 0, p.m.panels_n, p.x, k, rows_n, out, n, true, p.scratch);
        assert_memory_equal(out, sums, (size_t)rows_n * n * 4);
        free(sums);
        free(out);
        end(&p);
    }
}

/* Goal: so it is for more rows than one product of OpenBLAS takes.
 * Method: 2,500 equal rows. */
static void rows_beyond_one_product_are_the_same(void **state)
{
    const uint32_t n = 72, k = 16, rows_n = 2500;
    struct product p = make(QR_TYPE_F32, n, k, qr_cpu_flags());
    float *x = memory((size_t)rows_n * k * 4);
    float *out = memory((size_t)rows_n * n * 4);
    void *scratch = memory(qr_gemm_float_scratch_bytes(rows_n, k));

    (void)state;
    for (size_t r = 0; r < rows_n; r++)
        memcpy(x + r * k, p.x, k * 4);
    qr_gemm_float(&p.kernels, &p.m, 0, 1, x, k, rows_n, out, n, false, scratch);
    for (size_t r = 1; r < rows_n; r++)
        assert_memory_equal(out + r * n, out, n * 4);
    run(&p, 0, 1, out + n);
    assert_memory_equal(out + n, out, n * 4);
    free(x);
    free(out);
    free(scratch);
    end(&p);
}

#if defined(__x86_64__)
/* Goal: a row's bits are its own whichever of its kernels OpenBLAS takes.
 * Method: OpenBLAS chooses when it is loaded, by a variable: this program again, that one test, for
 * each kernel that the machine can run. */
static void every_kernel_of_openblas_keeps_it(void **state)
{
    static const struct {
        const char *core;
        unsigned needs;
    } cores[] = {{"Prescott", 0},
                 {"Nehalem", 0},
                 {"Haswell", QR_CPU_AVX2},
                 {"Zen", QR_CPU_AVX2},
                 {"SkylakeX", QR_CPU_AVX512}};

    (void)state;
    for (size_t i = 0; i < sizeof cores / sizeof cores[0]; i++) {
        int status;
        pid_t child;

        if ((cores[i].needs & qr_cpu_flags()) != cores[i].needs) continue;
        child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            setenv("OPENBLAS_CORETYPE", cores[i].core, 1);
            execl("/proc/self/exe", "test_gemm_float", "rows", (char *)NULL);
            _exit(127);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            fail_msg("with OPENBLAS_CORETYPE=%s a row depends on the others", cores[i].core);
    }
}
#endif

/* OpenBLAS's own; its header stays in kernels/gemm_float.c. */
int openblas_get_num_threads(void);
void openblas_set_num_threads(int n);

struct thread_work {
    struct product *p;
    void *scratch;
    float *out;
};

static void *many_products(void *arg)
{
    struct thread_work *w = arg;

    for (uint32_t i = 0; i < 60; i++)
        qr_gemm_float(&w->p->kernels, &w->p->m, 0, w->p->m.panels_n, w->p->x, w->p->m.k, 1 + i % 20,
                      w->out, w->p->m.n, false, w->scratch);
    return NULL;
}

/* Goal: threads do not disturb each other, nor a host that uses OpenBLAS itself.
 * Method: four threads multiply at once, each into its own; every result equals that of one, and
 * the process's setting is what it was. */
static void threads_may_multiply_at_once(void **state)
{
    const uint32_t n = 320, k = 192;
    struct product p = make(QR_TYPE_F16, n, k, qr_cpu_flags());
    float *want = memory((size_t)20 * n * 4);
    struct thread_work work[4];
    pthread_t threads[4];

    (void)state;
    openblas_set_num_threads(2);
    run(&p, 0, 20, want);
    assert_int_equal(openblas_get_num_threads(), 2);
    for (size_t i = 0; i < 4; i++) {
        work[i] = (struct thread_work){&p, memory(qr_gemm_float_scratch_bytes(20, k)),
                                       memory((size_t)20 * n * 4)};
        assert_int_equal(pthread_create(&threads[i], NULL, many_products, &work[i]), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_memory_equal(work[i].out, want, (size_t)20 * n * 4);
        free(work[i].scratch);
        free(work[i].out);
    }
    assert_int_equal(openblas_get_num_threads(), 2);
    free(want);
    end(&p);
}

/* Goal: a quantised matrix is refused.
 * Method: one of each kind. */
static void only_float_types_are_taken(void **state)
{
    struct qr_float_matrix m;

    (void)state;
    assert_false(qr_float_matrix_init(&m, QR_TYPE_Q8_0, 64, 64, NULL));
    assert_false(qr_float_matrix_init(&m, QR_TYPE_Q4_K, 64, 256, NULL));
    assert_true(qr_float_matrix_init(&m, QR_TYPE_F16, 257, 64, NULL));
    assert_int_equal(m.panels_n, 2);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest rows[] = {
        cmocka_unit_test(a_row_is_the_same_among_any_number),
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_a_product_in_double),
        cmocka_unit_test(a_row_is_the_same_among_any_number),
        cmocka_unit_test(rows_beyond_one_product_are_the_same),
#if defined(__x86_64__)
        cmocka_unit_test(every_kernel_of_openblas_keeps_it),
#endif
        cmocka_unit_test(panels_stand_alone),
        cmocka_unit_test(add_comes_after_the_sum),
        cmocka_unit_test(threads_may_multiply_at_once),
        cmocka_unit_test(only_float_types_are_taken),
    };

    if (argc > 1 && strcmp(argv[1], "rows") == 0) return cmocka_run_group_tests(rows, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
