/* SPDX-License-Identifier: MIT */
#include "cache/prefix_tree.h"

#include <assert.h>
#include <stdalign.h>
#include <string.h>

#define NONE QR_NODE_NONE

static_assert(NONE == QR_SIBLING_NONE, "a node's id is its sibling's index");

/* The tokens of one page of a text: at most page_tokens, below a node whose path is the text
 * before. */
struct page_text {
    const struct qr_prefix_salt *salt;
    qr_node_id parent; /* NONE: the root */
    const int32_t *tokens;
    uint32_t tokens_n;
};

/* Result of looking for tokens among the children of a node. */
struct child_match {
    qr_node_id at;     /* the last child on the way down; NONE: there are no children */
    bool left;         /* a node with these tokens belongs to the left of `at` */
    qr_node_id best;   /* a child with the longest common prefix; NONE: no child has any */
    uint32_t common_n; /* the length of that prefix */
};

static const int32_t *tokens_of(const struct qr_prefix_tree *tree, qr_node_id node)
{
    return tree->tokens + (size_t)node * tree->limits.page_tokens;
}

/* The top of the children of a node, or of the root (NONE). */
static qr_node_id *children_of(struct qr_prefix_tree *tree, qr_node_id parent)
{
    return parent == NONE ? &tree->children : &tree->nodes[parent].children;
}

