/* SPDX-License-Identifier: MIT */
#include <immintrin.h>
#include <string.h>

#include "kernels/x86/gemm.h"
#include "kernels/x86/gemm_tiles.h"

/* A vector is half a panel, 8 columns.  vpmaddubsw adds two products of an unsigned weight and a
 * signed activation into a 16-bit lane and saturates, so what is summed there must be bounded, with
 * |activation| at most 127:
 *     4 bits: 16 products of at most 15 * 127 are 30,480: a whole block needs no wider sum;
 *     6 bits: 4 products of at most 63 * 127 are 32,004: two instructions' worth;
 *     8 bits: two products alone may be 64,770, so the byte goes as two nibbles. */

#define HALF_N 8u

/* ---- one block of 32 k of 8 outputs --------------------------------------------------------- */

/* What comes out of a row's integer arithmetic, before its float chain. */
struct sums {
    __m256i sum[4]; /* of up to 4 rows */
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

INLINE void sum_nibbles(struct sums *out, enum qr_type type, uint32_t rows_n, const uint8_t *block,
                        const struct qr_act_row *a)
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
        if (type == QR_TYPE_Q4_0) {
            out->sum[r] = _mm256_add_epi32(out->sum[r], _mm256_set1_epi32(a[r].start_8));
        }
    }
}

INLINE void sum_bytes(struct sums *out, uint32_t rows_n, const uint8_t *block,
                      const struct qr_act_row *a)
{
    __m256i low_sum[4], high_sum[4];
    UNROLL
    for (uint32_t t = 0; t < 8; t++) {
        __m256i both = load(block + 64 * t), low = low_nibbles(both), high = high_nibbles(both);
        UNROLL
        for (uint32_t r = 0; r < rows_n; r++) {
            __m256i first = _mm256_maddubs_epi16(low, four_k(a + r, t));
            __m256i second = _mm256_maddubs_epi16(high, four_k(a + r, t));
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
        out->sum[r] = _mm256_add_epi32(sum, _mm256_set1_epi32(a[r].start_128));
    }
}

/* The upper bit pairs of Q6_K for line t (0..3) of a half, at bits 4-5. */
INLINE __m256i bits_of(__m256i bits, uint32_t t)
{
    const __m256i mask = _mm256_set1_epi8(0x30);
    if (t == 1) bits = _mm256_srli_epi16(bits, 2);
    if (t == 2) bits = _mm256_slli_epi16(bits, 4);
    if (t == 3) bits = _mm256_slli_epi16(bits, 2);
    return _mm256_and_si256(bits, mask);
}

/* The scales of 8 columns, each in both 16-bit lanes of its 32. */
INLINE __m256i twice_i16(const uint8_t *p)
{
    __m256i wide = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)p));
    return _mm256_or_si256(_mm256_and_si256(wide, _mm256_set1_epi32(0xffff)),
                           _mm256_slli_epi32(wide, 16));
}

INLINE void sum_6_bits(struct sums *out, uint32_t rows_n, const uint8_t *block,
                       const uint8_t *scales, const struct qr_act_row *a)
{
    UNROLL
    for (uint32_t r = 0; r < rows_n; r++)
        out->sum[r] = _mm256_setzero_si256();
    UNROLL
    for (uint32_t half = 0; half < 2; half++) {
        __m256i bits = load(block + QR_NIBBLE_BLOCK + 64 * half);
        __m256i scale = twice_i16(scales + 16 * half);
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
                out->sum[r] = _mm256_add_epi32(out->sum[r], _mm256_madd_epi16(pairs, scale));
                KEEP(out->sum[r]);
            }
        }
        UNROLL
        for (uint32_t r = 0; r < rows_n; r++) {
            /* the start is too wide for 16 bits, but a multiple of 32 */
            __m256i offset =
                _mm256_madd_epi16(scale, _mm256_set1_epi32(a[r].start_32[half] / 32 & 0xffff));
            out->sum[r] = _mm256_add_epi32(out->sum[r], _mm256_slli_epi32(offset, 5));
        }
    }
}

/* What does not depend on the row: half h's scale and minimum. */
struct scales {
    __m256 d, m;
};

INLINE __m256 f16_times_u8(const uint8_t *f16, const uint8_t *u8)
{
    __m256i wide = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)u8));
    return _mm256_mul_ps(load_f16(f16), _mm256_cvtepi32_ps(wide));
}

