/* SPDX-License-Identifier: MIT */
/* Structured output over the socket: each client's field, and what is refused. */
#include "support/daemon.h"

static struct daemon server;

static int start(void **state)
{
    (void)state;
    daemon_start(&server, TINY, NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    daemon_stop(&server);
    return 0;
}

#define SCHEMA                                                                                     \
    "{\"type\":\"object\",\"properties\":{\"ok\":{\"type\":\"boolean\"}},\"required\":[\"ok\"],"   \
    "\"additionalProperties\":false}"
#define ASK(more)   "{\"prompt\":[1,5,6],\"max_tokens\":60,\"seed\":3," more "}"
#define COMPLETIONS "/v1/completions"

/* Goal: an answer is JSON by the schema, in every way that clients ask for one.
 * Method: random weights at temperature 1; the text is parsed. */
static void answers_follow_the_schema(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        ASK("\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"x\","
            "\"strict\":"
            "true,\"schema\":" SCHEMA "}}"),
        ASK("\"structured_outputs\":{\"json\":" SCHEMA "}"),
        ASK("\"guided_json\":" SCHEMA),
        ASK("\"json_schema\":" SCHEMA),
        ASK("\"response_format\":{\"type\":\"json_object\",\"schema\":" SCHEMA "}"),
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        json_t *answer = ask_json(&server, COMPLETIONS, bodies[i], 200);
        assert_string_equal(text_at(answer, "choices.0.finish_reason"), "stop");
        json_t *value = json_loads(text_at(answer, "choices.0.text"), 0, NULL);
        assert_int_equal(json_object_size(value), 1);
        assert_true(json_is_boolean(json_object_get(value, "ok")));
        json_decref(value);
        json_decref(answer);
    }
}

/* Goal: regular expressions and choices constrain an answer; response_format text does not.
 * Method: ask with each and check the text or the status. */
static void answers_match_patterns_and_choices(void **state)
{
    (void)state;
    json_t *answer =
        ask_json(&server, COMPLETIONS, ASK("\"structured_outputs\":{\"regex\":\"[0-9]{4}\"}"), 200);
    assert_int_equal(strlen(text_at(answer, "choices.0.text")), 4);
    assert_int_equal(strspn(text_at(answer, "choices.0.text"), "0123456789"), 4);
    json_decref(answer);
    answer = ask_json(&server, COMPLETIONS, ASK("\"guided_choice\":[\"left\",\"right\"]"), 200);
    const char *text = text_at(answer, "choices.0.text");
    assert_true(strcmp(text, "left") == 0 || strcmp(text, "right") == 0);
    json_decref(answer);
    answer = ask_json(&server, COMPLETIONS,
                      ASK("\"response_format\":{\"type\":\"text\"},\"temperature\":0"), 200);
    json_decref(answer);
}

/* Goal: grammars and structural tags constrain an answer, by each client's field.
 * Method: the texts that they allow are told by their shape. */
static void answers_follow_grammars_and_tags(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        ASK("\"grammar\":\"root ::= [0-9]{2} (\\\"-\\\" [0-9]{2})*\""),
        ASK("\"guided_grammar\":\"root ::= [0-9]{2} | [0-9]{2} \\\"-\\\" root\""),
        ASK("\"structured_outputs\":{\"grammar\":\"root ::= root \\\"-\\\" n | n\\nn ::= "
            "[0-9]{2}\"}"),
        ASK("\"structured_outputs\":{\"structural_tag\":{\"type\":\"structural_tag\",\"format\":{"
            "\"type\":\"tag\",\"begin\":\"\",\"content\":{\"type\":\"regex\",\"pattern\":\"[0-9]{2}"
            "\"},\"end\":\"\"}}}"),
        ASK("\"response_format\":{\"type\":\"structural_tag\",\"format\":{\"type\":"
            "\"tags_with_separator\",\"separator\":\"-\",\"at_least_one\":true,\"tags\":[{\"type\":"
            "\"tag\",\"begin\":\"\",\"content\":{\"type\":\"regex\",\"pattern\":\"[0-9]{2}\"},"
            "\"end\":\"\"}]}}"),
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        json_t *answer = ask_json(&server, COMPLETIONS, bodies[i], 200);
        const char *text = text_at(answer, "choices.0.text");
        assert_true(strlen(text) >= 2);
        for (size_t j = 0; text[j]; j++)
            assert_true(j % 3 == 2 ? text[j] == '-' : text[j] >= '0' && text[j] <= '9');
        json_decref(answer);
    }
    json_t *answer = ask_json(
        &server, COMPLETIONS,
        ASK("\"response_format\":{\"type\":\"structural_tag\",\"triggers\":[\"<\"],\"structures\":["
            "{\"begin\":\"<\",\"schema\":{\"type\":\"boolean\"},\"end\":\">\"}]},\"logit_bias\":{"
            "\"60\":100}"),
        200);
    const char *text = text_at(answer, "choices.0.text");
    for (const char *tag = strchr(text, '<'); tag && strlen(tag) > 8; tag = strchr(tag + 1, '<'))
        assert_true(strncmp(tag, "<true>", 6) == 0 || strncmp(tag, "<false>", 7) == 0);
    json_decref(answer);
}

/* Goal: a constraint that is not supported, and two at once, are a 400 that names the field.
 * Method: send each wrong body and check the field and words of the message. */
static void what_cannot_be_held_is_a_400(void **state)
{
    (void)state;
    static const char *const refused[][3] = {
        {ASK("\"response_format\":{\"type\":\"nonsense\"}"), "response_format", "nonsense"},
        {ASK("\"response_format\":\"json\""), "response_format", "must be an object"},
        {ASK("\"response_format\":{\"type\":\"json_schema\"}"), "response_format", "no schema"},
        {ASK("\"guided_json\":{\"type\":\"array\",\"uniqueItems\":true}"), "guided_json",
         "/uniqueItems"},
        {ASK("\"guided_regex\":\"a\",\"guided_json\":{}"), "guided_regex", "both set"},
        {ASK("\"guided_regex\":\"(?=a)\""), "guided_regex", "look-ahead"},
        {ASK("\"guided_grammar\":\"root ::= x\""), "guided_grammar", "line 1, column 10: no rule"},
        {ASK("\"grammar\":\"root: x\""), "grammar", "line 1, column 5: expected ::="},
        {ASK("\"grammar\":7"), "grammar", "must be a grammar in GBNF"},
        {ASK("\"structured_outputs\":{\"structural_tag\":\"x\"}"), "structural_tag",
         "must be a JSON object"},
        {ASK("\"response_format\":{\"type\":\"structural_tag\",\"format\":{\"type\":\"x\"}}"),
         "response_format", "/format: type \"x\" is not supported"},
        {ASK("\"structured_outputs\":{}"), "structured_outputs", "asks for nothing"},
        {ASK("\"structured_outputs\":{\"choice\":[]}"), "choice", "1 to 1024 strings"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        json_t *answer = ask_json(&server, COMPLETIONS, refused[i][0], 400);
        assert_string_equal(text_at(answer, "error.param"), refused[i][1]);
        if (!strstr(text_at(answer, "error.message"), refused[i][2]))
            fail_msg("\"%s\" does not say \"%s\"", text_at(answer, "error.message"), refused[i][2]);
        json_decref(answer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_follow_the_schema),
        cmocka_unit_test(answers_match_patterns_and_choices),
        cmocka_unit_test(answers_follow_grammars_and_tags),
        cmocka_unit_test(what_cannot_be_held_is_a_400),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
