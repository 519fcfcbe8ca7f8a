/* SPDX-License-Identifier: MIT */
#include "runtime/server/json.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/memory.h"
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

/* ---- parsing ------------------------------------------------------------------------------- */

/* jansson refuses numbers past 64 bits or past a double, and a NUL in a member's name.  All are
 * JSON, so a text that it refuses is copied with these replaced, and parsed again. */
struct amending {
    const char *text;
    size_t n;
    size_t at;
    char *out; /* room for four times the text: 9e308 becomes 22 characters */
    size_t out_n;
    bool changed;
};

static void put(struct amending *a, const char *text, size_t n)
{
    memcpy(a->out + a->out_n, text, n);
    a->out_n += n;
}

static void amend_number(struct amending *a)
{
    const char *from = a->text + a->at, *end = a->text + a->n;
    char copy[64], *stop;
    bool real = false;
    size_t n = 0;

    while (from + n < end && from[n] && strchr("+-.eE0123456789", from[n]))
        real |= strchr(".eE", from[n++]) != NULL;
    a->at += n;
    if (n < sizeof copy) {
        memcpy(copy, from, n);
        copy[n] = '\0';
        errno = 0;
        if (real)
            (void)strtod(copy, &stop);
        else
            (void)strtoll(copy, &stop, 10);
        if (errno != ERANGE || *stop) {
            put(a, from, n);
            return;
        }
        /* Too small for a double is 0 or subnormal, which jansson takes. */
        if (real && fabs(strtod(copy, &stop)) < 1) {
            put(a, from, n);
            return;
        }
        if (!real) {
            put(a, from, n);
            put(a, "e0", 2);
            a->changed = true;
            return;
        }
    }
    put(a, from[0] == '-' ? "-1.7976931348623157e308" : "1.7976931348623157e308",
        from[0] == '-' ? 23 : 22);
    a->changed = true;
}

/* A string; if a colon follows, it is a name. */
static void amend_string(struct amending *a)
{
    const char *from = a->text + a->at, *end = a->text + a->n;
    size_t n = 1;

    while (from + n < end && from[n] != '"')
        n += from[n] == '\\' && from + n + 1 < end ? 2 : 1;
    n += from + n < end;
    const size_t begin = a->out_n;
    put(a, from, n);
    a->at += n;
    size_t after = a->at;
    while (after < a->n && a->text[after] && strchr(" \t\r\n", a->text[after]))
        after++;
    if (after == a->n || a->text[after] != ':') return;
    for (size_t i = begin; i + 6 <= a->out_n; i++) {
        if (a->out[i] != '\\') continue;
        if (memcmp(a->out + i, "\\u0000", 6) == 0) {
            memcpy(a->out + i, "\\ufffd", 6);
            a->changed = true;
        }
        i++; /* the escaped character */
    }
}

/* NULL: nothing to replace, or no memory. */
static char *amend(const char *text, size_t n, size_t *out_n)
{
    json_malloc_t take;
    json_free_t give_back;
    size_t room;

    json_get_alloc_funcs(&take, &give_back);
    if (!qr_mul(n, 4, &room) || !qr_add_size(room, 64, &room)) return NULL;
    struct amending a = {.text = text, .n = n, .out = take(room)};
    while (a.out && a.at < n) {
        const char c = text[a.at];
        if (c == '"') {
            amend_string(&a);
        } else if (c == '-' || (c >= '0' && c <= '9')) {
            amend_number(&a);
        } else {
            put(&a, &c, 1);
            a.at++;
        }
    }
    if (a.out && !a.changed) {
        give_back(a.out);
        return NULL;
    }
    *out_n = a.out_n;
    return a.out;
}

struct qr_json *qr_json_parse(const char *text, size_t text_n, char *why, size_t why_n)
{
    json_malloc_t take;
    json_free_t give_back;
    json_error_t error;
    size_t amended_n;

    if (text_n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        text_n -= 3;
    }
    json_t *root = json_loadb(text_n ? text : "", text_n, JSON_ALLOW_NUL, &error);
    if (!root) {
        char *amended = amend(text, text_n, &amended_n);
        if (amended) {
            root = json_loadb(amended, amended_n, JSON_ALLOW_NUL, &error);
            json_get_alloc_funcs(&take, &give_back);
            give_back(amended);
        }
    }
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

/* ---- making values ------------------------------------------------------------------------- */

static struct qr_json *made(json_t *json)
{
    return (struct qr_json *)(void *)json;
}

struct qr_json *qr_json_null(void)
{
    return made(json_null());
}

struct qr_json *qr_json_object(void)
{
    return made(json_object());
}

struct qr_json *qr_json_array(void)
{
    return made(json_array());
}

struct qr_json *qr_json_string(struct quire_text text)
{
    return made(json_stringn(text.n ? text.data : "", text.n));
}

struct qr_json *qr_json_from_bool(bool value)
{
    return made(json_boolean(value));
}

struct qr_json *qr_json_from_integer(int64_t value)
{
    return made(json_integer(value));
}

struct qr_json *qr_json_share(const struct qr_json *value)
{
    return made(json_incref((json_t *)(uintptr_t)json_of(value)));
}

bool qr_json_set(struct qr_json *object, const char *key, struct qr_json *value)
{
    return json_object_set_new((json_t *)(void *)object, key, (json_t *)(void *)value) == 0;
}

bool qr_json_set_text(struct qr_json *object, struct quire_text key, struct qr_json *value)
{
    return json_object_setn_new((json_t *)(void *)object, key.data, key.n,
                                (json_t *)(void *)value) == 0;
}

bool qr_json_append(struct qr_json *array, struct qr_json *value)
{
    return json_array_append_new((json_t *)(void *)array, (json_t *)(void *)value) == 0;
}
