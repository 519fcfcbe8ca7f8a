/* SPDX-License-Identifier: MIT */
/* call -- scopes' names, arguments, macros, functions. */
#include <string.h>

#include "runtime/template/render.h"

#define PARAMS_MAX 8u

/* How much of a name goes into a message. */
#define NAME(value) (int)((value).n < 60 ? (value).n : 60), (value).as.text

/* ---- scopes ---------------------------------------------------------------------------------- */

struct qr_scope *qr_scope_push(struct qr_render *r, struct qr_scope *parent)
{
    struct qr_scope *scope = qr_run_alloc(&r->run, sizeof *scope);

    *scope = (struct qr_scope){.parent = parent};
    return scope;
}

static struct qr_binding *find(struct qr_render *r, const struct qr_scope *scope,
                               struct qr_value name)
{
    qr_run_charge(&r->run, 0);
    for (struct qr_binding *b = scope->first; b; b = b->next) {
        if (b->name.n == name.n && memcmp(b->name.as.text, name.as.text, name.n) == 0) return b;
    }
    return NULL;
}

void qr_scope_set(struct qr_render *r, struct qr_scope *scope, struct qr_value name,
                  struct qr_value value)
{
    struct qr_binding *binding = find(r, scope, name);

    if (!binding) {
        binding = qr_run_alloc(&r->run, sizeof *binding);
        *binding = (struct qr_binding){.name = name, .next = scope->first};
        scope->first = binding;
    }
    binding->value = value;
}

struct qr_value qr_scope_get(struct qr_render *r, struct qr_value name)
{
    for (const struct qr_scope *scope = r->scope; scope; scope = scope->parent) {
        const struct qr_binding *binding = find(r, scope, name);
        if (binding) return binding->value;
    }
    const struct qr_function *global = qr_global_find(name);
    if (global) return (struct qr_value){.kind = QR_V_GLOBAL, .as.function = global};
    return qr_value_undefined(name.as.text, name.n);
}

/* ---- arguments ------------------------------------------------------------------------------- */

void qr_args_fail_undefined(struct qr_render *r, struct qr_value value)
{
    qr_run_fail(&r->run, "'%.*s' is undefined", NAME(value));
}

bool qr_args_given(const struct qr_args *args, size_t i)
{
    return i < args->n && args->values[i].kind != QR_V_UNSET && args->values[i].kind != QR_V_NONE;
}

int64_t qr_args_int(struct qr_render *r, const struct qr_args *args, size_t i, const char *what,
                    int64_t otherwise)
{
    int64_t integer;

    if (!qr_args_given(args, i)) return otherwise;
    if (args->values[i].kind == QR_V_UNDEFINED) qr_args_fail_undefined(r, args->values[i]);
    if (!qr_value_as_int(args->values[i], &integer))
        qr_run_fail(&r->run, "%s must be an integer, not %s", what,
                    qr_value_type_name(args->values[i]));
    return integer;
}

bool qr_args_bool(const struct qr_args *args, size_t i, bool otherwise)
{
    return i < args->n && args->values[i].kind != QR_V_UNSET ? qr_value_truth(args->values[i])
                                                             : otherwise;
}

struct qr_value qr_args_text(struct qr_render *r, const struct qr_args *args, size_t i,
                             const char *what)
{
    struct qr_value value = i < args->n ? args->values[i] : qr_value_none;

    if (value.kind == QR_V_UNDEFINED) qr_args_fail_undefined(r, value);
    if (value.kind != QR_V_STRING)
        qr_run_fail(&r->run, "%s must be a text, not %s", what, qr_value_type_name(value));
    return value;
}

static size_t starred_n(struct qr_render *r, const struct qr_node *node, struct qr_value *star)
{
    *star = qr_eval_node(r, node->kids[0]);
    if (node->kind == QR_N_STARS) {
        if (star->kind != QR_V_DICT)
            qr_run_fail(&r->run, "expected a dict behind **, got %s", qr_value_type_name(*star));
        for (size_t i = 0; i < star->as.dict->n; i++) {
            if (star->as.dict->pairs[i].key.kind == QR_V_STRING) continue;
            qr_run_fail(&r->run, "keywords must be strings");
        }
        return star->as.dict->n;
    }
    star->as.list = qr_value_iterate(&r->run, *star);
    return star->as.list->n;
}

struct qr_args qr_args_eval(struct qr_render *r, const struct qr_node *arguments)
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

/* ---- functions ------------------------------------------------------------------------------- */

const struct qr_function *qr_function_find(const struct qr_function *table, size_t n,
                                           struct qr_value name)
{
    for (size_t i = 0; i < n; i++) {
        if (qr_value_is_text(name, table[i].name)) return &table[i];
    }
    return NULL;
}

