/* SPDX-License-Identifier: MIT */
/* schema_expand -- takes a schema's combinators and references apart, into alternatives. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/grammar/schema_parts.h"

#define ALTERNATIVES_MAX 600u
#define DEPTH_MAX        4u /* of properties that are looked into to show that nothing fits */

/* ---- references ----------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One step of a JSON pointer: the text up to '/', with %XX, ~0 and ~1 read. */
static const char *next_step(const char *from, char *step, size_t size)
{
    size_t n = 0;

    for (; *from && *from != '/'; from++) {
        char c = *from;
        if (c == '%' && hex_digit(from[1]) >= 0 && hex_digit(from[2]) >= 0) {
            c = (char)(hex_digit(from[1]) * 16 + hex_digit(from[2]));
            from += 2;
        }
        if (c == '~' && (from[1] == '0' || from[1] == '1')) c = *++from == '0' ? '~' : '/';
        if (n + 1 < size) step[n++] = c;
    }
    step[n] = 0;
    return from;
}

static const json_t *follow_pointer(const json_t *at, const char *pointer)
{
    char step[512];

    while (at && *pointer == '/') {
        pointer = next_step(pointer + 1, step, sizeof step);
        if (json_is_object(at))
            at = json_object_get(at, step);
        else if (json_is_array(at) && *step >= '0' && *step <= '9')
            at = json_array_get(at, (size_t)strtoul(step, NULL, 10));
        else
            at = NULL;
    }
    return at;
}

/* The schema within the document whose $id, id or $anchor is `name`.  Breadth first.  *twice: there
 * is another one: which is meant depends on the base URI of the reference. */
static const json_t *find_named(struct qr_schema *s, const char *name, size_t n, bool *twice)
{
    struct {
        const json_t **all;
        size_t n, all_capacity;
    } queue = {0};
    const json_t *first = NULL;
    static const char *const keys[] = {"$id", "id", "$anchor", "$dynamicAnchor"};

    if (QR_RESERVE(s->budget, &queue, all, 1)) queue.all[queue.n++] = s->root;
    for (size_t i = 0; i < queue.n && !s->budget->failed; i++) {
        const json_t *v = queue.all[i], *child, *found = NULL;
        for (size_t k = 0; k < 4 && json_is_object(v); k++) {
            const char *id = json_string_value(json_object_get(v, keys[k]));
            const char *wanted = name;
            size_t wanted_n = n;
            if (k >= 2 && n && *name == '#') wanted++, wanted_n--;
            if (id && strlen(id) == wanted_n && memcmp(id, wanted, wanted_n) == 0) found = v;
            if (id && strlen(id) == wanted_n + 1 && id[wanted_n] == '#' &&
                memcmp(id, wanted, wanted_n) == 0)
                found = v;
        }
        *twice = *twice || (first && found);
        if (!first) first = found;
        void *it = json_is_object(v) ? json_object_iter((json_t *)(uintptr_t)v) : NULL;
        for (; it; it = json_object_iter_next((json_t *)(uintptr_t)v, it)) {
            child = json_object_iter_value(it);
            if ((json_is_object(child) || json_is_array(child)) &&
                QR_RESERVE(s->budget, &queue, all, queue.n + 1))
                queue.all[queue.n++] = child;
        }
        for (size_t j = 0; json_is_array(v) && j < json_array_size(v); j++) {
            child = json_array_get(v, j);
            if (json_is_object(child) && QR_RESERVE(s->budget, &queue, all, queue.n + 1))
                queue.all[queue.n++] = child;
        }
    }
    qr_array_free(s->budget, queue.all);
    s->budget->bytes_left += queue.all_capacity * sizeof *queue.all;
    return first;
}

