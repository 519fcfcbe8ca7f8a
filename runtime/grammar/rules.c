/* SPDX-License-Identifier: MIT */
#include "runtime/grammar/rules.h"

#include <assert.h>
#include <string.h>

uint32_t qr_rules_nonterminal(struct qr_rules *r)
{
    if (r->nonterminals_n >= UINT32_C(1) << 28) r->budget->failed = true;
    return r->nonterminals_n++;
}

void qr_rules_add(struct qr_rules *r, uint32_t nonterminal, const qr_symbol *symbols, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (symbols[i] == QR_SYMBOL_NONE) return;
    if (!QR_RESERVE(r->budget, r, body, r->body_n + n + 1) ||
        !QR_RESERVE(r->budget, r, rules, r->rules_n + 1))
        return;
    r->rules[r->rules_n++] = (struct qr_rule){nonterminal, (uint32_t)r->body_n};
    if (n) memcpy(r->body + r->body_n, symbols, n * sizeof *symbols);
    r->body_n += n;
    r->body[r->body_n++] = QR_SYMBOL(QR_SYMBOL_END, nonterminal);
}

qr_symbol qr_rules_sequence(struct qr_rules *r, const qr_symbol *symbols, size_t n)
{
    if (n == 1) return symbols[0];
    uint32_t whole = qr_rules_nonterminal(r);
    qr_rules_add(r, whole, symbols, n);
    return QR_SYMBOL(QR_SYMBOL_RULES, whole);
}

qr_symbol qr_rules_choice(struct qr_rules *r, const qr_symbol *symbols, size_t n)
{
    if (n == 1) return symbols[0];
    uint32_t choice = qr_rules_nonterminal(r);
    for (size_t i = 0; i < n; i++)
        qr_rules_add(r, choice, symbols + i, 1);
    return QR_SYMBOL(QR_SYMBOL_RULES, choice);
}

qr_symbol qr_rules_regex(struct qr_rules *r, qr_rx rx)
{
    struct qr_rx_pool *pool = r->lexer->pool;

    if (qr_rx_is_empty(pool, rx)) return QR_SYMBOL_NONE;
    if (!qr_rx_nullable(pool, rx)) return QR_SYMBOL(QR_SYMBOL_LEXEME, qr_lexer_add(r->lexer, rx));
    uint32_t choice = qr_rules_nonterminal(r);
    qr_rules_add(r, choice, NULL, 0);
    qr_rx rest = qr_rx_and(pool, rx, qr_rx_not(pool, QR_RX_EMPTY));
    if (rx != QR_RX_EMPTY && !qr_rx_is_empty(pool, rest)) {
        qr_symbol some = QR_SYMBOL(QR_SYMBOL_LEXEME, qr_lexer_add(r->lexer, rest));
        qr_rules_add(r, choice, &some, 1);
    }
    return QR_SYMBOL(QR_SYMBOL_RULES, choice);
}

/* Lists grow at their end, so that a long one costs the same at each item:
 *     list_1 -> item;   list_i -> list_(i-1) separator item;   unbounded: list -> list separator
 * item */
qr_symbol qr_rules_repeat(struct qr_rules *r, qr_symbol item, qr_symbol separator, uint32_t min,
                          uint32_t max)
{
    const size_t between = separator == QR_SYMBOL_NONE ? 0 : 1;
    uint32_t whole = qr_rules_nonterminal(r);
    qr_symbol list = QR_SYMBOL_NONE;

    if (min == 0) qr_rules_add(r, whole, NULL, 0);
    uint32_t last = max == QR_RX_UNBOUNDED ? (min ? min : 1) : max;
    for (uint32_t i = 1; i <= last && !r->budget->failed; i++) {
        uint32_t longer = qr_rules_nonterminal(r);
        qr_symbol symbols[3] = {list, separator, item};
        if (!between) symbols[1] = item;
        if (list == QR_SYMBOL_NONE)
            qr_rules_add(r, longer, &item, 1);
        else
            qr_rules_add(r, longer, symbols, 2 + between);
        list = QR_SYMBOL(QR_SYMBOL_RULES, longer);
        if (i == last && max == QR_RX_UNBOUNDED) {
            symbols[0] = list;
            qr_rules_add(r, longer, symbols, 2 + between);
        }
        if (i >= min) qr_rules_add(r, whole, &list, 1);
    }
    return QR_SYMBOL(QR_SYMBOL_RULES, whole);
}

