/* SPDX-License-Identifier: MIT */
#include "runtime/server/structured.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/memory.h"
#include "runtime/server/buffer.h"
#include "runtime/server/json_write.h"

#define CHOICES_MAX 1024u

/* What the fields that were read so far ask for. */
struct asked {
    const char *by; /* the field; NULL: none yet */
    bool closed;    /* a schema that does not say allows no undeclared property */
    struct quire_grammar_settings settings;
    struct qr_buffer schema; /* the text of a schema or a structural tag */
    struct qr_buffer whitespace;
    struct quire_text choices[CHOICES_MAX];
    struct qr_api_failure *failure;
};

bool qr_structured_may_ask(const char *body, size_t body_n)
{
    static const char *const names[] = {"response_format", "structured_outputs", "guided_",
                                        "json_schema",     "\"grammar\"",        "\"tools\"",
                                        "output_config"};

    if (body_n == 0) return false; /* body may be NULL */
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

/* JSON that the grammar takes as text: an object, a schema also a boolean, or (vLLM) its text. */
static bool ask_json(struct asked *a, const char *field, const struct qr_json *value,
                     struct quire_text *text)
{
    if (!claim(a, field)) return false;
    const bool schema = text == &a->settings.json_schema;
    if (!value) return qr_fail_field(a->failure, field, "%s has no schema", field);
    enum qr_json_type type = qr_json_type(value);
    if (type == QR_JSON_STRING) {
        struct quire_text given = qr_json_text(value);
        qr_buffer_put(&a->schema, given.data, given.n);
    } else if (type != QR_JSON_OBJECT && (type != QR_JSON_BOOL || !schema)) {
        return qr_fail_field(a->failure, field, "%s is %s; expected %s: an object", field,
                             qr_json_type_name(type),
                             schema ? "a JSON Schema" : "a structural tag");
    } else {
        qr_json_dump(value, &a->schema);
    }
    if (a->schema.failed) return qr_fail(a->failure, 500, NULL, NULL, "out of memory");
    if (a->schema.n == 0) return qr_fail_field(a->failure, field, "%s is an empty text", field);
    *text = (struct quire_text){a->schema.data, a->schema.n};
    return true;
}

static bool ask_schema(struct asked *a, const char *field, const struct qr_json *schema)
{
    return ask_json(a, field, schema, &a->settings.json_schema);
}

static bool ask_tag(struct asked *a, const char *field, const struct qr_json *tag)
{
    return ask_json(a, field, tag, &a->settings.structural_tag);
}

static bool ask_object(struct asked *a, const char *field)
{
    if (!claim(a, field)) return false;
    qr_buffer_puts(&a->schema, "{\"type\":\"object\"}");
    if (a->schema.failed) return qr_fail(a->failure, 500, NULL, NULL, "out of memory");
    a->settings.json_schema = (struct quire_text){a->schema.data, a->schema.n};
    return true;
}

static bool ask_text(struct asked *a, const char *field, const struct qr_json *value,
                     const char *what, struct quire_text *text)
{
    if (!claim(a, field)) return false;
    if (qr_json_type(value) != QR_JSON_STRING || qr_json_text(value).n == 0)
        return qr_fail_field(a->failure, field, "%s must be a %s: a string", field, what);
    *text = qr_json_text(value);
    return true;
}

static bool ask_regex(struct asked *a, const char *field, const struct qr_json *value)
{
    return ask_text(a, field, value, "regular expression", &a->settings.regex);
}

static bool ask_gbnf(struct asked *a, const char *field, const struct qr_json *value)
{
    return ask_text(a, field, value, "grammar in GBNF", &a->settings.gbnf);
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

/* OpenAI's, and vLLM's structural_tag. */
static bool read_response_format(struct asked *a, const char *field, const struct qr_json *format)
{
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
        const struct qr_json *strict = qr_json_get(named ? named : format, "strict");
        /* As in vLLM and llama.cpp: a model may otherwise add properties without end. */
        a->closed = qr_json_type(strict) != QR_JSON_BOOL || qr_json_bool(strict);
        return ask_schema(a, field, schema);
    }
    if (text.n == 14 && memcmp(text.data, "structural_tag", 14) == 0)
        return ask_tag(a, field, format);
    return qr_fail_field(a->failure, field,
                         "%s.type \"%.*s\" is not supported; expected \"text\", \"json_object\", "
                         "\"json_schema\" or \"structural_tag\"",
                         field, (int)(text.n < 40 ? text.n : 40), text.data);
}

/* A field, and what reads it. */
struct field {
    const char *name;
    bool (*ask)(struct asked *a, const char *field, const struct qr_json *value);
};

static bool ask_whitespace(struct asked *a, const char *field, const struct qr_json *value)
{
    if (qr_json_type(value) != QR_JSON_STRING)
        return qr_fail_field(a->failure, field, "%s must be a string", field);
    struct quire_text text = qr_json_text(value);
    qr_buffer_put(&a->whitespace, text.data, text.n);
    qr_buffer_put(&a->whitespace, "", 1);
    if (a->whitespace.failed) return qr_fail(a->failure, 500, NULL, NULL, "out of memory");
    a->settings.whitespace = a->whitespace.data;
    return true;
}

static bool ask_flag(struct asked *a, const char *field, const struct qr_json *value)
{
    return qr_json_type(value) == QR_JSON_BOOL ||
           qr_fail_field(a->failure, field, "%s must be a boolean", field);
}

static bool ask_object_if(struct asked *a, const char *field, const struct qr_json *value)
{
    return ask_flag(a, field, value) && (!qr_json_bool(value) || ask_object(a, field));
}

static bool ask_closed(struct asked *a, const char *field, const struct qr_json *value)
{
    if (!ask_flag(a, field, value)) return false;
    a->settings.no_additional_properties = qr_json_bool(value);
    return true;
}

static bool read_members(struct asked *a, const struct qr_json *object, const struct field *fields,
                         size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct qr_json *value = qr_json_get(object, fields[i].name);
        if (value && !fields[i].ask(a, fields[i].name, value)) return false;
    }
    return true;
}

