/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernelcheck/kv_pages.h"
#include "kernels/attention.h"
#include "kernels/attention_order.h"
#include "kernels/attention_q8.h"
#include "kernels/cpu.h"
#include "kernels/types.h"

/* kernelcheck compares variants with scalar.  Here the rules are tested at the best level, and at
 * every level if that is cheap. */
static const char *const levels[] = {"scalar", "avx2", "avx512", "avx512vnni"};
#define LEVELS_N 4u

static bool take_level(size_t i, struct qr_attention_kernels *k)
{
    unsigned flags = 0;

    if (!qr_cpu_level_flags(levels[i], &flags) || (flags & qr_cpu_flags()) != flags) return false;
    qr_attention_init(k, flags);
    return true;
}

/* A sequence: its queries, keys and values, and its pages. */
struct sequence {
    struct qr_attention_kernels k;
    struct kv_pages pages;
    uint32_t tokens_n, group_n, head_dim, window;
    float *q, *keys, *values; /* [tokens_n][group_n or 1][head_dim] */
    void *scratch;
};

static void *memory(size_t bytes)
{
    void *p = aligned_alloc(64, (bytes + 63) / 64 * 64);

    assert_non_null(p);
    return p;
}

struct shape {
    enum qr_kv_type type;
    uint32_t head_dim;
    uint32_t group_n;
    uint32_t tokens_n;
    uint32_t page_tokens;
    uint64_t page_seed; /* 0: pages in order; otherwise shuffled */
};

/* Shapes of equal size have the same queries, keys and values. */
static struct sequence make(const struct qr_attention_kernels *k, struct shape shape)
{
    uint64_t seed = 17;
    const uint32_t group_n = shape.group_n;
    size_t n = (size_t)shape.tokens_n * shape.head_dim;
    struct sequence s = {.k = *k,
                         .pages = kv_pages_make(shape.type, shape.head_dim, 1, shape.page_tokens,
                                                shape.tokens_n, shape.page_seed),
                         .tokens_n = shape.tokens_n,
                         .group_n = group_n,
                         .head_dim = shape.head_dim,
                         .q = memory(n * group_n * sizeof(float)),
                         .keys = memory(n * sizeof(float)),
                         .values = memory(n * sizeof(float)),
                         .scratch = memory(qr_attention_scratch_bytes())};

    kv_pages_fill(s.q, n * group_n, &seed);
    kv_pages_fill(s.keys, n, &seed);
    kv_pages_fill(s.values, n, &seed);
    return s;
}

static void end(struct sequence *s)
{
    kv_pages_free(&s->pages);
    free(s->q);
    free(s->keys);
    free(s->values);
    free(s->scratch);
}

static void put(struct sequence *s, uint32_t begin, uint32_t stop)
{
    for (uint32_t t = begin; t < stop; t++)
        s->k.put(&s->pages.view, t, s->keys + (size_t)t * s->head_dim,
                 s->values + (size_t)t * s->head_dim);
}

static size_t row_floats(const struct sequence *s)
{
    return (size_t)s->group_n * s->head_dim;
}

static struct qr_attention_rows rows_at(struct sequence *s, uint32_t position, uint32_t rows_n,
                                        float *out)
{
    return (struct qr_attention_rows){.q = s->q + position * row_floats(s),
                                      .q_stride = row_floats(s),
                                      .out = out + position * row_floats(s),
                                      .out_stride = row_floats(s),
                                      .rows_n = rows_n,
                                      .position = position,
                                      .group_n = s->group_n,
                                      .window = s->window,
                                      .scratch = s->scratch};
}

/* Writes and attends to all rows in chunks of the given sizes, used cyclically.  A chunk of more
 * than QR_ATTENTION_ROWS_MAX rows takes several calls. */
