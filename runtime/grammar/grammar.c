/* SPDX-License-Identifier: MIT */
#include "runtime/grammar/grammar.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "runtime/base/error.h"
#include "runtime/grammar/gbnf.h"
#include "runtime/grammar/pattern.h"
#include "runtime/grammar/tags.h"

/* Expressions looked at: to compile a grammar, and for each mask or token after that.  A second or
 * so. */
#define COMPILE_STEPS_MAX UINT64_C(20000000)
#define MATCH_STEPS_MAX   UINT64_C(20000000)

struct qr_grammar {
    struct quire_allocator allocator;
    const struct qr_grammar_vocabulary *vocabulary;
    size_t bytes_max;
    atomic_size_t bytes; /* in use when the lock was last released */
    atomic_uint refs;
    pthread_mutex_t lock; /* of all below, and of constraints' matchers */
    struct qr_budget budget;
    struct qr_rx_pool pool;
    struct qr_lexer lexer;
    struct qr_rules rules;
};

/* ---- vocabulary ----------------------------------------------------------------------------- */

bool qr_grammar_vocabulary_init(struct qr_grammar_vocabulary *v, uint32_t vocab_n,
                                size_t (*bytes_of)(const void *context, uint32_t id, char *out),
                                const void *context, const struct quire_allocator *allocator)
{
    size_t bytes_n = 0;

    *v = (struct qr_grammar_vocabulary){
        .budget = {.allocator = *allocator, .bytes_left = SIZE_MAX / 2}, .vocab_n = vocab_n};
    for (uint32_t id = 0; id < vocab_n; id++)
        bytes_n += bytes_of(context, id, NULL);
    v->bytes = qr_alloc(allocator, bytes_n + 1);
    v->tokens = qr_alloc_zero(allocator, vocab_n, sizeof *v->tokens);
    if (!v->bytes || !v->tokens) goto fail;
    char *at = v->bytes;
    for (uint32_t id = 0; id < vocab_n; id++) {
        v->tokens[id] = (struct qr_token_bytes){at, bytes_of(context, id, at)};
        at += v->tokens[id].n;
    }
    if (!qr_trie_init(&v->trie, v->tokens, vocab_n, &v->budget)) goto fail;
    return true;
fail:
    qr_grammar_vocabulary_deinit(v);
    return false;
}

void qr_grammar_vocabulary_deinit(struct qr_grammar_vocabulary *v)
{
    if (v->budget.allocator.resize) {
        qr_trie_deinit(&v->trie, &v->budget);
        qr_free(&v->budget.allocator, v->bytes);
        qr_free(&v->budget.allocator, v->tokens);
    }
    *v = (struct qr_grammar_vocabulary){0};
}

/* ---- compiling ------------------------------------------------------------------------------ */

/* The grammar is one symbol.  False: no text is in it. */
static bool end_rules(struct qr_grammar *g, qr_symbol symbol)
{
    uint32_t start = qr_rules_nonterminal(&g->rules);

    qr_rules_add(&g->rules, start, &symbol, 1);
    return qr_rules_end(&g->rules, start) || g->budget.failed;
}

static int compile_regex(struct qr_grammar *g, const struct qr_grammar_source *source,
                         struct quire_error *error)
{
    struct qr_pattern_error complaint;
    qr_rx rx = QR_RX_NONE;

    if (!qr_pattern_compile(&g->pool, source->text.data, source->text.n, QR_WRITING_PLAIN, false,
                            &rx, &complaint))
        return qr_error_field(error, QUIRE_UNSUPPORTED, "regex", "%s at byte %zu",
                              complaint.complaint, complaint.at);
    if (!end_rules(g, qr_rules_regex(&g->rules, rx)))
        return qr_error_field(error, QUIRE_INVALID, "regex", "no text matches the pattern");
    return QUIRE_OK;
}

static int compile_choices(struct qr_grammar *g, const struct qr_grammar_source *source,
                           struct quire_error *error)
{
    qr_rx all = QR_RX_NONE;

    if (source->choices_n == 0)
        return qr_error_field(error, QUIRE_INVALID, "choice", "the list of choices is empty");
    for (size_t i = 0; i < source->choices_n; i++)
        all = qr_rx_or(&g->pool, all,
                       qr_rx_bytes(&g->pool, source->choices[i].data, source->choices[i].n));
    (void)end_rules(g, qr_rules_regex(&g->rules, all));
    return QUIRE_OK;
}

