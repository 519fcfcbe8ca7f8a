/* SPDX-License-Identifier: MIT */
#include "kernels/types.h"

#include <assert.h>
#include <string.h>

/* ---- traits ------------------------------------------------------------------------------ */

/* Every number that ggml defines or once defined. */
static const struct qr_type_traits traits[] = {
    [0] = {"F32", 1, 4, true},          [1] = {"F16", 1, 2, true},
    [2] = {"Q4_0", 32, 18, false},      [3] = {"Q4_1", 32, 20, false},
    [4] = {"Q4_2", 0, 0, false},        [5] = {"Q4_3", 0, 0, false},
    [6] = {"Q5_0", 32, 22, false},      [7] = {"Q5_1", 32, 24, false},
    [8] = {"Q8_0", 32, 34, false},      [9] = {"Q8_1", 0, 0, false},
    [10] = {"Q2_K", 256, 84, false},    [11] = {"Q3_K", 256, 110, false},
    [12] = {"Q4_K", 256, 144, false},   [13] = {"Q5_K", 256, 176, false},
    [14] = {"Q6_K", 256, 210, false},   [15] = {"Q8_K", 0, 0, false},
    [16] = {"IQ2_XXS", 0, 0, false},    [17] = {"IQ2_XS", 0, 0, false},
    [18] = {"IQ3_XXS", 0, 0, false},    [19] = {"IQ1_S", 0, 0, false},
    [20] = {"IQ4_NL", 32, 18, false},   [21] = {"IQ3_S", 0, 0, false},
    [22] = {"IQ2_S", 0, 0, false},      [23] = {"IQ4_XS", 256, 136, false},
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
        /* Subnormal: the sum with 0.5 has the value as a multiple of 2^-24 in its fraction; the
         * addition rounds it to nearest even. */
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

/* f16 d, 4 bytes of fifth bits, nibbles as in Q4_0; d * (q - 16). */
static void dequantize_q5_0(const uint8_t *src, float *dst)
{
    float d = load_f16(src);
    uint8_t q[32];
    qr_q5_quants(src + 2, q);
    for (int i = 0; i < 32; i++)
        dst[i] = d * (float)(q[i] - 16);
}

/* f16 d, f16 m, then as in Q5_0; d * q + m. */
static void dequantize_q5_1(const uint8_t *src, float *dst)
{
    float d = load_f16(src), m = load_f16(src + 2);
    uint8_t q[32];
    qr_q5_quants(src + 4, q);
    for (int i = 0; i < 32; i++)
        dst[i] = d * (float)q[i] + m;
}

/* f16 d, nibbles as in Q4_0; d * value[q]. */
static void dequantize_iq4_nl(const uint8_t *src, float *dst)
{
    float d = load_f16(src);
    for (int i = 0; i < 16; i++) {
        dst[i] = d * (float)qr_iq4_values[src[2 + i] & 15];
        dst[16 + i] = d * (float)qr_iq4_values[src[2 + i] >> 4];
    }
}

/* f16 d, int8[32]; d * q. */
static void dequantize_q8_0(const uint8_t *src, float *dst)
{
    float d = load_f16(src);
    for (int i = 0; i < 32; i++)
        dst[i] = d * (float)(int8_t)src[2 + i];
}

/* 16 bytes of 4-bit scales and minima (one for 16 values), 64 of bit pairs, f16 d, f16 dmin;
 * d * scale * q - dmin * min. */
static void dequantize_q2_k(const uint8_t *src, float *dst)
{
    float d = load_f16(src + 80), dmin = load_f16(src + 82);
    for (uint32_t sub = 0; sub < 8; sub++) {
        uint8_t q[32];
        qr_q2_k_quants(src, sub, q);
        for (uint32_t i = 0; i < 32; i++) {
            uint8_t both = src[sub * 2 + i / 16];
            dst[sub * 32 + i] = d * (float)(both & 15) * (float)q[i] - dmin * (float)(both >> 4);
        }
    }
}

/* 32 bytes of third bits, 64 of bit pairs, 12 of sixteen 6-bit scales (one for 16 values), f16 d;
 * d * scale * (q - 4). */
static void dequantize_q3_k(const uint8_t *src, float *dst)
{
    float d = load_f16(src + 108);
    for (uint32_t sub = 0; sub < 8; sub++) {
        uint8_t q[32];
        qr_q3_k_quants(src, sub, q);
        for (uint32_t i = 0; i < 32; i++) {
            float scale = (float)qr_q3_k_scale(src, sub * 2 + i / 16);
            dst[sub * 32 + i] = d * scale * (float)(q[i] - 4);
        }
    }
}

/* f16 d, f16 dmin, 12 bytes of eight 6-bit scales and minima, in Q5_K 32 bytes of fifth bits, then
 * for each 64 values 32 bytes: low nibbles the first 32, high nibbles the second;
 * d * scale * q - dmin * min. */
static void dequantize_q45_k(const uint8_t *src, float *dst,
                             void (*quants)(const uint8_t *, uint32_t, uint8_t *))
{
    float d = load_f16(src), dmin = load_f16(src + 2);
    for (uint32_t sub = 0; sub < 8; sub++) {
        uint8_t q[32], scale, min;
        quants(src, sub, q);
        qr_q4_k_scale(src + 4, sub, &scale, &min);
        float a = d * (float)scale, b = dmin * (float)min;
        for (uint32_t i = 0; i < 32; i++)
            dst[sub * 32 + i] = a * (float)q[i] - b;
    }
}

static void dequantize_q4_k(const uint8_t *src, float *dst)
{
    dequantize_q45_k(src, dst, qr_q4_k_quants);
}

static void dequantize_q5_k(const uint8_t *src, float *dst)
{
    dequantize_q45_k(src, dst, qr_q5_k_quants);
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
        for (uint32_t i = 0; i < 32; i++)
            dst[sub * 32 + i] = d * (float)scales[sub * 2 + i / 16] * (float)(q[i] - 32);
    }
}

