/* SPDX-License-Identifier: MIT */
/* quired -- serves a model over HTTP.  Flags: options.h.  Rules: README.md.
 *
 * Exit status: 0 after SIGTERM, 1 failure while running, 2 usage, 3 the model cannot be loaded.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "runtime/base/limits.h"
#include "runtime/base/memory.h"
#include "runtime/parse/families.h"
#include "runtime/server/arenas_main.h"
#include "runtime/server/json.h"
#include "runtime/server/notify.h"
#include "runtime/server/options.h"
#include "runtime/server/server.h"
#include "runtime/server/socket.h"

enum { EXIT_RUN = 1, EXIT_USAGE = 2, EXIT_MODEL = 3 };

#define KEY_FILE_MAX (64 * 1024)

struct program {
    struct qr_options options;
    struct qr_log log;
    struct quire_allocator io;
    char default_socket[QR_SOCKET_PATH_MAX];
    char keys[KEY_FILE_MAX];
    size_t keys_n;
    char *chat_template;             /* NULL: the model's own */
    struct qr_json *template_kwargs; /* NULL: none */
    char model_id[256];              /* the file's stem */
    struct qr_socket_path path;
    struct qr_socket sockets[QR_LISTENERS_MAX];
    size_t sockets_n;
    char name[QR_SOCKET_PATH_MAX]; /* for the ready line */
    quire_model *model;
    quire_engine *engine;
    struct qr_server server;
};

static int fail(const struct program *p, int exit_status, const char *message)
{
    qr_log(&p->log, QR_LOG_ERROR, "%s", message);
    return exit_status;
}

/* ---- before the model ---------------------------------------------------------------------- */

static int read_keys(struct program *p)
{
    const char *path = p->options.api_key_file;
    char why[512];
    if (!path) return 0;
    FILE *file = fopen(path, "re");
    if (file) {
        p->keys_n = fread(p->keys, 1, sizeof p->keys, file);
        const bool whole = !ferror(file) && p->keys_n < sizeof p->keys;
        (void)fclose(file);
        size_t blank = strspn(p->keys, " \r\n");
        if (whole && blank < p->keys_n) return 0;
        (void)snprintf(why, sizeof why,
                       "--api-key-file %s: expected one key a line and less than 64 KiB", path);
    } else {
        (void)snprintf(why, sizeof why, "--api-key-file %s: %s", path, strerror(errno));
    }
    return fail(p, EXIT_USAGE, why);
}

/* Reads the file of --chat-template as a string. */
static int read_template(struct program *p)
{
    const char *path = p->options.chat_template;
    char why[512];
    size_t n = 0;
    if (!path) return 0;
    FILE *file = fopen(path, "re");
    p->chat_template = file ? malloc(QR_TEMPLATE_BYTES_MAX + 2) : NULL;
    if (p->chat_template) n = fread(p->chat_template, 1, QR_TEMPLATE_BYTES_MAX + 1, file);
    const bool whole = p->chat_template && !ferror(file) && n <= QR_TEMPLATE_BYTES_MAX;
    if (p->chat_template) p->chat_template[n] = '\0';
    if (whole && n && strlen(p->chat_template) == n) {
        (void)fclose(file);
        return 0;
    }
    if (file) {
        (void)snprintf(why, sizeof why,
                       "--chat-template %s: expected a text of 1 to %u bytes without NUL", path,
                       QR_TEMPLATE_BYTES_MAX);
        (void)fclose(file);
    } else {
        (void)snprintf(why, sizeof why, "--chat-template %s: %s", path, strerror(errno));
    }
    return fail(p, EXIT_USAGE, why);
}

/* Takes systemd's sockets instead of --socket and --listen. */
static bool adopt_sockets(struct program *p, int n)
{
    for (int i = 0; i < n && p->sockets_n < QR_LISTENERS_MAX; i++) {
        char name[QR_SOCKET_PATH_MAX];
        if (!qr_socket_adopt(QR_NOTIFY_FIRST_FD + i, &p->sockets[p->sockets_n], name, sizeof name))
            return false;
        if (p->sockets_n == 0) (void)snprintf(p->name, sizeof p->name, "%s", name);
        p->sockets_n++;
    }
    return p->sockets_n > 0;
}

