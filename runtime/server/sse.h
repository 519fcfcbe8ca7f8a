/* SPDX-License-Identifier: MIT */
/* sse -- frames of a streamed answer: server-sent events, in HTTP chunks where the client knows
 * them.
 *
 * Thread: any.   Memory: the buffer's. */
#ifndef QR_SERVER_SSE_H
#define QR_SERVER_SSE_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/server/buffer.h"

/* "data: ...\n\n".  The payload is one line: JSON, or [DONE]. */
void qr_sse_put(struct qr_buffer *out, const char *payload, size_t payload_n, bool chunked);
/* The stream's last frame: data: [DONE], and the chunk that ends the body. */
void qr_sse_put_end(struct qr_buffer *out, bool chunked);

#endif
