/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "runtime/server/buffer.h"
#include "runtime/server/limits.h"
#include "runtime/server/params.h"
#include "runtime/server/translate.h"

struct messages_translation {
    struct qr_json *chat, *messages;
    const struct qr_json *list; /* the body's messages */
    struct qr_api_failure *failure;
};

/* Anthropic's errors have no param: the message names the place. */
static bool refuse(struct messages_translation *t, size_t i, const char *what,
                   struct quire_text given)
{
    return qr_fail_field(t->failure, "messages", "messages.%zu.%s%s%.*s%s", i, what,
                         given.n ? " \"" : "", (int)(given.n < 64 ? given.n : 64),
                         given.n ? given.data : "", given.n ? "\"" : "");
}

#define NOTHING ((struct quire_text){"", 0})

/* ---- ids ----------------------------------------------------------------------------------- */

/* Ids are sent as "toolu_" and the nine characters that every family's template takes. */
static struct quire_text id_of(const struct qr_json *value)
{
    static const char prefix[] = "toolu_";
    const size_t n = sizeof prefix - 1;
    struct quire_text id = qr_translate_text(value);

    if (id.n == n + 9 && memcmp(id.data, prefix, n) == 0)
        return (struct quire_text){id.data + n, id.n - n};
    return id;
}

static bool was_used(const struct messages_translation *t, struct quire_text id, size_t before)
{
    for (size_t i = 0; i < before; i++) {
        const struct qr_json *content = qr_json_get(qr_json_at(t->list, i), "content");
        for (size_t k = 0; k < qr_json_length(content); k++) {
            const struct qr_json *block = qr_json_at(content, k);
            struct quire_text other = id_of(qr_json_get(block, "id"));
            if (qr_json_is(qr_json_get(block, "type"), "tool_use") && other.n == id.n &&
                memcmp(other.data, id.data, id.n) == 0)
                return true;
        }
    }
    return false;
}

/* ---- blocks -------------------------------------------------------------------------------- */

/* What a message's blocks become. */
struct block_parts {
    struct qr_json *text;  /* list of text parts */
    struct qr_json *calls; /* list of tool calls */
    const struct qr_json *thinking;
};

static bool add_text(struct qr_json *list, const struct qr_json *text)
{
    struct qr_json *part = qr_json_object();
    bool done = qr_json_set(part, "type", qr_json_string((struct quire_text){"text", 4})) &&
                qr_json_set(part, "text", qr_json_share(text));
    if (done) return qr_json_append(list, part);
    qr_json_free(part);
    return false;
}

static bool add_use(struct messages_translation *t, struct block_parts *parts,
                    const struct qr_json *block, size_t i)
{
    const struct qr_json *id = qr_json_get(block, "id"), *name = qr_json_get(block, "name");
    const struct qr_json *input = qr_json_get(block, "input");

    if (qr_json_type(id) != QR_JSON_STRING || qr_json_type(name) != QR_JSON_STRING ||
        qr_json_type(input) != QR_JSON_OBJECT)
        return refuse(t, i, "content: a tool_use has id, name and input, an object", NOTHING);
    return qr_json_append(parts->calls, qr_translate_call(id_of(id), name, qr_json_share(input)));
}

/* The content of a result: text, or the text of its blocks. */
static bool add_result(struct messages_translation *t, const struct qr_json *block, size_t i)
{
    const struct qr_json *id = qr_json_get(block, "tool_use_id");
    const struct qr_json *content = qr_json_get(block, "content");
    struct qr_json *made;

    if (qr_json_type(id) != QR_JSON_STRING || !was_used(t, id_of(id), i))
        return refuse(t, i, "content: there is no tool_use before it for tool_use_id",
                      qr_translate_text(id));
    if (content && qr_json_type(content) != QR_JSON_STRING &&
        qr_json_type(content) != QR_JSON_ARRAY)
        return refuse(t, i, "content: a tool_result's content must be a string or blocks", NOTHING);
    if (qr_json_type(content) == QR_JSON_ARRAY) {
        made = qr_json_array();
        for (size_t k = 0; made && k < qr_json_length(content); k++) {
            const struct qr_json *inner = qr_json_at(content, k);
            const struct qr_json *text = qr_json_get(inner, "text");
            if (!qr_json_is(qr_json_get(inner, "type"), "text") ||
                qr_json_type(text) != QR_JSON_STRING) {
                qr_json_free(made);
                return refuse(t, i, "content: a tool_result can hold text, not",
                              qr_translate_text(qr_json_get(inner, "type")));
            }
            if (!add_text(made, text)) {
                qr_json_free(made);
                return false;
            }
        }
    } else {
        made = content ? qr_json_share(content) : qr_json_string(NOTHING);
    }
    struct qr_json *message = qr_translate_message("tool", made);
    if (!message || !qr_json_set(message, "tool_call_id", qr_json_string(id_of(id)))) {
        qr_json_free(message);
        return false;
    }
    return qr_json_append(t->messages, message);
}

