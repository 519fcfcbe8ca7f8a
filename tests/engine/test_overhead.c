/* SPDX-License-Identifier: MIT */
/* Prints what a step costs in the model, in sampling and in the engine, by its profile.  Asserts
 * only that the work was done.  With QUIRE_MEASURE set it takes more runs. */
#include <time.h>

#include "runtime/base/phases.h"
#include "support/engine.h"

enum { TOKENS = 16 };

struct mode {
    const char *name;
    float temperature, top_p;
    int32_t top_k, logprobs;
};

static const struct mode modes[] = {
    {"greedy", 0.0f, 1.0f, 0, -1},          {"temperature 1", 1.0f, 1.0f, 0, -1},
    {"temperature 0.7", 0.7f, 1.0f, 0, -1}, {"top_k 40", 1.0f, 1.0f, 40, -1},
    {"top_p 0.95", 1.0f, 0.95f, 0, -1},     {"logprobs 5", 0.0f, 1.0f, 0, 5},
};

#define MODES_N (sizeof modes / sizeof *modes)

struct cost { /* of a step, microseconds */
    double model, sample, engine;
};

static struct cost cost_of(const quire_engine *engine)
{
    struct quire_phase phases[QR_PHASES_N];
    struct quire_stats stats = {.size = sizeof stats};
    struct cost cost = {0};

    quire_stats(engine, &stats);
    assert_true(stats.steps >= TOKENS);
    assert_int_equal(quire_profile(engine, phases, QR_PHASES_N), QR_PHASES_N);
    for (int i = 0; i < QR_PHASES_N; i++) {
        double us = (double)phases[i].ns * 1e-3 / (double)stats.steps;
        if (i >= QR_PHASE_PREFAULT && i <= QR_PHASE_HEAD)
            cost.model += us;
        else if (i == QR_PHASE_SAMPLE)
            cost.sample += us;
        else
            cost.engine += us;
    }
    assert_true(cost.model > 0 && cost.sample >= 0 && cost.engine > 0);
    return cost;
}

static struct cost run_once(quire_model *model, uint32_t sequences_n, const struct mode *mode)
{
    struct quire_engine_settings settings = engine_settings();
    struct answer *answers[64];
    int32_t prompt[] = {1, 2, 3};

    settings.profile = 1;
    quire_engine *engine = start_with(&settings, model);
    struct quire_request r = greedy(prompt, 3, TOKENS);
    r.temperature = mode->temperature;
    r.top_p = mode->top_p;
    r.top_k = mode->top_k;
    r.logprobs = mode->logprobs;
    for (uint32_t i = 0; i < sequences_n; i++)
        answers[i] = submit(engine, r);
    gather(engine, sequences_n);
    quire_engine_stop(engine, 0);
    for (uint32_t i = 0; i < sequences_n; i++) {
        assert_int_equal(answers[i]->ids_n, TOKENS);
        free(answers[i]);
    }
    struct cost cost = cost_of(engine);
    stop_and_free(engine);
    return cost;
}

/* Takes the minimum of several runs: other load on the machine only adds time. */
static void measure(const char *path, const char *name, int runs_n, size_t modes_n)
{
    quire_model *model = open_model(path);

    for (size_t i = 0; i < 2 * modes_n; i++) {
        const struct mode *mode = &modes[i / 2];
        struct cost least = {INFINITY, INFINITY, INFINITY};
        for (int run_i = 0; run_i < runs_n; run_i++) {
            struct cost cost = run_once(model, i % 2 ? 64 : 1, mode);
            least.model = fmin(least.model, cost.model);
            least.sample = fmin(least.sample, cost.sample);
            least.engine = fmin(least.engine, cost.engine);
        }
        printf("%-8s %2d sequences, %-15s  a step: model %8.1f us, sampling %6.1f, engine %5.1f\n",
               name, i % 2 ? 64 : 1, mode->name, least.model, least.sample, least.engine);
    }
    quire_model_close(model);
}

/* Goal: the cost of a step by mode, for 1 and 64 sequences.
 * Method: the profile of 20 runs of the tiny model. */
static void a_step_of_the_tiny_model(void **state)
{
    (void)state;
    measure(TINY, "tiny", 20, MODES_N);
}

/* Goal: the same for a real model.
 * Method: 1 run, greedy; with QUIRE_MEASURE 10 runs of each mode. */
static void a_step_of_smollm2(void **state)
{
    const char *path = smollm2_unless_tsan();

    (void)state;
    if (!path) skip();
    if (getenv("QUIRE_MEASURE"))
        measure(path, "SmolLM2", 10, MODES_N);
    else
        measure(path, "SmolLM2", 1, 1);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Goal: the time from submit to the turn that takes the request in, from a sleeping engine.
 * Method: submit after 1 ms of sleep; read the histogram of queue times. */
static void a_wake_from_idle(void **state)
{
    enum { WAKES = 101 };
    quire_model *model = open_model(TINY);
    quire_engine *engine = start(model);
    int32_t prompt[] = {1};
    double us[WAKES], sum = 0.0;

    (void)state;
    for (int i = 0; i < WAKES; i++) {
        struct quire_stats stats = {.size = sizeof stats};
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        free(run(engine, greedy(prompt, 1, 1)));
        quire_stats(engine, &stats);
        us[i] = (stats.queue_s.sum - sum) * 1e6;
        sum = stats.queue_s.sum;
    }
    qsort(us, WAKES, sizeof *us, compare);
    printf("wake from idle to the first step: median %.1f us, 90 %% %.1f us, worst %.1f us\n",
           us[WAKES / 2], us[WAKES * 9 / 10], us[WAKES - 1]);
    assert_true(us[0] > 0.0);
    stop_and_free(engine);
    quire_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_of_the_tiny_model),
        cmocka_unit_test(a_step_of_smollm2),
        cmocka_unit_test(a_wake_from_idle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
