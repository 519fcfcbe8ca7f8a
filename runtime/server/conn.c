/* SPDX-License-Identifier: MIT */
#include "runtime/server/conn.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/memory.h"
#include "runtime/server/job.h"
#include "runtime/server/socket.h"
#include "runtime/server/sse.h"

static void check(const struct qr_conn *conn)
{
    assert(!conn->job || conn->busy);
    assert(!conn->closing || !conn->job);
}

static void mark_dirty(struct qr_conn *conn)
{
    if (conn->dirty || conn->closing) return;
    conn->dirty = true;
    conn->dirty_prev = NULL;
    conn->dirty_next = conn->server->dirty;
    if (conn->dirty_next) conn->dirty_next->dirty_prev = conn;
    conn->server->dirty = conn;
}

static void unmark_dirty(struct qr_conn *conn)
{
    if (!conn->dirty) return;
    conn->dirty = false;
    if (conn->dirty_prev)
        conn->dirty_prev->dirty_next = conn->dirty_next;
    else
        conn->server->dirty = conn->dirty_next;
    if (conn->dirty_next) conn->dirty_next->dirty_prev = conn->dirty_prev;
}

/* ---- the end ------------------------------------------------------------------------------- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct qr_conn *conn = handle->data;
    if (--conn->handles_n > 0) return;

    struct qr_server *server = conn->server;
    if (conn->prev)
        conn->prev->next = conn->next;
    else
        server->conns = conn->next;
    if (conn->next) conn->next->prev = conn->prev;
    qr_http_deinit(&conn->http);
    qr_buffer_deinit(&conn->in);
    qr_buffer_deinit(&conn->out);
    qr_buffer_deinit(&conn->writing);
    qr_buffer_deinit(&conn->more_head);
    qr_free(&server->settings.memory, conn);
    for (size_t i = 0; i < server->listeners_n; i++)
        if (server->listeners[i].refused) qr_conn_accept(&server->listeners[i]);
}

static void close_now(struct qr_conn *conn)
{
    if (conn->closing) return;
    conn->closing = true;
    unmark_dirty(conn);
    uv_close(&conn->io.handle, on_handle_closed);
    uv_close((uv_handle_t *)&conn->timer, on_handle_closed);
}

static void log_request(const struct qr_conn *conn, int status, const char *note)
{
    struct qr_log_request line = {
        .method = qr_http_method(&conn->http),
        .path = conn->path,
        .status = status,
        .seconds = (double)(uv_hrtime() - conn->begun_ns) * 1e-9,
        .prompt_tokens = conn->prompt_tokens,
        .completion_tokens = conn->completion_tokens,
        .note = note,
    };
    qr_log_request(&conn->server->settings.log, &line);
}

/* Drops the client: it has left, or the server gives it up. */
static void lose(struct qr_conn *conn, enum qr_cancel reason)
{
    static const char *const notes[] = {
#define NOTE(name, text) text,
        QR_CANCEL_MAP(NOTE)
#undef NOTE
    };
    if (conn->closing) return;
    if (conn->busy) log_request(conn, 499, notes[reason]);
    if (conn->job) qr_server_job_leave(conn->job, reason);
    conn->busy = false;
    close_now(conn);
}

/* ---- deadlines ----------------------------------------------------------------------------- */

static size_t unwritten(const struct qr_conn *conn)
{
    return conn->out.n + uv_stream_get_write_queue_size(&conn->io.stream);
}

static enum qr_conn_phase phase_of(const struct qr_conn *conn)
{
    if (conn->linger) return QR_CONN_LINGER;
    if (conn->in_write && (!conn->busy || unwritten(conn) > QR_CONN_HIGH_WATER))
        return QR_CONN_WRITE;
    if (conn->busy) return QR_CONN_NONE;
    switch (conn->http.stage) {
    case QR_HTTP_HEADERS: return QR_CONN_HEADERS;
    case QR_HTTP_BODY: return QR_CONN_BODY;
    default: return QR_CONN_IDLE;
    }
}

