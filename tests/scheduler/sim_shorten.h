/* SPDX-License-Identifier: MIT */
/* sim_shorten -- makes a simulation that fails as short as it gets in a bounded time, and shows
 * what is left of it.
 *
 * Each turn of a seed draws from numbers of its own, so turns can be left out, or their submits and
 * cancels alone, without changing what the others do.  Ranges are left out, by halves down to
 * single turns, as long as the rest still fails (A. Zeller, R. Hildebrandt, "Simplifying and
 * Isolating Failure-Inducing Input", IEEE TSE 28(2), 2002).  Every try is a process of its own. */
#ifndef QR_TESTS_SCHEDULER_SIM_SHORTEN_H
#define QR_TESTS_SCHEDULER_SIM_SHORTEN_H

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "simulation.h"

#define SHORTEN_TURNS_MAX (1u << 20)
#define SHORTEN_S         20

/* Whether these turns of it fail; with a trace they say what they do. */
static bool sim_fails(const struct sim *of, const uint8_t *skips, uint64_t turns_n, bool trace)
{
    int status = 0, nowhere;
    pid_t child = fork();

    if (child != 0) {
        if (child < 0 || waitpid(child, &status, 0) != child) return false;
        return WIFSIGNALED(status) || WEXITSTATUS(status) != 0;
    }
    struct sim sim = {.seed = of->seed,
                      .has_twin = of->has_twin,
                      .has_tree = of->has_tree,
                      .window = of->window,
                      .planted = of->planted,
                      .skips = skips,
                      .trace = trace};
    signal(SIGABRT, SIG_DFL);
    nowhere = open("/dev/null", O_WRONLY);
    if (!trace && nowhere >= 0) (void)dup2(nowhere, STDERR_FILENO);
    sim_run(&sim, turns_n);
    _exit(0);
}

/* Of a simulation that fails in its turn of->turn: what may be left out of each turn.  Returns how
 * many turns are left at all; 0: it does not fail again. */
static uint64_t sim_shorten(const struct sim *of, uint8_t *skips)
{
    uint64_t n = of->turn + 1, left_n = 0;
    time_t end = time(NULL) + SHORTEN_S;

    if (n > SHORTEN_TURNS_MAX) return 0;
    memset(skips, 0, n);
    if (!sim_fails(of, skips, n, false)) return 0;
    for (uint64_t chunk = (n + 1) / 2; chunk >= 1 && time(NULL) < end; chunk /= 2)
        for (uint64_t at = 0; at < n && time(NULL) < end; at += chunk) {
            static uint8_t before[SHORTEN_TURNS_MAX];
            uint64_t size = at + chunk < n ? chunk : n - at;
            memcpy(before, skips + at, size);
            memset(skips + at, SIM_SKIP_CALLS | SIM_SKIP_STEP, size);
            if (sim_fails(of, skips, n, false)) continue;
            for (uint64_t i = 0; i < size; i++)
                skips[at + i] = before[i] | SIM_SKIP_CALLS;
            if (sim_fails(of, skips, n, false)) continue;
            memcpy(skips + at, before, size);
        }
    for (uint64_t i = 0; i < n; i++)
        left_n += skips[i] != (SIM_SKIP_CALLS | SIM_SKIP_STEP);
    return left_n;
}

/* Prints what is left of it, ending in the failure. */
static void sim_explain(const struct sim *of)
{
    static uint8_t skips[SHORTEN_TURNS_MAX];
    uint64_t left_n = sim_shorten(of, skips);

    if (left_n == 0) {
        fprintf(stderr, "the failure does not come again\n");
        return;
    }
    fprintf(stderr, "%llu of %llu turns fail in the same way:\n", (unsigned long long)left_n,
            (unsigned long long)of->turn + 1);
    (void)sim_fails(of, skips, of->turn + 1, true);
}

#endif
