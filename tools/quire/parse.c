/* SPDX-License-Identifier: MIT */
/* quire parse: reads generated text as the server does, for operators and tests. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/memory.h"
#include "runtime/parse/parse.h"
#include "tools/quire/command.h"

static const char usage[] =
    "Usage: quire parse [options] [FILE | -]\n\n"
    "Reads JSON lines, each with the text that a model generated.  Prints what a client would "
    "get:\n"
    "content, reasoning, tool_calls and finish_reason.  Keys of a line:\n\n"
    "  raw_output     the generated text, with control tokens as text, without the last token\n"
    "  family         the model's format of tool calls; without it, template decides\n"
    "  template       source of the chat template\n"
    "  tools, tool_choice, parallel_tool_calls\n"
    "                 as in a request\n"
    "  prompt_tail    the end of the prompt, which may open the reasoning\n"
    "  starts_in      \"reasoning\" if the prompt opens it\n"
    "  stop           \"length\" if max_tokens ended the text\n"
    "  id             copied to the output\n";

struct settings {
    bool stream;
    const char *family, *reasoning;
    const struct qr_parse_family *family_row;
    const struct qr_parse_reasoning *reasoning_row;
};

/* A text that grows. */
struct text {
    FILE *stream; /* NULL: nothing was added */
    char *data;
    size_t n;
};

/* The output of a line. */
struct result {
    struct text content, reasoning;
    struct text arguments; /* of the last call */
    json_t *calls;
    json_t *deltas; /* NULL: not asked for */
    bool failed;
};

static void append(struct result *result, struct text *to, struct quire_text text)
{
    if (!to->stream) to->stream = open_memstream(&to->data, &to->n);
    if (!to->stream || fwrite(text.data, 1, text.n, to->stream) < text.n) result->failed = true;
}

/* The text as JSON; `nothing` if nothing was added.  Owns both. */
static json_t *finish(struct text *text, json_t *nothing)
{
    json_t *made = nothing;

    if (text->stream) {
        made = fclose(text->stream) == 0 ? json_stringn(text->data, text->n) : NULL;
        json_decref(nothing);
        free(text->data);
    }
    *text = (struct text){0};
    return made;
}

static void finish_call(struct result *result)
{
    const size_t n = json_array_size(result->calls);
    json_t *arguments = finish(&result->arguments, json_string(""));

    if (n == 0)
        json_decref(arguments);
    else if (json_object_set_new(json_array_get(result->calls, n - 1), "arguments", arguments))
        result->failed = true;
}

static json_t *text_of(struct quire_text text)
{
    return json_stringn(text.data, text.n);
}

static json_t *delta_of(const struct qr_parse_delta *delta)
{
    switch (delta->kind) {
    case QR_PARSE_CONTENT: return json_pack("{s:o}", "content", text_of(delta->text));
    case QR_PARSE_REASONING: return json_pack("{s:o}", "reasoning", text_of(delta->text));
    case QR_PARSE_CALL:
        return json_pack("{s:[{s:i, s:o, s:s, s:o, s:s}]}", "tool_calls", "index", (int)delta->call,
                         "id", text_of(delta->id), "type", "function", "name", text_of(delta->text),
                         "arguments", "");
    case QR_PARSE_ARGUMENTS:
        return json_pack("{s:[{s:i, s:o}]}", "tool_calls", "index", (int)delta->call, "arguments",
                         text_of(delta->text));
    }
    return NULL;
}

static void put(void *context, const struct qr_parse_delta *delta)
{
    struct result *result = context;

    switch (delta->kind) {
    case QR_PARSE_CONTENT: append(result, &result->content, delta->text); break;
    case QR_PARSE_REASONING: append(result, &result->reasoning, delta->text); break;
    case QR_PARSE_CALL:
        finish_call(result);
        if (json_array_append_new(result->calls, json_pack("{s:o, s:o}", "id", text_of(delta->id),
                                                           "name", text_of(delta->text))))
            result->failed = true;
        break;
    case QR_PARSE_ARGUMENTS: append(result, &result->arguments, delta->text); break;
    }
    if (result->deltas && json_array_append_new(result->deltas, delta_of(delta)))
        result->failed = true;
}

/* ---- one line ------------------------------------------------------------------------------- */

static struct quire_text member(const json_t *line, const char *key)
{
    const json_t *value = json_object_get(line, key);
    return (struct quire_text){json_is_string(value) ? json_string_value(value) : "",
                               json_string_length(value)};
}

