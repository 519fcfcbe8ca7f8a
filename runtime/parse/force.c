/* SPDX-License-Identifier: MIT */
#include "runtime/parse/force.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/error.h"
#include "runtime/parse/family.h"
#include "runtime/parse/thinking.h"
#include "runtime/parse/value.h"

#define SPACE "[ \\n\\t]{0,12}" /* where the form has ~ */

struct forcing {
    const struct qr_parse_family *family;
    const struct qr_parse_form *form;
    struct quire_error *error;
    bool failed;
};

/* ---- formats of structural tags ------------------------------------------------------------- */

/* Each function owns its json_t arguments.  Without memory it returns NULL, and so does its caller.
 */

static json_t *const_string(const char *text, size_t n)
{
    return json_pack("{s:s, s:o}", "type", "const_string", "value", json_stringn(text, n));
}

static json_t *regex(const char *pattern)
{
    return json_pack("{s:s, s:s}", "type", "regex", "pattern", pattern);
}

static json_t *json_schema(json_t *schema)
{
    return json_pack("{s:s, s:o}", "type", "json_schema", "json_schema", schema);
}

static json_t *elements_of(const char *type, json_t *elements)
{
    return json_pack("{s:s, s:o}", "type", type, "elements", elements);
}

static json_t *tag(const char *begin, json_t *content, const char *end)
{
    return json_pack("{s:s, s:s, s:o, s:s}", "type", "tag", "begin", begin, "content", content,
                     "end", end);
}

static json_t *free_text(void)
{
    return json_pack("{s:s}", "type", "any_text");
}

static json_t *optional(json_t *content)
{
    return json_pack("{s:s, s:o}", "type", "optional", "content", content);
}

/* Adds a form's text to a sequence: literal but for ~ and #. */
static void add_text(json_t *elements, const char *text)
{
    while (text && *text) {
        size_t n = strcspn(text, "~#");
        if (n) {
            (void)json_array_append_new(elements, const_string(text, n));
        } else {
            (void)json_array_append_new(elements, regex(*text == '~' ? SPACE : "[0-9]{1,3}"));
            n = 1;
        }
        text += n;
    }
}

/* ---- parameters ----------------------------------------------------------------------------- */

/* A tool's parameters as a schema of an object. */
static json_t *object_schema(const json_t *parameters)
{
    json_t *schema;

    if (!json_is_object(parameters) || !json_object_size(parameters))
        return json_pack("{s:s, s:{}, s:b}", "type", "object", "properties", "additionalProperties",
                         0);
    schema = json_copy((json_t *)(uintptr_t)parameters);
    if (!json_object_get(schema, "type") && !json_object_get(schema, "$ref"))
        (void)json_object_set_new(schema, "type", json_string("object"));
    return schema;
}

/* A property's schema, with the definitions that references in it may name. */
static json_t *property_schema(const json_t *root, const json_t *property)
{
    static const char *const places[] = {"$defs", "definitions"};
    json_t *schema =
        json_is_object(property) ? json_copy((json_t *)(uintptr_t)property) : json_object();

    for (int i = 0; i < 2; i++) {
        json_t *definitions = json_object_get(root, places[i]);
        if (definitions && !json_object_get(schema, places[i]))
            (void)json_object_set(schema, places[i], definitions);
    }
    return schema;
}

static void refuse(struct forcing *f, const struct qr_parse_tool *tool, const char *keyword)
{
    if (!f->failed)
        qr_error_field(f->error, QUIRE_UNSUPPORTED, "tools",
                       "tool %.*s: parameters%s cannot be held to in the call format of %s",
                       (int)(tool->name.n < 64 ? tool->name.n : 64), tool->name.data, keyword,
                       f->family->name);
    f->failed = true;
}

static bool check_parameters(struct forcing *f, const struct qr_parse_tool *tool)
{
    static const char *const keywords[] = {"$ref",
                                           "anyOf",
                                           "oneOf",
                                           "allOf",
                                           "not",
                                           "if",
                                           "minProperties",
                                           "maxProperties",
                                           "propertyNames",
                                           "dependentRequired",
                                           "dependentSchemas",
                                           "dependencies"};
    char name[40];

    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (json_object_get(tool->parameters, keywords[i])) {
            snprintf(name, sizeof name, "/%s", keywords[i]);
            refuse(f, tool, name);
            return false;
        }
    return true;
}

static bool is_required(const json_t *parameters, const char *key)
{
    const json_t *item;
    size_t i;

    json_array_foreach(json_object_get(parameters, "required"), i,
                       item) if (json_is_string(item) &&
                                 !strcmp(json_string_value(item), key)) return true;
    return false;
}

