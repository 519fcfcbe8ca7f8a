/* SPDX-License-Identifier: MIT */
/* page_table -- one sequence's pages, in order of its tokens.
 *
 * Tokens [0, length) have their keys and values in the pages; tokens [length, reserved) may be
 * written now.  reserve moves the second mark, advance the first.
 *
 * Of a model with a sliding window the first pages may be given back before the others: the table
 * has holes there, QR_PAGE_NONE, and goes on counting by tokens.
 *
 * page_tokens is the store's page size, a power of two, the same at every call.
 *
 * Thread: engine only.   Memory: pages is the caller's array, capacity fixed at init.
 * Invariant: length <= reserved; pages_n == ceil(reserved / page_tokens); pages [0, first) are
 * holes, which no token at or past length stands in; every other has at least one reader that is
 * this table; the pages that hold tokens [length, reserved) are OWNED. */
#ifndef QR_CACHE_PAGE_TABLE_H
#define QR_CACHE_PAGE_TABLE_H

#include "cache/kv_store.h"
#include "cache/page_pool.h"

struct qr_page_table {
    qr_page_id *pages; /* [pages_max] */
    uint32_t pages_n;  /* holes included */
    uint32_t pages_max;
    uint32_t first;    /* pages before this one are holes */
    uint32_t length;   /* tokens whose keys and values are in the pages */
    uint32_t reserved; /* tokens that the pages are writable for, at least length */
};

/* Pages that hold so many tokens. */
static inline uint32_t qr_pages_for(uint32_t tokens_n, uint32_t page_tokens)
{
    uint32_t shift = (uint32_t)__builtin_ctz(page_tokens); /* a division would cost ten times it */
    return (tokens_n >> shift) + ((tokens_n & (page_tokens - 1)) != 0);
}

/* The first page that the token at `position` sees a part of.  window: tokens that it sees, itself
 * among them; 0: all before it. */
static inline uint32_t qr_window_first(uint32_t window, uint32_t page_tokens, uint32_t position)
{
    if (window == 0 || position < window) return 0;
    return (position - window + 1) >> (uint32_t)__builtin_ctz(page_tokens);
}

/* Pages that the table reads. */
static inline uint32_t qr_page_table_held_n(const struct qr_page_table *table)
{
    return table->pages_n - table->first;
}

void qr_page_table_init(struct qr_page_table *table, qr_page_id *pages, uint32_t pages_max);

/* Pages that qr_page_table_reserve would have to take for tokens [length, length + n). A SHARED
 * last page counts, since it must be copied. */
uint32_t qr_page_table_wants(const struct qr_page_table *table, const struct qr_page_pool *pool,
                             uint32_t page_tokens, uint32_t n);

/* Makes tokens [length, length + n) writable, within pages_max: takes pages, and copies a SHARED
 * page that the first of them falls into.  *copied is set to the pages copied (0 or 1).  False: not
 * enough pages; nothing changed, *copied neither. */
QR_MUST_CHECK bool qr_page_table_reserve(struct qr_page_table *table, struct qr_page_pool *pool,
                                         struct qr_kv_store *store, uint32_t n, uint32_t *copied);
/* The next n of the reserved tokens have been written. */
void qr_page_table_advance(struct qr_page_table *table, uint32_t page_tokens, uint32_t n);

/* A child that reads the same tokens in the same pages, holes and all, and shares the last one
 * until either of the two reserves more.  child is initialised and empty, with pages_max enough;
 * the parent has nothing reserved past its length. */
void qr_page_table_fork(struct qr_page_table *child, const struct qr_page_table *parent,
                        struct qr_page_pool *pool);

/* An empty table reads tokens [0, length) in pages that others have; pages may be table->pages
 * itself, and begins with QR_PAGE_NONE where the table is to have holes.  All others are shared,
 * the last one until the table reserves more. */
void qr_page_table_adopt(struct qr_page_table *table, struct qr_page_pool *pool,
                         const qr_page_id *pages, uint32_t page_tokens, uint32_t length);

/* Gives back the pages of which every token is before `token`, at most length, the last of them
 * first, and leaves holes.  Returns how many. */
uint32_t qr_page_table_drop_before(struct qr_page_table *table, struct qr_page_pool *pool,
                                   uint32_t page_tokens, uint32_t token);

/* Gives every page back: the table is as after init. */
void qr_page_table_clear(struct qr_page_table *table, struct qr_page_pool *pool);

/* Asserts the invariant.  O(pages_n). */
void qr_page_table_check(const struct qr_page_table *table, const struct qr_page_pool *pool,
                         uint32_t page_tokens);

#endif
