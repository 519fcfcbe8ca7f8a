/* SPDX-License-Identifier: MIT */
/* siblings -- a balanced (AVL) tree by index: keeps an order that its user knows.
 *
 * The user walks down from the top by left (before) and right (after), and says where the new one
 * goes.  Heights on both sides of a sibling differ by at most one, so n of them are at most
 * 1.45 log2(n) deep, in whatever order they came.  G. M. Adelson-Velsky, E. M. Landis, 1962.
 * Some may be marked: the nearest of these to a place is found in O(log n), however far it is.
 *
 * Thread: engine only.   Memory: the user's array, indexed as the siblings are. */
#ifndef QR_CACHE_SIBLINGS_H
#define QR_CACHE_SIBLINGS_H

#include <stdbool.h>
#include <stdint.h>

#define QR_SIBLING_NONE UINT32_MAX

struct qr_sibling {
    uint32_t left, right, up;
    uint16_t height; /* of the part below and with it: 1 without children */
    bool marked;     /* by the user */
    bool any;        /* it, or one below it, is marked */
};

/* Puts `index` left or right of `at`, where there is none yet; at QR_SIBLING_NONE: it is the only
 * one.  *top is the tree's. */
void qr_sibling_insert(struct qr_sibling *all, uint32_t *top, uint32_t index, uint32_t at,
                       bool left, bool marked);
void qr_sibling_remove(struct qr_sibling *all, uint32_t *top, uint32_t index);

/* O(log n), like the others. */
void qr_sibling_mark(struct qr_sibling *all, uint32_t index, bool marked);
/* The first, or last, that is marked at or below `index`; QR_SIBLING_NONE: there is none. */
uint32_t qr_sibling_first_marked(const struct qr_sibling *all, uint32_t index);
uint32_t qr_sibling_last_marked(const struct qr_sibling *all, uint32_t index);

/* The next in order; QR_SIBLING_NONE: it is the last. */
uint32_t qr_sibling_next(const struct qr_sibling *all, uint32_t index);

/* Asserts that `index` is in the tree of `top`, its links go both ways and its sides are balanced.
 * O(log n). */
void qr_sibling_check(const struct qr_sibling *all, uint32_t top, uint32_t index);

#endif
