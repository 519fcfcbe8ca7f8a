/* SPDX-License-Identifier: MIT */
#include "kernels/types.h"

#include <assert.h>
#include <string.h>

/* ---- traits ------------------------------------------------------------------------------ */

/* Every number that ggml defines or has defined; gaps are numbers never given. */
static const struct qr_type_traits traits[] = {
    [0] = {"F32", 1, 4, true},          [1] = {"F16", 1, 2, true},
    [2] = {"Q4_0", 32, 18, false},      [3] = {"Q4_1", 32, 20, false},
    [4] = {"Q4_2", 0, 0, false},        [5] = {"Q4_3", 0, 0, false},
    [6] = {"Q5_0", 0, 0, false},        [7] = {"Q5_1", 0, 0, false},
    [8] = {"Q8_0", 32, 34, false},      [9] = {"Q8_1", 0, 0, false},
    [10] = {"Q2_K", 0, 0, false},       [11] = {"Q3_K", 0, 0, false},
    [12] = {"Q4_K", 256, 144, false},   [13] = {"Q5_K", 0, 0, false},
    [14] = {"Q6_K", 256, 210, false},   [15] = {"Q8_K", 0, 0, false},
    [16] = {"IQ2_XXS", 0, 0, false},    [17] = {"IQ2_XS", 0, 0, false},
    [18] = {"IQ3_XXS", 0, 0, false},    [19] = {"IQ1_S", 0, 0, false},
    [20] = {"IQ4_NL", 0, 0, false},     [21] = {"IQ3_S", 0, 0, false},
    [22] = {"IQ2_S", 0, 0, false},      [23] = {"IQ4_XS", 0, 0, false},
    [24] = {"I8", 0, 0, false},         [25] = {"I16", 0, 0, false},
    [26] = {"I32", 0, 0, false},        [27] = {"I64", 0, 0, false},
    [28] = {"F64", 0, 0, false},        [29] = {"IQ1_M", 0, 0, false},
    [30] = {"BF16", 1, 2, true},        [31] = {"Q4_0_4_4", 0, 0, false},
    [32] = {"Q4_0_4_8", 0, 0, false},   [33] = {"Q4_0_8_8", 0, 0, false},
    [34] = {"TQ1_0", 0, 0, false},      [35] = {"TQ2_0", 0, 0, false},
    [36] = {"IQ4_NL_4_4", 0, 0, false}, [37] = {"IQ4_NL_4_8", 0, 0, false},
    [38] = {"IQ4_NL_8_8", 0, 0, false}, [39] = {"MXFP4", 0, 0, false},
    [40] = {"NVFP4", 0, 0, false},      [41] = {"Q1_0", 0, 0, false},
};
#define TRAITS_N (sizeof traits / sizeof traits[0])

const struct qr_type_traits *qr_type_traits(uint32_t type)
{
    static const struct qr_type_traits unknown = {NULL, 0, 0, false};
    return type < TRAITS_N ? &traits[type] : &unknown;
}

/* ---- numbers ----------------------------------------------------------------------------- */

static float bits_to_f32(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static uint32_t f32_to_bits(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

float qr_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    uint32_t exponent = h >> 10 & 0x1fu, fraction = h & 0x3ffu;

    if (exponent == 0) { /* zero and subnormals: fraction * 2^-24, exact */
        float magnitude = (float)fraction * 0x1p-24f;
        return bits_to_f32(sign | f32_to_bits(magnitude));
    }
    if (exponent == 31) { /* a signalling NaN becomes quiet, as in F16C */
        return bits_to_f32(sign | 0x7f800000u | fraction << 13 | (fraction ? 0x400000u : 0));
    }
    return bits_to_f32(sign | (exponent + 112) << 23 | fraction << 13);
}

uint16_t qr_f32_to_f16(float f)
{
    uint32_t bits = f32_to_bits(f);
    uint32_t sign = bits >> 16 & 0x8000u;
    uint32_t magnitude = bits & 0x7fffffffu;

    if (magnitude > 0x7f800000u) { /* NaN: quiet, upper bits kept */
        return (uint16_t)(sign | 0x7e00u | (magnitude >> 13 & 0x3ffu));
    }
    if (magnitude >= 0x477ff000u)
        return (uint16_t)(sign | 0x7c00u); /* rounds to 65,536: infinity */
    if (magnitude < 0x38800000u) {
        /* Subnormal: adding 0.5 leaves the value in units of 2^-24 in the fraction, rounded to
         * nearest even by the addition. */
        uint32_t sum = f32_to_bits(bits_to_f32(magnitude) + 0.5f);
        return (uint16_t)(sign | (sum - 0x3f000000u));
    }
    uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u);
    return (uint16_t)(sign | ((rounded >> 13) - (112u << 10)));
}

float qr_bf16_to_f32(uint16_t h)
{
    return bits_to_f32((uint32_t)h << 16);
}

