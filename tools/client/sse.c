/* SPDX-License-Identifier: MIT */
#include "tools/client/sse.h"

#include <stdlib.h>

#include "tools/client/bytes.h"

void qr_sse_init(struct qr_sse *s, void (*event)(void *user, const char *data, size_t data_n),
                 void *user)
{
    *s = (struct qr_sse){.event = event, .user = user};
}

void qr_sse_deinit(struct qr_sse *s)
{
    free(s->line);
    free(s->data);
    *s = (struct qr_sse){0};
}

static bool append(char **buffer, size_t *n, size_t *room, const char *bytes, size_t bytes_n)
{
    if (bytes_n > QR_SSE_EVENT_MAX - *n) return false;
    if (*n + bytes_n + 1 > *room) {
        size_t wanted = (*n + bytes_n + 1) * 2;
        char *grown = realloc(*buffer, wanted);
        if (!grown) return false;
        *buffer = grown;
        *room = wanted;
    }
    if (bytes_n) memcpy(*buffer + *n, bytes, bytes_n);
    *n += bytes_n;
    (*buffer)[*n] = 0;
    return true;
}

static bool end_line(struct qr_sse *s)
{
    const char *line = s->line_n ? s->line : "";
    size_t n = s->line_n;
    s->line_n = 0;
    if (n == 0) {
        if (s->has_data) s->event(s->user, s->data, s->data_n);
        s->has_data = false;
        s->data_n = 0;
        return true;
    }
    static const char mark[] = "\xef\xbb\xbf", field[] = "data:";
    if (qr_bytes_begin(line, n, mark)) { /* the byte order mark that may begin a stream */
        line += sizeof mark - 1;
        n -= sizeof mark - 1;
    }
    size_t at = sizeof field - 1;
    if (qr_bytes_are(line, n, "data"))
        at = n; /* a field without a value */
    else if (!qr_bytes_begin(line, n, field))
        return true;
    if (at < n && line[at] == ' ') at++;
    if (s->has_data && !append(&s->data, &s->data_n, &s->data_room, "\n", 1)) return false;
    s->has_data = true;
    return append(&s->data, &s->data_n, &s->data_room, line + at, n - at);
}

bool qr_sse_feed(struct qr_sse *s, const char *bytes, size_t bytes_n)
{
    for (size_t i = 0; i < bytes_n && !s->bad;) {
        if (s->after_cr && bytes[i] == '\n') { /* the LF of a CR LF */
            s->after_cr = false;
            i++;
            continue;
        }
        s->after_cr = false;
        size_t n = 0;
        while (i + n < bytes_n && bytes[i + n] != '\n' && bytes[i + n] != '\r')
            n++;
        if (n && !append(&s->line, &s->line_n, &s->line_room, bytes + i, n)) s->bad = true;
        i += n;
        if (i < bytes_n && !s->bad) {
            s->after_cr = bytes[i] == '\r';
            i++;
            if (!end_line(s)) s->bad = true;
        }
    }
    return !s->bad;
}
