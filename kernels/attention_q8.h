/* SPDX-License-Identifier: MIT */
/* attention_q8 -- int8 keys, values and queries: how floats are quantised, and the layout of int8
 * panels.
 *
 * Private to attention.  A vector (a head's key, value or scaled query) has one scale.  With amax
 * its greatest |x|:
 *     a quant is x * (127 / amax) rounded to nearest even, the scale is amax / 127;
 *     amax < QR_Q8_AMAX_MIN: all quants and the scale are 0;
 *     infinity or NaN in the vector: all quants are 0 and the scale is NaN, so that every result
 *     that uses the vector is NaN.
 *
 *     a panel of K, dots over 4 d at once         a panel of V
 *     uint8 [head_dim / 4][16 tokens][4 d]        int8 [16 tokens][head_dim]
 *     float scale[16 tokens]                      float scale[16 tokens]
 *
 * A stored byte of K is its quant + 128: vpdpbusd multiplies unsigned by signed bytes.
 *
 * Thread: any.   Memory: the caller's. */
#ifndef QR_KERNELS_ATTENTION_Q8_H
#define QR_KERNELS_ATTENTION_Q8_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/attention.h"

#define QR_Q8_AMAX_MIN   0x1p-100f /* 127 / amax and amax / 127 are normal floats */
#define QR_Q8_KEY_RAISE  128       /* stored keys are unsigned */
#define QR_F32_INF_BITS  0x7f800000u
#define QR_F32_MAGNITUDE 0x7fffffffu

/* Writes n quants to out and their sum to *sum (sum may be NULL).  Returns the scale. */
static inline float qr_q8_quantize(const float *x, uint32_t n, int8_t *out, int32_t *sum)
{
    uint32_t most = 0; /* magnitudes compare as their bits do, NaN above infinity */
    float amax, inverse;
    int32_t total = 0;

    for (uint32_t i = 0; i < n; i++) {
        uint32_t bits;

        memcpy(&bits, &x[i], sizeof bits);
        bits &= QR_F32_MAGNITUDE;
        most = bits > most ? bits : most;
    }
    memcpy(&amax, &most, sizeof amax);
    if (most >= QR_F32_INF_BITS || amax < QR_Q8_AMAX_MIN) {
        memset(out, 0, n);
        if (sum) *sum = 0;
        return most >= QR_F32_INF_BITS ? NAN : 0.0f;
    }
    inverse = 127.0f / amax;
    for (uint32_t i = 0; i < n; i++) {
        out[i] = (int8_t)lrintf(x[i] * inverse);
        total += out[i];
    }
    if (sum) *sum = total;
    return amax / 127.0f;
}

/* The byte of value d of token `lane` in a panel of K. */
static inline size_t qr_q8_key_at(uint32_t d, uint32_t lane)
{
    return (size_t)(d / 4) * QR_KV_PANEL * 4 + (size_t)lane * 4 + d % 4;
}

/* The offset of the scales in a panel of K or V. */
static inline size_t qr_q8_scales_at(uint32_t head_dim)
{
    return (size_t)head_dim * QR_KV_PANEL;
}

static inline float qr_q8_scale(const uint8_t *panel, uint32_t head_dim, uint32_t lane)
{
    float scale;

    memcpy(&scale, panel + qr_q8_scales_at(head_dim) + lane * sizeof scale, sizeof scale);
    return scale;
}

#endif
