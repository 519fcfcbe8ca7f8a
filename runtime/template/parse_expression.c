/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "runtime/base/limits.h"
#include "runtime/template/parser_state.h"

/* ---- nodes and tokens ------------------------------------------------------------------------ */

void qr_nodes_add(struct qr_nodes *nodes, struct qr_node *node)
{
    if (nodes->last)
        nodes->last->next = node;
    else
        nodes->first = node;
    nodes->last = node;
    nodes->n++;
}

struct qr_node *qr_node_make(struct qr_parser *p, enum qr_node_kind kind, uint32_t line)
{
    struct qr_node *node = qr_run_alloc(p->run, sizeof *node);

    *node = (struct qr_node){.kind = (uint8_t)kind, .line = line, .height = 1};
    return node;
}

void qr_node_kid(struct qr_parser *p, struct qr_node *node, unsigned which,
                 const struct qr_node *kid)
{
    node->kids[which] = kid;
    for (; kid; kid = kid->next)
        if (kid->height + 1 > node->height) node->height = (uint16_t)(kid->height + 1);
    if (node->height > QR_TEMPLATE_HEIGHT_MAX)
        qr_run_fail(p->run, "expressions or blocks are nested deeper than %u levels",
                    QR_TEMPLATE_HEIGHT_MAX);
}

static struct qr_node *unary(struct qr_parser *p, enum qr_node_kind kind, uint32_t line,
                             const struct qr_node *kid)
{
    struct qr_node *node = qr_node_make(p, kind, line);

    qr_node_kid(p, node, 0, kid);
    return node;
}

static struct qr_node *binary(struct qr_parser *p, enum qr_node_kind kind, enum qr_op op,
                              const struct qr_node *left, const struct qr_node *right)
{
    struct qr_node *node = unary(p, kind, left->line, left);

    node->op = (uint8_t)op;
    qr_node_kid(p, node, 1, right);
    return node;
}

void qr_parser_next(struct qr_parser *p)
{
    p->now = p->ahead;
    p->ahead = p->now.kind == QR_T_END ? p->now : qr_template_lexer_next(&p->lexer);
    p->run->line = p->now.line;
}

bool qr_parser_is_op(const struct qr_parser *p, enum qr_op op)
{
    return p->now.kind == QR_T_OP && p->now.op == op;
}

bool qr_parser_is_name(const struct qr_parser *p, const char *name)
{
    return p->now.kind == QR_T_NAME && qr_value_is_text(p->now.value, name);
}

bool qr_parser_skip_op(struct qr_parser *p, enum qr_op op)
{
    if (!qr_parser_is_op(p, op)) return false;
    qr_parser_next(p);
    return true;
}

bool qr_parser_skip_name(struct qr_parser *p, const char *name)
{
    if (!qr_parser_is_name(p, name)) return false;
    qr_parser_next(p);
    return true;
}

void qr_parser_unexpected(struct qr_parser *p, const char *expected)
{
    if (p->now.kind == QR_T_END)
        qr_run_fail(p->run, "expected %s, got the end of the template", expected);
    if (p->now.kind == QR_T_DATA) qr_run_fail(p->run, "expected %s, got text", expected);
    int n = (int)(p->now.at_n < 40 ? p->now.at_n : 40);
    qr_run_fail(p->run, "expected %s, got '%.*s'", expected, n, p->now.at);
}

void qr_parser_expect_op(struct qr_parser *p, enum qr_op op, const char *what)
{
    if (!qr_parser_skip_op(p, op)) qr_parser_unexpected(p, what);
}

struct qr_template_token qr_parser_expect(struct qr_parser *p, enum qr_template_token_kind kind,
                                          const char *what)
{
    struct qr_template_token token = p->now;

    if (token.kind != kind) qr_parser_unexpected(p, what);
    qr_parser_next(p);
    return token;
}

/* ---- primary expressions --------------------------------------------------------------------- */

static struct qr_node *parse_list(struct qr_parser *p)
{
    struct qr_node *list = qr_node_make(p, QR_N_LIST, p->now.line);
    struct qr_nodes items = {0};

    qr_parser_next(p);
    while (!qr_parser_is_op(p, QR_OP_RBRACKET)) {
        if (items.n) qr_parser_expect_op(p, QR_OP_COMMA, "',' or ']'");
        if (qr_parser_is_op(p, QR_OP_RBRACKET)) break;
        qr_nodes_add(&items, qr_parse_expression(p, true));
    }
    qr_parser_next(p);
    qr_node_kid(p, list, 0, items.first);
    return list;
}

