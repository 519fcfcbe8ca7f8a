/* SPDX-License-Identifier: MIT */
#include "runtime/server/options.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/limits.h"
#include "runtime/quire.h"
#include "runtime/server/socket.h"

enum flag_kind { TEXT, TEXTS, NUMBER, SIZE, SECONDS, CHOICE, SWITCH, UID, HELP, VERSION };

struct flag {
    const char *name;
    enum flag_kind kind;
    size_t offset; /* in struct qr_options */
    uint64_t least, most;
    const char *choices; /* "f16,f32": the value is the index */
    const char *argument;
    const char *help;
    const char *initial; /* the default, as on the command line; NULL: the member stays 0 */
};

#define AT(member) offsetof(struct qr_options, member)
#define DAY_S      86400u

/* In the order of --help.  docs/man/quired.1 has the same flags, arguments and defaults. */
static const struct flag flags[] = {
    {"model", TEXT, AT(model), 0, 0, NULL, "FILE", "GGUF model to serve (required)", NULL},
    {"socket", TEXT, AT(socket), 0, 0, NULL, "PATH",
     "Unix socket (default: $XDG_RUNTIME_DIR/quire.sock, or /tmp/quire-UID.sock)", NULL},
    {"listen", TEXTS, AT(listen), 0, 0, NULL, "HOST:PORT",
     "also serve on this TCP address; may be repeated", NULL},
    {"cors-origin", TEXTS, AT(cors_origins), 0, 0, NULL, "ORIGIN",
     "let web pages of this origin, such as https://example.org, use the server; * lets all pages; "
     "may be repeated",
     NULL},
    {"api-key-file", TEXT, AT(api_key_file), 0, 0, NULL, "FILE",
     "API keys, one a line; a client sends one as a bearer token", NULL},
    {"allow-uid", UID, AT(allow_uids), 0, UINT32_MAX - 1, NULL, "N",
     "also let this user id use the Unix socket; may be repeated", NULL},
    {"alias", TEXT, AT(alias), 0, 0, NULL, "NAME",
     "model name in answers (default: the model file's name without .gguf)", NULL},
    {"chat-template", TEXT, AT(chat_template), 0, 0, NULL, "FILE",
     "Jinja chat template that replaces the model file's", NULL},
    {"chat-template-kwargs", TEXT, AT(template_kwargs), 0, 0, NULL, "JSON",
     "chat template variables for every request, such as {\"enable_thinking\": false}", NULL},
    {"generation-config", CHOICE, AT(generation_config), 0, 0, "auto,none", "MODE",
     "sampler settings of requests that name none: those that the model file recommends (auto), or "
     "the API's (none)",
     "auto"},
    {"tool-call-parser", TEXT, AT(tool_parser), 0, 0, NULL, "NAME",
     "format of the model's tool calls; none leaves them in the text (default: recognised from the "
     "chat template)",
     NULL},
    {"reasoning-parser", TEXT, AT(reasoning_parser), 0, 0, NULL, "NAME",
     "format of the model's reasoning; none leaves it in the text (default: recognised from the "
     "chat template)",
     NULL},
    {"kv-memory", SIZE, AT(kv_memory_bytes), 1, UINT64_MAX, NULL, "SIZE",
     "memory for keys and values, such as 512M or 4G (default: half of the free memory)", NULL},
    {"page-tokens", NUMBER, AT(page_tokens), 16, 128, NULL, "N",
     "tokens in a KV page: 16, 32, 64 or 128", "32"},
    {"kv-type", CHOICE, AT(kv_type), 0, 0, "f16,f32,bf16,q8", "TYPE",
     "type of keys and values: f16, f32, bf16 or q8", "f16"},
    {"threads", NUMBER, AT(threads), 1, 1024, NULL, "N",
     "compute threads (default: the physical cores available)", NULL},
    {"max-context", NUMBER, AT(context_max), 1, QR_CONTEXT_MAX, NULL, "N",
     "longest sequence in tokens (default: the model's, or what the KV memory holds)", NULL},
    {"max-running", NUMBER, AT(running_max), 1, QR_RUNNING_LIMIT, NULL, "N",
     "most sequences in a batch (default: 256)", NULL},
    {"max-waiting", NUMBER, AT(waiting_max), 1, QR_WAITING_LIMIT, NULL, "N",
     "most requests in the queue; others are refused with status 429 (default: 1024)", NULL},
    {"step-tokens", NUMBER, AT(step_tokens), 1, QR_CONTEXT_MAX, NULL, "N",
     "token budget of a step (default: max-running + 64, at least 256)", NULL},
    {"target-itl", NUMBER, AT(target_itl_ms), 1, 60000, NULL, "MS",
     "cut prefill so that tokens come at most MS milliseconds apart; not with --step-tokens", NULL},
    {"prefill-chunk", NUMBER, AT(prefill_chunk), 1, QR_CONTEXT_MAX, NULL, "N",
     "most prompt tokens of one request in a step (default: the step's budget)", NULL},
    {"no-prefix-cache", SWITCH, AT(no_prefix_cache), 0, 1, NULL, NULL,
     "compute every prompt whole and keep no pages for later requests", NULL},
    {"sliding-window", NUMBER, AT(sliding_window), 0, QR_CONTEXT_MAX, NULL, "N",
     "tokens that a token attends to, itself included; 0: all (default: the model file's)", NULL},
    {"cache-scope", CHOICE, AT(cache_scope), 0, 0, "global,uid,key", "SCOPE",
     "reuse computed prompts among all requests (global), those of one Unix user (uid) or of one "
     "API key (key)",
     "global"},
    {"cpu-level", TEXT, AT(cpu_level), 0, 0, NULL, "LEVEL",
     "instruction set: scalar, avx2, avx512, avx512vnni or avx512bf16 (default: the best "
     "supported)",
     NULL},
    {"max-body", SIZE, AT(body_max_bytes), 1, 1u << 30, NULL, "SIZE", "longest request body", "8M"},
    {"drain-timeout", SECONDS, AT(drain_ms), 0, DAY_S, NULL, "S",
     "seconds for running requests to finish after SIGTERM", "30"},
    {"header-timeout", SECONDS, AT(header_ms), 0, DAY_S, NULL, "S",
     "seconds for a request's headers, and for each 64 KiB of its body", "10"},
    {"idle-timeout", SECONDS, AT(idle_ms), 0, DAY_S, NULL, "S",
     "seconds until an idle connection is closed", "75"},
    {"write-timeout", SECONDS, AT(write_ms), 0, DAY_S, NULL, "S",
     "seconds in which a client must read 64 KiB of its answer", "30"},
    {"sse-ping-interval", SECONDS, AT(ping_ms), 0, DAY_S, NULL, "S",
     "seconds after which a stream without news gets a comment, so that proxies keep it; 0: never",
     "15"},
    {"log-format", CHOICE, AT(log_json), 0, 0, "text,json", "FORMAT", "text or json", "text"},
    {"log-level", CHOICE, AT(log_level), 0, 0, "error,warn,info,debug", "LEVEL",
     "error, warn, info or debug", "info"},
    {"help", HELP, 0, 0, 0, NULL, NULL, "print this help", NULL},
    {"version", VERSION, 0, 0, 0, NULL, NULL, "print the version", NULL},
};
#define FLAGS_N (sizeof flags / sizeof *flags)

