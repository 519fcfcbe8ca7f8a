/* SPDX-License-Identifier: MIT */
/* eval -- expressions. */
#include <assert.h>

#include "runtime/template/render.h"

static struct qr_value eval_items(struct qr_render *r, const struct qr_node *items,
                                  enum qr_list_flavor flavor)
{
    size_t n = 0;

    for (const struct qr_node *item = items; item; item = item->next)
        n++;
    struct qr_value list = qr_list_make(&r->run, flavor, n);
    for (n = 0; items; items = items->next)
        list.as.list->items[n++] = qr_eval_node(r, items);
    return list;
}

static struct qr_value eval_dict(struct qr_render *r, const struct qr_node *items)
{
    size_t n = 0;

    for (const struct qr_node *item = items; item; item = item->next->next)
        n++;
    struct qr_pair *pairs = qr_run_alloc_array(&r->run, n, sizeof *pairs);
    for (n = 0; items; items = items->next->next, n++) {
        pairs[n].key = qr_eval_node(r, items);
        pairs[n].value = qr_eval_node(r, items->next);
    }
    return qr_dict_make(&r->run, pairs, n);
}

static struct qr_value eval_concat(struct qr_render *r, const struct qr_node *operand)
{
    struct qr_value text = QR_VALUE_LITERAL("");

    for (; operand; operand = operand->next)
        text = qr_value_join(&r->run, text, qr_print_text(r, qr_eval_node(r, operand)));
    text.markup = false;
    return text;
}

static bool holds(struct qr_render *r, enum qr_op op, struct qr_value a, struct qr_value b)
{
    int order;

    switch (op) {
    case QR_OP_EQ: return qr_value_equal(&r->run, a, b);
    case QR_OP_NE: return !qr_value_equal(&r->run, a, b);
    case QR_OP_IN: return qr_value_contains(&r->run, b, a);
    case QR_OP_NOT_IN: return !qr_value_contains(&r->run, b, a);
    case QR_OP_LT: return qr_value_compare(&r->run, "<", a, b) == -1;
    case QR_OP_LE: order = qr_value_compare(&r->run, "<=", a, b); return order == -1 || order == 0;
    case QR_OP_GT: return qr_value_compare(&r->run, ">", a, b) == 1;
    default: order = qr_value_compare(&r->run, ">=", a, b); return order == 0 || order == 1;
    }
}

/* a < b <= c means a < b and b <= c, with b evaluated once. */
static struct qr_value eval_compare(struct qr_render *r, const struct qr_node *node)
{
    struct qr_value left = qr_eval_node(r, node->kids[0]);

    for (const struct qr_node *operand = node->kids[1]; operand; operand = operand->next) {
        struct qr_value right = qr_eval_node(r, operand->kids[0]);
        if (!holds(r, (enum qr_op)operand->op, left, right)) return qr_value_bool(false);
        left = right;
    }
    return qr_value_bool(true);
}

static struct qr_value eval_item(struct qr_render *r, const struct qr_node *node)
{
    struct qr_value of = qr_eval_node(r, node->kids[0]);
    const struct qr_node *which = node->kids[1];

    if (which->kind != QR_N_SLICE) return qr_access_item(r, of, qr_eval_node(r, which));
    struct qr_value bounds[3];
    for (int i = 0; i < 3; i++)
        bounds[i] = which->kids[i] ? qr_eval_node(r, which->kids[i]) : qr_value_none;
    return qr_slice_take(r, of, bounds);
}

/* ---- calls ----------------------------------------------------------------------------------- */

static size_t starred_n(struct qr_render *r, const struct qr_node *node, struct qr_value *star)
{
    *star = qr_eval_node(r, node->kids[0]);
    if (node->kind == QR_N_STARS) {
        if (star->kind != QR_V_DICT)
            qr_run_fail(&r->run, "expected a dict after **, got %s", qr_value_type_name(*star));
        for (size_t i = 0; i < star->as.dict->n; i++) {
            if (star->as.dict->pairs[i].key.kind == QR_V_STRING) continue;
            qr_run_fail(&r->run, "keywords must be strings");
        }
        return star->as.dict->n;
    }
    star->as.list = qr_value_iterate(&r->run, *star);
    return star->as.list->n;
}

struct qr_args qr_eval_args(struct qr_render *r, const struct qr_node *arguments)
{
    struct qr_args args = {0};
    size_t n = 0, named_n = 0, i = 0;

