/* SPDX-License-Identifier: MIT */
#include "runtime/text/bpe.h"

#include <assert.h>
#include <string.h>

#include "runtime/base/error.h"
#include "runtime/base/limits.h"
#include "runtime/base/memory.h"

/* Indexes of a piece are 31 bits: 2 GB of text without a place to split it is no text. */
#define PIECE_MAX ((size_t)INT32_MAX)

/* ---- the table of merges -------------------------------------------------------------- */

static size_t slot_of(const struct qr_bpe *bpe, uint32_t left, uint32_t right)
{
    uint64_t pair = (uint64_t)left << 32 | right;

    return (size_t)((pair * UINT64_C(0x9e3779b97f4a7c15)) >> bpe->shift);
}

/* The merge of two neighbours, or a free slot: rank QR_RANK_NONE.  QR_ID_NONE merges with
 * nothing, since no merge names it. */
static const struct qr_merge *find(const struct qr_bpe *bpe, uint32_t left, uint32_t right)
{
    size_t mask = ((size_t)1 << (64 - bpe->shift)) - 1;

    for (size_t i = slot_of(bpe, left, right);; i = (i + 1) & mask) {
        const struct qr_merge *m = &bpe->merges[i];
        if (m->rank == QR_RANK_NONE || (m->left == left && m->right == right)) return m;
    }
}

static int bad_merge(struct quire_error *error, uint32_t rank, struct quire_text text,
                     const char *why)
{
    int shown = text.n < 80 ? (int)text.n : 80;

    return qr_error(error, QUIRE_BAD_FILE, "merge %u of tokenizer.ggml.merges, \"%.*s\", %s", rank,
                    shown, text.n ? text.data : "", why);
}

static int add_merge(struct qr_bpe *bpe, const struct qr_vocabulary *v, struct quire_text text,
                     uint32_t rank, struct quire_error *error)
{
    /* The first space that has something on both sides.  Byte letters have none among them. */
    const char *space = text.n > 2 ? memchr(text.data + 1, ' ', text.n - 2) : NULL;
    if (!space) {
        return bad_merge(error, rank, text, "is not two tokens with a space between them");
    }
    struct quire_text left = {text.data, (size_t)(space - text.data)};
    struct quire_text right = {space + 1, text.n - left.n - 1};
    struct quire_text none = {NULL, 0};
    struct qr_merge merge = {.left = qr_vocabulary_find(v, left, none),
                             .right = qr_vocabulary_find(v, right, none),
                             .rank = rank,
                             .merged = qr_vocabulary_find(v, left, right)};
    if (merge.left == QR_ID_NONE || merge.right == QR_ID_NONE || merge.merged == QR_ID_NONE) {
        return bad_merge(error, rank, text,
                         "names or makes a token that is not in tokenizer.ggml.tokens");
    }
    size_t mask = ((size_t)1 << (64 - bpe->shift)) - 1;
    size_t i = slot_of(bpe, merge.left, merge.right);
    while (bpe->merges[i].rank != QR_RANK_NONE) {
        const struct qr_merge *m = &bpe->merges[i];
        if (m->left == merge.left && m->right == merge.right) return QUIRE_OK; /* the first */
        i = (i + 1) & mask;
    }
    bpe->merges[i] = merge;
    return QUIRE_OK;
}

