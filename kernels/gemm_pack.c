/* SPDX-License-Identifier: MIT */
#include "kernels/gemm_layout.h"

#include <string.h>

/* Bytes of k weights of one output in the file. */
static size_t row_bytes(const struct qr_matrix *m)
{
    const struct qr_type_traits *t = qr_type_traits(m->type);
    return (size_t)(m->k / t->block_n) * t->block_bytes;
}

static uint32_t load32(const void *p)
{
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

static void store32(void *p, uint32_t word)
{
    memcpy(p, &word, sizeof word);
}

/* Writes column c of a nibble block.  nibbles: as in the file, byte i has k = i in its low and
 * k = 16 + i in its high nibble. */
static void put_nibbles(uint8_t *block, uint32_t c, const uint8_t nibbles[16])
{
    for (uint32_t t = 0; t < 4; t++)
        store32(block + 64 * t + 4 * c, load32(nibbles + 4 * t));
}

/* The same from the low 4 bits of quants. */
static void put_low_nibbles(uint8_t *block, uint32_t c, const uint8_t q[32])
{
    for (uint32_t t = 0; t < 4; t++) {
        uint32_t low = load32(q + 4 * t) & 0x0f0f0f0fu, high = load32(q + 16 + 4 * t) & 0x0f0f0f0fu;
        store32(block + 64 * t + 4 * c, low | high << 4);
    }
}

/* Writes column c of a plane: bit `bit` of each quant. */
static void put_plane(uint8_t *plane, uint32_t c, const uint8_t q[32], uint32_t bit)
{
    uint32_t bits = 0;
    for (uint32_t t = 0; t < 8; t++)
        bits |= (load32(q + 4 * t) >> bit & 0x01010101u) << t;
    store32(plane + 4 * c, bits);
}

/* Writes column c of a pairs block: the low 2 bits of each quant. */
static void put_pairs(uint8_t *block, uint32_t c, const uint8_t q[32])
{
    for (uint32_t u = 0; u < 2; u++) {
        uint32_t pairs = 0;
        for (uint32_t t = 0; t < 4; t++)
            pairs |= (load32(q + 16 * u + 4 * t) & 0x03030303u) << 2 * t;
        store32(block + 64 * u + 4 * c, pairs);
    }
}

/* ---- packing one file block (32 or 256 k) of column c into its group ----------------------- */

static void pack_q4_0(uint8_t *group, uint32_t b, uint32_t c, const uint8_t *src)
{
    put_nibbles(group + QR_NIBBLE_BLOCK * b, c, src + 2);
    memcpy(group + QR_Q4_0_D(b) + 2 * c, src, 2);
}

/* Writes the residual of column c's minimum in block b, m + offset * d; src: f16 d, f16 m. */
static void put_residual(uint8_t *residuals, uint32_t b, uint32_t c, const uint8_t *src,
                         float offset)
{
    uint16_t d, m, residual;
    memcpy(&d, src, 2);
    memcpy(&m, src + 2, 2);
    residual =
        qr_f32_to_bf16(qr_f16_to_f32(m) + offset * qr_f16_to_f32(d)); /* the product is exact */
    memcpy(residuals + 4 * c + 2 * b, &residual, 2);
}

static void pack_q4_1(uint8_t *group, uint32_t b, uint32_t c, const uint8_t *src)
{
    put_nibbles(group + QR_NIBBLE_BLOCK * b, c, src + 4);
    memcpy(group + QR_Q4_1_D(b) + 2 * c, src, 2);
    put_residual(group + QR_Q4_1_RESIDUAL, b, c, src, 8.0f);
}

static void pack_q5_0(uint8_t *group, uint32_t b, uint32_t c, const uint8_t *src)
{
    uint8_t *block = group + QR_Q5_BLOCK * b, q[32];
    qr_q5_quants(src + 2, q);
    put_low_nibbles(block, c, q);
    put_plane(block + QR_NIBBLE_BLOCK, c, q, 4);
    memcpy(group + QR_Q5_0_D(b) + 2 * c, src, 2);
}

static void pack_q5_1(uint8_t *group, uint32_t b, uint32_t c, const uint8_t *src)
{
    uint8_t *block = group + QR_Q5_BLOCK * b, q[32];
    qr_q5_quants(src + 4, q);
    put_low_nibbles(block, c, q);
    put_plane(block + QR_NIBBLE_BLOCK, c, q, 4);
    memcpy(group + QR_Q5_1_D(b) + 2 * c, src, 2);
    put_residual(group + QR_Q5_1_RESIDUAL, b, c, src, 16.0f);
}

static void pack_q8_0(uint8_t *group, uint32_t b, uint32_t c, const uint8_t *src)
{
    uint8_t *block = group + QR_BYTE_BLOCK * b;
    for (uint32_t t = 0; t < 8; t++)
        store32(block + 64 * t + 4 * c, load32(src + 2 + 4 * t) ^ 0x80808080u);
    memcpy(group + QR_Q8_0_D(b) + 2 * c, src, 2);
}

/* For the types below a file block is the whole group, so b is 0. */

static void pack_q2_k(uint8_t *group, uint32_t b, uint32_t c, const uint8_t *src)
{
    assert(b == 0);
    for (uint32_t sub = 0; sub < 8; sub++) {
        uint8_t q[32];
        qr_q2_k_quants(src, sub, q);
        put_pairs(group + QR_PAIRS_BLOCK * sub, c, q);
        group[QR_Q2_K_BOTH(sub) + c] = src[2 * sub];
        group[QR_Q2_K_BOTH(sub) + 16 + c] = src[2 * sub + 1];
    }
    memcpy(group + QR_Q2_K_D + 2 * c, src + 80, 2);
    memcpy(group + QR_Q2_K_DMIN + 2 * c, src + 82, 2);
}

static void pack_q3_k(uint8_t *group, uint32_t b, uint32_t c, const uint8_t *src)
{
    assert(b == 0);
    for (uint32_t sub = 0; sub < 8; sub++) {
        uint8_t *block = group + QR_Q3_K_BLOCK * sub, q[32];
        qr_q3_k_quants(src, sub, q);
        put_pairs(block, c, q);
        put_plane(block + QR_PAIRS_BLOCK, c, q, 2);
        group[QR_Q3_K_SCALE(sub) + c] = (uint8_t)qr_q3_k_scale(src, 2 * sub);
        group[QR_Q3_K_SCALE(sub) + 16 + c] = (uint8_t)qr_q3_k_scale(src, 2 * sub + 1);
    }
    memcpy(group + QR_Q3_K_D + 2 * c, src + 108, 2);
}

static void pack_q4_k(uint8_t *group, uint32_t b, uint32_t c, const uint8_t *src)
{
    assert(b == 0);
    for (uint32_t sub = 0; sub < 8; sub++) {
        uint8_t q[32];
        qr_q4_k_quants(src, sub, q);
        put_low_nibbles(group + QR_NIBBLE_BLOCK * sub, c, q);
        qr_q4_k_scale(src + 4, sub, group + QR_Q4_K_SCALE(sub) + c, group + QR_Q4_K_MIN(sub) + c);
    }
    memcpy(group + QR_Q4_K_D + 2 * c, src, 2);
    memcpy(group + QR_Q4_K_DMIN + 2 * c, src + 2, 2);
}

static void pack_q5_k(uint8_t *group, uint32_t b, uint32_t c, const uint8_t *src)
{
    assert(b == 0);
    for (uint32_t sub = 0; sub < 8; sub++) {
        uint8_t *block = group + QR_Q5_BLOCK * sub, q[32];
        qr_q5_k_quants(src, sub, q);
        put_low_nibbles(block, c, q);
        put_plane(block + QR_NIBBLE_BLOCK, c, q, 4);
        qr_q4_k_scale(src + 4, sub, group + QR_Q5_K_SCALE(sub) + c, group + QR_Q5_K_MIN(sub) + c);
    }
    memcpy(group + QR_Q5_K_D + 2 * c, src, 2);
    memcpy(group + QR_Q5_K_DMIN + 2 * c, src + 2, 2);
}

static void pack_q6_k(uint8_t *group, uint32_t b, uint32_t c, const uint8_t *src)
{
    static const uint32_t bits_shift[4] = {4, 6, 0, 2};

    assert(b == 0);
    for (uint32_t sub = 0; sub < 8; sub++) {
        uint8_t *block = group + QR_Q6_K_BLOCK * sub, q[32];
        uint32_t bits[2] = {0, 0};
        qr_q6_k_quants(src, sub, q);
        put_low_nibbles(block, c, q);
        for (uint32_t t = 0; t < 4; t++) {
            bits[0] |= (load32(q + 4 * t) >> 4 & 0x03030303u) << bits_shift[t];
            bits[1] |= (load32(q + 16 + 4 * t) >> 4 & 0x03030303u) << bits_shift[t];
        }
        store32(block + QR_NIBBLE_BLOCK + 4 * c, bits[0]);
        store32(block + QR_NIBBLE_BLOCK + 64 + 4 * c, bits[1]);
        group[QR_Q6_K_SCALE(sub) + c] = src[192 + 2 * sub];
        group[QR_Q6_K_SCALE(sub) + 16 + c] = src[192 + 2 * sub + 1];
    }
    memcpy(group + QR_Q6_K_D + 2 * c, src + 208, 2);
}

static void pack_iq4_xs(uint8_t *group, uint32_t b, uint32_t c, const uint8_t *src)
{
    assert(b == 0);
    for (uint32_t sub = 0; sub < 8; sub++) {
        put_nibbles(group + QR_NIBBLE_BLOCK * sub, c, src + 8 + 16 * sub);
        group[QR_IQ4_XS_SCALE(sub) + c] = (uint8_t)qr_iq4_xs_scale(src, sub);
    }
    memcpy(group + QR_IQ4_XS_D + 2 * c, src, 2);
}

/* ---- the interface ------------------------------------------------------------------------- */

struct qr_gemm_layout qr_gemm_layout(enum qr_type type)
{
    switch (type) {
    case QR_TYPE_Q4_0: return (struct qr_gemm_layout){2, QR_Q4_0_GROUP};
    case QR_TYPE_Q4_1: return (struct qr_gemm_layout){2, QR_Q4_1_GROUP};
    case QR_TYPE_Q5_0: return (struct qr_gemm_layout){2, QR_Q5_0_GROUP};
    case QR_TYPE_Q5_1: return (struct qr_gemm_layout){2, QR_Q5_1_GROUP};
    case QR_TYPE_Q8_0: return (struct qr_gemm_layout){2, QR_Q8_0_GROUP};
    case QR_TYPE_IQ4_NL: return (struct qr_gemm_layout){2, QR_IQ4_NL_GROUP};
    case QR_TYPE_Q2_K: return (struct qr_gemm_layout){8, QR_Q2_K_GROUP};
    case QR_TYPE_Q3_K: return (struct qr_gemm_layout){8, QR_Q3_K_GROUP};
    case QR_TYPE_Q4_K: return (struct qr_gemm_layout){8, QR_Q4_K_GROUP};
    case QR_TYPE_Q5_K: return (struct qr_gemm_layout){8, QR_Q5_K_GROUP};
    case QR_TYPE_Q6_K: return (struct qr_gemm_layout){8, QR_Q6_K_GROUP};
    case QR_TYPE_IQ4_XS: return (struct qr_gemm_layout){8, QR_IQ4_XS_GROUP};
    default: return (struct qr_gemm_layout){0, 0};
    }
}

bool qr_matrix_shape(struct qr_matrix *m, enum qr_type type, uint32_t n, uint32_t k)
{
    struct qr_gemm_layout layout = qr_gemm_layout(type);
    if (!layout.group_bytes || n == 0 || k == 0 || k % qr_type_traits(type)->block_n) return false;
    uint32_t groups_n = (k / QR_ACT_BLOCK + layout.blocks_n - 1) / layout.blocks_n;
    *m = (struct qr_matrix){
        .type = type,
        .n = n,
        .k = k,
        .panels_n = n / QR_PANEL_N + (n % QR_PANEL_N != 0),
        .panel_bytes = (size_t)groups_n * layout.group_bytes,
        .panel_stride = (size_t)groups_n * layout.group_bytes,
    };
    return true;
}

size_t qr_matrix_bytes(const struct qr_matrix *m)
{
    return m->panels_n * m->panel_bytes;
}

void qr_matrix_pack(const struct qr_matrix *m, uint8_t *dst, const void *rows, uint32_t begin,
                    uint32_t end)
{
    struct qr_gemm_layout layout = qr_gemm_layout(m->type);
    const struct qr_type_traits *traits = qr_type_traits(m->type);
    uint32_t file_blocks_n = m->k / traits->block_n;
    /* File blocks in a group: 2 of 32 k, or 1 of 256. */
    uint32_t per_group = layout.blocks_n * QR_ACT_BLOCK / traits->block_n;
    void (*pack)(uint8_t *, uint32_t, uint32_t, const uint8_t *) = NULL;

    assert(end <= m->panels_n);
    switch (m->type) {
    case QR_TYPE_Q4_0: pack = pack_q4_0; break;
    case QR_TYPE_Q4_1: pack = pack_q4_1; break;
    case QR_TYPE_Q5_0: pack = pack_q5_0; break;
    case QR_TYPE_Q5_1: pack = pack_q5_1; break;
    case QR_TYPE_Q8_0: pack = pack_q8_0; break;
    case QR_TYPE_IQ4_NL: pack = pack_q4_0; break; /* the same bytes */
    case QR_TYPE_Q2_K: pack = pack_q2_k; break;
    case QR_TYPE_Q3_K: pack = pack_q3_k; break;
    case QR_TYPE_Q4_K: pack = pack_q4_k; break;
    case QR_TYPE_Q5_K: pack = pack_q5_k; break;
    case QR_TYPE_Q6_K: pack = pack_q6_k; break;
    case QR_TYPE_IQ4_XS: pack = pack_iq4_xs; break;
    default: assert(!"qr_matrix_shape refused this type");
    }
    for (uint32_t panel = begin; panel < end; panel++) {
        uint8_t *out = dst + panel * m->panel_stride;
        uint32_t columns_n = m->n - panel * QR_PANEL_N;
        if (columns_n > QR_PANEL_N) columns_n = QR_PANEL_N;
        if (columns_n < QR_PANEL_N || file_blocks_n % per_group) memset(out, 0, m->panel_bytes);
        for (uint32_t i = 0; i < file_blocks_n; i++) {
            uint8_t *group = out + (size_t)(i / per_group) * layout.group_bytes;
            const uint8_t *src = (const uint8_t *)rows + (size_t)panel * QR_PANEL_N * row_bytes(m) +
                                 (size_t)i * traits->block_bytes;
            for (uint32_t c = 0; c < columns_n; c++)
                pack(group, i % per_group, c, src + c * row_bytes(m));
        }
    }
}
