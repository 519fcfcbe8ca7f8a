/* SPDX-License-Identifier: MIT */
/* gguf_writer -- builds a GGUF file in memory, well-formed or not.
 *
 * Keys and tensors are appended in any order.  gguf_writer_finish joins header, tables, padding and
 * data.  Counts and version can be overwritten before.  Running out of memory aborts. */
#ifndef QR_TESTS_MODEL_GGUF_WRITER_H
#define QR_TESTS_MODEL_GGUF_WRITER_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/model/gguf.h"

struct gguf_bytes {
    uint8_t *data;
    size_t n;
    size_t capacity;
};

struct gguf_writer {
    struct gguf_bytes keys;
    struct gguf_bytes tensors;
    struct gguf_bytes data;
    struct gguf_bytes file;
    uint32_t version;
    uint32_t alignment;
    uint64_t keys_n;
    uint64_t tensors_n;
};

static inline void gguf_put(struct gguf_bytes *b, const void *data, size_t n)
{
    if (b->n + n > b->capacity) {
        b->capacity = 2 * (b->n + n);
        b->data = realloc(b->data, b->capacity);
        assert(b->data);
    }
    if (n) memcpy(b->data + b->n, data, n);
    b->n += n;
}

static inline void gguf_put_u32(struct gguf_bytes *b, uint32_t value)
{
    gguf_put(b, &value, sizeof value); /* test machines are little-endian */
}

static inline void gguf_put_u64(struct gguf_bytes *b, uint64_t value)
{
    gguf_put(b, &value, sizeof value);
}

static inline void gguf_put_text(struct gguf_bytes *b, const char *text)
{
    gguf_put_u64(b, strlen(text));
    gguf_put(b, text, strlen(text));
}

static inline void gguf_put_zeros(struct gguf_bytes *b, size_t alignment)
{
    while (b->n % alignment)
        gguf_put(b, "", 1);
}

static inline void gguf_writer_init(struct gguf_writer *w)
{
    *w = (struct gguf_writer){.version = 3, .alignment = 32};
}

static inline void gguf_writer_free(struct gguf_writer *w)
{
    free(w->keys.data);
    free(w->tensors.data);
    free(w->data.data);
    free(w->file.data);
    *w = (struct gguf_writer){0};
}

/* A key of any kind.  bytes: the value as the file stores it. */
static inline void gguf_writer_key(struct gguf_writer *w, const char *name, uint32_t kind,
                                   const void *value, size_t n)
{
    gguf_put_text(&w->keys, name);
    gguf_put_u32(&w->keys, kind);
    gguf_put(&w->keys, value, n);
    w->keys_n++;
}

static inline void gguf_writer_u32(struct gguf_writer *w, const char *name, uint32_t value)
{
    gguf_writer_key(w, name, QR_GGUF_U32, &value, sizeof value);
}

static inline void gguf_writer_f32(struct gguf_writer *w, const char *name, float value)
{
    gguf_writer_key(w, name, QR_GGUF_F32, &value, sizeof value);
}

static inline void gguf_writer_bool(struct gguf_writer *w, const char *name, bool value)
{
    uint8_t byte = value;

    gguf_writer_key(w, name, QR_GGUF_BOOL, &byte, 1);
}

static inline void gguf_writer_string(struct gguf_writer *w, const char *name, const char *value)
{
    gguf_put_text(&w->keys, name);
    gguf_put_u32(&w->keys, QR_GGUF_STRING);
    gguf_put_text(&w->keys, value);
    w->keys_n++;
}

/* An array of n elements.  bytes: as the file stores them. */
static inline void gguf_writer_array(struct gguf_writer *w, const char *name, uint32_t element,
                                     uint64_t n, const void *bytes, size_t bytes_n)
{
    gguf_put_text(&w->keys, name);
    gguf_put_u32(&w->keys, QR_GGUF_ARRAY);
    gguf_put_u32(&w->keys, element);
    gguf_put_u64(&w->keys, n);
    gguf_put(&w->keys, bytes, bytes_n);
    w->keys_n++;
}

/* A copy of another file's key. */
static inline void gguf_writer_copy_key(struct gguf_writer *w, const struct qr_gguf_key *key)
{
    gguf_put_u64(&w->keys, key->name.n);
    gguf_put(&w->keys, key->name.data, key->name.n);
    gguf_put_u32(&w->keys, key->kind);
    if (key->kind == QR_GGUF_ARRAY) {
        gguf_put_u32(&w->keys, key->element);
        gguf_put_u64(&w->keys, key->count);
    }
    if (key->kind == QR_GGUF_STRING) gguf_put_u64(&w->keys, key->data_n);
    gguf_put(&w->keys, key->data, key->data_n);
    w->keys_n++;
}

/* A row of the tensor table with any offset, without data. */
static inline void gguf_writer_info(struct gguf_writer *w, struct quire_text name, uint32_t type,
                                    const uint64_t *dims, uint32_t dims_n, uint64_t offset)
{
    gguf_put_u64(&w->tensors, name.n);
    gguf_put(&w->tensors, name.data, name.n);
    gguf_put_u32(&w->tensors, dims_n);
    for (uint32_t i = 0; i < dims_n; i++)
        gguf_put_u64(&w->tensors, dims[i]);
    gguf_put_u32(&w->tensors, type);
    gguf_put_u64(&w->tensors, offset);
    w->tensors_n++;
}

/* A tensor with its data. */
static inline void gguf_writer_tensor(struct gguf_writer *w, const char *name, uint32_t type,
                                      const uint64_t *dims, uint32_t dims_n, const void *data,
                                      size_t n)
{
    struct quire_text text = {.data = name, .n = strlen(name)};

    gguf_put_zeros(&w->data, w->alignment);
    gguf_writer_info(w, text, type, dims, dims_n, w->data.n);
    gguf_put(&w->data, data, n);
}

/* The file.  The writer owns it. */
static inline const uint8_t *gguf_writer_finish(struct gguf_writer *w, size_t *n)
{
    w->file.n = 0;
    gguf_put(&w->file, "GGUF", 4);
    gguf_put_u32(&w->file, w->version);
    gguf_put_u64(&w->file, w->tensors_n);
    gguf_put_u64(&w->file, w->keys_n);
    gguf_put(&w->file, w->keys.data, w->keys.n);
    gguf_put(&w->file, w->tensors.data, w->tensors.n);
    if (w->tensors_n) gguf_put_zeros(&w->file, w->alignment);
    gguf_put(&w->file, w->data.data, w->data.n);
    *n = w->file.n;
    return w->file.data;
}

#endif
