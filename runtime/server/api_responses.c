/* SPDX-License-Identifier: MIT */
/* POST /v1/responses, stateless: an answer as output items, whole or as typed events.
 *
 *   created, in_progress, then for each item: added ... deltas ... done, then completed,
 *   incomplete or failed
 *
 * An item is a part of the message: reasoning, text or a call. */
#include <string.h>
#include <time.h>

#include "runtime/server/api.h"
#include "runtime/server/conn.h"
#include "runtime/server/generation.h"
#include "runtime/server/json_write.h"
#include "runtime/server/logprobs.h"
#include "runtime/server/translate.h"

/* ---- items --------------------------------------------------------------------------------- */

static const char *const kinds[] = {
    [QR_MESSAGE_REASONING] = "reasoning",
    [QR_MESSAGE_TEXT] = "message",
    [QR_MESSAGE_CALL] = "function_call",
};
static const char *const id_prefixes[] = {
    [QR_MESSAGE_REASONING] = "rs_",
    [QR_MESSAGE_TEXT] = "msg_",
    [QR_MESSAGE_CALL] = "fc_",
};

/* The response's own id without "resp_", with the item's index. */
static void put_item_id(const struct qr_generation_choice *choice, size_t i, struct qr_buffer *out)
{
    const char *id = strchr(choice->generation->id, '_') + 1;
    qr_buffer_printf(out, "\"%s%s%zu\"", id_prefixes[choice->message.parts[i].kind], id, i);
}

/* The logprobs of all tokens go with the first text. */
static bool has_scores(const struct qr_generation_choice *choice, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (choice->message.parts[k].kind == QR_MESSAGE_TEXT) return false;
    return choice->params->logprobs >= 0;
}

/* A part of an item's content; empty: as it begins. */
static void put_content(const struct qr_generation_choice *choice, size_t i, bool empty,
                        struct qr_buffer *out)
{
    const struct qr_message_part *part = &choice->message.parts[i];
    const size_t n = empty ? 0 : part->text.n;

    if (part->kind == QR_MESSAGE_REASONING) {
        qr_buffer_puts(out, "{\"type\":\"reasoning_text\",\"text\":");
        qr_json_put_string(out, part->text.data, n);
        qr_buffer_puts(out, "}");
        return;
    }
    qr_buffer_puts(out, "{\"type\":\"output_text\",\"text\":");
    qr_json_put_string(out, part->text.data, n);
    qr_buffer_puts(out, ",\"annotations\":[],\"logprobs\":[");
    if (!empty && has_scores(choice, i)) qr_buffer_put(out, choice->scores.data, choice->scores.n);
    qr_buffer_puts(out, "]}");
}

/* The last item of an answer that was cut is incomplete. */
static const char *status_of(const struct qr_generation_choice *choice, size_t i)
{
    if (!qr_message_part_is_complete(&choice->message, i)) return "in_progress";
    if (choice->ended && choice->finish == QUIRE_FINISH_LENGTH && i + 1 == choice->message.parts_n)
        return "incomplete";
    return "completed";
}

/* empty: as the event that adds it shows it. */
static void put_item(const struct qr_generation_choice *choice, size_t i, bool empty,
                     struct qr_buffer *out)
{
    const struct qr_message_part *part = &choice->message.parts[i];

    qr_buffer_puts(out, "{\"id\":");
    put_item_id(choice, i, out);
    qr_buffer_printf(out, ",\"type\":\"%s\",\"status\":\"%s\"", kinds[part->kind],
                     empty ? "in_progress" : status_of(choice, i));
    if (part->kind == QR_MESSAGE_CALL) {
        qr_buffer_puts(out, ",\"call_id\":");
        qr_json_put_string(out, part->id.data, part->id.n);
        qr_buffer_puts(out, ",\"name\":");
        qr_json_put_string(out, part->name.data, part->name.n);
        qr_buffer_puts(out, ",\"arguments\":");
        qr_json_put_string(out, part->text.data, empty ? 0 : part->text.n);
    } else {
        qr_buffer_puts(out, part->kind == QR_MESSAGE_REASONING
                                ? ",\"summary\":[],\"encrypted_content\":null,\"content\":["
                                : ",\"role\":\"assistant\",\"content\":[");
        if (!empty) put_content(choice, i, false, out);
        qr_buffer_puts(out, "]");
    }
    qr_buffer_puts(out, "}");
}