static float *attend_in(struct sequence *s, const uint32_t *sizes, size_t sizes_n)
{
    float *out = memory(s->tokens_n * row_floats(s) * sizeof *out);

    for (uint32_t t = 0, i = 0, n; t < s->tokens_n; t += n, i++) {
        n = sizes[i % sizes_n];
        if (n > s->tokens_n - t) n = s->tokens_n - t;
        put(s, t, t + n);
        for (uint32_t r = 0; r < n; r += QR_ATTENTION_ROWS_MAX) {
            uint32_t rows_n = n - r < QR_ATTENTION_ROWS_MAX ? n - r : QR_ATTENTION_ROWS_MAX;
            struct qr_attention_rows a = rows_at(s, t + r, rows_n, out);

            s->k.attend(&s->pages.view, &a);
        }
    }
    return out;
}

static float *attend_whole(struct sequence *s)
{
    return attend_in(s, &s->tokens_n, 1);
}

static void assert_same_rows(const struct sequence *s, const float *a, const float *b)
{
    for (size_t t = 0; t < s->tokens_n; t++)
        assert_memory_equal(a + t * row_floats(s), b + t * row_floats(s),
                            row_floats(s) * sizeof(float));
}

/* Rounds a vector to the values that pages of the type can store. */
static void stored(enum qr_kv_type type, const float *x, uint32_t n, double *out)
{
    int8_t quants[QR_HEAD_DIM_MAX];
    float scale = type == QR_KV_Q8 ? qr_q8_quantize(x, n, quants, NULL) : 0;

    for (uint32_t d = 0; d < n; d++) {
        if (type == QR_KV_F32) out[d] = (double)x[d];
        if (type == QR_KV_F16) out[d] = (double)qr_f16_to_f32(qr_f32_to_f16(x[d]));
        if (type == QR_KV_BF16) out[d] = (double)qr_bf16_to_f32(qr_f32_to_bf16(x[d]));
        if (type == QR_KV_Q8) out[d] = (double)quants[d] * (double)scale;
    }
}

/* One head of one row in double, over the values that pages of the type store; for q8 with the
 * query's quants. */
static void reference(const struct sequence *s, enum qr_kv_type type, uint32_t row, uint32_t head,
                      double *out)
{
    const float *given = s->q + row * row_floats(s) + (size_t)head * s->head_dim;
    float scaled[QR_HEAD_DIM_MAX];
    double q[QR_HEAD_DIM_MAX], x[QR_HEAD_DIM_MAX];
    uint32_t first = s->window && row + 1 > s->window ? row + 1 - s->window : 0;
    double *p = memory((row + 1) * sizeof *p);
    double max = -INFINITY, sum = 0;

    for (uint32_t d = 0; d < s->head_dim; d++)
        scaled[d] = given[d] * qr_attention_scale(s->head_dim);
    stored(QR_KV_Q8, scaled, s->head_dim, q);
    for (uint32_t d = 0; d < s->head_dim; d++)
        q[d] = type == QR_KV_Q8 ? q[d] * log(2) : (double)given[d] / sqrt(s->head_dim);
    for (uint32_t t = first; t <= row; t++) {
        p[t] = 0;
        stored(type, s->keys + (size_t)t * s->head_dim, s->head_dim, x);
        for (uint32_t d = 0; d < s->head_dim; d++)
            p[t] += q[d] * x[d];
        max = fmax(max, p[t]);
    }
    memset(out, 0, s->head_dim * sizeof *out);
    for (uint32_t t = first; t <= row; t++) {
        p[t] = exp(p[t] - max);
        sum += p[t];
        stored(type, s->values + (size_t)t * s->head_dim, s->head_dim, x);
        for (uint32_t d = 0; d < s->head_dim; d++)
            out[d] += p[t] * x[d];
    }
    for (uint32_t d = 0; d < s->head_dim; d++)
        out[d] /= sum;
    free(p);
}

/* Relative error of all heads of some rows against `reference`. */
static double error_of(const struct sequence *s, const float *out, enum qr_kv_type type,
                       uint32_t step)
{
    double want[QR_HEAD_DIM_MAX], errors = 0, squares = 0;

    for (uint32_t row = 0; row < s->tokens_n; row += step) {
        for (uint32_t h = 0; h < s->group_n; h++) {
            const float *got = out + row * row_floats(s) + (size_t)h * s->head_dim;

            reference(s, type, row, h, want);
            for (uint32_t d = 0; d < s->head_dim; d++) {
                errors += ((double)got[d] - want[d]) * ((double)got[d] - want[d]);
                squares += want[d] * want[d];
            }
        }
    }
    return sqrt(errors / squares);
}

