/* SPDX-License-Identifier: MIT */
#include "tools/quire/bench.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tools/client/bytes.h"
#include "tools/client/numbers.h"
#include "tools/client/terminal.h"
#include "tools/quire/command.h"
#include "tools/quire/source.h"

static const char usage[] =
    "Usage: quire bench --model FILE.gguf [options]\n\n"
    "Measures prefill and decode in this process.  Prints each rate and its share of what the\n"
    "machine's limits allow.  The limits are measured in the same run.\n";

#define ROWS_MAX     32
#define LIST_MAX     12 /* items of --batches and of --contexts */
#define CACHE_MAX    16
#define PROMPT_N     128u
#define GENERATE_N   64u
#define LIMITS_MS    200u
#define DECODE_TRIES 20
#define PAGES_S      10.0

struct bench {
    struct qr_source_options where;
    const char *rows_text, *batches_text, *lengths_text, *contexts_text;
    uint32_t runs_n;
    bool limits_only, no_cache, cache_table, json, quiet;
    struct qr_source source;
    uint32_t batches[LIST_MAX], contexts[LIST_MAX];
    size_t batches_n, contexts_n;
    struct qr_bench_row rows[ROWS_MAX];
    struct qr_cache_row cache[CACHE_MAX];
    struct qr_bench_profile profiles[ROWS_MAX];
    struct qr_bench_report report;
    struct qr_progress progress;
    uint64_t steps_done, seed;
};

static size_t table(struct qr_option *o, struct bench *b)
{
    const struct qr_option own[] = {
        {QR_OPTION_HEADING, NULL, NULL, NULL, "Work and output:", 0, 0, NULL},
        {QR_OPTION_TEXT, "rows", &b->rows_text, "LIST",
         "rows to measure: start, prefill (or prefill_1x512, prefill_32x128), decode, wall, prefix "
         "(16 sequences over a shared prefix of 1,024 tokens), context (one sequence at each of "
         "--contexts) (default: start,prefill,decode,wall)",
         0, 0, NULL},
        {QR_OPTION_TEXT, "batches", &b->batches_text, "LIST",
         "sequences in each decode row (default: 1,8,32,64)", 0, 0, NULL},
        {QR_OPTION_TEXT, "contexts", &b->contexts_text, "LIST",
         "tokens in each context row (default: 256,512,1024,2048,4096)", 0, 0, NULL},
        {QR_OPTION_COUNT, "best-of", &b->runs_n, "N", "runs of each row (default: 3)", 1,
         QR_BENCH_RUNS_MAX, NULL},
        {QR_OPTION_FLAG, "limits", &b->limits_only, NULL, "measure the machine's limits only", 0, 0,
         NULL},
        {QR_OPTION_FLAG, "kv-cache-table", &b->cache_table, NULL,
         "compare generating with the KV cache and without it; without it each token computes the "
         "whole sequence again",
         0, 0, NULL},
        {QR_OPTION_FLAG, "no-kv-cache", &b->no_cache, NULL, "measure without the KV cache only", 0,
         0, NULL},
        {QR_OPTION_TEXT, "lengths", &b->lengths_text, "LIST",
         "tokens to generate for --kv-cache-table and --no-kv-cache (default: 64,256,1024)", 0, 0,
         NULL},
        {QR_OPTION_FLAG, "profile", &b->where.profile, NULL,
         "also print how long each phase of a row's steps takes", 0, 0, NULL},
        {QR_OPTION_FLAG, "json", &b->json, NULL, "print JSON", 0, 0, NULL},
        {QR_OPTION_FLAG, "quiet", &b->quiet, NULL, "do not print progress", 0, 0, NULL},
        {QR_OPTION_FLAG, "help", NULL, NULL, "print this help", 0, 0, NULL},
    };
    size_t n = sizeof own / sizeof *own;
    memcpy(o, own, sizeof own);
    return n + qr_source_options(o + n, &b->where, false);
}

/* ---- the rows ----------------------------------------------------------------------- */

