/* SPDX-License-Identifier: MIT */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "runtime/base/memory.h"
#include "runtime/base/team.h"

#define ITEMS_MAX 4096u

struct counts {
    _Atomic uint32_t done[ITEMS_MAX];
    _Atomic uint32_t taken_max;
    _Atomic uint32_t threads; /* a bit for each thread that took items */
    uint32_t pause_us;
};

static void count(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    struct counts *c = work;

    assert_true(begin < end);
    if (end - begin > atomic_load(&c->taken_max)) atomic_store(&c->taken_max, end - begin);
    atomic_fetch_or(&c->threads, 1u << thread);
    for (uint32_t i = begin; i < end; i++)
        atomic_fetch_add(&c->done[i], 1);
    if (c->pause_us) (void)nanosleep(&(struct timespec){.tv_nsec = (long)c->pause_us * 1000}, NULL);
}

static void assert_each_once(struct counts *c, uint32_t items_n)
{
    for (uint32_t i = 0; i < ITEMS_MAX; i++)
        assert_int_equal(atomic_load(&c->done[i]), i < items_n ? 1 : 0);
}

/* Goal: every item is done exactly once, with any number of threads and items.
 * Method: runs of 0 to 4,096 items with 1 to 8 threads, each item counted. */
static void each_item_is_done_once(void **state)
{
    static const uint32_t items[] = {0, 1, 2, 3, 7, 64, 1000, ITEMS_MAX};
    const struct quire_allocator a = qr_allocator((struct quire_allocator){0});
    static struct counts c;

    (void)state;
    for (uint32_t threads = 1; threads <= 8; threads++) {
        struct qr_team *team = qr_team_create(&a, threads);
        assert_non_null(team);
        assert_int_equal(qr_team_threads(team), threads);
        for (size_t i = 0; i < sizeof items / sizeof items[0]; i++) {
            memset(&c, 0, sizeof c);
            qr_team_run(team, count, &c, items[i], 0);
            assert_each_once(&c, items[i]);
        }
        qr_team_destroy(team);
    }
}

/* Goal: no thread takes more items at once than the grain, with one thread too.
 * Method: runs with a grain of 3 on 1 to 3 threads; record the most items taken at once. */
static void grains_keep_their_bound(void **state)
{
    const struct quire_allocator a = qr_allocator((struct quire_allocator){0});
    static struct counts c;

    (void)state;
    for (uint32_t threads = 1; threads <= 3; threads++) {
        struct qr_team *team = qr_team_create(&a, threads);
        memset(&c, 0, sizeof c);
        qr_team_run(team, count, &c, 1000, 3);
        assert_each_once(&c, 1000);
        assert_in_range(atomic_load(&c.taken_max), 1, 3);
        qr_team_destroy(team);
    }
}

/* Goal: a helper that is late for one run does not do its items with the fields of the next run.
 * Method: 20,000 short runs in a row; each adds its own number to a sum of its own. */
struct sum {
    uint64_t add;
    _Atomic uint64_t total;
};

static void add_up(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    struct sum *s = work;

    (void)thread;
    atomic_fetch_add(&s->total, s->add * (end - begin));
}

static void runs_do_not_mix(void **state)
{
    const struct quire_allocator a = qr_allocator((struct quire_allocator){0});
    struct qr_team *team = qr_team_create(&a, 4);

    (void)state;
    assert_non_null(team);
    for (uint32_t run = 1; run <= 20000; run++) {
        struct sum s = {.add = run};
        uint32_t items_n = 2 + run % 13;
        qr_team_run(team, add_up, &s, items_n, 1 + run % 3);
        assert_int_equal(atomic_load(&s.total), (uint64_t)run * items_n);
    }
    qr_team_destroy(team);
}

/* Goal: helpers that have gone to sleep take part again.
 * Method: pause far longer than helpers spin.  Then both threads take items that sleep. */
