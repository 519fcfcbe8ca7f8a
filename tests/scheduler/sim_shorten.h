/* SPDX-License-Identifier: MIT */
/* sim_shorten -- shortens a failing simulation in a bounded time, and prints what is left.
 *
 * Each turn of a seed has its own random numbers.  So turns, or only their submits and cancels, can
 * be left out without changing the other turns.  Ranges of turns are left out, from halves down to
 * single turns, as long as the other turns still fail (A. Zeller, R. Hildebrandt, "Simplifying and
 * Isolating Failure-Inducing Input", IEEE TSE 28(2), 2002).  Every try runs in a child process. */
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

/* True: the simulation fails without the skipped turns.  trace: prints what it does. */
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

/* Shortens a simulation that fails in turn of->turn: writes what to skip in each turn.  Returns the
 * number of turns that are left; 0: it does not fail again. */
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

/* Prints the shortened simulation, up to the failure. */
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
