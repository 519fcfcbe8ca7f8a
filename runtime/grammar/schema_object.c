/* SPDX-License-Identifier: MIT */
/* schema_object -- objects: listed properties in their order, then others by classes of names.
 *
 * Rules, with FIRST where no property has been written and NEXT where one has:
 *
 *     object   -> "{" "}"  |  "{" FIRST(0) "}"
 *     FIRST(i) -> name(i) value(i) NEXT(i+1)      | FIRST(i+1) if i is optional
 *     NEXT(i)  -> "," name(i) value(i) NEXT(i+1)  | NEXT(i+1) if i is optional
 *     FIRST(n), NEXT(n) -> others
 *
 * With minProperties or maxProperties each is there once for every count so far. */
#include <string.h>

#include "runtime/grammar/pattern.h"
#include "runtime/grammar/schema_parts.h"

#define COUNTED_MAX 20000u /* places times counts */
#define CLASSES_MAX 64u

struct name {
    const char *text;
    size_t n;
    bool required, forbidden;
};

struct object {
    const struct qr_demands *d;
    struct name *names;
    size_t names_n, names_capacity;
    uint32_t min, max, counts_n;
    bool not_empty;    /* minProperties is 1, which needs no counting */
    qr_symbol *values; /* [names_n] */
    size_t values_capacity;
    uint32_t *places; /* [2][names_n + 1][counts_n]: nonterminals; 0: none yet */
    size_t places_capacity;
    qr_symbol other; /* one more property, of a name that is not listed */
};

/* ---- names ---------------------------------------------------------------------------------- */

static struct name *add_name(struct qr_schema *s, struct object *o, const char *text, size_t n)
{
    for (size_t i = 0; i < o->names_n; i++)
        if (o->names[i].n == n && memcmp(o->names[i].text, text, n) == 0) return &o->names[i];
    if (!QR_RESERVE(s->budget, o, names, o->names_n + 1)) return NULL;
    o->names[o->names_n] = (struct name){.text = text, .n = n};
    return &o->names[o->names_n++];
}

static void require(struct qr_schema *s, struct object *o, const json_t *name)
{
    if (!json_is_string(name)) return;
    struct name *own = add_name(s, o, json_string_value(name), json_string_length(name));
    if (own) own->required = true;
}

static void collect_names(struct qr_schema *s, struct object *o)
{
    const struct qr_demands *d = o->d;

    for (size_t i = 0; i < d->n; i++) {
        const json_t *all = qr_demand_get(s, d, i, "properties");
        void *it = json_object_iter((json_t *)(uintptr_t)all);
        for (; it; it = json_object_iter_next((json_t *)(uintptr_t)all, it))
            (void)add_name(s, o, json_object_iter_key(it), json_object_iter_key_len(it));
    }
    for (size_t i = 0; i < d->n; i++) {
        const json_t *required = qr_demand_get(s, d, i, "required");
        for (size_t j = 0; j < json_array_size(required); j++)
            require(s, o, json_array_get(required, j));
        if (d->all[i].kind == QR_DEMAND_REQUIRED) require(s, o, d->all[i].a);
    }
    for (size_t i = 0; i < d->n; i++) {
        if (d->all[i].kind != QR_DEMAND_FORBIDDEN || !json_is_string(d->all[i].a)) continue;
        struct name *own =
            add_name(s, o, json_string_value(d->all[i].a), json_string_length(d->all[i].a));
        if (own) own->forbidden = true;
    }
}

/* What a schema demands of properties that it does not list. */
static const json_t *additional(struct qr_schema *s, const json_t *schema)
{
    const json_t *other = json_object_get(schema, "additionalProperties");

    if (!other && s->settings->no_additional_properties && json_object_get(schema, "properties"))
        return json_false();
    return other;
}

static bool name_matches(struct qr_schema *s, const json_t *schema, const char *pattern,
                         const char *name, size_t n)
{
    struct qr_pattern_error error;
    qr_rx rx;

    if (qr_pattern_compile(s->pool, pattern, strlen(pattern), QR_WRITING_PLAIN, true, &rx, &error))
        return qr_rx_matches(s->pool, rx, name, n);
    qr_schema_refuse(s, schema, "patternProperties", "%s at byte %zu of \"%.60s\"", error.complaint,
                     error.at, pattern);
    return false;
}

