/* SPDX-License-Identifier: MIT */
/* exponential -- 2^x and e^x in scalar: the steps that every variant repeats.
 *
 * Private to rows and attention.  A vector variant does the same steps in the same order, so that
 * its results are equal bit for bit: round to the nearest integer n, evaluate a polynomial of the
 * remainder with fma, scale by 2^n with one rounding.  Both are within 2 ulp of double over the
 * whole range (tests/kernels/test_rows.c).
 *
 * Thread: any.   Memory: none. */
#ifndef QR_KERNELS_EXPONENTIAL_H
#define QR_KERNELS_EXPONENTIAL_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* 2^f on [-1/2, 1/2].  The constant term is 1, so that 2^0 is exactly 1.  The others are the floats
 * near the minimax polynomial's coefficients with the least error in ulp. */
#define QR_EXP2_C1 0x1.62e42ap-1f
#define QR_EXP2_C2 0x1.ebf9ccp-3f
#define QR_EXP2_C3 0x1.c6b6dap-5f
#define QR_EXP2_C4 0x1.3ce674p-7f
#define QR_EXP2_C5 0x1.5bee4cp-10f

/* e^f on [-ln2/2, ln2/2], relative error 3.1e-9; the terms 1 + f are exact. */
#define QR_EXP_C2       0x1.fffffcp-2f
#define QR_EXP_C3       0x1.555492p-3f
#define QR_EXP_C4       0x1.5558f2p-5f
#define QR_EXP_C5       0x1.1239e2p-7f
#define QR_EXP_C6       0x1.6a2434p-10f
#define QR_EXP_LOG2E    0x1.715476p+0f
#define QR_EXP_LN2_HIGH 0x1.62e4p-1f /* 15 bits, so that its product with n is exact */
#define QR_EXP_LN2_LOW  0x1.7f7d1cp-20f

/* x is clamped to these limits: beyond them the result is 0 or infinity, and n still fits the two
 * steps of the scaling. */
#define QR_EXP2_LIMIT 250.0f
#define QR_EXP_LIMIT  150.0f

/* x + 1.5 * 2^23 - 1.5 * 2^23 is x rounded to the nearest integer, ties to even, for |x| < 2^22. */
#define QR_ROUND_MAGIC 0x1.8p23f

static inline float qr_power_of_two(int n) /* n in [-126, 127] */
{
    uint32_t bits = (uint32_t)(n + 127) << 23;
    float f;

    memcpy(&f, &bits, sizeof f);
    return f;
}

/* v 2^n, rounded once: for v in [1/2, 2] the first product is exact. */
static inline float qr_scale_by_power(float v, int n)
{
    int half = n >> 1;

    return v * qr_power_of_two(half) * qr_power_of_two(n - half);
}

static inline float qr_clamp(float x, float limit) /* NaN stays NaN */
{
    x = x < -limit ? -limit : x;
    return x > limit ? limit : x;
}

static inline float qr_exp2(float x)
{
    float n, f, p;

    x = qr_clamp(x, QR_EXP2_LIMIT);
    if (x != x) return x;
    n = (x + QR_ROUND_MAGIC) - QR_ROUND_MAGIC;
    f = x - n;
    p = fmaf(QR_EXP2_C5, f, QR_EXP2_C4);
    p = fmaf(p, f, QR_EXP2_C3);
    p = fmaf(p, f, QR_EXP2_C2);
    p = fmaf(p, f, QR_EXP2_C1);
    p = fmaf(p, f, 1.0f);
    return qr_scale_by_power(p, (int)n);
}

static inline float qr_exp(float x)
{
    float n, f, p;

    x = qr_clamp(x, QR_EXP_LIMIT);
    if (x != x) return x;
    n = (x * QR_EXP_LOG2E + QR_ROUND_MAGIC) - QR_ROUND_MAGIC;
    f = fmaf(-n, QR_EXP_LN2_HIGH, x);
    f = fmaf(-n, QR_EXP_LN2_LOW, f);
    p = fmaf(QR_EXP_C6, f, QR_EXP_C5);
    p = fmaf(p, f, QR_EXP_C4);
    p = fmaf(p, f, QR_EXP_C3);
    p = fmaf(p, f, QR_EXP_C2);
    p = fmaf(p, f, 1.0f);
    p = fmaf(p, f, 1.0f);
    return qr_scale_by_power(p, (int)n);
}

#endif
