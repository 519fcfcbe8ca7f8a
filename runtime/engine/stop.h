/* SPDX-License-Identifier: MIT */
/* stop -- finds stop strings in text that arrives in deltas, and holds text that may begin one.
 *
 *     | given out | held: the longest suffix of the text that is a prefix of a stop string |
 *
 * Each string has a Knuth-Morris-Pratt automaton, so a delta costs its bytes times the number of
 * strings.  A match cuts the text before the match's first byte.  Of several matches the one that
 * ends first counts.  If two end at the same byte, the earlier one in the request's list counts. So
 * the result does not depend on how the text was cut into tokens.
 *
 * The held text is shorter than the longest stop string.  Text and strings are valid UTF-8, so the
 * text that is given out consists of whole characters.
 *
 * Thread: one at a time.   Memory: the caller's, qr_stop_bytes.
 * Invariant: held[0, begin) was given out and held[begin, end) was not.  end - begin is the maximum
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
    const uint16_t *fallback[QR_STOP_STRINGS_MAX]; /* [strings[i].n], of the automaton */
    uint16_t matched[QR_STOP_STRINGS_MAX];         /* the text ends in so many bytes of string i */
    uint32_t strings_n;
    char *held;
    size_t held_max;
    size_t begin, end;
};

/* Memory for strings of bytes_n bytes in all, and deltas of at most delta_max bytes. */
size_t qr_stop_bytes(size_t bytes_n, size_t delta_max);
/* Copies the strings into memory, which is 2-aligned.  Each has 1 to QR_STOP_BYTES_MAX bytes. */
void qr_stop_init(struct qr_stop *stop, void *memory, const struct quire_text *strings,
                  size_t strings_n, size_t delta_max);

/* Takes a delta.  Sets *certain to the text that can be given out; it is valid until the next call.
 * Returns the index of the string that matched, or -1.  armed: matches that end in this delta
 * count. Without it they do not, but a match may begin in the delta. */
int qr_stop_push(struct qr_stop *stop, const char *text, size_t text_n, bool armed,
                 struct quire_text *certain);
/* The held text.  Call at the end of the text. */
struct quire_text qr_stop_flush(struct qr_stop *stop);

#endif
