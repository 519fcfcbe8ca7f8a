/* SPDX-License-Identifier: MIT */
/* exec -- statements. */
#include <assert.h>
#include <string.h>

#include "runtime/template/render.h"

enum flow { GOES_ON, BREAKS, CONTINUES };

static enum flow run_body(struct qr_render *r, const struct qr_node *body);

struct qr_value qr_exec_capture(struct qr_render *r, const struct qr_node *body)
{
    struct qr_template_output text = {0}, *outside = r->out;
    struct qr_scope *scope = r->scope;

    r->out = &text;
    r->scope = qr_scope_push(r, scope);
    (void)run_body(r, body);
    r->scope = scope;
    r->out = outside;
    return qr_output_value(&text);
}

/* ---- assignment ------------------------------------------------------------------------------ */

static void assign(struct qr_render *r, const struct qr_node *target, struct qr_value value)
{
    if (target->kind == QR_N_NAME) {
        qr_scope_set(r, r->scope, target->value, value);
        return;
    }
    if (target->kind == QR_N_NSREF) {
        struct qr_value space = qr_eval_node(r, target->kids[0]);
        if (space.kind != QR_V_NAMESPACE)
            qr_run_fail(&r->run, "only a namespace's attributes can be set, not a %s's",
                        qr_value_type_name(space));
        qr_namespace_set(&r->run, space.as.space, target->value, value);
        return;
    }
    assert(target->kind == QR_N_TUPLE);
    if (value.kind == QR_V_UNDEFINED) qr_args_fail_undefined(r, value);
    const struct qr_list *list = qr_value_iterate(&r->run, value);
    size_t n = 0;
    for (const struct qr_node *one = target->kids[0]; one; one = one->next)
        n++;
    if (n != list->n) qr_run_fail(&r->run, "expected %zu values to unpack, got %zu", n, list->n);
    n = 0;
    for (const struct qr_node *one = target->kids[0]; one; one = one->next)
        assign(r, one, list->items[n++]);
}

/* ---- loops ----------------------------------------------------------------------------------- */

/* The items that pass the loop's `if`; the target is set to each of them for the test. */
static const struct qr_list *filtered(struct qr_render *r, const struct qr_node *node,
                                      const struct qr_list *all)
{
    struct qr_list *kept = qr_list_make(&r->run, QR_LIST, all->n).as.list;
    struct qr_scope *scope = r->scope;

    kept->n = 0;
    for (size_t i = 0; i < all->n; i++) {
        r->scope = qr_scope_push(r, scope);
        assign(r, node->kids[0], all->items[i]);
        if (qr_value_truth(qr_eval_node(r, node->kids[2]))) kept->items[kept->n++] = all->items[i];
        r->scope = scope;
    }
    return kept;
}

/* `else` runs unless some iteration reached the end of the body, as in jinja2: also after a loop
 * whose iterations all ended in break or continue. */
static enum flow run_for(struct qr_render *r, const struct qr_node *node)
{
    const struct qr_list *list = qr_value_iterate(&r->run, qr_eval_node(r, node->kids[1]));
    struct qr_scope *scope = r->scope;

    if (node->kids[2]) list = filtered(r, node, list);
    struct qr_template_loop *loop = qr_run_alloc(&r->run, sizeof *loop);
    *loop = (struct qr_template_loop){.list = list};
    bool completed = false;
    const struct qr_value loop_value = {.kind = QR_V_LOOP, .as.loop = loop};
    for (; loop->at < list->n; loop->at++) {
        r->scope = qr_scope_push(r, scope);
        assign(r, node->kids[0], list->items[loop->at]);
        qr_scope_set(r, r->scope, QR_VALUE_LITERAL("loop"), loop_value);
        enum flow flow = run_body(r, node->kids[3]);
        r->scope = scope;
        completed = completed || flow == GOES_ON;
        if (flow == BREAKS) break;
    }
    if (completed) return GOES_ON;
    r->scope = qr_scope_push(r, scope);
    enum flow flow = run_body(r, node->kids[4]);
    r->scope = scope;
    return flow;
}

static enum flow run_if(struct qr_render *r, const struct qr_node *node)
{
    while (!qr_value_truth(qr_eval_node(r, node->kids[0]))) {
        const struct qr_node *other = node->kids[2];
        if (!other || other->kind != QR_N_IF || other->next) return run_body(r, other);
        node = other;
    }
    return run_body(r, node->kids[1]);
}

/* ---- blocks ---------------------------------------------------------------------------------- */

