/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/warnings.h"

/* Goal: a warning is one printable line, cut to fit, and added once.
 * Method: control characters, a text that is too long, the same text twice, no struct. */
static void a_warning_is_one_line_said_once(void **state)
{
    (void)state;
    struct qr_warnings warnings = {.n = 0};
    char text[1000];

    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    qr_warn(&warnings, "the name is \"%s\"", "a\n\x1b[0m\x7f");
    qr_warn(&warnings, "%s", text);
    qr_warn(&warnings, "%s", text);
    qr_warn(NULL, "%s", text);
    assert_int_equal(warnings.n, 2);
    assert_string_equal(warnings.texts[0], "the name is \"a??[0m?\"");
    assert_int_equal(strlen(warnings.texts[1]), sizeof warnings.texts[1] - 1);
}

/* Goal: warnings that do not fit are dropped.
 * Method: add 100; the first QR_WARNINGS_MAX stay. */
static void warnings_that_do_not_fit_are_dropped(void **state)
{
    (void)state;
    struct qr_warnings warnings = {.n = 0};

    for (int i = 0; i < 100; i++)
        qr_warn(&warnings, "number %d", i);
    assert_int_equal(warnings.n, QR_WARNINGS_MAX);
    assert_string_equal(warnings.texts[QR_WARNINGS_MAX - 1], "number 7");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_warning_is_one_line_said_once),
        cmocka_unit_test(warnings_that_do_not_fit_are_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
