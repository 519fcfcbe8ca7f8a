/* SPDX-License-Identifier: MIT */
/* x86/gemm_vnni_blocks -- unpacks a block of 32 k of 16 outputs for the VNNI tile.
 *
 * vpdpbusd needs unsigned weights, so signed ones carry an offset.  The start of a row's sum
 * cancels it (start_of).
 *
 * Dots, products and fma use the same ports of the core, and these ports are the limit.  Loads,
 * shifts, logic, shuffles and additions use others and cost nothing.  So a codebook is looked up by
 * a shuffle.  In Q2_K and Q3_K a quant times its half's integer scale fits a byte, so a shuffle
 * looks up that product too, once for all rows.  With few rows it is cheaper to scale the two half
 * sums of each row.  Q6_K has a float scale for each half.
 *
 * Thread: any.   Memory: none. */
#ifndef QR_KERNELS_X86_GEMM_VNNI_BLOCKS_H
#define QR_KERNELS_X86_GEMM_VNNI_BLOCKS_H

#include <immintrin.h>

#include "kernels/gemm_layout.h"
#include "kernels/x86/unroll.h"

/* An unpacked block. */
struct unpacked_block {
    __m512i w[8];     /* byte 4 c + j of w[t]: column c's k = 4 t + j, unsigned */
    __m512i scale[2]; /* the halves' integer scales, if they are not in w */
    __m512 d[2];      /* d[0] of all k, or one of each half */
    __m512 m[2];      /* K-quants: m[0] is the minimum; Q2_K: see load_q2_k */
};

/* The block's scales times each of the four 1 + j / 4 (qr_act_scale). */
struct scale_products {
    float d[2][QR_ACT_SCALES][QR_PANEL_N] __attribute__((aligned(64)));
    float m[QR_ACT_SCALES][QR_PANEL_N] __attribute__((aligned(64))); /* of Q2_K: m[0] */
};

/* Up to this many rows, scaling half sums is cheaper than unpacking weights with scales. */
#define FEW_ROWS 4u

/* From this many rows on, struct scale_products is used. */
#define TABLED_ROWS_MIN 5u

/* ---- scales --------------------------------------------------------------------------------- */

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

INLINE __m512 f16_times(const uint8_t *f16, __m512i integers)
{
    return _mm512_mul_ps(load_f16(f16), _mm512_cvtepi32_ps(integers));
}

/* ---- weights -------------------------------------------------------------------------------- */

#define A_OR_B_AND_C 0xf8 /* vpternlog's truth tables */
#define A_AND_B_OR_C 0xea

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

/* Joins Q6_K's upper bit pairs to the nibbles, at bits 4-5. */
INLINE void add_bits(__m512i w[4], __m512i bits)
{
    const __m512i mask = _mm512_set1_epi8(0x30);
    w[0] = _mm512_ternarylogic_epi32(w[0], bits, mask, A_OR_B_AND_C);
    w[1] = _mm512_ternarylogic_epi32(w[1], _mm512_srli_epi16(bits, 2), mask, A_OR_B_AND_C);
    w[2] = _mm512_ternarylogic_epi32(w[2], _mm512_slli_epi16(bits, 4), mask, A_OR_B_AND_C);
    w[3] = _mm512_ternarylogic_epi32(w[3], _mm512_slli_epi16(bits, 2), mask, A_OR_B_AND_C);
}

