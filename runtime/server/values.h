/* SPDX-License-Identifier: MIT */
/* values -- JSON as the values that the library takes: jansson stays on this side of quire.h.
 *
 * Thread: any one.   Memory: the allocator's; texts point into the document. */
#ifndef QR_SERVER_VALUES_H
#define QR_SERVER_VALUES_H

#include "runtime/server/json.h"

struct qr_values_block;

/* What holds the values made: all live until it is deinitialised. */
struct qr_values {
    const struct quire_allocator *memory;
    struct qr_values_block *blocks;
};

void qr_values_init(struct qr_values *values, const struct quire_allocator *memory);
void qr_values_deinit(struct qr_values *values);

/* False: no memory. */
bool qr_values_make(struct qr_values *values, const struct qr_json *json, struct quire_value *out);
/* A member of a MAP that was made here, to be changed in place; NULL: there is none. */
struct quire_value *qr_values_member(const struct quire_value *map, const char *key);

#endif
