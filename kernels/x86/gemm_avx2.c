/* SPDX-License-Identifier: MIT */
#include <immintrin.h>
#include <string.h>

#include "kernels/x86/gemm.h"
#include "kernels/x86/gemm_tiles.h"

/* A vector is half a panel, 8 columns.  vpmaddubsw multiplies unsigned weights by signed
 * activations and adds pairs of products in 16-bit lanes, with saturation.  So sums in 16 bits must
 * be bounded; |activation| is at most 127: 4 bits: 16 products of at most 15 * 127 are 30,480: a
 * whole block fits; 5 bits: 8 products of at most 31 * 127 are 31,496: half a block fits; 6 bits: 4
 * products of at most 63 * 127 are 32,004: two instructions fit; 8 bits: two products may be
 * 64,770, so the byte is split into two nibbles; 2 and 3 bits, with a scale for each half: 8
 * products of at most 7 * 127 and the start are at most 15,240; vpmaddwd then multiplies by the
 * scale and adds the lanes of each pair. */

#define HALF_N 8u

/* ---- one block of 32 k of 8 outputs --------------------------------------------------------- */

/* Integer sums of up to 4 rows with a half block. */
struct half_sums {
    __m256i sum[4];    /* [row] */
    __m256i second[4]; /* [row], of the last 16 k, if these have a scale of their own */
};

INLINE __m256i load(const uint8_t *p)
{
    return _mm256_load_si256((const void *)p);
}

INLINE __m256 load_f16(const uint8_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const void *)p));
}

INLINE __m256i low_nibbles(__m256i both)
{
    return _mm256_and_si256(both, _mm256_set1_epi8(15));
}

INLINE __m256i high_nibbles(__m256i both)
{
    return low_nibbles(_mm256_srli_epi16(both, 4));
}

INLINE __m256i four_k(const struct qr_act_row *a, uint32_t t)
{
    int32_t word;
    memcpy(&word, a->q + 4 * t, sizeof word);
    return _mm256_set1_epi32(word);
}

INLINE __m256i widen(__m256i pairs)
{
    return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

INLINE void sum_nibbles(struct half_sums *out, enum qr_type type, uint32_t rows_n,
                        const uint8_t *block, const struct qr_act_row *a)
{
    __m256i sum[4];
    UNROLL
    for (uint32_t t = 0; t < 4; t++) {
        __m256i both = load(block + 64 * t), low = low_nibbles(both), high = high_nibbles(both);
        UNROLL
        for (uint32_t r = 0; r < rows_n; r++) {
            __m256i first = _mm256_maddubs_epi16(low, four_k(a + r, t));
            __m256i second = _mm256_maddubs_epi16(high, four_k(a + r, 4 + t));
            sum[r] = t ? _mm256_add_epi16(sum[r], first) : first;
            KEEP(sum[r]);
            sum[r] = _mm256_add_epi16(sum[r], second);
            KEEP(sum[r]);
        }
    }
    UNROLL
    for (uint32_t r = 0; r < rows_n; r++) {
        out->sum[r] = widen(sum[r]);
        if (type == QR_TYPE_Q4_0 || type == QR_TYPE_Q4_1)
            out->sum[r] = _mm256_add_epi32(out->sum[r], _mm256_set1_epi32(a[r].start_8));
    }
}

/* Moves bit `from` of each byte to bit `to` and clears the others. */
INLINE __m256i bit_at(__m256i bytes, uint32_t from, uint32_t to)
{
    const __m256i mask = _mm256_set1_epi8((char)(1 << to));
    const __m128i up = _mm_cvtsi32_si128((int)(to - from)),
                  down = _mm_cvtsi32_si128((int)(from - to));
    if (from < to) bytes = _mm256_sll_epi16(bytes, up);
    if (from > to) bytes = _mm256_srl_epi16(bytes, down);
    return _mm256_and_si256(bytes, mask);
}

INLINE void sum_5_bits(struct half_sums *out, enum qr_type type, uint32_t rows_n,
                       const uint8_t *block, const struct qr_act_row *a)
{
    __m256i plane = load(block + QR_NIBBLE_BLOCK);
    UNROLL
    for (uint32_t half = 0; half < 2; half++) {
        __m256i sum[4];
        UNROLL
        for (uint32_t t = 0; t < 4; t++) {
            __m256i both = load(block + 64 * t), w = half ? high_nibbles(both) : low_nibbles(both);
            w = _mm256_or_si256(w, bit_at(plane, 4 * half + t, 4));
            UNROLL
            for (uint32_t r = 0; r < rows_n; r++) {
                __m256i pairs = _mm256_maddubs_epi16(w, four_k(a + r, 4 * half + t));
                sum[r] = t ? _mm256_add_epi16(sum[r], pairs) : pairs;
                KEEP(sum[r]);
            }
        }
        UNROLL
        for (uint32_t r = 0; r < rows_n; r++) {
            __m256i wide = widen(sum[r]);
            if (half)
                wide = _mm256_add_epi32(wide, out->sum[r]);
            else if (type == QR_TYPE_Q5_0 || type == QR_TYPE_Q5_1)
                wide = _mm256_add_epi32(wide, _mm256_set1_epi32(2 * a[r].start_8));
            out->sum[r] = wide;
            KEEP(out->sum[r]);
        }
    }
}

/* A line's bytes as two nibbles, for 4 k.  Q8_0: of the stored byte; IQ4: of the codebook's value
 * + 128, with lines 0 to 3 in the low nibbles and 4 to 7 in the high ones. */
struct digits {
    __m256i low, high;
};

INLINE __m256i lookup(__m128i table, __m256i indices)
{
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), indices);
}

