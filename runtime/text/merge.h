/* SPDX-License-Identifier: MIT */
/* merge -- byte-pair merging: of all adjacent symbols of a piece it merges the pair of lowest rank,
 * the leftmost of equal ranks, and repeats until no pair merges.  Symbols are bytes for bpe.h and
 * characters for spm.h.
 *
 *     h  e  l  l  o        ranks: (l,l) 0, (he,ll) 2, (h,e) 1
 *     h  e  ll    o
 *     he    ll    o
 *     hell        o        a merged symbol stays at the index of its first part
 *
 * A short piece is searched for its best pair each time.  A long piece keeps its pairs in a queue,
 * so that n symbols take O(n log n).  Both give the same ids.
 * Source: Sennrich et al. 2016, "Neural machine translation of rare words with subword units".
 *
 * Thread: any after filling, each with its own scratch.   Memory: the allocator's. */
#ifndef QR_TEXT_MERGE_H
#define QR_TEXT_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/quire.h"
#include "runtime/text/vocabulary.h"

#define QR_MERGE_SHORT 40u /* symbols of a short piece; above this the queue is faster */

#define QR_RANK_NONE UINT32_MAX

struct qr_merge {
    uint32_t left, right; /* ids, never QR_ID_NONE */
    uint32_t rank;        /* QR_RANK_NONE: a free slot */
    uint32_t merged;      /* id */
};

struct qr_merges {
    struct qr_merge *slots; /* [1 << (64 - shift)], by hash of (left, right), at most half in use */
    unsigned shift;
    uint32_t ranks_n; /* above all ranks */
};

/* Makes room for merges_max merges.  False: out of memory. */
bool qr_merges_init(struct qr_merges *merges, uint32_t merges_max,
                    const struct quire_allocator *allocator);
void qr_merges_deinit(struct qr_merges *merges, const struct quire_allocator *allocator);
/* Ignored if the pair was added before. */
void qr_merges_add(struct qr_merges *merges, struct qr_merge merge);

/* Output ids.  Ids past the capacity are counted and not written. */
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

/* One symbol of a piece, in a list that is linked through the array. */
struct qr_symbol {
    uint32_t id;   /* QR_ID_NONE merges with nothing */
    uint32_t next; /* index; n after the last */
    uint32_t previous;
    uint32_t merge; /* slot of this symbol and the next */
};

/* Working memory of one thread.  All zero except the allocator at first; grows as needed. */
struct qr_merge_scratch {
    const struct quire_allocator *allocator;
    struct qr_symbol few[QR_MERGE_SHORT]; /* symbols of a short piece */
    void *memory;
    size_t capacity; /* symbols that `memory` suffices for */
    uint64_t *heap;
    size_t heap_capacity;
    uint64_t queued; /* total queue entries of long pieces, for tests */
};

/* Memory for n symbols, in which the caller sets the ids.  NULL: out of memory, or n is 2^31 or
 * more. */
struct qr_symbol *qr_merge_room(struct qr_merge_scratch *scratch, size_t n);
/* Merges the n symbols of qr_merge_room.  The result is linked by `next`, from index 0 to n.
 * QUIRE_NO_MEMORY: only for long pieces. */
int qr_merge(const struct qr_merges *merges, struct qr_merge_scratch *scratch, size_t n);
void qr_merge_scratch_deinit(struct qr_merge_scratch *scratch);

#endif
