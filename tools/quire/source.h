/* SPDX-License-Identifier: MIT */
/* source -- where a command's answers come from: a model opened in this process, or a server.
 *
 * Which one: --model, --socket or --url where given; else the socket where quired listens if there
 * is one; else the file named by QUIRE_MODEL.
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
    uint32_t sliding_window; /* QR_WINDOW_UNSAID where the flag is not given */
    uint64_t kv_memory;
    bool profile; /* not an option of every command: bench sets it */
    /* As in quire_model_settings; inspect sets it. */
    void (*unsupported)(void *context, const char *sentence);
    void *unsupported_context;
};

#define QR_SOURCE_OPTIONS_N 14
#define QR_WINDOW_UNSAID    UINT32_MAX

/* Fills up to QR_SOURCE_OPTIONS_N entries of a command's table and returns how many.  servers:
 * false leaves out how to name one, for what is only done in process. */
size_t qr_source_options(struct qr_option *table, struct qr_source_options *options, bool servers);

struct qr_source {
    quire_model *model; /* NULL: a server */
    quire_engine *engine;
    struct qr_address address;
    const char *api_key;
};

/* engine: one is wanted, should the source be a model.  QR_EXIT_FINE, or the code to leave with. */
int qr_source_open(struct qr_source *source, const struct qr_source_options *options, bool engine,
                   struct qr_failure *why);
void qr_source_close(struct qr_source *source);

/* The pieces, for those that time them.  QR_EXIT_FINE or a code. */
int qr_source_open_model(quire_model **model, const struct qr_source_options *options,
                         const char *path, struct qr_failure *why);
int qr_source_start_engine(quire_engine **engine, quire_model *model,
                           const struct qr_source_options *options, struct qr_failure *why);

#endif
