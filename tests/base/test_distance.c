/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/distance.h"

#define TRIES 1000

/* Goal: a team of two or more threads has a distance; a single thread has none.
 * Method: teams of 1 to 4 threads.  Measure again while other load keeps a thread from its core. */
static void neighbours_have_a_distance(void **state)
{
    const struct quire_allocator a = qr_allocator((struct quire_allocator){0});

    (void)state;
    for (uint32_t threads = 1; threads <= (qr_cores_available() > 1 ? 4 : 1); threads++) {
        struct qr_team *team = qr_team_create(&a, threads);
        double ns = 0.0;

        assert_non_null(team);
        for (int i = 0; i < TRIES && ns == 0.0; i++)
            ns = qr_distance_measure(team, &a);
        if (threads == 1)
            assert_true(ns == 0.0);
        else
            assert_true(ns > 0.0);
        qr_team_destroy(team);
    }
}

/* Goal: the measurement ends without threads that never arrive, and returns 0.
 * Method: measure in a forked child, which has only the calling thread of the team. */
static void absent_threads_end_it(void **state)
{
    const struct quire_allocator a = qr_allocator((struct quire_allocator){0});

    (void)state;
    for (uint32_t threads = 2; threads <= 5; threads++) {
        struct qr_team *team = qr_team_create(&a, threads);
        int status;

        assert_non_null(team);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            (void)alarm(30);
            _exit(qr_distance_measure(team, &a) == 0.0 ? 0 : 1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        qr_team_destroy(team);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(neighbours_have_a_distance),
        cmocka_unit_test(absent_threads_end_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
