/* SPDX-License-Identifier: MIT */
/* Float GEMM in AVX2.  12 of the 16 registers hold sums.  1 to 3 rows: a tile is the whole panel of
 * 32 outputs, which is read once.  4 to 6 rows: a tile is half h of the panel, the outputs 8 h to
 * 8 h + 7 and 16 + 8 h to 16 + 8 h + 7 (a vector of BF16 has both), and the panel is read twice. */
#include "kernels/x86/gemm_float.h"
#include "kernels/x86/gemm_float_tiles.h"

#define TILE_ROWS_MAX  6u
#define WHOLE_ROWS_MAX 3u

/* The weights of one k, half h. */
INLINE void load_half(__m256 w[2], enum qr_type type, const uint8_t *line, uint32_t h)
{
    if (type == QR_TYPE_F32) {
        w[0] = _mm256_load_ps((const float *)(const void *)(line + 32 * h));
        w[1] = _mm256_load_ps((const float *)(const void *)(line + 64 + 32 * h));
    } else if (type == QR_TYPE_F16) {
        w[0] = _mm256_cvtph_ps(_mm_load_si128((const void *)(line + 16 * h)));
        w[1] = _mm256_cvtph_ps(_mm_load_si128((const void *)(line + 32 + 16 * h)));
    } else {
        __m256i both = _mm256_load_si256((const void *)(line + 32 * h));
        w[0] = _mm256_castsi256_ps(_mm256_slli_epi32(both, 16));
        w[1] = _mm256_castsi256_ps(_mm256_and_si256(both, _mm256_set1_epi32((int)0xffff0000u)));
    }
}

/* Stores a row's eight sums from output `column` on. */
INLINE void store_sums(__m256 sum, float *row, uint32_t column, const struct float_tile *t)
{
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)t->columns_n - (int)column), lanes);

    if (t->add) sum = _mm256_add_ps(_mm256_maskload_ps(row + column, mask), sum);
    _mm256_maskstore_ps(row + column, mask, sum);
}

/* Halves [first, first + halves_n) of the panel with rows_n rows. */
INLINE void gemm_halves(enum qr_type type, uint32_t rows_n, uint32_t first, uint32_t halves_n,
                        const struct float_tile *t)
{
    const uint8_t *line = t->weights;
    const float *x = t->x;
    __m256 acc[TILE_ROWS_MAX][4];

    UNROLL
    for (uint32_t r = 0; r < TILE_ROWS_MAX && r < rows_n; r++)
        acc[r][0] = acc[r][1] = acc[r][2] = acc[r][3] = _mm256_setzero_ps();
    for (uint32_t k = 0; k < t->k; k++, line += line_bytes_of(type)) {
        __m256 w[4];
        prefetch_line(type, line);
        load_half(w, type, line, first);
        if (halves_n == 2) load_half(w + 2, type, line, first + 1);
        UNROLL
        for (uint32_t r = 0; r < TILE_ROWS_MAX && r < rows_n; r++) {
            __m256 a = _mm256_broadcast_ss(x + r * t->x_stride + k);
            acc[r][0] = _mm256_fmadd_ps(w[0], a, acc[r][0]);
            acc[r][1] = _mm256_fmadd_ps(w[1], a, acc[r][1]);
            if (halves_n == 1) continue;
            acc[r][2] = _mm256_fmadd_ps(w[2], a, acc[r][2]);
            acc[r][3] = _mm256_fmadd_ps(w[3], a, acc[r][3]);
        }
    }
    UNROLL
    for (uint32_t r = 0; r < TILE_ROWS_MAX && r < rows_n; r++) {
        float *out = t->out + r * t->out_stride;
        store_sums(acc[r][0], out, 8 * first, t);
        store_sums(acc[r][1], out, 8 * first + 16, t);
        if (halves_n == 1) continue;
        store_sums(acc[r][2], out, 8 * first + 8, t);
        store_sums(acc[r][3], out, 8 * first + 24, t);
    }
}

#define TILE(name, type, rows_n)                                                                   \
    UNSANITIZED static void tile_##name##_##rows_n(const struct float_tile *t)                     \
    {                                                                                              \
        if (rows_n <= WHOLE_ROWS_MAX) {                                                            \
            gemm_halves(type, rows_n, 0, 2, t);                                                    \
        } else {                                                                                   \
            gemm_halves(type, rows_n, 0, 1, t);                                                    \
            gemm_halves(type, rows_n, 1, 1, t);                                                    \
        }                                                                                          \
    }
#define GEMM(name, type)                                                                           \
    TILE(name, type, 1)                                                                            \
    TILE(name, type, 2)                                                                            \
    TILE(name, type, 3)                                                                            \
    TILE(name, type, 4)                                                                            \
    TILE(name, type, 5)                                                                            \
    TILE(name, type, 6)                                                                            \
    static float_tile_fn *const tiles_##name[TILE_ROWS_MAX] = {                                    \
        tile_##name##_1, tile_##name##_2, tile_##name##_3,                                         \
        tile_##name##_4, tile_##name##_5, tile_##name##_6,                                         \
    };                                                                                             \
    QR_GEMM_FLOAT_FN(qr_gemm_##name##_avx2)                                                        \
    {                                                                                              \
        gemm_float_by_tiles(tiles_##name, TILE_ROWS_MAX, g);                                       \
    }

GEMM(f32, QR_TYPE_F32)
GEMM(f16, QR_TYPE_F16)
GEMM(bf16, QR_TYPE_BF16)
