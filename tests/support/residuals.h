/* SPDX-License-Identifier: MIT */
/* residuals -- what rounding Q4_1's and Q5_1's minima to bf16 changes in a product.
 *
 * The rule is in kernels/gemm_layout.h: a minimum's residual (the minimum minus its fixed offset in
 * steps) is rounded to bf16 and multiplied by the sum of the block's activations, rounded to bf16.
 *
 * Thread: any. */
#ifndef QR_TESTS_SUPPORT_RESIDUALS_H
#define QR_TESTS_SUPPORT_RESIDUALS_H

#include "kernels/types.h"

/* The correction to the exact product of one row of k weights, in the file's own blocks, with k
 * activations.  0 for other types. */
double residuals_change(enum qr_type type, const uint8_t *row, const double *x, uint32_t k);

#endif
