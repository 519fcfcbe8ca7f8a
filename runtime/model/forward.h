/* SPDX-License-Identifier: MIT */
/* forward -- the forward pass: rows of tokens in, keys and values into pages, logits out.
 *
 *     qr_forward_create
 *         qr_forward_run       all layers for the rows of a step
 *         qr_forward_logits    the output head for some of its outputs, any number of times
 *     qr_forward_destroy
 *
 * Several forward passes may read one model, each on its own team.
 *
 * Thread: its engine's.   Memory: one region, sized when it is created. */
#ifndef QR_MODEL_FORWARD_H
#define QR_MODEL_FORWARD_H

#include "runtime/model/head.h"

struct qr_forward {
    struct qr_pass pass;
    struct qr_activations activations;
    struct qr_head head;
    uint32_t rows_max;
    uint32_t context_max;
    uint32_t outputs_n; /* of the last step */
    struct qr_region region;
    struct quire_allocator allocator;
};

/* rows_max: most rows of a step (outputs included); context_max: longest sequence.  NULL: no
 * memory. */
struct qr_forward *qr_forward_create(const struct qr_model *model, struct qr_team *team,
                                     struct qr_kv_store *kv, uint32_t rows_max,
                                     uint32_t context_max, const struct quire_allocator *allocator);
/* From now on each stage enters its phase (runtime/base/phases.h).  NULL, as at first: none. */
void qr_forward_profile(struct qr_forward *forward, struct qr_phases *phases);
void qr_forward_destroy(struct qr_forward *forward); /* NULL is allowed */

/* Runs every layer, writing keys and values into the pages, and keeps the normed final state of
 * each output row. */
void qr_forward_run(struct qr_forward *forward, const struct qr_step *step);

/* Runs the head over outputs [first, first + n) of the last step, n at most QR_LOGITS_ROWS.  A
 * row's bits do not depend on what is asked of it or of the others. */
void qr_forward_logits(struct qr_forward *forward, uint32_t first, uint32_t n,
                       struct qr_logits_row *rows);

#endif
