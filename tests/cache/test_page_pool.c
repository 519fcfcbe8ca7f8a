/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cache/page_pool.h"

#define PAGES_N 4u

static int setup(void **state)
{
    struct qr_page_pool *pool = malloc(sizeof *pool);
    void *memory = malloc(qr_page_pool_bytes(PAGES_N));

    if (!pool || !memory) return -1;
    qr_page_pool_init(pool, memory, PAGES_N);
    *state = pool;
    return 0;
}

static int teardown(void **state)
{
    struct qr_page_pool *pool = *state;

    free(pool->refs); /* the start of the memory */
    free(pool);
    return 0;
}

/* Goal: in a new pool every page is free.
 * Method: look at each page's refs. */
static void new_pool_is_all_free(void **state)
{
    struct qr_page_pool *pool = *state;

    assert_int_equal(pool->free_n, PAGES_N);
    assert_int_equal(pool->shared_n, 0);
    for (qr_page_id page = 0; page < PAGES_N; page++)
        assert_int_equal(qr_page_pool_refs(pool, page), 0);
    qr_page_pool_check(pool);
}

/* Goal: a short pool changes nothing.
 * Method: ask 5 of a 4-page pool, then take exactly 4. */
static void take_is_all_or_none(void **state)
{
    struct qr_page_pool *pool = *state;
    qr_page_id pages[5] = {77, 77, 77, 77, 77};

    assert_false(qr_page_pool_take(pool, pages, 5));
    assert_int_equal(pool->free_n, 4);
    for (int i = 0; i < 5; i++)
        assert_int_equal(pages[i], 77);
    assert_true(qr_page_pool_take(pool, pages, 4));
    assert_int_equal(pool->free_n, 0);
    qr_page_pool_check(pool);
    assert_false(qr_page_pool_take(pool, pages, 1));
    assert_true(qr_page_pool_take(pool, pages, 0));
}

/* Goal: no page is given out twice, and each has one reader.
 * Method: take all pages one by one and mark them. */
static void taken_pages_are_distinct_and_owned(void **state)
{
    struct qr_page_pool *pool = *state;
    bool seen[PAGES_N] = {false};

    for (uint32_t i = 0; i < PAGES_N; i++) {
        qr_page_id page;
        assert_true(qr_page_pool_take(pool, &page, 1));
        assert_true(page < PAGES_N);
        assert_false(seen[page]);
        seen[page] = true;
        assert_int_equal(qr_page_pool_refs(pool, page), 1);
        qr_page_pool_check(pool);
    }
}

/* Goal: only the last drop frees a page.
 * Method: add two readers, drop three times, and check the counts after each. */
static void last_drop_frees(void **state)
{
    struct qr_page_pool *pool = *state;
    const uint32_t shared_n[] = {1, 0, 0};
    qr_page_id page;

    assert_true(qr_page_pool_take(pool, &page, 1));
    qr_page_pool_share(pool, page);
    qr_page_pool_share(pool, page);
    assert_int_equal(qr_page_pool_refs(pool, page), 3);
    assert_int_equal(pool->shared_n, 1);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(pool->free_n, PAGES_N - 1);
        qr_page_pool_drop(pool, page);
        qr_page_pool_check(pool);
        assert_int_equal(pool->shared_n, shared_n[i]);
    }
    assert_int_equal(qr_page_pool_refs(pool, page), 0);
    assert_int_equal(pool->free_n, PAGES_N);
}

/* Goal: the order in which pages are given out depends on the calls alone.
 * Method: a new pool gives 0, 1, 2; after drops the last dropped page comes first. */
static void order_is_fixed(void **state)
{
    struct qr_page_pool *pool = *state;
    qr_page_id pages[3], next[2];

    assert_true(qr_page_pool_take(pool, pages, 3));
    for (uint32_t i = 0; i < 3; i++)
        assert_int_equal(pages[i], i);
    qr_page_pool_drop(pool, 0);
    qr_page_pool_drop(pool, 2);
    assert_true(qr_page_pool_take(pool, next, 2));
    assert_int_equal(next[0], 2);
    assert_int_equal(next[1], 0);
}

/* Goal: the invariant holds and no page is lost in any order of calls.
 * Method: 20,000 random takes, shares and drops, compared with counts kept by the test. */
static void random_calls_keep_the_invariant(void **state)
{
    struct qr_page_pool *pool = *state;
    uint32_t refs[PAGES_N] = {0};
    uint64_t random = 1;

    for (int i = 0; i < 20000; i++) {
        uint32_t free_n = 0, shared_n = 0, roll;
        qr_page_id page;

        random = random * 6364136223846793005u + 1442695040888963407u;
        roll = (uint32_t)(random >> 33);
        page = roll / 4 % PAGES_N;
        if (roll % 4 == 0) {
            qr_page_id taken;
            if (qr_page_pool_take(pool, &taken, 1)) {
                assert_int_equal(refs[taken], 0);
                refs[taken] = 1;
            }
        } else if (roll % 4 == 1 && refs[page] > 0) {
            qr_page_pool_share(pool, page);
            refs[page]++;
        } else if (refs[page] > 0) {
            qr_page_pool_drop(pool, page);
            refs[page]--;
        }
        for (page = 0; page < PAGES_N; page++) {
            assert_int_equal(qr_page_pool_refs(pool, page), refs[page]);
            free_n += refs[page] == 0;
            shared_n += refs[page] > 1;
        }
        assert_int_equal(pool->free_n, free_n);
        assert_int_equal(pool->shared_n, shared_n);
        qr_page_pool_check(pool);
    }
}

