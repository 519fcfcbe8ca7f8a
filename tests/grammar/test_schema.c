/* SPDX-License-Identifier: MIT */
/* JSON Schema to rules: what is accepted, what is not, and what is refused by name. */
#include <stdlib.h>

#include "grammar/compiled.h"

struct schema_case {
    const char *schema;
    const char *valid[8];   /* NULL ends */
    const char *invalid[8]; /* NULL ends */
};

static const struct schema_case cases[] = {
    {"true", {"1", "\"a\"", "[]", "{\"x\": [1, {}]}", "null"}, {"", "tru", "[1", "{1: 2}"}},
    {"{\"type\":\"integer\"}", {"0", "-7", "120"}, {"01", "1.5", "\"1\"", "-"}},
    {"{\"type\":\"integer\",\"minimum\":-3,\"exclusiveMaximum\":12}",
     {"-3", "0", "9", "11", "-1"},
     {"-4", "12", "100", "20"}},
    {"{\"type\":\"number\",\"minimum\":0.5,\"maximum\":10}",
     {"0.5", "0.50", "0.51", "10", "10.0", "9.99", "1"},
     {"0.49", "10.01", "-1", "0", "11", "0.4999"}},
    {"{\"type\":\"number\",\"exclusiveMinimum\":0,\"exclusiveMaximum\":1}",
     {"0.1", "0.001", "0.999"},
     {"0", "0.0", "1", "1.0", "-0.5"}},
    {"{\"multipleOf\":0.25,\"type\":\"number\"}",
     {"0.25", "1", "-1.5", "2.750", "0"},
     {"0.3", "1.1", "0.251"}},
    {"{\"type\":\"integer\",\"multipleOf\":7}", {"0", "7", "-14", "700"}, {"1", "8", "71"}},
    {"{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}",
     {"\"ab\"", "\"\xc3\xa9\xc3\xa9\"", "\"a\\n\"", "\"\\ud83d\\ude00x\""},
     {"\"a\"", "\"abcd\"", "\"\\n\""}},
    {"{\"type\":\"string\",\"pattern\":\"^a+b?$\"}", {"\"a\"", "\"aab\""}, {"\"b\"", "\"abb\""}},
    {"{\"type\":\"string\",\"pattern\":\"b\"}", {"\"b\"", "\"abc\""}, {"\"\"", "\"ac\""}},
    {"{\"type\":\"string\",\"format\":\"date\"}",
     {"\"2024-02-29\"", "\"1999-12-31\""},
     {"\"2023-02-29\"", "\"2023-13-01\"", "\"2023-04-31\""}},
    {"{\"type\":\"string\",\"format\":\"hostname\"}",
     {"\"a\"", "\"ab.c-d.e\"", "\"abc--d\""},
     {"\"\"", "\"-a\"", "\"a-\"", "\"xn--x\"", "\"ab--d\"", "\"a..b\""}},
    {"{\"enum\":[1,\"a\",null,[1,{\"k\":2}]]}",
     {"1", "1.0", "\"a\"", "null", "[1, {\"k\": 2}]"},
     {"2", "\"b\"", "[1]"}},
    {"{\"const\":\"x\\ny\"}", {"\"x\\ny\""}, {"\"x\"", "\"xny\""}},
    {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"string\"}"
     "},"
     "\"required\":[\"b\"],\"additionalProperties\":false}",
     {"{\"a\": 1, \"b\": \"x\"}", "{\"b\":\"\"}", "{ \"b\" : \"\" }", "{\n  \"b\": \"\"\n}"},
     {"{}", "{\"a\": 1}", "{\"b\": \"\", \"a\": 1}", "{\"b\": \"\", \"c\": 1}", "{\"b\": \"\",}"}},
    {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"null\"}}}",
     {"{}", "{\"a\": null}", "{\"z\": 1}", "{\"a\": null, \"aa\": 2}"},
     {"{\"a\": 1}", "{\"z\": 1, \"a\": 1}", "{\"z\": 1, \"a\": null}"}},
    {"{\"type\":\"object\",\"patternProperties\":{\"^n\":{\"type\":\"number\"},\"s$\":{\"type\":"
     "\"string\"}},\"additionalProperties\":false}",
     {"{\"n\": 1}", "{\"as\": \"\"}", "{}"},
     {"{\"n\": \"\"}", "{\"ns\": 1}", "{\"x\": 1}"}},
    {"{\"type\":\"object\",\"propertyNames\":{\"maxLength\":2}}",
     {"{\"ab\": 1}"},
     {"{\"abc\": 1}"}},
    {"{\"type\":\"object\",\"minProperties\":1,\"maxProperties\":2,\"properties\":{\"a\":{},\"b\":{"
     "},"
     "\"c\":{}},\"additionalProperties\":false}",
     {"{\"a\": 1}", "{\"a\": 1, \"c\": 1}", "{\"b\": 1, \"c\": 1}"},
     {"{}", "{\"a\": 1, \"b\": 1, \"c\": 1}"}},
    {"{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":1,\"maxItems\":3}",
     {"[1]", "[1, 2, 3]", "[1,2]"},
     {"[]", "[1, 2, 3, 4]", "[\"a\"]", "[1,]"}},
    {"{\"type\":\"array\",\"prefixItems\":[{\"type\":\"integer\"},{\"type\":\"string\"}],\"items\":"
     "false}",
     {"[]", "[1]", "[1, \"a\"]"},
     {"[\"a\"]", "[1, 2]", "[1, \"a\", 3]"}},
    {"{\"type\":\"array\",\"contains\":{\"const\":5}}", {"[5]", "[1, 5, 2]"}, {"[]", "[1, 2]"}},
    {"{\"allOf\":[{\"properties\":{\"a\":{\"minimum\":3}}},{\"properties\":{\"a\":{\"maximum\":5}},"
     "\"required\":[\"a\"]}],\"type\":\"object\"}",
     {"{\"a\": 3}", "{\"a\": 5, \"b\": 1}"},
     {"{\"a\": 2}", "{\"a\": 6}", "{}"}},
    {"{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"string\"}]}", {"1", "\"a\""}, {"null", "1.5"}},
    {"{\"oneOf\":[{\"type\":\"object\",\"properties\":{\"k\":{\"const\":\"a\"}},\"required\":["
     "\"k\"]},"
     "{\"type\":\"object\",\"properties\":{\"k\":{\"const\":\"b\"}},\"required\":[\"k\"]}]}",
     {"{\"k\": \"a\"}", "{\"k\": \"b\"}"},
     {"{\"k\": \"c\"}", "{}"}},
    {"{\"type\":\"string\",\"not\":{\"enum\":[\"a\",\"ab\"]}}",
     {"\"\"", "\"b\"", "\"abc\""},
     {"\"a\"", "\"ab\"", "\"\\u0061\""}},
    {"{\"type\":\"object\",\"not\":{\"required\":[\"a\"]}}", {"{}", "{\"b\": 1}"}, {"{\"a\": 1}"}},
    {"{\"type\":\"object\",\"if\":{\"properties\":{\"t\":{\"const\":1}},\"required\":[\"t\"]},"
     "\"then\":"
     "{\"required\":[\"u\"]},\"properties\":{\"t\":{\"type\":\"integer\"},\"u\":{\"type\":\"null\"}"
     "}}",
     {"{\"t\": 1, \"u\": null}", "{\"t\": 2}", "{}", "{\"u\": null}"},
     {"{\"t\": 1}", "{\"t\": 1.0}"}},
    {"{\"type\":\"object\",\"dependentRequired\":{\"a\":[\"b\"]},\"properties\":{\"a\":{},\"b\":{}}"
     "}",
     {"{}", "{\"b\": 1}", "{\"a\": 1, \"b\": 1}"},
     {"{\"a\": 1}"}},
    {"{\"$ref\":\"#/$defs/"
     "list\",\"$defs\":{\"list\":{\"type\":\"object\",\"properties\":{\"v\":{\"type\":"
     "\"integer\"},\"next\":{\"$ref\":\"#/$defs/"
     "list\"}},\"required\":[\"v\"],\"additionalProperties\":"
     "false}}}",
     {"{\"v\": 1}", "{\"v\": 1, \"next\": {\"v\": 2, \"next\": {\"v\": 3}}}"},
     {"{\"next\": {\"v\": 1}}", "{\"v\": 1, \"next\": {}}"}},
    {"{\"type\":[\"string\",\"null\"]}", {"null", "\"x\""}, {"1"}},
};
#define CASES_N (sizeof cases / sizeof cases[0])

