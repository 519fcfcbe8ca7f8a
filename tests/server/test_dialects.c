/* SPDX-License-Identifier: MIT */
/* The three ways to ask for a message: chat, Responses and Messages; tools in each. */
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

#define CHAT      "/v1/chat/completions"
#define RESPONSES "/v1/responses"
#define MESSAGES  "/v1/messages"
#define SCHEMA                                                                                     \
    "{\"type\":\"object\",\"properties\":{\"where\":{\"enum\":[\"up\",\"down\"]}},"                \
    "\"required\":[\"where\"],\"additionalProperties\":false}"
#define CHAT_TOOLS                                                                                 \
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"look\",\"parameters\":" SCHEMA     \
    "}},{\"type\":\"function\",\"function\":{\"name\":\"ping\"}}]"
#define RESPONSES_TOOLS                                                                            \
    "\"tools\":[{\"type\":\"function\",\"name\":\"look\",\"parameters\":" SCHEMA                   \
    "},{\"type\":\"function\",\"name\":\"ping\",\"parameters\":null}]"
#define MESSAGES_TOOLS                                                                             \
    "\"tools\":[{\"name\":\"look\",\"input_schema\":" SCHEMA                                       \
    "},{\"name\":\"ping\",\"input_schema\":{\"type\":\"object\"}}]"

/* The event with this type, from `from` on; its index in *from. */
static const json_t *event_of(const json_t *events, const char *type, size_t *from)
{
    for (; *from < json_array_size(events); (*from)++) {
        const json_t *event = json_array_get(events, *from);
        if (strcmp(text_at(event, "type"), type) == 0) return event;
    }
    print_error("no event %s\n", type);
    fail();
    return NULL;
}

/* All texts at a path of events of a type, put together. */
static void add_texts(const json_t *events, const char *type, const char *path, char *out)
{
    size_t i;
    const json_t *event;
    out[0] = '\0';
    json_array_foreach(events, i, event)
    {
        if (strcmp(text_at(event, "type"), type) == 0) strcat(out, text_at(event, path));
    }
}

static json_t *stream_of(const char *path, const char *body)
{
    struct answer a;
    ask(&server, "POST", path, body, &a);
    assert_int_equal(a.status, 200);
    json_t *events = events_of(&a);
    answer_free(&a);
    return events;
}

#define SHOW "\"messages\":[{\"role\":\"user\",\"content\":\"Look!\"}]," MESSAGES_TOOLS

/* ---- tools ----------------------------------------------------------------------------------- */

#define LOOK                                                                                       \
    "\"messages\":[{\"role\":\"user\",\"content\":\"Look!\"}],\"temperature\":0,\"max_tokens\":"   \
    "200,"                                                                                         \
    "\"parallel_tool_calls\":false," CHAT_TOOLS

static void assert_look(const char *arguments)
{
    json_t *parsed = json_loads(arguments, 0, NULL);
    const char *where = json_string_value(json_object_get(parsed, "where"));
    assert_non_null(where);
    assert_true(strcmp(where, "up") == 0 || strcmp(where, "down") == 0);
    assert_int_equal(json_object_size(parsed), 1);
    json_decref(parsed);
}

/* Goal: a call that must come comes, with arguments that its schema allows, whole and streamed.
 * Method: name a function to a model with random weights; put a stream's deltas together. */
