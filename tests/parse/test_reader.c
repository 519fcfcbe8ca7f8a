/* SPDX-License-Identifier: MIT */
/* What a reader promises of any text: order, repairs, limits, time, memory. */
#include <time.h>

#include "parse/parsed.h"
#include "support/failing.h"

static json_t *parameters;
static struct qr_parse_tool tools[] = {{{"get_weather", 11}, NULL}, {{"now", 3}, NULL}};

static struct qr_parse_settings family(const char *name)
{
    return parsed_settings(name, tools, 2);
}

static void run(struct parsed *p, const char *name, const char *text)
{
    parsed_run(p, family(name), text, strlen(text), 0, 1, QR_PARSE_STOP_END);
}

static void assert_message(const char *name, const char *text, const char *content,
                           const char *reasoning, const char *arguments)
{
    struct parsed p;

    run(&p, name, text);
    if (strcmp(p.content.data ? p.content.data : "", content) ||
        strcmp(p.reasoning.data ? p.reasoning.data : "", reasoning) ||
        p.calls_n != (arguments != NULL) ||
        (arguments &&
         strcmp(p.calls[0].arguments.data ? p.calls[0].arguments.data : "", arguments)))
        fail_msg("%s: %s\ncontent '%s', reasoning '%s', %u calls, '%s'", name, text, p.content.data,
                 p.reasoning.data, p.calls_n, p.calls[0].arguments.data);
    parsed_free(&p);
}

#define CALL(arguments)                                                                            \
    "<tool_call>\n{\"name\": \"now\", \"arguments\": " arguments "}\n</tool_call>"

/* Goal: arguments are the model's own text, but for the three repairs.
 * Method: one text for each. */
