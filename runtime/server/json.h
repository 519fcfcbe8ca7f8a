/* SPDX-License-Identifier: MIT */
/* json -- reads JSON.  No other file of the server includes jansson.
 *
 * A document is parsed once and not changed; its strings live as long as the document.  A missing
 * value is NULL in every function here, and so is the JSON value null.
 *
 * Thread: one at a time for each document; parsing shares no state.
 * Memory: from qr_json_set_memory's functions, or malloc without them. */
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

/* Sets the functions that allocate all documents.  Call it before the first parse. */
void qr_json_set_memory(void *(*take)(size_t bytes), void (*give_back)(void *memory));

/* Returns an object or array.  NULL: `why` names the error and its position.
 *
 * The whole of JSON is legal: \u0000, numbers of any size, a byte order mark in front.  A number
 * past 64 bits becomes a real, one past a double the largest double, and a NUL in a member's name
 * U+FFFD. */
struct qr_json *qr_json_parse(const char *text, size_t text_n, char *why, size_t why_n);
void qr_json_free(struct qr_json *root); /* NULL is allowed */

enum qr_json_type qr_json_type(const struct qr_json *value);
/* "an integer", "a string": for error messages. */
const char *qr_json_type_name(enum qr_json_type type);

/* A member; NULL if it is missing or null, or if `object` is not an object. */
const struct qr_json *qr_json_get(const struct qr_json *object, const char *key);
/* Iterates over an object's members in the document's order.  Start with {0}.  A null value is
 * NULL.  False: no member is left. */
struct qr_json_member {
    struct quire_text key;
    const struct qr_json *value;
    void *at; /* NULL: before the first */
};
bool qr_json_next(const struct qr_json *object, struct qr_json_member *member);
/* Items of an array, members of an object, 0 for other types. */
size_t qr_json_length(const struct qr_json *value);
const struct qr_json *qr_json_at(const struct qr_json *array, size_t i);

struct qr_buffer;
/* Writes a value as JSON text, members in the document's order. */
void qr_json_dump(const struct qr_json *value, struct qr_buffer *out);

/* The value must have the type that the function names. */
struct quire_text qr_json_text(const struct qr_json *string);
bool qr_json_bool(const struct qr_json *boolean);
/* Reads an integer, or a real that is a whole number of 64 bits.  False: it is neither. */
bool qr_json_integer(const struct qr_json *value, int64_t *out);
/* Reads an integer or a real.  False: it is neither. */
bool qr_json_number(const struct qr_json *value, double *out);

/* ---- making values ------------------------------------------------------------------------- */

/* A new value, or NULL without memory (a text: or if it is not UTF-8).  Freed with qr_json_free
 * unless it has been put into another. */
struct qr_json *qr_json_null(void);
struct qr_json *qr_json_object(void);
struct qr_json *qr_json_array(void);
struct qr_json *qr_json_string(struct quire_text text);
struct qr_json *qr_json_from_bool(bool value);
struct qr_json *qr_json_from_integer(int64_t value);
/* Another owner of a value that is not changed; NULL of NULL. */
struct qr_json *qr_json_share(const struct qr_json *value);

/* Each takes over value.  False: it was NULL or there is no memory, and value has been freed. */
bool qr_json_set(struct qr_json *object, const char *key, struct qr_json *value);
bool qr_json_set_text(struct qr_json *object, struct quire_text key, struct qr_json *value);
bool qr_json_append(struct qr_json *array, struct qr_json *value);

#endif
