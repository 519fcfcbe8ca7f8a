/* SPDX-License-Identifier: MIT */
/* Structural tags. */
#include "grammar/compiled.h"
#include "runtime/grammar/tags.h"

static void compiled_tags(struct compiled *c, const char *text)
{
    const struct qr_schema_settings settings = {0};

    compiled_begin(c, (size_t)64 << 20, 20000000);
    qr_symbol root = qr_tags_add(&c->rules, text, strlen(text), &settings, &c->status, &c->error);
    uint32_t start = qr_rules_nonterminal(&c->rules);
    if (c->status) return;
    qr_rules_add(&c->rules, start, &root, 1);
    assert_true(qr_rules_end(&c->rules, start));
}

#define INT "{\"type\":\"integer\"}"

/* vLLM's older form: two functions and one trigger */
static const char older[] =
    "{\"type\":\"structural_tag\",\"structures\":["
    "{\"begin\":\"<f=a>\",\"schema\":" INT ",\"end\":\"</f>\"},"
    "{\"begin\":\"<f=bc>\",\"schema\":{\"type\":\"boolean\"},\"end\":\"</f>\"}],"
    "\"triggers\":[\"<f=\"]}";
#define TAG(b, c, e) "{\"type\":\"tag\",\"begin\":\"" b "\",\"content\":" c ",\"end\":" e "}"
#define ANY          "{\"type\":\"any_text\"}"
#define NUMBER       "{\"type\":\"json_schema\",\"json_schema\":" INT "}"
#define FORMAT(f)    "{\"type\":\"structural_tag\",\"format\":" f "}"
#define TRIGGERED(more)                                                                            \
    FORMAT("{\"type\":\"triggered_tags\",\"triggers\":[\"<f\"],\"tags\":[" TAG(                    \
        "<f>", NUMBER, "\"</f>\"") "]" more "}")
#define REASONING                                                                                  \
    FORMAT("{\"type\":\"sequence\",\"elements\":[" TAG("<think>", ANY, "\"</think>\"") "," NUMBER  \
                                                                                       "]}")