/* Where in the list of names `name` stands; -1: not there.  *n: how many there are. */
static int param_index(const char *params, struct qr_value name, size_t *n)
{
    int found = -1;

    *n = 0;
    while (*params) {
        size_t length = strcspn(params, " ");
        if (length == name.n && memcmp(params, name.as.text, length) == 0) found = (int)*n;
        params += length + (params[length] == ' ');
        (*n)++;
    }
    return found;
}

struct qr_value qr_call_function(struct qr_render *r, const struct qr_function *function,
                                 const char *what, struct qr_value self, const struct qr_args *args)
{
    struct qr_value values[PARAMS_MAX] = {{0}};
    struct qr_args bound = {.values = values};

    if (!function->params) return function->call(r, self, args);
    (void)param_index(function->params, QR_VALUE_LITERAL(""), &bound.n);
    if (args->n > bound.n)
        qr_run_fail(&r->run, "%s '%s' takes at most %zu arguments, not %zu", what, function->name,
                    bound.n, args->n);
    if (args->n) memcpy(values, args->values, args->n * sizeof *values);
    for (size_t i = 0; i < args->named_n; i++) {
        struct qr_value name = args->named[i].key;
        size_t n;
        int at = name.kind == QR_V_STRING ? param_index(function->params, name, &n) : -1;
        if (at < 0 || values[at].kind != QR_V_UNSET)
            qr_run_fail(&r->run, "%s '%s' has no argument '%.*s'%s", what, function->name,
                        NAME(name), at < 0 ? "" : " left");
        values[at] = args->named[i].value;
    }
    for (size_t i = 0; i < function->needed; i++) {
        if (values[i].kind == QR_V_UNSET)
            qr_run_fail(&r->run, "%s '%s' needs %zu arguments: %s", what, function->name,
                        function->needed, function->params);
    }
    return function->call(r, self, &bound);
}

struct qr_value qr_call_filter(struct qr_render *r, struct qr_value name, struct qr_value input,
                               const struct qr_args *args)
{
    const struct qr_function *filter = name.kind == QR_V_STRING ? qr_filter_find(name) : NULL;

    if (!filter && name.kind == QR_V_STRING) filter = qr_list_filter_find(name);
    if (!filter && name.kind != QR_V_STRING) qr_run_fail(&r->run, "expected a filter's name");
    if (!filter) qr_run_fail(&r->run, "there is no filter '%.*s'", NAME(name));
    return qr_call_function(r, filter, "filter", input, args);
}

bool qr_call_test(struct qr_render *r, struct qr_value name, struct qr_value input,
                  const struct qr_args *args)
{
    const struct qr_function *test = name.kind == QR_V_STRING ? qr_test_find(name) : NULL;

    if (!test && name.kind != QR_V_STRING) qr_run_fail(&r->run, "expected a test's name");
    if (!test) qr_run_fail(&r->run, "there is no test '%.*s'", NAME(name));
    return qr_value_truth(qr_call_function(r, test, "test", input, args));
}

/* ---- macros ---------------------------------------------------------------------------------- */

/* The named argument that belongs to `name`; it is marked as taken.  NULL: there is none. */
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

/* What no parameter took: varargs, kwargs and caller where the macro names them, else an error. */
static void bind_leftovers(struct qr_render *r, const struct qr_macro *macro,
                           const struct qr_args *args, size_t params_n, const bool *taken)
{
    size_t rest = args->n > params_n ? args->n - params_n : 0, n = 0;

    if (macro->uses & QR_USES_VARARGS) {
        struct qr_value list = qr_list_make(&r->run, QR_TUPLE, rest);
        if (rest)
            memcpy(list.as.list->items, args->values + params_n, rest * sizeof(struct qr_value));
        qr_scope_set(r, r->scope, QR_VALUE_LITERAL("varargs"), list);
    } else if (rest)
        qr_run_fail(&r->run, "macro '%.*s' takes at most %zu arguments, not %zu", NAME(macro->name),
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
        return qr_call_function(r, callee.as.method->function, "method", callee.as.method->self,
                                args);
    case QR_V_GLOBAL:
        return qr_call_function(r, callee.as.function, "function", qr_value_none, args);
    case QR_V_BUILTIN:
        qr_run_fail(&r->run, "'%.*s' is not allowed: values do not change in a chat template",
                    NAME(callee));
    case QR_V_UNDEFINED: qr_args_fail_undefined(r, callee);
    default: qr_run_fail(&r->run, "'%s' object is not callable", qr_value_type_name(callee));
    }
}
