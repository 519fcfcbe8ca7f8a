/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/loadgen/run.h"

#define IDS_MAX (1 << 24) /* more than any vocabulary */

bool qr_load_ask_model(const struct qr_address *address, const char *api_key, char *model,
                       size_t model_n, uint32_t *vocab_n, struct qr_failure *why)
{
    static const struct qr_http_request request = {"GET", "/v1/models", NULL, 0};
    struct qr_reply reply;
    *vocab_n = 0;
    if (!qr_http_ask(address, api_key, &request, &reply, why)) return false;
    if (reply.status != 200) {
        struct qr_failure text;
        qr_http_error_text(reply.status, reply.body, reply.body_n, &text);
        free(reply.body);
        return qr_failed(why, "%.100s, /v1/models: %.200s", address->name, text.text);
    }
    json_t *json = json_loadb(reply.body, reply.body_n, 0, NULL);
    free(reply.body);
    const json_t *entry = json_array_get(json_object_get(json, "data"), 0);
    const char *name = json_string_value(json_object_get(entry, "id"));
    json_int_t vocab =
        json_integer_value(json_object_get(json_object_get(entry, "meta"), "n_vocab"));
    if (!vocab) vocab = json_integer_value(json_object_get(entry, "vocab_size"));
    /* qr_workload_draw needs at least 16. */
    *vocab_n = vocab >= 16 && vocab <= IDS_MAX ? (uint32_t)vocab : 0;
    if (name) snprintf(model, model_n, "%s", name);
    json_decref(json);
    if (!name)
        return qr_failed(why,
                         "%s, /v1/models: the answer has no data[0].id; expected a model's name",
                         address->name);
    return true;
}
