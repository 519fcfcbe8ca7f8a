/* SPDX-License-Identifier: MIT */
/* weights -- a matrix of any type, and all matrices of a loaded model.
 *
 *     matrix       panels of     activations     kernel
 *     quantised    16 outputs    int8            kernels/gemm.h
 *     float        32 outputs    float           kernels/gemm_float.h
 *
 * The caller multiplies panels and does not need to know the kind.  It provides the rows in each
 * form that qr_weights_wants names.
 *
 * Thread: any, constant once loaded.   Memory: the model's region. */
#ifndef QR_MODEL_WEIGHTS_H
#define QR_MODEL_WEIGHTS_H

#include "runtime/base/memory.h"
#include "runtime/model/model.h"

struct qr_architecture;

/* The forms of activations that a matrix may need, as bits. */
enum { QR_WANTS_ACTS = 1, QR_WANTS_FLOATS = 2 };

/* Rows of activations.  Only the forms that some matrix needs are filled. */
struct qr_inputs {
    struct qr_acts acts;
    float *floats;
    size_t stride;
};

/* Neighbouring matrices in memory, which one stage reads. */
struct qr_stream {
    const uint8_t *data;
    size_t bytes;
};

struct qr_weights {
    const struct qr_gguf_tensor *tensor;
    uint32_t n, k;
    uint32_t panels_n;
    uint32_t panel_n; /* outputs in a panel */
    bool is_float;
    struct qr_matrix packed;
    qr_gemm_fn *gemm;             /* of a quantised matrix */
    qr_gemm_float_fn *gemm_float; /* of a float matrix */
    qr_add_fn *add;
    const float *bias;         /* [n], added to each row once; NULL: none */
    struct qr_stream prefetch; /* the matrices that a step reads after this one */
};

/* From a tensor of shape [k, n].  False: the type is not supported.  The caller then places and
 * packs the data (qr_weights_bytes, qr_weights_pack). */
bool qr_weights_init(struct qr_weights *w, const struct qr_kernels *kernels,
                     const struct qr_gguf_tensor *tensor);
static inline size_t qr_weights_bytes(const struct qr_weights *w)
{
    return qr_matrix_bytes(&w->packed);
}
void qr_weights_pack(const struct qr_weights *w, uint8_t *memory, uint32_t begin, uint32_t end);

static inline unsigned qr_weights_wants(const struct qr_weights *w)
{
    return w->is_float ? QR_WANTS_FLOATS : QR_WANTS_ACTS;
}

/* A part of a product: some panels for some rows. */
struct qr_product {
    const struct qr_inputs *in;
    uint32_t row_begin, row_end; /* row_begin is a multiple of QR_TILE_ROWS */
    uint32_t panel_begin, panel_end;
    float *out; /* row_begin's output of panel_begin */
    size_t out_stride;
    bool add; /* to what is in out */
};
void qr_weights_multiply(const struct qr_weights *w, const struct qr_product *product);

struct qr_norm {
    const float *weight; /* [width] */
    const float *bias;   /* NULL where the architecture has none */
};

struct qr_layer {
    struct qr_norm attn_norm, ffn_norm;
    struct qr_weights q, k, v, o;
    struct qr_weights gate, up, down; /* gate.n is 0 where there is none */
};

struct qr_model {
    const struct qr_architecture *architecture;
    struct qr_model_shape shape;
    const struct qr_kernels *kernels;
    qr_rope_fn *rotate;
    struct qr_layer *layers; /* [layers_n] */
    struct qr_weights head;
    struct qr_norm head_norm;
    enum qr_type embedding_type;
    const uint8_t *embedding; /* in the file: [vocab_n] rows */
    size_t embedding_row_bytes;
    const struct qr_gguf_tensor *positions; /* [context_max] rows in the file, NULL: rotated */
    struct qr_gguf_tensor *part_tensors;    /* [layers_n][QR_PARTS_N]: parts of a common tensor */
    const double *frequencies;              /* [rotary_n / 2], radians a position */
    double magnitude;                       /* of the angles' cosines and sines */
    bool any_float;                         /* whether some matrix wants floats */
    uint64_t weights_bytes;
    uint64_t weights_n;
    struct qr_region region;
    struct quire_allocator allocator;
};

#endif
