/* SPDX-License-Identifier: MIT */
/* The fit of a step's time, on simulated machines: the test reads no clock. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/engine/pace.h"
#include "scheduler/world.h"

#define TARGET_S 0.060

/* A machine: seconds of a step, a token and a read, and its noise. */
struct machine {
    double step_s, token_s, read_s;
    double noise;      /* up to this part more or less */
    uint32_t stall_in; /* one step in so many takes 20 times as long; 0: none */
    uint64_t random;
};

static double uniform(struct machine *m)
{
    m->random = m->random * 6364136223846793005u + 1442695040888963407u;
    return (double)(m->random >> 11) * 0x1p-53;
}

static double true_s(const struct machine *m, uint32_t tokens_n, uint64_t reads_n)
{
    return m->step_s + m->token_s * tokens_n + m->read_s * (double)reads_n;
}

static double measured_s(struct machine *m, uint32_t tokens_n, uint64_t reads_n)
{
    double s = true_s(m, tokens_n, reads_n) * (1 + m->noise * (2 * uniform(m) - 1));

    return m->stall_in && uniform(m) * m->stall_in < 1 ? 20 * s : s;
}

/* Steps of 1 to 200 tokens at positions up to 4,000. */
static void learn(struct qr_pace *p, struct machine *m, uint32_t steps_n)
{
    while (steps_n-- > 0) {
        uint32_t tokens_n = 1 + (uint32_t)(uniform(m) * 200);
        uint64_t reads_n = (uint64_t)(tokens_n * uniform(m) * 4000) + tokens_n;
        qr_pace_learn(p, tokens_n, reads_n, measured_s(m, tokens_n, reads_n));
    }
}

/* The largest relative error of the fit over some steps. */
static double worst(const struct qr_pace *p, const struct machine *m)
{
    double worst = 0;

    for (uint32_t tokens_n = 16; tokens_n <= 144; tokens_n += 64)
        for (uint64_t at = 100; at <= 4000; at += 1300) {
            double truth = true_s(m, tokens_n, tokens_n * at);
            worst = fmax(worst, fabs(qr_pace_predict(p, tokens_n, tokens_n * at) / truth - 1));
        }
    return worst;
}

static const struct machine slow = {0.004, 0.0005, 40e-9, 0, 0, 1};

/* Goal: the fit finds the coefficients of a machine that follows the model, and the budget is the
 * target's.
 * Method: 60 steps without noise. */
static void fit_converges(void **state)
{
    struct machine m = slow;
    struct qr_pace p;

    (void)state;
    qr_pace_init(&p, TARGET_S);
    learn(&p, &m, 60);
    assert_true(worst(&p, &m) < 0.01);
    struct qr_step_budget of = qr_pace_budget(&p);
    double tokens_n = (double)of.cost_max / (double)of.token_cost;
    assert_true(fabs(tokens_n - (TARGET_S - m.step_s) / m.token_s) < 0.05 * tokens_n);
    double reads_n = (double)of.cost_max / (double)of.read_cost;
    assert_true(fabs(reads_n - (TARGET_S - m.step_s) / m.read_s) < 0.05 * reads_n);
}

/* Goal: the fit follows a machine that becomes slower or faster.
 * Method: half, then four times the speed; 200 steps each. */
static void fit_follows_a_change(void **state)
{
    struct machine m = slow;
    struct qr_pace p;

    (void)state;
    qr_pace_init(&p, TARGET_S);
    learn(&p, &m, 200);
    for (int i = 0; i < 2; i++) {
        double by = i == 0 ? 2 : 0.25;
        m.step_s *= by;
        m.token_s *= by;
        m.read_s *= by;
        learn(&p, &m, 200);
        assert_true(worst(&p, &m) < 0.05);
    }
}

/* Goal: noise and stalls do not spoil the fit.
 * Method: 20 % of noise, and one step in 50 takes 20 times as long; check 20 times. */
static void fit_survives_noise(void **state)
{
    struct machine m = slow;
    struct qr_pace p;

    (void)state;
    m.noise = 0.2;
    m.stall_in = 50;
    qr_pace_init(&p, TARGET_S);
    learn(&p, &m, 200);
    for (int i = 0; i < 20; i++) {
        learn(&p, &m, 50);
        assert_true(worst(&p, &m) < 0.6);
        assert_true(qr_pace_predict(&p, 100, 100000) < 1.3 * true_s(&m, 100, 100000));
        assert_true(qr_pace_predict(&p, 100, 100000) > 0.7 * true_s(&m, 100, 100000));
    }
}

