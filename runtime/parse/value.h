/* SPDX-License-Identifier: MIT */
/* value -- how a value without quotes is read: as a string, or as JSON.
 *
 * Formats with tags write strings raw, so the text 12 is a string or a number: the schema of the
 * parameter says which.  A text that is JSON of a type that the schema allows is that JSON, unless
 * the type is string; every other text is a string.
 *
 * Thread: any.   Memory: none. */
#ifndef QR_PARSE_VALUE_H
#define QR_PARSE_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "runtime/quire.h"

enum {
    QR_VALUE_STRING = 1,
    QR_VALUE_INTEGER = 2,
    QR_VALUE_NUMBER = 4, /* integers too */
    QR_VALUE_BOOLEAN = 8,
    QR_VALUE_NULL = 16,
    QR_VALUE_ARRAY = 32,
    QR_VALUE_OBJECT = 64
};

/* The schema that a chain of references leads to, within the tool's schema `root`; NULL: nowhere.
 */
const json_t *qr_value_schema(const json_t *root, const json_t *schema);
/* Types that a schema allows, bits; 0: unknown. */
uint8_t qr_value_types(const json_t *root, const json_t *schema);
/* Whether a text is delivered as the JSON that it is. */
bool qr_value_is_json(uint8_t types, struct quire_text text);

#endif
