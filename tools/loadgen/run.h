/* SPDX-License-Identifier: MIT */
/* run -- sends a workload to a server and records the times of each request.
 *
 *     arrival -> ready queue -> (free place) -> in progress -> record
 *                    ^                               |
 *                    '---- next turn of multi-turn --'
 *
 * Closed loop: `concurrency` requests are in progress until all are sent.  Open loop: requests
 * become ready at their arrival times; `concurrency` may delay them.  In multi-turn the arrivals
 * are those of conversations.  The next turn of a conversation becomes ready when the one before it
 * is answered.
 *
 * A run ends when every request has ended, at max_seconds, or on an interrupt.  Requests that have
 * not ended by then have failed.
 *
 * Thread: one.   Memory: malloc.
 * Invariant: every job ends in exactly one record, ok or with an error. */
#ifndef QR_LOADGEN_RUN_H
#define QR_LOADGEN_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/client/http.h"
#include "tools/loadgen/metrics.h"
#include "tools/loadgen/workload.h"

struct qr_load_input {
    const struct qr_load_settings *settings;
    const struct qr_address *address;
    struct qr_workload *workload;
    const char *model;
    uint32_t vocab_n;
    uint32_t concurrency;
    double request_rate;
    const char *title;    /* begins the progress line */
    bool handles_signals; /* SIGINT ends the run */
};

/* Fills records[0..workload->jobs_n), which the caller has zeroed and frees with
 * qr_load_free_records.  duration_s: from the first send to the last end.  False: the run could not
 * begin. */
bool qr_load_run(const struct qr_load_input *input, struct qr_record *records, double *duration_s,
                 struct qr_failure *why);
void qr_load_free_records(struct qr_record *records, size_t n);

/* Reads the model's name and the size of its vocabulary from /v1/models (`meta.n_vocab`, as
 * llama.cpp has it, or `vocab_size`).  *vocab_n 0: the server does not report it. */
bool qr_load_ask_model(const struct qr_address *address, const char *api_key, char *model,
                       size_t model_n, uint32_t *vocab_n, struct qr_failure *why);

#endif