enum { HELP_COLUMN = 26, HELP_WIDTH = 80 };

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

/* Members have different widths. */
static void store(struct qr_options *options, const struct flag *flag, uint64_t value)
{
    void *at = (char *)options + flag->offset;
    if (flag->offset == AT(log_json))
        *(bool *)at = value != 0;
    else if (flag->offset == AT(log_level))
        *(enum qr_log_level *)at = (enum qr_log_level)value;
    else if (flag->kind == SIZE || flag->kind == SECONDS)
        *(uint64_t *)at = value;
    else if (flag->offset == AT(sliding_window) && value == 0)
        *(uint32_t *)at = QUIRE_WINDOW_NONE;
    else
        *(uint32_t *)at = (uint32_t)value;
}

/* Where the sentence about a mistake is written. */
struct complaint {
    char *text;
    size_t n;
};

__attribute__((format(printf, 2, 3))) static bool wrong(struct complaint why, const char *format,
                                                        ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(why.text, why.n, format, arguments);
    va_end(arguments);
    return false;
}

static bool add(struct qr_options *options, const struct flag *flag, const char *value,
                struct complaint why)
{
    struct qr_option_values *values = (void *)((char *)options + flag->offset);
    if (!value[0]) return wrong(why, "--%s must not be empty", flag->name);
    if (values->n == QR_OPTION_VALUES_MAX)
        return wrong(why, "--%s may be given %u times at most", flag->name, QR_OPTION_VALUES_MAX);
    values->all[values->n++] = value;
    return true;
}