static bool add_block(struct messages_translation *t, struct block_parts *parts,
                      const struct qr_json *block, size_t i, bool assistant)
{
    const struct qr_json *type = qr_json_get(block, "type");
    const struct qr_json *text = qr_json_get(block, "text");

    if (qr_json_type(block) != QR_JSON_OBJECT)
        return refuse(t, i, "content: a block must be an object", NOTHING);
    if (qr_json_is(type, "text")) {
        if (qr_json_type(text) != QR_JSON_STRING)
            return refuse(t, i, "content: a text block has a text", NOTHING);
        return add_text(parts->text, text);
    }
    if (assistant && qr_json_is(type, "tool_use")) return add_use(t, parts, block, i);
    if (assistant && qr_json_is(type, "thinking")) {
        parts->thinking = qr_json_get(block, "thinking");
        return true;
    }
    if (assistant && qr_json_is(type, "redacted_thinking")) return true;
    if (!assistant && qr_json_is(type, "tool_result")) return add_result(t, block, i);
    return refuse(t, i,
                  "content: a block of this type is not supported here:", qr_translate_text(type));
}

/* ---- messages ------------------------------------------------------------------------------ */

static bool append_message(struct messages_translation *t, const char *role,
                           struct block_parts *parts)
{
    const bool calls = qr_json_length(parts->calls) > 0;
    const size_t n = qr_json_length(parts->text);
    struct qr_json *message = NULL;

    /* Results alone have become tool messages. */
    if (n == 0 && !calls && strcmp(role, "user") == 0) return true;
    if (n == 1)
        message = qr_translate_message(
            role, qr_json_share(qr_json_get(qr_json_at(parts->text, 0), "text")));
    else
        message = qr_translate_message(role, n > 0 ? qr_json_share(parts->text)
                                                   : qr_json_string(NOTHING));
    bool done = message != NULL;
    if (done && calls) done = qr_json_set(message, "tool_calls", qr_json_share(parts->calls));
    if (done && qr_json_type(parts->thinking) == QR_JSON_STRING)
        done = qr_json_set(message, "reasoning_content", qr_json_share(parts->thinking));
    if (done) return qr_json_append(t->messages, message);
    qr_json_free(message);
    return false;
}

static bool add_message(struct messages_translation *t, const struct qr_json *message, size_t i)
{
    const struct qr_json *role = qr_json_get(message, "role");
    const struct qr_json *content = qr_json_get(message, "content");
    const bool assistant = qr_json_is(role, "assistant");
    const char *name = assistant                       ? "assistant"
                       : qr_json_is(role, "user")      ? "user"
                       : qr_json_is(role, "system")    ? "system"
                       : qr_json_is(role, "developer") ? "system"
                                                       : NULL;

    if (!name)
        return refuse(t, i, "role: expected user, assistant or system, not",
                      qr_translate_text(role));
    if (qr_json_type(content) == QR_JSON_STRING)
        return qr_json_append(t->messages, qr_translate_message(name, qr_json_share(content)));
    if (qr_json_type(content) != QR_JSON_ARRAY)
        return refuse(t, i, "content: expected a string or a list of blocks", NOTHING);
    struct block_parts parts = {.text = qr_json_array(), .calls = qr_json_array()};
    bool done = parts.text && parts.calls;
    for (size_t k = 0; done && k < qr_json_length(content); k++)
        done = add_block(t, &parts, qr_json_at(content, k), i, assistant);
    done = done && append_message(t, name, &parts);
    qr_json_free(parts.text);
    qr_json_free(parts.calls);
    return done;
}

/* Claude Code sends a system block with a hash that changes each time.  It is dropped: it would
 * defeat the prefix cache. */
static bool is_billing(const struct qr_json *text)
{
    static const char begin[] = "x-anthropic-billing-header";
    struct quire_text given = qr_translate_text(text);
    return given.n >= sizeof begin - 1 && memcmp(given.data, begin, sizeof begin - 1) == 0;
}

