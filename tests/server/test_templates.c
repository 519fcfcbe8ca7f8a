/* SPDX-License-Identifier: MIT */
/* Chat requests' fields on their way to the template, through the socket: a template of the test's
 * own in place of SmolLM2's, whose text the answer's prompt ids show.  Skipped without the model.
 */
#include "support/daemon.h"

static struct daemon server;
static char template_path[512];

/* Shows all that it is given; refuses what the test asks it to. */
static const char template_text[] =
    "{%- for m in messages -%}{{ m.role }}={{ m.content }}{{ '@' ~ m.name if m.name }}"
    "{%- for c in m.tool_calls or [] %}!{{ c.function.name }}{{ c.function.arguments.items()|list "
    "}}"
    "{%- endfor -%}{{ '#' ~ m.tool_call_id if m.tool_call_id }};{%- endfor -%}\n"
    "{{- tools|tojson if tools else 'no tools' }}|{{ documents }}|{{ kw }}|"
    "{{- 'prompt' if add_generation_prompt }}|{{ bos_token }}{{ eos_token }}"
    "{%- if messages[0].content == 'refuse' %}{{ raise_exception('Never say \"refuse\".') }}"
    "{%- endif %}{%- if messages[0].content == 'break' %}\n{{ nope.x }}{% endif %}\n";

static int start(void **state)
{
    (void)state;
    const char *model = smollm2();
    if (!model) return 0;
    daemon_folder(&server);
    (void)snprintf(template_path, sizeof template_path, "%s/chat.jinja", server.folder);
    FILE *file = fopen(template_path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(template_text, 1, sizeof template_text - 1, file),
                     sizeof template_text - 1);
    (void)fclose(file);
    const char *const flags[] = {"--kv-memory", "256M", "--chat-template", template_path, NULL};
    daemon_start_in(&server, model, flags);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    if (!server.pid) return 0;
    (void)unlink(template_path);
    daemon_stop(&server);
    return 0;
}

static void need_model(void)
{
    if (!server.pid) skip();
}

/* The text that a body's conversation became: tokenised and detokenised. */
static void assert_renders(const char *body, const char *expected)
{
    json_t *tokens = ask_json(&server, "/tokenize", body, 200);
    json_t *back = json_pack("{s:O}", "tokens", json_object_get(tokens, "tokens"));
    char *text = json_dumps(back, JSON_COMPACT);
    json_t *answer = ask_json(&server, "/detokenize", text, 200);
    assert_string_equal(text_at(answer, "prompt"), expected);
    json_decref(answer);
    free(text);
    json_decref(back);
    json_decref(tokens);
}

#define TAIL "|None||prompt|<|im_start|><|im_end|>"

/* Goal: each field of a chat request reaches the template, in vLLM's form: the parts of a content
 *       joined, a call's arguments as the object that they are.
 * Method: a template that shows them. */
static void fields_reach_the_template(void **state)
{
    (void)state;
    need_model();
    assert_renders("{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}",
                   "user=hi;no tools" TAIL);
    assert_renders(
        "{\"messages\":[{\"role\":\"developer\",\"content\":[{\"type\":\"text\",\"text\":"
        "\"a\"},{\"type\":\"text\",\"text\":\"b\"}],\"name\":\"me\"},{\"role\":"
        "\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"1\",\"type\":"
        "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":[1,true]}\""
        "}},{\"function\":{\"name\":\"g\",\"arguments\":\"\"}},{\"function\":{\"name\":"
        "\"h\",\"arguments\":{\"y\":null}}}]},{\"role\":\"tool\",\"tool_call_id\":\"1\","
        "\"content\":\"r\"}]}",
        "system=a\nb@me;assistant=!f[('x', [1, True])]!g[]!h[('y', None)];tool=r#1;"
        "no tools" TAIL);
    assert_renders("{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"tools\":[{\"type\":"
                   "\"function\",\"function\":{\"name\":\"f\"}}],\"tool_choice\":\"auto\","
                   "\"documents\":[{\"title\":\"t\"}],\"chat_template_kwargs\":{\"kw\":{\"deep\":"
                   "[1.5]}},\"add_generation_prompt\":false}",
                   "user=hi;[{\"type\": \"function\", \"function\": {\"name\": \"f\"}}]|"
                   "[{'title': 't'}]|{'deep': [1.5]}||<|im_start|><|im_end|>");
    assert_renders("{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\","
                   "\"content\":\"so far\"}],\"add_generation_prompt\":false,"
                   "\"continue_final_message\":true}",
                   "user=q;assistant=so far");
}

