/* SPDX-License-Identifier: MIT */
/* grammars -- the public side of grammars: compiled for a model, matched against a text. */
#include "runtime/base/error.h"
#include "runtime/base/memory.h"
#include "runtime/engine/model_handle.h"
#include "runtime/engine/settings.h"

#define MEMORY_DEFAULT ((uint64_t)64 << 20)

/* The public name of a compiled grammar. */
struct quire_grammar {
    struct qr_grammar *compiled;
    const quire_model *model;
};

static size_t bytes_of(const void *context, uint32_t id, char *out)
{
    return qr_tokenizer_token_bytes(context, id, out);
}

/* The model's vocabulary as grammars need it, made once.  NULL: no memory. */
static const struct qr_grammar_vocabulary *vocabulary_of(const quire_model *model)
{
    quire_model *own = (quire_model *)(uintptr_t)model; /* the lock makes this one change safe */
    const struct qr_tokenizer *t = model->tokenizer;

    (void)pthread_mutex_lock(&own->grammar_lock);
    if (!own->grammar_vocabulary) {
        struct qr_grammar_vocabulary *v = qr_alloc(&own->allocator, sizeof *v);
        if (v &&
            !qr_grammar_vocabulary_init(v, qr_tokenizer_vocab_n(t), bytes_of, t, &own->allocator)) {
            qr_free(&own->allocator, v);
            v = NULL;
        }
        own->grammar_vocabulary = v;
    }
    const struct qr_grammar_vocabulary *vocabulary = own->grammar_vocabulary;
    (void)pthread_mutex_unlock(&own->grammar_lock);
    return vocabulary;
}

static int read_source(const struct quire_grammar_settings *s, struct qr_grammar_source *source,
                       struct quire_error *error)
{
    const struct {
        enum qr_grammar_kind kind;
        struct quire_text text;
    } texts[] = {{QR_GRAMMAR_SCHEMA, s->json_schema},
                 {QR_GRAMMAR_REGEX, s->regex},
                 {QR_GRAMMAR_GBNF, s->gbnf},
                 {QR_GRAMMAR_TAGS, s->structural_tag}};
    int given = s->choices_n != 0;

    *source = (struct qr_grammar_source){
        .kind = QR_GRAMMAR_CHOICES,
        .choices = s->choices,
        .choices_n = s->choices_n,
        .settings = {.whitespace = s->whitespace,
                     .no_additional_properties = s->no_additional_properties != 0}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].text.n == 0) continue;
        given++;
        source->kind = texts[i].kind;
        source->text = texts[i].text;
    }
    if (given != 1)
        return qr_error(error, QUIRE_INVALID,
                        "%d of json_schema, regex, choices, gbnf and structural_tag are given; "
                        "expected exactly one",
                        given);
    if (source->kind != QR_GRAMMAR_CHOICES && !source->text.data)
        return qr_error(error, QUIRE_INVALID, "the grammar's text has bytes, but no data");
    for (size_t i = 0; i < s->choices_n; i++)
        if (!s->choices || !s->choices[i].data || !s->choices[i].n)
            return qr_error_field(error, QUIRE_INVALID, "choices",
                                  "choices[%zu] is empty; expected at least one byte", i);
    return QUIRE_OK;
}

int quire_grammar_compile(const quire_model *model, const struct quire_grammar_settings *given,
                          quire_grammar **grammar, struct quire_error *error)
{
    struct quire_grammar_settings s;
    struct qr_grammar_source source;
    int status;

    qr_error_clear(error);
    if (grammar) *grammar = NULL;
    if (!model || !grammar) return qr_error(error, QUIRE_INVALID, "model or grammar is NULL");
    quire_grammar_settings_defaults(&s);
    status = qr_settings_read(&s, sizeof s, given, error);
    if (!status) status = read_source(&s, &source, error);
    if (status) return status;
    if (!model->tokenizer)
        return qr_error(error, QUIRE_NO_TOKENIZER,
                        "a grammar needs a tokenizer, and this model's is not supported");
    quire_model *own = (quire_model *)(uintptr_t)model; /* its cache has a lock */
    const struct qr_grammar_vocabulary *vocabulary = vocabulary_of(model);
    quire_grammar *g = qr_alloc(&model->allocator, sizeof *g);
    if (!vocabulary || !g) {
        qr_free(&model->allocator, g);
        return qr_error(error, QUIRE_NO_MEMORY, "cannot compile a grammar: out of memory");
    }
    status = qr_grammar_cache_get(&own->grammars, &g->compiled, &source, vocabulary,
                                  (size_t)(s.memory_max ? s.memory_max : MEMORY_DEFAULT), error);
    g->model = model;
    if (status)
        qr_free(&model->allocator, g);
    else
        *grammar = g;
    return status;
}

