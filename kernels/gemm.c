/* SPDX-License-Identifier: MIT */
#include "kernels/gemm_layout.h"

#include <math.h>
#include <string.h>

#include "kernels/cpu.h"

/* ---- activations --------------------------------------------------------------------------- */

static size_t tile_bytes(uint32_t k)
{
    return (size_t)(k / QR_ACT_BLOCK) * QR_ACT_BLOCK_BYTES;
}

size_t qr_acts_bytes(uint32_t rows_max, uint32_t k)
{
    return ((size_t)rows_max + QR_TILE_ROWS - 1) / QR_TILE_ROWS * tile_bytes(k);
}

void qr_acts_init(struct qr_acts *acts, void *memory, uint32_t k)
{
    assert(k % QR_ACT_BLOCK == 0 && (uintptr_t)memory % 64 == 0);
    *acts = (struct qr_acts){.k = k, .tile_bytes = tile_bytes(k), .data = memory};
}

/* Ignores NaN, as the vector maximum instructions do. */
static float block_amax(const float *x)
{
    float amax = 0.0f;
    for (uint32_t i = 0; i < QR_ACT_BLOCK; i++) {
        float magnitude = fabsf(x[i]);
        amax = magnitude > amax ? magnitude : amax;
    }
    return amax;
}

/* Writes all fields except pair_s. */
static void quantize_block(struct qr_act_row *a, const float *x)
{
    struct qr_act_scale scale = qr_act_scale(block_amax(x));
    int32_t sums[2] = {0, 0};
    for (uint32_t j = 0; j < QR_ACT_BLOCK; j++) {
        a->q[j] = scale.d != 0.0f ? (int8_t)lrintf(x[j] * scale.inverse) : 0;
        sums[j / 16] += a->q[j];
    }
    a->d = scale.d;
    a->magic = scale.magic;
    a->s = a->d * (float)(sums[0] + sums[1]);
    a->start_8 = -8 * (sums[0] + sums[1]);
    memcpy(&a->magic_8, &a->magic, sizeof a->magic_8);
    a->magic_8 += a->start_8;
    a->start_32[0] = -32 * sums[0];
    a->start_32[1] = -32 * sums[1];
}

static void quantize_one(struct qr_acts *acts, uint32_t row, uint32_t block, const float *x)
{
    struct qr_act_row *a = qr_act_row(acts, row, block);

    quantize_block(a, x);
    *qr_act_pair_s(acts, row, block) = qr_f32_to_bf16(a->s);
    if (block + 1 == acts->k / QR_ACT_BLOCK && qr_act_ends_odd(acts))
        *qr_act_pair_s(acts, row, block + 1) = 0;
}

static QR_QUANTIZE_FN(quantize_scalar)
{
    assert(k0 % QR_ACT_BLOCK == 0 && n % QR_ACT_BLOCK == 0 && k0 + n <= acts->k);
    for (uint32_t row = row_begin; row < row_end; row++, x += x_stride)
        for (uint32_t i = 0; i < n; i += QR_ACT_BLOCK)
            quantize_one(acts, row, (k0 + i) / QR_ACT_BLOCK, x + i);
}

/* ---- the scalar product -------------------------------------------------------------------- */

/* A block of 32 k of a panel, decoded. */
struct decoded_block {
    int8_t q[QR_PANEL_N][QR_ACT_BLOCK]; /* without the offset */
    int32_t scale[2][QR_PANEL_N];       /* of the first and last 16 k; 1 if the type has none */
    float d[QR_PANEL_N];
    bool halves;            /* add the scaled sums of both halves one after the other */
    float m[2][QR_PANEL_N]; /* minima */
    uint32_t m_n; /* 0: no minima; 1: m[0] for all 32 k; 2: m[0] and m[1] for the halves */
    float residual[2][QR_PANEL_N]; /* of this block and the next, added before both */
    bool has_residuals;            /* even blocks of Q4_1 and Q5_1 */
};

