/* SPDX-License-Identifier: MIT */
#include "runtime/server/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/limits.h"
#include "runtime/quire.h"
#include "runtime/server/socket.h"

enum kind { TEXT, NUMBER, SIZE, SECONDS, CHOICE, SWITCH, UID, LATER };

struct flag {
    const char *name;
    enum kind kind;
    size_t offset; /* in struct qr_options */
    uint64_t least, most;
    const char *choices; /* "f16,f32": the value is the index */
    const char *argument;
    const char *help; /* NULL: not in --help */
};

#define AT(member) offsetof(struct qr_options, member)
#define DAY_S      86400u

/* In the order of --help. */
static const struct flag flags[] = {
    {"model", TEXT, AT(model), 0, 0, NULL, "FILE", "the GGUF model to serve (required)"},
    {"socket", TEXT, AT(socket), 0, 0, NULL, "PATH",
     "Unix socket (default $XDG_RUNTIME_DIR/quire.sock, else /tmp/quire-UID.sock)"},
    {"listen", TEXT, AT(listen), 0, 0, NULL, "HOST:PORT", "serve on TCP too"},
    {"api-key-file", TEXT, AT(api_key_file), 0, 0, NULL, "FILE",
     "keys, one a line; clients send one as a bearer token"},
    {"allow-uid", UID, AT(allow_uids), 0, UINT32_MAX - 1, NULL, "N",
     "users besides the owner who may use the Unix socket (repeatable)"},
    {"alias", TEXT, AT(alias), 0, 0, NULL, "NAME", "the model's name in answers"},
    {"chat-template", TEXT, AT(chat_template), 0, 0, NULL, "FILE",
     "a Jinja chat template instead of the model file's"},
    {"kv-memory", SIZE, AT(kv_memory_bytes), 1, UINT64_MAX, NULL, "SIZE",
     "memory of KV pages, as 512M or 4G (default: half of what is free)"},
    {"page-tokens", NUMBER, AT(page_tokens), 16, 128, NULL, "N", "16, 32 (default), 64 or 128"},
    {"kv-type", CHOICE, AT(kv_type), 0, 0, "f16,f32,bf16,q8", "TYPE",
     "f16 (default), f32, bf16, q8"},
    {"threads", NUMBER, AT(threads), 1, 1024, NULL, "N",
     "compute threads (default: the physical cores available)"},
    {"max-context", NUMBER, AT(context_max), 1, QR_CONTEXT_MAX, NULL, "N",
     "longest sequence in tokens (default: the model's)"},
    {"max-running", NUMBER, AT(running_max), 1, QR_RUNNING_LIMIT, NULL, "N",
     "sequences in a batch (default 256)"},
    {"max-waiting", NUMBER, AT(waiting_max), 1, QR_WAITING_LIMIT, NULL, "N",
     "requests in the queue; beyond: 429 (default 1024)"},
    {"step-tokens", NUMBER, AT(step_tokens), 1, QR_CONTEXT_MAX, NULL, "N",
     "token budget of a step (default: chosen)"},
    {"target-itl", NUMBER, AT(target_itl_ms), 1, 60000, NULL, "MS",
     "cut prefill so that no more than this is between two tokens; not with --step-tokens"},
    {"prefill-chunk", NUMBER, AT(prefill_chunk), 1, QR_CONTEXT_MAX, NULL, "N",
     "most prompt tokens of one request in a step (default: the budget)"},
    {"no-prefix-cache", SWITCH, AT(no_prefix_cache), 0, 1, NULL, NULL,
     "compute every prompt whole, whatever was computed before"},
    {"sliding-window", NUMBER, AT(sliding_window), 0, QR_CONTEXT_MAX, NULL, "N",
     "tokens that a token sees, itself among them; 0: all (default: the file's)"},
    {"cache-scope", CHOICE, AT(cache_scope), 0, 0, "global,uid,key", "SCOPE",
     "who reuses computed prompts: global (default: all), uid (a user's own), key (a key's)"},
    {"cpu-level", TEXT, AT(cpu_level), 0, 0, NULL, "LEVEL",
     "scalar, avx2, avx512, avx512vnni, avx512bf16 (default: the best there is)"},
    {"max-body", SIZE, AT(body_max_bytes), 1, 1u << 30, NULL, "SIZE",
     "longest request body (default 8M)"},
    {"drain-timeout", SECONDS, AT(drain_ms), 0, DAY_S, NULL, "S",
     "after SIGTERM, finish what runs within this (default 30)"},
    {"header-timeout", SECONDS, AT(header_ms), 0, DAY_S, NULL, "S",
     "a request's headers, and each 64 KiB of its body, take at most this (default 10)"},
    {"idle-timeout", SECONDS, AT(idle_ms), 0, DAY_S, NULL, "S",
     "a connection without a request is closed after this (default 75)"},
    {"write-timeout", SECONDS, AT(write_ms), 0, DAY_S, NULL, "S",
     "a client that reads less than 64 KiB in this is left (default 30)"},
    {"log-format", CHOICE, AT(log_json), 0, 0, "text,json", "FORMAT", "text (default) or json"},
    {"log-level", CHOICE, AT(log_level), 0, 0, "error,warn,info,debug", "LEVEL",
     "error, warn, info (default), debug"},
};
#define FLAGS_N (sizeof flags / sizeof flags[0])