/* Whether a word is in a comma-separated list. */
static bool listed(const char *list, const char *word)
{
    for (const char *p = list; *p;) {
        size_t item_n = strcspn(p, ",");
        if (qr_bytes_are(p, item_n, word)) return true;
        p += item_n + (p[item_n] == ',');
    }
    return false;
}

static void advance(struct bench *b, const char *what)
{
    qr_progress_show(&b->progress, b->steps_done++, what);
}

__attribute__((format(printf, 4, 5))) static struct qr_bench_row *
new_row(struct bench *b, bool is_time, const char *key, const char *title, ...)
{
    assert(b->report.rows_n < ROWS_MAX);
    struct qr_bench_row *row = &b->report.rows[b->report.rows_n++];
    *row = (struct qr_bench_row){.is_time = is_time};
    snprintf(row->key, sizeof row->key, "%s", key);
    va_list arguments;
    va_start(arguments, title);
    vsnprintf(row->title, sizeof row->title, title, arguments);
    va_end(arguments);
    return row;
}

/* Waits until the engine has prefaulted its pages, as in a server that has run for a while: no row
 * should include the time in which the system provides memory. */
static void wait_for_pages(const quire_engine *engine)
{
    struct quire_stats stats = {.size = sizeof stats};
    double began_s = qr_clock_s();

    do {
        quire_stats(engine, &stats);
        if (stats.pages_ready >= stats.pages_ready_wanted) return;
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    } while (qr_clock_s() - began_s < PAGES_S);
}

static bool run_batch(struct bench *b, struct qr_batch batch, struct qr_batch_times *times,
                      struct qr_failure *why)
{
    wait_for_pages(b->source.engine);
    batch.seed = b->seed += 0x10001; /* new prompts: none of their pages is cached */
    return qr_batch_run(b->source.engine, b->report.info.vocab_n, &batch, times, why);
}

/* On a busy machine a small model may finish before this thread reads its first event.  Then all
 * tokens come at once and give no decode rate, so the batch runs again. */
static bool run_decode(struct bench *b, struct qr_batch batch, struct qr_batch_times *times,
                       struct qr_failure *why)
{
    for (int i = 0; i < DECODE_TRIES; i++) {
        if (!run_batch(b, batch, times, why)) return false;
        if (times->wall_s > times->all_first_s) break;
    }
    return true;
}

/* Limits are measured before each row, and at the end (row: NULL). */
static bool measure_limits(struct bench *b, struct qr_bench_row *row, struct qr_failure *why)
{
    struct quire_limits now = {.size = sizeof now};
    wait_for_pages(b->source.engine); /* prefaulting would take a core from the measurement */
    int status = quire_measure_limits(b->where.threads, LIMITS_MS, &now);
    if (status != QUIRE_OK)
        return qr_failed(why, "cannot measure the machine's limits: %s", quire_status_text(status));
    qr_bench_keep_limits(&b->report.limits, &now);
    if (row) row->core_to_core_ns = now.core_to_core_ns;
    return true;
}

/* Keeps the profile of a row's best run. */
static void keep_profile(struct bench *b, const char *title, double rate,
                         const struct qr_stretch *stretch)
{
    struct qr_bench_report *r = &b->report;
    struct qr_bench_profile *last = r->profiles_n ? &r->profiles[r->profiles_n - 1] : NULL;

    if (!stretch->phases_n || !stretch->steps_n) return;
    if (!last || strcmp(last->title, title)) {
        assert(r->profiles_n < ROWS_MAX);
        last = &r->profiles[r->profiles_n++];
        *last = (struct qr_bench_profile){0};
        snprintf(last->title, sizeof last->title, "%s", title);
    }
    if (rate <= last->rate) return;
    last->rate = rate;
    last->stretch = *stretch;
}

