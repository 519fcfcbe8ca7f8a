/* SPDX-License-Identifier: MIT */
/* memory -- small memory from the caller's allocator, large memory from the system.
 *
 * Thread: any, if the caller's allocator allows it. */
#ifndef QR_BASE_MEMORY_H
#define QR_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/machine.h"
#include "runtime/quire.h"

/* A copy of `from`.  If its resize is NULL the copy uses malloc. */
struct quire_allocator qr_allocator(struct quire_allocator from);

void *qr_alloc(const struct quire_allocator *a, size_t bytes);                /* NULL: no memory */
void *qr_alloc_zero(const struct quire_allocator *a, size_t n, size_t bytes); /* n * bytes */
void *qr_realloc(const struct quire_allocator *a, void *memory, size_t bytes);
void qr_free(const struct quire_allocator *a, void *memory); /* NULL allowed */

/* 64-byte aligned, from the same allocator.  Only qr_free_aligned frees it. */
void *qr_alloc_aligned(const struct quire_allocator *a, size_t bytes);
void qr_free_aligned(const struct quire_allocator *a, void *memory);

/* Products and sums that must not wrap.  False: the result would wrap. */
bool qr_mul(size_t a, size_t b, size_t *product);
bool qr_add_size(size_t a, size_t b, size_t *sum);

/* Data of one thread has cache lines of its own, so that its writes do not slow down others. */
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
/* A huge page of x86 and most ARMs.  A region is a whole number of these pieces, and the system
 * backs each with memory at once, if it can. */
#define QR_REGION_PIECE ((size_t)2 << 20)
/* Prefaults [begin, end), which are whole pieces: the system backs them with memory as if they had
 * been written.  The contents do not change.  Linux before 5.14 cannot do this; then the first
 * write does it.  If the system has no memory left, it acts as it does on a write. */
void qr_region_fill(const struct qr_region *region, size_t begin, size_t end);
void qr_region_destroy(struct qr_region *region);

#endif
