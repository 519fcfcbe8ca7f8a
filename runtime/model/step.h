/* SPDX-License-Identifier: MIT */
/* step -- what the caller asks of one forward pass, and what it gets.
 *
 *     rows      0 1 2 3 | 4 | 5 6 7        tokens of three sequences, 4 + 1 + 3 rows
 *     outputs         3   4       7        the rows whose logits may be asked for
 *
 * Thread: the caller's.   Memory: the caller's, unchanged while the step runs. */
#ifndef QR_MODEL_STEP_H
#define QR_MODEL_STEP_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/kv_store.h"

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
    const uint32_t *outputs; /* [outputs_n] rows, ascending */
    uint32_t outputs_n;
};

/* What the caller wants of an output row, and the answer. */
struct qr_logits_row {
    bool best_only;      /* asked: only the best token, so the logits are not written to memory */
    uint32_t best;       /* answer where best_only: argmax of the row's logits */
    const float *logits; /* answer of other rows: [vocab_n], valid until the next call */
};

#endif
