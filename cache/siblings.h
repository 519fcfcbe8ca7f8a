/* SPDX-License-Identifier: MIT */
/* siblings -- a balanced (AVL) tree over the indices of an array, in an order that the user keeps.
 *
 *              7
 *            /   \          left: before, right: after.  The tree has no keys: the user compares
 *          2       9        its own data at each index, walks down from the top, and names the
 *           \               place of a new sibling.
 *            4
 *
 * The heights on both sides of a sibling differ by at most one, so n siblings are at most
 * 1.45 log2(n) deep, in any order of insertion.  G. M. Adelson-Velsky, E. M. Landis, 1962.
 * Siblings may be marked.  The nearest marked sibling before or after a place is found in O(log n).
 *
 * Thread: engine only.   Memory: the user's array.
 * Invariant: heights and links are consistent; `any` is true if and only if the sibling or one
 * below it is marked. */
#ifndef QR_CACHE_SIBLINGS_H
#define QR_CACHE_SIBLINGS_H

#include <stdbool.h>
#include <stdint.h>

#define QR_SIBLING_NONE UINT32_MAX

struct qr_sibling {
    uint32_t left, right, up;
    uint16_t height; /* of its subtree; 1: no children */
    bool marked;     /* by the user */
    bool any;        /* a sibling in its subtree, itself included, is marked */
};

/* Inserts `index` as the left or right child of `at`, which has no such child yet.  at is
 * QR_SIBLING_NONE if and only if the tree is empty.  *top: the tree's root. */
void qr_sibling_insert(struct qr_sibling *all, uint32_t *top, uint32_t index, uint32_t at,
                       bool left, bool marked);
void qr_sibling_remove(struct qr_sibling *all, uint32_t *top, uint32_t index);

/* O(log n), as insert and remove. */
void qr_sibling_mark(struct qr_sibling *all, uint32_t index, bool marked);
/* The first, or last, marked sibling in the subtree of `index`.  QR_SIBLING_NONE: no marked one. */
uint32_t qr_sibling_first_marked(const struct qr_sibling *all, uint32_t index);
uint32_t qr_sibling_last_marked(const struct qr_sibling *all, uint32_t index);

/* The next sibling in order.  QR_SIBLING_NONE: `index` is the last. */
uint32_t qr_sibling_next(const struct qr_sibling *all, uint32_t index);

/* Asserts that `index` is in the tree of `top` and that the invariant holds for it.  O(log n). */
void qr_sibling_check(const struct qr_sibling *all, uint32_t top, uint32_t index);

#endif
