/* SPDX-License-Identifier: MIT */
/* Regular expressions as people write them. */
#include "grammar/compiled.h"

static bool matches(const char *pattern, bool search, const char *text)
{
    struct compiled c;
    struct qr_pattern_error error;
    qr_rx rx;

    compiled_begin(&c, (size_t)16 << 20, 10000000);
    if (!qr_pattern_compile(&c.pool, pattern, strlen(pattern), QR_WRITING_PLAIN, search, &rx,
                            &error))
        fail_msg("%s: %s at byte %zu", pattern, error.complaint, error.at);
    bool found = qr_rx_matches(&c.pool, rx, text, strlen(text));
    compiled_end(&c);
    return found;
}

/* Goal: a pattern matches what ECMA-262 says.
 * Method: by hand, the whole text and a search; anchors within groups, alternatives and doubled. */
static void patterns_match_their_texts(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        bool search;
        const char *text;
        bool matched;
    } cases[] = {
        {"a|bc*", false, "bccc", true},
        {"a|bc*", false, "ab", false},
        {"[^a-c\\d]", false, "x", true},
        {"[^a-c\\d]", false, "5", false},
        {"\\w+@\\w+", false, "me@home", true},
        {"x{2,3}", false, "xxxx", false},
        {"x{2,}", false, "xxxx", true},
        {"x{2}", false, "xx", true},
        {"(?:ab)+?", false, "abab", true},
        {"\\u00e9", false, "\xc3\xa9", true},
        {"\\u{1F600}", false, "\xf0\x9f\x98\x80", true},
        {"\\p{Lu}+", false, "\xc3\x89X", true},
        {"\\P{L}", false, "a", false},
        {".", false, "\n", false},
        {"[\\s\\S]", false, "\n", true},
        {"a{", false, "a{", true},
        {"b", true, "abc", true},
        {"^b", true, "abc", false},
        {"c$", true, "abc", true},
        {"^a|b$", true, "ax", true},
        {"^a|b$", true, "xb", true},
        {"^a|b$", true, "xax", false},
        {"(^a|b)c", true, "xbc", true},
        {"(^a|b)c", true, "xac", false},
        {"^(^a$)$", true, "a", true},
        {"^$", true, "", true},
        {"^$", true, "x", false},
        {"a^b", true, "ab", false},
        {"(a$|b)", true, "ax", false},
        {"(x+x+)+y", false, "xxxxxxxxxxxxxxxxxxxxxxxxxxxx", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (matches(cases[i].pattern, cases[i].search, cases[i].text) != cases[i].matched)
            fail_msg("%s against \"%s\"", cases[i].pattern, cases[i].text);
}

/* Goal: what is not supported is refused by name and place. */
static void what_is_not_supported_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *complaint;
        size_t at;
    } cases[] = {
        {"a(?=b)", "look-ahead", 2},
        {"(?<!a)b", "look-behind", 1},
        {"(a)\\1", "references", 4},
        {"\\bword", "\\b", 1},
        {"(?i)a", "inline flags", 1},
        {"(a", "( without )", 2},
        {"a)", ") without (", 1},
        {"[a", "[ without ]", 0},
        {"*a", "a quantifier", 0},
        {"a{3,2}", "ends before", 1},
        {"a++", "possessive", 2},
        {"\\p{Greek}", "property", 3},
        {"a{1000000}", "more than 100,000", 1},
        {"[z-a]", "ends before", 2},
        {"\\", "a backslash", 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct compiled c;
        struct qr_pattern_error error;
        qr_rx rx;
        compiled_begin(&c, (size_t)16 << 20, 10000000);
        assert_false(qr_pattern_compile(&c.pool, cases[i].pattern, strlen(cases[i].pattern),
                                        QR_WRITING_PLAIN, false, &rx, &error));
        if (!error.complaint || !strstr(error.complaint, cases[i].complaint) ||
            error.at != cases[i].at)
            fail_msg("%s: \"%s\" at byte %zu", cases[i].pattern, error.complaint, error.at);
        compiled_end(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_match_their_texts),
        cmocka_unit_test(what_is_not_supported_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