INLINE struct digits digits_of(enum qr_type type, const uint8_t *block, uint32_t t)
{
    if (type == QR_TYPE_Q8_0) {
        __m256i both = load(block + 64 * t);
        return (struct digits){low_nibbles(both), high_nibbles(both)};
    }
    const __m128i nibble = _mm_set1_epi8(15);
    __m128i values = _mm_loadu_si128((const void *)qr_iq4_values);
    values = _mm_xor_si128(values, _mm_set1_epi8((char)0x80));
    __m256i both = load(block + 64 * (t % 4)),
            index = t < 4 ? low_nibbles(both) : high_nibbles(both);
    return (struct digits){
        lookup(_mm_and_si128(values, nibble), index),
        lookup(_mm_and_si128(_mm_srli_epi16(values, 4), nibble), index),
    };
}

INLINE void sum_bytes(struct half_sums *out, enum qr_type type, uint32_t rows_n,
                      const uint8_t *block, const struct qr_act_row *a)
{
    __m256i low_sum[4], high_sum[4];
    UNROLL
    for (uint32_t t = 0; t < 8; t++) {
        struct digits w = digits_of(type, block, t);
        UNROLL
        for (uint32_t r = 0; r < rows_n; r++) {
            __m256i first = _mm256_maddubs_epi16(w.low, four_k(a + r, t));
            __m256i second = _mm256_maddubs_epi16(w.high, four_k(a + r, t));
            low_sum[r] = t ? _mm256_add_epi16(low_sum[r], first) : first;
            high_sum[r] = t ? _mm256_add_epi16(high_sum[r], second) : second;
            KEEP(low_sum[r]);
            KEEP(high_sum[r]);
        }
    }
    UNROLL
    for (uint32_t r = 0; r < rows_n; r++) {
        __m256i sum = _mm256_add_epi32(widen(low_sum[r]),
                                       _mm256_madd_epi16(high_sum[r], _mm256_set1_epi16(16)));
        out->sum[r] = _mm256_add_epi32(sum, _mm256_set1_epi32(16 * a[r].start_8));
    }
}