/* Nibbles, joined with the plane's bits at bit 4. */
INLINE void load_5_bits(__m512i w[8], const uint8_t *p)
{
    const __m512i mask = _mm512_set1_epi8(0x10);
    __m512i plane = _mm512_load_si512(p + QR_NIBBLE_BLOCK);
    load_nibbles(w, p);
    w[0] = _mm512_ternarylogic_epi32(w[0], _mm512_slli_epi16(plane, 4), mask, A_OR_B_AND_C);
    w[1] = _mm512_ternarylogic_epi32(w[1], _mm512_slli_epi16(plane, 3), mask, A_OR_B_AND_C);
    w[2] = _mm512_ternarylogic_epi32(w[2], _mm512_slli_epi16(plane, 2), mask, A_OR_B_AND_C);
    w[3] = _mm512_ternarylogic_epi32(w[3], _mm512_slli_epi16(plane, 1), mask, A_OR_B_AND_C);
    w[4] = _mm512_ternarylogic_epi32(w[4], plane, mask, A_OR_B_AND_C);
    w[5] = _mm512_ternarylogic_epi32(w[5], _mm512_srli_epi16(plane, 1), mask, A_OR_B_AND_C);
    w[6] = _mm512_ternarylogic_epi32(w[6], _mm512_srli_epi16(plane, 2), mask, A_OR_B_AND_C);
    w[7] = _mm512_ternarylogic_epi32(w[7], _mm512_srli_epi16(plane, 3), mask, A_OR_B_AND_C);
}

/* The codebook's values + 128. */
INLINE void load_values(__m512i w[8], const uint8_t *p)
{
    __m128i values = _mm_loadu_si128((const void *)qr_iq4_values);
    __m512i table = _mm512_broadcast_i32x4(_mm_xor_si128(values, _mm_set1_epi8((char)0x80)));
    load_nibbles(w, p);
    UNROLL
    for (uint32_t t = 0; t < 8; t++)
        w[t] = _mm512_shuffle_epi8(table, w[t]);
}

/* Copies the low byte of each column's 32 bits to the other three. */
INLINE __m512i four_times(__m512i scales)
{
    return _mm512_shuffle_epi8(scales, _mm512_broadcast_i32x4(_mm_setr_epi8(
                                           0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12)));
}

/* For each column four bytes: 0, 1, 2 and 3 times its scale, modulo 256. */
INLINE __m512i multiples_of(__m512i scale)
{
    __m512i once = _mm512_and_si512(scale, _mm512_set1_epi32((int)0xff00ff00));
    __m512i twice =
        _mm512_and_si512(_mm512_add_epi8(scale, scale), _mm512_set1_epi32((int)0xffff0000));
    return _mm512_add_epi8(once, twice);
}

/* Bit pairs, each joined with the upper six bits of the byte in `upper`. */
INLINE void load_pairs(__m512i w[4], const uint8_t *p, __m512i upper)
{
    const __m512i mask = _mm512_set1_epi8(3);
    __m512i pairs = _mm512_load_si512(p);
    w[0] = _mm512_ternarylogic_epi32(pairs, mask, upper, A_AND_B_OR_C);
    w[1] = _mm512_ternarylogic_epi32(_mm512_srli_epi16(pairs, 2), mask, upper, A_AND_B_OR_C);
    w[2] = _mm512_ternarylogic_epi32(_mm512_srli_epi16(pairs, 4), mask, upper, A_AND_B_OR_C);
    w[3] = _mm512_ternarylogic_epi32(_mm512_srli_epi16(pairs, 6), mask, upper, A_AND_B_OR_C);
}

/* Looks up bit pairs in a table of four bytes a column. */
INLINE void load_pairs_through(__m512i w[4], const uint8_t *p, __m512i table)
{
    const __m512i column = /* the index of its bytes in their 16 */
        _mm512_set4_epi32(0x0c0c0c0c, 0x08080808, 0x04040404, 0);
    load_pairs(w, p, column);
    UNROLL
    for (uint32_t t = 0; t < 4; t++)
        w[t] = _mm512_shuffle_epi8(table, w[t]);
}

/* ---- K-quants with a scale for each half ---------------------------------------------------- */

/* Whether the tile scales each row's half sums; if not, the unpacked weights include the scales. */
INLINE bool scales_half_sums(enum qr_type type, uint32_t rows_n)
{
    return (type == QR_TYPE_Q2_K || type == QR_TYPE_Q3_K) && rows_n <= FEW_ROWS;
}

