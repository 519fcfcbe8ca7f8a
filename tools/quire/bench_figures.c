/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "tools/client/numbers.h"
#include "tools/quire/bench.h"

void qr_cost_of(struct qr_cost *cost, const struct quire_model_info *info,
                const struct quire_limits *limits)
{
    double weights_n = (double)info->weights_n, head_n = (double)info->head_weights_n;
    cost->body_ops = 2 * (weights_n - head_n);
    cost->head_ops = 2 * head_n;
    cost->bytes = (double)info->weights_bytes;
    cost->read = limits->read_bytes;
    /* Quantised weights (4 to 9 bits) are multiplied with int8, others (16, 32) with floats. */
    bool quantised = info->weights_n && (double)info->weights_bytes / weights_n < 1.5;
    cost->ops = quantised ? limits->int8_ops : limits->fp32_flops;
    cost->ops_name = quantised ? "int8" : "fp32";
}

double qr_cost_seconds(const struct qr_cost *cost, double tokens_n, double sampled_n,
                       double steps_n, const char **bound)
{
    double work_s =
        cost->ops > 0 ? (cost->body_ops * tokens_n + cost->head_ops * sampled_n) / cost->ops : 0;
    double read_s = cost->read > 0 ? cost->bytes * steps_n / cost->read : 0;
    if (bound) *bound = work_s >= read_s ? cost->ops_name : "read";
    return work_s >= read_s ? work_s : read_s;
}

static void keep_more(double *kept, double now)
{
    if (now > *kept) *kept = now;
}

void qr_bench_keep_limits(struct qr_bench_limits *kept, const struct quire_limits *now)
{
    struct quire_limits *best = &kept->best;
    double ns = now->core_to_core_ns;

    keep_more(&best->int8_ops, now->int8_ops);
    keep_more(&best->bf16_flops, now->bf16_flops);
    keep_more(&best->fp32_flops, now->fp32_flops);
    keep_more(&best->read_bytes, now->read_bytes);
    keep_more(&kept->core_to_core_most_ns, ns);
    if (ns > 0 && (best->core_to_core_ns == 0 || ns < best->core_to_core_ns))
        best->core_to_core_ns = ns;
}

const char *qr_bench_format_distance(char *text, const struct qr_bench_limits *limits)
{
    char least[16], most[16];

    if (!(limits->core_to_core_most_ns > 0)) return "none";
    snprintf(least, sizeof least, "%.0f", limits->best.core_to_core_ns);
    snprintf(most, sizeof most, "%.0f", limits->core_to_core_most_ns);
    bool same = !strcmp(least, most);
    snprintf(text, QR_NUMBER_ROOM, "%s%s%s", least, same ? "" : "-", same ? "" : most);
    return text;
}

void qr_bench_settle(struct qr_bench_row *row, const struct qr_cost *cost)
{
    if (row->tokens_n == 0) return;
    double seconds =
        qr_cost_seconds(cost, row->tokens_n, row->sampled_n, row->steps_n, &row->bound);
    row->limit = row->is_time ? seconds : seconds > 0 ? row->tokens_n / seconds : 0;
}

double qr_bench_best(const struct qr_bench_row *row)
{
    assert(row->values_n);
    double best = row->values[0];
    for (uint32_t i = 1; i < row->values_n; i++)
        if (row->is_time ? row->values[i] < best : row->values[i] > best) best = row->values[i];
    return best;
}

double qr_bench_median(const struct qr_bench_row *row)
{
    double sorted[QR_BENCH_RUNS_MAX];
    memcpy(sorted, row->values, row->values_n * sizeof *sorted);
    qr_numbers_sort(sorted, row->values_n);
    return qr_numbers_percentile(sorted, row->values_n, 50);
}

double qr_bench_share(const struct qr_bench_row *row, double value)
{
    if (!(row->limit > 0) || !(value > 0)) return 0;
    return row->is_time ? row->limit / value : value / row->limit;
}
