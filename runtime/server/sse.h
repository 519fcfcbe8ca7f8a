/* SPDX-License-Identifier: MIT */
/* sse -- writes server-sent events, each in an HTTP/1.1 chunk if the answer is chunked.
 *
 * Thread: any.   Memory: the buffer's. */
#ifndef QR_SERVER_SSE_H
#define QR_SERVER_SSE_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/server/buffer.h"

/* Writes "event: NAME\ndata: PAYLOAD\n\n", without the first line if event is NULL.  Neither has
 * a newline. */
void qr_sse_put(struct qr_buffer *out, const char *event, const char *payload, size_t payload_n,
                bool chunked);
/* Writes a comment, ":\n\n": clients skip it, and proxies see that the connection lives. */
void qr_sse_put_comment(struct qr_buffer *out, bool chunked);
/* Writes the event [DONE] if asked and, if chunked, the empty chunk that ends the body. */
void qr_sse_put_end(struct qr_buffer *out, bool done, bool chunked);

#endif
