/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/client/numbers.h"
#include "tools/client/terminal.h"

/* Goal: mean, standard deviation and percentiles equal numpy's.
 * Method: numpy 2's results for [3, 1, 4, 1, 5, 9, 2, 6]. */
static void statistics_are_numpys(void **state)
{
    (void)state;
    double v[] = {3, 1, 4, 1, 5, 9, 2, 6};
    assert_true(qr_numbers_mean(v, 8) == 3.875);
    assert_true(fabs(qr_numbers_std(v, 8) - 2.5708704751503917) < 1e-12);
    qr_numbers_sort(v, 8);
    assert_true(qr_numbers_percentile(v, 8, 0) == 1);
    assert_true(qr_numbers_percentile(v, 8, 50) == 3.5);
    assert_true(fabs(qr_numbers_percentile(v, 8, 99) - 8.79) < 1e-12);
    assert_true(qr_numbers_percentile(v, 8, 100) == 9);
    assert_true(qr_numbers_percentile(v, 1, 99) == 1);
}

/* Goal: every figure of an empty list is 0.
 * Method: n = 0. */
static void nothing_is_zero(void **state)
{
    (void)state;
    assert_true(qr_numbers_mean(NULL, 0) == 0);
    assert_true(qr_numbers_std(NULL, 0) == 0);
    assert_true(qr_numbers_percentile(NULL, 0, 99) == 0);
    qr_numbers_sort(NULL, 0);
}

/* Goal: numbers of every size are printed in a short form.
 * Method: values at the limits of each form. */
static void numbers_are_formatted(void **state)
{
    (void)state;
    char t[QR_NUMBER_ROOM];
    assert_string_equal(qr_numbers_format_count(t, 0), "0");
    assert_string_equal(qr_numbers_format_count(t, 999), "999");
    assert_string_equal(qr_numbers_format_count(t, 1000), "1,000");
    assert_string_equal(qr_numbers_format_count(t, UINT64_MAX), "18,446,744,073,709,551,615");
    assert_string_equal(qr_numbers_format_bytes(t, 1023), "1023 bytes");
    assert_string_equal(qr_numbers_format_bytes(t, 98362432), "93.8 MiB");
    assert_string_equal(qr_numbers_format_rate(t, 0.1234), "0.12");
    assert_string_equal(qr_numbers_format_rate(t, 12.34), "12.3");
    assert_string_equal(qr_numbers_format_rate(t, 999.9), "1,000");
    assert_string_equal(qr_numbers_format_rate(t, 2310.4), "2,310");
    assert_string_equal(qr_numbers_format_rate(t, HUGE_VAL), "inf");
    assert_string_equal(qr_numbers_format_seconds(t, 0.0012), "1.20 ms");
    assert_string_equal(qr_numbers_format_seconds(t, 0.5), "500 ms");
    assert_string_equal(qr_numbers_format_seconds(t, 1.234), "1.23 s");
    assert_string_equal(qr_numbers_format_seconds(t, 125), "2 min 05 s");
}

/* Goal: a progress line fits its width and shows the progress.
 * Method: a line with a half-full bar, a line cut short, and an empty one. */
static void progress_lines_fit(void **state)
{
    (void)state;
    char line[200];
    struct qr_progress_view view = {100, 10, "requests", "9 tok/s", 32, 64, 1.5};
    const struct qr_progress_view empty = {100, 4, "x", "", 0, 0, 0};
    const struct qr_progress_view over = {100, 4, "x", "", 9, 8, 0};
    qr_progress_line(line, sizeof line, &view);
    assert_string_equal(line, "requests [#####.....] 32/64, 1.50 s, 9 tok/s");
    view.width = 20;
    qr_progress_line(line, sizeof line, &view);
    assert_int_equal(strlen(line), 20);
    qr_progress_line(line, sizeof line, &empty);
    assert_string_equal(line, "x [####] 0/0, 0.00 ms");
    qr_progress_line(line, sizeof line, &over);
    assert_non_null(strstr(line, "[####]"));
}

/* Goal: progress in a file is a few whole lines without control codes.
 * Method: a thousand updates into a temporary file. */
static void progress_in_a_file_is_plain(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    struct qr_progress p;
    qr_progress_begin(&p, file, "work", 1000);
    for (unsigned i = 0; i < 1000; i++)
        qr_progress_show(&p, i, "");
    qr_progress_end(&p, 1000, "done");
    char text[4096];
    rewind(file);
    size_t n = fread(text, 1, sizeof text - 1, file);
    text[n] = 0;
    fclose(file);
    assert_null(strchr(text, '\r'));
    assert_null(strchr(text, '\x1b'));
    assert_non_null(strstr(text, "work 1000/1000"));
    assert_int_equal(text[n - 1], '\n');
    unsigned lines = 0;
    for (size_t i = 0; i < n; i++)
        lines += text[i] == '\n';
    assert_true(lines < 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statistics_are_numpys),       cmocka_unit_test(nothing_is_zero),
        cmocka_unit_test(numbers_are_formatted),       cmocka_unit_test(progress_lines_fit),
        cmocka_unit_test(progress_in_a_file_is_plain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
