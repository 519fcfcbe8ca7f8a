/* SPDX-License-Identifier: MIT */
#include "tree_fixture.h"

/* Goal: what was computed is found again to the token, wherever the next text leaves it: at a
 * page's edge, in its middle, at its last token; never past the text that asks.
 * Method: one text of 4 pages and 5 tokens; another that differs from token `cut` on, for each
 * cut. */
static void match_is_exact_to_the_token(void **state)
{
    (void)state;
    for (uint32_t cut = 0; cut <= 69; cut++) {
        struct tree_fixture f;
        struct tree_seq a, b;

        tree_open(&f, 16);
        seq_text(&a, 69, 100);
        assert_int_equal(seq_run(&f, &a), 0);
        seq_text(&b, 75, 100);
        for (uint32_t i = cut; i < 75; i++)
            b.tokens[i] = -1;
        assert_int_equal(seq_run(&f, &b), cut);
        assert_int_equal(b.copied_n, cut % PAGE != 0);
        /* The same text again: all but its last token. */
        assert_int_equal(seq_run(&f, &a), 68);
        tree_close(&f);
    }
}

/* Goal: full pages are shared, not copied, and stand in the tree once.
 * Method: two texts of one beginning run side by side. */
static void full_pages_are_shared(void **state)
{
    struct tree_fixture f;
    struct tree_seq a, b;

    (void)state;
    tree_open(&f, 16);
    seq_text(&a, 40, 0);
    seq_begin(&f, &a);
    seq_compute(&f, &a, 40);
    b = a;
    b.tokens[39] = 777;
    seq_begin(&f, &b);
    assert_int_equal(b.matched_n, 32);
    seq_compute(&f, &b, 40);
    tree_check(&f);
    assert_int_equal(b.pages[0], a.pages[0]);
    assert_int_equal(b.pages[1], a.pages[1]);
    assert_int_not_equal(b.pages[2], a.pages[2]);
    assert_int_equal(b.copied_n, 0);
    assert_int_equal(f.pool.shared_n, 2);
    assert_int_equal(qr_page_pool_held_n(&f.pool), 4);
    seq_end(&f, &a);
    seq_end(&f, &b);
    assert_int_equal(f.pool.cached_n, 4);
    assert_int_equal(f.pool.shared_n, 0);
    tree_close(&f);
}

/* Goal: a page in the tree is read-only: whoever writes on behind a part of it writes into a copy,
 * and the tree's tokens stay what they were.
 * Method: leave a full page and a partly filled one in their middle; then ask for the first text
 * again. */
static void cached_pages_are_never_written(void **state)
{
    struct tree_fixture f;
    struct tree_seq a, b;

    (void)state;
    tree_open(&f, 16);
    seq_text(&a, 25, 0);
    seq_run(&f, &a);
    for (uint32_t cut = 10; cut <= 20; cut += 10) {
        seq_text(&b, 60, 0);
        for (uint32_t i = cut; i < 60; i++)
            b.tokens[i] = 1000;
        assert_int_equal(seq_run(&f, &b), cut);
        assert_int_equal(b.copied_n, 1);
    }
    assert_int_equal(seq_run(&f, &a), 24);
    tree_close(&f);
}

/* Goal: two that compute the same tokens at one time end with one page for them.
 * Method: both begin before either has a page in the tree. */
static void same_tokens_end_in_one_page(void **state)
{
    struct tree_fixture f;
    struct tree_seq a, b;

    (void)state;
    tree_open(&f, 16);
    seq_text(&a, 40, 0);
    b = a;
    seq_begin(&f, &a);
    seq_begin(&f, &b);
    seq_compute(&f, &a, 32);
    assert_int_equal(f.pool.free_n, 14);
    seq_compute(&f, &b, 40);
    tree_check(&f);
    assert_memory_equal(a.pages, b.pages, 2 * sizeof a.pages[0]);
    assert_int_equal(f.pool.free_n, 13);
    seq_compute(&f, &a, 40);
    seq_end(&f, &a);
    seq_end(&f, &b);
    assert_int_equal(f.pool.cached_n, 3);
    tree_close(&f);
}

/* Goal: a leaf whose tokens begin another's is not kept beside it.
 * Method: a text that goes on from it, then one that it goes on from. */
static void beginnings_of_leaves_are_not_kept(void **state)
{
    struct tree_fixture f;
    struct tree_seq a;

    (void)state;
    tree_open(&f, 16);
    seq_text(&a, 20, 0);
    seq_run(&f, &a);
    assert_int_equal(f.pool.cached_n, 2);
    seq_text(&a, 30, 0);
    assert_int_equal(seq_run(&f, &a), 20);
    assert_int_equal(f.pool.cached_n, 2);
    seq_text(&a, 24, 0);
    assert_int_equal(seq_run(&f, &a), 23);
    assert_int_equal(f.pool.cached_n, 2);
    seq_text(&a, 40, 0);
    assert_int_equal(seq_run(&f, &a), 30);
    assert_int_equal(f.pool.cached_n, 3);
    tree_close(&f);
}

