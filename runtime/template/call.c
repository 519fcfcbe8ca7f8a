/* SPDX-License-Identifier: MIT */
/* call -- calls of macros, methods and globals, and of filters and tests by name. */
#include <string.h>

#include "runtime/template/render.h"

/* The part of a name that goes into an error. */
#define NAME(value) (int)((value).n < 60 ? (value).n : 60), (value).as.text

/* ---- functions ------------------------------------------------------------------------------- */

struct qr_value qr_call_filter(struct qr_render *r, struct qr_value name, struct qr_value input,
                               const struct qr_args *args)
{
    const struct qr_function *filter = name.kind == QR_V_STRING ? qr_filter_find(name) : NULL;

    if (!filter && name.kind == QR_V_STRING) filter = qr_list_filter_find(name);
    if (!filter && name.kind != QR_V_STRING) qr_run_fail(&r->run, "expected a filter's name");
    if (!filter) qr_run_fail(&r->run, "there is no filter '%.*s'", NAME(name));
    return qr_function_call(r, filter, "filter", input, args);
}

bool qr_call_test(struct qr_render *r, struct qr_value name, struct qr_value input,
                  const struct qr_args *args)
{
    const struct qr_function *test = name.kind == QR_V_STRING ? qr_test_find(name) : NULL;

    if (!test && name.kind != QR_V_STRING) qr_run_fail(&r->run, "expected a test's name");
    if (!test) qr_run_fail(&r->run, "there is no test '%.*s'", NAME(name));
    return qr_value_truth(qr_function_call(r, test, "test", input, args));
}

/* ---- macros ---------------------------------------------------------------------------------- */

/* Finds the argument `name` and marks it as taken.  NULL if there is none. */
static const struct qr_value *take_named(const struct qr_args *args, bool *taken,
                                         struct qr_value name)
{
    for (size_t i = 0; i < args->named_n; i++) {
        const struct qr_value key = args->named[i].key;
        if (key.kind != QR_V_STRING || key.n != name.n ||
            memcmp(key.as.text, name.as.text, name.n) != 0)
            continue;
        taken[i] = true;
        return &args->named[i].value;
    }
    return NULL;
}

/* Arguments that no parameter took become varargs and kwargs if the macro names these; otherwise
 * they are an error. */
static void bind_leftovers(struct qr_render *r, const struct qr_macro *macro,
                           const struct qr_args *args, size_t params_n, const bool *taken)
{
    size_t surplus = args->n > params_n ? args->n - params_n : 0, n = 0;

    if (macro->uses & QR_USES_VARARGS) {
        struct qr_value list = qr_list_make(&r->run, QR_TUPLE, surplus);
        if (surplus)
            memcpy(list.as.list->items, args->values + params_n, surplus * sizeof(struct qr_value));
        qr_scope_set(r, r->scope, QR_VALUE_LITERAL("varargs"), list);
    } else if (surplus)
        qr_run_fail(&r->run, "macro '%.*s' takes at most %zu arguments, got %zu", NAME(macro->name),
                    params_n, args->n);
    struct qr_pair *pairs = qr_run_alloc_array(&r->run, args->named_n, sizeof *pairs);
    for (size_t i = 0; i < args->named_n; i++) {
        if (taken[i]) continue;
        if (!(macro->uses & QR_USES_KWARGS))
            qr_run_fail(&r->run, "macro '%.*s' has no argument '%.*s'", NAME(macro->name),
                        NAME(args->named[i].key));
        pairs[n++] = args->named[i];
    }
    if (macro->uses & QR_USES_KWARGS)
        qr_scope_set(r, r->scope, QR_VALUE_LITERAL("kwargs"), qr_dict_make(&r->run, pairs, n));
}

static struct qr_value call_macro(struct qr_render *r, const struct qr_macro *macro,
                                  const struct qr_args *args)
{
    struct qr_scope *scope = r->scope, *inner = qr_scope_push(r, macro->scope);
    bool *taken = qr_run_alloc(&r->run, args->named_n);
    size_t i = 0;

    memset(taken, 0, args->named_n);
    r->scope = inner;
    for (const struct qr_node *param = macro->params; param; param = param->next, i++) {
        const struct qr_value *named = take_named(args, taken, param->value);
        struct qr_value value = qr_value_undefined(param->value.as.text, param->value.n);
        if (named && i < args->n)
            qr_run_fail(&r->run, "macro '%.*s' got '%.*s' twice", NAME(macro->name),
                        NAME(param->value));
        if (i < args->n)
            value = args->values[i];
        else if (named)
            value = *named;
        else if (param->kids[0])
            value = qr_eval_node(r, param->kids[0]);
        qr_scope_set(r, inner, param->value, value);
    }
    if (macro->uses & QR_USES_CALLER) {
        const struct qr_value *caller = take_named(args, taken, QR_VALUE_LITERAL("caller"));
        qr_scope_set(r, inner, QR_VALUE_LITERAL("caller"),
                     caller ? *caller : qr_value_undefined_of("caller"));
    }
    bind_leftovers(r, macro, args, i, taken);
    struct qr_value text = qr_exec_capture(r, macro->body);
    r->scope = scope;
    return text;
}

struct qr_value qr_call_value(struct qr_render *r, struct qr_value callee,
                              const struct qr_args *args)
{
    struct qr_value value;

    switch (callee.kind) {
    case QR_V_MACRO:
        qr_run_enter(&r->run);
        value = call_macro(r, callee.as.macro, args);
        qr_run_leave(&r->run);
        return value;
    case QR_V_METHOD:
        return qr_function_call(r, callee.as.method->function, "method", callee.as.method->self,
                                args);
    case QR_V_GLOBAL:
        return qr_function_call(r, callee.as.function, "function", qr_value_none, args);
    case QR_V_BUILTIN:
        qr_run_fail(&r->run, "'%.*s' is not allowed: values do not change in a chat template",
                    NAME(callee));
    case QR_V_UNDEFINED: qr_args_fail_undefined(r, callee);
    default: qr_run_fail(&r->run, "'%s' object is not callable", qr_value_type_name(callee));
    }
}