/* Goal: the dump says how many pages are free, held and shared.
 * Method: one page with two readers and one with one. */
static void dump_names_shared_pages(void **state)
{
    struct qr_page_pool *pool = *state;
    qr_page_id pages[2];
    char text[256] = "";
    FILE *out = fmemopen(text, sizeof text, "w");

    assert_non_null(out);
    assert_true(qr_page_pool_take(pool, pages, 2));
    qr_page_pool_share(pool, pages[1]);
    qr_page_pool_dump(pool, out);
    fclose(out);
    assert_non_null(strstr(text, "4 pages, 2 free, 0 cached, 2 held, 1 shared"));
    assert_non_null(strstr(text, "page 1: 2 readers"));
}

/* Goal: a kept page is cached while no sequence reads it, held while one does, and free only when
 * it is neither read nor kept; free + cached + held = all.
 * Method: move a page through all these states and back; check the counts after each call. */
static void kept_page_is_cached_or_held(void **state)
{
    struct qr_page_pool *pool = *state;
    qr_page_id page;

    assert_true(qr_page_pool_take(pool, &page, 1));
    qr_page_pool_keep(pool, page);
    qr_page_pool_check(pool);
    assert_int_equal(qr_page_pool_refs(pool, page), 2);
    assert_int_equal(qr_page_pool_held_n(pool), 1);
    assert_int_equal(pool->shared_n, 0);
    assert_int_equal(qr_page_pool_coldest(pool), QR_PAGE_NONE);

    qr_page_pool_drop(pool, page);
    qr_page_pool_check(pool);
    assert_int_equal(pool->cached_n, 1);
    assert_int_equal(pool->free_n, PAGES_N - 1);
    assert_int_equal(qr_page_pool_held_n(pool), 0);
    assert_int_equal(qr_page_pool_coldest(pool), page);

    qr_page_pool_share(pool, page);
    qr_page_pool_share(pool, page);
    qr_page_pool_check(pool);
    assert_int_equal(pool->cached_n, 0);
    assert_int_equal(pool->shared_n, 1);
    qr_page_pool_unkeep(pool, page);
    qr_page_pool_check(pool);
    assert_false(qr_page_pool_kept(pool, page));
    assert_int_equal(qr_page_pool_refs(pool, page), 2);
    qr_page_pool_drop(pool, page);
    qr_page_pool_keep(pool, page);
    qr_page_pool_drop(pool, page);
    assert_int_equal(pool->cached_n, 1);
    qr_page_pool_unkeep(pool, page);
    qr_page_pool_check(pool);
    assert_int_equal(pool->free_n, PAGES_N);
}

/* Goal: cached pages are in the order in which their last readers dropped them.
 * Method: drop four pages; read the first one again; unkeep one in the middle. */
static void coldest_was_dropped_first(void **state)
{
    struct qr_page_pool *pool = *state;
    qr_page_id pages[4];

    assert_true(qr_page_pool_take(pool, pages, 4));
    for (int i = 0; i < 4; i++)
        qr_page_pool_keep(pool, pages[i]);
    qr_page_pool_drop(pool, pages[2]);
    qr_page_pool_drop(pool, pages[0]);
    qr_page_pool_drop(pool, pages[3]);
    qr_page_pool_drop(pool, pages[1]);
    qr_page_pool_share(pool, pages[2]);
    qr_page_pool_drop(pool, pages[2]);
    qr_page_pool_unkeep(pool, pages[3]);
    qr_page_pool_check(pool);
    const int order[] = {0, 1, 2};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(qr_page_pool_coldest(pool), pages[order[i]]);
        qr_page_pool_unkeep(pool, pages[order[i]]);
        qr_page_pool_check(pool);
    }
    assert_int_equal(qr_page_pool_coldest(pool), QR_PAGE_NONE);
    assert_int_equal(pool->free_n, PAGES_N);
}

/* Goal: the pages that were ever taken are the first taken_n, in any order of drops.
 * Method: take and drop alternately; qr_page_pool_check asserts that later pages are untouched. */
static void pages_taken_are_the_first(void **state)
{
    struct qr_page_pool *pool = *state;
    qr_page_id pages[PAGES_N];

    assert_int_equal(pool->taken_n, 0);
    assert_true(qr_page_pool_take(pool, pages, 2));
    assert_int_equal(pool->taken_n, 2);
    qr_page_pool_check(pool);
    qr_page_pool_drop(pool, pages[0]);
    qr_page_pool_drop(pool, pages[1]);
    qr_page_pool_check(pool);
    assert_true(qr_page_pool_take(pool, pages, 1)); /* a page that was taken before */
    assert_int_equal(pool->taken_n, 2);
    assert_true(qr_page_pool_take(pool, pages + 1, 2));
    assert_int_equal(pool->taken_n, 3);
    qr_page_pool_check(pool);
    assert_true(qr_page_pool_take(pool, pages + 3, 1));
    assert_int_equal(pool->taken_n, PAGES_N);
    qr_page_pool_check(pool);
}

int main(void)
{
#define POOL_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        POOL_TEST(new_pool_is_all_free),
        POOL_TEST(take_is_all_or_none),
        POOL_TEST(taken_pages_are_distinct_and_owned),
        POOL_TEST(last_drop_frees),
        POOL_TEST(order_is_fixed),
        POOL_TEST(random_calls_keep_the_invariant),
        POOL_TEST(dump_names_shared_pages),
        POOL_TEST(kept_page_is_cached_or_held),
        POOL_TEST(coldest_was_dropped_first),
        POOL_TEST(pages_taken_are_the_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
