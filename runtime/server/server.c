/* SPDX-License-Identifier: MIT */
#include "runtime/server/server.h"

#include <assert.h>
#include <string.h>
#include <time.h>

#include "runtime/server/conn.h"
#include "runtime/server/generation.h"
#include "runtime/server/notify.h"
#include "runtime/server/route.h"

/* ---- what wakes the loop ------------------------------------------------------------------- */

static void on_engine(uv_poll_t *poll, int status, int events)
{
    struct qr_server *server = poll->data;
    struct quire_event event;
    (void)status;
    (void)events;
    for (unsigned i = 0; i < QR_EVENTS_A_TURN; i++) {
        if (quire_next(server->settings.engine, &event) != 1) break;
        qr_generation_take(server, &event);
    }
    qr_generation_send(server);
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct qr_listener *listener = stream->data;
    if (status < 0) {
        qr_log(&listener->server->settings.log, QR_LOG_WARN, "cannot accept a connection: %s",
               uv_strerror(status));
        return;
    }
    qr_conn_accept(listener);
}

/* ---- the end ------------------------------------------------------------------------------- */

static void end(struct qr_server *server)
{
    if (server->ended) return;
    server->ended = true;
    for (struct qr_conn *conn = server->conns; conn; conn = conn->next)
        qr_conn_end(conn);
    uv_close((uv_handle_t *)&server->engine_poll, NULL);
    uv_close((uv_handle_t *)&server->terminate, NULL);
    uv_close((uv_handle_t *)&server->interrupt, NULL);
    uv_close((uv_handle_t *)&server->drain_timer, NULL);
    uv_close((uv_handle_t *)&server->ping_timer, NULL);
    uv_close((uv_handle_t *)&server->before_poll, NULL);
}

static bool drained(const struct qr_server *server)
{
    if (!server->draining || server->generations || server->jobs_n > 0) return false;
    for (const struct qr_conn *conn = server->conns; conn; conn = conn->next)
        if (!qr_conn_quiet(conn)) return false;
    return true;
}

/* Runs after the callbacks of a turn and before the loop sleeps. */
static void before_poll(uv_prepare_t *prepare)
{
    struct qr_server *server = prepare->data;
    while (server->dirty)
        qr_conn_flush(server->dirty); /* takes it off the list */
    if (!server->ended && drained(server)) end(server);
}

static void on_drain_timeout(uv_timer_t *timer);

/* On the drain timeout and on a second signal.  The first call cancels running requests, whose
 * clients get an error, and starts the last timeout.  The next call closes all connections;
 * requests that the engine has not ended by then end without a client. */
static void give_up(struct qr_server *server)
{
    if (server->ended) return;
    if (!server->impatient) {
        server->impatient = true;
        qr_log(&server->settings.log, QR_LOG_WARN, "cancelling running requests");
        qr_generation_cancel_all(server);
        (void)uv_timer_start(&server->drain_timer, on_drain_timeout, QR_DRAIN_LAST_MS, 0);
    } else {
        for (struct qr_conn *conn = server->conns; conn; conn = conn->next)
            qr_conn_end(conn);
    }
}

static void on_drain_timeout(uv_timer_t *timer)
{
    give_up(timer->data);
}

static void on_ping(uv_timer_t *timer)
{
    qr_generation_ping(timer->data);
}

static void on_signal(uv_signal_t *signal, int number)
{
    struct qr_server *server = signal->data;
    (void)number;
    if (server->draining) {
        give_up(server);
        return;
    }
    server->draining = true;
    qr_notify("STOPPING=1");
    qr_log(&server->settings.log, QR_LOG_INFO,
           "stopping: new requests are refused, running ones may finish");
    for (size_t i = 0; i < server->listeners_n; i++)
        uv_close(&server->listeners[i].io.handle, NULL);
    server->listeners_n = 0;
    (void)uv_timer_start(&server->drain_timer, on_drain_timeout, server->settings.drain_ms, 0);
}

/* ---- public -------------------------------------------------------------------------------- */

static int listen_on(struct qr_server *server, struct qr_listener *listener, struct qr_socket from)
{
    listener->server = server;
    listener->tcp = from.tcp;
    int status;
    if (from.tcp) {
        status = uv_tcp_init(&server->loop, &listener->io.tcp);
        if (status == 0) status = uv_tcp_open(&listener->io.tcp, from.fd);
    } else {
        status = uv_pipe_init(&server->loop, &listener->io.pipe, 0);
        if (status == 0) status = uv_pipe_open(&listener->io.pipe, from.fd);
    }
    listener->io.handle.data = listener;
    return status < 0 ? status : uv_listen(&listener->io.stream, 1024, on_connection);
}

