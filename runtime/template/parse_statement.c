/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "runtime/template/parser_state.h"

/* The tag names that end a body. */
struct ends {
    const char *names[3];
};

static struct qr_node *parse_body(struct qr_parser *p, struct ends ends, const char *expected);

static void end_block(struct qr_parser *p)
{
    (void)qr_parser_expect(p, QR_T_BLOCK_END, "%}");
}

/* Reads the end of the opening tag, the body, and the name of its closing tag. */
static struct qr_node *parse_whole_body(struct qr_parser *p, const char *end)
{
    (void)qr_parser_skip_op(p, QR_OP_COLON);
    end_block(p);
    struct qr_node *body = parse_body(p, (struct ends){{end, NULL, NULL}}, end);
    qr_parser_next(p);
    return body;
}

/* ---- for, if --------------------------------------------------------------------------------- */

static struct qr_node *parse_for(struct qr_parser *p, uint32_t line)
{
    struct qr_node *node = qr_node_make(p, QR_N_FOR, line);

    qr_node_kid(p, node, 0, qr_parse_target(p, false, true));
    if (!qr_parser_skip_name(p, "in")) qr_parser_unexpected(p, "'in'");
    qr_node_kid(p, node, 1, qr_parse_tuple(p, false));
    if (qr_parser_skip_name(p, "if")) qr_node_kid(p, node, 2, qr_parse_expression(p, true));
    if (qr_parser_is_name(p, "recursive")) qr_run_fail(p->run, "recursive loops are not supported");
    (void)qr_parser_skip_op(p, QR_OP_COLON);
    end_block(p);
    p->loops++;
    qr_node_kid(p, node, 3,
                parse_body(p, (struct ends){{"endfor", "else", NULL}}, "'endfor' or 'else'"));
    p->loops--;
    if (qr_parser_skip_name(p, "else"))
        qr_node_kid(p, node, 4, parse_whole_body(p, "endfor"));
    else
        qr_parser_next(p);
    return node;
}

/* An elif becomes an IF in the else branch, so each is one level deeper. */
static struct qr_node *parse_if(struct qr_parser *p, uint32_t line)
{
    static const struct ends ends = {{"elif", "else", "endif"}};
    struct qr_node *node = qr_node_make(p, QR_N_IF, line);

    qr_run_enter(p->run);
    qr_node_kid(p, node, 0, qr_parse_tuple(p, false));
    (void)qr_parser_skip_op(p, QR_OP_COLON);
    end_block(p);
    qr_node_kid(p, node, 1, parse_body(p, ends, "'elif', 'else' or 'endif'"));
    uint32_t next_line = p->now.line;
    if (qr_parser_skip_name(p, "elif"))
        qr_node_kid(p, node, 2, parse_if(p, next_line));
    else if (qr_parser_skip_name(p, "else"))
        qr_node_kid(p, node, 2, parse_whole_body(p, "endif"));
    else
        qr_parser_next(p);
    qr_run_leave(p->run);
    return node;
}

/* ---- set, with ------------------------------------------------------------------------------- */

static struct qr_node *parse_set(struct qr_parser *p, uint32_t line)
{
    struct qr_node *target = qr_parse_target(p, true, true);
    bool block = !qr_parser_skip_op(p, QR_OP_ASSIGN);
    struct qr_node *node = qr_node_make(p, block ? QR_N_SET_BLOCK : QR_N_SET, line);

    qr_node_kid(p, node, 0, target);
    if (!block) {
        qr_node_kid(p, node, 1, qr_parse_tuple(p, true));
        return node;
    }
    qr_node_kid(p, node, 1, qr_parse_filters(p, NULL, false));
    qr_node_kid(p, node, 2, parse_whole_body(p, "endset"));
    return node;
}

static struct qr_node *parse_with(struct qr_parser *p, uint32_t line)
{
    struct qr_node *node = qr_node_make(p, QR_N_WITH, line);
    struct qr_nodes pairs = {0};

    while (p->now.kind != QR_T_BLOCK_END) {
        if (pairs.n) qr_parser_expect_op(p, QR_OP_COMMA, "',' or %}");
        qr_nodes_add(&pairs, qr_parse_target(p, false, false));
        qr_parser_expect_op(p, QR_OP_ASSIGN, "'='");
        qr_nodes_add(&pairs, qr_parse_expression(p, true));
    }
    qr_node_kid(p, node, 0, pairs.first);
    qr_node_kid(p, node, 1, parse_whole_body(p, "endwith"));
    return node;
}

/* ---- macro, call, filter --------------------------------------------------------------------- */

static const struct qr_node *parse_params(struct qr_parser *p)
{
    struct qr_nodes params = {0};
    bool defaults = false;

    qr_parser_expect_op(p, QR_OP_LPAREN, "'('");
    while (!qr_parser_is_op(p, QR_OP_RPAREN)) {
        if (params.n) qr_parser_expect_op(p, QR_OP_COMMA, "',' or ')'");
        struct qr_node *param = qr_node_make(p, QR_N_PARAM, p->now.line);
        param->value = qr_parser_expect(p, QR_T_NAME, "a parameter's name").value;
        if (qr_parser_skip_op(p, QR_OP_ASSIGN)) {
            qr_node_kid(p, param, 0, qr_parse_expression(p, true));
            defaults = true;
        } else if (defaults)
            qr_parser_unexpected(p, "'=': a parameter after one with a default needs a default");
        qr_nodes_add(&params, param);
    }
    qr_parser_next(p);
    return params.first;
}

/* A body that runs when it is called: the loops around it do not enclose it. */
static struct qr_node *parse_called_body(struct qr_parser *p, const char *end, uint8_t *uses)
{
    uint32_t loops = p->loops;
    uint8_t uses_outside = p->uses;

