/* SPDX-License-Identifier: MIT */
/* rules -- a context-free grammar over lexemes.
 *
 * A symbol is a lexeme or a nonterminal.  A rule is a nonterminal and the symbols it may become;
 * rules lie one after the other in `body`, each ended by its nonterminal, so that a place within a
 * rule is one index:
 *
 *     body:  T3 N1 T4 END(0)  T5 END(1)  END(1)
 *            ^ rule of N0     ^ of N1    ^ N1 may be empty
 *
 * Thread: one at a time.   Memory: the budget's. */
#ifndef QR_GRAMMAR_RULES_H
#define QR_GRAMMAR_RULES_H

#include "runtime/grammar/lexer.h"

/* The kind in the low two bits, the number above them. */
typedef uint32_t qr_symbol;
enum { QR_SYMBOL_END, QR_SYMBOL_LEXEME, QR_SYMBOL_RULES };
#define QR_SYMBOL(kind, n)  ((uint32_t)(n) << 2 | (uint32_t)(kind))
#define QR_SYMBOL_KIND(s)   ((s)&3u)
#define QR_SYMBOL_NUMBER(s) ((s) >> 2)
#define QR_SYMBOL_NONE      UINT32_MAX /* as a symbol to be put: one that matches nothing */

struct qr_rule {
    uint32_t of;   /* nonterminal */
    uint32_t body; /* its first symbol */
};

struct qr_rules {
    struct qr_budget *budget;
    struct qr_lexer *lexer;
    qr_symbol *body;
    size_t body_n, body_capacity;
    struct qr_rule *rules; /* in the order of making; by nonterminal after qr_rules_end */
    size_t rules_n, rules_capacity;
    uint32_t *first; /* [nonterminals_n + 1]: a nonterminal's first rule */
    size_t first_capacity;
    bool *nullable; /* [nonterminals_n] */
    size_t nullable_capacity;
    uint32_t nonterminals_n;
    uint32_t start;
};

/* A new nonterminal, which has no rule yet and so matches nothing. */
uint32_t qr_rules_nonterminal(struct qr_rules *r);
/* One more rule: nonterminal -> symbols.  One with QR_SYMBOL_NONE in it is left out. */
void qr_rules_add(struct qr_rules *r, uint32_t nonterminal, const qr_symbol *symbols, size_t n);
/* A symbol for a regular expression: a lexeme; a choice of it and nothing if it may be empty;
 * QR_SYMBOL_NONE where it matches nothing. */
qr_symbol qr_rules_regex(struct qr_rules *r, qr_rx rx);
/* A symbol for min to max times `item`, with `separator` (or QR_SYMBOL_NONE) between them. */
qr_symbol qr_rules_repeat(struct qr_rules *r, qr_symbol item, qr_symbol separator, uint32_t min,
                          uint32_t max);
/* A symbol that never has a rule of more than n symbols: of a nonterminal with one rule. */
qr_symbol qr_rules_sequence(struct qr_rules *r, const qr_symbol *symbols, size_t n);
qr_symbol qr_rules_choice(struct qr_rules *r, const qr_symbol *symbols, size_t n);

/* Nothing is added any more: sorts the rules, drops those that can never end, and finds what may be
 * empty.  False: the start matches nothing (budget->failed tells memory apart). */
bool qr_rules_end(struct qr_rules *r, uint32_t start);
void qr_rules_deinit(struct qr_rules *r);

#endif
