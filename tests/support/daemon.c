/* SPDX-License-Identifier: MIT */
#include "support/daemon.h"

#include <sys/prctl.h>

/* ---- the server ---------------------------------------------------------------------------- */

void daemon_folder(struct daemon *d)
{
    memset(d, 0, sizeof *d);
    (void)snprintf(d->folder, sizeof d->folder, "/tmp/quire-test-XXXXXX");
    assert_non_null(mkdtemp(d->folder));
    (void)snprintf(d->socket, sizeof d->socket, "%s/s", d->folder);
    (void)snprintf(d->log, sizeof d->log, "%s/log", d->folder);
}

/* In the child: passes the socket as descriptor 3, as systemd does. */
static void daemon_hand_over(const struct daemon *d)
{
    char pid[32];
    (void)snprintf(pid, sizeof pid, "%d", (int)getpid());
    (void)setenv("LISTEN_PID", pid, 1);
    (void)setenv("LISTEN_FDS", "1", 1);
    if (d->notified) (void)setenv("NOTIFY_SOCKET", d->notified, 1);
    if (d->handed != 3) (void)dup2(d->handed, 3);
}

void daemon_spawn(struct daemon *d, const char *const *args, int *out)
{
    const char *argv[ARGS_MAX] = {QUIRE_BUILD_DIR "/quired"};
    int n = 1, ends[2];
    for (; *args; args++) {
        assert_true(n < ARGS_MAX - 1);
        argv[n++] = *args;
    }
    assert_int_equal(pipe(ends), 0);
    pid_t parent = getpid();
    d->pid = fork();
    assert_true(d->pid >= 0);
    if (d->pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(127);
        int log = open(d->log, O_CREAT | O_WRONLY | O_APPEND, 0600);
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)dup2(log, STDERR_FILENO);
        (void)close(ends[0]);
        if (d->handed) daemon_hand_over(d);
        (void)execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    (void)close(ends[1]);
    *out = ends[0];
}

void daemon_await_ready(struct daemon *d, int out)
{
    size_t got = 0;
    while (got < sizeof d->ready - 1 && !memchr(d->ready, '\n', got)) {
        struct pollfd wait = {.fd = out, .events = POLLIN};
        assert_int_equal(poll(&wait, 1, WAIT_MS), 1);
        ssize_t n_read = read(out, d->ready + got, sizeof d->ready - 1 - got);
        if (n_read <= 0) fail_msg("quired has ended; see %s", d->log);
        got += (size_t)n_read;
    }
    (void)close(out);
}

void daemon_start_in(struct daemon *d, const char *model, const char *const *more)
{
    const char *args[ARGS_MAX] = {"--model", model, "--socket", d->socket, "--kv-memory", "64M"};
    int n = 6, out;
    for (; more && *more; more++)
        args[n++] = *more;
    daemon_spawn(d, args, &out);
    daemon_await_ready(d, out);
}

void daemon_start(struct daemon *d, const char *model, const char *const *more)
{
    daemon_folder(d);
    daemon_start_in(d, model, more);
}

int daemon_wait(struct daemon *d)
{
    int status = 0;
    for (int ms = 0; ms < WAIT_MS; ms += 5) {
        pid_t pid = waitpid(d->pid, &status, WNOHANG);
        if (pid == d->pid) {
            d->pid = 0;
            if (!WIFEXITED(status)) fail_msg("quired died of signal %d", WTERMSIG(status));
            return WEXITSTATUS(status);
        }
        (void)usleep(5000);
    }
    fail_msg("quired does not end");
    return -1;
}

void daemon_clean(struct daemon *d)
{
    char lock[128];
    if (d->pid > 0) {
        (void)kill(d->pid, SIGKILL);
        (void)waitpid(d->pid, NULL, 0);
    }
    (void)snprintf(lock, sizeof lock, "%s.lock", d->socket);
    (void)unlink(d->socket);
    (void)unlink(lock);
    (void)unlink(d->log);
    (void)rmdir(d->folder);
}

void daemon_stop(struct daemon *d)
{
    assert_int_equal(kill(d->pid, SIGTERM), 0);
    assert_int_equal(daemon_wait(d), 0);
    assert_int_equal(access(d->socket, F_OK), -1);
    daemon_clean(d);
}