/* ---- the response -------------------------------------------------------------------------- */

/* What the request said, or else the default as JSON. */
static void put_echo(const struct qr_generation *generation, const char *name, const char *missing,
                     struct qr_buffer *out)
{
    const struct qr_json *value = qr_json_get(generation->document, name);

    qr_buffer_printf(out, ",\"%s\":", name);
    if (value)
        qr_json_dump(value, out);
    else
        qr_buffer_puts(out, missing);
}

static void put_tool(const struct qr_json *tool, struct qr_buffer *out)
{
    static const char *const members[] = {"type", "name", "description", "parameters", "strict"};

    qr_json_put_comma(out);
    qr_buffer_puts(out, "{");
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        const struct qr_json *value = qr_json_get(tool, members[i]);
        qr_json_put_comma(out);
        qr_buffer_printf(out, "\"%s\":", members[i]);
        if (value)
            qr_json_dump(value, out);
        else
            qr_buffer_puts(out, strcmp(members[i], "strict") == 0 ? "false" : "null");
    }
    qr_buffer_puts(out, "}");
}

static void put_request(const struct qr_generation *generation, struct qr_buffer *out)
{
    const struct qr_json *body = generation->document;
    const struct qr_json *reasoning = qr_json_get(body, "reasoning");
    const struct qr_json *text = qr_json_get(body, "text");
    const struct qr_json *tools = qr_json_get(body, "tools");
    const struct qr_json *effort = qr_json_get(reasoning, "effort");
    const struct qr_json *format = qr_json_get(text, "format");

    put_echo(generation, "instructions", "null", out);
    put_echo(generation, "max_output_tokens", "null", out);
    put_echo(generation, "max_tool_calls", "null", out);
    put_echo(generation, "metadata", "{}", out);
    put_echo(generation, "parallel_tool_calls", "true", out);
    put_echo(generation, "temperature", "1", out);
    put_echo(generation, "top_p", "1", out);
    put_echo(generation, "top_logprobs", "0", out);
    put_echo(generation, "tool_choice", "\"auto\"", out);
    put_echo(generation, "user", "null", out);
    put_echo(generation, "safety_identifier", "null", out);
    put_echo(generation, "prompt_cache_key", "null", out);
    qr_buffer_puts(out, ",\"previous_response_id\":null,\"service_tier\":\"default\","
                        "\"store\":false,\"truncation\":\"disabled\",\"background\":false,"
                        "\"reasoning\":{\"effort\":");
    if (effort)
        qr_json_dump(effort, out);
    else
        qr_buffer_puts(out, "null");
    qr_buffer_puts(out, ",\"summary\":null},\"text\":{\"format\":");
    if (format)
        qr_json_dump(format, out);
    else
        qr_buffer_puts(out, "{\"type\":\"text\"}");
    qr_buffer_puts(out, "},\"tools\":[");
    for (size_t i = 0; i < qr_json_length(tools); i++)
        put_tool(qr_json_at(tools, i), out);
    qr_buffer_puts(out, "]");
}

static void put_usage(const struct qr_generation_choice *choice, struct qr_buffer *out)
{
    const struct quire_usage *u = &choice->usage;

    qr_buffer_printf(
        out,
        ",\"usage\":{\"input_tokens\":%u,\"input_tokens_details\":{\"cached_tokens\":%u,"
        "\"cache_write_tokens\":0},\"output_tokens\":%u,\"output_tokens_details\":{"
        "\"reasoning_tokens\":%u},\"total_tokens\":%u}",
        u->prompt_tokens, u->cached_tokens, u->completion_tokens, choice->message.reasoning_tokens,
        u->prompt_tokens + u->completion_tokens);
}

/* status: "in_progress" has no output and no usage. */
static void put_response(const struct qr_generation *generation, const char *status,
                         struct qr_buffer *out)
{
    const struct qr_generation_choice *choice = &generation->choices[0];
    const bool begun = strcmp(status, "in_progress") == 0;

