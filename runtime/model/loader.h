/* SPDX-License-Identifier: MIT */
/* loader -- the state of loading a model: find.c finds every tensor, then load.c gives the vectors
 * and matrices their memory.
 *
 * Thread: one; packing uses the team.   Memory: the lists, which load.c frees. */
#ifndef QR_MODEL_LOADER_H
#define QR_MODEL_LOADER_H

#include "runtime/model/architecture.h"

/* Floats to place in the model's region: n values of a tensor, from value `skip` on. */
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
    struct quire_error *error;        /* refusals->last */
    bool *used;                       /* [tensors_n] */
    struct qr_loader_vector *vectors; /* [vectors_n] */
    uint32_t vectors_n;
    bool divided;                        /* frequencies have divisors */
    float divisors[QR_HEAD_DIM_MAX / 2]; /* [rotary_n / 2] */
    struct qr_weights **packed;          /* [packed_n], in the order of their memory */
    uint32_t *begins;                    /* [packed_n + 1]: each matrix's first panel among all */
    uint32_t packed_n;
    uint8_t *memory; /* the unused end of the region */
};

/* Finds every tensor and checks it against the hyperparameters.  The shape is read, and the lists
 * are allocated.  QUIRE_OK: all were checked; see refusals->status. */
int qr_loader_find(struct qr_loader *l);

#endif
