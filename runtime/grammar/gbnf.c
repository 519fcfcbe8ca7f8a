/* SPDX-License-Identifier: MIT */
#include "runtime/grammar/gbnf.h"

#include <string.h>

#include "runtime/base/error.h"
#include "runtime/grammar/gbnf_parts.h"

/* Larger rules become nonterminals: an expression's derivatives are as large as it is. */
#define EXPRESSION_MAX 4000u

/* A rule on the way to an expression or a nonterminal. */
struct made {
    uint32_t first, n;  /* its elements in `order` */
    uint32_t waits_for; /* elements that refer to rules which are not made yet */
    uint32_t users;     /* the first of `users` that refers to it */
    uint32_t size;      /* of rx */
    uint32_t nonterminal;
    qr_rx rx;
    bool regular; /* rx is all of it */
    bool tail;    /* refers to itself, at the end of alternatives only */
    bool head;    /* the same at the beginning */
};

struct maker {
    struct qr_gbnf *g;
    struct qr_rules *rules;
    struct made *made; /* [rules_n] */
    size_t made_capacity;
    uint32_t *order; /* [elements_n]: elements by rule */
    size_t order_capacity;
    uint32_t *users; /* [elements_n]: the next element that refers to the same rule */
    size_t users_capacity;
    uint32_t *queue; /* [rules_n] */
    size_t queue_capacity;
    qr_symbol *symbols; /* of the alternative that is being made */
    size_t symbols_n, symbols_capacity;
};

static const struct qr_gbnf_element *element_at(const struct maker *k, const struct made *m,
                                                uint32_t i)
{
    return &k->g->elements[k->order[m->first + i]];
}

/* ---- in which order ------------------------------------------------------------------------- */

static bool sort_elements(struct maker *k)
{
    const struct qr_gbnf *g = k->g;
    uint32_t first = 0;

    if (!QR_RESERVE(g->budget, k, made, g->rules_n + 1) ||
        !QR_RESERVE(g->budget, k, order, g->elements_n + 1) ||
        !QR_RESERVE(g->budget, k, users, g->elements_n + 1) ||
        !QR_RESERVE(g->budget, k, queue, g->rules_n + 1))
        return false;
    memset(k->made, 0, g->rules_n * sizeof *k->made);
    for (size_t i = 0; i < g->elements_n; i++)
        k->made[g->elements[i].of].n++;
    for (size_t i = 0; i < g->rules_n; i++) {
        k->made[i].first = first;
        first += k->made[i].n;
        k->made[i].n = 0;
        k->made[i].users = QR_GBNF_NO_RULE;
    }
    for (uint32_t i = 0; i < g->elements_n; i++) {
        const struct qr_gbnf_element *e = &g->elements[i];
        struct made *m = &k->made[e->of];
        k->order[m->first + m->n++] = i;
        if (e->rule == QR_GBNF_NO_RULE) continue;
        k->users[i] = k->made[e->rule].users;
        k->made[e->rule].users = i;
    }
    return true;
}

/* Finds how a rule refers to itself: nowhere, at the end of alternatives, at their beginning, or
 * otherwise.  Then it waits for itself, and never becomes an expression. */
static void find_recursion(const struct maker *k, uint32_t rule)
{
    struct made *m = &k->made[rule];
    uint32_t own = 0, tails = 0, heads = 0;

    for (uint32_t i = 0; i < m->n; i++) {
        const struct qr_gbnf_element *e = element_at(k, m, i);
        if (e->rule == QR_GBNF_NO_RULE) continue;
        m->waits_for++;
        if (e->rule != rule) continue;
        own++;
        if (e->min != 1 || e->max != 1) continue;
        tails += i + 1 == m->n || element_at(k, m, i + 1)->alternative != e->alternative;
        heads += i == 0 || element_at(k, m, i - 1)->alternative != e->alternative;
    }
    m->tail = own && tails == own;
    m->head = own && heads == own && !m->tail;
    if (m->tail || m->head) m->waits_for -= own;
}

/* ---- expressions ---------------------------------------------------------------------------- */

/* An element as an expression, repetitions in it.  False: it is none. */
static bool element_rx(const struct maker *k, const struct qr_gbnf_element *e, qr_rx *rx,
                       uint32_t *size)
{
    const struct made *other = e->rule == QR_GBNF_NO_RULE ? NULL : &k->made[e->rule];

    if (other && !other->regular) return false;
    *rx = other ? other->rx : e->rx;
    *size = other ? other->size : e->size;
    if (e->min != 1 || e->max != 1) *rx = qr_rx_repeat(k->g->pool, *rx, e->min, e->max);
    return true;
}

/* All elements that a rule refers to are made: it becomes an expression, unless one of them is none
 * or it is too large.  R -> a R | b is a* b, and R -> R a | b is b a* (Arden's lemma). */
static void make_rx(struct maker *k, uint32_t rule)
{
    struct qr_rx_pool *pool = k->g->pool;
    struct made *m = &k->made[rule];
    qr_rx ends = QR_RX_NONE, goes_on = QR_RX_NONE;
    uint64_t size = 0;
    uint32_t i = 0;

    for (uint32_t a = 0; a < k->g->rules[rule].alternatives_n; a++) {
        qr_rx all = QR_RX_EMPTY;
        bool own = false;
        const uint32_t begin = i;
        while (i < m->n && element_at(k, m, i)->alternative == a)
            i++;
        /* from the end, as concatenations lean to the right */
        for (uint32_t j = i; j-- > begin;) {
            const struct qr_gbnf_element *e = element_at(k, m, j);
            uint32_t one_size;
            qr_rx one;
            if (e->rule == rule) {
                own = true;
                continue;
            }
            if (!element_rx(k, e, &one, &one_size)) return;
            size += one_size;
            all = qr_rx_cat(pool, one, all);
        }
        size++;
        if (size > EXPRESSION_MAX) return;
        if (own)
            goes_on = qr_rx_or(pool, goes_on, all);
        else
            ends = qr_rx_or(pool, ends, all);
    }
    goes_on = qr_rx_repeat(pool, goes_on, 0, QR_RX_UNBOUNDED);
    m->rx = m->head ? qr_rx_cat(pool, ends, goes_on) : qr_rx_cat(pool, goes_on, ends);
    m->size = (uint32_t)size;
    m->regular = true;
}

