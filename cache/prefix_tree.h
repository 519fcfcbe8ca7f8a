/* SPDX-License-Identifier: MIT */
/* prefix_tree -- which tokens' keys and values are in which pages: a radix tree over pages.
 *
 * A node stands for a page's tokens, a child of another full one, or of the root, and has the page
 * that holds their keys and values.  A full node may have children; one that is partly filled is a
 * leaf.  The path from the root to a node is the whole text that its keys and values depend on, and
 * tokens are compared, never only hashed.
 *
 * A page enters when it is full, or at its sequence's end; the pool then counts the tree as one of
 * its readers (qr_page_pool_keep), which makes it read-only.  Where the tree has the same tokens
 * and a page for them, the sequence goes on with the tree's page and its own goes back.  So a
 * sequence that reads a page in the tree reads all pages above it too.  Sequences let their pages
 * go from the last to the first, so the coldest page of the pool never has a child and is the one
 * to evict; its node goes with it.  There is a node for every page then, and nodes cannot run out
 * before pages do.
 *
 * Windows.  Where a token sees only the `window` last ones, a hit of so many tokens reads only the
 * pages that the next token sees (qr_prefix_tree_first), and a node outlives its page as long as
 * one below it has one: every leaf has a page.  A page that comes again for the same tokens takes
 * its place.  Sequences let pages go from the first on, too, and these are evicted first, but for
 * those that are sought: the ones that a text which ended needs to be found again, whole or all but
 * its last token, and the ones that a text was found by.  So before any page that a full hit reads
 * go all that only lead there.
 * A node that is wanted when none is left is made free by evicting pages, the coldest of the sought
 * first (the others mostly have children, and free no node).  There must be as many nodes as those
 * that run can have on their ways at once, or there may be none to be had.
 *
 * Salts keep texts apart: nothing is shared between two of them.
 *
 * Siblings stand in order of their tokens in a balanced tree: a look at a page costs O(log n)
 * comparisons among n siblings, however much these resemble each other.
 *
 * Thread: engine only.   Memory: the caller's, fixed at init.
 * Invariant: a page is some node's if and only if the pool says that it is kept; a leaf has a page,
 * and without a window every node has; no node's tokens begin a sibling's; without a window every
 * page above one that a sequence reads is read by a sequence too. */
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

typedef uint32_t qr_node_id;
#define QR_NODE_NONE UINT32_MAX

struct qr_prefix_limits {
    uint32_t nodes_n;     /* the pool's pages or more; with a window also those of all running
                             sequences' longest texts */
    uint32_t page_tokens; /* a power of two */
    uint32_t window;      /* tokens that each one sees, itself among them; 0: all before it */
};

struct qr_prefix_node {
    struct qr_prefix_salt salt; /* of a child of the root; others have their ancestor's */
    qr_node_id parent;          /* QR_NODE_NONE: the root; of a free one: the next free one */
    qr_node_id children;        /* the top of them; QR_NODE_NONE: none */
    qr_page_id page;            /* QR_PAGE_NONE: it is gone */
    uint32_t tokens_n;          /* 1 to page_tokens; 0: this node is free */
};

struct qr_prefix_tree {
    struct qr_page_pool *pool;
    struct qr_prefix_limits limits;
    struct qr_prefix_node *nodes; /* [nodes_n] */
    struct qr_sibling *siblings;  /* [nodes_n], marked if they have a page */
    int32_t *tokens;              /* [nodes_n][page_tokens] */
    qr_node_id *node_of;          /* [pages_n], of a kept page */
    uint32_t *marks;              /* [pages_n], for qr_prefix_tree_check only */
    uint32_t used_n;              /* nodes from this one on have never been used */
    uint32_t live_n;              /* nodes that are in the tree */
    qr_node_id free;              /* of those that were used before */
    qr_node_id children;          /* the root's */
    uint64_t evictions;
};

/* memory: aligned for a uint64_t. */
size_t qr_prefix_tree_bytes(const struct qr_prefix_limits *limits, uint32_t pages_n);
/* pool has no page that is kept, and stays the caller's.  limits is copied. */
void qr_prefix_tree_init(struct qr_prefix_tree *tree, void *memory, struct qr_page_pool *pool,
                         const struct qr_prefix_limits *limits);

/* The first page that a sequence with so many tokens computed reads: the one that its next token's
 * window begins in, but no later than its last full one, which the next enters below (that makes a
 * difference only where a window is no longer than a page). */
static inline uint32_t qr_prefix_tree_first(const struct qr_prefix_tree *tree, uint32_t tokens_n)
{
    uint32_t first = qr_window_first(tree->limits.window, tree->limits.page_tokens, tokens_n);
    uint32_t full_n = tokens_n / tree->limits.page_tokens;

    return first > 0 && first >= full_n ? full_n - 1 : first;
}

/* The most tokens, from the first on, of which all pages that the next one sees are there, and
 * these pages' ids: one more than full pages if the match ends inside one, and QR_PAGE_NONE for
 * those before qr_prefix_tree_first.  pages: room for qr_pages_for(tokens_n).  Nothing is held by
 * it: the pages are the tree's until somebody shares them. */
uint32_t qr_prefix_tree_match(const struct qr_prefix_tree *tree, struct qr_prefix_salt salt,
                              const int32_t *tokens, uint32_t tokens_n, qr_page_id *pages);
/* A table that reads what was matched: its pages are sought from now on. */
void qr_prefix_tree_adopt(struct qr_prefix_tree *tree, struct qr_page_table *table,
                          const qr_page_id *pages, uint32_t tokens_n);

/* A sequence's computed full pages enter, from page `from` on, which the ones before have done.
 * tokens: the sequence's, [table->length].  Page from - 1 is no hole.  Returns how many of its
 * pages are now in the tree: all full ones.  Evicts where nodes run out. */
uint32_t qr_prefix_tree_add(struct qr_prefix_tree *tree, struct qr_prefix_salt salt,
                            struct qr_page_table *table, const int32_t *tokens, uint32_t from);
/* A sequence ends: all its pages enter, the last one too if it is partly filled (not where the tree
 * has more of that page's tokens, and no page for them any more), and its table is cleared.  What
 * its text needs to be found again is sought, and the pages before a window come after those that
 * it let go now: O(its length). */
void qr_prefix_tree_end(struct qr_prefix_tree *tree, struct qr_prefix_salt salt,
                        struct qr_page_table *table, const int32_t *tokens, uint32_t from);

/* Takes a partly filled page that a sequence reads out of the tree: if it is the only one, it may
 * write into it.  O(log n) among its siblings. */
void qr_prefix_tree_release(struct qr_prefix_tree *tree, qr_page_id page);

/* Frees the CACHED page that is to go next (qr_page_pool_coldest).  A leaf goes with it, and so do
 * those above it that have neither a page nor a child then.  False: there is none.  O(log n) among
 * its siblings, for each node that goes. */
QR_MUST_CHECK bool qr_prefix_tree_evict(struct qr_prefix_tree *tree);

/* Asserts the invariant.  O(nodes log nodes). */
void qr_prefix_tree_check(const struct qr_prefix_tree *tree);

#endif
