/* SPDX-License-Identifier: MIT */
#include "cache/siblings.h"

#include <assert.h>

#define NONE QR_SIBLING_NONE

static uint32_t height(const struct qr_sibling *all, uint32_t index)
{
    return index == NONE ? 0 : all[index].height;
}

static bool any(const struct qr_sibling *all, uint32_t index)
{
    return index != NONE && all[index].any;
}

/* Recomputes height and any from the children. */
static void measure(struct qr_sibling *all, uint32_t index)
{
    uint32_t left = height(all, all[index].left), right = height(all, all[index].right);

    all[index].height = (uint16_t)(1 + (left > right ? left : right));
    all[index].any = all[index].marked || any(all, all[index].left) || any(all, all[index].right);
}

/* Links `now`, which may be NONE, in the place of `before` below `up`, or at the top. */
static void replace(struct qr_sibling *all, uint32_t *top, uint32_t up, uint32_t before,
                    uint32_t now)
{
    if (up == NONE)
        *top = now;
    else if (all[up].left == before)
        all[up].left = now;
    else
        all[up].right = now;
    if (now != NONE) all[now].up = up;
}

static void put_left(struct qr_sibling *all, uint32_t index, uint32_t child)
{
    all[index].left = child;
    if (child != NONE) all[child].up = index;
}

static void put_right(struct qr_sibling *all, uint32_t index, uint32_t child)
{
    all[index].right = child;
    if (child != NONE) all[child].up = index;
}

/* Rotations.  Each returns the child that is now above `index`. */
static uint32_t rotate_left(struct qr_sibling *all, uint32_t *top, uint32_t index)
{
    uint32_t child = all[index].right;

    replace(all, top, all[index].up, index, child);
    put_right(all, index, all[child].left);
    put_left(all, child, index);
    measure(all, index);
    measure(all, child);
    return child;
}

static uint32_t rotate_right(struct qr_sibling *all, uint32_t *top, uint32_t index)
{
    uint32_t child = all[index].left;

    replace(all, top, all[index].up, index, child);
    put_left(all, index, all[child].right);
    put_right(all, child, index);
    measure(all, index);
    measure(all, child);
    return child;
}

/* Restores heights and balance from `index` up, after an insertion or removal below it. */
static void balance(struct qr_sibling *all, uint32_t *top, uint32_t index)
{
    for (; index != NONE; index = all[index].up) {
        uint32_t left = all[index].left, right = all[index].right;

        if (height(all, left) > height(all, right) + 1) {
            if (height(all, all[left].left) < height(all, all[left].right))
                rotate_left(all, top, left);
            index = rotate_right(all, top, index);
        } else if (height(all, right) > height(all, left) + 1) {
            if (height(all, all[right].right) < height(all, all[right].left))
                rotate_right(all, top, right);
            index = rotate_left(all, top, index);
        } else {
            measure(all, index);
        }
    }
}

void qr_sibling_insert(struct qr_sibling *all, uint32_t *top, uint32_t index, uint32_t at,
                       bool left, bool marked)
{
    all[index] = (struct qr_sibling){
        .left = NONE, .right = NONE, .up = at, .height = 1, .marked = marked, .any = marked};
    if (at == NONE) {
        assert(*top == NONE);
        *top = index;
        return;
    }
    assert((left ? all[at].left : all[at].right) == NONE);
    if (left)
        all[at].left = index;
    else
        all[at].right = index;
    balance(all, top, at);
}

void qr_sibling_remove(struct qr_sibling *all, uint32_t *top, uint32_t index)
{
    const struct qr_sibling gone = all[index];
    uint32_t next, from;

    if (gone.left == NONE || gone.right == NONE) {
        replace(all, top, gone.up, index, gone.left == NONE ? gone.right : gone.left);
        balance(all, top, gone.up);
        return;
    }
    /* The next in order has no left child, so it can be unlinked and take this place. */
    for (next = gone.right; all[next].left != NONE;)
        next = all[next].left;
    from = next;
    if (next != gone.right) {
        from = all[next].up;
        put_left(all, from, all[next].right);
        put_right(all, next, gone.right);
    }
    put_left(all, next, gone.left);
    replace(all, top, gone.up, index, next);
    balance(all, top, from);
}

void qr_sibling_mark(struct qr_sibling *all, uint32_t index, bool marked)
{
    all[index].marked = marked;
    for (; index != NONE; index = all[index].up)
        measure(all, index);
}

uint32_t qr_sibling_first_marked(const struct qr_sibling *all, uint32_t index)
{
    if (!any(all, index)) return NONE;
    for (;;)
        if (any(all, all[index].left))
            index = all[index].left;
        else if (all[index].marked)
            return index;
        else
            index = all[index].right;
}

uint32_t qr_sibling_last_marked(const struct qr_sibling *all, uint32_t index)
{
    if (!any(all, index)) return NONE;
    for (;;)
        if (any(all, all[index].right))
            index = all[index].right;
        else if (all[index].marked)
            return index;
        else
            index = all[index].left;
}

uint32_t qr_sibling_next(const struct qr_sibling *all, uint32_t index)
{
    uint32_t below = index;

    if (all[index].right != NONE) {
        for (index = all[index].right; all[index].left != NONE;)
            index = all[index].left;
        return index;
    }
    for (index = all[index].up; index != NONE && all[index].right == below;) {
        below = index;
        index = all[index].up;
    }
    return index;
}

void qr_sibling_check(const struct qr_sibling *all, uint32_t top, uint32_t index)
{
    uint32_t left = height(all, all[index].left), right = height(all, all[index].right);
    uint32_t depth = 0;

    assert(all[index].height == 1 + (left > right ? left : right));
    assert(left <= right + 1 && right <= left + 1);
    assert(all[index].any ==
           (all[index].marked || any(all, all[index].left) || any(all, all[index].right)));
    for (; all[index].up != NONE; index = all[index].up) {
        assert(all[all[index].up].left == index || all[all[index].up].right == index);
        assert(depth++ < 64);
    }
    assert(index == top);
}