static bool set(struct qr_options *options, const struct flag *flag, const char *value,
                struct complaint why)
{
    uint64_t number = 0;
    switch (flag->kind) {
    case TEXT:
        if (!value[0]) return wrong(why, "--%s must not be empty", flag->name);
        *(const char **)(void *)((char *)options + flag->offset) = value;
        return true;
    case TEXTS: return add(options, flag, value, why);
    case UID:
        if (options->allow_uids_n == QR_ALLOW_UIDS_MAX || !whole_number(value, &number) ||
            number > flag->most)
            return wrong(why, "--allow-uid takes a user's number, up to %u times",
                         QR_ALLOW_UIDS_MAX);
        options->allow_uids[options->allow_uids_n++] = (uint32_t)number;
        return true;
    case NUMBER:
        if (!whole_number(value, &number) || number < flag->least || number > flag->most)
            return wrong(why, "--%s takes a number from %llu to %llu, not \"%s\"", flag->name,
                         (unsigned long long)flag->least, (unsigned long long)flag->most, value);
        break;
    case SIZE:
        if (!qr_server_options_size(value, &number) || number < flag->least || number > flag->most)
            return wrong(why, "--%s takes a size such as 512M or 4G, not \"%s\"", flag->name,
                         value);
        break;
    case SECONDS:
        if (!seconds(value, &number))
            return wrong(why, "--%s takes seconds from 0 to %u, not \"%s\"", flag->name, DAY_S,
                         value);
        break;
    case CHOICE:
        if (!choice(flag->choices, value, &number))
            return wrong(why, "--%s takes one of %s, not \"%s\"", flag->name, flag->choices, value);
        break;
    case SWITCH: number = 1; break;
    case HELP:
    case VERSION: return true;
    }
    store(options, flag, number);
    return true;
}

static bool check(const struct qr_options *o, struct complaint why)
{
    if (!o->model) return wrong(why, "--model FILE.gguf is required");
    if (o->socket && strlen(o->socket) >= QR_SOCKET_PATH_MAX)
        return wrong(why, "--socket has %zu bytes; expected at most %zu", strlen(o->socket),
                     QR_SOCKET_PATH_MAX - 1);
    if (o->page_tokens & (o->page_tokens - 1))
        return wrong(why, "--page-tokens takes 16, 32, 64 or 128, not %u", o->page_tokens);
    if (o->target_itl_ms && o->step_tokens)
        return wrong(why, "--target-itl and --step-tokens exclude each other: the target decides a "
                          "step's tokens, or they are fixed");
    if (o->cache_scope == QR_SCOPE_UID && o->listen.n > 0)
        return wrong(why, "--cache-scope uid does not go with --listen: a TCP client has no uid, "
                          "but may have a key (--cache-scope key)");
    if (o->cache_scope == QR_SCOPE_KEY && !o->api_key_file)
        return wrong(why, "--cache-scope key needs --api-key-file");
    return true;
}

static const struct flag *find(const char *name, size_t name_n)
{
    for (size_t i = 0; i < FLAGS_N; i++)
        if (strlen(flags[i].name) == name_n && memcmp(flags[i].name, name, name_n) == 0)
            return &flags[i];
    return NULL;
}

/* The flag of argv[*i] and its value, which may be argv[*i + 1].  NULL: `why` says what is wrong.
 */
