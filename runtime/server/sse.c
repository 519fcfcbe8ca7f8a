/* SPDX-License-Identifier: MIT */
#include "runtime/server/sse.h"

#include <assert.h>
#include <string.h>

void qr_sse_put(struct qr_buffer *out, const char *event, const char *payload, size_t payload_n,
                bool chunked)
{
    static const char name[] = "event: ", data[] = "data: ";
    assert(!memchr(payload, '\n', payload_n));
    size_t frame_n = sizeof data - 1 + payload_n + 2; /* and the empty line */
    if (event) frame_n += sizeof name - 1 + strlen(event) + 1;
    if (chunked) qr_buffer_printf(out, "%zx\r\n", frame_n);
    if (event) qr_buffer_printf(out, "%s%s\n", name, event);
    qr_buffer_puts(out, data);
    qr_buffer_put(out, payload, payload_n);
    qr_buffer_puts(out, "\n\n");
    if (chunked) qr_buffer_puts(out, "\r\n");
}

void qr_sse_put_comment(struct qr_buffer *out, bool chunked)
{
    qr_buffer_puts(out, chunked ? "3\r\n:\n\n\r\n" : ":\n\n");
}

void qr_sse_put_end(struct qr_buffer *out, bool done, bool chunked)
{
    if (done) qr_sse_put(out, NULL, "[DONE]", 6, chunked);
    if (chunked) qr_buffer_puts(out, "0\r\n\r\n");
}
