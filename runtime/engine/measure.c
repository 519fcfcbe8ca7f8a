/* SPDX-License-Identifier: MIT */
/* measure -- quire_measure_limits: the machine's limits.  All threads run a loop of one instruction
 * at once, then read memory that no cache holds.  Last comes the distance between their cores. */
#include <string.h>

#include "kernels/kernels.h"
#include "runtime/base/distance.h"
#include "runtime/base/machine.h"
#include "runtime/base/memory.h"
#include "runtime/base/team.h"
#include "runtime/engine/engine.h"
#include "runtime/engine/settings.h"

#define ITEMS_A_THREAD 8u                  /* so that a thread that starts late has some left */
#define ITEM_NS        500000u             /* long, compared with handing out an item */
#define READ_BYTES     ((size_t)256 << 20) /* no last-level cache slice group holds it */
#define READ_BYTES_MIN ((size_t)16 << 20)
#define READ_ITEM      ((size_t)1 << 20)

struct loop_work {
    qr_limit_fn *fn;
    uint32_t rounds;
    double *done; /* [items] operations */
};

struct read_work {
    qr_limit_read_fn *fn;
    const uint8_t *data;
    uint64_t *sinks; /* [items] */
};

static void run_loops(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    struct loop_work *w = work;

    (void)thread;
    for (uint32_t i = begin; i < end; i++)
        w->done[i] = w->fn(w->rounds);
}

static void run_reads(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    struct read_work *w = work;

    (void)thread;
    for (uint32_t i = begin; i < end; i++)
        w->fn(w->data + i * READ_ITEM, READ_ITEM, &w->sinks[i]);
}

static uint32_t rounds_of(qr_limit_fn *fn)
{
    for (uint32_t rounds = 1024;; rounds *= 2) {
        uint64_t begin = qr_clock_ns();
        (void)fn(rounds);
        if (qr_clock_ns() - begin >= ITEM_NS || rounds >= UINT32_MAX / 2) return rounds;
    }
}

/* The best of as many runs as fit in `ns`, because other load only slows a run down. */
static double best_loop(struct qr_team *team, qr_limit_fn *fn, uint64_t ns, double *done)
{
    uint32_t items_n = qr_team_threads(team) * ITEMS_A_THREAD;
    struct loop_work work = {fn, 0, done};
    uint64_t end = qr_clock_ns() + ns;
    double best = 0.0;

    if (!fn) return 0.0;
    work.rounds = rounds_of(fn);
    do {
        double operations = 0.0;
        uint64_t begin = qr_clock_ns();
        qr_team_run(team, run_loops, &work, items_n, 1);
        double rate = 1e9 / (double)(qr_clock_ns() - begin);
        for (uint32_t i = 0; i < items_n; i++)
            operations += done[i];
        if (rate * operations > best) best = rate * operations;
    } while (qr_clock_ns() < end);
    return best;
}

static double best_read(struct qr_team *team, qr_limit_read_fn *fn, uint64_t ns,
                        const struct quire_allocator *allocator)
{
    struct qr_region region;
    uint64_t available = qr_memory_available(), end = qr_clock_ns() + ns;
    size_t bytes = READ_BYTES;
    double best = 0.0;

    if (available && bytes > available / 4) bytes = (size_t)(available / 4);
    bytes &= ~(READ_ITEM - 1);
    if (bytes < READ_BYTES_MIN || !qr_region_create(&region, bytes)) return 0.0;
    memset(region.base, 1, bytes); /* memory never written maps one page of zeros */
    uint32_t items_n = (uint32_t)(bytes / READ_ITEM);
    struct read_work work = {fn, region.base, qr_alloc_zero(allocator, items_n, 8)};
    while (work.sinks) {
        uint64_t begin = qr_clock_ns();
        qr_team_run(team, run_reads, &work, items_n, 1);
        double rate = (double)bytes * 1e9 / (double)(qr_clock_ns() - begin);
        if (rate > best) best = rate;
        if (qr_clock_ns() >= end) break;
    }
    qr_free(allocator, work.sinks);
    qr_region_destroy(&region);
    return best;
}

int quire_measure_limits(uint32_t threads, uint32_t ms, struct quire_limits *out)
{
    struct quire_allocator allocator = qr_allocator((struct quire_allocator){0});
    struct qr_kernels kernels;
    struct quire_limits limits = {.size = sizeof limits};
    uint64_t ns = (uint64_t)ms * 1000000u / 4; /* for each of four measurements */

    if (!out || out->size <= sizeof out->size) return QUIRE_INVALID;
    struct qr_team *team = qr_team_create(&allocator, threads);
    if (!team) return QUIRE_NO_MEMORY;
    double *done = qr_alloc_zero(&allocator, qr_team_threads(team) * ITEMS_A_THREAD, sizeof *done);
    if (!done) {
        qr_team_destroy(team);
        return QUIRE_NO_MEMORY;
    }
    qr_kernels_init(&kernels, qr_cpu_flags());
    limits.int8_ops = best_loop(team, kernels.limits.int8, ns, done);
    limits.bf16_flops = best_loop(team, kernels.limits.bf16, ns, done);
    limits.fp32_flops = best_loop(team, kernels.limits.fp32, ns, done);
    limits.read_bytes = best_read(team, kernels.limits.read, ns, &allocator);
    /* Last, when the threads have settled on their cores. */
    limits.core_to_core_ns = qr_distance_measure(team, &allocator);
    qr_free(&allocator, done);
    qr_team_destroy(team);
    qr_settings_write(out, &limits, sizeof limits);
    return QUIRE_OK;
}
