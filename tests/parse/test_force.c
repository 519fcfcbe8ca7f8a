/* SPDX-License-Identifier: MIT */
/* Forced calls: the grammar of each family's format, and that the reader reads what it allows. */
#include "grammar/compiled.h"
#include "parse/cases.h"
#include "runtime/grammar/tags.h"
#include "runtime/parse/force.h"
#include "runtime/parse/thinking.h"

static void compile(struct compiled *c, const struct qr_parse_force *force)
{
    const struct qr_schema_settings settings = {0};
    struct quire_error error;
    char *text = qr_parse_force(force, &error);

    if (!text) fail_msg("%s", error.text);
    compiled_begin(c, (size_t)64 << 20, 20000000);
    qr_symbol root = qr_tags_add(&c->rules, text, strlen(text), &settings, &c->status, &c->error);
    if (c->status) fail_msg("%s: %s", c->error.text, text);
    uint32_t start = qr_rules_nonterminal(&c->rules);
    qr_rules_add(&c->rules, start, &root, 1);
    assert_true(qr_rules_end(&c->rules, start));
    free(text);
}

static json_t *schema(const char *text)
{
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    return json;
}

/* Calls that models write with other white space, quotes or order than they were taught. */
static bool is_loose(const char *id)
{
    static const char *const ids[] = {
        "qwen3_coder-07",     "llama4_pythonic-03", "llama4_pythonic-04",
        "llama4_pythonic-08", "mistral_nemo-03",    "mistral_nemo-04",
        "llama3_json-03",     "llama3_json-14",     "glm45-05"};

    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        if (!strcmp(id, ids[i])) return true;
    return false;
}

/* Goal: the grammar of a family accepts the calls that its models were taught to write.
 * Method: the well-formed cases whose message is calls alone. */
static void well_formed_calls_are_accepted(void **state)
{
    json_t *file = cases_load();
    const json_t *one;
    size_t i, n = 0, wrong = 0;
    (void)state;

    json_array_foreach(json_object_get(file, "cases"), i, one)
    {
        struct qr_parse_tool tools[CASE_TOOLS_MAX];
        const struct qr_parse_settings settings = case_settings(one, tools);
        const json_t *expected = json_object_get(one, "expected");
        const char *id = case_text(one, "id").data;
        struct compiled c;
        size_t at;

        if (json_object_get(one, "flags") || !strcmp(case_text(one, "stop").data, "length") ||
            !json_array_size(json_object_get(expected, "tool_calls")) ||
            json_is_string(json_object_get(expected, "content")) || is_loose(id))
            continue;
        compile(&c,
                &(struct qr_parse_force){.family = settings.family,
                                         .tools = tools,
                                         .tools_n = settings.tools_n,
                                         .thinking = settings.in_reasoning ? QR_THINKING_OPENED
                                                                           : QR_THINKING_ALLOWED});
        if (!compiled_accepts(&c, case_text(one, "raw_output").data, &at)) {
            print_error("%s: refused at byte %zu: %s\n", id, at,
                        case_text(one, "raw_output").data + at);
            wrong++;
        }
        compiled_end(&c);
        n++;
    }
    assert_int_equal(wrong, 0);
    assert_true(n >= 30);
    json_decref(file);
}

static uint32_t draw(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33);
}

/* A random text of the grammar, NULL where it does not end.  Bytes that may end what goes on for
 * ever are drawn more often. */
static char *random_text(struct compiled *c, uint64_t *seed)
{
    static char text[4096];
    struct qr_matcher m;
    size_t n = 0;
    bool whole = false;

    assert_true(qr_matcher_init(&m, &c->rules, &c->budget));
    while (n < sizeof text - 1) {
        char allowed[512];
        size_t allowed_n = 0;
        if (qr_matcher_may_end(&m) && (draw(seed) % 4 == 0 || !qr_matcher_may_go_on(&m))) {
            whole = true;
            break;
        }
        for (int byte = '\t'; byte < 256; byte++) {
            if (byte >= 127 && allowed_n) break; /* markers only have other letters */
            if (!qr_matcher_push(&m, (uint8_t)byte)) continue;
            qr_matcher_pop(&m, 1);
            for (int copies = strchr("\"}]<\n>/", byte) ? 12 : 1; copies > 0; copies--)
                if (allowed_n < sizeof allowed) allowed[allowed_n++] = (char)byte;
        }
        if (allowed_n == 0) break;
        text[n] = allowed[draw(seed) % allowed_n];
        assert_true(qr_matcher_accept(&m, text + n, 1));
        n++;
    }
    text[n] = 0;
    qr_matcher_deinit(&m);
    return whole ? text : NULL;
}