/* A string as the text between tags, without quotes. */
static json_t *raw_string(struct forcing *f, const struct qr_parse_tool *tool,
                          const json_t *property)
{
    const json_t *list = json_object_get(property, "enum"), *item;
    const json_t *one = json_object_get(property, "const");
    const json_t *pattern = json_object_get(property, "pattern");
    const json_t *min = json_object_get(property, "minLength");
    const json_t *max = json_object_get(property, "maxLength");
    size_t i;

    if (json_is_string(one)) return const_string(json_string_value(one), json_string_length(one));
    if (json_array_size(list)) {
        json_t *elements = json_array();
        json_array_foreach(list, i, item) if (json_is_string(item))(void) json_array_append_new(
            elements, const_string(json_string_value(item), json_string_length(item)));
        return elements_of("or", elements);
    }
    if (pattern || min || max) {
        char text[600];
        int used;
        if (pattern && (min || max || !json_is_string(pattern))) {
            refuse(f, tool, ": pattern with lengths");
            return NULL;
        }
        if (pattern) {
            const char *p = json_string_value(pattern);
            const size_t n = strlen(p);
            const bool begin = *p == '^', end = n && p[n - 1] == '$' && (n < 2 || p[n - 2] != '\\');
            used = snprintf(text, sizeof text, "%s(?:%.*s)%s", begin ? "" : "[\\s\\S]*",
                            (int)(n - begin - end), p + begin, end ? "" : "[\\s\\S]*");
        } else if (max) {
            used = snprintf(text, sizeof text, "[\\s\\S]{%lld,%lld}",
                            (long long)json_integer_value(min), (long long)json_integer_value(max));
        } else {
            used =
                snprintf(text, sizeof text, "[\\s\\S]{%lld,}", (long long)json_integer_value(min));
        }
        if (used < 0 || (size_t)used >= sizeof text) {
            refuse(f, tool, ": a pattern of more than 500 bytes");
            return NULL;
        }
        return regex(text);
    }
    return free_text();
}

/* Whether a schema has no keyword but types and annotations. */
static bool has_types_only(const json_t *schema)
{
    static const char *const known[] = {"type",    "anyOf",    "oneOf",      "title",
                                        "default", "examples", "description"};
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)schema, key, value)
    {
        bool found = false;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            found = found || !strcmp(key, known[i]);
        if (!found) return false;
    }
    return json_is_object(schema);
}

/* A value that may be a string or another simple type, such as string or null: any text, since the
 * reader takes what is no other type for a string. */
static json_t *raw_union(struct forcing *f, const struct qr_parse_tool *tool, const json_t *schema,
                         uint8_t types)
{
    static const char *const lists[] = {"anyOf", "oneOf"};
    bool plain = has_types_only(schema) && !(types & (QR_VALUE_ARRAY | QR_VALUE_OBJECT));
    const json_t *item;
    size_t i;

    for (size_t l = 0; l < 2; l++)
        json_array_foreach(json_object_get(schema, lists[l]), i, item) plain =
            plain && has_types_only(item) && json_object_get(item, "type");
    if (!plain) refuse(f, tool, ": a string or something else");
    return free_text();
}

/* A value between tags: strings are raw, all else is JSON. */
static json_t *tagged_value(struct forcing *f, const struct qr_parse_tool *tool,
                            const json_t *property)
{
    const uint8_t types = qr_value_types(tool->parameters, property);
    const json_t *schema = qr_value_schema(tool->parameters, property);
    const json_t *type = json_object_get(schema, "type");

    if (!(types & QR_VALUE_STRING)) return json_schema(property_schema(tool->parameters, property));
    if (types != QR_VALUE_STRING) return raw_union(f, tool, schema, types);
    if (json_is_string(type) || json_object_get(schema, "enum") || json_object_get(schema, "const"))
        return raw_string(f, tool, schema);
    refuse(f, tool, ": a string as a combination of schemas");
    return NULL;
}

static json_t *tagged_parameter(struct forcing *f, const struct qr_parse_tool *tool,
                                const char *key, const json_t *property)
{
    char begin[400];
    const bool raw = qr_value_types(tool->parameters, property) & QR_VALUE_STRING;

    snprintf(begin, sizeof begin, "%s%.256s%s", f->form->key, key,
             raw || !f->form->json_end ? f->form->key_end : f->form->json_end);
    return tag(begin, tagged_value(f, tool, property), f->form->value_end);
}

