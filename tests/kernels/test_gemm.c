/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/cpu.h"
#include "kernels/gemm.h"
#include "kernels/gemm_layout.h"
#include "support/residuals.h"
#include "support/type_blocks.h"

#define types   type_blocks_all
#define TYPES_N TYPE_BLOCKS_N

static const char *const levels[] = {"scalar", "avx2", "avx512vnni", "avx512bf16"};
#define LEVELS_N (sizeof levels / sizeof levels[0])

/* ---- a random matrix and rows --------------------------------------------------------------- */

#define N      37u /* three panels, the last with 5 columns */
#define ROWS_N 35u

struct problem {
    struct qr_matrix m;
    struct qr_acts acts;
    uint8_t *file; /* the rows, as in a model file */
    uint8_t *packed;
    float *x; /* [ROWS_N][k] */
    uint32_t seed;
};

static uint32_t next(struct problem *p)
{
    p->seed = p->seed * 1664525u + 1013904223u;
    return p->seed >> 8;
}

static size_t file_row_bytes(const struct qr_matrix *m)
{
    const struct qr_type_traits *t = qr_type_traits(m->type);
    return (size_t)(m->k / t->block_n) * t->block_bytes;
}

static void problem_init(struct problem *p, enum qr_type type, uint32_t k)
{
    const struct qr_type_traits *t = qr_type_traits(type);
    p->seed = (uint32_t)type + 1;
    assert_true(qr_matrix_shape(&p->m, type, N, k));
    size_t bytes = N * file_row_bytes(&p->m);
    p->file = malloc(bytes + 1);
    for (size_t i = 0; i < bytes; i++)
        p->file[i] = (uint8_t)next(p);
    for (size_t i = 0; i < bytes; i += t->block_bytes) {
        float d = (float)next(p) * 0x1p-24f * 0.02f - 0.01f;
        type_blocks_set(type, p->file + i, d, 2 * d - 0.003f);
    }
    p->packed = aligned_alloc(64, qr_matrix_bytes(&p->m));
    memset(p->packed, 0xee, qr_matrix_bytes(&p->m));
    qr_matrix_pack(&p->m, p->packed, p->file, 0, p->m.panels_n);
    p->m.data = p->packed;
    p->x = malloc(ROWS_N * k * sizeof *p->x);
    for (uint32_t i = 0; i < ROWS_N * k; i++)
        p->x[i] = (float)next(p) * 0x1p-23f - 1.0f;
    qr_acts_init(&p->acts, aligned_alloc(64, qr_acts_bytes(ROWS_N, k)), k);
}

static void problem_deinit(struct problem *p)
{
    free(p->file);
    free(p->packed);
    free(p->x);
    free(p->acts.data);
}

/* False: this machine has no such level. */
static bool take_level(const char *level, struct qr_gemm_kernels *k)
{
    unsigned flags = 0;
    assert_true(qr_cpu_level_flags(level, &flags));
    if ((flags & qr_cpu_flags()) != flags) return false;
    qr_gemm_init(k, flags);
    return true;
}

static void quantize_all(struct problem *p, const struct qr_gemm_kernels *k)
{
    for (uint32_t r = 0; r < ROWS_N; r++)
        k->quantize(&p->acts, r, r + 1, 0, p->x + (size_t)r * p->m.k, 0, p->m.k);
}

/* All rows and panels, out[ROWS_N][N]. */
static void product(const struct problem *p, const struct qr_gemm_kernels *k, float *out)
{
    qr_gemm_for(k, p->m.type)(
        &(struct qr_gemm_args){&p->m, 0, p->m.panels_n, &p->acts, 0, ROWS_N, out, N, false});
}

/* ---- tests ---------------------------------------------------------------------------------- */

/* Goal: the packed product is the product of the file's weights and the quantised activations,
 * except for the documented rounding of minima (residuals.h).
 * Method: dequantise both and multiply in double: every type and level, even and odd numbers of
 * blocks. */
