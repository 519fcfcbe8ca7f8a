/* SPDX-License-Identifier: MIT */
/* The prefix tree against a model: a plain list of texts that is searched whole for every question.
 * QUIRE_SIM_SEEDS sets the number of seeds, QUIRE_SIM_SEED runs one seed again. */
#include "support/tree_fixture.h"

#define SEEDS_N   60u
#define STEPS_N   400u
#define SEQS_N    4u
#define PAGES_MAX 40u

/* One page of the tree: all tokens from the root to the page's end. */
struct model_entry {
    bool live;
    struct qr_prefix_salt salt;
    int32_t text[TOKENS_MAX];
    uint32_t text_n;
    uint32_t readers_n;
    bool is_protected;
    uint64_t dropped_at; /* when its last reader dropped it */
};

struct tree_model {
    uint64_t random;
    uint32_t window;
    struct tree_fixture f;
    struct model_entry entries[PAGES_MAX]; /* by page */
    struct tree_seq seqs[SEQS_N];
    bool runs[SEQS_N];
    uint64_t now;
    uint64_t evictions, matches, copies, holes;
};

static uint32_t choose(struct tree_model *m, uint32_t n)
{
    uint64_t z = m->random += 0x9e3779b97f4a7c15u; /* splitmix64 */

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ (z >> 31)) % n);
}

static bool same_salt(struct qr_prefix_salt a, struct qr_prefix_salt b)
{
    return a.words[0] == b.words[0] && a.words[1] == b.words[1];
}

static uint32_t common(const int32_t *a, uint32_t a_n, const int32_t *b, uint32_t b_n)
{
    uint32_t i = 0;

    while (i < a_n && i < b_n && a[i] == b[i])
        i++;
    return i;
}

/* The first page that a hit of n tokens reads. */
static uint32_t model_first(const struct tree_model *m, uint32_t n)
{
    uint32_t first = m->window == 0 || n < m->window ? 0 : (n - m->window + 1) / PAGE;

    return first > 0 && first > n / PAGE - 1 ? n / PAGE - 1 : first;
}

/* The most tokens of the text's page i that any entry has. */
static uint32_t model_has_of(const struct tree_model *m, const struct tree_seq *seq, uint32_t i)
{
    uint32_t best = 0;

    for (uint32_t p = 0; p < PAGES_MAX; p++) {
        const struct model_entry *e = &m->entries[p];
        if (!e->live || !same_salt(e->salt, seq->salt) || (e->text_n - 1) / PAGE != i) continue;
        uint32_t common_n = common(e->text, e->text_n, seq->tokens, seq->tokens_n);
        if (common_n > i * PAGE && common_n - i * PAGE > best) best = common_n - i * PAGE;
    }
    return best;
}

/* The longest prefix of the text for which all pages that a hit reads are there. */
static uint32_t model_match(const struct tree_model *m, const struct tree_seq *seq,
                            uint32_t limit_n)
{
    uint32_t has_n[TABLE_MAX], n;

    for (uint32_t i = 0; i < TABLE_MAX; i++)
        has_n[i] = model_has_of(m, seq, i);
    for (n = limit_n; n > 0; n--) {
        uint32_t i = model_first(m, n), last = (n - 1) / PAGE;
        while (i < last && has_n[i] == PAGE)
            i++;
        if (i == last && has_n[last] >= n - last * PAGE) break;
    }
    return n;
}

/* True: an entry covers the text's first n tokens and ends in the same page.  With a window and n
 * inside a page it may also end in a later page: then a node continues that page's tokens. */
static bool model_has(const struct tree_model *m, const struct tree_seq *seq, uint32_t n)
{
    for (uint32_t p = 0; p < PAGES_MAX; p++) {
        const struct model_entry *e = &m->entries[p];
        bool here = (e->text_n - 1) / PAGE == (n - 1) / PAGE;
        if (e->live && same_salt(e->salt, seq->salt) && e->text_n >= n &&
            (here || (m->window > 0 && n % PAGE != 0)) && common(e->text, n, seq->tokens, n) == n)
            return true;
    }
    return false;
}

