/* SPDX-License-Identifier: MIT */
/* state -- what all parts of the server share: settings, the loop and the lists on it.
 *
 * server.c creates it, runs it and ends it.  A connection reports work by entering `dirty`; a hook
 * that runs before the loop polls empties that list (server.h).
 *
 * Thread: the loop's.  A job's run() may read settings.model, settings.memory, settings.name,
 * limits, info, family, reasoning and shown_ids, which do not change while the server runs. Memory:
 * settings.memory. */
#ifndef QR_SERVER_STATE_H
#define QR_SERVER_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "runtime/base/limits.h"
#include "runtime/parse/families.h"
#include "runtime/quire.h"
#include "runtime/server/limits.h"
#include "runtime/server/log.h"
#include "runtime/server/params.h"
#include "runtime/server/scope.h"

struct qr_conn;
struct qr_generation;
struct qr_json;

/* One value of the metric quire_jemalloc_bytes: the server does not know the allocator. */
struct qr_memory_figure {
    const char *kind;
    uint64_t bytes;
};
#define QR_MEMORY_FIGURES_MAX 16

struct qr_server_settings {
    quire_model *model;
    quire_engine *engine;
    struct quire_allocator memory;
    size_t (*memory_figures)(struct qr_memory_figure *figures); /* [QR_MEMORY_FIGURES_MAX]; NULL */
    struct qr_log log;
    const char *name;                /* the model's name in answers */
    const char *api_keys;            /* one a line; NULL: requests need no key */
    size_t api_keys_n;               /* bytes */
    enum qr_cache_scope cache_scope; /* uid: every listener is a Unix socket */
    const char *const *cors_origins; /* "*": all */
    size_t cors_origins_n;
    bool own_sampling; /* the API's sampler settings, not those that the model's file recommends */
    const char *tool_parser, *reasoning_parser; /* names; NULL: by the template */
    const struct qr_json *template_kwargs;      /* defaults of chat_template_kwargs; NULL: none */
    const uint32_t *allow_uids;
    uint32_t allow_uids_n;
    uint64_t body_max_bytes, drain_ms, header_ms, idle_ms, write_ms;
    uint64_t ping_ms; /* a quiet stream gets a comment after this; 0: never */
};

/* Why the server cancelled a request: the label of quire_request_cancelled_total. */
#define QR_CANCEL_MAP(X)                                                                           \
    X(QR_CANCEL_DISCONNECT, "disconnect")                                                          \
    X(QR_CANCEL_SLOW_READER, "slow_reader")                                                        \
    X(QR_CANCEL_SHUTDOWN, "shutdown")                                                              \
    X(QR_CANCEL_SIBLING, "sibling_failed")
enum qr_cancel {
#define QR_CANCEL_ENUM(name, text) name,
    QR_CANCEL_MAP(QR_CANCEL_ENUM)
#undef QR_CANCEL_ENUM
        QR_CANCEL_REASONS_N
};

struct qr_listener {
    struct qr_server *server;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_pipe_t pipe;
        uv_tcp_t tcp;
    } io;
    bool tcp;
    bool refused; /* no memory for the connection that waits here: retried when one closes */
};

struct qr_server {
    struct qr_server_settings settings;
    struct quire_model_info info;
    struct qr_model_limits limits;
    /* How the model writes tool calls and reasoning; NULL: not at all. */
    const struct qr_parse_family *family;
    const struct qr_parse_reasoning *reasoning;
    bool reads_answers;                  /* one of the two is known */
    int32_t shown_ids[QR_SHOWN_IDS_MAX]; /* [shown_ids_n] control tokens that answers are read by */
    size_t shown_ids_n;
    /* Starts the answer to the request that conn has read; the answer may end later. */
    void (*on_request)(struct qr_conn *conn);
    uv_loop_t loop;
    uv_prepare_t before_poll;
    uv_poll_t engine_poll;
    uv_signal_t terminate, interrupt;
    uv_timer_t drain_timer;
    uv_timer_t ping_timer; /* runs if ping_ms is not 0 */
    struct qr_listener listeners[QR_LISTENERS_MAX];
    size_t listeners_n;
    struct qr_conn *conns;             /* doubly linked */
    struct qr_conn *dirty;             /* doubly linked: with output or input to look at */
    struct qr_generation *generations; /* doubly linked */
    struct qr_generation *touched;     /* generations with events in this turn */
    size_t jobs_n;                     /* on workers */
    bool draining, impatient, ended;
    uint64_t started_s; /* since 1970 */
    uint64_t cancelled[QR_CANCEL_REASONS_N];
    char read_bytes[QR_CONN_READ_BYTES]; /* what one read brings; used up before the next read */
};

#endif