INLINE struct scales load_scales(enum qr_type type, const uint8_t *group, uint32_t b, uint32_t h)
{
    struct scales s = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    if (type == QR_TYPE_Q4_0) s.d = load_f16(group + QR_Q4_0_D(b) + 16 * h);
    if (type == QR_TYPE_Q8_0) s.d = load_f16(group + QR_Q8_0_D(b) + 16 * h);
    if (type == QR_TYPE_Q6_K) s.d = load_f16(group + QR_Q6_K_D + 16 * h);
    if (type == QR_TYPE_Q4_1) {
        s.d = load_f16(group + QR_Q4_1_D(b) + 16 * h);
        s.m = load_f16(group + QR_Q4_1_M(b) + 16 * h);
    }
    if (type == QR_TYPE_Q4_K) {
        s.d = f16_times_u8(group + QR_Q4_K_D + 16 * h, group + QR_Q4_K_SCALE(b) + HALF_N * h);
        s.m = f16_times_u8(group + QR_Q4_K_DMIN + 16 * h, group + QR_Q4_K_MIN(b) + HALF_N * h);
    }
    return s;
}

/* rows_n (1 to 4) rows of half h; acc[r] is the row's 16 sums. */
INLINE void add_rows(float (*acc)[QR_PANEL_N], enum qr_type type, uint32_t rows_n,
                     const uint8_t *group, uint32_t b, uint32_t h, const struct qr_act_row *a)
{
    struct scales scales = load_scales(type, group, b, h);
    struct sums s;
    if (type == QR_TYPE_Q8_0) {
        sum_bytes(&s, rows_n, group + QR_BYTE_BLOCK * b + 32 * h, a);
    } else if (type == QR_TYPE_Q6_K) {
        sum_6_bits(&s, rows_n, group + QR_Q6_K_BLOCK * b + 32 * h,
                   group + QR_Q6_K_SCALE(b) + HALF_N * h, a);
    } else {
        sum_nibbles(&s, type, rows_n, group + QR_NIBBLE_BLOCK * b + 32 * h, a);
    }
    UNROLL
    for (uint32_t r = 0; r < rows_n; r++) {
        __m256 to = _mm256_load_ps(acc[r] + HALF_N * h);
        __m256 d = _mm256_mul_ps(scales.d, _mm256_set1_ps(a[r].d));
        to = _mm256_fmadd_ps(d, _mm256_cvtepi32_ps(s.sum[r]), to);
        if (type == QR_TYPE_Q4_1) to = _mm256_fmadd_ps(scales.m, _mm256_set1_ps(a[r].s), to);
        if (type == QR_TYPE_Q4_K) to = _mm256_fnmadd_ps(scales.m, _mm256_set1_ps(a[r].s), to);
        _mm256_store_ps(acc[r] + HALF_N * h, to);
    }
}

/* ---- one panel with up to 16 rows ----------------------------------------------------------- */

/* Sums stand in the first-level cache, touched once a block: 16 registers cannot hold them beside
 * what the integer part needs. */
INLINE void gemm_tile(enum qr_type type, const struct tile *tile)
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
        const uint8_t *ahead = group + PREFETCH_BYTES + (size_t)b * block_bytes;
        prefetch_block(ahead, block_bytes);
        for (uint32_t h = 0; h < 2; h++) {
            uint32_t r = 0;
            for (; r + 4 <= rows_n; r += 4)
                add_rows(acc + r, type, 4, group, b, h, a + r);
            switch (rows_n - r) {
            case 3: add_rows(acc + r, type, 3, group, b, h, a + r); break;
            case 2: add_rows(acc + r, type, 2, group, b, h, a + r); break;
            case 1: add_rows(acc + r, type, 1, group, b, h, a + r); break;
            default: break;
            }
        }
        if (b + 1 == group_blocks) group += group_bytes;
    }
    for (uint32_t r = 0; r < rows_n; r++) {
        float *out = tile->out + r * tile->out_stride;
        for (uint32_t c = 0; c < tile->columns_n; c++) {
            out[c] = tile->add ? out[c] + acc[r][c] : acc[r][c];
        }
    }
}

#define GEMM(name, type)                                                                           \
    UNSANITIZED static void tile_##name(const struct tile *t)                                      \
    {                                                                                              \
        gemm_tile(type, t);                                                                        \
    }                                                                                              \
    QR_GEMM_FN(qr_gemm_##name##_avx2)                                                              \
    {                                                                                              \
        gemm_by_tiles(tile_##name, m, panel_begin, panel_end, acts, row_begin, row_end, out,       \
                      out_stride, add);                                                            \
    }

GEMM(q4_0, QR_TYPE_Q4_0)
GEMM(q4_1, QR_TYPE_Q4_1)
GEMM(q8_0, QR_TYPE_Q8_0)
GEMM(q4_k, QR_TYPE_Q4_K)
GEMM(q6_k, QR_TYPE_Q6_K)
