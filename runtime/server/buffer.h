/* SPDX-License-Identifier: MIT */
/* buffer -- bytes that grow.
 *
 * Running out of memory sets `failed` instead of being returned.  A failed buffer ignores what is
 * put into it, so a caller that writes an answer checks `failed` once, at the end.
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

/* Empties the buffer and resets `failed`.  Memory above 64 KiB is freed. */
void qr_buffer_clear(struct qr_buffer *buffer);
/* Makes room for n more bytes.  False: out of memory, and the buffer has failed. */
bool qr_buffer_reserve(struct qr_buffer *buffer, size_t n);
void qr_buffer_put(struct qr_buffer *buffer, const void *data, size_t n);
void qr_buffer_puts(struct qr_buffer *buffer, const char *text);
__attribute__((format(printf, 2, 3))) void qr_buffer_printf(struct qr_buffer *buffer,
                                                            const char *format, ...);
/* Removes the first n bytes. */
void qr_buffer_drop(struct qr_buffer *buffer, size_t n);
/* Exchanges the contents of two buffers, which must have the same allocator. */
void qr_buffer_swap(struct qr_buffer *a, struct qr_buffer *b);

#endif
