/* SPDX-License-Identifier: MIT */
#include "tools/client/http.h"

#include <assert.h>
#include <http_parser.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_BYTES (64u << 10)

struct connection {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_pipe_t pipe;
        uv_tcp_t tcp;
    } u;
    uv_connect_t connect;
    uv_write_t write;
    http_parser parser;
    struct qr_http *http;
    struct qr_http_call *call; /* NULL: idle or closing */
    struct connection *next;   /* in http->connections */
    char *out;                 /* the request's bytes, until uv has written them */
    bool used;                 /* an earlier call completed on it */
    bool whole;                /* the whole answer was read */
    bool idle;
    bool closing;
    bool reading;
};

struct qr_http_call {
    struct connection *connection;
    struct qr_http *http;
    const struct qr_http_handler *handler;
    void *user;
    char *request;
    size_t request_n;
    size_t answered_n; /* bytes of the answer that were read */
    int status;
    struct qr_http_call *next_orphan; /* a call that could not be sent; its done is still due */
    struct qr_failure failure;
};

struct qr_http {
    uv_loop_t *loop;
    struct qr_address address;
    char *api_key;
    struct connection *connections;
    struct qr_http_call *orphans;
    uv_idle_t idle; /* calls done of orphans, after qr_http_start has returned */
    uint32_t handles_n;
    bool destroyed;
    char buffer[READ_BYTES];
};

static bool send_call(struct qr_http_call *call);

/* ---- lifetimes ---------------------------------------------------------------------- */

static void free_call(struct qr_http_call *call)
{
    free(call->request);
    free(call);
}

static void release(struct qr_http *http)
{
    assert(http->handles_n > 0);
    if (--http->handles_n || !http->destroyed) return;
    free(http->api_key);
    free(http);
}

static void connection_closed(uv_handle_t *handle)
{
    struct connection *c = handle->data;
    struct qr_http *http = c->http;
    for (struct connection **p = &http->connections; *p; p = &(*p)->next)
        if (*p == c) {
            *p = c->next;
            break;
        }
    free(c->out);
    free(c);
    release(http);
}

static void close_connection(struct connection *c)
{
    if (c->closing) return;
    c->closing = true;
    c->idle = false;
    c->call = NULL;
    uv_close(&c->u.handle, connection_closed);
}

static void finish(struct qr_http_call *call, const struct qr_failure *failure)
{
    call->handler->done(call->user, call->status, failure);
    free_call(call);
}

static void end_orphan(uv_idle_t *idle)
{
    struct qr_http *http = idle->data;
    uv_idle_stop(idle);
    if (!http->orphans) return;
    struct qr_http_call *call = http->orphans;
    http->orphans = call->next_orphan;
    if (http->orphans) uv_idle_start(idle, end_orphan); /* one at a time: done may cancel others */
    struct qr_failure why = call->failure;
    finish(call, &why);
}

/* Closes a broken connection.  Sends its call once more if the connection was used before and
 * nothing of the answer was read: the server had probably closed it while it was idle. */
static void fail(struct connection *c, const char *what, int uv_status)
{
    struct qr_http_call *call = c->call;
    bool again = call && c->used && call->answered_n == 0;
    const char *reason = uv_status ? uv_strerror(uv_status) : "";
    struct qr_failure why;
    qr_failed(&why, "%s: %s%s%s", c->http->address.name, what, reason[0] ? ": " : "", reason);
    close_connection(c);
    if (!call) return;
    call->connection = NULL;
    if (again && send_call(call)) return;
    finish(call, &why);
}

/* ---- answers ------------------------------------------------------------------------ */

static int on_headers_complete(http_parser *parser)
{
    struct connection *c = parser->data;
    if (c->call) c->call->status = (int)parser->status_code;
    return 0;
}

static int on_body(http_parser *parser, const char *bytes, size_t n)
{
    struct connection *c = parser->data;
    if (c->call) c->call->handler->body(c->call->user, c->call->status, bytes, n);
    return c->call ? 0 : 1; /* 1: the handler cancelled the call, stop parsing */
}

static int on_message_complete(http_parser *parser)
{
    struct connection *c = parser->data;
    if (parser->status_code / 100 == 1) return 0; /* 100 Continue precedes the answer */
    c->whole = true;
    http_parser_pause(parser, 1);
    return 0;
}

