/* SPDX-License-Identifier: MIT */
/* page_pool -- hands out fixed-size KV pages by id and counts their readers.
 *
 *            take               share                 drop to one reader
 *     FREE --------> OWNED <------------> SHARED          |
 *      ^   refs 0    refs 1, writable     refs > 1        |
 *      |               | keep (the prefix tree reads it)  v
 *      |               +-------------------------------> CACHED (refs 1: the tree)
 *      +--------------------------------------------------+  unkeep: evicted
 *
 * A SHARED page is read-only: a writer copies it first (page_table.h).  A kept page that a sequence
 * reads too has two readers, so it is SHARED.  The pool knows no tokens, layers or bytes: kv_store
 * maps an id to memory.
 *
 * The free stack gives out the last returned page first.  A new pool gives 0, 1, 2 ..., so all
 * pages that were ever taken are below taken_n.  CACHED pages are a segmented LRU: unprotected
 * pages are evicted first, then protected ones (qr_page_pool_protect), each from the one that its
 * last sequence dropped longest ago.
 *
 * Thread: engine only.   Memory: the caller's, fixed at init.
 * Invariant: a page is on the free stack if and only if its refs are 0, and in a list of cached
 * pages if and only if it is kept and its refs are 1.  free + cached + held = all.  Only kept pages
 * are protected. */
#ifndef QR_CACHE_PAGE_POOL_H
#define QR_CACHE_PAGE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define QR_MUST_CHECK __attribute__((warn_unused_result))

typedef uint32_t qr_page_id;
#define QR_PAGE_NONE UINT32_MAX

struct qr_page_list {
    qr_page_id coldest, warmest;
};

struct qr_page_pool {
    uint32_t *refs;              /* [pages_n] */
    qr_page_id *free;            /* [pages_n], top at free_n - 1 */
    qr_page_id *colder, *warmer; /* [pages_n] a CACHED page's neighbours */
    bool *kept;                  /* [pages_n] the prefix tree reads it */
    bool *is_protected;          /* [pages_n] evicted after all unprotected pages */
    uint32_t pages_n;
    uint32_t free_n;
    uint32_t cached_n;
    uint32_t taken_n;              /* only pages [0, taken_n) were ever taken */
    uint32_t shared_n;             /* pages that more than one sequence reads */
    struct qr_page_list cached[2]; /* [0] unprotected, [1] protected */
};

/* pages_n is at least 1 and below QR_PAGE_NONE.  memory: aligned for a uint32_t. */
size_t qr_page_pool_bytes(uint32_t pages_n);
void qr_page_pool_init(struct qr_page_pool *pool, void *memory, uint32_t pages_n);

/* Takes n pages, each OWNED, or none at all.  False: nothing changed, out included.  O(n). */
QR_MUST_CHECK bool qr_page_pool_take(struct qr_page_pool *pool, qr_page_id *out, uint32_t n);
/* Adds or removes a reader of a page that is not FREE.  The last drop makes it FREE.  O(1). */
void qr_page_pool_share(struct qr_page_pool *pool, qr_page_id page);
void qr_page_pool_drop(struct qr_page_pool *pool, qr_page_id page);
uint32_t qr_page_pool_refs(const struct qr_page_pool *pool, qr_page_id page);

/* The prefix tree begins to read a page that is neither FREE nor kept; or stops reading a kept one,
 * which makes a CACHED page FREE.  O(1). */
void qr_page_pool_keep(struct qr_page_pool *pool, qr_page_id page);
void qr_page_pool_unkeep(struct qr_page_pool *pool, qr_page_id page);
bool qr_page_pool_kept(const struct qr_page_pool *pool, qr_page_id page);
/* Protects a kept page as long as it is kept.  A CACHED one becomes the warmest.  O(1). */
void qr_page_pool_protect(struct qr_page_pool *pool, qr_page_id page);
/* The CACHED page to evict next: the unprotected one that has been CACHED longest, else the
 * protected one.  QR_PAGE_NONE: none is CACHED.  O(1). */
qr_page_id qr_page_pool_coldest(const struct qr_page_pool *pool);
/* The same, protected pages first. */
qr_page_id qr_page_pool_coldest_protected(const struct qr_page_pool *pool);

/* Pages that sequences read. */
static inline uint32_t qr_page_pool_held_n(const struct qr_page_pool *pool)
{
    return pool->pages_n - pool->free_n - pool->cached_n;
}

/* Asserts the invariant.  O(pages_n): for tests and the simulator. */
void qr_page_pool_check(const struct qr_page_pool *pool);
void qr_page_pool_dump(const struct qr_page_pool *pool, FILE *out);

#endif