bool qr_server_options_size(const char *text, uint64_t *bytes)
{
    static const char units[] = "KMGT";
    char *end;
    if (!isdigit((unsigned char)text[0])) return false;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (errno) return false;
    unsigned shift = 0;
    if (*end) {
        const char *unit = strchr(units, toupper((unsigned char)*end));
        if (!unit) return false;
        shift = 10u * (unsigned)(unit - units + 1);
        end++;
        if (strcmp(end, "iB") == 0 || strcmp(end, "B") == 0) end += strlen(end);
    }
    if (*end || (n << shift) >> shift != n) return false;
    *bytes = (uint64_t)n << shift;
    return true;
}

static bool whole_number(const char *text, uint64_t *out)
{
    char *end;
    if (!isdigit((unsigned char)text[0])) return false;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return !errno && !*end;
}

/* Decimal seconds to whole milliseconds. */
static bool seconds(const char *text, uint64_t *ms)
{
    char *end;
    if (!isdigit((unsigned char)text[0]) && text[0] != '.') return false;
    double value = strtod(text, &end);
    if (*end || !(value >= 0 && value <= DAY_S)) return false;
    *ms = (uint64_t)(value * 1000 + 0.5);
    return true;
}

static bool choice(const char *choices, const char *text, uint64_t *index)
{
    size_t n = strlen(text);
    *index = 0;
    while (n > 0) {
        const char *comma = strchr(choices, ',');
        size_t word_n = comma ? (size_t)(comma - choices) : strlen(choices);
        if (word_n == n && memcmp(choices, text, n) == 0) return true;
        if (!comma) return false;
        choices = comma + 1;
        (*index)++;
    }
    return false;
}

/* Numbers are kept in members of different widths. */
static void store(struct qr_options *options, const struct flag *flag, uint64_t value)
{
    void *at = (char *)options + flag->offset;
    if (flag->offset == AT(log_json)) {
        *(bool *)at = value != 0;
    } else if (flag->offset == AT(log_level)) {
        *(enum qr_log_level *)at = (enum qr_log_level)value;
    } else if (flag->kind == SIZE || flag->kind == SECONDS) {
        *(uint64_t *)at = value;
    } else if (flag->offset == AT(sliding_window) && value == 0) {
        *(uint32_t *)at = QUIRE_WINDOW_NONE;
    } else {
        *(uint32_t *)at = (uint32_t)value;
    }
}

static bool set(struct qr_options *options, const struct flag *flag, const char *value, char *why,
                size_t why_n)
{
    uint64_t number = 0;
    switch (flag->kind) {
    case TEXT:
        if (!value[0]) {
            (void)snprintf(why, why_n, "--%s must not be empty", flag->name);
            return false;
        }
        *(const char **)(void *)((char *)options + flag->offset) = value;
        return true;
    case UID:
        if (options->allow_uids_n == QR_ALLOW_UIDS_MAX || !whole_number(value, &number) ||
            number > flag->most) {
            (void)snprintf(why, why_n, "--allow-uid takes a user's number, up to %u times",
                           QR_ALLOW_UIDS_MAX);
            return false;
        }
        options->allow_uids[options->allow_uids_n++] = (uint32_t)number;
        return true;
    case NUMBER:
        if (!whole_number(value, &number) || number < flag->least || number > flag->most) {
            (void)snprintf(why, why_n, "--%s takes a number from %llu to %llu, not \"%s\"",
                           flag->name, (unsigned long long)flag->least,
                           (unsigned long long)flag->most, value);
            return false;
        }
        break;
    case SIZE:
        if (!qr_server_options_size(value, &number) || number < flag->least ||
            number > flag->most) {
            (void)snprintf(why, why_n, "--%s takes a size such as 512M or 4G, not \"%s\"",
                           flag->name, value);
            return false;
        }
        break;
    case SECONDS:
        if (!seconds(value, &number)) {
            (void)snprintf(why, why_n, "--%s takes seconds from 0 to %u, not \"%s\"", flag->name,
                           DAY_S, value);
            return false;
        }
        break;
    case CHOICE:
        if (!choice(flag->choices, value, &number)) {
            (void)snprintf(why, why_n, "--%s takes one of %s, not \"%s\"", flag->name,
                           flag->choices, value);
            return false;
        }
        break;
    case SWITCH: number = 1; break;
    case LATER: return false;
    }
    store(options, flag, number);
    return true;
}

