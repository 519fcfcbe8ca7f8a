/* SPDX-License-Identifier: MIT */
#include "kernelcheck.h"

#include <stdio.h>
#include <string.h>

/* ---- widening: every value ------------------------------------------------------------- */

static bool same_widen(const struct qr_kernels *a, const struct qr_kernels *b)
{
    return a->gemm_float.f16 == b->gemm_float.f16 && a->gemm_float.bf16 == b->gemm_float.bf16;
}

static bool check_widen(const struct qr_kernels *k, const struct qr_kernels *scalar, char *message,
                        size_t size)
{
    const size_t n = 65536 + 16;
    uint16_t *src = kc_memory(n * sizeof *src);
    float *got = kc_memory(n * sizeof *got);
    float *want = kc_memory(n * sizeof *want);
    bool ok = true;

    for (size_t i = 0; i < n; i++)
        src[i] = (uint16_t)i;
    /* all 65,536 from every offset in a vector, then every short length */
    for (size_t i = 0; ok && i < 16; i++) {
        k->gemm_float.f16(src + i, got, 65536);
        scalar->gemm_float.f16(src + i, want, 65536);
        ok = kc_equal_bits(got, want, 1, 65536, 0, "f16", message, size);
        k->gemm_float.bf16(src + i, got, 65536);
        scalar->gemm_float.bf16(src + i, want, 65536);
        ok = ok && kc_equal_bits(got, want, 1, 65536, 0, "bf16", message, size);
    }
    for (size_t i = 0; ok && i < 40; i++) {
        got[i] = want[i] = 5.0f; /* past the end: stays */
        k->gemm_float.f16(src + 0x3c00, got, i);
        scalar->gemm_float.f16(src + 0x3c00, want, i);
        ok = kc_equal_bits(got, want, 1, i + 1, 0, "short f16", message, size);
        k->gemm_float.bf16(src + 0x3c00, got, i);
        scalar->gemm_float.bf16(src + 0x3c00, want, i);
        ok = ok && kc_equal_bits(got, want, 1, i + 1, 0, "short bf16", message, size);
    }
    kc_memory_free(src);
    kc_memory_free(got);
    kc_memory_free(want);
    return ok;
}

/* ---- timed ----------------------------------------------------------------------------- */

struct float_work {
    const struct qr_kernels *k;
    struct qr_float_matrix m;
    float *x, *out;
    uint8_t *scratch;
    size_t scratch_bytes;
    uint32_t rows_n;
};

static void run(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    struct float_work *w = work;

    qr_gemm_float(&w->k->gemm_float, &w->m, begin, end, w->x, w->m.k, w->rows_n,
                  w->out + (size_t)begin * QR_FLOAT_PANEL_N, w->m.n, false,
                  w->scratch + thread * w->scratch_bytes);
}

static void bench_shape(struct kc_bench *b, enum qr_type type, uint32_t rows_n, uint32_t n,
                        uint32_t k)
{
    size_t bytes = (size_t)n * k * (type == QR_TYPE_F32 ? 4 : 2);
    uint8_t *data = kc_memory(bytes);
    struct kc_random r = {.state = 2};
    char shape[64];
    double seconds;
    struct float_work w = {.k = b->kernels,
                           .x = kc_memory((size_t)rows_n * k * sizeof(float)),
                           .out = kc_memory((size_t)rows_n * n * sizeof(float)),
                           .scratch_bytes = (qr_gemm_float_scratch_bytes(rows_n, k) + 63) / 64 * 64,
                           .rows_n = rows_n};

    w.scratch = kc_memory(b->threads_n * w.scratch_bytes);
    for (size_t i = 0; i < (size_t)rows_n * k; i++)
        w.x[i] = kc_random_float(&r);
    for (size_t i = 0; i < (size_t)n * k; i++) {
        float f = kc_random_float(&r);
        uint16_t h = type == QR_TYPE_F16 ? qr_f32_to_f16(f) : qr_f32_to_bf16(f);

        if (type == QR_TYPE_F32)
            memcpy(data + 4 * i, &f, 4);
        else
            memcpy(data + 2 * i, &h, 2);
    }
    (void)qr_float_matrix_init(&w.m, type, n, k, data);
    seconds = kc_time(b, run, &w, w.m.panels_n, 1);
    snprintf(shape, sizeof shape, "%s M %u, N %u, K %u", qr_type_traits(type)->name, rows_n, n, k);
    if (rows_n == 1)
        kc_result(b, "gemm_float", shape, seconds, (double)bytes, KC_READ);
    else
        kc_result(b, "gemm_float", shape, seconds, 2.0 * rows_n * n * k, KC_FP32);
    kc_memory_free(data);
    kc_memory_free(w.x);
    kc_memory_free(w.out);
    kc_memory_free(w.scratch);
}

/* SmolLM2's gate and up, its down, and a matrix that no cache holds. */
static void bench(struct kc_bench *b)
{
    static const uint32_t rows[] = {1, 8, 64, 512};
    static const enum qr_type types[] = {QR_TYPE_F32, QR_TYPE_F16, QR_TYPE_BF16};

    for (size_t t = 0; t < 3; t++) {
        for (size_t i = 0; i < 4; i++) {
            bench_shape(b, types[t], rows[i], 3072, 576);
            bench_shape(b, types[t], rows[i], 576, 1536);
        }
        bench_shape(b, types[t], 1, 49152, 576);
    }
}

const struct kc_suite kc_gemm_float = {"gemm_float", same_widen, check_widen, bench};