/* Bytes that must grow by QR_CONN_READ_LEAST to postpone the deadline. */
static uint64_t progress_of(const struct qr_conn *conn, enum qr_conn_phase phase)
{
    switch (phase) {
    case QR_CONN_BODY: return conn->http.body.n;
    case QR_CONN_WRITE:
        return conn->handed_bytes - uv_stream_get_write_queue_size(&conn->io.stream);
    default: return 0;
    }
}

static void on_deadline(uv_timer_t *timer);

static void start_timer(struct qr_conn *conn)
{
    const struct qr_server_settings *s = &conn->server->settings;
    uint64_t ms = conn->phase == QR_CONN_IDLE     ? s->idle_ms
                  : conn->phase == QR_CONN_WRITE  ? s->write_ms
                  : conn->phase == QR_CONN_LINGER ? QR_CONN_LINGER_MS
                                                  : s->header_ms;
    conn->phase_mark = progress_of(conn, conn->phase);
    (void)uv_timer_start(&conn->timer, on_deadline, ms, 0);
}

static void update_timer(struct qr_conn *conn)
{
    if (conn->closing) return;
    enum qr_conn_phase phase = phase_of(conn);
    bool moved =
        phase == QR_CONN_BODY && progress_of(conn, phase) >= conn->phase_mark + QR_CONN_READ_LEAST;
    if (phase == conn->phase && !moved) return;
    conn->phase = phase;
    if (phase == QR_CONN_NONE)
        (void)uv_timer_stop(&conn->timer);
    else
        start_timer(conn);
}

static void begin_request(struct qr_conn *conn)
{
    conn->busy = true;
    conn->keep_alive = false;
    conn->chunked = false;
    /* So that the next phase starts its timer, even if it equals the last one. */
    conn->phase = QR_CONN_NONE;
    (void)uv_timer_stop(&conn->timer);
    conn->begun_ns = uv_hrtime();
    conn->prompt_tokens = conn->completion_tokens = 0;
    conn->path[0] = '\0';
    conn->head_only = conn->anthropic = false;
    conn->request_id[0] = '\0';
    qr_buffer_clear(&conn->more_head);
}

static void on_deadline(uv_timer_t *timer)
{
    struct qr_conn *conn = timer->data;
    struct qr_api_failure failure;
    switch (conn->phase) {
    case QR_CONN_WRITE:
        if (progress_of(conn, QR_CONN_WRITE) >= conn->phase_mark + QR_CONN_READ_LEAST) {
            start_timer(conn);
            return;
        }
        lose(conn, QR_CANCEL_SLOW_READER);
        return;
    case QR_CONN_HEADERS:
    case QR_CONN_BODY:
        (void)qr_fail(&failure, 408, NULL, NULL, "the request was not received in time");
        begin_request(conn);
        qr_conn_answer_failure(conn, &failure);
        return;
    default: close_now(conn); return;
    }
}

/* ---- output -------------------------------------------------------------------------------- */

static void write_more(struct qr_conn *conn);

static void on_written(uv_write_t *write, int status)
{
    struct qr_conn *conn = write->data;
    conn->in_write = false;
    if (conn->closing) return;
    if (status < 0) {
        lose(conn, QR_CANCEL_DISCONNECT);
        return;
    }
    qr_buffer_clear(&conn->writing);
    mark_dirty(conn);
}

static void write_more(struct qr_conn *conn)
{
    if (conn->in_write || conn->out.n == 0) return;
    if (conn->out.failed) {
        lose(conn, QR_CANCEL_DISCONNECT);
        return;
    }
    uv_buf_t all = uv_buf_init(conn->out.data, (unsigned)conn->out.n);
    int written = uv_try_write(&conn->io.stream, &all, 1);
    if (written < 0 && written != UV_EAGAIN) {
        lose(conn, QR_CANCEL_DISCONNECT);
        return;
    }
    size_t done = written > 0 ? (size_t)written : 0;
    conn->handed_bytes += conn->out.n;
    if (done == conn->out.n) {
        qr_buffer_clear(&conn->out);
        return;
    }
    qr_buffer_swap(&conn->out, &conn->writing);
    uv_buf_t rest = uv_buf_init(conn->writing.data + done, (unsigned)(conn->writing.n - done));
    conn->write.data = conn;
    if (uv_write(&conn->write, &conn->io.stream, &rest, 1, on_written) < 0) {
        lose(conn, QR_CANCEL_DISCONNECT);
        return;
    }
    conn->in_write = true;
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    (void)status; /* if the client is gone, the next read reports it */
    (void)request;
}

