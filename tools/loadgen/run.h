/* SPDX-License-Identifier: MIT */
/* run -- sends a workload to a server and writes down what each request saw.
 *
 * Closed loop: `concurrency` requests are under way until all are sent.  Open loop: requests are
 * sent at their arrival times whatever the server does (unless `concurrency` holds them back).  In
 * multi-turn the arrivals are those of conversations; a conversation's next turn goes out when the
 * one before it has been answered.
 *
 * A run ends by itself: when every request has ended, at max_seconds, or when interrupted; what
 * has not ended then has failed.
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

struct qr_run_input {
    const struct qr_load_settings *settings;
    const struct qr_address *address;
    struct qr_workload *workload;
    const char *model;
    uint32_t vocab_n;
    uint32_t concurrency;
    double request_rate;
    const char *title;    /* of the progress line */
    bool handles_signals; /* SIGINT ends the run */
};

/* records[0..workload->jobs_n), zeroed by the caller, are filled; free them by
 * qr_records_free.  duration_s: from the first send to the last end.  False: the run could not
 * begin. */
bool qr_run(const struct qr_run_input *input, struct qr_record *records, double *duration_s,
            struct qr_failure *why);
void qr_records_free(struct qr_record *records, size_t n);

/* Asks /v1/models for the model's name and vocabulary (llama.cpp's `meta.n_vocab`, or
 * `vocab_size`; where it does not say, /detokenize is asked which ids there are); *vocab_n 0: it
 * cannot be found out. */
bool qr_run_ask_model(const struct qr_address *address, const char *api_key, char *model,
                      size_t model_n, uint32_t *vocab_n, struct qr_failure *why);

#endif
