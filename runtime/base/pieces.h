/* SPDX-License-Identifier: MIT */
/* pieces -- hands out the pieces of stages that follow each other to the threads of a team.
 *
 * Each thread has a home in every stage: a stretch of neighbouring pieces.  A home goes from stage
 * to stage by itself, when all its pieces are done; at a stage that `meets` it waits for the other
 * homes.  A thread takes from the front of its own home, half of what is left at a time, so that it
 * reads memory in one stream; others help where that is allowed (see qr_pieces_take).
 *
 * A home is handed out through one word, its ticket: the stage's number in the high half, in the
 * low half how many of its pieces are left and whether its own thread has begun it.  Taking pieces
 * is a compare-and-swap of the ticket, so it can only succeed while that stage still has pieces
 * left; and as long as a piece is taken and not done, its home goes no further and the stages
 * stand.  A thread that comes late finds nothing left and harms nothing: a ticket that has run out
 * says so by itself, whatever the fields beside it.
 *
 * Whoever does a home's last piece sends it on: no thread is waited for that has nothing in hand.
 *
 * Thread: qr_pieces_begin by one, when all is over; the others by any.   Memory: the caller's. */
#ifndef QR_BASE_PIECES_H
#define QR_BASE_PIECES_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "runtime/base/team.h"

struct qr_home {
    alignas(64) _Atomic uint64_t ticket;
    _Atomic uint32_t done; /* pieces of its stage */
};

/* As qr_stage; helpers that come late may read it while it is written. */
struct qr_pieces_stage {
    _Atomic(qr_team_fn *) fn;
    _Atomic(void *) work;
    _Atomic uint32_t pieces_n;
    _Atomic uint32_t range;
    _Atomic bool meets;
};

struct qr_pieces {
    alignas(64) _Atomic uint32_t arrived; /* homes that have come to the next meeting */
    alignas(64) _Atomic bool over;
    _Atomic uint32_t meeting; /* the stage before which homes meet; stages_n: the end */
    _Atomic uint32_t first;   /* the first stage's number: numbers grow from begin to begin */
    _Atomic uint32_t stages_n;
    uint32_t threads_n;
    struct qr_home *homes; /* [threads_n] */
    struct qr_pieces_stage stages[QR_STAGES_MAX];
};

/* homes: [threads_n], zeroed. */
void qr_pieces_init(struct qr_pieces *p, struct qr_home *homes, uint32_t threads_n);

/* Opens the first stages.  stages_n is 1 to QR_STAGES_MAX. */
void qr_pieces_begin(struct qr_pieces *p, const struct qr_stage *stages, uint32_t stages_n,
                     uint32_t thread);

enum qr_taken {
    QR_TAKEN_NONE, /* nothing was free */
    QR_TAKEN,      /* a range was done */
    QR_TAKEN_NEWS  /* and by that other threads' homes were opened */
};

/* Takes one range and does it: of the thread's own home, or else of another.  Where homes are kept
 * (range 0) only of one whose thread has not begun it, unless `all`. */
enum qr_taken qr_pieces_take(struct qr_pieces *p, uint32_t thread, bool all);

/* The number of the stage that a home is at. */
static inline uint32_t qr_pieces_stage_of(const struct qr_pieces *p, uint32_t home)
{
    return (uint32_t)(atomic_load_explicit(&p->homes[home].ticket, memory_order_relaxed) >> 32);
}

/* All pieces of all stages are done. */
static inline bool qr_pieces_over(const struct qr_pieces *p)
{
    return atomic_load_explicit(&p->over, memory_order_acquire);
}

/* Whether a thread's own home has pieces left. */
bool qr_pieces_left(const struct qr_pieces *p, uint32_t home);

#endif
