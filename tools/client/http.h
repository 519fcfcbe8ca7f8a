/* SPDX-License-Identifier: MIT */
/* http -- an HTTP/1.1 client on a uv loop, over a Unix socket or TCP.
 *
 * A call is one request and its answer.  Connections are kept alive and used again.  If the server
 * had already closed such a connection, the call is sent once more on a new one.  Answers are
 * streamed: body() gets bytes as they arrive, without HTTP's chunk headers.
 *
 *     start -> body* -> done            start -> cancel (done is not called)
 *
 * Thread: the loop's.   Memory: malloc.
 * Invariant: a call has one connection until done or cancel; a connection has at most one call. */
#ifndef QR_CLIENT_HTTP_H
#define QR_CLIENT_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <uv.h>

#include "tools/client/failure.h"

struct qr_address {
    bool is_unix;
    char socket[108]; /* of a Unix socket */
    struct sockaddr_storage tcp;
    char host[128]; /* the Host header */
    char base[128]; /* prefix of every path: "" or "/prefix" */
    char name[288]; /* for messages */
};

/* socket is a path, url is http://HOST[:PORT][/PREFIX]; exactly one is not NULL.  A final /v1 of
 * the prefix is dropped, because all paths here begin with it.  May wait to resolve a host name. */
bool qr_address_read(struct qr_address *address, const char *socket, const char *url,
                     struct qr_failure *why);
/* quired's default socket: $XDG_RUNTIME_DIR/quire.sock, or /tmp/quire-UID.sock. */
void qr_address_default_socket(char *path, size_t path_n);

struct qr_http_handler {
    /* Called with bytes of the answer.  May cancel its call. */
    void (*body)(void *user, int status, const char *bytes, size_t bytes_n);
    /* Called at the end.  failure NULL: the whole answer was read.  May start calls. */
    void (*done)(void *user, int status, const struct qr_failure *failure);
};

struct qr_http_request {
    const char *method, *path;
    const char *body; /* JSON; NULL: none */
    size_t body_n;
};

struct qr_http;
struct qr_http_call;

/* NULL: no memory.  api_key (may be NULL): sent as `Authorization: Bearer`. */
struct qr_http *qr_http_create(uv_loop_t *loop, const struct qr_address *address,
                               const char *api_key);
/* Closes every connection.  Calls in progress end without done.  The loop must run once more, to
 * free the memory. */
void qr_http_destroy(struct qr_http *http);

/* Starts a call and copies the request.  NULL: no memory.  done is called after this returns. */
struct qr_http_call *qr_http_start(struct qr_http *http, const struct qr_http_request *request,
                                   const struct qr_http_handler *handler, void *user);
void qr_http_cancel(struct qr_http_call *call);

struct qr_reply {
    int status;
    char *body; /* a NUL follows it; the caller frees it */
    size_t body_n;
};
/* Waits for the whole answer, on a loop of its own. */
bool qr_http_ask(const struct qr_address *address, const char *api_key,
                 const struct qr_http_request *request, struct qr_reply *reply,
                 struct qr_failure *why);

/* Writes the message of an error in OpenAI's shape; without one, the beginning of the body. */
void qr_http_error_text(int status, const char *body, size_t body_n, struct qr_failure *why);

#endif
