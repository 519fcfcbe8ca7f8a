/* SPDX-License-Identifier: MIT */
/* A cursor reads the file once, from its first byte to the end of the tensor table, and never
 * passes the file's end.  Values are only measured here; gguf_values.c interprets them. */
#include "runtime/model/gguf.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "runtime/base/error.h"
#include "runtime/base/memory.h"

#define HEADER_BYTES      24u /* magic, version, tensors, keys */
#define KEY_BYTES_MIN     13u /* a name of no letters, a kind, a value of one byte */
#define TENSOR_BYTES_MIN  32u /* a name of no letters, one dimension, a type, an offset */
#define ALIGNMENT_DEFAULT 32u
#define ALIGNMENT_MAX     (1u << 20)
#define SHOWN_NAME_MAX    64
#define KIND_LAST         QR_GGUF_F64

/* The value types of the specification, by their numbers in the file. */
static const size_t KIND_BYTES[KIND_LAST + 1] = {
    [QR_GGUF_U8] = 1,  [QR_GGUF_I8] = 1,  [QR_GGUF_U16] = 2, [QR_GGUF_I16] = 2,
    [QR_GGUF_U32] = 4, [QR_GGUF_I32] = 4, [QR_GGUF_F32] = 4, [QR_GGUF_BOOL] = 1,
    [QR_GGUF_U64] = 8, [QR_GGUF_I64] = 8, [QR_GGUF_F64] = 8,
};

struct cursor {
    struct qr_gguf *g;
    const char *where; /* the file's name, for messages */
    size_t at;
    struct quire_error *error;
};

__attribute__((format(printf, 3, 4))) static int bad(const struct cursor *c, size_t at,
                                                     const char *format, ...)
{
    char text[200];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return qr_error(c->error, QUIRE_BAD_FILE, "%s: byte %zu: %s", c->where, at, text);
}

/* ---- the cursor: the only place where a read is checked ------------------------------------- */

static size_t left(const struct cursor *c)
{
    return c->g->bytes_n - c->at;
}

static int take_bytes(struct cursor *c, uint64_t n, const char *what, const uint8_t **bytes)
{
    if (n > left(c))
        return bad(c, c->at, "%s takes %" PRIu64 " bytes, the file has %zu more", what, n, left(c));
    *bytes = c->g->bytes + c->at;
    c->at += (size_t)n;
    return QUIRE_OK;
}

static uint32_t load_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static uint64_t load_u64(const uint8_t *bytes)
{
    return (uint64_t)load_u32(bytes) | (uint64_t)load_u32(bytes + 4) << 32;
}

static int take_u32(struct cursor *c, const char *what, uint32_t *value)
{
    const uint8_t *bytes = NULL;
    int status = take_bytes(c, 4, what, &bytes);

    if (status) return status;
    *value = load_u32(bytes);
    return QUIRE_OK;
}

static int take_u64(struct cursor *c, const char *what, uint64_t *value)
{
    const uint8_t *bytes = NULL;
    int status = take_bytes(c, 8, what, &bytes);

    if (status) return status;
    *value = load_u64(bytes);
    return QUIRE_OK;
}

static int take_name(struct cursor *c, const char *what, struct quire_text *name)
{
    const uint8_t *bytes = NULL;
    uint64_t n;
    size_t at = c->at;
    int status = take_u64(c, what, &n);

    if (status) return status;
    if (n == 0 || n > QR_GGUF_NAME_MAX)
        return bad(c, at, "%s is %" PRIu64 " bytes long, expected 1 to %u", what, n,
                   QR_GGUF_NAME_MAX);
    status = take_bytes(c, n, what, &bytes);
    if (status) return status;
    *name = (struct quire_text){.data = (const char *)bytes, .n = (size_t)n};
    return QUIRE_OK;
}

static int shown(const struct quire_text *name)
{
    return name->n < SHOWN_NAME_MAX ? (int)name->n : SHOWN_NAME_MAX;
}

static size_t offset_of(const struct qr_gguf *g, const void *address)
{
    return (size_t)((const uint8_t *)address - g->bytes);
}

/* ---- keys ----------------------------------------------------------------------------------- */

static int take_strings(struct cursor *c, uint64_t count)
{
    const uint8_t *bytes = NULL;
    uint64_t n;

    if (count > left(c) / 8)
        return bad(c, c->at, "an array of %" PRIu64 " strings, the file has room for %zu", count,
                   left(c) / 8);
    for (uint64_t i = 0; i < count; i++) {
        int status = take_u64(c, "a string's length", &n);
        if (status) return status;
        status = take_bytes(c, n, "a string", &bytes);
        if (status) return status;
    }
    return QUIRE_OK;
}