/* Q6_K's upper bit pairs of line t (0..3) of a half, at bits 4-5. */
INLINE __m256i bits_of(__m256i bits, uint32_t t)
{
    const __m256i mask = _mm256_set1_epi8(0x30);
    if (t == 1) bits = _mm256_srli_epi16(bits, 2);
    if (t == 2) bits = _mm256_slli_epi16(bits, 4);
    if (t == 3) bits = _mm256_slli_epi16(bits, 2);
    return _mm256_and_si256(bits, mask);
}

INLINE __m256i load_u8(const uint8_t *p)
{
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)p));
}

INLINE __m256i load_i8(const uint8_t *p)
{
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)p));
}

/* Packs two numbers for each column into the 16-bit lanes of its 32 bits. */
INLINE __m256i pair_i16(__m256i low, __m256i high)
{
    return _mm256_or_si256(_mm256_and_si256(low, _mm256_set1_epi32(0xffff)),
                           _mm256_slli_epi32(high, 16));
}

INLINE void sum_6_bits(struct half_sums *out, uint32_t rows_n, const uint8_t *block,
                       const struct qr_act_row *a)
{
    const __m256i ones = _mm256_set1_epi16(1);
    UNROLL
    for (uint32_t half = 0; half < 2; half++) {
        __m256i *sum = half ? out->second : out->sum;
        __m256i bits = load(block + QR_NIBBLE_BLOCK + 64 * half);
        UNROLL
        for (uint32_t t = 0; t < 4; t += 2) {
            __m256i w[2];
            UNROLL
            for (uint32_t i = 0; i < 2; i++) {
                __m256i both = load(block + 64 * (t + i));
                w[i] = half ? high_nibbles(both) : low_nibbles(both);
                w[i] = _mm256_or_si256(w[i], bits_of(bits, t + i));
            }
            UNROLL
            for (uint32_t r = 0; r < rows_n; r++) {
                __m256i pairs =
                    _mm256_add_epi16(_mm256_maddubs_epi16(w[0], four_k(a + r, 4 * half + t)),
                                     _mm256_maddubs_epi16(w[1], four_k(a + r, 4 * half + t + 1)));
                sum[r] = _mm256_add_epi32(t ? sum[r] : _mm256_set1_epi32(a[r].start_32[half]),
                                          _mm256_madd_epi16(pairs, ones));
                KEEP(sum[r]);
            }
        }
    }
}

/* Q2_K and Q3_K. */
INLINE void sum_pairs(struct half_sums *out, enum qr_type type, uint32_t rows_n,
                      const uint8_t *block, const uint8_t *scales, const struct qr_act_row *a)
{
    UNROLL
    for (uint32_t half = 0; half < 2; half++) {
        __m256i pairs = load(block + 64 * half), sum[4], scale;
        if (type == QR_TYPE_Q2_K)
            scale = _mm256_and_si256(load_u8(scales + 16 * half), _mm256_set1_epi32(15));
        else
            scale = load_i8(scales + 16 * half);
        scale = pair_i16(scale, scale);
        UNROLL
        for (uint32_t t = 0; t < 4; t++) {
            __m256i w = _mm256_and_si256(_mm256_srl_epi16(pairs, _mm_cvtsi32_si128((int)(2 * t))),
                                         _mm256_set1_epi8(3));
            if (type == QR_TYPE_Q3_K) {
                __m256i plane = load(block + QR_PAIRS_BLOCK);
                w = _mm256_or_si256(w, bit_at(plane, 4 * half + t, 2));
            }
            UNROLL
            for (uint32_t r = 0; r < rows_n; r++) {
                __m256i products = _mm256_maddubs_epi16(w, four_k(a + r, 4 * half + t));
                if (t) products = _mm256_add_epi16(products, sum[r]);
                /* in the lower lane of each pair; -4 times a half's sum fits 16 bits */
                if (!t && type == QR_TYPE_Q3_K)
                    products = _mm256_add_epi16(
                        products, _mm256_set1_epi32(a[r].start_32[half] >> 3 & 0xffff));
                sum[r] = products;
                KEEP(sum[r]);
            }
        }
        UNROLL
        for (uint32_t r = 0; r < rows_n; r++) {
            __m256i wide = _mm256_madd_epi16(sum[r], scale);
            out->sum[r] = half ? _mm256_add_epi32(out->sum[r], wide) : wide;
            KEEP(out->sum[r]);
        }
    }
}

