/* SPDX-License-Identifier: MIT */
/* filters_list -- filters of lists and dicts. */
#include <string.h>

#include "runtime/template/chars.h"
#include "runtime/template/strings.h"

#define FILTER(name)                                                                               \
    static struct qr_value filter_##name(struct qr_render *r, struct qr_value self,                \
                                         const struct qr_args *args)

/* ---- attributes by name ---------------------------------------------------------------------- */

/* Replaces an undefined item by `otherwise`, unless that is none. */
static struct qr_value found(struct qr_value item, struct qr_value otherwise)
{
    return item.kind == QR_V_UNDEFINED && otherwise.kind != QR_V_NONE ? otherwise : item;
}

/* item.a.b for the path "a.b"; a number in it is an index.  Without a path, the item itself. */
static struct qr_value attribute_or(struct qr_render *r, struct qr_value item, struct qr_value path,
                                    struct qr_value otherwise)
{
    int64_t at;

    if (path.kind == QR_V_UNSET || path.kind == QR_V_NONE) return item;
    if (path.kind != QR_V_STRING) return found(qr_access_item(r, item, path), otherwise);
    for (size_t i = 0; i <= path.n;) {
        const char *dot = memchr(path.as.text + i, '.', path.n - i);
        size_t n = dot ? (size_t)(dot - path.as.text) - i : path.n - i;
        struct qr_value part = qr_value_text(path.as.text + i, n);
        bool number = n > 0;
        for (size_t j = 0; j < n; j++)
            number = number && qr_char_is_digit((unsigned char)part.as.text[j]);
        if (number && qr_string_parse_int(part, 10, &at)) part = qr_value_int(at);
        item = found(qr_access_item(r, item, part), otherwise);
        i += n + 1;
    }
    return item;
}

static struct qr_value attribute(struct qr_render *r, struct qr_value item, struct qr_value path)
{
    return attribute_or(r, item, path, qr_value_none);
}

/* The key that an item is compared by; strings in lower case unless `cased`. */
static struct qr_value key_of(struct qr_render *r, struct qr_value item, struct qr_value path,
                              bool cased)
{
    struct qr_value key = attribute(r, item, path);

    return key.kind == QR_V_STRING && !cased ? qr_string_lower(r, key) : key;
}

/* ---- length, ends, conversion ---------------------------------------------------------------- */

FILTER(length)
{
    (void)args;
    int64_t n = qr_value_length(&r->run, self);

    if (n < 0) qr_run_fail(&r->run, "object of type '%s' has no len()", qr_value_type_name(self));
    return qr_value_int(n);
}

FILTER(first)
{
    (void)args;
    const struct qr_list *list = qr_value_iterate(&r->run, self);

    return list->n ? list->items[0] : qr_value_undefined_of("the first item of nothing");
}

FILTER(last)
{
    (void)args;
    if (self.kind == QR_V_LIST && self.as.list->flavor == QR_GENERATOR)
        qr_run_fail(&r->run, "'generator' object is not reversible");
    const struct qr_list *list = qr_value_iterate(&r->run, self);
    return list->n ? list->items[list->n - 1] : qr_value_undefined_of("the last item of nothing");
}

FILTER(list)
{
    (void)args;
    const struct qr_list *from = qr_value_iterate(&r->run, self);
    struct qr_value list = qr_list_make(&r->run, QR_LIST, from->n);

    if (from->n) memcpy(list.as.list->items, from->items, from->n * sizeof *from->items);
    return list;
}

FILTER(reverse)
{
    (void)args;
    const struct qr_list *from = qr_value_iterate(&r->run, self);
    struct qr_value list = qr_list_make(&r->run, QR_GENERATOR, from->n);

    for (size_t i = 0; i < from->n; i++)
        list.as.list->items[i] = from->items[from->n - 1 - i];
    if (self.kind != QR_V_STRING) return list;
    return qr_string_join(r, QR_VALUE_LITERAL(""), list.as.list, true);
}

FILTER(items)
{
    (void)args;
    if (self.kind == QR_V_UNDEFINED) return qr_list_make(&r->run, QR_GENERATOR, 0);
    if (self.kind != QR_V_DICT)
        qr_run_fail(&r->run, "items: expected a dict, got %s", qr_value_type_name(self));
    return qr_dict_items(&r->run, self.as.dict, QR_GENERATOR);
}

