/* SPDX-License-Identifier: MIT */
/* rope -- the frequency at which each pair of a head's values is rotated, and how positions are
 * scaled past the context that a model was trained on.
 *
 *     none       plain frequencies
 *     linear     every frequency divided by the factor
 *     YaRN       (arXiv 2309.00071) slow pairs divided, fast pairs unchanged, pairs between mixed;
 *                queries and keys multiplied by a magnitude
 *     Llama 3    a tensor of divisors, rope_freqs.weight
 *
 * YaRN is computed as in llama.cpp (ggml_rope_yarn) and transformers (modeling_rope_utils.py).
 *
 * Thread: any.   Memory: the caller's. */
#ifndef QR_MODEL_ROPE_H
#define QR_MODEL_ROPE_H

#include "runtime/model/keys.h"

/* Reads the keys about positions into shape->rope and shape->rotary_n.  shape->head_dim is known.
 */
int qr_rope_read(struct qr_keys *k, struct qr_model_shape *shape);

/* frequencies: [rotary_n / 2], radians a position.  divisors: the same length, or NULL. */
void qr_rope_frequencies(const struct qr_model_shape *shape, const float *divisors,
                         double *frequencies);
/* The factor of cosines and sines. */
double qr_rope_magnitude(const struct qr_rope *rope);

#endif
