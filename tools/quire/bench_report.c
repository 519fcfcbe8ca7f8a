/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "tools/client/bytes.h"
#include "tools/client/numbers.h"
#include "tools/quire/bench.h"

static json_t *limits_json(const struct qr_bench_limits *limits)
{
    const struct quire_limits *l = &limits->best;
    return json_pack("{s:f, s:f, s:f, s:f, s:{s:f, s:f}}", "int8_ops", l->int8_ops, "bf16_flops",
                     l->bf16_flops, "fp32_flops", l->fp32_flops, "read_bytes", l->read_bytes,
                     "core_to_core_ns", "least", l->core_to_core_ns, "most",
                     limits->core_to_core_most_ns);
}

void qr_bench_print_limits(const struct qr_bench_limits *limits, uint32_t threads, bool json)
{
    const struct quire_limits *l = &limits->best;
    char distance[QR_NUMBER_ROOM];
    if (json) {
        json_t *out =
            json_pack("{s:i, s:o}", "threads", (int)threads, "limits", limits_json(limits));
        json_dumpf(out, stdout, JSON_INDENT(1));
        putchar('\n');
        json_decref(out);
        return;
    }
    if (threads)
        printf("Limits of this machine on %u threads, measured now\n", threads);
    else
        printf("Limits of this machine on the cores available, measured now\n");
    printf("  %-28s %8.0f GOPS\n", "int8 dot", l->int8_ops / 1e9);
    if (l->bf16_flops > 0)
        printf("  %-28s %8.0f GFLOPS\n", "bf16 dot", l->bf16_flops / 1e9);
    else
        printf("  %-28s %8s\n", "bf16 dot", "none");
    printf("  %-28s %8.0f GFLOPS\n", "fp32 multiply and add", l->fp32_flops / 1e9);
    printf("  %-28s %8.1f GB/s\n", "streaming read", l->read_bytes / 1e9);
    printf("  %-28s %8s%s\n", "core to core", qr_bench_format_distance(distance, limits),
           limits->core_to_core_most_ns > 0 ? " ns" : "");
}

static const char *value_text(char *text, const struct qr_bench_row *row, double value)
{
    char number[QR_NUMBER_ROOM];
    if (row->is_time) return qr_numbers_format_seconds(text, value);
    snprintf(text, QR_NUMBER_ROOM, "%.40s tok/s", qr_numbers_format_rate(number, value));
    return text;
}

static void print_row(const struct qr_bench_report *r, const struct qr_bench_row *row)
{
    char best[QR_NUMBER_ROOM], median[QR_NUMBER_ROOM], share[QR_NUMBER_ROOM] = "";
    double value = qr_bench_best(row);
    if (row->limit > 0)
        snprintf(share, sizeof share, "%3.0f %% of %s", 100 * qr_bench_share(row, value),
                 row->bound);
    printf("  %-34s %14s", row->title, value_text(best, row, value));
    if (r->runs_n > 1) printf(" %14s", value_text(median, row, qr_bench_median(row)));
    printf("   %s\n", share);
}

static void print_cache(const struct qr_bench_report *r)
{
    char with[QR_NUMBER_ROOM], without[QR_NUMBER_ROOM], a[QR_NUMBER_ROOM], b[QR_NUMBER_ROOM];
    printf("\n  %-10s %12s %10s %16s %10s %10s\n", "generated", "with cache", "tok/s",
           "without cache", "tok/s", "slower");
    for (size_t i = 0; i < r->cache_n; i++) {
        const struct qr_cache_row *c = &r->cache[i];
        char count[QR_NUMBER_ROOM];
        printf("  %-10s", qr_numbers_format_count(count, c->tokens_n));
        if (c->with_s > 0)
            printf(" %12s %10s", qr_numbers_format_seconds(with, c->with_s),
                   qr_numbers_format_rate(a, c->tokens_n / c->with_s));
        else
            printf(" %12s %10s", "-", "-");
        printf(" %16s %10s", qr_numbers_format_seconds(without, c->without_s),
               qr_numbers_format_rate(b, c->tokens_n / c->without_s));
        if (c->with_s > 0) printf(" %9.1fx", c->without_s / c->with_s);
        putchar('\n');
    }
}

void qr_bench_print(const struct qr_bench_report *r)
{
    char count[QR_NUMBER_ROOM], bytes[QR_NUMBER_ROOM];
    printf("%s: %s weights, %s in memory, %s kernels, %u threads\n", r->info.name,
           qr_numbers_format_count(count, r->info.weights_n),
           qr_numbers_format_bytes(bytes, r->info.weights_bytes), r->info.cpu_level, r->threads);
    qr_bench_print_limits(&r->limits, r->threads, false);
    if (r->rows_n) {
        char best[32];
        snprintf(best, sizeof best, r->runs_n > 1 ? "best of %u" : "result", r->runs_n);
        printf("\n  %-34s %14s", "work", best);
        if (r->runs_n > 1) printf(" %14s", "median");
        printf("   %s\n", "share of the limit");
    }
    for (size_t i = 0; i < r->rows_n; i++)
        print_row(r, &r->rows[i]);
    if (r->cache_n) print_cache(r);
    qr_bench_print_profile(r->profiles, r->profiles_n);
}

static json_t *row_json(const struct qr_bench_row *row)
{
    json_t *values = json_array(), *full = json_array();
    for (uint32_t i = 0; i < row->values_n; i++) {
        json_array_append_new(values, json_real(row->values[i]));
        json_array_append_new(full, json_real(row->full[i]));
    }
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:f, s:f, s:o, s:f}", "key", row->key, "title", row->title,
                  "unit", row->is_time ? "s" : "tok/s", "best", qr_bench_best(row), "median",
                  qr_bench_median(row), "values", values, "core_to_core_ns", row->core_to_core_ns);
    if (row->limit > 0) {
        json_object_set_new(json, "limit", json_real(row->limit));
        json_object_set_new(json, "bound_by", json_string(row->bound));
        json_object_set_new(json, "share", json_real(qr_bench_share(row, qr_bench_best(row))));
    }
    if (qr_bytes_begin(row->key, strlen(row->key), "decode"))
        json_object_set_new(json, "full_batch", full);
    else
        json_decref(full);
    return json;
}

bool qr_bench_print_json(const struct qr_bench_report *r)
{
    json_t *rows = json_array(), *cache = json_array();
    for (size_t i = 0; i < r->rows_n; i++)
        json_array_append_new(rows, row_json(&r->rows[i]));
    for (size_t i = 0; i < r->cache_n; i++)
        json_array_append_new(
            cache, json_pack("{s:i, s:f, s:f}", "tokens", (int)r->cache[i].tokens_n, "with_s",
                             r->cache[i].with_s, "without_s", r->cache[i].without_s));
    json_t *json = json_pack(
        "{s:s, s:s, s:s, s:I, s:I, s:I, s:i, s:i, s:o, s:o, s:o}", "model", r->info.name, "version",
        quire_version(), "cpu_level", r->info.cpu_level, "weights", (json_int_t)r->info.weights_n,
        "head_weights", (json_int_t)r->info.head_weights_n, "weights_bytes",
        (json_int_t)r->info.weights_bytes, "threads", (int)r->threads, "runs", (int)r->runs_n,
        "limits", limits_json(&r->limits), "rows", rows, "kv_cache", cache);
    if (r->profiles_n)
        json_object_set_new(json, "profiles", qr_bench_profile_json(r->profiles, r->profiles_n));
    bool ok = json && json_dumpf(json, stdout, JSON_INDENT(1)) == 0;
    putchar('\n');
    json_decref(json);
    return ok;
}
