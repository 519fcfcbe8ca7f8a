/* SPDX-License-Identifier: MIT */
/* schema_parts -- what the files of the JSON Schema compiler share.
 *
 * A conjunction is a set of demands that a value must satisfy together.  A demand is a schema as a
 * whole, its keywords alone, or what is left of one that was taken apart:
 *
 *     {allOf: [A, B], type: object}   ->  keywords of itself, A, B
 *     {anyOf: [A, B]}                 ->  two conjunctions: keywords and A; keywords and B
 *     {not: {required: [k]}}          ->  keywords, and k forbidden
 *
 * Each conjunction of keywords, the same set once, is a nonterminal, so that recursion ends and
 * `allOf` needs no merging: the demands on a property are those of all members.
 *
 * Thread: one.   Memory: the budget's, and jansson's for the document. */
#ifndef QR_GRAMMAR_SCHEMA_PARTS_H
#define QR_GRAMMAR_SCHEMA_PARTS_H

#include <jansson.h>
#include <string.h>

#include "runtime/grammar/charset.h"
#include "runtime/grammar/schema.h"

enum qr_demand_kind {
    QR_DEMAND_SCHEMA,       /* a: a schema, whole */
    QR_DEMAND_KEYWORDS,     /* a: a schema, without those keywords that are taken apart */
    QR_DEMAND_NOT,          /* a: a schema that must not hold */
    QR_DEMAND_TYPES,        /* bits: of QR_TYPE_* */
    QR_DEMAND_REQUIRED,     /* a: a string: an object has this property */
    QR_DEMAND_FORBIDDEN,    /* a: a string: an object has not */
    QR_DEMAND_PROPERTY_NOT, /* a: a string, b: a schema that its value must not satisfy */
    QR_DEMAND_NOT_VALUE,    /* a: a value that it is not */
    QR_DEMAND_NOT_KEYWORD,  /* a: a schema, b: the name of its keyword that must not hold */
    /* within an expansion only: */
    QR_DEMAND_COMBINATOR, /* a: a schema, b: its combinator, bits: which */
    QR_DEMAND_DEPENDENT   /* a: a string: if an object has it, then b */
};

struct qr_demand {
    uint32_t kind, bits;
    const json_t *a, *b;
};

enum {
    QR_TYPE_NULL_BIT = 1,
    QR_TYPE_BOOL_BIT = 2,
    QR_TYPE_NUMBER_BIT = 4,
    QR_TYPE_STRING_BIT = 8,
    QR_TYPE_ARRAY_BIT = 16,
    QR_TYPE_OBJECT_BIT = 32,
    QR_TYPES_ALL = 63
};

struct qr_conjunction {
    uint32_t demands, demands_n; /* in qr_schema.demands: sorted, then in their order */
    uint32_t nonterminal;
    uint32_t hash, next;
};

struct qr_schema {
    struct qr_rules *rules;
    struct qr_rx_pool *pool;
    struct qr_budget *budget;
    const json_t *root;
    const json_t *made; /* an object: strings that demands name, each once */
    const struct qr_schema_settings *settings;
    struct quire_error *error;
    bool failed;   /* *error says why */
    bool siblings; /* of $ref count: from draft 2019-09 on */
    struct qr_demand *demands;
    size_t demands_n, demands_capacity;
    struct qr_conjunction *conjunctions;
    size_t conjunctions_n, conjunctions_capacity;
    uint32_t *buckets;
    size_t buckets_n, buckets_capacity;
    size_t done_n; /* conjunctions whose rules are made */
    bool loose;    /* oneOf is read as anyOf: to find out what is empty */
    uint64_t steps_left;
    /* lexemes that many rules have */
    qr_rx space, comma, colon, quote, any_char, any_text;
    qr_rx plain_text; /* any text, written in one way only: where complements are taken */
};

/* Adds the rules of a schema, which lives until then.  Returns the symbol of a value that satisfies
 * it; *status is not QUIRE_OK where it is refused. */
qr_symbol qr_schema_add(struct qr_rules *rules, const json_t *root,
                        const struct qr_schema_settings *settings, int *status,
                        struct quire_error *error);

/* A list of demands on the way. */
struct qr_demands {
    struct qr_demand *all;
    size_t n, all_capacity;
};

void qr_demand_add(struct qr_schema *s, struct qr_demands *d, struct qr_demand demand);
void qr_demands_free(struct qr_schema *s, struct qr_demands *d);
static inline struct qr_demand qr_demand_schema(const json_t *schema)
{
    return (struct qr_demand){.kind = QR_DEMAND_SCHEMA, .a = schema};
}

/* A JSON string of the text; the same one for the same text. */
const json_t *qr_schema_name(struct qr_schema *s, const char *text);
/* The schema whose keywords a demand is about; NULL: the demand is another one, or they do not
 * count next to a reference. */
