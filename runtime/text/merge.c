/* SPDX-License-Identifier: MIT */
#include "runtime/text/merge.h"

#include <assert.h>
#include <string.h>

#include "runtime/base/memory.h"

/* Indexes in a piece have 31 bits; real text has no unsplit run of 2^31 characters. */
#define PIECE_MAX ((size_t)INT32_MAX)

/* ---- the table ------------------------------------------------------------------------------- */

static size_t slot_of(const struct qr_merges *merges, uint32_t left, uint32_t right)
{
    uint64_t pair = (uint64_t)left << 32 | right;

    return (size_t)((pair * UINT64_C(0x9e3779b97f4a7c15)) >> merges->shift);
}

/* The slot of the merge of two symbols, or a free slot. */
static uint32_t find(const struct qr_merges *merges, uint32_t left, uint32_t right)
{
    size_t mask = ((size_t)1 << (64 - merges->shift)) - 1;

    for (size_t i = slot_of(merges, left, right);; i = (i + 1) & mask) {
        const struct qr_merge *m = &merges->slots[i];
        if (m->rank == QR_RANK_NONE || (m->left == left && m->right == right)) return (uint32_t)i;
    }
}

bool qr_merges_init(struct qr_merges *merges, uint32_t merges_max,
                    const struct quire_allocator *allocator)
{
    *merges = (struct qr_merges){.shift = 60};
    while ((UINT64_C(1) << (64 - merges->shift)) < 2 * (uint64_t)merges_max)
        merges->shift--;
    size_t bytes = sizeof *merges->slots << (64 - merges->shift);
    merges->slots = qr_alloc(allocator, bytes);
    if (!merges->slots) return false;
    memset(merges->slots, 0xff, bytes);
    return true;
}

void qr_merges_deinit(struct qr_merges *merges, const struct quire_allocator *allocator)
{
    qr_free(allocator, merges->slots);
    *merges = (struct qr_merges){0};
}

void qr_merges_add(struct qr_merges *merges, struct qr_merge merge)
{
    struct qr_merge *slot = &merges->slots[find(merges, merge.left, merge.right)];

    assert(merge.left != QR_ID_NONE && merge.right != QR_ID_NONE && merge.rank != QR_RANK_NONE);
    if (slot->rank != QR_RANK_NONE) return;
    *slot = merge;
    if (merge.rank >= merges->ranks_n) merges->ranks_n = merge.rank + 1;
}

/* ---- short pieces ---------------------------------------------------------------------------- */

static void merge_short(const struct qr_merges *merges, struct qr_symbol *symbols, uint32_t n)
{
    const struct qr_merge *pairs[QR_MERGE_SHORT]; /* the merge of symbol i with the next */
    uint32_t ids[QR_MERGE_SHORT];
    uint32_t places[QR_MERGE_SHORT + 1];
    uint32_t left = n;

    for (uint32_t i = 0; i < n; i++) {
        ids[i] = symbols[i].id;
        places[i] = i;
    }
    for (uint32_t i = 0; i + 1 < n; i++)
        pairs[i] = &merges->slots[find(merges, ids[i], ids[i + 1])];
    while (left > 1) {
        uint32_t at = 0;
        for (uint32_t i = 1; i + 1 < left; i++)
            if (pairs[i]->rank < pairs[at]->rank) at = i;
        if (pairs[at]->rank == QR_RANK_NONE) break;
        ids[at] = pairs[at]->merged;
        left--;
        for (uint32_t i = at + 1; i < left; i++) {
            ids[i] = ids[i + 1];
            places[i] = places[i + 1];
            pairs[i - 1] = pairs[i];
        }
        if (at > 0) pairs[at - 1] = &merges->slots[find(merges, ids[at - 1], ids[at])];
        if (at + 1 < left) pairs[at] = &merges->slots[find(merges, ids[at], ids[at + 1])];
    }
    places[left] = n;
    for (uint32_t i = 0; i < left; i++) {
        symbols[places[i]].id = ids[i];
        symbols[places[i]].next = places[i + 1];
    }
}

/* ---- long pieces ----------------------------------------------------------------------------- */