int qr_bpe_init(struct qr_bpe *bpe, const struct qr_vocabulary *vocabulary,
                const struct quire_text *merges, uint32_t merges_n,
                const struct quire_allocator *allocator, struct quire_error *error)
{
    *bpe = (struct qr_bpe){.shift = 60};
    if (merges_n > 4 * QR_VOCAB_MAX) {
        return qr_error(error, QUIRE_UNSUPPORTED,
                        "tokenizer.ggml.merges has %u merges; at most %u are supported", merges_n,
                        4 * QR_VOCAB_MAX);
    }
    while ((UINT64_C(1) << (64 - bpe->shift)) < 2 * (uint64_t)merges_n)
        bpe->shift--;
    size_t bytes = sizeof(*bpe->merges) << (64 - bpe->shift);
    bpe->merges = qr_alloc(allocator, bytes);
    if (!bpe->merges) {
        return qr_error(error, QUIRE_NO_MEMORY, "no memory for %u merges", merges_n);
    }
    memset(bpe->merges, 0xff, bytes);
    for (unsigned byte = 0; byte < 256; byte++) {
        char letter[2];
        struct quire_text text = {letter, qr_byte_letter((uint8_t)byte, letter)};
        bpe->letters[byte] = qr_vocabulary_find(vocabulary, text, (struct quire_text){NULL, 0});
    }
    for (uint32_t rank = 0; rank < merges_n; rank++) {
        int status = add_merge(bpe, vocabulary, merges[rank], rank, error);
        if (status != QUIRE_OK) {
            qr_bpe_deinit(bpe, allocator);
            return status;
        }
    }
    return QUIRE_OK;
}

void qr_bpe_deinit(struct qr_bpe *bpe, const struct quire_allocator *allocator)
{
    qr_free(allocator, bpe->merges);
    *bpe = (struct qr_bpe){0};
}

/* ---- short pieces --------------------------------------------------------------------- */

static void encode_short(const struct qr_bpe *bpe, const char *piece, uint32_t n,
                         struct qr_ids *out)
{
    uint32_t ids[QR_BPE_SHORT];
    const struct qr_merge *merges[QR_BPE_SHORT]; /* of a symbol with the next */

    for (uint32_t i = 0; i < n; i++)
        ids[i] = bpe->letters[(uint8_t)piece[i]];
    for (uint32_t i = 0; i + 1 < n; i++)
        merges[i] = find(bpe, ids[i], ids[i + 1]);
    while (n > 1) {
        uint32_t at = 0;
        for (uint32_t i = 1; i + 1 < n; i++) {
            if (merges[i]->rank < merges[at]->rank) at = i;
        }
        if (merges[at]->rank == QR_RANK_NONE) break;
        ids[at] = merges[at]->merged;
        n--;
        for (uint32_t i = at + 1; i < n; i++) {
            ids[i] = ids[i + 1];
            merges[i - 1] = merges[i];
        }
        if (at > 0) merges[at - 1] = find(bpe, ids[at - 1], ids[at]);
        if (at + 1 < n) merges[at] = find(bpe, ids[at], ids[at + 1]);
    }
    for (uint32_t i = 0; i < n; i++) {
        if (ids[i] != QR_ID_NONE) qr_ids_add(out, ids[i]);
    }
}

/* ---- long pieces ---------------------------------------------------------------------- */

/* Symbols are a list linked through the arrays, each at the place of its first byte.  The heap
 * has (rank << 32 | place) of pairs; one that is not the place's `rank` any more is stale and
 * passed over.  A rank names its pair, so one that came back is the same pair again. */
struct piece {
    const struct qr_bpe *bpe;
    uint32_t *ids;
    uint32_t *next; /* n: the last */
    uint32_t *previous;
    uint32_t *rank; /* of the pair that begins here, QR_RANK_NONE: none */
    uint64_t *heap; /* [2 n]: n - 1 pairs, and each merge takes one and adds two */
    size_t heap_n;
    uint64_t added; /* entries that the heap ever had */
    uint32_t n;
};

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

