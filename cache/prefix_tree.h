/* SPDX-License-Identifier: MIT */
/* prefix_tree -- which tokens' keys and values are in which pages: a radix tree over pages.
 *
 *     page_tokens 4, window 6; [..] a node's tokens, # its page, - a page that was evicted
 *
 *     root -- [a b c d] - -- [e f g h] # -- [i j k l] # -- [m n] #
 *                                        \- [i j x y] #
 *
 *     A hit of a..n reads the pages of the last 6 tokens: [i j k l] and [m n], and [e f g h] from g
 * on. The first node outlives its page, because nodes below it have pages.
 *
 * A node holds the tokens of one page and has the page with their keys and values.  Only full nodes
 * have children.  The path from the root to a node is the whole text that its keys and values
 * depend on.  Tokens are compared, never only hashed.
 *
 * A page is published when it is full, or when its sequence ends.  The pool then counts the tree as
 * one of its readers (qr_page_pool_keep), so the page is read-only.  If the tree has a page for the
 * same tokens, the sequence continues with the tree's page and returns its own.  So a sequence that
 * reads a page of the tree also reads all pages above it.  Sequences drop their pages from last to
 * first, so the coldest page has no child.  Evicting it removes its node too, and nodes cannot run
 * out before pages do.
 *
 * Windows.  If a token sees only the last `window` tokens, a hit reads only the pages that the next
 * token sees (qr_prefix_tree_first).  A node outlives its page while a node below it has a page; a
 * leaf always has one.  A page that is computed again takes its node's place.  Sequences then drop
 * their first pages too.  Pages that no full hit reads are evicted first: those that a text needs
 * to be found again, whole or all but its last token, and those by which a text was found, are
 * protected. If no node is free, pages are evicted until one is, protected pages first, because the
 * others mostly have children and free no node.  There must be as many nodes as running sequences
 * can need at once.
 *
 * Texts of different salts share nothing.  Siblings are in a balanced tree by their tokens: finding
 * one among n takes O(log n) comparisons, however similar they are.
 *
 * Thread: engine only.   Memory: the caller's, fixed at init.
 * Invariant: a page belongs to a node if and only if the pool says that it is kept.  A leaf has a
 * page; without a window every node has.  No node's tokens begin a sibling's.  Without a window
 * every page above one that a sequence reads is read by a sequence too. */
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
    uint32_t window;      /* tokens that each token sees, itself included; 0: all */
};

struct qr_prefix_node {
    struct qr_prefix_salt salt; /* of a child of the root; the others have their ancestor's */
    qr_node_id parent;          /* QR_NODE_NONE: the root; of a free node: the next free one */
    qr_node_id children;        /* the top of them; QR_NODE_NONE: none */
    qr_page_id page;            /* QR_PAGE_NONE: evicted */
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
    qr_node_id free;              /* nodes that were used before */
    qr_node_id children;          /* the root's */
    uint64_t evictions;
};

/* memory: aligned for a uint64_t. */
size_t qr_prefix_tree_bytes(const struct qr_prefix_limits *limits, uint32_t pages_n);
/* pool outlives the tree and has no kept page.  limits is copied. */
void qr_prefix_tree_init(struct qr_prefix_tree *tree, void *memory, struct qr_page_pool *pool,
                         const struct qr_prefix_limits *limits);

/* The first page that a sequence with tokens_n computed tokens reads: the one in which its next
 * token's window begins, but not after its last full page, under which the next page is published.
 */
static inline uint32_t qr_prefix_tree_first(const struct qr_prefix_tree *tree, uint32_t tokens_n)
{
    uint32_t first = qr_window_first(tree->limits.window, tree->limits.page_tokens, tokens_n);
    uint32_t full_n = tokens_n / tree->limits.page_tokens;

    return first > 0 && first >= full_n ? full_n - 1 : first;
}

/* The longest match from the first token on for which all pages that the next token sees are
 * cached. Writes these pages' ids: one more than full pages if the match ends inside a page,
 * QR_PAGE_NONE before qr_prefix_tree_first.  pages: room for qr_pages_for(tokens_n).  The match
 * holds no page: qr_prefix_tree_adopt does. */
uint32_t qr_prefix_tree_match(const struct qr_prefix_tree *tree, struct qr_prefix_salt salt,
                              const int32_t *tokens, uint32_t tokens_n, qr_page_id *pages);
/* Makes a table read the matched pages and protects them. */
void qr_prefix_tree_adopt(struct qr_prefix_tree *tree, struct qr_page_table *table,
                          const qr_page_id *pages, uint32_t tokens_n);

/* Publishes a sequence's full pages from page `from` on; those before are published.  tokens: the
 * sequence's, [table->length].  Page from - 1 is not a hole.  Returns how many of its pages are in
 * the tree now: all full ones.  Evicts if nodes run out. */
uint32_t qr_prefix_tree_add(struct qr_prefix_tree *tree, struct qr_prefix_salt salt,
                            struct qr_page_table *table, const int32_t *tokens, uint32_t from);
/* Ends a sequence: publishes all its pages and clears its table.  A partly filled last page is
 * published too, unless the tree has more of that page's tokens but has lost their page.  Protects
 * the pages that the text needs to be found again.  The pages before a window become warmer than
 * those dropped now.  O(its length). */
void qr_prefix_tree_end(struct qr_prefix_tree *tree, struct qr_prefix_salt salt,
                        struct qr_page_table *table, const int32_t *tokens, uint32_t from);

/* Takes a partly filled page out of the tree, so that its only reading sequence may write into it.
 * O(log n) among its siblings. */
void qr_prefix_tree_release(struct qr_prefix_tree *tree, qr_page_id page);

/* Evicts the coldest CACHED page (qr_page_pool_coldest).  Removes its node if it is a leaf, and the
 * nodes above it that then have neither a page nor a child.  False: no page is CACHED.  O(log n)
 * among the siblings of each removed node. */
QR_MUST_CHECK bool qr_prefix_tree_evict(struct qr_prefix_tree *tree);

/* Asserts the invariant.  O(nodes log nodes). */
void qr_prefix_tree_check(const struct qr_prefix_tree *tree);

#endif
