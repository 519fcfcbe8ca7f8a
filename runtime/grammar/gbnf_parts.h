/* SPDX-License-Identifier: MIT */
/* gbnf_parts -- a grammar in GBNF as it was read, for the two files that compile it.
 *
 * A rule is a list of alternatives, and an alternative is a list of elements.  A group in
 * parentheses is a rule without a name.  All elements are in one array, in the order of the text.
 * `of` is the number of the element's rule, so a group's elements may interrupt another rule's:
 *
 *     root ::= "a" ("b" | x) "c"      element   "a"  group  "b"  x   "c"
 *                                     of         0     0     1   1    0
 *                                     alternative 0    0     0   1    0
 *
 * Thread: one.   Memory: the budget's. */
#ifndef QR_GRAMMAR_GBNF_PARTS_H
#define QR_GRAMMAR_GBNF_PARTS_H

#include "runtime/grammar/gbnf.h"

#define QR_GBNF_NO_RULE UINT32_MAX

struct qr_gbnf_element {
    uint32_t of, alternative;
    uint32_t rule; /* the rule referred to; NO_RULE: rx */
    qr_rx rx;
    uint32_t size; /* of rx, in characters and sets */
    uint32_t min, max;
    size_t at; /* byte offset */
};

struct qr_gbnf_rule {
    size_t name, name_n; /* in the text; name_n = 0: a group */
    size_t at;           /* where it is defined, or was first referred to */
    uint32_t alternatives_n;
    uint32_t next; /* in the reader's table of names */
    bool defined;
};

struct qr_gbnf {
    struct qr_budget *budget;
    struct qr_rx_pool *pool;
    const char *text;
    size_t text_n;
    struct qr_gbnf_rule *rules;
    size_t rules_n, rules_capacity;
    struct qr_gbnf_element *elements;
    size_t elements_n, elements_capacity;
    struct quire_error *error;
    int status;
};

/* Refuses the grammar for what is at a byte of its text; keeps the first complaint only.  Returns
 * false. */
__attribute__((format(printf, 3, 4))) bool qr_gbnf_refuse(struct qr_gbnf *g, size_t at,
                                                          const char *format, ...);
/* Reads the text.  False: refused, or budget->failed. */
bool qr_gbnf_read(struct qr_gbnf *g);

#endif