static struct qr_node *parse_dict(struct qr_parser *p)
{
    struct qr_node *dict = qr_node_make(p, QR_N_DICT, p->now.line);
    struct qr_nodes items = {0};

    qr_parser_next(p);
    while (!qr_parser_is_op(p, QR_OP_RBRACE)) {
        if (items.n) qr_parser_expect_op(p, QR_OP_COMMA, "',' or '}'");
        if (qr_parser_is_op(p, QR_OP_RBRACE)) break;
        qr_nodes_add(&items, qr_parse_expression(p, true));
        qr_parser_expect_op(p, QR_OP_COLON, "':'");
        qr_nodes_add(&items, qr_parse_expression(p, true));
    }
    qr_parser_next(p);
    qr_node_kid(p, dict, 0, items.first);
    return dict;
}

static struct qr_node *parse_string(struct qr_parser *p)
{
    struct qr_node *node = qr_node_make(p, QR_N_CONST, p->now.line);

    node->value = p->now.value;
    qr_parser_next(p);
    while (p->now.kind == QR_T_STRING) { /* adjacent strings are concatenated */
        node->value = qr_value_join(p->run, node->value, p->now.value);
        qr_parser_next(p);
    }
    return node;
}

static struct qr_node *parse_name(struct qr_parser *p)
{
    static const struct {
        const char *name;
        struct qr_value value;
    } constants[] = {
        {"true", {.kind = QR_V_BOOL, .as.truth = true}},
        {"True", {.kind = QR_V_BOOL, .as.truth = true}},
        {"false", {.kind = QR_V_BOOL}},
        {"False", {.kind = QR_V_BOOL}},
        {"none", {.kind = QR_V_NONE}},
        {"None", {.kind = QR_V_NONE}},
    };
    struct qr_node *node = qr_node_make(p, QR_N_NAME, p->now.line);

    node->value = p->now.value;
    for (size_t i = 0; i < sizeof constants / sizeof constants[0]; i++) {
        if (!qr_value_is_text(p->now.value, constants[i].name)) continue;
        node->kind = QR_N_CONST;
        node->value = constants[i].value;
    }
    if (qr_value_is_text(p->now.value, "varargs")) p->uses |= QR_USES_VARARGS;
    if (qr_value_is_text(p->now.value, "kwargs")) p->uses |= QR_USES_KWARGS;
    if (qr_value_is_text(p->now.value, "caller")) p->uses |= QR_USES_CALLER;
    qr_parser_next(p);
    return node;
}

static struct qr_node *parse_primary(struct qr_parser *p)
{
    struct qr_node *node;

    switch (p->now.kind) {
    case QR_T_NAME: return parse_name(p);
    case QR_T_STRING: return parse_string(p);
    case QR_T_INTEGER:
    case QR_T_FLOAT:
        node = qr_node_make(p, QR_N_CONST, p->now.line);
        node->value = p->now.value;
        qr_parser_next(p);
        return node;
    default: break;
    }
    if (qr_parser_is_op(p, QR_OP_LBRACKET)) return parse_list(p);
    if (qr_parser_is_op(p, QR_OP_LBRACE)) return parse_dict(p);
    if (!qr_parser_is_op(p, QR_OP_LPAREN)) qr_parser_unexpected(p, "an expression");
    uint32_t line = p->now.line;
    qr_parser_next(p);
    if (qr_parser_skip_op(p, QR_OP_RPAREN)) return qr_node_make(p, QR_N_TUPLE, line);
    node = qr_parse_tuple(p, true);
    qr_parser_expect_op(p, QR_OP_RPAREN, "')'");
    return node;
}

/* ---- postfix: .a [b] (c) |d is e ------------------------------------------------------------- */

static const struct qr_node *parse_arguments(struct qr_parser *p)
{
    struct qr_nodes arguments = {0};
    bool keywords = false;

    qr_parser_expect_op(p, QR_OP_LPAREN, "'('");
    while (!qr_parser_is_op(p, QR_OP_RPAREN)) {
        struct qr_node *node;
        if (arguments.n) qr_parser_expect_op(p, QR_OP_COMMA, "',' or ')'");
        if (qr_parser_is_op(p, QR_OP_RPAREN)) break;
        uint32_t line = p->now.line;
        if (qr_parser_skip_op(p, QR_OP_MUL))
            node = unary(p, QR_N_STAR, line, qr_parse_expression(p, true));
        else if (qr_parser_skip_op(p, QR_OP_POW)) {
            node = unary(p, QR_N_STARS, line, qr_parse_expression(p, true));
            keywords = true;
        } else if (p->now.kind == QR_T_NAME && p->ahead.kind == QR_T_OP &&
                   p->ahead.op == QR_OP_ASSIGN) {
            struct qr_value name = p->now.value;
            qr_parser_next(p);
            qr_parser_next(p);
            node = unary(p, QR_N_KEYWORD, line, qr_parse_expression(p, true));
            node->value = name;
            keywords = true;
        } else {
            if (keywords) qr_parser_unexpected(p, "name=value after name=value");
            node = qr_parse_expression(p, true);
        }
        qr_nodes_add(&arguments, node);
    }
    qr_parser_next(p);
    return arguments.first;
}