/* Whether each half has a float scale. */
INLINE bool has_two_scales(enum qr_type type)
{
    return type == QR_TYPE_Q6_K;
}

/* half_sums: w is q; otherwise scale * q, 0 to 45. */
INLINE void load_q2_k(struct unpacked_block *out, const uint8_t *group, uint32_t b, bool half_sums)
{
    UNROLL
    for (uint32_t half = 0; half < 2; half++) {
        const uint8_t *pairs = group + QR_PAIRS_BLOCK * b + 64 * half;
        __m512i both = load_u8(group + QR_Q2_K_BOTH(b) + 16 * half);
        out->scale[half] = _mm512_and_si512(both, _mm512_set1_epi32(15));
        if (half_sums)
            load_pairs(out->w + 4 * half, pairs, _mm512_setzero_si512());
        else
            load_pairs_through(out->w + 4 * half, pairs,
                               multiples_of(four_times(out->scale[half])));
        out->m[half] = f16_times(group + QR_Q2_K_DMIN, _mm512_srli_epi32(both, 4));
    }
    /* the first minimum less the second, over 32: start_32[0] is -32 times the half's sum */
    out->m[0] = _mm512_mul_ps(_mm512_sub_ps(out->m[0], out->m[1]), _mm512_set1_ps(0x1p-5f));
    out->d[0] = load_f16(group + QR_Q2_K_D);
}

/* Joins Q3_K's third bits to the pairs. */
INLINE void add_third_bits(__m512i w[8], __m512i plane)
{
    const __m512i mask = _mm512_set1_epi8(4);
    w[0] = _mm512_ternarylogic_epi32(w[0], _mm512_slli_epi16(plane, 2), mask, A_OR_B_AND_C);
    w[1] = _mm512_ternarylogic_epi32(w[1], _mm512_slli_epi16(plane, 1), mask, A_OR_B_AND_C);
    w[2] = _mm512_ternarylogic_epi32(w[2], plane, mask, A_OR_B_AND_C);
    w[3] = _mm512_ternarylogic_epi32(w[3], _mm512_srli_epi16(plane, 1), mask, A_OR_B_AND_C);
    w[4] = _mm512_ternarylogic_epi32(w[4], _mm512_srli_epi16(plane, 2), mask, A_OR_B_AND_C);
    w[5] = _mm512_ternarylogic_epi32(w[5], _mm512_srli_epi16(plane, 3), mask, A_OR_B_AND_C);
    w[6] = _mm512_ternarylogic_epi32(w[6], _mm512_srli_epi16(plane, 4), mask, A_OR_B_AND_C);
    w[7] = _mm512_ternarylogic_epi32(w[7], _mm512_srli_epi16(plane, 5), mask, A_OR_B_AND_C);
}

/* Adds four[t / 4] to the bytes of w[t] whose third bit is set. */
INLINE void add_where_third_bit(__m512i w[8], __m512i plane, const __m512i four[2])
{
#define ADD(t, at_top)                                                                             \
    w[t] = _mm512_mask_add_epi8(w[t], _mm512_movepi8_mask(at_top), w[t], four[(t) / 4]);
    ADD(0, _mm512_slli_epi16(plane, 7))
    ADD(1, _mm512_slli_epi16(plane, 6))
    ADD(2, _mm512_slli_epi16(plane, 5))
    ADD(3, _mm512_slli_epi16(plane, 4))
    ADD(4, _mm512_slli_epi16(plane, 3))
    ADD(5, _mm512_slli_epi16(plane, 2))
    ADD(6, _mm512_slli_epi16(plane, 1))
    ADD(7, plane)
#undef ADD
}

/* half_sums: w is q.  Otherwise w is scale * (q - 4) + 124, from 0 (31 * -4) to 252 (-32 * -4): the
 * table has it for the two low bits, and a set third bit adds 4 * scale. */
