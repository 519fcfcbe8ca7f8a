/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/text/utf8.h"

static size_t encode(uint32_t code, char *out)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 63));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 63));
        out[2] = (char)(0x80 | (code & 63));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 63));
    out[2] = (char)(0x80 | (code >> 6 & 63));
    out[3] = (char)(0x80 | (code & 63));
    return 4;
}

/* Goal: every code point except surrogates is one character of its length; surrogates and numbers
 *       above U+10FFFF are not characters.
 * Method: encode all numbers of 21 bits with UTF-8's bit pattern. */
static void every_code_point_is_a_character(void **state)
{
    (void)state;
    for (uint32_t code = 0; code < 0x200000; code++) {
        char bytes[4];
        size_t n = encode(code, bytes);
        bool valid = code <= 0x10ffff && !(code >= 0xd800 && code < 0xe000);
        assert_int_equal(qr_utf8_character(bytes, n), valid ? n : 0);
        assert_int_equal(qr_utf8_valid(bytes, n), valid ? n : 0);
        assert_int_equal(qr_utf8_character(bytes, n - 1), 0); /* cut short */
    }
}

/* Goal: no other bytes are a character, such as overlong forms or lone tails.
 * Method: count all valid sequences of two and three bytes; there are exactly as many as code
 *         points of that length. */
static void nothing_else_is(void **state)
{
    (void)state;
    uint32_t two = 0, three = 0;

    for (uint32_t i = 0; i < 1u << 24; i++) {
        char bytes[3] = {(char)(i >> 16), (char)(i >> 8), (char)i};
        three += qr_utf8_character(bytes, 3) == 3;
        if (i < 1u << 16) two += qr_utf8_character(bytes + 1, 2) == 2;
    }
    assert_int_equal(two, 0x800 - 0x80);
    assert_int_equal(three, 0x10000 - 0x800 - 0x800);
}

/* Goal: the valid prefix of a text is found for every position of an invalid byte.
 * Method: one invalid byte at each position of texts of several lengths, which the eight-byte steps
 *         cross differently. */
static void the_valid_beginning_is_found(void **state)
{
    (void)state;
    char text[64];

    for (size_t n = 0; n <= sizeof text; n++) {
        memset(text, 'x', sizeof text);
        assert_int_equal(qr_utf8_valid(text, n), n);
        for (size_t at = 0; at < n; at++) {
            text[at] = '\xff';
            assert_int_equal(qr_utf8_valid(text, n), at);
            text[at] = 'x';
        }
    }
}

/* Goal: repair writes one U+FFFD for each invalid byte, keeps surrogates in `bytes` and replaces
 *       them in `subject`.
 * Method: cases by hand, including those that distinguish replacement by bytes from by parts. */
static void each_bad_byte_is_replaced(void **state)
{
    (void)state;
#define R QR_UTF8_REPLACEMENT
    static const struct {
        const char *text, *bytes, *subject;
    } cases[] = {
        {"abc", "abc", "abc"},
        {"a\x80z", "a" R "z", "a" R "z"},
        {"\xf0\x9f\x98", R R R, R R R},
        {"\xc0\x80", R R, R R},
        {"\xe0\x80\x80", R R R, R R R},
        {"\xf4\x90\x80\x80", R R R R, R R R R},
        {"x\xed\xa0\x80y", "x\xed\xa0\x80y", "x" R "y"},
        {"\xed\xa0", R R, R R},
        {"\xe4\xb8\xad\xe4\xb8", "\xe4\xb8\xad" R R, "\xe4\xb8\xad" R R},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char bytes[64], subject[64];
        size_t n = strlen(cases[i].text), expected_n = strlen(cases[i].bytes);
        assert_int_equal(qr_utf8_repaired_n(cases[i].text, n), expected_n);
        qr_utf8_repair(cases[i].text, n, bytes, subject);
        assert_memory_equal(bytes, cases[i].bytes, expected_n);
        assert_memory_equal(subject, cases[i].subject, expected_n);
        assert_int_equal(qr_utf8_valid(subject, expected_n), expected_n);
    }
#undef R
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_point_is_a_character),
        cmocka_unit_test(nothing_else_is),
        cmocka_unit_test(the_valid_beginning_is_found),
        cmocka_unit_test(each_bad_byte_is_replaced),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
