/* SPDX-License-Identifier: MIT */
/* parse -- what the two halves of the parser share: expressions and statements.
 *
 * Thread: the run's.   Memory: the run's. */
#ifndef QR_TEMPLATE_PARSE_H
#define QR_TEMPLATE_PARSE_H

#include "runtime/template/parser.h"

struct qr_parser {
    struct qr_run *run;
    struct qr_lexer lexer;
    struct qr_lexer_token now, ahead; /* the current token, and the one behind it */
    uint32_t loops;                   /* open around here: where break is allowed */
    uint8_t uses;                     /* QR_USES_*: what the macro around here names */
};

/* A list of nodes as it is built. */
struct qr_nodes {
    struct qr_node *first, *last;
    size_t n;
};

void qr_nodes_add(struct qr_nodes *nodes, struct qr_node *node);
struct qr_node *qr_node_make(struct qr_parser *p, enum qr_node_kind kind, uint32_t line);
/* Gives the node its kids, and knows how high it has become. */
void qr_node_kid(struct qr_parser *p, struct qr_node *node, unsigned which,
                 const struct qr_node *kid);

void qr_parser_next(struct qr_parser *p);
bool qr_parser_is_op(const struct qr_parser *p, enum qr_op op);
bool qr_parser_is_name(const struct qr_parser *p, const char *name);
bool qr_parser_skip_op(struct qr_parser *p, enum qr_op op);
bool qr_parser_skip_name(struct qr_parser *p, const char *name);
/* `what` is for the message: "expected 'in', got ..." */
void qr_parser_expect_op(struct qr_parser *p, enum qr_op op, const char *what);
struct qr_lexer_token qr_parser_expect(struct qr_parser *p, enum qr_lexer_token_kind kind,
                                       const char *what);
_Noreturn void qr_parser_unexpected(struct qr_parser *p, const char *expected);

/* An expression; without `conditional` an `if` behind it is not its own. */
struct qr_node *qr_parse_expression(struct qr_parser *p, bool conditional);
/* The same, or several with commas between them, which are a tuple. */
struct qr_node *qr_parse_tuple(struct qr_parser *p, bool conditional);
/* A name, names in a tuple, or (with `space`) a namespace's attribute. */
struct qr_node *qr_parse_target(struct qr_parser *p, bool space, bool tuples);
/* "| a | b(1)" behind `input` (NULL: what a block holds); `named`: the first name stands without
 * its |.  NULL if there is none. */
struct qr_node *qr_parse_filters(struct qr_parser *p, struct qr_node *input, bool named);

#endif
