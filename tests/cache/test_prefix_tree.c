/* SPDX-License-Identifier: MIT */
#include "support/tree_fixture.h"

/* Goal: a match ends exactly at the first token that differs: at a page's edge, in its middle or at
 * the last token.  It never covers the last token of the text that asks.
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

/* Goal: full pages are shared, not copied, and are in the tree once.
 * Method: two texts with a common prefix run at the same time. */
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

/* Goal: a page in the tree is read-only.  A sequence that matches a part of a page continues in a
 * copy, and the tree's page keeps its keys.
 * Method: texts that differ in the middle of a full page and of a partly filled one; then the first
 * text again. */
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

/* Goal: two sequences that compute the same tokens at the same time end with one page for them.
 * Method: both begin before either has published a page. */
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

/* Goal: a leaf whose tokens are a prefix of a sibling's is not kept.
 * Method: a text that continues the first, a shorter one, and one that continues both. */
static void prefixes_of_leaves_are_not_kept(void **state)
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

/* Goal: salts share nothing, whichever half differs.
 * Method: one text under three salts, twice. */
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

/* Goal: the page that was dropped longest ago is evicted first, a child before its parent.  Reading
 * a page again makes it the warmest.  A page that a sequence reads is not evicted. Method: three
 * texts, the first one read again, and one that runs; evict everything. */
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
    seq_run(&f, &a); /* again: its last page is copied, and the copy dropped */
    memcpy(order, (qr_page_id[]){b.pages[1], b.pages[0], c.pages[0]}, 3 * sizeof order[0]);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(qr_page_pool_coldest(&f.pool), order[i]);
        assert_true(qr_prefix_tree_evict(&f.tree));
        tree_check(&f);
    }
    /* The first page of a is evicted last. */
    while (f.pool.cached_n > 1)
        assert_true(qr_prefix_tree_evict(&f.tree));
    assert_int_equal(qr_page_pool_coldest(&f.pool), a.pages[0]);
    assert_true(qr_prefix_tree_evict(&f.tree));
    assert_false(qr_prefix_tree_evict(&f.tree));
    assert_int_equal(qr_page_pool_held_n(&f.pool), 3);
    seq_end(&f, &running);
    tree_close(&f);
}

/* Goal: siblings that differ in their last token only form a balanced tree, in any order of
 * insertion and after evictions.
 * Method: insert 3,000 in ascending, descending and mixed order; compare the height with the bound
 * of Adelson-Velsky and Landis; evict half of them and compare again. */
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

/* Goal: the tree can hold every page of the pool within qr_prefix_tree_bytes.
 * Method: fill the pool with one text, then with another; a sanitizer sees an access past the
 * memory. */
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

/* Goal: after a release the one sequence that reads a partly filled page writes into it without a
 * copy.  The tree no longer finds that page's tokens, but still all pages before it.
 * Method: a sequence of 20 tokens ends, and another adopts its pages. */
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

/* The longest match if the tree has only some pages of a text: tries every length. */
static uint32_t longest(uint32_t window, const bool *there, uint32_t tokens_n)
{
    for (uint32_t n = tokens_n; n > 0; n--) {
        uint32_t first = n < window ? 0 : (n - window + 1) / PAGE, last = (n - 1) / PAGE;
        uint32_t i = first;
        if (first > 0 && first >= n / PAGE)
            i = n / PAGE - 1; /* the last full page is always needed */
        while (i <= last && there[i])
            i++;
        if (i > last) return n;
    }
    return 0;
}

/* Goal: with a window a hit needs only the pages that its next token sees.  Whichever pages are
 * evicted, the longest text whose pages are there is found, with holes before them.
 * Method: a text of 8.5 pages; windows shorter than a page, equal, longer, and longer than the
 * text. Evict its pages one by one, and after each match every length. */
