/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runtime/server/limits.h"
#include "runtime/server/params.h"
#include "runtime/server/translate.h"

struct responses_translation {
    struct qr_json *chat, *messages;
    struct qr_json *assistant; /* the message that calls and reasoning join; NULL: none is open */
    const struct qr_json *reasoning; /* text for the next assistant message */
    const struct qr_json *input;
    struct qr_api_failure *failure;
};

static bool refuse(struct responses_translation *t, size_t i, const char *format,
                   struct quire_text given)
{
    char message[300];
    (void)snprintf(message, sizeof message, format, (int)(given.n < 64 ? given.n : 64), given.data);
    return qr_fail_field(t->failure, "input", "input[%zu]%s", i, message);
}

/* ---- items of input ------------------------------------------------------------------------ */

static bool add_reasoning(struct responses_translation *t, struct qr_json *message)
{
    if (!t->reasoning) return true;
    struct qr_json *text = qr_json_share(t->reasoning);
    t->reasoning = NULL;
    return qr_json_set(message, "reasoning_content", text);
}

static bool check_parts(struct responses_translation *t, const struct qr_json *content, size_t i)
{
    static const char *const known[] = {"input_text", "output_text", "text", "refusal"};

    if (qr_json_type(content) != QR_JSON_ARRAY) return true;
    for (size_t k = 0; k < qr_json_length(content); k++) {
        const struct qr_json *type = qr_json_get(qr_json_at(content, k), "type");
        bool found = false;
        for (size_t n = 0; n < sizeof known / sizeof *known; n++)
            found |= qr_json_is(type, known[n]);
        if (!found)
            return refuse(t, i, ".content: a part of type \"%.*s\" is not supported; expected text",
                          qr_translate_text(type));
    }
    return true;
}

static bool add_message(struct responses_translation *t, const struct qr_json *item, size_t i)
{
    const struct qr_json *role = qr_json_get(item, "role"), *content = qr_json_get(item, "content");
    const bool assistant = qr_json_is(role, "assistant");

    if (!assistant && !qr_json_is(role, "user") && !qr_json_is(role, "system") &&
        !qr_json_is(role, "developer"))
        return refuse(t, i,
                      ".role \"%.*s\" is not known; expected user, assistant, system or "
                      "developer",
                      qr_translate_text(role));
    if (qr_json_type(content) != QR_JSON_STRING && qr_json_type(content) != QR_JSON_ARRAY)
        return refuse(t, i, ".content must be a string or a list of parts%.*s",
                      (struct quire_text){"", 0});
    if (!check_parts(t, content, i)) return false;
    struct qr_json *message = qr_translate_message("", qr_json_share(content));
    if (!message || !qr_json_set(message, "role", qr_json_share(role)) ||
        (assistant && !add_reasoning(t, message))) {
        qr_json_free(message);
        return false;
    }
    if (!qr_json_append(t->messages, message)) return false;
    t->assistant = assistant ? message : NULL;
    return true;
}

static bool add_call(struct responses_translation *t, const struct qr_json *item, size_t i)
{
    const struct qr_json *id = qr_json_get(item, "call_id"), *name = qr_json_get(item, "name");
    const struct qr_json *arguments = qr_json_get(item, "arguments");

    if (qr_json_type(id) != QR_JSON_STRING || qr_json_type(name) != QR_JSON_STRING ||
        qr_json_type(arguments) != QR_JSON_STRING)
        return refuse(t, i, ": a function_call has call_id, name and arguments, all strings%.*s",
                      (struct quire_text){"", 0});
    t->assistant = qr_translate_last_assistant(t->messages, t->assistant);
    if (!t->assistant || !add_reasoning(t, t->assistant)) return false;
    struct qr_json *calls = (struct qr_json *)(uintptr_t)qr_json_get(t->assistant, "tool_calls");
    if (!calls) {
        calls = qr_json_array();
        if (!qr_json_set(t->assistant, "tool_calls", calls)) return false;
    }
    return qr_json_append(calls,
                          qr_translate_call(qr_json_text(id), name, qr_json_share(arguments)));
}

