/* SPDX-License-Identifier: MIT */
/* render -- runs a tree: scopes, output, calls.
 *
 * Names are looked for from the innermost scope out.  A loop's turn, a macro, a block that is set,
 * filtered or called, and `with` have scopes of their own: what is set there ends there, as in
 * Jinja.  An `if` has none.
 *
 * Thread: the run's.   Memory: the run's; the outermost output is the caller's. */
#ifndef QR_TEMPLATE_RENDER_H
#define QR_TEMPLATE_RENDER_H

#include "runtime/template/parser.h"

struct qr_binding {
    struct qr_value name, value;
    struct qr_binding *next;
};

struct qr_scope {
    struct qr_scope *parent;
    struct qr_binding *first;
};

/* Text as it comes.  FIXED: the caller's room; what does not fit is counted and not written. */
struct qr_template_output {
    char *text;
    size_t capacity, n;
    bool fixed;
};

struct qr_render {
    struct qr_run run; /* first */
    struct qr_scope *scope;
    struct qr_template_output *out;
    int64_t now_s; /* seconds since 1970, for strftime_now */
};

struct qr_macro {
    struct qr_value name;
    const struct qr_node *params, *body;
    struct qr_scope *scope; /* where it was defined */
    uint8_t uses;           /* QR_USES_* */
};

struct qr_template_loop {
    const struct qr_list *list;
    size_t at;
    struct qr_value changed; /* what loop.changed was last given; UNSET: nothing yet */
};

/* What was given to a call.  For functions with named parameters: one value each, UNSET where none
 * was given. */
struct qr_args {
    struct qr_value *values; /* [n] */
    size_t n;
    struct qr_pair *named; /* [named_n] */
    size_t named_n;
};

/* A filter, a test, a method, a global: `self` is its input or object. */
struct qr_function {
    const char *name;
    const char *params; /* names with spaces between; NULL: takes what it is given */
    size_t needed;      /* of the params */
    struct qr_value (*call)(struct qr_render *r, struct qr_value self, const struct qr_args *args);
};

struct qr_method {
    struct qr_value self;
    const struct qr_function *function;
};

/* ---- output ---------------------------------------------------------------------------------- */

void qr_output_put(struct qr_render *r, struct qr_template_output *out, const char *text, size_t n);
struct qr_value qr_output_value(const struct qr_template_output *out);

/* ---- scopes (scope.c) ------------------------------------------------------------------------ */

struct qr_scope *qr_scope_push(struct qr_render *r, struct qr_scope *parent);
void qr_scope_set(struct qr_render *r, struct qr_scope *scope, struct qr_value name,
                  struct qr_value value);
/* Undefined where no scope and no global has the name. */
struct qr_value qr_scope_get(struct qr_render *r, struct qr_value name);

/* ---- running --------------------------------------------------------------------------------- */

struct qr_value qr_eval_node(struct qr_render *r, const struct qr_node *node); /* eval.c */
void qr_exec_body(struct qr_render *r, const struct qr_node *body);            /* exec.c */
/* The body's output as a text, in a scope of its own. */
struct qr_value qr_exec_capture(struct qr_render *r, const struct qr_node *body);

/* x.name and x[key]: undefined where there is none (access.c). */
struct qr_value qr_access_attribute(struct qr_render *r, struct qr_value of, struct qr_value name);
struct qr_value qr_access_item(struct qr_render *r, struct qr_value of, struct qr_value key);
struct qr_value qr_access_slice(struct qr_render *r, struct qr_value of,
                                const struct qr_value bounds[3]);

struct qr_value qr_arithmetic_binary(struct qr_render *r, enum qr_op op, struct qr_value a,
                                     struct qr_value b); /* arithmetic.c */
struct qr_value qr_arithmetic_negative(struct qr_render *r, struct qr_value a);

/* ---- calls (call.c) -------------------------------------------------------------------------- */

struct qr_args qr_args_eval(struct qr_render *r, const struct qr_node *arguments);
struct qr_value qr_call_value(struct qr_render *r, struct qr_value callee,
                              const struct qr_args *args);
/* Puts the arguments in the order of the function's parameters and calls it. */
struct qr_value qr_call_function(struct qr_render *r, const struct qr_function *function,
                                 const char *what, struct qr_value self,
                                 const struct qr_args *args);
/* A filter or test by its name; unknown ones are an error. */
struct qr_value qr_call_filter(struct qr_render *r, struct qr_value name, struct qr_value input,
                               const struct qr_args *args);
bool qr_call_test(struct qr_render *r, struct qr_value name, struct qr_value input,
                  const struct qr_args *args);

const struct qr_function *qr_function_find(const struct qr_function *table, size_t n,
                                           struct qr_value name);
/* Tables: NULL where they have no such name. */
const struct qr_function *qr_filter_find(struct qr_value name);      /* filters.c */
const struct qr_function *qr_list_filter_find(struct qr_value name); /* filters_list.c */
const struct qr_function *qr_test_find(struct qr_value name);        /* tests.c */
const struct qr_function *qr_global_find(struct qr_value name);      /* globals.c */
/* Of the type of `self` (methods.c). */
const struct qr_function *qr_method_find(struct qr_value self, struct qr_value name);
const struct qr_function *qr_loop_method_find(struct qr_value name); /* access.c */

/* ---- reading arguments ----------------------------------------------------------------------- */

_Noreturn void qr_args_fail_undefined(struct qr_render *r, struct qr_value value);
bool qr_args_given(const struct qr_args *args, size_t i); /* and not none */
/* An integer, or `otherwise` where none was given; other types are an error naming `what`. */
int64_t qr_args_int(struct qr_render *r, const struct qr_args *args, size_t i, const char *what,
                    int64_t otherwise);
bool qr_args_bool(const struct qr_args *args, size_t i, bool otherwise);
/* A text; other types are an error. */
struct qr_value qr_args_text(struct qr_render *r, const struct qr_args *args, size_t i,
                             const char *what);

/* ---- printing (print.c) ---------------------------------------------------------------------- */

struct qr_json_style {
    bool ascii, sorted;
    bool lines;                          /* one item a line, indented by `indent` */
    struct quire_text indent, item, key; /* item: between items; key: between a key and its value */
};

/* str(value), and repr(value). */
void qr_print(struct qr_render *r, struct qr_template_output *out, struct qr_value value);
void qr_print_repr(struct qr_render *r, struct qr_template_output *out, struct qr_value value);
void qr_print_json(struct qr_render *r, struct qr_template_output *out, struct qr_value value,
                   const struct qr_json_style *style);
/* str(value) as a value; a text is itself. */
struct qr_value qr_print_text(struct qr_render *r, struct qr_value value);

#endif
