/* SPDX-License-Identifier: MIT */
#include "runtime/template/function.h"

#include <string.h>

#include "runtime/template/render.h"

#define PARAMS_MAX 8u

/* The part of a name that goes into an error. */
#define NAME(value) (int)((value).n < 60 ? (value).n : 60), (value).as.text

/* ---- reading arguments ----------------------------------------------------------------------- */

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
        qr_run_fail(&r->run, "%s must be an integer, got %s", what,
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
        qr_run_fail(&r->run, "%s must be a string, got %s", what, qr_value_type_name(value));
    return value;
}

/* ---- tables and calls ------------------------------------------------------------------------ */

const struct qr_function *qr_function_find(const struct qr_function *table, size_t n,
                                           struct qr_value name)
{
    for (size_t i = 0; i < n; i++)
        if (qr_value_is_text(name, table[i].name)) return &table[i];
    return NULL;
}

/* The index of `name` in the list of names, or -1.  *n: the number of names. */
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

struct qr_value qr_function_call(struct qr_render *r, const struct qr_function *function,
                                 const char *kind, struct qr_value self, const struct qr_args *args)
{
    struct qr_value values[PARAMS_MAX] = {{0}};
    struct qr_args bound = {.values = values};

    if (!function->params) return function->call(r, self, args);
    (void)param_index(function->params, QR_VALUE_LITERAL(""), &bound.n);
    if (args->n > bound.n)
        qr_run_fail(&r->run, "%s '%s' takes at most %zu arguments, got %zu", kind, function->name,
                    bound.n, args->n);
    if (args->n) memcpy(values, args->values, args->n * sizeof *values);
    for (size_t i = 0; i < args->named_n; i++) {
        struct qr_value name = args->named[i].key;
        size_t n;
        int at = name.kind == QR_V_STRING ? param_index(function->params, name, &n) : -1;
        if (at < 0 || values[at].kind != QR_V_UNSET)
            qr_run_fail(&r->run, "%s '%s' has no argument '%.*s'%s", kind, function->name,
                        NAME(name), at < 0 ? "" : " left");
        values[at] = args->named[i].value;
    }
    for (size_t i = 0; i < function->needed; i++) {
        if (values[i].kind == QR_V_UNSET)
            qr_run_fail(&r->run, "%s '%s' needs %zu arguments: %s", kind, function->name,
                        function->needed, function->params);
    }
    return function->call(r, self, &bound);
}