static void a_forced_call_comes(void **state)
{
    (void)state;
    static const char named[] = "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":"
                                "\"look\"}}";
    char body[2048], arguments[512] = "";
    (void)snprintf(body, sizeof body, "{" LOOK ",%s}", named);
    json_t *whole = ask_json(&server, CHAT, body, 200);
    assert_null(text_at(whole, "choices.0.message.content"));
    assert_string_equal(text_at(whole, "choices.0.finish_reason"), "stop");
    assert_int_equal(json_array_size(at(whole, "choices.0.message.tool_calls")), 1);
    assert_string_equal(text_at(whole, "choices.0.message.tool_calls.0.function.name"), "look");
    const char *expected = text_at(whole, "choices.0.message.tool_calls.0.function.arguments");
    assert_look(expected);

    (void)snprintf(body, sizeof body, "{" LOOK ",%s,\"stream\":true}", named);
    json_t *events = stream_of(CHAT, body);
    size_t i, begun = 0;
    const json_t *event;
    json_array_foreach(events, i, event)
    {
        const json_t *call = at(event, "choices.0.delta.tool_calls.0");
        if (!call) continue;
        const char *name = text_at(call, "function.name");
        assert_int_equal(name != NULL, begun == 0);
        assert_int_equal(text_at(call, "id") != NULL, begun == 0);
        begun++;
        strcat(arguments, text_at(call, "function.arguments"));
    }
    assert_true(begun > 1);
    assert_string_equal(arguments, expected);
    json_decref(events);
    json_decref(whole);
}

/* Goal: a forced call has only declared arguments, where the schema allows others as well.
 * Method: leave additionalProperties out; then require a property that is not declared. */
static void a_forced_call_has_declared_arguments(void **state)
{
    (void)state;
    static const char format[] =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"max_tokens\":200,"
        "\"tool_choice\":\"required\",\"parallel_tool_calls\":false,\"tools\":[{\"type\":"
        "\"function\",\"function\":{\"name\":\"look\",\"parameters\":{\"type\":\"object\","
        "\"properties\":{\"where\":{\"enum\":[\"up\",\"down\"]}},\"required\":[\"%s\"]}}}]}";
    char body[1024];
    (void)snprintf(body, sizeof body, format, "where");
    json_t *closed = ask_json(&server, CHAT, body, 200);
    assert_look(text_at(closed, "choices.0.message.tool_calls.0.function.arguments"));
    json_decref(closed);

    (void)snprintf(body, sizeof body, format, "why");
    json_decref(ask_json(&server, CHAT, body, 200));
}

/* Goal: a response_format allows declared properties only, unless strict is false.
 * Method: leave additionalProperties and strict out. */
static void a_form_has_declared_properties(void **state)
{
    (void)state;
    json_t *answer =
        ask_json(&server, CHAT,
                 "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"max_tokens\":200,"
                 "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"look\","
                 "\"schema\":{\"type\":\"object\",\"properties\":{\"where\":{\"enum\":"
                 "[\"up\",\"down\"]}},\"required\":[\"where\"]}}}}",
                 200);
    assert_look(text_at(answer, "choices.0.message.content"));
    json_decref(answer);
}

/* Goal: llama.cpp's tokenizer fields are understood.
 * Method: the same text in both dialects; pieces and the text come back. */
static void tokenize_knows_llama_cpp(void **state)
{
    (void)state;
    json_t *vllm = ask_json(&server, "/tokenize",
                            "{\"prompt\":\"a caf\u00e9\",\"add_special_tokens\":false}", 200);
    json_t *plain = ask_json(&server, "/tokenize", "{\"content\":\"a caf\u00e9\"}", 200);
    json_t *pieces =
        ask_json(&server, "/tokenize", "{\"content\":\"a caf\u00e9\",\"with_pieces\":true}", 200);
    const json_t *ids = at(vllm, "tokens"), *piece;
    size_t i;
    assert_true(json_equal(ids, at(plain, "tokens")));
    assert_int_equal(json_array_size(at(pieces, "tokens")), json_array_size(ids));
    json_array_foreach(at(pieces, "tokens"), i, piece)
    {
        assert_true(json_equal(json_object_get(piece, "id"), json_array_get(ids, i)));
        assert_true(json_is_string(json_object_get(piece, "piece")) ||
                    json_is_array(json_object_get(piece, "piece")));
    }
    char *list = json_dumps(ids, 0), body[512];
    (void)snprintf(body, sizeof body, "{\"tokens\":%s}", list);
    json_t *text = ask_json(&server, "/detokenize", body, 200);
    assert_string_equal(text_at(text, "content"), "a caf\u00e9");
    assert_string_equal(text_at(text, "prompt"), "a caf\u00e9");
    free(list);
    json_decref(text);
    json_decref(pieces);
    json_decref(plain);
    json_decref(vllm);
}

