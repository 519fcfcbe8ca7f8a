/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cache/page_table.h"

#define PAGES_N     8u
#define PAGE_TOKENS 16u

struct table_fixture {
    struct qr_page_pool pool;
    struct qr_kv_store store;
    struct qr_page_table a, b;
    qr_page_id a_pages[PAGES_N], b_pages[PAGES_N];
};

static int setup(void **state)
{
    const struct qr_kv_shape shape = {QR_KV_F16, 2, 1, 8, PAGE_TOKENS};
    struct table_fixture *f = calloc(1, sizeof *f);
    size_t page_bytes;

    if (!f || !qr_kv_shape_page_bytes(&shape, &page_bytes)) return -1;
    qr_page_pool_init(&f->pool, malloc(qr_page_pool_bytes(PAGES_N)), PAGES_N);
    qr_kv_store_init(&f->store, &shape, aligned_alloc(64, PAGES_N * page_bytes), PAGES_N);
    memset(f->store.base, 0, PAGES_N * page_bytes);
    qr_page_table_init(&f->a, f->a_pages, PAGES_N);
    qr_page_table_init(&f->b, f->b_pages, PAGES_N);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct table_fixture *f = *state;

    free(f->pool.refs);
    free(f->store.base);
    free(f);
    return 0;
}

static void check(struct table_fixture *f)
{
    qr_page_pool_check(&f->pool);
    qr_page_table_check(&f->a, &f->pool, PAGE_TOKENS);
    qr_page_table_check(&f->b, &f->pool, PAGE_TOKENS);
}

/* Reserves and advances n tokens.  Returns the number of copied pages. */
static uint32_t grow(struct table_fixture *f, struct qr_page_table *table, uint32_t n)
{
    uint32_t copied = 77;

    assert_true(qr_page_table_reserve(table, &f->pool, &f->store, n, &copied));
    check(f);
    qr_page_table_advance(table, PAGE_TOKENS, n);
    check(f);
    return copied;
}

static uint8_t *page_memory(const struct table_fixture *f, qr_page_id page)
{
    return f->store.base + page * f->store.page_bytes;
}

/* Goal: a table has ceil(tokens / page_tokens) pages, and wants predicts what reserve takes.
 * Method: grow from 0 to lengths on both sides of every page's edge. */
static void pages_follow_the_tokens(void **state)
{
    struct table_fixture *f = *state;
    const uint32_t cuts[] = {1, 14, 1, 1, 15, 1, 31, 64};
    uint32_t length = 0;

    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        uint32_t before_n = f->a.pages_n;
        uint32_t wants_n = qr_page_table_wants(&f->a, &f->pool, PAGE_TOKENS, cuts[i]);
        assert_int_equal(grow(f, &f->a, cuts[i]), 0);
        length += cuts[i];
        assert_int_equal(f->a.length, length);
        assert_int_equal(f->a.pages_n, (length + PAGE_TOKENS - 1) / PAGE_TOKENS);
        assert_int_equal(wants_n, f->a.pages_n - before_n);
        assert_int_equal(f->pool.free_n, PAGES_N - f->a.pages_n);
    }
}

/* Goal: qr_pages_for does not wrap near the largest uint32_t.
 * Method: call it at both ends and around a page's edge, for each page size. */
static void pages_for_does_not_wrap(void **state)
{
    (void)state;
    for (uint32_t page_tokens = 16; page_tokens <= 128; page_tokens *= 2) {
        assert_int_equal(qr_pages_for(0, page_tokens), 0);
        assert_int_equal(qr_pages_for(1, page_tokens), 1);
        assert_int_equal(qr_pages_for(page_tokens, page_tokens), 1);
        assert_int_equal(qr_pages_for(page_tokens + 1, page_tokens), 2);
        assert_int_equal(qr_pages_for(UINT32_MAX, page_tokens), UINT32_MAX / page_tokens + 1);
    }
}

/* Goal: a reserve for which the pool has too few pages changes nothing.
 * Method: one table has 6 of 8 pages, and another asks for 3. */
static void short_reserve_changes_nothing(void **state)
{
    struct table_fixture *f = *state;
    uint32_t copied = 77;

    grow(f, &f->a, 6 * PAGE_TOKENS);
    grow(f, &f->b, 1);
    assert_false(qr_page_table_reserve(&f->b, &f->pool, &f->store, 2 * PAGE_TOKENS, &copied));
    assert_int_equal(copied, 77);
    assert_int_equal(f->b.pages_n, 1);
    assert_int_equal(f->b.reserved, 1);
    assert_int_equal(f->pool.free_n, 1);
    check(f);
    grow(f, &f->b, 2 * PAGE_TOKENS - 1);
}