static void hit_needs_no_more_than_its_window(void **state)
{
    static const uint32_t windows[] = {1, 5, 16, 17, 31, 32, 33, 64, 100, 200};
    enum { TEXT = 8 * PAGE + 8, ALL = 9 };

    (void)state;
    for (uint32_t w = 0; w < sizeof windows / sizeof windows[0]; w++) {
        struct tree_fixture f;
        struct tree_seq a;
        qr_page_id pages[TABLE_MAX], ids[ALL];
        bool there[ALL];
        uint32_t evicted_n = 0;

        tree_open_windowed(&f, 12, 12, windows[w]);
        seq_text(&a, TEXT, 0);
        seq_run(&f, &a);
        for (qr_node_id id = 0; id < ALL; id++)
            ids[id] = f.tree.nodes[id].page; /* nodes are numbered in order of publishing */
        do {
            for (uint32_t i = 0; i < ALL; i++)
                there[i] = qr_page_pool_kept(&f.pool, ids[i]);
            for (uint32_t n = 1; n <= TEXT; n++) {
                uint32_t found_n = qr_prefix_tree_match(&f.tree, a.salt, a.tokens, n, pages);
                uint32_t first = qr_prefix_tree_first(&f.tree, found_n);
                assert_int_equal(found_n, longest(windows[w], there, n));
                for (uint32_t i = 0; i < qr_pages_for(found_n, PAGE); i++)
                    assert_int_equal(pages[i], i < first ? QR_PAGE_NONE : ids[i]);
            }
            evicted_n++;
            tree_check(&f);
        } while (qr_prefix_tree_evict(&f.tree));
        assert_int_equal(evicted_n, ALL + 1);
        assert_int_equal(f.tree.live_n, 0);
        tree_close(&f);
    }
}

/* Goal: pages that no full hit reads are evicted first, from a text's last such page to its first.
 * Then the pages of full hits, the coldest text's last page first.  So a hit of all tokens, or of
 * all but the last, stays possible until only such pages are left.
 * Method: two texts of 6 pages with a window of 32; compare the order of all evictions. */
static void pages_that_no_hit_reads_go_first(void **state)
{
    struct tree_fixture f;
    struct tree_seq a, b;
    qr_page_id pages[TABLE_MAX], order[12];
    uint32_t n = 0;

    (void)state;
    tree_open_windowed(&f, 12, 12, 2 * PAGE);
    seq_text(&a, 6 * PAGE, 0);
    seq_run(&f, &a);
    seq_text(&b, 6 * PAGE, 1000);
    seq_run(&f, &b);
    /* Nodes are numbered in order of publishing.  A hit of 95 of the 96 tokens reads from token
     * 95 - 31 on: pages 4 and 5. */
    for (qr_node_id first = 0; first < 12; first += 6)
        for (uint32_t i = 4; i-- > 0;)
            order[n++] = f.tree.nodes[first + i].page;
    for (qr_node_id first = 0; first < 12; first += 6)
        for (uint32_t i = 6; i-- > 4;)
            order[n++] = f.tree.nodes[first + i].page;
    for (uint32_t i = 0; i < 12; i++) {
        assert_int_equal(qr_page_pool_coldest(&f.pool), order[i]);
        assert_int_equal(qr_prefix_tree_match(&f.tree, a.salt, a.tokens, 6 * PAGE, pages),
                         i <= 8 ? 6 * PAGE : 0);
        assert_int_equal(qr_prefix_tree_match(&f.tree, b.salt, b.tokens, 6 * PAGE, pages),
                         i <= 10 ? 6 * PAGE : 0);
        assert_true(qr_prefix_tree_evict(&f.tree));
        tree_check(&f);
    }
    tree_close(&f);
}

/* Goal: if a text's window begins at a page's edge, the page before is protected too: a hit of all
 * but the last token reads it.
 * Method: texts of each length up to 5 pages; evict all unprotected pages. */
static void all_but_the_last_token_is_found_again(void **state)
{
    (void)state;
    for (uint32_t n = 2; n <= 5 * PAGE; n++) {
        struct tree_fixture f;
        struct tree_seq a;
        qr_page_id pages[TABLE_MAX];

        tree_open_windowed(&f, 8, 8, 20);
        seq_text(&a, n, 0);
        seq_run(&f, &a);
        while (f.pool.cached[0].coldest != QR_PAGE_NONE)
            assert_true(qr_prefix_tree_evict(&f.tree));
        assert_int_equal(qr_prefix_tree_match(&f.tree, a.salt, a.tokens, n, pages), n);
        assert_int_equal(qr_prefix_tree_match(&f.tree, a.salt, a.tokens, n - 1, pages), n - 1);
        tree_close(&f);
    }
}

/* Goal: the pages of a hit are evicted after pages that no hit read.
 * Method: a long text; a second one that matches its first 80 tokens and reads from token 49 on;
 * evict all unprotected pages.  Hits of 79 and of 80 tokens both read pages 3 and 4. */