FILTER(join)
{
    const struct qr_list *from = qr_value_iterate(&r->run, self);
    struct qr_value between = args->values[0].kind == QR_V_UNSET
                                  ? QR_VALUE_LITERAL("")
                                  : qr_print_text(r, args->values[0]);
    struct qr_value list = qr_list_make(&r->run, QR_LIST, from->n);

    for (size_t i = 0; i < from->n; i++)
        list.as.list->items[i] = attribute(r, from->items[i], args->values[1]);
    return qr_string_join(r, between, list.as.list, false);
}

/* ---- order ----------------------------------------------------------------------------------- */

static struct qr_value sorted(struct qr_render *r, const struct qr_list *from, struct qr_value path,
                              bool cased, bool reverse)
{
    struct qr_pair *pairs = qr_run_alloc_array(&r->run, from->n, sizeof *pairs);
    struct qr_value list = qr_list_make(&r->run, QR_LIST, from->n);

    for (size_t i = 0; i < from->n; i++) {
        pairs[i].key = key_of(r, from->items[i], path, cased);
        pairs[i].value = from->items[i];
    }
    qr_sort_pairs(&r->run, pairs, from->n, reverse);
    for (size_t i = 0; i < from->n; i++)
        list.as.list->items[i] = pairs[i].value;
    return list;
}

FILTER(sort)
{
    return sorted(r, qr_value_iterate(&r->run, self), args->values[2], qr_args_bool(args, 1, false),
                  qr_args_bool(args, 0, false));
}

FILTER(dictsort)
{
    struct qr_value by =
        args->values[1].kind == QR_V_UNSET ? QR_VALUE_LITERAL("key") : args->values[1];
    bool value = qr_value_is_text(by, "value");
    static const struct qr_args none = {0};

    if (!value && !qr_value_is_text(by, "key"))
        qr_run_fail(&r->run, "dictsort: expected by=\"key\" or by=\"value\"");
    struct qr_value items = filter_items(r, self, &none);
    return sorted(r, items.as.list, qr_value_int(value), qr_args_bool(args, 0, false),
                  qr_args_bool(args, 2, false));
}

FILTER(unique)
{
    const struct qr_list *from = qr_value_iterate(&r->run, self);
    struct qr_value list = qr_list_make(&r->run, QR_GENERATOR, from->n);
    struct qr_value *seen = qr_run_alloc_array(&r->run, from->n, sizeof *seen);
    size_t n = 0;

    for (size_t i = 0; i < from->n; i++) {
        struct qr_value key =
            key_of(r, from->items[i], args->values[1], qr_args_bool(args, 0, false));
        size_t j = 0;
        while (j < n && !qr_value_equal(&r->run, seen[j], key)) {
            qr_run_charge(&r->run, 0);
            j++;
        }
        if (j < n) continue;
        seen[n] = key;
        list.as.list->items[n++] = from->items[i];
    }
    list.as.list->n = n;
    return list;
}

static struct qr_value extreme(struct qr_render *r, struct qr_value self,
                               const struct qr_args *args, int wanted)
{
    const struct qr_list *list = qr_value_iterate(&r->run, self);
    bool cased = qr_args_bool(args, 0, false);

    if (!list->n) return qr_value_undefined_of("the extreme of nothing");
    struct qr_value best = list->items[0], best_key = key_of(r, best, args->values[1], cased);
    for (size_t i = 1; i < list->n; i++) {
        struct qr_value key = key_of(r, list->items[i], args->values[1], cased);
        if (qr_value_compare(&r->run, wanted < 0 ? "<" : ">", key, best_key) != wanted) continue;
        best = list->items[i];
        best_key = key;
    }
    return best;
}

FILTER(min)
{
    return extreme(r, self, args, -1);
}

FILTER(max)
{
    return extreme(r, self, args, 1);
}

FILTER(sum)
{
    const struct qr_list *list = qr_value_iterate(&r->run, self);
    struct qr_value sum = args->values[1].kind == QR_V_UNSET ? qr_value_int(0) : args->values[1];

    for (size_t i = 0; i < list->n; i++)
        sum =
            qr_arithmetic_binary(r, QR_OP_ADD, sum, attribute(r, list->items[i], args->values[0]));
    return sum;
}