static const http_parser_settings parser_settings = {
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *buffer)
{
    (void)wanted;
    struct connection *c = handle->data;
    *buffer = uv_buf_init(c->http->buffer, READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    struct connection *c = stream->data;
    if (n == 0 || c->closing) return;
    if (n < 0 && n != UV_EOF) {
        fail(c, "the connection broke", (int)n);
        return;
    }
    if (!c->call) { /* idle: the server closed it, or sent bytes that answer nothing */
        close_connection(c);
        return;
    }
    size_t bytes_n = n == UV_EOF ? 0 : (size_t)n;
    c->call->answered_n += bytes_n;
    http_parser_execute(&c->parser, &parser_settings, buffer->base, bytes_n);
    if (c->closing) return; /* the handler cancelled the call */
    if (c->whole) {
        struct qr_http_call *call = c->call;
        /* The parser is paused; http_should_keep_alive works all the same. */
        bool keep = n != UV_EOF && http_should_keep_alive(&c->parser);
        c->call = NULL;
        c->used = true;
        if (keep)
            c->idle = true;
        else
            close_connection(c);
        call->connection = NULL;
        finish(call, NULL);
        return;
    }
    if (HTTP_PARSER_ERRNO(&c->parser) != HPE_OK)
        fail(c, http_errno_description(HTTP_PARSER_ERRNO(&c->parser)), 0);
    else if (n == UV_EOF)
        fail(c, "the server closed the connection before the answer's end", 0);
}

/* ---- requests ----------------------------------------------------------------------- */

static void on_written(uv_write_t *write, int status)
{
    struct connection *c = write->data;
    if (status < 0 && status != UV_ECANCELED && !c->closing) fail(c, "sending failed", status);
}

static int write_request(struct connection *c)
{
    struct qr_http_call *call = c->call;
    free(c->out);
    c->out = malloc(call->request_n);
    if (!c->out) return UV_ENOMEM;
    memcpy(c->out, call->request, call->request_n);
    http_parser_init(&c->parser, HTTP_RESPONSE);
    c->parser.data = c;
    c->whole = false;
    uv_buf_t buffer = uv_buf_init(c->out, (unsigned)call->request_n);
    c->write.data = c;
    int status = uv_write(&c->write, &c->u.stream, &buffer, 1, on_written);
    if (status == 0 && !c->reading) {
        status = uv_read_start(&c->u.stream, on_alloc, on_read);
        c->reading = true;
    }
    return status;
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct connection *c = connect->data;
    if (c->closing) return;
    if (status < 0)
        fail(c, "cannot connect", status);
    else if ((status = write_request(c)) < 0)
        fail(c, "sending failed", status);
}

static struct connection *open_connection(struct qr_http *http, int *status)
{
    struct connection *c = calloc(1, sizeof *c);
    *status = UV_ENOMEM;
    if (!c) return NULL;
    c->http = http;
    if (http->address.is_unix)
        *status = uv_pipe_init(http->loop, &c->u.pipe, 0);
    else
        *status = uv_tcp_init(http->loop, &c->u.tcp);
    if (*status < 0) {
        free(c);
        return NULL;
    }
    c->u.handle.data = c;
    c->connect.data = c;
    c->next = http->connections;
    http->connections = c;
    http->handles_n++;
    if (http->address.is_unix) {
        uv_pipe_connect(&c->connect, &c->u.pipe, http->address.socket, on_connected);
    } else {
        uv_tcp_nodelay(&c->u.tcp, 1);
        *status = uv_tcp_connect(&c->connect, &c->u.tcp, (struct sockaddr *)&http->address.tcp,
                                 on_connected);
        if (*status < 0) {
            close_connection(c);
            return NULL;
        }
    }
    return c;
}

/* Gives the call a connection: an idle one, else a new one.  False: call->failure says why. */
static bool send_call(struct qr_http_call *call)
{
    struct qr_http *http = call->http;
    for (struct connection *c = http->connections; c; c = c->next) {
        if (!c->idle) continue;
        c->idle = false;
        c->call = call;
        if (write_request(c) == 0) {
            call->connection = c;
            return true;
        }
        close_connection(c);
    }
    int status;
    struct connection *c = open_connection(http, &status);
    if (!c)
        return qr_failed(&call->failure, "%s: cannot connect: %s", http->address.name,
                         uv_strerror(status));
    c->call = call;
    call->connection = c;
    return true;
}

struct qr_http_call *qr_http_start(struct qr_http *http, const struct qr_http_request *request,
                                   const struct qr_http_handler *handler, void *user)
{
    struct qr_http_call *call = calloc(1, sizeof *call);
    if (!call) return NULL;
    *call = (struct qr_http_call){.http = http, .handler = handler, .user = user};
    size_t room = 1024 + strlen(request->path) + request->body_n +
                  (http->api_key ? strlen(http->api_key) : 0);
    call->request = malloc(room);
    if (!call->request) {
        free(call);
        return NULL;
    }
    int n = snprintf(call->request, room, "%s %s%s HTTP/1.1\r\nHost: %s\r\nAccept: */*\r\n",
                     request->method, http->address.base, request->path, http->address.host);
    if (http->api_key)
        n += snprintf(call->request + n, room - (size_t)n, "Authorization: Bearer %s\r\n",
                      http->api_key);
    if (request->body)
        n += snprintf(call->request + n, room - (size_t)n,
                      "Content-Type: application/json\r\nContent-Length: %zu\r\n", request->body_n);
    n += snprintf(call->request + n, room - (size_t)n, "\r\n");
    assert((size_t)n + request->body_n <= room);
    if (request->body) memcpy(call->request + n, request->body, request->body_n);
    call->request_n = (size_t)n + request->body_n;
    if (!send_call(call)) {
        call->next_orphan = http->orphans;
        http->orphans = call;
        uv_idle_start(&http->idle, end_orphan);
    }
    return call;
}

void qr_http_cancel(struct qr_http_call *call)
{
    for (struct qr_http_call **p = &call->http->orphans; *p; p = &(*p)->next_orphan)
        if (*p == call) {
            *p = call->next_orphan;
            break;
        }
    if (call->connection) close_connection(call->connection);
    free_call(call);
}

/* ---- clients ------------------------------------------------------------------------ */

struct qr_http *qr_http_create(uv_loop_t *loop, const struct qr_address *address,
                               const char *api_key)
{
    struct qr_http *http = calloc(1, sizeof *http);
    if (!http) return NULL;
    http->loop = loop;
    http->address = *address;
    if (api_key && !(http->api_key = strdup(api_key))) {
        free(http);
        return NULL;
    }
    uv_idle_init(loop, &http->idle);
    http->idle.data = http;
    http->handles_n = 1;
    return http;
}

static void idle_closed(uv_handle_t *handle)
{
    release(handle->data);
}

void qr_http_destroy(struct qr_http *http)
{
    while (http->orphans)
        qr_http_cancel(http->orphans);
    for (struct connection *c = http->connections; c; c = c->next) {
        if (c->call) free_call(c->call);
        close_connection(c);
    }
    http->destroyed = true;
    uv_close((uv_handle_t *)&http->idle, idle_closed);
}
