/* SPDX-License-Identifier: MIT */
/* A real model through the socket: text in, text out.  Skipped where its file is not there. */
#include <math.h>

#include "support/daemon.h"

static struct daemon server;

static int start(void **state)
{
    static const char *const flags[] = {"--kv-memory", "256M", NULL};
    (void)state;
    const char *model = smollm2();
    if (model) daemon_start(&server, model, flags);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    if (server.pid) daemon_stop(&server);
    return 0;
}

static void need_model(void)
{
    if (!server.pid) skip();
}

static json_t *load(const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", QUIRE_TEST_DATA, name);
    json_t *json = json_load_file(path, JSON_ALLOW_NUL, NULL);
    assert_non_null(json);
    return json;
}

static json_t *ask_object(const char *path, json_t *body)
{
    json_t *answer = ask_with(&server, path, body, 200);
    json_decref(body);
    return answer;
}

/* Goal: the answer is the reference's: its prompt's ids, its greedy ids as far as they are not
 * nearly tied, and their text.
 * Method: smollm2.json's first case; a difference is excused where the reference's margin is
 * below the tolerance of 8-bit activations. */
static void the_golden_text_is_continued(void **state)
{
    (void)state;
    need_model();
    json_t *cases = load("smollm2.json");
    const json_t *first = at(cases, "cases.0");
    json_t *answer = ask_object(
        "/v1/completions",
        json_pack("{s:s,s:i,s:i,s:b,s:b}", "prompt", "The capital of France is", "max_tokens", 32,
                  "temperature", 0, "ignore_eos", 1, "return_token_ids", 1));
    assert_true(json_equal((json_t *)(uintptr_t)at(answer, "choices.0.prompt_token_ids"),
                           (json_t *)(uintptr_t)at(first, "prompt")));
    const json_t *ids = at(answer, "choices.0.token_ids");
    assert_int_equal(json_array_size(ids), 32);
    for (size_t i = 0; i < 32; i++) {
        char path[64];
        (void)snprintf(path, sizeof path, "greedy.ids.%zu", i);
        if (json_integer_value(json_array_get(ids, i)) == int_at(first, path)) continue;
        (void)snprintf(path, sizeof path, "greedy.margin.%zu", i);
        assert_true(json_number_value(at(first, path)) <= 0.8);
        break;
    }
    assert_memory_equal(text_at(answer, "choices.0.text"), " Paris.", 7);

    json_t *text = ask_object(
        "/detokenize",
        json_pack("{s:O}", "tokens", (json_t *)(uintptr_t)at(answer, "choices.0.token_ids")));
    assert_memory_equal(text_at(text, "prompt"), " Paris.", 7);
    json_decref(text);
    json_decref(answer);
    json_decref(cases);
}

/* Goal: texts and conversations become the reference's ids through /tokenize, and texts again.
 * Method: convert each conversation of chat.json by messages, by text and back. */
static void conversations_become_the_references_ids(void **state)
{
    (void)state;
    need_model();
    json_t *chats = load("chat.json");
    size_t i;
    json_t *chat;
    json_array_foreach((json_t *)(uintptr_t)at(chats, "conversations"), i, chat)
    {
        json_t *by_messages = ask_object(
            "/tokenize",
            json_pack("{s:O,s:O}", "messages", json_object_get(chat, "messages"),
                      "add_generation_prompt", json_object_get(chat, "add_generation_prompt")));
        assert_true(json_equal((json_t *)(uintptr_t)at(by_messages, "tokens"),
                               json_object_get(chat, "ids")));
        json_t *by_text = ask_object(
            "/tokenize", json_pack("{s:O,s:b,s:b}", "prompt", json_object_get(chat, "text"),
                                   "add_special_tokens", 0, "return_token_strs", 1));
        assert_true(
            json_equal((json_t *)(uintptr_t)at(by_text, "tokens"), json_object_get(chat, "ids")));
        assert_int_equal(int_at(by_text, "count"), json_array_size(json_object_get(chat, "ids")));
        assert_string_equal(text_at(by_text, "token_strs.0"), "<|im_start|>");
        json_t *back =
            ask_object("/detokenize", json_pack("{s:O}", "tokens", json_object_get(chat, "ids")));
        assert_true(
            json_equal((json_t *)(uintptr_t)at(back, "prompt"), json_object_get(chat, "text")));
        json_decref(back);
        json_decref(by_text);
        json_decref(by_messages);
    }
    json_decref(chats);
}

/* Goal: a chat stream has the role, the text, the finish reason and the usage, in this order,
 * and adds up to the whole answer.
 * Method: ask whole and streamed and compare text, logprobs and usage. */
