/* SPDX-License-Identifier: MIT */
/* json_write -- writes JSON values into a buffer.
 *
 * Thread: one at a time.   Memory: the buffer's. */
#ifndef QR_SERVER_JSON_WRITE_H
#define QR_SERVER_JSON_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/server/buffer.h"

/* Writes a string in quotes.  Each maximal invalid UTF-8 sequence becomes one U+FFFD, so the output
 * is always valid JSON. */
void qr_json_put_string(struct qr_buffer *buffer, const char *text, size_t text_n);
/* The same without the quotes: a string may be written in parts that end with whole characters. */
void qr_json_put_string_part(struct qr_buffer *buffer, const char *text, size_t text_n);
void qr_json_put_cstring(struct qr_buffer *buffer, const char *text);
/* Writes nine digits, which read back as the same float.  Infinities and NaN become null. */
void qr_json_put_float(struct qr_buffer *buffer, float value);
void qr_json_put_ids(struct qr_buffer *buffer, const int32_t *ids, size_t ids_n); /* [1,2] */
/* Writes a comma, unless the buffer is empty or ends in an opening bracket. */
void qr_json_put_comma(struct qr_buffer *buffer);

/* The length of the UTF-8 character at text[0], 1 to 4 bytes.  0: it is invalid or cut off, and
 * *broken is the length of the invalid sequence, at least 1. */
size_t qr_json_utf8_length(const char *text, size_t text_n, size_t *broken);
bool qr_json_utf8_valid(const char *text, size_t text_n);

#endif
