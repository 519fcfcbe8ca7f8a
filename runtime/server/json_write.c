/* SPDX-License-Identifier: MIT */
#include "runtime/server/json_write.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The second byte's range depends on the first (Unicode 15, table 3-7): no overlong forms, no
 * surrogates, nothing past U+10FFFF. */
size_t qr_json_utf8_length(const char *text, size_t text_n, size_t *broken)
{
    const unsigned char *s = (const unsigned char *)text;
    *broken = 1;
    if (s[0] < 0x80) return 1;

    size_t length = s[0] >= 0xc2 && s[0] <= 0xdf   ? 2
                    : s[0] >= 0xe0 && s[0] <= 0xef ? 3
                    : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4
                                                   : 0;
    if (length == 0) return 0;
    unsigned low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
    unsigned high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
    for (size_t i = 1; i < length; i++) {
        if (i >= text_n || s[i] < low || s[i] > high) {
            *broken = i;
            return 0;
        }
        low = 0x80;
        high = 0xbf;
    }
    return length;
}

bool qr_json_utf8_valid(const char *text, size_t text_n)
{
    for (size_t i = 0; i < text_n;) {
        size_t broken, length = qr_json_utf8_length(text + i, text_n - i, &broken);
        if (length == 0) return false;
        i += length;
    }
    return true;
}

static void put_escaped(struct qr_buffer *buffer, unsigned char c)
{
    switch (c) {
    case '"': qr_buffer_puts(buffer, "\\\""); return;
    case '\\': qr_buffer_puts(buffer, "\\\\"); return;
    case '\n': qr_buffer_puts(buffer, "\\n"); return;
    case '\r': qr_buffer_puts(buffer, "\\r"); return;
    case '\t': qr_buffer_puts(buffer, "\\t"); return;
    default: qr_buffer_printf(buffer, "\\u%04x", c); return;
    }
}

void qr_json_put_string_part(struct qr_buffer *buffer, const char *text, size_t text_n)
{
    size_t from = 0, i = 0;
    while (i < text_n) {
        unsigned char c = (unsigned char)text[i];
        size_t broken = 0;
        size_t length = qr_json_utf8_length(text + i, text_n - i, &broken);
        if (length > 0 && c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) {
            i += length;
            continue;
        }
        qr_buffer_put(buffer, text + from, i - from);
        if (length == 0) {
            qr_buffer_puts(buffer, "\xef\xbf\xbd");
            i += broken;
        } else {
            put_escaped(buffer, c);
            i++;
        }
        from = i;
    }
    if (text_n > from) qr_buffer_put(buffer, text + from, text_n - from);
}

void qr_json_put_string(struct qr_buffer *buffer, const char *text, size_t text_n)
{
    qr_buffer_put(buffer, "\"", 1);
    qr_json_put_string_part(buffer, text, text_n);
    qr_buffer_put(buffer, "\"", 1);
}

void qr_json_put_cstring(struct qr_buffer *buffer, const char *text)
{
    qr_json_put_string(buffer, text, strlen(text));
}

void qr_json_put_float(struct qr_buffer *buffer, float value)
{
    if (value == 0 && signbit(value))
        qr_buffer_puts(buffer, "-0.0"); /* "-0" would be read as an integer, which has no sign */
    else if (isfinite(value))
        qr_buffer_printf(buffer, "%.9g", (double)value);
    else
        qr_buffer_puts(buffer, "null");
}

void qr_json_put_ids(struct qr_buffer *buffer, const int32_t *ids, size_t ids_n)
{
    qr_buffer_put(buffer, "[", 1);
    for (size_t i = 0; i < ids_n; i++)
        qr_buffer_printf(buffer, i ? ",%d" : "%d", ids[i]);
    qr_buffer_put(buffer, "]", 1);
}

void qr_json_put_comma(struct qr_buffer *buffer)
{
    if (buffer->n == 0) return;
    char last = buffer->data[buffer->n - 1];
    if (last != '[' && last != '{') qr_buffer_put(buffer, ",", 1);
}
