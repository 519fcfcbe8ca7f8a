/* SPDX-License-Identifier: MIT */
#include "runtime/server/translate.h"

#include <string.h>

bool qr_json_is(const struct qr_json *value, const char *text)
{
    return qr_json_type(value) == QR_JSON_STRING && qr_json_text(value).n == strlen(text) &&
           memcmp(qr_json_text(value).data, text, strlen(text)) == 0;
}

bool qr_translate_copy(struct qr_json *to, const char *as, const struct qr_json *body,
                       const char *name)
{
    const struct qr_json *value = qr_json_get(body, name);
    return !value || qr_json_set(to, as, qr_json_share(value));
}

struct quire_text qr_translate_text(const struct qr_json *value)
{
    return qr_json_type(value) == QR_JSON_STRING ? qr_json_text(value) : (struct quire_text){"", 0};
}

static struct qr_json *string(const char *text)
{
    return qr_json_string((struct quire_text){text, strlen(text)});
}

/* The object, or NULL and the object freed. */
static struct qr_json *whole(struct qr_json *object, bool done)
{
    if (done) return object;
    qr_json_free(object);
    return NULL;
}

struct qr_json *qr_translate_message(const char *role, struct qr_json *content)
{
    struct qr_json *message = qr_json_object();
    bool done = qr_json_set(message, "content", content);
    return whole(message, done && qr_json_set(message, "role", string(role)));
}

struct qr_json *qr_translate_call(struct quire_text id, const struct qr_json *name,
                                  struct qr_json *arguments)
{
    struct qr_json *call = qr_json_object(), *function = qr_json_object();
    bool done = qr_json_set(function, "arguments", arguments);
    done = done && qr_json_set(function, "name", qr_json_share(name));
    function = whole(function, done);
    done = qr_json_set(call, "function", function);
    return whole(call, done && qr_json_set(call, "id", qr_json_string(id)) &&
                           qr_json_set(call, "type", string("function")));
}

struct qr_json *qr_translate_tool(const struct qr_json *tool, const char *schema)
{
    struct qr_json *made = qr_json_object(), *function = qr_json_object();
    bool done = qr_translate_copy(function, "name", tool, "name") &&
                qr_translate_copy(function, "description", tool, "description") &&
                qr_translate_copy(function, "parameters", tool, schema) &&
                qr_translate_copy(function, "strict", tool, "strict");
    function = whole(function, done);
    done = qr_json_set(made, "function", function);
    return whole(made, done && qr_json_set(made, "type", string("function")));
}

struct qr_json *qr_translate_function(const struct qr_json *name)
{
    struct qr_json *made = qr_json_object(), *function = qr_json_object();
    function =
        whole(function, qr_json_set(function, "name", name ? qr_json_share(name) : string("")));
    bool done = qr_json_set(made, "function", function);
    return whole(made, done && qr_json_set(made, "type", string("function")));
}

struct qr_json *qr_translate_last_assistant(struct qr_json *messages, struct qr_json *last)
{
    if (last) return last;
    struct qr_json *made = qr_json_object();
    if (!made || !qr_json_set(made, "role", string("assistant"))) {
        qr_json_free(made);
        return NULL;
    }
    return qr_json_append(messages, made) ? made : NULL;
}
