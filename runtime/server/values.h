/* SPDX-License-Identifier: MIT */
/* values -- JSON as quire.h's values.  The public API has no JSON type.
 *
 * Thread: any one.   Memory: the allocator's; texts point into the document. */
#ifndef QR_SERVER_VALUES_H
#define QR_SERVER_VALUES_H

#include "runtime/server/json.h"

struct qr_values_block;

/* Owns the values: all live until qr_values_deinit. */
struct qr_values {
    const struct quire_allocator *memory;
    struct qr_values_block *blocks;
};

void qr_values_init(struct qr_values *values, const struct quire_allocator *memory);
void qr_values_deinit(struct qr_values *values);

/* False: out of memory. */
bool qr_values_make(struct qr_values *values, const struct qr_json *json, struct quire_value *out);
/* A member of a MAP from qr_values_make, which the caller may change; NULL: no such member. */
struct quire_value *qr_values_member(const struct quire_value *map, const char *key);

#endif