/* Goal: a chat request's tokens are counted as it counts them itself.
 * Method: count, then ask. */
static void chat_input_tokens_are_the_usage(void **state)
{
    (void)state;
    json_t *counted = ask_json(&server, CHAT "/input_tokens", "{" LOOK "}", 200);
    json_t *answer = ask_json(&server, CHAT, "{" LOOK "}", 200);
    assert_int_equal(json_integer_value(at(counted, "input_tokens")),
                     json_integer_value(at(answer, "usage.prompt_tokens")));
    json_decref(answer);
    json_decref(counted);
}

/* Goal: a template that knows no tools shows them when a call is forced, and shows earlier calls.
 * Method: count the prompt's tokens with a forced call and without, and with a call in the past. */
static void a_plain_template_shows_tools_as_text(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{" SHOW "}",
        "{" SHOW ",\"tool_choice\":{\"type\":\"any\"}}",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"Look!\"},{\"role\":\"assistant\","
        "\"content\":[{"
        "\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"look\",\"input\":{\"where\":\"up\"}}]}]}",
        "{\"messages\":[{\"role\":\"user\",\"content\":\"Look!\"},{\"role\":\"assistant\","
        "\"content\":[]"
        "}]}",
    };
    long long counts[4];
    for (size_t i = 0; i < 4; i++) {
        json_t *counted = ask_json(&server, MESSAGES "/count_tokens", bodies[i], 200);
        counts[i] = int_at(counted, "input_tokens");
        json_decref(counted);
    }
    assert_true(counts[1] > counts[0] + 20);
    assert_true(counts[2] > counts[3] + 10);
}

/* Goal: tool_choice is obeyed or refused by name.
 * Method: each of its values, and values that name what is not there. */
static void tool_choice_is_obeyed(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"tool_choice\":\"required\"}",
        "{" LOOK ",\"tool_choice\":\"perhaps\"}",
        "{" LOOK ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"nobody\"}}}",
        "{" LOOK ",\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{}}}",
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        json_t *error = ask_json(&server, CHAT, refused[i], 400);
        assert_string_equal(text_at(error, "error.param"), "tool_choice");
        json_decref(error);
    }
    json_t *required = ask_json(&server, CHAT, "{" LOOK ",\"tool_choice\":\"required\"}", 200);
    assert_string_equal(text_at(required, "choices.0.finish_reason"), "tool_calls");
    json_decref(required);
    json_t *allowed = ask_json(&server, CHAT,
                               "{" LOOK ",\"tool_choice\":{\"type\":\"allowed_tools\","
                               "\"allowed_tools\":{\"mode\":\"required\",\"tools\":[{\"type\":"
                               "\"function\",\"function\":{\"name\":\"ping\"}}]}}}",
                               200);
    assert_string_equal(text_at(allowed, "choices.0.message.tool_calls.0.function.name"), "ping");
    json_t *empty =
        json_loads(text_at(allowed, "choices.0.message.tool_calls.0.function.arguments"), 0, NULL);
    assert_non_null(empty);
    assert_int_equal(json_object_size(empty), 0);
    json_decref(empty);
    json_decref(allowed);
    json_t *none = ask_json(&server, CHAT, "{" LOOK ",\"tool_choice\":\"none\"}", 200);
    assert_null(at(none, "choices.0.message.tool_calls"));
    json_decref(none);
}

/* Goal: forced calls have the same bits alone and among others.
 * Method: one request alone, then with seven like it and different ones in flight. */
