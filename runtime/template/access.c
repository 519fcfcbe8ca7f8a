/* SPDX-License-Identifier: MIT */
/* access -- x.name, x[key], x[a:b:c], and what a loop knows of itself. */
#include <string.h>

#include "runtime/template/chars.h"
#include "runtime/template/render.h"

/* ---- loop ------------------------------------------------------------------------------------ */

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

static struct qr_value loop_attribute(const struct qr_template_loop *loop, struct qr_value name)
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

/* ---- x.name ---------------------------------------------------------------------------------- */

/* What Python's list and dict have and the sandbox hides. */
static bool is_hidden(struct qr_value of, struct qr_value name)
{
    static const char *const list[] = {"append", "clear",   "extend", "insert", "pop",
                                       "remove", "reverse", "sort",   NULL};
    static const char *const dict[] = {"clear", "pop", "popitem", "setdefault", "update", NULL};
    const char *const *names = of.kind == QR_V_DICT ? dict : list;

    if (of.kind != QR_V_DICT && (of.kind != QR_V_LIST || of.as.list->flavor != QR_LIST))
        return false;
    for (; *names; names++) {
        if (qr_value_is_text(name, *names)) return true;
    }
    return false;
}

static bool method_of(struct qr_render *r, struct qr_value of, struct qr_value name,
                      struct qr_value *out)
{
    const struct qr_function *function = qr_method_find(of, name);

    if (!function) {
        if (!is_hidden(of, name)) return false;
        *out = (struct qr_value){.kind = QR_V_BUILTIN, .n = name.n, .as.text = name.as.text};
        return true;
    }
    struct qr_method *method = qr_run_alloc(&r->run, sizeof *method);
    *method = (struct qr_method){.self = of, .function = function};
    *out = (struct qr_value){.kind = QR_V_METHOD, .as.method = method};
    return true;
}

struct qr_value qr_access_attribute(struct qr_render *r, struct qr_value of, struct qr_value name)
{
    const struct qr_value *found = NULL;
    struct qr_value value;

    if (of.kind == QR_V_UNDEFINED) qr_args_fail_undefined(r, of);
    if (method_of(r, of, name, &value)) return value;
    if (of.kind == QR_V_DICT) found = qr_dict_find(&r->run, of.as.dict, name);
    if (of.kind == QR_V_NAMESPACE) found = qr_namespace_find(of.as.space, name);
    if (of.kind == QR_V_LOOP) return loop_attribute(of.as.loop, name);
    return found ? *found : qr_value_undefined(name.as.text, name.n);
}

/* ---- x[key] ---------------------------------------------------------------------------------- */

static struct qr_value list_item(const struct qr_list *list, int64_t at)
{
    int64_t n = (int64_t)list->n;

    if (at < 0) at += n;
    if (at < 0 || at >= n || (list->flavor > QR_RANGE)) return qr_value_undefined_of("list item");
    return list->items[at];
}

static struct qr_value text_item(struct qr_render *r, struct qr_value text, int64_t at)
{
    qr_run_charge(&r->run, text.n);
    if (at < 0) at += (int64_t)qr_chars_count(text.as.text, text.n);
    size_t from = at < 0 ? text.n : qr_chars_at(text.as.text, text.n, (size_t)at);
    if (from >= text.n) return qr_value_undefined_of("text item");
    return qr_value_text(text.as.text + from, qr_char_n(text.as.text + from, text.n - from));
}

struct qr_value qr_access_item(struct qr_render *r, struct qr_value of, struct qr_value key)
{
    int64_t at;

    if (of.kind == QR_V_UNDEFINED) qr_args_fail_undefined(r, of);
    if (of.kind == QR_V_DICT) {
        if (key.kind == QR_V_UNDEFINED) return key;
        const struct qr_value *found = qr_dict_find(&r->run, of.as.dict, key);
        if (found) return *found;
    } else if (of.kind == QR_V_LIST && qr_value_as_int(key, &at))
        return list_item(of.as.list, at);
    else if (of.kind == QR_V_STRING && qr_value_as_int(key, &at))
        return text_item(r, of, at);
    if (key.kind != QR_V_STRING) return qr_value_undefined_of("item");
    struct qr_value method;
    if (of.kind == QR_V_NAMESPACE || of.kind == QR_V_LOOP) return qr_access_attribute(r, of, key);
    return method_of(r, of, key, &method) ? method : qr_value_undefined(key.as.text, key.n);
}

/* ---- x[a:b:c] -------------------------------------------------------------------------------- */

static int64_t bound(struct qr_render *r, struct qr_value value, int64_t otherwise)
{
    int64_t integer;

    if (value.kind == QR_V_NONE) return otherwise;
    if (!qr_value_as_int(value, &integer))
        qr_run_fail(&r->run, "slice indices must be integers or none, not %s",
                    qr_value_type_name(value));
    return integer;
}

/* Python's: counted from the end where negative, then cut to [least, most]. */
static int64_t clamp(int64_t at, int64_t n, int64_t least, int64_t most)
{
    if (at < 0) at = at < -n ? least : at + n;
    return at < least ? least : at > most ? most : at;
}

struct qr_value qr_access_slice(struct qr_render *r, struct qr_value of,
                                const struct qr_value bounds[3])
{
    if (of.kind == QR_V_UNDEFINED) qr_args_fail_undefined(r, of);
    if (of.kind != QR_V_STRING && (of.kind != QR_V_LIST || of.as.list->flavor > QR_RANGE))
        return qr_value_undefined_of("slice");
    int64_t n = qr_value_length(&r->run, of), step = bound(r, bounds[2], 1);
    if (step == 0) qr_run_fail(&r->run, "slice step cannot be zero");
    if (step < -n - 1) step = -n - 1; /* the same items, and -step exists */
    int64_t least = step < 0 ? -1 : 0, most = step < 0 ? n - 1 : n;
    int64_t from = clamp(bound(r, bounds[0], step < 0 ? INT64_MAX : 0), n, least, most);
    int64_t to = bounds[1].kind == QR_V_NONE ? (step < 0 ? -1 : n)
                                             : clamp(bound(r, bounds[1], 0), n, least, most);
    int64_t count = step > 0 ? (to > from ? (to - from - 1) / step + 1 : 0)
                             : (from > to ? (from - to - 1) / -step + 1 : 0);

    if (of.kind == QR_V_LIST) {
        const struct qr_list *list = of.as.list;
        struct qr_value made =
            qr_list_make(&r->run, list->flavor == QR_TUPLE ? QR_TUPLE : QR_LIST, (size_t)count);
        for (int64_t i = 0; i < count; i++)
            made.as.list->items[i] = list->items[from + i * step];
        return made;
    }
    const char *text = of.as.text;
    if (step == 1) {
        size_t start = qr_chars_at(text, of.n, (size_t)from);
        size_t bytes = count ? qr_chars_at(text + start, of.n - start, (size_t)count) : 0;
        return qr_value_text(text + start, bytes);
    }
    const struct qr_list *all = qr_value_iterate(&r->run, of);
    struct qr_template_output out = {0};
    for (int64_t i = 0; i < count; i++) {
        struct qr_value c = all->items[from + i * step];
        qr_output_put(r, &out, c.as.text, c.n);
    }
    return qr_output_value(&out);
}
