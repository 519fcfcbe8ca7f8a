/* SPDX-License-Identifier: MIT */
/* restriction -- the tokens that a request may draw, besides its grammar: a list of allowed ones,
 * and sequences that must not be completed.
 *
 * Thread: one at a time.   Memory: the request's, which the arrays are part of. */
#ifndef QR_ENGINE_RESTRICTION_H
#define QR_ENGINE_RESTRICTION_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/quire.h"

struct qr_restriction {
    uint64_t *allowed;   /* [words_n] bits; NULL: all tokens */
    uint32_t words_n;    /* tokens past them are not allowed */
    int32_t *bans;       /* the banned sequences, one after the other */
    uint32_t *bans_ends; /* [bans_n] */
    uint32_t bans_n;
};

/* Words of `allowed`, and ids of `bans`, that a request needs. */
uint32_t qr_restriction_words(const struct quire_request *from);
size_t qr_restriction_bans_ids(const struct quire_request *from);
/* The arrays have the sizes above and bans_n entries. */
void qr_restriction_init(struct qr_restriction *restriction, const struct quire_request *from);

static inline bool qr_restriction_any(const struct qr_restriction *restriction)
{
    return restriction->allowed || restriction->bans_n;
}

/* Clears the bits of tokens that may not follow these generated ones.  bits [(vocab_n + 63) / 64].
 * False: none is left. */
bool qr_restriction_apply(const struct qr_restriction *restriction, const int32_t *generated,
                          uint32_t generated_n, uint64_t *bits, uint32_t vocab_n);

#endif
