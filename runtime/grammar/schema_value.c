/* SPDX-License-Identifier: MIT */
/* schema_value -- one conjunction of keywords: types, listed values, and what is refused. */
#include <assert.h>
#include <math.h>
#include <string.h>

#include "runtime/grammar/schema_parts.h"

#define VALUE_DEPTH_MAX 32u

/* ---- types ---------------------------------------------------------------------------------- */

static uint32_t bit_of(const json_t *name, bool *integer)
{
    static const char *const names[] = {"null", "boolean", "number", "string", "array", "object"};
    const char *text = json_string_value(name);

    *integer = text && strcmp(text, "integer") == 0;
    if (*integer) return QR_TYPE_NUMBER_BIT;
    for (uint32_t i = 0; text && i < 6; i++)
        if (strcmp(text, names[i]) == 0) return UINT32_C(1) << i;
    return 0;
}

uint32_t qr_schema_types(struct qr_schema *s, const struct qr_demands *d, bool *integer)
{
    uint32_t types = QR_TYPES_ALL;

    *integer = false;
    for (size_t i = 0; i < d->n; i++) {
        const json_t *type = qr_demand_get(s, d, i, "type");
        uint32_t own = 0;
        bool whole = false, fractions = false, one;
        if (d->all[i].kind == QR_DEMAND_TYPES) types &= d->all[i].bits;
        if (!type) continue;
        if (strcmp(json_is_string(type) ? json_string_value(type) : "", "any") == 0) continue;
        for (size_t j = 0; j < (json_is_array(type) ? json_array_size(type) : 1); j++) {
            const json_t *name = json_is_array(type) ? json_array_get(type, j) : type;
            uint32_t bit = bit_of(name, &one);
            if (!bit)
                qr_schema_refuse(s, d->all[i].a, "type", "\"%.40s\" is no type of JSON",
                                 json_is_string(name) ? json_string_value(name) : "");
            own |= bit;
            whole = whole || one;
            fractions = fractions || (bit == QR_TYPE_NUMBER_BIT && !one);
        }
        types &= own;
        *integer = *integer || (whole && !fractions);
    }
    return types;
}

uint32_t qr_schema_count(struct qr_schema *s, const struct qr_demands *d, const char *keyword,
                         bool greatest, uint32_t without)
{
    char other[20];
    uint32_t count = without;
    bool any = false;

    strcpy(other, keyword);
    memcpy(other, greatest ? "max" : "min", 3);
    for (size_t i = 0; i < d->n; i++) {
        const json_t *schema = NULL, *value = qr_demand_get(s, d, i, keyword);
        double n = json_is_number(value) ? json_number_value(value) : -1;
        if (value) schema = d->all[i].a;
        const json_t *broken = qr_demand_not(d, i, other);
        if (broken) { /* not maxItems 3: minItems 4 */
            schema = broken;
            value = json_object_get(broken, other);
            n = json_is_number(value) ? json_number_value(value) + (greatest ? 1 : -1) : -2;
            if (n == -1) { /* nothing has fewer than none */
                n = 0;
                qr_schema_refuse(s, schema, other, "%s of 0 within not is not supported", other);
            }
        }
        if (!schema) continue;
        if (n < 0 || n != floor(n)) {
            qr_schema_refuse(s, schema, broken ? other : keyword, "expected a whole number from 0");
            return without;
        }
        uint32_t limited = n > 1e9 ? 1000000000u : (uint32_t)n;
        if (!any || (greatest ? limited > count : limited < count)) count = limited;
        any = true;
    }
    return count;
}

/* ---- listed values -------------------------------------------------------------------------- */

bool qr_schema_listed(struct qr_schema *s, const struct qr_demands *d, const json_t **list,
                      bool *single)
{
    for (size_t i = 0; i < d->n; i++) {
        const json_t *value = qr_demand_get(s, d, i, "const");
        *single = value != NULL;
        if (!value) value = qr_demand_get(s, d, i, "enum");
        if (!value) continue;
        if (!*single && !json_is_array(value))
            qr_schema_refuse(s, d->all[i].a, "enum", "expected a list");
        *list = value;
        return true;
    }
    return false;
}

static uint32_t type_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_NULL: return QR_TYPE_NULL_BIT;
    case JSON_TRUE:
    case JSON_FALSE: return QR_TYPE_BOOL_BIT;
    case JSON_INTEGER:
    case JSON_REAL: return QR_TYPE_NUMBER_BIT;
    case JSON_STRING: return QR_TYPE_STRING_BIT;
    case JSON_ARRAY: return QR_TYPE_ARRAY_BIT;
    default: return QR_TYPE_OBJECT_BIT;
    }
}

