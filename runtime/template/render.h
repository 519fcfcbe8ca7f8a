/* SPDX-License-Identifier: MIT */
/* render -- the interpreter: it walks the tree that the parser made.
 *
 *     exec.c  statements ----> output.c   text, at most QR_TEMPLATE_OUTPUT_MAX
 *       | ^                    scope.c    variables
 *       v |  macro bodies
 *     eval.c  expressions ---> arithmetic.c, access.c, slice.c, print.c
 *       | ^
 *       v |  arguments, defaults
 *     call.c  macros, filters, tests ---> function.c ---> filters*.c, tests.c, methods.c
 *
 * exec.c, eval.c and call.c call each other because statements, expressions and macros nest.
 * filters_list.c and tests.c join them: `map` and `select` call a filter or a test by its name.
 * All other files of the folder depend one way.
 *
 * Thread: the run's.   Memory: the run's arena; the outermost output is the caller's.
 * Invariant: each level of nesting calls qr_run_enter first, so the C stack is bounded. */
#ifndef QR_TEMPLATE_RENDER_H
#define QR_TEMPLATE_RENDER_H

#include "runtime/template/function.h"
#include "runtime/template/output.h"
#include "runtime/template/parser.h"
#include "runtime/template/print.h"
#include "runtime/template/scope.h"

struct qr_render {
    struct qr_run run;
    struct qr_scope *scope;         /* the innermost */
    struct qr_template_output *out; /* where statements write now */
    int64_t now_s;                  /* seconds since 1970, for strftime_now */
};

struct qr_macro {
    struct qr_value name;
    const struct qr_node *params, *body;
    struct qr_scope *scope; /* where the macro was defined */
    uint8_t uses;           /* QR_USES_* */
};

struct qr_template_loop {
    const struct qr_list *list;
    size_t at;
    struct qr_value changed; /* the last arguments of loop.changed; UNSET: none yet */
};

/* ---- statements (exec.c) --------------------------------------------------------------------- */

void qr_exec_body(struct qr_render *r, const struct qr_node *body);
/* Runs the body in a scope of its own and returns what it writes. */
struct qr_value qr_exec_capture(struct qr_render *r, const struct qr_node *body);

/* ---- expressions (eval.c) -------------------------------------------------------------------- */

struct qr_value qr_eval_node(struct qr_render *r, const struct qr_node *node);
struct qr_args qr_eval_args(struct qr_render *r, const struct qr_node *arguments);

/* ---- calls (call.c) -------------------------------------------------------------------------- */

struct qr_value qr_call_value(struct qr_render *r, struct qr_value callee,
                              const struct qr_args *args);
/* Fail if there is no filter or test of this name. */
struct qr_value qr_call_filter(struct qr_render *r, struct qr_value name, struct qr_value input,
                               const struct qr_args *args);
bool qr_call_test(struct qr_render *r, struct qr_value name, struct qr_value input,
                  const struct qr_args *args);

/* ---- operators ------------------------------------------------------------------------------- */

/* x.name and x[key] (access.c): undefined if x has no such attribute or item. */
struct qr_value qr_access_attribute(struct qr_render *r, struct qr_value of, struct qr_value name);
struct qr_value qr_access_item(struct qr_render *r, struct qr_value of, struct qr_value key);
/* x[from:to:step] (slice.c); a missing bound is none. */
struct qr_value qr_slice_take(struct qr_render *r, struct qr_value of,
                              const struct qr_value bounds[3]);
struct qr_value qr_loop_attribute(const struct qr_template_loop *loop,
                                  struct qr_value name); /* loop.c */

struct qr_value qr_arithmetic_binary(struct qr_render *r, enum qr_op op, struct qr_value a,
                                     struct qr_value b);
struct qr_value qr_arithmetic_negative(struct qr_render *r, struct qr_value a);

/* Sorts pairs[n] by their keys, stable (sort.c).  Fails if two keys have no order. */
void qr_sort_pairs(struct qr_run *run, struct qr_pair *pairs, size_t n, bool reverse);

#endif
