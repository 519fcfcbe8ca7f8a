/* SPDX-License-Identifier: MIT */
/* chars -- the characters of UTF-8 text, with Python's classes: counting, white space, case.
 *
 * A byte that is not part of valid UTF-8 counts as one character and passes unchanged.
 *
 * Thread: any.   Memory: none. */
#ifndef QR_TEMPLATE_CHARS_H
#define QR_TEMPLATE_CHARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the character at text (n > 0): 1 to 4. */
size_t qr_char_n(const char *text, size_t n);
/* The character at text; *used is its length in bytes.  An invalid byte b is read as 0xDC00 + b, as
 * in Python's surrogateescape. */
uint32_t qr_char_get(const char *text, size_t n, size_t *used);
/* Writes up to 4 bytes.  0xDC80 to 0xDCFF become the bytes that they encode. */
size_t qr_char_put(uint32_t character, char *out);

size_t qr_chars_count(const char *text, size_t n);
/* The offset of character i; n if there are fewer characters. */
size_t qr_chars_at(const char *text, size_t n, size_t i);

bool qr_char_is_space(uint32_t c);   /* str.isspace */
bool qr_char_is_line(uint32_t c);    /* a line end of str.splitlines */
bool qr_char_is_printed(uint32_t c); /* repr does not escape it */
bool qr_char_is_cased(uint32_t c);
bool qr_char_is_alnum(uint32_t c);
bool qr_char_is_alpha(uint32_t c);
bool qr_char_is_digit(uint32_t c);
/* One character to one.  Python maps some hundred characters to two or three. */
uint32_t qr_char_upper(uint32_t c);
uint32_t qr_char_lower(uint32_t c);

/* Bytes of white space at the front and at the back of text. */
size_t qr_chars_space_front(const char *text, size_t n);
size_t qr_chars_space_back(const char *text, size_t n);

#endif
