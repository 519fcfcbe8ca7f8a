/* SPDX-License-Identifier: MIT */
/* shape -- reads a model's sizes from its file and checks each one.
 *
 * Thread: any.   Memory: the caller's. */
#ifndef QR_MODEL_SHAPE_H
#define QR_MODEL_SHAPE_H

#include "runtime/model/architecture.h"

/* Reads the hyperparameters and refuses by name what quire does not support.  A refusal that leaves
 * the sizes clear does not end the reading.  QUIRE_OK: the sizes are known, though something may be
 * refused (refusals->status). */
int qr_model_shape_read(struct qr_model_shape *shape, const struct qr_architecture **architecture,
                        const struct qr_gguf *file, struct qr_refusals *refusals);

#endif
