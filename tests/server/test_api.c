/* SPDX-License-Identifier: MIT */
/* Requests and answers through a real socket, on the tiny model by ids. */
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

#define CHAT(more)  "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]," more "}"
#define COMPLETIONS "/v1/completions"

/* Goal: the ready line says where.
 * Method: read the line that the server printed, and the mode of its socket. */
static void the_ready_line_names_the_socket(void **state)
{
    (void)state;
    char expected[160];
    (void)snprintf(expected, sizeof expected, "quired: ready on %s\n", server.socket);
    assert_string_equal(server.ready, expected);
    struct stat status;
    assert_int_equal(stat(server.socket, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

/* Goal: an answer has every member of the API's, and its counts are right.
 * Method: ask for 7 tokens after 3, and check each member of the answer. */
static void a_completion_has_the_apis_shape(void **state)
{
    (void)state;
    json_t *json = ask_json(&server, COMPLETIONS,
                            "{\"model\":\"whatever\",\"prompt\":[1,5,6],\"max_tokens\":7,"
                            "\"temperature\":0,\"ignore_eos\":true,\"return_token_ids\":true}",
                            200);
    assert_memory_equal(text_at(json, "id"), "cmpl-", 5);
    assert_string_equal(text_at(json, "object"), "text_completion");
    assert_true(int_at(json, "created") > 1000000000);
    assert_string_equal(text_at(json, "model"), "llama-tiny.q8_0");
    assert_int_equal(json_array_size(at(json, "choices")), 1);
    assert_int_equal(int_at(json, "choices.0.index"), 0);
    assert_true(json_is_string(at(json, "choices.0.text")));
    assert_true(json_is_null(at(json, "choices.0.logprobs")));
    assert_true(json_is_null(at(json, "choices.0.stop_reason")));
    assert_string_equal(text_at(json, "choices.0.finish_reason"), "length");
    assert_int_equal(json_array_size(at(json, "choices.0.token_ids")), 7);
    assert_int_equal(json_array_size(at(json, "choices.0.prompt_token_ids")), 3);
    assert_int_equal(int_at(json, "choices.0.prompt_token_ids.1"), 5);
    assert_int_equal(int_at(json, "usage.prompt_tokens"), 3);
    assert_int_equal(int_at(json, "usage.completion_tokens"), 7);
    assert_int_equal(int_at(json, "usage.total_tokens"), 10);
    assert_int_equal(int_at(json, "usage.prompt_tokens_details.cached_tokens"), 0);
    json_decref(json);
}

/* Goal: several prompts become several choices, each equal to its prompt alone.
 * Method: ask for two prompts together, then for each alone, and compare the choices. */
static void prompts_become_choices(void **state)
{
    (void)state;
    json_t *both = ask_json(&server, COMPLETIONS,
                            "{\"prompt\":[[1,5,6],[7,8]],\"max_tokens\":6,\"temperature\":0,"
                            "\"logprobs\":2,\"return_token_ids\":true}",
                            200);
    static const char *const alone[] = {"[1,5,6]", "[7,8]"};
    assert_int_equal(json_array_size(at(both, "choices")), 2);
    for (int i = 0; i < 2; i++) {
        char body[256], path[32];
        (void)snprintf(body, sizeof body,
                       "{\"prompt\":%s,\"max_tokens\":6,\"temperature\":0,\"logprobs\":2,"
                       "\"return_token_ids\":true}",
                       alone[i]);
        json_t *one = ask_json(&server, COMPLETIONS, body, 200);
        (void)snprintf(path, sizeof path, "choices.%d", i);
        json_t *choice = json_copy((json_t *)(uintptr_t)at(both, path));
        assert_int_equal(int_at(choice, "index"), i);
        (void)json_object_set_new(choice, "index", json_integer(0));
        assert_true(json_equal(choice, (json_t *)(uintptr_t)at(one, "choices.0")));
        json_decref(choice);
        json_decref(one);
    }
    assert_int_equal(int_at(both, "usage.prompt_tokens"), 5);
    assert_int_equal(int_at(both, "usage.completion_tokens"), 12);
    json_decref(both);
}

/* Goal: echo with logprobs scores the prompt, with and without tokens after it.
 * Method: what one request says of its prompt and answer, the other says of its prompt alone. */
static void echo_scores_a_prompt(void **state)
{
    (void)state;
    json_t *both = ask_json(&server, COMPLETIONS,
                            "{\"prompt\":[1,5,268,858],\"max_tokens\":3,\"temperature\":0,"
                            "\"logprobs\":1,\"echo\":true,\"return_token_ids\":true}",
                            200);
    json_t *alone = ask_json(&server, COMPLETIONS,
                             "{\"prompt\":[1,5,268,858],\"max_tokens\":0,\"logprobs\":1,"
                             "\"echo\":true}",
                             200);
    const json_t *all = at(both, "choices.0.logprobs.token_logprobs");
    const json_t *scored = at(alone, "choices.0.logprobs.token_logprobs");
    assert_int_equal(json_array_size(all), 7);
    assert_int_equal(json_array_size(scored), 4);
    assert_int_equal(json_array_size(at(both, "choices.0.token_ids")), 3);
    assert_true(json_is_null(json_array_get(all, 0)));
    assert_true(json_is_null(at(both, "choices.0.logprobs.top_logprobs.0")));
    for (size_t i = 1; i < 4; i++) {
        assert_true(json_is_real(json_array_get(all, i)));
        assert_true(json_equal(json_array_get(all, i), json_array_get(scored, i)));
    }
    assert_int_equal(int_at(alone, "usage.completion_tokens"), 0);
    assert_string_equal(text_at(alone, "choices.0.finish_reason"), "length");
    assert_int_equal(json_array_size(at(both, "choices.0.logprobs.tokens")), 7);
    assert_string_equal(text_at(both, "choices.0.logprobs.tokens.1"), "<user>");
    assert_int_equal(json_array_size(at(both, "choices.0.logprobs.text_offset")), 7);
    json_decref(both);
    json_decref(alone);
}

/* Goal: prompt_logprobs has vLLM's format: by id, with rank and token.
 * Method: ask for two alternatives; the second token's entry must have ranks 1 and 2. */
static void prompt_logprobs_have_vllms_shape(void **state)
{
    (void)state;
    json_t *json = ask_json(&server, COMPLETIONS,
                            "{\"prompt\":[1,5,6],\"max_tokens\":1,\"prompt_logprobs\":2}", 200);
    const json_t *list = at(json, "choices.0.prompt_logprobs");
    assert_int_equal(json_array_size(list), 3);
    assert_true(json_is_null(json_array_get(list, 0)));
    assert_true(json_is_null(at(json, "choices.0.logprobs")));
    const json_t *second = json_array_get(list, 1);
    assert_true(json_is_real(at(second, "5.logprob")));
    assert_true(json_object_size(second) >= 2 && json_object_size(second) <= 3);
    unsigned ranks = 0;
    const char *id;
    json_t *entry;
    json_object_foreach((json_t *)(uintptr_t)second, id, entry)
    {
        long long rank = int_at(entry, "rank");
        if (rank > 0) ranks |= 1u << rank;
        assert_true(json_is_string(at(entry, "decoded_token")));
    }
    assert_int_equal(ranks & 6, 6);
    json_decref(json);
}

/* Goal: a stop id ends the answer and is named as the reason.
 * Method: run freely, then again with the second token as a stop id. */
static void stop_ids_end_a_text(void **state)
{
    (void)state;
    json_t *free_run = ask_json(&server, COMPLETIONS,
                                "{\"prompt\":[7,8],\"max_tokens\":6,\"temperature\":0,"
                                "\"ignore_eos\":true,\"return_token_ids\":true}",
                                200);
    long long second = int_at(free_run, "choices.0.token_ids.1");
    char body[256];
    (void)snprintf(body, sizeof body,
                   "{\"prompt\":[7,8],\"max_tokens\":6,\"temperature\":0,\"ignore_eos\":true,"
                   "\"stop_token_ids\":[%lld],\"return_token_ids\":true}",
                   second);
    json_t *stopped = ask_json(&server, COMPLETIONS, body, 200);
    assert_string_equal(text_at(stopped, "choices.0.finish_reason"), "stop");
    assert_int_equal(int_at(stopped, "choices.0.stop_reason"), second);
    assert_true(json_array_size(at(stopped, "choices.0.token_ids")) <= 2);
    json_decref(stopped);
    json_decref(free_run);
}

/* Goal: the same seed draws the same tokens, another seed draws others.
 * Method: compare the ids of three runs, at temperature 3 and with seeds 7, 7 and 8. */
static void seeds_draw_the_same(void **state)
{
    (void)state;
    json_t *runs[3];
    static const int seeds[] = {7, 7, 8};
    for (int i = 0; i < 3; i++) {
        char body[256];
        (void)snprintf(body, sizeof body,
                       "{\"prompt\":[1],\"max_tokens\":40,\"seed\":%d,\"temperature\":3,"
                       "\"ignore_eos\":true,\"return_token_ids\":true}",
                       seeds[i]);
        runs[i] = ask_json(&server, COMPLETIONS, body, 200);
    }
    const char *ids = "choices.0.token_ids";
    assert_true(
        json_equal((json_t *)(uintptr_t)at(runs[0], ids), (json_t *)(uintptr_t)at(runs[1], ids)));
    assert_false(
        json_equal((json_t *)(uintptr_t)at(runs[0], ids), (json_t *)(uintptr_t)at(runs[2], ids)));
    for (int i = 0; i < 3; i++)
        json_decref(runs[i]);
}

/* Goal: a stream carries the whole answer: one event for each token, the end in the last one,
 * then usage, then [DONE].
 * Method: ask for two prompts whole and streamed, and join the ids and logprobs of the events. */
static void a_stream_adds_up_to_the_answer(void **state)
{
    (void)state;
    const char *fields = "\"prompt\":[[7,8],[1,5,6]],\"max_tokens\":9,\"temperature\":0,"
                         "\"ignore_eos\":true,\"logprobs\":1,\"return_token_ids\":true";
    char body[512];
    struct answer a;
    (void)snprintf(body, sizeof body, "{%s}", fields);
    json_t *whole = ask_json(&server, COMPLETIONS, body, 200);
    (void)snprintf(body, sizeof body,
                   "{%s,\"stream\":true,\"stream_options\":{\"include_usage\":true}}", fields);
    ask(&server, "POST", COMPLETIONS, body, &a);
    assert_int_equal(a.status, 200);
    assert_string_equal(header(&a, "Content-Type"), "text/event-stream; charset=utf-8");
    json_t *events = events_of(&a);
    size_t n = json_array_size(events), counts[2] = {0, 0};
    bool ended[2] = {false, false};
    json_t *ids[2] = {json_array(), json_array()}, *values[2] = {json_array(), json_array()};
    for (size_t i = 0; i + 1 < n; i++) {
        const json_t *event = json_array_get(events, i);
        assert_string_equal(text_at(event, "id"), text_at(json_array_get(events, 0), "id"));
        assert_string_equal(text_at(event, "object"), "text_completion");
        long long index = int_at(event, "choices.0.index");
        assert_true(index == 0 || index == 1);
        assert_false(ended[index]);
        assert_int_equal(at(event, "choices.0.prompt_token_ids") != NULL, counts[index] == 0);
        counts[index]++;
        assert_true(json_array_size(at(event, "choices.0.token_ids")) <= 1);
        (void)json_array_extend(ids[index], (json_t *)(uintptr_t)at(event, "choices.0.token_ids"));
        (void)json_array_extend(
            values[index], (json_t *)(uintptr_t)at(event, "choices.0.logprobs.token_logprobs"));
        ended[index] = text_at(event, "choices.0.finish_reason") != NULL;
    }
    for (int i = 0; i < 2; i++) {
        char path[64];
        assert_true(ended[i]);
        (void)snprintf(path, sizeof path, "choices.%d.token_ids", i);
        assert_true(json_equal(ids[i], (json_t *)(uintptr_t)at(whole, path)));
        (void)snprintf(path, sizeof path, "choices.%d.logprobs.token_logprobs", i);
        assert_true(json_equal(values[i], (json_t *)(uintptr_t)at(whole, path)));
        json_decref(ids[i]);
        json_decref(values[i]);
    }
    const json_t *last = json_array_get(events, n - 1);
    assert_int_equal(json_array_size(at(last, "choices")), 0);
    assert_true(json_equal((json_t *)(uintptr_t)at(last, "usage"),
                           (json_t *)(uintptr_t)at(whole, "usage")));
    json_decref(events);
    json_decref(whole);
    answer_free(&a);
}

/* Goal: a request's bits are the same alone and among 32.
 * Method: one request with logprobs alone; then again while 31 others run, of other lengths; the
 * answers compared byte by byte from "choices" on. */
static void the_same_alone_and_in_a_crowd(void **state)
{
    (void)state;
    enum { CROWD = 32 };
    static const char body[] = "{\"prompt\":[1,17,300,4,5,900],\"max_tokens\":60,"
                               "\"temperature\":0.8,\"seed\":3,\"logprobs\":5,\"echo\":true,"
                               "\"ignore_eos\":true,\"return_token_ids\":true}";
    struct answer alone, among;
    struct stream crowd[CROWD];
    ask(&server, "POST", COMPLETIONS, body, &alone);
    for (int i = 0; i < CROWD; i++) {
        char other[512];
        (void)snprintf(other, sizeof other,
                       "{\"prompt\":[%d,%d,7,8,9],\"max_tokens\":%d,\"seed\":%d,"
                       "\"ignore_eos\":true}",
                       i, i * 31, 40 + i, i);
        crowd[i] = (struct stream){.fd = connect_to(server.socket)};
        send_post(crowd[i].fd, COMPLETIONS, i == CROWD / 2 ? body : other);
    }
    for (int i = 0; i < CROWD; i++) {
        assert_true(read_answer(&crowd[i], &among));
        assert_int_equal(among.status, 200);
        if (i == CROWD / 2) {
            assert_string_equal(strstr(among.body, "\"choices\":"),
                                strstr(alone.body, "\"choices\":"));
        }
        answer_free(&among);
        stream_end(&crowd[i]);
    }
    answer_free(&alone);
}

/* Goal: a client of HTTP/1.0 gets its stream without chunks, ended by the end of the connection.
 * Method: send a streamed request as HTTP/1.0 and read until the connection ends. */
static void an_old_client_gets_a_plain_stream(void **state)
{
    (void)state;
    struct stream s = {.fd = connect_to(server.socket)};
    struct answer a;
    send_text(s.fd, "POST /v1/completions HTTP/1.0\r\nContent-Length: 43\r\n\r\n"
                    "{\"prompt\":[1],\"max_tokens\":3,\"stream\":true}");
    assert_true(read_answer(&s, &a));
    assert_int_equal(a.status, 200);
    assert_null(header(&a, "Transfer-Encoding"));
    assert_true(a.closed);
    json_decref(events_of(&a));
    answer_free(&a);
    stream_end(&s);
}

/* The ids of a greedy answer of 60 tokens to [7, 5], with these fields. */
static json_t *greedy_ids(const char *fields)
{
    char body[512];
    (void)snprintf(body, sizeof body,
                   "{\"prompt\":[7,5],\"max_tokens\":60,\"temperature\":0,\"ignore_eos\":true,"
                   "\"return_token_ids\":true%s}",
                   fields);
    json_t *json = ask_json(&server, COMPLETIONS, body, 200);
    json_t *ids = json_incref((json_t *)(uintptr_t)at(json, "choices.0.token_ids"));
    json_decref(json);
    assert_int_equal(json_array_size(ids), 60);
    return ids;
}

static bool has_id(const json_t *ids, size_t from, json_int_t id)
{
    for (size_t i = from; i < json_array_size(ids); i++)
        if (json_integer_value(json_array_get(ids, i)) == id) return true;
    return false;
}

/* Goal: each of the four arrives and does what it says.
 * Method: a bias of 100 makes a token the only one, of -100 none; a great repetition penalty lets
 * no token come twice, nor one of the prompt; of two tokens a frequency penalty makes as many,
 * where a presence penalty does not, which changes an answer too. */
static void penalties_turn_an_answer(void **state)
{
    (void)state;
    json_t *plain = greedy_ids(""), *other = greedy_ids(",\"logit_bias\":{\"9\":100}");
    for (size_t i = 0; i < 60; i++)
        assert_int_equal(json_integer_value(json_array_get(other, i)), 9);
    json_decref(other);
    char fields[128];
    json_int_t first = json_integer_value(json_array_get(plain, 0));
    (void)snprintf(fields, sizeof fields, ",\"logit_bias\":{\"%d\":-100}", (int)first);
    other = greedy_ids(fields);
    assert_false(has_id(other, 0, first));
    json_decref(other);

    other = greedy_ids(",\"repetition_penalty\":1e6,\"logit_bias\":{\"7\":50,\"9\":50}");
    assert_int_equal(json_integer_value(json_array_get(other, 0)), 9); /* 7 is the prompt's */
    for (size_t i = 0; i < 60; i++) {
        json_int_t id = json_integer_value(json_array_get(other, i));
        assert_false(id == 7 || id == 5 || has_id(other, i + 1, id));
    }
    json_decref(other);

    static const char two[] = ",\"logit_bias\":{\"7\":50,\"9\":50},\"%s_penalty\":2";
    (void)snprintf(fields, sizeof fields, two, "presence");
    json_t *presence = greedy_ids(fields);
    (void)snprintf(fields, sizeof fields, two, "frequency");
    json_t *frequency = greedy_ids(fields);
    size_t sevens_n = 0;
    for (size_t i = 0; i < 60; i++)
        sevens_n += json_integer_value(json_array_get(frequency, i)) == 7;
    assert_in_range(sevens_n, 20, 40);
    assert_false(json_equal(presence, frequency));
    other = greedy_ids(",\"presence_penalty\":2");
    assert_false(json_equal(plain, other));
    json_decref(other);
    json_decref(presence);
    json_decref(frequency);
    json_decref(plain);
}

/* Goal: a wrong request is a 400 in OpenAI's format that names the field.
 * Method: send each wrong body and look for the field and for words of the message. */
static void bad_requests_are_explained(void **state)
{
    (void)state;
    static const struct {
        const char *path, *body, *param, *words;
    } bad[] = {
        {COMPLETIONS, "{", NULL, "column"},
        {COMPLETIONS, "", NULL, "not JSON"},
        {COMPLETIONS, "[]", NULL, "must be a JSON object"},
        {COMPLETIONS, "{}", "prompt", "required"},
        {COMPLETIONS, "{\"prompt\":null}", "prompt", "required"},
        {COMPLETIONS, "{\"prompt\":5}", "prompt", "must be a string"},
        {COMPLETIONS, "{\"prompt\":{}}", "prompt", "must be a string"},
        {COMPLETIONS, "{\"prompt\":[]}", "prompt", "must not be empty"},
        {COMPLETIONS, "{\"prompt\":[[]]}", "prompt", "at least one token"},
        {COMPLETIONS, "{\"prompt\":[1,\"a\"]}", "prompt", "prompt[1]"},
        {COMPLETIONS, "{\"prompt\":[[1],2]}", "prompt", "prompt[1]"},
        {COMPLETIONS, "{\"prompt\":[1024]}", "prompt", "from 0 to 1023"},
        {COMPLETIONS, "{\"prompt\":[-1]}", "prompt", "from 0 to 1023"},
        {COMPLETIONS, "{\"prompt\":[1.5]}", "prompt", "prompt[0]"},
        {COMPLETIONS, "{\"prompt\":[null]}", "prompt", "must be"},
        {COMPLETIONS, "{\"prompt\":[1],\"max_tokens\":2048}", "max_tokens", "2048 tokens"},
        {COMPLETIONS, "{\"prompt\":[1],\"max_tokens\":0}", "max_tokens", "at least 1"},
        {COMPLETIONS, "{\"prompt\":[1],\"n\":129}", "n", "from 1 to 128"},
        {COMPLETIONS, "{\"prompt\":[[1],[2],[3],[4],[5],[6],[7],[8],[9]],\"n\":128}", "n",
         "9 prompts times 128 choices are 1152"},
        {COMPLETIONS, "{\"prompt\":[1],\"n\":2,\"max_tokens\":2048}", "max_tokens", "2048 tokens"},
        {COMPLETIONS, "{\"prompt\":[1],\"temperature\":\"x\"}", "temperature", "a number"},
        {COMPLETIONS, "{\"prompt\":[1],\"stop\":[\"\"]}", "stop", "empty"},
        {"/v1/chat/completions", "{}", "messages", "required"},
        {"/v1/chat/completions", "{\"messages\":[]}", "messages", "1 to"},
        {"/v1/chat/completions", "{\"messages\":\"hi\"}", "messages", "list"},
        {"/v1/chat/completions", "{\"messages\":[{}]}", "messages", "messages[0].role"},
        {"/v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":5}]}", "messages",
         "messages[0].content"},
        {"/v1/chat/completions", CHAT("\"tools\":{}"), "tools", "a list of objects, not an object"},
        {"/v1/chat/completions", CHAT("\"tools\":[1]"), "tools", "tools[0] must be an object"},
        {"/v1/chat/completions", CHAT("\"tool_choice\":\"required\""), "tool_choice",
         "needs tools"},
        {"/v1/chat/completions", CHAT("\"tool_choice\":\"any\""), "tool_choice",
         "\"none\", \"auto\", \"required\""},
        {"/v1/chat/completions",
         CHAT("\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}"),
         "tool_choice", "\"f\", which is not in tools"},
        {"/v1/chat/completions", CHAT("\"documents\":\"x\""), "documents", "a list of objects"},
        {"/v1/chat/completions", CHAT("\"chat_template_kwargs\":[]"), "chat_template_kwargs",
         "an object, not a list"},
        {"/v1/chat/completions", CHAT("\"chat_template\":\"x\""), "chat_template",
         "--chat-template"},
        {"/v1/chat/completions", CHAT("\"add_generation_prompt\":1"), "add_generation_prompt",
         "boolean"},
        {"/v1/chat/completions", CHAT("\"continue_final_message\":true"), "continue_final_message",
         "add_generation_prompt to be false"},
        {"/v1/chat/completions", "{\"messages\":[{\"role\":\"oracle\",\"content\":\"hi\"}]}",
         "messages", "messages[0].role \"oracle\" is not known"},
        {"/v1/chat/completions", CHAT("\"reasoning_effort\":1"), "reasoning_effort", "string"},
        {"/tokenize", "{}", "prompt", "required"},
        {"/detokenize", "{\"tokens\":[5],\"continuation\":1}", "continuation", "boolean"},
        {"/detokenize", "{}", "tokens", "list"},
        {"/detokenize", "{\"tokens\":[5000]}", "tokens", "tokens[0]"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        json_t *json = ask_json(&server, bad[i].path, bad[i].body, 400);
        const char *message = text_at(json, "error.message"), *param = text_at(json, "error.param");
        assert_non_null(message);
        assert_string_equal(text_at(json, "error.type"), "invalid_request_error");
        assert_non_null(at(json, "error.code"));
        if (!strstr(message, bad[i].words)) fail_msg("%s: \"%s\"", bad[i].body, message);
        if (bad[i].param) {
            assert_non_null(param);
            assert_string_equal(param, bad[i].param);
        } else {
            assert_null(param);
        }
        json_decref(json);
    }
}

/* Goal: vLLM's smaller fields do what they say.
 * Method: each against an answer without it. */
static void small_fields_are_obeyed(void **state)
{
    (void)state;
#define SMALL "\"prompt\":\"one two three four\",\"temperature\":0,\"max_tokens\":8"
    json_t *plain = ask_json(&server, COMPLETIONS, "{" SMALL ",\"logprobs\":false}", 200);
    assert_null(text_at(plain, "choices.0.logprobs.tokens.0"));
    const char *text = text_at(plain, "choices.0.text");
    char body[512], stop[3] = {text[4], text[5], '\0'};
    (void)snprintf(body, sizeof body, "{" SMALL ",\"stop\":\"%s\"}", stop);
    json_t *stopped = ask_json(&server, COMPLETIONS, body, 200);
    (void)snprintf(body, sizeof body,
                   "{" SMALL ",\"stop\":\"%s\",\"include_stop_str_in_output\":true}", stop);
    json_t *included = ask_json(&server, COMPLETIONS, body, 200);
    (void)snprintf(body, sizeof body, "%s%s", text_at(stopped, "choices.0.text"), stop);
    assert_string_equal(text_at(included, "choices.0.text"), body);
    json_t *cut = ask_json(&server, COMPLETIONS, "{" SMALL ",\"truncate_prompt_tokens\":2}", 200);
    assert_int_equal(int_at(cut, "usage.prompt_tokens"), 2);
    json_t *named = ask_json(&server, COMPLETIONS,
                             "{" SMALL ",\"logprobs\":1,\"return_tokens_as_token_ids\":true}", 200);
    assert_memory_equal(text_at(named, "choices.0.logprobs.tokens.0"), "token_id:", 9);
    json_t *rest = ask_json(&server, COMPLETIONS, "{\"prompt\":[1],\"max_tokens\":-1}", 200);
    assert_true(int_at(rest, "usage.completion_tokens") > 16);
    json_t *allowed =
        ask_json(&server, COMPLETIONS,
                 "{" SMALL ",\"allowed_token_ids\":[900],\"return_token_ids\":true}", 200);
    assert_int_equal(int_at(allowed, "choices.0.token_ids.0"), 900);
    assert_int_equal(int_at(allowed, "choices.0.token_ids.7"), 900);
    assert_non_null(strstr(text, " imp"));
    json_t *without = ask_json(&server, COMPLETIONS, "{" SMALL ",\"bad_words\":[\"imp\"]}", 200);
    assert_null(strstr(text_at(without, "choices.0.text"), " imp"));
    json_t *refused = ask_json(&server, COMPLETIONS, "{" SMALL ",\"use_beam_search\":true}", 400);
    assert_string_equal(text_at(refused, "error.param"), "use_beam_search");

    struct answer a;
    ask(&server, "POST", COMPLETIONS,
        "{" SMALL ",\"stream\":true,\"stream_options\":{\"continuous_usage_stats\":true}}", &a);
    json_t *events = events_of(&a);
    size_t i;
    const json_t *event;
    json_array_foreach(events, i, event)
    {
        assert_true(int_at(event, "usage.completion_tokens") >= (long long)i &&
                    int_at(event, "usage.completion_tokens") <= 8);
    }
    answer_free(&a);
    json_t *all[] = {plain, stopped, included, cut, named, rest, refused, events, allowed, without};
    for (i = 0; i < sizeof all / sizeof *all; i++)
        json_decref(all[i]);
}

/* Goal: an unknown path is a 404, a wrong method a 405 with the right one; a query is ignored.
 * Method: ask for each and check status and headers. */
static void paths_and_methods_are_checked(void **state)
{
    (void)state;
    struct answer a;
    static const char *const none[] = {"/", "/v1", "/V1/models", "*"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        ask(&server, "GET", none[i], "", &a);
        assert_true(a.status == 404 || a.status == 400);
        answer_free(&a);
    }
    ask(&server, "GET", COMPLETIONS, "", &a);
    assert_int_equal(a.status, 405);
    assert_string_equal(header(&a, "Allow"), "POST");
    answer_free(&a);
    ask(&server, "POST", "/health", "", &a);
    assert_int_equal(a.status, 405);
    assert_string_equal(header(&a, "Allow"), "GET, HEAD");
    answer_free(&a);
    ask(&server, "GET", "/health?verbose=1", "", &a);
    assert_int_equal(a.status, 200);
    assert_int_equal(a.body_n, 0);
    answer_free(&a);
}

/* Goal: /v1/models and /version describe the model and the server.
 * Method: compare their members with the file of the model. */
static void the_server_describes_itself(void **state)
{
    (void)state;
    json_t *json = ask_json(&server, "/v1/models", NULL, 200);
    assert_string_equal(text_at(json, "object"), "list");
    assert_string_equal(text_at(json, "data.0.id"), "llama-tiny.q8_0");
    assert_string_equal(text_at(json, "data.0.object"), "model");
    assert_int_equal(int_at(json, "data.0.max_model_len"), 2048);
    struct stat file;
    assert_int_equal(stat(TINY, &file), 0);
    assert_int_equal(int_at(json, "data.0.meta.n_vocab"), 1024);
    assert_int_equal(int_at(json, "data.0.meta.n_ctx_train"), 2048);
    assert_int_equal(int_at(json, "data.0.meta.size"), file.st_size);
    assert_true(int_at(json, "data.0.meta.n_embd") > 0);
    assert_true(int_at(json, "data.0.meta.n_params") >= 1024 * int_at(json, "data.0.meta.n_embd"));
    json_decref(json);
    json = ask_json(&server, "/version", NULL, 200);
    assert_non_null(text_at(json, "version"));
    json_decref(json);
}

/* Goal: the metrics count what happened, and no page stays held.
 * Method: read the counters before and after one request of known size. */
static void metrics_count_requests(void **state)
{
    (void)state;
    double prompts = metric(&server, "quire_prompt_tokens_total");
    double tokens = metric(&server, "quire_generation_tokens_total");
    double ended = metric(&server, "quire_request_success_total{finished_reason=\"length\"}");
    json_decref(ask_json(&server, COMPLETIONS,
                         "{\"prompt\":[1,2,3,4],\"max_tokens\":9,\"ignore_eos\":true}", 200));
    await_metric(&server, "quire_prompt_tokens_total", prompts + 4);
    await_metric(&server, "quire_generation_tokens_total", tokens + 9);
    await_metric(&server, "quire_request_success_total{finished_reason=\"length\"}", ended + 1);
    await_metric(&server, "quire_pages{state=\"held\"}", 0);
    await_metric(&server, "quire_num_requests_running", 0);
    assert_true(metric(&server, "quire_step_seconds_count") >= 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ready_line_names_the_socket),
        cmocka_unit_test(a_completion_has_the_apis_shape),
        cmocka_unit_test(prompts_become_choices),
        cmocka_unit_test(echo_scores_a_prompt),
        cmocka_unit_test(prompt_logprobs_have_vllms_shape),
        cmocka_unit_test(stop_ids_end_a_text),
        cmocka_unit_test(seeds_draw_the_same),
        cmocka_unit_test(a_stream_adds_up_to_the_answer),
        cmocka_unit_test(the_same_alone_and_in_a_crowd),
        cmocka_unit_test(an_old_client_gets_a_plain_stream),
        cmocka_unit_test(penalties_turn_an_answer),
        cmocka_unit_test(bad_requests_are_explained),
        cmocka_unit_test(small_fields_are_obeyed),
        cmocka_unit_test(paths_and_methods_are_checked),
        cmocka_unit_test(the_server_describes_itself),
        cmocka_unit_test(metrics_count_requests),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
