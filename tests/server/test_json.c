/* SPDX-License-Identifier: MIT */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/memory.h"
#include "runtime/server/json.h"
#include "runtime/server/json_write.h"

static struct quire_allocator memory;

static struct qr_json *parse(const char *text)
{
    char why[256];
    return qr_json_parse(text, strlen(text), why, sizeof why);
}

static void assert_written(const char *text, size_t text_n, const char *expected)
{
    struct qr_buffer out;
    qr_buffer_init(&out, &memory);
    qr_json_put_string(&out, text, text_n);
    assert_false(out.failed);
    assert_int_equal(out.n, strlen(expected));
    assert_memory_equal(out.data, expected, out.n);
    qr_buffer_deinit(&out);
}

/* Goal: equal bits are seen to be equal.
 * Method: write floats of every exponent and many mantissas, read them back, compare bits. */
static void floats_round_trip_to_the_bit(void **state)
{
    (void)state;
    struct qr_buffer out;
    qr_buffer_init(&out, &memory);
    uint32_t bits = 1;
    for (unsigned i = 0; i < 200000; i++) {
        bits = i < 2 ? i << 31 : bits * 1664525u + 1013904223u; /* both zeros first */
        float value;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value)) continue;
        qr_buffer_clear(&out);
        qr_buffer_puts(&out, "[");
        qr_json_put_float(&out, value);
        qr_buffer_puts(&out, "]");
        char why[256];
        struct qr_json *json = qr_json_parse(out.data, out.n, why, sizeof why);
        assert_non_null(json);
        double back = NAN;
        assert_true(qr_json_number(qr_json_at(json, 0), &back));
        float again = (float)back;
        assert_memory_equal(&again, &value, sizeof value);
        qr_json_free(json);
    }
    qr_buffer_deinit(&out);
}

/* Goal: NaN and infinity are written as null.
 * Method: write both and compare the bytes. */
static void not_a_number_is_null(void **state)
{
    (void)state;
    struct qr_buffer out;
    qr_buffer_init(&out, &memory);
    qr_json_put_float(&out, NAN);
    qr_json_put_float(&out, INFINITY);
    assert_int_equal(out.n, 8);
    assert_memory_equal(out.data, "nullnull", 8);
    qr_buffer_deinit(&out);
}

/* Goal: a string is written as valid JSON with the same characters.
 * Method: write quotes, control characters, NUL and characters of 2 to 4 bytes. */
static void strings_are_escaped(void **state)
{
    (void)state;
    assert_written("", 0, "\"\"");
    assert_written("a\"b\\c\n\r\t\x01", 9, "\"a\\\"b\\\\c\\n\\r\\t\\u0001\"");
    assert_written("a\0b", 3, "\"a\\u0000b\"");
    assert_written("\xc3\xa9\xe2\x82\xac\xf0\x9f\x99\x82", 9,
                   "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x99\x82\"");
}

/* Goal: broken UTF-8 becomes U+FFFD, one for each maximal broken piece.
 * Method: the cases of the Unicode standard: truncated, overlong, surrogates, past the last. */
static void broken_utf8_is_replaced(void **state)
{
    (void)state;
#define BAD "\xef\xbf\xbd"
    assert_written("\xff", 1, "\"" BAD "\"");
    assert_written("a\x80z", 3, "\"a" BAD "z\"");
    assert_written("\xe2\x82", 2, "\"" BAD "\"");
    assert_written("\xe2\x82z", 3, "\"" BAD "z\"");
    assert_written("\xf0\x9f\x99", 3, "\"" BAD "\"");
    assert_written("\xc0\xaf", 2, "\"" BAD BAD "\"");
    assert_written("\xed\xa0\x80", 3, "\"" BAD BAD BAD "\"");
    assert_written("\xf4\x90\x80\x80", 4, "\"" BAD BAD BAD BAD "\"");
    assert_written("\xe0\x80\x80", 3, "\"" BAD BAD BAD "\"");
#undef BAD
}

/* Goal: every string written is read back as the same bytes, if it was legal.
 * Method: all characters up to U+FFFF but surrogates, and some past it. */
static void every_character_round_trips(void **state)
{
    (void)state;
    struct qr_buffer out;
    qr_buffer_init(&out, &memory);
    for (uint32_t c = 0; c < 0x10800; c++) {
        if (c >= 0xd800 && c < 0xe000) continue;
        char text[4];
        size_t n = 0;
        if (c < 0x80) {
            text[n++] = (char)c;
        } else if (c < 0x800) {
            text[n++] = (char)(0xc0 | c >> 6);
            text[n++] = (char)(0x80 | (c & 0x3f));
        } else if (c < 0x10000) {
            text[n++] = (char)(0xe0 | c >> 12);
            text[n++] = (char)(0x80 | (c >> 6 & 0x3f));
            text[n++] = (char)(0x80 | (c & 0x3f));
        } else {
            text[n++] = (char)(0xf0 | c >> 18);
            text[n++] = (char)(0x80 | (c >> 12 & 0x3f));
            text[n++] = (char)(0x80 | (c >> 6 & 0x3f));
            text[n++] = (char)(0x80 | (c & 0x3f));
        }
        qr_buffer_clear(&out);
        qr_buffer_puts(&out, "[");
        qr_json_put_string(&out, text, n);
        qr_buffer_puts(&out, "]");
        char why[256];
        struct qr_json *json = qr_json_parse(out.data, out.n, why, sizeof why);
        assert_non_null(json);
        struct quire_text back = qr_json_text(qr_json_at(json, 0));
        assert_int_equal(back.n, n);
        assert_memory_equal(back.data, text, n);
        qr_json_free(json);
    }
    qr_buffer_deinit(&out);
}

