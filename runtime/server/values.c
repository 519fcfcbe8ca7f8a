/* SPDX-License-Identifier: MIT */
#include "runtime/server/values.h"

#include <assert.h>
#include <string.h>

#include "runtime/base/memory.h"

struct qr_values_block {
    struct qr_values_block *next;
    size_t values_n, keys_n; /* left of what follows: values, then keys */
    struct quire_value *values;
    struct quire_text *keys;
};

void qr_values_init(struct qr_values *values, const struct quire_allocator *memory)
{
    *values = (struct qr_values){.memory = memory};
}

void qr_values_deinit(struct qr_values *values)
{
    while (values->blocks) {
        struct qr_values_block *next = values->blocks->next;
        qr_free(values->memory, values->blocks);
        values->blocks = next;
    }
}

/* Counts the items and keys below a value.  The JSON parser bounds the depth. */
static void count(const struct qr_json *json, size_t *values_n, size_t *keys_n)
{
    const size_t n = qr_json_length(json);
    struct qr_json_member member = {0};

    *values_n += n;
    if (qr_json_type(json) == QR_JSON_OBJECT) {
        *keys_n += n;
        while (qr_json_next(json, &member))
            count(member.value, values_n, keys_n);
        return;
    }
    for (size_t i = 0; i < n; i++)
        count(qr_json_at(json, i), values_n, keys_n);
}

static struct qr_values_block *take_block(struct qr_values *values, size_t values_n, size_t keys_n)
{
    size_t values_bytes, keys_bytes, bytes;
    struct qr_values_block *block = NULL;

    if (qr_mul(values_n, sizeof(struct quire_value), &values_bytes) &&
        qr_mul(keys_n, sizeof(struct quire_text), &keys_bytes) &&
        qr_add_size(values_bytes, keys_bytes, &bytes) && qr_add_size(bytes, sizeof *block, &bytes))
        block = qr_alloc(values->memory, bytes);
    if (!block) return NULL;
    *block = (struct qr_values_block){.next = values->blocks,
                                      .values_n = values_n,
                                      .keys_n = keys_n,
                                      .values = (struct quire_value *)(void *)(block + 1)};
    block->keys = (struct quire_text *)(void *)(block->values + values_n);
    values->blocks = block;
    return block;
}

static struct quire_value make(struct qr_values_block *block, const struct qr_json *json)
{
    struct quire_value value = {.kind = QUIRE_VALUE_NONE};
    struct qr_json_member member = {0};
    double real;

    switch (qr_json_type(json)) {
    case QR_JSON_NULL: return value;
    case QR_JSON_BOOL:
        value.kind = QUIRE_VALUE_BOOL;
        value.as.truth = qr_json_bool(json);
        return value;
    case QR_JSON_INTEGER:
        value.kind = QUIRE_VALUE_INTEGER;
        (void)qr_json_integer(json, &value.as.integer);
        return value;
    case QR_JSON_REAL:
        value.kind = QUIRE_VALUE_REAL;
        value.as.real = qr_json_number(json, &real) ? real : 0;
        return value;
    case QR_JSON_STRING:
        value.kind = QUIRE_VALUE_TEXT;
        value.as.text = qr_json_text(json);
        return value;
    case QR_JSON_ARRAY: value.kind = QUIRE_VALUE_LIST; break;
    case QR_JSON_OBJECT: value.kind = QUIRE_VALUE_MAP; break;
    }
    value.n = qr_json_length(json);
    assert(value.n <= block->values_n);
    struct quire_value *items = block->values;
    value.as.items = items;
    block->values += value.n;
    block->values_n -= value.n;
    if (value.kind == QUIRE_VALUE_LIST) {
        for (size_t i = 0; i < value.n; i++)
            items[i] = make(block, qr_json_at(json, i));
        return value;
    }
    struct quire_text *keys = block->keys;
    value.keys = keys;
    block->keys += value.n;
    block->keys_n -= value.n;
    for (size_t i = 0; i < value.n && qr_json_next(json, &member); i++) {
        keys[i] = member.key;
        items[i] = make(block, member.value);
    }
    return value;
}

bool qr_values_make(struct qr_values *values, const struct qr_json *json, struct quire_value *out)
{
    size_t values_n = 0, keys_n = 0;

    count(json, &values_n, &keys_n);
    struct qr_values_block *block = take_block(values, values_n, keys_n);
    if (!block) return false;
    *out = make(block, json);
    return true;
}

struct quire_value *qr_values_member(const struct quire_value *map, const char *key)
{
    const size_t n = strlen(key);

    if (!map || map->kind != QUIRE_VALUE_MAP) return NULL;
    for (size_t i = 0; i < map->n; i++)
        if (map->keys[i].n == n && memcmp(map->keys[i].data, key, n) == 0)
            return (struct quire_value *)(uintptr_t)&map->as.items[i];
    return NULL;
}
