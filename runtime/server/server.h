/* SPDX-License-Identifier: MIT */
/* server -- one uv loop that owns the sockets, and what every part of it shares.
 *
 * STARTING -> SERVING -> DRAINING -> ENDED.  While it serves, the loop sleeps until a socket, the
 * engine's descriptor, a worker or a signal has something; nothing ticks.  Draining begins with
 * the first SIGTERM or SIGINT: no new requests, running ones may finish until the drain timeout
 * or a second signal cancels them.
 *
 * Of the engine it uses quire.h and nothing else.
 *
 * Thread: the loop's, all of it; a job's run() is the only code that runs elsewhere, and it
 * touches only its own job and the model.   Memory: settings.memory. */
#ifndef QR_SERVER_SERVER_H
#define QR_SERVER_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "runtime/quire.h"
#include "runtime/server/limits.h"
#include "runtime/server/log.h"
#include "runtime/server/params.h"
#include "runtime/server/scope.h"
#include "runtime/server/socket.h"

struct qr_conn;
struct qr_generation;

/* Figures of the program's memory, for the metrics: the server knows no allocator's insides. */
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
    const char *api_keys;            /* lines; NULL: no key is asked for */
    size_t api_keys_n;               /* bytes */
    enum qr_cache_scope cache_scope; /* uid: every listener is a Unix socket */
    const uint32_t *allow_uids;
    uint32_t allow_uids_n;
    uint64_t body_max_bytes, drain_ms, header_ms, idle_ms, write_ms;
};

/* Why requests were cancelled: quire_request_cancelled_total{reason}. */
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
    bool refused; /* a connection waits that there was no memory for */
};

struct qr_server {
    struct qr_server_settings settings;
    struct quire_model_info info;
    struct qr_model_limits limits;
    uv_loop_t loop;
    uv_poll_t engine_poll;
    uv_signal_t terminate, interrupt;
    uv_timer_t drain_timer;
    struct qr_listener listeners[QR_LISTENERS_MAX];
    size_t listeners_n;
    struct qr_conn *conns; /* doubly linked */
    struct qr_conn *dirty; /* with output or input to be looked at before the turn ends */
    struct qr_generation *generations; /* doubly linked */
    struct qr_generation *touched;     /* with events in this turn */
    size_t jobs_n;                     /* on workers */
    bool draining, impatient, ended;
    uint64_t started_s; /* since 1970 */
    uint64_t cancelled[QR_CANCEL_REASONS_N];
    char read_bytes[QR_CONN_READ_BYTES]; /* one read at a time is under way */
};

/* Takes over the listening descriptors, all of them or none.  0 or a negative uv error. */
int qr_server_init(struct qr_server *server, const struct qr_server_settings *settings,
                   const struct qr_socket *sockets, size_t sockets_n);
/* Serves until drained. */
void qr_server_run(struct qr_server *server);
void qr_server_deinit(struct qr_server *server);

/* Sends what this turn of the loop has made, each connection's in one write, and goes on with
 * pipelined requests.  Every callback of the loop that may have made output ends in it. */
void qr_server_flush(struct qr_server *server);
/* Looks whether draining is done, when something has ended. */
void qr_server_check_drained(struct qr_server *server);

#endif