    if (!arguments) return args;
    for (const struct qr_node *a = arguments; a; a = a->next)
        i++;
    struct qr_value *stars = qr_run_alloc_array(&r->run, i, sizeof *stars);
    i = 0;
    for (const struct qr_node *a = arguments; a; a = a->next, i++) {
        if (a->kind == QR_N_STAR)
            n += starred_n(r, a, &stars[i]);
        else if (a->kind == QR_N_STARS)
            named_n += starred_n(r, a, &stars[i]);
        else {
            n += a->kind != QR_N_KEYWORD;
            named_n += a->kind == QR_N_KEYWORD;
        }
    }
    args.values = qr_run_alloc_array(&r->run, n, sizeof *args.values);
    args.named = qr_run_alloc_array(&r->run, named_n, sizeof *args.named);
    i = 0;
    for (const struct qr_node *a = arguments; a; a = a->next, i++) {
        if (a->kind == QR_N_STAR) {
            for (size_t j = 0; j < stars[i].as.list->n; j++)
                args.values[args.n++] = stars[i].as.list->items[j];
        } else if (a->kind == QR_N_STARS) {
            for (size_t j = 0; j < stars[i].as.dict->n; j++)
                args.named[args.named_n++] = stars[i].as.dict->pairs[j];
        } else if (a->kind == QR_N_KEYWORD) {
            args.named[args.named_n].key = a->value;
            args.named[args.named_n++].value = qr_eval_node(r, a->kids[0]);
        } else
            args.values[args.n++] = qr_eval_node(r, a);
    }
    return args;
}

static struct qr_value eval_call(struct qr_render *r, const struct qr_node *node)
{
    struct qr_value callee = qr_eval_node(r, node->kids[0]);
    struct qr_args args = qr_eval_args(r, node->kids[1]);

    r->run.line = node->line;
    return qr_call_value(r, callee, &args);
}

static struct qr_value eval_filter(struct qr_render *r, const struct qr_node *node)
{
    struct qr_value input = qr_eval_node(r, node->kids[0]);
    struct qr_args args = qr_eval_args(r, node->kids[1]);

    r->run.line = node->line;
    return qr_call_filter(r, node->value, input, &args);
}

static struct qr_value eval_test(struct qr_render *r, const struct qr_node *node)
{
    struct qr_value input = qr_eval_node(r, node->kids[0]);
    struct qr_args args = qr_eval_args(r, node->kids[1]);

    r->run.line = node->line;
    return qr_value_bool(qr_call_test(r, node->value, input, &args));
}

static struct qr_value eval_node(struct qr_render *r, const struct qr_node *node)
{
    const struct qr_node *const *kids = node->kids;
    struct qr_value left, right;

    switch ((enum qr_node_kind)node->kind) {
    case QR_N_CONST: return node->value;
    case QR_N_NAME: return qr_scope_get(r, node->value);
    case QR_N_LIST: return eval_items(r, kids[0], QR_LIST);
    case QR_N_TUPLE: return eval_items(r, kids[0], QR_TUPLE);
    case QR_N_DICT: return eval_dict(r, kids[0]);
    case QR_N_COND:
        if (qr_value_truth(qr_eval_node(r, kids[0]))) return qr_eval_node(r, kids[1]);
        if (kids[2]) return qr_eval_node(r, kids[2]);
        return qr_value_undefined_of("an inline if without else");
    case QR_N_OR:
        left = qr_eval_node(r, kids[0]);
        return qr_value_truth(left) ? left : qr_eval_node(r, kids[1]);
    case QR_N_AND:
        left = qr_eval_node(r, kids[0]);
        return qr_value_truth(left) ? qr_eval_node(r, kids[1]) : left;
    case QR_N_NOT: return qr_value_bool(!qr_value_truth(qr_eval_node(r, kids[0])));
    case QR_N_NEG: return qr_arithmetic_negative(r, qr_eval_node(r, kids[0]));
    case QR_N_POS:
        return qr_arithmetic_binary(r, QR_OP_ADD, qr_value_int(0), qr_eval_node(r, kids[0]));
    case QR_N_BINARY:
        left = qr_eval_node(r, kids[0]);
        right = qr_eval_node(r, kids[1]);
        r->run.line = node->line;
        return qr_arithmetic_binary(r, (enum qr_op)node->op, left, right);
    case QR_N_CONCAT: return eval_concat(r, kids[0]);
    case QR_N_COMPARE: return eval_compare(r, node);
    case QR_N_ATTR: return qr_access_attribute(r, qr_eval_node(r, kids[0]), node->value);
    case QR_N_ITEM: return eval_item(r, node);
    case QR_N_CALL: return eval_call(r, node);
    case QR_N_FILTER: return eval_filter(r, node);
    case QR_N_TEST: return eval_test(r, node);
    default: break;
    }
    assert(!"not an expression");
    return qr_value_none;
}

struct qr_value qr_eval_node(struct qr_render *r, const struct qr_node *node)
{
    qr_run_charge(&r->run, 0);
    qr_run_enter(&r->run);
    r->run.line = node->line;
    struct qr_value value = eval_node(r, node);
    qr_run_leave(&r->run);
    return value;
}
