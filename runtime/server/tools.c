/* SPDX-License-Identifier: MIT */
#include "runtime/server/tools.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/memory.h"
#include "runtime/parse/force.h"
#include "runtime/parse/thinking.h"
#include "runtime/server/limits.h"
#include "runtime/server/params.h"

/* The parser takes jansson's values, which ours are (json.c). */
static const json_t *native(const struct qr_json *value)
{
    return (const json_t *)(const void *)value;
}

static bool is_text(const struct qr_json *value, const char *text)
{
    return qr_json_type(value) == QR_JSON_STRING && qr_json_text(value).n == strlen(text) &&
           memcmp(qr_json_text(value).data, text, strlen(text)) == 0;
}

void qr_tools_init(struct qr_tools *tools, const struct quire_allocator *memory)
{
    *tools = (struct qr_tools){.memory = memory, .choice = QR_TOOLS_AUTO};
}

void qr_tools_deinit(struct qr_tools *tools)
{
    qr_free(tools->memory, tools->all);
    qr_free(tools->memory, tools->callable);
}

/* ---- tools --------------------------------------------------------------------------------- */

static bool read_tool(struct qr_parse_tool *tool, const struct qr_json *value, size_t i,
                      struct qr_api_failure *failure)
{
    char field[64];
    const struct qr_json *type = qr_json_get(value, "type");
    const struct qr_json *function = qr_json_get(value, "function");
    const struct qr_json *name = qr_json_get(function, "name");
    const struct qr_json *parameters = qr_json_get(function, "parameters");

    (void)snprintf(field, sizeof field, "tools[%zu]", i);
    if (qr_json_type(value) != QR_JSON_OBJECT)
        return qr_fail_field(failure, "tools", "%s must be an object, not %s", field,
                             qr_json_type_name(qr_json_type(value)));
    if (type && !is_text(type, "function")) {
        struct quire_text given =
            qr_json_type(type) == QR_JSON_STRING ? qr_json_text(type) : (struct quire_text){"", 0};
        return qr_fail_field(failure, "tools",
                             "%s.type \"%.*s\" is not supported; expected function", field,
                             (int)(given.n < 64 ? given.n : 64), given.data);
    }
    if (qr_json_type(name) != QR_JSON_STRING || qr_json_text(name).n == 0 ||
        qr_json_text(name).n > QR_TOOL_NAME_MAX)
        return qr_fail_field(failure, "tools", "%s.function.name must be a text of 1 to %u bytes",
                             field, QR_TOOL_NAME_MAX);
    if (parameters && qr_json_type(parameters) != QR_JSON_OBJECT)
        return qr_fail_field(failure, "tools", "%s.function.parameters must be an object, not %s",
                             field, qr_json_type_name(qr_json_type(parameters)));
    *tool = (struct qr_parse_tool){.name = qr_json_text(name), .parameters = native(parameters)};
    return true;
}

static bool read_tools(struct qr_tools *tools, const struct qr_json *body,
                       struct qr_api_failure *failure)
{
    const struct qr_json *list = qr_json_get(body, "tools");
    const size_t n = qr_json_length(list);

    if (list && qr_json_type(list) != QR_JSON_ARRAY)
        return qr_fail_field(failure, "tools", "tools must be a list of objects, not %s",
                             qr_json_type_name(qr_json_type(list)));
    if (n == 0) return true;
    if (n > QR_TOOLS_MAX)
        return qr_fail_field(failure, "tools", "there are %zu tools; expected at most %u", n,
                             QR_TOOLS_MAX);
    tools->all = qr_alloc(tools->memory, n * sizeof *tools->all);
    tools->callable = qr_alloc(tools->memory, n * sizeof *tools->callable);
    if (!tools->all || !tools->callable) return qr_fail(failure, 500, NULL, NULL, "out of memory");
    for (; tools->all_n < n; tools->all_n++)
        if (!read_tool(&tools->all[tools->all_n], qr_json_at(list, tools->all_n), tools->all_n,
                       failure))
            return false;
    return true;
}

