/* SPDX-License-Identifier: MIT */
/* kernelcheck -- compares every variant that the CPU supports with scalar, and times it.
 *
 * A suite is one kernel.  To add one, define a `const struct kc_suite kc_<kernel>` in a
 * check_<what>.c, declare it below, and add it to the table in kernelcheck_main.c.
 *
 * Thread: main; kc_time spreads work over a team.   Memory: kc_memory's. */
#ifndef QR_TESTS_KERNELCHECK_H
#define QR_TESTS_KERNELCHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"
#include "runtime/base/team.h"

/* The limit that a figure is compared with. */
enum kc_limit { KC_INT8, KC_BF16, KC_FP32, KC_READ, KC_LIMITS_N };

struct kc_bench {
    const struct qr_kernels *kernels; /* of the level that is timed */
    const char *level;
    struct qr_team *team;
    uint32_t threads_n;
    double limits[KC_LIMITS_N]; /* operations or bytes a second; 0: the CPU has none */
    bool json;
    uint32_t results_n;
};

struct kc_suite {
    const char *name; /* "gemm_q4_1" */
    /* Whether a and b have the same function for this kernel.  A level without a variant of its own
     * is skipped. */
    bool (*same)(const struct qr_kernels *a, const struct qr_kernels *b);
    /* Compares level k with scalar.  False: message (size bytes) names the case and the difference.
     */
    bool (*check)(const struct qr_kernels *k, const struct qr_kernels *scalar, char *message,
                  size_t size);
    void (*bench)(struct kc_bench *b); /* NULL: not timed */
};

/* Seconds of one run of fn over items [0, items_n) on the team: the best of several, warm. */
double kc_time(struct kc_bench *b, qr_team_fn *fn, void *work, uint32_t items_n, uint32_t grain);

/* Bytes a second of the best streaming read of data (bytes: a multiple of 1 MiB) by the whole team,
 * measured now.  A virtual machine's memory rate may change by a factor of two within seconds, so a
 * figure that memory limits is compared with the rate measured just before it. */
double kc_read_rate(struct kc_bench *b, const uint8_t *data, size_t bytes);

/* Prints one figure: amount (operations or bytes) in seconds, and its share of the limit. */
void kc_result(struct kc_bench *b, const char *kernel, const char *shape, double seconds,
               double amount, enum kc_limit limit);

/* Seeded random numbers, equal on every machine. */
struct kc_random {
    uint64_t state;
};
uint32_t kc_random_u32(struct kc_random *r);
float kc_random_float(struct kc_random *r);  /* in [-1, 1) */
float kc_random_normal(struct kc_random *r); /* about normal, variance 1 */

/* Zeroed memory, 64-byte aligned; its end (rounded up to 64) is at a page that faults.  Exits if
 * there is no memory. */
void *kc_memory(size_t bytes);
void kc_memory_free(void *memory);

struct kc_rows {
    size_t rows_n;
    size_t columns_n;
    size_t stride; /* floats from row to row */
};
/* True when equal bit for bit; else message names the first difference by row and column. */
bool kc_equal_bits(const float *a, const float *b, struct kc_rows rows, const char *what,
                   char *message, size_t size);

extern const struct kc_suite kc_quantize;
extern const struct kc_suite kc_gemm_q4_0, kc_gemm_q4_1, kc_gemm_q5_0, kc_gemm_q5_1, kc_gemm_q8_0,
    kc_gemm_iq4_nl, kc_gemm_q2_k, kc_gemm_q3_k, kc_gemm_q4_k, kc_gemm_q5_k, kc_gemm_q6_k,
    kc_gemm_iq4_xs;
extern const struct kc_suite kc_attention, kc_gemm_float;
extern const struct kc_suite kc_rms_norm, kc_layer_norm, kc_rope, kc_rope_halves, kc_swiglu,
    kc_gelu, kc_add, kc_argmax, kc_best, kc_logsumexp, kc_topk;

#endif
