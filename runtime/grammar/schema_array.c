/* SPDX-License-Identifier: MIT */
/* schema_array -- lists: the first items each by its own schema, then the rest by one. */
#include <string.h>

#include "runtime/grammar/schema_parts.h"

#define PREFIX_MAX 4096u

/* The list of schemas for the first items; NULL: the schema has none.  Before draft 2020-12 `items`
 * is it. */
static const json_t *prefix_of(const json_t *schema)
{
    const json_t *prefix = json_object_get(schema, "prefixItems"),
                 *items = json_object_get(schema, "items");

    return json_is_array(prefix) ? prefix : json_is_array(items) ? items : NULL;
}

static void item_demands(struct qr_schema *s, const struct qr_demands *d, size_t index,
                         struct qr_demands *out)
{
    for (size_t i = 0; i < d->n; i++) {
        const json_t *schema = qr_demand_keywords(s, &d->all[i]);
        if (!schema) continue;
        const json_t *prefix = prefix_of(schema), *items = json_object_get(schema, "items");
        if (prefix && index < json_array_size(prefix)) {
            qr_demand_add(s, out, qr_demand_schema(json_array_get(prefix, index)));
            continue;
        }
        if (json_is_array(items)) items = json_object_get(schema, "additionalItems");
        if (items) qr_demand_add(s, out, qr_demand_schema(items));
    }
}

static qr_symbol item(struct qr_schema *s, const struct qr_demands *d, size_t index,
                      const json_t *also)
{
    struct qr_demands own = {0};

    item_demands(s, d, index, &own);
    if (also) qr_demand_add(s, &own, qr_demand_schema(also));
    qr_symbol symbol = qr_schema_symbol(s, &own);
    for (size_t i = 0; i < own.n; i++)
        if (own.all[i].kind == QR_DEMAND_SCHEMA && json_is_false(own.all[i].a))
            symbol = QR_SYMBOL_NONE;
    qr_demands_free(s, &own);
    return symbol;
}

/* `contains`, as (item ",")* one ("," item)*; NULL: nothing demands it. */
static const json_t *contains_of(struct qr_schema *s, const struct qr_demands *d)
{
    const json_t *found = NULL;

    for (size_t i = 0; i < d->n; i++) {
        const json_t *schema = qr_demand_keywords(s, &d->all[i]);
        const json_t *contains = schema ? json_object_get(schema, "contains") : NULL;
        const json_t *min = schema ? json_object_get(schema, "minContains") : NULL;
        if (!contains) continue;
        if (json_object_get(schema, "maxContains") || (min && json_number_value(min) > 1) || found)
            qr_schema_refuse(s, schema, "contains",
                             "with other counts than at least one is not "
                             "supported");
        if (min && json_number_value(min) == 0) continue;
        found = contains;
    }
    return found;
}

/* The items after the first i of the prefix, `i` of them written: ("," item(i) ...)?  From the last
 * one back, so that each refers to one that is there. */
static qr_symbol tail(struct qr_schema *s, const struct qr_demands *d, size_t prefix_n,
                      uint32_t min, uint32_t max)
{
    struct qr_rules *r = s->rules;
    const qr_symbol comma = qr_rules_regex(r, s->comma);
    const uint32_t n = (uint32_t)prefix_n;
    uint32_t least = min > n ? min - n : 0;
    uint32_t most = max == QR_RX_UNBOUNDED ? max : max > n ? max - n : 0;
    qr_symbol pair[2] = {comma, item(s, d, prefix_n, NULL)};
    qr_symbol rest = qr_rules_repeat(r, qr_rules_sequence(r, pair, 2), QR_SYMBOL_NONE, least, most);

    for (uint32_t i = n; i-- > 1;) {
        uint32_t here = qr_rules_nonterminal(r);
        qr_symbol symbols[3] = {comma, item(s, d, i, NULL), rest};
        if (i >= min) qr_rules_add(r, here, NULL, 0);
        if (i < max) qr_rules_add(r, here, symbols, 3);
        rest = QR_SYMBOL(QR_SYMBOL_RULES, here);
    }
    return rest;
}

static qr_symbol with_contains(struct qr_schema *s, const struct qr_demands *d,
                               const json_t *contains)
{
    struct qr_rules *r = s->rules;
    const qr_symbol comma = qr_rules_regex(r, s->comma), any = item(s, d, 0, NULL);
    qr_symbol before[2] = {any, comma}, after[2] = {comma, any};
    qr_symbol all[3] = {
        qr_rules_repeat(r, qr_rules_sequence(r, before, 2), QR_SYMBOL_NONE, 0, QR_RX_UNBOUNDED),
        item(s, d, 0, contains),
        qr_rules_repeat(r, qr_rules_sequence(r, after, 2), QR_SYMBOL_NONE, 0, QR_RX_UNBOUNDED)};

    return qr_rules_sequence(r, all, 3);
}

qr_symbol qr_schema_array(struct qr_schema *s, const struct qr_demands *d)
{
    struct qr_rules *r = s->rules;
    uint32_t min = qr_schema_count(s, d, "minItems", true, 0);
    uint32_t max = qr_schema_count(s, d, "maxItems", false, QR_RX_UNBOUNDED);
    const json_t *contains = contains_of(s, d);
    size_t prefix_n = 0;
    qr_symbol inside;

    for (size_t i = 0; i < d->n; i++) {
        const json_t *schema = qr_demand_keywords(s, &d->all[i]);
        const json_t *prefix = schema ? prefix_of(schema) : NULL;
        if (prefix && json_array_size(prefix) > prefix_n) prefix_n = json_array_size(prefix);
    }
    if (min > max || s->failed) return QR_SYMBOL_NONE;
    if (prefix_n > PREFIX_MAX)
        qr_schema_refuse(s, s->root, "prefixItems", "more than %u items", PREFIX_MAX);
    if (contains && (prefix_n || min > 1 || max != QR_RX_UNBOUNDED))
        qr_schema_refuse(s, s->root, "contains",
                         "together with counts or prefixItems is not "
                         "supported");
    if (s->failed) return QR_SYMBOL_NONE;
    uint32_t whole = qr_rules_nonterminal(r);
    qr_rx open = qr_rx_byte(s->pool, '['), close = qr_rx_byte(s->pool, ']');
    qr_symbol none =
        qr_rules_regex(r, qr_rx_cat(s->pool, open, qr_rx_cat(s->pool, s->space, close)));
    if (min == 0 && !contains) qr_rules_add(r, whole, &none, 1);
    if (max > 0) {
        if (contains) {
            inside = with_contains(s, d, contains);
        } else if (prefix_n) {
            qr_symbol first[2] = {item(s, d, 0, NULL), tail(s, d, prefix_n, min, max)};
            inside = qr_rules_sequence(r, first, 2);
        } else {
            inside = qr_rules_repeat(r, item(s, d, 0, NULL), qr_rules_regex(r, s->comma),
                                     min ? min : 1, max);
        }
        qr_symbol some[3] = {qr_rules_regex(r, qr_rx_cat(s->pool, open, s->space)), inside,
                             qr_rules_regex(r, qr_rx_cat(s->pool, s->space, close))};
        qr_rules_add(r, whole, some, 3);
    }
    return QR_SYMBOL(QR_SYMBOL_RULES, whole);
}