/* ---- tool_choice --------------------------------------------------------------------------- */

static const struct qr_parse_tool *find(const struct qr_tools *tools, const struct qr_json *name)
{
    if (qr_json_type(name) != QR_JSON_STRING) return NULL;
    struct quire_text wanted = qr_json_text(name);
    for (size_t i = 0; i < tools->all_n; i++)
        if (tools->all[i].name.n == wanted.n &&
            memcmp(tools->all[i].name.data, wanted.data, wanted.n) == 0)
            return &tools->all[i];
    return NULL;
}

/* Adds the function that {"type": "function", "function": {"name": N}} names. */
static bool allow(struct qr_tools *tools, const struct qr_json *named,
                  struct qr_api_failure *failure)
{
    const struct qr_json *name = qr_json_get(qr_json_get(named, "function"), "name");
    const struct qr_parse_tool *tool = find(tools, name);

    if (!tool) {
        struct quire_text given =
            qr_json_type(name) == QR_JSON_STRING ? qr_json_text(name) : (struct quire_text){"", 0};
        return qr_fail_field(failure, "tool_choice",
                             "tool_choice names the function \"%.*s\", which is not in tools",
                             (int)(given.n < 64 ? given.n : 64), given.data);
    }
    if (tools->n == tools->all_n)
        return qr_fail_field(failure, "tool_choice",
                             "tool_choice allows more tools than there are");
    tools->callable[tools->n++] = *tool;
    return true;
}

static bool read_mode(struct qr_tools *tools, const struct qr_json *mode,
                      struct qr_api_failure *failure)
{
    if (!mode || is_text(mode, "auto"))
        tools->choice = QR_TOOLS_AUTO;
    else if (is_text(mode, "none"))
        tools->choice = QR_TOOLS_NONE;
    else if (is_text(mode, "required"))
        tools->choice = QR_TOOLS_REQUIRED;
    else
        return qr_fail_field(failure, "tool_choice",
                             "tool_choice must be \"none\", \"auto\", \"required\", a function, or "
                             "allowed_tools");
    return true;
}

static bool read_choice(struct qr_tools *tools, const struct qr_json *body,
                        struct qr_api_failure *failure)
{
    const struct qr_json *choice = qr_json_get(body, "tool_choice");
    const struct qr_json *type = qr_json_get(choice, "type");

    if (is_text(type, "function")) {
        tools->choice = QR_TOOLS_REQUIRED;
        tools->named = true;
        return allow(tools, choice, failure);
    }
    if (is_text(type, "allowed_tools")) {
        const struct qr_json *allowed = qr_json_get(choice, "allowed_tools");
        const struct qr_json *list = qr_json_get(allowed, "tools");
        if (qr_json_type(list) != QR_JSON_ARRAY)
            return qr_fail_field(failure, "tool_choice",
                                 "tool_choice.allowed_tools.tools must be a list of functions");
        for (size_t i = 0; i < qr_json_length(list); i++)
            if (!allow(tools, qr_json_at(list, i), failure)) return false;
        if (!read_mode(tools, qr_json_get(allowed, "mode"), failure)) return false;
    } else {
        if (!read_mode(tools, choice, failure)) return false;
        if (tools->all_n > 0)
            memcpy(tools->callable, tools->all, tools->all_n * sizeof *tools->all);
        tools->n = tools->all_n;
    }
    if (tools->choice == QR_TOOLS_REQUIRED && tools->n == 0)
        return qr_fail_field(failure, "tool_choice",
                             "tool_choice \"required\" needs tools; there are none");
    return true;
}

