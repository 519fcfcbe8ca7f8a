/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "tools/loadgen/metrics.h"

#define WIDTH        50
#define FAILURES_MAX 10

/* Centres a title in a line of marks.  An odd mark goes to the right, as with Python's ^. */
static void title(FILE *out, char mark, const char *text)
{
    int marks = WIDTH - (int)strlen(text), left = marks / 2;
    for (int i = 0; i < left; i++)
        fputc(mark, out);
    fputs(text, out);
    for (int i = left; i < marks; i++)
        fputc(mark, out);
    fputc('\n', out);
}

static void whole(FILE *out, const char *name, uint64_t value)
{
    fprintf(out, "%-40s %-10" PRIu64 "\n", name, value);
}

static void real(FILE *out, const char *name, double value)
{
    fprintf(out, "%-40s %-10.2f\n", name, value);
}

static void spread(FILE *out, const char *heading, const char *name, const struct qr_spread *s)
{
    char line[32];
    title(out, '-', heading);
    snprintf(line, sizeof line, "Mean %s (ms):", name);
    real(out, line, s->mean_ms);
    snprintf(line, sizeof line, "Median %s (ms):", name);
    real(out, line, s->median_ms);
    snprintf(line, sizeof line, "P99 %s (ms):", name);
    real(out, line, s->p99_ms);
}

void qr_report_print(FILE *out, const struct qr_metrics *m, const struct qr_load_settings *s)
{
    title(out, '=', " Serving Benchmark Result ");
    whole(out, "Successful requests:", m->completed);
    whole(out, "Failed requests:", m->failed);
    if (s->concurrency) whole(out, "Maximum request concurrency:", s->concurrency);
    if (!isinf(s->request_rate)) real(out, "Request rate configured (RPS):", s->request_rate);
    real(out, "Benchmark duration (s):", m->duration_s);
    whole(out, "Total input tokens:", m->input_n);
    whole(out, "Total generated tokens:", m->output_n);
    real(out, "Request throughput (req/s):", m->request_rate);
    if (s->goodput.any) real(out, "Request goodput (req/s):", m->goodput);
    real(out, "Output token throughput (tok/s):", m->output_rate);
    real(out, "Peak output token throughput (tok/s):", m->peak_output_rate);
    real(out, "Peak concurrent requests:", m->peak_concurrent);
    real(out, "Total token throughput (tok/s):", m->total_rate);
    spread(out, "Time to First Token", "TTFT", &m->ttft);
    spread(out, "Time per Output Token (excl. 1st token)", "TPOT", &m->tpot);
    spread(out, "Inter-token Latency", "ITL", &m->itl);
    spread(out, "End-to-end Latency", "E2EL", &m->e2el);
    title(out, '=', "");
    fflush(out);
}

static void set_real(json_t *json, const char *key, double value)
{
    json_object_set_new(json, key, json_real(isfinite(value) ? value : 0));
}

static void set_whole(json_t *json, const char *key, uint64_t value)
{
    json_object_set_new(json, key, json_integer((json_int_t)value));
}

static void set_spread(json_t *json, const char *name, const struct qr_spread *s)
{
    static const char *const figures[] = {"mean", "median", "std", "p99"};
    const double values[] = {s->mean_ms, s->median_ms, s->std_ms, s->p99_ms};
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++) {
        char key[32];
        snprintf(key, sizeof key, "%s_%s_ms", figures[i], name);
        set_real(json, key, values[i]);
    }
}

static void set_details(json_t *json, const struct qr_record *records, size_t records_n)
{
    enum { INPUTS, OUTPUTS, TTFTS, ITLS, STARTS, ERRORS, TEXTS, LISTS_N };
    static const char *const keys[LISTS_N] = {
        "input_lens", "output_lens", "ttfts", "itls", "start_times", "errors", "generated_texts"};
    json_t *lists[LISTS_N];
    for (size_t k = 0; k < LISTS_N; k++)
        json_object_set_new(json, keys[k], lists[k] = json_array());
    for (size_t i = 0; i < records_n; i++) {
        const struct qr_record *r = &records[i];
        json_t *gaps = json_array();
        for (uint32_t g = 0; g < r->gaps_n; g++)
            json_array_append_new(gaps, json_real(r->gaps_s[g]));
        json_t *text = r->text ? json_stringn(r->text, r->text_n) : NULL;
        json_array_append_new(lists[INPUTS], json_integer(r->input_n));
        json_array_append_new(lists[OUTPUTS], json_integer(r->ok ? r->output_n : 0));
        json_array_append_new(lists[TTFTS], json_real(r->ttft_s));
        json_array_append_new(lists[ITLS], gaps);
        json_array_append_new(lists[STARTS], json_real(r->start_s));
        json_array_append_new(lists[ERRORS], json_string(r->ok ? "" : r->error));
        json_array_append_new(lists[TEXTS], text ? text : json_string(""));
    }
}

json_t *qr_report_json(const struct qr_metrics *m, const struct qr_record *records,
                       size_t records_n, const struct qr_load_settings *s, const char *model,
                       const char *backend)
{
    json_t *json = json_object();
    if (!json) return NULL;
    char date[32];
    time_t now = time(NULL);
    struct tm parts;
    strftime(date, sizeof date, "%Y%m%d-%H%M%S", localtime_r(&now, &parts));
    json_object_set_new(json, "date", json_string(date));
    json_object_set_new(json, "endpoint_type", json_string(s->chat ? "openai-chat" : "openai"));
    json_object_set_new(json, "backend", json_string(backend));
    json_object_set_new(json, "model_id", json_string(model));
    set_whole(json, "num_prompts", s->prompts_n);
    json_object_set_new(json, "request_rate",
                        isinf(s->request_rate) ? json_string("inf") : json_real(s->request_rate));
    set_real(json, "burstiness", isinf(s->burstiness) ? 1e308 : s->burstiness);
    json_object_set_new(json, "max_concurrency",
                        s->concurrency ? json_integer(s->concurrency) : json_null());
    set_real(json, "duration", m->duration_s);
    set_whole(json, "completed", m->completed);
    set_whole(json, "failed", m->failed);
    set_whole(json, "total_input_tokens", m->input_n);
    set_whole(json, "total_output_tokens", m->output_n);
    set_real(json, "request_throughput", m->request_rate);
    json_object_set_new(json, "request_goodput",
                        s->goodput.any ? json_real(m->goodput) : json_null());
    set_real(json, "output_throughput", m->output_rate);
    set_real(json, "total_token_throughput", m->total_rate);
    set_real(json, "max_output_tokens_per_s", m->peak_output_rate);
    set_whole(json, "max_concurrent_requests", m->peak_concurrent);
    set_spread(json, "ttft", &m->ttft);
    set_spread(json, "tpot", &m->tpot);
    set_spread(json, "itl", &m->itl);
    set_spread(json, "e2el", &m->e2el);
    if (s->save_detailed) set_details(json, records, records_n);
    return json;
}

void qr_report_failures(FILE *out, const struct qr_record *records, size_t records_n)
{
    const struct qr_record *shown[FAILURES_MAX];
    size_t shown_n = 0;
    for (size_t i = 0; i < records_n && shown_n < FAILURES_MAX; i++) {
        if (records[i].ok) continue;
        size_t k = 0;
        while (k < shown_n && strcmp(shown[k]->error, records[i].error))
            k++;
        if (k < shown_n) continue;
        shown[shown_n++] = &records[i];
        fprintf(out, "loadgen: request %zu failed: %s\n", i, records[i].error);
    }
}
