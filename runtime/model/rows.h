/* SPDX-License-Identifier: MIT */
/* rows -- stages that work on single rows: embedding, angles, norms, quantising.
 *
 * Thread: the engine adds stages; any thread of the team runs their items.
 * Memory: the activations'. */
#ifndef QR_MODEL_ROWS_H
#define QR_MODEL_ROWS_H

#include "runtime/model/activations.h"

/* normed = attn_norm(x), in the forms that the layer's q, k and v want.  In layer 0 first: x = each
 * token's embedding (and its position's, where positions are learned), and each row's angles. */
void qr_rows_attn_norm(struct qr_activations *a, uint32_t layer);
/* normed = ffn_norm(x), in the forms that the layer's gate and up want. */
void qr_rows_ffn_norm(struct qr_activations *a, uint32_t layer);
/* After the last layer: states = head_norm(x) of the rows with outputs. */
void qr_rows_finish(struct qr_activations *a);
/* in's floats into its quantised activations. */
void qr_rows_quantize(struct qr_activations *a, struct qr_inputs *in, uint32_t rows_n);

size_t qr_rows_scratch_bytes(const struct qr_model_shape *shape);

#endif