static qr_node_id top_child(const struct qr_prefix_tree *tree, qr_node_id parent)
{
    return parent == NONE ? tree->children : tree->nodes[parent].children;
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

/* Below 0: a comes before b.  A prefix of b comes before b.  *common_n: the length of the common
 * prefix. */
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

/* Orders a page's tokens and a child of its parent, as compare_tokens; children of the root by salt
 * first. */
static int compare_child(const struct qr_prefix_tree *tree, const struct page_text *text,
                         qr_node_id child, uint32_t *common_n)
{
    const struct qr_prefix_node *node = &tree->nodes[child];
    int order = text->parent == NONE ? compare_salts(text->salt, &node->salt) : 0;

    *common_n = 0;
    if (order != 0) return order;
    return compare_tokens(text->tokens, text->tokens_n, tokens_of(tree, child), node->tokens_n,
                          common_n);
}

/* In order, the child with the longest common prefix is a neighbour of the place where the tokens
 * belong.  Both neighbours are on the way down to that place. */
static struct child_match find_child(const struct qr_prefix_tree *tree,
                                     const struct page_text *text)
{
    qr_node_id child = top_child(tree, text->parent);
    struct child_match found = {.at = NONE, .best = NONE};

    while (child != NONE) {
        uint32_t common_n;
        int order = compare_child(tree, text, child, &common_n);

        if (common_n > found.common_n) {
            found.best = child;
            found.common_n = common_n;
        }
        found.at = child;
        found.left = order < 0;
        if (order == 0) break;
        child = order < 0 ? tree->siblings[child].left : tree->siblings[child].right;
    }
    return found;
}

/* The child with the longest common prefix of all children that have a page.  It is the nearest
 * such child before or after the place where the tokens belong. */
static qr_node_id find_paged_child(const struct qr_prefix_tree *tree, const struct page_text *text,
                                   uint32_t *common_n)
{
    const struct qr_sibling *all = tree->siblings;
    qr_node_id child = top_child(tree, text->parent);
    /* The last child on the way down that is marked, or has a marked child in the subtree towards
     * the tokens: [0] before them, [1] after them. */
    qr_node_id near[2] = {NONE, NONE};
    qr_node_id best = NONE;
    uint32_t n;

    *common_n = 0;
    while (child != NONE) {
        int order = compare_child(tree, text, child, &n);
        qr_node_id left = all[child].left, right = all[child].right;
        if (order >= 0 && (all[child].marked || (left != NONE && all[left].any))) near[0] = child;
        if (order <= 0 && (all[child].marked || (right != NONE && all[right].any))) near[1] = child;
        if (order == 0) break;
        child = order < 0 ? left : right;
    }
    for (int after = 0; after < 2; after++) {
        qr_node_id at = near[after];
        if (at == NONE) continue;
        if (!all[at].marked)
            at = after ? qr_sibling_first_marked(all, all[at].right)
                       : qr_sibling_last_marked(all, all[at].left);
        compare_child(tree, text, at, &n);
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
        /* A sequence that reads this page reads the page above it too. */
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

/* Without a window no page is protected, and a cached page is colder than the page above it.  So
 * the coldest page is a leaf's. */
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

/* Removes a leaf with its page, and the nodes above that then have neither a page nor a child. */
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

/* Evicts pages, protected ones first, until a node is free.  True: it evicted, so matches found
 * before may be gone. */
static bool make_node_free(struct qr_prefix_tree *tree)
{
    bool evicts = false;

    while (tree->live_n == tree->limits.nodes_n) {
        qr_page_id page = qr_page_pool_coldest_protected(tree->pool);
        assert(page != QR_PAGE_NONE); /* limits.nodes_n covers the running sequences */
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

/* Publishes a page with these tokens as a child of `parent`.  Returns the page that the tree has
 * for them already, if it has one; otherwise `page`. */
static qr_page_id add(struct qr_prefix_tree *tree, const struct page_text *text, qr_page_id page)
{
    struct child_match found = find_child(tree, text);
    qr_node_id id;

    assert(text->parent == NONE || tree->nodes[text->parent].tokens_n == tree->limits.page_tokens);
    if (found.common_n == text->tokens_n) {
        if (tree->nodes[found.best].page != QR_PAGE_NONE) return tree->nodes[found.best].page;
        if (tree->nodes[found.best].tokens_n == text->tokens_n) {
            keep_page(tree, found.best, page);
            qr_sibling_mark(tree->siblings, found.best, true);
        }
        return page;
    }
    if (found.best != NONE && tree->nodes[found.best].tokens_n == found.common_n) {
        /* A leaf with a prefix of these tokens: the new node replaces it. */
        remove_leaf(tree, found.best);
        found = find_child(tree, text);
    }
    if (make_node_free(tree)) found = find_child(tree, text);
    id = take_node(tree);
    tree->nodes[id] = (struct qr_prefix_node){
        .salt = *text->salt, .parent = text->parent, .children = NONE, .tokens_n = text->tokens_n};
    memcpy(tree->tokens + (size_t)id * tree->limits.page_tokens, text->tokens,
           text->tokens_n * sizeof text->tokens[0]);
    qr_sibling_insert(tree->siblings, children_of(tree, text->parent), id, found.at, found.left,
                      true);
    keep_page(tree, id, page);
    return page;
}

/* The node above a sequence's page i.  It is in the tree, because page i - 1 is published. */
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
              "the arrays of the tree follow each other, most strictly aligned first");

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

    assert(memory && (uintptr_t)memory % alignof(struct qr_prefix_node) == 0);
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

/* With a window a hit needs all pages from the first that the next token sees.  whole_from is the
 * page from which on no page is missing.  If the text's own node has no page, a sibling's page may
 * still have some of the tokens. */
uint32_t qr_prefix_tree_match(const struct qr_prefix_tree *tree, struct qr_prefix_salt salt,
                              const int32_t *tokens, uint32_t tokens_n, qr_page_id *pages)
{
    const uint32_t page_tokens = tree->limits.page_tokens;
    qr_node_id parent = NONE;
    uint32_t best_n = 0, whole_from = 0, first;

    for (uint32_t i = 0, done_n = 0; done_n < tokens_n; i++, done_n += page_tokens) {
        uint32_t left_n = tokens_n - done_n;
        uint32_t page_n = left_n < page_tokens ? left_n : page_tokens;
        const struct page_text text = {&salt, parent, tokens + done_n, page_n};
        struct child_match found = find_child(tree, &text);
        qr_node_id paged = found.best;
        uint32_t paged_n = found.common_n;
        if (found.best == NONE) break;
        if (tree->nodes[paged].page == QR_PAGE_NONE)
            paged = find_paged_child(tree, &text, &paged_n);
        if (paged != NONE) {
            pages[i] = tree->nodes[paged].page;
            if (qr_prefix_tree_first(tree, done_n + paged_n) >= whole_from)
                best_n = done_n + paged_n;
        }
        if (found.common_n < page_tokens) break;
        if (paged != found.best) whole_from = i + 1;
        parent = found.best;
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
        const struct page_text text = {&salt, parent_of(tree, table, from),
                                       tokens + ((size_t)from << shift), page_tokens};
        qr_page_id kept = add(tree, &text, *own);
        if (kept == *own) continue;
        qr_page_pool_share(tree->pool, kept);
        qr_page_pool_drop(tree->pool, *own);
        *own = kept;
    }
    return from;
}

/* Protects the published pages of a table from page `first` on. */
static void protect_held(struct qr_prefix_tree *tree, const struct qr_page_table *table,
                         uint32_t first)
{
    for (uint32_t i = first > table->first ? first : table->first; i < table->pages_n; i++)
        if (qr_page_pool_kept(tree->pool, table->pages[i]))
            qr_page_pool_protect(tree->pool, table->pages[i]);
}

/* Makes the pages above a node the warmest, the text's first page last, and protects those from
 * page `first` on.  depth: the number of nodes above it. */
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
    uint32_t partial_n = table->length & (tree->limits.page_tokens - 1), holes_n = table->first,
             first;
    uint32_t full_n = qr_prefix_tree_add(tree, salt, table, tokens, from);
    qr_node_id below = holes_n > 0 ? tree->node_of[table->pages[holes_n]] : NONE;

    if (partial_n > 0) {
        const struct page_text text = {&salt, parent_of(tree, table, full_n),
                                       tokens + (size_t)full_n * tree->limits.page_tokens,
                                       partial_n};
        add(tree, &text, table->pages[full_n]);
    }
    /* When a text comes again, its hit is all but the last token, which has to be computed. */
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