/* Outputs 8 h to 8 h + 7 of a group's block b. */
struct half_block {
    const uint8_t *group;
    uint32_t b;
    uint32_t h;
};

/* A half block's scales and minima. */
struct half_scales {
    __m256 d;
    __m256 second; /* Q6_K: of the last 16 k */
    __m256 m[2];
};

INLINE __m256 f16_times(const uint8_t *f16, __m256i integers)
{
    return _mm256_mul_ps(load_f16(f16), _mm256_cvtepi32_ps(integers));
}

INLINE struct half_scales load_scales(enum qr_type type, struct half_block w)
{
    const uint8_t *f16 = w.group + 16 * w.h, *bytes = w.group + HALF_N * w.h;
    const uint32_t b = w.b;
    const __m256 none = _mm256_setzero_ps();
    struct half_scales s = {none, none, {none, none}};
    switch (type) {
    case QR_TYPE_Q4_0: s.d = load_f16(f16 + QR_Q4_0_D(b)); break;
    case QR_TYPE_Q4_1: s.d = load_f16(f16 + QR_Q4_1_D(b)); break;
    case QR_TYPE_Q5_0: s.d = load_f16(f16 + QR_Q5_0_D(b)); break;
    case QR_TYPE_Q5_1: s.d = load_f16(f16 + QR_Q5_1_D(b)); break;
    case QR_TYPE_Q8_0: s.d = load_f16(f16 + QR_Q8_0_D(b)); break;
    case QR_TYPE_IQ4_NL: s.d = load_f16(f16 + QR_IQ4_NL_D(b)); break;
    case QR_TYPE_Q2_K:
        s.d = load_f16(f16 + QR_Q2_K_D);
        UNROLL
        for (uint32_t half = 0; half < 2; half++) {
            __m256i both = load_u8(bytes + QR_Q2_K_BOTH(b) + 16 * half);
            s.m[half] = f16_times(f16 + QR_Q2_K_DMIN, _mm256_srli_epi32(both, 4));
        }
        /* the first minimum less the second, over 32: start_32[0] is -32 times the half's sum */
        s.m[0] = _mm256_mul_ps(_mm256_sub_ps(s.m[0], s.m[1]), _mm256_set1_ps(0x1p-5f));
        break;
    case QR_TYPE_Q3_K: s.d = load_f16(f16 + QR_Q3_K_D); break;
    case QR_TYPE_Q4_K:
        s.d = f16_times(f16 + QR_Q4_K_D, load_u8(bytes + QR_Q4_K_SCALE(b)));
        s.m[0] = f16_times(f16 + QR_Q4_K_DMIN, load_u8(bytes + QR_Q4_K_MIN(b)));
        break;
    case QR_TYPE_Q5_K:
        s.d = f16_times(f16 + QR_Q5_K_D, load_u8(bytes + QR_Q5_K_SCALE(b)));
        s.m[0] = f16_times(f16 + QR_Q5_K_DMIN, load_u8(bytes + QR_Q5_K_MIN(b)));
        break;
    case QR_TYPE_Q6_K:
        s.d = f16_times(f16 + QR_Q6_K_D, load_i8(bytes + QR_Q6_K_SCALE(b)));
        s.second = f16_times(f16 + QR_Q6_K_D, load_i8(bytes + QR_Q6_K_SCALE(b) + 16));
        break;
    case QR_TYPE_IQ4_XS:
        s.d = f16_times(f16 + QR_IQ4_XS_D, load_i8(bytes + QR_IQ4_XS_SCALE(b)));
        break;
    default: __builtin_unreachable(); /* GEMM below has no other types */
    }
    return s;
}

