/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

/* running_max, waiting_max, step_tokens, prefill_chunk, context_max */
#define LIMITS(...) ((struct qr_scheduler_limits){__VA_ARGS__, .window = 0})
#define PAGE        16u

/* Goal: a sequence's end frees every page in the same commit.
 * Method: end it after its prompt, after ten tokens, and in the middle of its prompt. */
static void end_gives_every_page_back(void **state)
{
    (void)state;
    for (uint32_t steps_n = 1; steps_n <= 14; steps_n++) {
        struct fixture f;
        qr_seq_id a;

        fixture_open(&f, LIMITS(4, 4, 64, 16, 80), 6, PAGE);
        a = fixture_submit(&f, 60, 80);
        fixture_steps(&f, steps_n - 1);
        fixture_plan(&f);
        assert_true(f.world.pool.free_n < 6);
        fixture_commit(&f, a);
        assert_state(&f, a, QR_SEQ_FREE);
        fixture_close(&f);
    }
}

/* Goal: cancel works in every state and frees every page at once.
 * Method: cancel one that waits, one in prefill, one that decodes and one that was preempted; the
 * others go on. */
static void cancel_in_any_state(void **state)
{
    struct fixture f;
    qr_seq_id a, b, c;

    (void)state;
    fixture_open(&f, LIMITS(3, 4, 64, 16, 80), 6, PAGE);
    a = fixture_submit(&f, 16, 80);
    fixture_cancel(&f, a);
    assert_state(&f, a, QR_SEQ_FREE);
    fixture_plan(&f);
    assert_int_equal(f.plan.items_n, 0);

    a = fixture_submit(&f, 10, 80);
    b = fixture_submit(&f, 60, 80);
    fixture_step(&f);
    assert_state(&f, b, QR_SEQ_RUNNING);
    fixture_cancel(&f, b);
    assert_int_equal(f.world.pool.free_n, 5);
    fixture_step(&f);
    assert_item(&f, 0, a, 10, 1, true);
    fixture_cancel(&f, a);
    assert_int_equal(f.world.pool.free_n, 6);

    a = fixture_submit(&f, 46, 80);
    b = fixture_submit(&f, 40, 80);
    fixture_steps(&f, 6);
    assert_state(&f, b, QR_SEQ_WAITING);
    c = fixture_submit(&f, 40, 80);
    fixture_cancel(&f, b);
    fixture_step(&f);
    assert_state(&f, a, QR_SEQ_RUNNING);
    assert_state(&f, c, QR_SEQ_WAITING);
    fixture_cancel(&f, a);
    fixture_step(&f);
    assert_item(&f, 0, c, 0, 16, false);
    fixture_cancel(&f, c);
    fixture_close(&f);
}

/* Goal: a sequence leaves either list from its head, middle or tail, and the others keep their
 * order.
 * Method: five run and five wait; cancel in every order of three. */
static void cancel_keeps_the_order(void **state)
{
    (void)state;
    for (uint32_t first = 0; first < 10; first++)
        for (uint32_t second = 0; second < 10; second++) {
            struct fixture f;
            qr_seq_id ids[10];
            uint32_t at = 0;

            if (first == second) continue;
            fixture_open(&f, LIMITS(5, 10, 64, 0, 64), 10, PAGE);
            for (uint32_t i = 0; i < 10; i++)
                ids[i] = fixture_submit(&f, 2, 64);
            fixture_step(&f);
            assert_int_equal(f.plan.admitted_n, 5);
            fixture_cancel(&f, ids[first]);
            fixture_cancel(&f, ids[second]);
            fixture_steps(&f, 2); /* all decode, the new ones too */
            for (uint32_t i = 0; i < 10 && at < f.plan.items_n; i++) {
                if (i == first || i == second) continue;
                assert_int_equal(f.items[at++].seq, ids[i]);
            }
            assert_int_equal(at, 5);
            for (uint32_t i = 0; i < 10; i++)
                if (i != first && i != second) fixture_cancel(&f, ids[i]);
            fixture_close(&f);
        }
}

/* Goal: an id is reused without anything of the sequence before.
 * Method: one sequence that was preempted and grew; the next one with its id starts afresh. */
static void ids_are_used_again(void **state)
{
    struct fixture f;
    qr_seq_id a;

    (void)state;
    fixture_open(&f, LIMITS(1, 1, 17, 0, 64), 4, PAGE);
    for (uint32_t i = 0; i < 5; i++) {
        a = fixture_submit(&f, 10 + i, 64);
        assert_true(a < 2);
        assert_state(&f, a, QR_SEQ_WAITING);
        fixture_plan(&f);
        assert_item(&f, 0, a, 0, 10 + i, true);
        fixture_commit(&f, a);
    }
    fixture_close(&f);
}

/* Goal: the figures count what was done.
 * Method: a prompt of 20 in chunks of 16 and two tokens; then all figures. */