/* f16 d, 2 bytes of the scales' upper bit pairs, 4 of their nibbles, then for each 32 values 16
 * bytes as in IQ4_NL; d * scale * value[q]. */
static void dequantize_iq4_xs(const uint8_t *src, float *dst)
{
    float d = load_f16(src);
    for (uint32_t sub = 0; sub < 8; sub++) {
        float a = d * (float)qr_iq4_xs_scale(src, sub);
        const uint8_t *both = src + 8 + sub * 16;
        for (uint32_t i = 0; i < 16; i++) {
            dst[sub * 32 + i] = a * (float)qr_iq4_values[both[i] & 15];
            dst[sub * 32 + 16 + i] = a * (float)qr_iq4_values[both[i] >> 4];
        }
    }
}

/* ---- parts of the formats ------------------------------------------------------------------ */

const int8_t qr_iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                  1,    13,   25,  38,  53,  69,  89,  113};

void qr_q5_quants(const uint8_t src[20], uint8_t q[32])
{
    for (uint32_t i = 0; i < 16; i++) {
        q[i] = (uint8_t)((src[4 + i] & 15) | (src[i / 8] >> i % 8 & 1) << 4);
        q[16 + i] = (uint8_t)(src[4 + i] >> 4 | (src[2 + i / 8] >> i % 8 & 1) << 4);
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

int8_t qr_q3_k_scale(const uint8_t *block, uint32_t i)
{
    const uint8_t *scales = block + 96;
    uint32_t low = scales[i % 8] >> i / 8 * 4 & 15u, high = scales[8 + i % 4] >> i / 4 * 2 & 3u;
    return (int8_t)((int)(low | high << 4) - 32);
}

int8_t qr_iq4_xs_scale(const uint8_t *block, uint32_t sub)
{
    uint32_t low = block[4 + sub / 2] >> sub % 2 * 4 & 15u;
    uint32_t high = block[2 + sub / 4] >> sub % 4 * 2 & 3u;
    return (int8_t)((int)(low | high << 4) - 32);
}

/* 32 bytes for each 128 values; a byte has a pair of bits for each of four sub-blocks. */
static uint32_t pair_of(const uint8_t *pairs, uint32_t sub, uint32_t i)
{
    return pairs[sub / 4 * 32 + i] >> sub % 4 * 2 & 3u;
}

void qr_q2_k_quants(const uint8_t *block, uint32_t sub, uint8_t q[32])
{
    for (uint32_t i = 0; i < 32; i++)
        q[i] = (uint8_t)pair_of(block + 16, sub, i);
}

void qr_q3_k_quants(const uint8_t *block, uint32_t sub, uint8_t q[32])
{
    for (uint32_t i = 0; i < 32; i++)
        q[i] = (uint8_t)(pair_of(block + 32, sub, i) | (block[i] >> sub & 1u) << 2);
}

void qr_q4_k_quants(const uint8_t *block, uint32_t sub, uint8_t q[32])
{
    for (uint32_t i = 0; i < 32; i++)
        q[i] = block[16 + sub / 2 * 32 + i] >> sub % 2 * 4 & 15u;
}

void qr_q5_k_quants(const uint8_t *block, uint32_t sub, uint8_t q[32])
{
    for (uint32_t i = 0; i < 32; i++) {
        uint32_t low = block[48 + sub / 2 * 32 + i] >> sub % 2 * 4 & 15u;
        q[i] = (uint8_t)(low | (block[16 + i] >> sub & 1u) << 4);
    }
}

void qr_q6_k_quants(const uint8_t *block, uint32_t sub, uint8_t q[32])
{
    /* Each half of 128 values: four groups of 32 in 64 bytes of nibbles and 32 of bit pairs. */
    const uint8_t *low = block + sub / 4 * 64 + sub % 2 * 32;
    uint32_t low_shift = sub % 4 / 2 * 4;
    for (uint32_t i = 0; i < 32; i++)
        q[i] = (uint8_t)((low[i] >> low_shift & 15) | pair_of(block + 128, sub, i) << 4);
}

/* ---- the interface ------------------------------------------------------------------------- */

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
    for (size_t i = 0; i < n; i++)
        dst[i] = qr_bf16_to_f32((uint16_t)(src[2 * i] | src[2 * i + 1] << 8));
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
    case QR_TYPE_Q5_0: block = dequantize_q5_0; break;
    case QR_TYPE_Q5_1: block = dequantize_q5_1; break;
    case QR_TYPE_Q8_0: block = dequantize_q8_0; break;
    case QR_TYPE_IQ4_NL: block = dequantize_iq4_nl; break;
    case QR_TYPE_Q2_K: block = dequantize_q2_k; break;
    case QR_TYPE_Q3_K: block = dequantize_q3_k; break;
    case QR_TYPE_Q4_K: block = dequantize_q4_k; break;
    case QR_TYPE_Q5_K: block = dequantize_q5_k; break;
    case QR_TYPE_Q6_K: block = dequantize_q6_k; break;
    case QR_TYPE_IQ4_XS: block = dequantize_iq4_xs; break;
    default: assert(!"a type with traits but no dequantizer");
    }
    const uint8_t *bytes = src;
    for (size_t i = 0; i < n; i += t->block_n, bytes += t->block_bytes)
        block(bytes, dst + i);
}