/* Goal: nothing is shared between salts, whichever half they differ in.
 * Method: one text under three of them, twice. */
static void salts_are_kept_apart(void **state)
{
    const struct qr_prefix_salt salts[] = {{{0, 0}}, {{1, 0}}, {{0, 1}}};
    struct tree_fixture f;
    struct tree_seq a;

    (void)state;
    tree_open(&f, 16);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 3; i++) {
            seq_text(&a, 40, 0);
            a.salt = salts[i];
            assert_int_equal(seq_run(&f, &a), round == 0 ? 0 : 39);
        }
    assert_int_equal(f.pool.cached_n, 9);
    tree_close(&f);
}

/* Goal: the page whose last sequence let it go the longest ago goes first, leaves before what they
 * stand on; a page that is read again is young again; a page that is read does not go.
 * Method: three texts, the first one used again, one running; evict them all. */
static void coldest_leaf_goes_first(void **state)
{
    struct tree_fixture f;
    struct tree_seq a, b, c, running;
    qr_page_id order[5];

    (void)state;
    tree_open(&f, 9);
    seq_text(&a, 32, 0);
    seq_run(&f, &a);
    seq_text(&b, 32, 1000);
    seq_run(&f, &b);
    seq_text(&c, 16, 2000);
    seq_run(&f, &c);
    seq_text(&running, 40, 3000);
    seq_begin(&f, &running);
    seq_compute(&f, &running, 40);
    seq_run(&f, &a); /* again: its last page is copied, the copy dropped again */
    memcpy(order, (qr_page_id[]){b.pages[1], b.pages[0], c.pages[0]}, 3 * sizeof order[0]);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(qr_page_pool_coldest(&f.pool), order[i]);
        assert_true(qr_prefix_tree_evict(&f.tree));
        tree_check(&f);
    }
    /* Of a its first page is left for the last. */
    while (f.pool.cached_n > 1)
        assert_true(qr_prefix_tree_evict(&f.tree));
    assert_int_equal(qr_page_pool_coldest(&f.pool), a.pages[0]);
    assert_true(qr_prefix_tree_evict(&f.tree));
    assert_false(qr_prefix_tree_evict(&f.tree));
    assert_int_equal(qr_page_pool_held_n(&f.pool), 3);
    seq_end(&f, &running);
    tree_close(&f);
}

/* Goal: near-twins cost O(log n): siblings that differ in their last token stand in a balanced
 * tree, whatever the order in which they come and go.
 * Method: 3,000 of them upwards, downwards and mixed; the depth against Adelson-Velsky and Landis'
 * bound; then every second one evicted, and each looked up. */
static void near_twins_stay_balanced(void **state)
{
    enum { TWINS = 3000 };

    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        struct tree_fixture f;
        struct tree_seq a;

        tree_open(&f, TWINS + 2);
        for (uint32_t i = 0; i < TWINS; i++) {
            seq_text(&a, PAGE + 1, 0);
            a.tokens[PAGE - 1] = (int32_t)(kind == 0   ? i
                                           : kind == 1 ? TWINS - i
                                                       : i * 2654435761u % 65536);
            a.tokens[PAGE] = -1;
            seq_begin(&f, &a);
            seq_compute(&f, &a, PAGE);
            seq_end(&f, &a);
        }
        tree_check(&f);
        assert_true(f.tree.siblings[f.tree.children].height <= 17); /* 1.44 log2(3000) */
        for (uint32_t i = 0; i < TWINS / 2; i++)
            assert_true(qr_prefix_tree_evict(&f.tree));
        tree_check(&f);
        assert_true(f.tree.siblings[f.tree.children].height <= 15);
        tree_close(&f);
    }
}

/* Goal: the memory is what the sums say, and the tree holds a page for every page of the pool.
 * Method: fill the pool with one text, then with another; sanitizers see a step past the memory. */
static void tree_may_hold_every_page(void **state)
{
    struct tree_fixture f;
    struct tree_seq a;

    (void)state;
    tree_open(&f, 5);
    for (int32_t first = 0; first < 2; first++) {
        seq_text(&a, 5 * PAGE, first);
        seq_run(&f, &a);
        assert_int_equal(f.pool.cached_n, 5);
        assert_int_equal(f.tree.evictions, first == 0 ? 0 : 5);
    }
    tree_close(&f);
}

/* Goal: the one sequence that reads a partly filled page may have it back, and writes into it
 * without a copy; the tree no longer finds what is in it, but all before.
 * Method: a sequence of 20 tokens leaves its pages, another takes them up. */
static void released_page_is_its_readers(void **state)
{
    struct tree_fixture f;
    struct tree_seq a, b;
    qr_page_id pages[TABLE_MAX];
    uint32_t copied = 0;

    (void)state;
    tree_open(&f, 4);
    seq_text(&a, 20, 0);
    seq_run(&f, &a);
    seq_text(&b, 24, 0);
    seq_begin(&f, &b);
    assert_int_equal(b.matched_n, 20);
    qr_prefix_tree_release(&f.tree, b.pages[1]);
    tree_check(&f);
    assert_int_equal(qr_page_table_wants(&b.table, &f.pool, PAGE, 4), 0);
    assert_true(qr_page_table_reserve(&b.table, &f.pool, &f.store, 4, &copied));
    assert_int_equal(copied, 0);
    qr_page_table_advance(&b.table, PAGE, 4);
    assert_int_equal(qr_prefix_tree_match(&f.tree, a.salt, a.tokens, 20, pages), PAGE);
    seq_end(&f, &b);
    tree_close(&f);
}

