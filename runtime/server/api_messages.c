/* SPDX-License-Identifier: MIT */
/* POST /v1/messages: an answer as content blocks, whole or as typed events.
 *
 *   message_start, then for each block: start ... deltas ... stop, then message_delta, message_stop
 *
 * A block is a part of the message: thinking, text or tool_use. */
#include <string.h>

#include "runtime/server/api.h"
#include "runtime/server/conn.h"
#include "runtime/server/generation.h"
#include "runtime/server/json_write.h"
#include "runtime/server/translate.h"

/* Clients take an empty signature for a broken stream; this one signs nothing. */
#define SIGNATURE "unsigned"

/* ---- blocks -------------------------------------------------------------------------------- */

/* A call's arguments as JSON; those that were cut are {}. */
static void put_input(const struct qr_message_part *part, struct qr_buffer *out)
{
    char why[200];
    struct qr_json *input = qr_json_parse(part->text.data, part->text.n, why, sizeof why);

    if (qr_json_type(input) == QR_JSON_OBJECT)
        qr_buffer_put(out, part->text.data, part->text.n);
    else
        qr_buffer_puts(out, "{}");
    qr_json_free(input);
}

/* empty: as the event that starts it shows it. */
static void put_block(const struct qr_message_part *part, bool empty, struct qr_buffer *out)
{
    const size_t n = empty ? 0 : part->text.n;

    switch (part->kind) {
    case QR_MESSAGE_REASONING:
        qr_buffer_puts(out, "{\"type\":\"thinking\",\"thinking\":");
        qr_json_put_string(out, part->text.data, n);
        qr_buffer_printf(out, ",\"signature\":\"%s\"}", empty ? "" : SIGNATURE);
        break;
    case QR_MESSAGE_TEXT:
        qr_buffer_puts(out, "{\"type\":\"text\",\"text\":");
        qr_json_put_string(out, part->text.data, n);
        qr_buffer_puts(out, "}");
        break;
    case QR_MESSAGE_CALL:
        qr_buffer_puts(out, "{\"type\":\"tool_use\",\"id\":\"toolu_");
        qr_json_put_string_part(out, part->id.data, part->id.n);
        qr_buffer_puts(out, "\",\"name\":");
        qr_json_put_string(out, part->name.data, part->name.n);
        qr_buffer_puts(out, ",\"input\":");
        if (empty)
            qr_buffer_puts(out, "{}");
        else
            put_input(part, out);
        qr_buffer_puts(out, "}");
        break;
    }
}

/* ---- the message --------------------------------------------------------------------------- */

static void put_stop(const struct qr_generation_choice *choice, struct qr_buffer *out)
{
    const char *reason = "end_turn";

    if (choice->finish == QUIRE_FINISH_LENGTH)
        reason = "max_tokens";
    else if (qr_message_has(&choice->message, QR_MESSAGE_CALL))
        reason = "tool_use";
    else if (choice->stop.n > 0)
        reason = "stop_sequence";
    qr_buffer_printf(out, "\"stop_reason\":\"%s\",\"stop_sequence\":", reason);
    if (strcmp(reason, "stop_sequence") == 0)
        qr_json_put_string(out, choice->stop.data, choice->stop.n);
    else
        qr_buffer_puts(out, "null");
}

/* The three inputs add up to the prompt. */
static void put_usage(const struct qr_generation_choice *choice, bool begun, struct qr_buffer *out)
{
    const struct quire_usage *u = &choice->usage;

    qr_buffer_printf(out,
                     "\"usage\":{\"input_tokens\":%u,\"cache_creation_input_tokens\":0,"
                     "\"cache_read_input_tokens\":%u,\"output_tokens\":%u}",
                     u->prompt_tokens - u->cached_tokens, u->cached_tokens,
                     begun ? 0 : u->completion_tokens);
}

static void put_message(const struct qr_generation *generation, bool begun, struct qr_buffer *out)
{
    const struct qr_generation_choice *choice = &generation->choices[0];

    qr_buffer_printf(out, "{\"id\":\"%s\",\"type\":\"message\",\"role\":\"assistant\",\"model\":",
                     generation->id);
    qr_json_put_cstring(out, generation->job.server->settings.name);
    qr_buffer_puts(out, ",\"content\":[");
    for (size_t i = 0; !begun && i < choice->message.parts_n; i++) {
        qr_json_put_comma(out);
        put_block(&choice->message.parts[i], false, out);
    }
    qr_buffer_puts(out, "],");
    if (begun)
        qr_buffer_puts(out, "\"stop_reason\":null,\"stop_sequence\":null");
    else
        put_stop(choice, out);
    qr_buffer_puts(out, ",");
    put_usage(choice, begun, out);
    qr_buffer_puts(out, "}");
}

static void put_answer(struct qr_generation *generation, struct qr_buffer *out)
{
    put_message(generation, false, out);
}

/* ---- events -------------------------------------------------------------------------------- */

