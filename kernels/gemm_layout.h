/* SPDX-License-Identifier: MIT */
/* gemm_layout -- where each byte of a packed matrix and of quantised activations stands.
 *
 * A panel is 16 outputs, one stream.  32 k of it are a block; the blocks come in groups, and after
 * the blocks of a group stand their scales, so that the kernel reads one stream forward only.
 *
 *   nibble block, 256 bytes: byte 64 t + 4 c + j is column c: low nibble k = 4 t + j, high nibble
 *       k = 16 + 4 t + j (t 0..3, j 0..3).
 *   byte block, 512 bytes: byte 64 t + 4 c + j is column c's k = 4 t + j (t 0..7).
 *   bits block, 128 bytes: byte 64 u + 4 c + j is column c: the upper bit pairs of k = 16 u +
 *       4 t + j in bits 4-5 (t = 0), 6-7 (t = 1), 0-1 (t = 2), 2-3 (t = 3): one shift and one
 *       mask bring a pair to bits 4-5.
 *   pairs block, 128 bytes: byte 64 u + 4 c + j is column c: the bit pairs of k = 16 u + 4 t + j in
 *       bits 2 t and 2 t + 1 (t 0..3).
 *   plane, 64 bytes: byte 4 c + j is column c: the uppermost bit of k = 4 t + j in bit t (t 0..7).
 *
 *   Q4_0, 2 blocks a group: 2 nibble blocks (q), f16 d[2][16].             w = d (q - 8)
 *   Q4_1, 2 blocks: 2 nibble blocks, f16 d[2][16], bf16 residual[16][2].
 *                                                                     w = d (q - 8) + residual
 *   Q5_0, 2 blocks: 2 times (nibble block, plane), f16 d[2][16].           w = d (q - 16)
 *   Q5_1, 2 blocks: as Q5_0, then bf16 residual[16][2].               w = d (q - 16) + residual
 *   IQ4_NL, 2 blocks: as Q4_0.                                             w = d value[q]
 *   Q8_0, 2 blocks: 2 byte blocks (q + 128), f16 d[2][16].                 w = d q
 *   Q2_K, 8 blocks: 8 pairs blocks, uint8 both[8][2][16] (of k 0-15 and 16-31: scale in the low
 *       nibble, min in the high one), f16 d[16], f16 dmin[16].             w = d scale q - dmin min
 *   Q3_K, 8 blocks: 8 times (pairs block, plane), int8 scale[8][2][16], f16 d[16], 32 bytes
 *       unused.                                                            w = d scale (q - 4)
 *   Q4_K, 8 blocks: 8 nibble blocks, uint8 scale[8][16], uint8 min[8][16], f16 d[16],
 *       f16 dmin[16].                                                      w = d scale q - dmin min
 *   Q5_K, 8 blocks: 8 times (nibble block, plane), then as Q4_K.           w = d scale q - dmin min
 *   Q6_K, 8 blocks: 8 times (nibble block, bits block), int8 scale[8][2][16] (k 0-15 and 16-31),
 *       f16 d[16], 32 bytes unused.                                        w = d scale (q - 32)
 *   IQ4_XS, 8 blocks: 8 nibble blocks, int8 scale[8][16], f16 d[16], 32 bytes unused.
 *                                                                          w = d scale value[q]
 * A group that k ends in the middle of is as long as any; what lies past k is zero.
 *
 * residual[column][block] is what the file's minimum is beyond the offset, m + 8 d or m + 16 d,
 * rounded to bf16, as is the sum of activations that it meets (pair_s): so one dot of two bf16
 * brings in the minima of two blocks.  In a block of weights about zero a residual is a step or
 * two, in one of both signs at most 8 (16) of them, and what rounding takes, 2^-9 of it, is little
 * beside the half step that a quant is off; a block of one sign is as exact as weights of bf16.
 * K-quants keep their minima (README).
 *
 * Activations: block b of row r in tile t is a struct qr_act_row at
 * data + t * tile_bytes + b * QR_ACT_BLOCK_BYTES + r * 64.  The stride of a block has one line more
 * than its 16 rows, so that one row's blocks fall into all sets of a cache and not into every 16th.
 *
 * Thread: any.   Memory: none of its own. */