/* After the last answer.  Closing a socket with unread input sends a reset, which can destroy the
 * answer.  So input is read until the client closes, at most QR_CONN_LINGER_MS. */
static void finish_last(struct qr_conn *conn)
{
    if (conn->linger || conn->in_write || conn->out.n > 0) return;
    conn->linger = true;
    conn->shutdown.data = conn;
    if (uv_shutdown(&conn->shutdown, &conn->io.stream, on_shutdown) < 0) close_now(conn);
}

/* ---- input --------------------------------------------------------------------------------- */

static void dispatch(struct qr_conn *conn)
{
    begin_request(conn);
    conn->keep_alive = qr_http_keep_alive(&conn->http) && !conn->server->draining;
    conn->chunked = qr_http_takes_chunks(&conn->http);
    conn->head_only = strcmp(qr_http_method(&conn->http), "HEAD") == 0;
    struct quire_text path = qr_http_path(&conn->http);
    size_t n = path.n < sizeof conn->path - 1 ? path.n : sizeof conn->path - 1;
    memcpy(conn->path, path.data, n);
    conn->path[n] = '\0';
    conn->server->on_request(conn);
}

/* Parses input and starts requests, until one is in progress.  Returns the bytes used. */
static size_t consume(struct qr_conn *conn, const char *data, size_t n)
{
    size_t used = 0;
    while (used < n && !conn->busy && !conn->last && !conn->closing) {
        if (unwritten(conn) > QR_CONN_HIGH_WATER) break;
        used += qr_http_feed(&conn->http, data + used, n - used);
        if (conn->http.stage == QR_HTTP_DONE) {
            dispatch(conn);
        } else if (conn->http.stage == QR_HTTP_BAD) {
            begin_request(conn);
            qr_conn_answer_failure(conn, &conn->http.failure);
        } else if (conn->http.stage == QR_HTTP_BODY && !conn->continued &&
                   qr_http_expects_continue(&conn->http)) {
            conn->continued = true;
            qr_buffer_puts(&conn->out, "HTTP/1.1 100 Continue\r\n\r\n");
            mark_dirty(conn);
        }
    }
    return conn->last ? n : used;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct qr_conn *conn = handle->data;
    /* One buffer for all connections: on_read copies what it does not use. */
    *buf = uv_buf_init(conn->server->read_bytes, sizeof conn->server->read_bytes);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct qr_conn *conn = stream->data;
    if (n < 0) {
        lose(conn, QR_CANCEL_DISCONNECT);
        return;
    }
    if (conn->linger || conn->last) return;

    size_t used = conn->in.n == 0 ? consume(conn, buf->base, (size_t)n) : 0;
    if (conn->closing) return;
    if (used < (size_t)n) {
        qr_buffer_put(&conn->in, buf->base + used, (size_t)n - used);
        if (conn->in.failed) {
            lose(conn, QR_CANCEL_DISCONNECT);
            return;
        }
        if (conn->in.n > QR_CONN_AHEAD_MAX) {
            (void)uv_read_stop(stream);
            conn->reading = false;
        }
    }
    mark_dirty(conn);
}

static bool read_on(struct qr_conn *conn)
{
    if (conn->reading || conn->in.n > QR_CONN_AHEAD_MAX) return true;
    conn->reading = uv_read_start(&conn->io.stream, on_alloc, on_read) == 0;
    return conn->reading;
}