/* Rules in an order in which those that they refer to come first; those on a cycle are left. */
static void make_expressions(struct maker *k)
{
    size_t done = 0, n = 0;

    for (uint32_t i = 0; i < k->g->rules_n; i++) {
        find_recursion(k, i);
        if (k->made[i].waits_for == 0) k->queue[n++] = i;
    }
    for (; done < n && !k->g->budget->failed; done++) {
        const uint32_t rule = k->queue[done];
        make_rx(k, rule);
        for (uint32_t e = k->made[rule].users; e != QR_GBNF_NO_RULE; e = k->users[e]) {
            const uint32_t user = k->g->elements[e].of;
            if (user != rule && --k->made[user].waits_for == 0) k->queue[n++] = user;
        }
    }
}

/* ---- nonterminals --------------------------------------------------------------------------- */

static bool put_symbol(struct maker *k, qr_symbol symbol)
{
    if (!QR_RESERVE(k->g->budget, k, symbols, k->symbols_n + 1)) return false;
    k->symbols[k->symbols_n++] = symbol;
    return true;
}

/* One alternative, elements [begin, end): expressions in a row are one lexeme. */
static void make_alternative(struct maker *k, struct made *m, uint32_t begin, uint32_t end)
{
    struct qr_rx_pool *pool = k->g->pool;
    uint32_t size = 0;
    qr_rx run = QR_RX_EMPTY;

    k->symbols_n = 0;
    for (uint32_t i = begin; i < end; i++) {
        const struct qr_gbnf_element *e = element_at(k, m, i);
        uint32_t one_size;
        qr_rx one;
        if (element_rx(k, e, &one, &one_size)) {
            if (size + one_size > EXPRESSION_MAX && run != QR_RX_EMPTY) {
                if (!put_symbol(k, qr_rules_regex(k->rules, run))) return;
                run = QR_RX_EMPTY;
                size = 0;
            }
            run = qr_rx_cat(pool, run, one);
            size += one_size;
            continue;
        }
        if (run != QR_RX_EMPTY && !put_symbol(k, qr_rules_regex(k->rules, run))) return;
        run = QR_RX_EMPTY;
        size = 0;
        qr_symbol symbol = QR_SYMBOL(QR_SYMBOL_RULES, k->made[e->rule].nonterminal);
        if (e->min != 1 || e->max != 1)
            symbol = qr_rules_repeat(k->rules, symbol, QR_SYMBOL_NONE, e->min, e->max);
        if (!put_symbol(k, symbol)) return;
    }
    if (run != QR_RX_EMPTY && !put_symbol(k, qr_rules_regex(k->rules, run))) return;
    qr_rules_add(k->rules, m->nonterminal, k->symbols, k->symbols_n);
}

static void make_nonterminals(struct maker *k)
{
    for (size_t i = 0; i < k->g->rules_n; i++)
        if (!k->made[i].regular) k->made[i].nonterminal = qr_rules_nonterminal(k->rules);
    for (size_t i = 0; i < k->g->rules_n && !k->g->budget->failed; i++) {
        struct made *m = &k->made[i];
        uint32_t at = 0;
        for (uint32_t a = 0; !m->regular && a < k->g->rules[i].alternatives_n; a++) {
            const uint32_t begin = at;
            while (at < m->n && element_at(k, m, at)->alternative == a)
                at++;
            make_alternative(k, m, begin, at);
        }
    }
}

static qr_symbol root_symbol(const struct maker *k)
{
    uint32_t root = 0;

    while (k->g->rules[root].name_n != 4 ||
           memcmp(k->g->text + k->g->rules[root].name, "root", 4) != 0)
        root++;
    const struct made *m = &k->made[root];
    return m->regular ? qr_rules_regex(k->rules, m->rx)
                      : QR_SYMBOL(QR_SYMBOL_RULES, m->nonterminal);
}

qr_symbol qr_gbnf_add(struct qr_rules *rules, const char *text, size_t n, int *status,
                      struct quire_error *error)
{
    struct qr_budget *budget = rules->budget;
    struct qr_gbnf g = {
        .budget = budget, .pool = rules->lexer->pool, .text = text, .text_n = n, .error = error};
    struct maker k = {.g = &g, .rules = rules};
    qr_symbol root = QR_SYMBOL_NONE;

    if (qr_gbnf_read(&g) && sort_elements(&k)) {
        make_expressions(&k);
        make_nonterminals(&k);
        if (!budget->failed) root = root_symbol(&k);
    }
    QR_RELEASE(budget, &g, rules);
    QR_RELEASE(budget, &g, elements);
    QR_RELEASE(budget, &k, made);
    QR_RELEASE(budget, &k, order);
    QR_RELEASE(budget, &k, users);
    QR_RELEASE(budget, &k, queue);
    QR_RELEASE(budget, &k, symbols);
    *status = g.status;
    return root;
}