static void product_is_the_dequantized_product(void **state)
{
    (void)state;
    for (size_t i = 0; i < TYPES_N * 2; i++) {
        uint32_t unit = qr_type_traits(types[i / 2])->block_n;
        struct problem p;
        problem_init(&p, types[i / 2], unit * (i % 2 ? 3 : 2));
        float *w = malloc(N * p.m.k * sizeof *w), out[ROWS_N * N];
        double *x = malloc(p.m.k * sizeof *x);
        for (uint32_t c = 0; c < N; c++)
            qr_dequantize(p.m.type, p.file + c * file_row_bytes(&p.m), w + c * p.m.k, p.m.k);
        for (size_t l = 0; l < LEVELS_N; l++) {
            struct qr_gemm_kernels k;
            if (!take_level(levels[l], &k)) continue;
            quantize_all(&p, &k);
            product(&p, &k, out);
            for (uint32_t r = 0; r < ROWS_N; r++) {
                for (uint32_t j = 0; j < p.m.k; j++) {
                    const struct qr_act_row *a = qr_act_row(&p.acts, r, j / 32);
                    x[j] = (double)a->d * a->q[j % 32];
                }
                for (uint32_t c = 0; c < N; c++) {
                    const uint8_t *row = p.file + c * file_row_bytes(&p.m);
                    double want = residuals_change(p.m.type, row, x, p.m.k), size = 0;
                    for (uint32_t j = 0; j < p.m.k; j++) {
                        double term = (double)w[c * p.m.k + j] * x[j];
                        want += term;
                        size += fabs(term);
                    }
                    assert_true(fabs(out[r * N + c] - want) <= 1e-6 * size + 1e-9);
                }
            }
        }
        free(w);
        free(x);
        problem_deinit(&p);
    }
}

/* Goal: every variant equals scalar bit for bit.
 * Method: the same problem at each level. */
static void every_level_equals_scalar(void **state)
{
    (void)state;
    for (size_t i = 0; i < TYPES_N; i++) {
        struct problem p;
        struct qr_gemm_kernels k;
        float want[ROWS_N * N], got[ROWS_N * N];
        problem_init(&p, types[i], 768);
        for (size_t l = 0; l < LEVELS_N; l++) {
            if (!take_level(levels[l], &k)) continue;
            quantize_all(&p, &k);
            product(&p, &k, l ? got : want);
            if (l) assert_memory_equal(got, want, sizeof want);
        }
        problem_deinit(&p);
    }
}

/* Goal: bf16 dots serve exactly the types with residuals, if the machine's bf16 dot is what scalar
 * computes.
 * Method: compare the tables of two levels. */
static void bf16_dots_serve_residuals(void **state)
{
    struct qr_gemm_kernels vnni, bf16;
    (void)state;
    if (!take_level("avx512vnni", &vnni) || !take_level("avx512bf16", &bf16)) {
        print_message("  not on this machine\n");
        skip();
    }
    for (size_t i = 0; i < TYPES_N; i++) {
        bool has_residuals = types[i] == QR_TYPE_Q4_1 || types[i] == QR_TYPE_Q5_1;
        assert_int_equal(qr_gemm_for(&bf16, types[i]) != qr_gemm_for(&vnni, types[i]),
                         has_residuals);
    }
}

/* Goal: a row's bits depend neither on the other rows nor on its place.
 * Method: compare each of 35 rows, as the only row of its own activations, with all rows together.
 */
static void a_row_alone_has_the_same_bits(void **state)
{
    (void)state;
    for (size_t i = 0; i < TYPES_N * LEVELS_N; i++) {
        struct problem p;
        struct qr_gemm_kernels k;
        struct qr_acts alone;
        float all[ROWS_N * N], one[N];
        if (!take_level(levels[i % LEVELS_N], &k)) continue;
        problem_init(&p, types[i / LEVELS_N], 512);
        quantize_all(&p, &k);
        product(&p, &k, all);
        qr_acts_init(&alone, aligned_alloc(64, qr_acts_bytes(1, p.m.k)), p.m.k);
        for (uint32_t r = 0; r < ROWS_N; r++) {
            k.quantize(&alone, 0, 1, 0, p.x + (size_t)r * p.m.k, 0, p.m.k);
            qr_gemm_for(&k, p.m.type)(
                &(struct qr_gemm_args){&p.m, 0, p.m.panels_n, &alone, 0, 1, one, N, false});
            assert_memory_equal(one, all + r * N, sizeof one);
        }
        free(alone.data);
        problem_deinit(&p);
    }
}