static int open_tcp(struct program *p, const char *host_port)
{
    char why[512], name[128];
    bool loopback = false;
    if (!qr_socket_bind_tcp(host_port, &p->sockets[p->sockets_n], &loopback, name, sizeof name, why,
                            sizeof why))
        return fail(p, EXIT_RUN, why);
    p->sockets_n++;
    if (!loopback && !p->options.api_key_file) {
        (void)snprintf(
            why, sizeof why,
            "--listen %s can be reached from other machines; expected --api-key-file with it",
            host_port);
        return fail(p, EXIT_USAGE, why);
    }
    qr_log(&p->log, QR_LOG_INFO, "listening on %s", name);
    return 0;
}

/* Checks --cors-origin: a browser sends an origin without a path or a slash at its end. */
static int check_origins(const struct program *p)
{
    char why[512];
    for (size_t i = 0; i < p->options.cors_origins.n; i++) {
        const char *origin = p->options.cors_origins.all[i], *host = strstr(origin, "://");
        if (strcmp(origin, "*") == 0 || (host && host[3] && !strchr(host + 3, '/'))) continue;
        (void)snprintf(why, sizeof why,
                       "--cors-origin \"%s\" is not an origin; expected https://HOST[:PORT] or *",
                       origin);
        return fail(p, EXIT_USAGE, why);
    }
    return 0;
}

static int check_parsers(const struct program *p)
{
    const char *family = p->options.tool_parser, *reasoning = p->options.reasoning_parser;
    char why[512];
    if (family && !qr_parse_family_find(family))
        (void)snprintf(why, sizeof why, "--tool-call-parser \"%s\" is not known", family);
    else if (reasoning && !qr_parse_reasoning_find(reasoning))
        (void)snprintf(why, sizeof why, "--reasoning-parser \"%s\" is not known", reasoning);
    else
        return 0;
    size_t n = strlen(why);
    n += (size_t)snprintf(why + n, sizeof why - n, "; expected one of");
    for (size_t i = 0; n < sizeof why; i++) {
        const char *name = family && !qr_parse_family_find(family) ? qr_parse_family_name_at(i)
                                                                   : qr_parse_reasoning_name_at(i);
        if (!name) break;
        n += (size_t)snprintf(why + n, sizeof why - n, "%s %s", i ? "," : "", name);
    }
    return fail(p, EXIT_USAGE, why);
}

/* Parses --chat-template-kwargs. */
static int read_kwargs(struct program *p)
{
    const char *text = p->options.template_kwargs;
    char reason[200], why[512];
    if (!text) return 0;
    p->template_kwargs = qr_json_parse(text, strlen(text), reason, sizeof reason);
    if (qr_json_type(p->template_kwargs) == QR_JSON_OBJECT) return 0;
    (void)snprintf(why, sizeof why, "--chat-template-kwargs: expected a JSON object%s%s",
                   p->template_kwargs ? "" : ": ", p->template_kwargs ? "" : reason);
    return fail(p, EXIT_USAGE, why);
}

/* Checks all that can fail before the model is loaded, because loading may take long. */
static int prepare(struct program *p)
{
    char why[512];
    int result = read_keys(p);
    if (!result) result = read_template(p);
    if (!result) result = read_kwargs(p);
    if (!result) result = check_origins(p);
    if (!result) result = check_parsers(p);
    if (result) return result;

    int given = qr_notify_listen_fds();
    if (given > 0) {
        if (!adopt_sockets(p, given)) {
            return fail(p, EXIT_RUN,
                        "systemd passed a socket that is not a Unix or TCP stream socket");
        }
        for (size_t i = 0; i < p->sockets_n; i++) {
            if (p->options.cache_scope != QR_SCOPE_UID || !p->sockets[i].tcp) continue;
            return fail(
                p, EXIT_USAGE,
                "--cache-scope uid: systemd passed a TCP socket, whose clients have no uid; "
                "expected Unix sockets only");
        }
        return 0;
    }
    const char *path = p->options.socket;
    if (!path) {
        if (!qr_socket_default_path(p->default_socket, sizeof p->default_socket)) {
            return fail(p, EXIT_USAGE,
                        "XDG_RUNTIME_DIR is too long for a socket's path; expected --socket");
        }
        path = p->default_socket;
    }
    if (!qr_socket_lock(&p->path, path, why, sizeof why)) return fail(p, EXIT_RUN, why);
    (void)snprintf(p->name, sizeof p->name, "%s", path);
    for (size_t i = 0; i < p->options.listen.n && !result; i++)
        result = open_tcp(p, p->options.listen.all[i]);
    return result;
}