bool daemon_log_has(const struct daemon *d, const char *words)
{
    static char text[1 << 20];
    FILE *file = fopen(d->log, "r");
    if (!file) return false;
    size_t n = fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    text[n] = '\0';
    return strstr(text, words) != NULL;
}

/* ---- connections --------------------------------------------------------------------------- */

int connect_to(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    (void)snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&at, sizeof at) != 0) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

void send_bytes(int fd, const char *data, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, data, n, MSG_NOSIGNAL);
        assert_true(sent > 0);
        data += sent;
        n -= (size_t)sent;
    }
}

void send_text(int fd, const char *text)
{
    send_bytes(fd, text, strlen(text));
}

size_t receive(int fd, char *data, size_t n)
{
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&wait, 1, WAIT_MS), 1);
    ssize_t got = recv(fd, data, n, 0);
    return got > 0 ? (size_t)got : 0;
}

void send_post(int fd, const char *path, const char *body)
{
    char head[256];
    (void)snprintf(head, sizeof head,
                   "POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                   "Content-Length: %zu\r\n\r\n",
                   path, strlen(body));
    send_text(fd, head);
    send_text(fd, body);
}

/* ---- answers ------------------------------------------------------------------------------- */

bool stream_more(struct stream *s)
{
    if (s->capacity - s->n < 65536) {
        s->capacity = s->capacity * 2 + 131072;
        s->data = realloc(s->data, s->capacity);
        assert_non_null(s->data);
    }
    size_t got = receive(s->fd, s->data + s->n, s->capacity - s->n);
    s->n += got;
    return got > 0;
}

static void stream_drop(struct stream *s, size_t n)
{
    memmove(s->data, s->data + n, s->n - n);
    s->n -= n;
}

void stream_end(struct stream *s)
{
    free(s->data);
    (void)close(s->fd);
    memset(s, 0, sizeof *s);
}

size_t stream_find(struct stream *s, size_t from, const char *mark)
{
    for (;;) {
        char *at = s->n > from ? memmem(s->data + from, s->n - from, mark, strlen(mark)) : NULL;
        if (at) return (size_t)(at - s->data) + strlen(mark);
        if (!stream_more(s)) return 0;
    }
}

static void stream_need(struct stream *s, size_t n)
{
    while (s->n < n)
        assert_true(stream_more(s));
}

const char *header(const struct answer *a, const char *name)
{
    static char value[256];
    size_t n = strlen(name);
    for (const char *line = strstr(a->head, "\r\n"); line; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, n) == 0 && line[2 + n] == ':') {
            (void)sscanf(line + 3 + n, " %255[^\r]", value);
            return value;
        }
    }
    return NULL;
}

bool read_answer(struct stream *s, struct answer *a)
{
    memset(a, 0, sizeof *a);
    size_t body = stream_find(s, 0, "\r\n\r\n");
    if (body == 0) return false;
    assert_true(body < sizeof a->head);
    memcpy(a->head, s->data, body);
    assert_int_equal(sscanf(a->head, "HTTP/1.1 %d ", &a->status), 1);
    stream_drop(s, body);
    a->body = malloc(1);
    const char *length = header(a, "Content-Length");
    if (length) {
        a->body_n = strtoul(length, NULL, 10);
        stream_need(s, a->body_n);
        a->body = realloc(a->body, a->body_n + 1);
        memcpy(a->body, s->data, a->body_n);
        stream_drop(s, a->body_n);
    } else if (header(a, "Transfer-Encoding")) {
        for (size_t n = 1; n > 0;) {
            size_t at = stream_find(s, 0, "\r\n");
            assert_true(at > 0);
            n = strtoul(s->data, NULL, 16);
            stream_need(s, at + n + 2);
            a->body = realloc(a->body, a->body_n + n + 1);
            memcpy(a->body + a->body_n, s->data + at, n);
            a->body_n += n;
            assert_memory_equal(s->data + at + n, "\r\n", 2);
            stream_drop(s, at + n + 2);
        }
    } else if (a->status >= 200 && a->status != 204) {
        while (stream_more(s)) {
        }
        a->body_n = s->n;
        a->body = realloc(a->body, a->body_n + 1);
        memcpy(a->body, s->data, s->n);
        s->n = 0;
        a->closed = true;
    }
    a->body[a->body_n] = '\0';
    return true;
}

