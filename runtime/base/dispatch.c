/* SPDX-License-Identifier: MIT */
#include "runtime/base/dispatch.h"

#include <assert.h>

/* Parts of a ticket's low half. */
#define BEGUN        0x80000000u
#define LEFT(ticket) ((uint32_t)(ticket) & ~BEGUN)

void qr_dispatch_init(struct qr_dispatch *p, struct qr_partition *partitions, uint32_t threads_n)
{
    p->partitions = partitions;
    p->threads_n = threads_n;
    atomic_store(&p->over, true);
}

bool qr_dispatch_left(const struct qr_dispatch *p, uint32_t partition)
{
    return LEFT(atomic_load_explicit(&p->partitions[partition].ticket, memory_order_relaxed)) > 0;
}

/* ---- from stage to stage -------------------------------------------------------------------- */

static uint32_t items_of(const struct qr_dispatch *p, uint32_t partition, uint32_t stage,
                         uint32_t *end)
{
    uint32_t n = atomic_load_explicit(&p->stages[stage].items_n, memory_order_relaxed);

    *end = qr_partition_end(p->threads_n, partition, n);
    return *end - qr_partition_begin(p->threads_n, partition, n);
}

/* Opens the partition in the next stage, from `stage` up to the barrier, in which it has items.
 * False: there is no such stage, so the partition is at the barrier.  A thread that opens its own
 * partition has begun it. */
static bool go_on(struct qr_dispatch *p, uint32_t partition, uint32_t stage, uint32_t thread)
{
    uint32_t barrier = atomic_load_explicit(&p->barrier, memory_order_relaxed);
    uint32_t first = atomic_load_explicit(&p->first, memory_order_relaxed);
    uint32_t end;

    for (; stage < barrier; stage++) {
        uint32_t n = items_of(p, partition, stage, &end);
        if (n == 0) continue;
        atomic_store_explicit(&p->partitions[partition].done, 0, memory_order_relaxed);
        atomic_store_explicit(&p->partitions[partition].ticket,
                              (uint64_t)(first + stage) << 32 | n |
                                  (partition == thread ? BEGUN : 0),
                              memory_order_release);
        return true;
    }
    return false;
}

/* The first stage after `stage` that has a barrier; stages_n: none. */
static uint32_t barrier_after(const struct qr_dispatch *p, uint32_t stage)
{
    uint32_t n = atomic_load_explicit(&p->stages_n, memory_order_relaxed);

    for (stage++; stage < n; stage++)
        if (atomic_load_explicit(&p->stages[stage].barrier, memory_order_relaxed)) break;
    return stage;
}

/* Partitions arrive at the barrier.  The last one opens it for all.  A partition without items
 * before the next barrier arrives at that one at once.  True: partitions were opened. */
static bool arrive(struct qr_dispatch *p, uint32_t partitions_n, uint32_t thread)
{
    bool opened = false;

    while (partitions_n) {
        uint32_t before =
            atomic_fetch_add_explicit(&p->arrived, partitions_n, memory_order_acq_rel);
        if (before + partitions_n < p->threads_n) break;
        uint32_t stage = atomic_load_explicit(&p->barrier, memory_order_relaxed);
        if (stage == atomic_load_explicit(&p->stages_n, memory_order_relaxed)) {
            atomic_store_explicit(&p->over, true, memory_order_release);
            break;
        }
        atomic_store_explicit(&p->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&p->barrier, barrier_after(p, stage), memory_order_relaxed);
        partitions_n = 0;
        for (uint32_t partition = 0; partition < p->threads_n; partition++)
            if (!go_on(p, partition, stage, thread)) partitions_n++;
        opened = true;
    }
    return opened;
}