INLINE void load_q3_k(struct unpacked_block *out, const uint8_t *group, uint32_t b, bool half_sums)
{
    const uint8_t *block = group + QR_Q3_K_BLOCK * b;
    __m512i plane = _mm512_load_si512(block + QR_PAIRS_BLOCK), four[2];
    UNROLL
    for (uint32_t half = 0; half < 2; half++) {
        out->scale[half] = load_i8(group + QR_Q3_K_SCALE(b) + 16 * half);
        if (half_sums) {
            load_pairs(out->w + 4 * half, block + 64 * half, _mm512_setzero_si512());
            continue;
        }
        __m512i scale = four_times(out->scale[half]);
        __m512i twice = _mm512_add_epi8(scale, scale);
        four[half] = _mm512_add_epi8(twice, twice);
        __m512i lowest = _mm512_sub_epi8(_mm512_set1_epi8(124), four[half]);
        load_pairs_through(out->w + 4 * half, block + 64 * half,
                           _mm512_add_epi8(multiples_of(scale), lowest));
    }
    if (half_sums)
        add_third_bits(out->w, plane);
    else
        add_where_third_bit(out->w, plane, four);
    out->d[0] = load_f16(group + QR_Q3_K_D);
}

INLINE void load_q6_k(struct unpacked_block *out, const uint8_t *group, uint32_t b)
{
    const uint8_t *block = group + QR_Q6_K_BLOCK * b;
    load_nibbles(out->w, block);
    add_bits(out->w, _mm512_load_si512(block + QR_NIBBLE_BLOCK));
    add_bits(out->w + 4, _mm512_load_si512(block + QR_NIBBLE_BLOCK + 64));
    out->d[0] = f16_times(group + QR_Q6_K_D, load_i8(group + QR_Q6_K_SCALE(b)));
    out->d[1] = f16_times(group + QR_Q6_K_D, load_i8(group + QR_Q6_K_SCALE(b) + 16));
}

/* ---- any type ------------------------------------------------------------------------------- */

INLINE void load_bytes(__m512i w[8], const uint8_t *p)
{
    UNROLL
    for (uint32_t t = 0; t < 8; t++)
        w[t] = _mm512_load_si512(p + 64 * t);
}

INLINE void load_block(struct unpacked_block *out, enum qr_type type, uint32_t rows_n,
                       const uint8_t *group, uint32_t b)
{
    const bool half_sums = scales_half_sums(type, rows_n);
    switch (type) {
    case QR_TYPE_Q4_0:
        load_nibbles(out->w, group + QR_NIBBLE_BLOCK * b);
        out->d[0] = load_f16(group + QR_Q4_0_D(b));
        break;
    case QR_TYPE_Q4_1:
        load_nibbles(out->w, group + QR_NIBBLE_BLOCK * b);
        out->d[0] = load_f16(group + QR_Q4_1_D(b));
        break;
    case QR_TYPE_Q5_0:
        load_5_bits(out->w, group + QR_Q5_BLOCK * b);
        out->d[0] = load_f16(group + QR_Q5_0_D(b));
        break;
    case QR_TYPE_Q5_1:
        load_5_bits(out->w, group + QR_Q5_BLOCK * b);
        out->d[0] = load_f16(group + QR_Q5_1_D(b));
        break;
    case QR_TYPE_Q8_0:
        load_bytes(out->w, group + QR_BYTE_BLOCK * b);
        out->d[0] = load_f16(group + QR_Q8_0_D(b));
        break;
    case QR_TYPE_IQ4_NL:
        load_values(out->w, group + QR_NIBBLE_BLOCK * b);
        out->d[0] = load_f16(group + QR_IQ4_NL_D(b));
        break;
    case QR_TYPE_Q2_K: load_q2_k(out, group, b, half_sums); break;
    case QR_TYPE_Q3_K: load_q3_k(out, group, b, half_sums); break;
    case QR_TYPE_Q4_K:
        load_nibbles(out->w, group + QR_NIBBLE_BLOCK * b);
        out->d[0] = f16_times(group + QR_Q4_K_D, load_u8(group + QR_Q4_K_SCALE(b)));
        out->m[0] = f16_times(group + QR_Q4_K_DMIN, load_u8(group + QR_Q4_K_MIN(b)));
        break;
    case QR_TYPE_Q5_K:
        load_5_bits(out->w, group + QR_Q5_BLOCK * b);
        out->d[0] = f16_times(group + QR_Q5_K_D, load_u8(group + QR_Q5_K_SCALE(b)));
        out->m[0] = f16_times(group + QR_Q5_K_DMIN, load_u8(group + QR_Q5_K_MIN(b)));
        break;
    case QR_TYPE_Q6_K: load_q6_k(out, group, b); break;
    case QR_TYPE_IQ4_XS:
        load_values(out->w, group + QR_NIBBLE_BLOCK * b);
        out->d[0] = f16_times(group + QR_IQ4_XS_D, load_i8(group + QR_IQ4_XS_SCALE(b)));
        break;
    default: __builtin_unreachable(); /* the GEMM files have no other types */
    }
}

