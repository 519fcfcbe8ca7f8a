/* SPDX-License-Identifier: MIT */
/* x86/gemm_vnni_blocks -- a packed block of 32 k of 16 outputs as what the VNNI tile works with.
 *
 * Thread: any.   Memory: none. */
#ifndef QR_KERNELS_X86_GEMM_VNNI_BLOCKS_H
#define QR_KERNELS_X86_GEMM_VNNI_BLOCKS_H

#include <immintrin.h>

#include "kernels/gemm_layout.h"
#include "kernels/x86/unroll.h"

/* Everything of a block that does not depend on the row. */
struct block {
    __m512i w[8];     /* byte 4 c + j of w[t]: column c's k = 4 t + j, unsigned */
    __m512i scale[2]; /* Q6_K's integer scales */
    __m512 d, m;
};

INLINE __m512 load_f16(const uint8_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const void *)p));
}

INLINE __m512i load_u8(const uint8_t *p)
{
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)p));
}

INLINE __m512i load_i8(const uint8_t *p)
{
    return _mm512_cvtepi8_epi32(_mm_loadu_si128((const void *)p));
}

INLINE void load_nibbles(__m512i w[8], const uint8_t *p)
{
    const __m512i mask = _mm512_set1_epi8(15);
    UNROLL
    for (uint32_t t = 0; t < 4; t++) {
        __m512i both = _mm512_load_si512(p + 64 * t);
        w[t] = _mm512_and_si512(both, mask);
        w[4 + t] = _mm512_and_si512(_mm512_srli_epi16(both, 4), mask);
    }
}

#define A_OR_B_AND_C 0xf8 /* vpternlog's truth table */

/* The upper bit pairs of Q6_K: shifted to bits 4-5, selected, joined. */
INLINE void add_bits(__m512i w[4], __m512i bits)
{
    const __m512i mask = _mm512_set1_epi8(0x30);
    w[0] = _mm512_ternarylogic_epi32(w[0], bits, mask, A_OR_B_AND_C);
    w[1] = _mm512_ternarylogic_epi32(w[1], _mm512_srli_epi16(bits, 2), mask, A_OR_B_AND_C);
    w[2] = _mm512_ternarylogic_epi32(w[2], _mm512_slli_epi16(bits, 4), mask, A_OR_B_AND_C);
    w[3] = _mm512_ternarylogic_epi32(w[3], _mm512_slli_epi16(bits, 2), mask, A_OR_B_AND_C);
}

INLINE void load_block(struct block *out, enum qr_type type, const uint8_t *group, uint32_t b)
{
    if (type == QR_TYPE_Q4_0) {
        load_nibbles(out->w, group + QR_NIBBLE_BLOCK * b);
        out->d = load_f16(group + QR_Q4_0_D(b));
    } else if (type == QR_TYPE_Q4_1) {
        load_nibbles(out->w, group + QR_NIBBLE_BLOCK * b);
        out->d = load_f16(group + QR_Q4_1_D(b));
        out->m = load_f16(group + QR_Q4_1_M(b));
    } else if (type == QR_TYPE_Q8_0) {
        UNROLL
        for (uint32_t t = 0; t < 8; t++) {
            out->w[t] = _mm512_load_si512(group + QR_BYTE_BLOCK * b + 64 * t);
        }
        out->d = load_f16(group + QR_Q8_0_D(b));
    } else if (type == QR_TYPE_Q4_K) {
        load_nibbles(out->w, group + QR_NIBBLE_BLOCK * b);
        out->d = _mm512_mul_ps(load_f16(group + QR_Q4_K_D),
                               _mm512_cvtepi32_ps(load_u8(group + QR_Q4_K_SCALE(b))));
        out->m = _mm512_mul_ps(load_f16(group + QR_Q4_K_DMIN),
                               _mm512_cvtepi32_ps(load_u8(group + QR_Q4_K_MIN(b))));
    } else {
        const uint8_t *block = group + QR_Q6_K_BLOCK * b;
        load_nibbles(out->w, block);
        add_bits(out->w, _mm512_load_si512(block + QR_NIBBLE_BLOCK));
        add_bits(out->w + 4, _mm512_load_si512(block + QR_NIBBLE_BLOCK + 64));
        out->scale[0] = load_i8(group + QR_Q6_K_SCALE(b));
        out->scale[1] = load_i8(group + QR_Q6_K_SCALE(b) + 16);
        out->d = load_f16(group + QR_Q6_K_D);
    }
}

#endif
