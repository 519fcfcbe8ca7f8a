/* SPDX-License-Identifier: MIT */
/* Tests of the limits: a hostile template ends with an error, and memory is never lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/limits.h"
#include "runtime/base/memory.h"
#include "runtime/template/template.h"

/* An allocator that counts, and fails on request. */
struct counted {
    size_t calls, fail_at; /* the call that fails, 0: none */
    size_t live, most;     /* bytes */
};

static void *counted_resize(void *context, void *memory, size_t bytes)
{
    struct counted *c = context;
    size_t before = memory ? ((size_t *)memory)[-2] : 0;

    if (bytes == 0) {
        c->live -= before;
        if (memory) free((size_t *)memory - 2);
        return NULL;
    }
    if (++c->calls == c->fail_at) return NULL;
    size_t *made = realloc(memory ? (size_t *)memory - 2 : NULL, bytes + 2 * sizeof(size_t));
    if (!made) return NULL;
    made[0] = bytes;
    c->live += bytes - before;
    if (c->live > c->most) c->most = c->live;
    return made + 2;
}

static int run(struct counted *c, const char *source, size_t source_n, struct quire_error *error)
{
    static char text[1 << 16];
    const struct quire_allocator memory = {.resize = counted_resize, .context = c};
    const struct quire_value none = {.kind = QUIRE_VALUE_MAP};
    struct qr_template *t;
    size_t n;

    memset(error, 0, sizeof *error);
    int status = qr_template_create(&t, (struct quire_text){source, source_n}, &memory, error);
    if (status) return status;
    status = qr_template_render(t, &none, 0, text, sizeof text, &n, error);
    qr_template_destroy(t);
    return status;
}

static void assert_refused(const char *source, size_t source_n, const char *words)
{
    struct counted c = {0};
    struct quire_error error;
    int status = run(&c, source, source_n, &error);

    if (status != QUIRE_INVALID || !strstr(error.text, words))
        fail_msg("%.80s: %d \"%s\", expected \"%s\"", source, status, error.text, words);
    assert_int_equal(c.live, 0);
    assert_true(c.most <= QR_TEMPLATE_MEMORY_MAX + 2 * QR_TEMPLATE_BYTES_MAX + (1u << 20));
}

/* Goal: a template that exceeds the steps, the memory, the depth or another limit fails with an
 *       error that names it.  It never exceeds the memory limit and leaks nothing.
 * Method: one template for each way to exceed a limit. */