static bool has_flag(const json_t *line, const char *flag)
{
    const json_t *item;
    size_t i;

    json_array_foreach(json_object_get(line, "flags"), i,
                       item) if (json_is_string(item) &&
                                 !strcmp(json_string_value(item), flag)) return true;
    return false;
}

/* The request's tools: [{"type": "function", "function": {"name", "parameters"}}]. */
static struct qr_parse_tool *read_tools(const json_t *line, size_t *tools_n)
{
    const json_t *list = json_object_get(line, "tools"), *item;
    struct qr_parse_tool *tools = calloc(json_array_size(list) + 1, sizeof *tools);
    size_t i;

    *tools_n = 0;
    json_array_foreach(list, i, item)
    {
        const json_t *function = json_object_get(item, "function");
        if (!function) function = item;
        if (!tools || !json_is_string(json_object_get(function, "name"))) continue;
        tools[(*tools_n)++] = (struct qr_parse_tool){member(function, "name"),
                                                     json_object_get(function, "parameters")};
    }
    return tools;
}

/* Sets how calls and reasoning are read: options go first, then the family, then the template. */
static bool choose_parsers(const json_t *line, const struct settings *s,
                           struct qr_parse_settings *settings, struct qr_failure *why)
{
    const struct quire_text name = member(line, "family"), source = member(line, "template");

    settings->family = s->family_row;
    settings->reasoning = s->reasoning_row;
    if (s->family_row) return true;
    if (json_is_string(json_object_get(line, "family"))) {
        settings->family = qr_parse_family_find(name.data);
        return settings->family ||
               qr_failed(why, "family: \"%.60s\" is unknown (quire parse --help lists them)",
                         name.data);
    }
    settings->family = qr_parse_family_recognise(source.data, source.n);
    if (!s->reasoning_row)
        settings->reasoning = qr_parse_reasoning_recognise(source.data, source.n);
    return true;
}

static bool read_line(const json_t *line, const struct settings *s, struct result *result,
                      const char **finish_reason, struct qr_failure *why)
{
    const struct quire_allocator memory = qr_allocator((struct quire_allocator){0});
    const json_t *choice = json_object_get(line, "tool_choice");
    const struct quire_text raw = member(line, "raw_output");
    struct qr_parse_settings settings = {
        .prompt_tail = member(line, "prompt_tail"),
        .in_reasoning = !strcmp(member(line, "starts_in").data, "reasoning"),
        .no_calls = !strcmp(member(line, "tool_choice").data, "none"),
        .named = json_is_object(choice) && !json_object_get(choice, "allowed_tools"),
        .single = json_is_false(json_object_get(line, "parallel_tool_calls")) ||
                  has_flag(line, "parallel_false"),
        .put = put,
        .context = result};

    if (!choose_parsers(line, s, &settings, why)) return false;
    struct qr_parse_tool *tools = read_tools(line, &settings.tools_n);
    settings.tools = tools;
    struct qr_parse_reader *r = tools ? qr_parse_create(&settings, &memory) : NULL;
    bool ok = r != NULL;
    const size_t piece = s->stream ? 1 : raw.n ? raw.n : 1;
    for (size_t i = 0; ok && i < raw.n; i += piece)
        ok = qr_parse_push(r, raw.data + i, piece);
    ok = ok && qr_parse_end(r, !strcmp(member(line, "stop").data, "length") ? QR_PARSE_STOP_LENGTH
                                                                            : QR_PARSE_STOP_END);
    if (ok) *finish_reason = qr_parse_finish_reason(r);
    qr_parse_destroy(r);
    free(tools);
    return (ok && !result->failed) || qr_failed(why, "out of memory");
}

/* Prints the result as one line. */
static bool print(struct result *result, const json_t *line, const char *finish_reason)
{
    json_t *out = json_object(), *id = json_object_get(line, "id");

    finish_call(result);
    if (id) (void)json_object_set(out, "id", id);
    bool ok = !json_object_set_new(out, "content", finish(&result->content, json_null())) &&
              !json_object_set_new(out, "reasoning", finish(&result->reasoning, json_null())) &&
              !json_object_set(out, "tool_calls", result->calls) &&
              !json_object_set_new(out, "finish_reason", json_string(finish_reason)) &&
              (!result->deltas || !json_object_set(out, "deltas", result->deltas)) &&
              !result->failed && json_dumpf(out, stdout, 0) == 0 && putchar('\n') == '\n';
    json_decref(out);
    return ok;
}