/* The integer sums of rows_n (1 to 4) rows with w. */
INLINE void sum_rows(struct half_sums *out, enum qr_type type, uint32_t rows_n, struct half_block w,
                     const struct qr_act_row *a)
{
    const uint8_t *lines = w.group + 32 * w.h, *bytes = w.group + HALF_N * w.h;
    const uint32_t b = w.b;
    switch (type) {
    case QR_TYPE_Q8_0: sum_bytes(out, type, rows_n, lines + QR_BYTE_BLOCK * b, a); break;
    case QR_TYPE_IQ4_NL:
    case QR_TYPE_IQ4_XS: sum_bytes(out, type, rows_n, lines + QR_NIBBLE_BLOCK * b, a); break;
    case QR_TYPE_Q5_0:
    case QR_TYPE_Q5_1:
    case QR_TYPE_Q5_K: sum_5_bits(out, type, rows_n, lines + QR_Q5_BLOCK * b, a); break;
    case QR_TYPE_Q2_K:
        sum_pairs(out, type, rows_n, lines + QR_PAIRS_BLOCK * b, bytes + QR_Q2_K_BOTH(b), a);
        break;
    case QR_TYPE_Q3_K:
        sum_pairs(out, type, rows_n, lines + QR_Q3_K_BLOCK * b, bytes + QR_Q3_K_SCALE(b), a);
        break;
    case QR_TYPE_Q6_K: sum_6_bits(out, rows_n, lines + QR_Q6_K_BLOCK * b, a); break;
    default: sum_nibbles(out, type, rows_n, lines + QR_NIBBLE_BLOCK * b, a); break;
    }
}

/* The second of each pair of bf16 as floats; then the first. */
INLINE __m256 second_of(__m256i pairs)
{
    return _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32((int)0xffff0000)));
}

INLINE __m256 first_of(__m256i pairs)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16));
}

/* Adds the residuals of two blocks times each row's pair_s. */
INLINE void add_residuals(float (*acc)[QR_PANEL_N], uint32_t rows_n, const uint8_t *residuals,
                          const struct qr_act_row *a)
{
    const __m256i pairs[2] = {load(residuals), load(residuals + 32)};
    for (uint32_t r = 0; r < rows_n; r++) {
        int32_t both;
        memcpy(&both, a[r].pair_s, sizeof both);
        const __m256i sums = _mm256_set1_epi32(both);
        UNROLL
        for (uint32_t h = 0; h < 2; h++) {
            __m256 to = _mm256_load_ps(acc[r] + HALF_N * h);
            to = _mm256_fmadd_ps(second_of(pairs[h]), second_of(sums), to);
            to = _mm256_fmadd_ps(first_of(pairs[h]), first_of(sums), to);
            _mm256_store_ps(acc[r] + HALF_N * h, to);
        }
    }
}

/* rows_n (1 to 4) rows with w; acc[r] is the row's 16 sums. */
INLINE void add_rows(float (*acc)[QR_PANEL_N], enum qr_type type, uint32_t rows_n,
                     struct half_block w, const struct qr_act_row *a)
{
    struct half_scales scales = load_scales(type, w);
    struct half_sums s;
    sum_rows(&s, type, rows_n, w, a);
    UNROLL
    for (uint32_t r = 0; r < rows_n; r++) {
        __m256 to = _mm256_load_ps(acc[r] + HALF_N * w.h);
        __m256 d = _mm256_mul_ps(scales.d, _mm256_set1_ps(a[r].d));
        to = _mm256_fmadd_ps(d, _mm256_cvtepi32_ps(s.sum[r]), to);
        if (type == QR_TYPE_Q6_K) {
            d = _mm256_mul_ps(scales.second, _mm256_set1_ps(a[r].d));
            to = _mm256_fmadd_ps(d, _mm256_cvtepi32_ps(s.second[r]), to);
        }
        if (takes_minimum(type)) to = _mm256_fnmadd_ps(scales.m[0], _mm256_set1_ps(a[r].s), to);
        if (type == QR_TYPE_Q2_K) {
            to = _mm256_fnmadd_ps(scales.m[1], _mm256_set1_ps(a[r].s), to);
            __m256 start = _mm256_cvtepi32_ps(_mm256_set1_epi32(a[r].start_32[0]));
            start = _mm256_mul_ps(start, _mm256_set1_ps(a[r].d));
            to = _mm256_fmadd_ps(scales.m[0], start, to);
        }
        _mm256_store_ps(acc[r] + HALF_N * w.h, to);
    }
}