/* Equal as JSON Schema has it: 1 and 1.0 are. */
static bool equal(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return json_is_integer(a) && json_is_integer(b)
                   ? json_integer_value(a) == json_integer_value(b)
                   : json_number_value(a) == json_number_value(b);
    return json_equal(a, b);
}

/* The demands that list values, or forbid them. */
static bool listing_allows(struct qr_schema *s, const struct qr_demands *d, const json_t *value)
{
    for (size_t i = 0; i < d->n; i++) {
        const json_t *one = qr_demand_get(s, d, i, "const"), *list = qr_demand_get(s, d, i, "enum");
        bool found = !list;
        if (one && !equal(one, value)) return false;
        for (size_t j = 0; list && j < json_array_size(list); j++)
            found = found || equal(json_array_get(list, j), value);
        if (!found) return false;
        if (d->all[i].kind == QR_DEMAND_NOT_VALUE && equal(d->all[i].a, value)) return false;
    }
    return true;
}

static bool accepts_object(struct qr_schema *s, const struct qr_demands *d, const json_t *value,
                           uint32_t depth)
{
    size_t n = json_object_size(value);
    void *it = json_object_iter((json_t *)(uintptr_t)value);

    if (n < qr_schema_count(s, d, "minProperties", true, 0)) return false;
    if (n > qr_schema_count(s, d, "maxProperties", false, QR_RX_UNBOUNDED)) return false;
    for (size_t i = 0; i < d->n; i++) {
        const json_t *required = qr_demand_get(s, d, i, "required");
        for (size_t j = 0; j < json_array_size(required); j++)
            if (!json_object_get(value, json_string_value(json_array_get(required, j))))
                return false;
        if (d->all[i].kind == QR_DEMAND_REQUIRED &&
            !json_object_get(value, json_string_value(d->all[i].a)))
            return false;
    }
    for (; it; it = json_object_iter_next((json_t *)(uintptr_t)value, it)) {
        struct qr_demands own = {0};
        const char *key = json_object_iter_key(it);
        qr_schema_property(s, d, key, json_object_iter_key_len(it), &own);
        bool ok = qr_schema_accepts(s, &own, json_object_iter_value(it), depth);
        qr_demands_free(s, &own);
        if (!ok) return false;
    }
    return true;
}

/* A value of a type that the demands allow, against the other keywords.  A list: only if nothing is
 * demanded of its items. */
static bool accepts_one(struct qr_schema *s, const struct qr_demands *d, const json_t *value,
                        uint32_t depth)
{
    bool integer;
    uint32_t types = qr_schema_types(s, d, &integer);
    struct qr_rx_pool *pool = s->pool;

    if (!(types & type_of(value)) || !listing_allows(s, d, value)) return false;
    switch (type_of(value)) {
    case QR_TYPE_STRING_BIT: { /* is its canonical text allowed? */
        qr_rx one =
            qr_schema_quoted_literal(s, json_string_value(value), json_string_length(value));
        qr_rx rx = qr_schema_quoted(s, qr_schema_text(s, d));
        return !qr_rx_is_empty(pool, qr_rx_and(pool, one, rx));
    }
    case QR_TYPE_NUMBER_BIT:
        return !qr_rx_is_empty(pool, qr_rx_and(pool, qr_schema_number_literal(s, value),
                                               qr_schema_number(s, d, integer)));
    case QR_TYPE_OBJECT_BIT: return accepts_object(s, d, value, depth);
    case QR_TYPE_ARRAY_BIT:
        for (size_t i = 0; i < d->n; i++) {
            static const char *const keys[] = {"items",      "prefixItems", "contains",
                                               "minItems",   "maxItems",    "additionalItems",
                                               "uniqueItems"};
            for (size_t k = 0; k < 7; k++)
                if (qr_demand_get(s, d, i, keys[k]))
                    qr_schema_refuse(s, d->all[i].a, keys[k],
                                     "together with listed values that are lists");
        }
        return true;
    default: return true;
    }
}

bool qr_schema_accepts(struct qr_schema *s, const struct qr_demands *d, const json_t *value,
                       uint32_t depth)
{
    struct qr_alternatives all = {0};
    bool accepted = false;

    if (depth == 0) {
        qr_schema_refuse(s, s->root, "enum", "a listed value nests too deep");
        return false;
    }
    qr_schema_expand(s, d, &all);
    for (size_t i = 0; i < all.n && !accepted && !s->failed; i++)
        accepted = accepts_one(s, &all.all[i], value, depth - 1);
    qr_alternatives_free(s, &all);
    return accepted;
}

/* ---- what is written ------------------------------------------------------------------------ */

static qr_symbol words(struct qr_schema *s, const char *text)
{
    return qr_rules_regex(s->rules, qr_rx_text(s->pool, text));
}

/* Symbols of a literal, in their order. */
struct symbols {
    qr_symbol *all;
    size_t n, all_capacity;
};

