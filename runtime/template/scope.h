/* SPDX-License-Identifier: MIT */
/* scope -- variables by name.
 *
 * A lookup goes from the innermost scope to its parents, then to the globals.  Each iteration of a
 * loop, each macro call, each `with` and each captured block (set, filter, call) has a scope: a
 * variable that it sets ends with it, as in Jinja.  `if` has no scope of its own.
 *
 *     template  { messages, tools, ... }      <- parent of
 *       for     { message, loop }             <- parent of
 *         with  { name }                      <- r->scope, the innermost
 *
 * Thread: the run's.   Memory: the run's arena. */
#ifndef QR_TEMPLATE_SCOPE_H
#define QR_TEMPLATE_SCOPE_H

#include "runtime/template/value.h"

struct qr_render;

struct qr_binding {
    struct qr_value name, value;
    struct qr_binding *next;
};

struct qr_scope {
    struct qr_scope *parent; /* NULL: the template's own scope */
    struct qr_binding *first;
};

struct qr_scope *qr_scope_push(struct qr_render *r, struct qr_scope *parent);
void qr_scope_set(struct qr_render *r, struct qr_scope *scope, struct qr_value name,
                  struct qr_value value);
/* Undefined if neither a scope nor a global has the name. */
struct qr_value qr_scope_get(struct qr_render *r, struct qr_value name);

#endif
