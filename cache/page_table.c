/* SPDX-License-Identifier: MIT */
#include "cache/page_table.h"

#include <assert.h>

static bool power_of_two(uint32_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

void qr_page_table_check(const struct qr_page_table *table, const struct qr_page_pool *pool,
                         uint32_t page_tokens)
{
    assert(power_of_two(page_tokens));
    assert(table->pages_n <= table->pages_max);
    assert(table->length <= table->reserved);
    assert(table->pages_n == qr_pages_for(table->reserved, page_tokens));
    assert(table->first <= table->length / page_tokens);
    for (uint32_t i = 0; i < table->first; i++)
        assert(table->pages[i] == QR_PAGE_NONE);
    for (uint32_t i = table->first; i < table->pages_n; i++) {
        uint64_t page_end = ((uint64_t)i + 1) * page_tokens;
        uint32_t refs = qr_page_pool_refs(pool, table->pages[i]);
        assert(refs >= 1);
        if (table->length < table->reserved && page_end > table->length) assert(refs == 1);
    }
}

/* Token `length` goes into a page that has other readers too. */
static bool must_copy(const struct qr_page_table *table, const struct qr_page_pool *pool,
                      uint32_t page_tokens, uint32_t n)
{
    uint32_t shift = (uint32_t)__builtin_ctz(page_tokens);

    if (n == 0 || (table->length & (page_tokens - 1)) == 0) return false;
    return qr_page_pool_refs(pool, table->pages[table->length >> shift]) > 1;
}

/* Pages that tokens [length, length + n) need and the table does not have. */
static uint32_t pages_more(const struct qr_page_table *table, uint32_t page_tokens, uint32_t n)
{
    uint32_t pages_n;

    assert(power_of_two(page_tokens));
    assert(n <= UINT32_MAX - table->length);
    pages_n = qr_pages_for(table->length + n, page_tokens);
    assert(pages_n <= table->pages_max);
    return pages_n > table->pages_n ? pages_n - table->pages_n : 0;
}

/* Pages [first, pages_n) get the table as one more reader. */
static void read_pages(struct qr_page_table *table, struct qr_page_pool *pool,
                       const qr_page_id *pages, uint32_t pages_n, uint32_t first, uint32_t length)
{
    assert(table->pages_n == 0 && table->reserved == 0);
    assert(pages_n <= table->pages_max);
    for (uint32_t i = 0; i < pages_n; i++) {
        if (i >= first) qr_page_pool_share(pool, pages[i]);
        table->pages[i] = pages[i];
    }
    table->first = first;
    table->pages_n = pages_n;
    table->length = table->reserved = length;
}

void qr_page_table_init(struct qr_page_table *table, qr_page_id *pages, uint32_t pages_max)
{
    *table = (struct qr_page_table){.pages = pages, .pages_max = pages_max};
}

uint32_t qr_page_table_wants(const struct qr_page_table *table, const struct qr_page_pool *pool,
                             uint32_t page_tokens, uint32_t n)
{
    return pages_more(table, page_tokens, n) + must_copy(table, pool, page_tokens, n);
}

bool qr_page_table_reserve(struct qr_page_table *table, struct qr_page_pool *pool,
                           struct qr_kv_store *store, uint32_t n, uint32_t *copied)
{
    uint32_t page_tokens = store->shape.page_tokens;
    uint32_t more_n = pages_more(table, page_tokens, n);
    bool copy = must_copy(table, pool, page_tokens, n);
    qr_page_id page;

    if (more_n + copy > pool->free_n) return false;
    if (copy) {
        qr_page_id *last = &table->pages[table->length / page_tokens];
        bool taken = qr_page_pool_take(pool, &page, 1);
        assert(taken);
        qr_kv_store_copy(store, page, *last);
        qr_page_pool_drop(pool, *last);
        *last = page;
    }
    if (more_n > 0) {
        bool taken = qr_page_pool_take(pool, table->pages + table->pages_n, more_n);
        assert(taken);
        table->pages_n += more_n;
    }
    if (table->length + n > table->reserved) table->reserved = table->length + n;
    *copied = copy;
    return true;
}

void qr_page_table_advance(struct qr_page_table *table, uint32_t page_tokens, uint32_t n)
{
    assert(n <= table->reserved - table->length);
    table->length += n;
    assert(table->length <= (uint64_t)table->pages_n * page_tokens);
}

void qr_page_table_fork(struct qr_page_table *child, const struct qr_page_table *parent,
                        struct qr_page_pool *pool)
{
    assert(parent->reserved == parent->length);
    read_pages(child, pool, parent->pages, parent->pages_n, parent->first, parent->length);
}

void qr_page_table_adopt(struct qr_page_table *table, struct qr_page_pool *pool,
                         const qr_page_id *pages, uint32_t page_tokens, uint32_t length)
{
    uint32_t pages_n = qr_pages_for(length, page_tokens), first = 0;

    while (first < pages_n && pages[first] == QR_PAGE_NONE)
        first++;
    read_pages(table, pool, pages, pages_n, first, length);
}

uint32_t qr_page_table_drop_before(struct qr_page_table *table, struct qr_page_pool *pool,
                                   uint32_t page_tokens, uint32_t token)
{
    uint32_t first = token >> (uint32_t)__builtin_ctz(page_tokens), was = table->first;

    assert(token <= table->length);
    if (first <= was) return 0;
    for (uint32_t i = first; i > was; i--) {
        qr_page_pool_drop(pool, table->pages[i - 1]);
        table->pages[i - 1] = QR_PAGE_NONE;
    }
    table->first = first;
    return first - was;
}

void qr_page_table_clear(struct qr_page_table *table, struct qr_page_pool *pool)
{
    /* From last to first: the pool gives out the last returned page first, so the next sequence
     * gets these pages in the same order. */
    while (table->pages_n > table->first)
        qr_page_pool_drop(pool, table->pages[--table->pages_n]);
    table->pages_n = table->first = table->length = table->reserved = 0;
}