const json_t *qr_schema_resolve(struct qr_schema *s, const json_t *schema, const char *ref)
{
    const char *fragment = strchr(ref, '#');
    size_t base_n = fragment ? (size_t)(fragment - ref) : strlen(ref);
    const json_t *base = s->root, *found;
    bool twice = false;

    if (base_n) base = find_named(s, ref, base_n, &twice);
    if (!base)
        found = NULL;
    else if (!fragment || !fragment[1])
        found = base;
    else if (fragment[1] == '/')
        found = follow_pointer(base, fragment + 1);
    else
        found = find_named(s, fragment, strlen(fragment), &twice);
    if (twice) {
        qr_schema_refuse(s, schema, "$ref", "\"%.80s\" names more than one schema", ref);
        return NULL;
    }
    if (!json_is_object(found) && !json_is_boolean(found)) {
        qr_schema_refuse(s, schema, "$ref", "\"%.80s\" names no schema within this document", ref);
        return NULL;
    }
    return found;
}

/* ---- alternatives --------------------------------------------------------------------------- */

struct alternative {
    struct qr_demands done, todo;
    bool empty; /* no value satisfies it */
};

struct alternatives {
    struct alternative *all;
    size_t n, all_capacity;
};

static void copy_demands(struct qr_schema *s, struct qr_demands *to, const struct qr_demands *from)
{
    for (size_t i = 0; i < from->n; i++)
        qr_demand_add(s, to, from->all[i]);
}

/* A copy of part `of` with more to do; NULL: too many, or no memory. */
static struct alternative *branch(struct qr_schema *s, struct alternatives *p, size_t of)
{
    if (p->n >= ALTERNATIVES_MAX) {
        qr_schema_refuse(s, s->root, "anyOf",
                         "anyOf, oneOf, not and dependencies make more than %u alternatives",
                         ALTERNATIVES_MAX);
        return NULL;
    }
    if (!QR_RESERVE(s->budget, p, all, p->n + 1)) return NULL;
    struct alternative *new = &p->all[p->n++];
    *new = (struct alternative){0};
    copy_demands(s, &new->done, &p->all[of].done);
    copy_demands(s, &new->todo, &p->all[of].todo);
    return new;
}

/* Part `of` goes on as one branch for each schema of the list. */
static void branch_list(struct qr_schema *s, struct alternatives *p, size_t of, const json_t *list,
                        enum qr_demand_kind kind)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        struct alternative *new = branch(s, p, of);
        if (!new) return;
        qr_demand_add(s, &new->todo,
                      (struct qr_demand){.kind = kind, .a = json_array_get(list, i)});
    }
    p->all[of].empty = true;
}

/* Refuses oneOf unless no value satisfies two of its branches and the other demands. */
static void check_apart(struct qr_schema *s, const struct alternative *part, const json_t *schema,
                        const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        for (size_t j = 0; j < i && !s->failed && !s->budget->failed; j++) {
            struct qr_demands both = {0};
            copy_demands(s, &both, &part->done);
            copy_demands(s, &both, &part->todo);
            qr_demand_add(s, &both, qr_demand_schema(json_array_get(list, i)));
            qr_demand_add(s, &both, qr_demand_schema(json_array_get(list, j)));
            s->loose = true;
            bool apart = qr_schema_never(s, &both, DEPTH_MAX);
            s->loose = false;
            qr_demands_free(s, &both);
            if (!apart)
                qr_schema_refuse(s, schema, "oneOf",
                                 "branches %zu and %zu are not provably apart; use anyOf", j, i);
        }
    }
}

/* "if k is there, then ...", for each k; as k forbidden, or k required and the rest. */
static void take_dependents(struct qr_schema *s, struct alternatives *p, size_t at,
                            const json_t *all)
{
    void *it = json_object_iter((json_t *)(uintptr_t)all);

    for (; it; it = json_object_iter_next((json_t *)(uintptr_t)all, it)) {
        const json_t *then = json_object_iter_value(it);
        const json_t *key = qr_schema_name(s, json_object_iter_key(it));
        qr_demand_add(s, &p->all[at].todo,
                      (struct qr_demand){.kind = QR_DEMAND_DEPENDENT, .a = key, .b = then});
    }
}

static void take_dependent(struct qr_schema *s, struct alternatives *p, size_t at,
                           struct qr_demand d)
{
    struct alternative *without = branch(s, p, at), *with = without ? branch(s, p, at) : NULL;