/* Goal: a schema's rules accept the valid texts and no other.
 * Method: texts by hand for each keyword, near both sides of each limit. */
static void texts_are_accepted_as_the_schema_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < CASES_N; i++) {
        struct compiled c;
        size_t at;
        compiled_schema(&c, cases[i].schema, NULL);
        if (c.status) fail_msg("%s: %s", cases[i].schema, c.error.text);
        for (size_t j = 0; j < 8 && cases[i].valid[j]; j++)
            if (!compiled_accepts(&c, cases[i].valid[j], &at))
                fail_msg("%s: %s is refused at byte %zu", cases[i].schema, cases[i].valid[j], at);
        for (size_t j = 0; j < 8 && cases[i].invalid[j]; j++)
            if (compiled_accepts(&c, cases[i].invalid[j], &at))
                fail_msg("%s: %s is accepted", cases[i].schema, cases[i].invalid[j]);
        compiled_end(&c);
    }
}

/* Goal: what rules cannot hold is refused by the keyword and its path.
 * Method: one schema for each keyword; the error names both. */
static void what_cannot_be_held_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const refused[][2] = {
        {"{\"type\":\"array\",\"uniqueItems\":true}", "/uniqueItems: "},
        {"{\"$ref\":\"#x\",\"$defs\":{\"a\":{\"$id\":\"a\",\"$anchor\":\"x\"},\"b\":{\"$anchor\":"
         "\"x\"}}}",
         "/$ref: \"#x\" names more than one schema"},
        {"{\"properties\":{\"a\":{\"type\":\"string\",\"format\":\"zip\"}}}",
         "/properties/a/format: \"zip\""},
        {"{\"properties\":{\"a\":{\"pattern\":\"(?=x)\"}}}", "/properties/a/pattern: look-ahead"},
        {"{\"oneOf\":[{\"type\":\"integer\"},{\"type\":\"number\"}]}", "/oneOf: branches 0 and 1"},
        {"{\"type\":\"object\",\"unevaluatedProperties\":false}", "/unevaluatedProperties: "},
        {"{\"$ref\":\"http://elsewhere/x\"}", "/$ref: \"http://elsewhere/x\""},
        {"{\"type\":\"object\",\"minProperties\":3}", "/minProperties: "},
        {"{\"type\":\"text\"}", "/type: \"text\""},
        {"{\"not\":{\"items\":{}}}", "/not/items: "},
        {"{\"type\":\"array\",\"contains\":{},\"maxContains\":2}", "/contains: "},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct compiled c;
        compiled_schema(&c, refused[i][0], NULL);
        assert_int_equal(c.status, QUIRE_UNSUPPORTED);
        if (!strstr(c.error.text, refused[i][1]))
            fail_msg("%s: \"%s\" does not say \"%s\"", refused[i][0], c.error.text, refused[i][1]);
        compiled_end(&c);
    }
}

