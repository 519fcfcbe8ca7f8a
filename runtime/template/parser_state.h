/* SPDX-License-Identifier: MIT */
/* parser_state -- the parser's state, shared by parse_expression.c and parse_statement.c.
 *
 * Thread: the run's.   Memory: the run's arena. */
#ifndef QR_TEMPLATE_PARSER_STATE_H
#define QR_TEMPLATE_PARSER_STATE_H

#include "runtime/template/parser.h"

struct qr_parser {
    struct qr_run *run;
    struct qr_template_lexer lexer;
    struct qr_template_token now, ahead; /* the current token and the next */
    uint32_t loops;                      /* enclosing loops; break is allowed if > 0 */
    uint8_t uses;                        /* QR_USES_* of the enclosing macro so far */
};

/* A list of nodes under construction. */
struct qr_nodes {
    struct qr_node *first, *last;
    size_t n;
};

void qr_nodes_add(struct qr_nodes *nodes, struct qr_node *node);
struct qr_node *qr_node_make(struct qr_parser *p, enum qr_node_kind kind, uint32_t line);
/* Sets a kid of the node and updates the node's height. */
void qr_node_kid(struct qr_parser *p, struct qr_node *node, unsigned which,
                 const struct qr_node *kid);

void qr_parser_next(struct qr_parser *p);
bool qr_parser_is_op(const struct qr_parser *p, enum qr_op op);
bool qr_parser_is_name(const struct qr_parser *p, const char *name);
bool qr_parser_skip_op(struct qr_parser *p, enum qr_op op);
bool qr_parser_skip_name(struct qr_parser *p, const char *name);
/* `what` is for the error: "expected 'in', got ..." */
void qr_parser_expect_op(struct qr_parser *p, enum qr_op op, const char *what);
struct qr_template_token qr_parser_expect(struct qr_parser *p, enum qr_template_token_kind kind,
                                          const char *what);
_Noreturn void qr_parser_unexpected(struct qr_parser *p, const char *expected);

/* An expression.  conditional false: a following `if` does not belong to it. */
struct qr_node *qr_parse_expression(struct qr_parser *p, bool conditional);
/* An expression, or a tuple if commas follow. */
struct qr_node *qr_parse_tuple(struct qr_parser *p, bool conditional);
/* A target of an assignment: a name, a tuple of targets (if `tuples`), or a namespace's attribute
 * (if `space`). */
struct qr_node *qr_parse_target(struct qr_parser *p, bool space, bool tuples);
/* The filters "| a | b(1)" applied to `input` (NULL: the block's text).  named: the first filter
 * has no |.  Returns `input` if there are no filters. */
struct qr_node *qr_parse_filters(struct qr_parser *p, struct qr_node *input, bool named);

#endif