/* ---- model and engine ---------------------------------------------------------------------- */

static int open_model(struct program *p)
{
    struct quire_model_settings settings;
    struct quire_error error;
    quire_model_settings_defaults(&settings);
    settings.path = p->options.model;
    settings.allocator = qr_arena_allocator(QR_ARENA_MODEL);
    settings.threads = p->options.threads;
    settings.cpu_level = p->options.cpu_level;
    settings.sliding_window = p->options.sliding_window;
    settings.chat_template = p->chat_template;
    int status = quire_model_open(&settings, &p->model, &error);
    if (status == QUIRE_OK) return 0;
    const bool flag =
        strcmp(error.field, "cpu_level") == 0 || strcmp(error.field, "chat_template") == 0;
    return fail(p, flag ? EXIT_USAGE : EXIT_MODEL, error.text);
}

static int start_engine(struct program *p)
{
    const struct qr_options *o = &p->options;
    struct quire_engine_settings settings;
    struct quire_error error;
    quire_engine_settings_defaults(&settings);
    settings.allocator = qr_arena_allocator(QR_ARENA_ENGINE);
    settings.kv_memory_bytes = o->kv_memory_bytes;
    settings.page_tokens = o->page_tokens;
    settings.kv_type = o->kv_type;
    settings.threads = o->threads;
    settings.context_max = o->context_max;
    if (o->running_max) settings.running_max = o->running_max;
    if (o->waiting_max) settings.waiting_max = o->waiting_max;
    settings.step_tokens = o->step_tokens;
    settings.target_itl_ms = o->target_itl_ms;
    settings.prefill_chunk = o->prefill_chunk;
    settings.no_prefix_cache = o->no_prefix_cache;
    int status = quire_engine_start(&settings, p->model, &p->engine, &error);
    if (status == QUIRE_OK) return 0;
    const bool usage =
        status == QUIRE_INVALID || status == QUIRE_UNSUPPORTED || status == QUIRE_TOO_LONG;
    return fail(p, usage ? EXIT_USAGE : EXIT_RUN, error.text);
}

/* The model's id: its file's name without ".gguf" and without "-00001-of-00003". */
static const char *stem(struct program *p)
{
    static const char ending[] = ".gguf", part[] = "-00001-of-00001";
    const char *slash = strrchr(p->options.model, '/');
    const char *name = slash ? slash + 1 : p->options.model;
    size_t n = strlen(name);
    if (n > sizeof ending - 1 && strcmp(name + n - (sizeof ending - 1), ending) == 0)
        n -= sizeof ending - 1;
    const size_t part_n = sizeof part - 1;
    if (n > part_n && name[n - part_n] == '-' && memcmp(name + n - 9, "-of-", 4) == 0 &&
        strspn(name + n - part_n + 1, "0123456789") == 5)
        n -= part_n;
    (void)snprintf(p->model_id, sizeof p->model_id, "%.*s", (int)n, name);
    return p->model_id;
}

static const char *describe(struct program *p)
{
    struct quire_model_info info = {.size = sizeof info};
    struct quire_stats stats = {.size = sizeof stats};
    quire_model_info(p->model, &info);
    quire_stats(p->engine, &stats);
    qr_log(&p->log, QR_LOG_INFO,
           "model %s: %s, %.1f million weights, %u layers, vocabulary %u, kernels %s", info.name,
           info.architecture, (double)info.weights_n * 1e-6, info.layers_n, info.vocab_n,
           info.cpu_level);
    qr_log(&p->log, QR_LOG_INFO, "weights: %.1f MiB in memory, %.1f MiB in the file",
           (double)info.weights_bytes / 0x1p20, (double)info.file_bytes / 0x1p20);
    qr_log(&p->log, QR_LOG_INFO,
           "KV memory %.1f MiB: %llu pages, %llu tokens; sequences up to %u; %u threads",
           (double)(stats.pages_all * stats.page_bytes) / 0x1p20,
           (unsigned long long)stats.pages_all,
           (unsigned long long)(stats.pages_all * stats.page_tokens), stats.context_max,
           stats.threads);
    if (info.sliding_window)
        qr_log(&p->log, QR_LOG_INFO, "sliding window: each token sees the last %u",
               info.sliding_window);
    if (info.tokenizer_note) qr_log(&p->log, QR_LOG_WARN, "%s", info.tokenizer_note);
    if (info.template_note) qr_log(&p->log, QR_LOG_WARN, "%s", info.template_note);
    const char *warning;
    for (uint32_t i = 0; (warning = quire_model_warning(p->model, i)); i++)
        qr_log(&p->log, QR_LOG_WARN, "%s", warning);
    return p->options.alias ? p->options.alias : stem(p);
}