static const struct flag *read_flag(int argc, char *const *argv, int *i, const char **value,
                                    struct complaint why)
{
    const char *arg = strcmp(argv[*i], "-h") == 0 ? "--help" : argv[*i];
    if (strncmp(arg, "--", 2) != 0) {
        wrong(why, "\"%s\" is not a flag", arg);
        return NULL;
    }
    const char *name = arg + 2, *equals = strchr(name, '=');
    size_t name_n = equals ? (size_t)(equals - name) : strlen(name);
    const struct flag *flag = find(name, name_n);
    if (!flag) {
        wrong(why, "there is no flag --%.*s", (int)name_n, name);
        return NULL;
    }
    if (!flag->argument && equals) {
        wrong(why, "--%s takes no value", flag->name);
        return NULL;
    }
    *value = equals ? equals + 1 : flag->argument && *i + 1 < argc ? argv[++*i] : NULL;
    if (flag->argument && !*value) {
        wrong(why, "--%s needs a value", flag->name);
        return NULL;
    }
    return flag;
}

enum qr_server_options_result qr_server_options_parse(int argc, char *const *argv,
                                                      struct qr_options *options, char *why,
                                                      size_t why_n)
{
    const struct complaint complaint = {why, why_n};
    *options = (struct qr_options){0};
    for (size_t i = 0; i < FLAGS_N; i++) {
        bool ok = !flags[i].initial || set(options, &flags[i], flags[i].initial, complaint);
        assert(ok);
    }
    assert(options->body_max_bytes == QR_HTTP_BODY_MAX);
    for (int i = 1; i < argc; i++) {
        const char *value = NULL;
        const struct flag *flag = read_flag(argc, argv, &i, &value, complaint);
        if (!flag) return QR_SERVER_OPTIONS_WRONG;
        if (flag->kind == HELP) return QR_SERVER_OPTIONS_HELP;
        if (flag->kind == VERSION) return QR_SERVER_OPTIONS_VERSION;
        if (!set(options, flag, value, complaint)) return QR_SERVER_OPTIONS_WRONG;
    }
    return check(options, complaint) ? QR_SERVER_OPTIONS_RUN : QR_SERVER_OPTIONS_WRONG;
}

/* Prints a word, on a new line of the help column if it does not fit.  Returns the column. */
static int put_word(FILE *out, int column, const char *word, size_t word_n)
{
    if (column > HELP_COLUMN && column + 1 + (int)word_n > HELP_WIDTH)
        column = fprintf(out, "\n%*s", HELP_COLUMN, "") - 1;
    else if (column > HELP_COLUMN)
        column += fprintf(out, " ");
    return column + fprintf(out, "%.*s", (int)word_n, word);
}

void qr_server_options_help(FILE *out)
{
    (void)fputs("usage: quired --model FILE.gguf [flags]\n\n"
                "Serves a model over HTTP on a Unix socket, with OpenAI's API and vLLM's fields.\n"
                "quired(1) says more.\n\n",
                out);
    for (size_t i = 0; i < FLAGS_N; i++) {
        char left[HELP_COLUMN + 24], text[256];
        (void)snprintf(left, sizeof left, "--%s%s%s", flags[i].name, flags[i].argument ? " " : "",
                       flags[i].argument ? flags[i].argument : "");
        const bool fits = strlen(left) + 4 <= HELP_COLUMN;
        int column = fits
                         ? fprintf(out, "  %-*s", HELP_COLUMN - 2, left)
                         : fprintf(out, "  %s\n%*s", left, HELP_COLUMN, "") - (int)strlen(left) - 3;
        const char *initial = flags[i].initial;
        (void)snprintf(text, sizeof text, "%s%s%s%s", flags[i].help, initial ? " (default: " : "",
                       initial ? initial : "", initial ? ")" : "");
        for (const char *word = text; *word; word += *word == ' ') {
            size_t word_n = strcspn(word, " ");
            column = put_word(out, column, word, word_n);
            word += word_n;
        }
        (void)fputc('\n', out);
    }
    (void)fputs("\nExit status: 0, 1 failure while running, 2 wrong usage, 3 the model cannot be "
                "loaded.\n",
                out);
}