    if (!with) return;
    without = with - 1; /* the array may have moved */
    qr_demand_add(s, &without->done, (struct qr_demand){.kind = QR_DEMAND_FORBIDDEN, .a = d.a});
    qr_demand_add(s, &with->done, (struct qr_demand){.kind = QR_DEMAND_REQUIRED, .a = d.a});
    qr_demand_add(s, &with->done,
                  (struct qr_demand){.kind = QR_DEMAND_TYPES, .bits = QR_TYPE_OBJECT_BIT});
    if (json_is_array(d.b))
        for (size_t i = 0; i < json_array_size(d.b); i++)
            qr_demand_add(
                s, &with->done,
                (struct qr_demand){.kind = QR_DEMAND_REQUIRED, .a = json_array_get(d.b, i)});
    else if (json_is_string(d.b))
        qr_demand_add(s, &with->done, (struct qr_demand){.kind = QR_DEMAND_REQUIRED, .a = d.b});
    else
        qr_demand_add(s, &with->todo, qr_demand_schema(d.b));
    p->all[at].empty = true;
}

static void take_if(struct qr_schema *s, struct alternatives *p, size_t at, const json_t *schema)
{
    const json_t *condition = json_object_get(schema, "if"),
                 *then = json_object_get(schema, "then"), *other = json_object_get(schema, "else");

    if (!then && !other) return;
    struct alternative *with = branch(s, p, at), *without = with ? branch(s, p, at) : NULL;
    if (!without) return;
    with = without - 1;
    qr_demand_add(s, &with->todo, qr_demand_schema(condition));
    if (then) qr_demand_add(s, &with->todo, qr_demand_schema(then));
    qr_demand_add(s, &without->todo, (struct qr_demand){.kind = QR_DEMAND_NOT, .a = condition});
    if (other) qr_demand_add(s, &without->todo, qr_demand_schema(other));
    p->all[at].empty = true;
}

static void take_schema(struct qr_schema *s, struct alternatives *p, size_t at,
                        const json_t *schema)
{
    const struct qr_demand keywords = {.kind = QR_DEMAND_KEYWORDS, .a = schema};
    const json_t *member;

    if (json_is_false(schema)) p->all[at].empty = true;
    if (!json_is_object(schema)) {
        if (!json_is_boolean(schema))
            qr_schema_refuse(s, schema, "", "expected a schema: an object or a boolean");
        return;
    }
    for (size_t i = 0; i < p->all[at].done.n; i++)
        if (memcmp(&p->all[at].done.all[i], &keywords, sizeof keywords) == 0) return;
    qr_demand_add(s, &p->all[at].done, keywords);
    const char *ref = json_string_value(json_object_get(schema, "$ref"));
    if (ref) {
        const json_t *target = qr_schema_resolve(s, schema, ref);
        if (!target) return;
        qr_demand_add(s, &p->all[at].todo, qr_demand_schema(target));
        if (!s->siblings) return;
    }
    if (json_object_get(schema, "$dynamicRef") || json_object_get(schema, "$recursiveRef"))
        qr_schema_refuse(s, schema, "$dynamicRef", "dynamic references are not supported");
    const json_t *all_of = json_object_get(schema, "allOf");
    for (size_t i = 0; i < json_array_size(all_of); i++)
        qr_demand_add(s, &p->all[at].todo, qr_demand_schema(json_array_get(all_of, i)));
    if ((member = json_object_get(schema, "not")))
        qr_demand_add(s, &p->all[at].todo, (struct qr_demand){.kind = QR_DEMAND_NOT, .a = member});
    static const char *const branching[] = {
        "anyOf", "oneOf", "if", "dependencies", "dependentRequired", "dependentSchemas"};
    for (size_t i = 0; i < 6; i++)
        if ((member = json_object_get(schema, branching[i])))
            qr_demand_add(
                s, &p->all[at].todo,
                (struct qr_demand){
                    .kind = QR_DEMAND_COMBINATOR, .bits = (uint32_t)i, .a = schema, .b = member});
}

static void take_combinator(struct qr_schema *s, struct alternatives *p, size_t at,
                            struct qr_demand d)
{
    switch (d.bits) {
    case 1:
        if (!s->loose) check_apart(s, &p->all[at], d.a, d.b);
        /* fall through */
    case 0: branch_list(s, p, at, d.b, QR_DEMAND_SCHEMA); break;
    case 2: take_if(s, p, at, d.a); break;
    default: take_dependents(s, p, at, d.b);
    }
}