/* Goal: the reader says where a body is wrong.
 * Method: parse wrong documents and look for a line and a column. */
static void bad_json_is_refused_with_its_place(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",     "{",       "{\"a\":}",   "{\"a\":1,}",           "[1,]",
        "nul",  "{'a':1}", "{\"a\":01}", "[\"\\ud800\"]",        "[\"\xff\"]",
        "{} x", "[1e999",  "[1e999e]",   "{\"\\u0000\":1e999,}", "[99999999999999999999,]"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char why[256] = "";
        assert_null(qr_json_parse(bad[i], strlen(bad[i]), why, sizeof why));
        assert_non_null(strstr(why, "line 1, column "));
    }
}

/* Goal: all of JSON is read, also what does not fit the reader's types.
 * Method: parse numbers past 64 bits and past a double, a NUL in a name, and a byte order mark; the
 * values near them, and those in strings, stay as they are. */
static void what_does_not_fit_is_still_json(void **state)
{
    (void)state;
    static const char text[] = "\xef\xbb\xbf{\"a\\u0000\":18446744073709551615,\"b\":-1e999,"
                               "\"c\":9223372036854775807,\"d\":\"1e999 \\u0000\","
                               "\"e\\\\u0000\" :1e-999,\"f\":[9e308,-99999999999999999999]}";
    char why[256] = "";
    double number = 0;
    int64_t integer = 0;
    struct qr_json *json = qr_json_parse(text, sizeof text - 1, why, sizeof why);
    assert_non_null(json);
    assert_true(qr_json_number(qr_json_get(json, "a\xef\xbf\xbd"), &number));
    assert_true(number == 0x1p64);
    assert_true(qr_json_number(qr_json_get(json, "b"), &number));
    assert_true(number == -DBL_MAX);
    assert_true(qr_json_integer(qr_json_get(json, "c"), &integer));
    assert_true(integer == INT64_MAX);
    assert_int_equal(qr_json_text(qr_json_get(json, "d")).n, 7);
    assert_true(qr_json_number(qr_json_get(json, "e\\u0000"), &number));
    assert_true(number == 0);
    assert_true(qr_json_number(qr_json_at(qr_json_get(json, "f"), 0), &number));
    assert_true(number == DBL_MAX);
    assert_true(qr_json_number(qr_json_at(qr_json_get(json, "f"), 1), &number));
    assert_true(number == -1e20);
    qr_json_free(json);
}

/* Goal: deep nesting cannot exhaust the stack.
 * Method: parse 100,000 opening brackets. */
static void deep_nesting_is_refused(void **state)
{
    (void)state;
    static char deep[100000];
    char why[256];
    memset(deep, '[', sizeof deep);
    assert_null(qr_json_parse(deep, sizeof deep, why, sizeof why));
}

/* Goal: null equals a missing value; integers are exact, also when written as reals.
 * Method: read members of each type from one document. */
static void values_are_read_by_type(void **state)
{
    (void)state;
    struct qr_json *json =
        parse("{\"n\":null,\"i\":9007199254740993,\"r\":3.0,\"f\":3.5,\"b\":true,"
              "\"s\":\"a\\u0000b\",\"l\":[1,null],\"big\":1e300}");
    int64_t i = 0;
    double d = 0;
    assert_non_null(json);
    assert_null(qr_json_get(json, "n"));
    assert_null(qr_json_get(json, "absent"));
    assert_null(qr_json_get(NULL, "absent"));
    assert_true(qr_json_integer(qr_json_get(json, "i"), &i));
    assert_true(i == 9007199254740993);
    assert_true(qr_json_integer(qr_json_get(json, "r"), &i));
    assert_true(i == 3);
    assert_false(qr_json_integer(qr_json_get(json, "f"), &i));
    assert_false(qr_json_integer(qr_json_get(json, "big"), &i));
    assert_false(qr_json_integer(qr_json_get(json, "b"), &i));
    assert_true(qr_json_number(qr_json_get(json, "f"), &d) && d == 3.5);
    assert_false(qr_json_number(qr_json_get(json, "s"), &d));
    struct quire_text s = qr_json_text(qr_json_get(json, "s"));
    assert_int_equal(s.n, 3);
    assert_memory_equal(s.data, "a\0b", 3);
    assert_int_equal(qr_json_length(qr_json_get(json, "l")), 2);
    assert_null(qr_json_at(qr_json_get(json, "l"), 1));
    assert_null(qr_json_at(qr_json_get(json, "l"), 2));
    qr_json_free(json);
}

int main(void)
{
    memory = qr_allocator((struct quire_allocator){NULL, NULL});
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floats_round_trip_to_the_bit),
        cmocka_unit_test(not_a_number_is_null),
        cmocka_unit_test(strings_are_escaped),
        cmocka_unit_test(broken_utf8_is_replaced),
        cmocka_unit_test(every_character_round_trips),
        cmocka_unit_test(bad_json_is_refused_with_its_place),
        cmocka_unit_test(what_does_not_fit_is_still_json),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(values_are_read_by_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