/* ---- the tests ------------------------------------------------------------------------- */

/* Goal: attention is softmax(q K^T / sqrt(d)) V.
 * Method: compare with double over the stored values: every type and level, several head sizes,
 * with and without a window, rows at many positions. */
static void equals_a_softmax_in_double(void **state)
{
    static const uint32_t head_dims[] = {64, 72, 128, 8};
    static const uint32_t windows[] = {0, 0, 40, 300};
    struct qr_attention_kernels k;

    (void)state;
    for (size_t i = 0; i < 16 * LEVELS_N; i++) {
        enum qr_kv_type type = (enum qr_kv_type)(i % QR_KV_TYPES_N);
        struct sequence s;
        float *out;

        if (!take_level(i / 16, &k)) continue;
        s = make(&k, (struct shape){type, head_dims[i / 4 % 4], 1 + i % 3, 330, 32, 5});
        s.window = windows[i / 3 % 4];
        out = attend_whole(&s);
        assert_true(error_of(&s, out, type, 41) < 1e-6);
        free(out);
        end(&s);
    }
}

/* Goal: the rounding of each stored type costs no more than its bits require.
 * Method: compare with double over the original values; the bounds are twice the errors found. */
static void storing_costs_little(void **state)
{
    static const double limits[QR_KV_TYPES_N] = {1e-6, 6e-4, 4e-3, 1.4e-2};
    struct qr_attention_kernels k;

    (void)state;
    qr_attention_init(&k, qr_cpu_flags());
    for (int type = 0; type < QR_KV_TYPES_N; type++) {
        struct sequence s = make(&k, (struct shape){(enum qr_kv_type)type, 64, 3, 700, 32, 5});
        float *out = attend_whole(&s);
        double error = error_of(&s, out, QR_KV_F32, 41);

        print_message("    type %d: %.2g\n", type, error);
        assert_true(error < limits[type]);
        free(out);
        end(&s);
    }
}

/* Goal: a row's bits are the same in prefill and token by token.
 * Method: compare a prefill of 777 tokens with decode at every length from 1 to 777, at every
 * level. */
static void decode_equals_prefill_at_every_length(void **state)
{
    static const uint32_t one = 1;
    struct qr_attention_kernels k;

    (void)state;
    for (size_t i = 0; i < 2 * LEVELS_N; i++) {
        struct sequence s;
        float *whole, *single;

        if (!take_level(i / 2, &k)) continue;
        s = make(&k, (struct shape){i % 2 ? QR_KV_Q8 : QR_KV_F16, i < 2 ? 8 : 64, i < 2 ? 2 : 3,
                                    777, 32, 6});
        whole = attend_whole(&s);
        single = attend_in(&s, &one, 1);
        assert_same_rows(&s, whole, single);
        free(whole);
        free(single);
        end(&s);
    }
}

/* Goal: a row's bits do not depend on the chunks of a prefill, in any type.
 * Method: compare chunks of odd sizes and of 16 with the whole, with and without a window. */
static void chunks_equal_the_whole(void **state)
{
    static const uint32_t odd[] = {1, 5, 31, 32, 33, 2, 100, 17}, sixteen = 16;
    struct qr_attention_kernels k;

    (void)state;
    qr_attention_init(&k, qr_cpu_flags());
    for (size_t i = 0; i < 16; i++) {
        enum qr_kv_type type = (enum qr_kv_type)(i % QR_KV_TYPES_N);
        struct sequence s = make(&k, (struct shape){type, 64, 1 + i % 3, 600, 16, 7});
        float *whole, *chunks;

        s.window = i < 8 ? 0 : i < 12 ? 70 : 300;
        whole = attend_whole(&s);
        chunks = i / 4 % 2 ? attend_in(&s, odd, 8) : attend_in(&s, &sixteen, 1);
        assert_same_rows(&s, whole, chunks);
        free(whole);
        free(chunks);
        end(&s);
    }
}