/* Goal: a schema that no value meets is an error, not a grammar without texts. */
static void a_schema_without_values_is_refused(void **state)
{
    (void)state;
    static const char *const empty[] = {
        "false",
        "{\"type\":\"integer\",\"minimum\":3,\"maximum\":2}",
        "{\"allOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}",
        "{\"type\":\"object\",\"required\":[\"a\"],\"additionalProperties\":false}",
        "{\"type\":\"string\",\"pattern\":\"^a{5}$\",\"maxLength\":4}",
        "{\"$ref\":\"#/$defs/"
        "x\",\"$defs\":{\"x\":{\"type\":\"object\",\"properties\":{\"x\":{\"$ref\":"
        "\"#/$defs/x\"}},\"required\":[\"x\"]}}}"};
    for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) {
        struct compiled c;
        compiled_schema(&c, empty[i], NULL);
        if (c.status != QUIRE_UNSUPPORTED) fail_msg("%s is compiled", empty[i]);
        compiled_end(&c);
    }
}

/* Goal: whatever has been accepted can be finished.
 * Method: from seeded random walks over bytes, each step one of the bytes that the matcher allows;
 *         where it allows none the text has to be complete. */
static void no_prefix_is_a_dead_end(void **state)
{
    (void)state;
    unsigned seed = 3;
    for (size_t i = 0; i < CASES_N; i++) {
        struct compiled c;
        compiled_schema(&c, cases[i].schema, NULL);
        for (int walk = 0; walk < 40; walk++) {
            struct qr_matcher m;
            assert_true(qr_matcher_init(&m, &c.rules, &c.budget));
            for (int n = 0; n < 60; n++) {
                char allowed[256];
                size_t allowed_n = 0;
                for (unsigned b = 0; b < 256; b++) {
                    if (!qr_matcher_push(&m, (uint8_t)b)) continue;
                    qr_matcher_pop(&m, 1);
                    allowed[allowed_n++] = (char)b;
                }
                if (allowed_n == 0) {
                    assert_true(qr_matcher_may_end(&m));
                    break;
                }
                char next = allowed[(size_t)rand_r(&seed) % allowed_n];
                assert_true(qr_matcher_accept(&m, &next, 1));
            }
            qr_matcher_deinit(&m);
        }
        assert_false(c.budget.failed);
        compiled_end(&c);
    }
}

