/* SPDX-License-Identifier: MIT */
#include "runtime/server/buffer.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/memory.h"

#define KEEP_BYTES  (64u * 1024u)
#define FIRST_BYTES 128u

void qr_buffer_init(struct qr_buffer *buffer, const struct quire_allocator *memory)
{
    memset(buffer, 0, sizeof *buffer);
    buffer->memory = memory;
}

void qr_buffer_deinit(struct qr_buffer *buffer)
{
    qr_free(buffer->memory, buffer->data);
    qr_buffer_init(buffer, buffer->memory);
}

void qr_buffer_clear(struct qr_buffer *buffer)
{
    if (buffer->capacity > KEEP_BYTES) qr_buffer_deinit(buffer);
    buffer->n = 0;
    buffer->failed = false;
}

bool qr_buffer_reserve(struct qr_buffer *buffer, size_t n)
{
    if (buffer->failed) return false;
    if (n <= buffer->capacity - buffer->n) return true;

    size_t want, doubled;
    if (!qr_add_size(buffer->n, n, &want) || !qr_mul(buffer->capacity, 2, &doubled)) {
        buffer->failed = true;
        return false;
    }
    if (want < doubled) want = doubled;
    if (want < FIRST_BYTES) want = FIRST_BYTES;
    char *grown = qr_realloc(buffer->memory, buffer->data, want);
    if (!grown) {
        buffer->failed = true;
        return false;
    }
    buffer->data = grown;
    buffer->capacity = want;
    return true;
}

void qr_buffer_put(struct qr_buffer *buffer, const void *data, size_t n)
{
    if (n == 0 || !qr_buffer_reserve(buffer, n)) return;
    memcpy(buffer->data + buffer->n, data, n);
    buffer->n += n;
}

void qr_buffer_puts(struct qr_buffer *buffer, const char *text)
{
    qr_buffer_put(buffer, text, strlen(text));
}

void qr_buffer_printf(struct qr_buffer *buffer, const char *format, ...)
{
    char small[256];
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    if (n < 0) {
        buffer->failed = true;
    } else if ((size_t)n < sizeof small) {
        qr_buffer_put(buffer, small, (size_t)n);
    } else if (qr_buffer_reserve(buffer, (size_t)n + 1)) {
        (void)vsnprintf(buffer->data + buffer->n, (size_t)n + 1, format, again);
        buffer->n += (size_t)n;
    }
    va_end(again);
}

void qr_buffer_drop(struct qr_buffer *buffer, size_t n)
{
    assert(n <= buffer->n);
    buffer->n -= n;
    if (buffer->n) memmove(buffer->data, buffer->data + n, buffer->n);
}

void qr_buffer_swap(struct qr_buffer *a, struct qr_buffer *b)
{
    assert(a->memory == b->memory);
    struct qr_buffer kept = *a;
    *a = *b;
    *b = kept;
}
