/* SPDX-License-Identifier: MIT */
/* value -- what a template computes with: Python's values, as far as templates see them.
 *
 * Lists, dicts and strings never change once made (transformers runs templates in a sandbox that
 * forbids it); only a namespace does.  So values may share parts, and no value but a namespace can
 * hold itself.
 *
 * Thread: the run's.   Memory: the run's arena, or whoever made the text or list; never freed one
 * by one. */
#ifndef QR_TEMPLATE_VALUE_H
#define QR_TEMPLATE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/quire.h"
#include "runtime/template/run.h"

enum qr_value_kind {
    QR_V_UNSET, /* an argument that was not given; never seen by a template */
    QR_V_UNDEFINED,
    QR_V_NONE,
    QR_V_BOOL,
    QR_V_INT,
    QR_V_FLOAT,
    QR_V_STRING,
    QR_V_LIST,
    QR_V_DICT,
    QR_V_NAMESPACE,
    QR_V_LOOP,
    QR_V_MACRO,
    QR_V_METHOD, /* a value's own function, with the value */
    QR_V_GLOBAL, /* range, raise_exception ... */
    QR_V_BUILTIN /* what the sandbox hides: calling it is an error */
};

/* How a list was made: they print, compare and behave each their own way. */
enum qr_list_flavor {
    QR_LIST,
    QR_TUPLE,
    QR_RANGE,
    QR_KEYS,
    QR_VALUES,
    QR_ITEMS,
    QR_GENERATOR /* what filters like map give: no length, no items by number, gone once read */
};

struct qr_value {
    uint8_t kind;   /* enum qr_value_kind */
    uint8_t markup; /* STRING: safe, so that escape leaves it alone */
    size_t n;       /* STRING: bytes.  UNDEFINED: bytes of what it was called */
    union {
        bool truth;
        int64_t integer;
        double real;
        const char *text; /* [n] */
        struct qr_list *list;
        struct qr_dict *dict;
        struct qr_namespace *space;
        struct qr_template_loop *loop;
        const struct qr_macro *macro;
        const struct qr_method *method;
        const struct qr_function *function;
    } as;
};

struct qr_list {
    struct qr_value *items; /* [n] */
    size_t n;
    uint8_t flavor;            /* enum qr_list_flavor */
    bool read;                 /* GENERATOR: it has been */
    int64_t start, stop, step; /* RANGE */
};

struct qr_pair {
    struct qr_value key, value;
};

struct qr_dict {
    struct qr_pair *pairs; /* [n] in the order in which they came */
    size_t n;
    uint32_t *slots; /* [slots_n] 1 + a pair's number, 0: free.  NULL: few pairs, looked through */
    size_t slots_n;  /* a power of two, at least twice n */
    uint64_t seed[2];
};

struct qr_namespace {
    struct qr_pair *pairs; /* [n] */
    size_t n, capacity;
};

/* ---- making ---------------------------------------------------------------------------------- */

extern const struct qr_value qr_value_none;

struct qr_value qr_value_bool(bool truth);
struct qr_value qr_value_int(int64_t integer);
struct qr_value qr_value_float(double real);
struct qr_value qr_value_text(const char *text, size_t n);
struct qr_value qr_value_text_of(const char *string); /* up to its NUL */
#define QR_VALUE_LITERAL(string) qr_value_text(string, sizeof string - 1)
/* An undefined value; `called` is what the error about it will name. */
struct qr_value qr_value_undefined(const char *called, size_t n);
struct qr_value qr_value_undefined_of(const char *called); /* up to its NUL */
/* n items, not yet set. */
struct qr_value qr_list_make(struct qr_run *run, enum qr_list_flavor flavor, size_t n);
/* From n pairs, of which the last of equal keys counts, in the place of the first; *pairs are its
 * own from then on. */
struct qr_value qr_dict_make(struct qr_run *run, struct qr_pair *pairs, size_t n);
struct qr_value qr_namespace_make(struct qr_run *run);
void qr_namespace_set(struct qr_run *run, struct qr_namespace *space, struct qr_value name,
                      struct qr_value value);

/* ---- asking ---------------------------------------------------------------------------------- */

bool qr_value_is_text(struct qr_value value, const char *string);
bool qr_value_is_number(struct qr_value value); /* bool, int or float */
/* bool or int. */
bool qr_value_as_int(struct qr_value value, int64_t *out);
/* Python's name of the type, for messages: "str", "NoneType". */
const char *qr_value_type_name(struct qr_value value);
bool qr_value_truth(struct qr_value value);
/* ==, and the order of <: -1, 0, 1.  Values that have no order are an error. */
bool qr_value_equal(struct qr_run *run, struct qr_value a, struct qr_value b);
int qr_value_compare(struct qr_run *run, const char *op, struct qr_value a, struct qr_value b);
bool qr_value_contains(struct qr_run *run, struct qr_value container, struct qr_value item);
/* NULL: no such key. */
const struct qr_value *qr_dict_find(struct qr_run *run, const struct qr_dict *dict,
                                    struct qr_value key);
const struct qr_value *qr_dict_find_text(struct qr_run *run, const struct qr_dict *dict,
                                         const char *key);
const struct qr_value *qr_namespace_find(const struct qr_namespace *space, struct qr_value name);
/* What a for loop would go through, as a list (a text's characters, a dict's keys).  An error where
 * the value is nothing to go through. */
struct qr_list *qr_value_iterate(struct qr_run *run, struct qr_value value);
/* len().  -1: it has none. */
int64_t qr_value_length(struct qr_run *run, struct qr_value value);

/* ---- text ------------------------------------------------------------------------------------ */

/* a + b as texts. */
struct qr_value qr_value_join(struct qr_run *run, struct qr_value a, struct qr_value b);

#endif
