/* SPDX-License-Identifier: MIT */
/* stop -- finds stop strings in text that comes in pieces, and holds back what may become one.
 *
 * Every string is followed through the text by its own Knuth-Morris-Pratt automaton, so a piece
 * costs its bytes times the number of strings.  A match ends the text at its first
 * byte.  Of several, the one that ends first counts; of those that end at the same byte, the first
 * in the request's list.  So the result does not depend on how the text was cut into tokens.
 *
 * Held back is the longest end of the text that begins a stop string: less than the longest of
 * them.  Text and strings are valid UTF-8, so what is given out is whole characters.
 *
 * Thread: one at a time.   Memory: the caller's, qr_stop_bytes.
 * Invariant: held[0, begin) was given out, held[begin, end) was not, and end - begin is the longest
 * of the automata's states. */
#ifndef QR_ENGINE_STOP_H
#define QR_ENGINE_STOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/limits.h"
#include "runtime/quire.h"

struct qr_stop {
    struct quire_text strings[QR_STOP_STRINGS_MAX];
    const uint16_t *fallback[QR_STOP_STRINGS_MAX]; /* [strings[i].n], the automaton's */
    uint16_t matched[QR_STOP_STRINGS_MAX];         /* bytes of string i that the text ends in */
    uint32_t strings_n;
    char *held;
    size_t held_max;
    size_t begin, end;
};

/* Memory for strings of bytes_n bytes in all, and pieces of at most piece_max bytes. */
size_t qr_stop_bytes(size_t bytes_n, size_t piece_max);
/* Copies the strings, none empty, each at most QR_STOP_BYTES_MAX, into memory (2-aligned). */
void qr_stop_init(struct qr_stop *stop, void *memory, const struct quire_text *strings,
                  size_t strings_n, size_t piece_max);

/* Takes a piece.  *certain (good until the next call) is the text that can be given out now.
 * Returns the index of the string that has matched, or -1.  armed: matches that end in this piece
 * count; without it they do not, but may begin in it. */
int qr_stop_push(struct qr_stop *stop, const char *text, size_t text_n, bool armed,
                 struct quire_text *certain);
/* All that is held: the text ends here. */
struct quire_text qr_stop_flush(struct qr_stop *stop);

#endif
