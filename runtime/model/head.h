/* SPDX-License-Identifier: MIT */
/* head -- the output head: logits of rows, or the best token alone.
 *
 * An item is 128 tokens of the vocabulary, for all rows.  Its logits go into the thread's scratch,
 * and from there each row takes what was asked:
 *
 *     best_only     folds them into the best token that this thread has seen of the row
 *     otherwise     copies them to the row's logits
 *
 * So one pass over the weights serves both, and a row's logits are the same bits in both.
 *
 * Thread: the engine; any thread of the team runs items.   Memory: the caller's, fixed at init. */
#ifndef QR_MODEL_HEAD_H
#define QR_MODEL_HEAD_H

#include "runtime/model/activations.h"

struct qr_head {
    uint32_t threads_n;
    struct qr_rows logits;   /* [QR_LOGITS_ROWS][vocab_n] */
    struct qr_scored *bests; /* [threads_n][QR_LOGITS_ROWS] */
};

size_t qr_head_bytes(const struct qr_model_shape *shape, uint32_t threads_n);
void qr_head_init(struct qr_head *h, void *memory, const struct qr_model_shape *shape,
                  uint32_t threads_n);

/* The head over n of the last step's outputs from `first` on, outside a step. */
void qr_head_run(struct qr_head *h, struct qr_activations *a, uint32_t first, uint32_t n,
                 struct qr_logits_row *rows);

size_t qr_head_scratch_bytes(void);

#endif
