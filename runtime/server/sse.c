/* SPDX-License-Identifier: MIT */
#include "runtime/server/sse.h"

#include <assert.h>
#include <string.h>

void qr_sse_put(struct qr_buffer *out, const char *payload, size_t payload_n, bool chunked)
{
    assert(!memchr(payload, '\n', payload_n));
    const size_t frame_n = payload_n + 6 + 2; /* "data: " and the empty line */
    if (chunked) qr_buffer_printf(out, "%zx\r\n", frame_n);
    qr_buffer_puts(out, "data: ");
    qr_buffer_put(out, payload, payload_n);
    qr_buffer_puts(out, "\n\n");
    if (chunked) qr_buffer_puts(out, "\r\n");
}

void qr_sse_put_end(struct qr_buffer *out, bool chunked)
{
    qr_sse_put(out, "[DONE]", 6, chunked);
    if (chunked) qr_buffer_puts(out, "0\r\n\r\n");
}
