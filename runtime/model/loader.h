/* SPDX-License-Identifier: MIT */
/* loader -- a model on its way from a parsed file: first every tensor is found (find.c), then
 * what was found gets its memory (load.c).
 *
 * Thread: one, but for packing.   Memory: the lists, which the loader frees. */
#ifndef QR_MODEL_LOADER_H
#define QR_MODEL_LOADER_H

#include "runtime/model/architecture.h"

/* Floats that get a place in the model's region: n values of a tensor, from its value skip on. */
struct qr_loader_vector {
    const struct qr_gguf_tensor *tensor;
    const float **to;
    uint32_t skip, n;
};

struct qr_loader {
    const struct qr_gguf *file;
    struct qr_model *model;
    struct qr_team *team;
    struct qr_refusals *refusals;
    struct quire_error *error;        /* the refusals' last */
    bool *used;                       /* [tensors_n] */
    struct qr_loader_vector *vectors; /* [vectors_n] */
    uint32_t vectors_n;
    bool divided;                        /* frequencies, by: */
    float divisors[QR_HEAD_DIM_MAX / 2]; /* [rotary_n / 2] */
    struct qr_weights **packed;          /* [packed_n], in the order of their memory */
    uint32_t *begins;                    /* [packed_n + 1], each one's first panel among all */
    uint32_t packed_n;
    uint8_t *memory; /* what is left of the region */
};

/* Finds every tensor by its name and holds it against the hyperparameters, which are read; the
 * tables are made.  QUIRE_OK: all were looked at, see refusals->status. */
int qr_loader_find(struct qr_loader *l);

#endif
