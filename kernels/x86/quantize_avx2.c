/* SPDX-License-Identifier: MIT */
/* quantize in AVX2.  Four blocks are computed in the lanes of a vector (a four).  The steps for one
 * block depend on each other, so up to eight fours go through each step before the next step. */
#include <immintrin.h>

#include "kernels/gemm_layout.h"
#include "kernels/x86/gemm.h"
#include "kernels/x86/unroll.h"

#define LANES     4u /* blocks in a four */
#define FOURS_MAX 8u /* fours in a step */

/* qr_act_scale of four blocks. */
struct four_scales {
    __m128 d, inverse, magic;
    __m128i usable; /* all ones: amax is in range; else 0 */
};

INLINE struct four_scales scales_of(__m128 amax)
{
    const __m128 inverses = _mm_setr_ps(1.0f, 1.0f / 1.25f, 1.0f / 1.5f, 1.0f / 1.75f);
    const __m128i below = _mm_set1_epi32(0x1fffff);
    __m128i usable = _mm_castps_si128(_mm_and_ps(_mm_cmpge_ps(amax, _mm_set1_ps(QR_ACT_AMAX_MIN)),
                                                 _mm_cmple_ps(amax, _mm_set1_ps(QR_ACT_AMAX_MAX))));
    __m128i bits = _mm_castps_si128(_mm_mul_ps(amax, _mm_set1_ps(1.0f / 127.0f)));
    bits = _mm_andnot_si128(below, _mm_add_epi32(bits, below));
    __m128i e =
        _mm_sub_epi32(_mm_and_si128(bits, _mm_set1_epi32(0x7f800000)), _mm_set1_epi32(0x3f800000));
    __m128i quarter = _mm_srli_epi32(bits, 21); /* j, in the two lowest bits */
    __m128i times_64 = _mm_and_si128(_mm_srli_epi32(bits, 15), _mm_set1_epi32(0xc0));
    __m128i inverse = _mm_sub_epi32(_mm_castps_si128(_mm_permutevar_ps(inverses, quarter)), e);
    __m128i offset = _mm_and_si128(usable, _mm_add_epi32(e, times_64));
    return (struct four_scales){
        .d = _mm_castsi128_ps(_mm_and_si128(usable, bits)),
        .inverse = _mm_castsi128_ps(_mm_and_si128(usable, inverse)),
        .magic = _mm_castsi128_ps(_mm_add_epi32(offset, _mm_set1_epi32((int)QR_ACT_MAGIC_ONE))),
        .usable = usable,
    };
}

/* The greatest magnitude of 32 values, ignoring NaN: it is in one of the four lanes. */
INLINE __m128 greatest_of(const float *x)
{
    const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
    __m256 most = _mm256_setzero_ps();
    UNROLL
    for (uint32_t j = 0; j < 4; j++)
        most = _mm256_max_ps(_mm256_and_ps(_mm256_loadu_ps(x + 8 * j), magnitude), most);
    return _mm_max_ps(_mm256_castps256_ps128(most), _mm256_extractf128_ps(most, 1));
}

/* Lane i is the greatest lane of v[i]. */
INLINE __m128 greatest_lanes(const __m128 v[LANES])
{
    __m128 ab = _mm_max_ps(_mm_unpacklo_ps(v[0], v[1]), _mm_unpackhi_ps(v[0], v[1]));
    __m128 cd = _mm_max_ps(_mm_unpacklo_ps(v[2], v[3]), _mm_unpackhi_ps(v[2], v[3]));
    return _mm_max_ps(_mm_movelh_ps(ab, cd), _mm_movehl_ps(cd, ab));
}

INLINE __m256i quants_of(const float *x, __m256 inverse)
{
    /* packing works in 128-bit lanes: this restores the order of dwords */
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    __m256i q[4];
    UNROLL
    for (uint32_t j = 0; j < 4; j++)
        q[j] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8 * j), inverse));
    return _mm256_permutevar8x32_epi32(
        _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3])), order);
}

/* Adds sums of eight quants + 128: sums[0] of the first halves of four blocks, sums[1] of the
 * second. */
