/* SPDX-License-Identifier: MIT */
#include "cache/page_pool.h"

#include <assert.h>
#include <string.h>

#define REFS_MARKED UINT32_MAX /* more readers than possible: qr_page_pool_check marks pages */

/* Sequences that read a page. */
static uint32_t sequences_n(const struct qr_page_pool *pool, qr_page_id page)
{
    return pool->refs[page] - pool->kept[page];
}

/* The list of CACHED pages that the page belongs into. */
static struct qr_page_list *cached_list_of(struct qr_page_pool *pool, qr_page_id page)
{
    return &pool->cached[pool->is_protected[page]];
}

static uint32_t check_cached_list(const struct qr_page_pool *pool, bool is_protected)
{
    const struct qr_page_list *list = &pool->cached[is_protected];
    qr_page_id colder = QR_PAGE_NONE;
    uint32_t n = 0;

    for (qr_page_id page = list->coldest; page != QR_PAGE_NONE; page = pool->warmer[page]) {
        assert(page < pool->pages_n && n++ < pool->cached_n);
        assert(pool->kept[page] && pool->refs[page] == 1 &&
               pool->is_protected[page] == is_protected);
        assert(pool->colder[page] == colder);
        colder = page;
    }
    assert(list->warmest == colder);
    return n;
}

void qr_page_pool_check(const struct qr_page_pool *pool)
{
    uint32_t zero_n = 0, shared_n = 0, cached_n = 0;

    assert(pool->free_n <= pool->pages_n);
    for (uint32_t page = 0; page < pool->pages_n; page++) {
        assert(pool->refs[page] != REFS_MARKED);
        assert(pool->refs[page] >= pool->kept[page]);
        assert(pool->kept[page] || !pool->is_protected[page]);
        zero_n += pool->refs[page] == 0;
        shared_n += sequences_n(pool, page) > 1;
        cached_n += pool->kept[page] && pool->refs[page] == 1;
    }
    assert(zero_n == pool->free_n);
    for (uint32_t page = pool->taken_n; page < pool->pages_n; page++)
        assert(pool->refs[page] == 0 && pool->free[pool->pages_n - 1 - page] == page);
    assert(shared_n == pool->shared_n);
    assert(cached_n == pool->cached_n);
    assert(check_cached_list(pool, false) + check_cached_list(pool, true) == cached_n);

    /* Marking each page on the stack finds duplicates without extra memory. */
    for (uint32_t i = 0; i < pool->free_n; i++) {
        qr_page_id page = pool->free[i];
        assert(page < pool->pages_n && pool->refs[page] == 0);
        pool->refs[page] = REFS_MARKED;
    }
    for (uint32_t i = 0; i < pool->free_n; i++)
        pool->refs[pool->free[i]] = 0;
}

static void link_warmest(struct qr_page_pool *pool, qr_page_id page)
{
    struct qr_page_list *list = cached_list_of(pool, page);

    pool->colder[page] = list->warmest;
    pool->warmer[page] = QR_PAGE_NONE;
    if (list->warmest == QR_PAGE_NONE)
        list->coldest = page;
    else
        pool->warmer[list->warmest] = page;
    list->warmest = page;
    pool->cached_n++;
}

static void unlink_cached(struct qr_page_pool *pool, qr_page_id page)
{
    struct qr_page_list *list = cached_list_of(pool, page);
    qr_page_id colder = pool->colder[page], warmer = pool->warmer[page];

    if (colder == QR_PAGE_NONE)
        list->coldest = warmer;
    else
        pool->warmer[colder] = warmer;
    if (warmer == QR_PAGE_NONE)
        list->warmest = colder;
    else
        pool->colder[warmer] = colder;
    pool->cached_n--;
}

size_t qr_page_pool_bytes(uint32_t pages_n)
{
    assert(pages_n >= 1 && pages_n < QR_PAGE_NONE);
    return (size_t)pages_n * (sizeof(uint32_t) + 3 * sizeof(qr_page_id) + 2 * sizeof(bool));
}