/* Goal: results depend neither on the size of pages nor on their order in the pool.
 * Method: compare pages of 16, 32, 64, 128 and 48 tokens, in order and shuffled, in every type. */
static void pages_do_not_show(void **state)
{
    static const uint32_t sizes[] = {16, 32, 64, 128, 48};
    struct qr_attention_kernels k;

    (void)state;
    qr_attention_init(&k, qr_cpu_flags());
    for (int t = 0; t < QR_KV_TYPES_N; t++) {
        enum qr_kv_type type = (enum qr_kv_type)t;
        struct sequence s = make(&k, (struct shape){type, 64, 3, 700, 32, 0});
        float *want = attend_whole(&s);

        for (size_t i = 0; i < 10; i++) {
            struct sequence other =
                make(&k, (struct shape){type, 64, 3, 700, sizes[i / 2], i % 2 ? 3 + i : 0});
            float *out = attend_whole(&other);

            assert_same_rows(&s, want, out);
            free(out);
            end(&other);
        }
        free(want);
        end(&s);
    }
}

/* Goal: a head's bits do not depend on the other heads of its group.
 * Method: compare groups of 5 to 16 heads with each head alone. */
static void a_head_is_the_same_alone(void **state)
{
    static const uint32_t groups[] = {16, 7, 5, 16, 6};
    struct qr_attention_kernels k;

    (void)state;
    qr_attention_init(&k, qr_cpu_flags());
    for (size_t i = 0; i < 5; i++) {
        struct sequence s =
            make(&k, (struct shape){i < 3 ? QR_KV_BF16 : QR_KV_Q8, 40, groups[i], 300, 32, 2});
        float *whole = attend_whole(&s);
        float alone[40];

        for (uint32_t row = 0; row < 300; row += 23) {
            for (uint32_t h = 0; h < groups[i]; h++) {
                size_t at = row * row_floats(&s) + h * 40;
                struct qr_attention_rows a = {.q = s.q + at,
                                              .out = alone,
                                              .rows_n = 1,
                                              .position = row,
                                              .group_n = 1,
                                              .scratch = s.scratch};

                k.attend(&s.pages.view, &a);
                assert_memory_equal(alone, whole + at, sizeof alone);
            }
        }
        free(whole);
        end(&s);
    }
}

/* Goal: a key that a row does not see adds nothing, even as NaN.
 * Method: (1) slots past the length and pages of other sequences are NaN (kv_pages.h), and all
 * results are numbers. (2) One token's key and value become infinite: rows before it are
 * unchanged, rows that see it change. (3) Pages before a window may hold anything. */
static void what_is_not_seen_is_harmless(void **state)
{
    struct qr_attention_kernels k;

    (void)state;
    for (size_t i = 0; i < QR_KV_TYPES_N * LEVELS_N; i++) {
        struct sequence s;
        float *before, *after;
        size_t row;

        if (!take_level(i / QR_KV_TYPES_N, &k)) continue;
        s = make(&k, (struct shape){(enum qr_kv_type)(i % QR_KV_TYPES_N), 16, 2, 290, 32, 4});
        row = row_floats(&s);
        before = attend_whole(&s);
        for (size_t j = 0; j < 290 * row; j++)
            assert_true(isfinite(before[j]));
        for (uint32_t d = 0; d < 16; d++)
            s.keys[270 * 16 + d] = s.values[270 * 16 + d] = d % 2 ? INFINITY : NAN;
        after = attend_whole(&s);
        assert_memory_equal(before, after, 270 * row * sizeof(float));
        for (size_t j = 270 * row; j < 290 * row; j++)
            assert_true(isnan(after[j]));
        free(before);
        free(after);
        end(&s);
    }
}

/* Goal: pages that have left the window are not read.
 * Method: their ids name pages that do not exist. */