/* Goal: a conversation of another API or with a broken call is shown, not refused.
 * Method: parts of the Responses API, and arguments that are not JSON. */
static void foreign_conversations_are_shown(void **state)
{
    (void)state;
    need_model();
    assert_renders(
        "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":"
        "\"a\"},{\"type\":\"output_text\",\"text\":\"b\"},{\"type\":\"refusal\","
        "\"refusal\":\"c\"}]}]}",
        "user=a\nb\nc;no tools" TAIL);
    assert_renders(
        "{\"messages\":[{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":"
        "\"1\",\"function\":{\"name\":\"f\",\"arguments\":\"{x\"}}]}]}",
        "assistant=!f[('arguments', '{x')];no tools" TAIL);
}

/* Goal: what the template refuses is a 400 with its own words, what it fails at one that names the
 *       line, and the server goes on.
 * Method: both, then a conversation. */
static void the_template_s_refusals_are_400s(void **state)
{
    (void)state;
    need_model();
    json_t *answer = ask_json(&server, "/v1/chat/completions",
                              "{\"messages\":[{\"role\":\"user\",\"content\":\"refuse\"}]}", 400);
    assert_string_equal(text_at(answer, "error.message"), "Never say \"refuse\".");
    assert_string_equal(text_at(answer, "error.param"), "messages");
    json_decref(answer);
    answer = ask_json(&server, "/v1/chat/completions",
                      "{\"messages\":[{\"role\":\"user\",\"content\":\"break\"}]}", 400);
    assert_string_equal(text_at(answer, "error.message"),
                        "chat template, line 3: 'nope' is undefined");
    json_decref(answer);
    answer = ask_json(&server, "/v1/chat/completions",
                      "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\"}]}]}",
                      400);
    assert_non_null(strstr(text_at(answer, "error.message"), "messages[0].content[0].type"));
    json_decref(answer);
    answer = ask_json(&server, "/v1/chat/completions",
                      "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"max_tokens\":2,"
                      "\"ignore_eos\":true,\"tools\":[],\"return_token_ids\":true}",
                      200);
    assert_int_equal(int_at(answer, "usage.completion_tokens"), 2);
    json_decref(answer);
}

/* Goal: a template file that is not there or broken ends the start with 2 and says why.
 * Method: both. */
static void a_bad_template_file_is_refused(void **state)
{
    (void)state;
    need_model();
    static const struct {
        const char *path, *words;
    } cases[] = {{"/nowhere/chat.jinja", "No such file"}, {NULL, "line 2: expected 'in'"}};
    for (size_t i = 0; i < 2; i++) {
        struct daemon other = {0};
        char path[512];
        daemon_folder(&other);
        (void)snprintf(path, sizeof path, "%s/broken.jinja", other.folder);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        (void)fputs("\n{% for x %}", file);
        (void)fclose(file);
        const char *const args[] = {
            "--model",    smollm2(),         "--socket",
            other.socket, "--chat-template", cases[i].path ? cases[i].path : path,
            NULL};
        int out;
        daemon_spawn(&other, args, &out);
        assert_int_equal(daemon_wait(&other), 2);
        assert_true(daemon_log_has(&other, cases[i].words));
        (void)close(out);
        (void)unlink(path);
        daemon_clean(&other);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_reach_the_template),
        cmocka_unit_test(foreign_conversations_are_shown),
        cmocka_unit_test(the_template_s_refusals_are_400s),
        cmocka_unit_test(a_bad_template_file_is_refused),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