/* Goal: with windows a page that a sequence let go is evicted though others hang below it: those
 * leave the tree with it, a cached one becomes free, one that is read stays its reader's, and
 * what the reader computes after that does not enter.
 * Method: a sequence of 4 pages reads the last two; another text hangs below its first one. */
static void page_before_a_window_takes_the_rest_along(void **state)
{
    struct tree_fixture f;
    struct tree_seq a, b;
    qr_page_id pages[TABLE_MAX];

    (void)state;
    tree_open(&f, 8);
    qr_prefix_tree_set_windowed(&f.tree, true);
    seq_text(&a, 6 * PAGE, 0);
    seq_begin(&f, &a);
    seq_compute(&f, &a, 4 * PAGE);
    assert_int_equal(qr_page_table_drop_before(&a.table, &f.pool, PAGE, 2 * PAGE), 2);
    tree_check(&f);
    assert_int_equal(f.pool.cached_n, 2);
    seq_text(&b, 2 * PAGE, 0);
    b.tokens[PAGE] = -1;
    assert_int_equal(seq_run(&f, &b), PAGE);
    assert_int_equal(f.pool.cached_n, 3);

    /* Of a's the second page is the coldest: the first has been read since. */
    assert_true(qr_prefix_tree_evict(&f.tree));
    tree_check(&f);
    assert_int_equal(f.tree.evictions, 1);
    assert_int_equal(f.pool.cached_n, 2);
    assert_int_equal(qr_page_pool_held_n(&f.pool), 2);
    assert_false(qr_page_pool_kept(&f.pool, a.pages[3]));
    assert_int_equal(qr_prefix_tree_match(&f.tree, a.salt, a.tokens, 4 * PAGE, pages), PAGE);
    assert_int_equal(qr_prefix_tree_match(&f.tree, b.salt, b.tokens, 2 * PAGE, pages), 2 * PAGE);

    uint32_t copied, full_n;
    assert_true(qr_page_table_reserve(&a.table, &f.pool, &f.store, PAGE + 3, &copied));
    qr_page_table_advance(&a.table, PAGE, PAGE + 3);
    full_n = qr_prefix_tree_add(&f.tree, a.salt, &a.table, a.tokens, a.kept_n);
    assert_int_equal(full_n, 5);
    qr_prefix_tree_add_last(&f.tree, a.salt, &a.table, a.tokens, full_n);
    qr_page_table_clear(&a.table, &f.pool);
    tree_check(&f);
    assert_int_equal(f.pool.cached_n, 2);
    tree_close(&f);
}

/* Goal: pages before a window are as warm as those behind it once these are let go, and warmer than
 * theirs: the leaf goes first.
 * Method: a sequence lets its first pages go, then another text comes and goes, then it ends. */
static void pages_before_a_window_are_warmed(void **state)
{
    struct tree_fixture f;
    struct tree_seq a, b;
    qr_page_id pages[TABLE_MAX], last;

    (void)state;
    tree_open(&f, 6);
    qr_prefix_tree_set_windowed(&f.tree, true);
    seq_text(&a, 4 * PAGE, 0);
    seq_begin(&f, &a);
    seq_compute(&f, &a, 4 * PAGE);
    qr_page_table_drop_before(&a.table, &f.pool, PAGE, 3 * PAGE);
    seq_text(&b, PAGE, 1000);
    seq_run(&f, &b);
    last = a.pages[3];
    seq_end(&f, &a);
    qr_prefix_tree_warm(&f.tree, last);
    tree_check(&f);
    for (uint32_t left_n = 4; left_n > 0; left_n--) {
        assert_true(qr_prefix_tree_evict(&f.tree)); /* b's first, then a's from the last on */
        assert_int_equal(qr_prefix_tree_match(&f.tree, a.salt, a.tokens, 4 * PAGE, pages),
                         left_n * PAGE);
    }
    tree_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(match_is_exact_to_the_token),
        cmocka_unit_test(full_pages_are_shared),
        cmocka_unit_test(cached_pages_are_never_written),
        cmocka_unit_test(same_tokens_end_in_one_page),
        cmocka_unit_test(beginnings_of_leaves_are_not_kept),
        cmocka_unit_test(salts_are_kept_apart),
        cmocka_unit_test(coldest_leaf_goes_first),
        cmocka_unit_test(near_twins_stay_balanced),
        cmocka_unit_test(tree_may_hold_every_page),
        cmocka_unit_test(released_page_is_its_readers),
        cmocka_unit_test(page_before_a_window_takes_the_rest_along),
        cmocka_unit_test(pages_before_a_window_are_warmed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
