/* SPDX-License-Identifier: MIT */
/* layout -- several arrays in one block of memory, each on cache lines of its own.
 *
 * A module lists its arrays in one function, which runs twice: with base NULL it measures, later it
 * fills in the addresses.
 *
 *     base                                        bytes
 *     | array 0 ....... | array 1 .. | array 2 .. |
 *     each begins at a cache line
 *
 * Thread: any.   Memory: the caller's, aligned to a cache line. */
#ifndef QR_MODEL_LAYOUT_H
#define QR_MODEL_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

struct qr_layout {
    uint8_t *base; /* NULL: only measures */
    size_t bytes;  /* so far, whole cache lines; SIZE_MAX: more than memory can address */
};

/* An array of n elements of `bytes` each.  NULL while it measures. */
void *qr_layout_place(struct qr_layout *l, size_t n, size_t bytes);

#endif