/* Goal: texts with and without tags are accepted where the format says so. */
static void tags_hold_what_is_in_them(void **state)
{
    (void)state;
    static const struct {
        const char *tags, *text;
        bool in;
    } cases[] = {
        {older, "", true},
        {older, "free < f text <f", true},
        {older, "I look.\n<f=a>12</f>", true},
        {older, "<f=a>12</f> and <<f=bc>true</f> done", true},
        {older, "<f=a>12</f", false},
        {older, "<f=a>true</f>", false},
        {older, "<f=", false},
        {older, "<f=d>1</f>", false},
        {TRIGGERED(""), "x<f>1</f>y", true},
        {TRIGGERED(",\"at_least_one\":true"), "xy", false},
        {TRIGGERED(",\"at_least_one\":true"), "xy<f>1</f>", true},
        {TRIGGERED(",\"stop_after_first\":true"), "xy<f>1</f>", true},
        {TRIGGERED(",\"stop_after_first\":true"), "xy", true},
        {TRIGGERED(",\"stop_after_first\":true"), "xy<f>1</f>x", false},
        {TRIGGERED(",\"excludes\":[\"no\"]"), "yes<f>1</f>yes", true},
        {TRIGGERED(",\"excludes\":[\"no\"]"), "no<f>1</f>yes", false},
        {TRIGGERED(",\"excludes\":[\"no\"]"), "yes<f>1</f>no", false},
        /* an end is the first one: what follows is not text of the tag */
        {REASONING, "<think>so </thin</think>7", true},
        {REASONING, "<think></think>7", true},
        {REASONING, "<think>a</think>b</think>7", false},
        {REASONING, "<think>a", false},
        {FORMAT(TAG("<", ANY, "[\"aa\",\"b\"]")), "<xaa", true},
        {FORMAT(TAG("<", ANY, "[\"aa\",\"b\"]")), "<xb", true},
        {FORMAT(TAG("<", ANY, "[\"aa\",\"b\"]")), "<xaaa", false},
        {FORMAT(TAG("<",
                    "{\"type\":\"triggered_tags\",\"triggers\":[\"[\"],\"tags\":[" TAG(
                        "[", NUMBER, "\"]\"") "]}",
                    "\">\"")),
         "<a[1]b[2]>", true},
        {FORMAT(TAG("<",
                    "{\"type\":\"triggered_tags\",\"triggers\":[\"[\"],\"tags\":[" TAG(
                        "[", NUMBER, "\"]\"") "]}",
                    "\">\"")),
         "<a[1]b>[2]>", false},
        {FORMAT(
             "{\"type\":\"or\",\"elements\":[{\"type\":\"regex\",\"pattern\":\"a+\"},"
             "{\"type\":\"grammar\",\"grammar\":\"root ::= \\\"(\\\" root \\\")\\\" | \\\"x\\\"\"},"
             "{\"type\":\"const_string\",\"value\":\"c\"}]}"),
         "((x))", true},
        {FORMAT("{\"type\":\"tags_with_separator\",\"separator\":\", \",\"tags\":[" TAG(
             "<", NUMBER, "\">\"") "],\"at_least_one\":true}"),
         "<1>, <2>", true},
        {FORMAT("{\"type\":\"tags_with_separator\",\"separator\":\", \",\"tags\":[" TAG(
             "<", NUMBER, "\">\"") "],\"at_least_one\":true}"),
         "", false},
        {FORMAT("{\"type\":\"plus\",\"content\":{\"type\":\"optional\",\"content\":{\"type\":"
                "\"star\",\"content\":{\"type\":\"const_string\",\"value\":\"ab\"}}}}"),
         "abab", true},
        {FORMAT(ANY), "anything <f=", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct compiled c;
        size_t at;
        compiled_tags(&c, cases[i].tags);
        if (c.status) fail_msg("%s: %s", cases[i].tags, c.error.text);
        if (compiled_accepts(&c, cases[i].text, &at) != cases[i].in)
            fail_msg("%s\n%s: %s up to byte %zu", cases[i].tags, cases[i].text,
                     cases[i].in ? "refused" : "accepted", at);
        compiled_end(&c);
    }
}

/* Goal: what is not supported or malformed is refused by its path and name. */
static void errors_name_the_path(void **state)
{
    (void)state;
    static const struct {
        const char *tags, *text;
    } cases[] = {
        {"[]", "a structural tag must be a JSON object"},
        {"{\"type\":\"structural_tag\"}", "triggers must be a list that is not empty"},
        {"{\"tags\":[]}", "tags is not supported; expected type structures triggers"},
        {"{\"structures\":[{\"begin\":\"<g>\",\"schema\":{},\"end\":\"\"}],\"triggers\":[\"<f\"]}",
         "/structures/0: begin must be a string that starts with one of the triggers"},
        {"{\"structures\":[{\"begin\":\"<f>\",\"schema\":{\"uniqueItems\":true},\"end\":\"\"}],"
         "\"triggers\":[\"<f\"]}",
         "/structures/0/schema: /uniqueItems: is not supported"},
        {"{\"structures\":[{\"begin\":\"<f>\",\"schema\":{}}],\"triggers\":[\"<f\"]}",
         "/structures/0: end must be a string or a list of strings"},
        {"{\"structures\":[{}],\"triggers\":[\"\"]}",
         "triggers/0 must be a string that is not empty"},
        {FORMAT("{\"type\":\"qwen_xml_parameter\",\"json_schema\":{}}"),
         "/format: type \"qwen_xml_parameter\" is not supported"},
        {FORMAT("{\"type\":\"json_schema\",\"json_schema\":{},\"style\":\"xml\"}"),
         "/format: style is not supported; expected type json_schema"},
        {FORMAT("{\"type\":\"sequence\",\"elements\":[" ANY "," ANY "]}"),
         "/format/elements/0: any_text is supported at the end of a sequence"},
        {FORMAT("{\"type\":\"grammar\",\"grammar\":\"root ::= (\"}"),
         "/format: line 1, column 10: ( without )"},
        {FORMAT("{\"type\":\"regex\",\"pattern\":\"a(?=b)\"}"),
         "/format: pattern: look-ahead is not supported at byte 2"},
        {FORMAT("{\"type\":\"const_string\"}"), "/format: value must be a string"},
        {FORMAT("7"), "/format: a format must be an object with a type: a string"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct compiled c;
        compiled_tags(&c, cases[i].tags);
        assert_int_not_equal(c.status, QUIRE_OK);
        assert_string_equal(c.error.text, cases[i].text);
        assert_string_equal(c.error.field, "structural_tag");
        compiled_end(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_hold_what_is_in_them),
        cmocka_unit_test(errors_name_the_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