void qr_conn_flush(struct qr_conn *conn)
{
    assert(conn->dirty && !conn->closing);
    unmark_dirty(conn);
    if (conn->in.n > 0) qr_buffer_drop(&conn->in, consume(conn, conn->in.data, conn->in.n));
    write_more(conn);
    if (conn->closing) return;
    if (conn->last) finish_last(conn);
    if (conn->closing) return;
    if (!read_on(conn)) {
        lose(conn, QR_CANCEL_DISCONNECT);
        return;
    }
    update_timer(conn);
    check(conn);
}

/* ---- beginning ----------------------------------------------------------------------------- */

void qr_conn_accept(struct qr_listener *listener)
{
    struct qr_server *server = listener->server;
    struct qr_conn *conn = qr_alloc_zero(&server->settings.memory, 1, sizeof *conn);
    /* libuv stops polling a listener until its connection is accepted.  A connection that closes
     * frees memory and tries again. */
    listener->refused = !conn;
    if (!conn) return;

    conn->server = server;
    qr_http_init(&conn->http, &server->settings.memory, QR_HTTP_HEADER_MAX,
                 server->settings.body_max_bytes);
    qr_buffer_init(&conn->in, &server->settings.memory);
    qr_buffer_init(&conn->out, &server->settings.memory);
    qr_buffer_init(&conn->writing, &server->settings.memory);
    qr_buffer_init(&conn->more_head, &server->settings.memory);
    if (listener->tcp)
        (void)uv_tcp_init(&server->loop, &conn->io.tcp);
    else
        (void)uv_pipe_init(&server->loop, &conn->io.pipe, 0);
    (void)uv_timer_init(&server->loop, &conn->timer);
    conn->handles_n = 2;
    conn->io.handle.data = conn;
    conn->timer.data = conn;
    conn->next = server->conns;
    if (conn->next) conn->next->prev = conn;
    server->conns = conn;

    int fd = -1;
    if (uv_accept(&listener->io.stream, &conn->io.stream) < 0 ||
        uv_fileno(&conn->io.handle, &fd) < 0) {
        close_now(conn);
        return;
    }
    conn->tcp = listener->tcp;
    conn->loopback = listener->tcp && qr_socket_is_loopback(fd);
    conn->caller.uid = listener->tcp ? -1 : qr_socket_peer_uid(fd);
    if (listener->tcp) {
        (void)uv_tcp_nodelay(&conn->io.tcp, 1);
    } else if (server->settings.allow_uids_n > 0 &&
               !qr_socket_uid_allowed(conn->caller.uid, server->settings.allow_uids,
                                      server->settings.allow_uids_n)) {
        qr_log(&server->settings.log, QR_LOG_WARN,
               "closed a connection: its user is not in --allow-uid");
        close_now(conn);
        return;
    }
    if (server->settings.cache_scope == QR_SCOPE_UID && conn->caller.uid < 0) {
        qr_log(&server->settings.log, QR_LOG_WARN,
               "closed a connection: --cache-scope uid needs the peer's uid, which is unknown");
        close_now(conn);
        return;
    }
    mark_dirty(conn); /* the hook starts reading */
}

void qr_conn_end(struct qr_conn *conn)
{
    lose(conn, QR_CANCEL_SHUTDOWN);
}

bool qr_conn_quiet(const struct qr_conn *conn)
{
    return conn->closing || (!conn->busy && unwritten(conn) == 0);
}

/* ---- answers ------------------------------------------------------------------------------- */

static void put_head(struct qr_conn *conn, int status, const char *content_type)
{
    conn->status = status;
    qr_buffer_printf(&conn->out, "HTTP/1.1 %d %s\r\n", status, qr_http_reason(status));
    if (content_type) qr_buffer_printf(&conn->out, "Content-Type: %s\r\n", content_type);
    if (!conn->keep_alive)
        qr_buffer_puts(&conn->out, "Connection: close\r\n");
    else if (!conn->chunked)
        qr_buffer_puts(&conn->out, "Connection: keep-alive\r\n"); /* HTTP/1.0 closes by default */
    qr_buffer_put(&conn->out, conn->more_head.data, conn->more_head.n);
}

