/* SPDX-License-Identifier: MIT */
/* json -- reads JSON values.  The only home of the JSON library.
 *
 * A document is parsed once and then only read; its strings live as long as it does.  A missing
 * value is NULL everywhere, and reads as null.
 *
 * Thread: a document may be read by one thread at a time; parsing is free of shared state.
 * Memory: qr_json_set_memory's, malloc's before that. */
#ifndef QR_SERVER_JSON_H
#define QR_SERVER_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/quire.h"

struct qr_json;

enum qr_json_type {
    QR_JSON_NULL,
    QR_JSON_BOOL,
    QR_JSON_INTEGER,
    QR_JSON_REAL,
    QR_JSON_STRING,
    QR_JSON_ARRAY,
    QR_JSON_OBJECT
};

/* Where the memory of all documents comes from.  Before the first parse only. */
void qr_json_set_memory(void *(*take)(size_t bytes), void (*give_back)(void *memory));

/* An object or array, or NULL: `why` then says what is wrong and where.  \u0000 is legal. */
struct qr_json *qr_json_parse(const char *text, size_t text_n, char *why, size_t why_n);
void qr_json_free(struct qr_json *root); /* NULL is allowed */

enum qr_json_type qr_json_type(const struct qr_json *value);
/* "an integer", "a string": for messages. */
const char *qr_json_type_name(enum qr_json_type type);

/* A member; NULL where there is none, where it is null, or where the value is no object. */
const struct qr_json *qr_json_get(const struct qr_json *object, const char *key);
/* The next member of an object, in the order in which they came; begun with {0}.  A value is NULL
 * where it is null.  False: there is none left. */
struct qr_json_member {
    struct quire_text key;
    const struct qr_json *value;
    void *at; /* NULL: before the first */
};
bool qr_json_next(const struct qr_json *object, struct qr_json_member *member);
/* Of an array or object, else 0. */
size_t qr_json_length(const struct qr_json *value);
const struct qr_json *qr_json_at(const struct qr_json *array, size_t i);

struct qr_buffer;
/* Writes a value as text, members in the order in which they came.  Without memory: out->failed. */
void qr_json_dump(const struct qr_json *value, struct qr_buffer *out);

/* Only for the type that each names. */
struct quire_text qr_json_text(const struct qr_json *string);
bool qr_json_bool(const struct qr_json *boolean);
/* An integer, or a real without a fraction that fits.  False: neither. */
bool qr_json_integer(const struct qr_json *value, int64_t *out);
/* An integer or real.  False: neither. */
bool qr_json_number(const struct qr_json *value, double *out);

#endif
