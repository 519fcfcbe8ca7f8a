/* SPDX-License-Identifier: MIT */
/* Measures plan and commit of one step by running sequences, waiting sequences and pages.  Waiting
 * sequences and pages must not matter.  Built by hand: see docs/notes/scheduler.md.
 *
 * Sequences of a 32-token prompt grow to 512 tokens and are followed by new ones, so pages are
 * taken and dropped all the time.  With a prefix tree all texts differ, so the tree is full and
 * evicts for every page that is taken.  A figure is the median of 9 rounds of 2,000 steps, in the
 * process's processor time.  Requests go to the clients alternately. */
#include <time.h>

#include "world.h"

#define ROUNDS_N    9
#define STEPS_N     2000
#define RUNNING_MAX 4096

static double now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Texts in order of submission.  Each is reused after its sequence has ended. */
struct bench_texts {
    int32_t (*tokens)[512];
    const int32_t **first;
    uint32_t n, next;
    uint64_t random;
};

static struct bench_texts texts;

static void open_texts(uint32_t n)
{
    texts = (struct bench_texts){.n = n, .random = 1};
    texts.tokens = malloc(n * sizeof texts.tokens[0]);
    texts.first = malloc(n * sizeof texts.first[0]);
    assert(texts.tokens && texts.first);
    for (uint32_t i = 0; i < n; i++)
        texts.first[i] = texts.tokens[i];
}

static const int32_t *const *next_text(void)
{
    uint32_t which = texts.next++ % texts.n;

    for (uint32_t i = 0; i < 512; i++) {
        texts.random = texts.random * 6364136223846793005u + 1442695040888963407u;
        texts.tokens[which][i] = (int32_t)(texts.random >> 33);
    }
    return &texts.first[which];
}

static uint32_t clients_n, submitted_n;

static void submit(struct qr_scheduler *s)
{
    const struct qr_submission submission = {.tokens = texts.n > 0 ? next_text() : NULL,
                                             .prompt_n = 32,
                                             .tokens_max = 512,
                                             .client = {{submitted_n++ % clients_n, 0}}};
    qr_seq_id id = qr_scheduler_submit(s, &submission);

    assert(id != QR_SEQ_NONE);
}

/* Plans and commits once.  A new sequence follows each one that ends. */
static void step(struct qr_scheduler *s)
{
    static struct qr_result results[RUNNING_MAX];
    const struct qr_plan *plan = qr_scheduler_plan(s);
    uint32_t items_n = plan->items_n, ended_n = 0;

    for (uint32_t i = 0; i < items_n; i++) {
        results[i].finished = plan->items[i].position + plan->items[i].tokens_n == 512;
        ended_n += results[i].finished;
    }
    qr_scheduler_commit(s, results, items_n);
    while (ended_n-- > 0)
        submit(s);
}

static void measure(uint32_t running_n, uint32_t waiting_n, uint32_t clients, uint32_t pages_n,
                    bool has_tree)
{
    const struct qr_scheduler_limits limits = {.running_max = running_n,
                                               .waiting_max = waiting_n + running_n,
                                               .step_tokens = running_n + 256,
                                               .prefill_chunk = 256,
                                               .context_max = 2048};
    struct qr_scheduler_stats stats;
    double rounds[ROUNDS_N];
    struct world w;

    clients_n = clients;
    world_open(&w, &limits, pages_n, 32, has_tree);
    if (has_tree) open_texts(2 * running_n + waiting_n + 1);
    for (uint32_t i = 0; i < running_n; i++) {
        submit(w.scheduler);
        for (int n = 0; n < 512 / (int)running_n + 1; n++) /* so that they end in different steps */
            step(w.scheduler);
    }
    for (uint32_t i = 0; i < waiting_n; i++)
        submit(w.scheduler);
    for (int r = 0; r < ROUNDS_N; r++) {
        double begin = now_us();
        for (int i = 0; i < STEPS_N; i++)
            step(w.scheduler);
        rounds[r] = (now_us() - begin) / STEPS_N;
    }
    qsort(rounds, ROUNDS_N, sizeof rounds[0], compare);
    qr_scheduler_check(w.scheduler);
    qr_scheduler_stats(w.scheduler, &stats);
    printf("%7u %7u %7u %7u %4s %10.2f %12.1f %12.3f %10.3f\n", running_n, waiting_n, clients,
           pages_n, has_tree ? "yes" : "no", rounds[ROUNDS_N / 2],
           rounds[ROUNDS_N / 2] * 1000 / running_n, (double)stats.preemptions / (double)stats.steps,
           (double)stats.evictions / (double)stats.steps);
    free(texts.tokens);
    free(texts.first);
    texts = (struct bench_texts){0};
    world_close(&w);
}

int main(void)
{
    printf(
        "running waiting clients   pages tree    us/step  ns/sequence  preempt/step evict/step\n");
    measure(1, 0, 1, 8192, false);
    measure(64, 0, 1, 8192, false);
    measure(256, 0, 1, 8192, false);
    measure(256, 0, 1, 32768, false);
    measure(256, 100000, 1, 8192, false);
    measure(256, 100000, 10000, 8192, false);
    measure(256, 1000, 1, 1200, false);
    measure(1, 0, 1, 8192, true);
    measure(64, 0, 1, 8192, true);
    measure(256, 0, 1, 8192, true);
    measure(256, 0, 1, 32768, true);
    measure(256, 1000, 300, 8192, true);
    measure(256, 1000, 1, 1200, true);
    return 0;
}