/* ---- serving ------------------------------------------------------------------------------- */

static int serve(struct program *p, const char *name)
{
    char why[512];
    if (p->path.lock_fd >= 0) {
        struct qr_socket *at = &p->sockets[p->sockets_n++];
        if (!qr_socket_bind(&p->path, p->options.allow_uids_n > 0, at, why, sizeof why))
            return fail(p, EXIT_RUN, why);
    }
    const struct qr_server_settings settings = {
        .model = p->model,
        .engine = p->engine,
        .memory = p->io,
        .memory_figures = qr_arena_figures,
        .log = p->log,
        .name = name,
        .api_keys = p->options.api_key_file ? p->keys : NULL,
        .api_keys_n = p->keys_n,
        .cache_scope = (enum qr_cache_scope)p->options.cache_scope,
        .cors_origins = p->options.cors_origins.all,
        .cors_origins_n = p->options.cors_origins.n,
        .template_kwargs = p->template_kwargs,
        .own_sampling = p->options.generation_config == 1,
        .tool_parser = p->options.tool_parser,
        .reasoning_parser = p->options.reasoning_parser,
        .allow_uids = p->options.allow_uids,
        .allow_uids_n = p->options.allow_uids_n,
        .body_max_bytes = p->options.body_max_bytes,
        .drain_ms = p->options.drain_ms,
        .header_ms = p->options.header_ms,
        .idle_ms = p->options.idle_ms,
        .write_ms = p->options.write_ms,
        .ping_ms = p->options.ping_ms,
    };
    int status = qr_server_init(&p->server, &settings, p->sockets, p->sockets_n);
    if (status < 0) {
        (void)snprintf(why, sizeof why, "cannot serve the sockets: %s", uv_strerror(status));
        return fail(p, EXIT_RUN, why);
    }
    (void)printf("quired: ready on %s\n", p->name);
    (void)fflush(stdout);
    qr_notify("READY=1");
    qr_server_run(&p->server);
    qr_server_deinit(&p->server);
    return 0;
}

/* Each connection is a descriptor.  The usual soft limit, 1,024, exists for users of select(). */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    const rlim_t wanted = 65536;
    if (limit.rlim_cur >= wanted) return;
    limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int run(struct program *p)
{
    int result = prepare(p);
    if (result == 0) result = open_model(p);
    if (result == 0) result = start_engine(p);
    if (result == 0) result = serve(p, describe(p));
    if (p->engine) {
        quire_engine_stop(p->engine, 0);
        quire_engine_free(p->engine);
    }
    quire_model_close(p->model);
    free(p->chat_template);
    qr_json_free(p->template_kwargs);
    qr_socket_release(&p->path);
    return result;
}

int main(int argc, char **argv)
{
    static struct program program; /* too large for the stack */
    struct program *p = &program;
    char why[512];
    p->path.lock_fd = -1;
    switch (qr_server_options_parse(argc, argv, &p->options, why, sizeof why)) {
    case QR_SERVER_OPTIONS_HELP: qr_server_options_help(stdout); return 0;
    case QR_SERVER_OPTIONS_VERSION: (void)printf("quired %s\n", quire_version()); return 0;
    case QR_SERVER_OPTIONS_WRONG:
        (void)fprintf(stderr, "quired: %s\nquired --help lists the flags\n", why);
        return EXIT_USAGE;
    case QR_SERVER_OPTIONS_RUN: break;
    }
    p->log = (struct qr_log){
        .level = p->options.log_level, .json = p->options.log_json, .fd = STDERR_FILENO};
    if (!qr_arenas_init()) return fail(p, EXIT_RUN, "out of memory");
    p->io = qr_allocator(qr_arena_allocator(QR_ARENA_IO));
    (void)signal(SIGPIPE, SIG_IGN); /* a write to a client that left returns an error instead */
    raise_descriptor_limit();
    return run(p);
}