static void check_arguments(const struct parsed *p, uint32_t i, const char *family,
                            const char *text)
{
    json_t *arguments = json_loadb(p->calls[i].arguments.data, p->calls[i].arguments.n, 0, NULL);
    const json_t *days = json_object_get(arguments, "days");
    const json_t *unit = json_object_get(arguments, "unit");
    const bool now = !strcmp(p->calls[i].name.data, "now");

    if (!json_is_object(arguments) || (now ? json_object_size(arguments) != 0
                                           : !json_is_string(json_object_get(arguments, "city")) ||
                                                 (days && !json_is_integer(days)) ||
                                                 (unit && strcmp(json_string_value(unit), "C") &&
                                                  strcmp(json_string_value(unit), "F"))))
        fail_msg("%s: %s\n%s", family, p->calls[i].arguments.data, text);
    json_decref(arguments);
}

static const char weather[] = "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"},"
                              "\"days\":{\"type\":\"integer\"},"
                              "\"unit\":{\"enum\":[\"C\",\"F\"]}},\"required\":[\"city\"],"
                              "\"additionalProperties\":false}";

/* Goal: whatever a grammar allows is read as calls whose arguments validate.
 * Method: random texts of each family's grammar. */
static void forced_calls_are_read(void **state)
{
    json_t *parameters = schema(weather);
    const struct qr_parse_tool tools[] = {{{"get_weather", 11}, parameters}, {{"now", 3}, NULL}};
    uint64_t seed = 7;
    (void)state;

    for (size_t f = 0; qr_parse_family_name_at(f); f++) {
        const char *name = qr_parse_family_name_at(f);
        struct qr_parse_settings settings = parsed_settings(name, tools, 2);
        struct compiled c;
        struct parsed p;
        size_t texts_n = 0;

        settings.envelope = qr_parse_is_envelope(settings.family);
        compile(&c,
                &(struct qr_parse_force){.family = settings.family, .tools = tools, .tools_n = 2});
        for (int i = 0; i < 400 && texts_n < 12; i++) {
            const char *text = random_text(&c, &seed);
            if (!text) continue;
            texts_n++;
            parsed_run(&p, settings, text, strlen(text), 0, 1 + seed % 9, QR_PARSE_STOP_END);
            if (p.calls_n == 0 || p.content.n || p.reasoning.n)
                fail_msg("%s: %u calls, content '%s'\n%s", name, p.calls_n, p.content.data, text);
            for (uint32_t call = 0; call < p.calls_n; call++)
                check_arguments(&p, call, name, text);
            parsed_free(&p);
        }
        if (texts_n < 12) fail_msg("%s: only %zu texts end", name, texts_n);
        compiled_end(&c);
    }
    json_decref(parameters);
}

/* Goal: a name that is no tool, and arguments that do not validate, are refused.
 * Method: texts of several families. */
static void malformed_calls_are_refused(void **state)
{
    static const struct {
        const char *family, *text;
        bool in;
    } cases[] = {
        {"hermes", "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>", true},
        {"hermes", "<tool_call>\n{\"name\": \"never\", \"arguments\": {}}\n</tool_call>", false},
        {"hermes", "<tool_call>\n{\"name\": \"now\", \"arguments\": {\"a\": 1}}\n</tool_call>",
         false},
        {"hermes", "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {}}\n</tool_call>",
         false},
        {"hermes", "I will look.", false},
        {"llama3_json", "{\"name\": \"get_weather\", \"parameters\": {\"city\": 1}}", false},
        {"mistral_v11", "[TOOL_CALLS]now[ARGS]{}", true},
        {"mistral_v11", "[TOOL_CALLS]now[ARGS]{} and", false},
        {"qwen3_coder",
         "<tool_call>\n<function=get_weather>\n<parameter=days>\n1\n</parameter>\n</function>\n"
         "</tool_call>",
         false},
        {"qwen3_coder",
         "<tool_call>\n<function=get_weather>\n<parameter=city>\nOslo\n</parameter>\n"
         "<parameter=days>\nfew\n</parameter>\n</function>\n</tool_call>",
         false},
        {"glm45",
         "<tool_call>get_weather\n<arg_key>city</arg_key>\n<arg_value>Oslo</arg_value>\n"
         "<arg_key>unit</arg_key>\n<arg_value>K</arg_value>\n</tool_call>",
         false},
        {"llama4_pythonic", "[get_weather(city=\"Oslo\", days=2), now()]", true},
        {"llama4_pythonic", "[get_weather(days=2)]", false},
        {"gpt_oss", "<|channel|>commentary to=functions.now <|constrain|>json<|message|>{}", true},
        {"none", "{\"tool_call\": {\"name\": \"now\", \"arguments\": {}}}", true},
        {"none", "{\"tool_call\": {\"name\": \"now\"}}", false},
    };
    json_t *parameters = schema(weather);
    const struct qr_parse_tool tools[] = {{{"get_weather", 11}, parameters}, {{"now", 3}, NULL}};
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct compiled c;
        size_t at;
        compile(&c, &(struct qr_parse_force){.family = qr_parse_family_find(cases[i].family),
                                             .tools = tools,
                                             .tools_n = 2});
        if (compiled_accepts(&c, cases[i].text, &at) != cases[i].in)
            fail_msg("%s: byte %zu of %s", cases[i].family, at, cases[i].text);
        compiled_end(&c);
    }
    json_decref(parameters);
}