static void begin_event(struct qr_generation *generation, const char *type, struct qr_buffer *out)
{
    qr_buffer_init(out, &generation->job.server->settings.memory);
    qr_buffer_printf(out, "{\"type\":\"%s\"", type);
}

static void send_event(struct qr_generation *generation, const char *type, struct qr_buffer *out)
{
    qr_buffer_puts(out, "}");
    out->failed |= qr_choice_failed(&generation->choices[0]);
    qr_generation_put_event(generation, type, out);
    qr_buffer_deinit(out);
}

static void begin(struct qr_generation *generation)
{
    struct qr_buffer out;

    if (generation->begun) return;
    generation->begun = true;
    begin_event(generation, "message_start", &out);
    qr_buffer_puts(&out, ",\"message\":");
    put_message(generation, true, &out);
    send_event(generation, "message_start", &out);
}

static void open_block(struct qr_generation_choice *choice, size_t i)
{
    struct qr_buffer out;

    begin_event(choice->generation, "content_block_start", &out);
    qr_buffer_printf(&out, ",\"index\":%zu,\"content_block\":", i);
    put_block(&choice->message.parts[i], true, &out);
    send_event(choice->generation, "content_block_start", &out);
    choice->message.parts[i].opened = true;
}

static void send_delta_of(struct qr_generation_choice *choice, size_t i, const char *type,
                          const char *member, struct quire_text text)
{
    struct qr_buffer out;

    begin_event(choice->generation, "content_block_delta", &out);
    qr_buffer_printf(&out, ",\"index\":%zu,\"delta\":{\"type\":\"%s\",\"%s\":", i, type, member);
    qr_json_put_string(&out, text.data, text.n);
    qr_buffer_puts(&out, "}");
    send_event(choice->generation, "content_block_delta", &out);
}

static void send_text(struct qr_generation_choice *choice, size_t i)
{
    static const char *const types[][2] = {
        [QR_MESSAGE_REASONING] = {"thinking_delta", "thinking"},
        [QR_MESSAGE_TEXT] = {"text_delta", "text"},
        [QR_MESSAGE_CALL] = {"input_json_delta", "partial_json"},
    };
    struct qr_message_part *part = &choice->message.parts[i];

    if (part->sent == part->text.n) return;
    const struct quire_text text = {part->text.data + part->sent, part->text.n - part->sent};
    part->sent = part->text.n;
    send_delta_of(choice, i, types[part->kind][0], types[part->kind][1], text);
}

static void close_block(struct qr_generation_choice *choice, size_t i)
{
    struct qr_buffer out;

    if (choice->message.parts[i].kind == QR_MESSAGE_REASONING)
        send_delta_of(choice, i, "signature_delta", "signature",
                      (struct quire_text){SIGNATURE, strlen(SIGNATURE)});
    begin_event(choice->generation, "content_block_stop", &out);
    qr_buffer_printf(&out, ",\"index\":%zu", i);
    send_event(choice->generation, "content_block_stop", &out);
    choice->message.parts[i].closed = true;
}

static void send_delta(struct qr_generation_choice *choice)
{
    struct qr_message *message = &choice->message;

    begin(choice->generation);
    for (size_t i = 0; i < message->parts_n; i++) {
        if (message->parts[i].closed) continue;
        if (!message->parts[i].opened) open_block(choice, i);
        send_text(choice, i);
        if (qr_message_part_is_complete(message, i)) close_block(choice, i);
    }
    choice->opened = true;
    choice->closed = choice->ended;
    qr_choice_clear_delta(choice);
}

static void send_end(struct qr_generation *generation)
{
    const struct qr_generation_choice *choice = &generation->choices[0];
    struct qr_buffer out;

    if (generation->failure.http_status) {
        qr_buffer_init(&out, &generation->job.server->settings.memory);
        qr_conn_put_failure(generation->job.conn, &generation->failure, &out);
        if (!out.failed) qr_conn_stream_put(generation->job.conn, "error", out.data, out.n);
        qr_buffer_deinit(&out);
        qr_conn_stream_end(generation->job.conn, false);
        return;
    }
    begin(generation);
    begin_event(generation, "message_delta", &out);
    qr_buffer_puts(&out, ",\"delta\":{");
    put_stop(choice, &out);
    qr_buffer_printf(&out, "},\"usage\":{\"output_tokens\":%u}", choice->usage.completion_tokens);
    send_event(generation, "message_delta", &out);
    begin_event(generation, "message_stop", &out);
    send_event(generation, "message_stop", &out);
    qr_conn_stream_end(generation->job.conn, false);
}

void qr_api_messages(struct qr_conn *conn)
{
    static const struct qr_generation_kind kind = {
        .endpoint = QR_CHAT,
        .id_prefix = "msg_",
        .translate = qr_messages_translate,
        .rename = qr_messages_rename,
        .cuts_max_tokens = true,
        .is_message = true,
        .read_prompts = qr_prompts_read_chat,
        .put_answer = put_answer,
        .send_delta = send_delta,
        .send_end = send_end,
    };
    qr_generation_begin(conn, &kind);
}
