/* SPDX-License-Identifier: MIT */
/* A run's pieces are shared out beforehand, a stretch of neighbouring ones to each thread: its
 * home. A thread takes from the front of its own home, half of what is left at a time, so that it
 * reads memory in one stream; when that is empty it helps the others, home by home.  Where homes
 * are kept (range 0) it helps those that have not come, and others after a while only: what a
 * thread's home has read and written is in that thread's cache.
 *
 * A home is handed out through one word, its ticket: the run's number in the high half, in the low
 * half how many of its pieces are left and whether its own thread has begun it.  Taking pieces is a
 * compare-and-swap of the ticket, so it can only succeed while that run still has pieces left; and
 * as long as a piece is taken and not done, the caller waits and the run's fields stand.  A helper
 * that comes late finds nothing left and harms nothing: a ticket that has run out says so by
 * itself, whatever the fields beside it. */
#include "runtime/base/team.h"

#include <assert.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "runtime/base/machine.h"
#include "runtime/base/memory.h"
#include "runtime/base/turns.h"

#define THREADS_MAX 1024u
/* How long a helper spins after work before it sleeps.  Steps follow each other within some 10 us
 * under load, and waking a sleeper costs about 50. */
#define SPIN_NS      100000
#define SPINS_A_LOOK 64u
/* How long a thread that is at work keeps its home to itself: much less than a process that has
 * taken its core will stay, more than threads that began together end apart. */
#define PATIENCE_NS 50000u
/* In a ticket's low half. */
#define BEGUN        0x80000000u
#define LEFT(ticket) ((uint32_t)(ticket) & ~BEGUN)

struct helper {
    struct qr_team *team;
    pthread_t thread;
    uint32_t index;
    struct qr_turns turns;
};

struct home {
    alignas(64) _Atomic uint64_t ticket;
};