/* The queue of pairs, ordered by rank, then by index.
 *
 *     heads[bucket of ranks] --> node --> node      lists of buckets not yet active
 *     heap                                          pairs of the active bucket or below it
 *
 * The heap holds one bucket, so it stays small and in the cache; one heap of a million pairs would
 * miss the cache at every level.  A merge mostly makes pairs of higher rank, which go to a list.  A
 * pair of lower rank goes to the heap, so the order is exact.
 *
 * An entry is stale, and skipped, if its rank is no longer the rank of the pair at its index.  If
 * another pair of equal rank is there now, the entry counts for that pair. */
#define BUCKETS_MAX 4096u
#define LIST_END    UINT32_MAX

struct node {
    uint32_t place, next;
};

struct piece {
    const struct qr_merges *merges;
    struct qr_merge_scratch *scratch;
    struct qr_symbol *symbols; /* [n] */
    struct node *nodes;        /* [2 n]: n - 1 pairs; each merge removes one and adds two */
    uint32_t *heads;           /* [buckets_n] */
    uint32_t n, nodes_n, free; /* nodes used so far; list of freed nodes */
    uint32_t buckets_n;
    unsigned shift;  /* bucket = rank >> shift */
    uint32_t active; /* buckets below this one are in the heap */
    size_t heap_n;   /* entries of scratch->heap: rank << 32 | index */
};

static uint32_t buckets_for(size_t n)
{
    uint32_t buckets_n = 1;

    while (buckets_n < BUCKETS_MAX && buckets_n < n / 16)
        buckets_n *= 2;
    return buckets_n;
}

static void sift_down(uint64_t *heap, size_t n, size_t i)
{
    uint64_t value = heap[i];

    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= n) break;
        if (child + 1 < n && heap[child + 1] < heap[child]) child++;
        if (heap[child] >= value) break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = value;
}

/* Makes room for one more entry in the heap. */
static bool heap_room(struct piece *p)
{
    struct qr_merge_scratch *scratch = p->scratch;

    if (p->heap_n < scratch->heap_capacity) return true;
    size_t capacity = scratch->heap_capacity ? 2 * scratch->heap_capacity : 512;
    uint64_t *heap = qr_realloc(scratch->allocator, scratch->heap, capacity * sizeof *heap);
    if (!heap) return false;
    scratch->heap = heap;
    scratch->heap_capacity = capacity;
    return true;
}

