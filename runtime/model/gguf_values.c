/* SPDX-License-Identifier: MIT */
/* Finds keys and tensors by name, and interprets values.  gguf.c has checked their lengths; they
 * are little-endian and at any alignment. */
#include <assert.h>
#include <string.h>

#include "runtime/model/gguf.h"

/* The order of sorted names: bytes, then length. */
static int compare_name(const char *name, size_t name_n, const struct quire_text *other)
{
    size_t n = name_n < other->n ? name_n : other->n;
    int order = memcmp(name, other->data, n);

    if (order) return order;
    return (name_n > other->n) - (name_n < other->n);
}

const struct qr_gguf_key *qr_gguf_find(const struct qr_gguf *g, const char *name)
{
    uint32_t begin = 0;
    uint32_t end = g->keys_n;
    size_t n = strlen(name);

    while (begin < end) {
        uint32_t middle = begin + (end - begin) / 2;
        int order = compare_name(name, n, &g->keys[middle].name);
        if (order == 0) return &g->keys[middle];
        if (order < 0)
            end = middle;
        else
            begin = middle + 1;
    }
    return NULL;
}

const struct qr_gguf_tensor *qr_gguf_tensor(const struct qr_gguf *g, const char *name)
{
    uint32_t begin = 0;
    uint32_t end = g->tensors_n;
    size_t n = strlen(name);

    while (begin < end) {
        uint32_t middle = begin + (end - begin) / 2;
        int order = compare_name(name, n, &g->tensors[middle].name);
        if (order == 0) return &g->tensors[middle];
        if (order < 0)
            end = middle;
        else
            begin = middle + 1;
    }
    return NULL;
}

static uint64_t load(const uint8_t *bytes, size_t n)
{
    uint64_t value = 0;

    for (size_t i = 0; i < n; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

static float as_f32(uint64_t bits)
{
    uint32_t word = (uint32_t)bits;
    float value;

    memcpy(&value, &word, sizeof value);
    return value;
}

/* An integer of any kind, as sign and magnitude. */
static bool load_integer(enum qr_gguf_kind kind, const uint8_t *data, bool *negative,
                         uint64_t *magnitude)
{
    int64_t value;

    *negative = false;
    switch (kind) {
    case QR_GGUF_U8: *magnitude = load(data, 1); return true;
    case QR_GGUF_U16: *magnitude = load(data, 2); return true;
    case QR_GGUF_U32: *magnitude = load(data, 4); return true;
    case QR_GGUF_U64: *magnitude = load(data, 8); return true;
    case QR_GGUF_I8: value = (int8_t)load(data, 1); break;
    case QR_GGUF_I16: value = (int16_t)load(data, 2); break;
    case QR_GGUF_I32: value = (int32_t)load(data, 4); break;
    case QR_GGUF_I64: value = (int64_t)load(data, 8); break;
    default: return false;
    }
    *negative = value < 0;
    *magnitude = value < 0 ? -(uint64_t)value : (uint64_t)value;
    return true;
}

bool qr_gguf_u32(const struct qr_gguf *g, const char *name, uint32_t *value)
{
    const struct qr_gguf_key *key = qr_gguf_find(g, name);
    uint64_t magnitude;
    bool negative;

    if (!key || !load_integer(key->kind, key->data, &negative, &magnitude)) return false;
    if (negative || magnitude > UINT32_MAX) return false;
    *value = (uint32_t)magnitude;
    return true;
}

bool qr_gguf_f64(const struct qr_gguf *g, const char *name, double *value)
{
    const struct qr_gguf_key *key = qr_gguf_find(g, name);
    uint64_t magnitude;
    bool negative;

    if (!key) return false;
    if (key->kind == QR_GGUF_F32) {
        *value = (double)as_f32(load(key->data, 4));
        return true;
    }
    if (key->kind == QR_GGUF_F64) {
        uint64_t bits = load(key->data, 8);
        memcpy(value, &bits, sizeof *value);
        return true;
    }
    if (!load_integer(key->kind, key->data, &negative, &magnitude)) return false;
    *value = negative ? -(double)magnitude : (double)magnitude;
    return true;
}

bool qr_gguf_bool(const struct qr_gguf *g, const char *name, bool *value)
{
    const struct qr_gguf_key *key = qr_gguf_find(g, name);

    if (!key || key->kind != QR_GGUF_BOOL) return false;
    *value = key->data[0] != 0;
    return true;
}

bool qr_gguf_string(const struct qr_gguf *g, const char *name, struct quire_text *value)
{
    const struct qr_gguf_key *key = qr_gguf_find(g, name);

    if (!key || key->kind != QR_GGUF_STRING) return false;
    *value = (struct quire_text){.data = (const char *)key->data, .n = key->data_n};
    return true;
}

bool qr_gguf_next_string(const struct qr_gguf_key *array, size_t *cursor, struct quire_text *value)
{
    if (array->kind != QR_GGUF_ARRAY || array->element != QR_GGUF_STRING) return false;
    if (*cursor >= array->data_n) return false;
    uint64_t n = load(array->data + *cursor, 8);
    assert(n <= array->data_n - *cursor - 8);
    *value = (struct quire_text){.data = (const char *)array->data + *cursor + 8, .n = (size_t)n};
    *cursor += 8 + (size_t)n;
    return true;
}

bool qr_gguf_element_f32(const struct qr_gguf_key *array, uint64_t i, float *value)
{
    if (array->kind != QR_GGUF_ARRAY || array->element != QR_GGUF_F32 || i >= array->count)
        return false;
    *value = as_f32(load(array->data + 4 * i, 4));
    return true;
}

bool qr_gguf_element_i32(const struct qr_gguf_key *array, uint64_t i, int32_t *value)
{
    uint64_t magnitude;
    bool negative;

    if (array->kind != QR_GGUF_ARRAY || i >= array->count) return false;
    size_t bytes = array->data_n / (array->count ? array->count : 1);
    if (array->element == QR_GGUF_STRING) return false;
    if (!load_integer(array->element, array->data + bytes * i, &negative, &magnitude)) return false;
    if (magnitude > (uint64_t)INT32_MAX + (negative ? 1 : 0)) return false;
    *value = negative ? (int32_t)(-(int64_t)magnitude) : (int32_t)magnitude;
    return true;
}
