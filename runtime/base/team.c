/* SPDX-License-Identifier: MIT */
/* The threads of a team work, wait and sleep here.  dispatch.c hands out the items. */
#include "runtime/base/team.h"

#include <assert.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/core_sharing.h"
#include "runtime/base/dispatch.h"
#include "runtime/base/machine.h"
#include "runtime/base/memory.h"

#define THREADS_MAX 1024u
/* How long a helper spins after work before it sleeps.  Under load the next step comes sooner, and
 * waking a sleeper costs more than that gap. */
#define SPIN_NS      100000
#define SPINS_A_LOOK 64u
/* An idle thread steals from a partition that its owner has begun only after its patience: its own
 * working time divided by PATIENCE_SHARE, within bounds.  That is longer than threads that began
 * together drift apart, and much shorter than another process holds a core. */
#define PATIENCE_SHARE  16u
#define PATIENCE_MIN_NS 50000u
#define PATIENCE_MAX_NS 250000u

struct helper {
    struct qr_team *team;
    pthread_t thread;
    uint32_t index;
    uint64_t worked_ns; /* in the last run, until it ran out of items */
    struct qr_core_sharing sharing;
};

struct qr_team {
    struct qr_dispatch items;
    /* All threads write these two, so each has a cache line of its own.  Helpers wait on the
     * generation, which grows when partitions of other threads are opened. */
    alignas(64) _Atomic uint32_t sleepers;
    alignas(64) _Atomic uint32_t generation;
    alignas(64) _Atomic bool stop;
    _Atomic(const uint8_t *) hint; /* NULL: none */
    _Atomic size_t hint_stride;
    _Atomic size_t hint_bytes;
    _Atomic uint64_t shared_until_ns; /* until then a thread's core counts as shared */
    uint32_t threads_n;
    uint64_t *waited_ns; /* NULL: not measured */
    struct quire_allocator allocator;
    struct helper helpers[]; /* [threads_n - 1] */
};