INLINE void half_sums_of(const __m256i eights[LANES], __m128i sums[2])
{
    const __m256i raised = _mm256_set1_epi32(16 * 128);
    __m256i ab = _mm256_or_si256(eights[0], _mm256_slli_epi64(eights[1], 32));
    __m256i cd = _mm256_or_si256(eights[2], _mm256_slli_epi64(eights[3], 32));
    __m256i both = _mm256_add_epi32(_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
    both = _mm256_sub_epi32(both, raised);
    sums[0] = _mm256_castsi256_si128(both);
    sums[1] = _mm256_extracti128_si256(both, 1);
}

/* sums * -2^shift */
INLINE __m128i minus_times(__m128i sums, int shift)
{
    return _mm_sub_epi32(_mm_setzero_si128(), _mm_sll_epi32(sums, _mm_cvtsi32_si128(shift)));
}

/* The destinations of up to four blocks, and of the next four. */
struct four_places {
    uint8_t *to;    /* the first block */
    size_t stride;  /* bytes from a block to the next */
    size_t next;    /* bytes from a four to the next */
    ptrdiff_t s[2]; /* bytes from a block to its pair_s; [1] for the second and fourth */
};

/* Rounds to bf16.  s is finite, so that a carry from the fraction into the exponent is correct. */
INLINE void store_pair_s(const struct four_places *p, uint32_t blocks_n, __m128 s)
{
    __m128i bits = _mm_castps_si128(s);
    __m128i last = _mm_and_si128(_mm_srli_epi32(bits, 16), _mm_set1_epi32(1));
    __m128i rounded = _mm_add_epi32(_mm_add_epi32(bits, _mm_set1_epi32(0x7fff)), last);
    __m128i upper = _mm_srli_epi32(rounded, 16);
    uint64_t four = (uint64_t)_mm_cvtsi128_si64(_mm_packus_epi32(upper, upper));
    UNROLL
    for (uint32_t b = 0; b < LANES && b < blocks_n; b++, four >>= 16) {
        uint16_t one = (uint16_t)four;
        memcpy(p->to + b * p->stride + p->s[b % 2], &one, sizeof one);
    }
}

/* Computes the fields after the quants in lanes and stores them block by block. */
INLINE void store_numbers(const struct four_places *p, uint32_t blocks_n,
                          const struct four_scales *s, const __m128i sums[2])
{
    __m128i total = _mm_add_epi32(sums[0], sums[1]);
    __m128 all_s = _mm_mul_ps(_mm_cvtepi32_ps(total), s->d);
    __m128i start_8 = minus_times(total, 3);
    __m128i magic_8 = _mm_add_epi32(_mm_castps_si128(s->magic), start_8);
    __m128 first[LANES] = {s->d, s->magic, all_s, _mm_castsi128_ps(start_8)};
    __m128 second[LANES] = {_mm_castsi128_ps(minus_times(sums[0], 5)),
                            _mm_castsi128_ps(minus_times(sums[1], 5)), _mm_castsi128_ps(magic_8),
                            _mm_setzero_ps()};
    _MM_TRANSPOSE4_PS(first[0], first[1], first[2], first[3]);
    _MM_TRANSPOSE4_PS(second[0], second[1], second[2], second[3]);
    UNROLL
    for (uint32_t b = 0; b < LANES && b < blocks_n; b++) {
        struct qr_act_row *a = (struct qr_act_row *)(p->to + b * p->stride);
        _mm_store_ps(&a->d, first[b]);
        /* not pair_s, half of which belongs to another block */
        a->magic_8 = _mm_extract_ps(second[b], 2);
        _mm_storel_pi((__m64 *)(void *)a->start_32, second[b]);
    }
    store_pair_s(p, blocks_n, all_s);
}

/* The next three functions are the steps for blocks_n (1 to 4) blocks, of one row or of one block
 * column: x_stride and places tell. */

INLINE struct four_scales scale_blocks(const float *x, size_t x_stride, uint32_t blocks_n)
{
    __m128 most[LANES];

    UNROLL
    for (uint32_t b = 0; b < LANES; b++)
        most[b] = b < blocks_n ? greatest_of(x + b * x_stride) : _mm_setzero_ps();
    return scales_of(greatest_lanes(most));
}

/* eights: sums of eight quants + 128. */
INLINE void quantize_blocks(const struct four_places *p, const float *x, size_t x_stride,
                            uint32_t blocks_n, const struct four_scales *s, __m256i eights[LANES])
{
    const __m128 lanes[LANES] = {s->inverse, _mm_shuffle_ps(s->inverse, s->inverse, 0x55),
                                 _mm_shuffle_ps(s->inverse, s->inverse, 0xaa),
                                 _mm_shuffle_ps(s->inverse, s->inverse, 0xff)};
    const int usable = _mm_movemask_ps(_mm_castsi128_ps(s->usable));

    UNROLL
    for (uint32_t b = 0; b < LANES; b++) {
        eights[b] = _mm256_setzero_si256();
        if (b >= blocks_n) continue;
        __m256i q = quants_of(x + b * x_stride, _mm256_broadcastss_ps(lanes[b]));
        if (!(usable >> b & 1)) q = _mm256_setzero_si256(); /* infinity times 0 is not 0 */
        _mm256_store_si256((__m256i *)(p->to + b * p->stride), q);
        /* as unsigned bytes, of which one instruction adds eight */
        eights[b] = _mm256_sad_epu8(_mm256_xor_si256(q, _mm256_set1_epi8((char)0x80)),
                                    _mm256_setzero_si256());
    }
}

INLINE void number_blocks(const struct four_places *p, uint32_t blocks_n,
                          const struct four_scales *s, const __m256i eights[LANES])
{
    __m128i sums[2];

    half_sums_of(eights, sums);
    store_numbers(p, blocks_n, s, sums);
}

/* fours_n fours, p.next bytes and x_next floats apart: all scales, then all quants, then all other
 * fields.  One four after the other would be slower: the steps depend on each other, and the
 * processor's window holds two or three fours. */
INLINE void quantize_fours(struct four_places p, const float *x, size_t x_next, size_t x_stride,
                           uint32_t fours_n)
{
    struct four_scales s[FOURS_MAX];
    __m256i eights[FOURS_MAX][LANES];

    for (uint32_t n; fours_n > 0; fours_n -= n, p.to += n * p.next, x += n * x_next) {
        struct four_places at = p;
        n = fours_n < FOURS_MAX ? fours_n : FOURS_MAX;
        for (uint32_t i = 0; i < n; i++)
            s[i] = scale_blocks(x + i * x_next, x_stride, LANES);
        for (uint32_t i = 0; i < n; i++, at.to += p.next)
            quantize_blocks(&at, x + i * x_next, x_stride, LANES, &s[i], eights[i]);
        at = p;
        for (uint32_t i = 0; i < n; i++, at.to += p.next)
            number_blocks(&at, LANES, &s[i], eights[i]);
    }
}

/* Bytes from a block to its s in bf16. */
INLINE ptrdiff_t to_s(uint32_t block)
{
    const ptrdiff_t s = offsetof(struct qr_act_row, pair_s);
    return block % 2 ? s + 2 - (ptrdiff_t)QR_ACT_BLOCK_BYTES : s;
}

/* Blocks of one row from `block` on. */
INLINE struct four_places places_in_row(const struct qr_acts *acts, uint32_t row, uint32_t block)
{
    return (struct four_places){
        .to = (uint8_t *)qr_act_row(acts, row, block),
        .stride = QR_ACT_BLOCK_BYTES,
        .next = LANES * QR_ACT_BLOCK_BYTES,
        .s = {to_s(block), to_s(block + 1)},
    };
}

/* One block of each of a tile's rows from `row` on. */
INLINE struct four_places places_in_column(const struct qr_acts *acts, uint32_t row, uint32_t block)
{
    return (struct four_places){
        .to = (uint8_t *)qr_act_row(acts, row, block),
        .stride = sizeof(struct qr_act_row),
        .next = LANES * sizeof(struct qr_act_row),
        .s = {to_s(block), to_s(block)},
    };
}

/* One block of each row; rows of one tile in fours. */
INLINE void quantize_column(struct qr_acts *acts, uint32_t row, uint32_t row_end, uint32_t block,
                            const float *x, size_t x_stride)
{
    while (row < row_end) {
        uint32_t n = QR_TILE_ROWS - row % QR_TILE_ROWS;
        if (n > row_end - row) n = row_end - row;
        uint32_t fours_n = n / LANES;
        quantize_fours(places_in_column(acts, row, block), x, LANES * x_stride, x_stride, fours_n);
        /* one row: quantize_fours would be slower because of its arrays */
        for (uint32_t i = fours_n * LANES; i < n; i++) {
            const struct four_places p = places_in_column(acts, row + i, block);
            const struct four_scales s = scale_blocks(x + i * x_stride, 0, 1);
            __m256i eights[LANES];
            quantize_blocks(&p, x + i * x_stride, 0, 1, &s, eights);
            number_blocks(&p, 1, &s, eights);
        }
        row += n;
        x += n * x_stride;
    }
}

/* Whole fours of blocks go row by row.  A row's remaining blocks are computed together with the
 * same blocks of the other rows. */
QR_QUANTIZE_FN(qr_quantize_avx2)
{
    uint32_t whole = n / QR_ACT_BLOCK / LANES * LANES;

    assert(k0 % QR_ACT_BLOCK == 0 && n % QR_ACT_BLOCK == 0 && k0 + n <= acts->k);
    for (uint32_t row = row_begin; row < row_end; row++)
        quantize_fours(places_in_row(acts, row, k0 / QR_ACT_BLOCK),
                       x + (row - row_begin) * x_stride, LANES * QR_ACT_BLOCK, QR_ACT_BLOCK,
                       whole / LANES);
    for (uint32_t block = whole; block < n / QR_ACT_BLOCK; block++)
        quantize_column(acts, row_begin, row_end, k0 / QR_ACT_BLOCK + block,
                        x + block * QR_ACT_BLOCK, x_stride);
    if (qr_act_ends_odd(acts) && k0 + n == acts->k) {
        for (uint32_t row = row_begin; row < row_end; row++)
            *qr_act_pair_s(acts, row, acts->k / QR_ACT_BLOCK) = 0;
    }
}
