/* SPDX-License-Identifier: MIT */
/* bpe -- byte-level BPE: a piece of text as the letters of its bytes, merged by the file's list.
 *
 * A byte whose letter is no token takes part in no merge and is left out of the ids, as llama.cpp
 * does it.
 *
 * Thread: any once initialised, each with a scratch of its own.   Memory: the allocator given. */
#ifndef QR_TEXT_BPE_H
#define QR_TEXT_BPE_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/text/merge.h"
#include "runtime/text/vocabulary.h"

struct qr_bpe {
    struct qr_merges merges;
    uint32_t letters[256]; /* id of each byte's letter, QR_ID_NONE: no token */
};

/* merges: [merges_n] "left right".  The first of equal pairs counts.  QUIRE_BAD_FILE: one that is
 * no pair, or names a token that is not in the vocabulary. */
int qr_bpe_init(struct qr_bpe *bpe, const struct qr_vocabulary *vocabulary,
                const struct quire_text *merges, uint32_t merges_n,
                const struct quire_allocator *allocator, struct quire_error *error);
void qr_bpe_deinit(struct qr_bpe *bpe, const struct quire_allocator *allocator);

/* Adds the ids of a piece.  QUIRE_NO_MEMORY. */
int qr_bpe_encode(const struct qr_bpe *bpe, struct qr_merge_scratch *scratch, const char *piece,
                  size_t piece_n, struct qr_ids *out);

#endif