static struct qr_node *parse_call(struct qr_parser *p, struct qr_node *callee)
{
    struct qr_node *node = unary(p, QR_N_CALL, p->now.line, callee);

    qr_node_kid(p, node, 1, parse_arguments(p));
    return node;
}

/* A slice "a:b:c", each bound optional, or an expression. */
static struct qr_node *parse_subscribed(struct qr_parser *p)
{
    struct qr_node *first = NULL;
    uint32_t line = p->now.line;

    if (!qr_parser_is_op(p, QR_OP_COLON)) {
        first = qr_parse_expression(p, true);
        if (!qr_parser_is_op(p, QR_OP_COLON)) return first;
    }
    struct qr_node *slice = unary(p, QR_N_SLICE, line, first);
    for (unsigned i = 1; i < 3 && qr_parser_skip_op(p, QR_OP_COLON); i++) {
        if (qr_parser_is_op(p, QR_OP_COLON) || qr_parser_is_op(p, QR_OP_RBRACKET)) continue;
        qr_node_kid(p, slice, i, qr_parse_expression(p, true));
    }
    return slice;
}

static struct qr_node *parse_subscript(struct qr_parser *p, struct qr_node *of)
{
    uint32_t line = p->now.line;
    struct qr_node *node;

    if (qr_parser_skip_op(p, QR_OP_DOT)) {
        if (p->now.kind == QR_T_INTEGER) return binary(p, QR_N_ITEM, 0, of, parse_primary(p));
        node = unary(p, QR_N_ATTR, line, of);
        node->value = qr_parser_expect(p, QR_T_NAME, "an attribute's name").value;
        return node;
    }
    qr_parser_next(p);
    node = binary(p, QR_N_ITEM, 0, of, parse_subscribed(p));
    qr_parser_expect_op(p, QR_OP_RBRACKET, "']'");
    return node;
}

static struct qr_node *parse_postfix(struct qr_parser *p, struct qr_node *node)
{
    for (;;)
        if (qr_parser_is_op(p, QR_OP_DOT) || qr_parser_is_op(p, QR_OP_LBRACKET))
            node = parse_subscript(p, node);
        else if (qr_parser_is_op(p, QR_OP_LPAREN))
            node = parse_call(p, node);
        else
            return node;
}

/* jinja2 allows dotted filter names.  None is built in, so a dotted name is unknown. */
static struct qr_value parse_dotted(struct qr_parser *p, const char *what)
{
    struct qr_value name = qr_parser_expect(p, QR_T_NAME, what).value;

    while (qr_parser_skip_op(p, QR_OP_DOT)) {
        name = qr_value_join(p->run, name, QR_VALUE_LITERAL("."));
        name = qr_value_join(p->run, name, qr_parser_expect(p, QR_T_NAME, what).value);
    }
    return name;
}

struct qr_node *qr_parse_filters(struct qr_parser *p, struct qr_node *input, bool named)
{
    while (named || qr_parser_skip_op(p, QR_OP_PIPE)) {
        named = false;
        struct qr_node *node = unary(p, QR_N_FILTER, p->now.line, input);
        node->value = parse_dotted(p, "a filter's name");
        if (qr_parser_is_op(p, QR_OP_LPAREN)) qr_node_kid(p, node, 1, parse_arguments(p));
        input = node;
    }
    return input;
}

static bool begins_argument(const struct qr_parser *p)
{
    switch (p->now.kind) {
    case QR_T_NAME:
        return !qr_parser_is_name(p, "else") && !qr_parser_is_name(p, "or") &&
               !qr_parser_is_name(p, "and");
    case QR_T_STRING:
    case QR_T_INTEGER:
    case QR_T_FLOAT: return true;
    default: return qr_parser_is_op(p, QR_OP_LBRACKET) || qr_parser_is_op(p, QR_OP_LBRACE);
    }
}

static struct qr_node *parse_test(struct qr_parser *p, struct qr_node *input)
{
    uint32_t line = p->now.line;