void qr_schema_property(struct qr_schema *s, const struct qr_demands *d, const char *name, size_t n,
                        struct qr_demands *out)
{
    for (size_t i = 0; i < d->n; i++) {
        const struct qr_demand *one = &d->all[i];
        if (one->kind == QR_DEMAND_FORBIDDEN && json_string_length(one->a) == n &&
            memcmp(json_string_value(one->a), name, n) == 0)
            qr_demand_add(s, out, qr_demand_schema(json_false()));
        if (one->kind == QR_DEMAND_PROPERTY_NOT && json_string_length(one->a) == n &&
            memcmp(json_string_value(one->a), name, n) == 0)
            qr_demand_add(s, out, (struct qr_demand){.kind = QR_DEMAND_NOT, .a = one->b});
        const json_t *schema = qr_demand_keywords(s, one);
        if (!schema) continue;
        const json_t *own = json_object_getn(json_object_get(schema, "properties"), name, n);
        const json_t *patterns = json_object_get(schema, "patternProperties");
        bool listed = own != NULL;
        if (own) qr_demand_add(s, out, qr_demand_schema(own));
        void *it = json_object_iter((json_t *)(uintptr_t)patterns);
        for (; it; it = json_object_iter_next((json_t *)(uintptr_t)patterns, it)) {
            if (!name_matches(s, schema, json_object_iter_key(it), name, n)) continue;
            listed = true;
            qr_demand_add(s, out, qr_demand_schema(json_object_iter_value(it)));
        }
        const json_t *other = additional(s, schema);
        if (!listed && other) qr_demand_add(s, out, qr_demand_schema(other));
        const json_t *names = json_object_get(schema, "propertyNames");
        if (names) {
            struct qr_demands demand = {0};
            json_t *text = json_stringn(name, n);
            qr_demand_add(s, &demand, qr_demand_schema(names));
            if (!text || !qr_schema_accepts(s, &demand, text, 8))
                qr_demand_add(s, out, qr_demand_schema(json_false()));
            json_decref(text);
            qr_demands_free(s, &demand);
        }
    }
}

bool qr_schema_object_is_empty(struct qr_schema *s, const struct qr_demands *d, uint32_t depth)
{
    struct object o = {.d = d};
    bool empty = qr_schema_count(s, d, "minProperties", true, 0) >
                 qr_schema_count(s, d, "maxProperties", false, QR_RX_UNBOUNDED);

    collect_names(s, &o);
    for (size_t i = 0; i < o.names_n && !empty && !s->failed; i++) {
        struct qr_demands own = {0};
        if (!o.names[i].required) continue;
        if (o.names[i].forbidden) empty = true;
        if (depth == 0) continue;
        qr_schema_property(s, d, o.names[i].text, o.names[i].n, &own);
        empty = empty || qr_schema_never(s, &own, depth - 1);
        qr_demands_free(s, &own);
    }
    qr_array_free(s->budget, o.names);
    s->budget->bytes_left += o.names_capacity * sizeof *o.names;
    return empty;
}

/* ---- other names, by classes ---------------------------------------------------------------- */

struct class
{
    qr_rx names;
    uint64_t patterns[4]; /* bit p: they match pattern p */
};

struct pattern {
    const json_t *owner, *value;
    qr_rx rx;
};

/* The texts that are strings of the demands. */
static qr_rx strings_of(struct qr_schema *s, const struct qr_demands *d)
{
    struct qr_alternatives all = {0};
    qr_rx rx = QR_RX_NONE;

    qr_schema_expand(s, d, &all);
    for (size_t i = 0; i < all.n && !s->failed; i++) {
        bool integer, single;
        const json_t *list;
        if (!(qr_schema_types(s, &all.all[i], &integer) & QR_TYPE_STRING_BIT)) continue;
        qr_rx one = qr_schema_text(s, &all.all[i]);
        if (qr_schema_listed(s, &all.all[i], &list, &single)) {
            qr_rx listed = QR_RX_NONE;
            for (size_t j = 0; j < (single ? 1 : json_array_size(list)); j++) {
                const json_t *value = single ? list : json_array_get(list, j);
                if (!json_is_string(value) || !qr_schema_accepts(s, &all.all[i], value, 2))
                    continue;
                qr_rx text =
                    qr_schema_literal_text(s, json_string_value(value), json_string_length(value));
                listed = qr_rx_or(s->pool, listed, text);
            }
            one = listed;
        }
        rx = qr_rx_or(s->pool, rx, one);
    }
    qr_alternatives_free(s, &all);
    return rx;
}

