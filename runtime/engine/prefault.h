/* SPDX-License-Identifier: MIT */
/* prefault -- gives pages their memory before a step writes into them.
 *
 * The system backs a region with memory at the first write, a huge page at a time, and zeroes it.
 * That is slow, above all on a virtual machine if the host has to find the memory.  If a step
 * writes first, one thread waits for the system and the other threads wait for that thread.  So the
 * team prefaults pages together:
 *
 *     | taken by sequences  | prefaulted ahead       | not yet |
 *     | before each step    | while the engine idles |
 *
 * Ahead are as many pages as sequences have ever taken, within the bounds below.
 * An engine that has taken no page prefaults none.  A request that comes meanwhile waits for one
 * huge page a thread at most.
 *
 * Pages are prefaulted from the first on, because a pool gives out new pages in order.  If planning
 * a step copies a page, the engine's thread may write it before that step's prefault.  If the
 * system cannot prefault, pages count as prefaulted and the first write does the work.
 *
 * Thread: the engine's.   Memory: none of its own. */
#ifndef QR_ENGINE_PREFAULT_H
#define QR_ENGINE_PREFAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/memory.h"
#include "runtime/base/team.h"

/* Bounds of the bytes prefaulted ahead: at least some pages of a large model, at most the pages for
 * a burst of requests. */
#define QR_PREFAULT_AHEAD_MIN ((size_t)16 << 20)
#define QR_PREFAULT_AHEAD_MAX ((size_t)1 << 30)

struct qr_prefault {
    const struct qr_region *pages; /* page 0 is at its start */
    size_t page_bytes;
    uint32_t pages_n;
    struct qr_team *team;
    size_t bytes; /* prefaulted, from the region's start */
};

/* pages and team outlive it. */
void qr_prefault_init(struct qr_prefault *r, const struct qr_region *pages, size_t page_bytes,
                      uint32_t pages_n, struct qr_team *team);

/* Prefaults pages [0, taken_n). */
void qr_prefault_make(struct qr_prefault *r, uint32_t taken_n);

/* Prefaults at most one huge page a thread ahead of taken_n pages.  False: nothing is left to do.
 */
bool qr_prefault_ahead(struct qr_prefault *r, uint32_t taken_n);

/* How many pages are prefaulted, and how many should be. */
uint32_t qr_prefault_n(const struct qr_prefault *r);
uint32_t qr_prefault_wanted_n(const struct qr_prefault *r, uint32_t taken_n);

#endif