static void a_forced_call_is_the_same_in_a_crowd(void **state)
{
    (void)state;
    static const char body[] = "{" LOOK ",\"tool_choice\":\"required\",\"logprobs\":true}";
    json_t *alone = ask_json(&server, CHAT, body, 200);
    struct stream crowd[8];
    for (int i = 0; i < 8; i++) {
        crowd[i] = (struct stream){.fd = connect_to(server.socket)};
        send_post(crowd[i].fd, CHAT,
                  i % 2
                      ? body
                      : "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"max_tokens\":40}");
    }
    for (int i = 0; i < 8; i++) {
        struct answer a;
        assert_true(read_answer(&crowd[i], &a));
        if (i % 2) {
            json_t *among = json_loads(a.body, 0, NULL);
            json_t *one =
                json_object_get(json_array_get(json_object_get(among, "choices"), 0), "logprobs");
            json_t *two =
                json_object_get(json_array_get(json_object_get(alone, "choices"), 0), "logprobs");
            assert_true(json_equal(one, two));
            json_decref(among);
        }
        answer_free(&a);
        stream_end(&crowd[i]);
    }
    json_decref(alone);
}

/* ---- responses ------------------------------------------------------------------------------- */

/* Goal: the events of a response follow each other as clients demand, and say what the whole
 *       answer says.
 * Method: one request whole and streamed, cut by its limit. */
static void a_response_streams(void **state)
{
    (void)state;
    static const char *const order[] = {"response.created",           "response.in_progress",
                                        "response.output_item.added", "response.content_part.added",
                                        "response.output_text.delta", "response.output_text.done",
                                        "response.content_part.done", "response.output_item.done",
                                        "response.incomplete"};
    static const char body[] =
        "{\"input\":\"Say "
        "a\",\"max_output_tokens\":12,\"temperature\":0,\"metadata\":{\"a\":\"b\"}%s}";
    char text[512], all[4096];
    (void)snprintf(text, sizeof text, body, "");
    json_t *whole = ask_json(&server, RESPONSES, text, 200);
    assert_memory_equal(text_at(whole, "id"), "resp_", 5);
    assert_string_equal(text_at(whole, "status"), "incomplete");
    assert_string_equal(text_at(whole, "incomplete_details.reason"), "max_output_tokens");
    assert_string_equal(text_at(whole, "output.0.status"), "incomplete");
    assert_string_equal(text_at(whole, "metadata.a"), "b");
    assert_int_equal(int_at(whole, "usage.output_tokens"), 12);
    json_t *counted = ask_json(&server, RESPONSES "/input_tokens", "{\"input\":\"Say a\"}", 200);
    assert_int_equal(int_at(counted, "input_tokens"), int_at(whole, "usage.input_tokens"));
    json_decref(counted);

    (void)snprintf(text, sizeof text, body, ",\"stream\":true");
    json_t *events = stream_of(RESPONSES, text);
    size_t next = 0;
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        (void)event_of(events, order[i], &next);
    assert_int_equal(next + 1, json_array_size(events));
    for (size_t i = 0; i <= next; i++)
        assert_int_equal(int_at(json_array_get(events, i), "sequence_number"), i);
    add_texts(events, "response.output_text.delta", "delta", all);
    assert_string_equal(all, text_at(whole, "output.0.content.0.text"));
    const json_t *last = json_array_get(events, next);
    assert_string_equal(text_at(last, "response.output.0.content.0.text"), all);
    assert_int_equal(int_at(last, "response.usage.total_tokens"),
                     int_at(whole, "usage.total_tokens"));
    json_decref(events);
    json_decref(whole);
}

/* Goal: a response's call goes back into the next input, and what cannot be done is refused.
 * Method: force a call, send it back with its output; then fields and items that are refused. */