/* True if an earlier item is the call with this id. */
static bool was_called(const struct responses_translation *t, struct quire_text id, size_t before)
{
    for (size_t i = 0; i < before; i++) {
        const struct qr_json *item = qr_json_at(t->input, i);
        struct quire_text other = qr_translate_text(qr_json_get(item, "call_id"));
        if (qr_json_is(qr_json_get(item, "type"), "function_call") && other.n == id.n &&
            memcmp(other.data, id.data, id.n) == 0)
            return true;
    }
    return false;
}

static bool add_output(struct responses_translation *t, const struct qr_json *item, size_t i)
{
    const struct qr_json *id = qr_json_get(item, "call_id");
    const struct qr_json *output = qr_json_get(item, "output");

    if (qr_json_type(id) != QR_JSON_STRING || !was_called(t, qr_json_text(id), i))
        return refuse(t, i, ".call_id \"%.*s\" is no function_call before it",
                      qr_translate_text(id));
    if (qr_json_type(output) != QR_JSON_STRING && qr_json_type(output) != QR_JSON_ARRAY)
        return refuse(t, i, ".output must be a string or a list of parts%.*s",
                      (struct quire_text){"", 0});
    if (!check_parts(t, output, i)) return false;
    struct qr_json *message = qr_translate_message("tool", qr_json_share(output));
    if (!message || !qr_json_set(message, "tool_call_id", qr_json_share(id))) {
        qr_json_free(message);
        return false;
    }
    t->assistant = NULL;
    return qr_json_append(t->messages, message);
}

/* The text of the last part, which the template may show with the next message. */
static bool keep_reasoning(struct responses_translation *t, const struct qr_json *item)
{
    static const char *const places[] = {"summary", "content"};

    for (size_t k = 0; k < sizeof places / sizeof *places; k++) {
        const struct qr_json *parts = qr_json_get(item, places[k]);
        for (size_t i = 0; i < qr_json_length(parts); i++) {
            const struct qr_json *text = qr_json_get(qr_json_at(parts, i), "text");
            if (qr_json_type(text) == QR_JSON_STRING) t->reasoning = text;
        }
    }
    t->assistant = NULL;
    return true;
}

static bool add_item(struct responses_translation *t, const struct qr_json *item, size_t i)
{
    const struct qr_json *type = qr_json_get(item, "type");

    if (qr_json_type(item) != QR_JSON_OBJECT)
        return refuse(t, i, " must be an object%.*s", (struct quire_text){"", 0});
    if (!type || qr_json_is(type, "message")) return add_message(t, item, i);
    if (qr_json_is(type, "function_call")) return add_call(t, item, i);
    if (qr_json_is(type, "function_call_output")) return add_output(t, item, i);
    if (qr_json_is(type, "reasoning")) return keep_reasoning(t, item);
    return refuse(t, i, ".type \"%.*s\" is not supported", qr_translate_text(type));
}

static bool add_input(struct responses_translation *t, const struct qr_json *body)
{
    const struct qr_json *input = qr_json_get(body, "input");
    const struct qr_json *instructions = qr_json_get(body, "instructions");

    if (instructions && qr_json_type(instructions) != QR_JSON_STRING)
        return qr_fail_field(t->failure, "instructions", "instructions must be a string");
    if (instructions &&
        !qr_json_append(t->messages, qr_translate_message("system", qr_json_share(instructions))))
        return false;
    if (qr_json_type(input) == QR_JSON_STRING)
        return qr_json_append(t->messages, qr_translate_message("user", qr_json_share(input)));
    if (qr_json_type(input) != QR_JSON_ARRAY || qr_json_length(input) == 0)
        return qr_fail_field(t->failure, "input",
                             input ? "input must be a string or a list of items"
                                   : "input is required");
    if (qr_json_length(input) > QR_MESSAGES_MAX)
        return qr_fail_field(t->failure, "input", "input has %zu items; expected at most %u",
                             qr_json_length(input), QR_MESSAGES_MAX);
    t->input = input;
    for (size_t i = 0; i < qr_json_length(input); i++)
        if (!add_item(t, qr_json_at(input, i), i)) return false;
    return true;
}