static bool measure_prefill(struct bench *b, uint32_t requests_n, uint32_t prompt_n,
                            struct qr_failure *why)
{
    char key[40];
    snprintf(key, sizeof key, "prefill_%ux%u", requests_n, prompt_n);
    struct qr_bench_row *row = new_row(b, false, key, "prefill, %u x %u", requests_n, prompt_n);
    double tokens_n = (double)requests_n * prompt_n;
    if (!measure_limits(b, row, why)) return false;
    row->tokens_n = tokens_n;
    row->sampled_n = requests_n;
    row->steps_n = 1;
    for (uint32_t i = 0; i < b->report.runs_n; i++) {
        struct qr_batch_times t;
        advance(b, row->title);
        struct qr_batch batch = {requests_n, prompt_n, 0, 1, 0};
        if (!run_batch(b, batch, &t, why)) return false;
        row->values[row->values_n++] = tokens_n / t.all_first_s;
        snprintf(key, sizeof key, "prefill %ux%u", requests_n, prompt_n);
        keep_profile(b, key, row->values[row->values_n - 1], &t.prefill);
    }
    return true;
}

static bool measure_decode(struct bench *b, uint32_t requests_n, uint32_t prefix_n,
                           struct qr_failure *why)
{
    char key[40];
    snprintf(key, sizeof key, prefix_n ? "decode_%u_prefix_%u" : "decode_%u", requests_n, prefix_n);
    struct qr_bench_row *row =
        prefix_n ? new_row(b, false, key, "decode, %u over a prefix of %u", requests_n, prefix_n)
                 : new_row(b, false, key, "decode, %u sequence%s", requests_n,
                           requests_n == 1 ? "" : "s");
    row->tokens_n = row->sampled_n = requests_n;
    row->steps_n = 1;
    if (!measure_limits(b, row, why)) return false;
    for (uint32_t i = 0; i < b->report.runs_n; i++) {
        struct qr_batch_times t;
        advance(b, row->title);
        struct qr_batch batch = {requests_n, prefix_n ? prefix_n + 1 : PROMPT_N, prefix_n,
                                 GENERATE_N, 0};
        if (!run_decode(b, batch, &t, why)) return false;
        double after_s = t.wall_s - t.all_first_s;
        row->full[row->values_n] = t.full_s > 0 ? (double)t.tokens_full / t.full_s : 0;
        row->values[row->values_n++] = after_s > 0 ? (double)t.tokens_after / after_s : 0;
        snprintf(key, sizeof key, "decode %u%s", requests_n, prefix_n ? ", prefix" : "");
        keep_profile(b, key, row->full[row->values_n - 1], &t.full);
    }
    return true;
}

/* One sequence whose last GENERATE_N tokens fill a context. */
static bool measure_context(struct bench *b, uint32_t context_n, struct qr_failure *why)
{
    char key[40];
    snprintf(key, sizeof key, "decode_1_context_%u", context_n);
    struct qr_bench_row *row = new_row(b, false, key, "decode, 1 at a context of %u", context_n);
    row->tokens_n = row->sampled_n = row->steps_n = 1;
    if (!measure_limits(b, row, why)) return false;
    for (uint32_t i = 0; i < b->report.runs_n; i++) {
        struct qr_batch_times t;
        advance(b, row->title);
        struct qr_batch batch = {1, context_n - GENERATE_N, 0, GENERATE_N, 0};
        if (!run_decode(b, batch, &t, why)) return false;
        double after_s = t.wall_s - t.all_first_s;
        row->values[row->values_n++] = after_s > 0 ? (double)t.tokens_after / after_s : 0;
        snprintf(key, sizeof key, "context %u", context_n);
        keep_profile(b, key, row->values[row->values_n - 1], &t.full);
    }
    return true;
}

static bool measure_wall(struct bench *b, struct qr_failure *why)
{
    const uint32_t n = 64;
    struct qr_bench_row *row =
        new_row(b, true, "wall_64x128x64", "%u requests, %u in, %u out", n, PROMPT_N, GENERATE_N);
    row->tokens_n = (double)n * (PROMPT_N + GENERATE_N - 1);
    row->sampled_n = (double)n * GENERATE_N;
    row->steps_n = GENERATE_N;
    if (!measure_limits(b, row, why)) return false;
    for (uint32_t i = 0; i < b->report.runs_n; i++) {
        struct qr_batch_times t;
        advance(b, row->title);
        struct qr_batch batch = {n, PROMPT_N, 0, GENERATE_N, 0};
        if (!run_batch(b, batch, &t, why)) return false;
        row->values[row->values_n++] = t.wall_s;
    }
    return true;
}