    p->loops = 0;
    p->uses = 0;
    struct qr_node *body = parse_whole_body(p, end);
    p->loops = loops;
    *uses = p->uses;
    p->uses |= uses_outside; /* an inner body also uses names of the outer macro */
    return body;
}

static struct qr_node *parse_macro(struct qr_parser *p, uint32_t line)
{
    struct qr_node *node = qr_node_make(p, QR_N_MACRO, line);

    node->value = qr_parser_expect(p, QR_T_NAME, "a macro's name").value;
    qr_node_kid(p, node, 0, parse_params(p));
    qr_node_kid(p, node, 1, parse_called_body(p, "endmacro", &node->op));
    return node;
}

static struct qr_node *parse_call_block(struct qr_parser *p, uint32_t line)
{
    struct qr_node *node = qr_node_make(p, QR_N_CALL_BLOCK, line);

    if (qr_parser_is_op(p, QR_OP_LPAREN)) qr_node_kid(p, node, 1, parse_params(p));
    struct qr_node *call = qr_parse_expression(p, true);
    if (call->kind != QR_N_CALL) qr_run_fail(p->run, "expected a macro call after 'call'");
    qr_node_kid(p, node, 0, call);
    qr_node_kid(p, node, 2, parse_called_body(p, "endcall", &node->op));
    return node;
}

static struct qr_node *parse_filter_block(struct qr_parser *p, uint32_t line)
{
    struct qr_node *node = qr_node_make(p, QR_N_FILTER_BLOCK, line);

    qr_node_kid(p, node, 0, qr_parse_filters(p, NULL, true));
    qr_node_kid(p, node, 1, parse_whole_body(p, "endfilter"));
    return node;
}

static struct qr_node *parse_generation(struct qr_parser *p, uint32_t line)
{
    struct qr_node *node = qr_node_make(p, QR_N_SCOPE, line);

    qr_node_kid(p, node, 0, parse_called_body(p, "endgeneration", &node->op));
    return node;
}

static struct qr_node *parse_leaving(struct qr_parser *p, uint32_t line, enum qr_node_kind kind)
{
    if (!p->loops)
        qr_run_fail(p->run, "'%s' is outside a loop", kind == QR_N_BREAK ? "break" : "continue");
    return qr_node_make(p, kind, line);
}

/* ---- bodies ---------------------------------------------------------------------------------- */

static struct qr_node *parse_break(struct qr_parser *p, uint32_t line)
{
    return parse_leaving(p, line, QR_N_BREAK);
}

static struct qr_node *parse_continue(struct qr_parser *p, uint32_t line)
{
    return parse_leaving(p, line, QR_N_CONTINUE);
}

static const struct {
    const char *name;
    struct qr_node *(*parse)(struct qr_parser *p, uint32_t line);
} statements[] = {
    {"for", parse_for},
    {"if", parse_if},
    {"set", parse_set},
    {"with", parse_with},
    {"macro", parse_macro},
    {"call", parse_call_block},
    {"filter", parse_filter_block},
    {"generation", parse_generation},
    {"break", parse_break},
    {"continue", parse_continue},
};

static struct qr_node *parse_statement(struct qr_parser *p)
{
    uint32_t line = p->now.line;

    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        if (!qr_parser_skip_name(p, statements[i].name)) continue;
        qr_run_enter(p->run);
        struct qr_node *node = statements[i].parse(p, line);
        qr_run_leave(p->run);
        return node;
    }
    if (p->now.kind != QR_T_NAME) qr_parser_unexpected(p, "a tag's name");
    int n = (int)(p->now.value.n < 40 ? p->now.value.n : 40);
    qr_run_fail(p->run, "unknown tag '%.*s'", n, p->now.value.as.text);
}

/* Statements up to a tag named in `ends`; that name is the current token afterwards.  Without
 * ends, up to the end of the template. */
static struct qr_node *parse_body(struct qr_parser *p, struct ends ends, const char *expected)
{
    struct qr_nodes body = {0};
    struct qr_node *node;

    for (;;) {
        uint32_t line = p->now.line;
        switch (p->now.kind) {
        case QR_T_DATA:
            node = qr_node_make(p, QR_N_TEXT, line);
            node->value = p->now.value;
            qr_nodes_add(&body, node);
            qr_parser_next(p);
            break;
        case QR_T_PRINT:
            qr_parser_next(p);
            node = qr_node_make(p, QR_N_PRINT, line);
            qr_node_kid(p, node, 0, qr_parse_tuple(p, true));
            (void)qr_parser_expect(p, QR_T_PRINT_END, "}}");
            qr_nodes_add(&body, node);
            break;
        case QR_T_BLOCK:
            qr_parser_next(p);
            for (size_t i = 0; i < 3 && ends.names[i]; i++)
                if (qr_parser_is_name(p, ends.names[i])) return body.first;
            qr_nodes_add(&body, parse_statement(p));
            end_block(p);
            break;
        default:
            if (p->now.kind != QR_T_END || ends.names[0]) qr_parser_unexpected(p, expected);
            return body.first;
        }
    }
}

const struct qr_node *qr_parse(struct qr_run *run, struct quire_text source)
{
    struct qr_parser *p = qr_run_alloc(run, sizeof *p);

    *p = (struct qr_parser){.run = run};
    qr_template_lexer_init(&p->lexer, run, source);
    p->ahead = qr_template_lexer_next(&p->lexer);
    qr_parser_next(p);
    return parse_body(p, (struct ends){{NULL, NULL, NULL}}, "the end of the template");
}