/* ---- not ------------------------------------------------------------------------------------ */

static void add_not_keyword(struct qr_schema *s, struct alternatives *p, size_t at,
                            const json_t *schema, const char *keyword, uint32_t type)
{
    struct alternative *new = branch(s, p, at);
    const json_t *name = qr_schema_name(s, keyword);

    if (!new) return;
    qr_demand_add(s, &new->done, (struct qr_demand){.kind = QR_DEMAND_TYPES, .bits = type});
    qr_demand_add(s, &new->done,
                  (struct qr_demand){.kind = QR_DEMAND_NOT_KEYWORD, .a = schema, .b = name});
}

static uint32_t type_bit(const char *name, bool *integer)
{
    static const char *const names[] = {"null", "boolean", "number", "string", "array", "object"};

    *integer = strcmp(name, "integer") == 0;
    for (uint32_t i = 0; i < 6; i++)
        if (strcmp(name, names[i]) == 0) return UINT32_C(1) << i;
    return *integer ? QR_TYPE_NUMBER_BIT : 0;
}

static void not_type(struct qr_schema *s, struct alternatives *p, size_t at, const json_t *schema,
                     const json_t *type)
{
    uint32_t bits = 0;
    bool integer = false, number = false;

    for (size_t i = 0; i < (json_is_array(type) ? json_array_size(type) : 1); i++) {
        const json_t *name = json_is_array(type) ? json_array_get(type, i) : type;
        bool whole = false;
        uint32_t bit = json_is_string(name) ? type_bit(json_string_value(name), &whole) : 0;
        bits |= bit;
        integer = integer || whole;
        number = number || (bit == QR_TYPE_NUMBER_BIT && !whole);
    }
    struct alternative *new = branch(s, p, at);
    if (!new) return;
    qr_demand_add(s, &new->done,
                  (struct qr_demand){.kind = QR_DEMAND_TYPES, .bits = QR_TYPES_ALL & ~bits});
    if (integer && !number) add_not_keyword(s, p, at, schema, "type", QR_TYPE_NUMBER_BIT);
}

static void not_properties(struct qr_schema *s, struct alternatives *p, size_t at,
                           const json_t *all)
{
    void *it = json_object_iter((json_t *)(uintptr_t)all);

    for (; it; it = json_object_iter_next((json_t *)(uintptr_t)all, it)) {
        struct alternative *new = branch(s, p, at);
        const json_t *key = qr_schema_name(s, json_object_iter_key(it));
        if (!new) return;
        qr_demand_add(s, &new->done,
                      (struct qr_demand){.kind = QR_DEMAND_TYPES, .bits = QR_TYPE_OBJECT_BIT});
        qr_demand_add(s, &new->done, (struct qr_demand){.kind = QR_DEMAND_REQUIRED, .a = key});
        qr_demand_add(s, &new->done,
                      (struct qr_demand){.kind = QR_DEMAND_PROPERTY_NOT,
                                         .a = key,
                                         .b = json_object_iter_value(it)});
    }
}