/* Opens the model and starts an engine, runs_n times; the last ones stay open. */
static int measure_start(struct bench *b, const char *path, struct qr_failure *why)
{
    struct qr_bench_row *row = new_row(b, true, "start", "start to ready");
    bool wanted = listed(b->rows_text, "start") && !b->cache_table && !b->no_cache;
    if (!measure_limits(b, row, why)) return QR_EXIT_FAILED;
    for (uint32_t i = 0; i < (wanted ? b->report.runs_n : 1); i++) {
        qr_source_close(&b->source);
        if (wanted) advance(b, row->title);
        double began_s = qr_clock_s();
        int code = qr_source_open_model(&b->source.model, &b->where, path, why);
        if (code == QR_EXIT_FINE)
            code = qr_source_start_engine(&b->source.engine, b->source.model, &b->where, why);
        if (code != QR_EXIT_FINE) return code;
        row->values[row->values_n++] = qr_clock_s() - began_s;
    }
    if (!wanted) b->report.rows_n--;
    return QR_EXIT_FINE;
}

/* ---- with and without the cache ----------------------------------------------------- */

#define CACHE_PROMPT_N 16u

static bool generate_without(struct bench *b, const int32_t *prompt, uint32_t tokens_n,
                             int32_t *out, double *seconds, struct qr_failure *why)
{
    int32_t *sequence = malloc(((size_t)CACHE_PROMPT_N + tokens_n) * sizeof *sequence);
    if (!sequence) return qr_failed(why, "out of memory");
    memcpy(sequence, prompt, CACHE_PROMPT_N * sizeof *sequence);
    double began_s = qr_clock_s();
    bool ok = true;
    for (uint32_t i = 0; i < tokens_n && ok; i++) {
        ok = qr_batch_ids(b->source.engine, sequence, CACHE_PROMPT_N + i, 1, &out[i], why);
        sequence[CACHE_PROMPT_N + i] = out[i];
        if (i % 16 == 0) qr_progress_show(&b->progress, b->steps_done, "without the cache");
    }
    *seconds = qr_clock_s() - began_s;
    b->steps_done++;
    free(sequence);
    return ok;
}

static bool compare_cache(struct bench *b, struct qr_cache_row *row, struct qr_failure *why)
{
    int32_t prompt[CACHE_PROMPT_N];
    int32_t *out = malloc(2 * (size_t)row->tokens_n * sizeof *out);
    if (!out) return qr_failed(why, "out of memory");
    qr_batch_draw(b->seed += 0x10001, b->report.info.vocab_n, prompt, CACHE_PROMPT_N);
    bool ok = true;
    if (b->cache_table) {
        advance(b, "with the cache");
        double began_s = qr_clock_s();
        ok = qr_batch_ids(b->source.engine, prompt, CACHE_PROMPT_N, row->tokens_n, out, why);
        row->with_s = qr_clock_s() - began_s;
    }
    ok =
        ok && generate_without(b, prompt, row->tokens_n, out + row->tokens_n, &row->without_s, why);
    if (ok && b->cache_table && memcmp(out, out + row->tokens_n, row->tokens_n * sizeof *out))
        ok = qr_failed(why, "the %u tokens with and without the KV cache differ", row->tokens_n);
    free(out);
    return ok;
}

/* ---- the whole ---------------------------------------------------------------------- */

/* An option with a list of counts. */
struct count_list {
    const char *name, *text;
    uint32_t max;
    uint32_t *counts; /* [room] */
    size_t room;
};

