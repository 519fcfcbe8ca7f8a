/* SPDX-License-Identifier: MIT */
/* daemon -- starts the quired that was built, in a folder of its own, and talks HTTP to it.
 *
 *   daemon_start -> ask, read_answer, ... -> daemon_stop
 *
 * The server is killed when the test dies.  Every wait has a limit, so a test that hangs fails.
 * A function that cannot do its work fails the test.
 *
 * Thread: the test's.   Memory: answer_free frees an answer, json_decref what ask_json returns. */
#ifndef QR_TESTS_SUPPORT_DAEMON_H
#define QR_TESTS_SUPPORT_DAEMON_H

/* A test of the server needs these too. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "support/smollm2.h"

#define TINY     QUIRE_TEST_DATA "/llama-tiny.q8_0.gguf"
#define WAIT_MS  120000 /* the longest wait */
#define ARGS_MAX 24

/* ---- the server ---------------------------------------------------------------------------- */

struct daemon {
    pid_t pid;
    char folder[64];
    char socket[96];
    char log[96];
    char ready[160];      /* its line on standard output */
    int handed;           /* a listening socket passed to it as systemd does; 0: none */
    const char *notified; /* the path of the socket that it reports its state to; NULL: none */
};

/* Clears d and creates its folder. */
void daemon_folder(struct daemon *d);
/* Runs quired with these arguments (NULL at the end); *out reads its standard output. */
void daemon_spawn(struct daemon *d, const char *const *args, int *out);
/* Waits for the ready line on `out` and closes it. */
void daemon_await_ready(struct daemon *d, int out);
/* Starts a server on the folder's socket, with more arguments (may be NULL), and waits for it. */
void daemon_start_in(struct daemon *d, const char *model, const char *const *more);
/* The same in a new folder. */
void daemon_start(struct daemon *d, const char *model, const char *const *more);
/* Waits for the end of the server and returns its exit status. */
int daemon_wait(struct daemon *d);
/* Kills the server if it runs, and removes its files. */
void daemon_clean(struct daemon *d);
/* Ends the server with SIGTERM.  It must exit with 0 and remove its socket. */
void daemon_stop(struct daemon *d);
bool daemon_log_has(const struct daemon *d, const char *words);

/* ---- connections --------------------------------------------------------------------------- */

/* A descriptor, or -1 if the server refuses. */
int connect_to(const char *path);
void send_bytes(int fd, const char *data, size_t n);
void send_text(int fd, const char *text);
/* Reads some bytes; 0 at the end of the connection, also after a reset. */
size_t receive(int fd, char *data, size_t n);
void send_post(int fd, const char *path, const char *body);

/* A connection and the bytes that were read ahead of its next answer. */
struct stream {
    int fd;
    char *data;
    size_t n, capacity;
};

/* Reads more bytes.  False: the connection has ended. */
bool stream_more(struct stream *s);
/* The position after `mark`, for which it reads as much as needed; 0: not found before the end. */
size_t stream_find(struct stream *s, size_t from, const char *mark);
/* Closes the connection and frees the bytes. */
void stream_end(struct stream *s);

/* ---- answers ------------------------------------------------------------------------------- */

struct answer {
    int status;
    char head[2048];
    char *body; /* [body_n], then a NUL */
    size_t body_n;
    bool closed; /* the end of the connection ended the body */
};

/* Reads one answer.  False: the connection ended before it. */
bool read_answer(struct stream *s, struct answer *a);
/* A header's value, valid until the next call; NULL: no such header. */
const char *header(const struct answer *a, const char *name);
void answer_free(struct answer *a);

/* Sends one request on a connection of its own and reads the answer. */
void ask(const struct daemon *d, const char *method, const char *path, const char *body,
         struct answer *a);
/* The same, GET if body is NULL.  The answer must have this status and be JSON. */
json_t *ask_json(const struct daemon *d, const char *path, const char *body, int status);
/* The same with a body as JSON, which the caller keeps. */
json_t *ask_with(const struct daemon *d, const char *path, const json_t *body, int status);

/* A value by its path, such as "choices.0.text"; NULL: no such value. */
const json_t *at(const json_t *json, const char *path);
const char *text_at(const json_t *json, const char *path);
/* -1: not an integer. */
long long int_at(const json_t *json, const char *path);
/* A copy of choice i without its index, to compare it with the only choice of another request. */
json_t *choice_of(const json_t *answer, unsigned i);
/* A list of a stream's events.  The stream must end in [DONE], unless its events have names, which
 * must be their types. */
json_t *events_of(const struct answer *a);

/* ---- metrics ------------------------------------------------------------------------------- */

/* A value of /metrics by its name with labels; -1: not there. */
double metric(const struct daemon *d, const char *name);
/* Waits until a metric has this value. */
void await_metric(const struct daemon *d, const char *name, double wanted);

#endif
