/* SPDX-License-Identifier: MIT */
/* Float GEMM in AVX-512.  A tile is up to 14 rows with a panel of 32 outputs: 28 sums, two vectors
 * of weights and one activation use 31 of the 32 registers. */
#include "kernels/x86/gemm_float.h"
#include "kernels/x86/gemm_float_tiles.h"

#define TILE_ROWS_MAX 14u

/* The weights of one k: outputs 0 to 15 and 16 to 31. */
INLINE void load_line(__m512 w[2], enum qr_type type, const uint8_t *line)
{
    if (type == QR_TYPE_F32) {
        w[0] = _mm512_load_ps(line);
        w[1] = _mm512_load_ps(line + 64);
    } else if (type == QR_TYPE_F16) {
        w[0] = _mm512_cvtph_ps(_mm256_load_si256((const void *)line));
        w[1] = _mm512_cvtph_ps(_mm256_load_si256((const void *)(line + 32)));
    } else {
        __m512i both = _mm512_load_si512(line);
        w[0] = _mm512_castsi512_ps(_mm512_slli_epi32(both, 16));
        w[1] = _mm512_castsi512_ps(_mm512_and_si512(both, _mm512_set1_epi32((int)0xffff0000u)));
    }
}

INLINE void store_rows(__m512 acc[TILE_ROWS_MAX][2], uint32_t rows_n, const struct float_tile *t)
{
    const uint32_t columns = (uint32_t)((UINT64_C(1) << t->columns_n) - 1);

    UNROLL
    for (uint32_t r = 0; r < TILE_ROWS_MAX && r < rows_n; r++) {
        UNROLL
        for (uint32_t v = 0; v < 2; v++) {
            float *out = t->out + r * t->out_stride + 16 * v;
            __mmask16 mask = (__mmask16)(columns >> 16 * v);
            __m512 sum = acc[r][v];
            if (t->add) sum = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, out), sum);
            _mm512_mask_storeu_ps(out, mask, sum);
        }
    }
}

INLINE void gemm_tile(enum qr_type type, uint32_t rows_n, const struct float_tile *t)
{
    const uint8_t *line = t->weights;
    const float *x = t->x;
    __m512 acc[TILE_ROWS_MAX][2];

    UNROLL
    for (uint32_t r = 0; r < TILE_ROWS_MAX && r < rows_n; r++)
        acc[r][0] = acc[r][1] = _mm512_setzero_ps();
    for (uint32_t k = 0; k < t->k; k++, line += line_bytes_of(type)) {
        __m512 w[2];
        prefetch_line(type, line);
        load_line(w, type, line);
        UNROLL
        for (uint32_t r = 0; r < TILE_ROWS_MAX && r < rows_n; r++) {
            __m512 a = _mm512_set1_ps(x[r * t->x_stride + k]);
            acc[r][0] = _mm512_fmadd_ps(w[0], a, acc[r][0]);
            acc[r][1] = _mm512_fmadd_ps(w[1], a, acc[r][1]);
        }
    }
    store_rows(acc, rows_n, t);
}

/* A function for each number of rows: its sums are registers, and no row is computed in vain. */
#define TILE(name, type, rows_n)                                                                   \
    UNSANITIZED static void tile_##name##_##rows_n(const struct float_tile *t)                     \
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
    static float_tile_fn *const tiles_##name[TILE_ROWS_MAX] = {                                    \
        tile_##name##_1,  tile_##name##_2,  tile_##name##_3,  tile_##name##_4,  tile_##name##_5,   \
        tile_##name##_6,  tile_##name##_7,  tile_##name##_8,  tile_##name##_9,  tile_##name##_10,  \
        tile_##name##_11, tile_##name##_12, tile_##name##_13, tile_##name##_14,                    \
    };                                                                                             \
    QR_GEMM_FLOAT_FN(qr_gemm_##name##_avx512)                                                      \
    {                                                                                              \
        gemm_float_by_tiles(tiles_##name, TILE_ROWS_MAX, g);                                       \
    }

GEMM(f32, QR_TYPE_F32)
GEMM(f16, QR_TYPE_F16)
GEMM(bf16, QR_TYPE_BF16)