static void pages_before_the_window_may_be_gone(void **state)
{
    struct qr_attention_kernels k;

    (void)state;
    for (size_t i = 0; i < 2 * LEVELS_N; i++) {
        struct sequence s;
        float *want, *out;
        struct qr_attention_rows a;

        if (!take_level(i / 2, &k)) continue;
        s = make(&k, (struct shape){i % 2 ? QR_KV_Q8 : QR_KV_F32, 24, 2, 640, 16, 4});
        s.window = 100;
        want = attend_whole(&s);
        out = memory(640 * row_floats(&s) * sizeof *out);
        for (uint32_t p = 0; p < (608 + 1 - 100) / 16; p++)
            s.pages.ids[p] = UINT32_MAX;
        a = rows_at(&s, 608, 32, out);
        k.attend(&s.pages.view, &a);
        assert_memory_equal(out + 608 * row_floats(&s), want + 608 * row_floats(&s),
                            32 * row_floats(&s) * sizeof *out);
        free(want);
        free(out);
        end(&s);
    }
}

/* Goal: a long sequence's spans can be computed separately and in any order.
 * Method: compare with the whole: each span alone from the last to the first, then all spans but
 * the first in one call; several lengths, with and without a window. */
static void spans_apart_equal_the_whole(void **state)
{
    static const uint32_t positions[] = {0, 255, 256, 700, 1023, 1299};
    struct qr_attention_kernels k;

    (void)state;
    for (size_t i = 0; i < 4 * LEVELS_N; i++) {
        struct sequence s;
        float *out;
        void *partial;

        if (!take_level(i / 4, &k)) continue;
        s = make(&k, (struct shape){i / 2 % 2 ? QR_KV_Q8 : QR_KV_F16, 32, 3, 1300, 32, 4});
        s.window = i % 2 ? 500 : 0;
        put(&s, 0, 1300);
        out = memory(1300 * row_floats(&s) * sizeof *out);
        partial = memory(6 * qr_attention_partial_bytes(3, 32));
        for (size_t j = 0; j < 6; j++) {
            uint32_t spans_n = positions[j] / QR_KV_SPAN + 1;
            struct qr_attention_rows a = rows_at(&s, positions[j], 1, out);
            float whole[96];

            k.attend(&s.pages.view, &a);
            memcpy(whole, a.out, sizeof whole);
            for (uint32_t b = spans_n; b-- > 0;)
                k.attend_spans(&s.pages.view, &a, b, b + 1, partial);
            memset(a.out, 0, sizeof whole);
            k.attend_merge(&s.pages.view, &a, spans_n, partial);
            assert_memory_equal(a.out, whole, sizeof whole);
            k.attend_spans(&s.pages.view, &a, 1, spans_n, partial);
            k.attend_merge(&s.pages.view, &a, spans_n, partial);
            assert_memory_equal(a.out, whole, sizeof whole);
        }
        free(partial);
        free(out);
        end(&s);
    }
}

/* Goal: rows of several sequences over shared spans have the same bits as each row alone.
 * Method: seven rows with the same pages see the first three spans whole. All seven go over the
 * first span together, five over the other two, then each continues alone. Every level and type;
 * groups that fill no tile, one tile and several. */