static int take_elements(struct cursor *c, enum qr_gguf_kind kind, uint64_t count)
{
    const uint8_t *bytes = NULL;

    if (count > left(c) / KIND_BYTES[kind])
        return bad(c, c->at, "%" PRIu64 " values of %zu bytes, the file has %zu bytes more", count,
                   KIND_BYTES[kind], left(c));
    int status = take_bytes(c, count * KIND_BYTES[kind], "a value", &bytes);
    if (status || kind != QR_GGUF_BOOL) return status;
    for (uint64_t i = 0; i < count; i++)
        if (bytes[i] > 1)
            return bad(c, offset_of(c->g, bytes + i), "a bool is %u, expected 0 or 1", bytes[i]);
    return QUIRE_OK;
}

static int take_kind(struct cursor *c, const char *what, enum qr_gguf_kind *kind)
{
    size_t at = c->at;
    uint32_t number;
    int status = take_u32(c, what, &number);

    if (status) return status;
    if (number > KIND_LAST)
        return bad(c, at, "%s is %" PRIu32 ", expected 0 to %d", what, number, KIND_LAST);
    *kind = (enum qr_gguf_kind)number;
    return QUIRE_OK;
}

static int take_key(struct cursor *c, struct qr_gguf_key *key)
{
    int status = take_name(c, "a key's name", &key->name);

    if (!status) status = take_kind(c, "a value's type", &key->kind);
    if (status) return status;
    key->count = 1;
    key->element = key->kind;
    if (key->kind == QR_GGUF_ARRAY) {
        size_t at = c->at;
        status = take_kind(c, "an array's type", &key->element);
        if (status) return status;
        if (key->element == QR_GGUF_ARRAY)
            return bad(c, at, "key '%.*s' is an array of arrays, expected plain elements",
                       shown(&key->name), key->name.data);
        status = take_u64(c, "an array's length", &key->count);
        if (status) return status;
    }
    size_t begin = c->at;
    if (key->element == QR_GGUF_STRING)
        status = take_strings(c, key->count);
    else
        status = take_elements(c, key->element, key->count);
    if (status) return status;
    key->data = c->g->bytes + begin;
    key->data_n = c->at - begin;
    if (key->kind == QR_GGUF_STRING) { /* the value begins after its length */
        key->data += 8;
        key->data_n -= 8;
    }
    return QUIRE_OK;
}

static int compare_names(const struct quire_text *a, const struct quire_text *b)
{
    size_t n = a->n < b->n ? a->n : b->n;
    int order = memcmp(a->data, b->data, n);

    if (order) return order;
    return (a->n > b->n) - (a->n < b->n);
}

static int compare_keys(const void *a, const void *b)
{
    return compare_names(&((const struct qr_gguf_key *)a)->name,
                         &((const struct qr_gguf_key *)b)->name);
}

static int compare_tensors(const void *a, const void *b)
{
    return compare_names(&((const struct qr_gguf_tensor *)a)->name,
                         &((const struct qr_gguf_tensor *)b)->name);
}

static int twice(const struct cursor *c, const struct quire_text *a, const struct quire_text *b,
                 const char *what)
{
    const struct quire_text *later = a->data > b->data ? a : b;

    return bad(c, offset_of(c->g, later->data), "%s '%.*s' occurs twice, expected once", what,
               shown(later), later->data);
}

static int take_keys(struct cursor *c)
{
    struct qr_gguf *g = c->g;

    for (uint32_t i = 0; i < g->keys_n; i++) {
        int status = take_key(c, &g->keys[i]);
        if (status) return status;
    }
    if (g->keys_n) qsort(g->keys, g->keys_n, sizeof g->keys[0], compare_keys);
    for (uint32_t i = 1; i < g->keys_n; i++)
        if (compare_keys(&g->keys[i - 1], &g->keys[i]) == 0)
            return twice(c, &g->keys[i - 1].name, &g->keys[i].name, "key");
    return QUIRE_OK;
}

static int read_alignment(const struct cursor *c)
{
    struct qr_gguf *g = c->g;
    const struct qr_gguf_key *key = qr_gguf_find(g, "general.alignment");

    g->alignment = ALIGNMENT_DEFAULT;
    if (!key) return QUIRE_OK;
    if (key->kind != QR_GGUF_U32)
        return bad(c, offset_of(g, key->name.data), "general.alignment is of type %d, expected %d",
                   key->kind, QR_GGUF_U32);
    uint32_t value = load_u32(key->data);
    if (value < 8 || value > ALIGNMENT_MAX || (value & (value - 1)))
        return bad(c, offset_of(g, key->data),
                   "general.alignment is %" PRIu32 ", expected a power of two from 8 to %u", value,
                   ALIGNMENT_MAX);
    g->alignment = value;
    return QUIRE_OK;
}

