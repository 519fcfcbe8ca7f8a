/* SPDX-License-Identifier: MIT */
#include "cache/page_pool.h"

#include <assert.h>
#include <string.h>

#define REFS_MARKED UINT32_MAX /* no page has so many readers; qr_page_pool_check uses it */

void qr_page_pool_check(const struct qr_page_pool *pool)
{
    uint32_t zero_n = 0, shared_n = 0;

    assert(pool->free_n <= pool->pages_n);
    for (uint32_t page = 0; page < pool->pages_n; page++) {
        assert(pool->refs[page] != REFS_MARKED);
        zero_n += pool->refs[page] == 0;
        shared_n += pool->refs[page] > 1;
    }
    assert(zero_n == pool->free_n);
    assert(shared_n == pool->shared_n);

    /* Marking each page on the stack finds one that stands there twice, without memory. */
    for (uint32_t i = 0; i < pool->free_n; i++) {
        qr_page_id page = pool->free[i];
        assert(page < pool->pages_n && pool->refs[page] == 0);
        pool->refs[page] = REFS_MARKED;
    }
    for (uint32_t i = 0; i < pool->free_n; i++)
        pool->refs[pool->free[i]] = 0;
}

size_t qr_page_pool_bytes(uint32_t pages_n)
{
    assert(pages_n >= 1 && pages_n < QR_PAGE_NONE);
    return (size_t)pages_n * (sizeof(uint32_t) + sizeof(qr_page_id));
}

void qr_page_pool_init(struct qr_page_pool *pool, void *memory, uint32_t pages_n)
{
    assert(memory != NULL && (uintptr_t)memory % sizeof(uint32_t) == 0);
    assert(pages_n >= 1 && pages_n < QR_PAGE_NONE);
    *pool = (struct qr_page_pool){
        .refs = memory,
        .free = (qr_page_id *)memory + pages_n,
        .pages_n = pages_n,
        .free_n = pages_n,
    };
    memset(pool->refs, 0, pages_n * sizeof pool->refs[0]);
    for (uint32_t i = 0; i < pages_n; i++)
        pool->free[i] = pages_n - 1 - i;
}

bool qr_page_pool_take(struct qr_page_pool *pool, qr_page_id *out, uint32_t n)
{
    if (n > pool->free_n) return false;
    for (uint32_t i = 0; i < n; i++) {
        qr_page_id page = pool->free[--pool->free_n];
        assert(pool->refs[page] == 0);
        pool->refs[page] = 1;
        out[i] = page;
    }
    return true;
}

void qr_page_pool_share(struct qr_page_pool *pool, qr_page_id page)
{
    assert(page < pool->pages_n);
    assert(pool->refs[page] >= 1 && pool->refs[page] < REFS_MARKED - 1);
    pool->refs[page]++;
    pool->shared_n += pool->refs[page] == 2;
}

void qr_page_pool_drop(struct qr_page_pool *pool, qr_page_id page)
{
    assert(page < pool->pages_n);
    assert(pool->refs[page] >= 1);
    pool->refs[page]--;
    pool->shared_n -= pool->refs[page] == 1;
    if (pool->refs[page] == 0) pool->free[pool->free_n++] = page;
}

uint32_t qr_page_pool_refs(const struct qr_page_pool *pool, qr_page_id page)
{
    assert(page < pool->pages_n);
    return pool->refs[page];
}

void qr_page_pool_dump(const struct qr_page_pool *pool, FILE *out)
{
    fprintf(out, "page_pool: %u pages, %u free, %u held, %u shared\n", pool->pages_n, pool->free_n,
            pool->pages_n - pool->free_n, pool->shared_n);
    for (uint32_t page = 0; page < pool->pages_n; page++)
        if (pool->refs[page] > 1) fprintf(out, "  page %u: %u readers\n", page, pool->refs[page]);
}