static bool read_structured_outputs(struct asked *a, const char *field,
                                    const struct qr_json *object)
{
    static const struct field fields[] = {{"json", ask_schema},
                                          {"regex", ask_regex},
                                          {"choice", ask_choices},
                                          {"grammar", ask_gbnf},
                                          {"structural_tag", ask_tag},
                                          {"json_object", ask_object_if},
                                          {"whitespace_pattern", ask_whitespace},
                                          {"disable_additional_properties", ask_closed}};
    const char *before = a->by;

    if (qr_json_type(object) != QR_JSON_OBJECT)
        return qr_fail_field(a->failure, field, "%s must be an object", field);
    if (!read_members(a, object, fields, sizeof fields / sizeof fields[0])) return false;
    if (a->by == before && !a->settings.no_additional_properties)
        return qr_fail_field(a->failure, field,
                             "%s asks for nothing; expected one of json, regex, choice, grammar, "
                             "structural_tag and json_object",
                             field);
    return true;
}

static bool read_fields(struct asked *a, const struct qr_json *body)
{
    static const struct field fields[] = {{"response_format", read_response_format},
                                          {"structured_outputs", read_structured_outputs},
                                          {"guided_json", ask_schema},
                                          {"guided_regex", ask_regex},
                                          {"guided_choice", ask_choices},
                                          {"guided_grammar", ask_gbnf},
                                          {"grammar", ask_gbnf},
                                          {"guided_whitespace_pattern", ask_whitespace},
                                          {"json_schema", ask_schema}};

    return read_members(a, body, fields, sizeof fields / sizeof fields[0]);
}

bool qr_structured_asks(const struct qr_json *body)
{
    static const char *const names[] = {"structured_outputs", "guided_json",    "guided_regex",
                                        "guided_choice",      "guided_grammar", "grammar",
                                        "json_schema"};
    const struct qr_json *type = qr_json_get(qr_json_get(body, "response_format"), "type");

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (qr_json_get(body, names[i])) return true;
    return qr_json_type(type) == QR_JSON_STRING &&
           !(qr_json_text(type).n == 4 && memcmp(qr_json_text(type).data, "text", 4) == 0);
}

/* ---- the frame ----------------------------------------------------------------------------- */

static void put_string(struct qr_buffer *out, struct quire_text text)
{
    qr_json_put_string(out, text.data, text.n);
}

/* The form as a format of structural tags. */
static void put_form(struct qr_buffer *out, const struct quire_grammar_settings *s)
{
    if (s->json_schema.n > 0) {
        qr_buffer_puts(out, "{\"type\":\"json_schema\",\"json_schema\":");
        qr_buffer_put(out, s->json_schema.data, s->json_schema.n);
    } else if (s->regex.n > 0) {
        qr_buffer_puts(out, "{\"type\":\"regex\",\"pattern\":");
        put_string(out, s->regex);
    } else if (s->gbnf.n > 0) {
        qr_buffer_puts(out, "{\"type\":\"grammar\",\"grammar\":");
        put_string(out, s->gbnf);
    } else {
        qr_buffer_puts(out, "{\"type\":\"or\",\"elements\":[");
        for (size_t i = 0; i < s->choices_n; i++) {
            qr_json_put_comma(out);
            qr_buffer_puts(out, "{\"type\":\"const_string\",\"value\":");
            put_string(out, s->choices[i]);
            qr_buffer_puts(out, "}");
        }
        qr_buffer_puts(out, "]");
    }
    qr_buffer_puts(out, "}");
}

