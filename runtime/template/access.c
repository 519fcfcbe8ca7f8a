/* SPDX-License-Identifier: MIT */
/* access -- x.name and x[key]. */
#include <string.h>

#include "runtime/template/chars.h"
#include "runtime/template/render.h"

/* ---- x.name ---------------------------------------------------------------------------------- */

/* Methods of Python's list and dict that the sandbox hides. */
static bool is_hidden(struct qr_value of, struct qr_value name)
{
    static const char *const list[] = {"append", "clear",   "extend", "insert", "pop",
                                       "remove", "reverse", "sort",   NULL};
    static const char *const dict[] = {"clear", "pop", "popitem", "setdefault", "update", NULL};
    const char *const *names = of.kind == QR_V_DICT ? dict : list;

    if (of.kind != QR_V_DICT && (of.kind != QR_V_LIST || of.as.list->flavor != QR_LIST))
        return false;
    for (; *names; names++)
        if (qr_value_is_text(name, *names)) return true;
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
    if (of.kind == QR_V_LOOP) return qr_loop_attribute(of.as.loop, name);
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