static void found_pages_are_protected(void **state)
{
    struct tree_fixture f;
    struct tree_seq a, b;
    qr_page_id pages[TABLE_MAX];

    (void)state;
    tree_open_windowed(&f, 24, 40, 2 * PAGE);
    seq_text(&a, 10 * PAGE, 0);
    seq_run(&f, &a);
    seq_text(&b, 10 * PAGE, 0);
    for (uint32_t i = 5 * PAGE; i < 10 * PAGE; i++)
        b.tokens[i] = -1;
    assert_int_equal(seq_run(&f, &b), 5 * PAGE);
    while (f.pool.cached[0].coldest != QR_PAGE_NONE)
        assert_true(qr_prefix_tree_evict(&f.tree));
    tree_check(&f);
    for (uint32_t n = 0; n <= 5 * PAGE; n++)
        assert_int_equal(qr_prefix_tree_match(&f.tree, a.salt, a.tokens, n, pages),
                         n + 1 >= 5 * PAGE ? n : 0);
    tree_close(&f);
}

/* Goal: a node outlives its page and gets the page that is computed again for its tokens.  A partly
 * filled page is not published if such a node continues its tokens.
 * Method: evict a text's first pages, then run its first 2 pages and 5 tokens. */
static void page_comes_again_for_its_node(void **state)
{
    struct tree_fixture f;
    struct tree_seq a;
    qr_page_id pages[TABLE_MAX];

    (void)state;
    tree_open_windowed(&f, 16, 16, 2 * PAGE);
    seq_text(&a, 6 * PAGE, 0);
    seq_run(&f, &a);
    while (f.pool.cached[0].coldest != QR_PAGE_NONE)
        assert_true(qr_prefix_tree_evict(&f.tree));
    assert_int_equal(f.tree.live_n, 6);
    assert_int_equal(f.pool.cached_n, 2);
    seq_text(&a, 2 * PAGE + 5, 0);
    assert_int_equal(seq_run(&f, &a), 0);
    assert_int_equal(f.tree.live_n, 6);
    assert_int_equal(f.pool.cached_n, 4);
    assert_int_equal(qr_prefix_tree_match(&f.tree, a.salt, a.tokens, 2 * PAGE + 5, pages),
                     2 * PAGE);
    tree_close(&f);
}

/* Goal: if the page of a text's own node is evicted, a match uses the sibling's page with the most
 * common tokens, however many siblings without a page lie between.
 * Method: 40 texts that differ from token 3 to 15 of their second page on; evict page by page,
 * while the nodes stay. */
static void nearest_sibling_with_a_page_is_used(void **state)
{
    enum { MANY = 40 };
    struct tree_fixture f;
    struct tree_seq a;
    qr_page_id pages[TABLE_MAX];
    qr_node_id parent;

    (void)state;
    tree_open_windowed(&f, 200, 400, 2 * PAGE);
    for (uint32_t i = 0; i < MANY; i++) {
        seq_text(&a, 5 * PAGE, 0);
        for (uint32_t t = PAGE + 3 + i % 13; t < 5 * PAGE; t++)
            a.tokens[t] = (int32_t)(1000 + i);
        seq_run(&f, &a);
    }
    parent = f.tree.children;
    while (f.pool.cached_n > 0) {
        for (uint32_t i = 0; i < MANY; i++) {
            uint32_t best_n = 0;
            seq_text(&a, 2 * PAGE, 0);
            for (uint32_t t = PAGE + 3 + i % 13; t < 2 * PAGE; t++)
                a.tokens[t] = (int32_t)(1000 + i);
            for (qr_node_id id = 0; id < f.tree.used_n; id++) {
                uint32_t n = 0;
                if (f.tree.nodes[id].tokens_n == 0 || f.tree.nodes[id].parent != parent ||
                    f.tree.nodes[id].page == QR_PAGE_NONE)
                    continue;
                while (n < PAGE && f.tree.tokens[id * PAGE + n] == a.tokens[PAGE + n])
                    n++;
                if (n > best_n) best_n = n;
            }
            if (f.tree.nodes[parent].page != QR_PAGE_NONE) /* otherwise no hit is possible */
                assert_int_equal(
                    qr_prefix_tree_match(&f.tree, a.salt, a.tokens, 2 * PAGE - 1, pages),
                    PAGE + (best_n < PAGE ? best_n : PAGE - 1));
        }
        assert_true(qr_prefix_tree_evict(&f.tree));
        tree_check(&f);
    }
    tree_close(&f);
}

/* Goal: if nodes run out, the coldest text is evicted with all its nodes, and the others stay.
 * Method: texts of 15 pages, with nodes for 3 of them. */
