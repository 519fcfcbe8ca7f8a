/* SPDX-License-Identifier: MIT */
/* prefix_tree -- maps texts to the pages with their keys and values: a radix tree over pages.
 *
 *     page_tokens 4, window 6
 *
 *     root -- [a b c d] - -- [e f g h] # -- [i j k l] # -- [m n] #
 *                                        \- [i j x y] #
 *
 *     [..] tokens of a node; # it has its page; - its page was evicted
 *
 * In the picture a hit of a..n needs the pages that the token after n sees: its window is j..n and
 * itself, so [i j k l] and [m n].  The first node outlives its page, because nodes below it have
 * pages.
 *
 * A node has the tokens of one page, and the page with their keys and values.  Only full nodes have
 * children.  The path from the root to a node is the whole text that the node's keys and values
 * depend on.  Tokens are compared, never only hashed.
 *
 * A page is published when it is full or when its sequence ends.  The pool then counts the tree as
 * a reader of the page (qr_page_pool_keep), so the page is read-only.  If the tree already has a
 * page for the same tokens, the sequence continues with that page and drops its own.
 *
 * Eviction without a window.  A sequence that reads a page of the tree also reads all pages above
 * it, and drops its pages from last to first.  So the coldest page has no children.  Its eviction
 * frees its node too, so nodes cannot run out before pages do.
 *
 * Windows.  A token sees only the last `window` tokens, so a hit reads only the pages that the next
 * token sees (qr_prefix_tree_first), and sequences drop their first pages while they run.  So a
 * cold page may have children.  A node outlives its page while a node below it has a page.  When
 * the same tokens are computed again, the node gets the new page.
 *
 * Protected pages.  With a window, pages that no full hit reads are evicted first.  The others are
 * protected.  When a text ends, the tree protects the pages that a hit of the whole text reads, and
 * those that a hit of all but its last token reads.  A hit protects the pages that it reads.
 *
 * Nodes.  If no node is free, pages are evicted until one is.  Protected pages then go first: most
 * unprotected pages have children, and evicting them frees no node.  limits.nodes_n must cover what
 * all running sequences need at once.
 *
 * Texts of different salts share nothing.  Siblings form a balanced tree by their tokens, so a
 * child is found among n in O(log n) comparisons, however similar they are.
 *
 * Thread: engine only.   Memory: the caller's, fixed at init.
 * Invariant: a page belongs to a node if and only if the pool says that it is kept.  A leaf has a
 * page; without a window every node has one.  No node's tokens are a prefix of a sibling's.
 * Without a window, all pages above a page that a sequence reads are read by sequences too. */
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
    uint32_t nodes_n;     /* at least the pool's pages; with a window, plus the pages of the longest
                             texts of all running sequences */
    uint32_t page_tokens; /* a power of two */
    uint32_t window;      /* tokens that each token sees, itself included; 0: all */
};

struct qr_prefix_node {
    struct qr_prefix_salt salt; /* used in children of the root only */
    qr_node_id parent;          /* QR_NODE_NONE: the root; of a free node: the next free node */
    qr_node_id children;        /* the top of their balanced tree; QR_NODE_NONE: no child */
    qr_page_id page;            /* QR_PAGE_NONE: evicted */
    uint32_t tokens_n;          /* 1 to page_tokens; 0: this node is free */
};

struct qr_prefix_tree {
    struct qr_page_pool *pool;
    struct qr_prefix_limits limits;
    struct qr_prefix_node *nodes; /* [nodes_n] */
    struct qr_sibling *siblings;  /* [nodes_n], marked if the node has a page */
    int32_t *tokens;              /* [nodes_n][page_tokens] */
    qr_node_id *node_of;          /* [pages_n], of a kept page */
    uint32_t *marks;              /* [pages_n], for qr_prefix_tree_check only */
    uint32_t used_n;              /* nodes from this one on have never been used */
    uint32_t live_n;              /* nodes in the tree */
    qr_node_id free;              /* free nodes below used_n */
    qr_node_id children;          /* the root's */
    uint64_t evictions;
};

/* memory: aligned for a uint64_t. */
size_t qr_prefix_tree_bytes(const struct qr_prefix_limits *limits, uint32_t pages_n);
/* pool outlives the tree and has no kept page.  limits is copied. */
void qr_prefix_tree_init(struct qr_prefix_tree *tree, void *memory, struct qr_page_pool *pool,
                         const struct qr_prefix_limits *limits);

/* The first page that a sequence with tokens_n computed tokens reads: the one in which the next
 * token's window begins, or the last full page if that comes first.  The sequence needs its last
 * full page to publish the next one as its child. */
static inline uint32_t qr_prefix_tree_first(const struct qr_prefix_tree *tree, uint32_t tokens_n)
{
    uint32_t first = qr_window_first(tree->limits.window, tree->limits.page_tokens, tokens_n);
    uint32_t full_n = tokens_n / tree->limits.page_tokens;

    return first > 0 && first >= full_n ? full_n - 1 : first;
}

/* The length of the longest prefix of the tokens for which the tree has all pages that the next
 * token sees.  Writes the prefix's page ids: QR_PAGE_NONE before qr_prefix_tree_first, and last a
 * page of which only a part matches, if the match ends inside a page.  pages has room for
 * qr_pages_for(tokens_n).  The match does not become a reader of the pages: adopt does that. */
uint32_t qr_prefix_tree_match(const struct qr_prefix_tree *tree, struct qr_prefix_salt salt,
                              const int32_t *tokens, uint32_t tokens_n, qr_page_id *pages);
/* Makes an empty table a reader of the matched pages.  With a window, protects them. */
void qr_prefix_tree_adopt(struct qr_prefix_tree *tree, struct qr_page_table *table,
                          const qr_page_id *pages, uint32_t tokens_n);

/* Publishes a sequence's full pages from page `from` on; those before are published already.
 * tokens: the sequence's, [table->length].  Page from - 1 is not a hole.  Returns the number of its
 * full pages, all of which are now in the tree.  Evicts if nodes run out. */
uint32_t qr_prefix_tree_add(struct qr_prefix_tree *tree, struct qr_prefix_salt salt,
                            struct qr_page_table *table, const int32_t *tokens, uint32_t from);
/* Ends a sequence: publishes all its pages and clears its table.  A partly filled last page is
 * published too, unless the tree has a node that continues its tokens but has lost the page.  With
 * a window, protects the text's pages (see above); the pages before the window become warmer than
 * the ones that are dropped now.  O(its length). */
void qr_prefix_tree_end(struct qr_prefix_tree *tree, struct qr_prefix_salt salt,
                        struct qr_page_table *table, const int32_t *tokens, uint32_t from);

/* Removes a partly filled page from the tree, so that the one sequence that reads it may write into
 * it.  O(log n) among its siblings. */
void qr_prefix_tree_release(struct qr_prefix_tree *tree, qr_page_id page);

/* Evicts the coldest CACHED page (qr_page_pool_coldest).  If its node is a leaf, removes it and the
 * nodes above that then have neither a page nor a child.  False: no page is CACHED.  O(log n) among
 * the siblings of each removed node. */
QR_MUST_CHECK bool qr_prefix_tree_evict(struct qr_prefix_tree *tree);

/* Asserts the invariant.  O(nodes log nodes). */
void qr_prefix_tree_check(const struct qr_prefix_tree *tree);

#endif