/* One keyword of a schema that must not hold: branches of part `at`, each of which breaks it. */
static void not_keyword(struct qr_schema *s, struct alternatives *p, size_t at,
                        const json_t *schema, const char *key, const json_t *value)
{
    static const struct {
        const char *name;
        uint32_t type;
    } simple[] = {
        {"pattern", QR_TYPE_STRING_BIT},          {"minLength", QR_TYPE_STRING_BIT},
        {"maxLength", QR_TYPE_STRING_BIT},        {"minimum", QR_TYPE_NUMBER_BIT},
        {"maximum", QR_TYPE_NUMBER_BIT},          {"multipleOf", QR_TYPE_NUMBER_BIT},
        {"exclusiveMinimum", QR_TYPE_NUMBER_BIT}, {"exclusiveMaximum", QR_TYPE_NUMBER_BIT},
        {"minItems", QR_TYPE_ARRAY_BIT},          {"maxItems", QR_TYPE_ARRAY_BIT},
        {"minProperties", QR_TYPE_OBJECT_BIT},    {"maxProperties", QR_TYPE_OBJECT_BIT}};
    struct alternative *new;

    if (qr_schema_is_annotation(key)) return;
    if (strcmp(key, "type") == 0) {
        not_type(s, p, at, schema, value);
    } else if (strcmp(key, "const") == 0 || strcmp(key, "enum") == 0) {
        bool list = *key == 'e';
        if (!(new = branch(s, p, at))) return;
        for (size_t i = 0; i < (list ? json_array_size(value) : 1); i++)
            qr_demand_add(s, &new->done,
                          (struct qr_demand){.kind = QR_DEMAND_NOT_VALUE,
                                             .a = list ? json_array_get(value, i) : value});
    } else if (strcmp(key, "required") == 0) {
        for (size_t i = 0; i < json_array_size(value); i++) {
            if (!(new = branch(s, p, at))) return;
            qr_demand_add(s, &new->done,
                          (struct qr_demand){.kind = QR_DEMAND_TYPES, .bits = QR_TYPE_OBJECT_BIT});
            qr_demand_add(
                s, &new->done,
                (struct qr_demand){.kind = QR_DEMAND_FORBIDDEN, .a = json_array_get(value, i)});
        }
    } else if (strcmp(key, "properties") == 0) {
        not_properties(s, p, at, value);
    } else if (strcmp(key, "not") == 0) {
        if ((new = branch(s, p, at))) qr_demand_add(s, &new->todo, qr_demand_schema(value));
    } else if (strcmp(key, "$ref") == 0 && json_is_string(value)) {
        const json_t *target = qr_schema_resolve(s, schema, json_string_value(value));
        if (target && (new = branch(s, p, at)))
            qr_demand_add(s, &new->todo, (struct qr_demand){.kind = QR_DEMAND_NOT, .a = target});
    } else if (strcmp(key, "allOf") == 0) {
        bool before = p->all[at].empty;
        branch_list(s, p, at, value, QR_DEMAND_NOT);
        p->all[at].empty = before;
    } else if (strcmp(key, "anyOf") == 0) {
        if (!(new = branch(s, p, at))) return;
        for (size_t i = 0; i < json_array_size(value); i++)
            qr_demand_add(s, &new->todo,
                          (struct qr_demand){.kind = QR_DEMAND_NOT, .a = json_array_get(value, i)});
    } else {
        for (size_t i = 0; i < sizeof simple / sizeof simple[0]; i++) {
            if (strcmp(key, simple[i].name) != 0) continue;
            add_not_keyword(s, p, at, schema, simple[i].name, simple[i].type);
            return;
        }
        qr_schema_refuse(s, schema, key, "%s within not (or if) is not supported", key);
    }
}

static void take_not(struct qr_schema *s, struct alternatives *p, size_t at, const json_t *schema)
{
    if (json_is_false(schema)) return;
    if (json_is_object(schema)) {
        void *it = json_object_iter((json_t *)(uintptr_t)schema);
        for (; it && !s->failed; it = json_object_iter_next((json_t *)(uintptr_t)schema, it))
            not_keyword(s, p, at, schema, json_object_iter_key(it), json_object_iter_value(it));
    }
    p->all[at].empty = true; /* its branches go on */
}

/* ---- all ------------------------------------------------------------------------------------ */

static void take_demand(struct qr_schema *s, struct alternatives *p, size_t at, struct qr_demand d)
{
    switch (d.kind) {
    case QR_DEMAND_SCHEMA: take_schema(s, p, at, d.a); break;
    case QR_DEMAND_NOT: take_not(s, p, at, d.a); break;
    case QR_DEMAND_COMBINATOR: take_combinator(s, p, at, d); break;
    case QR_DEMAND_DEPENDENT: take_dependent(s, p, at, d); break;
    default: qr_demand_add(s, &p->all[at].done, d);
    }
}