static void a_response_takes_its_calls_back(void **state)
{
    (void)state;
    static const struct {
        const char *body, *param;
    } refused[] = {
        {"{\"input\":\"a\",\"previous_response_id\":\"resp_1\"}", "previous_response_id"},
        {"{\"input\":\"a\",\"background\":true}", "background"},
        {"{\"input\":\"a\",\"max_output_tokens\":0}", "max_output_tokens"},
        {"{\"input\":\"a\",\"tools\":[{\"type\":\"web_search\"}]}", "tools"},
        {"{\"input\":\"a\",\"text\":{\"format\":{\"type\":\"yaml\"}}}", "text"},
        {"{\"input\":[{\"type\":\"wizardry\"}]}", "input"},
        {"{\"input\":[{\"type\":\"function_call_output\",\"call_id\":\"x\",\"output\":\"y\"}]}",
         "input"},
        {"{\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_image\"}]}]}", "input"},
        {"{}", "input"},
    };
    json_t *whole = ask_json(&server, RESPONSES,
                             "{\"input\":\"Look!\",\"temperature\":0," RESPONSES_TOOLS
                             ",\"tool_choice\":{\"type\":\"function\",\"name\":\"look\"}}",
                             200);
    assert_string_equal(text_at(whole, "status"), "completed");
    assert_string_equal(text_at(whole, "output.0.type"), "function_call");
    assert_look(text_at(whole, "output.0.arguments"));
    json_t *call = (json_t *)(uintptr_t)at(whole, "output.0");
    json_t *body = json_pack("{s:[{s:s,s:s},O,{s:s,s:s,s:s}],s:i}", "input", "role", "user",
                             "content", "Look!", call, "type", "function_call_output", "call_id",
                             text_at(call, "call_id"), "output", "sky", "max_output_tokens", 2);
    json_t *next = ask_with(&server, RESPONSES, body, 200);
    assert_true(int_at(next, "usage.input_tokens") > 10);
    json_decref(next);
    json_decref(body);
    json_decref(whole);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        json_t *error = ask_json(&server, RESPONSES, refused[i].body, 400);
        assert_string_equal(text_at(error, "error.param"), refused[i].param);
        json_decref(error);
    }
}

/* ---- messages -------------------------------------------------------------------------------- */

/* Goal: the events of a message follow each other as clients demand, with the prompt's tokens in
 * the first, and say what the whole answer says. Method: one request whole and streamed; count its
 * tokens. */
static void a_message_streams(void **state)
{
    (void)state;
    static const char *const order[] = {"message_start",       "content_block_start",
                                        "content_block_delta", "content_block_stop",
                                        "message_delta",       "message_stop"};
#define SAY "\"system\":\"Be brief.\",\"messages\":[{\"role\":\"user\",\"content\":\"Say a\"}]"
    char all[4096];
    json_t *counted = ask_json(&server, MESSAGES "/count_tokens", "{" SAY "}", 200);
    json_t *whole =
        ask_json(&server, MESSAGES, "{" SAY ",\"max_tokens\":12,\"temperature\":0}", 200);
    assert_memory_equal(text_at(whole, "id"), "msg_", 4);
    assert_string_equal(text_at(whole, "stop_reason"), "max_tokens");
    assert_int_equal(int_at(whole, "usage.output_tokens"), 12);
    json_t *events =
        stream_of(MESSAGES, "{" SAY ",\"max_tokens\":12,\"temperature\":0,\"stream\":true}");
    size_t next = 0;
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        const json_t *event = event_of(events, order[i], &next);
        if (i == 0) {
            assert_int_equal(int_at(event, "message.usage.input_tokens") +
                                 int_at(event, "message.usage.cache_read_input_tokens"),
                             int_at(counted, "input_tokens"));
        }
    }
    assert_int_equal(next + 1, json_array_size(events));
    add_texts(events, "content_block_delta", "delta.text", all);
    assert_string_equal(all, text_at(whole, "content.0.text"));
    json_decref(events);
    json_decref(whole);
    json_decref(counted);
}

/* Goal: a message's tool_use goes back with its result, and errors have Anthropic's form.
 * Method: force a call, send it back; then fields and blocks that are refused. */
