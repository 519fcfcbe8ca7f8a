/* SPDX-License-Identifier: MIT */
#include "runtime/model/pass.h"

#include <assert.h>
#include <stdalign.h>
#include <string.h>

#include "runtime/base/memory.h"
#include "runtime/model/layout.h"

/* Waking the team and its barrier take 0.2 to 0.5 us, in which one core does some ten thousand
 * multiply-adds. */
#define ALONE_COST_MAX 16384u
/* What each thread prefetches for the next stage while it waits: as much as memory delivers in that
 * time, far less than a second-level cache. */
#define HINT_BYTES_MAX ((size_t)16 << 10)

/* A collected stage, with a copy of its work. */
struct link {
    alignas(QR_CACHE_LINE) uint8_t work[QR_WORK_BYTES];
    struct qr_pass *p;
    qr_team_fn *fn;
    enum qr_phase phase;
};

struct qr_chain {
    struct link links[QR_STAGES_MAX];
    struct qr_stage stages[QR_STAGES_MAX];
    uint32_t n;
    enum qr_phase entered;                   /* by the caller while the stages run */
    enum qr_rows_of last_read, last_written; /* by the stage that was added last */
};

static void lay_out(struct qr_pass *p, struct qr_layout *l)
{
    p->scratch = qr_layout_place(l, p->threads_n, p->scratch_bytes);
    p->chain = qr_layout_place(l, 1, sizeof *p->chain);
}

size_t qr_pass_bytes(uint32_t threads_n, size_t scratch_bytes)
{
    struct qr_pass p = {.threads_n = threads_n, .scratch_bytes = qr_whole_lines(scratch_bytes)};
    struct qr_layout l = {0};

    lay_out(&p, &l);
    return l.bytes;
}

void qr_pass_init(struct qr_pass *p, void *memory, struct qr_team *team, size_t scratch_bytes)
{
    *p = (struct qr_pass){.team = team,
                          .threads_n = qr_team_threads(team),
                          .scratch_bytes = qr_whole_lines(scratch_bytes)};
    lay_out(p, &(struct qr_layout){.base = memory});
    p->chain->n = 0;
    p->chain->last_read = p->chain->last_written = QR_ROWS_OWN;
}

static void enter(struct qr_pass *p, enum qr_phase phase)
{
    if (p->phases) qr_phases_enter(p->phases, phase);
}

/* ---- stages that are collected -------------------------------------------------------------- */

/* The caller's first item of a stage enters the stage's phase. */
static void run_link(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    struct link *link = work;
    struct qr_chain *chain = link->p->chain;

    if (thread == 0 && chain->entered != link->phase) {
        chain->entered = link->phase;
        enter(link->p, link->phase);
    }
    link->fn(link->work, begin, end, thread);
}

static void run_chain(struct qr_pass *p)
{
    struct qr_chain *chain = p->chain;

    if (chain->n == 0) return;
    chain->entered = chain->links[0].phase;
    enter(p, chain->entered);
    qr_team_run_stages(p->team, chain->stages, chain->n);
    chain->n = 0;
}

/* A partition's stages follow each other without a barrier.  A stage needs one if it reads rows of
 * other partitions, or if the stage before did not stay within its partitions: that stage may have
 * written this partition's rows, or may still be reading them.  A chain's first stage never waits.
 */
static bool needs_barrier(const struct qr_pass *p, const struct qr_work *work)
{
    return work->reads != QR_ROWS_OWN || p->chain->last_read == QR_ROWS_ANY ||
           p->chain->last_written != QR_ROWS_OWN || p->shared;
}

static void collect(struct qr_pass *p, const struct qr_work *work)
{
    struct qr_chain *chain = p->chain;

    assert(work->work_bytes <= QR_WORK_BYTES);
    if (chain->n == QR_STAGES_MAX) run_chain(p);
    if (chain->n == 0) enter(p, work->phase);
    struct link *link = &chain->links[chain->n];
    memcpy(link->work, work->work, work->work_bytes);
    link->p = p;
    link->fn = work->fn;
    link->phase = work->phase;
    chain->stages[chain->n++] = (struct qr_stage){.fn = run_link,
                                                  .work = link,
                                                  .items_n = work->items_n,
                                                  .grain = work->grain,
                                                  .barrier = needs_barrier(p, work)};
    chain->last_read = work->reads;
    chain->last_written = work->writes;
}

/* ---- stages that run at once ---------------------------------------------------------------- */

/* Threads that go on by themselves do not wait, so this is for stages that run at once. */
static void prefetch_next(struct qr_pass *p, const struct qr_work *work)
{
    size_t partition = work->next_bytes / p->threads_n / QR_CACHE_LINE * QR_CACHE_LINE;

    qr_team_prefetch(p->team, work->next, partition,
                     partition < HINT_BYTES_MAX ? partition : HINT_BYTES_MAX);
}

static void run_now(struct qr_pass *p, const struct qr_work *work)
{
    /* Stages only read what they work on. */
    void *shared = (void *)(uintptr_t)work->work;

    enter(p, work->phase);
    if (work->next) prefetch_next(p, work);
    if (work->cost <= ALONE_COST_MAX)
        work->fn(shared, 0, work->items_n, 0);
    else
        qr_team_run(p->team, work->fn, shared, work->items_n, work->grain);
}

/* ---- the runner ----------------------------------------------------------------------------- */

void qr_pass_begin(struct qr_pass *p, bool owned)
{
    run_chain(p);
    p->owned = owned;
    p->shared = qr_team_is_shared(p->team);
}

void qr_pass_end(struct qr_pass *p)
{
    run_chain(p);
    p->owned = false;
}

void qr_pass_run(struct qr_pass *p, const struct qr_work *work)
{
    if (work->items_n == 0) return;
    if (p->owned)
        collect(p, work);
    else
        run_now(p, work);
}

void qr_pass_run_alone(struct qr_pass *p, enum qr_phase phase, void (*fn)(void *work), void *work)
{
    run_chain(p);
    enter(p, phase);
    fn(work);
}