/* Applies a chain of filters to `input`; the innermost filter node has no input. */
static struct qr_value apply_filters(struct qr_render *r, const struct qr_node *filter,
                                     struct qr_value input)
{
    if (!filter) return input;
    qr_run_enter(&r->run);
    input = apply_filters(r, filter->kids[0], input);
    qr_run_leave(&r->run);
    struct qr_args args = qr_eval_args(r, filter->kids[1]);
    r->run.line = filter->line;
    return qr_call_filter(r, filter->value, input, &args);
}

static struct qr_value make_macro(struct qr_render *r, struct qr_value name,
                                  const struct qr_node *params, const struct qr_node *body,
                                  uint8_t uses)
{
    struct qr_macro *macro = qr_run_alloc(&r->run, sizeof *macro);

    *macro = (struct qr_macro){
        .name = name, .params = params, .body = body, .scope = r->scope, .uses = uses};
    return (struct qr_value){.kind = QR_V_MACRO, .as.macro = macro};
}

static void run_call_block(struct qr_render *r, const struct qr_node *node)
{
    const struct qr_node *call = node->kids[0];
    struct qr_value caller =
        make_macro(r, QR_VALUE_LITERAL("caller"), node->kids[1], node->kids[2], node->op);
    struct qr_value callee = qr_eval_node(r, call->kids[0]);
    struct qr_args args = qr_eval_args(r, call->kids[1]);
    struct qr_pair *named = qr_run_alloc_array(&r->run, args.named_n + 1, sizeof *named);

    if (args.named_n) memcpy(named, args.named, args.named_n * sizeof *named);
    named[args.named_n++] = (struct qr_pair){.key = QR_VALUE_LITERAL("caller"), .value = caller};
    args.named = named;
    qr_print(r, r->out, qr_call_value(r, callee, &args));
}

static enum flow run_with(struct qr_render *r, const struct qr_node *node)
{
    struct qr_scope *scope = r->scope, *inner = qr_scope_push(r, scope);

    /* The values are evaluated in the outer scope, so none sees another. */
    for (const struct qr_node *pair = node->kids[0]; pair; pair = pair->next->next)
        qr_scope_set(r, inner, pair->value, qr_eval_node(r, pair->next));
    r->scope = inner;
    enum flow flow = run_body(r, node->kids[1]);
    r->scope = scope;
    return flow;
}

/* ---- all statements -------------------------------------------------------------------------- */

static enum flow run_one(struct qr_render *r, const struct qr_node *node)
{
    const struct qr_node *const *kids = node->kids;

    switch ((enum qr_node_kind)node->kind) {
    case QR_N_TEXT: qr_output_put(r, r->out, node->value.as.text, node->value.n); break;
    case QR_N_PRINT: qr_print(r, r->out, qr_eval_node(r, kids[0])); break;
    case QR_N_IF: return run_if(r, node);
    case QR_N_FOR: return run_for(r, node);
    case QR_N_SET: assign(r, kids[0], qr_eval_node(r, kids[1])); break;
    case QR_N_SET_BLOCK:
        assign(r, kids[0], apply_filters(r, kids[1], qr_exec_capture(r, kids[2])));
        break;
    case QR_N_MACRO:
        qr_scope_set(r, r->scope, node->value,
                     make_macro(r, node->value, kids[0], kids[1], node->op));
        break;
    case QR_N_CALL_BLOCK: run_call_block(r, node); break;
    case QR_N_FILTER_BLOCK:
        qr_print(r, r->out, apply_filters(r, kids[0], qr_exec_capture(r, kids[1])));
        break;
    case QR_N_WITH: return run_with(r, node);
    case QR_N_SCOPE: qr_print(r, r->out, qr_exec_capture(r, kids[0])); break;
    case QR_N_BREAK: return BREAKS;
    case QR_N_CONTINUE: return CONTINUES;
    default: assert(!"not a statement");
    }
    return GOES_ON;
}

static enum flow run_body(struct qr_render *r, const struct qr_node *body)
{
    enum flow flow = GOES_ON;

    qr_run_enter(&r->run);
    for (; body && flow == GOES_ON; body = body->next) {
        qr_run_charge(&r->run, 0);
        r->run.line = body->line;
        flow = run_one(r, body);
    }
    qr_run_leave(&r->run);
    return flow;
}

void qr_exec_body(struct qr_render *r, const struct qr_node *body)
{
    enum flow flow = run_body(r, body);

    assert(flow == GOES_ON); /* the parser refuses break outside a loop */
    (void)flow;
}
