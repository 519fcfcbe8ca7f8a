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

/* A string in quotes.  Bytes that are no UTF-8 become U+FFFD, one for each maximal broken piece,
 * so that what is written is always legal. */
void qr_json_put_string(struct qr_buffer *buffer, const char *text, size_t text_n);
void qr_json_put_cstring(struct qr_buffer *buffer, const char *text);
/* Nine digits: reading the number back as a float gives the same bits.  Not a number: null. */
void qr_json_put_float(struct qr_buffer *buffer, float value);
void qr_json_put_ids(struct qr_buffer *buffer, const int32_t *ids, size_t ids_n); /* [1,2] */
/* A comma, unless the buffer ends in an opening bracket or is empty. */
void qr_json_put_comma(struct qr_buffer *buffer);

/* The length of the character at text[0], 1 to 4; 0 where no whole legal UTF-8 character begins.
 * *broken is then the number of bytes that the broken piece has, at least 1. */
size_t qr_json_utf8_length(const char *text, size_t text_n, size_t *broken);
bool qr_json_utf8_valid(const char *text, size_t text_n);

#endif
