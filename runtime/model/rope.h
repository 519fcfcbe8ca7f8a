/* SPDX-License-Identifier: MIT */
/* rope -- at which speed each pair of a head's values is rotated, and how positions are scaled past
 * those that a model was trained on.
 *
 * Linear: every frequency divided by the factor.  YaRN (arXiv 2309.00071): slow pairs divided, fast
 * ones left, those between mixed, and queries and keys made longer by a magnitude.  The same as
 * llama.cpp (ggml_rope_yarn) and transformers (modeling_rope_utils.py), which agree.  Llama 3's
 * scaling is a tensor of divisors, rope_freqs.weight.
 *
 * Thread: any.   Memory: the caller's. */
#ifndef QR_MODEL_ROPE_H
#define QR_MODEL_ROPE_H

#include "runtime/model/keys.h"

/* Reads everything about positions into shape->rope; the head's length is known. */
int qr_rope_read(struct qr_keys *k, struct qr_model_shape *shape);

/* frequencies[rotary_n / 2], radians a position.  divisors: as many, or NULL. */
void qr_rope_frequencies(const struct qr_model_shape *shape, const float *divisors,
                         double *frequencies);
/* What cosines and sines are multiplied with. */
double qr_rope_magnitude(const struct qr_rope *rope);

#endif
