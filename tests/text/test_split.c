/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "runtime/base/memory.h"
#include "runtime/text/split.h"

#define LONG 1000000u

static const char *const rule_names[] = {"gpt-2",      "smollm", "llama-bpe",    "qwen2",
                                         "tekken",     "gpt-4o", "deepseek-llm", "deepseek-coder",
                                         "seed-coder", "viking", "default"};
#define RULES_N (sizeof rule_names / sizeof rule_names[0])

static struct qr_splitter *splitter(const char *name, bool jit)
{
    const struct quire_allocator allocator = qr_allocator((struct quire_allocator){NULL, NULL});
    const struct qr_split_rule *rule =
        qr_split_rule((struct quire_text){.data = name, .n = strlen(name)});
    struct qr_splitter *s = NULL;

    assert_non_null(rule);
    assert_int_equal(qr_splitter_create(&s, rule, jit, &allocator, NULL), QUIRE_OK);
    return s;
}

struct pieces {
    size_t lengths[4096]; /* of the first pieces */
    size_t n;
    size_t end;
};

static int note(void *context, size_t begin, size_t end)
{
    struct pieces *p = context;

    assert_int_equal(begin, p->end);
    assert_true(end > begin);
    if (p->n < sizeof p->lengths / sizeof p->lengths[0]) p->lengths[p->n] = end - begin;
    p->n++;
    p->end = end;
    return QUIRE_OK;
}

static void split(const struct qr_splitter *s, const char *text, size_t n, struct pieces *pieces)
{
    struct qr_split_scratch scratch;

    *pieces = (struct pieces){.n = 0};
    assert_true(qr_split_scratch_init(&scratch, s));
    assert_int_equal(qr_split(s, &scratch, text, n, note, pieces), QUIRE_OK);
    qr_split_scratch_deinit(&scratch);
    assert_int_equal(pieces->end, n); /* no byte is dropped */
}

/* Goal: the first three rules cut as another library, with the JIT and without it.
 * Method: every string of bpe_cases.json: random spaces, contractions, digits and letters of all
 *         scripts. */
static void pieces_are_the_reference_s(void **state)
{
    (void)state;
    json_error_t error;
    json_t *json = json_load_file(QUIRE_TEST_DATA "/bpe_cases.json", JSON_ALLOW_NUL, &error), *one;
    size_t i;

    assert_non_null(json);
    for (size_t rule = 0; rule < 3; rule++) {
        for (int jit = 0; jit < 2; jit++) {
            struct qr_splitter *s = splitter(rule_names[rule], jit);
            json_array_foreach(json_object_get(json, "cases"), i, one)
            {
                const json_t *text = json_object_get(one, "s");
                const json_t *lengths = json_object_get(one, rule_names[rule]);
                struct pieces pieces;
                split(s, json_string_value(text), json_string_length(text), &pieces);
                assert_int_equal(pieces.n, json_array_size(lengths));
                for (size_t j = 0; j < pieces.n; j++)
                    assert_int_equal(pieces.lengths[j],
                                     json_integer_value(json_array_get(lengths, j)));
            }
            assert_true(i >= 1000);
            qr_splitter_destroy(s);
        }
    }
    json_decref(json);
}

static void fill(char *text, const char *pattern)
{
    size_t n = strlen(pattern);

    for (size_t i = 0; i < LONG; i++)
        text[i] = pattern[i % n];
}

/* Goal: splitting takes linear time, and the JIT and the interpreter cut alike.
 * Method: runs of a million bytes that a matcher backtracks over, with and without a letter at the
 *         end; quadratic time would exceed the test's timeout.  The slow interpreter gets a tenth.
 */
static void long_runs_are_cut_and_end(void **state)
{
    (void)state;
    static const char *const patterns[] = {" ", "\n", " \n", "7",    "'",  "'s",   "a",     "-",
                                           "A", "/",  "中",  "\t\r", "a ", "Aa中", "\u0301"};
    char *text = malloc(LONG);

    for (size_t rule = 0; rule < RULES_N; rule++) {
        struct qr_splitter *with = splitter(rule_names[rule], true);
        struct qr_splitter *without = splitter(rule_names[rule], false);
        for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
            size_t pattern_n = strlen(patterns[i]);
            for (size_t letter = 0; letter < 2; letter++) {
                static struct pieces a, b;
                size_t n = LONG / 10 / pattern_n * pattern_n;
                fill(text, patterns[i]);
                split(with, text, LONG / pattern_n * pattern_n, &a);
                if (letter) text[n++] = 'x';
                split(with, text, n, &a);
                split(without, text, n, &b);
                assert_int_equal(a.n, b.n);
                assert_memory_equal(a.lengths, b.lengths, sizeof a.lengths);
            }
        }
        qr_splitter_destroy(with);
        qr_splitter_destroy(without);
    }
    free(text);
}

