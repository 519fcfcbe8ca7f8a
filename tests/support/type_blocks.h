/* SPDX-License-Identifier: MIT */
/* type_blocks -- random blocks of the quantised types, with scales that the test sets.
 *
 * Thread: any. */
#ifndef QR_TESTS_SUPPORT_TYPE_BLOCKS_H
#define QR_TESTS_SUPPORT_TYPE_BLOCKS_H

#include "kernels/types.h"

#define TYPE_BLOCKS_N 12u

/* Every quantised type that is supported. */
extern const enum qr_type type_blocks_all[TYPE_BLOCKS_N];

/* Writes a block's f16 scale, and its f16 minimum if the type has one. */
void type_blocks_set(enum qr_type type, uint8_t *block, float d, float m);

/* A scale and a minimum with which a block of random bytes has values of about +-0.1. */
void type_blocks_usual(enum qr_type type, float *d, float *m);

#endif