/* The products are exact: d has 11 bits, in K-quants up to 18, and 1 + j / 4 has 3. */
INLINE void multiply_scales(float out[QR_ACT_SCALES][QR_PANEL_N], __m512 d)
{
    _mm512_store_ps(out[0], d);
    _mm512_store_ps(out[1], _mm512_mul_ps(d, _mm512_set1_ps(1.25f)));
    _mm512_store_ps(out[2], _mm512_mul_ps(d, _mm512_set1_ps(1.5f)));
    _mm512_store_ps(out[3], _mm512_mul_ps(d, _mm512_set1_ps(1.75f)));
}

INLINE __m512i magic_bits(const struct qr_act_row *a)
{
    return _mm512_castps_si512(_mm512_set1_ps(a->magic));
}

/* The start of a sum that cancels the weights' unsigned offset. */
INLINE __m512i offset_of(enum qr_type type, const struct qr_act_row *a)
{
    const __m512i start_8 = _mm512_set1_epi32(a->start_8);
    switch (type) {
    case QR_TYPE_Q4_0:
    case QR_TYPE_Q4_1: return start_8;
    case QR_TYPE_Q5_0:
    case QR_TYPE_Q5_1: return _mm512_slli_epi32(start_8, 1); /* 16 */
    case QR_TYPE_Q3_K:                                       /* 128 - 4 */
        return _mm512_sub_epi32(_mm512_slli_epi32(start_8, 4), _mm512_srai_epi32(start_8, 1));
    case QR_TYPE_Q8_0:
    case QR_TYPE_IQ4_NL:
    case QR_TYPE_IQ4_XS: return _mm512_slli_epi32(start_8, 4); /* 128 */
    default: return _mm512_setzero_si512();
    }
}

/* The start of a row's integer sum.  tabled: with a->magic in it. */
INLINE __m512i start_of(enum qr_type type, bool tabled, const struct qr_act_row *a)
{
    if (!tabled) return offset_of(type, a);
    /* the sum of both is in memory, so that magic occupies no register during the dots */
    if (type == QR_TYPE_Q4_0 || type == QR_TYPE_Q4_1) return _mm512_set1_epi32(a->magic_8);
    return _mm512_add_epi32(magic_bits(a), offset_of(type, a));
}

/* The same for the sum of a half. */
INLINE __m512i half_start_of(enum qr_type type, bool tabled, const struct qr_act_row *a,
                             uint32_t half)
{
    __m512i start = _mm512_set1_epi32(a->start_32[half]);
    if (type == QR_TYPE_Q2_K) return _mm512_setzero_si512();
    if (type == QR_TYPE_Q3_K) return _mm512_srai_epi32(start, 3);
    return tabled ? _mm512_add_epi32(start, magic_bits(a)) : start;
}

#endif
