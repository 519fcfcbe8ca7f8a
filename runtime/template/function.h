/* SPDX-License-Identifier: MIT */
/* function -- filters, tests, methods and globals: rows in tables, and the arguments of a call.
 *
 * A row such as {"replace", "old new count", 2, filter_replace} names the parameters and says how
 * many are needed.  qr_function_call puts positional and named arguments in the order of the
 * parameters; a parameter without an argument is UNSET.  A row without parameter names gets the
 * arguments as they were written.
 *
 * Thread: the run's; tables are constant.   Memory: the run's arena. */
#ifndef QR_TEMPLATE_FUNCTION_H
#define QR_TEMPLATE_FUNCTION_H

#include "runtime/template/value.h"

struct qr_render;

struct qr_args {
    struct qr_value *values; /* [n] */
    size_t n;
    struct qr_pair *named; /* [named_n] */
    size_t named_n;
};

struct qr_function {
    const char *name;
    const char *params; /* names with spaces between them; NULL: arguments are not reordered */
    size_t needed;      /* the first `needed` parameters must be given */
    /* self: a filter's or test's input, a method's object */
    struct qr_value (*call)(struct qr_render *r, struct qr_value self, const struct qr_args *args);
};

struct qr_method {
    struct qr_value self;
    const struct qr_function *function;
};

/* kind: "filter", "test", "method" or "function", for errors. */
struct qr_value qr_function_call(struct qr_render *r, const struct qr_function *function,
                                 const char *kind, struct qr_value self,
                                 const struct qr_args *args);

/* NULL if the table has no such name. */
const struct qr_function *qr_function_find(const struct qr_function *table, size_t n,
                                           struct qr_value name);
const struct qr_function *qr_filter_find(struct qr_value name);      /* filters.c */
const struct qr_function *qr_list_filter_find(struct qr_value name); /* filters_list.c */
const struct qr_function *qr_test_find(struct qr_value name);        /* tests.c */
const struct qr_function *qr_global_find(struct qr_value name);      /* globals.c */
const struct qr_function *qr_loop_method_find(struct qr_value name); /* loop.c */
/* The method `name` of the type of `self` (methods.c). */
const struct qr_function *qr_method_find(struct qr_value self, struct qr_value name);

/* Reading arguments.  `what` names the argument in errors. */
bool qr_args_given(const struct qr_args *args, size_t i); /* and is not none */
/* `otherwise` if argument i is missing or none; fails if it is not an integer. */
int64_t qr_args_int(struct qr_render *r, const struct qr_args *args, size_t i, const char *what,
                    int64_t otherwise);
bool qr_args_bool(const struct qr_args *args, size_t i, bool otherwise);
/* Fails if argument i is missing or not a string. */
struct qr_value qr_args_text(struct qr_render *r, const struct qr_args *args, size_t i,
                             const char *what);
_Noreturn void qr_args_fail_undefined(struct qr_render *r, struct qr_value value);

#endif
