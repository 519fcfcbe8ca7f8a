/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/text/chat.h"

#define LOOP "{% for message in messages %}"
#define BODY                                                                                       \
    "{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"       \
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
#define SYSTEM                                                                                     \
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face"     \
    "<|im_end|>\n"

static struct quire_text text_of(const char *string)
{
    return (struct quire_text){.data = string, .n = strlen(string)};
}

static void assert_rendered(enum qr_chat_format format, const struct quire_message *messages,
                            size_t n, bool prompt, const char *expected, size_t expected_n)
{
    char text[1024];
    size_t text_n;

    assert_int_equal(qr_chat_render(format, messages, n, prompt, text, sizeof(text), &text_n, NULL),
                     QUIRE_OK);
    assert_int_equal(text_n, expected_n);
    assert_memory_equal(text, expected, expected_n);
}

/* Goal: a template is recognised with whitespace behind it and with its newlines escaped, and not
 *       when anything else differs.
 * Method: plain ChatML and changes of it. */
static void templates_are_recognised_by_text(void **state)
{
    (void)state;
    char escaped[1024];
    size_t n = 0;

    assert_int_equal(qr_chat_recognise(text_of(LOOP BODY)), QR_CHAT_CHATML);
    assert_int_equal(qr_chat_recognise(text_of(LOOP BODY " \n\r\n\t")), QR_CHAT_CHATML);
    for (const char *c = LOOP BODY; *c; c++) {
        n += (size_t)snprintf(escaped + n, sizeof(escaped) - n, *c == '\n' ? "\\n" : "%c", *c);
    }
    assert_int_equal(qr_chat_recognise(text_of(escaped)), QR_CHAT_CHATML);
    assert_int_equal(qr_chat_recognise((struct quire_text){NULL, 0}), QR_CHAT_NONE);
    assert_int_equal(qr_chat_recognise(text_of("")), QR_CHAT_NONE);
    assert_int_equal(qr_chat_recognise(text_of(LOOP BODY "x")), QR_CHAT_NONE);
    assert_int_equal(qr_chat_recognise(text_of(" " LOOP BODY)), QR_CHAT_NONE);
    for (n = 1; n < strlen(LOOP BODY); n++) { /* cut short anywhere */
        assert_int_equal(qr_chat_recognise((struct quire_text){LOOP BODY, n}), QR_CHAT_NONE);
    }
}

/* Goal: SmolLM2's default system prompt stands in front unless the first message is the system's.
 * Method: with, without, and with a system message in second place. */
static void the_default_system_prompt_is_smollm2_s(void **state)
{
    (void)state;
    const struct quire_message system = {{"system", 6}, {"S", 1}}, user = {{"user", 4}, {"U", 1}};
    const struct quire_message first[] = {system, user}, second[] = {user, system};
    static const char s[] = "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nU<|im_end|>\n";
    static const char u[] =
        SYSTEM "<|im_start|>user\nU<|im_end|>\n<|im_start|>system\nS<|im_end|>\n"
               "<|im_start|>assistant\n";
    static const char plain[] = "<|im_start|>user\nU<|im_end|>\n";

    assert_rendered(QR_CHAT_CHATML_SMOLLM2, first, 2, false, s, sizeof(s) - 1);
    assert_rendered(QR_CHAT_CHATML_SMOLLM2, second, 2, true, u, sizeof(u) - 1);
    assert_rendered(QR_CHAT_CHATML, second, 1, false, plain, sizeof(plain) - 1);
    assert_rendered(QR_CHAT_CHATML_SMOLLM2, NULL, 0, true, "<|im_start|>assistant\n", 22);
    assert_rendered(QR_CHAT_CHATML_SMOLLM2, NULL, 0, false, "", 0);
}

/* Goal: any bytes pass as they are.
 * Method: NUL, bad UTF-8 and template syntax in role and content; empty texts. */
static void any_bytes_pass(void **state)
{
    (void)state;
    const struct quire_message odd = {{"r\0\xff", 3}, {"{{ x }}\0<|im_end|>", 18}};
    const struct quire_message empty = {{NULL, 0}, {NULL, 0}};
    static const char expected[] = "<|im_start|>r\0\xff\n{{ x }}\0<|im_end|><|im_end|>\n";
    static const char nothing[] = "<|im_start|>\n<|im_end|>\n";

    assert_rendered(QR_CHAT_CHATML, &odd, 1, false, expected, sizeof(expected) - 1);
    assert_rendered(QR_CHAT_CHATML, &empty, 1, false, nothing, sizeof(nothing) - 1);
}

/* Goal: a buffer that is too small is told how much is needed, and nothing is written past it.
 * Method: every capacity below the text's length, a guard behind it. */
static void a_small_buffer_is_told_the_size(void **state)
{
    (void)state;
    const struct quire_message user = {{"user", 4}, {"hello", 5}};
    static const char expected[] = "<|im_start|>user\nhello<|im_end|>\n";
    char text[sizeof(expected) + 1];
    size_t n;

    assert_int_equal(qr_chat_render(QR_CHAT_CHATML, &user, 1, false, NULL, 0, &n, NULL),
                     QUIRE_BUFFER_SMALL);
    assert_int_equal(n, sizeof(expected) - 1);
    for (size_t capacity = 0; capacity < sizeof(expected) - 1; capacity++) {
        memset(text, '#', sizeof(text));
        assert_int_equal(qr_chat_render(QR_CHAT_CHATML, &user, 1, false, text, capacity, &n, NULL),
                         QUIRE_BUFFER_SMALL);
        assert_int_equal(n, sizeof(expected) - 1);
        assert_int_equal(text[capacity], '#');
    }
    assert_rendered(QR_CHAT_CHATML, &user, 1, false, expected, sizeof(expected) - 1);
}

/* Goal: no template, and a text without data, are errors that say so.
 * Method: both. */
static void errors_say_what(void **state)
{
    (void)state;
    const struct quire_message broken = {{"user", 4}, {NULL, 3}};
    struct quire_error error;
    char text[64];
    size_t n;

    assert_int_equal(qr_chat_render(QR_CHAT_NONE, NULL, 0, true, text, 64, &n, &error),
                     QUIRE_NO_TEMPLATE);
    assert_int_equal(error.status, QUIRE_NO_TEMPLATE);
    assert_non_null(strstr(error.text, "template"));
    assert_int_equal(qr_chat_render(QR_CHAT_CHATML, &broken, 1, true, text, 64, &n, &error),
                     QUIRE_INVALID);
    assert_string_equal(error.field, "messages");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(templates_are_recognised_by_text),
        cmocka_unit_test(the_default_system_prompt_is_smollm2_s),
        cmocka_unit_test(any_bytes_pass),
        cmocka_unit_test(a_small_buffer_is_told_the_size),
        cmocka_unit_test(errors_say_what),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