#ifndef QR_KERNELS_GEMM_LAYOUT_H
#define QR_KERNELS_GEMM_LAYOUT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/gemm.h"

#define QR_NIBBLE_BLOCK 256u
#define QR_BYTE_BLOCK   512u
#define QR_BITS_BLOCK   128u
#define QR_PAIRS_BLOCK  128u
#define QR_PLANE        64u

/* Bytes of a group, and where things stand in it; b is the block's index in its group. */
#define QR_Q4_0_GROUP      576u
#define QR_Q4_0_D(b)       (512u + 32u * (b))
#define QR_Q4_1_GROUP      640u
#define QR_Q4_1_D(b)       (512u + 32u * (b))
#define QR_Q4_1_RESIDUAL   576u
#define QR_Q5_BLOCK        (QR_NIBBLE_BLOCK + QR_PLANE) /* of Q5_0, Q5_1, Q5_K */
#define QR_Q5_0_GROUP      704u
#define QR_Q5_0_D(b)       (640u + 32u * (b))
#define QR_Q5_1_GROUP      768u
#define QR_Q5_1_D(b)       (640u + 32u * (b))
#define QR_Q5_1_RESIDUAL   704u
#define QR_IQ4_NL_GROUP    QR_Q4_0_GROUP
#define QR_IQ4_NL_D(b)     QR_Q4_0_D(b)
#define QR_Q8_0_GROUP      1088u
#define QR_Q8_0_D(b)       (1024u + 32u * (b))
#define QR_Q2_K_GROUP      1344u
#define QR_Q2_K_BOTH(b)    (1024u + 32u * (b)) /* the first half's; the second's 16 bytes on */
#define QR_Q2_K_D          1280u
#define QR_Q2_K_DMIN       1312u
#define QR_Q3_K_GROUP      1856u
#define QR_Q3_K_BLOCK      (QR_PAIRS_BLOCK + QR_PLANE)
#define QR_Q3_K_SCALE(b)   (1536u + 32u * (b)) /* as Q2_K's */
#define QR_Q3_K_D          1792u
#define QR_Q4_K_GROUP      2368u
#define QR_Q4_K_SCALE(b)   (2048u + 16u * (b))
#define QR_Q4_K_MIN(b)     (2176u + 16u * (b))
#define QR_Q4_K_D          2304u
#define QR_Q4_K_DMIN       2336u
#define QR_Q5_K_GROUP      2880u
#define QR_Q5_K_SCALE(b)   (2560u + 16u * (b))
#define QR_Q5_K_MIN(b)     (2688u + 16u * (b))
#define QR_Q5_K_D          2816u
#define QR_Q5_K_DMIN       2848u
#define QR_Q6_K_GROUP      3392u
#define QR_Q6_K_BLOCK      (QR_NIBBLE_BLOCK + QR_BITS_BLOCK)
#define QR_Q6_K_SCALE(b)   (3072u + 32u * (b)) /* as Q2_K's */
#define QR_Q6_K_D          3328u
#define QR_IQ4_XS_GROUP    2240u
#define QR_IQ4_XS_SCALE(b) (2048u + 16u * (b))
#define QR_IQ4_XS_D        2176u

struct qr_gemm_layout {
    uint32_t blocks_n;    /* blocks in a group */
    uint32_t group_bytes; /* 0: the type has no packed form */
};
struct qr_gemm_layout qr_gemm_layout(enum qr_type type);

/* One row's block of activations: one cache line. */
struct qr_act_row {
    int8_t q[32];
    float d;             /* x is about d * q; three significant bits, (1 + j / 4) * 2^e */
    float magic;         /* (1.5 * 2^23 + 64 j) * 2^e: see qr_act_scale */
    float s;             /* d * (the sum of q), exact: meets K-quants' minima */
    int32_t start_8;     /* -8 * (the sum of q): where a sum over unsigned weights starts, so that
                            their offset is gone at its end; doubled for 16, times 16 for 128 */
    int32_t start_32[2]; /* -32 * the sums of q[0..16) and q[16..32); d times the former, which is
                            exact, meets what Q2_K's first minimum is more than its second */
    int32_t magic_8;     /* the bits of `magic`, and start_8: where a sum starts at magic */
    uint16_t pair_s[2];  /* of an even block: s of this one and of the next (0, where k ends before
                            it), in bf16: meet two blocks' residuals; of an odd one nothing */
};
static_assert(sizeof(struct qr_act_row) == 64, "a row's block is a cache line");