/* Goal: reserved tokens stay reserved until they are written, and take their pages once.
 * Method: reserve 40, advance 10 and 30, with a smaller reserve between. */
static void reserved_tokens_wait_to_be_written(void **state)
{
    struct table_fixture *f = *state;
    uint32_t copied;

    assert_true(qr_page_table_reserve(&f->a, &f->pool, &f->store, 40, &copied));
    qr_page_table_advance(&f->a, PAGE_TOKENS, 10);
    check(f);
    assert_int_equal(qr_page_table_wants(&f->a, &f->pool, PAGE_TOKENS, 30), 0);
    assert_true(qr_page_table_reserve(&f->a, &f->pool, &f->store, 5, &copied));
    assert_int_equal(f->a.reserved, 40);
    qr_page_table_advance(&f->a, PAGE_TOKENS, 30);
    assert_int_equal(f->a.length, 40);
    assert_int_equal(f->pool.free_n, PAGES_N - 3);
    check(f);
}

/* Goal: clear drops every page.  Shared pages become free when both tables have dropped them.
 * Method: fork, clear the parent, then the child. */
static void clear_gives_every_page_back(void **state)
{
    struct table_fixture *f = *state;

    grow(f, &f->a, 40);
    qr_page_table_fork(&f->b, &f->a, &f->pool);
    check(f);
    assert_int_equal(f->pool.shared_n, 3);
    qr_page_table_clear(&f->a, &f->pool);
    check(f);
    assert_int_equal(f->a.length, 0);
    assert_int_equal(f->a.pages_n, 0);
    assert_int_equal(f->pool.free_n, PAGES_N - 3);
    assert_int_equal(f->pool.shared_n, 0);
    qr_page_table_clear(&f->b, &f->pool);
    check(f);
    assert_int_equal(f->pool.free_n, PAGES_N);
}

/* Goal: the first table to write into a shared page gets a copy.  The other table's page is
 * unchanged and then OWNED.
 * Method: fork in the middle of the third page, then write to both tables. */
static void first_writer_copies_the_shared_page(void **state)
{
    struct table_fixture *f = *state;
    qr_page_id last;

    grow(f, &f->a, 40);
    last = f->a.pages[2];
    memset(page_memory(f, last), 0x5a, f->store.page_bytes);
    qr_page_table_fork(&f->b, &f->a, &f->pool);
    assert_int_equal(qr_page_table_wants(&f->b, &f->pool, PAGE_TOKENS, 1), 1);

    assert_int_equal(grow(f, &f->b, 1), 1);
    assert_int_not_equal(f->b.pages[2], last);
    assert_int_equal(f->a.pages[2], last);
    assert_memory_equal(page_memory(f, f->b.pages[2]), page_memory(f, last), f->store.page_bytes);
    assert_int_equal(qr_page_pool_refs(&f->pool, last), 1);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(f->b.pages[i], f->a.pages[i]);
        assert_int_equal(qr_page_pool_refs(&f->pool, f->a.pages[i]), 2);
    }
    assert_int_equal(qr_page_table_wants(&f->a, &f->pool, PAGE_TOKENS, 1), 0);
    assert_int_equal(grow(f, &f->a, 1), 0);
}

/* Goal: a fork at a page's edge copies nothing, because full pages are never written.
 * Method: fork at 32 tokens, then write to both tables. */
static void fork_at_an_edge_copies_nothing(void **state)
{
    struct table_fixture *f = *state;

    grow(f, &f->a, 2 * PAGE_TOKENS);
    qr_page_table_fork(&f->b, &f->a, &f->pool);
    assert_int_equal(grow(f, &f->b, 1), 0);
    assert_int_equal(grow(f, &f->a, 1), 0);
    assert_int_not_equal(f->a.pages[2], f->b.pages[2]);
    assert_int_equal(f->pool.shared_n, 2);
}

/* Goal: the copy counts as a needed page: without a free page the reserve changes nothing.
 * Method: fork with no page left. */
static void copy_needs_a_page(void **state)
{
    struct table_fixture *f = *state;
    uint32_t copied = 77;

    grow(f, &f->a, 8 * PAGE_TOKENS - 1);
    qr_page_table_fork(&f->b, &f->a, &f->pool);
    assert_int_equal(qr_page_table_wants(&f->b, &f->pool, PAGE_TOKENS, 1), 1);
    assert_false(qr_page_table_reserve(&f->b, &f->pool, &f->store, 1, &copied));
    assert_ptr_not_equal(f->a.pages, f->b.pages);
    assert_memory_equal(f->a.pages, f->b.pages, sizeof f->a_pages);
    assert_int_equal(copied, 77);
    check(f);
}

