/* SPDX-License-Identifier: MIT */
/* What the engine itself costs, beside the model: prints it; asserts only that the work was done.
 * runtime/engine/README.md has what was measured with this program (QUIRE_MEASURE set: more runs).
 */
#include <time.h>

#include "engine/support.h"
#include "runtime/engine/engine.h"

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
    double model, sample, rest;
};

static struct cost run_once(quire_model *model, uint32_t sequences_n, const struct mode *mode)
{
    struct quire_engine_settings settings = engine_settings();
    struct answer *answers[64];
    int32_t prompt[] = {1, 2, 3};

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
    const struct qr_engine_times *t = &engine->times;
    assert_true(t->steps >= TOKENS);
    double steps = (double)t->steps * 1e3;
    struct cost cost = {(double)t->model_ns / steps, (double)t->sample_ns / steps,
                        (double)(t->turns_ns - t->model_ns - t->sample_ns) / steps};
    stop_and_free(engine);
    return cost;
}

/* The least of several runs: what others do on the machine only ever adds. */
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
            least.rest = fmin(least.rest, cost.rest);
        }
        printf("%-8s %2d sequences, %-15s  a step: model %8.1f us, sampling %6.1f, rest %5.1f\n",
               name, i % 2 ? 64 : 1, mode->name, least.model, least.sample, least.rest);
    }
    quire_model_close(model);
}

static void a_step_of_the_tiny_model(void **state)
{
    (void)state;
    measure(TINY, "tiny", 20, MODES_N);
}

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

/* From submit to the turn that takes it in, engine and team asleep before. */
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
