/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/core_sharing.h"

/* A simulated thread that asks every 100 us, and gets `share` percent of each 100 us. */
#define STEP_NS UINT64_C(100000)

static uint64_t had_ns, asked_n;

static uint64_t had(void)
{
    asked_n++;
    return had_ns;
}

struct life {
    struct qr_core_sharing sharing;
    uint64_t now_ns;
    uint64_t away_n, away_ns, work_ns, work_max_ns;
};

static void life_begin(struct life *l)
{
    *l = (struct life){.now_ns = 5000000000};
    had_ns = 1000000;
    asked_n = 0;
    qr_core_sharing_begin(&l->sharing, l->now_ns, had_ns);
}

static void life_go_on(struct life *l, uint64_t ns, uint64_t share)
{
    for (uint64_t end = l->now_ns + ns; l->now_ns < end;) {
        l->now_ns += STEP_NS;
        l->work_ns += STEP_NS;
        had_ns += STEP_NS * share / 100;
        if (!qr_core_sharing_over(&l->sharing, l->now_ns, had)) continue;
        if (l->away_n++ && l->work_ns > l->work_max_ns) l->work_max_ns = l->work_ns;
        l->work_ns = 0;
        l->now_ns += QR_SHARING_AWAY_NS;
        l->away_ns += QR_SHARING_AWAY_NS;
    }
}

/* Goal: a thread that nearly has its core to itself never sleeps, and rarely reads its CPU time.
 * Method: a second with 100 percent of the core, then a second with 70 percent. */
static void a_thread_with_its_own_core_never_sleeps(void **state)
{
    struct life l;

    (void)state;
    life_begin(&l);
    life_go_on(&l, 1000000000, 100);
    life_go_on(&l, 1000000000, 70);
    assert_int_equal(l.away_n, 0);
    assert_in_range(asked_n, 1, 2000000000 / QR_SHARING_LOOK_NS);
}

/* Goal: a thread that loses its core for a moment does not sleep, even if it has alternated before.
 * Method: once in 100 ms, 4 ms without CPU time, at each offset within a look. */
static void a_short_loss_is_ignored(void **state)
{
    (void)state;
    for (int taken = 0; taken < 2; taken++) {
        struct life l;
        life_begin(&l);
        if (taken) life_go_on(&l, 2 * QR_SHARING_LOOK_NS, 50);
        life_go_on(&l, 2 * QR_SHARING_NS, 100);
        uint64_t away_n = l.away_n;
        for (uint64_t before = STEP_NS; before < 2 * QR_SHARING_LOOK_NS; before += STEP_NS) {
            life_go_on(&l, before, 100);
            life_go_on(&l, 4000000, 0);
            life_go_on(&l, 100000000 - 4000000 - before, 100);
        }
        assert_int_equal(l.away_n, away_n);
        assert_int_equal(away_n > 0, taken);
    }
}

/* Goal: a thread that shares its core soon sleeps about half of the time, works no longer than
 * QR_SHARING_WORK_NS at a time, stops when the core is free, and starts again when it is not.
 * Method: 50 percent of the core for two looks, 100 percent while it alternates and after, then 50
 * percent again. */
static void a_shared_core_is_alternated(void **state)
{
    struct life l;

    (void)state;
    life_begin(&l);
    life_go_on(&l, 2 * QR_SHARING_LOOK_NS, 50);
    assert_true(l.away_n >= 1);
    life_go_on(&l, QR_SHARING_NS / 2, 100);
    assert_in_range(l.work_max_ns, 1, QR_SHARING_WORK_NS + STEP_NS);
    assert_in_range(l.away_ns * 100 / (QR_SHARING_NS / 2 + 2 * QR_SHARING_LOOK_NS), 40, 65);
    life_go_on(&l, QR_SHARING_NS, 100); /* sleep does not count as missing */
    uint64_t away_n = l.away_n;
    life_go_on(&l, 10 * QR_SHARING_NS, 100);
    assert_int_equal(l.away_n, away_n);
    life_go_on(&l, 2 * QR_SHARING_LOOK_NS, 50);
    assert_true(l.away_n > away_n);
}

/* Goal: if the other process is still there afterwards, the thread sleeps again sooner than before.
 * Method: 50 percent before, 100 percent while it alternates, 50 percent after. */
static void a_core_still_shared_is_seen_sooner(void **state)
{
    struct life l;

    (void)state;
    life_begin(&l);
    life_go_on(&l, 2 * QR_SHARING_LOOK_NS, 50);
    while (l.sharing.until_ns)
        life_go_on(&l, STEP_NS, 100);
    uint64_t away_n = l.away_n;
    life_go_on(&l, QR_SHARING_AGAIN_NS + QR_SHARING_WORK_NS + 2 * STEP_NS, 50);
    assert_int_equal(l.away_n, away_n + 1);
}

/* Goal: after a sleep for want of work, a short loss of the core does not make it alternate again.
 * Method: sleep after the period of alternation has ended, and before; then 4 ms without CPU time.
 */
static void sleep_ends_the_shorter_look(void **state)
{
    (void)state;
    for (int after = 0; after < 2; after++) {
        struct life l;
        life_begin(&l);
        life_go_on(&l, 2 * QR_SHARING_LOOK_NS, 50);
        while (!after && l.sharing.until_ns)
            life_go_on(&l, STEP_NS, 100);
        uint64_t away_n = l.away_n;
        l.now_ns += 2000000000;
        qr_core_sharing_begin(&l.sharing, l.now_ns, had_ns);
        life_go_on(&l, STEP_NS, 100);
        life_go_on(&l, 4000000, 0);
        life_go_on(&l, QR_SHARING_NS, 100);
        assert_int_equal(l.away_n, away_n);
    }
}

/* Goal: sleep for want of work does not count as missing CPU time.
 * Method: alternate 100 times between sleep and work. */
static void sleep_is_not_missing(void **state)
{
    struct life l;

    (void)state;
    life_begin(&l);
    for (int i = 0; i < 100; i++) {
        life_go_on(&l, QR_SHARING_LOOK_NS / 2, 100);
        l.now_ns += QR_SHARING_LOOK_NS;
        qr_core_sharing_begin(&l.sharing, l.now_ns, had_ns);
    }
    assert_int_equal(l.away_n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_with_its_own_core_never_sleeps),
        cmocka_unit_test(a_short_loss_is_ignored),
        cmocka_unit_test(a_shared_core_is_alternated),
        cmocka_unit_test(a_core_still_shared_is_seen_sooner),
        cmocka_unit_test(sleep_ends_the_shorter_look),
        cmocka_unit_test(sleep_is_not_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
