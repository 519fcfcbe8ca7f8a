/* SPDX-License-Identifier: MIT */
/* `quire constrain`: figures over cases, and one text explained. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <string.h>

#include "support/process.h"

#define TINY QUIRE_TEST_DATA "/llama-tiny.q8_0.gguf"

static void need_quire(void)
{
    if (process_built("quire")) return;
    print_message("skipped: %s/quire is not built\n", QUIRE_BUILD_DIR);
    skip();
}

static const char cases[] =
    /* right: whatever escapes, order of white space and large numbers the line has */
    "{\"name\":\"a\",\"schema\":{\"type\":\"object\",\"properties\":{\"t\":{\"type\":\"string\"},"
    "\"n\":{}},\"required\":[\"t\"]},\"tests\":[{\"valid\":true,\"data\":{\"t\":\"\\u00e9\\/"
    "\\ud83d\\ude00\\n\\u0001\",  \"n\" : [123456789012345678901234567890,{\"\\u0000\":1}]}},"
    "{\"valid\":false,\"data\":{\"n\":1}}]}\n"
    "\n"
    "{\"name\":\"refused\",\"schema\":{\"uniqueItems\":true},\"tests\":[]}\n"
    "{\"name\":\"valid\",\"schema\":{\"type\":\"integer\"},\"tests\":[{\"valid\":true,\"data\":"
    "\"x\"}]}\n"
    "{\"name\":\"invalid\",\"schema\":{\"type\":\"integer\"},\"tests\":[{\"valid\":false,\"data\":"
    "7},{\"valid\":true,\"data\":\"x\"}]}\n";

/* Goal: each schema is counted once, as what is worst of its instances; failures are named. */
static void schemas_are_counted(void **state)
{
    (void)state;
    need_quire();
    const char *const arguments[] = {"quire",   "constrain", "--json", "--failures",
                                     "--model", TINY,        "-",      NULL};
    struct process_result r = process_run(arguments, cases, sizeof cases - 1);
    assert_int_equal(r.code, 1);
    json_t *figures = json_loads(r.out, 0, NULL);
    assert_non_null(figures);
    static const struct {
        const char *key;
        json_int_t n;
    } counts[] = {{"schemas", 4},
                  {"passing", 1},
                  {"compile_error", 1},
                  {"validation_error", 1},
                  {"invalidation_error", 1}};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        assert_int_equal(json_integer_value(json_object_get(figures, counts[i].key)), counts[i].n);
    assert_true(json_integer_value(json_object_get(figures, "tokens")) > 10);
    static const char *const shares[] = {"avg", "p50", "p75", "p90", "p95", "p99", "max"};
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
        assert_true(json_is_real(json_object_get(json_object_get(figures, "tbm_us"), shares[i])));
        assert_true(json_is_real(json_object_get(json_object_get(figures, "ttfm_us"), shares[i])));
    }
    assert_non_null(strstr(r.err, "refused: compile error: /uniqueItems"));
    assert_non_null(strstr(r.err, "valid: validation error at token 0 of "));
    assert_non_null(strstr(r.err, "invalid: invalidation error at token "));
    json_decref(figures);
    process_free(&r);
}

/* Goal: a text is explained: where it is refused and what was expected; a grammar's error is told.
 */
static void texts_are_explained(void **state)
{
    (void)state;
    need_quire();
    static const struct {
        const char *regex, *text;
        int code;
        const char *out, *err;
    } texts[] = {
        {"a[0-2]?", "a1", 0, "accepted: all 2 bytes\n", ""},
        {"a[0-2]?", "ab", 1,
         "accepted: 1 of 2 bytes; the next one is refused\nafter: a\nfound 'b'\n"
         "expected '0' to '2', or the end of the text\n",
         ""},
        {"ab", "a", 1, "accepted: 1 of 1 bytes; the text is not complete\nafter: a\nexpected 'b'\n",
         ""},
        {"a(?=b)", "a", 1, "", "quire: refused: look-ahead is not supported at byte 2\n"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const char *const arguments[] = {"quire",   "constrain",    "--model",     TINY,
                                         "--regex", texts[i].regex, texts[i].text, NULL};
        struct process_result r = process_run(arguments, "", 0);
        assert_string_equal(r.out, texts[i].out);
        assert_string_equal(r.err, texts[i].err);
        assert_int_equal(r.code, texts[i].code);
        process_free(&r);
    }
}

/* Goal: a line that is no case ends the run with its number; two grammars are wrong usage. */
static void mistakes_are_named(void **state)
{
    (void)state;
    need_quire();
    static const char broken[] = "{\"schema\":true}\n{\"name\":\n";
    const char *const arguments[] = {"quire", "constrain", "--model", TINY, NULL};
    struct process_result r = process_run(arguments, broken, sizeof broken - 1);
    assert_int_equal(r.code, 1);
    assert_non_null(strstr(r.err, "line 2 is no case: "));
    process_free(&r);
    const char *const both[] = {"quire", "constrain", "--model", TINY, "--regex",
                                "a",     "--schema",  "x",       NULL};
    r = process_run(both, "", 0);
    assert_int_equal(r.code, 2);
    process_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schemas_are_counted),
        cmocka_unit_test(texts_are_explained),
        cmocka_unit_test(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
