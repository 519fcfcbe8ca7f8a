/* SPDX-License-Identifier: MIT */
/* compose -- converts text to Unicode's normalisation form C, which Qwen 2 was trained on.
 *
 * A letter and its marks become one character if Unicode has one, and marks are put in canonical
 * order (UAX #15).  The tables are utf8proc's; only this module uses that library.
 *
 *     "e" U+0301 --decompose--> letters and marks --order--> --compose--> U+00E9
 *
 * Time is linear in the text.  utf8proc orders a run of marks by insertion, which is quadratic, so
 * long runs are ordered here by counting.
 *
 * Thread: any.   Memory: the allocator's. */
#ifndef QR_TEXT_COMPOSE_H
#define QR_TEXT_COMPOSE_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/quire.h"

/* True if the text cannot change, because all its characters are below the first mark, U+0300. */
bool qr_compose_is_needless(const char *text, size_t n);

/* text: valid UTF-8, or surrogate halves written as three bytes, which pass unchanged.  The caller
 * frees *out; *out_n is at most 3 n.  False: out of memory. */
bool qr_compose(const char *text, size_t n, const struct quire_allocator *allocator, char **out,
                size_t *out_n);

#endif
