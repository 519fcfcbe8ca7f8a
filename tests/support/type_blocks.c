/* SPDX-License-Identifier: MIT */
#include "support/type_blocks.h"

#include <string.h>

const enum qr_type type_blocks_all[TYPE_BLOCKS_N] = {
    QR_TYPE_Q4_0, QR_TYPE_Q4_1, QR_TYPE_Q5_0, QR_TYPE_Q5_1, QR_TYPE_Q8_0, QR_TYPE_IQ4_NL,
    QR_TYPE_Q2_K, QR_TYPE_Q3_K, QR_TYPE_Q4_K, QR_TYPE_Q5_K, QR_TYPE_Q6_K, QR_TYPE_IQ4_XS,
};

/* Byte offsets of a block's f16 scale and f16 minimum; -1: the type has no minimum. */
struct type_blocks_places {
    int d, m;
};

static struct type_blocks_places type_blocks_places(enum qr_type type)
{
    switch (type) {
    case QR_TYPE_Q4_1:
    case QR_TYPE_Q5_1:
    case QR_TYPE_Q4_K:
    case QR_TYPE_Q5_K: return (struct type_blocks_places){0, 2};
    case QR_TYPE_Q2_K: return (struct type_blocks_places){80, 82};
    case QR_TYPE_Q3_K: return (struct type_blocks_places){108, -1};
    case QR_TYPE_Q6_K: return (struct type_blocks_places){208, -1};
    default: return (struct type_blocks_places){0, -1};
    }
}

void type_blocks_set(enum qr_type type, uint8_t *block, float d, float m)
{
    struct type_blocks_places at = type_blocks_places(type);
    uint16_t half = qr_f32_to_f16(d);

    memcpy(block + at.d, &half, 2);
    half = qr_f32_to_f16(m);
    if (at.m >= 0) memcpy(block + at.m, &half, 2);
}

void type_blocks_usual(enum qr_type type, float *d, float *m)
{
    static const struct {
        enum qr_type type;
        float d, m;
    } usual[] = {
        {QR_TYPE_Q4_0, 0.012f, 0},       {QR_TYPE_Q4_1, 0.012f, -0.09f},
        {QR_TYPE_Q5_0, 0.006f, 0},       {QR_TYPE_Q5_1, 0.006f, -0.09f},
        {QR_TYPE_Q8_0, 0.0008f, 0},      {QR_TYPE_IQ4_NL, 0.0009f, 0},
        {QR_TYPE_Q2_K, 0.007f, 0.01f},   {QR_TYPE_Q3_K, 0.0015f, 0},
        {QR_TYPE_Q4_K, 0.0004f, 0.003f}, {QR_TYPE_Q5_K, 0.0002f, 0.003f},
        {QR_TYPE_Q6_K, 0.00003f, 0},     {QR_TYPE_IQ4_XS, 0.00006f, 0},
    };
    *d = *m = 0;
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++) {
        if (usual[i].type != type) continue;
        *d = usual[i].d;
        *m = usual[i].m;
    }
}
