/* SPDX-License-Identifier: MIT */
/* forward -- the forward pass: rows of tokens in, keys and values into pages, logits out.
 *
 * Thread: its engine's.   Memory: one region, sized when it is created. */
#ifndef QR_MODEL_FORWARD_H
#define QR_MODEL_FORWARD_H

#include "cache/kv_store.h"
#include "runtime/base/phases.h"
#include "runtime/base/team.h"
#include "runtime/model/model.h"

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

struct qr_forward;

/* rows_max: most rows of a step (outputs included); context_max: longest sequence. */
struct qr_forward *qr_forward_create(const struct qr_model *model, struct qr_team *team,
                                     struct qr_kv_store *kv, uint32_t rows_max,
                                     uint32_t context_max, const struct quire_allocator *allocator);
/* From now on each piece of work enters its phase (runtime/base/phases.h).  NULL, as at first:
 * none. */
void qr_forward_profile(struct qr_forward *forward, struct qr_phases *phases);
void qr_forward_destroy(struct qr_forward *forward); /* NULL is allowed */

/* Runs every layer, writing keys and values into the pages, and keeps the normed final state of
 * each output row. */
void qr_forward_run(struct qr_forward *forward, const struct qr_step *step);

/* What is asked of an output row, and what came of it. */
struct qr_logits_row {
    bool best_only;      /* asked: which is the greatest, so that the others never reach memory */
    uint32_t best;       /* of such a row: what argmax over its logits gives */
    const float *logits; /* of any other: [vocab_n], good until the next call into the pass */
};

/* Runs the head over outputs [first, first + n) of the last forward, n at most QR_LOGITS_ROWS.  A
 * row's bits do not depend on what is asked of it or of the others. */
void qr_forward_logits(struct qr_forward *forward, uint32_t first, uint32_t n,
                       struct qr_logits_row *rows);

#endif
