/* SPDX-License-Identifier: MIT */
#include "support/failing.h"

#include <stdatomic.h>
#include <stdlib.h>

void *failing_resize(void *context, void *memory, size_t bytes)
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
