/* SPDX-License-Identifier: MIT */
#include "runtime/server/json.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>

#include "runtime/server/buffer.h"

static const json_t *json_of(const struct qr_json *value)
{
    return (const json_t *)(const void *)value;
}

static const struct qr_json *value_of(const json_t *json)
{
    return json && !json_is_null(json) ? (const struct qr_json *)(const void *)json : NULL;
}

void qr_json_set_memory(void *(*take)(size_t bytes), void (*give_back)(void *memory))
{
    json_set_alloc_funcs(take, give_back);
}

struct qr_json *qr_json_parse(const char *text, size_t text_n, char *why, size_t why_n)
{
    json_error_t error;
    json_t *root = json_loadb(text_n ? text : "", text_n, JSON_ALLOW_NUL, &error);
    if (!root) {
        (void)snprintf(why, why_n, "line %d, column %d (byte %d): %s", error.line, error.column,
                       error.position, error.text);
    }
    return (struct qr_json *)(void *)root;
}

void qr_json_free(struct qr_json *root)
{
    json_decref((json_t *)(void *)root);
}

enum qr_json_type qr_json_type(const struct qr_json *value)
{
    if (!value) return QR_JSON_NULL;
    switch (json_typeof(json_of(value))) {
    case JSON_OBJECT: return QR_JSON_OBJECT;
    case JSON_ARRAY: return QR_JSON_ARRAY;
    case JSON_STRING: return QR_JSON_STRING;
    case JSON_INTEGER: return QR_JSON_INTEGER;
    case JSON_REAL: return QR_JSON_REAL;
    case JSON_TRUE:
    case JSON_FALSE: return QR_JSON_BOOL;
    case JSON_NULL: return QR_JSON_NULL;
    }
    return QR_JSON_NULL;
}

const char *qr_json_type_name(enum qr_json_type type)
{
    static const char *const names[] = {
        [QR_JSON_NULL] = "null",          [QR_JSON_BOOL] = "a boolean",
        [QR_JSON_INTEGER] = "an integer", [QR_JSON_REAL] = "a number",
        [QR_JSON_STRING] = "a string",    [QR_JSON_ARRAY] = "a list",
        [QR_JSON_OBJECT] = "an object",
    };
    return names[type];
}

const struct qr_json *qr_json_get(const struct qr_json *object, const char *key)
{
    return value_of(json_object_get(json_of(object), key));
}

bool qr_json_next(const struct qr_json *object, struct qr_json_member *member)
{
    json_t *json = (json_t *)(uintptr_t)json_of(object); /* its iterator changes nothing */

    member->at = member->at ? json_object_iter_next(json, member->at) : json_object_iter(json);
    if (!member->at) return false;
    member->key.data = json_object_iter_key(member->at);
    member->key.n = json_object_iter_key_len(member->at);
    member->value = value_of(json_object_iter_value(member->at));
    return true;
}

size_t qr_json_length(const struct qr_json *value)
{
    switch (qr_json_type(value)) {
    case QR_JSON_ARRAY: return json_array_size(json_of(value));
    case QR_JSON_OBJECT: return json_object_size(json_of(value));
    default: return 0;
    }
}

const struct qr_json *qr_json_at(const struct qr_json *array, size_t i)
{
    return value_of(json_array_get(json_of(array), i));
}

struct quire_text qr_json_text(const struct qr_json *string)
{
    assert(qr_json_type(string) == QR_JSON_STRING);
    return (struct quire_text){.data = json_string_value(json_of(string)),
                               .n = json_string_length(json_of(string))};
}

bool qr_json_bool(const struct qr_json *boolean)
{
    assert(qr_json_type(boolean) == QR_JSON_BOOL);
    return json_is_true(json_of(boolean));
}

bool qr_json_integer(const struct qr_json *value, int64_t *out)
{
    if (qr_json_type(value) == QR_JSON_INTEGER) {
        *out = json_integer_value(json_of(value));
        return true;
    }
    if (qr_json_type(value) != QR_JSON_REAL) return false;
    double real = json_real_value(json_of(value));
    /* 2^63 is the first double past the range; -2^63 is in it. */
    if (real != trunc(real) || real < -0x1p63 || real >= 0x1p63) return false;
    *out = (int64_t)real;
    return true;
}

bool qr_json_number(const struct qr_json *value, double *out)
{
    switch (qr_json_type(value)) {
    case QR_JSON_INTEGER: *out = (double)json_integer_value(json_of(value)); return true;
    case QR_JSON_REAL: *out = json_real_value(json_of(value)); return true;
    default: return false;
    }
}

static int dump_piece(const char *text, size_t n, void *context)
{
    struct qr_buffer *out = context;

    qr_buffer_put(out, text, n);
    return out->failed ? -1 : 0;
}

void qr_json_dump(const struct qr_json *value, struct qr_buffer *out)
{
    if (json_dump_callback(json_of(value), dump_piece, out, JSON_COMPACT | JSON_ENCODE_ANY) != 0)
        out->failed = true;
}
