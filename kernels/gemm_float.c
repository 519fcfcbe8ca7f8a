/* SPDX-License-Identifier: MIT */
#include "kernels/gemm_float.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* k that are packed together: 32 by 32 values stay in the L1 while they are transposed. */
#define PACK_K 32u

/* ---- packing --------------------------------------------------------------------------------- */

static uint32_t value_bytes(enum qr_type type)
{
    return qr_type_traits(type)->block_bytes;
}

bool qr_float_matrix_shape(struct qr_matrix *m, enum qr_type type, uint32_t n, uint32_t k)
{
    if (!qr_type_traits(type)->is_float || n == 0 || k == 0) return false;
    *m = (struct qr_matrix){
        .type = type,
        .n = n,
        .k = k,
        .panels_n = n / QR_FLOAT_PANEL_N + (n % QR_FLOAT_PANEL_N != 0),
        .panel_bytes = (size_t)k * QR_FLOAT_PANEL_N * value_bytes(type),
        .panel_stride = (size_t)k * QR_FLOAT_PANEL_N * value_bytes(type),
    };
    return true;
}

/* The place of output c among the 32 weights of one k. */
static uint32_t place_of(enum qr_type type, uint32_t c)
{
    if (type != QR_TYPE_BF16) return c;
    return c % 16 * 2 + c / 16;
}

/* Writes k_n values of one output's row to its place in each k's line. */
static void pack_row(uint8_t *line, const uint8_t *row, uint32_t k_n, uint32_t bytes)
{
    if (bytes == 4) {
        for (uint32_t k = 0; k < k_n; k++)
            memcpy(line + (size_t)k * QR_FLOAT_PANEL_N * 4, row + 4 * k, 4);
    } else {
        for (uint32_t k = 0; k < k_n; k++)
            memcpy(line + (size_t)k * QR_FLOAT_PANEL_N * 2, row + 2 * k, 2);
    }
}

void qr_float_matrix_pack(const struct qr_matrix *m, uint8_t *dst, const void *rows, uint32_t begin,
                          uint32_t end)
{
    const uint32_t bytes = value_bytes(m->type);
    const size_t row_bytes = (size_t)m->k * bytes;

    assert(end <= m->panels_n);
    for (uint32_t panel = begin; panel < end; panel++) {
        uint8_t *out = dst + panel * m->panel_stride;
        const uint8_t *src = (const uint8_t *)rows + panel * QR_FLOAT_PANEL_N * row_bytes;
        uint32_t columns_n = m->n - panel * QR_FLOAT_PANEL_N;
        if (columns_n < QR_FLOAT_PANEL_N) memset(out, 0, m->panel_bytes);
        if (columns_n > QR_FLOAT_PANEL_N) columns_n = QR_FLOAT_PANEL_N;
        for (uint32_t k = 0; k < m->k; k += PACK_K) {
            uint32_t k_n = m->k - k < PACK_K ? m->k - k : PACK_K;
            uint8_t *lines = out + (size_t)k * QR_FLOAT_PANEL_N * bytes;
            for (uint32_t c = 0; c < columns_n; c++)
                pack_row(lines + (size_t)place_of(m->type, c) * bytes,
                         src + c * row_bytes + (size_t)k * bytes, k_n, bytes);
        }
    }
}

/* ---- scalar: the specification --------------------------------------------------------------- */

/* The 32 weights of one k, in the order of outputs. */
static void decode(enum qr_type type, const uint8_t *line, float w[QR_FLOAT_PANEL_N])
{
    float stored[QR_FLOAT_PANEL_N];

    qr_dequantize(type, line, stored, QR_FLOAT_PANEL_N);
    for (uint32_t c = 0; c < QR_FLOAT_PANEL_N; c++)
        w[c] = stored[place_of(type, c)];
}

#define TILE_ROWS 16u /* rows for which a line is decoded once */

/* One panel with up to TILE_ROWS rows from `row` on. */
static void panel_rows(const struct qr_gemm_float_args *g, uint32_t panel, uint32_t row)
{
    const struct qr_matrix *m = g->m;
    const size_t line_bytes = m->panel_bytes / m->k;
    const uint8_t *line = m->data + panel * m->panel_stride;
    const float *x = g->x + row * g->x_stride;
    float *out = g->out + row * g->out_stride + (size_t)(panel - g->panel_begin) * QR_FLOAT_PANEL_N;
    float acc[TILE_ROWS][QR_FLOAT_PANEL_N] = {0};
    uint32_t rows_n = g->rows_n - row < TILE_ROWS ? g->rows_n - row : TILE_ROWS;
    uint32_t columns_n = m->n - panel * QR_FLOAT_PANEL_N;

    if (columns_n > QR_FLOAT_PANEL_N) columns_n = QR_FLOAT_PANEL_N;
    for (uint32_t k = 0; k < m->k; k++, line += line_bytes) {
        float w[QR_FLOAT_PANEL_N];
        decode(m->type, line, w);
        for (uint32_t r = 0; r < rows_n; r++)
            for (uint32_t c = 0; c < QR_FLOAT_PANEL_N; c++)
                acc[r][c] = fmaf(w[c], x[r * g->x_stride + k], acc[r][c]);
    }
    for (uint32_t r = 0; r < rows_n; r++, out += g->out_stride)
        for (uint32_t c = 0; c < columns_n; c++)
            out[c] = g->add ? out[c] + acc[r][c] : acc[r][c];
}

/* One function for all types: it decodes by the matrix's type. */
static QR_GEMM_FLOAT_FN(gemm_float_scalar)
{
    assert(g->panel_end <= g->m->panels_n);
    for (uint32_t panel = g->panel_begin; panel < g->panel_end; panel++)
        for (uint32_t row = 0; row < g->rows_n; row += TILE_ROWS)
            panel_rows(g, panel, row);
}

/* ---- dispatch -------------------------------------------------------------------------------- */

#if defined(__x86_64__)
#include "kernels/x86/gemm_float.h"
#endif

qr_gemm_float_fn *qr_gemm_float_for(const struct qr_gemm_float_kernels *k, enum qr_type type)
{
    switch (type) {
    case QR_TYPE_F32: return k->f32;
    case QR_TYPE_F16: return k->f16;
    case QR_TYPE_BF16: return k->bf16;
    default: return NULL;
    }
}

void qr_gemm_float_init(struct qr_gemm_float_kernels *k, unsigned cpu_flags)
{
    k->f32 = k->f16 = k->bf16 = gemm_float_scalar;
#if defined(__x86_64__)
    gemm_float_init_x86(k, cpu_flags);
#else
    (void)cpu_flags;
#endif
}