#define QR_ACT_BLOCK_BYTES (64u * (QR_TILE_ROWS + 1))

/* A block whose amax is outside this is all zero: weight scales (2^-24 to 2^16, in K-quants times
 * up to 128) times what is inside neither overflow nor lose bits. */
#define QR_ACT_AMAX_MIN 0x1p-60f
#define QR_ACT_AMAX_MAX 0x1p100f

/* A block's scale: amax / 127 rounded up to three significant bits, d = (1 + j / 4) * 2^e.  What
 * that buys where many rows meet a block of weights:
 *   - an integer added to the bits of `magic` and `magic` taken off again as a float is the integer
 *     times 2^e, exactly (up to 2^22 less 2^8): a conversion and a product in one addition;
 *   - a column's weight scale times 1 + j / 4 is the same for all rows, and there are four of them:
 *     made once, found at byte 64 j, which are the lowest bits of `magic`.
 * Both are exact, so nothing of it shows in any bit: what stands in gemm.h is d. */
struct qr_act_scale {
    float d, inverse, magic;
};
#define QR_ACT_SCALES    4u          /* values of j */
#define QR_ACT_MAGIC_ONE 0x4b400000u /* 1.5 * 2^23: its last bit is 1 */

static inline struct qr_act_scale qr_act_scale(float amax)
{
    static const float inverses[QR_ACT_SCALES] = {1.0f, 1.0f / 1.25f, 1.0f / 1.5f, 1.0f / 1.75f};
    struct qr_act_scale s = {.magic = 0x1.8p23f};
    float least = amax * (1.0f / 127.0f);
    uint32_t bits, e, magic, inverse;

    if (!(amax >= QR_ACT_AMAX_MIN && amax <= QR_ACT_AMAX_MAX)) return s;
    memcpy(&bits, &least, sizeof bits);
    bits = (bits + 0x1fffffu) & ~0x1fffffu;
    e = (bits & 0x7f800000u) - 0x3f800000u; /* where a float has it */
    magic = QR_ACT_MAGIC_ONE + e + (bits >> 21 & 3) * 64;
    memcpy(&inverse, &inverses[bits >> 21 & 3], sizeof inverse);
    inverse -= e;
    memcpy(&s.d, &bits, sizeof s.d);
    memcpy(&s.inverse, &inverse, sizeof s.inverse);
    memcpy(&s.magic, &magic, sizeof s.magic);
    return s;
}

static inline struct qr_act_row *qr_act_row(const struct qr_acts *acts, uint32_t row,
                                            uint32_t block)
{
    return (struct qr_act_row *)(acts->data + row / QR_TILE_ROWS * acts->tile_bytes +
                                 (size_t)block * QR_ACT_BLOCK_BYTES +
                                 (size_t)(row % QR_TILE_ROWS) * sizeof(struct qr_act_row));
}

/* Where a block's s in bf16 stands. */
static inline uint16_t *qr_act_pair_s(const struct qr_acts *acts, uint32_t row, uint32_t block)
{
    return qr_act_row(acts, row, block & ~1u)->pair_s + block % 2;
}

/* Whether a row ends in the middle of a pair of blocks: nobody else writes its last s. */
static inline bool qr_act_ends_odd(const struct qr_acts *acts)
{
    return acts->k / QR_ACT_BLOCK % 2;
}

static inline void qr_gemm_check(const struct qr_gemm_args *g)
{
    assert(g->panel_end <= g->m->panels_n && g->acts->k == g->m->k);
    assert(g->row_begin % QR_TILE_ROWS == 0);
}

#endif
