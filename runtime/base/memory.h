/* SPDX-License-Identifier: MIT */
/* memory -- small memory from the caller's allocator, big memory from the system.
 *
 * Thread: any (as the allocator given). */
#ifndef QR_BASE_MEMORY_H
#define QR_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/machine.h"
#include "runtime/quire.h"

/* A copy of `from` whose resize is never NULL (malloc where it was). */
struct quire_allocator qr_allocator(struct quire_allocator from);

void *qr_alloc(const struct quire_allocator *a, size_t bytes);                /* NULL: none */
void *qr_alloc_zero(const struct quire_allocator *a, size_t n, size_t bytes); /* n * bytes */
void *qr_realloc(const struct quire_allocator *a, void *memory, size_t bytes);
void qr_free(const struct quire_allocator *a, void *memory); /* NULL allowed */

/* 64-byte aligned, from the same allocator.  Freed by qr_free_aligned only. */
void *qr_alloc_aligned(const struct quire_allocator *a, size_t bytes);
void qr_free_aligned(const struct quire_allocator *a, void *memory);

/* Products and sums that must not wrap.  False: they would. */
bool qr_mul(size_t a, size_t b, size_t *product);
bool qr_add_size(size_t a, size_t b, size_t *sum);

/* What one thread writes on a line of its own does not slow down the others. */
#define QR_CACHE_LINE 64u

static inline size_t qr_whole_lines(size_t bytes)
{
    return (bytes + QR_CACHE_LINE - 1) / QR_CACHE_LINE * QR_CACHE_LINE;
}

/* A page-aligned, zeroed region mapped from the system, huge pages advised. */
struct qr_region {
    void *base;
    size_t bytes;
};
bool qr_region_create(struct qr_region *region, size_t bytes);
/* The system gives memory to a region in pieces of so many bytes, if it can: x86's and most ARMs'
 * huge page.  A region is whole ones. */
#define QR_REGION_PIECE ((size_t)2 << 20)
/* Gives [begin, end), whole pieces, its memory, as if all of it had been written.  The contents do
 * not change.  This is a request: a system that does not support it (Linux before
 * 5.14) does nothing, and the first write does it.  A system that has no memory does what it does
 * when it is written. */
void qr_region_fill(const struct qr_region *region, size_t begin, size_t end);
void qr_region_destroy(struct qr_region *region);

#endif
