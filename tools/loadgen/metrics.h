/* SPDX-License-Identifier: MIT */
/* metrics -- computes the figures of `vllm bench serve` from the records of requests.
 *
 *   TTFT  first event with a token - send
 *   TPOT  (last event - first event) / (output tokens - 1) of a request; a request with one token
 *         has none, and counts as 0 for goodput
 *   ITL   every gap between events, of all requests together
 *   E2EL  last event - send
 *
 * Failed requests count in `failed` only.  Throughputs are over the run's whole duration.
 *
 * Thread: any.   Memory: malloc inside, the caller's records. */
#ifndef QR_LOADGEN_METRICS_H
#define QR_LOADGEN_METRICS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "tools/loadgen/settings.h"

struct qr_record {
    bool ok;
    double start_s;   /* after the run's start */
    double ttft_s;    /* after start_s */
    double latency_s; /* last event, after start_s */
    uint32_t input_n, output_n;
    double *gaps_s; /* [gaps_n] between events */
    uint32_t gaps_n, gaps_room;
    char *text; /* generated; NULL: not kept */
    size_t text_n;
    char error[sizeof(struct qr_failure)];
};

struct qr_spread {
    double mean_ms, median_ms, std_ms, p99_ms;
};

struct qr_metrics {
    uint32_t completed, failed, good;
    uint64_t input_n, output_n;
    double duration_s;
    double request_rate, goodput, output_rate, total_rate; /* a second */
    double peak_output_rate;  /* most tokens in one second of the run */
    uint32_t peak_concurrent; /* most requests in one second of the run */
    struct qr_spread ttft, tpot, itl, e2el;
};

/* False: no memory. */
bool qr_metrics_compute(struct qr_metrics *m, const struct qr_record *records, size_t records_n,
                        double duration_s, const struct qr_goodput *goodput);

/* Prints vLLM's lines. */
void qr_report_print(FILE *out, const struct qr_metrics *m, const struct qr_load_settings *s);
/* An object with vLLM's keys.  NULL: no memory. */
json_t *qr_report_json(const struct qr_metrics *m, const struct qr_record *records,
                       size_t records_n, const struct qr_load_settings *s, const char *model,
                       const char *backend);
/* Prints the first few failures, each text once. */
void qr_report_failures(FILE *out, const struct qr_record *records, size_t records_n);

#endif
