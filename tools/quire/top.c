/* SPDX-License-Identifier: MIT */
#include "tools/quire/top.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "tools/client/http.h"
#include "tools/client/terminal.h"
#include "tools/quire/command.h"

static const char usage[] =
    "Usage: quire top [options]\n\n"
    "Shows a running server's KV pages by state, its batch, rates and latencies, until Ctrl-C.\n"
    "Rates and means cover the time between two readings of /metrics.  If standard output is not\n"
    "a terminal, one frame is printed, as with --once.\n";

#define BODY_MAX    ((size_t)1 << 20) /* quired sends about 20 KiB */
#define PATIENCE_MS 10000u            /* for one reading */

/* The alternate screen keeps what the terminal showed before.  The cursor is hidden on it. */
#define SCREEN_ENTER "\x1b[?1049h\x1b[?25l"
#define SCREEN_LEAVE "\x1b[?25h\x1b[?1049l"
#define SIGNALS_N    4

struct top {
    /* options */
    const char *socket, *url, *api_key;
    double interval_s;
    bool once, json;

    bool live, colours;
    struct qr_address address;
    uv_loop_t loop;
    uv_timer_t interval, patience;
    uv_signal_t signals[SIGNALS_N];
    struct qr_http *http;
    struct qr_http_call *call;
    char *body; /* [BODY_MAX] of the current answer */
    size_t body_n;
    bool too_long;
    double asked_s; /* when the call began: the time of the reading */

    struct qr_top_sample sample; /* the last reading */
    struct qr_top_figures figures;
    double sample_s;
    bool has_sample, entered, ended;
    int code;
    struct qr_failure why;
    struct qr_top_frame frame;
};

static void end(struct top *t, int code)
{
    if (t->ended) return;
    t->ended = true;
    t->code = code;
    uv_stop(&t->loop);
}

static void draw(struct top *t)
{
    uint32_t columns = t->live ? qr_terminal_width(stdout) : 80;
    t->frame.columns = columns < QR_TOP_COLUMNS_MIN ? QR_TOP_COLUMNS_MIN : columns;
    t->frame.rows = t->live ? qr_terminal_height(stdout) : 24;
    t->frame.colours = t->colours;
    qr_top_draw(&t->frame, t->address.name, &t->sample, &t->figures);
    if (t->live) fputs(t->entered ? "\x1b[H" : SCREEN_ENTER "\x1b[H", stdout);
    t->entered = t->live;
    for (uint32_t i = 0; i < t->frame.lines_n; i++) {
        /* A newline after the window's last line would scroll the window. */
        const char *newline = !t->live ? "\n" : i + 1 < t->frame.lines_n ? "\x1b[K\r\n" : "\x1b[K";
        fprintf(stdout, "%s%s", t->frame.lines[i], newline);
    }
    if (t->live) fputs("\x1b[J", stdout);
    if (fflush(stdout) != 0) {
        qr_failed(&t->why, "cannot write to standard output");
        end(t, QR_EXIT_FAILED);
    }
}

static void print_json(struct top *t)
{
    json_t *json = qr_top_json(t->address.name, &t->sample, &t->figures);
    bool ok = json && json_dumpf(json, stdout, JSON_INDENT(2)) == 0 && putchar('\n') == '\n' &&
              fflush(stdout) == 0;
    json_decref(json);
    if (!ok) qr_failed(&t->why, "cannot write the figures as JSON");
    end(t, ok ? QR_EXIT_FINE : QR_EXIT_FAILED);
}

/* The first reading has no rates, so a single frame waits for the second. */
static void take(struct top *t, const struct qr_top_sample *sample)
{
    bool figures =
        t->has_sample && qr_top_compare(&t->figures, &t->sample, sample, t->asked_s - t->sample_s);
    if (!figures) t->figures = (struct qr_top_figures){0};
    t->sample = *sample;
    t->sample_s = t->asked_s;
    t->has_sample = true;
    if (t->live) {
        draw(t);
    } else if (figures) {
        if (t->json) {
            print_json(t);
        } else {
            draw(t);
            end(t, QR_EXIT_FINE);
        }
    }
}

static void on_body(void *user, int status, const char *bytes, size_t n)
{
    struct top *t = user;
    (void)status;
    t->too_long = t->too_long || n > BODY_MAX - t->body_n;
    if (t->too_long) return;
    memcpy(t->body + t->body_n, bytes, n);
    t->body_n += n;
}

static void on_done(void *user, int status, const struct qr_failure *failure)
{
    struct top *t = user;
    struct qr_top_sample sample = {0};
    struct qr_failure why = {""};
    t->call = NULL;
    uv_timer_stop(&t->patience);
    if (failure)
        t->why = *failure;
    else if (status != 200)
        qr_http_error_text(status, t->body, t->body_n, &t->why);
    else if (t->too_long)
        qr_failed(&t->why, "%s: /metrics has more than %zu bytes", t->address.name, BODY_MAX);
    else if (!qr_top_read(&sample, t->body, t->body_n, &why))
        qr_failed(&t->why, "%.100s: /metrics: %.220s", t->address.name, why.text);
    else {
        take(t, &sample);
        return;
    }
    end(t, QR_EXIT_FAILED);
}

static void on_patience(uv_timer_t *timer)
{
    struct top *t = timer->data;
    qr_failed(&t->why, "%s: no answer for %u s", t->address.name, PATIENCE_MS / 1000);
    end(t, QR_EXIT_FAILED);
}