/* Goal: a table that adopts pages shares them, and copies only the page that it writes.
 * Method: adopt 40 of another table's 45 tokens, then write. */
static void adopted_pages_are_shared(void **state)
{
    struct table_fixture *f = *state;

    grow(f, &f->a, 45);
    qr_page_table_adopt(&f->b, &f->pool, f->a.pages, PAGE_TOKENS, 40);
    check(f);
    assert_int_equal(f->b.length, 40);
    assert_int_equal(f->b.pages_n, 3);
    assert_int_equal(f->pool.shared_n, 3);
    assert_int_equal(grow(f, &f->b, 1), 1);
    assert_memory_equal(f->b.pages, f->a.pages, 2 * sizeof f->a.pages[0]);
    assert_int_not_equal(f->b.pages[2], f->a.pages[2]);
    assert_int_equal(f->pool.shared_n, 2);
}

/* Goal: a table may begin with holes, and continues after them.
 * Method: adopt the last of another table's three pages, then write and clear. */
static void adopted_table_may_begin_with_holes(void **state)
{
    struct table_fixture *f = *state;
    qr_page_id pages[3] = {QR_PAGE_NONE, QR_PAGE_NONE};

    grow(f, &f->a, 45);
    pages[2] = f->a.pages[2];
    qr_page_table_adopt(&f->b, &f->pool, pages, PAGE_TOKENS, 40);
    check(f);
    assert_int_equal(f->b.first, 2);
    assert_int_equal(qr_page_table_held_n(&f->b), 1);
    assert_int_equal(f->pool.shared_n, 1);
    assert_int_equal(grow(f, &f->b, 1), 1);
    check(f);
    assert_int_equal(f->b.pages[0], QR_PAGE_NONE);
    qr_page_table_clear(&f->b, &f->pool);
    assert_int_equal(f->pool.free_n, PAGES_N - 3);
}

/* Goal: only pages wholly before a token are dropped.  The table continues with holes, and a fork
 * has the same holes.
 * Method: drop before the tokens on both sides of an edge; then grow, fork and clear both. */
static void pages_before_a_token_leave_holes(void **state)
{
    struct table_fixture *f = *state;

    grow(f, &f->a, 3 * PAGE_TOKENS + 5);
    assert_int_equal(qr_page_table_drop_before(&f->a, &f->pool, PAGE_TOKENS, PAGE_TOKENS - 1), 0);
    assert_int_equal(qr_page_table_drop_before(&f->a, &f->pool, PAGE_TOKENS, 2 * PAGE_TOKENS), 2);
    check(f);
    assert_int_equal(f->a.pages[1], QR_PAGE_NONE);
    assert_int_not_equal(f->a.pages[2], QR_PAGE_NONE);
    assert_int_equal(qr_page_table_held_n(&f->a), 2);
    assert_int_equal(f->pool.free_n, PAGES_N - 2);
    assert_int_equal(qr_page_table_drop_before(&f->a, &f->pool, PAGE_TOKENS, PAGE_TOKENS), 0);

    /* Holes do not change how many pages are needed.  A fork copies the last page. */
    assert_int_equal(qr_page_table_wants(&f->a, &f->pool, PAGE_TOKENS, PAGE_TOKENS), 1);
    qr_page_table_fork(&f->b, &f->a, &f->pool);
    check(f);
    assert_int_equal(f->pool.shared_n, 2);
    assert_int_equal(grow(f, &f->b, PAGE_TOKENS), 1);
    assert_int_equal(f->pool.shared_n, 1);
    assert_int_equal(qr_page_table_drop_before(&f->b, &f->pool, PAGE_TOKENS, f->b.length), 2);
    assert_int_equal(f->pool.shared_n, 0);
    check(f);
    qr_page_table_clear(&f->a, &f->pool);
    qr_page_table_clear(&f->b, &f->pool);
    check(f);
    assert_int_equal(f->pool.free_n, PAGES_N);
    assert_int_equal(grow(f, &f->a, 1), 0);
}

int main(void)
{
#define TABLE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TABLE_TEST(pages_follow_the_tokens),
        cmocka_unit_test(pages_for_does_not_wrap),
        TABLE_TEST(short_reserve_changes_nothing),
        TABLE_TEST(reserved_tokens_wait_to_be_written),
        TABLE_TEST(clear_gives_every_page_back),
        TABLE_TEST(first_writer_copies_the_shared_page),
        TABLE_TEST(fork_at_an_edge_copies_nothing),
        TABLE_TEST(copy_needs_a_page),
        TABLE_TEST(adopted_pages_are_shared),
        TABLE_TEST(adopted_table_may_begin_with_holes),
        TABLE_TEST(pages_before_a_token_leave_holes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
