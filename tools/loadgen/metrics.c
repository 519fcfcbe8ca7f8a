/* SPDX-License-Identifier: MIT */
#include "tools/loadgen/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/client/numbers.h"

static struct qr_spread spread(double *values_s, size_t n)
{
    struct qr_spread s;
    s.mean_ms = qr_numbers_mean(values_s, n) * 1e3;
    s.std_ms = qr_numbers_std(values_s, n) * 1e3;
    qr_numbers_sort(values_s, n);
    s.median_ms = qr_numbers_percentile(values_s, n, 50) * 1e3;
    s.p99_ms = qr_numbers_percentile(values_s, n, 99) * 1e3;
    return s;
}

static double tpot_s(const struct qr_record *r)
{
    return r->output_n > 1 ? (r->latency_s - r->ttft_s) / (r->output_n - 1) : 0;
}

static bool is_good(const struct qr_record *r, const struct qr_goodput *g)
{
    return r->ttft_s * 1e3 <= g->ttft_ms && tpot_s(r) * 1e3 <= g->tpot_ms &&
           r->latency_s * 1e3 <= g->e2el_ms;
}

/* Counts by whole seconds from the first start, as vLLM does. */
static bool peaks(struct qr_metrics *m, const struct qr_record *records, size_t records_n)
{
    double first = HUGE_VAL, last = 0;
    for (size_t i = 0; i < records_n; i++) {
        const struct qr_record *r = &records[i];
        if (!r->ok) continue;
        first = fmin(first, r->start_s);
        last = fmax(last, r->start_s + r->latency_s);
    }
    if (first > last) return true;
    size_t seconds_n = (size_t)ceil(last - first) + 1;
    double *tokens = calloc(seconds_n, sizeof *tokens);
    uint32_t *running = calloc(seconds_n, sizeof *running);
    for (size_t i = 0; tokens && running && i < records_n; i++) {
        const struct qr_record *r = &records[i];
        if (!r->ok) continue;
        double at = r->start_s + r->ttft_s - first;
        for (uint32_t k = 0;; k++) {
            if (at >= 0 && (size_t)at < seconds_n) tokens[(size_t)at]++;
            if (k == r->gaps_n) break;
            at += r->gaps_s[k];
        }
        size_t end = (size_t)(r->start_s + r->latency_s - first);
        for (size_t t = (size_t)(r->start_s - first); t <= end && t < seconds_n; t++)
            running[t]++;
    }
    for (size_t t = 0; tokens && running && t < seconds_n; t++) {
        m->peak_output_rate = fmax(m->peak_output_rate, tokens[t]);
        if (running[t] > m->peak_concurrent) m->peak_concurrent = running[t];
    }
    bool ok = tokens && running;
    free(tokens);
    free(running);
    return ok;
}

bool qr_metrics_compute(struct qr_metrics *m, const struct qr_record *records, size_t records_n,
                        double duration_s, const struct qr_goodput *goodput)
{
    *m = (struct qr_metrics){.duration_s = duration_s};
    size_t gaps_n = 0;
    for (size_t i = 0; i < records_n; i++)
        gaps_n += records[i].ok ? records[i].gaps_n : 0;
    double *memory = malloc((3 * records_n + gaps_n + 1) * sizeof *memory);
    if (!memory) return false;
    double *ttfts = memory, *tpots = ttfts + records_n, *e2els = tpots + records_n,
           *itls = e2els + records_n;
    size_t tpots_n = 0, itls_n = 0;
    for (size_t i = 0; i < records_n; i++) {
        const struct qr_record *r = &records[i];
        if (!r->ok) {
            m->failed++;
            continue;
        }
        ttfts[m->completed] = r->ttft_s;
        e2els[m->completed++] = r->latency_s;
        if (r->output_n > 1) tpots[tpots_n++] = tpot_s(r);
        if (r->gaps_n) memcpy(itls + itls_n, r->gaps_s, r->gaps_n * sizeof *itls);
        itls_n += r->gaps_n;
        m->input_n += r->input_n;
        m->output_n += r->output_n;
        if (goodput->any && is_good(r, goodput)) m->good++;
    }
    m->ttft = spread(ttfts, m->completed);
    m->tpot = spread(tpots, tpots_n);
    m->itl = spread(itls, itls_n);
    m->e2el = spread(e2els, m->completed);
    free(memory);
    if (duration_s > 0) {
        m->request_rate = m->completed / duration_s;
        m->goodput = m->good / duration_s;
        m->output_rate = (double)m->output_n / duration_s;
        m->total_rate = (double)(m->input_n + m->output_n) / duration_s;
    }
    return peaks(m, records, records_n);
}
