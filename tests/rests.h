/* SPDX-License-Identifier: MIT */
/* rests -- what rounding the minima to bf16 changes of a product, from the file's own blocks.
 *
 * kernels/gemm_layout.h has the rule: a minimum counts as what it is beyond its offset in steps,
 * rounded to bf16, times the sum of the activations that it meets, rounded to bf16. */
#ifndef QR_TESTS_RESTS_H
#define QR_TESTS_RESTS_H

#include "kernels/types.h"

static inline float rests_f16(const uint8_t *p)
{
    return qr_f16_to_f32((uint16_t)(p[0] | p[1] << 8));
}

/* A block's minimum beyond its offset; of Q4_1 or Q5_1. */
static inline float rests_of(enum qr_type type, const uint8_t *block)
{
    const float d = rests_f16(block), m = rests_f16(block + 2);

    return m + (type == QR_TYPE_Q4_1 ? 8 : 16) * d;
}

static inline double rests_bf16(double x)
{
    return (double)qr_bf16_to_f32(qr_f32_to_bf16((float)x));
}

/* Of a file row of k weights with k activations: what is to be added to their product. */
static inline double rests_change(enum qr_type type, const uint8_t *row, const double *x,
                                  uint32_t k)
{
    const uint32_t block_bytes = qr_type_traits(type)->block_bytes;
    double change = 0;

    if (type != QR_TYPE_Q4_1 && type != QR_TYPE_Q5_1) return 0;
    for (uint32_t at = 0; at < k; at += 32, row += block_bytes) {
        double rest = (double)rests_of(type, row), sum = 0;
        for (uint32_t j = at; j < at + 32; j++)
            sum += x[j];
        change += rests_bf16(rest) * rests_bf16(sum) - rest * sum;
    }
    return change;
}

#endif
