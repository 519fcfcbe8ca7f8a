/* SPDX-License-Identifier: MIT */
/* value -- a value of a template: the part of Python's data model that templates see.
 *
 * Lists, dicts and strings never change after they are made: transformers runs templates in a
 * sandbox that forbids it.  Only a namespace changes.  So values share parts freely, and no value
 * except a namespace can contain itself.
 *
 *     struct qr_value --> qr_list --> items[n]      list, tuple, range, dict views, generator
 *      kind, n, as    --> qr_dict --> pairs[n]      insertion order; slots[] if more than a few
 *                     --> qr_namespace              the only value that changes
 *                     --> text[n]                   not NUL-terminated
 *
 * Thread: the run's.   Memory: the run's arena, or the caller's text; freed with the run only. */
#ifndef QR_TEMPLATE_VALUE_H
#define QR_TEMPLATE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/quire.h"
#include "runtime/template/run.h"

enum qr_value_kind {
    QR_V_UNSET, /* an argument that was not given; a template never sees it */
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
    QR_V_METHOD, /* a method bound to its object */
    QR_V_GLOBAL, /* range, raise_exception ... */
    QR_V_BUILTIN /* a method that the sandbox hides: calling it is an error */
};

/* How a list was made.  Each flavor prints and compares differently. */
enum qr_list_flavor {
    QR_LIST,
    QR_TUPLE,
    QR_RANGE,
    QR_KEYS,
    QR_VALUES,
    QR_ITEMS,
    QR_GENERATOR /* the result of map and the like: no length, no index, read once */
};

struct qr_value {
    uint8_t kind;   /* enum qr_value_kind */
    uint8_t markup; /* STRING: marked as safe; escape leaves it unchanged */
    size_t n;       /* STRING: bytes of text.  UNDEFINED: bytes of its name */
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
    bool read;                 /* GENERATOR: its items were read */
    int64_t start, stop, step; /* RANGE */
};

struct qr_pair {
    struct qr_value key, value;
};

struct qr_dict {
    struct qr_pair *pairs; /* [n] in insertion order */
    size_t n;
    uint32_t *slots; /* [slots_n] 1 + index of a pair, 0: free.  NULL: few pairs, linear search */
    size_t slots_n;  /* a power of two, at least twice n */
    uint64_t seed[2];
};

struct qr_namespace {
    struct qr_pair *pairs; /* [n] */
    size_t n, capacity;
};

/* ---- construction ---------------------------------------------------------------------------- */

extern const struct qr_value qr_value_none;

struct qr_value qr_value_bool(bool truth);
struct qr_value qr_value_int(int64_t integer);
struct qr_value qr_value_float(double real);
struct qr_value qr_value_text(const char *text, size_t n);
struct qr_value qr_value_text_of(const char *string); /* up to its NUL */
#define QR_VALUE_LITERAL(string) qr_value_text(string, sizeof string - 1)
/* An undefined value; `called` is its name in errors. */
struct qr_value qr_value_undefined(const char *called, size_t n);
struct qr_value qr_value_undefined_of(const char *called); /* up to its NUL */
/* A list of n items; the caller sets them. */
struct qr_value qr_list_make(struct qr_run *run, enum qr_list_flavor flavor, size_t n);
/* Takes over pairs[n].  Of equal keys the last value counts, at the position of the first.  Fails
 * if a key is not hashable. */
struct qr_value qr_dict_make(struct qr_run *run, struct qr_pair *pairs, size_t n);
struct qr_value qr_namespace_make(struct qr_run *run);
void qr_namespace_set(struct qr_run *run, struct qr_namespace *space, struct qr_value name,
                      struct qr_value value);

/* ---- queries --------------------------------------------------------------------------------- */

bool qr_value_is_text(struct qr_value value, const char *string);
bool qr_value_is_number(struct qr_value value); /* bool, int or float */
/* The value of a bool or int; false for other kinds. */
bool qr_value_as_int(struct qr_value value, int64_t *out);
/* Python's name of the type, for messages: "str", "NoneType". */
const char *qr_value_type_name(struct qr_value value);
bool qr_value_truth(struct qr_value value);
/* ==, and the order: -1, 0, 1, or 2 if a NaN is compared.  Values without an order fail; `op` is
 * for the error. */
bool qr_value_equal(struct qr_run *run, struct qr_value a, struct qr_value b);
int qr_value_compare(struct qr_run *run, const char *op, struct qr_value a, struct qr_value b);
bool qr_value_contains(struct qr_run *run, struct qr_value container, struct qr_value item);
/* NULL if the key is missing. */
const struct qr_value *qr_dict_find(struct qr_run *run, const struct qr_dict *dict,
                                    struct qr_value key);
const struct qr_value *qr_dict_find_text(struct qr_run *run, const struct qr_dict *dict,
                                         const char *key);
const struct qr_value *qr_namespace_find(const struct qr_namespace *space, struct qr_value name);
/* (key, value) tuples. */
struct qr_value qr_dict_items(struct qr_run *run, const struct qr_dict *dict,
                              enum qr_list_flavor flavor);
/* The items that a for loop visits: a string's characters, a dict's keys.  Fails if the value is
 * not iterable. */
struct qr_list *qr_value_iterate(struct qr_run *run, struct qr_value value);
/* len(); -1 if the value has no length. */
int64_t qr_value_length(struct qr_run *run, struct qr_value value);

/* The concatenation of two strings. */
struct qr_value qr_value_join(struct qr_run *run, struct qr_value a, struct qr_value b);

#endif
