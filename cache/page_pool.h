/* SPDX-License-Identifier: MIT */
/* page_pool -- hands out fixed-size KV pages by id and counts their readers.
 *
 * A page is FREE (refs 0), OWNED (refs 1, writable) or SHARED (refs > 1, read-only; a writer
 * copies first, see page_table.h).  The pool knows no tokens, layers or bytes: kv_store maps an id
 * to memory.  Pages come back in the order last given, first taken; a new pool gives 0, 1, 2 ...
 *
 * Thread: engine only.   Memory: the caller's, fixed at init.
 * Invariant: a page is on the free stack if and only if its refs are 0. */
#ifndef QR_CACHE_PAGE_POOL_H
#define QR_CACHE_PAGE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define QR_MUST_CHECK __attribute__((warn_unused_result))

typedef uint32_t qr_page_id;
#define QR_PAGE_NONE UINT32_MAX

struct qr_page_pool {
    uint32_t *refs;   /* [pages_n] */
    qr_page_id *free; /* [pages_n], top at free_n - 1 */
    uint32_t pages_n;
    uint32_t free_n;
    uint32_t shared_n; /* pages with refs > 1 */
};

/* pages_n is at least 1 and below QR_PAGE_NONE.  memory: aligned for a uint32_t. */
size_t qr_page_pool_bytes(uint32_t pages_n);
void qr_page_pool_init(struct qr_page_pool *pool, void *memory, uint32_t pages_n);

/* Takes n pages, each OWNED, or none at all.  False: nothing changed, out neither.  O(n). */
QR_MUST_CHECK bool qr_page_pool_take(struct qr_page_pool *pool, qr_page_id *out, uint32_t n);
/* One reader more, one reader less; the page is not FREE.  The last drop makes it so.  O(1). */
void qr_page_pool_share(struct qr_page_pool *pool, qr_page_id page);
void qr_page_pool_drop(struct qr_page_pool *pool, qr_page_id page);
uint32_t qr_page_pool_refs(const struct qr_page_pool *pool, qr_page_id page);

/* Asserts the invariant.  O(pages_n): for tests and the simulator. */
void qr_page_pool_check(const struct qr_page_pool *pool);
void qr_page_pool_dump(const struct qr_page_pool *pool, FILE *out);

#endif
