/* SPDX-License-Identifier: MIT */
/* turns -- when a thread that shares its core with another process should leave it of its own will.
 *
 * Such a thread is interrupted at the end of its slice, most likely with pieces in hand, for which
 * its team then waits as long as the other process has the core: the team would stand still half of
 * the time.  A thread that sees time go missing sleeps when it has nothing in hand: it is then owed
 * time and is not interrupted, and nobody waits for it.
 *
 * Thread: the one that it is about.   Memory: none. */
#ifndef QR_BASE_TURNS_H
#define QR_BASE_TURNS_H

#include <stdbool.h>
#include <stdint.h>

/* How long a thread looks at its time, and what part of it makes it take turns if it is missing.
 * With a third missing the team, standing still for as long, does about what it does by turns.  One
 * slice of another process, 3 to 4 ms, is not a third of the first look: turns are for one that
 * stays.  Whether it has stayed is seen sooner. */
#define QR_TURNS_LOOK_NS       UINT64_C(16000000)
#define QR_TURNS_AGAIN_NS      UINT64_C(8000000)
#define QR_TURNS_MISSING_SHARE 3u
/* Then for so long; how long it works, and how long it is to be away. */
#define QR_TURNS_NS      UINT64_C(100000000)
#define QR_TURNS_WORK_NS UINT64_C(1500000)
#define QR_TURNS_AWAY_NS 2000000

struct qr_turns {
    uint64_t looked_ns; /* when it last looked, and the CPU time that it had had by then */
    uint64_t had_ns;
    uint64_t until_ns; /* it takes turns until then; 0: it does not */
    uint64_t work_ns;  /* its last turn's begin */
    bool again;        /* it has just taken turns, and not slept since */
};

/* Time that has passed up to now is not missing: the thread has slept.  had_ns: its CPU time. */
void qr_turns_begin(struct qr_turns *t, uint64_t now_ns, uint64_t had_ns);

/* To be asked with nothing in hand.  True: it should be away for QR_TURNS_AWAY_NS.  had: asked
 * for the thread's CPU time, where it counts. */
bool qr_turns_over(struct qr_turns *t, uint64_t now_ns, uint64_t (*had)(void));

#endif
