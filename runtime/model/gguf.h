/* SPDX-License-Identifier: MIT */
/* gguf -- reads GGUF v2 and v3 model files (little-endian), and trusts nothing in them.
 *
 *     | magic, version, counts | keys | tensor table | padding | tensor data ...  |
 *                              `- read once, checked as it goes -'
 *
 * Every count, length, offset and product is checked against the file's size before it is used.
 * Only the tables of keys and tensors are copied.  All data stays in the mapped file.
 * Source: the GGUF specification (ggml/docs/gguf.md).
 *
 * Thread: any, read-only once opened.   Memory: the allocator given, and the file's mapping. */
#ifndef QR_MODEL_GGUF_H
#define QR_MODEL_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/types.h"
#include "runtime/base/limits.h"
#include "runtime/quire.h"

enum qr_gguf_kind {
    QR_GGUF_U8,
    QR_GGUF_I8,
    QR_GGUF_U16,
    QR_GGUF_I16,
    QR_GGUF_U32,
    QR_GGUF_I32,
    QR_GGUF_F32,
    QR_GGUF_BOOL,
    QR_GGUF_STRING,
    QR_GGUF_ARRAY,
    QR_GGUF_U64,
    QR_GGUF_I64,
    QR_GGUF_F64
};

struct qr_gguf_key {
    struct quire_text name;
    enum qr_gguf_kind kind;
    enum qr_gguf_kind element; /* of an array */
    uint64_t count;            /* elements of an array; 1 otherwise */
    const uint8_t *data;       /* the value, or the first element, at any alignment */
    size_t data_n;             /* its bytes */
};

struct qr_gguf_tensor {
    struct quire_text name;
    uint32_t type; /* as in the file: may be unknown to qr_type_traits */
    uint32_t dims_n;
    uint64_t dims[QR_GGUF_DIMS_MAX]; /* dims[0] runs fastest; 1 where absent */
    const uint8_t *data;             /* NULL where the type's size is unknown */
    size_t data_n;
};

struct qr_gguf {
    const uint8_t *bytes;
    size_t bytes_n;
    uint32_t version;
    uint32_t alignment;
    struct qr_gguf_key *keys; /* [keys_n], sorted by name */
    uint32_t keys_n;
    struct qr_gguf_tensor *tensors; /* [tensors_n], sorted by name */
    uint32_t tensors_n;
    struct qr_gguf *parts; /* [parts_n]: the other files of a split model */
    uint32_t parts_n;
    size_t all_bytes_n; /* of all files */
    struct quire_allocator allocator;
    bool mapped;
};

/* Opens and maps a file.  The first file of a split model (-00001-of-0000N.gguf) opens all of them,
 * and `tensors` lists the tensors of all.  QUIRE_SYSTEM, QUIRE_BAD_FILE, QUIRE_UNSUPPORTED (a
 * version, big-endian), QUIRE_NO_MEMORY.  The error says at which byte, and what was expected. */
int qr_gguf_open(struct qr_gguf *g, const char *path, const struct quire_allocator *allocator,
                 struct quire_error *error);
/* The same for a file in memory, which stays until qr_gguf_close: for tests and the fuzzer.  where:
 * a name for messages. */
int qr_gguf_parse(struct qr_gguf *g, const void *bytes, size_t bytes_n, const char *where,
                  const struct quire_allocator *allocator, struct quire_error *error);
void qr_gguf_close(struct qr_gguf *g);

const struct qr_gguf_key *qr_gguf_find(const struct qr_gguf *g, const char *name);
const struct qr_gguf_tensor *qr_gguf_tensor(const struct qr_gguf *g, const char *name);

/* Typed reads.  False: the key is absent or of another kind.  qr_gguf_u32 takes any integer kind
 * whose value fits, qr_gguf_f64 any integer or float kind. */
bool qr_gguf_u32(const struct qr_gguf *g, const char *name, uint32_t *value);
bool qr_gguf_f64(const struct qr_gguf *g, const char *name, double *value);
bool qr_gguf_bool(const struct qr_gguf *g, const char *name, bool *value);
bool qr_gguf_string(const struct qr_gguf *g, const char *name, struct quire_text *value);

/* Elements of arrays.  Strings are read in order: start with *cursor = 0.  False: the end, or
 * another kind. */
bool qr_gguf_next_string(const struct qr_gguf_key *array, size_t *cursor, struct quire_text *value);
bool qr_gguf_element_f32(const struct qr_gguf_key *array, uint64_t i, float *value);
bool qr_gguf_element_i32(const struct qr_gguf_key *array, uint64_t i, int32_t *value);

#endif