static void hostile_templates_end(void **state)
{
    (void)state;
    static const struct {
        const char *source, *words;
    } cases[] = {
        {"{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
         "more than"},
        {"{% for a in range(100000) %}{% set x = 'abc' * 100000 %}{% endfor %}", "more than"},
        {"{% set ns = namespace(s='ab') %}{% for a in range(100) %}{% set ns.s = ns.s + ns.s %}"
         "{% endfor %}",
         "more than"},
        {"{% set ns = namespace(s='ab') %}{% for a in range(100) %}{% set ns.s = ns.s ~ ns.s %}"
         "{% endfor %}",
         "more than"},
        {"{% set ns = namespace(s=[1]) %}{% for a in range(100) %}{% set ns.s = ns.s + ns.s %}"
         "{% endfor %}",
         "more than"},
        {"{% set ns = namespace(s=[1]) %}{% for a in range(100) %}{% set ns.s = [ns.s, ns.s] %}"
         "{% endfor %}{{ ns.s }}",
         "more than"},
        {"{{ 'a' * 9223372036854775807 }}", "more than"},
        {"{{ 'ab' * 9223372036854775807 }}", "more than"},
        {"{{ [1, 2] * 9223372036854775807 }}", "more than"},
        {"{{ 'x' * 60000000 }}{{ 'x' * 60000000 }}", "more than"},
        {"{% for i in range(100000) %}{{ 'x' * 1000 }}{% endfor %}", "more than"},
        {"{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "levels"},
        {"{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
         "levels"},
        {"{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}", "levels"},
        {"{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}"
         "{{ m(60) }}",
         "more than"},
        {"{% macro m() %}{{ caller() }}{% endmacro %}{% macro w() %}{% call m() %}{{ w() }}"
         "{% endcall %}{% endmacro %}{{ w() }}",
         "levels"},
        {"{% set ns = namespace() %}{% set ns.a = ns %}{{ ns }}", "levels"},
        {"{% set ns = namespace(l=[]) %}{% for i in range(5000) %}{% set ns.l = [ns.l] %}"
         "{% endfor %}{{ ns.l }}",
         "levels"},
        {"{% set ns = namespace(l=[]) %}{% for i in range(5000) %}{% set ns.l = [ns.l] %}"
         "{% endfor %}{{ ns.l|tojson }}",
         "levels"},
        {"{% set a = namespace(l=[]) %}{% set b = namespace(l=[]) %}{% for i in range(5000) %}"
         "{% set a.l = [a.l] %}{% set b.l = [b.l] %}{% endfor %}{{ a.l == b.l }}",
         "levels"},
        {"{% set a = namespace(l=[1]) %}{% set b = namespace(l=[2]) %}{% for i in range(5000) %}"
         "{% set a.l = [a.l] %}{% set b.l = [b.l] %}{% endfor %}{{ a.l < b.l }}",
         "levels"},
        {"{{ range(1000000000) }}", "range"},
        {"{{ range(-9223372036854775807, 9223372036854775807) }}", "range"},
        {"{{ range(99999)|map('string')|join(',' * 100000) }}", "more than"},
        {"{% set x = 'a' * 1000000 %}{{ x.replace('', x) }}", "more than"},
        {"{% set x = 'a' * 1000000 %}{{ x.rfind('a' * 500000 ~ 'b') }}", "more than"},
        {"{% set x = 'a' * 1000000 %}{{ x.strip('b' * 1000000 ~ 'a') }}", "more than"},
        {"{% set x = range(100000)|list %}{{ x|unique|list|length }}", "more than"},
        {"{% set x = 'a' * 1000000 %}{% for c in x %}{{ x[-1] }}{% endfor %}", "more than"},
        {"{{ ('a\n' * 1000000) | indent(' ' * 1000000) }}", "more than"},
        {"{{ 10 ** 10 ** 10 }}", "64 bits"},
        {"{{ [1]|tojson(indent=10000000000) }}", "more than"},
        {"{{ -9223372036854775807 - 2 }}", "64 bits"},
        {"{{ (-9223372036854775807 - 1) // -1 }}", "64 bits"},
        {"{{ (-9223372036854775807 - 1)|abs }}", "64 bits"},
        {"{{ 99999999999999999999 }}", "64 bits"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_refused(cases[i].source, strlen(cases[i].source), cases[i].words);
}

/* n times `open`, then `middle`, then n times `close`. */
static char *nested(const char *open, const char *middle, const char *close, size_t n)
{
    char *source = malloc(n * (strlen(open) + strlen(close)) + strlen(middle) + 1), *at = source;

    for (size_t i = 0; i < n; i++)
        at = stpcpy(at, open);
    at = stpcpy(at, middle);
    for (size_t i = 0; i < n; i++)
        at = stpcpy(at, close);
    return source;
}

/* Goal: deep nesting of every construct is refused; shallow nesting of blocks is accepted.
 * Method: each expression 20,000 levels deep, each block 5,000 and 20 levels deep. */
static void deep_nesting_is_refused(void **state)
{
    (void)state;
    static const char *const forms[][3] = {
        {"{{ ", "1", " }}"}, /* wraps the others */
        {"(", "1", ")"},       {"[", "1", "]"},     {"{1:", "1", "}"},         {"-", "1", ""},
        {"not ", "1", ""},     {"1 if ", "1", ""},  {"1 if 1 else ", "1", ""}, {"", "1", "+1"},
        {"", "'a'", "|upper"}, {"", "l", "[0]"},    {"", "l", ".a"},           {"", "l", "()"},
        {"", "1", " is odd"},  {"", "1", " and 1"}, {"", "1", "**1"},          {"f(", "1", ")"},
        {"1 in (", "l", ")"},
    };
    static const char *const blocks[][3] = {
        {"{% if 1 %}", "x", "{% endif %}"},
        {"{% for x in [1] %}", "x", "{% endfor %}"},
        {"{% set x %}", "x", "{% endset %}"},
        {"{% macro m() %}", "x", "{% endmacro %}"},
        {"{% filter upper %}", "x", "{% endfilter %}"},
        {"{% with a = 1 %}", "x", "{% endwith %}"},
        {"{% if 0 %}{% elif 1 %}", "x", "{% endif %}"},
    };

    for (size_t i = 1; i < sizeof forms / sizeof forms[0]; i++) {
        char *middle = nested(forms[i][0], forms[i][1], forms[i][2], 20000);
        char *source = nested(forms[0][0], middle, forms[0][2], 1);
        struct counted c = {0};
        struct quire_error error;
        int status = run(&c, source, strlen(source), &error);
        if (status != QUIRE_INVALID) fail_msg("%s was taken", forms[i][0]);
        if (!strstr(error.text, "levels") && !strstr(error.text, "brackets")) {
            if (!strstr(error.text, "two tests")) fail_msg("%s", error.text);
        }
        free(source);
        free(middle);
    }
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        char *deep = nested(blocks[i][0], blocks[i][1], blocks[i][2], 5000);
        assert_refused(deep, strlen(deep), "levels");
        free(deep);
        char *flat = nested(blocks[i][0], blocks[i][1], blocks[i][2], 20);
        struct counted c = {0};
        struct quire_error error;
        int status = run(&c, flat, strlen(flat), &error);
        if (status) fail_msg("%s: %s", blocks[i][0], error.text);
        free(flat);
    }
}

/* Goal: a source of the maximal length compiles; a longer one is refused.
 * Method: as many prints as fit, then one byte more than the limit. */
static void the_source_is_bounded(void **state)
{
    (void)state;
    char *source = nested("{{a}}", "", "", QR_TEMPLATE_BYTES_MAX / 5);
    struct counted c = {0};
    struct quire_error error;

    assert_int_equal(run(&c, source, strlen(source), &error), QUIRE_OK);
    free(source);
    source = nested("x", "", "", QR_TEMPLATE_BYTES_MAX + 1);
    assert_int_equal(run(&c, source, strlen(source), &error), QUIRE_INVALID);
    assert_non_null(strstr(error.text, "262144"));
    free(source);
}

/* Goal: a failed allocation gives QUIRE_NO_MEMORY and leaks nothing.
 * Method: compile and render once for each allocation, and let that one fail. */
static void every_failed_allocation_is_an_error(void **state)
{
    (void)state;
    static const char source[] =
        "{% macro m(a) %}{{ a * 3000 }}{% endmacro %}{% for i in range(40) "
        "%}{% set x = m('abc') ~ i %}{{ x|upper|length }}{% endfor %}";
    struct quire_error error;
    size_t calls = 0;

    for (size_t at = 0;; at++) {
        struct counted c = {.fail_at = at};
        int status = run(&c, source, sizeof source - 1, &error);
        assert_int_equal(c.live, 0);
        if (at == 0) {
            assert_int_equal(status, QUIRE_OK);
            calls = c.calls;
            assert_true(calls > 5);
            continue;
        }
        if (at > calls) break;
        assert_int_equal(status, QUIRE_NO_MEMORY);
        assert_int_equal(error.status, QUIRE_NO_MEMORY);
    }
}

/* Goal: an error names the line and what was expected.
 * Method: mistakes on known lines. */
static void errors_name_their_line(void **state)
{
    (void)state;
    static const struct {
        const char *source, *words;
    } cases[] = {
        {"a\nb\n{% if x %}\n", "line 3: expected 'elif', 'else' or 'endif', got the end"},
        {"a\n{{ nope.x }}", "line 2: 'nope' is undefined"},
        {"\n\n{{ 'a' +\n 1 }}", "line 3: can only concatenate str (not \"int\") to str"},
        {"{% for x in [1, 2] %}\n{{ x }}\n{{ x|foo }}\n{% endfor %}",
         "line 3: there is no filter 'foo'"},
        {"{#\n\n#}{% foo %}", "line 3: unknown tag 'foo'"},
        {"\n{{ (1 }}", "line 2: unexpected '}', expected ')'"},
        {"{% for x of y %}{% endfor %}", "line 1: expected 'in', got 'of'"},
        {"\n\n\n{{ 1 | }}", "line 4: expected a filter's name, got '}}'"},
        {"{% macro m(a) %}\n{{ a.b.c }}\n{% endmacro %}\n{{ m({}) }}", "line 2: 'b' is undefined"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_refused(cases[i].source, strlen(cases[i].source), cases[i].words);
}

/* Goal: a buffer that is too small gets the needed size, and no byte after it is written.
 * Method: every capacity up to the text's length. */
static void a_small_buffer_is_told_the_size(void **state)
{
    (void)state;
    const struct quire_allocator memory = {0};
    const struct quire_value none = {.kind = QUIRE_VALUE_MAP};
    struct qr_template *t;
    char text[32];
    size_t n;

    assert_int_equal(
        qr_template_create(&t, (struct quire_text){"{{ 'hello' }} {{ 42 }}", 22}, &memory, NULL),
        QUIRE_OK);
    for (size_t capacity = 0; capacity < 9; capacity++) {
        memset(text, '#', sizeof text);
        int status = qr_template_render(t, &none, 0, capacity ? text : NULL, capacity, &n, NULL);
        assert_int_equal(n, 8);
        assert_int_equal(status, capacity < 8 ? QUIRE_BUFFER_SMALL : QUIRE_OK);
        assert_int_equal(text[capacity], '#');
    }
    assert_memory_equal(text, "hello 42", 8);
    qr_template_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_templates_end),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(the_source_is_bounded),
        cmocka_unit_test(every_failed_allocation_is_an_error),
        cmocka_unit_test(errors_name_their_line),
        cmocka_unit_test(a_small_buffer_is_told_the_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