void quire_grammar_free(quire_grammar *grammar)
{
    if (!grammar) return;
    struct quire_allocator allocator = grammar->model->allocator;
    qr_grammar_drop(grammar->compiled);
    qr_free(&allocator, grammar);
}

int quire_grammar_match(quire_grammar *grammar, const char *text, size_t text_n, size_t *accepted_n,
                        bool *whole)
{
    bool all;

    if (!grammar || (!text && text_n) || !accepted_n) return QUIRE_INVALID;
    *accepted_n = qr_grammar_match(grammar->compiled, text, text_n, &all);
    if (whole) *whole = all;
    return QUIRE_OK;
}

/* ---- matchers ------------------------------------------------------------------------------- */

struct quire_matcher {
    const quire_model *model;
    struct qr_constraint constraint;
    uint32_t tokens_n; /* that can be taken back */
};

int quire_matcher_create(quire_grammar *grammar, quire_matcher **matcher)
{
    if (matcher) *matcher = NULL;
    if (!grammar || !matcher) return QUIRE_INVALID;
    quire_matcher *m = qr_alloc_zero(&grammar->model->allocator, 1, sizeof *m);
    if (!m) return QUIRE_NO_MEMORY;
    m->model = grammar->model;
    if (!qr_constraint_init(&m->constraint, grammar->compiled)) {
        qr_free(&grammar->model->allocator, m);
        return QUIRE_NO_MEMORY;
    }
    *matcher = m;
    return QUIRE_OK;
}

void quire_matcher_free(quire_matcher *matcher)
{
    if (!matcher) return;
    const quire_model *model = matcher->model;
    qr_constraint_deinit(&matcher->constraint);
    qr_free(&model->allocator, matcher);
}

int quire_matcher_mask(quire_matcher *matcher, uint64_t *bits, bool *may_end)
{
    bool end;

    if (!matcher || !bits) return QUIRE_INVALID;
    enum qr_constraint_state state = qr_constraint_mask(&matcher->constraint, bits, &end);
    if (may_end) *may_end = end;
    return state == QR_CONSTRAINT_MEMORY ? QUIRE_NO_MEMORY : QUIRE_OK;
}

int quire_matcher_bytes(quire_matcher *matcher, uint64_t bits[4])
{
    if (!matcher || !bits) return QUIRE_INVALID;
    return qr_constraint_bytes(&matcher->constraint, bits) ? QUIRE_OK : QUIRE_NO_MEMORY;
}

int quire_matcher_accept_text(quire_matcher *matcher, const char *text, size_t text_n)
{
    bool no_memory;

    if (!matcher || (!text && text_n)) return QUIRE_INVALID;
    if (!qr_constraint_accept_text(&matcher->constraint, text, text_n, &no_memory))
        return no_memory ? QUIRE_NO_MEMORY : QUIRE_NO_TOKEN;
    if (matcher->tokens_n < QR_MATCHER_BACK_MAX) matcher->tokens_n++;
    return QUIRE_OK;
}

int quire_matcher_accept(quire_matcher *matcher, int32_t token)
{
    if (!matcher) return QUIRE_INVALID;
    const struct qr_grammar_vocabulary *v = matcher->model->grammar_vocabulary;
    if (token < 0 || (uint32_t)token >= v->vocab_n || v->tokens[token].n == 0)
        return QUIRE_NO_TOKEN;
    return quire_matcher_accept_text(matcher, v->tokens[token].bytes, v->tokens[token].n);
}

int quire_matcher_rollback(quire_matcher *matcher, uint32_t n)
{
    if (!matcher || n > matcher->tokens_n) return QUIRE_INVALID;
    qr_constraint_rollback(&matcher->constraint, n);
    matcher->tokens_n -= n;
    return QUIRE_OK;
}

/* ---- for the engine ------------------------------------------------------------------------- */

struct qr_grammar *qr_grammar_of(const quire_grammar *grammar, const quire_model *model)
{
    return grammar->model == model ? grammar->compiled : NULL;
}

void qr_grammars_count(const quire_model *model, struct quire_stats *stats)
{
    quire_model *own = (quire_model *)(uintptr_t)model; /* the figures are under a lock */

    (void)pthread_mutex_lock(&own->grammars.lock);
    stats->grammars_compiled = own->grammars.misses;
    stats->grammars_reused = own->grammars.hits;
    (void)pthread_mutex_unlock(&own->grammars.lock);
}
