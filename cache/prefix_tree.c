/* SPDX-License-Identifier: MIT */
#include "cache/prefix_tree.h"

#include <assert.h>
#include <stdalign.h>
#include <string.h>

#define NONE QR_PAGE_NONE

static_assert(NONE == QR_SIBLING_NONE, "a page's id is its sibling's index");

/* Where tokens stand among the children of a node. */
struct place {
    qr_page_id at;     /* the last one looked at; NONE: there are no children */
    bool left;         /* the tokens would stand left of it */
    qr_page_id best;   /* a child with most tokens in common; NONE: none has any */
    uint32_t common_n; /* so many */
};

static const int32_t *tokens_of(const struct qr_prefix_tree *tree, qr_page_id page)
{
    return tree->tokens + (size_t)page * tree->page_tokens;
}

static int order_of(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_salts(const struct qr_prefix_salt *a, const struct qr_prefix_salt *b)
{
    int first = order_of(a->words[0], b->words[0]);

    return first != 0 ? first : order_of(a->words[1], b->words[1]);
}

/* Below 0: a stands before b.  What begins another stands before it.  *common_n: tokens that are
 * the same, from the first on. */
static int compare_tokens(const int32_t *a, uint32_t a_n, const int32_t *b, uint32_t b_n,
                          uint32_t *common_n)
{
    uint32_t least_n = a_n < b_n ? a_n : b_n, i = 0;

    while (i < least_n && a[i] == b[i])
        i++;
    *common_n = i;
    if (i < least_n) return a[i] < b[i] ? -1 : 1;
    return (a_n > b_n) - (a_n < b_n);
}

/* The child with the longest beginning of the tokens is a neighbour of the place where they would
 * stand, and both neighbours are on the way to it. */
static struct place find(const struct qr_prefix_tree *tree, const struct qr_prefix_salt *salt,
                         qr_page_id parent, const int32_t *tokens, uint32_t tokens_n)
{
    qr_page_id page = parent == NONE ? tree->children : tree->nodes[parent].children;
    struct place place = {.at = NONE, .best = NONE};

    while (page != NONE) {
        const struct qr_prefix_node *node = &tree->nodes[page];
        uint32_t common_n = 0;
        int order = parent == NONE ? compare_salts(salt, &node->salt) : 0;

        if (order == 0)
            order =
                compare_tokens(tokens, tokens_n, tokens_of(tree, page), node->tokens_n, &common_n);
        if (common_n > place.common_n) {
            place.best = page;
            place.common_n = common_n;
        }
        place.at = page;
        place.left = order < 0;
        if (order == 0) break;
        page = order < 0 ? tree->siblings[page].left : tree->siblings[page].right;
    }
    return place;
}

static void check_node(const struct qr_prefix_tree *tree, qr_page_id page)
{
    const struct qr_prefix_node *node = &tree->nodes[page];
    bool top = node->parent == NONE;
    qr_page_id next = qr_sibling_next(tree->siblings, page);

    assert(node->tokens_n <= tree->page_tokens);
    assert(node->tokens_n == tree->page_tokens || node->children == NONE);
    if (!top) {
        assert(tree->nodes[node->parent].tokens_n == tree->page_tokens);
        /* Whoever reads this page reads the one above it. */
        assert(tree->windowed || tree->pool->refs[page] == 1 || tree->pool->refs[node->parent] > 1);
    }
    qr_sibling_check(tree->siblings, top ? tree->children : tree->nodes[node->parent].children,
                     page);
    if (next != NONE) {
        const struct qr_prefix_node *after = &tree->nodes[next];
        int order = top ? compare_salts(&node->salt, &after->salt) : 0;
        uint32_t common_n = 0;
        assert(after->tokens_n > 0 && after->parent == node->parent);
        if (order == 0)
            order = compare_tokens(tokens_of(tree, page), node->tokens_n, tokens_of(tree, next),
                                   after->tokens_n, &common_n);
        assert(order < 0 && common_n < node->tokens_n);
    }
}

void qr_prefix_tree_check(const struct qr_prefix_tree *tree)
{
    uint32_t n = 0;

    for (qr_page_id page = 0; page < tree->pool->pages_n; page++) {
        assert((tree->nodes[page].tokens_n > 0) == qr_page_pool_kept(tree->pool, page));
        if (tree->nodes[page].tokens_n > 0) check_node(tree, page);
        tree->marks[page] = 0;
    }
    if (tree->windowed) return;
    /* A cached page is colder than the one above it: so the coldest is a leaf. */
    for (qr_page_id page = tree->pool->coldest; page != NONE; page = tree->pool->warmer[page])
        tree->marks[page] = ++n;
    for (qr_page_id page = tree->pool->coldest; page != NONE; page = tree->pool->warmer[page]) {
        qr_page_id parent = tree->nodes[page].parent;
        if (parent != NONE && tree->marks[parent] > 0)
            assert(tree->marks[page] < tree->marks[parent]);
    }
}

/* Takes a leaf out of the tree. */
static void forget(struct qr_prefix_tree *tree, qr_page_id page)
{
    struct qr_prefix_node *node = &tree->nodes[page];
    qr_page_id *top = node->parent == NONE ? &tree->children : &tree->nodes[node->parent].children;

    assert(node->tokens_n > 0 && node->children == NONE);
    qr_sibling_remove(tree->siblings, top, page);
    node->tokens_n = 0;
    qr_page_pool_unkeep(tree->pool, page);
}

static void insert(struct qr_prefix_tree *tree, const struct qr_prefix_salt *salt,
                   qr_page_id parent, const int32_t *tokens, uint32_t tokens_n, qr_page_id page,
                   const struct place *place)
{
    qr_page_id *top = parent == NONE ? &tree->children : &tree->nodes[parent].children;

    assert(tree->nodes[page].tokens_n == 0);
    tree->nodes[page] = (struct qr_prefix_node){
        .salt = *salt, .parent = parent, .children = NONE, .tokens_n = tokens_n};
    memcpy(tree->tokens + (size_t)page * tree->page_tokens, tokens, tokens_n * sizeof tokens[0]);
    qr_sibling_insert(tree->siblings, top, page, place->at, place->left);
    qr_page_pool_keep(tree->pool, page);
}

/* The page in the tree that holds these tokens below `parent`: `page` itself if there was none. */
static qr_page_id add(struct qr_prefix_tree *tree, const struct qr_prefix_salt *salt,
                      qr_page_id parent, const int32_t *tokens, uint32_t tokens_n, qr_page_id page)
{
    struct place place = find(tree, salt, parent, tokens, tokens_n);

    assert(parent == NONE || tree->nodes[parent].tokens_n == tree->page_tokens);
    if (place.common_n == tokens_n) return place.best;
    if (place.best != NONE && tree->nodes[place.best].tokens_n == place.common_n) {
        /* A leaf that these tokens go on from says nothing more. */
        forget(tree, place.best);
        place = find(tree, salt, parent, tokens, tokens_n);
    }
    insert(tree, salt, parent, tokens, tokens_n, page, &place);
    return page;
}

static size_t nodes_bytes(uint32_t pages_n)
{
    return (size_t)pages_n *
           (sizeof(struct qr_prefix_node) + sizeof(struct qr_sibling) + sizeof(uint32_t));
}

static_assert(alignof(struct qr_prefix_node) >= alignof(struct qr_sibling) &&
                  alignof(struct qr_sibling) >= alignof(int32_t),
              "the parts stand behind each other");

size_t qr_prefix_tree_bytes(uint32_t pages_n, uint32_t page_tokens)
{
    assert(pages_n >= 1 && pages_n < NONE && page_tokens >= 1);
    assert(page_tokens <= (SIZE_MAX - nodes_bytes(pages_n)) / sizeof(int32_t) / pages_n);
    return nodes_bytes(pages_n) + (size_t)pages_n * page_tokens * sizeof(int32_t);
}

void qr_prefix_tree_init(struct qr_prefix_tree *tree, void *memory, struct qr_page_pool *pool,
                         uint32_t page_tokens)
{
    size_t pages_n = pool->pages_n;

    assert(memory != NULL && (uintptr_t)memory % alignof(struct qr_prefix_node) == 0);
    *tree = (struct qr_prefix_tree){
        .pool = pool, .nodes = memory, .page_tokens = page_tokens, .children = NONE};
    tree->siblings = (struct qr_sibling *)(tree->nodes + pages_n);
    tree->marks = (uint32_t *)(tree->siblings + pages_n);
    tree->tokens = (int32_t *)(tree->marks + pages_n);
    for (qr_page_id page = 0; page < pages_n; page++) {
        assert(!qr_page_pool_kept(pool, page));
        tree->nodes[page].tokens_n = 0;
    }
}

void qr_prefix_tree_set_windowed(struct qr_prefix_tree *tree, bool windowed)
{
    assert(tree->children == NONE);
    tree->windowed = windowed;
}

uint32_t qr_prefix_tree_match(const struct qr_prefix_tree *tree, struct qr_prefix_salt salt,
                              const int32_t *tokens, uint32_t tokens_n, qr_page_id *pages)
{
    qr_page_id parent = NONE;
    uint32_t done_n = 0;

    while (done_n < tokens_n) {
        uint32_t left_n = tokens_n - done_n;
        uint32_t page_n = left_n < tree->page_tokens ? left_n : tree->page_tokens;
        struct place place = find(tree, &salt, parent, tokens + done_n, page_n);
        if (place.best == NONE) break;
        *pages++ = place.best;
        done_n += place.common_n;
        if (place.common_n < tree->page_tokens) break;
        parent = place.best;
    }
    return done_n;
}

/* Whether a sequence's page is out of the tree, since one above it was evicted. */
static bool is_lost(const struct qr_prefix_tree *tree, qr_page_id page)
{
    bool lost = page != NONE && !qr_page_pool_kept(tree->pool, page);

    assert(!lost || tree->windowed);
    return lost;
}

uint32_t qr_prefix_tree_add(struct qr_prefix_tree *tree, struct qr_prefix_salt salt,
                            struct qr_page_table *table, const int32_t *tokens, uint32_t from)
{
    uint32_t shift = (uint32_t)__builtin_ctz(tree->page_tokens);

    for (; from < table->length >> shift; from++) {
        qr_page_id *own = &table->pages[from];
        qr_page_id parent = from == 0 ? NONE : table->pages[from - 1], kept;

        assert(from == 0 || from > table->first);
        if (is_lost(tree, parent)) return table->length >> shift;
        kept = add(tree, &salt, parent, tokens + ((size_t)from << shift), tree->page_tokens, *own);
        if (kept == *own) continue;
        qr_page_pool_share(tree->pool, kept);
        qr_page_pool_drop(tree->pool, *own);
        *own = kept;
    }
    return from;
}

void qr_prefix_tree_add_last(struct qr_prefix_tree *tree, struct qr_prefix_salt salt,
                             struct qr_page_table *table, const int32_t *tokens, uint32_t from)
{
    uint32_t rest_n = table->length & (tree->page_tokens - 1);
    uint32_t full_n = qr_prefix_tree_add(tree, salt, table, tokens, from);

    qr_page_id parent = full_n == 0 ? NONE : table->pages[full_n - 1];

    if (rest_n == 0 || is_lost(tree, parent)) return;
    add(tree, &salt, parent, tokens + (size_t)full_n * tree->page_tokens, rest_n,
        table->pages[full_n]);
}

void qr_prefix_tree_release(struct qr_prefix_tree *tree, qr_page_id page)
{
    assert(qr_page_pool_refs(tree->pool, page) > 1);
    assert(tree->nodes[page].tokens_n < tree->page_tokens);
    forget(tree, page);
}

void qr_prefix_tree_warm(struct qr_prefix_tree *tree, qr_page_id page)
{
    assert(qr_page_pool_kept(tree->pool, page));
    for (page = tree->nodes[page].parent; page != NONE; page = tree->nodes[page].parent) {
        qr_page_pool_share(tree->pool, page);
        qr_page_pool_drop(tree->pool, page);
    }
}

bool qr_prefix_tree_evict(struct qr_prefix_tree *tree)
{
    qr_page_id page = qr_page_pool_coldest(tree->pool);

    if (page == NONE) return false;
    assert(tree->windowed || tree->nodes[page].children == NONE);
    /* Down to a leaf, and up again when it is gone: each node is met once for each of its children,
     * and no memory is needed. */
    for (qr_page_id at = page;;) {
        qr_page_id parent = tree->nodes[at].parent;
        if (tree->nodes[at].children != NONE) {
            at = tree->nodes[at].children;
            continue;
        }
        tree->evictions += qr_page_pool_refs(tree->pool, at) == 1;
        forget(tree, at);
        if (at == page) return true;
        at = parent;
    }
}
