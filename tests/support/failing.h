/* SPDX-License-Identifier: MIT */
/* failing -- an allocator that fails at its n-th allocation and counts unfreed memory.
 *
 * Thread: any. */
#ifndef QR_TESTS_SUPPORT_FAILING_H
#define QR_TESTS_SUPPORT_FAILING_H

#include <stddef.h>

struct failing {
    _Atomic long left; /* allocations that succeed before all fail; negative: none fails */
    _Atomic long held; /* allocated and not freed */
};

/* The resize function of a struct quire_allocator whose context is a struct failing. */
void *failing_resize(void *context, void *memory, size_t bytes);

#endif