    qr_buffer_printf(out,
                     "{\"id\":\"%s\",\"object\":\"response\",\"created_at\":%llu,\"status\":\"%s\"",
                     generation->id, (unsigned long long)generation->created_s, status);
    if (strcmp(status, "completed") == 0)
        qr_buffer_printf(out, ",\"completed_at\":%llu", (unsigned long long)time(NULL));
    else
        qr_buffer_puts(out, ",\"completed_at\":null");
    qr_buffer_puts(out, ",\"error\":");
    if (strcmp(status, "failed") == 0) {
        qr_buffer_puts(out, "{\"code\":\"server_error\",\"message\":");
        qr_json_put_cstring(out, generation->failure.message);
        qr_buffer_puts(out, "}");
    } else {
        qr_buffer_puts(out, "null");
    }
    qr_buffer_puts(out, strcmp(status, "incomplete") == 0
                            ? ",\"incomplete_details\":{\"reason\":\"max_output_tokens\"}"
                            : ",\"incomplete_details\":null");
    qr_buffer_puts(out, ",\"model\":");
    qr_json_put_cstring(out, generation->job.server->settings.name);
    qr_buffer_puts(out, ",\"output\":[");
    for (size_t i = 0; !begun && i < choice->message.parts_n; i++) {
        qr_json_put_comma(out);
        put_item(choice, i, false, out);
    }
    qr_buffer_puts(out, "]");
    put_request(generation, out);
    if (begun)
        qr_buffer_puts(out, ",\"usage\":null");
    else
        put_usage(choice, out);
    qr_buffer_puts(out, "}");
}

static const char *end_of(const struct qr_generation *generation)
{
    if (generation->failure.http_status) return "failed";
    return generation->choices[0].finish == QUIRE_FINISH_LENGTH ? "incomplete" : "completed";
}

static void put_answer(struct qr_generation *generation, struct qr_buffer *out)
{
    put_response(generation, end_of(generation), out);
}

/* ---- events -------------------------------------------------------------------------------- */

static void begin_event(struct qr_generation *generation, const char *type, struct qr_buffer *out)
{
    qr_buffer_init(out, &generation->job.server->settings.memory);
    qr_buffer_printf(out, "{\"type\":\"%s\",\"sequence_number\":%u", type,
                     generation->sequence_n++);
}

static void send_event(struct qr_generation *generation, const char *type, struct qr_buffer *out)
{
    qr_buffer_puts(out, "}");
    out->failed |= qr_choice_failed(&generation->choices[0]);
    qr_generation_put_event(generation, type, out);
    qr_buffer_deinit(out);
}

static void send_response(struct qr_generation *generation, const char *type, const char *status)
{
    struct qr_buffer out;

    begin_event(generation, type, &out);
    qr_buffer_puts(&out, ",\"response\":");
    put_response(generation, status, &out);
    send_event(generation, type, &out);
}

static void send_item(struct qr_generation_choice *choice, const char *type, size_t i, bool empty)
{
    struct qr_buffer out;

    begin_event(choice->generation, type, &out);
    qr_buffer_printf(&out, ",\"output_index\":%zu,\"item\":", i);
    put_item(choice, i, empty, &out);
    send_event(choice->generation, type, &out);
}

/* Begins an event about item i's content. */
static void begin_content(struct qr_generation_choice *choice, const char *type, size_t i,
                          struct qr_buffer *out)
{
    begin_event(choice->generation, type, out);
    qr_buffer_printf(out, ",\"output_index\":%zu,\"item_id\":", i);
    put_item_id(choice, i, out);
    if (choice->message.parts[i].kind != QR_MESSAGE_CALL)
        qr_buffer_puts(out, ",\"content_index\":0");
}

static void send_part(struct qr_generation_choice *choice, const char *type, size_t i, bool empty)
{
    struct qr_buffer out;

    begin_content(choice, type, i, &out);
    qr_buffer_puts(&out, ",\"part\":");
    put_content(choice, i, empty, &out);
    send_event(choice->generation, type, &out);
}

static void open_item(struct qr_generation_choice *choice, size_t i)
{
    send_item(choice, "response.output_item.added", i, true);
    if (choice->message.parts[i].kind != QR_MESSAGE_CALL)
        send_part(choice, "response.content_part.added", i, true);
    choice->message.parts[i].opened = true;
}

