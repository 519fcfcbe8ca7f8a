/* SPDX-License-Identifier: MIT */
/* activations -- a step's rows on their way through the layers: their values, which thread owns
 * them (tiles.h), and how they attend (attend_plan.h).  Stages work on this.
 *
 *     tokens -> x -> normed -> qkv -> attended -> x -> normed -> hidden -> x -> ... -> states
 *               |              residual stream    ^              ^         |
 *
 * Rows live in buffers whose stride is an odd number of cache lines, so that a tile of 16 rows
 * never falls into one set of the cache.
 *
 * Thread: between stages its engine's.  A stage's thread writes the rows of its items.
 * Memory: the caller's, fixed at init. */
#ifndef QR_MODEL_ACTIVATIONS_H
#define QR_MODEL_ACTIVATIONS_H

#include "runtime/model/attend_plan.h"
#include "runtime/model/pass.h"
#include "runtime/model/weights.h"

struct qr_rows {
    float *data;
    size_t stride; /* floats */
};

static inline float *qr_row(const struct qr_rows *rows, uint32_t row)
{
    return rows->data + row * rows->stride;
}

struct qr_activations {
    const struct qr_model *model;
    struct qr_pass *pass;
    struct qr_kv_store *kv;
    struct qr_tiles tiles;
    struct qr_attend_plan plan;
    struct qr_rows x;          /* [rows_max][width]: the residual stream */
    struct qr_rows qkv;        /* [rows_max][q, k, v] */
    struct qr_inputs normed;   /* [rows_max][width] */
    struct qr_inputs attended; /* [rows_max][heads_n * head_dim] */
    struct qr_inputs hidden;   /* [rows_max][ffn_width] */
    struct qr_rows cosines;    /* [rows_max][rotary_n / 2], each row at its own position */
    struct qr_rows sines;
    struct qr_rows states; /* [rows_max][width]: the last step's outputs, normed */
};

/* What sizes the memory. */
struct qr_activations_limits {
    const struct qr_model *model;
    uint32_t threads_n;
    uint32_t rows_max;
    uint32_t context_max;
};

size_t qr_activations_bytes(const struct qr_activations_limits *limits);
void qr_activations_init(struct qr_activations *a, void *memory,
                         const struct qr_activations_limits *limits, struct qr_pass *pass,
                         struct qr_kv_store *kv);

/* A step begins: assigns its rows to threads and plans how they attend. */
void qr_activations_begin(struct qr_activations *a, const struct qr_step *step);
/* Keeps only the rows with outputs, in the order of the outputs.  Stages that were added before
 * have run. */
void qr_activations_select(struct qr_activations *a);
/* All stages have run. */
void qr_activations_end(struct qr_activations *a);

/* Rows of n floats. */
struct qr_layout;
struct qr_rows qr_rows_place(struct qr_layout *l, size_t rows_n, size_t n);

#endif
