/* SPDX-License-Identifier: MIT */
/* QUIRE_SIM_SEEDS and QUIRE_SIM_STEPS set the length, QUIRE_SIM_SEED runs one seed again. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "sim_shorten.h"

#define SEEDS_N 150u
#define STEPS_N 600u

/* What all seeds of the deep run must have done together. */
#define DEEP_SEEDS_N     100u
#define DEEP_STEPS_N     100000u
#define DEEP_EVICTIONS   1000000u
#define DEEP_PREEMPTIONS 100000u
#define DEEP_TAKEOVERS   10000u
#define DEEP_WRITES      100000u /* after a fork */

static const struct sim *current; /* for on_abort: an assertion of the library knows no seed */

static void on_abort(int signal_number)
{
    char text[128];
    int n;

    (void)signal_number;
    if (!current) return;
    n = snprintf(text, sizeof text, "simulation failed: QUIRE_SIM_SEED=%llu, step %llu\n",
                 (unsigned long long)current->seed, (unsigned long long)current->n.steps);
    if (write(STDERR_FILENO, text, (size_t)n) < 0) _exit(1);
    sim_explain(current); /* safe in a handler: this thread aborted, and no lock is held */
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void add_counts(struct sim_counts *sum, const struct sim_counts *n)
{
    sum->steps += n->steps;
    sum->submitted += n->submitted;
    sum->refused += n->refused;
    sum->cancelled += n->cancelled;
    sum->finished += n->finished;
    sum->preemptions += n->preemptions;
    sum->readmissions += n->readmissions;
    sum->promised += n->promised;
    sum->hits += n->hits;
    sum->resumed += n->resumed;
    sum->copies += n->copies;
    sum->evictions += n->evictions;
    sum->waits += n->waits;
    sum->takeovers += n->takeovers;
    sum->backlogged += n->backlogged;
    sum->groups += n->groups;
    sum->attached_ends += n->attached_ends;
    sum->promoted += n->promoted;
    sum->forks += n->forks;
    sum->queued_forks += n->queued_forks;
    sum->fork_copies += n->fork_copies;
    sum->cut += n->cut;
    sum->left += n->left;
    sum->exact += n->exact;
    sum->exact_holes += n->exact_holes;
    sum->oversized += n->oversized;
}

static struct sim_counts run_seeds(uint64_t seeds_n, uint64_t steps_n, bool has_twin)
{
    uint64_t only = setting("QUIRE_SIM_SEED", 0);
    struct sim_counts sum = {0};

    for (uint64_t seed = only > 0 ? only : 1; seed <= (only > 0 ? only : seeds_n); seed++) {
        struct sim sim = {.seed = seed, .has_twin = has_twin, .has_tree = seed % 4 != 0};
        if (seed % 3 == 2) sim.window = 1 + (uint32_t)(seed * 29 % (seed % 2 ? 120 : 32));
        current = &sim;
        sim_run(&sim, steps_n);
        current = NULL;
        add_counts(&sum, &sim.n);
    }
    return sum;
}

/* Goal: every rule of scheduler.h holds after every step: pages, order, budget, progress, the
 * bound on preemptions, one end for each sequence.  Shared pages are of the right text, and no
 * token is ever read from another sequence's page.
 * Method: seeded worlds with tiny pools, budgets and chunks, three of four with a prefix tree, one
 * of three with a sliding window.  At the end every kind of event must have happened. */
static void every_promise_holds_after_every_step(void **state)
{
    uint64_t seeds_n = setting("QUIRE_SIM_SEEDS", SEEDS_N);
    uint64_t steps_n = setting("QUIRE_SIM_STEPS", STEPS_N);
    struct sim_counts n = run_seeds(seeds_n, steps_n, false);

    (void)state;
    print_message("%llu steps: %llu accepted, %llu refused, %llu finished, %llu cancelled, "
                  "%llu preemptions, %llu readmissions\n",
                  (unsigned long long)n.steps, (unsigned long long)n.submitted,
                  (unsigned long long)n.refused, (unsigned long long)n.finished,
                  (unsigned long long)n.cancelled, (unsigned long long)n.preemptions,
                  (unsigned long long)n.readmissions);
    print_message("%llu tokens found, %llu resumed with some, %llu page copies, %llu evictions, "
                  "%llu waits, %llu takeovers\n",
                  (unsigned long long)n.hits, (unsigned long long)n.resumed,
                  (unsigned long long)n.copies, (unsigned long long)n.evictions,
                  (unsigned long long)n.waits, (unsigned long long)n.takeovers);
    print_message("%llu groups, %llu ended attached, %llu promoted, %llu forks, %llu queued, "
                  "%llu writes after a fork\n",
                  (unsigned long long)n.groups, (unsigned long long)n.attached_ends,
                  (unsigned long long)n.promoted, (unsigned long long)n.forks,
                  (unsigned long long)n.queued_forks, (unsigned long long)n.fork_copies);
    print_message("%llu compared with all that the tree has, %llu with holes; %llu longer than all "
                  "pages\n",
                  (unsigned long long)n.exact, (unsigned long long)n.exact_holes,
                  (unsigned long long)n.oversized);
    assert_int_equal(n.submitted, n.finished + n.cancelled);
    if (getenv("QUIRE_SIM_SEED") != NULL) return;
    assert_true(n.refused > 0);
    assert_true(n.finished > 0);
    assert_true(n.cancelled > 0);
    assert_true(n.preemptions > 0);
    assert_true(n.readmissions > 0);
    assert_true(n.promised > 0);
    assert_true(n.hits > 0);
    assert_true(n.resumed > 0);
    assert_true(n.copies > 0);
    assert_true(n.evictions > 0);
    assert_true(n.waits > 0);
    assert_true(n.takeovers > 0);
    assert_true(n.backlogged > 0);
    assert_true(n.attached_ends > 0);
    assert_true(n.promoted > 0);
    assert_true(n.forks > n.groups);
    assert_true(n.queued_forks > 0);
    assert_true(n.fork_copies > 0);
    assert_true(n.cut > 0);
    assert_true(n.left > 0);
    assert_true(n.exact > n.exact_holes && n.exact_holes > 0);
    assert_true(n.oversized > 0);
    if (seeds_n < DEEP_SEEDS_N || steps_n < DEEP_STEPS_N) return;
    assert_true(n.evictions >= DEEP_EVICTIONS);
    assert_true(n.preemptions >= DEEP_PREEMPTIONS);
    assert_true(n.takeovers >= DEEP_TAKEOVERS);
    assert_true(n.fork_copies >= DEEP_WRITES);
}

/* Goal: a failure is shortened to few turns, which still fail.
 * Method: a preemption counts as a failure; worlds in which the first one comes after 50 turns or
 * more. */
static void failures_are_shortened(void **state)
{
    static uint8_t skips[SHORTEN_TURNS_MAX];
    uint32_t looked_at_n = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 60 && looked_at_n < 2; seed++) {
        struct sim planted = {.seed = seed, .has_tree = true, .planted = true};
        for (planted.turn = 50; planted.turn < 400; planted.turn *= 2)
            if (sim_fails(&planted, NULL, planted.turn + 1, false)) break;
        if (planted.turn >= 400 || planted.turn == 50) continue;
        uint64_t left_n = sim_shorten(&planted, skips);
        assert_true(left_n > 0 && left_n <= planted.turn / 2);
        assert_true(sim_fails(&planted, skips, planted.turn + 1, false));
        looked_at_n++;
    }
    assert_int_equal(looked_at_n, 2);
}

/* Goal: the same calls give the same plans, page for page.
 * Method: two schedulers with their own memory get the same calls; compare each plan. */
static void same_calls_same_plans(void **state)
{
    struct sim_counts n = run_seeds(40, 300, true);

    (void)state;
    assert_true(n.steps > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_promise_holds_after_every_step),
        cmocka_unit_test(same_calls_same_plans),
        cmocka_unit_test(failures_are_shortened),
    };

    signal(SIGABRT, on_abort);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
