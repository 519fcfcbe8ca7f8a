/* SPDX-License-Identifier: MIT */
/* GET /v1/models, /health, /version and /metrics. */
#include "runtime/server/api.h"
#include "runtime/server/conn.h"
#include "runtime/server/json_write.h"
#include "runtime/server/metrics.h"

void qr_api_models(struct qr_conn *conn)
{
    const struct qr_server *server = conn->server;
    struct qr_buffer out;
    qr_buffer_init(&out, &server->settings.memory);
    qr_buffer_puts(&out, "{\"object\":\"list\",\"data\":[{\"id\":");
    qr_json_put_cstring(&out, server->settings.name);
    qr_buffer_printf(&out,
                     ",\"object\":\"model\",\"created\":%llu,\"owned_by\":\"quire\",\"root\":",
                     (unsigned long long)server->started_s);
    qr_json_put_cstring(&out, server->info.name);
    qr_buffer_printf(&out, ",\"parent\":null,\"max_model_len\":%u,\"permission\":[],\"meta\":{",
                     server->limits.context_max);
    /* llama.cpp's fields.  size is the file's. */
    qr_buffer_printf(&out,
                     "\"n_vocab\":%u,\"n_ctx_train\":%u,\"n_embd\":%u,\"n_params\":%llu,"
                     "\"size\":%llu}}]}",
                     server->info.vocab_n, server->info.context_max, server->info.width,
                     (unsigned long long)server->info.weights_n,
                     (unsigned long long)server->info.file_bytes);
    qr_conn_answer(conn, out.failed ? 500 : 200, "application/json", out.data, out.n);
    qr_buffer_deinit(&out);
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