    qr_parser_next(p);
    bool negated = qr_parser_skip_name(p, "not");
    struct qr_node *node = unary(p, QR_N_TEST, line, input);
    node->value = parse_dotted(p, "a test's name");
    if (qr_parser_is_op(p, QR_OP_LPAREN))
        qr_node_kid(p, node, 1, parse_arguments(p));
    else if (begins_argument(p)) {
        if (qr_parser_is_name(p, "is")) qr_run_fail(p->run, "two tests in a row: expected 'and'");
        qr_node_kid(p, node, 1, parse_postfix(p, parse_primary(p)));
    }
    return negated ? unary(p, QR_N_NOT, line, node) : node;
}

static struct qr_node *parse_filters_and_tests(struct qr_parser *p, struct qr_node *node)
{
    for (;;)
        if (qr_parser_is_op(p, QR_OP_PIPE))
            node = qr_parse_filters(p, node, false);
        else if (qr_parser_is_name(p, "is"))
            node = parse_test(p, node);
        else if (qr_parser_is_op(p, QR_OP_LPAREN))
            node = parse_call(p, node);
        else
            return node;
}

/* ---- operators, from the tightest to the loosest --------------------------------------------- */

static struct qr_node *parse_unary(struct qr_parser *p, bool filters)
{
    uint32_t line = p->now.line;
    struct qr_node *node;

    qr_run_enter(p->run);
    if (qr_parser_skip_op(p, QR_OP_SUB))
        node = unary(p, QR_N_NEG, line, parse_unary(p, false));
    else if (qr_parser_skip_op(p, QR_OP_ADD))
        node = unary(p, QR_N_POS, line, parse_unary(p, false));
    else
        node = parse_primary(p);
    node = parse_postfix(p, node);
    if (filters) node = parse_filters_and_tests(p, node);
    qr_run_leave(p->run);
    return node;
}

static struct qr_node *parse_power(struct qr_parser *p)
{
    struct qr_node *left = parse_unary(p, true);

    while (qr_parser_skip_op(p, QR_OP_POW))
        left = binary(p, QR_N_BINARY, QR_OP_POW, left, parse_unary(p, true));
    return left;
}

static struct qr_node *parse_product(struct qr_parser *p)
{
    struct qr_node *left = parse_power(p);

    while (qr_parser_is_op(p, QR_OP_MUL) || qr_parser_is_op(p, QR_OP_DIV) ||
           qr_parser_is_op(p, QR_OP_FLOORDIV) || qr_parser_is_op(p, QR_OP_MOD)) {
        enum qr_op op = p->now.op;
        qr_parser_next(p);
        left = binary(p, QR_N_BINARY, op, left, parse_power(p));
    }
    return left;
}

static struct qr_node *parse_concat(struct qr_parser *p)
{
    struct qr_node *first = parse_product(p);

    if (!qr_parser_is_op(p, QR_OP_TILDE)) return first;
    struct qr_node *node = qr_node_make(p, QR_N_CONCAT, first->line);
    struct qr_nodes operands = {0};
    qr_nodes_add(&operands, first);
    while (qr_parser_skip_op(p, QR_OP_TILDE))
        qr_nodes_add(&operands, parse_product(p));
    qr_node_kid(p, node, 0, operands.first);
    return node;
}

static struct qr_node *parse_sum(struct qr_parser *p)
{
    struct qr_node *left = parse_concat(p);

    while (qr_parser_is_op(p, QR_OP_ADD) || qr_parser_is_op(p, QR_OP_SUB)) {
        enum qr_op op = p->now.op;
        qr_parser_next(p);
        left = binary(p, QR_N_BINARY, op, left, parse_concat(p));
    }
    return left;
}

static enum qr_op skip_comparison(struct qr_parser *p)
{
    enum qr_op op = p->now.op;

    if (p->now.kind == QR_T_OP && op >= QR_OP_EQ && op <= QR_OP_GE) {
        qr_parser_next(p);
        return op;
    }
    if (qr_parser_skip_name(p, "in")) return QR_OP_IN;
    if (qr_parser_is_name(p, "not") && p->ahead.kind == QR_T_NAME &&
        qr_value_is_text(p->ahead.value, "in")) {
        qr_parser_next(p);
        qr_parser_next(p);
        return QR_OP_NOT_IN;
    }
    return QR_OP_NONE;
}

static struct qr_node *parse_comparison(struct qr_parser *p)
{
    struct qr_node *first = parse_sum(p);
    struct qr_nodes operands = {0};
    enum qr_op op;