typedef void decode_fn(struct decoded_block *out, const uint8_t *group, uint32_t b);

static void decode_f16(float *out, const uint8_t *src)
{
    for (uint32_t c = 0; c < QR_PANEL_N; c++)
        out[c] = qr_f16_to_f32((uint16_t)(src[2 * c] | src[2 * c + 1] << 8));
}

static void decode_nibbles(struct decoded_block *out, const uint8_t *src, int offset)
{
    for (uint32_t i = 0; i < QR_NIBBLE_BLOCK; i++) {
        uint32_t c = i % 64 / 4, k = i / 64 * 4 + i % 4;
        out->q[c][k] = (int8_t)((src[i] & 15) - offset);
        out->q[c][16 + k] = (int8_t)((src[i] >> 4) - offset);
    }
}

/* Adds `value` to the quants that have their bit set in the plane. */
static void decode_plane(struct decoded_block *out, const uint8_t *plane, int value)
{
    for (uint32_t i = 0; i < QR_PLANE; i++) {
        for (uint32_t t = 0; t < 8; t++)
            if (plane[i] >> t & 1) out->q[i / 4][4 * t + i % 4] += (int8_t)value;
    }
}

static void decode_pairs(struct decoded_block *out, const uint8_t *src, int offset)
{
    for (uint32_t i = 0; i < QR_PAIRS_BLOCK; i++) {
        for (uint32_t t = 0; t < 4; t++) {
            uint32_t c = i % 64 / 4, k = i / 64 * 16 + 4 * t + i % 4;
            out->q[c][k] = (int8_t)((src[i] >> 2 * t & 3) - offset);
        }
    }
}

static void decode_values(struct decoded_block *out, const uint8_t *src)
{
    decode_nibbles(out, src, 0);
    for (uint32_t c = 0; c < QR_PANEL_N; c++) {
        for (uint32_t k = 0; k < QR_ACT_BLOCK; k++)
            out->q[c][k] = qr_iq4_values[out->q[c][k]];
    }
}

static void no_scales(struct decoded_block *out)
{
    for (uint32_t c = 0; c < QR_PANEL_N; c++)
        out->scale[0][c] = out->scale[1][c] = 1;
    out->m_n = 0;
}

static void decode_q4_0(struct decoded_block *out, const uint8_t *group, uint32_t b)
{
    no_scales(out);
    decode_nibbles(out, group + QR_NIBBLE_BLOCK * b, 8);
    decode_f16(out->d, group + QR_Q4_0_D(b));
}

static void decode_residuals(struct decoded_block *out, const uint8_t *src, uint32_t b)
{
    for (uint32_t i = 0; i < 2 * QR_PANEL_N; i++)
        out->residual[i % 2][i / 2] = qr_bf16_to_f32((uint16_t)(src[2 * i] | src[2 * i + 1] << 8));
    out->has_residuals = b % 2 == 0;
}

static void decode_q4_1(struct decoded_block *out, const uint8_t *group, uint32_t b)
{
    no_scales(out);
    decode_nibbles(out, group + QR_NIBBLE_BLOCK * b, 8);
    decode_f16(out->d, group + QR_Q4_1_D(b));
    decode_residuals(out, group + QR_Q4_1_RESIDUAL, b);
}

static void decode_q5_0(struct decoded_block *out, const uint8_t *group, uint32_t b)
{
    no_scales(out);
    decode_nibbles(out, group + QR_Q5_BLOCK * b, 16);
    decode_plane(out, group + QR_Q5_BLOCK * b + QR_NIBBLE_BLOCK, 16);
    decode_f16(out->d, group + QR_Q5_0_D(b));
}

static void decode_q5_1(struct decoded_block *out, const uint8_t *group, uint32_t b)
{
    no_scales(out);
    decode_nibbles(out, group + QR_Q5_BLOCK * b, 16);
    decode_plane(out, group + QR_Q5_BLOCK * b + QR_NIBBLE_BLOCK, 16);
    decode_f16(out->d, group + QR_Q5_1_D(b));
    decode_residuals(out, group + QR_Q5_1_RESIDUAL, b);
}