/* ---- tensors -------------------------------------------------------------------------------- */

/* data_n holds the offset into the tensors' data until place_tensor knows where that begins. */
static int take_tensor(struct cursor *c, struct qr_gguf_tensor *t)
{
    size_t at = c->at;
    uint64_t values = 1;
    uint64_t offset;
    int status = take_name(c, "a tensor's name", &t->name);

    if (status) return status;
    at = c->at;
    status = take_u32(c, "a tensor's number of dimensions", &t->dims_n);
    if (status) return status;
    if (t->dims_n == 0 || t->dims_n > QR_GGUF_DIMS_MAX)
        return bad(c, at, "tensor '%.*s' has %" PRIu32 " dimensions, expected 1 to %u",
                   shown(&t->name), t->name.data, t->dims_n, QR_GGUF_DIMS_MAX);
    for (uint32_t i = 0; i < QR_GGUF_DIMS_MAX; i++) {
        t->dims[i] = 1;
        if (i >= t->dims_n) continue;
        at = c->at;
        status = take_u64(c, "a tensor's dimension", &t->dims[i]);
        if (status) return status;
        if (t->dims[i] == 0 || __builtin_mul_overflow(values, t->dims[i], &values))
            return bad(c, at,
                       "tensor '%.*s' has dimension %" PRIu32 " of %" PRIu64
                       ", expected at least 1 and a product within 64 bits",
                       shown(&t->name), t->name.data, i, t->dims[i]);
    }
    status = take_u32(c, "a tensor's type", &t->type);
    if (status) return status;
    at = c->at;
    status = take_u64(c, "a tensor's offset", &offset);
    if (status) return status;
    if (offset % c->g->alignment)
        return bad(c, at, "tensor '%.*s' is at offset %" PRIu64 ", expected a multiple of %" PRIu32,
                   shown(&t->name), t->name.data, offset, c->g->alignment);
    if (offset > c->g->bytes_n)
        return bad(c, at, "tensor '%.*s' is at offset %" PRIu64 ", the file has %zu bytes",
                   shown(&t->name), t->name.data, offset, c->g->bytes_n);
    t->data_n = (size_t)offset;
    return QUIRE_OK;
}

static int place_tensor(const struct cursor *c, struct qr_gguf_tensor *t, size_t data_at)
{
    struct qr_gguf *g = c->g;
    const struct qr_type_traits *traits = qr_type_traits(t->type);
    size_t room = g->bytes_n - data_at;
    size_t offset = t->data_n;
    uint64_t bytes = 0;

    if (offset > room)
        return bad(c, offset_of(g, t->name.data),
                   "tensor '%.*s' is at offset %zu, the file has %zu bytes of data",
                   shown(&t->name), t->name.data, offset, room);
    t->data_n = 0;
    if (!traits->name || traits->block_n == 0)
        return QUIRE_OK; /* a type of unknown size has no data */
    if (t->dims[0] % traits->block_n)
        return bad(c, offset_of(g, t->name.data),
                   "tensor '%.*s' of type %s has rows of %" PRIu64 ", expected a multiple of %u",
                   shown(&t->name), t->name.data, traits->name, t->dims[0], traits->block_n);
    /* dims were multiplied without overflow; blocks are fewer than values, but larger. */
    uint64_t blocks = t->dims[0] / traits->block_n * t->dims[1] * t->dims[2] * t->dims[3];
    if (__builtin_mul_overflow(blocks, (uint64_t)traits->block_bytes, &bytes) ||
        bytes > room - offset)
        return bad(c, offset_of(g, t->name.data),
                   "tensor '%.*s' has %" PRIu64 " blocks of %u bytes at offset %zu, the file has "
                   "%zu bytes of data",
                   shown(&t->name), t->name.data, blocks, traits->block_bytes, offset, room);
    t->data = g->bytes + data_at + offset;
    t->data_n = (size_t)bytes;
    return QUIRE_OK;
}

