/* SPDX-License-Identifier: MIT */
/* Tests of chat.c: the variables that a template sees, and the prompt it renders. */
#include <locale.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/template/chat.h"
#include "template/values.h"

#define LENGTH(array) (sizeof array / sizeof((array)[0]))

static const struct quire_allocator memory;
static const struct qr_chat_token tokens[] = {{"bos_token", {"<s>", 3}},
                                              {"eos_token", {"</s>", 4}}};

static struct qr_template *compiled(const char *source)
{
    struct quire_error error;
    struct qr_template *t;

    if (qr_template_create(&t, (struct quire_text){source, strlen(source)}, &memory, &error))
        fail_msg("%s", error.text);
    return t;
}

/* The rendered prompt, or the error's text; in a static buffer. */
static const char *rendered(const char *source, const struct quire_conversation *conversation)
{
    static char text[4096];
    static struct quire_error error;
    struct qr_template *t = compiled(source);
    size_t n;

    int status =
        qr_chat_render(t, conversation, tokens, LENGTH(tokens), text, sizeof text - 1, &n, &error);
    qr_template_destroy(t);
    text[n] = '\0';
    return status ? error.text : text;
}

/* The same for messages and more as JSON: {"messages": [...], "tools": [...], ...}. */
static const char *rendered_json(const char *source, const char *json, uint32_t flags)
{
    json_t *parsed = json_loads(json, 0, NULL);
    struct quire_value values[4];
    static const char *const names[] = {"messages", "tools", "documents", "kwargs"};
    struct quire_conversation c = {.flags = flags};
    const struct quire_value **places[] = {&c.values, &c.tools, &c.documents, &c.variables};

    assert_non_null(parsed);
    for (size_t i = 0; i < 4; i++) {
        const json_t *one = json_object_get(parsed, names[i]);
        if (!one) continue;
        values[i] = values_of(one);
        *places[i] = &values[i];
    }
    const char *text = rendered(source, &c);
    json_decref(parsed);
    values_free();
    return text;
}

#define HI "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"

/* Goal: a template sees the variables of transformers, none for those not given, and the caller's
 *       own, which override the special tokens but not the conversation.
 * Method: templates that print them. */
static void the_template_sees_the_conversation(void **state)
{
    (void)state;
    assert_string_equal(rendered_json("{{ messages }}|{{ tools }}|{{ documents }}|"
                                      "{{ add_generation_prompt }}|{{ bos_token }}{{ eos_token }}|"
                                      "{{ pad_token is defined }}",
                                      HI "}", 0),
                        "[{'role': 'user', 'content': 'hi'}]|None|None|False|<s></s>|False");
    assert_string_equal(rendered_json("{{ tools[0].function.name }}|{{ documents[0].title }}|"
                                      "{{ add_generation_prompt }}",
                                      HI ",\"tools\":[{\"function\":{\"name\":\"f\"}}],"
                                         "\"documents\":[{\"title\":\"t\"}]}",
                                      QUIRE_RENDER_GENERATION_PROMPT),
                        "f|t|True");
    assert_string_equal(rendered_json("{{ enable_thinking }}{{ bos_token }}{{ messages|length }}"
                                      "{{ n + 1 }}{{ r }}{{ z is none }}",
                                      HI ",\"kwargs\":{\"enable_thinking\":false,\"bos_token\":"
                                         "\"B\",\"messages\":5,\"n\":41,\"r\":1.5,\"z\":null}}",
                                      0),
                        "FalseB1421.5True");
    assert_string_equal(
        rendered_json("{% for m in messages %}{{ m.role }}:{{ m.name }}:{{ m.tool_call_id }}:"
                      "{% for c in m.tool_calls %}{{ c.function.arguments.a }}{% endfor %};"
                      "{% endfor %}",
                      "{\"messages\":[{\"role\":\"developer\",\"content\":\"x\",\"name\":\"n\"},"
                      "{\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"arguments\":"
                      "{\"a\":[1,true]}}}]},{\"role\":\"tool\",\"tool_call_id\":\"id\","
                      "\"content\":\"y\"}]}",
                      0),
        "developer:n::;assistant:::[1, True];tool::id:;");
}