static void decode_iq4_nl(struct decoded_block *out, const uint8_t *group, uint32_t b)
{
    no_scales(out);
    decode_values(out, group + QR_NIBBLE_BLOCK * b);
    decode_f16(out->d, group + QR_IQ4_NL_D(b));
}

static void decode_q8_0(struct decoded_block *out, const uint8_t *group, uint32_t b)
{
    const uint8_t *src = group + QR_BYTE_BLOCK * b;
    no_scales(out);
    for (uint32_t i = 0; i < QR_BYTE_BLOCK; i++)
        out->q[i % 64 / 4][i / 64 * 4 + i % 4] = (int8_t)(src[i] - 128);
    decode_f16(out->d, group + QR_Q8_0_D(b));
}

static void decode_q2_k(struct decoded_block *out, const uint8_t *group, uint32_t b)
{
    float dmin[QR_PANEL_N];

    decode_pairs(out, group + QR_PAIRS_BLOCK * b, 0);
    decode_f16(out->d, group + QR_Q2_K_D);
    decode_f16(dmin, group + QR_Q2_K_DMIN);
    for (uint32_t half = 0; half < 2; half++) {
        for (uint32_t c = 0; c < QR_PANEL_N; c++) {
            uint8_t both = group[QR_Q2_K_BOTH(b) + 16 * half + c];
            out->scale[half][c] = both & 15;
            out->m[half][c] = dmin[c] * -(float)(both >> 4); /* f16 times 4 bits: exact */
        }
    }
    out->m_n = 2;
}

static void decode_int8_scales(struct decoded_block *out, const uint8_t *scales)
{
    for (uint32_t c = 0; c < QR_PANEL_N; c++) {
        out->scale[0][c] = (int8_t)scales[c];
        out->scale[1][c] = (int8_t)scales[16 + c];
    }
    out->m_n = 0;
}

static void decode_q3_k(struct decoded_block *out, const uint8_t *group, uint32_t b)
{
    decode_pairs(out, group + QR_Q3_K_BLOCK * b, 4);
    decode_plane(out, group + QR_Q3_K_BLOCK * b + QR_PAIRS_BLOCK, 4);
    decode_int8_scales(out, group + QR_Q3_K_SCALE(b));
    decode_f16(out->d, group + QR_Q3_K_D);
}

/* Of Q4_K and Q5_K.  d and dmin have 11 bits, scale and min 6: the products are exact. */
static void decode_scales_and_minima(struct decoded_block *out, const uint8_t *d,
                                     const uint8_t *dmin, const uint8_t *scale, const uint8_t *min)
{
    no_scales(out);
    decode_f16(out->d, d);
    decode_f16(out->m[0], dmin);
    for (uint32_t c = 0; c < QR_PANEL_N; c++) {
        out->d[c] *= (float)scale[c];
        out->m[0][c] *= -(float)min[c];
    }
    out->m_n = 1;
}

static void decode_q4_k(struct decoded_block *out, const uint8_t *group, uint32_t b)
{
    decode_scales_and_minima(out, group + QR_Q4_K_D, group + QR_Q4_K_DMIN, group + QR_Q4_K_SCALE(b),
                             group + QR_Q4_K_MIN(b));
    decode_nibbles(out, group + QR_NIBBLE_BLOCK * b, 0);
}

static void decode_q5_k(struct decoded_block *out, const uint8_t *group, uint32_t b)
{
    decode_scales_and_minima(out, group + QR_Q5_K_D, group + QR_Q5_K_DMIN, group + QR_Q5_K_SCALE(b),
                             group + QR_Q5_K_MIN(b));
    decode_nibbles(out, group + QR_Q5_BLOCK * b, 0);
    decode_plane(out, group + QR_Q5_BLOCK * b + QR_NIBBLE_BLOCK, 16);
}

