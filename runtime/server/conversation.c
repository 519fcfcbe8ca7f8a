/* SPDX-License-Identifier: MIT */
#include "runtime/server/conversation.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "runtime/base/memory.h"
#include "runtime/server/limits.h"
#include "runtime/server/params.h"
#include "runtime/server/state.h"
#include "runtime/server/values.h"

/* The values of one request and the documents that they point into, until it is rendered. */
struct conversation_reading {
    const struct quire_allocator *memory;
    const struct qr_server_settings *settings;
    const char *source; /* of the template; NULL: none */
    bool broken;        /* a call's arguments are not JSON */
    bool wraps;         /* show such arguments as {"arguments": text} */
    struct qr_values values;
    struct qr_json **arguments; /* [arguments_n] parsed out of strings */
    size_t arguments_n, arguments_room;
    struct quire_value messages, tools, documents, variables;
    struct quire_conversation conversation;
};

static bool no_memory(struct qr_api_failure *failure)
{
    return qr_fail(failure, 500, NULL, NULL, "out of memory");
}

static void deinit(struct conversation_reading *r)
{
    for (size_t i = 0; i < r->arguments_n; i++)
        qr_json_free(r->arguments[i]);
    qr_free(r->memory, r->arguments);
    qr_values_deinit(&r->values);
}

/* ---- messages ------------------------------------------------------------------------------ */

static bool keep_document(struct conversation_reading *r, struct qr_json *document)
{
    if (r->arguments_n == r->arguments_room) {
        size_t room = r->arguments_room ? r->arguments_room * 2 : 8;
        struct qr_json **grown = qr_realloc(r->memory, r->arguments, room * sizeof *grown);
        if (!grown) return false;
        r->arguments = grown;
        r->arguments_room = room;
    }
    r->arguments[r->arguments_n++] = document;
    return true;
}

/* Replaces a string by the JSON value in it.  An empty string or null becomes an empty object; a
 * string that is not JSON stays. */
static bool parse_arguments(struct conversation_reading *r, struct quire_value *value,
                            struct qr_api_failure *failure)
{
    char why[200];

    if (value->kind == QUIRE_VALUE_NONE || (value->kind == QUIRE_VALUE_TEXT && !value->as.text.n)) {
        *value = (struct quire_value){.kind = QUIRE_VALUE_MAP};
        return true;
    }
    if (value->kind != QUIRE_VALUE_TEXT) return true;
    struct qr_json *document =
        qr_json_parse(value->as.text.data, value->as.text.n, why, sizeof why);
    if (!document) {
        r->broken = true;
        if (!r->wraps) return true;
        document = qr_json_object();
        if (!document || !qr_json_set(document, "arguments", qr_json_string(value->as.text))) {
            qr_json_free(document);
            return no_memory(failure);
        }
    }
    if (!keep_document(r, document)) {
        qr_json_free(document);
        return no_memory(failure);
    }
    return qr_values_make(&r->values, document, value) ? true : no_memory(failure);
}

static bool read_calls(struct conversation_reading *r, const struct quire_value *message,
                       struct qr_api_failure *failure)
{
    const struct quire_value *calls = qr_values_member(message, "tool_calls");

    if (!calls || calls->kind != QUIRE_VALUE_LIST) return true;
    for (size_t j = 0; j < calls->n; j++) {
        const struct quire_value *function = qr_values_member(&calls->as.items[j], "function");
        struct quire_value *arguments = qr_values_member(function, "arguments");
        if (arguments && !parse_arguments(r, arguments, failure)) return false;
    }
    return true;
}

static bool text_is(const struct quire_value *value, const char *text)
{
    return value && value->kind == QUIRE_VALUE_TEXT && value->as.text.n == strlen(text) &&
           memcmp(value->as.text.data, text, value->as.text.n) == 0;
}

static void rename_member(struct quire_value *map, const char *from, const char *to)
{
    for (size_t i = 0; i < map->n; i++)
        if (map->keys[i].n == strlen(from) && memcmp(map->keys[i].data, from, strlen(from)) == 0)
            ((struct quire_text *)(uintptr_t)map->keys)[i] =
                (struct quire_text){.data = to, .n = strlen(to)};
}

/* Parts that hold text under another name, as the Responses API has them. */
static void read_part(struct quire_value *part)
{
    struct quire_value *type = qr_values_member(part, "type");

    if (text_is(type, "refusal") && !qr_values_member(part, "text"))
        rename_member(part, "refusal", "text");
    else if (!text_is(type, "input_text") && !text_is(type, "output_text"))
        return;
    type->as.text = (struct quire_text){.data = "text", .n = 4};
}

/* A role that no template has is refused, unless this template names it. */
static bool read_role(const struct conversation_reading *r, struct quire_value *role, size_t i,
                      struct qr_api_failure *failure)
{
    static const char *const known[] = {"system", "user", "assistant", "tool", "function"};
    char name[64];