/* ---- each item ------------------------------------------------------------------------------- */

static struct qr_args args_from(const struct qr_args *args, size_t from)
{
    struct qr_args rest = *args;

    rest.values += from;
    rest.n -= from;
    return rest;
}

/* map(attribute="a", default=x), or map("filter", its arguments). */
FILTER(map)
{
    const struct qr_list *from = qr_value_iterate(&r->run, self);
    struct qr_value list = qr_list_make(&r->run, QR_GENERATOR, from->n);
    struct qr_value path = {0}, otherwise = qr_value_none;

    for (size_t i = 0; !args->n && i < args->named_n; i++)
        if (qr_value_is_text(args->named[i].key, "attribute"))
            path = args->named[i].value;
        else if (qr_value_is_text(args->named[i].key, "default"))
            otherwise = args->named[i].value;
        else
            qr_run_fail(&r->run, "map: expected a filter's name, or attribute= and default=");
    if (!args->n && path.kind == QR_V_UNSET) qr_run_fail(&r->run, "map: expected a filter's name");
    struct qr_args rest = args->n ? args_from(args, 1) : (struct qr_args){0};
    for (size_t i = 0; i < from->n; i++) {
        struct qr_value *item = &list.as.list->items[i];
        *item = args->n ? qr_call_filter(r, args->values[0], from->items[i], &rest)
                        : attribute_or(r, from->items[i], path, otherwise);
    }
    return list;
}

/* The items for which the test of the item, or of its attribute, gives `wanted`.  Without a test,
 * the truth of the value counts. */
static struct qr_value choose(struct qr_render *r, struct qr_value self, const struct qr_args *args,
                              bool by_attribute, bool wanted)
{
    const struct qr_list *from = qr_value_iterate(&r->run, self);
    struct qr_value list = qr_list_make(&r->run, QR_GENERATOR, from->n);
    struct qr_value path = {0};
    struct qr_args rest = *args;
    size_t n = 0;

    if (by_attribute) {
        if (!args->n) qr_run_fail(&r->run, "missing parameter for attribute name");
        path = args->values[0];
        rest = args_from(args, 1);
    }
    const struct qr_value *test = rest.n ? &rest.values[0] : NULL;
    if (test) rest = args_from(&rest, 1);
    for (size_t i = 0; i < from->n; i++) {
        struct qr_value item = attribute(r, from->items[i], path);
        bool holds = test ? qr_call_test(r, *test, item, &rest) : qr_value_truth(item);
        if (holds == wanted) list.as.list->items[n++] = from->items[i];
    }
    list.as.list->n = n;
    return list;
}

FILTER(select)
{
    return choose(r, self, args, false, true);
}

FILTER(reject)
{
    return choose(r, self, args, false, false);
}

FILTER(selectattr)
{
    return choose(r, self, args, true, true);
}

FILTER(rejectattr)
{
    return choose(r, self, args, true, false);
}

static const struct qr_function filters[] = {
    {"length", "", 0, filter_length},
    {"count", "", 0, filter_length},
    {"first", "", 0, filter_first},
    {"last", "", 0, filter_last},
    {"list", "", 0, filter_list},
    {"reverse", "", 0, filter_reverse},
    {"items", "", 0, filter_items},
    {"join", "d attribute", 0, filter_join},
    {"sort", "reverse case_sensitive attribute", 0, filter_sort},
    {"dictsort", "case_sensitive by reverse", 0, filter_dictsort},
    {"unique", "case_sensitive attribute", 0, filter_unique},
    {"min", "case_sensitive attribute", 0, filter_min},
    {"max", "case_sensitive attribute", 0, filter_max},
    {"sum", "attribute start", 0, filter_sum},
    {"map", NULL, 0, filter_map},
    {"select", NULL, 0, filter_select},
    {"reject", NULL, 0, filter_reject},
    {"selectattr", NULL, 0, filter_selectattr},
    {"rejectattr", NULL, 0, filter_rejectattr},
};

const struct qr_function *qr_list_filter_find(struct qr_value name)
{
    return qr_function_find(filters, sizeof filters / sizeof filters[0], name);
}