void qr_page_pool_init(struct qr_page_pool *pool, void *memory, uint32_t pages_n)
{
    assert(memory && (uintptr_t)memory % sizeof(uint32_t) == 0);
    assert(pages_n >= 1 && pages_n < QR_PAGE_NONE);
    *pool = (struct qr_page_pool){
        .refs = memory,
        .free = (qr_page_id *)memory + pages_n,
        .colder = (qr_page_id *)memory + (size_t)2 * pages_n,
        .warmer = (qr_page_id *)memory + (size_t)3 * pages_n,
        .kept = (bool *)((qr_page_id *)memory + (size_t)4 * pages_n),
        .is_protected = (bool *)((qr_page_id *)memory + (size_t)4 * pages_n) + pages_n,
        .pages_n = pages_n,
        .free_n = pages_n,
        .cached = {{QR_PAGE_NONE, QR_PAGE_NONE}, {QR_PAGE_NONE, QR_PAGE_NONE}},
    };
    memset(pool->refs, 0, pages_n * sizeof pool->refs[0]);
    memset(pool->kept, 0, pages_n * sizeof pool->kept[0]);
    memset(pool->is_protected, 0, pages_n * sizeof pool->is_protected[0]);
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
        if (page == pool->taken_n) pool->taken_n++;
        out[i] = page;
    }
    return true;
}

void qr_page_pool_share(struct qr_page_pool *pool, qr_page_id page)
{
    assert(page < pool->pages_n);
    assert(pool->refs[page] >= 1 && pool->refs[page] < REFS_MARKED - 1);
    if (sequences_n(pool, page) == 0) unlink_cached(pool, page);
    pool->refs[page]++;
    pool->shared_n += sequences_n(pool, page) == 2;
}

void qr_page_pool_drop(struct qr_page_pool *pool, qr_page_id page)
{
    assert(page < pool->pages_n);
    assert(sequences_n(pool, page) >= 1);
    pool->refs[page]--;
    pool->shared_n -= sequences_n(pool, page) == 1;
    if (pool->refs[page] == 0)
        pool->free[pool->free_n++] = page;
    else if (sequences_n(pool, page) == 0)
        link_warmest(pool, page);
}

uint32_t qr_page_pool_refs(const struct qr_page_pool *pool, qr_page_id page)
{
    assert(page < pool->pages_n);
    return pool->refs[page];
}

void qr_page_pool_keep(struct qr_page_pool *pool, qr_page_id page)
{
    assert(page < pool->pages_n);
    assert(pool->refs[page] >= 1 && pool->refs[page] < REFS_MARKED - 1 && !pool->kept[page]);
    pool->refs[page]++;
    pool->kept[page] = true;
}

void qr_page_pool_unkeep(struct qr_page_pool *pool, qr_page_id page)
{
    assert(page < pool->pages_n);
    assert(pool->kept[page]);
    if (sequences_n(pool, page) == 0) unlink_cached(pool, page);
    pool->kept[page] = pool->is_protected[page] = false;
    pool->refs[page]--;
    if (pool->refs[page] == 0) pool->free[pool->free_n++] = page;
}

bool qr_page_pool_kept(const struct qr_page_pool *pool, qr_page_id page)
{
    assert(page < pool->pages_n);
    return pool->kept[page];
}

void qr_page_pool_protect(struct qr_page_pool *pool, qr_page_id page)
{
    bool cached = qr_page_pool_kept(pool, page) && sequences_n(pool, page) == 0;

    assert(pool->kept[page]);
    if (cached) unlink_cached(pool, page);
    pool->is_protected[page] = true;
    if (cached) link_warmest(pool, page);
}

/* The coldest page of one list, or of the other if the first is empty. */
static qr_page_id coldest_of(const struct qr_page_pool *pool, bool is_protected)
{
    qr_page_id page = pool->cached[is_protected].coldest;

    return page != QR_PAGE_NONE ? page : pool->cached[!is_protected].coldest;
}

qr_page_id qr_page_pool_coldest(const struct qr_page_pool *pool)
{
    return coldest_of(pool, false);
}

qr_page_id qr_page_pool_coldest_protected(const struct qr_page_pool *pool)
{
    return coldest_of(pool, true);
}

void qr_page_pool_dump(const struct qr_page_pool *pool, FILE *out)
{
    fprintf(out, "page_pool: %u pages, %u free, %u cached, %u held, %u shared\n", pool->pages_n,
            pool->free_n, pool->cached_n, qr_page_pool_held_n(pool), pool->shared_n);
    for (uint32_t page = 0; page < pool->pages_n; page++)
        if (sequences_n(pool, page) > 1)
            fprintf(out, "  page %u: %u readers\n", page, sequences_n(pool, page));
}
