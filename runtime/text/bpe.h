/* SPDX-License-Identifier: MIT */
/* bpe -- byte-level BPE: writes a piece as the letters of its bytes and merges these by the file's
 * list of merges.
 *
 * A byte whose letter is not in the vocabulary merges with nothing and gives no id, as in
 * llama.cpp.
 *
 * Thread: any after init, each with its own scratch.   Memory: the allocator's. */
#ifndef QR_TEXT_BPE_H
#define QR_TEXT_BPE_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/text/merge.h"
#include "runtime/text/vocabulary.h"

struct qr_bpe {
    struct qr_merges merges;
    uint32_t letters[256]; /* id of each byte's letter; QR_ID_NONE if it is not a token */
};

/* merges: [merges_n] "left right"; the index is the rank.  Of equal pairs the first counts.
 * QUIRE_BAD_FILE: a merge is not a pair, or names a token that is not in the vocabulary. */
int qr_bpe_init(struct qr_bpe *bpe, const struct qr_vocabulary *vocabulary,
                const struct quire_text *merges, uint32_t merges_n,
                const struct quire_allocator *allocator, struct quire_error *error);
void qr_bpe_deinit(struct qr_bpe *bpe, const struct quire_allocator *allocator);

/* Appends the ids of a piece to `out`.  QUIRE_NO_MEMORY. */
int qr_bpe_encode(const struct qr_bpe *bpe, struct qr_merge_scratch *scratch, const char *piece,
                  size_t piece_n, struct qr_ids *out);

#endif