/* A tool that is not strict may be called with any object, unless the call is forced. */
static void read_strict(struct qr_tools *tools, const struct qr_json *body)
{
    const struct qr_json *list = qr_json_get(body, "tools");

    for (size_t i = 0; i < tools->n; i++) {
        for (size_t k = 0; k < tools->all_n; k++) {
            if (tools->all[k].name.data != tools->callable[i].name.data) continue;
            const struct qr_json *function = qr_json_get(qr_json_at(list, k), "function");
            const struct qr_json *strict = qr_json_get(function, "strict");
            tools->strict |= qr_json_type(strict) == QR_JSON_BOOL && qr_json_bool(strict);
        }
    }
}

static bool has_calls(const struct qr_json *message)
{
    return qr_json_length(qr_json_get(message, "tool_calls")) > 0;
}

bool qr_tools_read(struct qr_tools *tools, const struct qr_server *server,
                   const struct qr_json *body, struct qr_api_failure *failure)
{
    bool parallel = true;

    if (!read_tools(tools, body, failure) || !read_choice(tools, body, failure) ||
        !qr_field_bool(body, "parallel_tool_calls", &parallel, failure))
        return false;
    tools->single = !parallel;
    read_strict(tools, body);
    const bool plain = qr_parse_is_envelope(server->family);
    const struct qr_json *messages = qr_json_get(body, "messages");
    tools->envelope = plain && tools->choice == QR_TOOLS_REQUIRED;
    tools->rewrites = tools->envelope;
    for (size_t i = 0; plain && i < qr_json_length(messages); i++)
        tools->rewrites |= has_calls(qr_json_at(messages, i));
    return true;
}

/* ---- for a template without tools ---------------------------------------------------------- */

static bool is_role(const struct qr_json *message, const char *role)
{
    return is_text(qr_json_get(message, "role"), role);
}

/* Appends the text of a content: a string, or its parts. */
static void put_content(struct qr_buffer *out, const struct qr_json *content)
{
    if (qr_json_type(content) == QR_JSON_STRING)
        qr_buffer_put(out, qr_json_text(content).data, qr_json_text(content).n);
    for (size_t i = 0; qr_json_type(content) == QR_JSON_ARRAY && i < qr_json_length(content); i++) {
        const struct qr_json *text = qr_json_get(qr_json_at(content, i), "text");
        if (qr_json_type(text) == QR_JSON_STRING)
            qr_buffer_put(out, qr_json_text(text).data, qr_json_text(text).n);
    }
}

/* {"tool_call": {"name": N, "arguments": A}}, as the note asks for it. */
static void put_call(struct qr_buffer *out, const struct qr_json *call)
{
    const struct qr_json *function = qr_json_get(call, "function");
    const struct qr_json *arguments = qr_json_get(function, "arguments");

    if (out->n > 0) qr_buffer_puts(out, "\n");
    qr_buffer_puts(out, "{\"tool_call\": {\"name\": ");
    qr_json_dump(qr_json_get(function, "name"), out);
    qr_buffer_puts(out, ", \"arguments\": ");
    if (qr_json_type(arguments) == QR_JSON_STRING)
        put_content(out, arguments);
    else
        qr_json_dump(arguments, out);
    qr_buffer_puts(out, "}}");
}

static struct qr_json *text_message(const char *role, const struct qr_buffer *text)
{
    struct qr_json *message = qr_json_object();
    bool done =
        !text->failed &&
        qr_json_set(message, "role", qr_json_string((struct quire_text){role, strlen(role)})) &&
        qr_json_set(message, "content",
                    qr_json_string((struct quire_text){text->n ? text->data : "", text->n}));
    if (done) return message;
    qr_json_free(message);
    return NULL;
}

/* A message as this template can show it. */
static struct qr_json *shown(const struct qr_json *message, struct qr_buffer *text)
{
    const struct qr_json *calls = qr_json_get(message, "tool_calls");

    if (!has_calls(message) && !is_role(message, "tool")) return qr_json_share(message);
    qr_buffer_clear(text);
    if (is_role(message, "tool")) qr_buffer_puts(text, "Result of the tool call: ");
    put_content(text, qr_json_get(message, "content"));
    for (size_t i = 0; i < qr_json_length(calls); i++)
        put_call(text, qr_json_at(calls, i));
    return text_message(is_role(message, "tool") ? "user" : "assistant", text);
}