static bool add_system(struct messages_translation *t, const struct qr_json *body)
{
    const struct qr_json *system = qr_json_get(body, "system");

    if (!system) return true;
    if (qr_json_type(system) == QR_JSON_STRING)
        return qr_json_append(t->messages, qr_translate_message("system", qr_json_share(system)));
    if (qr_json_type(system) != QR_JSON_ARRAY)
        return qr_fail_field(t->failure, "system", "system: expected a string or text blocks");
    struct block_parts parts = {.text = qr_json_array()};
    bool done = parts.text != NULL;
    for (size_t i = 0; done && i < qr_json_length(system); i++) {
        const struct qr_json *block = qr_json_at(system, i), *text = qr_json_get(block, "text");
        if (!qr_json_is(qr_json_get(block, "type"), "text") || qr_json_type(text) != QR_JSON_STRING)
            done = qr_fail_field(t->failure, "system", "system.%zu: expected a text block", i);
        else if (!is_billing(text))
            done = add_text(parts.text, text);
    }
    done = done && (qr_json_length(parts.text) == 0 || append_message(t, "system", &parts));
    qr_json_free(parts.text);
    return done;
}

static bool add_messages(struct messages_translation *t, const struct qr_json *body)
{
    const struct qr_json *list = qr_json_get(body, "messages");
    const size_t n = qr_json_length(list);

    if (qr_json_type(list) != QR_JSON_ARRAY || n == 0 || n > QR_MESSAGES_MAX)
        return qr_fail_field(t->failure, "messages",
                             "messages: expected a list of 1 to %u messages", QR_MESSAGES_MAX);
    t->list = list;
    for (size_t i = 0; i < n; i++)
        if (!add_message(t, qr_json_at(list, i), i)) return false;
    /* A last message of the assistant is continued. */
    if (qr_json_is(qr_json_get(qr_json_at(list, n - 1), "role"), "assistant"))
        return qr_json_set(t->chat, "add_generation_prompt", qr_json_from_bool(false)) &&
               qr_json_set(t->chat, "continue_final_message", qr_json_from_bool(true));
    return true;
}

/* ---- the other fields ---------------------------------------------------------------------- */

static bool add_tools(struct messages_translation *t, const struct qr_json *body)
{
    const struct qr_json *list = qr_json_get(body, "tools");
    struct qr_json *tools;

    if (!list) return true;
    if (qr_json_type(list) != QR_JSON_ARRAY)
        return qr_fail_field(t->failure, "tools", "tools: expected a list of tools");
    if (qr_json_length(list) == 0) return true;
    tools = qr_json_array();
    if (!qr_json_set(t->chat, "tools", tools)) return false;
    for (size_t i = 0; i < qr_json_length(list); i++) {
        const struct qr_json *tool = qr_json_at(list, i), *type = qr_json_get(tool, "type");
        struct quire_text given = qr_translate_text(type);
        if (type && !qr_json_is(type, "custom"))
            return qr_fail_field(t->failure, "tools",
                                 "tools.%zu: the server tool \"%.*s\" is not supported", i,
                                 (int)(given.n < 64 ? given.n : 64), given.data);
        if (qr_json_type(qr_json_get(tool, "input_schema")) != QR_JSON_OBJECT)
            return qr_fail_field(t->failure, "tools", "tools.%zu.input_schema: expected an object",
                                 i);
        if (!qr_json_append(tools, qr_translate_tool(tool, "input_schema"))) return false;
    }
    return true;
}

static bool add_choice(struct messages_translation *t, const struct qr_json *body)
{
    static const char *const names[][2] = {{"auto", "auto"}, {"any", "required"}, {"none", "none"}};
    const struct qr_json *choice = qr_json_get(body, "tool_choice");
    const struct qr_json *type = qr_json_get(choice, "type");
    const struct qr_json *single = qr_json_get(choice, "disable_parallel_tool_use");

    if (!choice) return true;
    if (qr_json_type(single) == QR_JSON_BOOL &&
        !qr_json_set(t->chat, "parallel_tool_calls", qr_json_from_bool(!qr_json_bool(single))))
        return false;
    if (qr_json_is(type, "tool"))
        return qr_json_set(t->chat, "tool_choice",
                           qr_translate_function(qr_json_get(choice, "name")));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (qr_json_is(type, names[i][0]))
            return qr_json_set(
                t->chat, "tool_choice",
                qr_json_string((struct quire_text){names[i][1], strlen(names[i][1])}));
    return qr_fail_field(t->failure, "tool_choice",
                         "tool_choice.type: expected auto, any, tool or none");
}