static void coldest_text_goes_when_nodes_run_out(void **state)
{
    struct tree_fixture f;
    struct tree_seq texts[6];
    qr_page_id pages[TABLE_MAX];

    (void)state;
    tree_open_windowed(&f, 24, 48, 2 * PAGE);
    for (uint32_t i = 0; i < 6; i++) {
        seq_text(&texts[i], 15 * PAGE, (int32_t)(1000 * i));
        seq_run(&f, &texts[i]);
        assert_true(f.tree.live_n <= 48);
        for (uint32_t k = 0; k <= i; k++)
            assert_int_equal(
                qr_prefix_tree_match(&f.tree, texts[k].salt, texts[k].tokens, 15 * PAGE, pages),
                k + 3 > i ? 15 * PAGE : 0);
    }
    tree_close(&f);
}

/* Goal: unprotected pages, which would free no node, are not evicted for a node.
 * Method: a text with its last pages only, and one with all of its pages; a third text then runs
 * out of nodes, not of pages. */
static void pages_that_free_no_node_stay(void **state)
{
    struct tree_fixture f;
    struct tree_seq a, b, c;
    qr_page_id pages[TABLE_MAX];

    (void)state;
    tree_open_windowed(&f, 34, 34, 2 * PAGE);
    seq_text(&a, 15 * PAGE, 0);
    seq_run(&f, &a);
    while (f.pool.cached[0].coldest != QR_PAGE_NONE)
        assert_true(qr_prefix_tree_evict(&f.tree));
    assert_int_equal(f.tree.evictions, 13);
    seq_text(&b, 15 * PAGE, 1000);
    seq_run(&f, &b);
    seq_text(&c, 10 * PAGE, 2000);
    seq_run(&f, &c);
    assert_int_equal(f.tree.evictions, 13 + 2);
    assert_int_equal(qr_prefix_tree_match(&f.tree, a.salt, a.tokens, 15 * PAGE, pages), 0);
    for (uint32_t n = 1; n <= 15 * PAGE; n++)
        assert_int_equal(qr_prefix_tree_match(&f.tree, b.salt, b.tokens, n, pages), n);
    tree_close(&f);
}

/* Goal: the eviction that frees a node may remove the sibling next to which the new node belongs.
 * Method: a short text has the last node and is the coldest; publish a text that belongs right
 * before it, and one that belongs right after it. */
static void neighbour_may_go_for_the_node(void **state)
{
    static const int32_t neighbours[] = {500, 2000};
    qr_page_id pages[TABLE_MAX];

    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        struct tree_fixture f;
        struct tree_seq a, b, c;
        tree_open_windowed(&f, 8, 8, 2 * PAGE);
        seq_text(&a, 7 * PAGE, 0);
        seq_run(&f, &a);
        while (f.pool.cached[0].coldest != QR_PAGE_NONE)
            assert_true(qr_prefix_tree_evict(&f.tree));
        seq_text(&b, PAGE, 1000);
        seq_run(&f, &b);
        assert_int_equal(f.tree.live_n, 8);
        assert_int_equal(seq_run(&f, &a), 7 * PAGE - 1);
        seq_text(&c, PAGE, neighbours[i]);
        seq_run(&f, &c);
        assert_int_equal(qr_prefix_tree_match(&f.tree, a.salt, a.tokens, 7 * PAGE, pages),
                         7 * PAGE);
        assert_int_equal(qr_prefix_tree_match(&f.tree, b.salt, b.tokens, PAGE, pages), 0);
        assert_int_equal(qr_prefix_tree_match(&f.tree, c.salt, c.tokens, PAGE, pages), PAGE);
        tree_close(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(match_is_exact_to_the_token),
        cmocka_unit_test(full_pages_are_shared),
        cmocka_unit_test(cached_pages_are_never_written),
        cmocka_unit_test(same_tokens_end_in_one_page),
        cmocka_unit_test(prefixes_of_leaves_are_not_kept),
        cmocka_unit_test(salts_are_kept_apart),
        cmocka_unit_test(coldest_leaf_goes_first),
        cmocka_unit_test(near_twins_stay_balanced),
        cmocka_unit_test(tree_may_hold_every_page),
        cmocka_unit_test(released_page_is_its_readers),
        cmocka_unit_test(hit_needs_no_more_than_its_window),
        cmocka_unit_test(pages_that_no_hit_reads_go_first),
        cmocka_unit_test(all_but_the_last_token_is_found_again),
        cmocka_unit_test(found_pages_are_protected),
        cmocka_unit_test(page_comes_again_for_its_node),
        cmocka_unit_test(nearest_sibling_with_a_page_is_used),
        cmocka_unit_test(coldest_text_goes_when_nodes_run_out),
        cmocka_unit_test(pages_that_free_no_node_stay),
        cmocka_unit_test(neighbour_may_go_for_the_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
