/* SPDX-License-Identifier: MIT */
/* chars -- text by characters, as Python sees it: counting, cutting, white space, case.
 *
 * Text is UTF-8.  A byte that belongs to no character counts as one by itself and stays as it is.
 *
 * Thread: any.   Memory: none. */
#ifndef QR_TEMPLATE_CHARS_H
#define QR_TEMPLATE_CHARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the character at text (n > 0): 1 to 4. */
size_t qr_char_n(const char *text, size_t n);
/* The character at text; *used is its bytes.  A byte that is none has 0xDC00 and the byte (as
 * Python's surrogateescape). */
uint32_t qr_char_get(const char *text, size_t n, size_t *used);
/* Writes up to 4 bytes; surrogates that stand for bytes become those bytes. */
size_t qr_char_put(uint32_t character, char *out);

size_t qr_chars_count(const char *text, size_t n);
/* The byte at which character i begins; n if there are fewer. */
size_t qr_chars_at(const char *text, size_t n, size_t i);

bool qr_char_is_space(uint32_t c);   /* str.isspace */
bool qr_char_is_line(uint32_t c);    /* str.splitlines ends a line there */
bool qr_char_is_printed(uint32_t c); /* repr leaves it as it is */
bool qr_char_is_cased(uint32_t c);
bool qr_char_is_alnum(uint32_t c);
bool qr_char_is_alpha(uint32_t c);
bool qr_char_is_digit(uint32_t c);
/* One character for one: not the few that Python makes two or three of. */
uint32_t qr_char_upper(uint32_t c);
uint32_t qr_char_lower(uint32_t c);

/* White space at the front and at the back of text, in bytes. */
size_t qr_chars_space_front(const char *text, size_t n);
size_t qr_chars_space_back(const char *text, size_t n);

#endif