/* Publishes the sequence's page that ends after n tokens; removes entries that are its prefix. */
static void model_add(struct tree_model *m, const struct tree_seq *seq, uint32_t n, qr_page_id page)
{
    struct model_entry *e = &m->entries[page];

    for (uint32_t p = 0; p < PAGES_MAX; p++) {
        struct model_entry *other = &m->entries[p];
        if (other->live && same_salt(other->salt, seq->salt) && other->text_n < n &&
            (other->text_n - 1) / PAGE == (n - 1) / PAGE &&
            common(other->text, other->text_n, seq->tokens, n) == other->text_n)
            other->live = false;
    }
    assert_false(e->live);
    *e = (struct model_entry){.live = true, .salt = seq->salt, .text_n = n};
    memcpy(e->text, seq->tokens, n * sizeof e->text[0]);
}

/* The cached page that was dropped first: of the unprotected ones, else of the protected ones.
 * Without a window only pages without children count. */
static qr_page_id model_coldest(const struct tree_model *m)
{
    qr_page_id coldest = QR_PAGE_NONE;

    for (uint32_t p = 0; p < PAGES_MAX; p++) {
        const struct model_entry *e = &m->entries[p];
        const struct model_entry *best = coldest == QR_PAGE_NONE ? NULL : &m->entries[coldest];
        bool leaf = true;
        if (!e->live || e->readers_n > 0) continue;
        for (uint32_t q = 0; q < PAGES_MAX && m->window == 0; q++) {
            const struct model_entry *below = &m->entries[q];
            leaf &= !(below->live && same_salt(below->salt, e->salt) && below->text_n > e->text_n &&
                      common(below->text, e->text_n, e->text, e->text_n) == e->text_n);
        }
        if (leaf && (!best || e->is_protected < best->is_protected ||
                     (e->is_protected == best->is_protected && e->dropped_at < best->dropped_at)))
            coldest = p;
    }
    return coldest;
}

/* Counts each page's readers.  Pages without a reader any more were dropped now, deepest first. */
static void model_readers(struct tree_model *m)
{
    uint32_t before[PAGES_MAX];

    for (uint32_t p = 0; p < PAGES_MAX; p++) {
        before[p] = m->entries[p].readers_n;
        m->entries[p].readers_n = 0;
    }
    for (uint32_t s = 0; s < SEQS_N; s++)
        for (uint32_t i = m->seqs[s].table.first; m->runs[s] && i < m->seqs[s].table.pages_n; i++)
            m->entries[m->seqs[s].pages[i]].readers_n++;
    for (uint32_t depth = TABLE_MAX; depth > 0; depth--)
        for (uint32_t p = 0; p < PAGES_MAX; p++) {
            struct model_entry *e = &m->entries[p];
            if (e->live && before[p] > 0 && e->readers_n == 0 &&
                (e->text_n - 1) / PAGE == depth - 1)
                e->dropped_at = ++m->now;
        }
}

/* Asserts that the tree has the model's entries, page for page and token for token. */
static void compare(const struct tree_model *m)
{
    const struct qr_prefix_tree *tree = &m->f.tree;
    uint32_t cached_n = 0;

    tree_check(&m->f);
    for (qr_page_id p = 0; p < m->f.pool.pages_n; p++) {
        const struct model_entry *e = &m->entries[p];
        uint32_t end = e->text_n;
        assert_int_equal(e->live, qr_page_pool_kept(&m->f.pool, p));
        assert_int_equal(m->f.pool.refs[p], e->readers_n + e->live);
        cached_n += e->live && e->readers_n == 0;
        assert_int_equal(m->f.pool.is_protected[p], e->live && e->is_protected);
        for (qr_node_id q = tree->node_of[p]; e->live && q != QR_NODE_NONE;
             q = tree->nodes[q].parent) {
            uint32_t n = tree->nodes[q].tokens_n;
            assert_true(n <= end);
            assert_memory_equal(tree->tokens + q * PAGE, e->text + end - n, n * sizeof(int32_t));
            end -= n;
            if (tree->nodes[q].parent == QR_NODE_NONE) {
                assert_int_equal(end, 0);
                assert_true(same_salt(tree->nodes[q].salt, e->salt));
            }
        }
    }
    assert_int_equal(cached_n, m->f.pool.cached_n);
    assert_int_equal(model_coldest(m), qr_page_pool_coldest(&m->f.pool));
}