    for (size_t k = 0; k < sizeof known / sizeof *known; k++)
        if (text_is(role, known[k])) return true;
    (void)snprintf(name, sizeof name, "%.*s", (int)(role->as.text.n < 63 ? role->as.text.n : 63),
                   role->as.text.data);
    if (name[0] && r->source && strstr(r->source, name)) return true;
    if (text_is(role, "developer")) {
        role->as.text = (struct quire_text){.data = "system", .n = 6};
        return true;
    }
    return qr_fail_field(failure, "messages",
                         "messages[%zu].role \"%s\" is not known to the model's chat template; "
                         "expected system, user, assistant or tool",
                         i, name);
}

static bool read_message(struct conversation_reading *r, struct quire_value *message, size_t i,
                         struct qr_api_failure *failure)
{
    struct quire_value *content = qr_values_member(message, "content");

    if (!read_role(r, qr_values_member(message, "role"), i, failure)) return false;
    if (content && content->kind == QUIRE_VALUE_LIST)
        for (size_t k = 0; k < content->n; k++)
            read_part((struct quire_value *)(uintptr_t)&content->as.items[k]);
    if (!qr_values_member(message, "reasoning_content"))
        rename_member(message, "reasoning", "reasoning_content");
    return read_calls(r, message, failure);
}

static bool read_messages(struct conversation_reading *r, const struct qr_json *body,
                          struct qr_api_failure *failure)
{
    const struct qr_json *list = qr_json_get(body, "messages");
    size_t n = qr_json_length(list);

    if (!list) return qr_fail_field(failure, "messages", "messages is required");
    if (qr_json_type(list) != QR_JSON_ARRAY || n == 0 || n > QR_MESSAGES_MAX) {
        return qr_fail_field(failure, "messages", "messages must be a list of 1 to %u messages",
                             QR_MESSAGES_MAX);
    }
    for (size_t i = 0; i < n; i++) {
        const struct qr_json *message = qr_json_at(list, i);
        enum qr_json_type content = qr_json_type(qr_json_get(message, "content"));
        if (qr_json_type(message) != QR_JSON_OBJECT ||
            qr_json_type(qr_json_get(message, "role")) != QR_JSON_STRING)
            return qr_fail_field(failure, "messages", "messages[%zu].role must be a string", i);
        if (content != QR_JSON_STRING && content != QR_JSON_ARRAY && content != QR_JSON_NULL) {
            return qr_fail_field(failure, "messages",
                                 "messages[%zu].content must be a string or a list of parts", i);
        }
    }
    if (!qr_values_make(&r->values, list, &r->messages)) return no_memory(failure);
    r->conversation.values = &r->messages;
    for (size_t i = 0; i < n; i++)
        if (!read_message(r, (struct quire_value *)(uintptr_t)&r->messages.as.items[i], i, failure))
            return false;
    return true;
}

/* ---- the other fields ---------------------------------------------------------------------- */

/* Reads an optional list of objects.  *out stays NULL if it is missing or empty. */
static bool read_objects(struct conversation_reading *r, const struct qr_json *body,
                         const char *name, struct quire_value *value,
                         const struct quire_value **out, struct qr_api_failure *failure)
{
    const struct qr_json *list = qr_json_get(body, name);

    if (!list) return true;
    if (qr_json_type(list) != QR_JSON_ARRAY) {
        return qr_fail_field(failure, name, "%s must be a list of objects, not %s", name,
                             qr_json_type_name(qr_json_type(list)));
    }
    for (size_t i = 0; i < qr_json_length(list); i++) {
        enum qr_json_type type = qr_json_type(qr_json_at(list, i));
        if (type == QR_JSON_OBJECT) continue;
        return qr_fail_field(failure, name, "%s[%zu] must be an object, not %s", name, i,
                             qr_json_type_name(type));
    }
    if (qr_json_length(list) == 0) return true;
    if (!qr_values_make(&r->values, list, value)) return no_memory(failure);
    *out = value;
    return true;
}

static bool add_members(struct qr_json *to, const struct qr_json *from)
{
    struct qr_json_member member = {0};

    while (from && qr_json_next(from, &member))
        if (!qr_json_set_text(to, member.key,
                              member.value ? qr_json_share(member.value) : qr_json_null()))
            return false;
    return true;
}

/* Templates that can switch thinking off know enable_thinking; others know the effort's name. */
static bool add_effort(struct qr_json *to, struct quire_text effort)
{
    const bool none = effort.n == 4 && memcmp(effort.data, "none", 4) == 0;

    return qr_json_set(to, "reasoning_effort", qr_json_string(effort)) &&
           qr_json_set(to, "enable_thinking", qr_json_from_bool(!none));
}

