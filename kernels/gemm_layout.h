/* SPDX-License-Identifier: MIT */
/* gemm_layout -- the layout of a packed matrix and of quantised activations, byte by byte.
 *
 * A panel is 16 outputs (columns c) and all k.  32 k of a panel are a block.  2 or 8 blocks are a
 * group, whose scales follow its blocks, so that a kernel reads a panel as one forward stream:
 *
 *     a panel       | group 0             | group 1             | ..   | last group          |
 *
 *     a group of    | block 0, 256 bytes  | block 1, 256 bytes  | d of block 0 | d of block 1 |
 *     Q4_0          | nibbles             | nibbles             | f16 [16]     | f16 [16]     |
 *
 *     a group of    | block 0  | ..  | block 7  | scale     | min       | d        | dmin     |
 *     Q4_K          | nibbles  |     | nibbles  | u8 [8][16]| u8 [8][16]| f16 [16] | f16 [16] |
 *
 *     a block       |   column 0    |   column 1    |  ..  |   column 15   |
 *     of nibbles    +---+---+---+---+---+---+---+---+      +---+---+---+---+
 *     line 0        | 0 | 1 | 2 | 3 | 0 | 1 | 2 | 3 |  ..  | 0 | 1 | 2 | 3 |   64 bytes each
 *     line 1        | 4 | 5 | 6 | 7 | 4 | 5 | 6 | 7 |  ..  | 4 | 5 | 6 | 7 |
 *     lines 2, 3    .. the byte of number i has k = i in its low nibble, k = 16 + i in its high one
 *
 * One line, unpacked, is the operand of one dot instruction: four k of each of 16 columns.
 *
 *   nibble block, 256 bytes: byte 64 t + 4 c + j is column c's: low nibble k = 4 t + j, high nibble
 *       k = 16 + 4 t + j (t 0..3, j 0..3).
 *   byte block, 512 bytes: byte 64 t + 4 c + j is column c's k = 4 t + j (t 0..7).
 *   bits block, 128 bytes: byte 64 u + 4 c + j has column c's upper bit pairs of k = 16 u + 4 t + j
 *       in bits 4-5 (t = 0), 6-7 (t = 1), 0-1 (t = 2), 2-3 (t = 3): one shift and one mask bring a
 *       pair to bits 4-5.
 *   pairs block, 128 bytes: byte 64 u + 4 c + j has column c's bit pairs of k = 16 u + 4 t + j in
 *       bits 2 t and 2 t + 1 (t 0..3).
 *   plane, 64 bytes: byte 4 c + j has column c's uppermost bit of k = 4 t + j in bit t (t 0..7).
 *
 * type    blocks  contents of a group                                         weight w =
 * Q4_0    2  2 nibble blocks (q), f16 d[2][16]                                d (q - 8)
 * Q4_1    2  2 nibble blocks, f16 d[2][16], bf16 residual[16][2]              d (q - 8) + residual
 * Q5_0    2  2 times (nibble block, plane), f16 d[2][16]                      d (q - 16)
 * Q5_1    2  as Q5_0, then bf16 residual[16][2]                               d (q - 16) + residual
 * IQ4_NL  2  as Q4_0                                                          d value[q]
 * Q8_0    2  2 byte blocks (q + 128), f16 d[2][16]                            d q
 * Q2_K    8  8 pairs blocks, u8 both[8][2][16], f16 d[16], f16 dmin[16]       d scale q - dmin min
 * Q3_K    8  8 times (pairs block, plane), i8 scale[8][2][16], f16 d[16],
 *            32 bytes unused                                                  d scale (q - 4)
 * Q4_K    8  8 nibble blocks, u8 scale[8][16], u8 min[8][16], f16 d[16],
 *            f16 dmin[16]                                                     d scale q - dmin min
 * Q5_K    8  8 times (nibble block, plane), then as Q4_K                      d scale q - dmin min
 * Q6_K    8  8 times (nibble block, bits block), i8 scale[8][2][16],
 *            f16 d[16], 32 bytes unused                                       d scale (q - 32)
 * IQ4_XS  8  8 nibble blocks, i8 scale[8][16], f16 d[16], 32 bytes unused     d scale value[q]
 *
 * [2][16]: for k 0 to 15 and 16 to 31 of the block.  both: the scale in the low nibble, the minimum
 * in the high nibble.  The last group of a panel has the full length; blocks past k are zero.
 *
 * residual[column][block] is the file's minimum beyond the offset, m + 8 d or m + 16 d, rounded to
 * bf16.  The sum of activations that multiplies it is rounded to bf16 too (pair_s), so that one dot
 * of two bf16 adds the minima of two blocks.  The rounding costs little: a residual is at most 8
 * (16) steps if the block has weights of both signs, and bf16 takes 2^-9 of that, against the half
 * step that each quant is off; a block of one sign is as exact as bf16 weights.  K-quants do not
 * use residuals (docs/notes/kernels.md).
 *
 * Activations: block b of row r in tile t is a struct qr_act_row at
 * data + t * tile_bytes + b * QR_ACT_BLOCK_BYTES + r * 64:
 *
 *     a tile        | row 0 .. row 15 of block 0 | unused line | row 0 .. row 15 of block 1 | ..
 *
 * With the unused line, the blocks of one row fall into all sets of a cache; without it they would
 * fall into every 16th set only.
 *
 * Thread: any.   Memory: none. */
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

