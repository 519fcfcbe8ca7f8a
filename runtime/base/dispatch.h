/* SPDX-License-Identifier: MIT */
/* dispatch -- hands out the items of stages to the threads of a team.
 *
 * Each thread owns a partition in every stage.  When all items of a partition are done it goes on
 * to the next stage by itself.  Before a stage with a barrier it waits for the other partitions.  A
 * thread takes half of the items that are left in its own partition, from the front, so it reads
 * memory in one stream.  Other threads steal where the stage allows it.
 *
 * A partition is handed out through one word, its ticket:
 *
 *     | stage number (32) | begun by its owner (1) | items left (31) |
 *
 * Taking items is a compare-and-swap of the ticket, so it succeeds only while that stage has items
 * left.  A partition stays at its stage until every taken item is done.  A late thread finds an
 * empty ticket and takes nothing, even if the fields next to the ticket belong to another run.
 *
 * The thread that finishes a partition's last item opens the next stage for it.  So no thread waits
 * for one that holds no item.
 *
 * Thread: one thread calls qr_dispatch_begin, when all stages are over; any calls the others.
 * Memory: the caller's. */
#ifndef QR_BASE_DISPATCH_H
#define QR_BASE_DISPATCH_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "runtime/base/stage.h"

struct qr_partition {
    alignas(64) _Atomic uint64_t ticket;
    _Atomic uint32_t done; /* items of its stage */
};

/* As qr_stage.  Late threads may read it while it is written. */
struct qr_dispatch_stage {
    _Atomic(qr_team_fn *) fn;
    _Atomic(void *) work;
    _Atomic uint32_t items_n;
    _Atomic uint32_t grain;
    _Atomic bool barrier;
};

struct qr_dispatch {
    alignas(64) _Atomic uint32_t arrived; /* partitions at the next barrier */
    alignas(64) _Atomic bool over;
    _Atomic uint32_t barrier; /* the stage before which partitions wait; stages_n: the end */
    _Atomic uint32_t first;   /* number of the first stage; numbers grow with every run */
    _Atomic uint32_t stages_n;
    uint32_t threads_n;
    struct qr_partition *partitions; /* [threads_n] */
    struct qr_dispatch_stage stages[QR_STAGES_MAX];
};

/* partitions: [threads_n], zeroed. */
void qr_dispatch_init(struct qr_dispatch *d, struct qr_partition *partitions, uint32_t threads_n);

/* Opens the first stages.  stages_n is 1 to QR_STAGES_MAX. */
void qr_dispatch_begin(struct qr_dispatch *d, const struct qr_stage *stages, uint32_t stages_n,
                       uint32_t thread);

enum qr_taken {
    QR_TAKEN_NONE, /* no items were free */
    QR_TAKEN,      /* items were done */
    QR_TAKEN_NEWS  /* items were done, and that opened partitions of other threads */
};

/* Takes items and does them: from the thread's own partition first, else from another.  With
 * QR_GRAIN_OWNER it steals from a partition that the owner has begun only if `all`. */
enum qr_taken qr_dispatch_take(struct qr_dispatch *d, uint32_t thread, bool all);

/* The number of the stage in which a partition is. */
static inline uint32_t qr_dispatch_stage_of(const struct qr_dispatch *d, uint32_t partition)
{
    return (
        uint32_t)(atomic_load_explicit(&d->partitions[partition].ticket, memory_order_relaxed) >>
                  32);
}

/* Whether all items of all stages are done. */
static inline bool qr_dispatch_over(const struct qr_dispatch *d)
{
    return atomic_load_explicit(&d->over, memory_order_acquire);
}

/* Whether a partition has items left. */
bool qr_dispatch_left(const struct qr_dispatch *d, uint32_t partition);

#endif
