/* SPDX-License-Identifier: MIT */
/* types -- the number formats of model files and their values as floats.
 *
 * Type numbers and block formats are ggml's (ggml.h and ggml-common.h, to which the GGUF
 * specification refers).  qr_dequantize defines the value of every format; tests compare each
 * packed form with it.
 *
 * Thread: any.   Memory: the caller's. */
#ifndef QR_KERNELS_TYPES_H
#define QR_KERNELS_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum qr_type {
    QR_TYPE_F32 = 0,
    QR_TYPE_F16 = 1,
    QR_TYPE_Q4_0 = 2,
    QR_TYPE_Q4_1 = 3,
    QR_TYPE_Q5_0 = 6,
    QR_TYPE_Q5_1 = 7,
    QR_TYPE_Q8_0 = 8,
    QR_TYPE_Q2_K = 10,
    QR_TYPE_Q3_K = 11,
    QR_TYPE_Q4_K = 12,
    QR_TYPE_Q5_K = 13,
    QR_TYPE_Q6_K = 14,
    QR_TYPE_IQ4_NL = 20,
    QR_TYPE_IQ4_XS = 23,
    QR_TYPE_BF16 = 30
};

/* Types that ggml defines but quire does not support have a name and block_n 0, so that an error
 * can name them.  name is NULL for a number that ggml does not define. */
struct qr_type_traits {
    const char *name;
    uint32_t block_n; /* values in a block; 1 for floats; 0: not supported */
    uint32_t block_bytes;
    bool is_float; /* F32, F16, BF16: gemm_float.h */
};
const struct qr_type_traits *qr_type_traits(uint32_t type);

/* Converts n values at src to floats.  n is a multiple of the type's block_n; src may have any
 * alignment. */
void qr_dequantize(enum qr_type type, const void *src, float *dst, size_t n);

/* Parts of the formats, for packing.  Quants are returned as stored, with their offset.
 * src: the 4 bytes of fifth bits and 16 bytes of nibbles of Q5_0 and Q5_1. */
void qr_q5_quants(const uint8_t src[20], uint8_t q[32]);
extern const int8_t qr_iq4_values[16]; /* the codebook of IQ4_NL and IQ4_XS */

/* The quants of sub-block `sub` (0 to 7, 32 values each) of a block of 256. */
void qr_q2_k_quants(const uint8_t *block, uint32_t sub, uint8_t q[32]);
void qr_q3_k_quants(const uint8_t *block, uint32_t sub, uint8_t q[32]);
void qr_q4_k_quants(const uint8_t *block, uint32_t sub, uint8_t q[32]);
void qr_q5_k_quants(const uint8_t *block, uint32_t sub, uint8_t q[32]);
void qr_q6_k_quants(const uint8_t *block, uint32_t sub, uint8_t q[32]);
/* scales: the 12 bytes of scales and minima of Q4_K and Q5_K. */
void qr_q4_k_scale(const uint8_t *scales, uint32_t sub, uint8_t *scale, uint8_t *min);
int8_t qr_q3_k_scale(const uint8_t *block, uint32_t i); /* i: 0 to 15, 16 values each */
int8_t qr_iq4_xs_scale(const uint8_t *block, uint32_t sub);

float qr_f16_to_f32(uint16_t h);
uint16_t qr_f32_to_f16(float f); /* nearest even, as F16C rounds */
float qr_bf16_to_f32(uint16_t h);
uint16_t qr_f32_to_bf16(float f); /* nearest even; NaN stays NaN */

#endif