static void sleepers_wake(void **state)
{
    const struct quire_allocator a = qr_allocator((struct quire_allocator){0});
    struct qr_team *team = qr_team_create(&a, 2);
    static struct counts c;

    (void)state;
    assert_non_null(team);
    for (int i = 0; i < 3; i++) {
        (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
        memset(&c, 0, sizeof c);
        c.pause_us = 5000;
        qr_team_run(team, count, &c, 40, 1);
        assert_each_once(&c, 40);
        assert_int_equal(atomic_load(&c.threads), 3);
    }
    qr_team_destroy(team);
}

/* Goal: a thread begins at the front of its own partition.
 * Method: items that sleep, so that all threads are in time; record the first item of each. */
struct firsts {
    _Atomic uint32_t first[4]; /* UINT32_MAX: none yet */
};

static void note_first(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    struct firsts *f = work;
    uint32_t none = UINT32_MAX;

    (void)end;
    (void)atomic_compare_exchange_strong(&f->first[thread], &none, begin);
    (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

static void threads_begin_in_their_partition(void **state)
{
    const struct quire_allocator a = qr_allocator((struct quire_allocator){0});
    struct qr_team *team = qr_team_create(&a, 4);
    struct firsts f;

    (void)state;
    assert_non_null(team);
    bool all = false;
    for (int i = 0; i < 20 && !all; i++) { /* others may have helped a late thread */
        for (uint32_t t = 0; t < 4; t++)
            atomic_init(&f.first[t], UINT32_MAX);
        qr_team_run(team, note_first, &f, 40, 0);
        all = true;
        for (uint32_t t = 0; t < 4; t++)
            all = all && atomic_load(&f.first[t]) == 10 * t;
    }
    assert_true(all);
    qr_team_destroy(team);
}

/* Goal: qr_partition_of agrees with the ends of the partitions.
 * Method: all items of stages of 1 to 100 items, with 1 to 8 threads. */
static void partitions_are_told(void **state)
{
    (void)state;
    for (uint32_t threads = 1; threads <= 8; threads++) {
        for (uint32_t items_n = 1; items_n <= 100; items_n++) {
            for (uint32_t i = 0, partition = 0; i < items_n; i++) {
                while (qr_partition_end(threads, partition, items_n) <= i)
                    partition++;
                assert_int_equal(qr_partition_of(threads, i, items_n), partition);
            }
            assert_int_equal(qr_partition_end(threads, threads - 1, items_n), items_n);
        }
    }
}

/* Goal: with QR_GRAIN_OWNER others do not steal from a begun partition, but they do after a while.
 * Method: one thread, the caller or the helper, stops in its first grain.  It goes on shortly after
 * the other has done its own partition, or, with for_all, when the other has done all other items.
 */
#define PARTITION 32u

struct stop {
    uint32_t owner; /* the thread that stops */
    bool for_all;
    uint32_t in_hand;          /* items of the grain in which it stopped */
    _Atomic uint32_t others_n; /* items that the other has done */
    _Atomic uint32_t stolen_n; /* the part of them from the owner's partition */
    _Atomic bool stopped;
};

#define STOP_MAX_NS UINT64_C(10000000000) /* a test that waits longer fails */

static void stop_once(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    struct stop *k = work;
    const uint64_t start = qr_clock_ns();
    uint64_t others_end = 0;

    if (thread != k->owner) { /* wait, so that the owner begins its partition */
        while (!atomic_load(&k->stopped) && qr_clock_ns() - start < STOP_MAX_NS) {
        }
        if (begin / PARTITION == k->owner) atomic_fetch_add(&k->stolen_n, end - begin);
        atomic_fetch_add(&k->others_n, end - begin);
        return;
    }
    if (atomic_exchange(&k->stopped, true)) return;
    k->in_hand = end - begin;
    uint32_t until = k->for_all ? 2 * PARTITION - k->in_hand : PARTITION;
    while (qr_clock_ns() - start < STOP_MAX_NS) {
        if (!others_end && atomic_load(&k->others_n) >= until) others_end = qr_clock_ns();
        if (others_end && qr_clock_ns() - others_end > 5000) return;
    }
}

static void begun_partitions_are_not_stolen_from(void **state)
{
    const struct quire_allocator a = qr_allocator((struct quire_allocator){0});
    struct qr_team *team = qr_team_create(&a, 2);

    (void)state;
    assert_non_null(team);
    for (uint32_t owner = 0; owner < 2; owner++) {
        uint32_t unstolen_n = 0;
        for (int i = 0; i < 400 && unstolen_n < 10; i++) { /* other load may delay a thread */
            struct stop k = {.owner = owner};
            qr_team_run(team, stop_once, &k, 2 * PARTITION, 0);
            unstolen_n += atomic_load(&k.stopped) && atomic_load(&k.stolen_n) == 0;
        }
        assert_int_equal(unstolen_n, 10);
    }
    qr_team_destroy(team);
}

static void stopped_threads_are_helped(void **state)
{
    const struct quire_allocator a = qr_allocator((struct quire_allocator){0});
    struct qr_team *team = qr_team_create(&a, 2);

    (void)state;
    assert_non_null(team);
    for (uint32_t owner = 0; owner < 2; owner++) {
        bool stopped = false;
        for (int i = 0; i < 20 && !stopped; i++) { /* a late thread finds nothing */
            struct stop k = {.owner = owner, .for_all = true};
            qr_team_run(team, stop_once, &k, 2 * PARTITION, 0);
            stopped = atomic_load(&k.stopped);
            if (stopped) assert_int_equal(atomic_load(&k.others_n), 2 * PARTITION - k.in_hand);
        }
        assert_true(stopped);
    }
    qr_team_destroy(team);
}

/* Goal: the caller's waiting time is counted when measured, and a prefetch hint may have any
 * address.
 * Method: a run in which the helper's item takes far longer than the caller's. */
static void wait_in_second(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    (void)work;
    (void)end;
    (void)thread;
    (void)nanosleep(&(struct timespec){.tv_nsec = begin ? 30000000 : 1000000}, NULL);
}

static void waiting_is_counted(void **state)
{
    const struct quire_allocator a = qr_allocator((struct quire_allocator){0});
    struct qr_team *team = qr_team_create(&a, 2);
    uint64_t waited_ns = 0;

    (void)state;
    assert_non_null(team);
    qr_team_prefetch(team, (const void *)(uintptr_t)64, 1 << 20, 4096);
    for (int i = 0; i < 20 && waited_ns == 0; i++) { /* a late helper finds nothing */
        qr_team_measure(team, &waited_ns);
        qr_team_run(team, wait_in_second, NULL, 2, 0);
    }
    assert_true(waited_ns > 1000000);
    uint64_t counted = waited_ns;
    qr_team_measure(team, NULL);
    qr_team_run(team, wait_in_second, NULL, 2, 0);
    assert_int_equal(waited_ns, counted);
    qr_team_destroy(team);
}

/* Goal: helpers block all signals, and the caller's mask does not change.
 * Method: read the mask of each thread within a run. */
static void note_mask(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    sigset_t *masks = work;

    (void)begin;
    (void)end;
    if (thread == 0) /* the caller leaves the other item to the helper */
        (void)nanosleep(&(struct timespec){.tv_nsec = 30000000}, NULL);
    (void)pthread_sigmask(SIG_BLOCK, NULL, &masks[thread]);
}

static void helpers_take_no_signals(void **state)
{
    static const int signals[] = {SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGCHLD, SIGALRM, SIGPIPE};
    const struct quire_allocator a = qr_allocator((struct quire_allocator){0});
    struct qr_team *team = qr_team_create(&a, 2);
    sigset_t masks[2];

    (void)state;
    assert_non_null(team);
    (void)sigemptyset(&masks[0]);
    (void)sigemptyset(&masks[1]);
    for (int i = 0; i < 20 && !sigismember(&masks[1], SIGTERM); i++)
        qr_team_run(team, note_mask, masks, 2, 1);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        assert_true(sigismember(&masks[1], signals[i]));
        assert_false(sigismember(&masks[0], signals[i]));
    }
    qr_team_destroy(team);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_item_is_done_once),
        cmocka_unit_test(grains_keep_their_bound),
        cmocka_unit_test(runs_do_not_mix),
        cmocka_unit_test(sleepers_wake),
        cmocka_unit_test(threads_begin_in_their_partition),
        cmocka_unit_test(partitions_are_told),
        cmocka_unit_test(begun_partitions_are_not_stolen_from),
        cmocka_unit_test(stopped_threads_are_helped),
        cmocka_unit_test(waiting_is_counted),
        cmocka_unit_test(helpers_take_no_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