static bool read_counts(struct count_list list, size_t *n, struct qr_failure *why)
{
    int32_t *ids;
    if (!qr_options_parse_ids(list.text, &ids, n, why)) return false;
    bool ok = *n > 0 && *n <= list.room;
    for (size_t i = 0; ok && i < *n; i++) {
        ok = ids[i] >= 1 && (uint32_t)ids[i] <= list.max;
        list.counts[i] = (uint32_t)ids[i];
    }
    free(ids);
    return ok ? true
              : qr_failed(why, "--%s takes up to %zu numbers from 1 to %u, like 1,8,32", list.name,
                          list.room, list.max);
}

static bool read_contexts(struct bench *b, struct qr_failure *why)
{
    const struct count_list list = {"contexts", b->contexts_text, 1u << 20, b->contexts, LIST_MAX};
    if (!read_counts(list, &b->contexts_n, why)) return false;
    for (size_t i = 0; i < b->contexts_n; i++)
        if (b->contexts[i] < 2 * GENERATE_N)
            return qr_failed(why, "--contexts takes numbers from %u, not %u", 2 * GENERATE_N,
                             b->contexts[i]);
    return true;
}

static bool read_rows(const struct bench *b, struct qr_failure *why)
{
    for (const char *p = b->rows_text; *p;) {
        char word[16];
        size_t n = strcspn(p, ",");
        snprintf(word, sizeof word, "%.*s", (int)n, p);
        if (!listed("start,prefill,prefill_1x512,prefill_32x128,decode,wall,prefix,context", word))
            return qr_failed(why,
                             "--rows takes start, prefill, prefill_1x512, prefill_32x128, decode, "
                             "wall, prefix and context, not '%s'",
                             word);
        p += n + (p[n] == ',');
    }
    return true;
}

/* Whether --rows names a prefill row, or all prefill rows. */
static bool prefill_listed(const struct bench *b, const char *key)
{
    return listed(b->rows_text, "prefill") || listed(b->rows_text, key);
}

static bool measure_rows(struct bench *b, struct qr_failure *why)
{
    struct qr_batch_times warm;
    if (!run_batch(b, (struct qr_batch){4, PROMPT_N, 0, 8, 0}, &warm, why)) return false;
    bool ok = true;
    if (prefill_listed(b, "prefill_1x512")) ok = measure_prefill(b, 1, 512, why);
    if (ok && prefill_listed(b, "prefill_32x128")) ok = measure_prefill(b, 32, 128, why);
    for (size_t i = 0; ok && i < b->batches_n && listed(b->rows_text, "decode"); i++)
        ok = measure_decode(b, b->batches[i], 0, why);
    for (size_t i = 0; ok && i < b->contexts_n && listed(b->rows_text, "context"); i++)
        ok = measure_context(b, b->contexts[i], why);
    if (ok && listed(b->rows_text, "prefix")) ok = measure_decode(b, 16, 1024, why);
    if (ok && listed(b->rows_text, "wall")) ok = measure_wall(b, why);
    return ok;
}

static uint32_t threads_in_use(const struct bench *b)
{
    struct quire_stats stats = {.size = sizeof stats};
    quire_stats(b->source.engine, &stats);
    return stats.threads;
}

static int measure(struct bench *b, const char *path, struct qr_failure *why)
{
    bool cache = b->cache_table || b->no_cache;
    int code = measure_start(b, path, why);
    if (code != QR_EXIT_FINE) return code;
    b->report.info.size = sizeof b->report.info;
    quire_model_info(b->source.model, &b->report.info);
    b->report.threads = threads_in_use(b);
    if (b->report.info.vocab_n < 16) {
        qr_failed(why, "a vocabulary of %u is too small to draw prompts from",
                  b->report.info.vocab_n);
        return QR_EXIT_FAILED;
    }
    bool ok = true;
    for (size_t i = 0; ok && i < b->report.cache_n; i++)
        ok = compare_cache(b, &b->report.cache[i], why);
    ok = ok && (cache || measure_rows(b, why)) && measure_limits(b, NULL, why);
    struct qr_cost cost;
    qr_cost_of(&cost, &b->report.info, &b->report.limits.best);
    for (size_t i = 0; i < b->report.rows_n; i++)
        qr_bench_settle(&b->report.rows[i], &cost);
    return ok ? QR_EXIT_FINE : QR_EXIT_FAILED;
}