static inline const json_t *qr_demand_keywords(const struct qr_schema *s, const struct qr_demand *d)
{
    if (d->kind != QR_DEMAND_KEYWORDS) return NULL;
    return s->siblings || !json_is_string(json_object_get(d->a, "$ref")) ? d->a : NULL;
}
/* The value of a keyword in the i-th demand, or NULL. */
static inline const json_t *qr_demand_get(const struct qr_schema *s, const struct qr_demands *d,
                                          size_t i, const char *keyword)
{
    const json_t *schema = qr_demand_keywords(s, &d->all[i]);
    return schema ? json_object_get(schema, keyword) : NULL;
}
/* Whether the i-th demand is that the keyword must not hold; then its schema. */
static inline const json_t *qr_demand_not(const struct qr_demands *d, size_t i, const char *keyword)
{
    if (d->all[i].kind != QR_DEMAND_NOT_KEYWORD) return NULL;
    return strcmp(json_string_value(d->all[i].b), keyword) == 0 ? d->all[i].a : NULL;
}

/* Refuses the keyword of a schema: keeps the first complaint only. */
__attribute__((format(printf, 4, 5))) void qr_schema_refuse(struct qr_schema *s,
                                                            const json_t *schema,
                                                            const char *keyword, const char *format,
                                                            ...);

/* The symbol of the conjunction, whose rules are made later. */
qr_symbol qr_schema_symbol(struct qr_schema *s, const struct qr_demands *d);

/* ---- schema_expand.c: combinators ---- */

/* Alternatives, each a conjunction of demands without SCHEMA and NOT. */
struct qr_alternatives {
    struct qr_demands *all;
    size_t n, all_capacity;
};
/* Takes combinators and references apart.  Alternatives that are seen to be empty are left out. */
void qr_schema_expand(struct qr_schema *s, const struct qr_demands *d, struct qr_alternatives *out);
/* Whether certainly no value satisfies them. */
bool qr_schema_never(struct qr_schema *s, const struct qr_demands *d, uint32_t depth);
/* Whether a keyword demands something that a compiler has to hold. */
bool qr_schema_is_annotation(const char *keyword);
void qr_alternatives_free(struct qr_schema *s, struct qr_alternatives *a);
/* The schema that a reference names; NULL: refused. */
const json_t *qr_schema_resolve(struct qr_schema *s, const json_t *schema, const char *ref);

/* ---- schema_value.c: one conjunction of keywords ---- */

/* Rules for the nonterminal: any value that satisfies the demands. */
void qr_schema_value(struct qr_schema *s, uint32_t nonterminal, const struct qr_demands *d);
/* Whether certainly no value satisfies demands that are taken apart. */
bool qr_schema_is_empty(struct qr_schema *s, const struct qr_demands *d, uint32_t depth);
/* Whether a value satisfies demands. */
bool qr_schema_accepts(struct qr_schema *s, const struct qr_demands *d, const json_t *value,
                       uint32_t depth);
/* The allowed values that an enum or const of the demands lists; false: none of them has one. */
bool qr_schema_listed(struct qr_schema *s, const struct qr_demands *d, const json_t **list,
                      bool *single);
uint32_t qr_schema_types(struct qr_schema *s, const struct qr_demands *d, bool *integer);
/* A value as it is written. */
qr_symbol qr_schema_literal(struct qr_schema *s, const json_t *value);

/* ---- schema_string.c ---- */

/* The inside of a JSON string that satisfies the demands on strings. */
qr_rx qr_schema_text(struct qr_schema *s, const struct qr_demands *d);
qr_rx qr_schema_quoted(struct qr_schema *s, qr_rx text);
/* A text as json.dumps writes it inside its quotes. */
qr_rx qr_schema_literal_text(struct qr_schema *s, const char *text, size_t n);
qr_rx qr_schema_quoted_literal(struct qr_schema *s, const char *text, size_t n);
/* NONE: the format is not supported. */
qr_rx qr_schema_format(struct qr_schema *s, const char *name);
qr_rx qr_schema_pattern(struct qr_schema *s, const json_t *schema, const char *keyword,
                        const char *pattern, size_t n);

/* ---- schema_number.c ---- */

qr_rx qr_schema_number(struct qr_schema *s, const struct qr_demands *d, bool integer);
/* The number as it may be written: 5, 5.0 */
qr_rx qr_schema_number_literal(struct qr_schema *s, const json_t *value);

/* ---- schema_object.c, schema_array.c ---- */

qr_symbol qr_schema_object(struct qr_schema *s, const struct qr_demands *d);
/* Demands on the property of a name. */
void qr_schema_property(struct qr_schema *s, const struct qr_demands *d, const char *name, size_t n,
                        struct qr_demands *out);
bool qr_schema_object_is_empty(struct qr_schema *s, const struct qr_demands *d, uint32_t depth);
qr_symbol qr_schema_array(struct qr_schema *s, const struct qr_demands *d);

/* A count keyword of any of the schemas: the greatest, or the least, of them. */
uint32_t qr_schema_count(struct qr_schema *s, const struct qr_demands *d, const char *keyword,
                         bool greatest, uint32_t without);

#endif