static int take_tensors(struct cursor *c)
{
    struct qr_gguf *g = c->g;
    size_t data_at = 0;
    int status;

    for (uint32_t i = 0; i < g->tensors_n; i++) {
        status = take_tensor(c, &g->tensors[i]);
        if (status) return status;
    }
    if (g->tensors_n == 0) return QUIRE_OK;
    if (!qr_add_size(c->at, g->alignment - 1, &data_at))
        return bad(c, c->at, "the tensors' data begins past the largest address");
    data_at -= data_at % g->alignment;
    if (data_at > g->bytes_n)
        return bad(c, c->at, "the tensors' data begins at byte %zu, the file has %zu bytes",
                   data_at, g->bytes_n);
    for (uint32_t i = 0; i < g->tensors_n; i++) {
        status = place_tensor(c, &g->tensors[i], data_at);
        if (status) return status;
    }
    qsort(g->tensors, g->tensors_n, sizeof g->tensors[0], compare_tensors);
    for (uint32_t i = 1; i < g->tensors_n; i++)
        if (compare_tensors(&g->tensors[i - 1], &g->tensors[i]) == 0)
            return twice(c, &g->tensors[i - 1].name, &g->tensors[i].name, "tensor");
    return QUIRE_OK;
}

/* ---- the whole file ------------------------------------------------------------------------- */

static int take_version(struct cursor *c)
{
    struct qr_gguf *g = c->g;

    if (g->bytes_n < HEADER_BYTES)
        return bad(c, 0, "the file has %zu bytes, a GGUF header has %u", g->bytes_n, HEADER_BYTES);
    if (memcmp(g->bytes, "GGUF", 4) != 0)
        return bad(c, 0, "begins with 0x%08" PRIx32 ", expected the magic 'GGUF'",
                   __builtin_bswap32(load_u32(g->bytes)));
    g->version = load_u32(g->bytes + 4);
    c->at = 8;
    if (g->version == 2 || g->version == 3) return QUIRE_OK;
    if (g->version && (g->version & 0xffff) == 0)
        return qr_error(c->error, QUIRE_UNSUPPORTED,
                        "%s: byte 4: a big-endian GGUF file, expected a little-endian one",
                        c->where);
    return qr_error(c->error, QUIRE_UNSUPPORTED,
                    "%s: byte 4: GGUF version %" PRIu32 ", expected 2 or 3", c->where, g->version);
}

static int take_count(struct cursor *c, const char *what, uint32_t max, size_t bytes_min,
                      uint32_t *count)
{
    size_t at = c->at;
    uint64_t n;
    int status = take_u64(c, what, &n);

    if (status) return status;
    if (n > max || n > left(c) / bytes_min)
        return bad(c, at, "%s is %" PRIu64 ", expected at most %u and room for them in %zu bytes",
                   what, n, max, left(c));
    *count = (uint32_t)n;
    return QUIRE_OK;
}

static int parse(struct cursor *c)
{
    struct qr_gguf *g = c->g;
    int status = take_version(c);

    if (!status)
        status = take_count(c, "the number of tensors", QR_GGUF_TENSORS_MAX, TENSOR_BYTES_MIN,
                            &g->tensors_n);
    if (!status)
        status = take_count(c, "the number of keys", QR_GGUF_KEYS_MAX, KEY_BYTES_MIN, &g->keys_n);
    if (status) return status;
    g->keys = qr_alloc_zero(&g->allocator, g->keys_n, sizeof g->keys[0]);
    g->tensors = qr_alloc_zero(&g->allocator, g->tensors_n, sizeof g->tensors[0]);
    if (!g->keys || !g->tensors)
        return qr_error(c->error, QUIRE_NO_MEMORY,
                        "%s: no memory for a table of %" PRIu32 " keys and %" PRIu32 " tensors",
                        c->where, g->keys_n, g->tensors_n);
    status = take_keys(c);
    if (!status) status = read_alignment(c);
    if (!status) status = take_tensors(c);
    return status;
}

static void close_one(struct qr_gguf *g)
{
    qr_free(&g->allocator, g->keys);
    qr_free(&g->allocator, g->tensors);
    if (!g->mapped) return;
    int failed = munmap((void *)(uintptr_t)g->bytes, g->bytes_n);
    assert(!failed);
    (void)failed;
}

void qr_gguf_close(struct qr_gguf *g)
{
    for (uint32_t i = 0; i < g->parts_n; i++)
        close_one(&g->parts[i]);
    qr_free(&g->allocator, g->parts);
    close_one(g);
    *g = (struct qr_gguf){.allocator = g->allocator};
}

int qr_gguf_parse(struct qr_gguf *g, const void *bytes, size_t bytes_n, const char *where,
                  const struct quire_allocator *allocator, struct quire_error *error)
{
    struct cursor c = {.g = g, .where = where, .error = error};

    *g = (struct qr_gguf){
        .bytes = bytes, .bytes_n = bytes_n, .all_bytes_n = bytes_n, .allocator = *allocator};
    int status = parse(&c);
    if (status) qr_gguf_close(g);
    return status;
}