/* Goal: invalid times are ignored, and an absurd time is forgotten.  The budget stays within the
 * scheduler's numbers.
 * Method: NaN, infinities, zero, negative; then a step of a year; then equal steps only. */
static void nonsense_is_survived(void **state)
{
    static const double none[] = {NAN, INFINITY, -INFINITY, 0, -1};
    struct machine m = slow;
    struct qr_pace p, before;

    (void)state;
    qr_pace_init(&p, TARGET_S);
    learn(&p, &m, 100);
    before = p;
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        qr_pace_learn(&p, 10, 1000, none[i]);
    qr_pace_learn(&p, 0, 0, 1);
    assert_memory_equal(&p, &before, sizeof p);
    for (int i = 0; i < 3; i++)
        qr_pace_learn(&p, UINT32_MAX, UINT64_MAX, 3e7);
    learn(&p, &m, 600);
    assert_true(worst(&p, &m) < 0.1);
    for (int i = 0; i < 20000; i++) /* nothing is learnt of two of three */
        qr_pace_learn(&p, 16, 16000, measured_s(&m, 16, 16000));
    assert_true(fabs(qr_pace_predict(&p, 16, 16000) / true_s(&m, 16, 16000) - 1) < 0.01);
    struct qr_step_budget of = qr_pace_budget(&p);
    assert_true(of.cost_max <= UINT64_C(1) << 62);
    assert_true(of.token_cost <= UINT64_C(1) << 40 && of.read_cost <= UINT64_C(1) << 24);
    learn(&p, &m, 300);
    assert_true(worst(&p, &m) < 0.05);
}

/* Submits a sequence without a tree. */
static void come(struct world *w, uint32_t prompt_n, uint32_t tokens_max)
{
    const struct qr_submission submission = {.prompt_n = prompt_n, .tokens_max = tokens_max};

    assert_int_not_equal(qr_scheduler_submit(w->scheduler, &submission), QR_SEQ_NONE);
}

/* Goal: with the scheduler, steps keep to the target soon, and prefill uses what the target leaves.
 * Method: 16 sequences decode while prompts of 4,000 tokens arrive one after another; the machine
 * has 10 % of noise and becomes slower by half.  Of the steps with decoding, 99 of 100 take at
 * most 1.5 targets, and the mean is near one. */
static void target_is_held(void **state)
{
    const struct qr_scheduler_limits limits = {.running_max = 17,
                                               .waiting_max = 16,
                                               .step_tokens = 512,
                                               .prefill_chunk = 0,
                                               .context_max = 4400};
    struct machine m = slow;
    struct qr_result results[17];
    uint32_t over_n = 0, steps_n = 0, longest_n = 0;
    double sum_s = 0;
    struct qr_pace p;
    struct world w;

    (void)state;
    m.noise = 0.1;
    world_open(&w, &limits, 17 * 138, 32, false);
    qr_pace_init(&p, TARGET_S);
    for (int i = 0; i < 16; i++)
        come(&w, 64, 4400);
    for (int i = 0; i < 3000; i++) {
        struct qr_step_budget budget = qr_pace_budget(&p);
        bool decodes = false;
        if (qr_scheduler_waiting_n(w.scheduler) == 0) come(&w, 4000, 4001);
        qr_scheduler_set_budget(w.scheduler, &budget);
        const struct qr_plan *plan = qr_scheduler_plan(w.scheduler);
        uint32_t tokens_n = plan->tokens_n, items_n = plan->items_n;
        double s = measured_s(&m, tokens_n, plan->reads_n);
        for (uint32_t k = 0; k < items_n; k++) {
            const struct qr_plan_item *item = &plan->items[k];
            results[k].finished = item->wants_logits && item->position + item->tokens_n == 4000;
            decodes |= item->tokens_n == 1 && item->position >= 64;
        }
        qr_pace_learn(&p, tokens_n, plan->reads_n, s);
        qr_scheduler_commit(w.scheduler, results, items_n);
        if (i == 1500) m.step_s *= 1.5, m.token_s *= 1.5, m.read_s *= 1.5;
        if (!decodes) continue;
        steps_n++;
        sum_s += s;
        over_n += s > 1.5 * TARGET_S;
        if (tokens_n > longest_n) longest_n = tokens_n;
    }
    assert_true(steps_n > 2000);
    assert_true(over_n * 100 <= steps_n);
    assert_true(sum_s / steps_n > 0.7 * TARGET_S && sum_s / steps_n < 1.05 * TARGET_S);
    assert_true(longest_n > 60);
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fit_converges),      cmocka_unit_test(fit_follows_a_change),
        cmocka_unit_test(fit_survives_noise), cmocka_unit_test(nonsense_is_survived),
        cmocka_unit_test(target_is_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
