/* SPDX-License-Identifier: MIT */
/* model -- weights and the forward pass: rows of tokens in, hidden states and logits out.
 *
 * A model is loaded once and read by any number of passes.  A pass (struct qr_pass) is one
 * engine's working memory: activations, logits, each thread's scratch.
 *
 * Thread: loading, one.  A loaded model: any.  A pass: its engine's.
 * Memory: weights are mapped (repacked ones in a region of their own; the file's pages are given
 * back once repacked); a pass is one allocation. */
#ifndef QR_MODEL_MODEL_H
#define QR_MODEL_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/kv_store.h"
#include "kernels/kernels.h"
#include "runtime/base/phases.h"
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

/* What a model is, in numbers. */
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
    uint32_t sliding_window; /* keys that a row sees, its own among them; 0: all before it */
    float norm_eps;
    struct qr_rope rope;
};

struct qr_model;

/* Loads from an open file; the file must stay open as long as the model (the embedding is read in
 * place).  team: repacks on all its threads.  window: as sliding_window of quire_model_settings, 0
 * for what the file says.  The status is refusals->status. */
int qr_model_load(struct qr_model **model, const struct qr_gguf *file,
                  const struct qr_kernels *kernels, struct qr_team *team, uint32_t window,
                  const struct quire_allocator *allocator, struct qr_refusals *refusals);
void qr_model_unload(struct qr_model *model); /* NULL is allowed */

const struct qr_model_shape *qr_model_shape(const struct qr_model *model);
const char *qr_model_architecture(const struct qr_model *model);
uint64_t qr_model_weights_bytes(const struct qr_model *model);
/* Parameters in matrices (embedding once); *head_n: of the output head. */
uint64_t qr_model_weights_n(const struct qr_model *model, uint64_t *head_n);

/* One sequence's rows in a step: consecutive tokens. */
struct qr_step_seq {
    uint32_t row; /* its first row in the step */
    uint32_t rows_n;
    uint32_t position; /* of its first row */
    const qr_page_id *pages;
};

struct qr_step {
    const int32_t *tokens; /* [rows_n], each below vocab_n */
    uint32_t rows_n;
    const struct qr_step_seq *seqs; /* [seqs_n], covering the rows in order */
    uint32_t seqs_n;
    const uint32_t *outputs; /* [outputs_n] rows whose logits may be asked for, ascending */
    uint32_t outputs_n;
};

struct qr_pass;

/* rows_max: most rows of a step (outputs included); context_max: longest sequence. */
struct qr_pass *qr_pass_create(const struct qr_model *model, struct qr_team *team,
                               struct qr_kv_store *kv, uint32_t rows_max, uint32_t context_max,
                               const struct quire_allocator *allocator);
/* From now on each piece of work enters its phase (runtime/base/phases.h).  NULL, as at first:
 * none. */
void qr_pass_profile(struct qr_pass *pass, struct qr_phases *phases);
void qr_pass_destroy(struct qr_pass *pass); /* NULL is allowed */

/* Runs every layer, writing keys and values into the pages, and keeps the normed final state of
 * each output row. */
void qr_pass_forward(struct qr_pass *pass, const struct qr_step *step);

/* What is asked of an output row, and what came of it. */
struct qr_logits_row {
    bool best_only;      /* asked: which is the greatest, so that the others never reach memory */
    uint32_t best;       /* of such a row: what argmax over its logits gives */
    const float *logits; /* of any other: [vocab_n], good until the next call into the pass */
};

/* Runs the head over outputs [first, first + n) of the last forward, n at most QR_LOGITS_ROWS.  A
 * row's bits do not depend on what is asked of it or of the others. */
void qr_pass_logits(struct qr_pass *pass, uint32_t first, uint32_t n, struct qr_logits_row *rows);

#endif
