/* SPDX-License-Identifier: MIT */
/* utf8 -- which bytes are characters, and what to put where they are not.
 *
 * Well-formed is Unicode's table 3-7: no overlong forms, no surrogates, nothing past U+10FFFF.
 *
 * Thread: any.   Memory: the caller's. */
#ifndef QR_TEXT_UTF8_H
#define QR_TEXT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QR_UTF8_REPLACEMENT   "\xef\xbf\xbd" /* U+FFFD */
#define QR_UTF8_REPLACEMENT_N 3u

/* Bytes of the well-formed character at text, 0: there is none. */
size_t qr_utf8_character(const char *text, size_t text_n);

/* Bytes from the beginning of text that are well-formed characters. */
size_t qr_utf8_valid(const char *text, size_t text_n);

/* Whether `byte` may follow the held_n bytes (0 to 3) that begin a character.  Of them only what
 * an earlier call allowed.  *complete: the character ends with it. */
bool qr_utf8_continues(const uint8_t *held, uint32_t held_n, uint8_t byte, bool *complete);

/* Text that can be encoded.  Each byte that belongs to no character becomes U+FFFD; a surrogate
 * half written as three bytes is kept.  `bytes` is that text; `subject` is the same length, and
 * has U+FFFD (as surrogates neither letter, digit nor space) where bytes has a surrogate, so
 * that a pattern sees valid UTF-8. */
size_t qr_utf8_repaired_n(const char *text, size_t text_n);
void qr_utf8_repair(const char *text, size_t text_n, char *bytes, char *subject);

#endif