static bool parse_line(const char *text, size_t n, const struct settings *s, struct qr_failure *why)
{
    json_error_t error;
    json_t *line = json_loadb(text, n, JSON_ALLOW_NUL, &error);
    struct result result = {.calls = json_array(), .deltas = s->stream ? json_array() : NULL};
    const char *finish_reason = "stop";

    /* An integer too large for int64 is a bound in a schema.  Its value does not matter here. */
    if (!line && json_error_code(&error) == json_error_numeric_overflow)
        line = json_loadb(text, n, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &error);
    bool ok = json_is_object(line);
    if (!ok)
        qr_failed(why, "expected a JSON object: %s", line ? "it is another value" : error.text);
    ok = ok && read_line(line, s, &result, &finish_reason, why);
    if (ok && !print(&result, line, finish_reason)) ok = qr_failed(why, "cannot write the result");
    json_decref(finish(&result.content, NULL));
    json_decref(finish(&result.reasoning, NULL));
    json_decref(finish(&result.arguments, NULL));
    json_decref(result.calls);
    json_decref(result.deltas);
    json_decref(line);
    return ok;
}

/* ---- the command ---------------------------------------------------------------------------- */

/* A line that cannot be read is reported, and the next one is read. */
static bool parse_all(FILE *in, const struct settings *s)
{
    char *line = NULL;
    size_t capacity = 0, number = 0;
    ssize_t n;
    bool ok = true;

    while ((n = getline(&line, &capacity, in)) >= 0) {
        struct qr_failure reason, why;
        number++;
        if (strspn(line, " \t\r\n") == (size_t)n || parse_line(line, (size_t)n, s, &reason))
            continue;
        ok = false;
        qr_failed(&why, "line %zu: %.200s", number, reason.text);
        (void)qr_command_fail(QR_EXIT_FAILED, &why);
    }
    free(line);
    return ok;
}

/* Appends the names to a text of `size` bytes. */
static void list_names(char *text, size_t size, const char *(*name_at)(size_t))
{
    for (size_t i = 0; name_at(i); i++) {
        size_t n = strlen(text);
        snprintf(text + n, size - n, "%s%s", i ? ", " : "", name_at(i));
    }
}

int qr_command_parse(int argc, char **argv)
{
    static char families[1024], reasonings[512];
    struct settings s = {0};
    const struct qr_option options[] = {
        {QR_OPTION_HEADING, NULL, NULL, NULL, "Input and output:", 0, 0, NULL},
        {QR_OPTION_FLAG, "stream", &s.stream, NULL,
         "read the text byte by byte, and also print the deltas", 0, 0, NULL},
        {QR_OPTION_TEXT, "tool-call-parser", &s.family, "NAME", families, 0, 0, NULL},
        {QR_OPTION_TEXT, "reasoning-parser", &s.reasoning, "NAME", reasonings, 0, 0, NULL},
        {QR_OPTION_FLAG, "help", NULL, NULL, "print this help", 0, 0, NULL},
    };
    const struct qr_command_syntax syntax = {usage, options, sizeof options / sizeof *options};
    struct qr_arguments arguments;
    struct qr_failure why = {""};
    int code;

    strcpy(families, "format of tool calls, instead of each line's own: ");
    strcpy(reasonings, "format of the reasoning: ");
    list_names(families, sizeof families, qr_parse_family_name_at);
    list_names(reasonings, sizeof reasonings, qr_parse_reasoning_name_at);
    if (!qr_command_read(&syntax, argc, argv, &arguments, &code)) return code;
    const char *file = arguments.n ? arguments.items[0] : "-";
    const size_t arguments_n = arguments.n;
    free(arguments.items);
    if (arguments_n > 1) {
        qr_failed(&why, "parse takes one file, or none for standard input, not %zu", arguments_n);
        return qr_command_fail(QR_EXIT_USAGE, &why);
    }
    s.family_row = s.family ? qr_parse_family_find(s.family) : NULL;
    s.reasoning_row = s.reasoning ? qr_parse_reasoning_find(s.reasoning) : NULL;
    if ((s.family && !s.family_row) || (s.reasoning && !s.reasoning_row)) {
        const bool family = s.family && !s.family_row;
        qr_failed(&why, "--%s-parser: \"%.60s\" is unknown (quire parse --help lists the names)",
                  family ? "tool-call" : "reasoning", family ? s.family : s.reasoning);
        return qr_command_fail(QR_EXIT_USAGE, &why);
    }
    FILE *in = strcmp(file, "-") ? fopen(file, "r") : stdin;
    if (!in) {
        qr_failed(&why, "cannot open %.200s: %s", file, strerror(errno));
        return qr_command_fail(QR_EXIT_FAILED, &why);
    }
    bool ok = parse_all(in, &s);
    if (in != stdin) (void)fclose(in);
    return ok ? QR_EXIT_FINE : QR_EXIT_FAILED;
}
