/* SPDX-License-Identifier: MIT */
/* kernelcheck [--level L] [--kernel NAME] [--bench [--threads N] [--json]]
 *
 * Without --bench: compares each variant that the CPU supports with scalar; one line each and a
 * sum. With --bench: prints the machine's limits, then each variant's time and its share of a
 * limit. */
#include "kernelcheck.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "runtime/base/memory.h"

static const struct kc_suite *const suites[] = {
    &kc_quantize,    &kc_gemm_q4_0, &kc_gemm_q4_1,  &kc_gemm_q5_0, &kc_gemm_q5_1,  &kc_gemm_q8_0,
    &kc_gemm_iq4_nl, &kc_gemm_q2_k, &kc_gemm_q3_k,  &kc_gemm_q4_k, &kc_gemm_q5_k,  &kc_gemm_q6_k,
    &kc_gemm_iq4_xs, &kc_attention, &kc_gemm_float, &kc_rms_norm,  &kc_layer_norm, &kc_rope,
    &kc_rope_halves, &kc_swiglu,    &kc_gelu,       &kc_add,       &kc_argmax,     &kc_best,
    &kc_logsumexp,   &kc_topk,
};
#define SUITES_N (sizeof suites / sizeof suites[0])

static const char *const level_names[] = {"avx2",       "avx512", "avx512vnni",
                                          "avx512bf16", "neon",   "neondotprod"};
#define LEVELS_N (sizeof level_names / sizeof level_names[0])

struct options {
    const char *level;
    const char *kernel;
    uint32_t threads_n;
    bool bench;
    bool json;
};

/* ---- what suites use ----------------------------------------------------------------------- */

uint32_t kc_random_u32(struct kc_random *r)
{
    r->state = r->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(r->state >> 32) ^ (uint32_t)(r->state >> 51);
}

float kc_random_float(struct kc_random *r)
{
    return (float)(int32_t)kc_random_u32(r) * 0x1p-31f;
}

float kc_random_normal(struct kc_random *r)
{
    float sum = 0;
    for (uint32_t i = 0; i < 6; i++)
        sum += kc_random_float(r);
    return sum * 0.70710678f;
}

/* A mapping is a page with its length, the pages of the memory, which ends where they end, and a
 * page that faults. */
#define PAGE 4096u

void *kc_memory(size_t bytes)
{
    size_t inside = (bytes + 63) / 64 * 64, pages = (inside + PAGE - 1) / PAGE * PAGE;
    size_t whole = pages + 2 * (size_t)PAGE;
    uint8_t *base = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED || mprotect(base + PAGE + pages, PAGE, PROT_NONE) != 0) {
        fprintf(stderr, "kernelcheck: cannot allocate %zu bytes\n", bytes);
        exit(1);
    }
    /* as the runtime does for a model's weights */
    if (whole >= (size_t)4 << 20) (void)madvise(base, whole, MADV_HUGEPAGE);
    memcpy(base, &whole, sizeof whole);
    memset(base + PAGE, 0, pages); /* before the first write all pages map the same zero page */
    return base + PAGE + pages - inside;
}

void kc_memory_free(void *memory)
{
    uint8_t *base = (uint8_t *)((uintptr_t)memory / PAGE * PAGE) - PAGE;
    size_t whole;
    memcpy(&whole, base, sizeof whole);
    (void)munmap(base, whole);
}

