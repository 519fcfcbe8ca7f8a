/* SPDX-License-Identifier: MIT */
/* merge -- byte-pair merging of one piece's symbols: the merge of lowest rank first, the leftmost
 * of equals, until none applies.  What the symbols are, bytes or characters, is the caller's.
 *
 * A short piece is scanned for its best pair each time; a long one keeps its pairs in a queue, so
 * that n symbols take O(n log n).  Both give the same ids.
 * Source: Sennrich et al. 2016, "Neural machine translation of rare words with subword units".
 *
 * Thread: any once filled, each with a scratch of its own.   Memory: the allocator given. */
#ifndef QR_TEXT_MERGE_H
#define QR_TEXT_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/quire.h"
#include "runtime/text/vocabulary.h"

#define QR_MERGE_SHORT 40u /* symbols of a piece that is scanned: where the queue begins to win */

#define QR_RANK_NONE UINT32_MAX

struct qr_merge {
    uint32_t left, right; /* ids, QR_ID_NONE never */
    uint32_t rank;        /* QR_RANK_NONE: a free slot */
    uint32_t merged;      /* id */
};

struct qr_merges {
    struct qr_merge *slots; /* [1 << (64 - shift)], by hash of (left, right), at most half in use */
    unsigned shift;
    uint32_t ranks_n; /* all are below it */
};

/* Room for merges_max merges.  False: no memory. */
bool qr_merges_init(struct qr_merges *merges, uint32_t merges_max,
                    const struct quire_allocator *allocator);
void qr_merges_deinit(struct qr_merges *merges, const struct quire_allocator *allocator);
/* The first of equal pairs counts, later ones change nothing. */
void qr_merges_add(struct qr_merges *merges, struct qr_merge merge);

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

/* One symbol of a piece: a list linked through the array, each at the place of its first part. */
struct qr_symbol {
    uint32_t id;   /* QR_ID_NONE merges with nothing */
    uint32_t next; /* n: the last */
    uint32_t previous;
    uint32_t merge; /* slot of the pair that begins here */
};

/* Working memory; zero with an allocator at first, grown as needed. */
struct qr_merge_scratch {
    const struct quire_allocator *allocator;
    struct qr_symbol few[QR_MERGE_SHORT]; /* a short piece's */
    void *memory;
    size_t capacity; /* symbols that it is enough for */
    uint64_t *heap;
    size_t heap_capacity;
    uint64_t queued; /* entries that long pieces ever queued: what merging costs */
};

/* Room for the n symbols of a piece: the caller fills in their ids.  NULL: no memory, or a piece
 * of more than 2^31 symbols. */
struct qr_symbol *qr_merge_room(struct qr_merge_scratch *scratch, size_t n);
/* Merges the n symbols of that room.  What is left is linked by `next`, from 0 to n.
 * QUIRE_NO_MEMORY, of long pieces only. */
int qr_merge(const struct qr_merges *merges, struct qr_merge_scratch *scratch, size_t n);
void qr_merge_scratch_deinit(struct qr_merge_scratch *scratch);

#endif