static json_t *python_parameter(const struct qr_parse_tool *tool, const char *key,
                                const json_t *property, bool comma)
{
    char begin[300];
    json_t *elements = json_array();
    int n = snprintf(begin, sizeof begin, "%s%.256s=", comma ? ", " : "", key);

    (void)json_array_append_new(elements, const_string(begin, (size_t)n));
    (void)json_array_append_new(elements, json_schema(property_schema(tool->parameters, property)));
    return elements_of("sequence", elements);
}

static void add_tags(struct forcing *f, const struct qr_parse_tool *tool, json_t *elements)
{
    json_t *properties = json_object_get(tool->parameters, "properties"), *property;
    const json_t *item;
    const char *key;
    size_t i;

    json_object_foreach(properties, key, property)
    {
        json_t *one = tagged_parameter(f, tool, key, property);
        if (!is_required(tool->parameters, key)) one = optional(one);
        (void)json_array_append_new(elements, one);
    }
    json_array_foreach(json_object_get(tool->parameters, "required"), i,
                       item) if (json_is_string(item) &&
                                 !json_object_get(properties, json_string_value(item)))(void)
        json_array_append_new(elements, tagged_parameter(f, tool, json_string_value(item), NULL));
}

/* Required parameters come first, so that each optional one can bring its own comma. */
static void add_python(const struct qr_parse_tool *tool, json_t *elements)
{
    json_t *properties = json_object_get(tool->parameters, "properties"), *property;
    const char *key;
    bool comma = false;

    json_object_foreach(properties, key, property)
    {
        if (!is_required(tool->parameters, key)) continue;
        (void)json_array_append_new(elements, python_parameter(tool, key, property, comma));
        comma = true;
    }
    if (comma) {
        json_object_foreach(properties, key,
                            property) if (!is_required(tool->parameters, key))(void)
            json_array_append_new(elements, optional(python_parameter(tool, key, property, true)));
        return;
    }
    /* No parameter is required: any of them may come first. */
    json_t *choices = json_array();
    for (void *first = json_object_iter(properties); first;
         first = json_object_iter_next(properties, first)) {
        json_t *sequence = json_array();
        bool more = false;
        for (void *it = first; it; it = json_object_iter_next(properties, it), more = true) {
            json_t *one =
                python_parameter(tool, json_object_iter_key(it), json_object_iter_value(it), more);
            (void)json_array_append_new(sequence, more ? optional(one) : one);
        }
        (void)json_array_append_new(choices, elements_of("sequence", sequence));
    }
    if (json_array_size(choices))
        (void)json_array_append_new(elements, optional(elements_of("or", choices)));
    else
        json_decref(choices);
}

/* ---- calls ---------------------------------------------------------------------------------- */

/* One call of a tool. */
static json_t *call_of(struct forcing *f, const struct qr_parse_tool *tool, const char *before)
{
    json_t *elements = json_array();

    add_text(elements, before);
    (void)json_array_append_new(elements, const_string(tool->name.data, tool->name.n));
    add_text(elements, f->form->name_end);
    if (f->form->kind == QR_FORM_JSON)
        (void)json_array_append_new(elements, json_schema(object_schema(tool->parameters)));
    else if (check_parameters(f, tool) && f->form->kind == QR_FORM_TAGS)
        add_tags(f, tool, elements);
    else if (!f->failed)
        add_python(tool, elements);
    add_text(elements, f->form->after);
    return elements_of("sequence", elements);
}

/* The block of calls without its first `skip` bytes, which belong to a trigger. */
static json_t *block_of(struct forcing *f, const struct qr_parse_force *force, size_t skip)
{
    const struct qr_parse_form *form = f->form;
    const bool skip_open = form->open != NULL;
    const char *before = form->before ? form->before : "";
    json_t *elements = json_array(), *calls = json_array();

    add_text(elements, skip_open ? form->open + skip : NULL);
    if (!skip_open && skip) before += skip;
    for (size_t i = 0; i < force->tools_n; i++)
        (void)json_array_append_new(calls, call_of(f, &force->tools[i], before));
    json_t *one = tag("", elements_of("or", calls), "");
    /* If each call begins with the trigger, the next call is the next tag. */
    const bool single = force->single || form->single || (skip && !skip_open);
    (void)json_array_append_new(elements, json_pack("{s:s, s:[o], s:s, s:b, s:b}", "type",
                                                    "tags_with_separator", "tags", one, "separator",
                                                    form->between ? form->between : "",
                                                    "at_least_one", 1, "stop_after_first", single));
    add_text(elements, form->close);
    return elements_of("sequence", elements);
}

/* Bytes of the literal marker that a block begins with. */
static size_t trigger_bytes(const struct qr_parse_form *form)
{
    const char *first = form->open ? form->open : form->before;
    return first ? strcspn(first, "~#") : 0;
}