/* A text of two different tokens, which may continue an older text: so much is shared. */
static void draw_text(struct tree_model *m, struct tree_seq *seq)
{
    const struct tree_seq *like = &m->seqs[choose(m, SEQS_N)];
    uint32_t same_n = like == seq ? 0 : choose(m, like->tokens_n + 1);
    struct tree_seq next = {.salt = {{choose(m, 4) == 0, choose(m, 4) == 0}}};

    next.tokens_n = 1 + choose(m, choose(m, 2) == 0 ? 24 : 6 * PAGE);
    for (uint32_t i = 0; i < next.tokens_n; i++)
        next.tokens[i] = i < same_n ? like->tokens[i] : (int32_t)(choose(m, 8) == 0);
    *seq = next;
}

static void begin(struct tree_model *m, uint32_t s)
{
    struct tree_seq *seq = &m->seqs[s];

    draw_text(m, seq);
    uint32_t expected = model_match(m, seq, seq->tokens_n - 1);
    seq_begin(&m->f, seq);
    assert_int_equal(seq->matched_n, expected);
    m->matches += expected > 0;
    m->holes += seq->table.first > 0;
    for (uint32_t i = seq->table.first; m->window > 0 && i < seq->table.pages_n; i++)
        m->entries[seq->pages[i]].is_protected = true;
    m->runs[s] = true;
    model_readers(m);
}

/* Computes some tokens, if there are pages.  Each eviction must be the model's. */
static void compute(struct tree_model *m, uint32_t s)
{
    struct tree_seq *seq = &m->seqs[s];
    uint32_t left_n = seq->tokens_n - seq->table.length;
    uint32_t end = seq->table.length + 1 + choose(m, left_n);
    uint32_t wants_n = qr_page_table_wants(&seq->table, &m->f.pool, PAGE, end - seq->table.length);
    uint32_t published_n = seq->published_n, copied_n = seq->copied_n;
    bool ours[TABLE_MAX];

    if (wants_n > m->f.pool.free_n + m->f.pool.cached_n) return;
    while (m->f.pool.free_n < wants_n) {
        qr_page_id coldest = model_coldest(m);
        assert_int_equal(coldest, qr_page_pool_coldest(&m->f.pool));
        assert_true(qr_prefix_tree_evict(&m->f.tree));
        m->entries[coldest].live = false;
        m->evictions++;
    }
    for (uint32_t i = published_n; i < end / PAGE; i++)
        ours[i] = !model_has(m, seq, (i + 1) * PAGE);
    seq_compute(&m->f, seq, end);
    m->copies += seq->copied_n - copied_n;
    assert_int_equal(seq->published_n, end / PAGE);
    model_readers(m); /* the copied page was dropped before pages were published */
    for (uint32_t i = published_n; i < end / PAGE; i++)
        if (ours[i]) model_add(m, seq, (i + 1) * PAGE, seq->pages[i]);
    model_readers(m);
    seq_drop_left(&m->f, seq);
    model_readers(m);
}

/* The entry of a sequence's full page i that it has dropped.  NULL: there is none. */
static struct model_entry *model_above(struct tree_model *m, const struct tree_seq *seq, uint32_t i)
{
    for (uint32_t p = 0; p < PAGES_MAX; p++) {
        struct model_entry *e = &m->entries[p];
        uint32_t n = (i + 1) * PAGE;
        if (e->live && same_salt(e->salt, seq->salt) && e->text_n == n &&
            common(e->text, n, seq->tokens, n) == n)
            return e;
    }
    return NULL;
}