static void put(struct qr_schema *s, struct symbols *to, qr_rx rx)
{
    if (QR_RESERVE(s->budget, to, all, to->n + 1)) to->all[to->n++] = qr_rules_regex(s->rules, rx);
}

/* Where a walk over a nested value is. */
struct level {
    const json_t *value;
    size_t index;
    void *it;
};

static qr_rx scalar(struct qr_schema *s, const json_t *value)
{
    if (json_is_string(value))
        return qr_schema_quoted_literal(s, json_string_value(value), json_string_length(value));
    if (json_is_number(value)) return qr_schema_number_literal(s, value);
    return qr_rx_text(s->pool, json_is_null(value)   ? "null"
                               : json_is_true(value) ? "true"
                                                     : "false");
}

qr_symbol qr_schema_literal(struct qr_schema *s, const json_t *value)
{
    struct level levels[VALUE_DEPTH_MAX];
    struct symbols symbols = {0};
    uint32_t depth = 0;

    if (!json_is_object(value) && !json_is_array(value))
        return qr_rules_regex(s->rules, scalar(s, value));
    levels[0] = (struct level){.value = value, .it = json_object_iter((json_t *)(uintptr_t)value)};
    for (;;) {
        struct level *l = &levels[depth];
        bool object = json_is_object(l->value);
        size_t size = object ? json_object_size(l->value) : json_array_size(l->value);
        if (l->index == 0)
            put(s, &symbols,
                qr_rx_cat(s->pool, qr_rx_byte(s->pool, object ? '{' : '['),
                          size ? s->space : QR_RX_EMPTY));
        if (l->index == size) {
            put(s, &symbols, qr_rx_cat(s->pool, s->space, qr_rx_byte(s->pool, object ? '}' : ']')));
            if (depth-- == 0) break;
            continue;
        }
        if (l->index) put(s, &symbols, s->comma);
        const json_t *child;
        if (object) {
            put(s, &symbols,
                qr_rx_cat(s->pool,
                          qr_schema_quoted_literal(s, json_object_iter_key(l->it),
                                                   json_object_iter_key_len(l->it)),
                          s->colon));
            child = json_object_iter_value(l->it);
            l->it = json_object_iter_next((json_t *)(uintptr_t)l->value, l->it);
        } else {
            child = json_array_get(l->value, l->index);
        }
        l->index++;
        if (!json_is_object(child) && !json_is_array(child)) {
            put(s, &symbols, scalar(s, child));
        } else if (++depth == VALUE_DEPTH_MAX) {
            qr_schema_refuse(s, value, "", "a listed value nests deeper than %u", VALUE_DEPTH_MAX);
            break;
        } else {
            levels[depth] =
                (struct level){.value = child, .it = json_object_iter((json_t *)(uintptr_t)child)};
        }
    }
    qr_symbol all = s->failed || s->budget->failed
                        ? QR_SYMBOL_NONE
                        : qr_rules_sequence(s->rules, symbols.all, symbols.n);
    qr_array_free(s->budget, symbols.all);
    s->budget->bytes_left += symbols.all_capacity * sizeof *symbols.all;
    return all;
}

/* All listed scalars are one lexeme; lists and objects a rule each. */
static void put_listed(struct qr_schema *s, uint32_t nonterminal, const struct qr_demands *d,
                       const json_t *list, bool single)
{
    size_t n = single ? 1 : json_array_size(list);
    qr_rx all = QR_RX_NONE;
    struct {
        qr_rx *each;
        size_t n, each_capacity;
    } scalars = {0};

    for (size_t i = 0; i < n && !s->failed && !s->budget->failed; i++) {
        const json_t *value = single ? list : json_array_get(list, i);
        if (!accepts_one(s, d, value, VALUE_DEPTH_MAX)) continue;
        if (json_is_object(value) || json_is_array(value)) {
            qr_symbol one = qr_schema_literal(s, value);
            qr_rules_add(s->rules, nonterminal, &one, 1);
        } else if (QR_RESERVE(s->budget, &scalars, each, scalars.n + 1)) {
            scalars.each[scalars.n++] = scalar(s, value);
        }
    }
    if (scalars.n) all = qr_rx_any_of(s->pool, scalars.each, scalars.n);
    qr_array_free(s->budget, scalars.each);
    s->budget->bytes_left += scalars.each_capacity * sizeof *scalars.each;
    qr_symbol symbol = qr_rules_regex(s->rules, all);
    qr_rules_add(s->rules, nonterminal, &symbol, 1);
}

/* ---- keywords that are not held ------------------------------------------------------------- */

