/* SPDX-License-Identifier: MIT */
#include "runtime/template/value.h"

#include <math.h>
#include <string.h>

#include "runtime/base/siphash.h"
#include "runtime/template/chars.h"

#define FEW 8u /* pairs of a dict without a hash table */

const struct qr_value qr_value_none = {.kind = QR_V_NONE};

struct qr_value qr_value_bool(bool truth)
{
    return (struct qr_value){.kind = QR_V_BOOL, .as.truth = truth};
}

struct qr_value qr_value_int(int64_t integer)
{
    return (struct qr_value){.kind = QR_V_INT, .as.integer = integer};
}

struct qr_value qr_value_float(double real)
{
    return (struct qr_value){.kind = QR_V_FLOAT, .as.real = real};
}

struct qr_value qr_value_text(const char *text, size_t n)
{
    return (struct qr_value){.kind = QR_V_STRING, .n = n, .as.text = n ? text : ""};
}

struct qr_value qr_value_text_of(const char *string)
{
    return qr_value_text(string, strlen(string));
}

struct qr_value qr_value_undefined(const char *called, size_t n)
{
    return (struct qr_value){.kind = QR_V_UNDEFINED, .n = n, .as.text = called};
}

struct qr_value qr_value_undefined_of(const char *called)
{
    return qr_value_undefined(called, strlen(called));
}

struct qr_value qr_list_make(struct qr_run *run, enum qr_list_flavor flavor, size_t n)
{
    struct qr_list *list = qr_run_alloc(run, sizeof *list);

    qr_run_charge(run, n);
    *list = (struct qr_list){.n = n, .flavor = (uint8_t)flavor};
    list->items = qr_run_alloc_array(run, n, sizeof *list->items);
    return (struct qr_value){.kind = QR_V_LIST, .as.list = list};
}

/* ---- dicts ----------------------------------------------------------------------------------- */

static uint64_t hash_of(struct qr_run *run, const struct qr_dict *dict, struct qr_value key)
{
    uint64_t out[2];
    double real;

    switch (key.kind) {
    case QR_V_STRING: qr_siphash128(dict->seed, key.as.text, key.n, out); return out[0];
    case QR_V_NONE: return 1;
    case QR_V_BOOL:
    case QR_V_INT:
    case QR_V_FLOAT: /* equal numbers are one key, whatever their type */
        real = key.kind == QR_V_FLOAT
                   ? key.as.real
                   : (double)(key.kind == QR_V_BOOL ? key.as.truth : key.as.integer);
        if (real == 0) real = 0; /* -0 */
        qr_siphash128(dict->seed, &real, sizeof real, out);
        return out[0];
    case QR_V_LIST:
        if (key.as.list->flavor == QR_TUPLE) return 2; /* rare: all tuples share a hash */
        break;
    default: break;
    }
    qr_run_fail(run, "unhashable type: '%s'", qr_value_type_name(key));
}

/* The slot of the key, or the free slot for it. */
static uint32_t *slot_of(struct qr_run *run, const struct qr_dict *dict, struct qr_value key)
{
    size_t at = (size_t)hash_of(run, dict, key) & (dict->slots_n - 1);

    while (dict->slots[at] && !qr_value_equal(run, dict->pairs[dict->slots[at] - 1].key, key)) {
        qr_run_charge(run, 1);
        at = (at + 1) & (dict->slots_n - 1);
    }
    return &dict->slots[at];
}

struct qr_value qr_dict_make(struct qr_run *run, struct qr_pair *pairs, size_t n)
{
    struct qr_dict *dict = qr_run_alloc(run, sizeof *dict);

    qr_run_charge(run, n);
    *dict = (struct qr_dict){.pairs = pairs};
    if (n > FEW) {
        /* The author of the keys does not know the arena's address. */
        dict->seed[0] = (uint64_t)(uintptr_t)dict;
        dict->seed[1] = (uint64_t)(uintptr_t)run ^ 0x9e3779b97f4a7c15u;
        for (dict->slots_n = 16; dict->slots_n < n * 2;)
            dict->slots_n *= 2;
        dict->slots = qr_run_alloc_array(run, dict->slots_n, sizeof *dict->slots);
        memset(dict->slots, 0, dict->slots_n * sizeof *dict->slots);
    }
    for (size_t i = 0; i < n; i++) {
        if (!dict->slots) (void)hash_of(run, dict, pairs[i].key); /* fails if not hashable */
        struct qr_value *known = (struct qr_value *)qr_dict_find(run, dict, pairs[i].key);
        if (known) {
            *known = pairs[i].value;
            continue;
        }
        pairs[dict->n] = pairs[i];
        dict->n++;
        if (dict->slots) *slot_of(run, dict, pairs[i].key) = (uint32_t)dict->n;
    }
    return (struct qr_value){.kind = QR_V_DICT, .as.dict = dict};
}