static void a_message_takes_its_tool_use_back(void **state)
{
    (void)state;
    static const struct {
        const char *body, *word;
    } refused[] = {
        {"{" SAY "}", "max_tokens"},
        {"{\"max_tokens\":2}", "messages"},
        {"{" SAY ",\"max_tokens\":2,\"tools\":[{\"type\":\"bash_1\",\"name\":\"bash\"}]}",
         "bash_1"},
        {"{" SAY ",\"max_tokens\":2,\"tool_choice\":{\"type\":\"perhaps\"}}", "tool_choice"},
        {"{" SAY ",\"max_tokens\":2,\"stop_sequences\":\"x\"}", "stop_sequences"},
        {"{\"max_tokens\":2,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\"}]}]}",
         "image"},
        {"{\"max_tokens\":2,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"tool_"
         "result\","
         "\"tool_use_id\":\"nobody\"}]}]}",
         "nobody"},
    };
    json_t *whole = ask_json(&server, MESSAGES,
                             "{" SAY ",\"max_tokens\":300,\"temperature\":0," MESSAGES_TOOLS
                             ",\"tool_choice\":{\"type\":\"tool\",\"name\":\"look\"}}",
                             200);
    assert_string_equal(text_at(whole, "stop_reason"), "tool_use");
    assert_string_equal(text_at(whole, "content.0.type"), "tool_use");
    const char *where = text_at(whole, "content.0.input.where");
    assert_true(strcmp(where, "up") == 0 || strcmp(where, "down") == 0);
    json_t *body = json_pack(
        "{s:i,s:[{s:s,s:s},{s:s,s:O},{s:s,s:[{s:s,s:s,s:s},{s:s,s:s}]}]}", "max_tokens", 2,
        "messages", "role", "user", "content", "Look!", "role", "assistant", "content",
        at(whole, "content"), "role", "user", "content", "type", "tool_result", "tool_use_id",
        text_at(whole, "content.0.id"), "content", "sky", "type", "text", "text", "And now?");
    json_t *next = ask_with(&server, MESSAGES, body, 200);
    json_decref(next);
    json_decref(body);
    json_decref(whole);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        json_t *error = ask_json(&server, MESSAGES, refused[i].body, 400);
        assert_string_equal(text_at(error, "type"), "error");
        assert_string_equal(text_at(error, "error.type"), "invalid_request_error");
        assert_non_null(strstr(text_at(error, "error.message"), refused[i].word));
        json_decref(error);
    }
}

/* Goal: the three endpoints have one path: the same prompt gives the same text and counts.
 * Method: ask all three at temperature 0. */
static void all_three_say_the_same(void **state)
{
    (void)state;
    json_t *chat = ask_json(&server, CHAT,
                            "{\"messages\":[{\"role\":\"user\",\"content\":\"Say a\"}],"
                            "\"max_tokens\":16,\"temperature\":0}",
                            200);
    json_t *response =
        ask_json(&server, RESPONSES,
                 "{\"input\":\"Say a\",\"max_output_tokens\":16,\"temperature\":0}", 200);
    json_t *message = ask_json(&server, MESSAGES,
                               "{\"messages\":[{\"role\":\"user\",\"content\":\"Say a\"}],"
                               "\"max_tokens\":16,\"temperature\":0}",
                               200);
    const char *text = text_at(chat, "choices.0.message.content");
    assert_string_equal(text_at(response, "output.0.content.0.text"), text);
    assert_string_equal(text_at(message, "content.0.text"), text);
    assert_int_equal(int_at(response, "usage.input_tokens"), int_at(chat, "usage.prompt_tokens"));
    json_decref(chat);
    json_decref(response);
    json_decref(message);
}

/* ---- reasoning and forms --------------------------------------------------------------------- */

static int start_reading(void **state)
{
    static const char *const flags[] = {"--tool-call-parser", "hermes", "--reasoning-parser",
                                        "think", NULL};
    (void)state;
    daemon_start(&server, TINY, flags);
    return 0;
}

#define FORM                                                                                       \
    "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"f\","               \
    "\"schema\":" SCHEMA "}},\"temperature\":0"

/* Goal: a form binds the final answer and not the reasoning before it.
 * Method: a prompt that opens the reasoning, which a model with random weights never closes; then
 * one that has closed it. */
