/* SPDX-License-Identifier: MIT */
#include "tools/client/delta.h"

#include "tools/client/bytes.h"

static uint32_t count(const json_t *object, const char *key)
{
    json_int_t v = json_integer_value(json_object_get(object, key));
    return v > 0 && v <= UINT32_MAX ? (uint32_t)v : 0;
}

bool qr_delta_read(struct qr_delta *out, const char *data, size_t data_n)
{
    *out = (struct qr_delta){.text = ""};
    while (data_n && (data[data_n - 1] == ' ' || data[data_n - 1] == '\r'))
        data_n--;
    if (qr_bytes_are(data, data_n, "[DONE]")) {
        out->done = true;
        return true;
    }
    out->json = json_loadb(data, data_n, JSON_ALLOW_NUL, NULL);
    if (!json_is_object(out->json)) {
        qr_delta_release(out);
        return false;
    }
    const json_t *error = json_object_get(out->json, "error");
    if (error && !json_is_null(error)) {
        const char *text = json_string_value(json_object_get(error, "message"));
        if (!text) text = json_string_value(error);
        out->error = text ? text : "an error without a message";
    }
    const json_t *choice = json_array_get(json_object_get(out->json, "choices"), 0);
    if (choice) {
        const json_t *delta = json_object_get(choice, "delta");
        const json_t *text = json_object_get(choice, "text");
        if (delta) text = json_object_get(delta, "content");
        if (json_is_string(text)) {
            out->text = json_string_value(text);
            out->text_n = json_string_length(text);
        }
        out->finish = json_string_value(json_object_get(choice, "finish_reason"));
        const json_t *ids = json_object_get(choice, "token_ids");
        if (json_is_array(ids)) out->token_ids = ids;
        bool announces = delta && json_object_get(delta, "role") && out->text_n == 0;
        out->has_token = !announces || out->finish;
    }
    const json_t *usage = json_object_get(out->json, "usage");
    if (json_is_object(usage)) {
        out->has_usage = true;
        out->prompt_n = count(usage, "prompt_tokens");
        out->completion_n = count(usage, "completion_tokens");
        out->cached_n = count(json_object_get(usage, "prompt_tokens_details"), "cached_tokens");
    }
    return true;
}

void qr_delta_release(struct qr_delta *out)
{
    json_decref(out->json);
    *out = (struct qr_delta){.text = ""};
}