/* Goal: panels and rows can be divided into any calls.
 * Method: compare one panel and one row tile at a time with the whole. */
static void parts_make_the_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < TYPES_N * LEVELS_N; i++) {
        struct problem p;
        struct qr_gemm_kernels k;
        float whole[ROWS_N * N], parts[ROWS_N * N];
        if (!take_level(levels[i % LEVELS_N], &k)) continue;
        problem_init(&p, types[i / LEVELS_N], 256);
        quantize_all(&p, &k);
        product(&p, &k, whole);
        for (uint32_t panel = 0; panel < p.m.panels_n; panel++) {
            for (uint32_t row = 0; row < ROWS_N; row += 16) {
                qr_gemm_for(&k, p.m.type)(&(struct qr_gemm_args){
                    &p.m, panel, panel + 1, &p.acts, row, row + 16 < ROWS_N ? row + 16 : ROWS_N,
                    parts + row * N + panel * 16, N, false});
            }
        }
        assert_memory_equal(parts, whole, sizeof whole);
        problem_deinit(&p);
    }
}

/* Goal: rows of different slabs have the same bits.
 * Method: compare more rows of a large k than a slab holds with each tile alone. */
static void slabs_leave_no_seam(void **state)
{
    const uint32_t rows_n = 70, k_n = 8192;
    struct qr_gemm_kernels k;
    struct qr_matrix m;
    struct qr_acts acts;
    (void)state;
    qr_gemm_init(&k, qr_cpu_flags());
    assert_true(qr_matrix_shape(&m, QR_TYPE_Q4_0, 16, k_n));
    uint8_t *file = malloc(16 * k_n / 32 * 18), *packed = aligned_alloc(64, qr_matrix_bytes(&m));
    for (uint32_t i = 0; i < 16 * k_n / 32 * 18; i++)
        file[i] = (uint8_t)(i * 7 % 61);
    qr_matrix_pack(&m, packed, file, 0, 1);
    m.data = packed;
    qr_acts_init(&acts, aligned_alloc(64, qr_acts_bytes(rows_n, k_n)), k_n);
    float *x = malloc(k_n * sizeof *x), whole[70 * 16], tile[70 * 16];
    for (uint32_t r = 0; r < rows_n; r++) {
        for (uint32_t i = 0; i < k_n; i++)
            x[i] = (float)((i * (r + 3)) % 101) - 50.0f;
        k.quantize(&acts, r, r + 1, 0, x, 0, k_n);
    }
    k.q4_0(&(struct qr_gemm_args){&m, 0, 1, &acts, 0, rows_n, whole, 16, false});
    for (uint32_t r = 0; r < rows_n; r += 16)
        k.q4_0(&(struct qr_gemm_args){&m, 0, 1, &acts, r, r + 16 < rows_n ? r + 16 : rows_n,
                                      tile + r * 16, 16, false});
    assert_memory_equal(whole, tile, sizeof whole);
    free(file);
    free(packed);
    free(acts.data);
    free(x);
}

/* Goal: a product writes only the matrix's own columns; add adds once, after the sum.
 * Method: a wide stride with marks in the unused columns; add to known numbers. */
