/* SPDX-License-Identifier: MIT */
#include "runtime/server/metrics.h"

#include <math.h>

static void put_about(struct qr_buffer *out, const char *name, const char *type, const char *help)
{
    qr_buffer_printf(out, "# HELP quire_%s %s\n# TYPE quire_%s %s\n", name, help, name, type);
}

static void put_number(struct qr_buffer *out, const char *name, const char *type, const char *help,
                       double value)
{
    put_about(out, name, type, help);
    qr_buffer_printf(out, "quire_%s %.17g\n", name, value);
}

static void put_count(struct qr_buffer *out, const char *name, const char *help, uint64_t value)
{
    put_about(out, name, "counter", help);
    qr_buffer_printf(out, "quire_%s %llu\n", name, (unsigned long long)value);
}

static void put_labelled(struct qr_buffer *out, const char *name, const char *label,
                         const char *value, uint64_t count)
{
    qr_buffer_printf(out, "quire_%s{%s=\"%s\"} %llu\n", name, label, value,
                     (unsigned long long)count);
}

/* A Prometheus bucket counts all values up to its bound; the engine's bins are disjoint. */
static void put_histogram(struct qr_buffer *out, const char *name, const char *help,
                          const struct quire_histogram *histogram)
{
    uint64_t below = 0;
    bool open = true;
    put_about(out, name, "histogram", help);
    for (uint32_t i = 0; i < histogram->bins_n; i++) {
        below += histogram->counts[i];
        if (isinf(histogram->bounds[i])) {
            open = false;
            qr_buffer_printf(out, "quire_%s_bucket{le=\"+Inf\"} %llu\n", name,
                             (unsigned long long)below);
        } else {
            qr_buffer_printf(out, "quire_%s_bucket{le=\"%g\"} %llu\n", name, histogram->bounds[i],
                             (unsigned long long)below);
        }
    }
    if (open) {
        qr_buffer_printf(out, "quire_%s_bucket{le=\"+Inf\"} %llu\n", name,
                         (unsigned long long)below);
    }
    qr_buffer_printf(out, "quire_%s_sum %.17g\nquire_%s_count %llu\n", name, histogram->sum, name,
                     (unsigned long long)below);
}

static void put_pages(struct qr_buffer *out, const struct quire_stats *s)
{
    put_about(
        out, "pages", "gauge",
        "KV pages by state; free, cached and held add up to all, shared are some of the held");
    put_labelled(out, "pages", "state", "free", s->pages_free);
    put_labelled(out, "pages", "state", "cached", s->pages_cached);
    put_labelled(out, "pages", "state", "held", s->pages_held);
    put_labelled(out, "pages", "state", "shared", s->pages_shared);
    put_number(out, "kv_cache_usage_perc", "gauge",
               "Share of the KV pages that requests hold, 0 to 1",
               s->pages_all ? (double)s->pages_held / (double)s->pages_all : 0);
    put_number(out, "kv_bytes_per_token", "gauge", "Bytes of KV memory for one token",
               s->page_tokens ? (double)s->page_bytes / s->page_tokens : 0);
    put_number(out, "kv_waste_ratio", "gauge",
               "Empty token slots divided by all slots of held pages, over all steps",
               s->slots_held ? (double)s->slots_empty / (double)s->slots_held : 0);
    put_count(out, "prefix_cache_queries_total", "Prompt tokens looked up in cached pages",
              s->prefix_queries);
    put_count(out, "prefix_cache_hits_total",
              "Prompt tokens found in cached pages and not computed again", s->prefix_hits);
    put_count(out, "page_copies_total", "Shared pages copied before a write", s->page_copies);
    put_count(out, "page_evictions_total", "Cached pages evicted to make room", s->page_evictions);
    put_count(out, "grammars_compiled_total", "Grammars compiled, or refused",
              s->grammars_compiled);
    put_count(out, "grammars_reused_total", "Grammars found compiled", s->grammars_reused);
}

static void put_histograms(struct qr_buffer *out, const struct quire_stats *s)
{
    put_histogram(out, "time_to_first_token_seconds", "From a request's arrival to its first token",
                  &s->time_to_first_token_s);
    put_histogram(out, "inter_token_latency_seconds", "Between two tokens of a request",
                  &s->inter_token_s);
    put_histogram(out, "e2e_request_latency_seconds", "From a request's arrival to its end",
                  &s->e2e_s);
    put_histogram(out, "request_queue_time_seconds", "From a request's arrival to its admission",
                  &s->queue_s);
    put_histogram(out, "request_prefill_time_seconds",
                  "From a request's admission to its first token", &s->prefill_s);
    put_histogram(out, "request_decode_time_seconds", "From a request's first token to its last",
                  &s->decode_s);
    put_histogram(out, "iteration_tokens", "Tokens computed in a step", &s->step_tokens);
    put_histogram(out, "step_seconds", "Duration of a step", &s->step_s);
}

void qr_metrics_put(struct qr_buffer *out, const struct quire_stats *stats,
                    const uint64_t *cancelled, const struct qr_memory_figure *figures,
                    size_t figures_n)
{
    static const char *const reasons[] = {
#define REASON(name, text) text,
        QR_CANCEL_MAP(REASON)
#undef REASON
    };
    put_number(out, "num_requests_running", "gauge", "Requests in the batch", stats->running);
    put_number(out, "num_requests_waiting", "gauge", "Requests in the queue", stats->waiting);
    put_pages(out, stats);
    put_count(out, "num_preemptions_total",
              "Requests that gave their pages back because pages ran out", stats->preemptions);
    put_count(out, "preempted_tokens_recomputed_total", "Tokens computed again after a preemption",
              stats->recomputed_tokens);
    put_count(out, "prompt_tokens_total", "Prompt tokens of admitted requests",
              stats->prompt_tokens);
    put_count(out, "generation_tokens_total", "Tokens generated", stats->generation_tokens);

    put_about(out, "request_success_total", "counter", "Requests that have finished");
    put_labelled(out, "request_success_total", "finished_reason", "stop", stats->finished_stop);
    put_labelled(out, "request_success_total", "finished_reason", "length", stats->finished_length);
    put_about(out, "request_cancelled_total", "counter",
              "Requests that the server cancelled, by reason");
    for (size_t i = 0; i < QR_CANCEL_REASONS_N; i++)
        put_labelled(out, "request_cancelled_total", "reason", reasons[i], cancelled[i]);
    put_histograms(out, stats);
    if (figures_n == 0) return;
    put_about(out, "jemalloc_bytes", "gauge", "The allocator's memory, by arena and by state");
    for (size_t i = 0; i < figures_n; i++)
        put_labelled(out, "jemalloc_bytes", "kind", figures[i].kind, figures[i].bytes);
}
