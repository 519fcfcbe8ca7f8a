/* SPDX-License-Identifier: MIT */
/* specials -- finds special tokens, which are matched as a whole before splitting and merging.
 *
 * The first match in the text counts, and of several at one position the longest.  The texts are
 * sorted.  Each byte of the input narrows the range of matching texts by binary search, so a
 * position costs at most (bytes matched) * log(specials).
 *
 * Thread: any after init.   Memory: the allocator's. */
#ifndef QR_TEXT_SPECIALS_H
#define QR_TEXT_SPECIALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/text/vocabulary.h"

struct qr_specials {
    const struct qr_vocabulary *vocabulary;
    uint32_t *ids; /* [ids_n], sorted by text */
    uint32_t ids_n;
    bool begins[256]; /* some text begins with this byte */
};

/* Takes the tokens with (1u << kind) set in `kinds`.  A text that is not valid UTF-8 is left out,
 * because it would cut characters of the input in two.  False: out of memory. */
bool qr_specials_init(struct qr_specials *s, const struct qr_vocabulary *vocabulary, unsigned kinds,
                      const struct quire_allocator *allocator);
void qr_specials_deinit(struct qr_specials *s, const struct quire_allocator *allocator);

/* Finds the next special token at or after `from`.  False: there is none. */
bool qr_specials_next(const struct qr_specials *s, const char *text, size_t text_n, size_t from,
                      size_t *at, uint32_t *id);

#endif
