/* SPDX-License-Identifier: MIT */
/* GET /v1/models, /v1/models/ID, /health, /version and /metrics. */
#include <string.h>
#include <time.h>

#include "runtime/server/api.h"
#include "runtime/server/conn.h"
#include "runtime/server/json_write.h"
#include "runtime/server/metrics.h"
#include "runtime/server/route.h"

/* OpenAI's fields, vLLM's, llama.cpp's meta, and, for a client of Anthropic's, its own. */
static void put_model(const struct qr_conn *conn, struct qr_buffer *out)
{
    const struct qr_server *server = conn->server;
    const bool anthropic = qr_http_value(&conn->http, QR_HTTP_ANTHROPIC_VERSION).n > 0;

    qr_buffer_puts(out, "{\"id\":");
    qr_json_put_cstring(out, server->settings.name);
    qr_buffer_printf(out, ",\"object\":\"model\",\"created\":%llu,\"owned_by\":\"quire\",\"root\":",
                     (unsigned long long)server->started_s);
    qr_json_put_cstring(out, server->info.name);
    qr_buffer_printf(out, ",\"parent\":null,\"max_model_len\":%u,\"permission\":[],\"meta\":{",
                     server->limits.context_max);
    /* size is the file's. */
    qr_buffer_printf(out,
                     "\"n_vocab\":%u,\"n_ctx_train\":%u,\"n_embd\":%u,\"n_params\":%llu,"
                     "\"size\":%llu}",
                     server->info.vocab_n, server->info.context_max, server->info.width,
                     (unsigned long long)server->info.weights_n,
                     (unsigned long long)server->info.file_bytes);
    if (anthropic) {
        char created[32];
        const time_t started = (time_t)server->started_s;
        struct tm utc;
        (void)strftime(created, sizeof created, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&started, &utc));
        qr_buffer_puts(out, ",\"type\":\"model\",\"display_name\":");
        qr_json_put_cstring(out, server->settings.name);
        qr_buffer_printf(out, ",\"created_at\":\"%s\",\"lifecycle\":\"active\"", created);
    }
    qr_buffer_puts(out, "}");
}

static void send_answer(struct qr_conn *conn, struct qr_buffer *out)
{
    qr_conn_answer(conn, out->failed ? 500 : 200, "application/json", out->data, out->n);
    qr_buffer_deinit(out);
}

void qr_api_models(struct qr_conn *conn)
{
    const char *name = conn->server->settings.name;
    struct qr_buffer out;

    qr_buffer_init(&out, &conn->server->settings.memory);
    qr_buffer_puts(&out, "{\"object\":\"list\",\"data\":[");
    put_model(conn, &out);
    qr_buffer_puts(&out, "]");
    if (qr_http_value(&conn->http, QR_HTTP_ANTHROPIC_VERSION).n > 0) {
        qr_buffer_puts(&out, ",\"has_more\":false,\"first_id\":");
        qr_json_put_cstring(&out, name);
        qr_buffer_puts(&out, ",\"last_id\":");
        qr_json_put_cstring(&out, name);
    }
    qr_buffer_puts(&out, "}");
    send_answer(conn, &out);
}

static int hex(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* True if the path's end, percent-decoded, is this name. */
static bool names(struct quire_text path, const char *name)
{
    for (size_t i = 0; i < path.n; i++, name++) {
        char c = path.data[i];
        if (c == '%' && i + 2 < path.n && hex(path.data[i + 1]) >= 0 &&
            hex(path.data[i + 2]) >= 0) {
            c = (char)(hex(path.data[i + 1]) * 16 + hex(path.data[i + 2]));
            i += 2;
        }
        if (!*name || *name != c) return false;
    }
    return !*name;
}

void qr_api_model(struct qr_conn *conn)
{
    struct quire_text path = qr_route_path(&conn->http);
    const size_t skipped = strlen("/models/");
    const struct quire_text id = {.data = path.data + skipped, .n = path.n - skipped};
    struct qr_api_failure failure;
    struct qr_buffer out;

    if (!names(id, conn->server->settings.name)) {
        (void)qr_fail(&failure, 404, "model_not_found", "model",
                      "there is no model \"%.*s\"; this server has \"%s\"",
                      (int)(id.n < 100 ? id.n : 100), id.data, conn->server->settings.name);
        qr_conn_answer_failure(conn, &failure);
        return;
    }
    qr_buffer_init(&out, &conn->server->settings.memory);
    put_model(conn, &out);
    send_answer(conn, &out);
}

void qr_api_embeddings(struct qr_conn *conn)
{
    struct qr_api_failure failure;
    (void)qr_fail_field(&failure, "model",
                        "the model \"%s\" has no pooling; embeddings need a model that has",
                        conn->server->settings.name);
    qr_conn_answer_failure(conn, &failure);
}

void qr_api_health(struct qr_conn *conn)
{
    qr_conn_answer(conn, 200, NULL, "", 0);
}

void qr_api_version(struct qr_conn *conn)
{
    struct qr_buffer out;
    qr_buffer_init(&out, &conn->server->settings.memory);
    qr_buffer_printf(&out, "{\"version\":\"%s\"}", quire_version());
    qr_conn_answer(conn, out.failed ? 500 : 200, "application/json", out.data, out.n);
    qr_buffer_deinit(&out);
}

void qr_api_metrics(struct qr_conn *conn)
{
    struct qr_server *server = conn->server;
    struct quire_stats stats = {.size = sizeof stats};
    struct qr_memory_figure figures[QR_MEMORY_FIGURES_MAX];
    size_t figures_n =
        server->settings.memory_figures ? server->settings.memory_figures(figures) : 0;
    struct qr_buffer out;
    quire_stats(server->settings.engine, &stats);
    qr_buffer_init(&out, &server->settings.memory);
    qr_metrics_put(&out, &stats, server->cancelled, figures, figures_n);
    qr_conn_answer(conn, out.failed ? 500 : 200, "text/plain; version=0.0.4; charset=utf-8",
                   out.data, out.n);
    qr_buffer_deinit(&out);
}
