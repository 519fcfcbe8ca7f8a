/* SPDX-License-Identifier: MIT */
#include "tools/quire/source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/quire/command.h"

size_t qr_source_options(struct qr_option *table, struct qr_source_options *o, bool servers)
{
    const struct qr_option options[QR_SOURCE_OPTIONS_N] = {
        {QR_OPTION_HEADING, NULL, NULL, NULL,
         "Model or server (default: the server on quired's socket, else the file $QUIRE_MODEL):", 0,
         0, NULL},
        {QR_OPTION_TEXT, "model", &o->model, "FILE", "open this GGUF file in this process", 0, 0,
         NULL},
        {QR_OPTION_TEXT, "socket", &o->socket, "PATH", "use the server on this Unix socket", 0, 0,
         NULL},
        {QR_OPTION_TEXT, "url", &o->url, "URL", "use the server at http://HOST:PORT", 0, 0, NULL},
        {QR_OPTION_TEXT, "api-key", &o->api_key, "KEY", "send KEY to the server as a bearer token",
         0, 0, NULL},
        {QR_OPTION_HEADING, NULL, NULL, NULL, "For a model in this process:", 0, 0, NULL},
        {QR_OPTION_COUNT, "threads", &o->threads, "N",
         "compute threads (default: the physical cores available)", 0, 1024, NULL},
        {QR_OPTION_BYTES, "kv-memory", &o->kv_memory, "SIZE",
         "memory for keys and values, such as 512M or 4G (default: half of the free memory)", 0, 0,
         NULL},
        {QR_OPTION_TEXT, "kv-type", &o->kv_type, "TYPE",
         "type of keys and values: f16, f32, bf16 or q8 (default: f16)", 0, 0, NULL},
        {QR_OPTION_COUNT, "page-tokens", &o->page_tokens, "N",
         "tokens in a KV page: 16, 32, 64 or 128 (default: 32)", 16, 128, NULL},
        {QR_OPTION_COUNT, "max-context", &o->context_max, "N",
         "longest sequence in tokens (default: the model's, or what the KV memory holds)", 0, 1e9,
         NULL},
        {QR_OPTION_TEXT, "chat-template", &o->chat_template, "FILE",
         "Jinja chat template that replaces the model file's", 0, 0, NULL},
        {QR_OPTION_TEXT, "cpu-level", &o->cpu_level, "LEVEL",
         "instruction set: scalar, avx2, avx512, avx512vnni or avx512bf16 (default: the best "
         "supported)",
         0, 0, NULL},
        {QR_OPTION_COUNT, "sliding-window", &o->sliding_window, "N",
         "tokens that a token attends to, itself included; 0: all (default: the model file's)", 0,
         1e9, NULL},
    };
    size_t n = 0;
    o->sliding_window = QR_WINDOW_UNSAID;
    for (size_t i = 0; i < QR_SOURCE_OPTIONS_N; i++) {
        const void *value = options[i].value;
        if (!servers && (value == &o->socket || value == &o->url || value == &o->api_key)) continue;
        table[n++] = options[i];
    }
    if (!servers) table[0].help = "Model (default: the file $QUIRE_MODEL):";
    return n;
}

/* Reads a file as a string.  NULL: see why. */
static char *read_template(const char *path, struct qr_failure *why)
{
    const size_t most = (size_t)256 << 10; /* the library's limit */
    FILE *file = fopen(path, "re");
    char *text = file ? malloc(most + 2) : NULL;
    size_t n = text ? fread(text, 1, most + 1, file) : 0;
    if (!file) {
        qr_failed(why, "--chat-template %.200s: %s", path, strerror(errno));
        return NULL;
    }
    const bool whole = text && !ferror(file) && n && n <= most && !memchr(text, '\0', n);
    (void)fclose(file);
    if (whole) {
        text[n] = '\0';
        return text;
    }
    free(text);
    qr_failed(why, "--chat-template %.200s: expected a text of 1 to %zu bytes without NUL", path,
              most);
    return NULL;
}