static void a_chat_streams(void **state)
{
    (void)state;
    need_model();
    const char *fields =
        "\"messages\":[{\"role\":\"system\",\"content\":null},{\"role\":\"user\",\"content\":"
        "[{\"type\":\"text\",\"text\":\"Say\"},{\"type\":\"text\",\"text\":\"hello.\"}]}],"
        "\"temperature\":0,\"max_completion_tokens\":24,\"logprobs\":true,\"top_logprobs\":2";
    char body[1024];
    struct answer a;
    (void)snprintf(body, sizeof body, "{%s}", fields);
    json_t *whole = ask_json(&server, "/v1/chat/completions", body, 200);
    assert_memory_equal(text_at(whole, "id"), "chatcmpl-", 9);
    assert_string_equal(text_at(whole, "object"), "chat.completion");
    assert_string_equal(text_at(whole, "choices.0.message.role"), "assistant");
    const char *content = text_at(whole, "choices.0.message.content");
    assert_true(strlen(content) > 0);
    assert_int_equal(json_array_size(at(whole, "choices.0.logprobs.content")),
                     int_at(whole, "usage.completion_tokens"));
    assert_int_equal(json_array_size(at(whole, "choices.0.logprobs.content.0.top_logprobs")), 2);
    /* Greedy takes the likeliest. */
    assert_true(json_equal(
        (json_t *)(uintptr_t)at(whole, "choices.0.logprobs.content.0.logprob"),
        (json_t *)(uintptr_t)at(whole, "choices.0.logprobs.content.0.top_logprobs.0.logprob")));

    (void)snprintf(body, sizeof body,
                   "{%s,\"stream\":true,\"stream_options\":{\"include_usage\":true}}", fields);
    ask(&server, "POST", "/v1/chat/completions", body, &a);
    json_t *events = events_of(&a);
    size_t n = json_array_size(events);
    char text[4096] = "";
    json_t *logprobs = json_array();
    assert_true(n >= 4);
    assert_string_equal(text_at(json_array_get(events, 0), "choices.0.delta.role"), "assistant");
    for (size_t i = 1; i + 1 < n; i++) {
        const json_t *event = json_array_get(events, i);
        assert_string_equal(text_at(event, "object"), "chat.completion.chunk");
        assert_null(at(event, "choices.0.delta.role"));
        const char *piece = text_at(event, "choices.0.delta.content");
        assert_int_equal(piece == NULL, i + 2 == n); /* the last has the finish reason alone */
        if (piece) strcat(text, piece);
        (void)json_array_extend(logprobs,
                                (json_t *)(uintptr_t)at(event, "choices.0.logprobs.content"));
        assert_int_equal(text_at(event, "choices.0.finish_reason") != NULL, i + 2 == n);
    }
    assert_string_equal(text, content);
    assert_true(json_equal(logprobs, (json_t *)(uintptr_t)at(whole, "choices.0.logprobs.content")));
    static const char *const counts[] = {"usage.prompt_tokens", "usage.completion_tokens",
                                         "usage.total_tokens"};
    const json_t *last = json_array_get(events, n - 1);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        assert_int_equal(int_at(last, counts[i]), int_at(whole, counts[i]));
    /* The second time all of the prompt is cached, but for its last token. */
    assert_int_equal(int_at(last, "usage.prompt_tokens_details.cached_tokens"),
                     int_at(last, "usage.prompt_tokens") - 1);
    json_decref(logprobs);
    json_decref(events);
    json_decref(whole);
    answer_free(&a);
}

/* Goal: a stop string ends the text before it and is named.
 * Method: stop a known answer in the middle of a token. */
static void a_stop_string_ends_the_text(void **state)
{
    (void)state;
    need_model();
    json_t *json = ask_json(&server, "/v1/completions",
                            "{\"prompt\":\"The capital of France is\",\"temperature\":0,"
                            "\"max_tokens\":20,\"stop\":[\"zebra\",\"ris\"]}",
                            200);
    assert_string_equal(text_at(json, "choices.0.text"), " Pa");
    assert_string_equal(text_at(json, "choices.0.finish_reason"), "stop");
    assert_string_equal(text_at(json, "choices.0.stop_reason"), "ris");
    json_decref(json);
}

/* Goal: echo returns the prompt as sent; offsets point into the text, also if a token is part of
 * a character.
 * Method: score a prompt with an emoji that has several tokens, and check the offsets. */
static void offsets_point_into_the_text(void **state)
{
    (void)state;
    need_model();
    json_t *json = ask_object(
        "/v1/completions", json_pack("{s:s,s:i,s:b,s:i}", "prompt", "a\xf0\x9f\xa6\x84\xc3\xa9 b",
                                     "max_tokens", 0, "echo", 1, "logprobs", 0));
    assert_string_equal(text_at(json, "choices.0.text"), "a\xf0\x9f\xa6\x84\xc3\xa9 b");
    const json_t *tokens = at(json, "choices.0.logprobs.tokens");
    const json_t *offsets = at(json, "choices.0.logprobs.text_offset");
    size_t n = json_array_size(tokens), broken = 0;
    assert_int_equal(json_array_size(offsets), n);
    for (size_t i = 0; i < n; i++) {
        broken += strncmp(json_string_value(json_array_get(tokens, i)), "bytes:\\x", 8) == 0;
        if (i > 0) {
            assert_true(json_integer_value(json_array_get(offsets, i)) >=
                        json_integer_value(json_array_get(offsets, i - 1)));
        }
    }
    assert_true(broken >= 2);
    assert_int_equal(int_at(json, "choices.0.logprobs.text_offset.0"), 0);
    assert_int_equal(int_at(json, "choices.0.logprobs.text_offset.1"), 1);
    assert_string_equal(json_string_value(json_array_get(tokens, n - 1)), " b");
    assert_int_equal(json_integer_value(json_array_get(offsets, n - 1)), 3);
    json_decref(json);
}