static void refuse_others(struct qr_schema *s, const struct qr_demands *d, uint32_t types)
{
    for (size_t i = 0; i < d->n; i++) {
        const json_t *schema = qr_demand_keywords(s, &d->all[i]);
        if (!schema) continue;
        if ((types & QR_TYPE_ARRAY_BIT) && json_is_true(json_object_get(schema, "uniqueItems")) &&
            qr_schema_count(s, d, "maxItems", false, QR_RX_UNBOUNDED) > 1)
            qr_schema_refuse(s, schema, "uniqueItems", "is not supported");
        static const char *const names[] = {"unevaluatedProperties", "unevaluatedItems"};
        for (size_t k = 0; k < 2; k++) {
            const json_t *value = json_object_get(schema, names[k]);
            if (value && !json_is_true(value) &&
                (types & (k ? QR_TYPE_ARRAY_BIT : QR_TYPE_OBJECT_BIT)))
                qr_schema_refuse(s, schema, names[k], "is not supported");
        }
    }
}

void qr_schema_value(struct qr_schema *s, uint32_t nonterminal, const struct qr_demands *d)
{
    bool integer, single;
    uint32_t types = qr_schema_types(s, d, &integer);
    const json_t *list;
    qr_symbol one;

    if (qr_schema_listed(s, d, &list, &single)) {
        put_listed(s, nonterminal, d, list, single);
        return;
    }
    refuse_others(s, d, types);
    for (size_t i = 0; i < d->n; i++) {
        if (d->all[i].kind != QR_DEMAND_NOT_VALUE) continue;
        uint32_t type = type_of(d->all[i].a);
        if (type == QR_TYPE_NULL_BIT) types &= ~type;
        if ((type & (QR_TYPE_ARRAY_BIT | QR_TYPE_OBJECT_BIT)) & types)
            qr_schema_refuse(s, d->all[i].a, "", "a list or an object within not is not supported");
    }
    if (types & QR_TYPE_NULL_BIT) {
        one = words(s, "null");
        qr_rules_add(s->rules, nonterminal, &one, 1);
    }
    for (uint32_t truth = 0; truth < 2 && (types & QR_TYPE_BOOL_BIT); truth++) {
        bool forbidden = false;
        for (size_t i = 0; i < d->n; i++)
            forbidden = forbidden || (d->all[i].kind == QR_DEMAND_NOT_VALUE &&
                                      json_typeof(d->all[i].a) == (truth ? JSON_TRUE : JSON_FALSE));
        one = words(s, truth ? "true" : "false");
        if (!forbidden) qr_rules_add(s->rules, nonterminal, &one, 1);
    }
    if (types & QR_TYPE_NUMBER_BIT) {
        one = qr_rules_regex(s->rules, qr_schema_number(s, d, integer));
        qr_rules_add(s->rules, nonterminal, &one, 1);
    }
    if (types & QR_TYPE_STRING_BIT) {
        one = qr_rules_regex(s->rules, qr_schema_quoted(s, qr_schema_text(s, d)));
        qr_rules_add(s->rules, nonterminal, &one, 1);
    }
    if (types & QR_TYPE_ARRAY_BIT) {
        one = qr_schema_array(s, d);
        qr_rules_add(s->rules, nonterminal, &one, 1);
    }
    if (types & QR_TYPE_OBJECT_BIT) {
        one = qr_schema_object(s, d);
        qr_rules_add(s->rules, nonterminal, &one, 1);
    }
}

/* ---- empty conjunctions -------------------------------------------------------------------- */

bool qr_schema_is_empty(struct qr_schema *s, const struct qr_demands *d, uint32_t depth)
{
    bool integer, single;
    uint32_t types = qr_schema_types(s, d, &integer);
    const json_t *list;

    if (types == 0) return true;
    if (qr_schema_listed(s, d, &list, &single)) {
        for (size_t i = 0; i < (single ? 1 : json_array_size(list)) && !s->failed; i++)
            if (accepts_one(s, d, single ? list : json_array_get(list, i), VALUE_DEPTH_MAX))
                return false;
        return !s->failed;
    }
    if (types & (QR_TYPE_NULL_BIT | QR_TYPE_BOOL_BIT)) return false;
    if ((types & QR_TYPE_NUMBER_BIT) && !qr_rx_is_empty(s->pool, qr_schema_number(s, d, integer)))
        return false;
    if ((types & QR_TYPE_STRING_BIT) && !qr_rx_is_empty(s->pool, qr_schema_text(s, d)))
        return false;
    if ((types & QR_TYPE_ARRAY_BIT) &&
        qr_schema_count(s, d, "minItems", true, 0) <=
            qr_schema_count(s, d, "maxItems", false, QR_RX_UNBOUNDED))
        return false;
    if ((types & QR_TYPE_OBJECT_BIT) && !qr_schema_object_is_empty(s, d, depth)) return false;
    return true;
}