static void heap_add(struct piece *p, uint64_t value)
{
    size_t i = p->heap_n++;

    p->added++;
    assert(p->heap_n <= 2 * (size_t)p->n);
    while (i > 0 && p->heap[(i - 1) / 2] > value) {
        p->heap[i] = p->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    p->heap[i] = value;
}

static uint64_t heap_take(struct piece *p)
{
    uint64_t value = p->heap[0];

    p->heap_n--;
    if (p->heap_n > 0) {
        p->heap[0] = p->heap[p->heap_n];
        sift_down(p->heap, p->heap_n, 0);
    }
    return value;
}

/* Looks the pair that begins at `at` up. */
static bool refresh(struct piece *p, uint32_t at)
{
    uint32_t next = p->next[at];

    p->rank[at] = next < p->n ? find(p->bpe, p->ids[at], p->ids[next])->rank : QR_RANK_NONE;
    return p->rank[at] != QR_RANK_NONE;
}

static void merge_all(struct piece *p)
{
    while (p->heap_n > 0) {
        uint64_t entry = heap_take(p);
        uint32_t at = (uint32_t)entry;
        if (p->rank[at] != (uint32_t)(entry >> 32)) continue;

        uint32_t gone = p->next[at];
        p->ids[at] = find(p->bpe, p->ids[at], p->ids[gone])->merged;
        p->next[at] = p->next[gone];
        p->rank[gone] = QR_RANK_NONE;
        if (p->next[at] < p->n) p->previous[p->next[at]] = at;
        if (refresh(p, at)) heap_add(p, (uint64_t)p->rank[at] << 32 | at);
        if (at > 0) {
            uint32_t before = p->previous[at];
            if (refresh(p, before)) heap_add(p, (uint64_t)p->rank[before] << 32 | before);
        }
    }
}

/* Room for a piece of n bytes: four words and two heap entries a byte. */
static bool grow(struct qr_bpe_scratch *scratch, size_t n)
{
    size_t bytes;

    if (n <= scratch->capacity) return true;
    if (!qr_mul(n, 4 * sizeof(uint32_t) + 2 * sizeof(uint64_t), &bytes)) return false;
    qr_free(scratch->allocator, scratch->memory);
    scratch->memory = qr_alloc(scratch->allocator, bytes);
    scratch->capacity = scratch->memory ? n : 0;
    return scratch->memory != NULL;
}

static int encode_long(const struct qr_bpe *bpe, struct qr_bpe_scratch *scratch, const char *piece,
                       size_t piece_n, struct qr_ids *out)
{
    if (piece_n > PIECE_MAX || !grow(scratch, piece_n)) return QUIRE_NO_MEMORY;
    struct piece p = {.bpe = bpe, .heap = scratch->memory, .n = (uint32_t)piece_n};
    p.ids = (uint32_t *)(p.heap + 2 * piece_n);
    p.next = p.ids + piece_n;
    p.previous = p.next + piece_n;
    p.rank = p.previous + piece_n;
    for (uint32_t i = 0; i < p.n; i++) {
        p.ids[i] = bpe->letters[(uint8_t)piece[i]];
        p.next[i] = i + 1;
        p.previous[i] = i - 1;
    }
    for (uint32_t i = 0; i < p.n; i++) {
        if (refresh(&p, i)) p.heap[p.heap_n++] = (uint64_t)p.rank[i] << 32 | i;
    }
    for (size_t i = p.heap_n / 2; i-- > 0;)
        sift_down(p.heap, p.heap_n, i);
    p.added = p.heap_n;
    merge_all(&p);
    scratch->heap_added += p.added;
    for (uint32_t i = 0; i < p.n; i = p.next[i]) {
        if (p.ids[i] != QR_ID_NONE) qr_ids_add(out, p.ids[i]);
    }
    return QUIRE_OK;
}

int qr_bpe_encode(const struct qr_bpe *bpe, struct qr_bpe_scratch *scratch, const char *piece,
                  size_t piece_n, struct qr_ids *out)
{
    if (piece_n > QR_BPE_SHORT) return encode_long(bpe, scratch, piece, piece_n, out);
    encode_short(bpe, piece, (uint32_t)piece_n, out);
    return QUIRE_OK;
}

void qr_bpe_scratch_deinit(struct qr_bpe_scratch *scratch)
{
    qr_free(scratch->allocator, scratch->memory);
    *scratch = (struct qr_bpe_scratch){.allocator = scratch->allocator};
}
