/* SPDX-License-Identifier: MIT */
/* options -- quired's command line.
 *
 * Thread: any.   Memory: strings point into argv. */
#ifndef QR_SERVER_OPTIONS_H
#define QR_SERVER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "runtime/server/limits.h"
#include "runtime/server/log.h"
#include "runtime/server/scope.h"

/* The values of a flag that may be repeated. */
#define QR_OPTION_VALUES_MAX 7u
struct qr_option_values {
    const char *all[QR_OPTION_VALUES_MAX];
    size_t n;
};

struct qr_options {
    const char *model;
    const char *socket;             /* NULL: the default path */
    struct qr_option_values listen; /* TCP addresses */
    struct qr_option_values cors_origins;
    uint32_t generation_config;                 /* 1: the API's defaults */
    const char *tool_parser, *reasoning_parser; /* NULL: by the template */
    const char *template_kwargs;                /* JSON; NULL: none */
    const char *api_key_file;
    const char *alias;
    const char *chat_template; /* a file; NULL: the model's own */
    const char *cpu_level;
    uint64_t kv_memory_bytes; /* 0: the engine chooses, as in the other numbers */
    uint32_t page_tokens;
    uint32_t kv_type; /* enum quire_kv_type */
    uint32_t threads;
    uint32_t context_max;
    uint32_t running_max;
    uint32_t waiting_max;
    uint32_t step_tokens;
    uint32_t target_itl_ms;
    uint32_t prefill_chunk;
    uint32_t no_prefix_cache; /* 1: it is off */
    uint32_t cache_scope;     /* enum qr_cache_scope */
    uint32_t sliding_window;  /* as in quire_model_settings */
    uint64_t body_max_bytes;
    uint32_t allow_uids[QR_ALLOW_UIDS_MAX];
    uint32_t allow_uids_n;
    uint64_t drain_ms;
    uint64_t header_ms;
    uint64_t idle_ms;
    uint64_t write_ms;
    uint64_t ping_ms;
    bool log_json;
    enum qr_log_level log_level;
};

enum qr_server_options_result {
    QR_SERVER_OPTIONS_RUN,
    QR_SERVER_OPTIONS_HELP,
    QR_SERVER_OPTIONS_VERSION,
    QR_SERVER_OPTIONS_WRONG
};

/* WRONG: `why` says in a sentence what. */
enum qr_server_options_result qr_server_options_parse(int argc, char *const *argv,
                                                      struct qr_options *options, char *why,
                                                      size_t why_n);
void qr_server_options_help(FILE *out);

/* "512M", "4G", "4GiB", "65536": bytes.  False: not a size. */
bool qr_server_options_size(const char *text, uint64_t *bytes);

#endif
