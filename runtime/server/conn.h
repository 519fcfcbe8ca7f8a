/* SPDX-License-Identifier: MIT */
/* conn -- one client's connection: bytes in, requests one after another, answers out.  It knows no
 * endpoint: the server's on_request answers a request through the functions at the end.
 *
 *   READING ---request complete---> BUSY ---answer ended---> READING ...
 *      |                             |
 *      +---------> CLOSING <---------+   client gone, deadline, last answer written, server ends
 *
 * The socket is read in every state, so that a client that leaves is noticed while it waits.  Bytes
 * that follow a request in progress are kept, up to QR_CONN_AHEAD_MAX; then reading stops.
 * Requests are answered in the order of their arrival.
 *
 * Answers are collected in `out` and written once a turn of the loop.  Above QR_CONN_HIGH_WATER
 * unwritten bytes no further request starts.  A client that takes fewer than QR_CONN_READ_LEAST
 * bytes within the write timeout is dropped.
 *
 * One timer serves all deadlines.  It runs only in a phase that has one.
 *
 * Thread: the loop's.   Memory: the server's allocator; freed after its handles have closed.
 * Invariant: job is set only while busy; a closing connection has no job and is not dirty. */
#ifndef QR_SERVER_CONN_H
#define QR_SERVER_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/server/http.h"
#include "runtime/server/state.h"

struct qr_server_job;

/* What the deadline is for. */
enum qr_conn_phase {
    QR_CONN_NONE,
    QR_CONN_IDLE,
    QR_CONN_HEADERS,
    QR_CONN_BODY,
    QR_CONN_WRITE,
    QR_CONN_LINGER
};

struct qr_conn {
    struct qr_server *server;
    struct qr_conn *prev, *next;
    struct qr_conn *dirty_prev, *dirty_next;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_pipe_t pipe;
        uv_tcp_t tcp;
    } io;
    uv_timer_t timer;
    uv_write_t write;
    uv_shutdown_t shutdown;
    unsigned handles_n; /* not yet closed */
    enum qr_conn_phase phase;
    uint64_t phase_mark; /* progress when the phase's timer was started */

    struct qr_http_parser http;
    struct qr_buffer in;  /* read ahead of the request in progress */
    struct qr_buffer out; /* not yet given to the socket */
    struct qr_buffer writing;
    uint64_t handed_bytes; /* given to the socket since the start */
    struct qr_server_job *job;

    bool dirty;
    bool reading;
    bool busy;
    bool continued;  /* 100 Continue has been sent for this request */
    bool keep_alive; /* after the answer in progress */
    bool chunked;
    bool quiet;     /* the stream has sent nothing since the last ping */
    bool head_only; /* HEAD: headers as for GET, no body */
    bool in_write;
    bool last;   /* the last answer has ended: input is ignored */
    bool linger; /* input is discarded until the client closes */
    bool closing;

    bool tcp, loopback;      /* how the client reached the server */
    struct qr_caller caller; /* its key is the current request's */

    /* of the answer in progress; set by the route */
    bool anthropic;             /* errors have Anthropic's form */
    char request_id[64];        /* echoed, or made here */
    struct qr_buffer more_head; /* header lines that every answer to this request has */

    /* of the request in progress, for the log */
    uint64_t begun_ns;
    int status;
    uint32_t prompt_tokens, completion_tokens;
    char path[96];
};

/* Accepts a connection from a listener. */
void qr_conn_accept(struct qr_listener *listener);
/* Closes at once, because the server ends. */
void qr_conn_end(struct qr_conn *conn);
/* True if no request is in progress and all output has been written. */
bool qr_conn_quiet(const struct qr_conn *conn);
/* For a dirty connection at the end of a turn: starts requests that were read ahead, writes, and
 * sets the deadline. */
void qr_conn_flush(struct qr_conn *conn);

/* ---- answers: one of these ends every request ---------------------------------------------- */

/* Sends a whole answer.  content_type may be NULL if body_n is 0. */
void qr_conn_answer(struct qr_conn *conn, int status, const char *content_type, const char *body,
                    size_t body_n);
void qr_conn_answer_failure(struct qr_conn *conn, const struct qr_api_failure *failure);
/* Sends 405 with the methods that are allowed: "GET, HEAD". */
void qr_conn_answer_method(struct qr_conn *conn, const char *allowed);
/* Writes a failure in the form that this request's path asks for. */
void qr_conn_put_failure(const struct qr_conn *conn, const struct qr_api_failure *failure,
                         struct qr_buffer *out);

/* A streamed answer: begin, any number of events, end.  event: the event's name; NULL: none.
 * done: the stream ends with OpenAI's [DONE]. */
void qr_conn_stream_begin(struct qr_conn *conn);
void qr_conn_stream_put(struct qr_conn *conn, const char *event, const char *payload,
                        size_t payload_n);
/* Sends a comment, if the stream has sent nothing since the last call. */
void qr_conn_stream_ping(struct qr_conn *conn);
void qr_conn_stream_end(struct qr_conn *conn, bool done);

#endif
