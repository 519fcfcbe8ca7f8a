/* SPDX-License-Identifier: MIT */
/* bpe -- byte-pair merging of one piece of text: the merge of lowest rank first, the leftmost of
 * equals, until none applies.
 *
 * A short piece is scanned for its best pair each time; a long one keeps its pairs in a heap, so
 * that n bytes take O(n log n).  Both give the same ids.
 *
 * A byte whose letter is no token takes part in no merge and is left out of the ids, as llama.cpp
 * does it.
 * Source: Sennrich et al. 2016, "Neural machine translation of rare words with subword units".
 *
 * Thread: any once initialised, each with a scratch of its own.   Memory: the allocator given. */
#ifndef QR_TEXT_BPE_H
#define QR_TEXT_BPE_H

#include <stddef.h>
#include <stdint.h>

#include "runtime/text/vocabulary.h"

#define QR_BPE_SHORT 40u /* bytes of a piece that is scanned: where the heap begins to win */

#define QR_RANK_NONE UINT32_MAX

struct qr_merge {
    uint32_t left, right; /* ids */
    uint32_t rank;        /* QR_RANK_NONE: a free slot */
    uint32_t merged;      /* id */
};

struct qr_bpe {
    struct qr_merge *merges; /* [1 << (64 - shift)], by hash of (left, right) */
    unsigned shift;
    uint32_t letters[256]; /* id of each byte's letter, QR_ID_NONE: no token */
};

/* Ids as they come out: what does not fit is counted and not written. */
struct qr_ids {
    int32_t *ids; /* [capacity] */
    size_t capacity;
    size_t n;
};

static inline void qr_ids_add(struct qr_ids *out, uint32_t id)
{
    if (out->n < out->capacity) out->ids[out->n] = (int32_t)id;
    out->n++;
}

/* Working memory of long pieces; zero with an allocator at first, grown as needed. */
struct qr_bpe_scratch {
    const struct quire_allocator *allocator;
    void *memory;
    size_t capacity;     /* bytes of a piece that it is enough for */
    uint64_t heap_added; /* heap entries so far: what merging costs */
};

/* merges: [merges_n] "left right".  The first of equal pairs counts.  QUIRE_BAD_FILE: one that is
 * no pair, or names a token that is not in the vocabulary. */
int qr_bpe_init(struct qr_bpe *bpe, const struct qr_vocabulary *vocabulary,
                const struct quire_text *merges, uint32_t merges_n,
                const struct quire_allocator *allocator, struct quire_error *error);
void qr_bpe_deinit(struct qr_bpe *bpe, const struct quire_allocator *allocator);

/* Adds the ids of a piece.  QUIRE_NO_MEMORY. */
int qr_bpe_encode(const struct qr_bpe *bpe, struct qr_bpe_scratch *scratch, const char *piece,
                  size_t piece_n, struct qr_ids *out);
void qr_bpe_scratch_deinit(struct qr_bpe_scratch *scratch);

#endif