/* ---- tools --------------------------------------------------------------------------------- */

static bool add_tools(struct responses_translation *t, const struct qr_json *body)
{
    const struct qr_json *list = qr_json_get(body, "tools");
    struct qr_json *tools;

    if (!list) return true;
    if (qr_json_type(list) != QR_JSON_ARRAY)
        return qr_fail_field(t->failure, "tools", "tools must be a list of objects");
    if (qr_json_length(list) == 0) return true;
    tools = qr_json_array();
    if (!qr_json_set(t->chat, "tools", tools)) return false;
    for (size_t i = 0; i < qr_json_length(list); i++) {
        const struct qr_json *type = qr_json_get(qr_json_at(list, i), "type");
        struct quire_text given = qr_translate_text(type);
        if (!qr_json_is(type, "function"))
            return qr_fail_field(t->failure, "tools",
                                 "tools[%zu].type \"%.*s\" is not supported; expected function", i,
                                 (int)(given.n < 64 ? given.n : 64), given.data);
        if (!qr_json_append(tools, qr_translate_tool(qr_json_at(list, i), "parameters")))
            return false;
    }
    return true;
}

static bool add_allowed(struct responses_translation *t, const struct qr_json *choice)
{
    struct qr_json *made = qr_json_object(), *allowed = qr_json_object(), *list = qr_json_array();
    const struct qr_json *tools = qr_json_get(choice, "tools");
    bool done = true;

    for (size_t i = 0; done && i < qr_json_length(tools); i++)
        done =
            qr_json_append(list, qr_translate_function(qr_json_get(qr_json_at(tools, i), "name")));
    done = qr_json_set(allowed, "tools", list) && done &&
           qr_translate_copy(allowed, "mode", choice, "mode");
    done = qr_json_set(made, "allowed_tools", allowed) && done &&
           qr_translate_copy(made, "type", choice, "type");
    return qr_json_set(t->chat, "tool_choice", made) && done;
}

static bool add_choice(struct responses_translation *t, const struct qr_json *body)
{
    const struct qr_json *choice = qr_json_get(body, "tool_choice");
    const struct qr_json *type = qr_json_get(choice, "type");

    if (!choice) return true;
    if (qr_json_is(type, "function"))
        return qr_json_set(t->chat, "tool_choice",
                           qr_translate_function(qr_json_get(choice, "name")));
    if (qr_json_is(type, "allowed_tools")) return add_allowed(t, choice);
    return qr_json_set(t->chat, "tool_choice", qr_json_share(choice));
}

/* ---- the other fields ---------------------------------------------------------------------- */

static bool add_format(struct responses_translation *t, const struct qr_json *body)
{
    const struct qr_json *text = qr_json_get(body, "text");
    const struct qr_json *format = qr_json_get(text, "format");
    struct qr_json *made;

    if (text && qr_json_type(text) != QR_JSON_OBJECT)
        return qr_fail_field(t->failure, "text", "text must be an object");
    if (!format) return true;
    if (!qr_json_is(qr_json_get(format, "type"), "json_schema"))
        return qr_json_set(t->chat, "response_format", qr_json_share(format));
    if (qr_json_type(qr_json_get(format, "name")) != QR_JSON_STRING ||
        !qr_json_get(format, "schema"))
        return qr_fail_field(t->failure, "text",
                             "text.format of type json_schema has a name and a schema");
    made = qr_json_object();
    bool done = qr_translate_copy(made, "type", format, "type") &&
                qr_json_set(made, "json_schema", qr_json_share(format));
    return qr_json_set(t->chat, "response_format", made) && done;
}

static bool add_include(struct responses_translation *t, const struct qr_json *body)
{
    const struct qr_json *include = qr_json_get(body, "include");
    int64_t top = 0;

    if (include && qr_json_type(include) != QR_JSON_ARRAY)
        return qr_fail_field(t->failure, "include", "include must be a list of strings");
    if (!qr_field_integer(body, "top_logprobs", 0, QR_LOGPROBS_MAX, &top, t->failure)) return false;
    for (size_t i = 0; i < qr_json_length(include); i++)
        if (qr_json_is(qr_json_at(include, i), "message.output_text.logprobs"))
            return qr_json_set(t->chat, "logprobs", qr_json_from_bool(true)) &&
                   qr_json_set(t->chat, "top_logprobs", qr_json_from_integer(top));
    return true;
}