void answer_free(struct answer *a)
{
    free(a->body);
    memset(a, 0, sizeof *a);
}

void ask(const struct daemon *d, const char *method, const char *path, const char *body,
         struct answer *a)
{
    struct stream s = {.fd = connect_to(d->socket)};
    char head[256];
    assert_true(s.fd >= 0);
    if (strcmp(method, "POST") == 0) {
        send_post(s.fd, path, body);
    } else {
        (void)snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: a\r\n\r\n", method, path);
        send_text(s.fd, head);
    }
    assert_true(read_answer(&s, a));
    stream_end(&s);
}

json_t *ask_json(const struct daemon *d, const char *path, const char *body, int status)
{
    struct answer a;
    ask(d, body ? "POST" : "GET", path, body ? body : "", &a);
    if (a.status != status) fail_msg("%s %s: %d %s", path, body ? body : "", a.status, a.body);
    json_t *json = json_loads(a.body, JSON_ALLOW_NUL, NULL);
    if (!json) fail_msg("no JSON: %s", a.body);
    answer_free(&a);
    return json;
}

const json_t *at(const json_t *json, const char *path)
{
    char part[64];
    while (json && *path) {
        size_t n = strcspn(path, ".");
        assert_true(n < sizeof part);
        memcpy(part, path, n);
        part[n] = '\0';
        json = json_is_array(json) ? json_array_get(json, strtoul(part, NULL, 10))
                                   : json_object_get(json, part);
        path += n + (path[n] == '.');
    }
    return json;
}

const char *text_at(const json_t *json, const char *path)
{
    return json_string_value(at(json, path));
}

long long int_at(const json_t *json, const char *path)
{
    const json_t *value = at(json, path);
    return json_is_integer(value) ? json_integer_value(value) : -1;
}

json_t *ask_with(const struct daemon *d, const char *path, const json_t *body, int status)
{
    char *text = json_dumps(body, JSON_COMPACT);
    json_t *answer = ask_json(d, path, text, status);
    free(text);
    return answer;
}

json_t *choice_of(const json_t *answer, unsigned i)
{
    json_t *choice = json_deep_copy(json_array_get(at(answer, "choices"), i));
    assert_int_equal(json_integer_value(json_object_get(choice, "index")), i);
    json_object_del(choice, "index");
    return choice;
}

json_t *events_of(const struct answer *a)
{
    json_t *list = json_array();
    const char *line = a->body;
    bool done = false, named = false;
    while (line < a->body + a->body_n) {
        const char *end = strstr(line, "\n\n");
        const char *name = line;
        assert_non_null(end);
        named = strncmp(line, "event: ", 7) == 0;
        if (named) line = strchr(line, '\n') + 1;
        assert_memory_equal(line, "data: ", 6);
        assert_false(done);
        if (strncmp(line + 6, "[DONE]", 6) == 0) {
            done = true;
        } else {
            json_t *event = json_loadb(line + 6, (size_t)(end - line) - 6, JSON_ALLOW_NUL, NULL);
            assert_non_null(event);
            if (named) {
                const char *type = text_at(event, "type");
                assert_int_equal((size_t)(line - name) - 8, strlen(type));
                assert_memory_equal(name + 7, type, strlen(type));
            }
            (void)json_array_append_new(list, event);
        }
        line = end + 2;
    }
    assert_int_equal(done, !named); /* typed events end without [DONE] */
    return list;
}

double metric(const struct daemon *d, const char *name)
{
    struct answer a;
    ask(d, "GET", "/metrics", "", &a);
    assert_int_equal(a.status, 200);
    size_t n = strlen(name);
    double value = -1;
    for (const char *line = a.body; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, n) == 0 && line[n] == ' ') value = strtod(line + n, NULL);
    }
    answer_free(&a);
    return value;
}

void await_metric(const struct daemon *d, const char *name, double wanted)
{
    double value = -1;
    for (int ms = 0; ms < WAIT_MS; ms += 5) {
        value = metric(d, name);
        if (value == wanted) return;
        (void)usleep(5000);
    }
    fail_msg("%s is %g, not %g", name, value, wanted);
}