const struct qr_value *qr_dict_find(struct qr_run *run, const struct qr_dict *dict,
                                    struct qr_value key)
{
    qr_run_charge(run, key.kind == QR_V_STRING ? key.n : 0);
    if (dict->slots) {
        uint32_t slot = *slot_of(run, dict, key);
        return slot ? &dict->pairs[slot - 1].value : NULL;
    }
    for (size_t i = 0; i < dict->n; i++)
        if (qr_value_equal(run, dict->pairs[i].key, key)) return &dict->pairs[i].value;
    return NULL;
}

const struct qr_value *qr_dict_find_text(struct qr_run *run, const struct qr_dict *dict,
                                         const char *key)
{
    return qr_dict_find(run, dict, qr_value_text_of(key));
}

struct qr_value qr_dict_items(struct qr_run *run, const struct qr_dict *dict,
                              enum qr_list_flavor flavor)
{
    struct qr_value list = qr_list_make(run, flavor, dict->n);

    for (size_t i = 0; i < dict->n; i++) {
        struct qr_value pair = qr_list_make(run, QR_TUPLE, 2);
        pair.as.list->items[0] = dict->pairs[i].key;
        pair.as.list->items[1] = dict->pairs[i].value;
        list.as.list->items[i] = pair;
    }
    return list;
}

/* ---- namespaces ------------------------------------------------------------------------------ */

struct qr_value qr_namespace_make(struct qr_run *run)
{
    struct qr_namespace *space = qr_run_alloc(run, sizeof *space);

    *space = (struct qr_namespace){0};
    return (struct qr_value){.kind = QR_V_NAMESPACE, .as.space = space};
}

const struct qr_value *qr_namespace_find(const struct qr_namespace *space, struct qr_value name)
{
    for (size_t i = 0; i < space->n; i++) {
        const struct qr_value key = space->pairs[i].key;
        if (key.n == name.n && memcmp(key.as.text, name.as.text, name.n) == 0)
            return &space->pairs[i].value;
    }
    return NULL;
}

void qr_namespace_set(struct qr_run *run, struct qr_namespace *space, struct qr_value name,
                      struct qr_value value)
{
    struct qr_value *known = (struct qr_value *)qr_namespace_find(space, name);

    qr_run_charge(run, space->n);
    if (known) {
        *known = value;
        return;
    }
    if (space->n == space->capacity) {
        size_t capacity = space->capacity ? space->capacity * 2 : 4;
        struct qr_pair *pairs = qr_run_alloc_array(run, capacity, sizeof *pairs);
        if (space->n) memcpy(pairs, space->pairs, space->n * sizeof *pairs);
        space->pairs = pairs;
        space->capacity = capacity;
    }
    space->pairs[space->n++] = (struct qr_pair){.key = name, .value = value};
}

/* ---- queries --------------------------------------------------------------------------------- */

bool qr_value_is_text(struct qr_value value, const char *string)
{
    return value.kind == QR_V_STRING && value.n == strlen(string) &&
           memcmp(value.as.text, string, value.n) == 0;
}

bool qr_value_is_number(struct qr_value value)
{
    return value.kind == QR_V_BOOL || value.kind == QR_V_INT || value.kind == QR_V_FLOAT;
}

bool qr_value_as_int(struct qr_value value, int64_t *out)
{
    if (value.kind == QR_V_BOOL)
        *out = value.as.truth;
    else if (value.kind == QR_V_INT)
        *out = value.as.integer;
    else
        return false;
    return true;
}

const char *qr_value_type_name(struct qr_value value)
{
    static const char *const names[] = {
        [QR_V_UNSET] = "nothing",
        [QR_V_UNDEFINED] = "Undefined",
        [QR_V_NONE] = "NoneType",
        [QR_V_BOOL] = "bool",
        [QR_V_INT] = "int",
        [QR_V_FLOAT] = "float",
        [QR_V_STRING] = "str",
        [QR_V_LIST] = "list",
        [QR_V_DICT] = "dict",
        [QR_V_NAMESPACE] = "Namespace",
        [QR_V_LOOP] = "LoopContext",
        [QR_V_MACRO] = "Macro",
        [QR_V_METHOD] = "builtin_function_or_method",
        [QR_V_GLOBAL] = "function",
        [QR_V_BUILTIN] = "builtin_function_or_method",
    };
    static const char *const flavors[] = {
        [QR_LIST] = "list",           [QR_TUPLE] = "tuple",        [QR_RANGE] = "range",
        [QR_KEYS] = "dict_keys",      [QR_VALUES] = "dict_values", [QR_ITEMS] = "dict_items",
        [QR_GENERATOR] = "generator",
    };
    return value.kind == QR_V_LIST ? flavors[value.as.list->flavor] : names[value.kind];
}