/* Combinators last: the more is known, the more branches are seen to be empty. */
static size_t next_demand(const struct qr_demands *todo)
{
    for (size_t i = 0; i < todo->n; i++)
        if (todo->all[i].kind != QR_DEMAND_COMBINATOR && todo->all[i].kind != QR_DEMAND_DEPENDENT &&
            todo->all[i].kind != QR_DEMAND_NOT)
            return i;
    return 0;
}

/* What a demand was taken apart into, from `left_n` on, comes in its place: properties keep the
 * order of the document. */
static void put_first(struct qr_schema *s, struct qr_demands *todo, size_t left_n, size_t at)
{
    size_t new_n = todo->n - left_n;

    if (new_n == 0 || !QR_RESERVE(s->budget, todo, all, todo->n + new_n)) return;
    struct qr_demand *all = todo->all;
    memcpy(all + todo->n, all + left_n, new_n * sizeof *all);
    memmove(all + at + new_n, all + at, (left_n - at) * sizeof *all);
    memcpy(all + at, all + todo->n, new_n * sizeof *all);
}

void qr_schema_expand(struct qr_schema *s, const struct qr_demands *d, struct qr_alternatives *out)
{
    struct alternatives p = {0};

    if (QR_RESERVE(s->budget, &p, all, 1)) {
        p.all[p.n++] = (struct alternative){0};
        copy_demands(s, &p.all[0].todo, d);
    }
    for (size_t i = 0; i < p.n && !s->failed && !s->budget->failed; i++) {
        while (p.all[i].todo.n && !p.all[i].empty && !s->failed && !s->budget->failed) {
            struct qr_demands *todo = &p.all[i].todo;
            size_t at = next_demand(todo);
            struct qr_demand demand = todo->all[at];
            todo->n--;
            memmove(todo->all + at, todo->all + at + 1, (todo->n - at) * sizeof *todo->all);
            if (s->steps_left-- == 0) s->steps_left = 0, s->budget->failed = true;
            size_t left_n = todo->n;
            take_demand(s, &p, i, demand);
            put_first(s, &p.all[i].todo, left_n, at);
        }
        if (p.all[i].empty || s->failed || s->budget->failed) continue;
        bool integer;
        if (qr_schema_types(s, &p.all[i].done, &integer) == 0) continue;
        if (!QR_RESERVE(s->budget, out, all, out->n + 1)) break;
        out->all[out->n++] = p.all[i].done;
        p.all[i].done = (struct qr_demands){0};
    }
    for (size_t i = 0; i < p.n; i++) {
        qr_demands_free(s, &p.all[i].done);
        qr_demands_free(s, &p.all[i].todo);
    }
    qr_array_free(s->budget, p.all);
    s->budget->bytes_left += p.all_capacity * sizeof *p.all;
}

void qr_alternatives_free(struct qr_schema *s, struct qr_alternatives *a)
{
    for (size_t i = 0; i < a->n; i++)
        qr_demands_free(s, &a->all[i]);
    qr_array_free(s->budget, a->all);
    s->budget->bytes_left += a->all_capacity * sizeof *a->all;
    *a = (struct qr_alternatives){0};
}

bool qr_schema_never(struct qr_schema *s, const struct qr_demands *d, uint32_t depth)
{
    struct qr_alternatives all = {0};
    bool loose = s->loose, never = true;

    s->loose = true;
    qr_schema_expand(s, d, &all);
    for (size_t i = 0; i < all.n && never && !s->failed; i++)
        never = qr_schema_is_empty(s, &all.all[i], depth);
    qr_alternatives_free(s, &all);
    s->loose = loose;
    return never && !s->failed && !s->budget->failed;
}

bool qr_schema_is_annotation(const char *keyword)
{
    static const char *const names[] = {"$schema",
                                        "$id",
                                        "id",
                                        "$anchor",
                                        "$dynamicAnchor",
                                        "$comment",
                                        "$defs",
                                        "definitions",
                                        "$vocabulary",
                                        "title",
                                        "description",
                                        "default",
                                        "examples",
                                        "example",
                                        "deprecated",
                                        "readOnly",
                                        "writeOnly",
                                        "contentMediaType",
                                        "contentEncoding",
                                        "contentSchema"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(keyword, names[i]) == 0) return true;
    return false;
}