static void finish(struct tree_model *m, uint32_t s)
{
    struct tree_seq *seq = &m->seqs[s];
    uint32_t length = seq->table.length;

    if (length % PAGE != 0 && !model_has(m, seq, length))
        model_add(m, seq, length, seq->pages[length / PAGE]);
    model_readers(m);
    uint32_t holes_n = seq->table.first, first = length > 0 ? model_first(m, length - 1) : 0;
    for (uint32_t i = 0; m->window > 0 && i < seq->table.pages_n; i++) {
        struct model_entry *e = i < holes_n ? model_above(m, seq, i) : &m->entries[seq->pages[i]];
        if (e && e->live && i >= first) e->is_protected = true;
    }
    seq_end(&m->f, seq);
    m->runs[s] = false;
    model_readers(m);
    while (holes_n-- > 0) { /* pages before its window are warmer than those dropped now */
        struct model_entry *e = model_above(m, seq, holes_n);
        if (e && e->readers_n == 0) e->dropped_at = ++m->now;
    }
}

static void run_seed(uint64_t seed, struct tree_model *m)
{
    uint32_t pages_n;

    memset(m, 0, sizeof *m);
    m->random = seed;
    pages_n = 1 + TABLE_MAX / 2 + choose(m, PAGES_MAX - TABLE_MAX / 2 - 1);
    if (seed % 2 == 0) m->window = 1 + choose(m, choose(m, 2) == 0 ? 24 : 4 * PAGE);
    tree_open_windowed(&m->f, pages_n, m->window > 0 ? pages_n * TABLE_MAX : pages_n, m->window);
    for (uint32_t i = 0; i < STEPS_N; i++) {
        uint32_t s = choose(m, SEQS_N);
        if (!m->runs[s])
            begin(m, s);
        else if (m->seqs[s].table.length < m->seqs[s].tokens_n && choose(m, 8) != 0)
            compute(m, s);
        else
            finish(m, s);
        compare(m);
    }
    for (uint32_t s = 0; s < SEQS_N; s++)
        if (m->runs[s]) finish(m, s);
    compare(m);
    assert_int_equal(qr_page_pool_held_n(&m->f.pool), 0);
    tree_close(&m->f);
}

/* Goal: after every call the tree has the model's texts in the model's pages, finds the longest
 * match and evicts the right page.  No sequence ever reads another text's key.
 * Method: seeded random texts of two tokens over few pages, four sequences at a time, every other
 * seed with a window; compare with the model after every call. */
static void tree_is_what_a_plain_list_says(void **state)
{
    const char *seeds = getenv("QUIRE_SIM_SEEDS"), *only = getenv("QUIRE_SIM_SEED");
    uint64_t seeds_n = seeds ? strtoull(seeds, NULL, 10) : SEEDS_N;
    uint64_t first = only ? strtoull(only, NULL, 10) : 1;
    uint64_t evictions = 0, matches = 0, copies = 0, holes = 0;
    struct tree_model *m = malloc(sizeof *m);

    (void)state;
    assert_non_null(m);
    for (uint64_t seed = first; seed <= (only ? first : seeds_n); seed++) {
        if (getenv("QUIRE_SIM_SHOW") != NULL)
            print_message("seed %llu\n", (unsigned long long)seed);
        run_seed(seed, m);
        evictions += m->evictions;
        matches += m->matches;
        copies += m->copies;
        holes += m->holes;
    }
    free(m);
    print_message("%llu evictions, %llu matches, %llu with holes, %llu copies\n",
                  (unsigned long long)evictions, (unsigned long long)matches,
                  (unsigned long long)holes, (unsigned long long)copies);
    if (only) return;
    assert_true(evictions > 0 && matches > 0 && copies > 0 && holes > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(tree_is_what_a_plain_list_says)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
