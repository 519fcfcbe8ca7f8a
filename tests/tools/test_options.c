/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tools/client/options.h"

struct values {
    bool flag, seed_given;
    const char *text;
    uint32_t count;
    int64_t seed;
    double rate;
    uint64_t bytes;
    struct qr_option_list stops, many;
};

static struct qr_failure why;
static const char *items[16];
static struct qr_arguments arguments = {.items = items};

static enum qr_options_result read_options(struct values *v, const char *const *words)
{
    const struct qr_option options[] = {
        {QR_OPTION_HEADING, NULL, NULL, NULL, "Heading:", 0, 0, NULL},
        {QR_OPTION_FLAG, "flag", &v->flag, NULL, "a flag", 0, 0, NULL},
        {QR_OPTION_TEXT, "text", &v->text, "TEXT", "a text", 0, 0, NULL},
        {QR_OPTION_COUNT, "count", &v->count, "N", "1 to 10", 1, 10, NULL},
        {QR_OPTION_SIGNED, "seed", &v->seed, "N", "any", -5, 5, &v->seed_given},
        {QR_OPTION_REAL, "rate", &v->rate, "R", "any", 0, HUGE_VAL, NULL},
        {QR_OPTION_BYTES, "bytes", &v->bytes, "SIZE", "a size", 0, 0, NULL},
        {QR_OPTION_LIST, "stop", &v->stops, "TEXT", "again and again", 0, 0, NULL},
        {QR_OPTION_MANY, "many", &v->many, "A:B...", "up to the next option", 0, 0, NULL},
    };
    int n = 0;
    char *argv[32];
    for (; words[n]; n++)
        argv[n] = (char *)(uintptr_t)words[n];
    memset(v, 0, sizeof *v);
    why.text[0] = 0;
    return qr_options_read(options, sizeof options / sizeof *options, n, argv, &arguments, &why);
}

/* Goal: every kind of value is parsed, written as --name value and as --name=value.
 * Method: a command line with all kinds. */
static void values_of_every_kind_are_read(void **state)
{
    (void)state;
    struct values v;
    const char *const words[] = {"--flag", "one",    "--text", "a b",     "--count=10",
                                 "--seed", "-3",     "--rate", "inf",     "--bytes",
                                 "1.5M",   "--stop", "x",      "--stop=", "--many",
                                 "a:1",    "b:2",    "--",     "--two",   NULL};
    assert_int_equal(read_options(&v, words), QR_OPTIONS_OK);
    assert_true(v.flag);
    assert_string_equal(v.text, "a b");
    assert_int_equal(v.count, 10);
    assert_true(v.seed_given);
    assert_int_equal(v.seed, -3);
    assert_true(isinf(v.rate));
    assert_int_equal(v.bytes, 3u << 19);
    assert_int_equal(v.stops.items_n, 2);
    assert_string_equal(v.stops.items[1], "");
    assert_int_equal(v.many.items_n, 2);
    assert_string_equal(v.many.items[1], "b:2");
    assert_int_equal(arguments.n, 2);
    assert_string_equal(arguments.items[0], "one");
    assert_string_equal(arguments.items[1], "--two");
}

/* Goal: the error names the option, the given value and what was expected.
 * Method: one mistake of each kind. */
