/* SPDX-License-Identifier: MIT */
/* ready -- a page's memory is there before a step's rows are written into it.
 *
 * A region's memory comes from the system when it is first written, a huge page at a time, and has
 * to be zeroed: 0.2 ms for 2 MB, or 5 where the machine is a virtual one and its host has to find
 * it.  If a step's threads write first, each such piece is one thread's, and the others wait.  So
 * the team makes pages ready together: those that a step has taken, before it computes; and while
 * there is nothing to do some more, as many again as were ever taken, since what grows goes on
 * growing, up to a bound.  An engine that has taken no page makes none ready.  A request that comes
 * meanwhile waits for the pieces in hand, one a thread.
 *
 * Pages are counted from the first: a pool gives out new ones in order.  A page that is copied
 * while a step is planned is written before all that, by the engine's thread, unless it was ready
 * ahead. Where the system cannot fill memory on demand, pages count as ready and the first write
 * does it.
 *
 * Thread: the engine's.   Memory: none of its own. */
#ifndef QR_ENGINE_READY_H
#define QR_ENGINE_READY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/memory.h"
#include "runtime/base/team.h"

/* How much is made ready ahead of what is taken: at least some pages of a large model, at the most
 * what a burst of requests may take. */
#define QR_READY_AHEAD_MIN ((size_t)16 << 20)
#define QR_READY_AHEAD_MAX ((size_t)1 << 30)

struct qr_ready {
    const struct qr_region *pages; /* whose first page_bytes are page 0 */
    size_t page_bytes;
    uint32_t pages_n;
    struct qr_team *team;
    size_t bytes; /* of the region, from its start */
};

/* pages and team stay. */
void qr_ready_init(struct qr_ready *r, const struct qr_region *pages, size_t page_bytes,
                   uint32_t pages_n, struct qr_team *team);

/* Pages [0, taken_n) are ready when it returns. */
void qr_ready_make(struct qr_ready *r, uint32_t taken_n);

/* Makes one piece a thread, at the most, ready of what is wanted ahead of taken_n pages.  False:
 * all is. */
bool qr_ready_ahead(struct qr_ready *r, uint32_t taken_n);

/* How many pages are ready, and how many are to be. */
uint32_t qr_ready_n(const struct qr_ready *r);
uint32_t qr_ready_wanted_n(const struct qr_ready *r, uint32_t taken_n);

#endif
