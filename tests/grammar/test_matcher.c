/* SPDX-License-Identifier: MIT */
/* The Earley recogniser over lexemes: cuts, rollback, copies. */
#include <stdlib.h>

#include "grammar/compiled.h"

/* start -> a (list), lexemes "a" and "aa": "aaa" can be cut in three ways. */
static void make_ambiguous(struct compiled *c)
{
    compiled_begin(c, (size_t)1 << 20, 1000000);
    qr_symbol words[2] = {qr_rules_regex(&c->rules, qr_rx_text(&c->pool, "aa")),
                          qr_rules_regex(&c->rules, qr_rx_text(&c->pool, "aab"))};
    qr_symbol word = qr_rules_choice(&c->rules, words, 2);
    qr_symbol list = qr_rules_repeat(&c->rules, word, QR_SYMBOL_NONE, 2, 3);
    assert_true(qr_rules_end(&c->rules, QR_SYMBOL_NUMBER(list)));
}

/* Goal: every cut of a text into lexemes is followed, not the longest alone.
 * Method: words "aa" and "aab", two or three of them. */
static void every_cut_is_followed(void **state)
{
    (void)state;
    static const char *const texts[] = {"aaaa", "aabaa", "aaaab", "aaaaaa", "aabaabaab", "aaaabaa"};
    static const char *const others[] = {"aa", "aaa", "aaaaa", "aabb", "aaaaaaaa", "b"};
    struct compiled c;
    size_t at;
    make_ambiguous(&c);
    for (size_t i = 0; i < 6; i++) {
        assert_true(compiled_accepts(&c, texts[i], &at));
        assert_false(compiled_accepts(&c, others[i], &at));
    }
    compiled_end(&c);
}

/* What may come next, and whether the text may end. */
static void look(struct qr_matcher *m, bool seen[257])
{
    for (unsigned b = 0; b < 256; b++) {
        seen[b] = qr_matcher_push(m, (uint8_t)b);
        if (seen[b]) qr_matcher_pop(m, 1);
    }
    seen[256] = qr_matcher_may_end(m);
}

/* Goal: after a rollback the matcher is as it was before those tokens.
 * Method: seeded random tokens of one to five bytes of JSON; after each, some are taken back and
 * put again, and what is allowed is compared byte by byte with a matcher that never went on. */
static void a_rollback_leaves_nothing(void **state)
{
    (void)state;
    static const char text[] = "{\"name\": [1, 2.5, \"a\\n\", null, {\"b\": true}], \"c\": -1e9}";
    struct compiled c;
    unsigned seed = 9;
    compiled_schema(&c, "true", NULL);
    for (int round = 0; round < 30; round++) {
        struct qr_matcher m, fresh;
        size_t at = 0, begins[64], tokens_n = 0;
        assert_true(qr_matcher_init(&m, &c.rules, &c.budget));
        while (at < sizeof text - 1) {
            size_t n = 1 + (size_t)rand_r(&seed) % 5;
            if (n > sizeof text - 1 - at) n = sizeof text - 1 - at;
            begins[tokens_n++] = at;
            assert_true(qr_matcher_accept(&m, text + at, n));
            at += n;
            uint32_t back = (uint32_t)rand_r(&seed) % 4;
            if (back > tokens_n || rand_r(&seed) % 2) continue;
            qr_matcher_rollback(&m, back);
            tokens_n -= back;
            if (back) at = begins[tokens_n];
            bool seen[257], expected[257];
            assert_true(qr_matcher_init(&fresh, &c.rules, &c.budget));
            assert_true(qr_matcher_accept(&fresh, text, at));
            look(&m, seen);
            look(&fresh, expected);
            assert_memory_equal(seen, expected, sizeof seen);
            qr_matcher_deinit(&fresh);
        }
        assert_true(qr_matcher_may_end(&m));
        qr_matcher_deinit(&m);
    }
    compiled_end(&c);
}

/* Goal: a copy goes its own way.
 * Method: a copy in the middle of a text; each is finished differently. */
static void a_copy_goes_its_own_way(void **state)
{
    (void)state;
    struct compiled c;
    struct qr_matcher m, copy;
    compiled_schema(&c, "true", NULL);
    assert_true(qr_matcher_init(&m, &c.rules, &c.budget));
    assert_true(qr_matcher_accept(&m, "[1, ", 4));
    assert_true(qr_matcher_copy(&copy, &m));
    assert_true(qr_matcher_accept(&m, "2]", 2));
    assert_true(qr_matcher_may_end(&m));
    assert_false(qr_matcher_may_end(&copy));
    assert_true(qr_matcher_accept(&copy, "\"x\", [", 6));
    assert_true(qr_matcher_accept(&copy, "]]", 2));
    assert_true(qr_matcher_may_end(&copy));
    qr_matcher_deinit(&m);
    qr_matcher_deinit(&copy);
    compiled_end(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut_is_followed),
        cmocka_unit_test(a_rollback_leaves_nothing),
        cmocka_unit_test(a_copy_goes_its_own_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
