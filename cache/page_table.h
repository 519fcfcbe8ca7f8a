/* SPDX-License-Identifier: MIT */
/* page_table -- one sequence's pages, in order of its tokens.
 *
 *     page_tokens 4; the numbers are page ids
 *
 *     tokens        0..3  4..7  8..11
 *     parent          5     2     7     length 10
 *     child           5     2     7     qr_page_table_fork: all three pages are SHARED
 *     child           5     2     9     qr_page_table_reserve(1): copy on write.  Token 10 would go
 *                                       into the SHARED page 7, so the child takes page 9, copies
 *                                       7 into it and drops 7.  Pages 7 and 9 are OWNED.
 *     child           -     2     9     qr_page_table_drop_before(4): page 5 left the window.  The
 *                                       table has a hole there; the parent still reads page 5.
 *
 * The keys and values of tokens [0, length) are in the pages.  Tokens [length, reserved) may be
 * written.  reserve raises `reserved`, advance raises `length`.
 *
 * With a sliding window the first pages may be dropped before the others.  They leave holes
 * (QR_PAGE_NONE), so that a token's page is still found by its position.
 *
 * page_tokens is the store's page size, a power of two, the same at every call.
 *
 * Thread: engine only.   Memory: pages is the caller's array, its capacity fixed at init.
 * Invariant: length <= reserved.  pages_n == ceil(reserved / page_tokens).  Pages [0, first) are
 * holes and lie wholly before token `length`.  The table is a reader of every other page.  Pages
 * that hold tokens [length, reserved) are OWNED. */
#ifndef QR_CACHE_PAGE_TABLE_H
#define QR_CACHE_PAGE_TABLE_H

#include "cache/kv_store.h"
#include "cache/page_pool.h"

struct qr_page_table {
    qr_page_id *pages; /* [pages_max] */
    uint32_t pages_n;  /* holes included */
    uint32_t pages_max;
    uint32_t first;    /* pages before this one are holes */
    uint32_t length;   /* tokens written */
    uint32_t reserved; /* tokens written or writable, at least length */
};

/* Pages that hold so many tokens. */
static inline uint32_t qr_pages_for(uint32_t tokens_n, uint32_t page_tokens)
{
    uint32_t shift = (uint32_t)__builtin_ctz(page_tokens); /* a division is slower */
    return (tokens_n >> shift) + ((tokens_n & (page_tokens - 1)) != 0);
}

/* The first page of which the token at `position` sees a token.  window: tokens that it sees,
 * itself included; 0: all up to itself. */
static inline uint32_t qr_window_first(uint32_t window, uint32_t page_tokens, uint32_t position)
{
    if (window == 0 || position < window) return 0;
    return (position - window + 1) >> (uint32_t)__builtin_ctz(page_tokens);
}

/* Pages that the table reads: all but the holes. */
static inline uint32_t qr_page_table_held_n(const struct qr_page_table *table)
{
    return table->pages_n - table->first;
}

void qr_page_table_init(struct qr_page_table *table, qr_page_id *pages, uint32_t pages_max);

/* Pages that qr_page_table_reserve would take for tokens [length, length + n), the copy of a SHARED
 * last page included. */
uint32_t qr_page_table_wants(const struct qr_page_table *table, const struct qr_page_pool *pool,
                             uint32_t page_tokens, uint32_t n);

/* Makes tokens [length, length + n) writable: takes pages, and copies the page of token `length` if
 * it is SHARED.  They must fit pages_max.  *copied gets the number of copied pages (0 or 1). False:
 * too few free pages; nothing changed, *copied included. */
QR_MUST_CHECK bool qr_page_table_reserve(struct qr_page_table *table, struct qr_page_pool *pool,
                                         struct qr_kv_store *store, uint32_t n, uint32_t *copied);
/* The next n reserved tokens have been written. */
void qr_page_table_advance(struct qr_page_table *table, uint32_t page_tokens, uint32_t n);

/* The child reads the parent's tokens in the same pages, with the same holes.  A last page that is
 * partly filled stays SHARED until either of the two reserves more.  child is empty and has room
 * for the parent's pages.  The parent has reserved nothing past its length. */
void qr_page_table_fork(struct qr_page_table *child, const struct qr_page_table *parent,
                        struct qr_page_pool *pool);

/* An empty table reads tokens [0, length) in existing pages and becomes a reader of each.  Leading
 * QR_PAGE_NONE entries become holes.  pages may be table->pages itself. */
void qr_page_table_adopt(struct qr_page_table *table, struct qr_page_pool *pool,
                         const qr_page_id *pages, uint32_t page_tokens, uint32_t length);

/* Drops the pages that lie wholly before `token`, from the last to the first, and leaves holes.
 * token is at most length.  Returns the number of dropped pages. */
uint32_t qr_page_table_drop_before(struct qr_page_table *table, struct qr_page_pool *pool,
                                   uint32_t page_tokens, uint32_t token);

/* Drops every page.  The table is as after init. */
void qr_page_table_clear(struct qr_page_table *table, struct qr_page_pool *pool);

/* Asserts the invariant.  O(pages_n). */
void qr_page_table_check(const struct qr_page_table *table, const struct qr_page_pool *pool,
                         uint32_t page_tokens);

#endif