static int compile_rules(struct qr_grammar *g, const struct qr_grammar_source *source,
                         struct quire_error *error)
{
    const bool tags = source->kind == QR_GRAMMAR_TAGS;
    int status;
    qr_symbol symbol =
        tags ? qr_tags_add(&g->rules, source->text.data, source->text.n, &source->settings, &status,
                           error)
             : qr_gbnf_add(&g->rules, source->text.data, source->text.n, &status, error);

    if (!status && !g->budget.failed && !end_rules(g, symbol))
        status = qr_error_field(error, QUIRE_INVALID, tags ? "structural_tag" : "grammar",
                                "no text is in the grammar");
    return status;
}

static void destroy(struct qr_grammar *g)
{
    struct quire_allocator allocator = g->allocator;

    qr_rules_deinit(&g->rules);
    qr_lexer_deinit(&g->lexer);
    qr_rx_pool_deinit(&g->pool);
    (void)pthread_mutex_destroy(&g->lock);
    qr_free(&allocator, g);
}

int qr_grammar_create(struct qr_grammar **grammar, const struct qr_grammar_source *source,
                      const struct qr_grammar_vocabulary *vocabulary, size_t bytes_max,
                      const struct quire_allocator *allocator, struct quire_error *error)
{
    struct qr_grammar *g = qr_alloc_zero(allocator, 1, sizeof *g);
    int status = QUIRE_OK;

    *grammar = NULL;
    if (!g || pthread_mutex_init(&g->lock, NULL) != 0) {
        qr_free(allocator, g);
        return qr_error(error, QUIRE_NO_MEMORY, "cannot compile a grammar: out of memory");
    }
    g->allocator = *allocator;
    g->vocabulary = vocabulary;
    g->bytes_max = bytes_max;
    atomic_init(&g->refs, 1);
    g->budget = (struct qr_budget){.allocator = *allocator, .bytes_left = bytes_max};
    g->lexer.pool = &g->pool;
    g->rules = (struct qr_rules){.budget = &g->budget, .lexer = &g->lexer};
    if (qr_rx_pool_init(&g->pool, &g->budget, COMPILE_STEPS_MAX)) {
        if (source->kind == QR_GRAMMAR_SCHEMA)
            status = qr_schema_compile(&g->rules, source->text.data, source->text.n,
                                       &source->settings, error);
        else if (source->kind == QR_GRAMMAR_REGEX)
            status = compile_regex(g, source, error);
        else if (source->kind == QR_GRAMMAR_CHOICES)
            status = compile_choices(g, source, error);
        else
            status = compile_rules(g, source, error);
    }
    if (!status && g->budget.failed)
        status = g->budget.no_memory
                     ? qr_error(error, QUIRE_NO_MEMORY, "cannot compile a grammar: out of memory")
                     : qr_error(error, QUIRE_UNSUPPORTED,
                                "the grammar is too large: it needs more than %zu bytes, or too "
                                "many steps",
                                bytes_max);
    atomic_init(&g->bytes, bytes_max - g->budget.bytes_left);
    if (status)
        destroy(g);
    else
        *grammar = g;
    return status;
}

size_t qr_grammar_bytes(const struct qr_grammar *grammar)
{
    return atomic_load_explicit(&grammar->bytes, memory_order_relaxed);
}

struct qr_grammar *qr_grammar_share(struct qr_grammar *grammar)
{
    atomic_fetch_add_explicit(&grammar->refs, 1, memory_order_relaxed);
    return grammar;
}

void qr_grammar_drop(struct qr_grammar *grammar)
{
    if (grammar && atomic_fetch_sub_explicit(&grammar->refs, 1, memory_order_acq_rel) == 1)
        destroy(grammar);
}

/* ---- constraints ---------------------------------------------------------------------------- */

/* A failure is one request's: what was built so far is whole, and the next call begins with new
 * steps. */
static void enter(struct qr_grammar *g)
{
    (void)pthread_mutex_lock(&g->lock);
    g->pool.steps_left = MATCH_STEPS_MAX;
    g->budget.failed = g->budget.no_memory = false;
}

static void leave(struct qr_grammar *g)
{
    atomic_store_explicit(&g->bytes, g->bytes_max - g->budget.bytes_left, memory_order_relaxed);
    (void)pthread_mutex_unlock(&g->lock);
}

bool qr_constraint_init(struct qr_constraint *c, struct qr_grammar *grammar)
{
    *c = (struct qr_constraint){0};
    enter(grammar);
    bool ok = qr_matcher_init(&c->matcher, &grammar->rules, &grammar->budget);
    leave(grammar);
    if (ok) c->grammar = qr_grammar_share(grammar);
    return ok;
}