uint16_t qr_f32_to_bf16(float f)
{
    uint32_t bits = f32_to_bits(f);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

/* ---- dequantising ------------------------------------------------------------------------ */

static float load_f16(const uint8_t *p)
{
    return qr_f16_to_f32((uint16_t)(p[0] | p[1] << 8));
}

/* f16 d, 16 bytes: low nibbles are values 0..15, high ones 16..31; d * (q - 8). */
static void dequantize_q4_0(const uint8_t *src, float *dst)
{
    float d = load_f16(src);
    for (int i = 0; i < 16; i++) {
        dst[i] = d * (float)((src[2 + i] & 15) - 8);
        dst[16 + i] = d * (float)((src[2 + i] >> 4) - 8);
    }
}

/* f16 d, f16 m, nibbles as in Q4_0; d * q + m. */
static void dequantize_q4_1(const uint8_t *src, float *dst)
{
    float d = load_f16(src), m = load_f16(src + 2);
    for (int i = 0; i < 16; i++) {
        dst[i] = d * (float)(src[4 + i] & 15) + m;
        dst[16 + i] = d * (float)(src[4 + i] >> 4) + m;
    }
}

/* f16 d, int8[32]; d * q. */
static void dequantize_q8_0(const uint8_t *src, float *dst)
{
    float d = load_f16(src);
    for (int i = 0; i < 32; i++)
        dst[i] = d * (float)(int8_t)src[2 + i];
}

/* f16 d, f16 dmin, 12 bytes of eight 6-bit scales and minima, then for each 64 values 32 bytes:
 * low nibbles the first 32, high nibbles the second; d * scale * q - dmin * min. */
static void dequantize_q4_k(const uint8_t *src, float *dst)
{
    float d = load_f16(src), dmin = load_f16(src + 2);
    const uint8_t *quants = src + 16;
    for (uint32_t sub = 0; sub < 8; sub++) {
        uint8_t scale, min;
        qr_q4_k_scale(src + 4, sub, &scale, &min);
        float a = d * (float)scale, b = dmin * (float)min;
        for (uint32_t i = 0; i < 32; i++) {
            uint32_t q = quants[sub / 2 * 32 + i] >> sub % 2 * 4 & 15u;
            dst[sub * 32 + i] = a * (float)q - b;
        }
    }
}

/* 128 bytes of low nibbles, 64 of upper bit pairs, int8 scales[16] (one for 16 values), f16 d;
 * d * scale * (q - 32). */
static void dequantize_q6_k(const uint8_t *src, float *dst)
{
    const int8_t *scales = (const int8_t *)src + 192;
    float d = load_f16(src + 208);
    for (uint32_t sub = 0; sub < 8; sub++) {
        uint8_t q[32];
        qr_q6_k_quants(src, sub, q);
        for (uint32_t i = 0; i < 32; i++) {
            dst[sub * 32 + i] = d * (float)scales[sub * 2 + i / 16] * (float)(q[i] - 32);
        }
    }
}

void qr_q4_k_scale(const uint8_t *scales, uint32_t sub, uint8_t *scale, uint8_t *min)
{
    if (sub < 4) {
        *scale = scales[sub] & 63;
        *min = scales[sub + 4] & 63;
    } else {
        *scale = (uint8_t)((scales[sub + 4] & 15) | scales[sub - 4] >> 6 << 4);
        *min = (uint8_t)(scales[sub + 4] >> 4 | scales[sub] >> 6 << 4);
    }
}

void qr_q6_k_quants(const uint8_t *src, uint32_t sub, uint8_t q[32])
{
    /* Each half of 128 values: four groups of 32 in 64 bytes of nibbles and 32 of bit pairs. */
    const uint8_t *low = src + sub / 4 * 64 + sub % 2 * 32;
    const uint8_t *high = src + 128 + sub / 4 * 32;
    uint32_t low_shift = sub % 4 / 2 * 4, high_shift = sub % 4 * 2;
    for (uint32_t i = 0; i < 32; i++) {
        q[i] = (uint8_t)((low[i] >> low_shift & 15) | (high[i] >> high_shift & 3) << 4);
    }
}

static void dequantize_f32(const void *src, float *dst, size_t n)
{
    memcpy(dst, src, n * sizeof *dst);
}

static void dequantize_f16(const uint8_t *src, float *dst, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = load_f16(src + 2 * i);
}

static void dequantize_bf16(const uint8_t *src, float *dst, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        dst[i] = qr_bf16_to_f32((uint16_t)(src[2 * i] | src[2 * i + 1] << 8));
    }
}

void qr_dequantize(enum qr_type type, const void *src, float *dst, size_t n)
{
    const struct qr_type_traits *t = qr_type_traits(type);
    void (*block)(const uint8_t *, float *) = NULL;

    assert(t->block_n && n % t->block_n == 0);
    switch (type) {
    case QR_TYPE_F32: dequantize_f32(src, dst, n); return;
    case QR_TYPE_F16: dequantize_f16(src, dst, n); return;
    case QR_TYPE_BF16: dequantize_bf16(src, dst, n); return;
    case QR_TYPE_Q4_0: block = dequantize_q4_0; break;
    case QR_TYPE_Q4_1: block = dequantize_q4_1; break;
    case QR_TYPE_Q8_0: block = dequantize_q8_0; break;
    case QR_TYPE_Q4_K: block = dequantize_q4_k; break;
    case QR_TYPE_Q6_K: block = dequantize_q6_k; break;
    default: assert(!"a type with traits but no dequantizer");
    }
    const uint8_t *bytes = src;
    for (size_t i = 0; i < n; i += t->block_n, bytes += t->block_bytes)
        block(bytes, dst + i);
}