/* Goal: a template gets each content in the form it expects: a string of joined parts, or parts.
 * Method: contents in each form, for a template of each kind. */
static void contents_come_in_the_form_that_is_wanted(void **state)
{
    (void)state;
    static const char texts[] =
        "{% for m in messages %}{{ m.content is string }}[{{ m.content }}]{% endfor %}";
    static const char parts[] =
        "{% for m in messages %}{% for c in m['content'] %}<{{ c.type }}:{{ c.text }}>{% endfor %}"
        ";{% endfor %}";
    static const char all[] =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"one\"},{\"role\":\"user\",\"content\":[{"
        "\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]},{\"role\":\"user\","
        "\"content\":[\"c\"]},{\"role\":\"user\",\"content\":null},{\"role\":\"user\"},{\"role\":"
        "\"user\",\"content\":[]}]}";

    assert_string_equal(rendered_json(texts, all, 0),
                        "True[one]True[a\nb]True[c]True[]True[]True[]");
    assert_string_equal(rendered_json(parts, all, 0), "<text:one>;<text:a><text:b>;<text:c>;;;;");
}

/* Goal: the source tells whether a template expects parts, by vLLM's rule.
 * Method: sources of both kinds, direct and through variables. */
static void parts_are_wanted_where_a_loop_goes_through_them(void **state)
{
    (void)state;
    static const struct {
        const char *source;
        bool wants;
    } cases[] = {
        {"{{ messages[0].content }}", false},
        {"{% for m in messages %}{{ m.content }}{% endfor %}", false},
        {"{% for m in messages %}{% for c in m.content %}{% endfor %}{% endfor %}", true},
        {"{% for m in messages %}{% for c in m['content'] %}{% endfor %}{% endfor %}", true},
        {"{% for m in messages[1:] %}{% for c in m['content']|list %}{% endfor %}{% endfor %}",
         true},
        {"{% set l = messages %}{% set k = l[1:]|list %}{% for m in k %}{% if m.content is string "
         "%}"
         "{% else %}{% for c in m.content %}{% endfor %}{% endif %}{% endfor %}",
         true},
        {"{% macro x(m) %}{% for c in m.content %}{% endfor %}{% endmacro %}"
         "{% for m in messages %}{{ x(m) }}{% endfor %}",
         true},
        {"{% for x in others %}{% for c in x.content %}{% endfor %}{% endfor %}", false},
        {"{% for m in messages %}{% for c in m.tool_calls %}{% endfor %}{% endfor %}", false},
        {"{% for m in messages %}{% set q = m.content %}{% for c in q %}{% endfor %}{% endfor %}",
         false},
        {"", false},
    };

    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct qr_template *t = compiled(cases[i].source);
        if (qr_template_wants_parts(t) != cases[i].wants) fail_msg("%s", cases[i].source);
        qr_template_destroy(t);
    }
}

/* Goal: a continued conversation ends with its last content, trimmed if the template trims it.
 * Method: templates that keep, trim and drop the content, each with text after it. */
