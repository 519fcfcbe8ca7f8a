/* SPDX-License-Identifier: MIT */
#include "support/fake_server.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FAKE_REQUEST_MAX (1u << 20)

struct fake_thread {
    struct fake_server *server;
    int fd;
};

bool fake_send(int fd, const char *bytes, size_t n)
{
    while (n) {
        ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);
        if (sent <= 0) return false;
        bytes += sent;
        n -= (size_t)sent;
    }
    return true;
}

bool fake_send_split(int fd, const char *bytes, size_t n, size_t piece)
{
    for (size_t at = 0; at < n;) {
        size_t k = piece && piece < n - at ? piece : n - at;
        if (!fake_send(fd, bytes + at, k)) return false;
        at += k;
    }
    return true;
}

bool fake_answer(const struct fake_exchange *x, int status, const char *body)
{
    char head[256];
    int n = snprintf(head, sizeof head,
                     "HTTP/1.1 %d Whatever\r\nContent-Type: application/json\r\n"
                     "Content-Length: %zu\r\n\r\n",
                     status, strlen(body));
    return fake_send(x->fd, head, (size_t)n) && fake_send(x->fd, body, strlen(body));
}

void fake_put(struct fake_text *t, const char *format, ...)
{
    va_list a, b;
    va_start(a, format);
    va_copy(b, a);
    size_t n = (size_t)vsnprintf(NULL, 0, format, a);
    va_end(a);
    if (t->n + n + 1 > t->room) {
        t->room = (t->n + n + 1) * 2;
        t->bytes = realloc(t->bytes, t->room);
        assert(t->bytes);
    }
    vsnprintf(t->bytes + t->n, n + 1, format, b);
    va_end(b);
    t->n += n;
}

void fake_put_chunk(struct fake_text *t, const char *data)
{
    fake_put(t, "%zx\r\n%s\r\n", strlen(data), data);
}

bool fake_stream(const struct fake_exchange *x, unsigned tokens_n, unsigned prompt_n, bool chat,
                 size_t piece)
{
    struct fake_text t = {0};
    char event[512];
    fake_put(&t, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                 "Transfer-Encoding: chunked\r\n\r\n");
    if (chat)
        fake_put_chunk(&t, "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\","
                           "\"content\":\"\"},\"finish_reason\":null}]}\n\n");
    for (unsigned i = 0; i < tokens_n; i++) {
        const char *finish = i + 1 == tokens_n ? "\"length\"" : "null";
        if (chat)
            snprintf(event, sizeof event,
                     "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"w%u \"},"
                     "\"finish_reason\":%s}]}\n\n",
                     i, finish);
        else
            snprintf(event, sizeof event,
                     "data: {\"choices\":[{\"index\":0,\"text\":\"w%u \",\"token_ids\":[%u],"
                     "\"finish_reason\":%s}]}\n\n",
                     i, 1000 + i, finish);
        fake_put_chunk(&t, event);
    }
    snprintf(event, sizeof event,
             "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":%u,\"completion_tokens\":%u,"
             "\"total_tokens\":%u,\"prompt_tokens_details\":{\"cached_tokens\":7}}}\n\n",
             prompt_n, tokens_n, prompt_n + tokens_n);
    fake_put_chunk(&t, event);
    fake_put_chunk(&t, "data: [DONE]\n\n");
    fake_put(&t, "0\r\n\r\n");
    bool ok = fake_send_split(x->fd, t.bytes, t.n, piece);
    free(t.bytes);
    return ok;
}

/* Reads one request.  False: the client has disconnected. */
static bool read_request(int fd, char *buffer, struct fake_exchange *x)
{
    size_t n = 0, body_n = 0;
    char *end = NULL;
    while (!end) {
        ssize_t got = recv(fd, buffer + n, FAKE_REQUEST_MAX - n - 1, 0);
        if (got <= 0) return false;
        n += (size_t)got;
        buffer[n] = 0;
        end = strstr(buffer, "\r\n\r\n");
    }
    char *length = strcasestr(buffer, "\r\nContent-Length:");
    if (length && length < end) body_n = strtoul(length + 17, NULL, 10);
    while ((size_t)(buffer + n - (end + 4)) < body_n) {
        ssize_t got = recv(fd, buffer + n, FAKE_REQUEST_MAX - n - 1, 0);
        if (got <= 0) return false;
        n += (size_t)got;
        buffer[n] = 0;
    }
    *end = 0;
    x->body = end + 4;
    x->method = strtok(buffer, " ");
    x->path = strtok(NULL, " ");
    return true;
}

static void *serve_connection(void *argument)
{
    struct fake_thread *thread = argument;
    struct fake_server *s = thread->server;
    int fd = thread->fd;
    free(thread);
    char *buffer = malloc(FAKE_REQUEST_MAX);
    assert(buffer);
    for (unsigned k = 0;; k++) {
        struct fake_exchange x = {.server = s, .fd = fd, .on_connection = k};
        if (!read_request(fd, buffer, &x)) break;
        x.number = atomic_fetch_add(&s->requests_n, 1);
        unsigned running = atomic_fetch_add(&s->running_n, 1) + 1;
        unsigned max = atomic_load(&s->running_max);
        while (running > max && !atomic_compare_exchange_weak(&s->running_max, &max, running)) {
        }
        bool keep = s->script(&x);
        atomic_fetch_sub(&s->running_n, 1);
        if (!keep) break;
    }
    shutdown(fd, SHUT_RDWR);
    free(buffer);
    return NULL;
}

static void *accept_connections(void *argument)
{
    struct fake_server *s = argument;
    for (;;) {
        int fd = accept(s->listener, NULL, NULL);
        if (fd < 0 || atomic_load(&s->stopping)) {
            if (fd >= 0) close(fd);
            return NULL;
        }
        unsigned i = atomic_load(&s->connections_n);
        assert(i < FAKE_CONNECTIONS_MAX);
        struct fake_thread *thread = malloc(sizeof *thread);
        assert(thread);
        *thread = (struct fake_thread){s, fd};
        s->fds[i] = fd;
        /* Counted before the answer, so that a client with an answer sees its connection counted.
         */
        atomic_store(&s->connections_n, i + 1);
        int status = pthread_create(&s->threads[i], NULL, serve_connection, thread);
        assert(status == 0);
    }
}

void fake_start(struct fake_server *s, fake_script *script, void *user)
{
    static atomic_uint number;
    memset(s, 0, sizeof *s);
    s->script = script;
    s->user = user;
    snprintf(s->path, sizeof s->path, "/tmp/quire-fake-%d-%u.sock", (int)getpid(),
             atomic_fetch_add(&number, 1));
    unlink(s->path);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", s->path);
    s->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    int status = bind(s->listener, (struct sockaddr *)&address, sizeof address);
    assert(status == 0);
    status = listen(s->listener, 256);
    assert(status == 0);
    status = pthread_create(&s->acceptor, NULL, accept_connections, s);
    assert(status == 0);
}

void fake_stop(struct fake_server *s)
{
    atomic_store(&s->stopping, true);
    shutdown(s->listener, SHUT_RDWR);
    pthread_join(s->acceptor, NULL);
    unsigned n = atomic_load(&s->connections_n);
    for (unsigned i = 0; i < n; i++)
        shutdown(s->fds[i], SHUT_RDWR);
    for (unsigned i = 0; i < n; i++) {
        pthread_join(s->threads[i], NULL);
        close(s->fds[i]);
    }
    close(s->listener);
    unlink(s->path);
}