static bool heap_add(struct piece *p, uint64_t value)
{
    if (!heap_room(p)) return false;
    uint64_t *heap = p->scratch->heap;
    size_t i = p->heap_n++;
    while (i > 0 && heap[(i - 1) / 2] > value) {
        heap[i] = heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    heap[i] = value;
    return true;
}

static uint64_t heap_take(struct piece *p)
{
    uint64_t *heap = p->scratch->heap, value = heap[0];

    p->heap_n--;
    if (p->heap_n > 0) {
        heap[0] = heap[p->heap_n];
        sift_down(heap, p->heap_n, 0);
    }
    return value;
}

/* The rank of the pair that begins at a place, or QR_RANK_NONE.  The last symbol and every symbol
 * that was merged into another have next == n. */
static uint32_t rank_of(const struct piece *p, uint32_t place)
{
    const struct qr_symbol *s = &p->symbols[place];

    return s->next == p->n ? QR_RANK_NONE : p->merges->slots[s->merge].rank;
}

/* Looks up the pair that begins at a place and queues it if it merges. */
static bool refresh(struct piece *p, uint32_t place)
{
    struct qr_symbol *s = &p->symbols[place];

    if (s->next == p->n) return true;
    s->merge = find(p->merges, s->id, p->symbols[s->next].id);
    uint32_t rank = p->merges->slots[s->merge].rank;
    if (rank == QR_RANK_NONE) return true;
    p->scratch->queued++;
    uint32_t bucket = rank >> p->shift;
    if (bucket < p->active) return heap_add(p, (uint64_t)rank << 32 | place);
    uint32_t node = p->free;
    if (node != LIST_END)
        p->free = p->nodes[node].next;
    else
        node = p->nodes_n++;
    assert(node < 2 * (uint64_t)p->n);
    p->nodes[node] = (struct node){place, p->heads[bucket]};
    p->heads[bucket] = node;
    return true;
}

/* Moves the list of the next bucket to the empty heap, without stale entries. */
static bool load_bucket(struct piece *p)
{
    uint32_t bucket = p->active++;

    for (uint32_t node = p->heads[bucket], next; node != LIST_END; node = next) {
        uint32_t place = p->nodes[node].place, rank = rank_of(p, place);
        next = p->nodes[node].next;
        if (next != LIST_END) __builtin_prefetch(&p->symbols[p->nodes[next].place]);
        p->nodes[node].next = p->free;
        p->free = node;
        if (rank == QR_RANK_NONE || rank >> p->shift != bucket) continue;
        if (!heap_room(p)) return false;
        p->scratch->heap[p->heap_n++] = (uint64_t)rank << 32 | place;
    }
    for (size_t i = p->heap_n / 2; i-- > 0;)
        sift_down(p->scratch->heap, p->heap_n, i);
    return true;
}

static bool merge_at(struct piece *p, uint32_t place)
{
    struct qr_symbol *s = &p->symbols[place];
    struct qr_symbol *gone = &p->symbols[s->next];

    s->id = p->merges->slots[s->merge].merged;
    s->next = gone->next;
    gone->next = p->n;
    if (s->next < p->n) p->symbols[s->next].previous = place;
    return refresh(p, place) && (place == 0 || refresh(p, s->previous));
}

static int merge_long(const struct qr_merges *merges, struct qr_merge_scratch *scratch, uint32_t n)
{
    struct piece p = {.merges = merges,
                      .scratch = scratch,
                      .symbols = scratch->memory,
                      .n = n,
                      .free = LIST_END,
                      .buckets_n = buckets_for(n)};

    p.nodes = (struct node *)(p.symbols + n);
    p.heads = (uint32_t *)(p.nodes + 2 * (size_t)n);
    memset(p.heads, 0xff, p.buckets_n * sizeof *p.heads);
    while (merges->ranks_n >> p.shift >= p.buckets_n)
        p.shift++;
    for (uint32_t i = 0; i < n; i++) {
        p.symbols[i].next = i + 1;
        p.symbols[i].previous = i - 1;
    }
    /* From the last to the first, so that each list is ordered by place. */
    for (uint32_t i = n; i-- > 0;)
        if (!refresh(&p, i)) return QUIRE_NO_MEMORY;
    for (;;) {
        while (p.heap_n == 0 && p.active < p.buckets_n)
            if (!load_bucket(&p)) return QUIRE_NO_MEMORY;
        if (p.heap_n == 0) return QUIRE_OK;
        uint64_t entry = heap_take(&p);
        uint32_t place = (uint32_t)entry;
        if (rank_of(&p, place) != (uint32_t)(entry >> 32)) continue;
        if (!merge_at(&p, place)) return QUIRE_NO_MEMORY;
    }
}

/* ---- one piece ------------------------------------------------------------------------------- */

struct qr_symbol *qr_merge_room(struct qr_merge_scratch *scratch, size_t n)
{
    size_t bytes;

    if (n <= QR_MERGE_SHORT) return scratch->few;
    if (n <= scratch->capacity) return scratch->memory;
    if (n > PIECE_MAX) return NULL;
    if (!qr_mul(n, sizeof(struct qr_symbol) + 2 * sizeof(struct node), &bytes)) return NULL;
    if (!qr_add_size(bytes, buckets_for(n) * sizeof(uint32_t), &bytes)) return NULL;
    qr_free(scratch->allocator, scratch->memory);
    scratch->memory = qr_alloc(scratch->allocator, bytes);
    scratch->capacity = scratch->memory ? n : 0;
    return scratch->memory;
}

int qr_merge(const struct qr_merges *merges, struct qr_merge_scratch *scratch, size_t n)
{
    assert(n <= QR_MERGE_SHORT || n <= scratch->capacity);
    if (n > QR_MERGE_SHORT) return merge_long(merges, scratch, (uint32_t)n);
    merge_short(merges, scratch->few, (uint32_t)n);
    return QUIRE_OK;
}

void qr_merge_scratch_deinit(struct qr_merge_scratch *scratch)
{
    qr_free(scratch->allocator, scratch->memory);
    qr_free(scratch->allocator, scratch->heap);
    scratch->memory = NULL;
    scratch->capacity = 0;
    scratch->heap = NULL;
    scratch->heap_capacity = 0;
}
