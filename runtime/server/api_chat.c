/* SPDX-License-Identifier: MIT */
/* POST /v1/chat/completions: a conversation in, its next message out. */
#include "runtime/server/api.h"
#include "runtime/server/generation.h"
#include "runtime/server/json_write.h"
#include "runtime/server/logprobs.h"

static void put_logprobs(const struct qr_generation_choice *choice, struct qr_buffer *out)
{
    qr_buffer_puts(out, ",\"logprobs\":");
    if (choice->params->logprobs >= 0)
        qr_logprobs_put_chat(choice, out);
    else
        qr_buffer_puts(out, "null");
}

/* Writes the last members of a choice, without the closing bracket. */
static void put_end(const struct qr_generation_choice *choice, struct qr_buffer *out)
{
    qr_buffer_puts(out, ",\"finish_reason\":");
    qr_choice_put_finish(choice, out);
    qr_buffer_puts(out, ",\"stop_reason\":");
    qr_choice_put_stop_reason(choice, out);
    if (choice->params->return_token_ids) {
        qr_buffer_puts(out, ",\"token_ids\":[");
        qr_buffer_put(out, choice->ids.data, choice->ids.n);
        qr_buffer_put(out, "]", 1);
    }
}

static void put_prompt_ids(const struct qr_generation *generation, struct qr_buffer *out)
{
    if (!generation->params.return_token_ids) return;
    qr_buffer_puts(out, ",\"prompt_token_ids\":");
    qr_json_put_ids(out, generation->prompts.all[0].ids, generation->prompts.all[0].ids_n);
}

static void put_choices(struct qr_generation *generation, struct qr_buffer *out)
{
    qr_buffer_puts(out, "\"choices\":[");
    for (size_t i = 0; i < generation->choices_n; i++) {
        const struct qr_generation_choice *choice = &generation->choices[i];
        qr_json_put_comma(out);
        qr_buffer_printf(
            out, "{\"index\":%u,\"message\":{\"role\":\"assistant\",\"content\":", choice->index);
        qr_json_put_string(out, choice->text.data, choice->text.n);
        qr_buffer_puts(out, ",\"refusal\":null}");
        put_logprobs(choice, out);
        put_end(choice, out);
        qr_buffer_put(out, "}", 1);
    }
    qr_buffer_put(out, "]", 1);
    put_prompt_ids(generation, out);
    if (generation->params.prompt_logprobs >= 0) {
        const struct qr_buffer *scores = &generation->choices[0].prompt_logprobs;
        qr_buffer_puts(out, ",\"prompt_logprobs\":[");
        qr_buffer_put(out, scores->data, scores->n);
        qr_buffer_put(out, "]", 1);
    }
}

static void put_role(const struct qr_generation_choice *choice, struct qr_buffer *out)
{
    qr_buffer_printf(out,
                     "\"choices\":[{\"index\":%u,\"delta\":{\"role\":\"assistant\","
                     "\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}]",
                     choice->index);
}

static void put_delta(struct qr_generation_choice *choice, struct qr_buffer *out)
{
    qr_buffer_printf(out, "\"choices\":[{\"index\":%u,\"delta\":{\"content\":", choice->index);
    qr_json_put_string(out, choice->text.data, choice->text.n);
    qr_buffer_put(out, "}", 1);
    put_logprobs(choice, out);
    put_end(choice, out);
    qr_buffer_puts(out, "}]");
    if (!choice->opened) put_prompt_ids(choice->generation, out);
}

void qr_api_chat(struct qr_conn *conn)
{
    static const struct qr_generation_kind kind = {
        .endpoint = QR_CHAT,
        .id_prefix = "chatcmpl-",
        .object = "chat.completion",
        .delta_object = "chat.completion.chunk",
        .read_prompts = qr_prompts_read_chat,
        .add_logprobs = qr_logprobs_add_chat,
        .put_opening = put_role,
        .put_choices = put_choices,
        .put_delta = put_delta,
    };
    qr_generation_begin(conn, &kind);
}