static bool check_state(struct responses_translation *t, const struct qr_json *body)
{
    static const char *const states[] = {"previous_response_id", "conversation", "prompt"};
    const struct qr_json *metadata = qr_json_get(body, "metadata");
    const struct qr_json *truncation = qr_json_get(body, "truncation");
    bool background = false;
    int64_t most = 1;

    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (qr_json_get(body, states[i]))
            return qr_fail_field(t->failure, states[i],
                                 "%s is not supported: the server keeps no responses", states[i]);
    if (!qr_field_bool(body, "background", &background, t->failure)) return false;
    if (background)
        return qr_fail_field(t->failure, "background", "background must be false or missing");
    if (truncation && !qr_json_is(truncation, "disabled"))
        return qr_fail_field(t->failure, "truncation", "truncation must be \"disabled\"");
    if (metadata && qr_json_type(metadata) != QR_JSON_OBJECT)
        return qr_fail_field(t->failure, "metadata", "metadata must be an object of strings");
    return qr_field_integer(body, "max_output_tokens", 1, INT64_MAX, &most, t->failure);
}

/* A limit past 32 bits is cut like any that does not fit. */
static bool add_limit(struct responses_translation *t, const struct qr_json *body)
{
    int64_t most = 0;

    if (!qr_json_get(body, "max_output_tokens")) return true;
    (void)qr_json_integer(qr_json_get(body, "max_output_tokens"), &most);
    return qr_json_set(t->chat, "max_tokens",
                       qr_json_from_integer(most < INT32_MAX ? most : INT32_MAX));
}

static bool add_fields(struct responses_translation *t, const struct qr_json *body)
{
    static const char *const same[] = {"model",
                                       "temperature",
                                       "top_p",
                                       "stream",
                                       "parallel_tool_calls",
                                       "user",
                                       "seed",
                                       "stop",
                                       "top_k",
                                       "min_p",
                                       "repetition_penalty",
                                       "frequency_penalty",
                                       "presence_penalty",
                                       "logit_bias",
                                       "stop_token_ids",
                                       "ignore_eos",
                                       "min_tokens",
                                       "priority",
                                       "cache_salt",
                                       "chat_template_kwargs",
                                       "structured_outputs"};
    const struct qr_json *reasoning = qr_json_get(body, "reasoning");

    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        if (!qr_translate_copy(t->chat, same[i], body, same[i])) return false;
    if (reasoning && qr_json_type(reasoning) != QR_JSON_OBJECT)
        return qr_fail_field(t->failure, "reasoning", "reasoning must be an object");
    return qr_translate_copy(t->chat, "reasoning_effort", reasoning, "effort");
}

struct qr_json *qr_responses_translate(const struct qr_json *body, struct qr_api_failure *failure)
{
    struct responses_translation t = {.chat = qr_json_object(), .failure = failure};

    t.messages = t.chat ? qr_json_array() : NULL;
    bool done = qr_json_set(t.chat, "messages", t.messages) && check_state(&t, body) &&
                add_fields(&t, body) && add_limit(&t, body) && add_input(&t, body) &&
                add_tools(&t, body) && add_choice(&t, body) && add_format(&t, body) &&
                add_include(&t, body);
    if (done) return t.chat;
    qr_json_free(t.chat);
    return NULL;
}

void qr_responses_rename(struct qr_api_failure *failure)
{
    static const char *const names[][2] = {
        {"messages", "input"},        {"max_tokens", "max_output_tokens"},
        {"response_format", "text"},  {"reasoning_effort", "reasoning"},
        {"logprobs", "top_logprobs"},
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(failure->param, names[i][0]) != 0) continue;
        (void)snprintf(failure->param, sizeof failure->param, "%s", names[i][1]);
        return;
    }
}