static void decode_q6_k(struct decoded_block *out, const uint8_t *group, uint32_t b)
{
    static const uint32_t bits_shift[4] = {4, 6, 0, 2};
    const uint8_t *nibbles = group + QR_Q6_K_BLOCK * b;

    decode_nibbles(out, nibbles, 32);
    for (uint32_t i = 0; i < QR_NIBBLE_BLOCK; i++) {
        uint32_t c = i % 64 / 4, t = i / 64, j = i % 4;
        const uint8_t *bits = nibbles + QR_NIBBLE_BLOCK + 4 * c + j;
        out->q[c][4 * t + j] += (int8_t)((bits[0] >> bits_shift[t] & 3) << 4);
        out->q[c][16 + 4 * t + j] += (int8_t)((bits[64] >> bits_shift[t] & 3) << 4);
    }
    decode_int8_scales(out, group + QR_Q6_K_SCALE(b));
    decode_f16(out->d, group + QR_Q6_K_D);
    out->halves = true;
}

static void decode_iq4_xs(struct decoded_block *out, const uint8_t *group, uint32_t b)
{
    no_scales(out);
    decode_values(out, group + QR_NIBBLE_BLOCK * b);
    decode_f16(out->d, group + QR_IQ4_XS_D);
    for (uint32_t c = 0; c < QR_PANEL_N; c++) /* f16 times 6 bits: exact */
        out->d[c] *= (float)(int8_t)group[QR_IQ4_XS_SCALE(b) + c];
}

/* Adds one block to one row's sums.  Every variant repeats these operations in this order. */
static void add_block(float acc[QR_PANEL_N], const struct decoded_block *w,
                      const struct qr_act_row *a)
{
    for (uint32_t c = 0; c < QR_PANEL_N; c++) {
        int32_t isum[2] = {0, 0};
        if (w->has_residuals) { /* in the order of vdpbf16ps: the second product first */
            acc[c] = fmaf(w->residual[1][c], qr_bf16_to_f32(a->pair_s[1]), acc[c]);
            acc[c] = fmaf(w->residual[0][c], qr_bf16_to_f32(a->pair_s[0]), acc[c]);
        }
        for (uint32_t k = 0; k < 16; k++) {
            isum[0] += w->q[c][k] * a->q[k];
            isum[1] += w->q[c][16 + k] * a->q[16 + k];
        }
        if (w->halves) { /* d * scale * a->d has at most 21 bits */
            for (uint32_t h = 0; h < 2; h++)
                acc[c] = fmaf(w->d[c] * (float)w->scale[h][c] * a->d, (float)isum[h], acc[c]);
        } else {
            int32_t sum = w->scale[0][c] * isum[0] + w->scale[1][c] * isum[1];
            acc[c] = fmaf(w->d[c] * a->d, (float)sum, acc[c]);
        }
        if (w->m_n == 1) acc[c] = fmaf(w->m[0][c], a->s, acc[c]);
        if (w->m_n == 2) {
            acc[c] = fmaf(w->m[1][c], a->s, acc[c]);
            /* both exact: 15 and 14 bits */
            acc[c] = fmaf(w->m[0][c] - w->m[1][c], a->d * (float)a->start_32[0] * -0x1p-5f, acc[c]);
        }
    }
}

