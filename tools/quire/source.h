/* SPDX-License-Identifier: MIT */
/* source -- the model that a command uses: one opened in this process, or a server's.
 *
 * --model, --socket or --url select it.  Without these it is the server on quired's default socket,
 * if that exists, and otherwise the file that QUIRE_MODEL names.
 *
 * Thread: the main one.   Memory: malloc. */
#ifndef QR_QUIRE_SOURCE_H
#define QR_QUIRE_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/quire.h"
#include "tools/client/http.h"
#include "tools/client/options.h"

struct qr_source_options {
    const char *model, *socket, *url, *api_key, *kv_type, *cpu_level, *chat_template;
    uint32_t threads, context_max, page_tokens;
    uint32_t sliding_window; /* QR_WINDOW_UNSAID: the option was not given */
    uint64_t kv_memory;
    bool profile; /* set by bench */
    /* As in quire_model_settings; set by inspect. */
    void (*unsupported)(void *context, const char *sentence);
    void *unsupported_context;
};

#define QR_SOURCE_OPTIONS_N 14
#define QR_WINDOW_UNSAID    UINT32_MAX

/* Fills up to QR_SOURCE_OPTIONS_N entries of a command's table and returns their number.  servers
 * false: without the options that name a server. */
size_t qr_source_options(struct qr_option *table, struct qr_source_options *options, bool servers);

struct qr_source {
    quire_model *model; /* NULL: a server */
    quire_engine *engine;
    struct qr_address address;
    const char *api_key;
};

/* engine: start one if the source is a model.  Returns QR_EXIT_FINE or the exit status. */
int qr_source_open(struct qr_source *source, const struct qr_source_options *options, bool engine,
                   struct qr_failure *why);
void qr_source_close(struct qr_source *source);

/* The two steps of qr_source_open, which bench times.  Return QR_EXIT_FINE or the exit status. */
int qr_source_open_model(quire_model **model, const struct qr_source_options *options,
                         const char *path, struct qr_failure *why);
int qr_source_start_engine(quire_engine **engine, quire_model *model,
                           const struct qr_source_options *options, struct qr_failure *why);

#endif
