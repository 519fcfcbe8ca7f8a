/* SPDX-License-Identifier: MIT */
/* POST /v1/chat/completions: a conversation in, its next message out. */
#include "runtime/server/api.h"
#include "runtime/server/generation.h"
#include "runtime/server/json_write.h"
#include "runtime/server/logprobs.h"
#include "runtime/server/openai.h"

static void put_logprobs(const struct qr_generation_choice *choice, struct qr_buffer *out)
{
    qr_buffer_puts(out, ",\"logprobs\":");
    if (choice->params->logprobs >= 0 && choice->content.n > 0)
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

/* The parts of one kind, put together as a JSON string. */
static void put_parts(const struct qr_message *message, enum qr_message_kind kind,
                      struct qr_buffer *out)
{
    qr_buffer_put(out, "\"", 1);
    for (size_t i = 0; i < message->parts_n; i++) {
        const struct qr_message_part *part = &message->parts[i];
        if (part->kind == kind) qr_json_put_string_part(out, part->text.data, part->text.n);
    }
    qr_buffer_put(out, "\"", 1);
}

static void put_calls(const struct qr_message *message, struct qr_buffer *out)
{
    qr_buffer_puts(out, ",\"tool_calls\":[");
    for (size_t i = 0; i < message->parts_n; i++) {
        const struct qr_message_part *part = &message->parts[i];
        if (part->kind != QR_MESSAGE_CALL) continue;
        qr_json_put_comma(out);
        qr_buffer_puts(out, "{\"id\":");
        qr_json_put_string(out, part->id.data, part->id.n);
        qr_buffer_puts(out, ",\"type\":\"function\",\"function\":{\"name\":");
        qr_json_put_string(out, part->name.data, part->name.n);
        qr_buffer_puts(out, ",\"arguments\":");
        qr_json_put_string(out, part->text.data, part->text.n);
        qr_buffer_puts(out, "}}");
    }
    qr_buffer_puts(out, "]");
}

/* content is null where there is a call or reasoning and no text. */
static void put_message(const struct qr_message *message, struct qr_buffer *out)
{
    const bool calls = qr_message_has(message, QR_MESSAGE_CALL);
    const bool reasons = qr_message_has(message, QR_MESSAGE_REASONING);

    qr_buffer_puts(out, "\"message\":{\"role\":\"assistant\",\"content\":");
    if (qr_message_has(message, QR_MESSAGE_TEXT) || (!calls && !reasons))
        put_parts(message, QR_MESSAGE_TEXT, out);
    else
        qr_buffer_puts(out, "null");
    if (reasons) {
        qr_buffer_puts(out, ",\"reasoning_content\":");
        put_parts(message, QR_MESSAGE_REASONING, out);
        qr_buffer_puts(out, ",\"reasoning\":");
        put_parts(message, QR_MESSAGE_REASONING, out);
    }
    if (calls) put_calls(message, out);
    qr_buffer_puts(out, ",\"refusal\":null}");
}

static void put_choices(struct qr_generation *generation, struct qr_buffer *out)
{
    qr_buffer_puts(out, "\"choices\":[");
    for (size_t i = 0; i < generation->choices_n; i++) {
        const struct qr_generation_choice *choice = &generation->choices[i];
        qr_json_put_comma(out);
        qr_buffer_printf(out, "{\"index\":%u,", choice->index);
        put_message(&choice->message, out);
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

/* ---- streams ------------------------------------------------------------------------------- */

static void put_role(const struct qr_generation_choice *choice, struct qr_buffer *out)
{
    qr_buffer_printf(out,
                     "\"choices\":[{\"index\":%u,\"delta\":{\"role\":\"assistant\","
                     "\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}]",
                     choice->index);
}

static bool is_new(const struct qr_message_part *part, enum qr_message_kind kind)
{
    return part->kind == kind &&
           (part->sent < part->text.n || (kind == QR_MESSAGE_CALL && !part->opened));
}

static bool any_new(const struct qr_message *message, enum qr_message_kind kind)
{
    for (size_t i = 0; i < message->parts_n; i++)
        if (is_new(&message->parts[i], kind)) return true;
    return false;
}

/* The unsent text of one kind, as a member; marks nothing. */
static void put_new_text(const struct qr_message *message, enum qr_message_kind kind,
                         const char *name, struct qr_buffer *out)
{
    qr_buffer_printf(out, "\"%s\":\"", name);
    for (size_t i = 0; i < message->parts_n; i++) {
        const struct qr_message_part *part = &message->parts[i];
        if (is_new(part, kind))
            qr_json_put_string_part(out, part->text.data + part->sent, part->text.n - part->sent);
    }
    qr_buffer_puts(out, "\"");
}

/* The first delta of a call has id, type and name; later ones the arguments alone. */
static void put_new_calls(struct qr_message *message, struct qr_buffer *out)
{
    qr_buffer_puts(out, "\"tool_calls\":[");
    for (size_t i = 0; i < message->parts_n; i++) {
        struct qr_message_part *part = &message->parts[i];
        if (!is_new(part, QR_MESSAGE_CALL)) continue;
        qr_json_put_comma(out);
        qr_buffer_printf(out, "{\"index\":%u,", part->call);
        if (!part->opened) {
            qr_buffer_puts(out, "\"id\":");
            qr_json_put_string(out, part->id.data, part->id.n);
            qr_buffer_puts(out, ",\"type\":\"function\",\"function\":{\"name\":");
            qr_json_put_string(out, part->name.data, part->name.n);
            qr_buffer_puts(out, ",\"arguments\":");
        } else {
            qr_buffer_puts(out, "\"function\":{\"arguments\":");
        }
        const size_t sent = part->sent;
        qr_json_put_string(out, part->text.n ? part->text.data + sent : "", part->text.n - sent);
        qr_buffer_puts(out, "}}");
        part->opened = true;
    }
    qr_buffer_puts(out, "]");
}

static void put_delta(struct qr_generation_choice *choice, struct qr_buffer *out)
{
    struct qr_message *message = &choice->message;

    qr_buffer_printf(out, "\"choices\":[{\"index\":%u,\"delta\":{", choice->index);
    if (any_new(message, QR_MESSAGE_REASONING)) {
        put_new_text(message, QR_MESSAGE_REASONING, "reasoning_content", out);
        qr_buffer_puts(out, ",");
        put_new_text(message, QR_MESSAGE_REASONING, "reasoning", out);
    }
    if (any_new(message, QR_MESSAGE_TEXT) || (!choice->ended && !message->reader)) {
        qr_json_put_comma(out);
        put_new_text(message, QR_MESSAGE_TEXT, "content", out);
    }
    if (any_new(message, QR_MESSAGE_CALL)) {
        qr_json_put_comma(out);
        put_new_calls(message, out);
    }
    for (size_t i = 0; i < message->parts_n; i++)
        message->parts[i].sent = message->parts[i].text.n;
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
        .is_message = true,
        .id_prefix = "chatcmpl-",
        .object = "chat.completion",
        .delta_object = "chat.completion.chunk",
        .read_prompts = qr_prompts_read_chat,
        .add_logprobs = qr_logprobs_add_chat,
        .put_opening = put_role,
        .put_choices = put_choices,
        .put_delta = put_delta,
        .put_answer = qr_openai_put_answer,
        .send_delta = qr_openai_send_delta,
        .send_end = qr_openai_send_end,
    };
    qr_generation_begin(conn, &kind);
}