/* Cuts the classes in two by pattern p. */
static size_t cut(struct qr_schema *s, struct class *classes, size_t n,
                  const struct pattern *pattern, uint32_t p)
{
    for (size_t i = n; i-- > 0;) {
        qr_rx in = qr_rx_and(s->pool, classes[i].names, pattern->rx);
        qr_rx out = qr_rx_and(s->pool, classes[i].names, qr_rx_not(s->pool, pattern->rx));
        if (qr_rx_is_empty(s->pool, in)) continue;
        struct class with = classes[i];
        with.names = in;
        with.patterns[p / 64] |= UINT64_C(1) << p % 64;
        if (qr_rx_is_empty(s->pool, out)) {
            classes[i] = with;
        } else if (n == CLASSES_MAX) {
            qr_schema_refuse(s, pattern->owner, "patternProperties", "too many patterns overlap");
        } else {
            classes[i].names = out;
            classes[n++] = with;
        }
    }
    return n;
}

/* The demands on values of a class of names. */
static void class_demands(struct qr_schema *s, const struct object *o, const struct class *class,
                          const struct pattern *patterns, size_t patterns_n, struct qr_demands *out)
{
    for (size_t i = 0; i < o->d->n; i++) {
        const json_t *schema = qr_demand_keywords(s, &o->d->all[i]);
        bool listed = false;
        if (!schema) continue;
        for (size_t p = 0; p < patterns_n; p++) {
            if (patterns[p].owner != schema || !(class->patterns[p / 64] >> p % 64 & 1)) continue;
            listed = true;
            qr_demand_add(s, out, qr_demand_schema(patterns[p].value));
        }
        const json_t *other = additional(s, schema);
        if (!listed && other) qr_demand_add(s, out, qr_demand_schema(other));
    }
}

static bool is_never(const struct qr_demands *d)
{
    for (size_t i = 0; i < d->n; i++)
        if (d->all[i].kind == QR_DEMAND_SCHEMA && json_is_false(d->all[i].a)) return true;
    return false;
}

static qr_symbol other_properties(struct qr_schema *s, const struct object *o)
{
    struct pattern patterns[256];
    struct class classes[CLASSES_MAX];
    size_t patterns_n = 0, classes_n = 1;
    qr_rx names = s->plain_text;
    struct {
        qr_rx *each;
        size_t n, each_capacity;
    } own = {0};

    for (size_t i = 0; i < o->names_n; i++)
        if (QR_RESERVE(s->budget, &own, each, own.n + 1))
            own.each[own.n++] = qr_schema_literal_text(s, o->names[i].text, o->names[i].n);
    if (own.n)
        names =
            qr_rx_and(s->pool, names, qr_rx_not(s->pool, qr_rx_any_of(s->pool, own.each, own.n)));
    qr_array_free(s->budget, own.each);
    s->budget->bytes_left += own.each_capacity * sizeof *own.each;
    for (size_t i = 0; i < o->d->n && !s->failed; i++) {
        const json_t *schema = qr_demand_keywords(s, &o->d->all[i]);
        const json_t *all = schema ? json_object_get(schema, "patternProperties") : NULL;
        const json_t *name = schema ? json_object_get(schema, "propertyNames") : NULL;
        if (name) {
            struct qr_demands demand = {0};
            qr_demand_add(s, &demand, qr_demand_schema(name));
            names = qr_rx_and(s->pool, names, strings_of(s, &demand));
            qr_demands_free(s, &demand);
        }
        void *it = json_object_iter((json_t *)(uintptr_t)all);
        for (; it && !s->failed; it = json_object_iter_next((json_t *)(uintptr_t)all, it)) {
            if (patterns_n == 256) {
                qr_schema_refuse(s, schema, "patternProperties", "more than 256 patterns");
                break;
            }
            patterns[patterns_n++] = (struct pattern){
                schema, json_object_iter_value(it),
                qr_schema_pattern(s, schema, "patternProperties", json_object_iter_key(it),
                                  json_object_iter_key_len(it))};
        }
    }
    classes[0] = (struct class){.names = names};
    for (uint32_t p = 0; p < patterns_n && !s->failed; p++)
        classes_n = cut(s, classes, classes_n, &patterns[p], p);
    uint32_t choice = qr_rules_nonterminal(s->rules);
    for (size_t i = 0; i < classes_n && !s->failed && !s->budget->failed; i++) {
        struct qr_demands demands = {0};
        class_demands(s, o, &classes[i], patterns, patterns_n, &demands);
        if (!is_never(&demands)) {
            qr_rx key = qr_rx_cat(s->pool, qr_schema_quoted(s, classes[i].names), s->colon);
            qr_symbol pair[2] = {qr_rules_regex(s->rules, key), qr_schema_symbol(s, &demands)};
            qr_rules_add(s->rules, choice, pair, 2);
        }
        qr_demands_free(s, &demands);
    }
    return QR_SYMBOL(QR_SYMBOL_RULES, choice);
}

