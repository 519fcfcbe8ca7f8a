/* SPDX-License-Identifier: MIT */
#include "runtime/server/structured.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/memory.h"
#include "runtime/server/buffer.h"

#define CHOICES_MAX 1024u

/* What the fields that were read so far ask for. */
struct asked {
    const char *by; /* the field; NULL: none yet */
    struct quire_grammar_settings settings;
    struct qr_buffer schema; /* the schema's text */
    struct qr_buffer whitespace;
    struct quire_text choices[CHOICES_MAX];
    struct qr_api_failure *failure;
};

bool qr_structured_may_ask(const char *body, size_t body_n)
{
    static const char *const names[] = {"response_format", "structured_outputs", "guided_",
                                        "json_schema"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (memmem(body, body_n, names[i], strlen(names[i]))) return true;
    return false;
}

static bool claim(struct asked *a, const char *field)
{
    if (a->by)
        return qr_fail_field(a->failure, field, "%s and %s are both set; expected one of them",
                             a->by, field);
    a->by = field;
    return true;
}

/* A schema: an object, a boolean, or (vLLM) its text. */
static bool ask_schema(struct asked *a, const char *field, const struct qr_json *schema)
{
    if (!claim(a, field)) return false;
    if (!schema) return qr_fail_field(a->failure, field, "%s has no schema", field);
    enum qr_json_type type = qr_json_type(schema);
    if (type == QR_JSON_STRING) {
        struct quire_text text = qr_json_text(schema);
        qr_buffer_put(&a->schema, text.data, text.n);
    } else if (type != QR_JSON_OBJECT && type != QR_JSON_BOOL) {
        return qr_fail_field(a->failure, field, "%s is %s; expected a JSON Schema: an object",
                             field, qr_json_type_name(type));
    } else {
        qr_json_dump(schema, &a->schema);
    }
    if (a->schema.failed) return qr_fail(a->failure, 500, NULL, NULL, "out of memory");
    if (a->schema.n == 0) return qr_fail_field(a->failure, field, "%s has an empty schema", field);
    a->settings.json_schema = (struct quire_text){a->schema.data, a->schema.n};
    return true;
}

static bool ask_object(struct asked *a, const char *field)
{
    if (!claim(a, field)) return false;
    qr_buffer_puts(&a->schema, "{\"type\":\"object\"}");
    if (a->schema.failed) return qr_fail(a->failure, 500, NULL, NULL, "out of memory");
    a->settings.json_schema = (struct quire_text){a->schema.data, a->schema.n};
    return true;
}

static bool ask_regex(struct asked *a, const char *field, const struct qr_json *value)
{
    if (!claim(a, field)) return false;
    if (qr_json_type(value) != QR_JSON_STRING || qr_json_text(value).n == 0)
        return qr_fail_field(a->failure, field, "%s must be a regular expression: a string", field);
    a->settings.regex = qr_json_text(value);
    return true;
}

static bool ask_choices(struct asked *a, const char *field, const struct qr_json *value)
{
    size_t n = qr_json_length(value);

    if (!claim(a, field)) return false;
    if (qr_json_type(value) != QR_JSON_ARRAY || n == 0 || n > CHOICES_MAX)
        return qr_fail_field(a->failure, field, "%s must be a list of 1 to %u strings", field,
                             CHOICES_MAX);
    for (size_t i = 0; i < n; i++) {
        const struct qr_json *one = qr_json_at(value, i);
        if (!one || qr_json_type(one) != QR_JSON_STRING || qr_json_text(one).n == 0)
            return qr_fail_field(a->failure, field, "%s[%zu] must be a string that is not empty",
                                 field, i);
        a->choices[i] = qr_json_text(one);
    }
    a->settings.choices = a->choices;
    a->settings.choices_n = n;
    return true;
}

/* OpenAI's, with vLLM's structural_tag refused by name. */
static bool read_response_format(struct asked *a, const struct qr_json *format)
{
    const char *field = "response_format";

    if (qr_json_type(format) != QR_JSON_OBJECT)
        return qr_fail_field(a->failure, field, "%s must be an object, not %s", field,
                             qr_json_type_name(qr_json_type(format)));
    const struct qr_json *type = qr_json_get(format, "type");
    if (!type || qr_json_type(type) != QR_JSON_STRING)
        return qr_fail_field(a->failure, field, "%s.type must be a string", field);
    struct quire_text text = qr_json_text(type);
    if (text.n == 4 && memcmp(text.data, "text", 4) == 0) return true;
    if (text.n == 11 && memcmp(text.data, "json_object", 11) == 0) {
        const struct qr_json *schema = qr_json_get(format, "schema"); /* llama.cpp's */
        return schema ? ask_schema(a, field, schema) : ask_object(a, field);
    }
    if (text.n == 11 && memcmp(text.data, "json_schema", 11) == 0) {
        const struct qr_json *named = qr_json_get(format, "json_schema");
        const struct qr_json *schema = named && qr_json_type(named) == QR_JSON_OBJECT
                                           ? qr_json_get(named, "schema")
                                           : qr_json_get(format, "schema");
        return ask_schema(a, field, schema);
    }
    return qr_fail_field(a->failure, field,
                         "%s.type \"%.*s\" is not supported; expected \"text\", \"json_object\" "
                         "or \"json_schema\"",
                         field, (int)(text.n < 40 ? text.n : 40), text.data);
}

/* The members of vLLM's structured_outputs, or its older fields with `prefix` before their names.
 */
static bool read_members(struct asked *a, const struct qr_json *object, const char *const names[6],
                         bool *said)
{
    const struct qr_json *value;

    *said = false;
    if ((value = qr_json_get(object, names[0])) && (*said = true) &&
        !ask_schema(a, names[0], value))
        return false;
    if ((value = qr_json_get(object, names[1])) && (*said = true) && !ask_regex(a, names[1], value))
        return false;
    if ((value = qr_json_get(object, names[2])) && (*said = true) &&
        !ask_choices(a, names[2], value))
        return false;
    for (size_t i = 3; i < 5; i++)
        if (qr_json_get(object, names[i]))
            return qr_fail_field(a->failure, names[i], "%s is not supported", names[i]);
    value = qr_json_get(object, names[5]);
    if (value && qr_json_type(value) != QR_JSON_STRING)
        return qr_fail_field(a->failure, names[5], "%s must be a string", names[5]);
    if (value) {
        struct quire_text text = qr_json_text(value);
        qr_buffer_put(&a->whitespace, text.data, text.n);
        qr_buffer_put(&a->whitespace, "", 1);
        if (a->whitespace.failed) return qr_fail(a->failure, 500, NULL, NULL, "out of memory");
        a->settings.whitespace = a->whitespace.data;
    }
    return true;
}

static bool read_structured_outputs(struct asked *a, const struct qr_json *object)
{
    static const char *const names[6] = {"json",    "regex",          "choice",
                                         "grammar", "structural_tag", "whitespace_pattern"};
    static const char *const flags[] = {"json_object", "disable_additional_properties"};
    bool said;

    if (qr_json_type(object) != QR_JSON_OBJECT)
        return qr_fail_field(a->failure, "structured_outputs",
                             "structured_outputs must be an "
                             "object");
    if (!read_members(a, object, names, &said)) return false;
    for (size_t i = 0; i < 2; i++) {
        const struct qr_json *flag = qr_json_get(object, flags[i]);
        if (flag && qr_json_type(flag) != QR_JSON_BOOL)
            return qr_fail_field(a->failure, flags[i], "%s must be a boolean", flags[i]);
        if (!flag || !qr_json_bool(flag)) continue;
        said = true;
        if (i == 1)
            a->settings.no_additional_properties = 1;
        else if (!ask_object(a, flags[i]))
            return false;
    }
    if (!said)
        return qr_fail_field(a->failure, "structured_outputs",
                             "structured_outputs asks for nothing; expected one of json, regex, "
                             "choice and json_object");
    return true;
}

static bool read_fields(struct asked *a, const struct qr_json *body)
{
    static const char *const guided[6] = {"guided_json",   "guided_regex",
                                          "guided_choice", "guided_grammar",
                                          "grammar",       "guided_whitespace_pattern"};
    const struct qr_json *value;
    bool said;

    if ((value = qr_json_get(body, "response_format")) && !read_response_format(a, value))
        return false;
    if ((value = qr_json_get(body, "structured_outputs")) && !read_structured_outputs(a, value))
        return false;
    if (!read_members(a, body, guided, &said)) return false;
    if ((value = qr_json_get(body, "json_schema")) && !ask_schema(a, "json_schema", value))
        return false;
    return true;
}

bool qr_structured_read(const struct qr_json *body, const quire_model *model,
                        const struct quire_allocator *allocator, quire_grammar **grammar,
                        struct qr_api_failure *failure)
{
    struct asked *a = qr_alloc_zero(allocator, 1, sizeof *a);
    struct quire_error error;

    *grammar = NULL;
    if (!a) return qr_fail(failure, 500, NULL, NULL, "out of memory");
    a->failure = failure;
    quire_grammar_settings_defaults(&a->settings);
    qr_buffer_init(&a->schema, allocator);
    qr_buffer_init(&a->whitespace, allocator);
    bool ok = read_fields(a, body);
    if (ok && a->by && quire_grammar_compile(model, &a->settings, grammar, &error) != QUIRE_OK)
        ok = error.status == QUIRE_NO_MEMORY
                 ? qr_fail_engine(failure, error.status, &error)
                 : qr_fail_field(failure, a->by, "%s: %s", a->by, error.text);
    qr_buffer_deinit(&a->schema);
    qr_buffer_deinit(&a->whitespace);
    qr_free(allocator, a);
    return ok;
}