struct qr_team {
    /* Written by everyone: a cache line each. */
    alignas(64) _Atomic uint32_t done;
    alignas(64) _Atomic uint32_t sleepers;
    /* Written by the caller only. */
    alignas(64) _Atomic uint32_t generation; /* grows with each run: what sleepers wait on */
    _Atomic(qr_team_fn *) fn;
    _Atomic(void *) work;
    _Atomic uint32_t pieces_n;
    _Atomic uint32_t range;
    _Atomic bool stop;
    _Atomic(const uint8_t *) ahead;
    _Atomic size_t ahead_stride;
    _Atomic size_t ahead_bytes;
    uint32_t threads_n;
    struct home *homes;  /* [threads_n] */
    uint64_t *waited_ns; /* NULL: nobody asks */
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

/* The end of a thread's home among all pieces. */
static uint32_t home_end(const struct qr_team *team, uint32_t home, uint32_t pieces_n)
{
    return qr_team_home_end(team->threads_n, home, pieces_n);
}

/* Takes one range of a home and does it.  False: nothing was left to take, or (unless all is asked
 * for) its own thread keeps it. */
static bool take_from(struct qr_team *team, uint32_t home, uint32_t thread, bool all)
{
    _Atomic uint64_t *word = &team->homes[home].ticket;
    uint64_t ticket = atomic_load_explicit(word, memory_order_acquire);

    for (;;) {
        uint32_t left = LEFT(ticket);
        if (left == 0) return false;
        uint32_t pieces_n = atomic_load_explicit(&team->pieces_n, memory_order_acquire);
        qr_team_fn *fn = atomic_load_explicit(&team->fn, memory_order_acquire);
        void *work = atomic_load_explicit(&team->work, memory_order_acquire);
        uint32_t max = atomic_load_explicit(&team->range, memory_order_acquire);
        uint32_t range = left - left / 2;
        if (max && range > max) range = max;
        if (!max && !all && home != thread && (ticket & BEGUN)) return false;
        uint64_t taken = (ticket - range) | (home == thread ? BEGUN : 0);
        if (!atomic_compare_exchange_weak_explicit(word, &ticket, taken, memory_order_acq_rel,
                                                   memory_order_acquire))
            continue;
        uint32_t begin = home_end(team, home, pieces_n) - left;
        fn(work, begin, begin + range, thread);
        atomic_fetch_add_explicit(&team->done, range, memory_order_release);
        return true;
    }
}

static bool take(struct qr_team *team, uint32_t thread, bool all)
{
    uint32_t home = thread;

    do {
        if (take_from(team, home, thread, all)) return true;
        home = home + 1 < team->threads_n ? home + 1 : 0;
    } while (home != thread);
    return false;
}

/* What this thread's home of the next run begins with, called for while there is nothing to do. */
static void look_ahead(const struct qr_team *team, uint32_t thread)
{
    size_t bytes = atomic_load_explicit(&team->ahead_bytes, memory_order_acquire);
    const uint8_t *at = atomic_load_explicit(&team->ahead, memory_order_acquire);

    if (!at) return;
    at += thread * atomic_load_explicit(&team->ahead_stride, memory_order_acquire);
    for (size_t i = 0; i < bytes; i += 64)
        __builtin_prefetch(at + i, 0, 2);
}

static uint64_t cpu_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Spins, then sleeps, until the generation is another than seen.  Meanwhile it takes what others
 * have kept for too long. */
static uint32_t wait_for_run(struct helper *helper, uint32_t seen)
{
    struct qr_team *team = helper->team;
    uint64_t start = qr_clock_ns();
    uint32_t now;

    for (;;) {
        for (uint32_t i = 0; i < SPINS_A_LOOK; i++) {
            now = atomic_load_explicit(&team->generation, memory_order_acquire);
            if (now != seen) return now;
            pause_cpu();
        }
        uint64_t waited = qr_clock_ns() - start;
        if (waited > PATIENCE_NS && take(team, helper->index, true))
            start = qr_clock_ns();
        else if (waited > SPIN_NS)
            break;
    }
    /* The caller publishes, then looks for sleepers; a helper counts itself, then looks for news.
     * In one total order one of the two sees the other. */
    atomic_fetch_add(&team->sleepers, 1);
    while ((now = atomic_load(&team->generation)) == seen)
        futex(&team->generation, FUTEX_WAIT, seen);
    atomic_fetch_sub(&team->sleepers, 1);
    qr_turns_begin(&helper->turns, qr_clock_ns(), cpu_ns());
    return now;
}

static void *helper_main(void *argument)
{
    struct helper *helper = argument;
    struct qr_team *team = helper->team;
    uint32_t seen = 0;

    qr_turns_begin(&helper->turns, qr_clock_ns(), cpu_ns());
    for (;;) {
        seen = wait_for_run(helper, seen);
        if (atomic_load(&team->stop)) return NULL;
        while (take(team, helper->index, false)) {
        }
        look_ahead(team, helper->index);
        if (qr_turns_over(&helper->turns, qr_clock_ns(), cpu_ns))
            (void)nanosleep(&(struct timespec){.tv_nsec = QR_TURNS_AWAY_NS}, NULL);
    }
}

static void publish(struct qr_team *team)
{
    atomic_fetch_add(&team->generation, 1);
    if (atomic_load(&team->sleepers)) futex(&team->generation, FUTEX_WAKE, INT32_MAX);
}

static void stop_helpers(struct qr_team *team, uint32_t helpers_n)
{
    atomic_store(&team->stop, true);
    publish(team);
    for (uint32_t i = 0; i < helpers_n; i++)
        (void)pthread_join(team->helpers[i].thread, NULL);
}

/* A library's threads take no signals: they are its host's. */
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
    (void)snprintf(name, sizeof(name), "quire-team-%u", helper->index);
    (void)pthread_setname_np(helper->thread, name);
    return 0;
}