/* ---- rules ---------------------------------------------------------------------------------- */

static qr_symbol place(struct qr_schema *s, struct object *o, bool next, size_t i, uint32_t count)
{
    size_t at = ((next ? 1 : 0) * (o->names_n + 1) + i) * o->counts_n + count;

    if (!o->places[at]) o->places[at] = qr_rules_nonterminal(s->rules) + 1;
    return QR_SYMBOL(QR_SYMBOL_RULES, o->places[at] - 1);
}

/* After the listed ones, `count` of them.  Names that are not listed may be the same twice, so they
 * count once at the most towards minProperties. */
static void end_rules(struct qr_schema *s, struct object *o, bool next, uint32_t count)
{
    qr_symbol here = place(s, o, next, o->names_n, count);
    uint32_t least = count >= o->min ? 0 : 1;
    uint32_t most = o->max == QR_RX_UNBOUNDED ? o->max : o->max - count;
    qr_symbol comma = qr_rules_regex(s->rules, s->comma);

    if (count + 1 < o->min) return;
    if (!next && least == 0) least = 1; /* "{}" is a rule of its own */
    if (next && least == 0) qr_rules_add(s->rules, QR_SYMBOL_NUMBER(here), NULL, 0);
    if (most == 0) return;
    qr_symbol list = qr_rules_repeat(s->rules, o->other, comma, 1, most);
    qr_symbol symbols[2] = {comma, list};
    if (next)
        qr_rules_add(s->rules, QR_SYMBOL_NUMBER(here), symbols, 2);
    else
        qr_rules_add(s->rules, QR_SYMBOL_NUMBER(here), &list, 1);
}

static void property_rules(struct qr_schema *s, struct object *o, bool next, size_t i,
                           uint32_t count)
{
    const struct name *name = &o->names[i];
    qr_symbol here = place(s, o, next, i, count);
    uint32_t after = count + 1 < o->counts_n ? count + 1 : o->counts_n - 1;

    if (!name->required) {
        qr_symbol without = place(s, o, next, i + 1, count);
        qr_rules_add(s->rules, QR_SYMBOL_NUMBER(here), &without, 1);
    }
    if (name->forbidden || (o->max != QR_RX_UNBOUNDED && count + 1 > o->max)) return;
    qr_rx key = qr_rx_cat(s->pool, qr_schema_quoted_literal(s, name->text, name->n), s->colon);
    if (next) key = qr_rx_cat(s->pool, s->comma, key);
    qr_symbol symbols[3] = {qr_rules_regex(s->rules, key), o->values[i],
                            place(s, o, true, i + 1, after)};
    qr_rules_add(s->rules, QR_SYMBOL_NUMBER(here), symbols, 3);
}

