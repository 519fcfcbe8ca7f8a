/* SPDX-License-Identifier: MIT */
#include "runtime/template/scope.h"

#include <string.h>

#include "runtime/template/render.h"

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
    for (struct qr_binding *b = scope->first; b; b = b->next)
        if (b->name.n == name.n && memcmp(b->name.as.text, name.as.text, name.n) == 0) return b;
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
