/* SPDX-License-Identifier: MIT */
/* Tests of compose.c with known cases of UAX #15.  test_blocks compares whole texts with another
 * library. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/text/compose.h"
#include "support/failing.h"

static void expect(const char *text, size_t n, const char *composed)
{
    struct failing never = {.left = -1};
    const struct quire_allocator allocator = {failing_resize, &never};
    size_t out_n;
    char *out;

    assert_true(qr_compose(text, n, &allocator, &out, &out_n));
    assert_int_equal(out_n, strlen(composed));
    assert_memory_equal(out, composed, out_n);
    if (qr_compose_is_needless(text, n)) assert_memory_equal(text, composed, n);
    assert_int_equal(never.held, 1);
    free(out);
}

/* Goal: letters and marks are composed and ordered as Unicode defines.
 * Method: one case of each kind. */
static void known_cases_come_out(void **state)
{
    static const struct {
        const char *text, *composed;
    } cases[] = {
        {"", ""},
        {"plain", "plain"},
        {"\xc3\xa9", "\xc3\xa9"},                     /* composed already */
        {"e\xcc\x81", "\xc3\xa9"},                    /* a letter and its mark */
        {"\xe2\x84\xab", "\xc3\x85"},                 /* U+212B is another name of U+00C5 */
        {"A\xcc\x8a\xcc\xa7", "\xc3\x85\xcc\xa7"},    /* a mark of another class after */
        {"a\xcc\xa7\xcc\x8a", "\xc3\xa5\xcc\xa7"},    /* and before */
        {"q\xcc\x87\xcc\xa3", "q\xcc\xa3\xcc\x87"},   /* ordered by class */
        {"e\xcc\x81\xcc\x81", "\xc3\xa9\xcc\x81"},    /* the second of one class is blocked */
        {"\xe0\xa5\x98", "\xe0\xa4\x95\xe0\xa4\xbc"}, /* U+0958 must not be composed */
        {"\xcd\x84", "\xcc\x88\xcc\x81"},             /* nor U+0344 */
        {"\xf0\x9d\x85\xa0",
         "\xf0\x9d\x85\x98\xf0\x9d\x85\xa5\xf0\x9d\x85\xae"},     /* three of four */
        {"\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8", "\xea\xb0\x81"}, /* Hangul */
        {"\xe1\x84\x80\xe1\x85\xa1", "\xea\xb0\x80"},
        {"\xe0\xa7\x87\xe0\xa6\xbe", "\xe0\xa7\x8b"}, /* two vowel signs that also exist alone */
        {"\xcc\x81", "\xcc\x81"},                     /* a mark without a letter */
        {"a\xed\xa0\x80\xcc\x81", "a\xed\xa0\x80\xcc\x81"}, /* a surrogate half is not a letter */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect(cases[i].text, strlen(cases[i].text), cases[i].composed);
}

/* Goal: marks of one class keep their order, and ordering a long run takes linear time.
 * Method: runs of marks of alternating classes; ordering 900,000 by insertion would take hours. */
static void long_runs_are_put_in_order(void **state)
{
    static const size_t counts[] = {1, 8, 9, 17, 40, 900000};

    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        const size_t n = 2 * counts[i] + 1;
        char *text = malloc(2 * n), *sorted = malloc(2 * n + 1);
        assert_true(text && sorted);
        text[0] = sorted[0] = 'q';
        for (size_t k = 0; k < counts[i]; k++) {
            /* Above (230), of two kinds, and below (220); all below come first. */
            const char *above = k % 2 ? "\xcc\x87" : "\xcc\x88";
            const size_t half = counts[i] / 2;
            const bool below = k >= half;
            memcpy(text + 1 + 2 * k, below ? "\xcc\xa3" : above, 2);
            memcpy(sorted + 1 + 2 * (below ? k - half : k + counts[i] - half),
                   below ? "\xcc\xa3" : above, 2);
        }
        sorted[2 * counts[i] + 1] = '\0';
        expect(text, 2 * counts[i] + 1, sorted);
        free(text);
        free(sorted);
    }
}

/* Goal: a failed allocation is reported and leaks nothing.
 * Method: fail each allocation, one a run. */
static void every_failed_allocation_is_told(void **state)
{
    static const char text[] = "e\xcc\x81";
    size_t out_n;
    char *out;

    (void)state;
    for (int at = 0; at < 2; at++) {
        struct failing failing = {.left = at};
        const struct quire_allocator allocator = {failing_resize, &failing};
        assert_false(qr_compose(text, sizeof text - 1, &allocator, &out, &out_n));
        assert_null(out);
        assert_int_equal(failing.held, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_cases_come_out),
        cmocka_unit_test(long_runs_are_put_in_order),
        cmocka_unit_test(every_failed_allocation_is_told),
    };

    return cmocka_run_group_tests_name("text/compose", tests, NULL, NULL);
}