bool kc_equal_bits(const float *a, const float *b, struct kc_rows rows, const char *what,
                   char *message, size_t size)
{
    for (size_t r = 0; r < rows.rows_n; r++) {
        for (size_t c = 0; c < rows.columns_n; c++) {
            const float *x = a + r * rows.stride + c, *y = b + r * rows.stride + c;
            if (memcmp(x, y, sizeof *x) == 0) continue;
            snprintf(message, size, "%s: row %zu, column %zu is %.9g, scalar %.9g", what, r, c,
                     (double)*x, (double)*y);
            return false;
        }
    }
    return true;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double kc_time(struct kc_bench *b, qr_team_fn *fn, void *work, uint32_t items_n, uint32_t grain)
{
    double start = now();
    qr_team_run(b->team, fn, work, items_n, grain);
    double once = now() - start, best = once;
    uint32_t inner = once > 0.004 ? 1 : (uint32_t)(0.004 / (once + 1e-7)) + 1;
    double until = now() + 0.12;
    for (uint32_t i = 0; i < 5 || now() < until; i++) {
        start = now();
        for (uint32_t j = 0; j < inner; j++)
            qr_team_run(b->team, fn, work, items_n, grain);
        double seconds = (now() - start) / inner;
        if (seconds < best) best = seconds;
    }
    return best;
}

static const char *const limit_names[KC_LIMITS_N] = {"int8", "bf16", "fp32", "read"};
static const char *const limit_units[KC_LIMITS_N] = {"GOPS", "GFLOPS", "GFLOPS", "GB/s"};

void kc_result(struct kc_bench *b, const char *kernel, const char *shape, double seconds,
               double amount, enum kc_limit limit)
{
    double rate = amount / seconds * 1e-9;
    double share = b->limits[limit] > 0 ? amount / seconds / b->limits[limit] : 0;
    if (b->json) {
        printf(
            "%s\n    {\"kernel\": \"%s\", \"level\": \"%s\", \"shape\": \"%s\", \"seconds\": %.4g, "
            "\"rate\": %.5g, \"unit\": \"%s\", \"limit\": \"%s\", \"share\": %.4f}",
            b->results_n ? "," : "", kernel, b->level, shape, seconds, rate, limit_units[limit],
            limit_names[limit], share);
    } else {
        printf("%-12s %-11s %-34s %10.2f us %9.1f %-6s %5.1f %% of %s\n", kernel, b->level, shape,
               seconds * 1e6, rate, limit_units[limit], share * 100, limit_names[limit]);
    }
    fflush(stdout);
    b->results_n++;
}

/* ---- the limits of the machine ------------------------------------------------------------- */

struct limit_work {
    const struct qr_limit_kernels *kernels;
    qr_limit_fn *fn;
    const uint8_t *data;
    uint64_t sinks[64];
    double amount[64];
};

#define LIMIT_REPEATS 3u /* other programs may take a core for longer than one figure takes */
#define LIMIT_ROUNDS  20000u
#define LIMIT_ITEMS   64u
#define READ_BYTES    ((size_t)256 << 20) /* larger than any cache */
#define READ_ITEM     ((size_t)1 << 20)

static void run_limit(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    struct limit_work *w = work;
    (void)thread;
    for (uint32_t i = begin; i < end; i++)
        w->amount[i] = w->fn(LIMIT_ROUNDS);
}

static void run_read(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    struct limit_work *w = work;
    w->kernels->read(w->data + begin * READ_ITEM, (end - begin) * READ_ITEM,
                     &w->sinks[thread % 64]);
}

double kc_read_rate(struct kc_bench *b, const uint8_t *data, size_t bytes)
{
    struct qr_limit_kernels best;
    struct limit_work w = {.kernels = &best, .data = data};

    qr_limits_init(&best, qr_cpu_flags());
    return (double)bytes / kc_time(b, run_read, &w, (uint32_t)(bytes / READ_ITEM), 0);
}

/* Uses the best level's loops, for every level that is timed. */
static void measure_limits(struct kc_bench *b)
{
    struct qr_limit_kernels best;
    struct limit_work w = {.kernels = &best};

    qr_limits_init(&best, qr_cpu_flags());
    qr_limit_fn *const loops[] = {best.int8, best.bf16, best.fp32};
    uint8_t *data = kc_memory(READ_BYTES);
    for (uint32_t repeat = 0; repeat < LIMIT_REPEATS; repeat++) {
        for (uint32_t i = 0; i < KC_LIMITS_N; i++) {
            double rate = 0;
            if (i == KC_READ) {
                rate = kc_read_rate(b, data, READ_BYTES);
            } else if (loops[i]) {
                w.fn = loops[i];
                double seconds = kc_time(b, run_limit, &w, LIMIT_ITEMS, 1);
                rate = w.amount[0] * LIMIT_ITEMS / seconds;
            }
            if (rate > b->limits[i]) b->limits[i] = rate;
        }
    }
    kc_memory_free(data);
}

static void print_limits(const struct kc_bench *b)
{
    if (b->json)
        printf("{\"threads\": %u, \"limits\": {", b->threads_n);
    else
        printf("limits, %u threads:", b->threads_n);
    for (uint32_t i = 0; i < KC_LIMITS_N; i++) {
        if (b->json) {
            printf("%s\"%s\": {\"rate\": %.5g, \"unit\": \"%s\"}", i ? ", " : "", limit_names[i],
                   b->limits[i] * 1e-9, limit_units[i]);
        } else {
            printf(" %s %.1f %s%s", limit_names[i], b->limits[i] * 1e-9, limit_units[i],
                   i + 1 < KC_LIMITS_N ? "," : "\n");
        }
    }
    if (b->json) printf("}, \"results\": [");
    fflush(stdout);
}

/* ---- the two runs -------------------------------------------------------------------------- */

static bool wanted(const struct options *o, const struct kc_suite *s)
{
    return !o->kernel || strncmp(s->name, o->kernel, strlen(o->kernel)) == 0;
}

/* Makes the level's table.  False: the CPU lacks the level, or the options name another. */
static bool take_level(const struct options *o, const char *name, struct qr_kernels *k)
{
    unsigned flags;
    if (o->level && strcmp(o->level, name) != 0) return false;
    if (!qr_cpu_level_flags(name, &flags) || (flags & qr_cpu_flags()) != flags) return false;
    qr_kernels_init(k, flags);
    return true;
}

/* Whether level i has a function of its own for suite s, or the options name a level. */
static bool brings_variant(const struct options *o, const struct kc_suite *s, size_t i,
                           const struct qr_kernels *k)
{
    struct qr_kernels below;
    unsigned flags, own;
    if (o->level) return true;
    qr_kernels_init(&below, 0);
    if (s->same(k, &below)) return false;
    for (size_t j = 0; j < i; j++) {
        if (!qr_cpu_level_flags(level_names[j], &flags)) continue;
        qr_cpu_level_flags(level_names[i], &own);
        if ((flags & own) != flags) continue;
        qr_kernels_init(&below, flags);
        if (s->same(k, &below)) return false;
    }
    return true;
}

static int run_checks(const struct options *o)
{
    struct qr_kernels scalar, k;
    uint32_t passed = 0, failed = 0;

    qr_kernels_init(&scalar, 0);
    for (size_t s = 0; s < SUITES_N; s++) {
        for (size_t i = 0; wanted(o, suites[s]) && i < LEVELS_N; i++) {
            char message[256] = "";
            if (!take_level(o, level_names[i], &k)) continue;
            if (!brings_variant(o, suites[s], i, &k)) continue;
            bool ok = suites[s]->check(&k, &scalar, message, sizeof message);
            printf("%-6s %-14s %-12s%s%s\n", ok ? "ok" : "FAILED", suites[s]->name, level_names[i],
                   ok ? "" : " ", message);
            fflush(stdout);
            if (ok)
                passed++;
            else
                failed++;
        }
    }
    printf("%u passed, %u failed\n", passed, failed);
    return failed ? 1 : 0;
}

static int run_bench(const struct options *o)
{
    const struct quire_allocator allocator = qr_allocator((struct quire_allocator){0});
    struct qr_kernels k;
    struct kc_bench b = {.kernels = &k, .json = o->json};

    b.team = qr_team_create(&allocator, o->threads_n);
    if (!b.team) {
        fprintf(stderr, "kernelcheck: cannot create threads\n");
        return 1;
    }
    b.threads_n = qr_team_threads(b.team);
    measure_limits(&b);
    print_limits(&b);
    for (size_t s = 0; s < SUITES_N; s++) {
        for (size_t i = 0; suites[s]->bench && wanted(o, suites[s]) && i < LEVELS_N; i++) {
            b.level = level_names[i];
            if (!take_level(o, b.level, &k)) continue;
            if (brings_variant(o, suites[s], i, &k)) suites[s]->bench(&b);
        }
    }
    if (o->level && strcmp(o->level, "scalar") == 0) {
        b.level = o->level;
        qr_kernels_init(&k, 0);
        for (size_t s = 0; s < SUITES_N; s++)
            if (suites[s]->bench && wanted(o, suites[s])) suites[s]->bench(&b);
    }
    if (o->json) printf("\n]}\n");
    qr_team_destroy(b.team);
    return 0;
}

static int usage(void)
{
    fprintf(stderr, "usage: kernelcheck [--level L] [--kernel NAME] "
                    "[--bench [--threads N] [--json]]\n"
                    "kernels:");
    for (size_t s = 0; s < SUITES_N; s++)
        fprintf(stderr, " %s", suites[s]->name);
    fprintf(stderr, "\nlevels here: %s and below\n", qr_cpu_level_name(qr_cpu_flags()));
    return 2;
}

int main(int argc, char **argv)
{
    struct options o = {0};
    unsigned flags = 0;

    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--bench") == 0)
            o.bench = true;
        else if (strcmp(argv[i], "--json") == 0)
            o.json = true;
        else if (!value)
            return usage();
        else if (strcmp(argv[i], "--level") == 0)
            o.level = argv[++i];
        else if (strcmp(argv[i], "--kernel") == 0)
            o.kernel = argv[++i];
        else if (strcmp(argv[i], "--threads") == 0)
            o.threads_n = (uint32_t)atoi(argv[++i]);
        else
            return usage();
    }
    if (o.level && !qr_cpu_level_flags(o.level, &flags)) return usage();
    if ((flags & qr_cpu_flags()) != flags) {
        fprintf(stderr,
                "kernelcheck: level %s is not supported by this CPU; its best level is %s\n",
                o.level, qr_cpu_level_name(qr_cpu_flags()));
        return 2;
    }
    if (o.threads_n > 64) return usage();
    return o.bench ? run_bench(&o) : run_checks(&o);
}
