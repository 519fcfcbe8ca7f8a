/* SPDX-License-Identifier: MIT */
/* buffer -- bytes that grow.
 *
 * Running out of memory is remembered instead of returned: a buffer that has failed takes nothing
 * more, and whoever sends it looks at `failed` once.
 *
 * Thread: one at a time.   Memory: from the allocator given at init, which must outlive it.
 * Invariant: n <= capacity; data is NULL if and only if capacity is 0. */
#ifndef QR_SERVER_BUFFER_H
#define QR_SERVER_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/quire.h"

struct qr_buffer {
    const struct quire_allocator *memory;
    char *data;
    size_t n;
    size_t capacity;
    bool failed;
};

void qr_buffer_init(struct qr_buffer *buffer, const struct quire_allocator *memory);
void qr_buffer_deinit(struct qr_buffer *buffer);

/* Empty and not failed; keeps its memory up to 64 KiB. */
void qr_buffer_clear(struct qr_buffer *buffer);
/* Room for n more bytes without another allocation.  False: failed. */
bool qr_buffer_reserve(struct qr_buffer *buffer, size_t n);
void qr_buffer_put(struct qr_buffer *buffer, const void *data, size_t n);
void qr_buffer_puts(struct qr_buffer *buffer, const char *text);
__attribute__((format(printf, 2, 3))) void qr_buffer_printf(struct qr_buffer *buffer,
                                                            const char *format, ...);
/* Takes the first n bytes away. */
void qr_buffer_drop(struct qr_buffer *buffer, size_t n);
/* Exchanges the contents of two buffers of one allocator. */
void qr_buffer_swap(struct qr_buffer *a, struct qr_buffer *b);

#endif