void qr_constraint_deinit(struct qr_constraint *c)
{
    if (!c->grammar) return;
    enter(c->grammar);
    qr_matcher_deinit(&c->matcher);
    QR_RELEASE(&c->grammar->budget, &c->cache, masks);
    leave(c->grammar);
    qr_grammar_drop(c->grammar);
    *c = (struct qr_constraint){0};
}

static enum qr_constraint_state state_of(const struct qr_constraint *c)
{
    if (c->grammar->budget.failed) return QR_CONSTRAINT_MEMORY;
    if (qr_matcher_may_go_on(&c->matcher)) return QR_CONSTRAINT_OPEN;
    return qr_matcher_may_end(&c->matcher) ? QR_CONSTRAINT_DONE : QR_CONSTRAINT_STUCK;
}

enum qr_constraint_state qr_constraint_mask(struct qr_constraint *c, uint64_t *bits, bool *may_end)
{
    const struct qr_trie *trie = &c->grammar->vocabulary->trie;
    enum qr_constraint_state state;
    uint64_t any = 0;

    enter(c->grammar);
    (void)qr_trie_mask(trie, &c->matcher, &c->cache, bits);
    *may_end = qr_matcher_may_end(&c->matcher);
    state = state_of(c);
    leave(c->grammar);
    for (uint32_t w = 0; w < trie->words_n; w++)
        any |= bits[w];
    if (state == QR_CONSTRAINT_OPEN && !any)
        state = *may_end ? QR_CONSTRAINT_DONE : QR_CONSTRAINT_STUCK;
    return state;
}

enum qr_constraint_state qr_constraint_accept_bytes(struct qr_constraint *c, const char *bytes,
                                                    size_t n)
{
    enter(c->grammar);
    bool ok = qr_matcher_accept(&c->matcher, bytes, n);
    enum qr_constraint_state state = state_of(c);
    leave(c->grammar);
    return ok || state == QR_CONSTRAINT_MEMORY ? state : QR_CONSTRAINT_STUCK;
}

enum qr_constraint_state qr_constraint_accept(struct qr_constraint *c, uint32_t token)
{
    const struct qr_token_bytes *bytes = &c->grammar->vocabulary->tokens[token];

    assert(token < c->grammar->vocabulary->vocab_n);
    return qr_constraint_accept_bytes(c, bytes->bytes, bytes->n);
}

bool qr_constraint_allows_text(struct qr_constraint *c, const char *text, size_t n)
{
    size_t pushed = 0;

    enter(c->grammar);
    while (pushed < n && qr_matcher_push(&c->matcher, (uint8_t)text[pushed]))
        pushed++;
    qr_matcher_pop(&c->matcher, pushed);
    leave(c->grammar);
    return pushed == n;
}

bool qr_constraint_accept_text(struct qr_constraint *c, const char *text, size_t n, bool *no_memory)
{
    enter(c->grammar);
    bool ok = qr_matcher_accept(&c->matcher, text, n);
    *no_memory = c->grammar->budget.failed;
    leave(c->grammar);
    return ok;
}

bool qr_constraint_bytes(struct qr_constraint *c, uint64_t bits[4])
{
    memset(bits, 0, 4 * sizeof *bits);
    enter(c->grammar);
    for (uint32_t byte = 0; byte < 256; byte++) {
        if (!qr_matcher_push(&c->matcher, (uint8_t)byte)) continue;
        qr_matcher_pop(&c->matcher, 1);
        bits[byte >> 6] |= UINT64_C(1) << (byte & 63);
    }
    bool ok = !c->grammar->budget.failed;
    leave(c->grammar);
    return ok;
}

void qr_constraint_rollback(struct qr_constraint *c, uint32_t n)
{
    enter(c->grammar);
    qr_matcher_rollback(&c->matcher, n);
    leave(c->grammar);
}

size_t qr_grammar_match(struct qr_grammar *grammar, const char *text, size_t n, bool *whole)
{
    struct qr_matcher m;
    size_t at = 0;

    *whole = false;
    enter(grammar);
    if (qr_matcher_init(&m, &grammar->rules, &grammar->budget)) {
        while (at < n && qr_matcher_accept(&m, text + at, 1))
            at++;
        *whole = at == n && qr_matcher_may_end(&m);
        qr_matcher_deinit(&m);
    }
    leave(grammar);
    return at;
}