static void the_last_message_can_be_continued(void **state)
{
    (void)state;
    static const char chat[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":"
                               "\"assistant\",\"content\":\" The answer is \"}]}";
    static const char parts[] = "{\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":"
                                "\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b \"}]}]}";

    assert_string_equal(rendered_json("{% for m in messages %}<{{ m.content }}>{% endfor %}end",
                                      chat, QUIRE_RENDER_CONTINUE),
                        "<q>< The answer is ");
    assert_string_equal(
        rendered_json("{% for m in messages %}<{{ m.content|trim }}>{% endfor %}end", chat,
                      QUIRE_RENDER_CONTINUE),
        "<q><The answer is");
    assert_string_equal(rendered_json("{% for m in messages %}{% for c in m.content %}{{ c.text }}"
                                      "{% endfor %}{% endfor %}end",
                                      parts, QUIRE_RENDER_CONTINUE),
                        "ab ");
    assert_non_null(strstr(rendered_json("{{ messages[0].content }}", chat, QUIRE_RENDER_CONTINUE),
                           "does not appear"));
    assert_non_null(
        strstr(rendered_json("x", "{\"messages\":[{\"role\":\"a\"}]}", QUIRE_RENDER_CONTINUE),
               "no content to continue"));
    assert_non_null(
        strstr(rendered_json("x", chat, QUIRE_RENDER_CONTINUE | QUIRE_RENDER_GENERATION_PROMPT),
               "exclude each other"));
}

/* Goal: the text of raise_exception is the error, unchanged; other errors name the line.
 * Method: one of each. */
static void the_template_s_own_words_are_the_error(void **state)
{
    (void)state;
    const struct quire_message user = {{"user", 4}, {"x", 1}};
    const struct quire_conversation c = {.messages = &user, .messages_n = 1};
    struct qr_template *t = compiled("{{ raise_exception('Roles must alternate!') }}");
    struct quire_error error;
    char text[8];
    size_t n;

    assert_int_equal(qr_chat_render(t, &c, NULL, 0, text, sizeof text, &n, &error), QUIRE_INVALID);
    assert_string_equal(error.text, "Roles must alternate!");
    assert_string_equal(error.field, "messages");
    assert_int_equal(n, 0);
    qr_template_destroy(t);
    assert_string_equal(rendered("a\n{{ messages[0].nope.x }}", &c),
                        "chat template, line 2: 'nope' is undefined");
}

/* Goal: the error about a malformed message names the field.
 * Method: one message of each kind. */
static void malformed_messages_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *json, *words;
    } cases[] = {
        {"{\"messages\":[5]}", "messages[0] must be an object"},
        {"{\"messages\":[{\"content\":\"x\"}]}", "messages[0].role must be a string"},
        {"{\"messages\":[{\"role\":\"u\",\"content\":\"x\"},{\"role\":1}]}",
         "messages[1].role must be a string"},
        {"{\"messages\":[{\"role\":\"u\",\"content\":5}]}", "messages[0].content must be"},
        {"{\"messages\":[{\"role\":\"u\",\"content\":[{\"type\":\"image_url\"}]}]}",
         "messages[0].content[0].type must be \"text\""},
        {"{\"messages\":[{\"role\":\"u\",\"content\":[{\"type\":\"text\"}]}]}",
         "messages[0].content[0].text must be a string"},
        {"{\"messages\":{}}", "messages must be a list"},
        {HI ",\"kwargs\":[]}", "chat_template_kwargs must be an object"},
    };
    const struct quire_message broken = {{"user", 4}, {NULL, 3}};
    const struct quire_conversation c = {.messages = &broken, .messages_n = 1};

    for (size_t i = 0; i < LENGTH(cases); i++) {
        const char *text = rendered_json("x", cases[i].json, 0);
        if (!strstr(text, cases[i].words)) fail_msg("%s: %s", cases[i].json, text);
    }
    assert_non_null(strstr(rendered("x", &c), "messages[0]: a text of 3 bytes has no data"));
}

/* Goal: all bytes pass unchanged, and a model without a template gets ChatML.
 * Method: NUL, bad UTF-8 and template syntax in role and content. */
static void any_bytes_pass(void **state)
{
    (void)state;
    const struct quire_message odd[] = {{{"r\0\xff", 3}, {"{{ x }}\0<|im_end|>\xc3", 19}},
                                        {{NULL, 0}, {NULL, 0}}};
    static const char expected[] = "<|im_start|>r\0\xff\n{{ x }}\0<|im_end|>\xc3<|im_end|>\n"
                                   "<|im_start|>\n<|im_end|>\n<|im_start|>assistant\n";
    const struct quire_conversation c = {
        .messages = odd, .messages_n = 2, .flags = QUIRE_RENDER_GENERATION_PROMPT};
    struct qr_template *t;
    char text[256];
    size_t n;

    assert_int_equal(qr_template_create(&t, qr_chat_fallback, &memory, NULL), QUIRE_OK);
    assert_int_equal(qr_chat_render(t, &c, NULL, 0, text, sizeof text, &n, NULL), QUIRE_OK);
    assert_int_equal(n, sizeof expected - 1);
    assert_memory_equal(text, expected, n);
    qr_template_destroy(t);
}

