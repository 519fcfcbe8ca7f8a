/* SPDX-License-Identifier: MIT */
#include "tools/client/delta.h"

#include <string.h>

static uint32_t count(const json_t *object, const char *key)
{
    json_int_t v = json_integer_value(json_object_get(object, key));
    return v > 0 && v <= UINT32_MAX ? (uint32_t)v : 0;
}

bool qr_delta_read(struct qr_delta *chunk, const char *data, size_t data_n)
{
    *chunk = (struct qr_delta){.text = ""};
    while (data_n && (data[data_n - 1] == ' ' || data[data_n - 1] == '\r'))
        data_n--;
    if (data_n == 6 && !memcmp(data, "[DONE]", 6)) {
        chunk->done = true;
        return true;
    }
    chunk->json = json_loadb(data, data_n, JSON_ALLOW_NUL, NULL);
    if (!json_is_object(chunk->json)) {
        qr_delta_release(chunk);
        return false;
    }
    const json_t *error = json_object_get(chunk->json, "error");
    if (error && !json_is_null(error)) {
        const char *text = json_string_value(json_object_get(error, "message"));
        if (!text) text = json_string_value(error);
        chunk->error = text ? text : "an error without a message";
    }
    const json_t *choice = json_array_get(json_object_get(chunk->json, "choices"), 0);
    if (choice) {
        const json_t *delta = json_object_get(choice, "delta");
        const json_t *text = json_object_get(choice, "text");
        if (delta) text = json_object_get(delta, "content");
        if (json_is_string(text)) {
            chunk->text = json_string_value(text);
            chunk->text_n = json_string_length(text);
        }
        chunk->finish = json_string_value(json_object_get(choice, "finish_reason"));
        const json_t *ids = json_object_get(choice, "token_ids");
        if (json_is_array(ids)) chunk->token_ids = ids;
        bool announces = delta && json_object_get(delta, "role") && chunk->text_n == 0;
        chunk->has_token = !announces || chunk->finish;
    }
    const json_t *usage = json_object_get(chunk->json, "usage");
    if (json_is_object(usage)) {
        chunk->has_usage = true;
        chunk->prompt_n = count(usage, "prompt_tokens");
        chunk->completion_n = count(usage, "completion_tokens");
        chunk->cached_n = count(json_object_get(usage, "prompt_tokens_details"), "cached_tokens");
    }
    return true;
}

void qr_delta_release(struct qr_delta *chunk)
{
    json_decref(chunk->json);
    *chunk = (struct qr_delta){.text = ""};
}
