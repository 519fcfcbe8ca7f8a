/* SPDX-License-Identifier: MIT */
/* stage -- one piece of work over many items, and the partition of items that each thread owns.
 *
 * The items of a stage are divided among N threads in advance.  A partition is a run of
 * neighbouring items.
 *
 *     items       0 1 2 3 4 5 6 7 8 9        10 items, 3 threads
 *     partition   0 0 0 1 1 1 2 2 2 2
 *
 * Thread: any.   Memory: none. */
#ifndef QR_BASE_STAGE_H
#define QR_BASE_STAGE_H

#include <stdbool.h>
#include <stdint.h>

/* Computes items [begin, end) of the work on thread `thread` (0 is the caller). */
typedef void qr_team_fn(void *work, uint32_t begin, uint32_t end, uint32_t thread);

/* grain: the most items that a thread takes at once.  Idle threads steal from any partition.
 *   QR_GRAIN_OWNER: a thread takes half of the items left in a partition.  Others do not steal from
 *   a partition that its owner has begun, unless the owner takes much longer than they did: it may
 *   have lost its core.  So a thread finds what it wrote in the stage before in its own cache.
 * barrier: the stage begins when every item of the stage before is done.  Without it a partition
 *   begins when the same partition of the stage before is done. */
struct qr_stage {
    qr_team_fn *fn;
    void *work;
    uint32_t items_n;
    uint32_t grain;
    bool barrier;
};

#define QR_GRAIN_OWNER 0u
#define QR_STAGES_MAX  512u /* in one run: a model of 64 layers */

/* A partition is [qr_partition_begin, qr_partition_end) of items_n. */
static inline uint32_t qr_partition_end(uint32_t threads_n, uint32_t partition, uint32_t items_n)
{
    return (uint32_t)((uint64_t)items_n * (partition + 1) / threads_n);
}

static inline uint32_t qr_partition_begin(uint32_t threads_n, uint32_t partition, uint32_t items_n)
{
    return partition ? qr_partition_end(threads_n, partition - 1, items_n) : 0;
}

/* The partition of an item. */
static inline uint32_t qr_partition_of(uint32_t threads_n, uint32_t item, uint32_t items_n)
{
    return (uint32_t)(((uint64_t)(item + 1) * threads_n - 1) / items_n);
}

#endif