static int run(struct bench *b, struct qr_failure *why)
{
    uint32_t lengths[CACHE_MAX];
    size_t lengths_n;
    const struct count_list batch_list = {"batches", b->batches_text, 4096, b->batches, LIST_MAX};
    const struct count_list length_list = {"lengths", b->lengths_text, 100000, lengths, CACHE_MAX};
    if (!read_rows(b, why) || !read_counts(batch_list, &b->batches_n, why) ||
        !read_contexts(b, why) || !read_counts(length_list, &lengths_n, why))
        return QR_EXIT_USAGE;
    b->report.runs_n = b->runs_n;
    b->report.rows = b->rows;
    b->report.cache = b->cache;
    b->report.profiles = b->profiles;
    if (b->limits_only) {
        if (!measure_limits(b, NULL, why)) return QR_EXIT_FAILED;
        qr_bench_print_limits(&b->report.limits, b->where.threads, b->json);
        return QR_EXIT_FINE;
    }
    bool cache = b->cache_table || b->no_cache;
    for (size_t i = 0; cache && i < lengths_n; i++)
        b->cache[b->report.cache_n++] = (struct qr_cache_row){.tokens_n = lengths[i]};

    const char *path = b->where.model ? b->where.model : getenv("QUIRE_MODEL");
    if (!path || !path[0]) {
        qr_failed(why, "bench measures in this process: give --model FILE, or set QUIRE_MODEL");
        return QR_EXIT_USAGE;
    }
    uint64_t steps_n =
        cache ? lengths_n * (1 + b->cache_table)
              : b->runs_n * (listed(b->rows_text, "start") + prefill_listed(b, "prefill_1x512") +
                             prefill_listed(b, "prefill_32x128") +
                             b->batches_n * listed(b->rows_text, "decode") +
                             b->contexts_n * listed(b->rows_text, "context") +
                             listed(b->rows_text, "prefix") + listed(b->rows_text, "wall"));
    qr_progress_begin(&b->progress, b->quiet ? NULL : stderr, "bench", steps_n);
    int code = measure(b, path, why);
    qr_progress_end(&b->progress, b->steps_done, "");
    if (code == QR_EXIT_FINE && !b->json) qr_bench_print(&b->report);
    if (code == QR_EXIT_FINE && b->json && !qr_bench_print_json(&b->report)) {
        qr_failed(why, "cannot write the figures");
        code = QR_EXIT_FAILED;
    }
    qr_source_close(&b->source);
    return code;
}

int qr_command_bench(int argc, char **argv)
{
    struct bench *b = calloc(1, sizeof *b);
    struct qr_failure why = {""};
    if (!b) {
        qr_failed(&why, "out of memory");
        return qr_command_fail(QR_EXIT_FAILED, &why);
    }
    b->runs_n = 3;
    b->rows_text = "start,prefill,decode,wall";
    b->batches_text = "1,8,32,64";
    b->lengths_text = "64,256,1024";
    b->contexts_text = "256,512,1024,2048,4096";
    struct qr_option options[32];
    const struct qr_command_syntax syntax = {usage, options, table(options, b)};
    struct qr_arguments arguments;
    int code;
    if (qr_command_read(&syntax, argc, argv, &arguments, &code)) {
        if (arguments.n == 1 && !b->where.model)
            b->where.model = arguments.items[0];
        else if (arguments.n)
            qr_failed(&why, "bench takes one file, not '%.60s'", arguments.items[arguments.n - 1]);
        code = why.text[0] ? QR_EXIT_USAGE : run(b, &why);
        if (code != QR_EXIT_FINE) qr_command_fail((enum qr_exit)code, &why);
        free(arguments.items);
    }
    free(b);
    return code;
}
