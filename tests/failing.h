/* SPDX-License-Identifier: MIT */
/* failing -- an allocator that fails at its n-th allocation and counts what is not given back.
 *
 * Thread: any. */
#ifndef QR_TESTS_FAILING_H
#define QR_TESTS_FAILING_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

struct failing {
    _Atomic long left; /* allocations until one fails, and all after it; negative: never */
    _Atomic long held; /* allocated and not freed */
};

static inline void *failing_resize(void *context, void *memory, size_t bytes)
{
    struct failing *f = context;

    if (!bytes) {
        if (memory) atomic_fetch_sub(&f->held, 1);
        free(memory);
        return NULL;
    }
    if (atomic_load(&f->left) >= 0 && atomic_fetch_sub(&f->left, 1) <= 0) {
        atomic_store(&f->left, 0);
        return NULL;
    }
    if (!memory) atomic_fetch_add(&f->held, 1);
    return realloc(memory, bytes);
}

#endif