/* ---- one panel with up to 16 rows ----------------------------------------------------------- */

/* Float sums are in memory (the L1) and are updated once a block: the integer part needs all 16
 * registers. */
INLINE void gemm_tile(enum qr_type type, const struct row_tile *tile)
{
    const uint32_t group_blocks = group_blocks_of(type), group_bytes = group_bytes_of(type);
    const uint32_t block_bytes = group_bytes / group_blocks;
    const uint8_t *group = tile->weights, *acts = (const uint8_t *)tile->acts;
    uint32_t rows_n = tile->rows_n;
    float acc[QR_TILE_ROWS][QR_PANEL_N] __attribute__((aligned(32)));

    memset(acc, 0, rows_n * sizeof acc[0]);
    for (uint32_t i = 0; i < tile->blocks_n; i++, acts += QR_ACT_BLOCK_BYTES) {
        const struct qr_act_row *a = (const struct qr_act_row *)acts;
        uint32_t b = i % group_blocks;
        prefetch_block(group + PREFETCH_BYTES + (size_t)b * block_bytes, block_bytes);
        if (residuals_at(type) && b % 2 == 0)
            add_residuals(acc, rows_n, group + residuals_at(type), a);
        for (uint32_t h = 0; h < 2; h++) {
            const struct half_block w = {group, b, h};
            uint32_t r = 0;
            for (; r + 4 <= rows_n; r += 4)
                add_rows(acc + r, type, 4, w, a + r);
            switch (rows_n - r) {
            case 3: add_rows(acc + r, type, 3, w, a + r); break;
            case 2: add_rows(acc + r, type, 2, w, a + r); break;
            case 1: add_rows(acc + r, type, 1, w, a + r); break;
            default: break;
            }
        }
        if (b + 1 == group_blocks) group += group_bytes;
    }
    for (uint32_t r = 0; r < rows_n; r++) {
        float *out = tile->out + r * tile->out_stride;
        for (uint32_t c = 0; c < tile->columns_n; c++)
            out[c] = tile->add ? out[c] + acc[r][c] : acc[r][c];
    }
}

#define GEMM(name, type)                                                                           \
    UNSANITIZED static void tile_##name(const struct row_tile *t)                                  \
    {                                                                                              \
        gemm_tile(type, t);                                                                        \
    }                                                                                              \
    QR_GEMM_FN(qr_gemm_##name##_avx2)                                                              \
    {                                                                                              \
        gemm_by_tiles(tile_##name, g);                                                             \
    }

GEMM(q4_0, QR_TYPE_Q4_0)
GEMM(q4_1, QR_TYPE_Q4_1)
GEMM(q5_0, QR_TYPE_Q5_0)
GEMM(q5_1, QR_TYPE_Q5_1)
GEMM(q8_0, QR_TYPE_Q8_0)
GEMM(iq4_nl, QR_TYPE_IQ4_NL)
GEMM(q2_k, QR_TYPE_Q2_K)
GEMM(q3_k, QR_TYPE_Q3_K)
GEMM(q4_k, QR_TYPE_Q4_K)
GEMM(q5_k, QR_TYPE_Q5_K)
GEMM(q6_k, QR_TYPE_Q6_K)
GEMM(iq4_xs, QR_TYPE_IQ4_XS)