static void rows_over_shared_spans_equal_each_alone(void **state)
{
    static const uint32_t positions[] = {768, 769, 1000, 1279, 1023, 300, 257};
    static const uint32_t groups[] = {3, 1, 8};
    struct qr_attention_kernels k;

    (void)state;
    for (uint32_t i = 0; i < LEVELS_N * QR_KV_TYPES_N; i++) {
        const uint32_t group_n = groups[i % 3];
        struct sequence s;
        const float *q[7];
        void *partials[7];

        if (!take_level(i / QR_KV_TYPES_N, &k)) continue;
        s = make(&k,
                 (struct shape){(enum qr_kv_type)(i % QR_KV_TYPES_N), 40, group_n, 1280, 64, 6});
        put(&s, 0, 1280);
        float *want = memory(1280 * row_floats(&s) * sizeof *want);
        float *got = memory(1280 * row_floats(&s) * sizeof *got);
        for (uint32_t r = 0; r < 7; r++) {
            struct qr_attention_rows a = rows_at(&s, positions[r], 1, want);

            k.attend(&s.pages.view, &a);
            q[r] = a.q;
            partials[r] = memory(qr_attention_partial_bytes(group_n, 40));
            memset(partials[r], 0xff, qr_attention_partial_bytes(group_n, 40));
        }
        struct qr_attention_shared shared = {
            .q = q, .partials = partials, .rows_n = 7, .group_n = group_n, .scratch = s.scratch};
        k.attend_shared(&s.pages.view, &shared, 0, 1);
        shared.rows_n = 5;
        k.attend_shared(&s.pages.view, &shared, 1, 3);
        for (uint32_t r = 0; r < 7; r++) {
            struct qr_attention_rows a = rows_at(&s, positions[r], 1, got);

            a.summed_n = r < 5 ? 3 : 1;
            a.partial = partials[r];
            k.attend(&s.pages.view, &a);
            assert_memory_equal(a.out, want + positions[r] * row_floats(&s),
                                row_floats(&s) * sizeof *want);
            free(partials[r]);
        }
        free(got);
        free(want);
        end(&s);
    }
}

/* Goal: values are stored rounded to nearest even, at every level.
 * Method: store values between two f16 and between two bf16, read them at their place in the
 * layout. */
static void storing_rounds_to_nearest_even(void **state)
{
    static const float x[8] = {1.0f,       1.00048828125f, 1.00146484375f, 1.0005f,
                               0x1.01p+0f, 0x1.03p+0f,     -65519.0f,      0x1.8p-25f};
    static const uint16_t f16[8] = {0x3c00, 0x3c00, 0x3c02, 0x3c01, 0x3c04, 0x3c0c, 0xfbff, 0x0001};
    static const uint16_t bf16[8] = {0x3f80, 0x3f80, 0x3f80, 0x3f80,
                                     0x3f80, 0x3f82, 0xc780, 0x3340};
    struct qr_attention_kernels k;

    (void)state;
    for (size_t i = 0; i < 2 * LEVELS_N; i++) {
        const uint16_t *want = i % 2 ? bf16 : f16;
        struct kv_pages pages;
        uint16_t h;

        if (!take_level(i / 2, &k)) continue;
        pages = kv_pages_make(i % 2 ? QR_KV_BF16 : QR_KV_F16, 8, 1, 32, 64, 3);
        k.put(&pages.view, 53, x, x); /* page 1, panel 1, lane 5 */
        for (size_t d = 0; d < 8; d++) {
            const uint8_t *page = pages.view.base + pages.ids[1] * pages.view.page_bytes;
            size_t panel = qr_kv_panel_bytes(pages.view.type, 8);

            memcpy(&h, page + panel + (d * 16 + 5) * 2, 2);
            assert_int_equal(h, want[d]);
            memcpy(&h, page + pages.view.v_offset + panel + (5 * 8 + d) * 2, 2);
            assert_int_equal(h, want[d]);
        }
        kv_pages_free(&pages);
    }
}

/* Token 53's key and value in the layout of q8: page 1, panel 1, lane 5. */
static void expect_q8(const struct kv_pages *pages, const int8_t quants[8], float scale)
{
    const uint8_t *k =
        pages->view.base + pages->ids[1] * pages->view.page_bytes + qr_kv_panel_bytes(QR_KV_Q8, 8);
    const uint8_t *v = k + pages->view.v_offset;
    float stored_k, stored_v;

    memcpy(&stored_k, k + 8 * 16 + 5 * 4, 4);
    memcpy(&stored_v, v + 8 * 16 + 5 * 4, 4);
    assert_memory_equal(&stored_k, &stored_v, 4);
    assert_true(scale == scale ? stored_k == scale : stored_k != stored_k);
    for (size_t d = 0; d < 8; d++) {
        assert_int_equal(k[d / 4 * 64 + 5 * 4 + d % 4], quants[d] + 128);
        assert_int_equal((int8_t)v[5 * 8 + d], quants[d]);
    }
}