static struct qr_json *shown_messages(const struct qr_json *messages, const char *note,
                                      const struct quire_allocator *memory)
{
    struct qr_json *list = qr_json_array();
    const struct qr_json *first = qr_json_at(messages, 0);
    const bool system = is_role(first, "system") || is_role(first, "developer");
    struct qr_buffer text;
    bool done = list != NULL;

    qr_buffer_init(&text, memory);
    if (note) {
        if (system) put_content(&text, qr_json_get(first, "content"));
        if (text.n > 0) qr_buffer_puts(&text, "\n\n");
        qr_buffer_puts(&text, note);
        done = done && qr_json_append(list, text_message("system", &text));
    }
    for (size_t i = note && system; done && i < qr_json_length(messages); i++)
        done = qr_json_append(list, shown(qr_json_at(messages, i), &text));
    qr_buffer_deinit(&text);
    if (done) return list;
    qr_json_free(list);
    return NULL;
}

struct qr_json *qr_tools_rewrite(const struct qr_json *body, const struct quire_allocator *memory)
{
    const struct qr_json *tools = qr_json_get(body, "tools");
    const bool noted = qr_json_length(tools) > 0;
    char *note = noted ? qr_parse_envelope_note(native(tools)) : NULL;
    struct qr_json *copy = qr_json_object();
    struct qr_json_member member = {0};
    bool done = copy && (note || !noted);

    while (done && qr_json_next(body, &member))
        done = qr_json_set_text(copy, member.key,
                                member.value ? qr_json_share(member.value) : qr_json_null());
    done = done && qr_json_set(copy, "messages",
                               shown_messages(qr_json_get(body, "messages"), note, memory));
    free(note);
    if (done) return copy;
    qr_json_free(copy);
    return NULL;
}

/* ---- the answer ---------------------------------------------------------------------------- */

bool qr_tools_force(const struct qr_tools *tools, const struct qr_server *server,
                    struct quire_text prompt_tail, bool instead, char **tag,
                    struct qr_api_failure *failure)
{
    const bool automatic = tools->choice == QR_TOOLS_AUTO;
    struct quire_error error = {.status = QUIRE_OK};

    *tag = NULL;
    if (tools->n == 0 || tools->choice == QR_TOOLS_NONE) return true;
    if (automatic && !instead && !tools->strict) return true;
    /* A family that cannot write a call does not write one instead of something else. */
    if (instead && qr_parse_is_envelope(server->family)) return true;
    const struct qr_parse_force force = {
        .family = server->family,
        .reasoning = server->reasoning,
        .tools = tools->callable,
        .tools_n = tools->n,
        .single = tools->single || tools->named,
        .automatic = automatic && !instead,
        .thinking = instead ? QR_THINKING_NONE
                            : qr_parse_thinking_of(server->family, server->reasoning, prompt_tail),
    };
    *tag = qr_parse_force(&force, &error);
    if (*tag) return true;
    /* Where the family does not mark calls, or holds no such schema, an answer that is not forced
     * stays free. */
    if (automatic && error.status == QUIRE_UNSUPPORTED) return true;
    return qr_fail_engine(failure, error.status ? error.status : QUIRE_NO_MEMORY, &error);
}

bool qr_tools_reader(const struct qr_tools *tools, const struct qr_server *server,
                     struct quire_text prompt_tail, uint64_t seed,
                     struct qr_parse_settings *settings)
{
    *settings = (struct qr_parse_settings){
        .family = server->family,
        .reasoning = server->reasoning,
        .tools = tools->callable,
        .tools_n = tools->n,
        .prompt_tail = prompt_tail,
        .no_calls = tools->choice == QR_TOOLS_NONE,
        .named = tools->named,
        .single = tools->single,
        .envelope = tools->envelope,
        .seed = seed,
    };
    return tools->envelope || server->reads_answers;
}