/* ---- the end -------------------------------------------------------------------------------- */

/* Marks the nonterminals that have a rule all of whose nonterminals are marked; with `lexemes` a
 * lexeme counts as marked. */
static void mark(const struct qr_rules *r, bool *marked, bool lexemes)
{
    bool up = false;

    /* alternately upwards and downwards, since rules refer to neighbours made before and after */
    for (bool more = true; more; up = !up) {
        more = false;
        for (size_t n = 0; n < r->rules_n; n++) {
            size_t i = up ? n : r->rules_n - 1 - n;
            bool all = !marked[r->rules[i].of];
            for (const qr_symbol *s = r->body + r->rules[i].body;
                 all && QR_SYMBOL_KIND(*s) != QR_SYMBOL_END; s++)
                all =
                    QR_SYMBOL_KIND(*s) == QR_SYMBOL_LEXEME ? lexemes : marked[QR_SYMBOL_NUMBER(*s)];
            if (all) more = marked[r->rules[i].of] = true;
        }
    }
}

/* Rules by nonterminal, those with a nonterminal that cannot end left out. */
static void sort_rules(struct qr_rules *r, const bool *ends, struct qr_rule *sorted)
{
    memset(r->first, 0, ((size_t)r->nonterminals_n + 1) * sizeof *r->first);
    size_t kept = 0;
    for (size_t i = 0; i < r->rules_n; i++) {
        bool all = true;
        for (const qr_symbol *s = r->body + r->rules[i].body; QR_SYMBOL_KIND(*s) != QR_SYMBOL_END;
             s++)
            all = all && (QR_SYMBOL_KIND(*s) == QR_SYMBOL_LEXEME || ends[QR_SYMBOL_NUMBER(*s)]);
        if (!all) continue;
        r->rules[kept++] = r->rules[i];
        r->first[r->rules[i].of + 1]++;
    }
    r->rules_n = kept;
    for (uint32_t i = 0; i < r->nonterminals_n; i++)
        r->first[i + 1] += r->first[i];
    for (size_t i = 0; i < kept; i++)
        sorted[r->first[r->rules[i].of]++] = r->rules[i];
    for (uint32_t i = r->nonterminals_n; i > 0; i--)
        r->first[i] = r->first[i - 1];
    r->first[0] = 0;
    if (kept) memcpy(r->rules, sorted, kept * sizeof *sorted);
}

bool qr_rules_end(struct qr_rules *r, uint32_t start)
{
    struct {
        struct qr_rule *sorted;
        size_t sorted_capacity;
    } own = {0};

    r->start = start;
    if (!QR_RESERVE(r->budget, r, first, (size_t)r->nonterminals_n + 1) ||
        !QR_RESERVE(r->budget, r, nullable, (size_t)r->nonterminals_n + 1) ||
        !QR_RESERVE(r->budget, &own, sorted, r->rules_n + 1))
        return false;
    memset(r->nullable, 0, r->nonterminals_n * sizeof *r->nullable);
    mark(r, r->nullable, true);
    bool ends = r->nullable[start];
    sort_rules(r, r->nullable, own.sorted);
    memset(r->nullable, 0, r->nonterminals_n * sizeof *r->nullable);
    mark(r, r->nullable, false);
    qr_array_free(r->budget, own.sorted);
    return ends && qr_lexer_begin(r->lexer);
}

void qr_rules_deinit(struct qr_rules *r)
{
    qr_array_free(r->budget, r->body);
    qr_array_free(r->budget, r->rules);
    qr_array_free(r->budget, r->first);
    qr_array_free(r->budget, r->nullable);
}