static void end_answer(struct qr_conn *conn)
{
    assert(conn->busy);
    if (conn->job) conn->job->conn = NULL;
    conn->job = NULL;
    log_request(conn, conn->status, NULL);
    conn->busy = false;
    conn->continued = false;
    if (conn->keep_alive)
        qr_http_next(&conn->http);
    else
        conn->last = true;
    mark_dirty(conn);
}

static void answer_with(struct qr_conn *conn, int status, const char *content_type,
                        const char *header, const char *body, size_t body_n)
{
    put_head(conn, status, content_type);
    qr_buffer_puts(&conn->out, header);
    if (status == 204)
        qr_buffer_puts(&conn->out, "\r\n"); /* RFC 9110, 8.6: no Content-Length */
    else
        qr_buffer_printf(&conn->out, "Content-Length: %zu\r\n\r\n", body_n);
    if (!conn->head_only) qr_buffer_put(&conn->out, body, body_n);
    end_answer(conn);
}

void qr_conn_answer(struct qr_conn *conn, int status, const char *content_type, const char *body,
                    size_t body_n)
{
    answer_with(conn, status, content_type, "", body, body_n);
}

void qr_conn_put_failure(const struct qr_conn *conn, const struct qr_api_failure *failure,
                         struct qr_buffer *out)
{
    if (conn->anthropic)
        qr_failure_put_anthropic(failure, conn->request_id, out);
    else
        qr_failure_put(failure, out);
}

static void answer_failure_with(struct qr_conn *conn, const struct qr_api_failure *failure,
                                const char *header)
{
    struct qr_buffer body;
    qr_buffer_init(&body, &conn->server->settings.memory);
    qr_conn_put_failure(conn, failure, &body);
    /* After a request that could not be read, the start of the next one is unknown. */
    if (conn->http.stage != QR_HTTP_DONE) conn->keep_alive = false;
    answer_with(conn, failure->http_status, "application/json", header,
                body.failed ? "" : body.data, body.failed ? 0 : body.n);
    qr_buffer_deinit(&body);
}

void qr_conn_answer_failure(struct qr_conn *conn, const struct qr_api_failure *failure)
{
    const char *header = failure->retry_after_s > 0    ? "Retry-After: 1\r\n"
                         : failure->http_status == 401 ? "WWW-Authenticate: Bearer\r\n"
                                                       : "";
    answer_failure_with(conn, failure, header);
}

void qr_conn_answer_method(struct qr_conn *conn, const char *allowed)
{
    struct qr_api_failure failure;
    (void)qr_fail(&failure, 405, NULL, NULL, "method %s is not allowed here; expected %s",
                  qr_http_method(&conn->http), allowed);
    char header[64];
    (void)snprintf(header, sizeof header, "Allow: %s\r\n", allowed);
    answer_failure_with(conn, &failure, header);
}

void qr_conn_stream_begin(struct qr_conn *conn)
{
    if (!conn->chunked) conn->keep_alive = false; /* the end of the connection ends the body */
    put_head(conn, 200, "text/event-stream; charset=utf-8");
    /* X-Accel-Buffering: nginx passes each event on at once. */
    qr_buffer_puts(&conn->out, "Cache-Control: no-cache\r\nX-Accel-Buffering: no\r\n");
    if (conn->chunked) qr_buffer_puts(&conn->out, "Transfer-Encoding: chunked\r\n");
    qr_buffer_puts(&conn->out, "\r\n");
    mark_dirty(conn);
}

void qr_conn_stream_put(struct qr_conn *conn, const char *event, const char *payload,
                        size_t payload_n)
{
    assert(conn->busy);
    conn->quiet = false;
    qr_sse_put(&conn->out, event, payload, payload_n, conn->chunked);
    mark_dirty(conn);
}

void qr_conn_stream_ping(struct qr_conn *conn)
{
    assert(conn->busy);
    if (conn->quiet) {
        qr_sse_put_comment(&conn->out, conn->chunked);
        mark_dirty(conn);
    }
    conn->quiet = true;
}

void qr_conn_stream_end(struct qr_conn *conn, bool done)
{
    qr_sse_put_end(&conn->out, done, conn->chunked);
    end_answer(conn);
}
