/* SPDX-License-Identifier: MIT */
/* regex -- regular expressions over bytes as shared nodes, and their derivatives.
 *
 * An expression is an id.  Equal expressions have equal ids: nodes are hash-consed, and
 * alternatives are kept sorted and without duplicates.  The derivative of an expression by a byte
 * is the expression of what may follow that byte, so a derivative is a state of the automaton and
 * none has to be built beforehand.  Intersection and complement are as cheap as the others.
 * regex.c makes expressions, regex_derive.c derives and searches them.  J. Brzozowski, "Derivatives
 * of Regular Expressions", 1964; S. Owens, J. Reppy, A. Turon, "Regular-expression derivatives
 * re-examined", 2009.
 *
 *     SET(bytes)   CAT(a, b)   OR(a, b)   AND(a, b)   NOT(a)   REPEAT(a, min, max)
 *     MULTIPLE(divisor, remainder, scale): digits of a number that is a multiple of divisor
 *
 * Thread: one at a time.   Memory: the pool's arrays, within its budget.
 * Invariant: no node contains QR_RX_NONE but as the whole of a complement. */
#ifndef QR_GRAMMAR_REGEX_H
#define QR_GRAMMAR_REGEX_H

#include "runtime/grammar/array.h"

typedef uint32_t qr_rx;

#define QR_RX_NONE  0u /* matches nothing */
#define QR_RX_EMPTY 1u /* matches the empty text */
#define QR_RX_ALL   2u /* matches every text: the complement of NONE */

#define QR_RX_UNBOUNDED UINT32_MAX

/* A set of bytes. */
struct qr_byte_set {
    uint64_t bits[4];
};

static inline void qr_byte_set_add(struct qr_byte_set *s, uint8_t first, uint8_t last)
{
    for (unsigned b = first; b <= last; b++)
        s->bits[b >> 6] |= UINT64_C(1) << (b & 63);
}

static inline bool qr_byte_set_has(const struct qr_byte_set *s, uint8_t b)
{
    return s->bits[b >> 6] >> (b & 63) & 1;
}

/* A range of code points, both ends in it. */
struct qr_code_range {
    uint32_t first, last;
};

struct qr_rx_node;
struct qr_rx_move;

struct qr_rx_pool {
    struct qr_budget *budget;
    struct qr_rx_node *nodes;
    size_t nodes_n, nodes_capacity;
    struct qr_byte_set *sets;
    size_t sets_n, sets_capacity;
    uint32_t *buckets; /* [buckets_n], a power of two */
    size_t buckets_n, buckets_capacity;
    struct qr_rx_move *moves; /* derivatives that are known: a hash table */
    size_t moves_n, moves_size, moves_capacity;
    uint8_t class_of[256], byte_of[256]; /* of search, for the first known_sets_n sets */
    uint32_t classes_n;
    size_t known_sets_n;
    bool multiples, known_multiples; /* there are MULTIPLE nodes */
    uint64_t steps_left; /* nodes visited by derivatives and searches; 0: budget->failed */
};

bool qr_rx_pool_init(struct qr_rx_pool *pool, struct qr_budget *budget, uint64_t steps_max);
void qr_rx_pool_deinit(struct qr_rx_pool *pool);

qr_rx qr_rx_set(struct qr_rx_pool *pool, const struct qr_byte_set *set);
qr_rx qr_rx_byte(struct qr_rx_pool *pool, uint8_t byte);
qr_rx qr_rx_bytes(struct qr_rx_pool *pool, const char *bytes, size_t n);
qr_rx qr_rx_text(struct qr_rx_pool *pool, const char *text); /* NUL-terminated */
qr_rx qr_rx_cat(struct qr_rx_pool *pool, qr_rx a, qr_rx b);
qr_rx qr_rx_or(struct qr_rx_pool *pool, qr_rx a, qr_rx b);
qr_rx qr_rx_and(struct qr_rx_pool *pool, qr_rx a, qr_rx b);
qr_rx qr_rx_not(struct qr_rx_pool *pool, qr_rx a);
/* a, min to max times. */
qr_rx qr_rx_repeat(struct qr_rx_pool *pool, qr_rx a, uint32_t min, uint32_t max);
qr_rx qr_rx_optional(struct qr_rx_pool *pool, qr_rx a);
/* Alternatives of n expressions; sorts them. */
qr_rx qr_rx_any_of(struct qr_rx_pool *pool, qr_rx *all, size_t n);
/* UTF-8 of any code point in the ranges; surrogates are left out. */
qr_rx qr_rx_chars(struct qr_rx_pool *pool, const struct qr_code_range *ranges, size_t n);
/* A decimal number without sign whose value times 10^scale is a multiple of divisor: digits,
 * and with scale > 0 optionally a point and at most scale digits that count, then zeros.
 * divisor is 1 to 2^32. */
qr_rx qr_rx_multiple(struct qr_rx_pool *pool, uint64_t divisor, uint32_t scale);

bool qr_rx_nullable(const struct qr_rx_pool *pool, qr_rx a);
qr_rx qr_rx_derive(struct qr_rx_pool *pool, qr_rx a, uint8_t byte);
/* Whether the expression matches no text.  Searches derivatives where complements or
 * intersections make that necessary, within the pool's steps. */
bool qr_rx_is_empty(struct qr_rx_pool *pool, qr_rx a);
/* The texts of a that end in `byte`, without it.  a has no AND, NOT or MULTIPLE. */
qr_rx qr_rx_before(struct qr_rx_pool *pool, qr_rx a, uint8_t byte);
/* The texts of a that have none of two bytes.  As above. */
qr_rx qr_rx_without(struct qr_rx_pool *pool, qr_rx a, uint8_t first, uint8_t second);
bool qr_rx_matches(struct qr_rx_pool *pool, qr_rx a, const char *text, size_t n);

/* How many of `chars` (an expression for one character) in a row may come next, whichever they are:
 * a lower bound, QR_RX_UNBOUNDED for any number.  Read off the expression's shape. */
uint32_t qr_rx_reach(struct qr_rx_pool *pool, qr_rx a, qr_rx chars);

/* class_of[b] is equal for bytes that no set of the pool tells apart.  Returns the number of
 * classes, at most 256. */
uint32_t qr_rx_classes(const struct qr_rx_pool *pool, uint8_t class_of[256]);

#endif
