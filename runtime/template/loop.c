/* SPDX-License-Identifier: MIT */
/* loop -- what the variable `loop` offers inside a for loop. */
#include <string.h>

#include "runtime/template/render.h"

static struct qr_value loop_cycle(struct qr_render *r, struct qr_value self,
                                  const struct qr_args *args)
{
    if (!args->n) qr_run_fail(&r->run, "loop.cycle needs items to cycle through");
    return args->values[self.as.loop->at % args->n];
}

static struct qr_value loop_changed(struct qr_render *r, struct qr_value self,
                                    const struct qr_args *args)
{
    struct qr_value now = qr_list_make(&r->run, QR_TUPLE, args->n);
    struct qr_template_loop *loop = self.as.loop;

    if (args->n) memcpy(now.as.list->items, args->values, args->n * sizeof *args->values);
    bool changed = loop->changed.kind == QR_V_UNSET || !qr_value_equal(&r->run, loop->changed, now);
    loop->changed = now;
    return qr_value_bool(changed);
}

static const struct qr_function loop_methods[] = {
    {"cycle", NULL, 0, loop_cycle},
    {"changed", NULL, 0, loop_changed},
};

const struct qr_function *qr_loop_method_find(struct qr_value name)
{
    return qr_function_find(loop_methods, sizeof loop_methods / sizeof loop_methods[0], name);
}

struct qr_value qr_loop_attribute(const struct qr_template_loop *loop, struct qr_value name)
{
    const size_t at = loop->at, n = loop->list->n;

    if (qr_value_is_text(name, "index")) return qr_value_int((int64_t)at + 1);
    if (qr_value_is_text(name, "index0")) return qr_value_int((int64_t)at);
    if (qr_value_is_text(name, "first")) return qr_value_bool(at == 0);
    if (qr_value_is_text(name, "last")) return qr_value_bool(at + 1 == n);
    if (qr_value_is_text(name, "length")) return qr_value_int((int64_t)n);
    if (qr_value_is_text(name, "revindex")) return qr_value_int((int64_t)(n - at));
    if (qr_value_is_text(name, "revindex0")) return qr_value_int((int64_t)(n - at) - 1);
    if (qr_value_is_text(name, "depth")) return qr_value_int(1); /* of recursive loops only */
    if (qr_value_is_text(name, "depth0")) return qr_value_int(0);
    if (qr_value_is_text(name, "previtem") && at > 0) return loop->list->items[at - 1];
    if (qr_value_is_text(name, "nextitem") && at + 1 < n) return loop->list->items[at + 1];
    return qr_value_undefined(name.as.text, name.n);
}