/* Goal: strftime_now prints the caller's time; 0 means the current time.
 * Method: a fixed time, then 0. */
static void the_clock_is_an_argument(void **state)
{
    (void)state;
    const struct quire_message user = {{"user", 4}, {"x", 1}};
    struct quire_conversation c = {.messages = &user, .messages_n = 1, .now_s = 86400 * 365 + 3600};

    assert_string_equal(rendered("{{ strftime_now('%d %b %Y %H:%M') }}", &c), "01 Jan 1971 01:00");
    c.now_s = 0;
    assert_int_equal(strlen(rendered("{{ strftime_now('%Y') }}", &c)), 4);
}

/* Goal: floats have a point and case is Unicode's in every locale; the locale is restored.
 * Method: render in each locale that the machine has, some of which use a comma. */
static void the_host_s_locale_does_not_matter(void **state)
{
    (void)state;
    const struct quire_message user = {{"user", 4}, {"\xc3\xbc", 2}};
    const struct quire_conversation c = {.messages = &user, .messages_n = 1};
    static const char *const names[] = {"C", "C.UTF-8", "de_DE.UTF-8", "tr_TR.UTF-8"};
    static const char source[] = "{{ 1.5 + 0.25 }} {{ messages[0].content|upper }} {{ 'i'|upper }}";

    for (size_t i = 0; i < LENGTH(names); i++) {
        if (!setlocale(LC_ALL, names[i])) continue;
        assert_string_equal(rendered(source, &c), "1.75 \xc3\x9c I");
        assert_string_equal(setlocale(LC_ALL, NULL), names[i]);
    }
    (void)setlocale(LC_ALL, "C");
}

struct renderer {
    const struct qr_template *t;
    unsigned failures;
};

static void *render_often(void *data)
{
    struct renderer *r = data;
    const struct quire_message user = {{"user", 4}, {"hello", 5}};
    const struct quire_conversation c = {.messages = &user, .messages_n = 1, .now_s = 1};
    char text[256];
    size_t n;

    for (int i = 0; i < 200; i++) {
        int status = qr_chat_render(r->t, &c, NULL, 0, text, sizeof text, &n, NULL);
        r->failures += status != QUIRE_OK || n != 17 || memcmp(text, "user:HELLO 1.5 01", 17) != 0;
    }
    return NULL;
}

/* Goal: threads share a compiled template.
 * Method: four threads render it 200 times each. */
static void threads_share_a_template(void **state)
{
    (void)state;
    struct qr_template *t =
        compiled("{% macro m(x) %}{{ x|upper }}{% endmacro %}{% for a in messages %}{{ a.role }}:"
                 "{{ m(a.content) }}{% endfor %} {{ 1.5 }} {{ strftime_now('%d') }}");
    struct renderer renderers[4];
    pthread_t threads[4];

    for (int i = 0; i < 4; i++) {
        renderers[i] = (struct renderer){.t = t};
        assert_int_equal(pthread_create(&threads[i], NULL, render_often, &renderers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(renderers[i].failures, 0);
    }
    qr_template_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_host_s_locale_does_not_matter),
        cmocka_unit_test(threads_share_a_template),
        cmocka_unit_test(the_template_sees_the_conversation),
        cmocka_unit_test(contents_come_in_the_form_that_is_wanted),
        cmocka_unit_test(parts_are_wanted_where_a_loop_goes_through_them),
        cmocka_unit_test(the_last_message_can_be_continued),
        cmocka_unit_test(the_template_s_own_words_are_the_error),
        cmocka_unit_test(malformed_messages_are_refused),
        cmocka_unit_test(any_bytes_pass),
        cmocka_unit_test(the_clock_is_an_argument),
    };

    setenv("TZ", "UTC", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