/* Goal: int8 pages hold what attention_q8.h says, at every level.
 * Method: ties, the greatest negative value, zeros, a vector too small for a scale, the smallest
 * with one, the largest, and vectors with infinity and NaN among numbers. */
static void q8_stores_quants_and_a_scale(void **state)
{
    const struct {
        float x[8];
        int8_t quants[8];
        float scale;
    } cases[] = {
        {{127, 0.5f, 1.5f, -2.5f, -3.5f, 126.4f, 0, -127}, {127, 0, 2, -2, -4, 126, 0, -127}, 1},
        {{0.25f, -0.5f, 0.1f, 0, 0, 0, 0, 0}, {64, -127, 25, 0, 0, 0, 0, 0}, 0.5f / 127},
        {{0, -0.0f, 0, 0, 0, 0, 0, 0}, {0}, 0},
        {{0x1p-101f, -0x1p-101f, 0x1p-149f, 0, 0, 0, 0, 0}, {0}, 0},
        {{0x1p-100f, -0x1p-101f, 0, 0, 0, 0, 0, 0}, {127, -64, 0}, 0x1p-100f / 127},
        {{0x1.fffffep127f, -0x1p127f, 1, 0, 0, 0, 0, 0}, {127, -64, 0}, 0x1.fffffep127f / 127},
        {{1, 2, -INFINITY, 3, 0, 0, 0, 0}, {0}, NAN},
        {{1, 2, 3, 4, 5, 6, NAN, 8}, {0}, NAN},
    };
    struct qr_attention_kernels k;

    (void)state;
    for (size_t i = 0; i < LEVELS_N; i++) {
        struct kv_pages pages;

        if (!take_level(i, &k)) continue;
        pages = kv_pages_make(QR_KV_Q8, 8, 1, 32, 64, 3);
        for (size_t j = 0; j < sizeof cases / sizeof cases[0]; j++) {
            k.put(&pages.view, 53, cases[j].x, cases[j].x);
            expect_q8(&pages, cases[j].quants, cases[j].scale);
        }
        kv_pages_free(&pages);
    }
}

/* Goal: a query that is not finite gives NaN in q8 and changes no other query.
 * Method: one of three heads is infinite, at every level. */
static void q8_queries_that_are_not_finite_give_nan(void **state)
{
    struct qr_attention_kernels k;

    (void)state;
    for (size_t i = 0; i < LEVELS_N; i++) {
        struct sequence s;
        float *before, *after;

        if (!take_level(i, &k)) continue;
        s = make(&k, (struct shape){QR_KV_Q8, 16, 3, 20, 32, 4});
        before = attend_whole(&s);
        s.q[19 * 48 + 16] = INFINITY;
        after = attend_whole(&s);
        assert_memory_equal(before, after, (19 * 48 + 16) * sizeof(float));
        assert_memory_equal(before + 19 * 48 + 32, after + 19 * 48 + 32, 16 * sizeof(float));
        for (size_t d = 0; d < 16; d++)
            assert_true(isnan(after[19 * 48 + 16 + d]));
        free(before);
        free(after);
        end(&s);
    }
}

/* Goal: qr_attention_first lists panels in attend's order: a span's keys, its values, then the
 * next span, from the first panel that the window reaches.
 * Method: pages in a known order; a row without a window, one whose window begins inside a span,
 * one whose first span is already summed. Short lists are the beginning of the long one. */
