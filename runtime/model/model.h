/* SPDX-License-Identifier: MIT */
/* model -- a loaded model: its sizes and its weights.
 *
 * A model is loaded once.  Any number of forward passes (forward.h) read it.
 *
 * Thread: loading, one.  A loaded model: any.
 * Memory: one region for packed weights.  The file's pages are given back after packing. */
#ifndef QR_MODEL_MODEL_H
#define QR_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"
#include "runtime/base/refusals.h"
#include "runtime/base/team.h"
#include "runtime/model/gguf.h"

enum qr_rope_scaling { QR_ROPE_UNSCALED, QR_ROPE_LINEAR, QR_ROPE_YARN };

/* How positions become angles (rope.h). */
struct qr_rope {
    double base;
    enum qr_rope_scaling scaling;
    uint32_t context_trained; /* before scaling */
    double factor;
    double attention_factor;
    double log_multiplier; /* 0: none */
    double beta_fast, beta_slow;
};

/* A model's sizes. */
struct qr_model_shape {
    uint32_t layers_n;
    uint32_t width; /* embedding length */
    uint32_t ffn_width;
    uint32_t heads_n;
    uint32_t kv_heads_n;
    uint32_t head_dim;
    uint32_t rotary_n; /* values of a head that are rotated; 0: positions are learned */
    uint32_t vocab_n;
    uint32_t context_max;
    uint32_t sliding_window; /* keys that a row sees, its own included; 0: all before it */
    float norm_eps;
    struct qr_rope rope;
};

struct qr_model;

/* What a model is loaded from, and how. */
struct qr_model_source {
    const struct qr_gguf *file; /* stays open: the model reads the embedding there */
    const struct qr_kernels *kernels;
    struct qr_team *team; /* packs the matrices on all its threads */
    uint32_t window;      /* as quire_model_settings.sliding_window; 0: the file's */
    const struct quire_allocator *allocator;
};

/* Loads a model.  Returns refusals->status. */
int qr_model_load(struct qr_model **model, const struct qr_model_source *source,
                  struct qr_refusals *refusals);
void qr_model_unload(struct qr_model *model); /* NULL is allowed */

const struct qr_model_shape *qr_model_shape(const struct qr_model *model);
const char *qr_model_architecture(const struct qr_model *model);
uint64_t qr_model_weights_bytes(const struct qr_model *model);
/* Parameters in matrices, the embedding counted once.  *head_n: those of the output head. */
uint64_t qr_model_weights_n(const struct qr_model *model, uint64_t *head_n);

#endif
