/* SPDX-License-Identifier: MIT */
/* conn -- one client's connection: bytes in, requests one after another, answers out.
 *
 * READING -> BUSY (one request in progress) -> READING ... -> CLOSING.  The socket is read in
 * every state, so that a client that leaves is noticed while it waits: bytes behind a request in
 * progress are kept up to QR_CONN_AHEAD_MAX, then the socket is left alone.  Requests are answered
 * in the order of their arrival.
 *
 * Answers are collected in `out` and written once a turn of the loop.  Output that a client does
 * not take: from QR_CONN_HIGH_WATER on no further request is begun, and a reader that takes less
 * than QR_CONN_READ_LEAST in the write timeout is left.
 *
 * One timer serves all deadlines; it runs only in a phase that has one.
 *
 * Thread: the loop's.   Memory: the server's allocator; freed after its handles have closed.
 * Invariant: a job is set only while busy; closing connections have no job. */
#ifndef QR_SERVER_CONN_H
#define QR_SERVER_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/server/http.h"
#include "runtime/server/state.h"

struct qr_server_job;

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
    uint64_t phase_mark; /* bytes at the phase's last deadline */

    struct qr_http_parser http;
    struct qr_buffer in;  /* read, but behind the request in progress */
    struct qr_buffer out; /* to be written */
    struct qr_buffer writing;
    uint64_t handed_bytes; /* ever put into `writing` */
    struct qr_server_job *job;

    bool dirty;
    bool reading;
    bool busy;
    bool continued;  /* 100 Continue has been sent for this request */
    bool keep_alive; /* after the answer in progress */
    bool chunked;
    bool in_write;
    bool last;   /* the last answer is in `out` or on its way */
    bool linger; /* input is thrown away, the close is waited for */
    bool closing;

    struct qr_caller caller; /* its key: of the request in progress */

    /* of the request in progress, for the log */
    uint64_t begun_ns;
    int status;
    uint32_t prompt_tokens, completion_tokens;
    char path[96];
};

/* Takes a connection off a listener. */
void qr_conn_accept(struct qr_listener *listener);
/* The server ends: closes at once. */
void qr_conn_end(struct qr_conn *conn);
/* No request in progress, and every answer has been taken. */
bool qr_conn_quiet(const struct qr_conn *conn);
/* Reads on, writes, and sets the deadline: the end of a turn, for a dirty connection. */
void qr_conn_flush(struct qr_conn *conn);

/* ---- answers: one of these ends every request ---------------------------------------------- */

/* A whole answer.  content_type may be NULL where body_n is 0. */
void qr_conn_answer(struct qr_conn *conn, int status, const char *content_type, const char *body,
                    size_t body_n);
void qr_conn_answer_failure(struct qr_conn *conn, const struct qr_api_failure *failure);
/* 405, with the method that would do. */
void qr_conn_answer_method(struct qr_conn *conn, const char *allowed);

/* A stream: begin, any number of events, end. */
void qr_conn_stream_begin(struct qr_conn *conn);
void qr_conn_stream_put(struct qr_conn *conn, const char *payload, size_t payload_n);
void qr_conn_stream_end(struct qr_conn *conn);

#endif
