/* SPDX-License-Identifier: MIT */
/* sse -- reads a text/event-stream, in pieces of any size, into events.
 *
 * Lines end in LF, CR LF or CR.  The data lines of an event are joined by LF.  Comments and the
 * fields event, id and retry are ignored.  Source: WHATWG HTML, "Server-sent events".
 *
 * Thread: one.   Memory: malloc, bounded by QR_SSE_EVENT_MAX. */
#ifndef QR_CLIENT_SSE_H
#define QR_CLIENT_SSE_H

#include <stdbool.h>
#include <stddef.h>

#define QR_SSE_EVENT_MAX (16u << 20) /* one event: 16 MiB is a whole context with logprobs */

struct qr_sse {
    void (*event)(void *user, const char *data, size_t data_n); /* a NUL follows data */
    void *user;
    char *line; /* read so far */
    size_t line_n, line_room;
    char *data; /* of the current event, read so far */
    size_t data_n, data_room;
    bool has_data, after_cr, bad;
};

void qr_sse_init(struct qr_sse *s, void (*event)(void *user, const char *data, size_t data_n),
                 void *user);
void qr_sse_deinit(struct qr_sse *s);
/* False: an event is too long or memory is out.  The rest of the stream cannot be read. */
bool qr_sse_feed(struct qr_sse *s, const char *bytes, size_t bytes_n);

#endif
