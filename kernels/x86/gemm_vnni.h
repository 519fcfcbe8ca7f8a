/* SPDX-License-Identifier: MIT */
/* x86/gemm_vnni -- the AVX-512 VNNI tile function: up to 16 rows with a panel of 16 outputs.
 *
 * A block of 32 k is unpacked once into eight vectors of unsigned bytes (gemm_vnni_blocks.h); all
 * rows of the tile are multiplied by these.  Three files include this and use GEMM for each of
 * their types; several files compile in parallel.  A file that defines BF16_DOTS adds the residuals
 * of two blocks with one bf16 instruction, and its functions are named for that level.
 *
 * Thread: any.   Memory: none. */
#ifndef QR_KERNELS_X86_GEMM_VNNI_H
#define QR_KERNELS_X86_GEMM_VNNI_H

#include "kernels/x86/gemm.h"
#include "kernels/x86/gemm_tiles.h"
#include "kernels/x86/gemm_vnni_blocks.h"

/* ---- rows with one block -------------------------------------------------------------------- */

/* sum + 16 columns' dots of four k.  The activations are an operand in memory.  From the intrinsic
 * gcc makes a load and a dot; the extra register makes it spill sums. */
INLINE __m512i add_dots(__m512i sum, __m512i weights, const struct qr_act_row *a, uint32_t t)
{
    const int8_t(*four)[4] = (const int8_t(*)[4])(a->q + 4 * t);
    __asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(weights), "m"(*four));
    return sum;
}

/* sum * 2^e, for a sum that started at a->magic.  clang would load the magic of all rows before
 * their dots and spill sums, so it gets the subtraction with its operand in memory; gcc makes that
 * by itself. */
INLINE __m512 minus_magic(__m512i sum, const struct qr_act_row *a)
{
#ifdef __clang__
    __m512 value;
    __asm__("vsubps %2%{1to16%}, %1, %0" : "=v"(value) : "v"(sum), "m"(a->magic));
    return value;
#else
    return _mm512_sub_ps(_mm512_castsi512_ps(sum), _mm512_set1_ps(a->magic));
#endif
}

/* The products for a's 1 + j / 4: they are at byte 64 j, which is the low byte of magic. */
INLINE __m512 of_quarter(const float products[QR_ACT_SCALES][QR_PANEL_N],
                         const struct qr_act_row *a)
{
    uint32_t at;
    memcpy(&at, &a->magic, sizeof at);
    return _mm512_load_ps((const float *)((const char *)products + (at & 0xff)));
}

/* acc + the scaled sum of the block, or of half h if the halves have scales of their own.  p: the
 * products of scales, and the sum started at a->magic; NULL: it did not. */
INLINE __m512 add_scaled(const struct unpacked_block *w, const struct scale_products *p, uint32_t h,
                         const struct qr_act_row *a, __m512i sum, __m512 acc)
{
    if (p) return _mm512_fmadd_ps(of_quarter(p->d[h], a), minus_magic(sum, a), acc);
    return _mm512_fmadd_ps(_mm512_mul_ps(w->d[h], _mm512_set1_ps(a->d)), _mm512_cvtepi32_ps(sum),
                           acc);
}

/* Q2_K's minima. */
INLINE __m512 take_two_minima(const struct unpacked_block *w, const struct scale_products *p,
                              const struct qr_act_row *a, __m512 acc)
{
    const __m512i start = _mm512_set1_epi32(a->start_32[0]);
    acc = _mm512_fnmadd_ps(w->m[1], _mm512_set1_ps(a->s), acc);
    if (p)
        return _mm512_fmadd_ps(of_quarter(p->m, a),
                               minus_magic(_mm512_add_epi32(start, magic_bits(a)), a), acc);
    return _mm512_fmadd_ps(w->m[0], _mm512_mul_ps(_mm512_cvtepi32_ps(start), _mm512_set1_ps(a->d)),
                           acc);
}

INLINE __m512 add_sum(enum qr_type type, const struct unpacked_block *w, const struct qr_act_row *a,
                      const struct scale_products *p, __m512i sum, __m512 acc)
{
    acc = add_scaled(w, p, 0, a, sum, acc);
    if (takes_minimum(type)) acc = _mm512_fnmadd_ps(w->m[0], _mm512_set1_ps(a->s), acc);
    return type == QR_TYPE_Q2_K ? take_two_minima(w, p, a, acc) : acc;
}

/* The second of each pair of bf16 as floats; then the first. */
INLINE __m512 second_of(__m512i pairs)
{
    return _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32((int)0xffff0000)));
}

INLINE __m512 first_of(__m512i pairs)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16));
}

