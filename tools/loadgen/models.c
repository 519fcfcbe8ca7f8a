/* SPDX-License-Identifier: MIT */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/loadgen/run.h"

#define IDS_MAX (1 << 24) /* more than any vocabulary */

/* Does the server turn this id into text?  -1: it cannot be asked. */
static int knows_id(const struct qr_address *address, const char *api_key, int id)
{
    char body[64];
    struct qr_reply reply;
    struct qr_failure why;
    snprintf(body, sizeof body, "{\"tokens\":[%d]}", id);
    if (!qr_http_ask(address, api_key, "POST", "/detokenize", body, &reply, &why)) return -1;
    free(reply.body);
    return reply.status == 200 ? 1 : reply.status == 400 || reply.status == 422 ? 0 : -1;
}

/* The first id that /detokenize refuses, by halves. */
static uint32_t probe_vocabulary(const struct qr_address *address, const char *api_key)
{
    int known = 0, refused = IDS_MAX;
    if (knows_id(address, api_key, known) != 1 || knows_id(address, api_key, refused) != 0)
        return 0;
    while (refused - known > 1) {
        int middle = known + (refused - known) / 2;
        int answer = knows_id(address, api_key, middle);
        if (answer < 0) return 0;
        if (answer)
            known = middle;
        else
            refused = middle;
    }
    return (uint32_t)refused;
}

bool qr_run_ask_model(const struct qr_address *address, const char *api_key, char *model,
                      size_t model_n, uint32_t *vocab_n, struct qr_failure *why)
{
    struct qr_reply reply;
    *vocab_n = 0;
    if (!qr_http_ask(address, api_key, "GET", "/v1/models", NULL, &reply, why)) return false;
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
    *vocab_n = vocab > 0 && vocab <= IDS_MAX ? (uint32_t)vocab : probe_vocabulary(address, api_key);
    if (*vocab_n < 16) *vocab_n = 0; /* too few to draw from */
    if (name) snprintf(model, model_n, "%s", name);
    json_decref(json);
    if (!name)
        return qr_failed(why, "%s, /v1/models: no model was named in data[0].id", address->name);
    return true;
}