static void put_reasoning(struct qr_buffer *out, const struct qr_structured_frame *frame)
{
    if (!frame->opened) qr_buffer_puts(out, "{\"type\":\"optional\",\"content\":");
    qr_buffer_puts(out, "{\"type\":\"tag\",\"begin\":");
    qr_json_put_cstring(out, frame->opened ? "" : frame->open);
    qr_buffer_puts(out, ",\"content\":{\"type\":\"any_text\"},\"end\":");
    qr_json_put_cstring(out, frame->close);
    qr_buffer_puts(out, frame->opened ? "}" : "}}");
    qr_buffer_puts(out, ",{\"type\":\"regex\",\"pattern\":\"[ \\n\\t]{0,12}\"},");
}

/* Puts the form into its frame: settings then hold a structural tag. */
static bool enter_frame(struct asked *a, const struct qr_structured_frame *frame,
                        struct qr_buffer *out)
{
    char why[100];
    struct qr_json *calls =
        frame->calls ? qr_json_parse(frame->calls, strlen(frame->calls), why, sizeof why) : NULL;
    const struct qr_json *format = qr_json_get(calls, "format");

    /* A structural tag has free text of its own, and says itself what comes before. */
    if (a->settings.structural_tag.n > 0 || (!frame->close && !format)) {
        qr_json_free(calls);
        return true;
    }
    qr_buffer_puts(out, "{\"format\":{\"type\":\"sequence\",\"elements\":[");
    if (frame->close) put_reasoning(out, frame);
    if (format) {
        qr_buffer_puts(out, "{\"type\":\"or\",\"elements\":[");
        qr_json_dump(format, out);
        qr_buffer_puts(out, ",");
    }
    put_form(out, &a->settings);
    qr_buffer_puts(out, format ? "]}]}}" : "]}}");
    qr_json_free(calls);
    if (out->failed) return qr_fail(a->failure, 500, NULL, NULL, "out of memory");
    a->settings.json_schema = a->settings.regex = a->settings.gbnf = (struct quire_text){NULL, 0};
    a->settings.choices_n = 0;
    a->settings.structural_tag = (struct quire_text){out->data, out->n};
    return true;
}

int qr_structured_compile_closed(const quire_model *model,
                                 const struct quire_grammar_settings *settings,
                                 quire_grammar **grammar, struct quire_error *error)
{
    struct quire_grammar_settings closed = *settings;

    closed.no_additional_properties = 1;
    const int status = quire_grammar_compile(model, &closed, grammar, error);
    if (status == QUIRE_OK || status == QUIRE_NO_MEMORY) return status;
    return quire_grammar_compile(model, settings, grammar, error);
}

bool qr_structured_read(const struct qr_json *body, const quire_model *model,
                        const struct quire_allocator *allocator,
                        const struct qr_structured_frame *frame, quire_grammar **grammar,
                        struct qr_api_failure *failure)
{
    struct asked *a = qr_alloc_zero(allocator, 1, sizeof *a);
    struct quire_error error;
    struct qr_buffer framed;

    *grammar = NULL;
    if (!a) return qr_fail(failure, 500, NULL, NULL, "out of memory");
    a->failure = failure;
    quire_grammar_settings_defaults(&a->settings);
    qr_buffer_init(&a->schema, allocator);
    qr_buffer_init(&a->whitespace, allocator);
    qr_buffer_init(&framed, allocator);
    bool ok = read_fields(a, body);
    if (ok && a->by) ok = enter_frame(a, frame, &framed);
    int status = QUIRE_OK;
    if (ok && a->by)
        status = a->closed ? qr_structured_compile_closed(model, &a->settings, grammar, &error)
                           : quire_grammar_compile(model, &a->settings, grammar, &error);
    if (status != QUIRE_OK)
        ok = error.status == QUIRE_NO_MEMORY
                 ? qr_fail_engine(failure, error.status, &error)
                 : qr_fail_field(failure, a->by, "%s: %s", a->by, error.text);
    qr_buffer_deinit(&a->schema);
    qr_buffer_deinit(&a->whitespace);
    qr_buffer_deinit(&framed);
    qr_free(allocator, a);
    return ok;
}
