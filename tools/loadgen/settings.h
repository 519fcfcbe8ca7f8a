/* SPDX-License-Identifier: MIT */
/* settings -- loadgen's command line.
 *
 * Thread: any.   Memory: texts point into argv. */
#ifndef QR_LOADGEN_SETTINGS_H
#define QR_LOADGEN_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "tools/client/failure.h"
#include "tools/client/options.h"

enum qr_workload_kind {
    QR_WORKLOAD_RANDOM,
    QR_WORKLOAD_SHARED_PREFIX,
    QR_WORKLOAD_MULTI_TURN,
    QR_WORKLOAD_FILE
};

/* Limits in milliseconds for a request to count as good; infinity: no limit. */
struct qr_goodput {
    bool any;
    double ttft_ms, tpot_ms, e2el_ms;
};

struct qr_load_settings {
    const char *socket, *url, *model, *api_key, *dataset_path, *save_result;
    enum qr_workload_kind workload;
    bool chat; /* /v1/chat/completions */
    bool ignore_eos, save_detailed, quiet;
    uint32_t prompts_n, input_n, output_n, prefix_n, turns_n, warmups_n, vocab_n;
    bool prefix_given;
    uint32_t concurrency; /* 0: no bound */
    double range_ratio, request_rate, burstiness, temperature, max_seconds;
    int64_t seed;
    struct qr_goodput goodput;
};

/* argv is without the program's name.  If socket and url stay NULL, quired's default socket is
 * meant. */
enum qr_options_result qr_load_settings_read(struct qr_load_settings *settings, int argc,
                                             char **argv, struct qr_failure *why);
void qr_load_settings_help(void);

/* Reads items such as "ttft:200" and "tpot:50,e2el:3000". */
bool qr_goodput_read(struct qr_goodput *goodput, const char *const *items, size_t items_n,
                     struct qr_failure *why);

#endif
