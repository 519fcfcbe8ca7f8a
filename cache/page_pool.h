/* SPDX-License-Identifier: MIT */
/* page_pool -- hands out fixed-size KV pages by id and counts their readers.
 *
 * A page is FREE (refs 0), OWNED (refs 1, writable), SHARED (refs > 1, read-only; a writer copies
 * first, see page_table.h) or CACHED (kept by the prefix tree, which is its one reader; read-only).
 * A kept page that a sequence reads too has two readers, so it is SHARED.  The pool knows no
 * tokens, layers or bytes: kv_store maps an id to memory.  Pages come back in the order last given,
 * first taken; a new pool gives 0, 1, 2 ..., so the pages that were ever taken are the first
 * taken_n.  CACHED pages stand in the order in which their last sequence let them go, those that
 * somebody sought (qr_page_pool_seek) behind all others.
 *
 * Thread: engine only.   Memory: the caller's, fixed at init.
 * Invariant: a page is on the free stack if and only if its refs are 0, and in a list of cached
 * ones if and only if it is kept and its refs are 1: free + cached + held = all; only kept pages
 * are sought. */
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
    bool *sought;                /* [pages_n] it goes after those that are not */
    uint32_t pages_n;
    uint32_t free_n;
    uint32_t cached_n;
    uint32_t taken_n;              /* pages [0, taken_n) were taken at least once, no other ever */
    uint32_t shared_n;             /* pages that more than one sequence reads */
    struct qr_page_list cached[2]; /* [1]: those that are sought */
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

/* The prefix tree begins to read a page that is neither FREE nor kept, or reads a kept one no more:
 * a CACHED page becomes FREE by it.  O(1). */
void qr_page_pool_keep(struct qr_page_pool *pool, qr_page_id page);
void qr_page_pool_unkeep(struct qr_page_pool *pool, qr_page_id page);
bool qr_page_pool_kept(const struct qr_page_pool *pool, qr_page_id page);
/* A kept page is sought from now on, as long as it is kept; a CACHED one is the warmest by it. */
void qr_page_pool_seek(struct qr_page_pool *pool, qr_page_id page);
/* The CACHED page that is to go next: of those that nobody sought, and then of the others, the one
 * that has been CACHED the longest.  QR_PAGE_NONE: there is none.  O(1). */
qr_page_id qr_page_pool_coldest(const struct qr_page_pool *pool);
/* The same, the sought ones first. */
qr_page_id qr_page_pool_coldest_sought(const struct qr_page_pool *pool);

/* Pages that some sequence reads. */
static inline uint32_t qr_page_pool_held_n(const struct qr_page_pool *pool)
{
    return pool->pages_n - pool->free_n - pool->cached_n;
}

/* Asserts the invariant.  O(pages_n): for tests and the simulator. */
void qr_page_pool_check(const struct qr_page_pool *pool);
void qr_page_pool_dump(const struct qr_page_pool *pool, FILE *out);

#endif
