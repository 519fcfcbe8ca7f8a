/* SPDX-License-Identifier: MIT */
/* quire parse: what it prints for lines, and how it refuses. */
#include "parse/parsed.h"
#include "support/process.h"

static const char tools[] =
    "\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"now\"}}]";

static struct process_result run(const char *option, const char *value, const char *input)
{
    const char *const arguments[] = {"quire", "parse", option, value, NULL};
    return process_run(arguments, input, strlen(input));
}

static json_t *line_of(const struct process_result *result)
{
    json_t *line = json_loads(result->out, 0, NULL);
    if (!line) fail_msg("no JSON: %s %s", result->out, result->err);
    return line;
}

/* Goal: a line gives the message, and with --stream its deltas.
 * Method: a call whose family the line names, then one whose template shows it. */
static void a_line_gives_the_message(void **state)
{
    static const char call[] =
        "\"raw_output\": \"Hi <tool_call>{\\\"name\\\": \\\"now\\\", \\\"arguments\\\": {}}"
        "</tool_call>\"";
    char input[512];
    (void)state;

    if (!process_built("quire")) skip();
    for (int i = 0; i < 2; i++) {
        snprintf(input, sizeof input, "\n{\"id\": \"a\", %s, %s, %s, \"other\": 1}\n",
                 i ? "\"template\": \"{% if tools %}<tool_call>\"" : "\"family\": \"hermes\"",
                 tools, call);
        struct process_result result = run("--stream", NULL, input);
        assert_int_equal(result.code, 0);
        json_t *line = line_of(&result);
        const json_t *one = json_array_get(json_object_get(line, "tool_calls"), 0);
        assert_string_equal(json_string_value(json_object_get(line, "id")), "a");
        assert_string_equal(json_string_value(json_object_get(line, "content")), "Hi");
        assert_true(json_is_null(json_object_get(line, "reasoning")));
        assert_string_equal(json_string_value(json_object_get(one, "name")), "now");
        assert_string_equal(json_string_value(json_object_get(one, "arguments")), "{}");
        assert_string_equal(json_string_value(json_object_get(line, "finish_reason")),
                            "tool_calls");
        assert_true(json_array_size(json_object_get(line, "deltas")) >= 5);
        json_decref(line);
        process_free(&result);
    }
}

/* Goal: options go before what a line says.
 * Method: no parser, then another one. */
static void options_choose_the_parser(void **state)
{
    char input[512];
    (void)state;

    if (!process_built("quire")) skip();
    snprintf(input, sizeof input,
             "{\"family\": \"hermes\", %s, \"raw_output\": \"[TOOL_CALLS]now[ARGS]{}\"}\n", tools);
    struct process_result result = run("--tool-call-parser", "mistral", input);
    json_t *line = line_of(&result);
    assert_int_equal(json_array_size(json_object_get(line, "tool_calls")), 1);
    json_decref(line);
    process_free(&result);
    result = run("--tool-call-parser", "none", input);
    line = line_of(&result);
    assert_int_equal(json_array_size(json_object_get(line, "tool_calls")), 0);
    json_decref(line);
    process_free(&result);
}

/* Goal: what is wrong is named.
 * Method: an unknown parser, an unknown family, a line that is no JSON. */
static void mistakes_are_named(void **state)
{
    (void)state;

    if (!process_built("quire")) skip();
    struct process_result result = run("--tool-call-parser", "hermse", "");
    assert_int_equal(result.code, 2);
    assert_non_null(strstr(result.err, "--tool-call-parser: \"hermse\" is unknown"));
    process_free(&result);
    result = run(NULL, NULL, "{}\n{\"family\": \"x\"}\n{\"id\": 3}\n");
    assert_int_equal(result.code, 1);
    assert_non_null(strstr(result.err, "line 2: family: \"x\" is unknown"));
    assert_non_null(strstr(result.out, "\"id\": 3"));
    process_free(&result);
    result = run(NULL, NULL, "[1]\n");
    assert_int_equal(result.code, 1);
    assert_non_null(strstr(result.err, "line 1: expected a JSON object"));
    process_free(&result);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_line_gives_the_message),
                                       cmocka_unit_test(options_choose_the_parser),
                                       cmocka_unit_test(mistakes_are_named)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