static void a_form_binds_the_answer_alone(void **state)
{
    (void)state;
    json_t *open =
        ask_json(&server, CHAT,
                 "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\","
                 "\"content\":\"<think>Well\"}],\"add_generation_prompt\":false,"
                 "\"continue_final_message\":true,\"max_tokens\":30," FORM "}",
                 200);
    assert_null(text_at(open, "choices.0.message.content"));
    assert_true(strlen(text_at(open, "choices.0.message.reasoning_content")) > 0);
    assert_string_equal(text_at(open, "choices.0.message.reasoning"),
                        text_at(open, "choices.0.message.reasoning_content"));
    assert_string_equal(text_at(open, "choices.0.finish_reason"), "length");
    json_t *closed =
        ask_json(&server, CHAT,
                 "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\","
                 "\"content\":\"<think>Well.</think>\"}],\"add_generation_prompt\":false,"
                 "\"continue_final_message\":true,\"max_tokens\":200," FORM "}",
                 200);
    assert_look(text_at(closed, "choices.0.message.content"));
    assert_null(text_at(closed, "choices.0.message.reasoning_content"));
    json_decref(open);
    json_decref(closed);
}

/* Goal: with tools and a form the answer is a call or what the form allows.
 * Method: bias a model with random weights to each. */
static void a_call_may_come_instead_of_a_form(void **state)
{
    (void)state;
    static const char *const begins[] = {"<tool_call>", "{"};
    for (size_t i = 0; i < 2; i++) {
        char body[2048];
        json_t *ids;
        (void)snprintf(body, sizeof body, "{\"prompt\":\"1%c\",\"add_special_tokens\":false}",
                       begins[i][0]);
        ids = ask_json(&server, "/tokenize", body, 200);
        const json_t *tokens = at(ids, "tokens");
        const long long token =
            json_integer_value(json_array_get(tokens, json_array_size(tokens) - 1));
        json_decref(ids);
        (void)snprintf(
            body, sizeof body,
            "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\","
            "\"content\":\"<think>Well.</think>\"}],\"add_generation_prompt\":false,"
            "\"continue_final_message\":true,\"max_tokens\":300,"
            "\"logit_bias\":{\"%lld\":100}," CHAT_TOOLS "," FORM "}",
            token);
        json_t *answer = ask_json(&server, CHAT, body, 200);
        if (i == 0) {
            assert_string_equal(text_at(answer, "choices.0.finish_reason"), "tool_calls");
            assert_null(text_at(answer, "choices.0.message.content"));
        } else {
            assert_look(text_at(answer, "choices.0.message.content"));
            assert_null(at(answer, "choices.0.message.tool_calls.0"));
        }
        json_decref(answer);
    }
}

/* A template that shows roles and contents, and knows no tools. */
static int start_plain(void **state)
{
    char path[128];
    (void)state;
    daemon_folder(&server);
    (void)snprintf(path, sizeof path, "%s/plain.jinja", server.folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}", file);
    (void)fclose(file);
    const char *const flags[] = {"--chat-template", path, NULL};
    daemon_start_in(&server, TINY, flags);
    (void)unlink(path);
    return 0;
}

int main(void)
{
    const struct CMUnitTest plain[] = {
        cmocka_unit_test(a_plain_template_shows_tools_as_text),
        cmocka_unit_test(a_forced_call_comes),
    };
    const struct CMUnitTest reading[] = {
        cmocka_unit_test(a_form_binds_the_answer_alone),
        cmocka_unit_test(a_call_may_come_instead_of_a_form),
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_forced_call_comes),
        cmocka_unit_test(a_forced_call_has_declared_arguments),
        cmocka_unit_test(a_form_has_declared_properties),
        cmocka_unit_test(tokenize_knows_llama_cpp),
        cmocka_unit_test(chat_input_tokens_are_the_usage),
        cmocka_unit_test(tool_choice_is_obeyed),
        cmocka_unit_test(a_forced_call_is_the_same_in_a_crowd),
        cmocka_unit_test(a_response_streams),
        cmocka_unit_test(a_response_takes_its_calls_back),
        cmocka_unit_test(a_message_streams),
        cmocka_unit_test(a_message_takes_its_tool_use_back),
        cmocka_unit_test(all_three_say_the_same),
    };
    return cmocka_run_group_tests(tests, start, stop) +
           cmocka_run_group_tests(plain, start_plain, stop) +
           cmocka_run_group_tests(reading, start_reading, stop);
}
