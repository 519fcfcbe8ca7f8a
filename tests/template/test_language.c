/* SPDX-License-Identifier: MIT */
/* Compares the language and published templates with jinja2.  make_cases.py made the expected
 * results: tests/data/templates/language.json and conversations.json. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "runtime/template/template.h"
#include "template/values.h"

#define TEXT_MAX (1 << 20)

static char text[TEXT_MAX];
static const struct quire_allocator memory;

/* Checks one case: the same text, or an error if jinja2 has one.  The text of raise_exception must
 * be equal.  Returns 1 and prints the difference if the case fails. */
static int differs(struct quire_text source, const struct quire_value *variables, int64_t now,
                   const json_t *expected, const char *name)
{
    const json_t *wanted = json_object_get(expected, "text");
    const char *words = json_string_value(json_object_get(expected, "error"));
    bool raised = json_is_true(json_object_get(expected, "raised"));
    struct quire_error error = {0};
    struct qr_template *t;
    size_t n = 0;

    int status = qr_template_create(&t, source, &memory, &error);
    if (!status) {
        status = qr_template_render(t, variables, now, text, TEXT_MAX, &n, &error);
        qr_template_destroy(t);
    }
    if (wanted) {
        if (!status && n == json_string_length(wanted) &&
            memcmp(text, json_string_value(wanted), n) == 0)
            return 0;
        fprintf(stderr, "%s\n  expected \"%s\"\n  got      \"%.*s\" %s\n", name,
                json_string_value(wanted), (int)n, text, status ? error.text : "");
        return 1;
    }
    if (status != QUIRE_INVALID) {
        fprintf(stderr, "%s\n  expected the error \"%s\"\n  got \"%.*s\" (%d)\n", name, words,
                (int)n, text, status);
        return 1;
    }
    bool lined = strncmp(error.text, "chat template, line ", 20) == 0;
    if (raised ? strchr(words, '\t') == NULL && strcmp(error.text, words) != 0 : !lined) {
        fprintf(stderr, "%s\n  expected \"%s\", got \"%s\"\n", name, words, error.text);
        return 1;
    }
    return 0;
}

/* Goal: an expression or a template renders as in jinja2, and fails if jinja2 fails.
 * Method: every case of language.json. */
static void the_language_is_jinja2_s(void **state)
{
    (void)state;
    json_t *file = values_load("language.json"), *one;
    size_t i;
    int wrong = 0;

    assert_non_null(file);
    const struct quire_value variables = values_of(json_object_get(file, "variables"));
    const int64_t now = json_integer_value(json_object_get(file, "now"));
    json_array_foreach(json_object_get(file, "cases"), i, one)
    {
        const json_t *source = json_object_get(one, "template");
        const struct quire_text t = {json_string_value(source), json_string_length(source)};
        wrong += differs(t, &variables, now, one, t.data);
    }
    assert_true(i > 800);
    assert_int_equal(wrong, 0);
    json_decref(file);
    values_free();
}

/* Goal: published templates render as in transformers.
 * Method: every template with every conversation of conversations.json. */
static void published_templates_render_as_published(void **state)
{
    (void)state;
    json_t *file = values_load("conversations.json"), *one;
    size_t i, texts = 0;
    int wrong = 0;

    assert_non_null(file);
    const int64_t now = json_integer_value(json_object_get(file, "now"));
    const json_t *inputs = json_object_get(file, "inputs");
    json_array_foreach(json_object_get(file, "cases"), i, one)
    {
        const char *name = json_string_value(json_object_get(one, "template"));
        const char *conversation = json_string_value(json_object_get(one, "conversation"));
        const struct quire_value input = values_of(json_object_get(inputs, conversation));
        const struct quire_text source = values_file(name);
        char both[200];
        assert_true(source.n > 0);
        (void)snprintf(both, sizeof both, "%s with %s", name, conversation);
        wrong += differs(source, &input, now, one, both);
        texts += json_object_get(one, "text") != NULL;
        values_free();
    }
    assert_true(i >= 300);
    assert_true(texts >= 250);
    assert_int_equal(wrong, 0);
    json_decref(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_language_is_jinja2_s),
        cmocka_unit_test(published_templates_render_as_published),
    };

    setenv("TZ", "UTC", 1);
    tzset();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
