/* SPDX-License-Identifier: MIT */
/* utf8 -- recognises valid UTF-8 and repairs text that is not.
 *
 * Valid means well-formed by Unicode's table 3-7: no overlong forms, no surrogates, nothing above
 * U+10FFFF.
 *
 * Thread: any.   Memory: the caller's. */
#ifndef QR_TEXT_UTF8_H
#define QR_TEXT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QR_UTF8_REPLACEMENT   "\xef\xbf\xbd" /* U+FFFD */
#define QR_UTF8_REPLACEMENT_N 3u

/* Length of the valid character at text, or 0. */
size_t qr_utf8_character(const char *text, size_t text_n);

/* Length of the longest prefix of text that is valid. */
size_t qr_utf8_valid(const char *text, size_t text_n);

/* True if `byte` may follow the held bytes, the first held_n (0 to 3) bytes of a character, which
 * earlier calls accepted.  *complete: the character ends with `byte`. */
bool qr_utf8_continues(const uint8_t *held, uint32_t held_n, uint8_t byte, bool *complete);

/* Repairs text for encoding, into two readings of qr_utf8_repaired_n bytes each.
 *
 *     text       'a'  E9       ED A0 80      a byte that is not UTF-8, a surrogate half
 *     bytes      'a'  U+FFFD   ED A0 80      the text to encode
 *     subject    'a'  U+FFFD   U+FFFD        valid UTF-8, for the patterns
 *
 * U+FFFD is neither letter, digit nor space, as are surrogates, so the patterns cut alike. */
size_t qr_utf8_repaired_n(const char *text, size_t text_n);
void qr_utf8_repair(const char *text, size_t text_n, char *bytes, char *subject);

#endif
