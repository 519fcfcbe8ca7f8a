/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/core_sharing.h"

/* A thread that asks every 100 us, and of each 100 us gets `share` percent. */
#define STEP_NS UINT64_C(100000)

static uint64_t had_ns, asked_n;

static uint64_t had(void)
{
    asked_n++;
    return had_ns;
}

struct life {
    struct qr_core_sharing turns;
    uint64_t now_ns;
    uint64_t away_n, away_ns, work_ns, work_max_ns;
};

static void life_begin(struct life *l)
{
    *l = (struct life){.now_ns = 5000000000};
    had_ns = 1000000;
    asked_n = 0;
    qr_core_sharing_begin(&l->turns, l->now_ns, had_ns);
}

static void life_go_on(struct life *l, uint64_t ns, uint64_t share)
{
    for (uint64_t end = l->now_ns + ns; l->now_ns < end;) {
        l->now_ns += STEP_NS;
        l->work_ns += STEP_NS;
        had_ns += STEP_NS * share / 100;
        if (!qr_core_sharing_over(&l->turns, l->now_ns, had)) continue;
        if (l->away_n++ && l->work_ns > l->work_max_ns) l->work_max_ns = l->work_ns;
        l->work_ns = 0;
        l->now_ns += QR_SHARING_AWAY_NS;
        l->away_ns += QR_SHARING_AWAY_NS;
    }
}

/* Goal: a thread that has its core to itself, but for what a system takes, is never away, and
 * hardly looks.
 * Method: a second of 100, and of 70 percent. */
static void who_is_alone_stays(void **state)
{
    struct life l;

    (void)state;
    life_begin(&l);
    life_go_on(&l, 1000000000, 100);
    life_go_on(&l, 1000000000, 70);
    assert_int_equal(l.away_n, 0);
    assert_in_range(asked_n, 1, 2000000000 / QR_SHARING_LOOK_NS);
}

/* Goal: one whose core somebody else had for a moment stays too, also when it has taken turns once.
 * Method: 4 ms without any time, at any place of a look, once in 100 ms. */
static void who_is_held_up_for_a_moment_stays(void **state)
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

/* Goal: one that shares it is away soon and about half of the time, works no turn longer than said,
 * and looks again after a while.
 * Method: a second of 50 percent, where nothing is missing while turns are taken. */
static void who_shares_takes_turns(void **state)
{
    struct life l;

    (void)state;
    life_begin(&l);
    life_go_on(&l, 2 * QR_SHARING_LOOK_NS, 50);
    assert_true(l.away_n >= 1);
    life_go_on(&l, QR_SHARING_NS / 2, 100);
    assert_in_range(l.work_max_ns, 1, QR_SHARING_WORK_NS + STEP_NS);
    assert_in_range(l.away_ns * 100 / (QR_SHARING_NS / 2 + 2 * QR_SHARING_LOOK_NS), 40, 65);
    life_go_on(&l, QR_SHARING_NS, 100); /* what is away now is not missing then */
    uint64_t away_n = l.away_n;
    life_go_on(&l, 10 * QR_SHARING_NS, 100);
    assert_int_equal(l.away_n, away_n);
    life_go_on(&l, 2 * QR_SHARING_LOOK_NS, 50);
    assert_true(l.away_n > away_n);
}

/* Goal: if the other process is still there after that time, it is away again sooner than the first
 * time.
 * Method: 50 percent before, all of its time while it takes turns, 50 percent after. */
static void who_still_shares_goes_on(void **state)
{
    struct life l;

    (void)state;
    life_begin(&l);
    life_go_on(&l, 2 * QR_SHARING_LOOK_NS, 50);
    while (l.turns.until_ns)
        life_go_on(&l, STEP_NS, 100);
    uint64_t away_n = l.away_n;
    life_go_on(&l, QR_SHARING_AGAIN_NS + QR_SHARING_WORK_NS + 2 * STEP_NS, 50);
    assert_int_equal(l.away_n, away_n + 1);
}

/* Goal: one that has slept since it took turns is a stranger again: a moment does not make it take
 * more, whether it learns that they are over before or after it has slept.
 * Method: both ways, then 4 ms without any time. */
static void sleep_ends_what_was_seen(void **state)
{
    (void)state;
    for (int after = 0; after < 2; after++) {
        struct life l;
        life_begin(&l);
        life_go_on(&l, 2 * QR_SHARING_LOOK_NS, 50);
        while (!after && l.turns.until_ns)
            life_go_on(&l, STEP_NS, 100);
        uint64_t away_n = l.away_n;
        l.now_ns += 2000000000;
        qr_core_sharing_begin(&l.turns, l.now_ns, had_ns);
        life_go_on(&l, STEP_NS, 100);
        life_go_on(&l, 4000000, 0);
        life_go_on(&l, QR_SHARING_NS, 100);
        assert_int_equal(l.away_n, away_n);
    }
}

/* Goal: a thread that has slept for want of work misses nothing.
 * Method: sleep and work by turns. */
static void sleep_is_not_missing(void **state)
{
    struct life l;

    (void)state;
    life_begin(&l);
    for (int i = 0; i < 100; i++) {
        life_go_on(&l, QR_SHARING_LOOK_NS / 2, 100);
        l.now_ns += QR_SHARING_LOOK_NS;
        qr_core_sharing_begin(&l.turns, l.now_ns, had_ns);
    }
    assert_int_equal(l.away_n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_alone_stays),
        cmocka_unit_test(who_is_held_up_for_a_moment_stays),
        cmocka_unit_test(who_shares_takes_turns),
        cmocka_unit_test(who_still_shares_goes_on),
        cmocka_unit_test(sleep_ends_what_was_seen),
        cmocka_unit_test(sleep_is_not_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