static bool plan_counts(struct qr_schema *s, struct object *o)
{
    const struct qr_demands *d = o->d;
    uint32_t required_n = 0, possible_n = 0;

    o->min = qr_schema_count(s, d, "minProperties", true, 0);
    o->max = qr_schema_count(s, d, "maxProperties", false, QR_RX_UNBOUNDED);
    for (size_t i = 0; i < o->names_n; i++) {
        required_n += o->names[i].required;
        possible_n += !o->names[i].forbidden;
    }
    o->not_empty = o->min > 0;
    if (o->min <= required_n || o->min == 1) o->min = 0;
    if (o->max != QR_RX_UNBOUNDED && o->max < required_n) return false;
    bool others = o->other != QR_SYMBOL_NONE;
    if (o->min > possible_n + 1 && others)
        qr_schema_refuse(s, s->root, "minProperties",
                         "%u properties of which only %u are listed: others may repeat a name",
                         o->min, possible_n);
    o->counts_n = 1;
    if (o->max != QR_RX_UNBOUNDED)
        o->counts_n = o->max + 1;
    else if (o->min > 1)
        o->counts_n = o->min + 1;
    if ((uint64_t)o->counts_n * (o->names_n + 1) > COUNTED_MAX) {
        if (o->max != QR_RX_UNBOUNDED && o->max >= possible_n && !others && o->min <= 1)
            o->max = QR_RX_UNBOUNDED, o->counts_n = 1; /* never reached */
        else
            qr_schema_refuse(s, s->root, "maxProperties", "together with so many properties");
    }
    return !s->failed;
}

static bool is_never_allowed(const struct qr_schema *s, const struct qr_demands *d)
{
    for (size_t i = 0; i < d->n; i++) {
        const json_t *schema = qr_demand_keywords(s, &d->all[i]);
        if (schema && json_is_false(json_object_get(schema, "additionalProperties")) &&
            !json_object_get(schema, "patternProperties"))
            return true;
    }
    return false;
}

qr_symbol qr_schema_object(struct qr_schema *s, const struct qr_demands *d)
{
    struct object o = {.d = d};
    qr_symbol result = QR_SYMBOL_NONE;

    collect_names(s, &o);
    o.other = is_never_allowed(s, d) ? QR_SYMBOL_NONE : other_properties(s, &o);
    if (!plan_counts(s, &o)) goto done;
    size_t places_n = 2 * (o.names_n + 1) * o.counts_n;
    if (!QR_RESERVE(s->budget, &o, places, places_n) ||
        !QR_RESERVE(s->budget, &o, values, o.names_n + 1))
        goto done;
    memset(o.places, 0, places_n * sizeof *o.places);
    bool any_required = false;
    for (size_t i = 0; i < o.names_n && !s->failed; i++) {
        struct qr_demands own = {0};
        any_required = any_required || o.names[i].required;
        qr_schema_property(s, d, o.names[i].text, o.names[i].n, &own);
        o.values[i] = is_never(&own) ? QR_SYMBOL_NONE : qr_schema_symbol(s, &own);
        qr_demands_free(s, &own);
    }
    for (size_t i = 0; i <= o.names_n && !s->failed && !s->budget->failed; i++)
        for (uint32_t count = 0; count < o.counts_n; count++)
            for (uint32_t next = 0; next < 2; next++) {
                if (next ? i == 0 : count > 0) continue;
                if (i < o.names_n)
                    property_rules(s, &o, next, i, count);
                else
                    end_rules(s, &o, next, count);
            }
    if (s->failed || s->budget->failed) goto done;
    uint32_t whole = qr_rules_nonterminal(s->rules);
    qr_rx open = qr_rx_byte(s->pool, '{'), close = qr_rx_byte(s->pool, '}');
    qr_symbol none =
        qr_rules_regex(s->rules, qr_rx_cat(s->pool, open, qr_rx_cat(s->pool, s->space, close)));
    if (!any_required && !o.not_empty) qr_rules_add(s->rules, whole, &none, 1);
    qr_symbol some[3] = {qr_rules_regex(s->rules, qr_rx_cat(s->pool, open, s->space)),
                         place(s, &o, false, 0, 0),
                         qr_rules_regex(s->rules, qr_rx_cat(s->pool, s->space, close))};
    qr_rules_add(s->rules, whole, some, 3);
    result = QR_SYMBOL(QR_SYMBOL_RULES, whole);
done:
    qr_array_free(s->budget, o.names);
    qr_array_free(s->budget, o.places);
    qr_array_free(s->budget, o.values);
    s->budget->bytes_left += o.names_capacity * sizeof *o.names +
                             o.places_capacity * sizeof *o.places +
                             o.values_capacity * sizeof *o.values;
    return result;
}