static void gemm_scalar(decode_fn *decode, const struct qr_gemm_args *g)
{
    const struct qr_matrix *m = g->m;
    struct qr_gemm_layout layout = qr_gemm_layout(m->type);

    qr_gemm_check(g);
    for (uint32_t panel = g->panel_begin; panel < g->panel_end; panel++) {
        uint32_t columns_n = m->n - panel * QR_PANEL_N;
        if (columns_n > QR_PANEL_N) columns_n = QR_PANEL_N;
        for (uint32_t row = g->row_begin; row < g->row_end; row += QR_TILE_ROWS) {
            float acc[QR_TILE_ROWS][QR_PANEL_N] = {0};
            uint32_t rows_n = g->row_end - row < QR_TILE_ROWS ? g->row_end - row : QR_TILE_ROWS;
            for (uint32_t b = 0; b < m->k / QR_ACT_BLOCK; b++) {
                struct decoded_block w = {.halves = false, .has_residuals = false};
                decode(&w,
                       m->data + panel * m->panel_stride +
                           (size_t)(b / layout.blocks_n) * layout.group_bytes,
                       b % layout.blocks_n);
                for (uint32_t r = 0; r < rows_n; r++)
                    add_block(acc[r], &w, qr_act_row(g->acts, row + r, b));
            }
            for (uint32_t r = 0; r < rows_n; r++) {
                float *to = g->out + (row - g->row_begin + r) * g->out_stride +
                            (size_t)(panel - g->panel_begin) * QR_PANEL_N;
                for (uint32_t c = 0; c < columns_n; c++)
                    to[c] = g->add ? to[c] + acc[r][c] : acc[r][c];
            }
        }
    }
}

#define GEMM_SCALAR(type)                                                                          \
    static QR_GEMM_FN(gemm_##type##_scalar)                                                        \
    {                                                                                              \
        gemm_scalar(decode_##type, g);                                                             \
    }
GEMM_SCALAR(q4_0)
GEMM_SCALAR(q4_1)
GEMM_SCALAR(q5_0)
GEMM_SCALAR(q5_1)
GEMM_SCALAR(q8_0)
GEMM_SCALAR(iq4_nl)
GEMM_SCALAR(q2_k)
GEMM_SCALAR(q3_k)
GEMM_SCALAR(q4_k)
GEMM_SCALAR(q5_k)
GEMM_SCALAR(q6_k)
GEMM_SCALAR(iq4_xs)

/* ---- dispatch ------------------------------------------------------------------------------ */

#if defined(__x86_64__)
#include "kernels/x86/gemm.h"
#endif

qr_gemm_fn *qr_gemm_for(const struct qr_gemm_kernels *k, enum qr_type type)
{
    switch (type) {
    case QR_TYPE_Q4_0: return k->q4_0;
    case QR_TYPE_Q4_1: return k->q4_1;
    case QR_TYPE_Q5_0: return k->q5_0;
    case QR_TYPE_Q5_1: return k->q5_1;
    case QR_TYPE_Q8_0: return k->q8_0;
    case QR_TYPE_IQ4_NL: return k->iq4_nl;
    case QR_TYPE_Q2_K: return k->q2_k;
    case QR_TYPE_Q3_K: return k->q3_k;
    case QR_TYPE_Q4_K: return k->q4_k;
    case QR_TYPE_Q5_K: return k->q5_k;
    case QR_TYPE_Q6_K: return k->q6_k;
    case QR_TYPE_IQ4_XS: return k->iq4_xs;
    default: return NULL;
    }
}

void qr_gemm_init(struct qr_gemm_kernels *k, unsigned cpu_flags)
{
    *k = (struct qr_gemm_kernels){
        .quantize = quantize_scalar,
        .q4_0 = gemm_q4_0_scalar,
        .q4_1 = gemm_q4_1_scalar,
        .q5_0 = gemm_q5_0_scalar,
        .q5_1 = gemm_q5_1_scalar,
        .q8_0 = gemm_q8_0_scalar,
        .iq4_nl = gemm_iq4_nl_scalar,
        .q2_k = gemm_q2_k_scalar,
        .q3_k = gemm_q3_k_scalar,
        .q4_k = gemm_q4_k_scalar,
        .q5_k = gemm_q5_k_scalar,
        .q6_k = gemm_q6_k_scalar,
        .iq4_xs = gemm_iq4_xs_scalar,
    };
#if defined(__x86_64__)
    gemm_init_x86(k, cpu_flags);
#else
    (void)cpu_flags;
#endif
}
