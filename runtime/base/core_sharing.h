/* SPDX-License-Identifier: MIT */
/* core_sharing -- when a thread should give up a core that another process uses too.
 *
 * The system preempts such a thread at the end of its time slice, most likely while it holds items.
 * Its team then waits until the other process's slice is over: half of the time.  So a thread that
 * misses CPU time sleeps while it holds no item, and no thread waits for it.  A thread that slept
 * has used less than its fair share, so the system lets it run on for a while when it wakes.
 *
 * Thread: the one whose core is shared.   Memory: the caller's. */
#ifndef QR_BASE_CORE_SHARING_H
#define QR_BASE_CORE_SHARING_H

#include <stdbool.h>
#include <stdint.h>

/* A thread compares its CPU time with the clock every LOOK_NS, and yields if more than one part in
 * MISSING_SHARE is missing.  With a third missing, a team that waits makes as much progress as one
 * that yields.  One slice of 3 to 4 ms is less than a third of 16 ms, so a thread yields only to a
 * lasting competitor.  After it has yielded, it looks again sooner: AGAIN_NS. */
#define QR_SHARING_LOOK_NS       UINT64_C(16000000)
#define QR_SHARING_AGAIN_NS      UINT64_C(8000000)
#define QR_SHARING_MISSING_SHARE 3u
/* It then alternates between work and sleep for QR_SHARING_NS. */
#define QR_SHARING_NS      UINT64_C(100000000)
#define QR_SHARING_WORK_NS UINT64_C(1500000)
#define QR_SHARING_AWAY_NS 2000000

struct qr_core_sharing {
    uint64_t looked_ns; /* time of the last look */
    uint64_t had_ns;    /* CPU time of the thread at that look */
    uint64_t until_ns;  /* it alternates between work and sleep until then; 0: it does not */
    uint64_t work_ns;   /* when its last period of work began */
    bool again;         /* it has just alternated, and not slept since */
};

/* Starts anew after the thread has slept: time before now_ns does not count.  had_ns: the thread's
 * CPU time. */
void qr_core_sharing_begin(struct qr_core_sharing *t, uint64_t now_ns, uint64_t had_ns);

/* Call while the thread holds no item.  True: it should sleep for QR_SHARING_AWAY_NS.  had returns
 * the thread's CPU time; it is called only when a look is due. */
bool qr_core_sharing_over(struct qr_core_sharing *t, uint64_t now_ns, uint64_t (*had)(void));

#endif