/* Goal: one call where one is asked for; text before a call where it is automatic; reasoning where
 * it is allowed. */
static void choices_shape_the_grammar(void **state)
{
    static const char call[] = "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";
    const struct qr_parse_tool tools[] = {{{"now", 3}, NULL}};
    const struct qr_parse_force plain = {
        .family = qr_parse_family_find("hermes"), .tools = tools, .tools_n = 1};
    struct qr_parse_force force;
    struct compiled c;
    char text[400];
    size_t at;
    (void)state;

    force = plain;
    compile(&c, &force);
    snprintf(text, sizeof text, "%s\n%s", call, call);
    assert_true(compiled_accepts(&c, text, &at));
    compiled_end(&c);
    force.single = true;
    compile(&c, &force);
    assert_false(compiled_accepts(&c, text, &at));
    compiled_end(&c);

    force = plain;
    force.automatic = true;
    compile(&c, &force);
    assert_true(compiled_accepts(&c, "No call is needed.", &at));
    snprintf(text, sizeof text, "I look.\n%s\n%s\nDone.", call, call);
    assert_true(compiled_accepts(&c, text, &at));
    assert_false(compiled_accepts(&c, "I look. <tool_call>no", &at));
    compiled_end(&c);

    force = plain;
    snprintf(text, sizeof text, "<think>\nA <tool_call> is due.\n</think>\n\n%s", call);
    force.thinking = QR_THINKING_ALLOWED;
    compile(&c, &force);
    assert_true(compiled_accepts(&c, text, &at));
    assert_true(compiled_accepts(&c, call, &at));
    compiled_end(&c);
    force.thinking = QR_THINKING_OPENED;
    compile(&c, &force);
    assert_true(compiled_accepts(&c, text + strlen("<think>"), &at));
    assert_false(compiled_accepts(&c, call, &at));
    compiled_end(&c);
}

/* Goal: a prompt's end says whether an answer may begin with reasoning, and how it is closed.
 * Method: tails of prompts; then the grammar for a prompt that opened the second pair. */
static void prompts_say_how_reasoning_begins(void **state)
{
    static const struct {
        const char *family, *tail;
        enum qr_parse_thinking thinking;
    } cases[] = {{"hermes", "assistant\n", QR_THINKING_ALLOWED},
                 {"hermes", "assistant\n<think>\n", QR_THINKING_OPENED},
                 {"hermes", "assistant\n<think>\n\n</think>\n\n", QR_THINKING_NONE},
                 {"glm45", "<|assistant|>\n</think>", QR_THINKING_NONE},
                 {"mistral_v13", "<think>\n", QR_THINKING_OPENED},
                 {"llama3_json", "assistant\n", QR_THINKING_NONE},
                 {"llama3_json", "assistant\n<think>\n", QR_THINKING_OPENED},
                 {"gpt_oss", "<|start|>assistant", QR_THINKING_ALLOWED}};
    const struct qr_parse_tool tools[] = {{{"now", 3}, NULL}};
    struct compiled c;
    size_t at;
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(
            qr_parse_thinking_of(qr_parse_family_find(cases[i].family), NULL,
                                 (struct quire_text){cases[i].tail, strlen(cases[i].tail)}),
            cases[i].thinking);
    compile(&c, &(struct qr_parse_force){.family = qr_parse_family_find("mistral_v13"),
                                         .tools = tools,
                                         .tools_n = 1,
                                         .thinking = QR_THINKING_OPENED});
    assert_true(compiled_accepts(&c, "hm</think>[TOOL_CALLS]now[ARGS]{}", &at));
    assert_true(compiled_accepts(&c, "hm[/THINK]\n[TOOL_CALLS]now[ARGS]{}", &at));
    assert_false(compiled_accepts(&c, "[TOOL_CALLS]now[ARGS]{}", &at));
    compiled_end(&c);
}