static void arguments_are_the_models_text(void **state)
{
    static const char *const cases[][2] = {
        {"{\"a\": 12345678901234567890, \"b\": -2.5e-3}",
         "{\"a\": 12345678901234567890, \"b\": -2.5e-3}"},
        {"{ \"a\" :\n1 }", "{ \"a\" :\n1 }"},
        {"{\"a\": \"x\ny\"}", "{\"a\": \"x\\ny\"}"},
        {"{\"a\": \"\\\\\"}", "{\"a\": \"\\\\\"}"},
        {"\"{\\\"a\\\": \\\"\\\\u00e9 \\ud83d\\ude00\\\"}\"",
         "{\"a\": \"\\u00e9 \xf0\x9f\x98\x80\"}"},
        {"null", "{}"},
        {"\"\"", "{}"},
        {"\"text\"", "\"text\""},
        {"{\"a\": \"</tool_call>\"}", "{\"a\": \"</tool_call>\"}"},
        {"{\"a\": \"x\"y\"}", "{\"a\": \"x\"y\"}}"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        snprintf(text, sizeof text, CALL("%s"), cases[i][0]);
        assert_message("hermes", text, "", "", cases[i][1]);
    }
    assert_message("hermes",
                   "<tool_call>{\"name\": \"now\", \"arguments\": {\"a\": 1 \n</tool_call>", "", "",
                   "{\"a\": 1");
    assert_message("gpt_oss",
                   "<|channel|>commentary to=functions.now<|message|>{\"a\": 1 x}<|call|>", "", "",
                   "{\"a\": 1 x}");
}

/* Goal: what is no call is content, with every byte.
 * Method: texts that begin as calls do. */
static void no_text_is_lost(void **state)
{
    static const char *const cases[][2] = {
        {"hermes", "a <tool_call> b"},
        {"hermes", "<tool_call>{\"name\": 1}</tool_call>"},
        {"hermes", "<tool_call><tool_call><tool"},
        {"qwen3_coder", "<function=nope>\n<parameter=a>"},
        {"llama3_json", "{\"name\": \"nope\", \"parameters\": {}}"},
        {"llama3_json", "{\"city\": \"Oslo\"} and so on"},
        {"mistral_v11", "[TOOL_CALLS] are markers\nof [THIN"},
        {"llama4_pythonic", "[1, 2, 3]"},
        {"deepseek_v3", "<｜tool▁call▁begin｜>nothing"},
        {"functionary_v3.2", "no recipient >>> here"},
        {"gpt_oss", "no marker"},
        {"glm45", "<tool_call> is a tag"},
        {"minimax_m2", "<minimax:tool_call> text"},
        {"minimax_m2", "<minimax:tool_call>\n<b>"},
        {"generic", "{\"other\": {}}"},
        {"none", "<think>text</think>"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_message(cases[i][0], cases[i][1], cases[i][1], "", NULL);
}

/* Goal: text within a call, between tags, ends the call and is content.
 * Method: prose in place of a parameter; a key that never ends. */
static void prose_between_tags_is_content(void **state)
{
    char text[600] = "<tool_call>\n<function=now>\n<parameter=", content[400];
    (void)state;

    assert_message("qwen3_coder",
                   "<tool_call>\n<function=now>\nLet me see.\n</function>\n</tool_call>",
                   "Let me see.\n\n", "", "{}");
    memset(content, 'k', 300);
    content[300] = 0;
    strcat(text, content);
    assert_message("qwen3_coder", text, content, "", "{}");
}

/* Goal: DeepSeek's attribute says whether a value is a string, not the schema.
 * Method: a string and a number, with and without the attribute. */
static void attributes_tell_strings(void **state)
{
    (void)state;
    assert_message("deepseek_v4",
                   "ok<｜DSML｜tool_calls>\n<｜DSML｜invoke name=\"get_weather\">\n"
                   "<｜DSML｜parameter name=\"city\" string=\"true\">12</｜DSML｜parameter>\n"
                   "<｜DSML｜parameter name=\"days\" string=\"false\">3</｜DSML｜parameter>\n"
                   "<｜DSML｜parameter name=\"more\">4</｜DSML｜parameter>\n"
                   "</｜DSML｜invoke>\n</｜DSML｜tool_calls>",
                   "ok", "", "{\"city\": \"12\", \"days\": 3, \"more\": 4}");
    assert_message("deepseek_v3.2",
                   "<think>a<｜DSML｜function_calls>\n<｜DSML｜invoke name=\"now\">\n"
                   "</｜DSML｜invoke>\n</｜DSML｜function_calls>",
                   "", "a", "{}");
}

/* Goal: a call after text that only looked like one is found.
 * Method: a marker that is text, and a call right after it. */
static void a_call_after_a_marker_is_found(void **state)
{
    (void)state;
    assert_message("hermes", "<tool_call> " CALL("{}"), "<tool_call>", "", "{}");
    assert_message("hermes", "<tool_call>\n{\"a\"" CALL("{}"), "<tool_call>\n{\"a\"", "", "{}");
}

/* Goal: reasoning with a call in it is reasoning if it is closed; a call ends it if not.
 * Method: families whose markers are text, and one whose markers are control tokens. */
static void calls_in_reasoning_are_told(void **state)
{
    (void)state;
    assert_message("qwen3", "<think>a " CALL("{}") "</think>b", "b", "a " CALL("{}"), NULL);
    assert_message("qwen3", "<think>a " CALL("{}"), "", "a", "{}");
    assert_message("qwen3", "<think>a <tool_call> b", "", "a <tool_call> b", NULL);
    assert_message("mistral_v13", "[THINK]a[TOOL_CALLS]now[ARGS]{}", "", "a", "{}");
    assert_message("qwen3.5", "<think>a " CALL("{}") "</think>b", "b", "a", "{}");
}

/* Goal: a prompt that opens the reasoning is understood, whatever the family.
 * Method: tails of prompts, open and closed. */
static void prompts_open_reasoning(void **state)
{
    static const struct {
        const char *family, *tail;
        bool open;
    } cases[] = {{"hermes", "<|im_start|>assistant\n<think>\n", true},
                 {"hermes", "<|im_start|>assistant\n<think>\n\n</think>\n\n", false},
                 {"hermes", "<|im_start|>assistant\n", false},
                 {"llama3_json", "<think>", true},
                 {"none", "<think>", true},
                 {"mistral_v13", "[THINK]", true}};
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct qr_parse_settings settings = family(cases[i].family);
        struct parsed p;
        settings.prompt_tail = (struct quire_text){cases[i].tail, strlen(cases[i].tail)};
        parsed_run(&p, settings, "x", 1, 1, 1, QR_PARSE_STOP_END);
        assert_int_equal(p.reasoning.n, cases[i].open);
        assert_int_equal(p.content.n, !cases[i].open);
        parsed_free(&p);
    }
}

/* Goal: bytes that are not UTF-8 become U+FFFD, and code points are never cut.
 * Method: parsed_put checks each delta; bytes one by one. */
static void deltas_are_utf8(void **state)
{
    struct parsed p;
    (void)state;

    assert_message("hermes", "a\xff\xe6\x97 \xf0\x9f\x98\x80\xed\xa0\x80z\xc3",
                   "a\xef\xbf\xbd\xef\xbf\xbd \xf0\x9f\x98\x80\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz"
                   "\xef\xbf\xbd",
                   "", NULL);
    /* a header that is cut within a code point, and a key that is too long */
    char text[2048] = "<|channel|>";
    for (int i = 0; i < 400; i++)
        strcat(text, "\xe6\x97\xa5");
    strcat(text, "<|message|>x");
    run(&p, "gpt_oss", text);
    parsed_free(&p);
    snprintf(text, sizeof text, "[now(");
    for (int i = 0; i < 400; i++)
        strcat(text, "\xe6\x97\xa5");
    run(&p, "llama4_pythonic", text);
    parsed_free(&p);
    assert_message("hermes", CALL("{\"a\": \"\xe6\x97\xa5\"}"), "", "",
                   "{\"a\": \"\xe6\x97\xa5\"}");
}

/* Goal: ids are 9 letters and digits, differ within a message, and follow from the seed.
 * Method: two calls, read twice, then with another seed. */
static void ids_follow_from_the_seed(void **state)
{
    struct qr_parse_settings settings = family("hermes");
    struct parsed a, b, c;
    static const char text[] = CALL("{}") CALL("{}");
    (void)state;

    settings.seed = 5;
    parsed_run(&a, settings, text, sizeof text - 1, 0, 1, QR_PARSE_STOP_END);
    parsed_run(&b, settings, text, sizeof text - 1, 0, 7, QR_PARSE_STOP_END);
    settings.seed = 6;
    parsed_run(&c, settings, text, sizeof text - 1, 0, 7, QR_PARSE_STOP_END);
    assert_int_equal(a.calls_n, 2);
    assert_int_equal(strspn(a.calls[0].id.data, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                                "abcdefghijklmnopqrstuvwxyz"),
                     9);
    assert_int_equal(a.calls[0].id.n, 9);
    assert_true(parsed_equal(&a, &b));
    assert_string_not_equal(a.calls[0].id.data, a.calls[1].id.data);
    assert_string_not_equal(a.calls[0].id.data, c.calls[0].id.data);
    parsed_free(&a);
    parsed_free(&b);
    parsed_free(&c);
}

/* Goal: with parallel calls off the first call is all, and generation may stop after it.
 * Method: two calls; ask after each byte. */
static void single_keeps_the_first_call(void **state)
{
    static const char text[] = CALL("{}") "\n" CALL("{\"a\": 1}") "\nDone";
    struct qr_parse_settings settings = family("hermes");
    const struct quire_allocator memory = qr_allocator((struct quire_allocator){0});
    struct parsed p;
    size_t at = 0;
    (void)state;

    settings.single = true;
    parsed_run(&p, settings, text, sizeof text - 1, 0, 1, QR_PARSE_STOP_END);
    assert_int_equal(p.calls_n, 1);
    assert_string_equal(p.calls[0].arguments.data, "{}");
    assert_string_equal(p.content.data, "Done");
    parsed_free(&p);

    settings.put = parsed_put;
    settings.context = &p;
    struct qr_parse_reader *r = qr_parse_create(&settings, &memory);
    while (at < sizeof text - 1 && !qr_parse_is_done(r))
        assert_true(qr_parse_push(r, text + at++, 1));
    assert_int_equal(at, sizeof CALL("{}") - sizeof "\n</tool_call>");
    qr_parse_destroy(r);
    parsed_free(&p);
}

/* Goal: text that may become a call is held up to a limit only; past it, it is content.
 * Method: 3 MB of arguments before a name that never comes. */
static void held_text_is_bounded(void **state)
{
    const size_t n = (size_t)3 << 20;
    static const char begin[] = "<tool_call>{\"arguments\": \"";
    char *text = malloc(n);
    struct parsed p;
    (void)state;

    assert_non_null(text);
    memset(text, 'a', n);
    memcpy(text, begin, sizeof begin - 1);
    parsed_run(&p, family("hermes"), text, n, n, 1, QR_PARSE_STOP_END);
    assert_int_equal(p.calls_n, 0);
    assert_int_equal(p.content.n, n);
    assert_memory_equal(p.content.data, text, n);
    parsed_free(&p);
    free(text);
}

static void ignore(void *context, const struct qr_parse_delta *delta)
{
    *(size_t *)context += delta->text.n;
}

static double seconds(const char *name, const char *unit, size_t n)
{
    const struct quire_allocator memory = qr_allocator((struct quire_allocator){0});
    struct qr_parse_settings settings = family(name);
    const size_t unit_n = strlen(unit);
    size_t bytes = 0;

    settings.put = ignore;
    settings.context = &bytes;
    struct qr_parse_reader *r = qr_parse_create(&settings, &memory);
    assert_non_null(r);
    clock_t from = clock();
    for (size_t i = 0; i < n; i++)
        assert_true(qr_parse_push(r, unit + i % unit_n, 1));
    assert_true(qr_parse_end(r, QR_PARSE_STOP_END));
    qr_parse_destroy(r);
    return (double)(clock() - from) / CLOCKS_PER_SEC;
}

/* Goal: time is linear in the text, whatever it is made of.
 * Method: 2 MB of what makes a reader hold text or try a call: a quadratic reader takes minutes. */
static void time_is_linear(void **state)
{
    static const char *const cases[][2] = {
        {"hermes", "<"},
        {"hermes", "<tool_call>"},
        {"hermes", "<tool_call>{\"a\": \""},
        {"hermes", "<tool_call>{\"name\": \"\\"},
        {"hermes", " \n"},
        {"qwen3", "<think><tool_call>"},
        {"qwen3_coder", "<tool_call><function=a><parameter=b>\n</parameter> \n</parameter>\n"},
        {"qwen3_coder", "<function=now>\n<parameter=b>\n\n</parameter><"},
        {"deepseek_v3", "<｜tool▁call▁begin｜>"},
        {"deepseek_v3", "<｜tool_calls"},
        {"gpt_oss", "<|channel|>final "},
        {"gpt_oss", "<|message|><|channel|>"},
        {"functionary_v3.2", ">>>now\n"},
        {"llama4_pythonic", "[now(a='"},
        {"mistral_v11", "[TOOL_CALLS]a"},
        {"glm45", "<tool_call>now<arg_key>a</arg_key><arg_value>b</arg_value>\n\n<"},
        {"kimi_k2", "<|tool_call_begin|>"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double took = seconds(cases[i][0], cases[i][1], (size_t)2 << 20);
        if (took > 20) fail_msg("%s, %s: %.1f s for 2 MB", cases[i][0], cases[i][1], took);
    }
}

/* Goal: without memory a push says so, and nothing leaks.
 * Method: fail each allocation in turn. */
static void no_memory_is_reported(void **state)
{
    static const char text[] = "Some text. " CALL("\"{\\\"a\\\": \\\"b\\\"}\"") " and more";
    bool whole = false;
    (void)state;

    for (long i = 0; !whole; i++) {
        struct failing failing = {.left = i};
        const struct quire_allocator memory = {.resize = failing_resize, .context = &failing};
        struct qr_parse_settings settings = family("hermes");
        struct parsed p = {0};
        settings.put = parsed_put;
        settings.context = &p;
        struct qr_parse_reader *r = qr_parse_create(&settings, &memory);
        if (r) {
            whole = qr_parse_push(r, text, sizeof text - 1) && qr_parse_end(r, QR_PARSE_STOP_END);
            qr_parse_destroy(r);
        }
        assert_int_equal(failing.held, 0);
        parsed_free(&p);
        assert_true(i < 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(arguments_are_the_models_text),
                                       cmocka_unit_test(no_text_is_lost),
                                       cmocka_unit_test(prose_between_tags_is_content),
                                       cmocka_unit_test(attributes_tell_strings),
                                       cmocka_unit_test(a_call_after_a_marker_is_found),
                                       cmocka_unit_test(calls_in_reasoning_are_told),
                                       cmocka_unit_test(prompts_open_reasoning),
                                       cmocka_unit_test(deltas_are_utf8),
                                       cmocka_unit_test(ids_follow_from_the_seed),
                                       cmocka_unit_test(single_keeps_the_first_call),
                                       cmocka_unit_test(held_text_is_bounded),
                                       cmocka_unit_test(time_is_linear),
                                       cmocka_unit_test(no_memory_is_reported)};
    parameters = json_loads("{\"properties\": {\"city\": {\"type\": \"string\"}}}", 0, NULL);
    tools[0].parameters = parameters;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    json_decref(parameters);
    return failed;
}
