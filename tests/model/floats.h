/* SPDX-License-Identifier: MIT */
/* floats -- a copy of a GGUF file in memory, with its quantised tensors dequantised. */
#ifndef QR_TESTS_MODEL_FLOATS_H
#define QR_TESTS_MODEL_FLOATS_H

#include "gguf_writer.h"

/* Stores n floats as F32, F16 or BF16. */
static inline void floats_store(enum qr_type type, const float *from, void *out, size_t n)
{
    uint16_t *half = out;

    if (type == QR_TYPE_F32) {
        memcpy(out, from, n * sizeof(float));
        return;
    }
    for (size_t i = 0; i < n; i++)
        half[i] = type == QR_TYPE_F16 ? qr_f32_to_f16(from[i]) : qr_f32_to_bf16(from[i]);
}

/* Matrices become `type`; vectors F32. */
static inline void floats_rewrite(struct gguf_writer *w, const struct qr_gguf *from,
                                  enum qr_type type)
{
    char name[QR_GGUF_NAME_MAX + 1];

    gguf_writer_init(w);
    for (uint32_t i = 0; i < from->keys_n; i++)
        gguf_writer_copy_key(w, &from->keys[i]);
    for (uint32_t i = 0; i < from->tensors_n; i++) {
        const struct qr_gguf_tensor *t = &from->tensors[i];
        enum qr_type to = t->dims_n > 1 ? type : QR_TYPE_F32;
        size_t n = (size_t)(t->dims[0] * t->dims[1]);
        float *values = malloc(n * sizeof(float));
        void *stored = malloc(n * sizeof(float));
        assert(values && stored);
        qr_dequantize((enum qr_type)t->type, t->data, values, n);
        floats_store(to, values, stored, n);
        memcpy(name, t->name.data, t->name.n);
        name[t->name.n] = '\0';
        gguf_writer_tensor(w, name, to, t->dims, t->dims_n, stored,
                           n * qr_type_traits(to)->block_bytes);
        free(values);
        free(stored);
    }
}

#endif
