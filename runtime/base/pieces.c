/* SPDX-License-Identifier: MIT */
#include "runtime/base/pieces.h"

#include <assert.h>

/* In a ticket's low half. */
#define BEGUN        0x80000000u
#define LEFT(ticket) ((uint32_t)(ticket) & ~BEGUN)

void qr_pieces_init(struct qr_pieces *p, struct qr_home *homes, uint32_t threads_n)
{
    p->homes = homes;
    p->threads_n = threads_n;
    atomic_store(&p->over, true);
}

bool qr_pieces_left(const struct qr_pieces *p, uint32_t home)
{
    return LEFT(atomic_load_explicit(&p->homes[home].ticket, memory_order_relaxed)) > 0;
}

/* ---- from stage to stage ----------------------------------------------------------------------
 */

static uint32_t pieces_of(const struct qr_pieces *p, uint32_t home, uint32_t stage, uint32_t *end)
{
    uint32_t n = atomic_load_explicit(&p->stages[stage].pieces_n, memory_order_relaxed);

    *end = qr_team_home_end(p->threads_n, home, n);
    return *end - qr_team_home_begin(p->threads_n, home, n);
}

/* Opens the first stage from `stage` on, before the next meeting, of which the home has pieces.
 * False: it has come to the meeting.  A thread that opens its own home is at work on it. */
static bool go_on(struct qr_pieces *p, uint32_t home, uint32_t stage, uint32_t thread)
{
    uint32_t meeting = atomic_load_explicit(&p->meeting, memory_order_relaxed);
    uint32_t first = atomic_load_explicit(&p->first, memory_order_relaxed);
    uint32_t end;

    for (; stage < meeting; stage++) {
        uint32_t n = pieces_of(p, home, stage, &end);
        if (n == 0) continue;
        atomic_store_explicit(&p->homes[home].done, 0, memory_order_relaxed);
        atomic_store_explicit(&p->homes[home].ticket,
                              (uint64_t)(first + stage) << 32 | n | (home == thread ? BEGUN : 0),
                              memory_order_release);
        return true;
    }
    return false;
}

/* The first stage after `stage` before which homes meet. */
static uint32_t meeting_after(const struct qr_pieces *p, uint32_t stage)
{
    uint32_t n = atomic_load_explicit(&p->stages_n, memory_order_relaxed);

    for (stage++; stage < n; stage++)
        if (atomic_load_explicit(&p->stages[stage].meets, memory_order_relaxed)) break;
    return stage;
}

/* So many homes have come to the meeting.  With the last of them all go on; those with nothing to
 * do before the next meeting have come to that one too.  True: homes were opened. */
static bool meet(struct qr_pieces *p, uint32_t homes_n, uint32_t thread)
{
    bool opened = false;

    while (homes_n) {
        uint32_t before = atomic_fetch_add_explicit(&p->arrived, homes_n, memory_order_acq_rel);
        if (before + homes_n < p->threads_n) break;
        uint32_t stage = atomic_load_explicit(&p->meeting, memory_order_relaxed);
        if (stage == atomic_load_explicit(&p->stages_n, memory_order_relaxed)) {
            atomic_store_explicit(&p->over, true, memory_order_release);
            break;
        }
        atomic_store_explicit(&p->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&p->meeting, meeting_after(p, stage), memory_order_relaxed);
        homes_n = 0;
        for (uint32_t home = 0; home < p->threads_n; home++)
            if (!go_on(p, home, stage, thread)) homes_n++;
        opened = true;
    }
    return opened;
}

void qr_pieces_begin(struct qr_pieces *p, const struct qr_stage *stages, uint32_t stages_n,
                     uint32_t thread)
{
    uint32_t first = atomic_load_explicit(&p->first, memory_order_relaxed) +
                     atomic_load_explicit(&p->stages_n, memory_order_relaxed);

    assert(qr_pieces_over(p) && stages_n > 0 && stages_n <= QR_STAGES_MAX);
    /* Every ticket has run out, so the fields are nobody's. */
    for (uint32_t i = 0; i < stages_n; i++) {
        struct qr_pieces_stage *to = &p->stages[i];
        atomic_store_explicit(&to->fn, stages[i].fn, memory_order_relaxed);
        atomic_store_explicit(&to->work, stages[i].work, memory_order_relaxed);
        atomic_store_explicit(&to->pieces_n, stages[i].pieces_n, memory_order_relaxed);
        atomic_store_explicit(&to->range, stages[i].range, memory_order_relaxed);
        atomic_store_explicit(&to->meets, stages[i].meets, memory_order_relaxed);
    }
    atomic_store_explicit(&p->first, first, memory_order_relaxed);
    atomic_store_explicit(&p->stages_n, stages_n, memory_order_relaxed);
    atomic_store_explicit(&p->over, false, memory_order_relaxed);
    atomic_store_explicit(&p->arrived, 0, memory_order_relaxed);
    atomic_store_explicit(&p->meeting, 0, memory_order_relaxed);
    (void)meet(p, p->threads_n, thread);
}

/* ---- taking -----------------------------------------------------------------------------------
 */

/* Does a range of a home at a stage, and sends the home on if it was the last in hand. */
static enum qr_taken do_range(struct qr_pieces *p, uint32_t home, uint32_t stage, uint32_t left,
                              uint32_t range, uint32_t thread)
{
    const struct qr_pieces_stage *s = &p->stages[stage];
    uint32_t end, n = pieces_of(p, home, stage, &end);
    qr_team_fn *fn = atomic_load_explicit(&s->fn, memory_order_relaxed);

    fn(atomic_load_explicit(&s->work, memory_order_relaxed), end - left, end - left + range,
       thread);
    uint32_t before = atomic_fetch_add_explicit(&p->homes[home].done, range, memory_order_acq_rel);
    if (before + range < n) return QR_TAKEN;
    if (go_on(p, home, stage + 1, thread)) return home == thread ? QR_TAKEN : QR_TAKEN_NEWS;
    return meet(p, 1, thread) ? QR_TAKEN_NEWS : QR_TAKEN;
}

/* One range of a home.  What is read before the swap may be another run's; then the ticket is
 * another too, and the swap fails. */
static enum qr_taken take_from(struct qr_pieces *p, uint32_t home, uint32_t thread, bool all)
{
    _Atomic uint64_t *word = &p->homes[home].ticket;
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
        uint32_t max = atomic_load_explicit(&p->stages[stage].range, memory_order_relaxed);
        uint32_t range = left - left / 2;
        if (max && range > max) range = max;
        if (!max && !all && home != thread && (ticket & BEGUN)) return QR_TAKEN_NONE;
        uint64_t taken = (ticket - range) | (home == thread ? BEGUN : 0);
        if (atomic_compare_exchange_weak_explicit(word, &ticket, taken, memory_order_acq_rel,
                                                  memory_order_acquire))
            return do_range(p, home, stage, left, range, thread);
    }
}

enum qr_taken qr_pieces_take(struct qr_pieces *p, uint32_t thread, bool all)
{
    uint32_t home = thread;

    do {
        enum qr_taken taken = take_from(p, home, thread, all);
        if (taken != QR_TAKEN_NONE) return taken;
        home = home + 1 < p->threads_n ? home + 1 : 0;
    } while (home != thread);
    return QR_TAKEN_NONE;
}