bool qr_value_truth(struct qr_value value)
{
    switch (value.kind) {
    case QR_V_UNSET:
    case QR_V_UNDEFINED:
    case QR_V_NONE: return false;
    case QR_V_BOOL: return value.as.truth;
    case QR_V_INT: return value.as.integer != 0;
    case QR_V_FLOAT: return value.as.real != 0;
    case QR_V_STRING: return value.n > 0;
    case QR_V_LIST: return value.as.list->n > 0 || value.as.list->flavor == QR_GENERATOR;
    case QR_V_DICT: return value.as.dict->n > 0;
    default: return true;
    }
}

/* -1, 0, 1, or 2 with a NaN.  Comparing an integer with a float is exact. */
static int compare_numbers(struct qr_value a, struct qr_value b)
{
    int64_t x = 0, y = 0;
    bool ax = qr_value_as_int(a, &x), by = qr_value_as_int(b, &y);

    if (ax && by) return (x > y) - (x < y);
    if (!ax && !by) {
        double p = a.as.real, q = b.as.real;
        return isnan(p) || isnan(q) ? 2 : (p > q) - (p < q);
    }
    if (!ax) {
        int swapped = compare_numbers(b, a);
        return swapped == 2 ? 2 : -swapped;
    }
    double q = b.as.real;
    if (isnan(q)) return 2;
    if (q >= 0x1p63) return -1;
    if (q < -0x1p63) return 1;
    int64_t whole = (int64_t)q; /* towards zero */
    if (x != whole) return (x > whole) - (x < whole);
    double fraction = q - (double)whole;
    return (fraction < 0) - (fraction > 0);
}

static bool equal_lists(struct qr_run *run, const struct qr_list *a, const struct qr_list *b)
{
    if (a == b) return true;
    if (a->flavor != b->flavor || a->n != b->n || a->flavor == QR_GENERATOR ||
        a->flavor == QR_VALUES)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!qr_value_equal(run, a->items[i], b->items[i])) return false;
    return true;
}

static bool equal_dicts(struct qr_run *run, const struct qr_dict *a, const struct qr_dict *b)
{
    if (a == b) return true;
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++) {
        const struct qr_value *other = qr_dict_find(run, b, a->pairs[i].key);
        if (!other || !qr_value_equal(run, a->pairs[i].value, *other)) return false;
    }
    return true;
}

bool qr_value_equal(struct qr_run *run, struct qr_value a, struct qr_value b)
{
    bool same;

    if (qr_value_is_number(a) && qr_value_is_number(b)) return compare_numbers(a, b) == 0;
    if (a.kind != b.kind) return false;
    switch (a.kind) {
    case QR_V_UNDEFINED:
    case QR_V_NONE: return true;
    case QR_V_STRING:
        if (a.n != b.n) return false;
        qr_run_charge(run, a.n);
        return memcmp(a.as.text, b.as.text, a.n) == 0;
    case QR_V_LIST:
    case QR_V_DICT:
        qr_run_charge(run, 1);
        qr_run_enter(run);
        same = a.kind == QR_V_LIST ? equal_lists(run, a.as.list, b.as.list)
                                   : equal_dicts(run, a.as.dict, b.as.dict);
        qr_run_leave(run);
        return same;
    case QR_V_NAMESPACE: return a.as.space == b.as.space;
    case QR_V_MACRO: return a.as.macro == b.as.macro;
    case QR_V_GLOBAL: return a.as.function == b.as.function;
    default: return false;
    }
}

int qr_value_compare(struct qr_run *run, const char *op, struct qr_value a, struct qr_value b)
{
    if (qr_value_is_number(a) && qr_value_is_number(b)) return compare_numbers(a, b);
    if (a.kind == QR_V_STRING && b.kind == QR_V_STRING) {
        size_t n = a.n < b.n ? a.n : b.n;
        qr_run_charge(run, n);
        int order = memcmp(a.as.text, b.as.text, n); /* byte order is code point order */
        return order ? (order > 0) - (order < 0) : (a.n > b.n) - (a.n < b.n);
    }
    if (a.kind == QR_V_LIST && b.kind == QR_V_LIST && a.as.list->flavor == b.as.list->flavor &&
        a.as.list->flavor <= QR_TUPLE) {
        const struct qr_list *x = a.as.list, *y = b.as.list;
        qr_run_charge(run, 1);
        for (size_t i = 0; i < x->n && i < y->n; i++) {
            if (qr_value_equal(run, x->items[i], y->items[i])) continue;
            qr_run_enter(run);
            int order = qr_value_compare(run, op, x->items[i], y->items[i]);
            qr_run_leave(run);
            return order;
        }
        return (x->n > y->n) - (x->n < y->n);
    }
    if (a.kind == QR_V_UNDEFINED || b.kind == QR_V_UNDEFINED) {
        const struct qr_value u = a.kind == QR_V_UNDEFINED ? a : b;
        qr_run_fail(run, "'%.*s' is undefined", (int)(u.n < 80 ? u.n : 80), u.as.text);
    }
    qr_run_fail(run, "'%s' not supported between instances of '%s' and '%s'", op,
                qr_value_type_name(a), qr_value_type_name(b));
}

