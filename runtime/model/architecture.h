/* SPDX-License-Identifier: MIT */
/* architecture -- a family of models: the names in its files, and the stages of its layers.
 *
 * Each is one file that defines a struct qr_architecture, and a line in architecture.c.  Everything
 * else is shared: hyperparameters have the same names after the architecture's own (keys.h), and a
 * layer has the same matrices, of the same shapes.
 *
 * Thread: any.   Memory: constants. */
#ifndef QR_MODEL_ARCHITECTURE_H
#define QR_MODEL_ARCHITECTURE_H

#include "runtime/model/weights.h"

struct qr_activations;

/* The matrices of a layer. */
enum qr_part { QR_Q, QR_K, QR_V, QR_O, QR_GATE, QR_UP, QR_DOWN, QR_PARTS_N };

enum qr_norm_kind {
    QR_NORM_RMS,  /* x / rms(x) * weight */
    QR_NORM_LAYER /* (x - mean) / deviation * weight + bias */
};

enum qr_positions {
    QR_ROPE_PAIRS,       /* values 2 i and 2 i + 1 of a head are rotated together */
    QR_ROPE_HALVES,      /* values i and i + rotary_n / 2 are rotated together */
    QR_POSITIONS_LEARNED /* position_embd.weight is added to the embedding */
};

/* Whether a file has a bias. */
enum qr_bias { QR_BIAS_NONE, QR_BIAS_MAY, QR_BIAS_MUST };

/* blk.N.<name>.weight holds the parts from first to last, their outputs in order. */
struct qr_tensor_name {
    const char *name;
    enum qr_part first, last;
    enum qr_bias bias; /* blk.N.<name>.bias */
};

struct qr_architecture {
    const char *name; /* general.architecture, and the prefix of its keys */
    enum qr_norm_kind norm;
    enum qr_positions positions;
    struct qr_tensor_name tensors[QR_PARTS_N + 1];           /* up to one without a name */
    void (*layer)(struct qr_activations *a, uint32_t layer); /* its stages, in order */
};

/* NULL: there is none of that name. */
const struct qr_architecture *qr_architecture_find(struct quire_text name);
/* Their names, for messages. */
void qr_architecture_names(char *text, size_t size);

extern const struct qr_architecture qr_llama, qr_gpt2, qr_qwen2;

/* A llama's layer, which other families have too. */
void qr_llama_layer(struct qr_activations *a, uint32_t layer);

static inline struct qr_weights *qr_layer_part(struct qr_layer *layer, enum qr_part part)
{
    switch (part) {
    case QR_Q: return &layer->q;
    case QR_K: return &layer->k;
    case QR_V: return &layer->v;
    case QR_O: return &layer->o;
    case QR_GATE: return &layer->gate;
    case QR_UP: return &layer->up;
    default: return &layer->down;
    }
}

#endif