/* thinking switches a template's reasoning; a budget is not kept. */
static bool add_thinking(struct messages_translation *t, const struct qr_json *body)
{
    const struct qr_json *type = qr_json_get(qr_json_get(body, "thinking"), "type");
    const struct qr_json *config = qr_json_get(body, "output_config");
    const struct qr_json *format = qr_json_get(config, "format");

    if (qr_json_get(body, "thinking")) {
        const bool off = qr_json_is(type, "disabled");
        struct qr_json *variables = qr_json_object();
        if (!off && !qr_json_is(type, "enabled") && !qr_json_is(type, "adaptive")) {
            qr_json_free(variables);
            return qr_fail_field(t->failure, "thinking",
                                 "thinking.type: expected enabled, adaptive or disabled");
        }
        bool done = qr_json_set(variables, "enable_thinking", qr_json_from_bool(!off));
        if (!qr_json_set(t->chat, "chat_template_kwargs", variables) || !done) return false;
    }
    if (!format) return true;
    if (!qr_json_is(qr_json_get(format, "type"), "json_schema"))
        return qr_fail_field(t->failure, "output_config",
                             "output_config.format.type: expected json_schema");
    return qr_json_set(t->chat, "response_format", qr_json_share(format));
}

static bool add_stops(struct messages_translation *t, const struct qr_json *body)
{
    const struct qr_json *stops = qr_json_get(body, "stop_sequences");

    if (!stops) return true;
    if (qr_json_type(stops) != QR_JSON_ARRAY)
        return qr_fail_field(t->failure, "stop_sequences",
                             "stop_sequences: expected a list of strings");
    return qr_json_set(t->chat, "stop", qr_json_share(stops));
}

static bool add_limit(struct messages_translation *t, const struct qr_json *body)
{
    int64_t most = 0;

    if (!qr_json_integer(qr_json_get(body, "max_tokens"), &most) || most < 1)
        return qr_fail_field(t->failure, "max_tokens",
                             "max_tokens: expected an integer of 1 or more");
    return qr_json_set(t->chat, "max_tokens",
                       qr_json_from_integer(most < INT32_MAX ? most : INT32_MAX));
}

static bool add_fields(struct messages_translation *t, const struct qr_json *body)
{
    static const char *const same[] = {"model",    "temperature", "top_p",      "top_k",
                                       "stream",   "min_p",       "seed",       "cache_salt",
                                       "priority", "user",        "ignore_eos", "min_tokens"};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        if (!qr_translate_copy(t->chat, same[i], body, same[i])) return false;
    return true;
}

static struct qr_json *translate(const struct qr_json *body, bool counts,
                                 struct qr_api_failure *failure)
{
    struct messages_translation t = {.chat = qr_json_object(), .failure = failure};

    t.messages = t.chat ? qr_json_array() : NULL;
    bool done = qr_json_set(t.chat, "messages", t.messages) && add_fields(&t, body) &&
                (counts || add_limit(&t, body)) && add_system(&t, body) && add_messages(&t, body) &&
                add_tools(&t, body) && add_choice(&t, body) && add_thinking(&t, body) &&
                add_stops(&t, body);
    if (done) return t.chat;
    qr_json_free(t.chat);
    return NULL;
}

struct qr_json *qr_messages_translate(const struct qr_json *body, struct qr_api_failure *failure)
{
    return translate(body, false, failure);
}

struct qr_json *qr_messages_translate_count(const struct qr_json *body,
                                            struct qr_api_failure *failure)
{
    return translate(body, true, failure);
}

/* Clients act on these words. */
void qr_messages_rename(struct qr_api_failure *failure)
{
    char message[sizeof failure->message];

    if (!failure->code || strcmp(failure->code, "context_length_exceeded") != 0) return;
    if (failure->prompt_tokens > 0) {
        (void)snprintf(failure->message, sizeof failure->message,
                       "prompt is too long: %llu tokens > %llu maximum",
                       (unsigned long long)failure->prompt_tokens,
                       (unsigned long long)failure->context_max);
        return;
    }
    (void)snprintf(message, sizeof message, "prompt is too long: %.370s", failure->message);
    memcpy(failure->message, message, sizeof message);
}