/* Goal: between tags a string is raw and may be null, and constraints of strings hold.
 * Method: parameters of several kinds; the text is read back where it is accepted. */
static void raw_values_are_held(void **state)
{
    static const struct {
        const char *schema, *value, *argument; /* argument NULL: refused */
    } cases[] = {
        {"{\"anyOf\": [{\"type\": \"string\"}, {\"type\": \"null\"}], \"title\": \"T\"}", "a",
         "\"a\""},
        {"{\"type\": [\"string\", \"null\"]}", "null", "null"},
        {"{\"type\": [\"string\", \"integer\"]}", "1.5", "\"1.5\""},
        {"{\"type\": \"string\", \"pattern\": \"^a+$\"}", "aa", "\"aa\""},
        {"{\"type\": \"string\", \"pattern\": \"^a+$\"}", "ab", NULL},
        {"{\"type\": \"string\", \"pattern\": \"b\"}", "abc", "\"abc\""},
        {"{\"type\": \"string\", \"maxLength\": 2}", "abc", NULL},
        {"{\"$ref\": \"#/$defs/n\"}", "7", "7"},
        {"{\"$ref\": \"#/$defs/n\"}", "x", NULL},
        {"{\"$ref\": \"#/$defs/s\"}", "7", "\"7\""},
        {"{\"type\": \"array\", \"items\": {\"$ref\": \"#/$defs/n\"}}", "[1, 2]", "[1, 2]"},
        {"{}", "\"7\"", "\"7\""},
        {"{\"enum\": [1, 2]}", "2", "2"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[400], arguments[100];
        struct compiled c;
        struct parsed p;
        size_t at;
        snprintf(text, sizeof text,
                 "{\"properties\": {\"k\": %s}, \"$defs\": {\"n\": {\"type\": \"integer\"}, "
                 "\"s\": {\"type\": \"string\"}}}",
                 cases[i].schema);
        json_t *parameters = schema(text);
        const struct qr_parse_tool tools[] = {{{"f", 1}, parameters}};
        compile(&c, &(struct qr_parse_force){.family = qr_parse_family_find("minimax_m2"),
                                             .tools = tools,
                                             .tools_n = 1});
        snprintf(text, sizeof text,
                 "<minimax:tool_call>\n<invoke name=\"f\">\n<parameter name=\"k\">%s</parameter>\n"
                 "</invoke>\n</minimax:tool_call>",
                 cases[i].value);
        if (compiled_accepts(&c, text, &at) != (cases[i].argument != NULL))
            fail_msg("%s: byte %zu of %s", cases[i].schema, at, text);
        compiled_end(&c);
        if (cases[i].argument) {
            snprintf(arguments, sizeof arguments, "{\"k\": %s}", cases[i].argument);
            parsed_run(&p, parsed_settings("minimax_m2", tools, 1), text, strlen(text), 0, 1,
                       QR_PARSE_STOP_END);
            assert_int_equal(p.calls_n, 1);
            assert_string_equal(p.calls[0].arguments.data, arguments);
            parsed_free(&p);
        }
        json_decref(parameters);
    }
}

/* Goal: what a format cannot hold is refused, by the tool and the keyword. */
static void what_cannot_be_held_is_refused(void **state)
{
    json_t *parameters = schema("{\"anyOf\": [{\"required\": [\"a\"]}]}");
    const struct qr_parse_tool tools[] = {{{"f", 1}, parameters}};
    struct quire_error error;
    (void)state;

    struct qr_parse_force force = {
        .family = qr_parse_family_find("glm45"), .tools = tools, .tools_n = 1};
    assert_null(qr_parse_force(&force, &error));
    assert_int_equal(error.status, QUIRE_UNSUPPORTED);
    assert_non_null(strstr(error.text, "tool f: parameters/anyOf"));
    force = (struct qr_parse_force){.family = qr_parse_family_find("llama3_json"),
                                    .tools = tools,
                                    .tools_n = 1,
                                    .automatic = true};
    assert_null(qr_parse_force(&force, &error));
    assert_non_null(strstr(error.text, "llama3_json"));
    json_decref(parameters);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(well_formed_calls_are_accepted),
                                       cmocka_unit_test(forced_calls_are_read),
                                       cmocka_unit_test(malformed_calls_are_refused),
                                       cmocka_unit_test(choices_shape_the_grammar),
                                       cmocka_unit_test(raw_values_are_held),
                                       cmocka_unit_test(prompts_say_how_reasoning_begins),
                                       cmocka_unit_test(what_cannot_be_held_is_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
