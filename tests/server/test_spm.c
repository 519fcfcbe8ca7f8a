/* SPDX-License-Identifier: MIT */
/* Text through a model with SentencePiece's tokenizer, end to end. */
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

static void assert_tokens(const char *body, const char *expected)
{
    json_t *answer = ask_json(&server, "/tokenize", body, 200);
    char *ids = json_dumps(at(answer, "tokens"), JSON_COMPACT);

    assert_string_equal(ids, expected);
    free(ids);
    json_decref(answer);
}

static void assert_prompt(const char *body, const char *expected)
{
    json_t *answer = ask_json(&server, "/detokenize", body, 200);

    assert_string_equal(text_at(answer, "prompt"), expected);
    json_decref(answer);
}

/* Goal: /tokenize gives llama.cpp's ids with an optional BOS; /detokenize gives the text back,
 * and the leading space only for a continuation.
 * Method: compare ids and texts in both directions. */
static void text_goes_there_and_back(void **state)
{
    (void)state;
    assert_tokens("{\"prompt\":\"Hello  world\"}", "[1,858,924,338,561,262,884,272,641]");
    assert_tokens("{\"prompt\":\"Hello  world\",\"add_special_tokens\":false}",
                  "[858,924,338,561,262,884,272,641]");
    assert_tokens("{\"prompt\":\"\"}", "[1]");
    assert_prompt("{\"tokens\":[858,924,338,561,262,884,272,641]}", "Hello  world");
    assert_prompt("{\"tokens\":[858,924,338,561],\"continuation\":true}", " Hello");
    assert_prompt("{\"tokens\":[1,858,924,338,561]}", "<s> Hello");
}

/* Goal: a prompt as text is the prompt as its ids; what streams adds up to the whole answer, in
 *       whole characters; an echo begins with the prompt as it was sent.
 * Method: a greedy answer four times: by text, by ids, as a stream, with echo. */
static void completions_take_and_give_text(void **state)
{
    (void)state;
    static const char fields[] = "\"max_tokens\":40,\"temperature\":0,\"ignore_eos\":true";
    char body[256], streamed[2048] = "";
    struct answer a;

    (void)snprintf(body, sizeof body, "{\"prompt\":\"Hello\",%s}", fields);
    json_t *by_text = ask_json(&server, "/v1/completions", body, 200);
    (void)snprintf(body, sizeof body, "{\"prompt\":[1,858,924,338,561],%s}", fields);
    json_t *by_ids = ask_json(&server, "/v1/completions", body, 200);
    const char *text = text_at(by_text, "choices.0.text");
    assert_true(strlen(text) > 0);
    assert_string_equal(text_at(by_ids, "choices.0.text"), text);
    assert_int_equal(int_at(by_text, "usage.prompt_tokens"), 5);

    (void)snprintf(body, sizeof body, "{\"prompt\":\"Hello\",\"echo\":true,%s}", fields);
    json_t *echo = ask_json(&server, "/v1/completions", body, 200);
    assert_memory_equal(text_at(echo, "choices.0.text"), "Hello", 5);
    assert_string_equal(text_at(echo, "choices.0.text") + 5, text);

    (void)snprintf(body, sizeof body, "{\"prompt\":\"Hello\",\"stream\":true,%s}", fields);
    ask(&server, "POST", "/v1/completions", body, &a);
    assert_int_equal(a.status, 200);
    json_t *events = events_of(&a);
    assert_true(json_array_size(events) > 2);
    for (size_t i = 0; i < json_array_size(events); i++) {
        const char *more = text_at(json_array_get(events, i), "choices.0.text");
        if (more) strcat(streamed, more);
    }
    assert_string_equal(streamed, text);
    json_decref(events);
    answer_free(&a);
    json_decref(echo);
    json_decref(by_ids);
    json_decref(by_text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_goes_there_and_back),
        cmocka_unit_test(completions_take_and_give_text),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
