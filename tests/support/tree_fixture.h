/* SPDX-License-Identifier: MIT */
/* tree_fixture -- a prefix tree with its pool and a small KV store, and sequences over it.
 *
 *   tree_open -> seq_text -> seq_begin -> seq_compute ... -> seq_end -> tree_close
 *
 * A sequence does what the scheduler does for one: it adopts the tree's pages, evicts for the pages
 * that it needs, and publishes its own.  As a token's key it writes a stamp of the salt and of all
 * tokens up to it, so a test notices a page of another text.
 *
 * A function that cannot do its work fails the test.
 *
 * Thread: the test's.   Memory: the fixture's, from tree_open to tree_close. */
#ifndef QR_TESTS_SUPPORT_TREE_FIXTURE_H
#define QR_TESTS_SUPPORT_TREE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cache/prefix_tree.h"

#define PAGE       16u
#define TABLE_MAX  16u
#define TOKENS_MAX (TABLE_MAX * PAGE)

struct tree_fixture {
    struct qr_page_pool pool;
    struct qr_kv_store store;
    struct qr_prefix_tree tree;
    void *pool_memory, *tree_memory;
};

struct tree_seq {
    struct qr_prefix_salt salt;
    int32_t tokens[TOKENS_MAX];
    uint32_t tokens_n;
    uint32_t matched_n;   /* tokens that the tree had */
    uint32_t published_n; /* pages in the tree */
    uint32_t copied_n;
    qr_page_id pages[TABLE_MAX];
    struct qr_page_table table;
};

/* A pool of pages_n pages and a tree of nodes_n nodes.  window: 0 is none. */
void tree_open_windowed(struct tree_fixture *f, uint32_t pages_n, uint32_t nodes_n,
                        uint32_t window);
/* No window, a node for each page. */
void tree_open(struct tree_fixture *f, uint32_t pages_n);
/* Asserts the invariants of the pool and of the tree. */
void tree_check(const struct tree_fixture *f);
void tree_close(struct tree_fixture *f);

/* Makes a sequence of the tokens first, first + 1 ... */
void seq_text(struct tree_seq *seq, uint32_t tokens_n, int32_t first);
/* Adopts the tree's pages for all tokens but the last, and compares their stamps. */
void seq_begin(struct tree_fixture *f, struct tree_seq *seq);
/* Computes up to token `end`, publishes full pages and compares the stamps. */
void seq_compute(struct tree_fixture *f, struct tree_seq *seq, uint32_t end);
/* Drops the pages that no later token sees. */
void seq_drop_left(struct tree_fixture *f, struct tree_seq *seq);
/* Gives the pages back, to the tree where it keeps them. */
void seq_end(struct tree_fixture *f, struct tree_seq *seq);
/* Runs a sequence from its first token to its end.  Returns the tokens that the tree had. */
uint32_t seq_run(struct tree_fixture *f, struct tree_seq *seq);

#endif