static bool read_variables(struct conversation_reading *r, const struct qr_json *body,
                           struct qr_api_failure *failure)
{
    const struct qr_json *variables = qr_json_get(body, "chat_template_kwargs");
    const struct qr_json *defaults = r->settings->template_kwargs;
    struct quire_text effort = {NULL, 0};

    if (qr_json_get(body, "chat_template")) {
        return qr_fail_field(
            failure, "chat_template",
            "chat_template is not accepted in a request; start quired with --chat-template");
    }
    if (variables && qr_json_type(variables) != QR_JSON_OBJECT) {
        return qr_fail_field(failure, "chat_template_kwargs",
                             "chat_template_kwargs must be an object, not %s",
                             qr_json_type_name(qr_json_type(variables)));
    }
    if (!qr_field_string(body, "reasoning_effort", &effort, failure)) return false;
    if (!variables && !defaults && !effort.data) return true;
    struct qr_json *merged = qr_json_object();
    bool done = merged && add_members(merged, defaults) &&
                (!effort.data || add_effort(merged, effort)) && add_members(merged, variables);
    if (!done || !keep_document(r, merged)) {
        qr_json_free(merged);
        return no_memory(failure);
    }
    if (!qr_values_make(&r->values, merged, &r->variables)) return no_memory(failure);
    r->conversation.variables = &r->variables;
    return true;
}

static bool read_ending(struct conversation_reading *r, const struct qr_json *body,
                        struct qr_api_failure *failure)
{
    bool prompt = true, go_on = false;

    if (!qr_field_bool(body, "add_generation_prompt", &prompt, failure) ||
        !qr_field_bool(body, "continue_final_message", &go_on, failure))
        return false;
    if (prompt && go_on) {
        return qr_fail_field(failure, "continue_final_message",
                             "continue_final_message needs add_generation_prompt to be false");
    }
    r->conversation.flags = prompt  ? QUIRE_RENDER_GENERATION_PROMPT
                            : go_on ? QUIRE_RENDER_CONTINUE
                                    : 0;
    return true;
}

static bool read_all(struct conversation_reading *r, const struct qr_json *body,
                     struct qr_api_failure *failure)
{
    return read_messages(r, body, failure) &&
           read_objects(r, body, "tools", &r->tools, &r->conversation.tools, failure) &&
           read_objects(r, body, "documents", &r->documents, &r->conversation.documents, failure) &&
           read_variables(r, body, failure) && read_ending(r, body, failure);
}

/* ---- rendering ----------------------------------------------------------------------------- */

static bool render(struct qr_buffer *text, const quire_model *model,
                   const struct quire_conversation *conversation, struct qr_api_failure *failure)
{
    struct quire_error error = {.status = QUIRE_OK};
    size_t text_n = 0;
    int status = QUIRE_OK;

    /* The template runs a second time only if the reserved bytes were too few. */
    for (int i = 0; i < 2; i++) {
        status = quire_render_conversation(model, conversation, text->data, text->capacity, &text_n,
                                           &error);
        if (status != QUIRE_BUFFER_SMALL) break;
        if (!qr_buffer_reserve(text, text_n)) return no_memory(failure);
    }
    if (status != QUIRE_OK) {
        (void)qr_fail_engine(failure, status, &error);
        if (!failure->param[0]) (void)strcpy(failure->param, "messages");
        return false;
    }
    text->n = text_n;
    return true;
}

static bool read_and_render(struct qr_buffer *text, struct conversation_reading *r,
                            const struct qr_json *body, struct qr_api_failure *failure)
{
    qr_values_init(&r->values, r->memory);
    quire_conversation_defaults(&r->conversation);
    /* Read once, so that a second rendering has the same time. */
    r->conversation.now_s = (int64_t)time(NULL);
    bool done = read_all(r, body, failure);
    if (done) {
        (void)qr_buffer_reserve(text, QR_RENDERED_BYTES);
        done = render(text, r->settings->model, &r->conversation, failure);
    }
    deinit(r);
    return done;
}

bool qr_conversation_render(struct qr_buffer *text, const struct qr_server_settings *settings,
                            const struct qr_json *body, struct qr_api_failure *failure)
{
    struct quire_model_info info = {.size = sizeof info};

    quire_model_info(settings->model, &info);
    const struct conversation_reading begin = {
        .memory = text->memory, .settings = settings, .source = info.chat_template};
    struct conversation_reading r = begin;
    if (read_and_render(text, &r, body, failure)) return true;
    if (!r.broken) return false;
    /* A template that walks through arguments fails at a text.  A call that was cut off once must
     * not block the conversation. */
    r = begin;
    r.wraps = true;
    memset(failure, 0, sizeof *failure);
    return read_and_render(text, &r, body, failure);
}