/* Bytes of a group, and offsets in it; b is the block's index in its group. */
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
#define QR_Q2_K_BOTH(b)    (1024u + 32u * (b)) /* of k 0-15; of k 16-31: 16 bytes on */
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
    float d;         /* x is about d * q; three significant bits, (1 + j / 4) * 2^e */
    float magic;     /* (1.5 * 2^23 + 64 j) * 2^e: see qr_act_scale */
    float s;         /* d * (the sum of q), exact: multiplies K-quants' minima */
    int32_t start_8; /* -8 * (the sum of q): a sum over unsigned weights q + 8 starts here, which
                        cancels the 8; twice that for an offset of 16, 16 times for 128 */
    int32_t start_32[2]; /* -32 * the sums of q[0..16) and q[16..32), for Q6_K and Q3_K; d * [0],
                            which is exact, also multiplies the difference of Q2_K's minima */
    int32_t magic_8;     /* the bits of magic, plus start_8 */
    uint16_t pair_s[2];  /* even blocks: s of this block and of the next (0 if k ends before it), in
                            bf16: multiply two blocks' residuals.  Odd blocks: unused */
};
static_assert(sizeof(struct qr_act_row) == 64, "a row's block is a cache line");

#define QR_ACT_BLOCK_BYTES (64u * (QR_TILE_ROWS + 1))

/* A block with amax outside this range is stored as zeros.  Inside it, products with weight scales
 * (2^-24 to 2^16, in K-quants times up to 128) neither overflow nor lose bits. */
#define QR_ACT_AMAX_MIN 0x1p-60f
#define QR_ACT_AMAX_MAX 0x1p100f

/* A block's scale: amax / 127 rounded up to three significant bits, d = (1 + j / 4) * 2^e.  With
 * such a scale, a tile of many rows saves two operations a row and block:
 *   - An integer is added to the bits of magic = (1.5 * 2^23 + 64 j) * 2^e.  Subtracting magic as a
 *     float leaves the integer times 2^e, exactly (up to 2^22 - 2^8).  One subtraction thus
 * replaces a conversion and a product.
 *   - The product of a column's weight scale and 1 + j / 4 has only four values.  They are computed
 *     once for all rows; a row finds its own at byte 64 j, which is the low byte of magic.
 * Both are exact, so results have the same bits as with a plain product by d. */
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
    e = (bits & 0x7f800000u) - 0x3f800000u; /* in a float's exponent field */
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

/* A block's s in bf16. */
static inline uint16_t *qr_act_pair_s(const struct qr_acts *acts, uint32_t row, uint32_t block)
{
    return qr_act_row(acts, row, block & ~1u)->pair_s + block % 2;
}

/* Whether a row has an odd number of blocks.  Then quantizing its last block must also write a zero
 * as the next one's s. */
static inline bool qr_act_ends_odd(const struct qr_acts *acts)
{
    return acts->k / QR_ACT_BLOCK % 2;
}

/* Asserts what every variant requires. */
static inline void qr_gemm_check(const struct qr_gemm_args *g)
{
    assert(g->panel_end <= g->m->panels_n && g->acts->k == g->m->k);
    assert(g->row_begin % QR_TILE_ROWS == 0);
}

#endif