/* acc + 16 columns' residuals of two blocks times a row's pair_s. */
INLINE __m512 add_residuals_of(__m512 acc, __m512i residuals, const struct qr_act_row *a)
{
#ifdef BF16_DOTS
    /* an operand in memory, as in add_dots */
    __asm__("vdpbf16ps %2%{1to16%}, %1, %0" : "+v"(acc) : "v"(residuals), "m"(a->pair_s));
    return acc;
#else
    int32_t both;
    memcpy(&both, a->pair_s, sizeof both);
    const __m512i sums = _mm512_set1_epi32(both);
    acc = _mm512_fmadd_ps(second_of(residuals), second_of(sums), acc);
    return _mm512_fmadd_ps(first_of(residuals), first_of(sums), acc);
#endif
}

/* For all rows, before the blocks' dots: between the dots it is slower (docs/notes/kernels.md). */
INLINE void add_residuals(__m512 *acc, enum qr_type type, uint32_t rows_n, const uint8_t *group,
                          const struct qr_act_row *a)
{
    const __m512i residuals = _mm512_load_si512(group + residuals_at(type));
    UNROLL
    for (uint32_t r = 0; r < QR_TILE_ROWS && r < rows_n; r++)
        acc[r] = add_residuals_of(acc[r], residuals, a + r);
}

/* One variable a row instead of an array: clang does not unroll a loop over rows in one over k. */
#define FOR_ROWS(DO) DO(0) DO(1) DO(2) DO(3)

