/* SPDX-License-Identifier: MIT */
/* sse -- writes server-sent events, each in an HTTP/1.1 chunk if the answer is chunked.
 *
 * Thread: any.   Memory: the buffer's. */
#ifndef QR_SERVER_SSE_H
#define QR_SERVER_SSE_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/server/buffer.h"

/* Writes "data: PAYLOAD\n\n".  The payload has no newline. */
void qr_sse_put(struct qr_buffer *out, const char *payload, size_t payload_n, bool chunked);
/* Writes the event [DONE] and, if chunked, the empty chunk that ends the body. */
void qr_sse_put_end(struct qr_buffer *out, bool chunked);

#endif