static void figures_count_what_was_done(void **state)
{
    struct fixture f;
    struct qr_scheduler_stats stats;
    qr_seq_id a;

    (void)state;
    fixture_open(&f, LIMITS(4, 4, 64, 16, 64), 8, PAGE);
    a = fixture_submit(&f, 20, 64);
    fixture_plan(&f);
    qr_scheduler_stats(f.s, &stats);
    assert_int_equal(stats.steps, 0);
    fixture_commit(&f, QR_SEQ_NONE);
    fixture_step(&f);
    fixture_plan(&f);
    fixture_commit(&f, a);
    fixture_plan(&f); /* nothing to do: no step */
    qr_scheduler_stats(f.s, &stats);
    assert_int_equal(stats.steps, 3);
    assert_int_equal(stats.computed_tokens, 16 + 4 + 1);
    assert_int_equal(stats.slots_held, 16 + 32 + 32);
    assert_int_equal(stats.slots_empty, 0 + 12 + 11);
    assert_int_equal(stats.preemptions, 0);
    assert_int_equal(stats.recomputed_tokens, 0);
    assert_int_equal(stats.page_copies, 0);
    fixture_close(&f);
}

/* Goal: the dump shows running and waiting sequences and their pages.
 * Method: one of each. */
static void dump_shows_both_lists(void **state)
{
    struct fixture f;
    char text[1024] = "";
    FILE *out = fmemopen(text, sizeof text, "w");
    qr_seq_id a, b;

    (void)state;
    assert_non_null(out);
    fixture_open(&f, LIMITS(1, 4, 64, 16, 64), 8, PAGE);
    a = fixture_submit(&f, 40, 64);
    b = fixture_submit(&f, 7, 9);
    fixture_step(&f);
    qr_scheduler_dump(f.s, out);
    fclose(out);
    assert_non_null(
        strstr(text, "1 running, 1 waiting; pages: 8, 7 free, 0 cached, 2 of them promised"));
    assert_non_null(strstr(
        text, "running 0, priority 0: tokens 40 known, 16 computed, 64 at most; pages 1 + 2"));
    assert_non_null(
        strstr(text, "waiting 1, priority 0: tokens 7 known, 9 at most; preempted 0 times"));
    fixture_cancel(&f, a);
    fixture_cancel(&f, b);
    fixture_close(&f);
}

/* True: f ends in an assertion.  Runs it in a child process. */
static bool aborts(void (*f)(void))
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGABRT, SIG_DFL);
        if (freopen("/dev/null", "w", stderr) == NULL) _exit(2);
        f();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void open_with_budget(uint32_t step_tokens)
{
    struct fixture f;

    fixture_open(&f, LIMITS(8, 4, step_tokens, 0, 64), 8, PAGE);
}

static void budget_just_enough(void)
{
    open_with_budget(8 + QR_PREFILL_MIN);
}

static void budget_too_small(void)
{
    open_with_budget(8 + QR_PREFILL_MIN - 1);
}

static void submit_too_long(void)
{
    struct fixture f;

    fixture_open(&f, LIMITS(8, 4, 64, 0, 200), 8, PAGE);
    (void)!try_submit(f.s, 10, 8 * PAGE + 1);
}

static void grow_past_tokens_max(void)
{
    struct fixture f;

    fixture_open(&f, LIMITS(8, 4, 64, 0, 64), 8, PAGE);
    (void)!try_submit(f.s, 10, 10);
    fixture_step(&f);
}

static void plan_twice(void)
{
    struct fixture f;

    fixture_open(&f, LIMITS(8, 4, 64, 0, 64), 8, PAGE);
    (void)!try_submit(f.s, 10, 20);
    fixture_plan(&f);
    fixture_plan(&f);
}

static void cancel_before_commit(void)
{
    struct fixture f;

    fixture_open(&f, LIMITS(8, 4, 64, 0, 64), 8, PAGE);
    (void)!try_submit(f.s, 10, 20);
    fixture_plan(&f);
    qr_scheduler_cancel(f.s, 0);
}

static void cancel_twice(void)
{
    struct fixture f;

    fixture_open(&f, LIMITS(8, 4, 64, 0, 64), 8, PAGE);
    (void)!try_submit(f.s, 10, 20);
    qr_scheduler_cancel(f.s, 0);
    qr_scheduler_cancel(f.s, 0);
}

/* Goal: a call that the header forbids ends in an assertion, in every build.
 * Method: each in a child process, and the nearest allowed call, which does not. */
static void misuse_is_caught(void **state)
{
    (void)state;
    assert_false(aborts(budget_just_enough));
    assert_true(aborts(budget_too_small));
    assert_true(aborts(submit_too_long));
    assert_true(aborts(grow_past_tokens_max));
    assert_true(aborts(plan_twice));
    assert_true(aborts(cancel_before_commit));
    assert_true(aborts(cancel_twice));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(end_gives_every_page_back),
        cmocka_unit_test(cancel_in_any_state),
        cmocka_unit_test(cancel_keeps_the_order),
        cmocka_unit_test(ids_are_used_again),
        cmocka_unit_test(figures_count_what_was_done),
        cmocka_unit_test(dump_shows_both_lists),
        cmocka_unit_test(misuse_is_caught),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
