/* SPDX-License-Identifier: MIT */
/* fake_server -- an HTTP server in the test's process; a function of the test writes the answers.
 *
 *     fake_start -> script for each request -> fake_stop
 *
 * Thread: each connection has one, so a script may sleep or hang without blocking others.
 * Memory: the test's; it frees the bytes of a fake_text. */
#ifndef QR_TESTS_SUPPORT_FAKE_SERVER_H
#define QR_TESTS_SUPPORT_FAKE_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#define FAKE_CONNECTIONS_MAX 256

struct fake_server;

struct fake_exchange {
    struct fake_server *server;
    int fd;
    unsigned number;        /* of the request, from 0, over all connections */
    unsigned on_connection; /* of the request on its connection, from 0 */
    const char *method, *path, *body;
};

/* Writes the answer.  False: close the connection afterwards. */
typedef bool fake_script(const struct fake_exchange *x);

struct fake_server {
    char path[64];
    int listener;
    fake_script *script;
    void *user;
    pthread_t acceptor, threads[FAKE_CONNECTIONS_MAX];
    int fds[FAKE_CONNECTIONS_MAX];
    atomic_uint connections_n, requests_n, running_n, running_max;
    atomic_bool stopping;
};

/* Listens on a socket in /tmp, whose path is s->path.  user is for the script. */
void fake_start(struct fake_server *s, fake_script *script, void *user);
/* Closes all connections, waits for their threads, and removes the socket. */
void fake_stop(struct fake_server *s);

/* ---- for scripts --------------------------------------------------------------------------- */

/* These return false if the client has disconnected. */
bool fake_send(int fd, const char *bytes, size_t n);
/* Sends bytes in writes of `piece` bytes each; 0: in one write. */
bool fake_send_split(int fd, const char *bytes, size_t n, size_t piece);
/* Sends a whole answer with a JSON body. */
bool fake_answer(const struct fake_exchange *x, int status, const char *body);
/* Sends a streamed completion: tokens_n events, usage, [DONE]; in writes of `piece` bytes. */
bool fake_stream(const struct fake_exchange *x, unsigned tokens_n, unsigned prompt_n, bool chat,
                 size_t piece);

/* A growing text. */
struct fake_text {
    char *bytes;
    size_t n, room;
};
__attribute__((format(printf, 2, 3))) void fake_put(struct fake_text *t, const char *format, ...);
/* Appends one chunk of HTTP's chunked coding. */
void fake_put_chunk(struct fake_text *t, const char *data);

#endif