static bool check(const struct qr_options *o, char *why, size_t why_n)
{
    if (!o->model) {
        (void)snprintf(why, why_n, "--model FILE.gguf is required");
        return false;
    }
    if (o->socket && strlen(o->socket) >= QR_SOCKET_PATH_MAX) {
        (void)snprintf(why, why_n, "--socket has %zu bytes, and a socket's path at most %zu",
                       strlen(o->socket), QR_SOCKET_PATH_MAX - 1);
        return false;
    }
    if (o->page_tokens & (o->page_tokens - 1)) {
        (void)snprintf(why, why_n, "--page-tokens takes 16, 32, 64 or 128, not %u", o->page_tokens);
        return false;
    }
    if (o->target_itl_ms && o->step_tokens) {
        (void)snprintf(why, why_n,
                       "--target-itl and --step-tokens exclude each other: a step's tokens follow "
                       "from the target, or are fixed");
        return false;
    }
    if (o->cache_scope == QR_SCOPE_UID && o->listen) {
        (void)snprintf(why, why_n,
                       "--cache-scope uid does not go with --listen: a TCP client has no uid, "
                       "but may have a key (--cache-scope key)");
        return false;
    }
    if (o->cache_scope == QR_SCOPE_KEY && !o->api_key_file) {
        (void)snprintf(why, why_n, "--cache-scope key needs --api-key-file");
        return false;
    }
    return true;
}

static const struct flag *find(const char *name, size_t name_n)
{
    for (size_t i = 0; i < FLAGS_N; i++) {
        if (strlen(flags[i].name) == name_n && memcmp(flags[i].name, name, name_n) == 0) {
            return &flags[i];
        }
    }
    return NULL;
}

enum qr_server_options_result qr_server_options_parse(int argc, char *const *argv,
                                                      struct qr_options *options, char *why,
                                                      size_t why_n)
{
    *options = (struct qr_options){
        .page_tokens = 32,
        .body_max_bytes = QR_HTTP_BODY_MAX,
        .drain_ms = 30000,
        .header_ms = 10000,
        .idle_ms = 75000,
        .write_ms = 30000,
        .log_level = QR_LOG_INFO,
    };
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) return QR_SERVER_OPTIONS_HELP;
        if (strcmp(arg, "--version") == 0) return QR_SERVER_OPTIONS_VERSION;
        if (strncmp(arg, "--", 2) != 0) {
            (void)snprintf(why, why_n, "\"%s\" is not a flag", arg);
            return QR_SERVER_OPTIONS_WRONG;
        }
        const char *name = arg + 2, *equals = strchr(name, '=');
        size_t name_n = equals ? (size_t)(equals - name) : strlen(name);
        const struct flag *flag = find(name, name_n);
        if (!flag) {
            (void)snprintf(why, why_n, "there is no flag --%.*s", (int)name_n, name);
            return QR_SERVER_OPTIONS_WRONG;
        }
        if (flag->kind == LATER) {
            (void)snprintf(why, why_n, "--%s is not supported yet", flag->name);
            return QR_SERVER_OPTIONS_WRONG;
        }
        const bool takes_none = flag->kind == SWITCH;
        if (takes_none && equals) {
            (void)snprintf(why, why_n, "--%s takes no value", flag->name);
            return QR_SERVER_OPTIONS_WRONG;
        }
        const char *value = equals ? equals + 1 : !takes_none && i + 1 < argc ? argv[++i] : NULL;
        if (!value && !takes_none) {
            (void)snprintf(why, why_n, "--%s needs a value", flag->name);
            return QR_SERVER_OPTIONS_WRONG;
        }
        if (!set(options, flag, value, why, why_n)) return QR_SERVER_OPTIONS_WRONG;
    }
    return check(options, why, why_n) ? QR_SERVER_OPTIONS_RUN : QR_SERVER_OPTIONS_WRONG;
}

void qr_server_options_help(FILE *out)
{
    (void)fputs("usage: quired --model FILE.gguf [flags]\n\n"
                "Serves a model over HTTP on a Unix socket, as the OpenAI API and vLLM do.\n\n",
                out);
    for (size_t i = 0; i < FLAGS_N; i++) {
        if (!flags[i].help) continue;
        char left[48];
        (void)snprintf(left, sizeof left, "--%s %s", flags[i].name,
                       flags[i].argument ? flags[i].argument : "");
        (void)fprintf(out, "  %-24s %s\n", left, flags[i].help);
    }
    (void)fputs(
        "  --help, --version\n\n"
        "Exit status: 0, 1 a failure while running, 2 usage, 3 the model cannot be loaded.\n",
        out);
}