static void read_model(struct qr_server *server)
{
    server->info.size = sizeof server->info;
    quire_model_info(server->settings.model, &server->info);
    struct quire_stats stats = {.size = sizeof stats};
    quire_stats(server->settings.engine, &stats);

    uint64_t slots = stats.pages_all * stats.page_tokens;
    server->limits = (struct qr_model_limits){
        .vocab_n = server->info.vocab_n,
        .context_max = slots < stats.context_max ? (uint32_t)slots : stats.context_max,
        .prompts_max = stats.waiting_max,
    };
    quire_request_defaults(&server->limits.defaults);
    if (!server->settings.own_sampling)
        (void)quire_model_sampling(server->settings.model, &server->limits.defaults);
}

/* The control tokens that are markers: their text must reach the reader. */
static void find_markers(struct qr_server *server)
{
    const quire_model *model = server->settings.model;
    const char *text;

    for (size_t i = 0; (text = qr_parse_marker_at(server->family, server->reasoning, i)); i++) {
        int32_t token;
        size_t n = 0, shown = 0;
        if (quire_tokenize(model, text, strlen(text), QUIRE_TEXT_SPECIAL, &token, 1, &n) ==
                QUIRE_OK &&
            n == 1 && quire_detokenize(model, &token, 1, 0, NULL, 0, &shown) == QUIRE_OK &&
            shown == 0 && server->shown_ids_n < QR_SHOWN_IDS_MAX)
            server->shown_ids[server->shown_ids_n++] = token;
    }
}

static void choose_parsers(struct qr_server *server)
{
    const struct qr_server_settings *s = &server->settings;
    const char *source =
        server->info.tools_template ? server->info.tools_template : server->info.chat_template;

    if (source) server->family = qr_parse_family_recognise(source, strlen(source));
    /* A name may cover several versions, as "mistral": the template then says which. */
    if (s->tool_parser && (!server->family || strncmp(qr_parse_family_name(server->family),
                                                      s->tool_parser, strlen(s->tool_parser)) != 0))
        server->family = qr_parse_family_find(s->tool_parser);
    if (s->reasoning_parser)
        server->reasoning = qr_parse_reasoning_find(s->reasoning_parser);
    else if (source)
        server->reasoning = qr_parse_reasoning_recognise(source, strlen(source));
    server->reads_answers =
        (server->family && strcmp(qr_parse_family_name(server->family), "none") != 0) ||
        (server->reasoning && strcmp(qr_parse_reasoning_name(server->reasoning), "none") != 0);
    if (server->info.has_tokenizer) find_markers(server);
}

int qr_server_init(struct qr_server *server, const struct qr_server_settings *settings,
                   const struct qr_socket *sockets, size_t sockets_n)
{
    assert(sockets_n <= QR_LISTENERS_MAX);
    memset(server, 0, sizeof *server);
    server->settings = *settings;
    server->on_request = qr_route;
    server->started_s = (uint64_t)time(NULL);
    read_model(server);
    choose_parsers(server);

    int status = uv_loop_init(&server->loop);
    if (status < 0) return status;
    (void)uv_prepare_init(&server->loop, &server->before_poll);
    (void)uv_timer_init(&server->loop, &server->drain_timer);
    (void)uv_timer_init(&server->loop, &server->ping_timer);
    server->ping_timer.data = server;
    if (settings->ping_ms)
        (void)uv_timer_start(&server->ping_timer, on_ping, settings->ping_ms, settings->ping_ms);
    (void)uv_signal_init(&server->loop, &server->terminate);
    (void)uv_signal_init(&server->loop, &server->interrupt);
    server->before_poll.data = server->drain_timer.data = server;
    server->terminate.data = server->interrupt.data = server;
    (void)uv_prepare_start(&server->before_poll, before_poll);
    status = uv_poll_init(&server->loop, &server->engine_poll, quire_fd(settings->engine));
    server->engine_poll.data = server;
    if (status == 0) status = uv_poll_start(&server->engine_poll, UV_READABLE, on_engine);
    if (status == 0) status = uv_signal_start(&server->terminate, on_signal, SIGTERM);
    if (status == 0) status = uv_signal_start(&server->interrupt, on_signal, SIGINT);
    for (size_t i = 0; status == 0 && i < sockets_n; i++) {
        status = listen_on(server, &server->listeners[i], sockets[i]);
        if (status == 0) server->listeners_n++;
    }
    return status;
}

void qr_server_run(struct qr_server *server)
{
    (void)uv_run(&server->loop, UV_RUN_DEFAULT);
    assert(server->ended && !server->conns && !server->generations);
}

void qr_server_deinit(struct qr_server *server)
{
    int status = uv_loop_close(&server->loop);
    assert(status == 0);
    (void)status;
}