static void pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void futex(_Atomic uint32_t *word, int op, uint32_t value)
{
    (void)syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

/* The opener changes the generation, then looks for sleepers.  A helper counts itself as a sleeper,
 * then looks at the generation.  All of it is sequentially consistent, so one sees the other. */
static void publish(struct qr_team *team)
{
    atomic_fetch_add(&team->generation, 1);
    if (atomic_load(&team->sleepers)) futex(&team->generation, FUTEX_WAKE, INT32_MAX);
}

/* Takes items and does them.  False: no items were free. */
static bool take(struct qr_team *team, uint32_t thread, bool all)
{
    enum qr_taken taken = qr_dispatch_take(&team->items, thread, all);

    if (taken == QR_TAKEN_NEWS) publish(team);
    return taken != QR_TAKEN_NONE;
}

/* Prefetches what this thread reads first in the next run. */
static void prefetch_hint(const struct qr_team *team, uint32_t thread)
{
    size_t bytes = atomic_load_explicit(&team->hint_bytes, memory_order_acquire);
    const uint8_t *at = atomic_load_explicit(&team->hint, memory_order_acquire);

    if (!at) return;
    at += thread * atomic_load_explicit(&team->hint_stride, memory_order_acquire);
    for (size_t i = 0; i < bytes; i += 64)
        __builtin_prefetch(at + i, 0, 2);
}

static uint64_t cpu_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t patience_ns(uint64_t worked_ns)
{
    uint64_t patience = worked_ns / PATIENCE_SHARE;

    if (patience < PATIENCE_MIN_NS) return PATIENCE_MIN_NS;
    return patience < PATIENCE_MAX_NS ? patience : PATIENCE_MAX_NS;
}

/* Spins, then sleeps, until the generation differs from `seen`.  When its patience is over it
 * steals. */
static uint32_t wait_for_news(struct helper *helper, uint32_t seen)
{
    struct qr_team *team = helper->team;
    uint64_t start = qr_clock_ns(), idle = start;
    uint64_t patience = patience_ns(helper->worked_ns);
    uint32_t now;

    for (;;) {
        for (uint32_t i = 0; i < SPINS_A_LOOK; i++) {
            now = atomic_load_explicit(&team->generation, memory_order_acquire);
            if (now != seen) return now;
            pause_cpu();
        }
        uint64_t at = qr_clock_ns();
        if (at - start <= patience) continue;
        if (take(team, helper->index, true))
            idle = qr_clock_ns();
        else if (at - idle > SPIN_NS)
            break;
    }
    atomic_fetch_add(&team->sleepers, 1);
    while ((now = atomic_load(&team->generation)) == seen)
        futex(&team->generation, FUTEX_WAIT, seen);
    atomic_fetch_sub(&team->sleepers, 1);
    qr_core_sharing_begin(&helper->sharing, qr_clock_ns(), cpu_ns());
    return now;
}

/* Sleeps if another process needs the core.  Called between stages, while it holds no item. */
static void share_core(struct helper *helper)
{
    bool over = qr_core_sharing_over(&helper->sharing, qr_clock_ns(), cpu_ns);

    if (helper->sharing.until_ns)
        atomic_store_explicit(&helper->team->shared_until_ns, helper->sharing.until_ns,
                              memory_order_relaxed);
    if (over) (void)nanosleep(&(struct timespec){.tv_nsec = QR_SHARING_AWAY_NS}, NULL);
}

static void *helper_main(void *argument)
{
    struct helper *helper = argument;
    struct qr_team *team = helper->team;
    uint32_t seen = 0, stage = 0;

    qr_core_sharing_begin(&helper->sharing, qr_clock_ns(), cpu_ns());
    for (;;) {
        seen = wait_for_news(helper, seen);
        if (atomic_load(&team->stop)) return NULL;
        uint64_t begin = qr_clock_ns();
        while (take(team, helper->index, false)) {
            uint32_t now = qr_dispatch_stage_of(&team->items, helper->index);
            if (now != stage) share_core(helper);
            stage = now;
        }
        prefetch_hint(team, helper->index);
        helper->worked_ns = qr_clock_ns() - begin;
    }
}

static void stop_helpers(struct qr_team *team, uint32_t helpers_n)
{
    atomic_store(&team->stop, true);
    publish(team);
    for (uint32_t i = 0; i < helpers_n; i++)
        (void)pthread_join(team->helpers[i].thread, NULL);
}

/* Helpers block all signals, because signals are for the host program's threads. */
static int start_helper(struct helper *helper)
{
    sigset_t all;
    sigset_t before;
    char name[16];

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&helper->thread, NULL, helper_main, helper);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) return failed;
    (void)snprintf(name, sizeof name, "quire-team-%u", helper->index);
    (void)pthread_setname_np(helper->thread, name);
    return 0;
}

struct qr_team *qr_team_create(const struct quire_allocator *allocator, uint32_t threads_n)
{
    if (threads_n == 0) threads_n = qr_cores_available();
    if (threads_n > THREADS_MAX) threads_n = THREADS_MAX;
    size_t partitions_at = sizeof(struct qr_team) + (threads_n - 1) * sizeof(struct helper);
    partitions_at = (partitions_at + 63) / 64 * 64;
    size_t bytes = partitions_at + threads_n * sizeof(struct qr_partition);
    struct qr_team *team = qr_alloc_aligned(allocator, bytes);
    if (!team) return NULL;
    memset(team, 0, bytes);
    team->allocator = *allocator;
    team->threads_n = threads_n;
    qr_dispatch_init(&team->items, (struct qr_partition *)((uint8_t *)team + partitions_at),
                     threads_n);
    for (uint32_t i = 0; i + 1 < threads_n; i++) {
        team->helpers[i] = (struct helper){.team = team, .index = i + 1};
        if (start_helper(&team->helpers[i])) {
            stop_helpers(team, i);
            qr_free_aligned(allocator, team);
            return NULL;
        }
    }
    return team;
}

void qr_team_destroy(struct qr_team *team)
{
    if (!team) return;
    stop_helpers(team, team->threads_n - 1);
    struct quire_allocator allocator = team->allocator;
    qr_free_aligned(&allocator, team);
}

