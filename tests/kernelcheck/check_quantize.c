/* SPDX-License-Identifier: MIT */
#include "kernelcheck.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define ROWS_N 19u
#define K                                                                                          \
    1376u /* 43 blocks: more fours than one step of the AVX2 variant takes, and three blocks */

/* Rows of many sizes: ordinary, all equal, halves (ties of rounding), zero, tiny, subnormal, huge;
 * in one row the blocks alternate between these sizes and infinity. */
static void fill_row(float *x, uint32_t row, struct kc_random *r)
{
    static const float scales[] = {1.0f, 1e-3f, 1e4f, 1e-37f, 1e-42f, 1e37f, 0.0f};
    for (uint32_t i = 0; i < K; i++) {
        x[i] = kc_random_normal(r);
        if (row % 8 == 7)
            x[i] = i % 32 ? 0.5f * (float)(kc_random_u32(r) % 255) - 63.5f : 127.0f;
        else
            x[i] *= scales[row % 8 % 7];
        if (row == 8) x[i] = 0.25f;
        if (row == 9) x[i] = copysignf(x[i], -1.0f);
        if (row == 10) x[i] *= i / 32 % 8 < 7 ? scales[i / 32 % 8] : INFINITY;
    }
}

static bool same(const struct qr_kernels *a, const struct qr_kernels *b)
{
    return a->gemm.quantize == b->gemm.quantize;
}

/* Rows one by one, each in two parts. */
static void parts(const struct qr_kernels *k, struct qr_acts *acts, const float *x)
{
    for (uint32_t row = 0; row < ROWS_N; row++, x += K) {
        uint32_t cut = row % 18 * 32;
        k->gemm.quantize(acts, row, row + 1, 0, x, K, cut);
        k->gemm.quantize(acts, row, row + 1, cut, x + cut, K, K - cut);
    }
}

/* Ranges of rows of every length, from every place in a tile, of 1 to 7 blocks. */
static void ranges(const struct qr_kernels *k, struct qr_acts *acts, const float *x)
{
    for (uint32_t k0 = 0, blocks = 1; k0 < K; k0 += blocks * 32, blocks = blocks % 7 + 1) {
        uint32_t n = K - k0 < blocks * 32 ? K - k0 : blocks * 32;
        for (uint32_t row = 0, rows = blocks; row < ROWS_N; row += rows, rows += 3) {
            if (rows > ROWS_N - row) rows = ROWS_N - row;
            k->gemm.quantize(acts, row, row + rows, k0, x + row * K + k0, K, n);
        }
    }
}

static bool check(const struct qr_kernels *k, const struct qr_kernels *scalar, char *message,
                  size_t size)
{
    size_t bytes = qr_acts_bytes(ROWS_N, K);
    struct kc_random r = {.state = 11};
    struct qr_acts got, want;
    float *x = kc_memory(ROWS_N * K * sizeof *x);
    bool ok;

    qr_acts_init(&got, kc_memory(bytes), K);
    qr_acts_init(&want, kc_memory(bytes), K);
    for (uint32_t row = 0; row < ROWS_N; row++)
        fill_row(x + row * K, row, &r);
    scalar->gemm.quantize(&want, 0, ROWS_N, 0, x, K, K);
    parts(k, &got, x);
    ok = memcmp(got.data, want.data, bytes) == 0;
    if (!ok) snprintf(message, size, "rows in parts differ");
    if (ok) {
        memset(got.data, 0, bytes); /* as kc_memory returns it */
        ranges(k, &got, x);
        ok = memcmp(got.data, want.data, bytes) == 0;
        if (!ok) snprintf(message, size, "ranges of rows differ");
    }
    kc_memory_free(got.data);
    kc_memory_free(want.data);
    kc_memory_free(x);
    return ok;
}

struct bench_work {
    struct qr_acts acts;
    const float *x;
    uint32_t n; /* values of a row: all, or those of one block */
    qr_quantize_fn *fn;
};

static void run(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    struct bench_work *w = work;
    (void)thread;
    w->fn(&w->acts, begin, end, 0, w->x + (size_t)begin * w->n, w->n, w->n);
}

static void bench(struct kc_bench *b)
{
    static const uint32_t rows[] = {1, 8, 64, 512}, inputs[] = {32, 576, 2048};
    struct kc_random r = {.state = 5};
    for (size_t i = 0; i < 12; i++) {
        uint32_t m = rows[i % 4], k = inputs[i / 4];
        struct bench_work w = {.n = k, .fn = b->kernels->gemm.quantize};
        char shape[64];
        float *x = kc_memory((size_t)m * k * sizeof *x);
        for (size_t j = 0; j < (size_t)m * k; j++)
            x[j] = kc_random_normal(&r);
        w.x = x;
        qr_acts_init(&w.acts, kc_memory(qr_acts_bytes(m, k)), k);
        double seconds = kc_time(b, run, &w, m, 0);
        snprintf(shape, sizeof shape, "M %u, K %u (%.3f ns a value)", m, k,
                 seconds * 1e9 / ((double)m * k));
        kc_result(b, "quantize", shape, seconds, 4.0 * m * k, KC_READ);
        kc_memory_free(w.acts.data);
        kc_memory_free(x);
    }
}

const struct kc_suite kc_quantize = {"quantize", same, check, bench};