/* The answer's part that must be the same: everything but id and time. */
static char *choices_of(struct answer *a)
{
    char *from = strstr(a->body, "\"choices\":");
    assert_non_null(from);
    return from;
}

/* Goal: a request's bits are the same alone and among 32.
 * Method: one request with logprobs alone; then again while 31 others run, each another one;
 * the answers compared byte by byte. */
static void the_same_alone_and_in_a_crowd(void **state)
{
    (void)state;
    need_model();
    enum { CROWD = 32 };
    static const char body[] = "{\"prompt\":\"Once upon a time there was\",\"max_tokens\":10,"
                               "\"temperature\":0.8,\"seed\":3,\"logprobs\":5,\"echo\":true,"
                               "\"ignore_eos\":true,\"return_token_ids\":true}";
    struct answer alone, among;
    ask(&server, "POST", "/v1/completions", body, &alone);
    assert_int_equal(alone.status, 200);
    struct stream crowd[CROWD];
    for (int i = 0; i < CROWD; i++) {
        char other[512];
        (void)snprintf(other, sizeof other,
                       "{\"prompt\":\"Number %d of the crowd says that it is\",\"max_tokens\":%d,"
                       "\"seed\":%d,\"ignore_eos\":true}",
                       i * 1234, 3 + i % 9, i);
        crowd[i] = (struct stream){.fd = connect_to(server.socket)};
        send_post(crowd[i].fd, "/v1/completions", i == CROWD / 2 ? body : other);
    }
    for (int i = 0; i < CROWD; i++) {
        assert_true(read_answer(&crowd[i], &among));
        assert_int_equal(among.status, 200);
        if (i == CROWD / 2) assert_string_equal(choices_of(&among), choices_of(&alone));
        answer_free(&among);
        stream_end(&crowd[i]);
    }
    answer_free(&alone);
}

/* Goal: 300,000 letters without a space are tokenised and refused as too long; other requests
 * are answered meanwhile.
 * Method: send the prompt, ask for /version, read the 400; then send it to /tokenize. */
static void a_very_long_word_is_answered(void **state)
{
    (void)state;
    need_model();
    enum { LETTERS = 300000 };
    static char body[LETTERS + 64];
    struct answer a;
    int n = snprintf(body, sizeof body, "{\"prompt\":\"");
    for (int i = 0; i < LETTERS; i++)
        body[n++] = (char)('a' + (i * 7 + i / 26) % 26);
    (void)snprintf(body + n, sizeof body - (size_t)n, "\"}");
    struct stream s = {.fd = connect_to(server.socket)};
    send_post(s.fd, "/v1/completions", body);
    json_decref(ask_json(&server, "/version", NULL, 200));
    assert_true(read_answer(&s, &a));
    assert_int_equal(a.status, 400);
    assert_non_null(strstr(a.body, "context_length_exceeded"));
    answer_free(&a);
    send_post(s.fd, "/tokenize", body);
    assert_true(read_answer(&s, &a));
    assert_int_equal(a.status, 200);
    answer_free(&a);
    stream_end(&s);
}

/* Goal: a chat without max_tokens may use the remaining context, and no more.
 * Method: ask without max_tokens, then with the whole context as max_tokens. */
static void a_chat_has_the_rest_of_the_context(void **state)
{
    (void)state;
    need_model();
    json_t *json = ask_json(&server, "/v1/chat/completions",
                            "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],"
                            "\"temperature\":0,\"stop\":[\"e\",\"a\",\"o\",\"i\"]}",
                            200);
    assert_string_equal(text_at(json, "choices.0.finish_reason"), "stop");
    json_decref(json);
    json = ask_json(&server, "/v1/chat/completions",
                    "{\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"}],\"max_tokens\":8192}",
                    400);
    assert_string_equal(text_at(json, "error.param"), "max_tokens");
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_golden_text_is_continued),
        cmocka_unit_test(conversations_become_the_references_ids),
        cmocka_unit_test(a_chat_streams),
        cmocka_unit_test(a_stop_string_ends_the_text),
        cmocka_unit_test(offsets_point_into_the_text),
        cmocka_unit_test(the_same_alone_and_in_a_crowd),
        cmocka_unit_test(a_very_long_word_is_answered),
        cmocka_unit_test(a_chat_has_the_rest_of_the_context),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