/* rows_n (1 to 4) rows: four dot chains cover the instruction's latency. */
INLINE void add_rows(__m512 *acc, enum qr_type type, uint32_t rows_n,
                     const struct unpacked_block *w, const struct scale_products *p,
                     const struct qr_act_row *a)
{
    __m512i sum0, sum1, sum2, sum3;
#define START(r) sum##r = r < rows_n ? start_of(type, p != NULL, a + r) : _mm512_setzero_si512();
#define DOT(r)                                                                                     \
    if (r < rows_n) sum##r = add_dots(sum##r, w->w[t], a + r, t);
#define ADD(r)                                                                                     \
    if (r < rows_n) acc[r] = add_sum(type, w, a + r, p, sum##r, acc[r]);
    FOR_ROWS(START)
    UNROLL
    for (uint32_t t = 0; t < 8; t++) {
        FOR_ROWS(DOT)
    }
    FOR_ROWS(ADD)
#undef START
#undef DOT
#undef ADD
}

/* One row, for types with an integer scale for each half. */
INLINE void add_row_halves(__m512 *acc, enum qr_type type, const struct unpacked_block *w,
                           const struct qr_act_row *a)
{
    __m512i sum[2];
    UNROLL
    for (uint32_t half = 0; half < 2; half++) {
        sum[half] = half_start_of(type, false, a, half);
        UNROLL
        for (uint32_t t = 4 * half; t < 4 * half + 4; t++)
            sum[half] = add_dots(sum[half], w->w[t], a, t);
        sum[half] = _mm512_mullo_epi32(sum[half], w->scale[half]);
    }
    *acc = add_sum(type, w, a, NULL, _mm512_add_epi32(sum[0], sum[1]), *acc);
}

/* One or two rows, for types with a float scale for each half. */
INLINE void add_rows_twice(__m512 *acc, enum qr_type type, uint32_t rows_n,
                           const struct unpacked_block *w, const struct scale_products *p,
                           const struct qr_act_row *a)
{
    const uint32_t last = rows_n - 1; /* one row: the second row is the first one, and unused */
    __m512i sum0 = half_start_of(type, p != NULL, a, 0);
    __m512i sum1 = half_start_of(type, p != NULL, a, 1);
    __m512i sum2 = half_start_of(type, p != NULL, a + last, 0);
    __m512i sum3 = half_start_of(type, p != NULL, a + last, 1);
    UNROLL
    for (uint32_t t = 0; t < 4; t++) {
        sum0 = add_dots(sum0, w->w[t], a, t);
        sum1 = add_dots(sum1, w->w[4 + t], a, 4 + t);
        if (rows_n < 2) continue;
        sum2 = add_dots(sum2, w->w[t], a + 1, t);
        sum3 = add_dots(sum3, w->w[4 + t], a + 1, 4 + t);
    }
    acc[0] = add_scaled(w, p, 1, a, sum1, add_scaled(w, p, 0, a, sum0, acc[0]));
    if (rows_n < 2) return;
    acc[1] = add_scaled(w, p, 1, a + 1, sum3, add_scaled(w, p, 0, a + 1, sum2, acc[1]));
}

/* ---- one panel with up to 16 rows ----------------------------------------------------------- */

INLINE void store_rows(const __m512 *acc, uint32_t rows_n, const struct row_tile *t)
{
    __mmask16 columns = (__mmask16)((1u << t->columns_n) - 1);
    UNROLL
    for (uint32_t r = 0; r < QR_TILE_ROWS && r < rows_n; r++) {
        float *out = t->out + r * t->out_stride;
        __m512 sum = acc[r];
        if (t->add) sum = _mm512_add_ps(_mm512_maskz_loadu_ps(columns, out), sum);
        _mm512_mask_storeu_ps(out, columns, sum);
    }
}

INLINE void gemm_tile(enum qr_type type, uint32_t rows_n, const struct row_tile *tile)
{
    const bool half_sums = scales_half_sums(type, rows_n);
    const bool tabled = !half_sums && rows_n >= TABLED_ROWS_MIN;
    const bool two_scales = has_two_scales(type);
    const uint32_t step = half_sums ? 1 : two_scales ? 2 : 4;
    const uint32_t group_blocks = group_blocks_of(type), group_bytes = group_bytes_of(type);
    const uint32_t block_bytes = group_bytes / group_blocks;
    const uint8_t *group = tile->weights, *acts = (const uint8_t *)tile->acts;
    __m512 acc[QR_TILE_ROWS];
    UNROLL
    for (uint32_t r = 0; r < QR_TILE_ROWS && r < rows_n; r++)
        acc[r] = _mm512_setzero_ps();

    /* the lines that store_rows writes: rows of a wide output are far apart */
    for (uint32_t r = 0; r < rows_n; r++)
        __builtin_prefetch(tile->out + r * tile->out_stride, 1, 3);
    for (uint32_t left = tile->blocks_n; left; group += group_bytes) {
        uint32_t n = left < group_blocks ? left : group_blocks;
        left -= n;
        for (uint32_t b = 0; b < n; b++, acts += QR_ACT_BLOCK_BYTES) {
            const struct qr_act_row *a = (const struct qr_act_row *)acts;
            struct unpacked_block w;
            struct scale_products products;
            prefetch_block(group + PREFETCH_BYTES + (size_t)b * block_bytes, block_bytes);
            if (residuals_at(type) && b % 2 == 0) add_residuals(acc, type, rows_n, group, a);
            load_block(&w, type, rows_n, group, b);
            if (tabled) multiply_scales(products.d[0], w.d[0]);
            if (tabled && two_scales) multiply_scales(products.d[1], w.d[1]);
            if (tabled && type == QR_TYPE_Q2_K) multiply_scales(products.m, w.m[0]);
            UNROLL
            for (uint32_t r = 0; r < QR_TILE_ROWS && r < rows_n; r += step) {
                uint32_t some = rows_n - r < step ? rows_n - r : step;
                const struct scale_products *p = tabled ? &products : NULL;
                if (half_sums)
                    add_row_halves(acc + r, type, &w, a + r);
                else if (two_scales)
                    add_rows_twice(acc + r, type, some, &w, p, a + r);
                else
                    add_rows(acc + r, type, some, &w, p, a + r);
            }
        }
    }
    store_rows(acc, rows_n, tile);
}

#ifdef BF16_DOTS
#define OF_LEVEL(name) qr_gemm_##name##_avx512bf16
#else
#define OF_LEVEL(name) qr_gemm_##name##_avx512vnni
#endif

/* A function for each number of rows: its sums are registers, and no row is computed in vain. */
#define TILE(name, type, rows_n)                                                                   \
    UNSANITIZED static void tile_##name##_##rows_n(const struct row_tile *t)                       \
    {                                                                                              \
        gemm_tile(type, rows_n, t);                                                                \
    }
#define GEMM(name, type)                                                                           \
    TILE(name, type, 1)                                                                            \
    TILE(name, type, 2)                                                                            \
    TILE(name, type, 3)                                                                            \
    TILE(name, type, 4)                                                                            \
    TILE(name, type, 5)                                                                            \
    TILE(name, type, 6)                                                                            \
    TILE(name, type, 7)                                                                            \
    TILE(name, type, 8)                                                                            \
    TILE(name, type, 9)                                                                            \
    TILE(name, type, 10)                                                                           \
    TILE(name, type, 11)                                                                           \
    TILE(name, type, 12)                                                                           \
    TILE(name, type, 13)                                                                           \
    TILE(name, type, 14)                                                                           \
    TILE(name, type, 15)                                                                           \
    TILE(name, type, 16)                                                                           \
    static tile_fn *const tiles_##name[QR_TILE_ROWS] = {                                           \
        tile_##name##_1,  tile_##name##_2,  tile_##name##_3,  tile_##name##_4,                     \
        tile_##name##_5,  tile_##name##_6,  tile_##name##_7,  tile_##name##_8,                     \
        tile_##name##_9,  tile_##name##_10, tile_##name##_11, tile_##name##_12,                    \
        tile_##name##_13, tile_##name##_14, tile_##name##_15, tile_##name##_16,                    \
    };                                                                                             \
    static void tile_##name(const struct row_tile *t)                                              \
    {                                                                                              \
        tiles_##name[t->rows_n - 1](t);                                                            \
    }                                                                                              \
    QR_GEMM_FN(OF_LEVEL(name))                                                                     \
    {                                                                                              \
        gemm_by_tiles(tile_##name, g);                                                             \
    }

#endif
