/* SPDX-License-Identifier: MIT */
/* http -- an HTTP/1.1 client on a uv loop, over a Unix socket or TCP.
 *
 * A call is one request and its answer.  Connections are kept alive and used again; a call that
 * meets a connection which the server had just closed is sent once more on a new one.  Answers are
 * streamed: body() gets bytes as they arrive, with the chunking taken off.
 *
 *     start -> body* -> done            start -> cancel (done is not called)
 *
 * Thread: the loop's.   Memory: malloc.
 * Invariant: a call has a connection until its done or cancel; a connection has one call at most.
 */
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
    char base[128]; /* what stands in front of every path: "" or "/prefix" */
    char name[288]; /* for messages */
};

/* One of socket (a path) and url (http://HOST[:PORT][/PREFIX]; a final /v1 is left off, since all
 * paths here begin with it) is not NULL.  Looks a host name up, so it may wait. */
bool qr_address_read(struct qr_address *address, const char *socket, const char *url,
                     struct qr_failure *why);
/* Where quired listens if nothing is said: $XDG_RUNTIME_DIR/quire.sock or /tmp/quire-UID.sock. */
void qr_address_default_socket(char *path, size_t path_n);

struct qr_http_handler {
    /* Bytes of the answer.  May cancel its call. */
    void (*body)(void *user, int status, const char *bytes, size_t bytes_n);
    /* The end.  failure NULL: the whole answer was read.  May start calls. */
    void (*done)(void *user, int status, const struct qr_failure *failure);
};

struct qr_http;
struct qr_http_call;

/* NULL: no memory.  api_key (may be NULL): sent as `Authorization: Bearer`. */
struct qr_http *qr_http_create(uv_loop_t *loop, const struct qr_address *address,
                               const char *api_key);
/* Closes every connection; calls still under way end without done.  Memory is freed when the loop
 * has run the closings: run it once more. */
void qr_http_destroy(struct qr_http *http);

/* Starts a call; body NULL: none.  NULL: no memory.  done is never called from inside here. */
struct qr_http_call *qr_http_start(struct qr_http *http, const char *method, const char *path,
                                   const char *body, size_t body_n,
                                   const struct qr_http_handler *handler, void *user);
void qr_http_cancel(struct qr_http_call *call);

/* A whole answer at once, on a loop of its own. */
struct qr_reply {
    int status;
    char *body; /* ends in a NUL not counted; free() */
    size_t body_n;
};
bool qr_http_ask(const struct qr_address *address, const char *api_key, const char *method,
                 const char *path, const char *body, struct qr_reply *reply,
                 struct qr_failure *why);

/* The sentence of an error's body in OpenAI's shape, else the body's beginning. */
void qr_http_error_text(int status, const char *body, size_t body_n, struct qr_failure *why);

#endif