uint32_t qr_team_threads(const struct qr_team *team)
{
    return team->threads_n;
}

void qr_team_measure(struct qr_team *team, uint64_t *waited_ns)
{
    team->waited_ns = waited_ns;
}

/* Waits until all stages are over or the caller's own partition has items again.  Spins first, then
 * yields, because a helper that lost its core may need the caller's.  When its patience is over the
 * caller steals. */
static void wait_for_others(struct qr_team *team, uint64_t work_begin)
{
    const uint64_t begin = qr_clock_ns(), patience = patience_ns(begin - work_begin);
    uint64_t worked = 0;

    for (uint32_t spins = 1; !qr_dispatch_over(&team->items) && !qr_dispatch_left(&team->items, 0);
         spins++) {
        if (spins < 10000)
            pause_cpu();
        else
            (void)sched_yield();
        if (spins % SPINS_A_LOOK) continue;
        uint64_t now = qr_clock_ns();
        if (now - begin <= patience || !take(team, 0, true)) continue;
        worked += qr_clock_ns() - now;
    }
    if (team->waited_ns) *team->waited_ns += qr_clock_ns() - begin - worked;
}

static void run_alone(const struct qr_stage *stage)
{
    uint32_t grain = stage->grain ? stage->grain : stage->items_n;

    for (uint32_t begin = 0; begin < stage->items_n;) {
        uint32_t n = stage->items_n - begin < grain ? stage->items_n - begin : grain;
        stage->fn(stage->work, begin, begin + n, 0);
        begin += n;
    }
}

void qr_team_prefetch(struct qr_team *team, const void *data, size_t stride, size_t bytes)
{
    atomic_store_explicit(&team->hint, data, memory_order_relaxed);
    atomic_store_explicit(&team->hint_stride, stride, memory_order_relaxed);
    atomic_store_explicit(&team->hint_bytes, bytes, memory_order_relaxed);
}

bool qr_team_is_shared(const struct qr_team *team)
{
    return qr_clock_ns() < atomic_load_explicit(&team->shared_until_ns, memory_order_relaxed);
}

/* The caller never sleeps for another process, but it reports that it has lost its core.  A run
 * shorter than the shortest look is too short to tell. */
static void look_at_caller(struct qr_team *team, uint64_t passed_ns, uint64_t had_ns)
{
    if (passed_ns < QR_SHARING_AGAIN_NS ||
        had_ns + passed_ns / QR_SHARING_MISSING_SHARE >= passed_ns)
        return;
    atomic_store_explicit(&team->shared_until_ns, qr_clock_ns() + QR_SHARING_NS,
                          memory_order_relaxed);
}

static void run_together(struct qr_team *team, const struct qr_stage *stages, uint32_t stages_n)
{
    struct qr_dispatch *items = &team->items;

    uint64_t begin = qr_clock_ns();
    qr_dispatch_begin(items, stages, stages_n, 0);
    publish(team);
    for (;;) {
        while (take(team, 0, false)) {
        }
        prefetch_hint(team, 0);
        if (!qr_dispatch_over(items)) wait_for_others(team, begin);
        if (qr_dispatch_over(items)) return;
        begin = qr_clock_ns();
    }
}

void qr_team_run_stages(struct qr_team *team, const struct qr_stage *stages, uint32_t stages_n)
{
    if (team->threads_n == 1) {
        for (uint32_t i = 0; i < stages_n; i++)
            run_alone(&stages[i]);
        return;
    }
    if (stages_n == 0) return;
    const uint64_t begin_ns = qr_clock_ns(), had_ns = cpu_ns();
    run_together(team, stages, stages_n);
    look_at_caller(team, qr_clock_ns() - begin_ns, cpu_ns() - had_ns);
}

void qr_team_run(struct qr_team *team, qr_team_fn *fn, void *work, uint32_t items_n, uint32_t grain)
{
    struct qr_stage stage = {.fn = fn, .work = work, .items_n = items_n, .grain = grain};

    if (items_n == 0) return;
    if (items_n == 1 || team->threads_n == 1)
        run_alone(&stage);
    else
        run_together(team, &stage, 1);
}
