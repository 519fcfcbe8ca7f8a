/* SPDX-License-Identifier: MIT */
/* rows_topk -- the k best values of a row, in a heap with the worst of them at its root.
 *
 * Private to rows.  A variant scans the row and offers the values that may beat the root; offering
 * other values changes nothing.  NaN is worse than every number.
 *
 * Thread: any.   Memory: the caller's.
 * Invariant: between begin and end, no entry of the heap is better than any of its children. */
#ifndef QR_KERNELS_ROWS_TOPK_H
#define QR_KERNELS_ROWS_TOPK_H

#include <math.h>
#include <stdbool.h>

#include "kernels/rows.h"

static inline bool qr_topk_better(float av, uint32_t ai, float bv, uint32_t bi)
{
    if (av > bv) return true;
    if (av < bv) return false;
    if ((av != av) != (bv != bv)) return bv != bv;
    return ai < bi;
}

/* Moves the entry down from `at` until the invariant is true. */
static inline void qr_topk_sink(struct qr_scored *heap, uint32_t n, uint32_t at,
                                struct qr_scored entry)
{
    for (;;) {
        uint32_t child = 2 * at + 1;

        if (child >= n) break;
        if (child + 1 < n && qr_topk_better(heap[child].value, heap[child].index,
                                            heap[child + 1].value, heap[child + 1].index))
            child++;
        if (!qr_topk_better(entry.value, entry.index, heap[child].value, heap[child].index)) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = entry;
}

static inline void qr_topk_heapify(struct qr_scored *heap, uint32_t k)
{
    for (uint32_t i = k / 2; i-- > 0;)
        qr_topk_sink(heap, k, i, heap[i]);
}

/* Makes the heap of the row's first k values; k > 0. */
static inline void qr_topk_begin(const float *x, uint32_t k, struct qr_scored *heap)
{
    for (uint32_t i = 0; i < k; i++)
        heap[i] = (struct qr_scored){x[i], i};
    qr_topk_heapify(heap, k);
}

static inline void qr_topk_offer(struct qr_scored *heap, uint32_t k, float value, uint32_t index)
{
    if (qr_topk_better(value, index, heap[0].value, heap[0].index))
        qr_topk_sink(heap, k, 0, (struct qr_scored){value, index});
}

/* Sorts the heap in descending order. */
static inline void qr_topk_end(struct qr_scored *heap, uint32_t k)
{
    for (uint32_t n = k; n-- > 1;) {
        struct qr_scored last = heap[n];

        heap[n] = heap[0];
        qr_topk_sink(heap, n, 0, last);
    }
}

/* For a large k and a long row: a floor that at least k values reach, and few more than k.  It is
 * the k-th greatest of the maxima of the row's segments.  -infinity: k or n is too small for this
 * to be faster.  row_max: the greatest of n values, without NaN.  heap: k entries, overwritten. */
#define QR_TOPK_SEGMENTS_MAX 2048u
#define QR_TOPK_MANY         32u

static inline __attribute__((always_inline)) float
qr_topk_floor(const float *x, uint32_t n, uint32_t k, struct qr_scored *heap,
              float (*row_max)(const float *x, uint32_t n))
{
    float maxima[QR_TOPK_SEGMENTS_MAX];
    uint32_t segment = 64 * (1 + n / (64 * QR_TOPK_SEGMENTS_MAX));
    uint32_t segments_n = n / segment;

    if (k < QR_TOPK_MANY || segments_n < 2 * k) return -INFINITY;
    for (uint32_t i = 0; i < segments_n; i++)
        maxima[i] = row_max(x + (size_t)i * segment, segment);
    qr_topk_begin(maxima, k, heap);
    for (uint32_t i = k; i < segments_n; i++)
        qr_topk_offer(heap, k, maxima[i], i);
    return heap[0].value;
}

/* The heap of the first k values that reach floor, step values looked at together by `reaching`.
 * Returns where to go on. */
static inline __attribute__((always_inline)) uint32_t
qr_topk_fill(const float *x, uint32_t n, uint32_t k, struct qr_scored *heap, float floor,
             uint32_t step,
             uint32_t (*reaching)(const float *x, uint32_t i, uint32_t n, float floor, bool past))
{
    uint32_t i = 0;

    for (uint32_t have = 0; have < k; i += step) {
        for (uint32_t found = reaching(x, i, n, floor, false); found; found &= found - 1) {
            uint32_t at = i + (uint32_t)__builtin_ctz(found);

            if (have < k) {
                heap[have++] = (struct qr_scored){x[at], at};
                if (have == k) qr_topk_heapify(heap, k);
            } else {
                qr_topk_offer(heap, k, x[at], at);
            }
        }
    }
    return i;
}

#endif
