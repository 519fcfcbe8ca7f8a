/* SPDX-License-Identifier: MIT */
/* types -- how numbers are stored in model files, and what they mean as floats.
 *
 * Numbers and block formats are ggml's (ggml.h, ggml-common.h, as the GGUF specification refers to
 * them).  Dequantising is the meaning of a type: every packed form is held against it.
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

/* name: "Q4_1", or NULL for a number that ggml does not define; known names without support have
 * block_n 0, so that a refusal can say what it refuses. */
struct qr_type_traits {
    const char *name;
    uint32_t block_n; /* values in a block; 1 for floats; 0: not supported */
    uint32_t block_bytes;
    bool is_float; /* F32, F16, BF16: meets float activations (gemm_float.h) */
};
const struct qr_type_traits *qr_type_traits(uint32_t type);

/* n values, a multiple of the type's block_n, from src (any alignment) to floats.  Scalar. */
void qr_dequantize(enum qr_type type, const void *src, float *dst, size_t n);

/* Parts of the formats, for the packer.  Quants come as they are stored, no offset taken off.
 * src: Q5_0's and Q5_1's 4 bytes of fifth bits and 16 of nibbles. */
void qr_q5_quants(const uint8_t src[20], uint8_t q[32]);
extern const int8_t qr_iq4_values[16]; /* what the quants of IQ4_NL and IQ4_XS stand for */

/* Of a block of 256: the quants of sub-block `sub` (of 8, 32 values each). */
void qr_q2_k_quants(const uint8_t *block, uint32_t sub, uint8_t q[32]);
void qr_q3_k_quants(const uint8_t *block, uint32_t sub, uint8_t q[32]);
void qr_q4_k_quants(const uint8_t *block, uint32_t sub, uint8_t q[32]);
void qr_q5_k_quants(const uint8_t *block, uint32_t sub, uint8_t q[32]);
void qr_q6_k_quants(const uint8_t *block, uint32_t sub, uint8_t q[32]);
/* scales: Q4_K's and Q5_K's 12 bytes. */
void qr_q4_k_scale(const uint8_t *scales, uint32_t sub, uint8_t *scale, uint8_t *min);
int8_t qr_q3_k_scale(const uint8_t *block, uint32_t i); /* of 16, each of 16 values */
int8_t qr_iq4_xs_scale(const uint8_t *block, uint32_t sub);

float qr_f16_to_f32(uint16_t h);
uint16_t qr_f32_to_f16(float f); /* nearest even, as F16C rounds */
float qr_bf16_to_f32(uint16_t h);
uint16_t qr_f32_to_bf16(float f); /* nearest even; NaN stays NaN */

#endif