struct qr_team *qr_team_create(const struct quire_allocator *allocator, uint32_t threads_n)
{
    if (threads_n == 0) threads_n = qr_cores_available();
    if (threads_n > THREADS_MAX) threads_n = THREADS_MAX;
    size_t homes_at = sizeof(struct qr_team) + (threads_n - 1) * sizeof(struct helper);
    homes_at = (homes_at + 63) / 64 * 64;
    size_t bytes = homes_at + threads_n * sizeof(struct home);
    struct qr_team *team = qr_alloc_aligned(allocator, bytes);
    if (!team) return NULL;
    memset(team, 0, bytes);
    team->allocator = *allocator;
    team->threads_n = threads_n;
    team->homes = (struct home *)((uint8_t *)team + homes_at);
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

static bool is_done(const struct qr_team *team, uint32_t pieces_n)
{
    return atomic_load_explicit(&team->done, memory_order_acquire) == pieces_n;
}

/* Waits for pieces in other hands.  A helper that lost its core needs ours if there is no other:
 * after a while of spinning the caller yields, and what that one has kept is taken. */
static void wait_until_done(struct qr_team *team, uint32_t pieces_n)
{
    if (is_done(team, pieces_n)) return;
    uint64_t begin = qr_clock_ns();
    uint64_t worked = 0;
    for (uint32_t spins = 1; !is_done(team, pieces_n); spins++) {
        if (spins < 10000)
            pause_cpu();
        else
            (void)sched_yield();
        if (spins % SPINS_A_LOOK) continue;
        uint64_t now = qr_clock_ns();
        if (now - begin - worked <= PATIENCE_NS || !take(team, 0, true)) continue;
        worked += qr_clock_ns() - now;
    }
    if (team->waited_ns) *team->waited_ns += qr_clock_ns() - begin - worked;
}

static void run_alone(qr_team_fn *fn, void *work, uint32_t pieces_n, uint32_t range)
{
    if (range == 0) range = pieces_n;
    for (uint32_t begin = 0; begin < pieces_n;) {
        uint32_t n = pieces_n - begin < range ? pieces_n - begin : range;
        fn(work, begin, begin + n, 0);
        begin += n;
    }
}

void qr_team_ahead(struct qr_team *team, const void *data, size_t stride, size_t bytes)
{
    atomic_store_explicit(&team->ahead, data, memory_order_relaxed);
    atomic_store_explicit(&team->ahead_stride, stride, memory_order_relaxed);
    atomic_store_explicit(&team->ahead_bytes, bytes, memory_order_relaxed);
}

void qr_team_run(struct qr_team *team, qr_team_fn *fn, void *work, uint32_t pieces_n,
                 uint32_t range)
{
    if (pieces_n == 0) return;
    if (team->threads_n == 1 || pieces_n == 1) {
        run_alone(fn, work, pieces_n, range);
        return;
    }
    /* Every ticket of the run before has run out, so the fields are nobody's. */
    uint64_t run = (atomic_load_explicit(&team->homes[0].ticket, memory_order_relaxed) >> 32) + 1;
    atomic_store_explicit(&team->fn, fn, memory_order_relaxed);
    atomic_store_explicit(&team->work, work, memory_order_relaxed);
    atomic_store_explicit(&team->pieces_n, pieces_n, memory_order_relaxed);
    atomic_store_explicit(&team->range, range, memory_order_relaxed);
    atomic_store_explicit(&team->done, 0, memory_order_relaxed);
    uint32_t begin = 0;
    for (uint32_t home = 0; home < team->threads_n; home++) {
        uint32_t end = home_end(team, home, pieces_n);
        atomic_store_explicit(&team->homes[home].ticket, run << 32 | (end - begin),
                              memory_order_release);
        begin = end;
    }
    publish(team);
    while (take(team, 0, false)) {
    }
    look_ahead(team, 0);
    wait_until_done(team, pieces_n);
}