static void mistakes_are_named(void **state)
{
    (void)state;
    struct values v;
    static const struct {
        const char *words[4];
        const char *says[2];
    } cases[] = {
        {{"--nothing", NULL}, {"--nothing", "--help"}},
        {{"-x", NULL}, {"-x", "unknown"}},
        {{"--count", "11", NULL}, {"--count", "from 1 to 10, not 11"}},
        {{"--count", "0", NULL}, {"--count", "from 1 to 10"}},
        {{"--count", "1.5", NULL}, {"--count", "whole number"}},
        {{"--count", "9x", NULL}, {"--count", "9x"}},
        {{"--count", NULL}, {"--count", "needs a value"}},
        {{"--rate", "nan", NULL}, {"--rate", "nan"}},
        {{"--rate", "-1", NULL}, {"--rate", "from 0"}},
        {{"--bytes", "12Q", NULL}, {"--bytes", "12Q"}},
        {{"--bytes", "-1M", NULL}, {"--bytes", "-1M"}},
        {{"--flag=1", NULL}, {"--flag", "no value"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(read_options(&v, cases[i].words), QR_OPTIONS_BAD);
        assert_non_null(strstr(why.text, cases[i].says[0]));
        assert_non_null(strstr(why.text, cases[i].says[1]));
    }
}

/* Goal: --help takes effect in every position, and a single dash is an argument.
 * Method: both. */
static void help_and_dash_are_recognised(void **state)
{
    (void)state;
    struct values v;
    const char *const help[] = {"--flag", "--help", NULL};
    const char *const short_help[] = {"-h", NULL};
    const char *const dash[] = {"-", NULL};
    assert_int_equal(read_options(&v, help), QR_OPTIONS_HELP);
    assert_int_equal(read_options(&v, short_help), QR_OPTIONS_HELP);
    assert_int_equal(read_options(&v, dash), QR_OPTIONS_OK);
    assert_int_equal(arguments.n, 1);
}

/* Goal: a list with too many entries is refused and not overrun.
 * Method: one entry more than its capacity. */
static void a_full_list_is_refused(void **state)
{
    (void)state;
    struct values v = {0};
    const struct qr_option option = {QR_OPTION_LIST, "stop", &v.stops, "TEXT", "", 0, 0, NULL};
    char word[] = "--stop=x";
    char *argv[QR_OPTION_ITEMS_MAX + 1];
    const char *words[QR_OPTION_ITEMS_MAX + 1];
    struct qr_arguments left = {.items = words};
    for (int i = 0; i <= QR_OPTION_ITEMS_MAX; i++)
        argv[i] = word;
    assert_int_equal(qr_options_read(&option, 1, QR_OPTION_ITEMS_MAX + 1, argv, &left, &why),
                     QR_OPTIONS_BAD);
    assert_int_equal(v.stops.items_n, QR_OPTION_ITEMS_MAX);
}

/* Goal: size units are powers of 1,024, and an overflow is refused.
 * Method: values with every unit. */
static void sizes_are_read(void **state)
{
    (void)state;
    uint64_t bytes;
    assert_true(qr_options_parse_bytes("7", &bytes));
    assert_int_equal(bytes, 7);
    assert_true(qr_options_parse_bytes("4G", &bytes));
    assert_int_equal(bytes, (uint64_t)4 << 30);
    assert_true(qr_options_parse_bytes("2KiB", &bytes));
    assert_int_equal(bytes, 2048);
    assert_false(qr_options_parse_bytes("", &bytes));
    assert_false(qr_options_parse_bytes("M", &bytes));
    assert_false(qr_options_parse_bytes("1e30G", &bytes));
    assert_false(qr_options_parse_bytes("nan", &bytes));
}

/* Goal: a list of ids may use every separator.
 * Method: a list with all separators, an empty one, then malformed lists. */
static void ids_are_read(void **state)
{
    (void)state;
    int32_t *ids;
    size_t n;
    assert_true(qr_options_parse_ids("[1, 22,333 4\n]", &ids, &n, &why));
    assert_int_equal(n, 4);
    assert_int_equal(ids[2], 333);
    assert_int_equal(ids[3], 4);
    free(ids);
    assert_true(qr_options_parse_ids("", &ids, &n, &why));
    assert_int_equal(n, 0);
    free(ids);
    assert_false(qr_options_parse_ids("1,-2", &ids, &n, &why));
    assert_false(qr_options_parse_ids("1x", &ids, &n, &why));
    assert_false(qr_options_parse_ids("99999999999", &ids, &n, &why));
    assert_non_null(strstr(why.text, "99999999999"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_every_kind_are_read),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(help_and_dash_are_recognised),
        cmocka_unit_test(a_full_list_is_refused),
        cmocka_unit_test(sizes_are_read),
        cmocka_unit_test(ids_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