static void send_text(struct qr_generation_choice *choice, size_t i)
{
    static const char *const types[] = {
        [QR_MESSAGE_REASONING] = "response.reasoning_text.delta",
        [QR_MESSAGE_TEXT] = "response.output_text.delta",
        [QR_MESSAGE_CALL] = "response.function_call_arguments.delta",
    };
    struct qr_message_part *part = &choice->message.parts[i];
    struct qr_buffer out;

    if (part->sent == part->text.n) return;
    begin_content(choice, types[part->kind], i, &out);
    qr_buffer_puts(&out, ",\"delta\":");
    qr_json_put_string(&out, part->text.data + part->sent, part->text.n - part->sent);
    if (part->kind == QR_MESSAGE_TEXT) {
        qr_buffer_puts(&out, ",\"logprobs\":[");
        if (has_scores(choice, i)) qr_buffer_put(&out, choice->content.data, choice->content.n);
        qr_buffer_puts(&out, "]");
    }
    part->sent = part->text.n;
    send_event(choice->generation, types[part->kind], &out);
}

static void close_item(struct qr_generation_choice *choice, size_t i)
{
    static const char *const types[] = {
        [QR_MESSAGE_REASONING] = "response.reasoning_text.done",
        [QR_MESSAGE_TEXT] = "response.output_text.done",
        [QR_MESSAGE_CALL] = "response.function_call_arguments.done",
    };
    struct qr_message_part *part = &choice->message.parts[i];
    struct qr_buffer out;

    begin_content(choice, types[part->kind], i, &out);
    if (part->kind == QR_MESSAGE_CALL) {
        qr_buffer_puts(&out, ",\"name\":");
        qr_json_put_string(&out, part->name.data, part->name.n);
        qr_buffer_puts(&out, ",\"arguments\":");
    } else {
        qr_buffer_puts(&out, ",\"text\":");
    }
    qr_json_put_string(&out, part->text.data, part->text.n);
    if (part->kind == QR_MESSAGE_TEXT) {
        qr_buffer_puts(&out, ",\"logprobs\":[");
        if (has_scores(choice, i)) qr_buffer_put(&out, choice->scores.data, choice->scores.n);
        qr_buffer_puts(&out, "]");
    }
    send_event(choice->generation, types[part->kind], &out);
    if (part->kind != QR_MESSAGE_CALL) send_part(choice, "response.content_part.done", i, false);
    send_item(choice, "response.output_item.done", i, false);
    part->closed = true;
}

static void begin(struct qr_generation *generation)
{
    if (generation->begun) return;
    generation->begun = true;
    send_response(generation, "response.created", "in_progress");
    send_response(generation, "response.in_progress", "in_progress");
}

static void send_delta(struct qr_generation_choice *choice)
{
    struct qr_message *message = &choice->message;

    begin(choice->generation);
    for (size_t i = 0; i < message->parts_n; i++) {
        if (message->parts[i].closed) continue;
        if (!message->parts[i].opened) open_item(choice, i);
        send_text(choice, i);
        if (qr_message_part_is_complete(message, i)) close_item(choice, i);
    }
    choice->opened = true;
    choice->closed = choice->ended;
    qr_choice_clear_delta(choice);
}

static void send_end(struct qr_generation *generation)
{
    static const char *const types[] = {"response.failed", "response.incomplete",
                                        "response.completed"};
    const char *status = end_of(generation);

    begin(generation);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i] + strlen("response."), status) == 0)
            send_response(generation, types[i], status);
    qr_conn_stream_end(generation->job.conn, false);
}

void qr_api_responses(struct qr_conn *conn)
{
    static const struct qr_generation_kind kind = {
        .endpoint = QR_CHAT,
        .id_prefix = "resp_",
        .translate = qr_responses_translate,
        .rename = qr_responses_rename,
        .cuts_max_tokens = true,
        .is_message = true,
        .keeps_scores = true,
        .read_prompts = qr_prompts_read_chat,
        .add_logprobs = qr_logprobs_add_chat,
        .put_answer = put_answer,
        .send_delta = send_delta,
        .send_end = send_end,
    };
    qr_generation_begin(conn, &kind);
}
