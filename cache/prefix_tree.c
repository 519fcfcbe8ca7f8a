/* SPDX-License-Identifier: MIT */
#include "cache/prefix_tree.h"

#include <assert.h>
#include <stdalign.h>
#include <string.h>

#define NONE QR_NODE_NONE

static_assert(NONE == QR_SIBLING_NONE, "a node's id is its sibling's index");

/* Where tokens stand among the children of a node. */
struct place {
    qr_node_id at;     /* the last one looked at; NONE: there are no children */
    bool left;         /* the tokens would stand left of it */
    qr_node_id best;   /* a child with most tokens in common; NONE: none has any */
    uint32_t common_n; /* so many */
};

static const int32_t *tokens_of(const struct qr_prefix_tree *tree, qr_node_id node)
{
    return tree->tokens + (size_t)node * tree->limits.page_tokens;
}

/* The top of a node's children, or of the root's. */
static qr_node_id *children_of(struct qr_prefix_tree *tree, qr_node_id parent)
{
    return parent == NONE ? &tree->children : &tree->nodes[parent].children;
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

/* Where the tokens stand beside a child of `parent`, as compare_tokens says it. */
static int compare_child(const struct qr_prefix_tree *tree, const struct qr_prefix_salt *salt,
                         qr_node_id parent, const int32_t *tokens, uint32_t tokens_n,
                         qr_node_id child, uint32_t *common_n)
{
    const struct qr_prefix_node *node = &tree->nodes[child];
    int order = parent == NONE ? compare_salts(salt, &node->salt) : 0;

    *common_n = 0;
    if (order != 0) return order;
    return compare_tokens(tokens, tokens_n, tokens_of(tree, child), node->tokens_n, common_n);
}

/* The child with the longest beginning of the tokens is a neighbour of the place where they would
 * stand, and both neighbours are on the way to it. */
static struct place find(const struct qr_prefix_tree *tree, const struct qr_prefix_salt *salt,
                         qr_node_id parent, const int32_t *tokens, uint32_t tokens_n)
{
    qr_node_id child = parent == NONE ? tree->children : tree->nodes[parent].children;
    struct place place = {.at = NONE, .best = NONE};

    while (child != NONE) {
        uint32_t common_n;
        int order = compare_child(tree, salt, parent, tokens, tokens_n, child, &common_n);

        if (common_n > place.common_n) {
            place.best = child;
            place.common_n = common_n;
        }
        place.at = child;
        place.left = order < 0;
        if (order == 0) break;
        child = order < 0 ? tree->siblings[child].left : tree->siblings[child].right;
    }
    return place;
}

/* A child with a page that has the longest beginning of the tokens of all that have one: the
 * nearest of these before or behind the place where the tokens would stand. */
static qr_node_id find_paged(const struct qr_prefix_tree *tree, const struct qr_prefix_salt *salt,
                             qr_node_id parent, const int32_t *tokens, uint32_t tokens_n,
                             uint32_t *common_n)
{
    const struct qr_sibling *all = tree->siblings;
    qr_node_id child = parent == NONE ? tree->children : tree->nodes[parent].children;
    qr_node_id near[2] = {NONE, NONE}; /* it, or else what is before or behind it in its part */
    qr_node_id best = NONE;
    uint32_t n;

    *common_n = 0;
    while (child != NONE) {
        int order = compare_child(tree, salt, parent, tokens, tokens_n, child, &n);
        qr_node_id left = all[child].left, right = all[child].right;
        if (order >= 0 && (all[child].marked || (left != NONE && all[left].any))) near[0] = child;
        if (order <= 0 && (all[child].marked || (right != NONE && all[right].any))) near[1] = child;
        if (order == 0) break;
        child = order < 0 ? left : right;
    }
    for (int behind = 0; behind < 2; behind++) {
        qr_node_id at = near[behind];
        if (at == NONE) continue;
        if (!all[at].marked)
            at = behind ? qr_sibling_first_marked(all, all[at].right)
                        : qr_sibling_last_marked(all, all[at].left);
        compare_child(tree, salt, parent, tokens, tokens_n, at, &n);
        if (n <= *common_n) continue;
        best = at;
        *common_n = n;
    }
    return best;
}

static void check_node(const struct qr_prefix_tree *tree, qr_node_id id)
{
    const struct qr_prefix_node *node = &tree->nodes[id];
    bool top = node->parent == NONE;
    qr_node_id next = qr_sibling_next(tree->siblings, id);

    assert(node->tokens_n <= tree->limits.page_tokens);
    assert(node->tokens_n == tree->limits.page_tokens || node->children == NONE);
    assert(node->page != QR_PAGE_NONE || (tree->limits.window != 0 && node->children != NONE));
    assert(tree->siblings[id].marked == (node->page != QR_PAGE_NONE));
    if (node->page != QR_PAGE_NONE)
        assert(qr_page_pool_kept(tree->pool, node->page) && tree->node_of[node->page] == id);
    if (!top) {
        const struct qr_prefix_node *parent = &tree->nodes[node->parent];
        assert(parent->tokens_n == tree->limits.page_tokens);
        /* Whoever reads this page reads the one above it. */
        if (tree->limits.window == 0)
            assert(tree->pool->refs[node->page] == 1 || tree->pool->refs[parent->page] > 1);
    }
    qr_sibling_check(tree->siblings, top ? tree->children : tree->nodes[node->parent].children, id);
    if (next != NONE) {
        const struct qr_prefix_node *after = &tree->nodes[next];
        int order = top ? compare_salts(&node->salt, &after->salt) : 0;
        uint32_t common_n = 0;
        assert(after->tokens_n > 0 && after->parent == node->parent);
        if (order == 0)
            order = compare_tokens(tokens_of(tree, id), node->tokens_n, tokens_of(tree, next),
                                   after->tokens_n, &common_n);
        assert(order < 0 && common_n < node->tokens_n);
    }
}

/* A cached page is colder than the one above it, and none goes after the others because it is
 * protected: so the coldest is a leaf. */
static void check_order(const struct qr_prefix_tree *tree)
{
    const struct qr_page_list *cached = &tree->pool->cached[0];
    uint32_t n = 0;

    assert(tree->pool->cached[1].coldest == QR_PAGE_NONE);
    for (qr_page_id page = 0; page < tree->pool->pages_n; page++)
        tree->marks[page] = 0;
    for (qr_page_id page = cached->coldest; page != QR_PAGE_NONE; page = tree->pool->warmer[page])
        tree->marks[page] = ++n;
    for (qr_page_id page = cached->coldest; page != QR_PAGE_NONE; page = tree->pool->warmer[page]) {
        qr_node_id parent = tree->nodes[tree->node_of[page]].parent;
        if (parent != NONE && tree->marks[tree->nodes[parent].page] > 0)
            assert(tree->marks[page] < tree->marks[tree->nodes[parent].page]);
    }
}

void qr_prefix_tree_check(const struct qr_prefix_tree *tree)
{
    uint32_t live_n = 0, paged_n = 0, kept_n = 0, free_n = 0;

    for (qr_node_id id = 0; id < tree->used_n; id++) {
        if (tree->nodes[id].tokens_n == 0) continue;
        check_node(tree, id);
        live_n++;
        paged_n += tree->nodes[id].page != QR_PAGE_NONE;
    }
    for (qr_node_id id = tree->free; id != NONE; id = tree->nodes[id].parent)
        assert(tree->nodes[id].tokens_n == 0 && free_n++ < tree->used_n);
    for (qr_page_id page = 0; page < tree->pool->pages_n; page++)
        kept_n += qr_page_pool_kept(tree->pool, page);
    assert(paged_n == kept_n);
    assert(live_n == tree->live_n && live_n + free_n == tree->used_n);
    assert(tree->used_n <= tree->limits.nodes_n);
    if (tree->limits.window == 0) check_order(tree);
}

/* Takes a leaf's page from the tree, and the leaf, and those above it that are nothing without. */
static void remove_leaf(struct qr_prefix_tree *tree, qr_node_id id)
{
    assert(tree->nodes[id].page != QR_PAGE_NONE);
    qr_page_pool_unkeep(tree->pool, tree->nodes[id].page);
    do {
        struct qr_prefix_node *node = &tree->nodes[id];
        qr_node_id parent = node->parent;
        assert(node->tokens_n > 0 && node->children == NONE);
        qr_sibling_remove(tree->siblings, children_of(tree, parent), id);
        node->tokens_n = 0;
        node->parent = tree->free;
        tree->free = id;
        tree->live_n--;
        id = parent;
    } while (id != NONE && tree->nodes[id].page == QR_PAGE_NONE &&
             tree->nodes[id].children == NONE);
}

static void evict_page(struct qr_prefix_tree *tree, qr_page_id page)
{
    qr_node_id id = tree->node_of[page];

    tree->evictions++;
    if (tree->nodes[id].children == NONE) {
        remove_leaf(tree, id);
        return;
    }
    assert(tree->limits.window != 0);
    qr_page_pool_unkeep(tree->pool, page);
    tree->nodes[id].page = QR_PAGE_NONE;
    qr_sibling_mark(tree->siblings, id, false);
}

/* Whether pages had to be evicted for it: the coldest protected ones, until one was a leaf. */
static bool make_node_free(struct qr_prefix_tree *tree)
{
    bool evicts = false;

    while (tree->live_n == tree->limits.nodes_n) {
        qr_page_id page = qr_page_pool_coldest_protected(tree->pool);
        assert(page != QR_PAGE_NONE); /* limits.nodes_n is enough for those that run */
        evict_page(tree, page);
        evicts = true;
    }
    return evicts;
}

static qr_node_id take_node(struct qr_prefix_tree *tree)
{
    qr_node_id id = tree->free;

    tree->live_n++;
    if (id == NONE) return tree->used_n++;
    tree->free = tree->nodes[id].parent;
    return id;
}

static void keep_page(struct qr_prefix_tree *tree, qr_node_id id, qr_page_id page)
{
    tree->nodes[id].page = page;
    tree->node_of[page] = id;
    qr_page_pool_keep(tree->pool, page);
}

/* The page in the tree that holds these tokens below `parent`: `page` itself if there was none. */
static qr_page_id add(struct qr_prefix_tree *tree, const struct qr_prefix_salt *salt,
                      qr_node_id parent, const int32_t *tokens, uint32_t tokens_n, qr_page_id page)
{
    struct place place = find(tree, salt, parent, tokens, tokens_n);
    qr_node_id id;

    assert(parent == NONE || tree->nodes[parent].tokens_n == tree->limits.page_tokens);
    if (place.common_n == tokens_n) {
        if (tree->nodes[place.best].page != QR_PAGE_NONE) return tree->nodes[place.best].page;
        if (tree->nodes[place.best].tokens_n == tokens_n) {
            keep_page(tree, place.best, page);
            qr_sibling_mark(tree->siblings, place.best, true);
        }
        return page;
    }
    if (place.best != NONE && tree->nodes[place.best].tokens_n == place.common_n) {
        /* A leaf that these tokens go on from says nothing more. */
        remove_leaf(tree, place.best);
        place = find(tree, salt, parent, tokens, tokens_n);
    }
    if (make_node_free(tree)) place = find(tree, salt, parent, tokens, tokens_n);
    id = take_node(tree);
    tree->nodes[id] = (struct qr_prefix_node){
        .salt = *salt, .parent = parent, .children = NONE, .tokens_n = tokens_n};
    memcpy(tree->tokens + (size_t)id * tree->limits.page_tokens, tokens,
           tokens_n * sizeof tokens[0]);
    qr_sibling_insert(tree->siblings, children_of(tree, parent), id, place.at, place.left, true);
    keep_page(tree, id, page);
    return page;
}

/* Every node of a sequence's path above this page is in the tree, and has its page or not. */
static qr_node_id parent_of(const struct qr_prefix_tree *tree, const struct qr_page_table *table,
                            uint32_t i)
{
    assert(i == 0 || (i > table->first && qr_page_pool_kept(tree->pool, table->pages[i - 1])));
    return i == 0 ? NONE : tree->node_of[table->pages[i - 1]];
}

static size_t nodes_bytes(const struct qr_prefix_limits *limits, uint32_t pages_n)
{
    return (size_t)limits->nodes_n * (sizeof(struct qr_prefix_node) + sizeof(struct qr_sibling)) +
           (size_t)pages_n * (sizeof(qr_node_id) + sizeof(uint32_t));
}

static_assert(alignof(struct qr_prefix_node) >= alignof(struct qr_sibling) &&
                  alignof(struct qr_sibling) >= alignof(int32_t),
              "the parts stand behind each other");

size_t qr_prefix_tree_bytes(const struct qr_prefix_limits *limits, uint32_t pages_n)
{
    size_t bytes = nodes_bytes(limits, pages_n);

    assert(pages_n >= 1 && pages_n < QR_PAGE_NONE && limits->page_tokens >= 1);
    assert(limits->nodes_n >= pages_n && limits->nodes_n < NONE);
    assert(limits->page_tokens <= (SIZE_MAX - bytes) / sizeof(int32_t) / limits->nodes_n);
    return bytes + (size_t)limits->nodes_n * limits->page_tokens * sizeof(int32_t);
}

void qr_prefix_tree_init(struct qr_prefix_tree *tree, void *memory, struct qr_page_pool *pool,
                         const struct qr_prefix_limits *limits)
{
    size_t nodes_n = limits->nodes_n;

    assert(memory != NULL && (uintptr_t)memory % alignof(struct qr_prefix_node) == 0);
    assert(nodes_n >= pool->pages_n);
    *tree = (struct qr_prefix_tree){
        .pool = pool, .limits = *limits, .nodes = memory, .free = NONE, .children = NONE};
    tree->siblings = (struct qr_sibling *)(tree->nodes + nodes_n);
    tree->node_of = (qr_node_id *)(tree->siblings + nodes_n);
    tree->marks = tree->node_of + pool->pages_n;
    tree->tokens = (int32_t *)(tree->marks + pool->pages_n);
    for (qr_page_id page = 0; page < pool->pages_n; page++)
        assert(!qr_page_pool_kept(pool, page));
}

/* Windows: of a hit all pages from the first that is read on must be there, so for each page on the
 * way it is known since which one none is missing.  Where the text's own node has no page another
 * child's may still have some of its tokens. */
uint32_t qr_prefix_tree_match(const struct qr_prefix_tree *tree, struct qr_prefix_salt salt,
                              const int32_t *tokens, uint32_t tokens_n, qr_page_id *pages)
{
    const uint32_t page_tokens = tree->limits.page_tokens;
    qr_node_id parent = NONE;
    uint32_t best_n = 0, whole_from = 0, first;

    for (uint32_t i = 0, done_n = 0; done_n < tokens_n; i++, done_n += page_tokens) {
        uint32_t left_n = tokens_n - done_n;
        uint32_t page_n = left_n < page_tokens ? left_n : page_tokens;
        struct place place = find(tree, &salt, parent, tokens + done_n, page_n);
        qr_node_id paged = place.best;
        uint32_t paged_n = place.common_n;
        if (place.best == NONE) break;
        if (tree->nodes[paged].page == QR_PAGE_NONE)
            paged = find_paged(tree, &salt, parent, tokens + done_n, page_n, &paged_n);
        if (paged != NONE) {
            pages[i] = tree->nodes[paged].page;
            if (qr_prefix_tree_first(tree, done_n + paged_n) >= whole_from)
                best_n = done_n + paged_n;
        }
        if (place.common_n < page_tokens) break;
        if (paged != place.best) whole_from = i + 1;
        parent = place.best;
    }
    first = qr_prefix_tree_first(tree, best_n);
    for (uint32_t i = 0; i < first; i++)
        pages[i] = QR_PAGE_NONE;
    return best_n;
}

void qr_prefix_tree_adopt(struct qr_prefix_tree *tree, struct qr_page_table *table,
                          const qr_page_id *pages, uint32_t tokens_n)
{
    qr_page_table_adopt(table, tree->pool, pages, tree->limits.page_tokens, tokens_n);
    for (uint32_t i = table->first; tree->limits.window != 0 && i < table->pages_n; i++)
        qr_page_pool_protect(tree->pool, table->pages[i]);
}

uint32_t qr_prefix_tree_add(struct qr_prefix_tree *tree, struct qr_prefix_salt salt,
                            struct qr_page_table *table, const int32_t *tokens, uint32_t from)
{
    uint32_t page_tokens = tree->limits.page_tokens;
    uint32_t shift = (uint32_t)__builtin_ctz(page_tokens);

    for (; from < table->length >> shift; from++) {
        qr_page_id *own = &table->pages[from];
        qr_page_id kept = add(tree, &salt, parent_of(tree, table, from),
                              tokens + ((size_t)from << shift), page_tokens, *own);
        if (kept == *own) continue;
        qr_page_pool_share(tree->pool, kept);
        qr_page_pool_drop(tree->pool, *own);
        *own = kept;
    }
    return from;
}

/* The pages that a sequence of so many tokens lets go are protected: those from `first` on, by
 * which its text is found again. */
static void protect_held(struct qr_prefix_tree *tree, const struct qr_page_table *table,
                         uint32_t first)
{
    for (uint32_t i = first > table->first ? first : table->first; i < table->pages_n; i++)
        if (qr_page_pool_kept(tree->pool, table->pages[i]))
            qr_page_pool_protect(tree->pool, table->pages[i]);
}

/* The pages above a node become the warmest, the first of the text the most; those from `first` on
 * are protected.  depth: pages above it. */
static void warm_above(struct qr_prefix_tree *tree, qr_node_id id, uint32_t depth, uint32_t first)
{
    for (id = tree->nodes[id].parent; id != NONE; id = tree->nodes[id].parent) {
        qr_page_id page = tree->nodes[id].page;
        depth--;
        if (page == QR_PAGE_NONE) continue;
        if (depth >= first) qr_page_pool_protect(tree->pool, page);
        qr_page_pool_share(tree->pool, page);
        qr_page_pool_drop(tree->pool, page);
    }
}

void qr_prefix_tree_end(struct qr_prefix_tree *tree, struct qr_prefix_salt salt,
                        struct qr_page_table *table, const int32_t *tokens, uint32_t from)
{
    uint32_t rest_n = table->length & (tree->limits.page_tokens - 1), holes_n = table->first, first;
    uint32_t full_n = qr_prefix_tree_add(tree, salt, table, tokens, from);
    qr_node_id below = holes_n > 0 ? tree->node_of[table->pages[holes_n]] : NONE;

    if (rest_n > 0)
        add(tree, &salt, parent_of(tree, table, full_n),
            tokens + (size_t)full_n * tree->limits.page_tokens, rest_n, table->pages[full_n]);
    /* Of a text that comes again all but the last token is taken. */
    first = table->length > 0 ? qr_prefix_tree_first(tree, table->length - 1) : 0;
    if (tree->limits.window != 0) protect_held(tree, table, first);
    qr_page_table_clear(table, tree->pool);
    if (below != NONE) warm_above(tree, below, holes_n, first);
}

void qr_prefix_tree_release(struct qr_prefix_tree *tree, qr_page_id page)
{
    qr_node_id id = tree->node_of[page];

    assert(qr_page_pool_kept(tree->pool, page) && qr_page_pool_refs(tree->pool, page) > 1);
    assert(tree->nodes[id].tokens_n < tree->limits.page_tokens);
    remove_leaf(tree, id);
}

bool qr_prefix_tree_evict(struct qr_prefix_tree *tree)
{
    qr_page_id page = qr_page_pool_coldest(tree->pool);

    if (page == QR_PAGE_NONE) return false;
    evict_page(tree, page);
    return true;
}
