/* SPDX-License-Identifier: MIT */
/* team -- N threads that do one piece of work together; the caller is one of them.
 *
 * qr_team_run hands out pieces 0..pieces_n-1 and returns when all are done; qr_team_run_stages does
 * the same with several stages of work that follow each other.  Each thread begins with a home of
 * its own, a stretch of neighbouring pieces in order, and then helps the others; pieces are taken
 * in ranges by whoever is free: the caller never waits for a helper that has taken none, so a core
 * lost to another process costs what it had in hand and little more.  Helpers spin for a short
 * while after work, then sleep.
 *
 * Thread: one caller at a time.   Memory: the allocator given. */
#ifndef QR_BASE_TEAM_H
#define QR_BASE_TEAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/machine.h"
#include "runtime/quire.h"

struct qr_team;

/* Pieces [begin, end) of the work, on thread `thread` (0 is the caller). */
typedef void qr_team_fn(void *work, uint32_t begin, uint32_t end, uint32_t thread);

/* threads_n counts the caller.  0: qr_cores_available().  NULL: no memory or no threads. */
struct qr_team *qr_team_create(const struct quire_allocator *allocator, uint32_t threads_n);
void qr_team_destroy(struct qr_team *team); /* NULL is allowed */

uint32_t qr_team_threads(const struct qr_team *team);

/* Where the home of a thread ends and begins among a run's pieces. */
static inline uint32_t qr_team_home_end(uint32_t threads_n, uint32_t home, uint32_t pieces_n)
{
    return (uint32_t)((uint64_t)pieces_n * (home + 1) / threads_n);
}

static inline uint32_t qr_team_home_begin(uint32_t threads_n, uint32_t home, uint32_t pieces_n)
{
    return home ? qr_team_home_end(threads_n, home - 1, pieces_n) : 0;
}

/* The thread whose home a piece is in. */
static inline uint32_t qr_team_home_of(uint32_t threads_n, uint32_t piece, uint32_t pieces_n)
{
    return (uint32_t)(((uint64_t)(piece + 1) * threads_n - 1) / pieces_n);
}

/* What the run after the next will read first: each thread calls for `bytes` at data + thread *
 * stride when it has nothing left to do in a run.  A hint, which stands until it is changed; any
 * address is safe.  NULL: none. */
void qr_team_ahead(struct qr_team *team, const void *data, size_t stride, size_t bytes);

/* One stage of work.
 * range: the most pieces taken at once; pieces go to whoever is free, to the last one.
 * 0: half of what is left of a home, and homes are kept: others help a thread that has not come to
 * its home, but one that has only when it takes much longer than they took for theirs (it may have
 * lost its core), so that what a thread wrote in one stage it reads from its own core's cache in
 * the next.
 * meets: begins when the stage before is done.  Otherwise a home begins when the same home of the
 * stage before is done: threads do not wait for one another. */
struct qr_stage {
    qr_team_fn *fn;
    void *work;
    uint32_t pieces_n;
    uint32_t range;
    bool meets;
};

#define QR_STAGES_MAX 512u /* a model of 64 layers */

/* One stage. */
void qr_team_run(struct qr_team *team, qr_team_fn *fn, void *work, uint32_t pieces_n,
                 uint32_t range);
/* stages_n is at most QR_STAGES_MAX. */
void qr_team_run_stages(struct qr_team *team, const struct qr_stage *stages, uint32_t stages_n);

/* Whether a thread's core has been another process's too for a good part of the last stages: then
 * threads had better meet often and share what there is, since one of them is slow. */
bool qr_team_is_shared(const struct qr_team *team);

/* From now on the time that the caller waits for pieces in other threads' hands is added to
 * *waited_ns.  NULL (at first): it is not taken. */
void qr_team_measure(struct qr_team *team, uint64_t *waited_ns);

#endif
