/* SPDX-License-Identifier: MIT */
/* compose -- text in Unicode's normalisation form C, in which some models were trained: Qwen 2's.
 *
 * Letters and their marks become one character where Unicode has one, marks come in its order
 * (UAX #15; Unicode 15.0 by Debian 12's utf8proc, which has its home here).  Time is linear in the
 * text: a long run of marks is put in order by counting, where utf8proc itself inserts.
 *
 * Thread: any.   Memory: the allocator given. */
#ifndef QR_TEXT_COMPOSE_H
#define QR_TEXT_COMPOSE_H

#include <stdbool.h>
#include <stddef.h>

#include "runtime/quire.h"

/* True: nothing would change, as all is below the first mark, U+0300.  False: it may. */
bool qr_compose_is_needless(const char *text, size_t n);

/* text: valid UTF-8, and surrogate halves written as three bytes, which stay.  *out is allocated,
 * *out_n at most 3 n.  False: no memory. */
bool qr_compose(const char *text, size_t n, const struct quire_allocator *allocator, char **out,
                size_t *out_n);

#endif
