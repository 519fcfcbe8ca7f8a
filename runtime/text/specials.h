/* SPDX-License-Identifier: MIT */
/* specials -- finds the tokens that are matched whole, before any splitting or merging.
 *
 * The first place in the text where one begins counts, and there the longest.  Texts are kept
 * sorted: at a place, each further byte narrows the range of those that still match, so a place
 * costs the bytes matched times log(specials), whatever their number.
 *
 * Thread: any once initialised.   Memory: the allocator given. */
#ifndef QR_TEXT_SPECIALS_H
#define QR_TEXT_SPECIALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/text/vocabulary.h"

struct qr_specials {
    const struct qr_vocabulary *vocabulary;
    uint32_t *ids; /* [ids_n], by text */
    uint32_t ids_n;
    bool begins[256]; /* a text begins with this byte */
};

/* Takes the tokens whose kind's bit (1u << kind) is set in kinds.  A text that is not valid UTF-8
 * is left out: it would cut characters of the text around it.  False: no memory. */
bool qr_specials_init(struct qr_specials *s, const struct qr_vocabulary *vocabulary, unsigned kinds,
                      const struct quire_allocator *allocator);
void qr_specials_deinit(struct qr_specials *s, const struct quire_allocator *allocator);

/* The next one at or after `from`: its place and id.  False: there is none. */
bool qr_specials_next(const struct qr_specials *s, const char *text, size_t text_n, size_t from,
                      size_t *at, uint32_t *id);

#endif
