/* SPDX-License-Identifier: MIT */
/* prefault -- gives pages their memory before a step writes into them.
 *
 * The system gives memory to a region at the first write, a huge page at a time, and zeroes it.
 * That takes 0.2 ms for 2 MB, or 5 ms on a virtual machine whose host has to find the memory.  If a
 * step writes first, one thread waits for the system and the other threads wait for that thread. So
 * the team prefaults pages together:
 *
 *     | taken by sequences  | prefaulted ahead       | not yet |
 *     | before each step    | while the engine idles |
 *
 * Ahead are as many pages as sequences have ever taken, within the bounds below.
 * An engine that has taken no page prefaults none.  A request that comes meanwhile waits for one
 * huge page a thread at most.
 *
 * Pages count from the first, because a pool gives out new ones in order.  A page that is copied
 * while a step is planned is written by the engine's thread before that step's prefault, unless it
 * was prefaulted ahead.  Where the system cannot prefault, pages count as prefaulted and the first
 * write does the work.
 *
 * Thread: the engine's.   Memory: none of its own. */
#ifndef QR_ENGINE_PREFAULT_H
#define QR_ENGINE_PREFAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/memory.h"
#include "runtime/base/team.h"

/* Bounds of what is prefaulted ahead: at least some pages of a large model, at most what a burst of
 * requests may take. */
#define QR_PREFAULT_AHEAD_MIN ((size_t)16 << 20)
#define QR_PREFAULT_AHEAD_MAX ((size_t)1 << 30)

struct qr_prefault {
    const struct qr_region *pages; /* whose first page_bytes are page 0 */
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

/* How many pages are prefaulted, and how many are to be. */
uint32_t qr_prefault_n(const struct qr_prefault *r);
uint32_t qr_prefault_wanted_n(const struct qr_prefault *r, uint32_t taken_n);

#endif