    while ((op = skip_comparison(p)) != QR_OP_NONE) {
        struct qr_node *operand = unary(p, QR_N_OPERAND, p->now.line, parse_sum(p));
        operand->op = (uint8_t)op;
        qr_nodes_add(&operands, operand);
    }
    if (!operands.n) return first;
    struct qr_node *node = unary(p, QR_N_COMPARE, first->line, first);
    qr_node_kid(p, node, 1, operands.first);
    return node;
}

static struct qr_node *parse_not(struct qr_parser *p)
{
    uint32_t line = p->now.line;

    if (!qr_parser_skip_name(p, "not")) return parse_comparison(p);
    qr_run_enter(p->run);
    struct qr_node *node = unary(p, QR_N_NOT, line, parse_not(p));
    qr_run_leave(p->run);
    return node;
}

static struct qr_node *parse_and(struct qr_parser *p)
{
    struct qr_node *left = parse_not(p);

    while (qr_parser_skip_name(p, "and"))
        left = binary(p, QR_N_AND, 0, left, parse_not(p));
    return left;
}

static struct qr_node *parse_or(struct qr_parser *p)
{
    struct qr_node *left = parse_and(p);

    while (qr_parser_skip_name(p, "or"))
        left = binary(p, QR_N_OR, 0, left, parse_and(p));
    return left;
}

struct qr_node *qr_parse_expression(struct qr_parser *p, bool conditional)
{
    qr_run_enter(p->run);
    struct qr_node *node = parse_or(p);
    while (conditional && qr_parser_skip_name(p, "if")) {
        struct qr_node *cond = qr_node_make(p, QR_N_COND, node->line);
        qr_node_kid(p, cond, 1, node);
        qr_node_kid(p, cond, 0, parse_or(p));
        if (qr_parser_skip_name(p, "else")) qr_node_kid(p, cond, 2, qr_parse_expression(p, true));
        node = cond;
    }
    qr_run_leave(p->run);
    return node;
}

/* ---- tuples and targets ---------------------------------------------------------------------- */

static bool is_tuple_end(const struct qr_parser *p)
{
    return p->now.kind == QR_T_PRINT_END || p->now.kind == QR_T_BLOCK_END ||
           qr_parser_is_op(p, QR_OP_RPAREN) || qr_parser_is_name(p, "in") ||
           qr_parser_is_op(p, QR_OP_ASSIGN);
}

struct qr_node *qr_parse_tuple(struct qr_parser *p, bool conditional)
{
    struct qr_node *first = qr_parse_expression(p, conditional);

    if (!qr_parser_is_op(p, QR_OP_COMMA)) return first;
    struct qr_node *tuple = qr_node_make(p, QR_N_TUPLE, first->line);
    struct qr_nodes items = {0};
    qr_nodes_add(&items, first);
    while (qr_parser_skip_op(p, QR_OP_COMMA) && !is_tuple_end(p))
        qr_nodes_add(&items, qr_parse_expression(p, conditional));
    qr_node_kid(p, tuple, 0, items.first);
    return tuple;
}

static struct qr_node *parse_one_target(struct qr_parser *p, bool space, bool tuples)
{
    if (tuples && qr_parser_skip_op(p, QR_OP_LPAREN)) {
        qr_run_enter(p->run);
        struct qr_node *inner = qr_parse_target(p, space, true);
        qr_run_leave(p->run);
        qr_parser_expect_op(p, QR_OP_RPAREN, "')'");
        return inner;
    }
    if (p->now.kind != QR_T_NAME) qr_parser_unexpected(p, "a name to assign to");
    struct qr_node *node = parse_name(p);
    if (node->kind != QR_N_NAME) qr_run_fail(p->run, "cannot assign to a constant");
    if (!space || !qr_parser_skip_op(p, QR_OP_DOT)) return node;
    struct qr_node *reference = unary(p, QR_N_NSREF, node->line, node);
    reference->value = qr_parser_expect(p, QR_T_NAME, "a namespace's attribute").value;
    return reference;
}

struct qr_node *qr_parse_target(struct qr_parser *p, bool space, bool tuples)
{
    struct qr_node *first = parse_one_target(p, space, tuples);

    if (!tuples || !qr_parser_is_op(p, QR_OP_COMMA)) return first;
    struct qr_node *tuple = qr_node_make(p, QR_N_TUPLE, first->line);
    struct qr_nodes items = {0};
    qr_nodes_add(&items, first);
    while (qr_parser_skip_op(p, QR_OP_COMMA) && !is_tuple_end(p))
        qr_nodes_add(&items, parse_one_target(p, space, true));
    qr_node_kid(p, tuple, 0, items.first);
    return tuple;
}