static json_t *triggered(struct forcing *f, const struct qr_parse_force *force)
{
    const char *first = f->form->open ? f->form->open : f->form->before;
    const size_t n = trigger_bytes(f->form);
    json_t *trigger = json_stringn(first, n);
    json_t *one =
        json_pack("{s:O, s:o, s:s}", "begin", trigger, "content", block_of(f, force, n), "end", "");

    return json_pack("{s:s, s:[o], s:[o], s:b}", "type", "triggered_tags", "triggers", trigger,
                     "tags", one, "stop_after_first", force->single || f->form->single);
}

/* Free text up to any of the closing markers. */
static json_t *opened_reasoning(const struct qr_parse_reasoning *row)
{
    json_t *closes = json_array();

    for (size_t i = 0; i < QR_PARSE_PAIRS_MAX && row->pairs[i].close; i++)
        (void)json_array_append_new(closes, json_string(row->pairs[i].close));
    return json_pack("{s:s, s:s, s:o, s:o}", "type", "tag", "begin", "", "content", free_text(),
                     "end", closes);
}

/* A block of reasoning by any of the pairs. */
static json_t *whole_reasoning(const struct qr_parse_reasoning *row)
{
    json_t *elements = json_array();

    for (size_t i = 0; i < QR_PARSE_PAIRS_MAX && row->pairs[i].open; i++)
        (void)json_array_append_new(elements,
                                    tag(row->pairs[i].open, free_text(), row->pairs[i].close));
    return elements_of("or", elements);
}

/* Reasoning before the calls; NULL: there is none. */
static json_t *reasoning_of(const struct forcing *f, const struct qr_parse_force *force)
{
    const struct qr_parse_reasoning *row =
        qr_parse_reasoning_in(f->family, force->reasoning, (struct quire_text){"", 0});
    const bool opened = force->thinking == QR_THINKING_OPENED;
    const bool harmony = row == qr_parse_reasoning_find("gpt_oss");
    json_t *elements, *block;

    if (force->thinking == QR_THINKING_NONE) return NULL;
    if (!harmony && !row->pairs[0].open) {
        if (!opened) return NULL;
        row = qr_parse_reasoning_find("think");
    }
    if (harmony)
        block = tag(opened ? "" : "<|channel|>analysis<|message|>", free_text(),
                    "<|end|><|start|>assistant");
    else
        block = opened ? opened_reasoning(row) : whole_reasoning(row);
    elements = json_array();
    if (!opened) (void)json_array_append_new(elements, regex(SPACE));
    (void)json_array_append_new(elements, block);
    (void)json_array_append_new(elements, regex(SPACE));
    json_t *all = elements_of("sequence", elements);
    return opened ? all : optional(all);
}

char *qr_parse_force(const struct qr_parse_force *force, struct quire_error *error)
{
    struct forcing f = {.family = force->family ? force->family : qr_parse_family_find("none"),
                        .error = error};

    f.form = f.family->form;
    if (force->automatic && f.form->bare) {
        qr_error_field(error, QUIRE_UNSUPPORTED, "tools",
                       "calls of %s begin without a marker, so they cannot be held to a schema "
                       "unless tool_choice asks for one",
                       f.family->name);
        return NULL;
    }
    json_t *calls = force->automatic ? triggered(&f, force) : block_of(&f, force, 0);
    json_t *before = reasoning_of(&f, force);
    if (before) calls = elements_of("sequence", json_pack("[o, o]", before, calls));
    json_t *whole = json_pack("{s:o}", "format", calls);
    char *text = f.failed || !whole ? NULL : json_dumps(whole, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(whole);
    if (!text && !f.failed) qr_error(error, QUIRE_NO_MEMORY, "cannot force a call: out of memory");
    return text;
}

/* ---- the envelope --------------------------------------------------------------------------- */

bool qr_parse_is_envelope(const struct qr_parse_family *family)
{
    return !family || family->form == qr_parse_family_find("none")->form;
}

char *qr_parse_envelope_note(const json_t *tools)
{
    static const char text[] =
        "You can call these functions:\n%s\n"
        "Answer with one call, as JSON and nothing else: "
        "{\"tool_call\": {\"name\": NAME, \"arguments\": {PARAMETER: VALUE}}}";
    char *list = json_dumps(tools, JSON_COMPACT | JSON_ENCODE_ANY), *note = NULL;
    size_t n = sizeof text + (list ? strlen(list) : 0);

    if (list && (note = malloc(n))) snprintf(note, n, text, list);
    free(list);
    return note;
}
