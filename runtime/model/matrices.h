/* SPDX-License-Identifier: MIT */
/* matrices -- stages that multiply a layer's matrices with the rows.
 *
 * An item is (slab of rows, panel).  Panels run fastest, so a thread that takes a grain of items
 * keeps one slab of activations in its cache.  Where a step's matrices are too large for the shared
 * cache, all rows of a partition are one slab, so that the weights are read from memory once.
 *
 *     rows of one partition      slab 0         slab 1
 *     items                      0 1 2 .. P-1   P P+1 .. 2P-1      P panels
 *
 * Thread: the engine adds stages; any thread of the team runs their items.
 * Memory: the activations'. */
#ifndef QR_MODEL_MATRICES_H
#define QR_MODEL_MATRICES_H

#include "runtime/model/activations.h"

/* qkv = normed times q, k and v, as one matrix. */
void qr_matrices_qkv(struct qr_activations *a, uint32_t layer);
/* x += attended times o. */
void qr_matrices_output(struct qr_activations *a, uint32_t layer);
/* hidden = swiglu(normed times gate, normed times up), in the form that down wants. */
void qr_matrices_gate_up(struct qr_activations *a, uint32_t layer);
/* hidden = gelu(normed times up), in the form that down wants: of layers without a gate. */
void qr_matrices_up(struct qr_activations *a, uint32_t layer);
/* x += hidden times down. */
void qr_matrices_down(struct qr_activations *a, uint32_t layer);

/* out = the first rows_n rows of in times the output head, outside a step. */
void qr_matrices_head(struct qr_activations *a, const struct qr_inputs *in, uint32_t rows_n,
                      const struct qr_rows *out);

size_t qr_matrices_scratch_bytes(void);

#endif