int qr_source_open_model(quire_model **model, const struct qr_source_options *o, const char *path,
                         struct qr_failure *why)
{
    struct quire_model_settings settings;
    struct quire_error error = {0};
    quire_model_settings_defaults(&settings);
    settings.path = path;
    settings.threads = o->threads;
    settings.cpu_level = o->cpu_level;
    settings.unsupported = o->unsupported;
    settings.unsupported_context = o->unsupported_context;
    if (o->sliding_window != QR_WINDOW_UNSAID)
        settings.sliding_window = o->sliding_window ? o->sliding_window : QUIRE_WINDOW_NONE;
    char *chat_template = o->chat_template ? read_template(o->chat_template, why) : NULL;
    if (o->chat_template && !chat_template) return QR_EXIT_USAGE;
    settings.chat_template = chat_template;
    int status = quire_model_open(&settings, model, &error);
    free(chat_template);
    if (status == QUIRE_OK) return QR_EXIT_FINE;
    qr_failed(why, "%s", error.text[0] ? error.text : quire_status_text(status));
    const bool usage = !strcmp(error.field, "cpu_level") || !strcmp(error.field, "chat_template");
    return status == QUIRE_INVALID && usage ? QR_EXIT_USAGE : QR_EXIT_MODEL;
}

static bool read_kv_type(const char *name, uint32_t *type, struct qr_failure *why)
{
    static const struct {
        const char *name;
        uint32_t type;
    } types[] = {
        {"f16", QUIRE_KV_F16}, {"f32", QUIRE_KV_F32}, {"bf16", QUIRE_KV_BF16}, {"q8", QUIRE_KV_Q8}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (!strcmp(types[i].name, name)) {
            *type = types[i].type;
            return true;
        }
    return qr_failed(why, "--kv-type takes f16, f32, bf16 or q8, not '%.40s'", name);
}

int qr_source_start_engine(quire_engine **engine, quire_model *model,
                           const struct qr_source_options *o, struct qr_failure *why)
{
    struct quire_engine_settings settings;
    struct quire_error error = {0};
    quire_engine_settings_defaults(&settings);
    settings.threads = o->threads;
    settings.profile = o->profile;
    if (o->kv_memory) settings.kv_memory_bytes = o->kv_memory;
    if (o->context_max) settings.context_max = o->context_max;
    if (o->page_tokens) settings.page_tokens = o->page_tokens;
    if (o->kv_type && !read_kv_type(o->kv_type, &settings.kv_type, why)) return QR_EXIT_USAGE;
    int status = quire_engine_start(&settings, model, engine, &error);
    if (status == QUIRE_OK) return QR_EXIT_FINE;
    qr_failed(why, "%s", error.text[0] ? error.text : quire_status_text(status));
    return status == QUIRE_INVALID || status == QUIRE_UNSUPPORTED ? QR_EXIT_USAGE : QR_EXIT_FAILED;
}

int qr_source_open(struct qr_source *source, const struct qr_source_options *o, bool engine,
                   struct qr_failure *why)
{
    *source = (struct qr_source){.api_key = o->api_key};
    char socket[128];
    const char *model = o->model, *path = o->socket;
    if ((o->model != NULL) + (o->socket != NULL) + (o->url != NULL) > 1) {
        qr_failed(why, "give one of --model, --socket and --url");
        return QR_EXIT_USAGE;
    }
    if (!model && !o->socket && !o->url) {
        struct stat status;
        qr_address_default_socket(socket, sizeof socket);
        if (stat(socket, &status) == 0 && S_ISSOCK(status.st_mode))
            path = socket;
        else
            model = getenv("QUIRE_MODEL");
        if (!path && (!model || !model[0])) {
            qr_failed(why, "give --model FILE, --socket PATH or --url URL, or set QUIRE_MODEL");
            return QR_EXIT_USAGE;
        }
    }
    if (!model) {
        if (o->chat_template) {
            qr_failed(why, "--chat-template needs --model; a server has its own template");
            return QR_EXIT_USAGE;
        }
        if (!qr_address_read(&source->address, path, o->url, why)) return QR_EXIT_USAGE;
        return QR_EXIT_FINE;
    }
    int code = qr_source_open_model(&source->model, o, model, why);
    if (code == QR_EXIT_FINE && engine)
        code = qr_source_start_engine(&source->engine, source->model, o, why);
    if (code != QR_EXIT_FINE) qr_source_close(source);
    return code;
}

void qr_source_close(struct qr_source *source)
{
    quire_engine_free(source->engine);
    quire_model_close(source->model);
    source->engine = NULL;
    source->model = NULL;
}