/* Goal: space between tokens is what the setting says.
 * Method: none, and a tabulator. */
static void white_space_is_as_set(void **state)
{
    (void)state;
    struct compiled c;
    size_t at;
    compiled_schema(&c, "{\"type\":\"array\"}", "");
    assert_true(compiled_accepts(&c, "[1,2]", &at));
    assert_false(compiled_accepts(&c, "[1, 2]", &at));
    compiled_end(&c);
    compiled_schema(&c, "{\"type\":\"array\"}", "\\t?");
    assert_true(compiled_accepts(&c, "[1,\t2]", &at));
    assert_false(compiled_accepts(&c, "[1, 2]", &at));
    compiled_end(&c);
    compiled_schema(&c, "{\"type\":\"array\"}", NULL);
    assert_true(compiled_accepts(&c, "[\n  1,\n  2\n]", &at));
    assert_false(compiled_accepts(&c, "[1,  2]", &at));
    compiled_end(&c);
}

/* Goal: memory and steps are bounded, and running out of either is an error.
 * Method: budgets from nothing up to what the schema takes. */
static void what_is_too_large_is_refused(void **state)
{
    (void)state;
    const char *schema = cases[13].schema;
    const struct qr_schema_settings settings = {0};
    bool refused = false, compiled = false;
    for (size_t bytes = 96 << 10; !compiled; bytes += bytes / 4) {
        struct compiled c;
        compiled_begin(&c, bytes, 20000000);
        c.status = qr_schema_compile(&c.rules, schema, strlen(schema), &settings, &c.error);
        compiled = c.status == QUIRE_OK;
        refused = refused || c.status == QUIRE_UNSUPPORTED;
        assert_true(c.status == QUIRE_OK || strstr(c.error.text, "too large"));
        compiled_end(&c);
    }
    assert_true(refused);
    struct compiled c;
    schema = "{\"type\":\"string\",\"pattern\":\"^(a|b)*c$\",\"maxLength\":100}";
    compiled_begin(&c, (size_t)64 << 20, 20);
    c.status = qr_schema_compile(&c.rules, schema, strlen(schema), &settings, &c.error);
    assert_int_equal(c.status, QUIRE_UNSUPPORTED);
    compiled_end(&c);
}

/* Goal: what is no schema is an error that says where. */
static void what_is_no_schema_is_invalid(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "{", "[]", "3", "{\"a\":}"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct compiled c;
        compiled_schema(&c, texts[i], NULL);
        assert_int_equal(c.status, QUIRE_INVALID);
        compiled_end(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_accepted_as_the_schema_says),
        cmocka_unit_test(what_cannot_be_held_is_refused_by_name),
        cmocka_unit_test(a_schema_without_values_is_refused),
        cmocka_unit_test(no_prefix_is_a_dead_end),
        cmocka_unit_test(white_space_is_as_set),
        cmocka_unit_test(what_is_too_large_is_refused),
        cmocka_unit_test(what_is_no_schema_is_invalid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