static void panels_are_listed_in_the_order_of_use(void **state)
{
    struct qr_attention_kernels k;
    const uint8_t *all[64], *some[QR_PREFETCH_PANELS];
    const struct {
        uint32_t position, window, summed_n, first, panels_n;
    } rows[] = {{0, 0, 0, 0, 1},    {299, 0, 0, 0, 19},   {255, 0, 0, 0, 16},
                {256, 0, 0, 0, 17}, {299, 120, 0, 11, 8}, {299, 0, 1, 16, 3}};

    (void)state;
    qr_attention_init(&k, 0);
    struct sequence s = make(&k, (struct shape){QR_KV_F16, 64, 1, 300, 32, 5});
    const struct qr_kv_view *view = &s.pages.view;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t n = 0, last = rows[i].first + rows[i].panels_n;
        assert_int_equal(
            qr_attention_first(view, rows[i].position, rows[i].window, rows[i].summed_n, all, 64),
            2 * rows[i].panels_n);
        for (uint32_t span = rows[i].first / 16; span <= (last - 1) / 16; span++) {
            uint32_t from = span * 16 > rows[i].first ? span * 16 : rows[i].first;
            uint32_t stop = span * 16 + 16 < last ? span * 16 + 16 : last;
            for (uint32_t p = from; p < stop; p++)
                assert_ptr_equal(all[n++], qr_attention_written(view, p * QR_KV_PANEL));
            for (uint32_t p = from; p < stop; p++)
                assert_ptr_equal(all[n++],
                                 qr_attention_written(view, p * QR_KV_PANEL + 15) + view->v_offset);
        }
        for (uint32_t most = 1; most <= QR_PREFETCH_PANELS; most++) {
            uint32_t want = most < n ? most : n;
            assert_int_equal(qr_attention_first(view, rows[i].position, rows[i].window,
                                                rows[i].summed_n, some, most),
                             want);
            assert_memory_equal(some, all, want * sizeof some[0]);
        }
    }
    end(&s);
}

/* Goal: put writes a value at the place that qr_attention_value returns, and no other byte of the
 * values.
 * Method: find the bytes of V that change: every type, two head sizes, each place in a panel. An
 * int8 value's scale follows the panel's quants. */
static void values_are_where_they_are_said_to_be(void **state)
{
    static const uint32_t head_dims[] = {64, 80};
    struct qr_attention_kernels k;
    float x[80];

    (void)state;
    qr_attention_init(&k, 0);
    for (size_t d = 0; d < 80; d++)
        x[d] = 1.0f + (float)d;
    for (size_t type = 0; type < QR_KV_TYPES_N; type++) {
        for (size_t i = 0; i < 2; i++) {
            struct kv_pages pages =
                kv_pages_make((enum qr_kv_type)type, head_dims[i], 1, 32, 64, 3);
            size_t panel_bytes = qr_kv_panel_bytes((enum qr_kv_type)type, head_dims[i]), n;
            size_t quants = type == QR_KV_Q8 ? (size_t)head_dims[i] * QR_KV_PANEL : panel_bytes;
            for (uint32_t position = 16; position < 48; position++) {
                const uint8_t *value = qr_attention_value(&pages.view, position, &n);
                uint8_t *panel = (uint8_t *)(uintptr_t)qr_attention_written(&pages.view, position) +
                                 pages.view.v_offset;
                memset(panel, 0, panel_bytes);
                k.put(&pages.view, position, x, x);
                for (size_t b = 0; b < quants; b++) {
                    bool in = panel + b >= value && panel + b < value + n;
                    assert_true(in || panel[b] == 0);
                }
                assert_true(value >= panel && value + n <= panel + quants);
                assert_int_not_equal(value[n - 1], 0); /* the high byte of the last */
            }
            kv_pages_free(&pages);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_a_softmax_in_double),
        cmocka_unit_test(storing_costs_little),
        cmocka_unit_test(decode_equals_prefill_at_every_length),
        cmocka_unit_test(chunks_equal_the_whole),
        cmocka_unit_test(pages_do_not_show),
        cmocka_unit_test(a_head_is_the_same_alone),
        cmocka_unit_test(what_is_not_seen_is_harmless),
        cmocka_unit_test(pages_before_the_window_may_be_gone),
        cmocka_unit_test(spans_apart_equal_the_whole),
        cmocka_unit_test(rows_over_shared_spans_equal_each_alone),
        cmocka_unit_test(panels_are_listed_in_the_order_of_use),
        cmocka_unit_test(values_are_where_they_are_said_to_be),
        cmocka_unit_test(storing_rounds_to_nearest_even),
        cmocka_unit_test(q8_stores_quants_and_a_scale),
        cmocka_unit_test(q8_queries_that_are_not_finite_give_nan),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
