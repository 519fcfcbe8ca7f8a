/* SPDX-License-Identifier: MIT */
/* array -- growth of the grammar layer's arrays, within a budget.
 *
 * A compilation takes its memory through one budget.  The first growth that does not fit, or that
 * the allocator refuses, sets `failed`; callers go on with harmless values and the compilation ends
 * with an error at its next check.
 *
 * Thread: the budget's owner.   Memory: the allocator's. */
#ifndef QR_GRAMMAR_ARRAY_H
#define QR_GRAMMAR_ARRAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/memory.h"

struct qr_budget {
    struct quire_allocator allocator;
    size_t bytes_left;
    bool failed;    /* a growth did not fit, or there was no memory */
    bool no_memory; /* the allocator refused */
};

/* Makes room for at least n elements of `size` bytes.  Returns the (moved) array; on failure the
 * old one, *capacity unchanged, and budget->failed is set. */
void *qr_array_reserve(struct qr_budget *budget, void *array, size_t *capacity, size_t n,
                       size_t size);
void qr_array_free(struct qr_budget *budget, void *array);
/* Frees an array of a struct that can be used again, and gives its bytes back to the budget. */
#define QR_RELEASE(budget, owner, array)                                                           \
    (qr_array_free(budget, (owner)->array),                                                        \
     (budget)->bytes_left += (owner)->array##_capacity * sizeof *(owner)->array,                   \
     (owner)->array = NULL, (owner)->array##_capacity = 0)

/* True when array (a pointer, with its capacity in array##_capacity) can hold n elements. */
#define QR_RESERVE(budget, owner, array, n)                                                        \
    ((owner)->array = qr_array_reserve(budget, (owner)->array, &(owner)->array##_capacity, n,      \
                                       sizeof *(owner)->array),                                    \
     (owner)->array##_capacity >= (size_t)(n))

#endif