static void writes_its_columns_and_adds_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < TYPES_N * LEVELS_N; i++) {
        struct problem p;
        struct qr_gemm_kernels k;
        float plain[ROWS_N * N], wide[ROWS_N * 48];
        if (!take_level(levels[i % LEVELS_N], &k)) continue;
        problem_init(&p, types[i / LEVELS_N], 256);
        quantize_all(&p, &k);
        product(&p, &k, plain);
        for (size_t j = 0; j < ROWS_N * 48; j++)
            wide[j] = 0.37f;
        qr_gemm_for(&k, p.m.type)(
            &(struct qr_gemm_args){&p.m, 0, p.m.panels_n, &p.acts, 0, ROWS_N, wide, 48, true});
        for (uint32_t r = 0; r < ROWS_N; r++) {
            for (uint32_t c = 0; c < 48; c++) {
                float want = c < N ? 0.37f + plain[r * N + c] : 0.37f;
                assert_true(wide[r * 48 + c] == want);
            }
        }
        problem_deinit(&p);
    }
}

/* Goal: panels can be packed in any order, from rows at any address; padding is zero.
 * Method: compare packing one panel at a time, backwards, from an odd address, over other dirty
 * memory, with packing all at once. */
static void panels_pack_alone(void **state)
{
    (void)state;
    for (size_t i = 0; i < TYPES_N; i++) {
        struct problem p;
        problem_init(&p, types[i], qr_type_traits(types[i])->block_n * 3);
        size_t bytes = qr_matrix_bytes(&p.m), file_bytes = N * file_row_bytes(&p.m);
        uint8_t *again = aligned_alloc(64, bytes);
        memset(again, 0x11, bytes);
        memmove(p.file + 1, p.file, file_bytes);
        for (uint32_t panel = p.m.panels_n; panel-- > 0;)
            qr_matrix_pack(&p.m, again, p.file + 1, panel, panel + 1);
        /* the last 32 bytes of these groups are unused */
        if (types[i] == QR_TYPE_Q3_K || types[i] == QR_TYPE_Q6_K || types[i] == QR_TYPE_IQ4_XS) {
            size_t group_bytes = qr_gemm_layout(types[i]).group_bytes;
            for (size_t end = group_bytes; end <= bytes; end += group_bytes) {
                memset(again + end - 32, 0, 32);
                memset(p.packed + end - 32, 0, 32);
            }
        }
        assert_memory_equal(again, p.packed, bytes);
        free(again);
        problem_deinit(&p);
    }
}

/* Goal: a matrix without a packed form is refused.
 * Method: float types, known and unknown other types, a k that is not a whole number of blocks, n
 * or k of 0. */
static void shapes_without_a_form_are_refused(void **state)
{
    struct qr_matrix m;
    (void)state;
    assert_false(qr_matrix_shape(&m, QR_TYPE_F32, 16, 32));
    assert_false(qr_matrix_shape(&m, QR_TYPE_BF16, 16, 32));
    assert_false(qr_matrix_shape(&m, (enum qr_type)16, 16, 256)); /* IQ2_XXS */
    assert_false(qr_matrix_shape(&m, QR_TYPE_IQ4_XS, 16, 32));
    assert_false(qr_matrix_shape(&m, (enum qr_type)99, 16, 256));
    assert_false(qr_matrix_shape(&m, QR_TYPE_Q4_0, 16, 48));
    assert_false(qr_matrix_shape(&m, QR_TYPE_Q4_K, 16, 288));
    assert_false(qr_matrix_shape(&m, QR_TYPE_Q4_0, 16, 0));
    assert_false(qr_matrix_shape(&m, QR_TYPE_Q4_0, 0, 32));
    assert_true(qr_matrix_shape(&m, QR_TYPE_Q4_0, 0xffffffff, 32));
    assert_int_equal(m.panels_n, 0x10000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(product_is_the_dequantized_product),
        cmocka_unit_test(every_level_equals_scalar),
        cmocka_unit_test(bf16_dots_serve_residuals),
        cmocka_unit_test(a_row_alone_has_the_same_bits),
        cmocka_unit_test(parts_make_the_whole),
        cmocka_unit_test(slabs_leave_no_seam),
        cmocka_unit_test(writes_its_columns_and_adds_once),
        cmocka_unit_test(panels_pack_alone),
        cmocka_unit_test(shapes_without_a_form_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
