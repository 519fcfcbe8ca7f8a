/* SPDX-License-Identifier: MIT */
/* prefix_tree -- which tokens' keys and values are in which pages: a radix tree over pages.
 *
 * A node is a page, and has the page's id: a child of another full page, or of the root, with the
 * tokens that the page holds.  A full page may have children; one that is partly filled is a leaf.
 * The path from the root to a page is the whole text that its keys and values depend on, and tokens
 * are compared, never only hashed.  So the tree needs no memory but a node and a page's tokens for
 * every page that there is, and it cannot run out before the pages do.
 *
 * A page enters when it is full, or at its sequence's end; the pool then counts the tree as one of
 * its readers (qr_page_pool_keep), which makes it read-only.  Where the tree has the same tokens
 * already, the sequence goes on with the tree's page and its own goes back, which is why a sequence
 * that reads a page in the tree reads all pages above it too.  Sequences let their pages go from
 * the last to the first (qr_page_table_clear), so the coldest page of the pool never has a child
 * and is the one to evict.
 *
 * Where sequences have a sliding window (qr_prefix_tree_set_windowed) they let pages go from the
 * first on as well, while they read later ones: then the coldest page may have children, and takes
 * all below it out of the tree when it is evicted, as no text would find them any more.  Those that
 * are cached become free; those that a sequence reads are its own from then on, and what it
 * computes after them does not enter.
 *
 * Salts keep texts apart: nothing is shared between two of them.
 *
 * Siblings stand in order of their tokens in a balanced tree: a look at a page costs O(log n)
 * comparisons among n siblings, however much these resemble each other.
 *
 * Thread: engine only.   Memory: the caller's, fixed at init.
 * Invariant: a page is in the tree if and only if the pool says that it is kept; no node's tokens
 * begin a sibling's; without windows every page above one that a sequence reads is
 * read by a sequence too. */
#ifndef QR_CACHE_PREFIX_TREE_H
#define QR_CACHE_PREFIX_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "cache/page_pool.h"
#include "cache/page_table.h"
#include "cache/siblings.h"

struct qr_prefix_salt {
    uint64_t words[2];
};

struct qr_prefix_node {
    struct qr_prefix_salt salt; /* of a child of the root; others have their ancestor's */
    qr_page_id parent;          /* QR_PAGE_NONE: the root */
    qr_page_id children;        /* the top of them; QR_PAGE_NONE: none */
    uint32_t tokens_n;          /* 1 to page_tokens; 0: this page is not in the tree */
};

struct qr_prefix_tree {
    struct qr_page_pool *pool;
    struct qr_prefix_node *nodes; /* [pages_n], by page */
    struct qr_sibling *siblings;  /* [pages_n] */
    int32_t *tokens;              /* [pages_n][page_tokens] */
    uint32_t *marks;              /* [pages_n], for qr_prefix_tree_check only */
    uint32_t page_tokens;
    bool windowed;       /* sequences let pages go from the first on, too */
    qr_page_id children; /* the root's */
    uint64_t evictions;
};

/* memory: aligned for a uint64_t. */
size_t qr_prefix_tree_bytes(uint32_t pages_n, uint32_t page_tokens);
/* pool has no page that is kept, and stays the caller's. */
void qr_prefix_tree_init(struct qr_prefix_tree *tree, void *memory, struct qr_page_pool *pool,
                         uint32_t page_tokens);
/* Whether sequences have a sliding window; the tree is empty. */
void qr_prefix_tree_set_windowed(struct qr_prefix_tree *tree, bool windowed);

/* How many of the tokens, from the first on, are in pages, and these pages' ids: one more than
 * full pages if the match ends inside one.  pages: room for qr_pages_for(tokens_n).  Nothing is
 * held by it: the pages are the tree's until somebody shares them. */
uint32_t qr_prefix_tree_match(const struct qr_prefix_tree *tree, struct qr_prefix_salt salt,
                              const int32_t *tokens, uint32_t tokens_n, qr_page_id *pages);

/* A sequence's computed full pages enter, from page `from` on, which the ones before have done.
 * tokens: the sequence's, [table->length].  Page from - 1 is no hole.  Returns how many of its
 * pages are now done: full ones, in the tree, or, with windows, never to be there, as the ones
 * above them have been evicted. */
uint32_t qr_prefix_tree_add(struct qr_prefix_tree *tree, struct qr_prefix_salt salt,
                            struct qr_page_table *table, const int32_t *tokens, uint32_t from);
/* At a sequence's end, all its pages enter, the last one too if it is partly filled. */
void qr_prefix_tree_add_last(struct qr_prefix_tree *tree, struct qr_prefix_salt salt,
                             struct qr_page_table *table, const int32_t *tokens, uint32_t from);

/* Takes a partly filled page that a sequence reads out of the tree: if it is the only one, it may
 * write into it.  O(log n) among its siblings. */
void qr_prefix_tree_release(struct qr_prefix_tree *tree, qr_page_id page);

/* The pages above one that is in the tree are as warm as if they had just been let go. */
void qr_prefix_tree_warm(struct qr_prefix_tree *tree, qr_page_id page);

/* Frees the CACHED page that has been so the longest, and with windows takes all below it out of
 * the tree.  False: there is none.  O(log n) among its siblings, for each node that goes. */
QR_MUST_CHECK bool qr_prefix_tree_evict(struct qr_prefix_tree *tree);

/* Asserts the invariant.  O(pages log pages). */
void qr_prefix_tree_check(const struct qr_prefix_tree *tree);

#endif