void qr_dispatch_begin(struct qr_dispatch *p, const struct qr_stage *stages, uint32_t stages_n,
                       uint32_t thread)
{
    uint32_t first = atomic_load_explicit(&p->first, memory_order_relaxed) +
                     atomic_load_explicit(&p->stages_n, memory_order_relaxed);

    assert(qr_dispatch_over(p) && stages_n > 0 && stages_n <= QR_STAGES_MAX);
    /* Every ticket is empty, so no thread reads the fields. */
    for (uint32_t i = 0; i < stages_n; i++) {
        struct qr_dispatch_stage *to = &p->stages[i];
        atomic_store_explicit(&to->fn, stages[i].fn, memory_order_relaxed);
        atomic_store_explicit(&to->work, stages[i].work, memory_order_relaxed);
        atomic_store_explicit(&to->items_n, stages[i].items_n, memory_order_relaxed);
        atomic_store_explicit(&to->grain, stages[i].grain, memory_order_relaxed);
        atomic_store_explicit(&to->barrier, stages[i].barrier, memory_order_relaxed);
    }
    atomic_store_explicit(&p->first, first, memory_order_relaxed);
    atomic_store_explicit(&p->stages_n, stages_n, memory_order_relaxed);
    atomic_store_explicit(&p->over, false, memory_order_relaxed);
    atomic_store_explicit(&p->arrived, 0, memory_order_relaxed);
    atomic_store_explicit(&p->barrier, 0, memory_order_relaxed);
    (void)arrive(p, p->threads_n, thread);
}

/* ---- taking --------------------------------------------------------------------------------- */

/* Does n items of a partition and, if they were its last, moves it to the next stage. */
static enum qr_taken do_grain(struct qr_dispatch *p, uint32_t partition, uint32_t stage,
                              uint32_t left, uint32_t grain, uint32_t thread)
{
    const struct qr_dispatch_stage *s = &p->stages[stage];
    uint32_t end, n = items_of(p, partition, stage, &end);
    qr_team_fn *fn = atomic_load_explicit(&s->fn, memory_order_relaxed);

    fn(atomic_load_explicit(&s->work, memory_order_relaxed), end - left, end - left + grain,
       thread);
    uint32_t before =
        atomic_fetch_add_explicit(&p->partitions[partition].done, grain, memory_order_acq_rel);
    if (before + grain < n) return QR_TAKEN;
    if (go_on(p, partition, stage + 1, thread))
        return partition == thread ? QR_TAKEN : QR_TAKEN_NEWS;
    return arrive(p, 1, thread) ? QR_TAKEN_NEWS : QR_TAKEN;
}

/* Takes items from a partition.  Fields read before the swap may belong to another run.  The ticket
 * then differs too, so the swap fails. */
static enum qr_taken take_from(struct qr_dispatch *p, uint32_t partition, uint32_t thread, bool all)
{
    _Atomic uint64_t *word = &p->partitions[partition].ticket;
    uint64_t ticket = atomic_load_explicit(word, memory_order_acquire);

    for (;;) {
        uint32_t left = LEFT(ticket);
        if (left == 0) return QR_TAKEN_NONE;
        uint32_t stage =
            (uint32_t)(ticket >> 32) - atomic_load_explicit(&p->first, memory_order_relaxed);
        if (stage >= QR_STAGES_MAX) {
            ticket = atomic_load_explicit(word, memory_order_acquire);
            continue;
        }
        uint32_t max = atomic_load_explicit(&p->stages[stage].grain, memory_order_relaxed);
        uint32_t grain = left - left / 2;
        if (max && grain > max) grain = max;
        if (!max && !all && partition != thread && (ticket & BEGUN)) return QR_TAKEN_NONE;
        uint64_t taken = (ticket - grain) | (partition == thread ? BEGUN : 0);
        if (atomic_compare_exchange_weak_explicit(word, &ticket, taken, memory_order_acq_rel,
                                                  memory_order_acquire))
            return do_grain(p, partition, stage, left, grain, thread);
    }
}

enum qr_taken qr_dispatch_take(struct qr_dispatch *p, uint32_t thread, bool all)
{
    uint32_t partition = thread;

    do {
        enum qr_taken taken = take_from(p, partition, thread, all);
        if (taken != QR_TAKEN_NONE) return taken;
        partition = partition + 1 < p->threads_n ? partition + 1 : 0;
    } while (partition != thread);
    return QR_TAKEN_NONE;
}