static void on_interval(uv_timer_t *timer)
{
    static const struct qr_http_handler handler = {on_body, on_done};
    static const struct qr_http_request request = {"GET", "/metrics", NULL, 0};
    struct top *t = timer->data;
    if (t->call || t->ended) return; /* the server is slower than the interval */
    t->body_n = 0;
    t->too_long = false;
    t->asked_s = qr_clock_s();
    t->call = qr_http_start(t->http, &request, &handler, t);
    if (t->call) {
        uv_timer_start(&t->patience, on_patience, PATIENCE_MS, 0);
    } else {
        qr_failed(&t->why, "out of memory");
        end(t, QR_EXIT_FAILED);
    }
}

/* Ctrl-C ends the live view with status 0.  Before a single frame it is a failure. */
static void on_signal(uv_signal_t *handle, int number)
{
    struct top *t = handle->data;
    if (number == SIGWINCH) {
        if (t->live && t->has_sample) draw(t);
        return;
    }
    if (!t->live) qr_failed(&t->why, "interrupted before there was a frame");
    end(t, t->live ? QR_EXIT_FINE : QR_EXIT_FAILED);
}

static void close_handle(uv_handle_t *handle, void *context)
{
    (void)context;
    if (!uv_is_closing(handle)) uv_close(handle, NULL);
}

static int watch(struct top *t)
{
    static const int numbers[SIGNALS_N] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH};
    t->body = malloc(BODY_MAX);
    int status = uv_loop_init(&t->loop);
    if (status < 0 || !t->body) {
        if (status >= 0) uv_loop_close(&t->loop);
        free(t->body);
        qr_failed(&t->why, "cannot create an event loop: out of memory or of files");
        return QR_EXIT_FAILED;
    }
    uv_timer_init(&t->loop, &t->interval);
    uv_timer_init(&t->loop, &t->patience);
    t->interval.data = t->patience.data = t;
    for (int i = 0; i < SIGNALS_N; i++) {
        uv_signal_init(&t->loop, &t->signals[i]);
        t->signals[i].data = t;
        uv_signal_start(&t->signals[i], on_signal, numbers[i]);
    }
    t->http = qr_http_create(&t->loop, &t->address, t->api_key);
    if (t->http) {
        uv_timer_start(&t->interval, on_interval, 0, (uint64_t)(t->interval_s * 1000));
        while (!t->ended)
            uv_run(&t->loop, UV_RUN_DEFAULT);
        qr_http_destroy(t->http);
    } else {
        qr_failed(&t->why, "out of memory");
        t->code = QR_EXIT_FAILED;
    }
    uv_walk(&t->loop, close_handle, NULL);
    uv_run(&t->loop, UV_RUN_DEFAULT);
    uv_loop_close(&t->loop);
    free(t->body);
    if (t->entered) {
        fputs(SCREEN_LEAVE, stdout);
        fflush(stdout);
    }
    return t->code;
}

static int run(struct top *t, const struct qr_arguments *arguments)
{
    char standard[128];
    const char *socket = t->socket;
    if (arguments->n) {
        qr_failed(&t->why, "top takes options only, not '%.60s'", arguments->items[0]);
        return QR_EXIT_USAGE;
    }
    if (t->socket && t->url) {
        qr_failed(&t->why, "give one of --socket and --url");
        return QR_EXIT_USAGE;
    }
    if (!t->socket && !t->url) {
        qr_address_default_socket(standard, sizeof standard);
        socket = standard;
    }
    if (!qr_address_read(&t->address, socket, t->url, &t->why)) return QR_EXIT_USAGE;
    const char *no_colour = getenv("NO_COLOR"); /* no-color.org: present and not empty */
    t->live = !t->once && !t->json && qr_terminal_is(stdout);
    t->colours = t->live && !(no_colour && no_colour[0]);
    return watch(t);
}

int qr_command_top(int argc, char **argv)
{
    static struct top t; /* too large for the stack */
    t = (struct top){.interval_s = 1};
    const struct qr_option options[] = {
        {QR_OPTION_HEADING, NULL, NULL, NULL, "Server (default: the one on quired's socket):", 0, 0,
         NULL},
        {QR_OPTION_TEXT, "socket", &t.socket, "PATH", "use the server on this Unix socket", 0, 0,
         NULL},
        {QR_OPTION_TEXT, "url", &t.url, "URL", "use the server at http://HOST:PORT", 0, 0, NULL},
        {QR_OPTION_TEXT, "api-key", &t.api_key, "KEY", "send KEY to the server as a bearer token",
         0, 0, NULL},
        {QR_OPTION_HEADING, NULL, NULL, NULL, "Output:", 0, 0, NULL},
        {QR_OPTION_REAL, "interval", &t.interval_s, "SECONDS",
         "seconds between two readings (default: 1)", 0.05, 3600, NULL},
        {QR_OPTION_FLAG, "once", &t.once, NULL, "print one frame as plain text, after one interval",
         0, 0, NULL},
        {QR_OPTION_FLAG, "json", &t.json, NULL, "print one frame as JSON, after one interval", 0, 0,
         NULL},
        {QR_OPTION_FLAG, "help", NULL, NULL, "print this help", 0, 0, NULL},
    };
    const struct qr_command_syntax syntax = {usage, options, sizeof options / sizeof *options};
    struct qr_arguments arguments;
    int code;
    if (!qr_command_read(&syntax, argc, argv, &arguments, &code)) return code;
    code = run(&t, &arguments);
    free(arguments.items);
    return code == QR_EXIT_FINE ? code : qr_command_fail((enum qr_exit)code, &t.why);
}