/* Goal: PCRE2's match limits do not stop a long text.
 * Method: 12 million spaces, over which Llama 3's pattern backtracks for a newline; PCRE2's default
 *         limit is 10 million steps. */
static void no_limit_stops_a_long_run(void **state)
{
    (void)state;
    const size_t n = 12000000;
    char *text = malloc(n);

    memset(text, ' ', n);
    text[n - 1] = 'x';
    for (int jit = 0; jit < 2; jit++) {
        static struct pieces pieces;
        struct qr_splitter *s = splitter("llama-bpe", jit);
        split(s, text, n, &pieces);
        assert_int_equal(pieces.n, 2);
        assert_int_equal(pieces.lengths[1], 2);
        qr_splitter_destroy(s);
    }
    free(text);
}

/* Goal: the last space of a run belongs to the word after it; a run at the end of a text is one
 *       piece, and so is a run before a digit by `smollm`, which cuts digits first.
 * Method: cases by hand. */
static void the_last_space_goes_with_the_word(void **state)
{
    (void)state;
    static const struct {
        const char *rule, *text;
        size_t n, lengths[4];
    } expected[] = {
        {"gpt-2", "   a", 2, {2, 2}},         {"gpt-2", "a   ", 2, {1, 3}},
        {"gpt-2", "   12", 2, {2, 3}},        {"smollm", "   12", 3, {3, 1, 1}},
        {"llama-bpe", "   12", 3, {2, 1, 2}}, {"llama-bpe", "1234567", 3, {3, 3, 1}},
        {"llama-bpe", " \n a", 2, {2, 2}},
    };

    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        struct qr_splitter *s = splitter(expected[i].rule, true);
        struct pieces pieces;
        split(s, expected[i].text, strlen(expected[i].text), &pieces);
        assert_int_equal(pieces.n, expected[i].n);
        for (size_t j = 0; j < pieces.n; j++)
            assert_int_equal(pieces.lengths[j], expected[i].lengths[j]);
        qr_splitter_destroy(s);
    }
}

static int stop_at_second(void *context, size_t begin, size_t end)
{
    (void)end;
    ++*(int *)context;
    return begin == 0 ? QUIRE_OK : QUIRE_NO_MEMORY;
}

/* Goal: an error of the callback ends the splitting and is returned.
 * Method: fail at the second piece, in the second stage. */
static void a_failing_piece_ends_it(void **state)
{
    (void)state;
    struct qr_splitter *s = splitter("smollm", true);
    struct qr_split_scratch scratch;
    int calls = 0;

    assert_true(qr_split_scratch_init(&scratch, s));
    assert_int_equal(qr_split(s, &scratch, "a b c 1 d", 9, stop_at_second, &calls),
                     QUIRE_NO_MEMORY);
    assert_int_equal(calls, 2);
    qr_split_scratch_deinit(&scratch);
    qr_splitter_destroy(s);
}

/* Goal: a name must match exactly.
 * Method: aliases, a prefix, a longer name, an empty name. */
static void names_are_exact(void **state)
{
    (void)state;
    static const char *const unknown[] = {"smol", "smollm2", "", "defaults", "qwen", "GPT-2"};

    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        assert_null(qr_split_rule((struct quire_text){unknown[i], strlen(unknown[i])}));
    assert_ptr_equal(qr_split_rule((struct quire_text){"gpt2", 4}),
                     qr_split_rule((struct quire_text){"gpt-2", 5}));
    assert_ptr_equal(qr_split_rule((struct quire_text){"jina-v2-de", 10}),
                     qr_split_rule((struct quire_text){"gpt-2", 5}));
    assert_ptr_equal(qr_split_rule((struct quire_text){"megrez", 6}),
                     qr_split_rule((struct quire_text){"stablelm2", 9}));
    assert_ptr_equal(qr_split_rule((struct quire_text){"llama3", 6}),
                     qr_split_rule((struct quire_text){"llama-bpe", 9}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_the_reference_s),
        cmocka_unit_test(long_runs_are_cut_and_end),
        cmocka_unit_test(no_limit_stops_a_long_run),
        cmocka_unit_test(the_last_space_goes_with_the_word),
        cmocka_unit_test(a_failing_piece_ends_it),
        cmocka_unit_test(names_are_exact),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