bool qr_value_contains(struct qr_run *run, struct qr_value container, struct qr_value item)
{
    if (container.kind == QR_V_STRING) {
        if (item.kind != QR_V_STRING)
            qr_run_fail(run, "'in <string>' requires string as left operand, not %s",
                        qr_value_type_name(item));
        qr_run_charge(run, container.n);
        return item.n == 0 || memmem(container.as.text, container.n, item.as.text, item.n) != NULL;
    }
    if (container.kind == QR_V_DICT) return qr_dict_find(run, container.as.dict, item) != NULL;
    if (container.kind != QR_V_LIST && container.kind != QR_V_UNDEFINED)
        qr_run_fail(run, "argument of type '%s' is not iterable", qr_value_type_name(container));
    const struct qr_list *list = qr_value_iterate(run, container);
    for (size_t i = 0; i < list->n; i++) {
        qr_run_charge(run, 1);
        if (qr_value_equal(run, list->items[i], item)) return true;
    }
    return false;
}

/* ---- iteration ------------------------------------------------------------------------------- */

static struct qr_list *characters(struct qr_run *run, struct qr_value text)
{
    size_t n = qr_chars_count(text.as.text, text.n), at = 0;
    struct qr_list *list = qr_list_make(run, QR_LIST, n).as.list;

    for (size_t i = 0; i < n; i++) {
        size_t used = qr_char_n(text.as.text + at, text.n - at);
        list->items[i] = qr_value_text(text.as.text + at, used);
        at += used;
    }
    return list;
}

struct qr_list *qr_value_iterate(struct qr_run *run, struct qr_value value)
{
    struct qr_list *list;

    switch (value.kind) {
    case QR_V_LIST:
        list = value.as.list;
        if (list->flavor != QR_GENERATOR) return list;
        if (list->read) return qr_list_make(run, QR_LIST, 0).as.list;
        list->read = true;
        return list;
    case QR_V_STRING: qr_run_charge(run, value.n); return characters(run, value);
    case QR_V_UNDEFINED: return qr_list_make(run, QR_LIST, 0).as.list;
    case QR_V_DICT:
        list = qr_list_make(run, QR_LIST, value.as.dict->n).as.list;
        for (size_t i = 0; i < list->n; i++)
            list->items[i] = value.as.dict->pairs[i].key;
        return list;
    default: qr_run_fail(run, "'%s' object is not iterable", qr_value_type_name(value));
    }
}

int64_t qr_value_length(struct qr_run *run, struct qr_value value)
{
    switch (value.kind) {
    case QR_V_UNDEFINED: return 0;
    case QR_V_STRING:
        qr_run_charge(run, value.n);
        return (int64_t)qr_chars_count(value.as.text, value.n);
    case QR_V_LIST: return value.as.list->flavor == QR_GENERATOR ? -1 : (int64_t)value.as.list->n;
    case QR_V_DICT: return (int64_t)value.as.dict->n;
    default: return -1;
    }
}

/* ---- text ------------------------------------------------------------------------------------ */

struct qr_value qr_value_join(struct qr_run *run, struct qr_value a, struct qr_value b)
{
    size_t n;

    if (a.n == 0 || b.n == 0) return a.n == 0 ? b : a;
    if (__builtin_add_overflow(a.n, b.n, &n)) qr_run_fail(run, "a text is too long");
    if (qr_run_continue(run, a.as.text + a.n, b.n)) {
        qr_run_charge(run, b.n);
        memcpy((char *)(uintptr_t)(a.as.text + a.n), b.as.text, b.n);
        return qr_value_text(a.as.text, n);
    }
    qr_run_charge(run, n);
    char *text = qr_run_alloc_text(run, n);
    memcpy(text, a.as.text, a.n);
    memcpy(text + a.n, b.as.text, b.n);
    return qr_value_text(text, n);
}
