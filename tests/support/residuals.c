/* SPDX-License-Identifier: MIT */
#include "support/residuals.h"

static float f16(const uint8_t *p)
{
    return qr_f16_to_f32((uint16_t)(p[0] | p[1] << 8));
}

/* A block's minimum minus its fixed offset; the type is Q4_1 or Q5_1. */
static float residual(enum qr_type type, const uint8_t *block)
{
    const float d = f16(block), m = f16(block + 2);

    return m + (type == QR_TYPE_Q4_1 ? 8 : 16) * d;
}

static double round_bf16(double x)
{
    return (double)qr_bf16_to_f32(qr_f32_to_bf16((float)x));
}

double residuals_change(enum qr_type type, const uint8_t *row, const double *x, uint32_t k)
{
    const uint32_t block_bytes = qr_type_traits(type)->block_bytes;
    double change = 0;

    if (type != QR_TYPE_Q4_1 && type != QR_TYPE_Q5_1) return 0;
    for (uint32_t at = 0; at < k; at += 32, row += block_bytes) {
        double minimum = (double)residual(type, row), sum = 0;
        for (uint32_t j = at; j < at + 32; j++)
            sum += x[j];
        change += round_bf16(minimum) * round_bf16(sum) - minimum * sum;
    }
    return change;
}
