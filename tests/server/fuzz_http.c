/* SPDX-License-Identifier: MIT */
/* Fuzzes what a stranger's bytes reach first: the request parser, cut in pieces as the first byte
 * says, then the body's JSON and its fields.  What is written back must be legal JSON. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/memory.h"
#include "runtime/server/door.h"
#include "runtime/server/http.h"
#include "runtime/server/json.h"
#include "runtime/server/json_write.h"
#include "runtime/server/params.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_body(struct quire_text body, const struct quire_allocator *memory)
{
    static const struct qr_model_limits limits = {
        .vocab_n = 1000, .context_max = 2048, .prompts_max = 64};
    struct qr_params params;
    struct qr_api_failure failure;
    struct qr_buffer out;
    char why[256];
    qr_buffer_init(&out, memory);
    struct qr_json *json = qr_json_parse(body.data, body.n, why, sizeof why);
    for (int endpoint = 0; json && endpoint < 2; endpoint++) {
        memset(&failure, 0, sizeof failure);
        if (!qr_params_read(json, (enum qr_endpoint)endpoint, &limits, &params, &failure)) {
            if (failure.http_status != 400 || !failure.param[0]) abort();
        }
    }
    qr_json_free(json);

    qr_buffer_puts(&out, "[");
    qr_json_put_string(&out, body.data, body.n);
    qr_buffer_puts(&out, "]");
    json = qr_json_parse(out.data, out.n, why, sizeof why);
    if (!json) abort();
    struct quire_text back = qr_json_text(qr_json_at(json, 0));
    if (qr_json_utf8_valid(body.data, body.n) &&
        (back.n != body.n || memcmp(back.data, body.data, body.n) != 0))
        abort();
    qr_json_free(json);
    qr_buffer_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct quire_allocator memory = qr_allocator((struct quire_allocator){NULL, NULL});
    struct qr_http_parser http;
    if (size == 0) return 0;
    const size_t piece = data[0] ? data[0] : size;
    qr_http_init(&http, &memory, 4096, 4096);
    const char *text = (const char *)data + 1;
    for (size_t at = 0; at < size - 1 && http.stage != QR_HTTP_BAD;) {
        size_t n = size - 1 - at < piece ? size - 1 - at : piece;
        size_t used = qr_http_feed(&http, text + at, n);
        if (used > n || (used < n && http.stage != QR_HTTP_DONE && http.stage != QR_HTTP_BAD))
            abort();
        at += used;
        if (http.header_bytes > 4096 + n || http.body.n > 4096) {
            if (http.stage != QR_HTTP_BAD) abort();
        }
        if (http.stage == QR_HTTP_BAD && http.failure.http_status < 400) abort();
        if (http.stage == QR_HTTP_DONE) {
            (void)qr_http_path(&http);
            (void)qr_http_keep_alive(&http);
            struct quire_text key = qr_door_bearer(qr_http_value(&http, QR_HTTP_AUTHORIZATION));
            (void)qr_door_find_key("key\nother", 9, key.data, key.n);
            (void)qr_door_host_is_local(qr_http_value(&http, QR_HTTP_HOST));
            (void)qr_door_origin_host(qr_http_value(&http, QR_HTTP_ORIGIN));
            check_body(qr_http_body(&http), &memory);
            qr_http_next(&http);
        }
    }
    qr_http_deinit(&http);
    return 0;
}
