/* SPDX-License-Identifier: MIT */
/* The cache of compiled grammars. */
#include <pthread.h>
#include <stdlib.h>

#include "grammar/compiled.h"
#include "runtime/grammar/cache.h"

#define BYTES_MAX ((size_t)4 << 20)

static struct quire_allocator allocator_of(void)
{
    return qr_allocator((struct quire_allocator){0});
}

/* A vocabulary of the 256 bytes. */
static size_t one_byte(const void *context, uint32_t id, char *out)
{
    (void)context;
    if (out) *out = (char)id;
    return 1;
}

struct shelf {
    struct qr_grammar_vocabulary vocabulary;
    struct qr_grammar_cache cache;
};

static int setup(void **state)
{
    static struct shelf shelf;
    const struct quire_allocator allocator = allocator_of();

    assert_true(qr_grammar_vocabulary_init(&shelf.vocabulary, 256, one_byte, NULL, &allocator));
    assert_true(qr_grammar_cache_init(&shelf.cache, &allocator));
    *state = &shelf;
    return 0;
}

static int teardown(void **state)
{
    struct shelf *shelf = *state;

    qr_grammar_cache_deinit(&shelf->cache);
    qr_grammar_vocabulary_deinit(&shelf->vocabulary);
    return 0;
}

static struct qr_grammar *get(struct shelf *shelf, const struct qr_grammar_source *source,
                              size_t bytes_max)
{
    struct quire_error error;
    struct qr_grammar *grammar;

    if (qr_grammar_cache_get(&shelf->cache, &grammar, source, &shelf->vocabulary, bytes_max,
                             &error))
        fail_msg("%s", error.text);
    return grammar;
}

static struct qr_grammar_source regex(const char *text)
{
    return (struct qr_grammar_source){.kind = QR_GRAMMAR_REGEX, .text = {text, strlen(text)}};
}

/* Goal: the same source is compiled once, and sources that differ in anything are not the same.
 * Method: pairs of sources with one difference each; equal ones give one grammar. */
static void equal_sources_share_a_grammar(void **state)
{
    struct shelf *shelf = *state;
    const struct quire_text ab[] = {{"a", 1}, {"b", 1}}, joined[] = {{"ab", 2}};
    const struct qr_grammar_source sources[] = {
        regex("[0-9]+"),
        regex("[0-9]"),
        {.kind = QR_GRAMMAR_GBNF, .text = {"root ::= \"1\"", 12}},
        {.kind = QR_GRAMMAR_SCHEMA, .text = {"true", 4}},
        {.kind = QR_GRAMMAR_SCHEMA, .text = {"true", 4}, .settings = {.whitespace = ""}},
        {.kind = QR_GRAMMAR_SCHEMA, .text = {"true", 4}, .settings = {.whitespace = " "}},
        {.kind = QR_GRAMMAR_SCHEMA,
         .text = {"true", 4},
         .settings = {.no_additional_properties = true}},
        {.kind = QR_GRAMMAR_CHOICES, .choices = ab, .choices_n = 2},
        {.kind = QR_GRAMMAR_CHOICES, .choices = joined, .choices_n = 1},
    };
    enum { N = sizeof sources / sizeof sources[0] };
    struct qr_grammar *grammars[N];

    for (size_t i = 0; i < N; i++) {
        grammars[i] = get(shelf, &sources[i], BYTES_MAX);
        for (size_t j = 0; j < i; j++)
            assert_ptr_not_equal(grammars[i], grammars[j]);
    }
    assert_int_equal(shelf->cache.misses, N);
    assert_int_equal(shelf->cache.hits, 0);
    for (size_t i = 0; i < N; i++) {
        struct qr_grammar *again = get(shelf, &sources[i], BYTES_MAX);
        assert_ptr_equal(again, grammars[i]);
        qr_grammar_drop(again);
        qr_grammar_drop(grammars[i]);
    }
    assert_int_equal(shelf->cache.hits, N);
}

/* Goal: entries are bounded, the one used longest ago goes first, and a dropped grammar still works
 * for the requests that share it. */
static void the_oldest_entry_is_dropped(void **state)
{
    struct shelf *shelf = *state;
    const struct qr_grammar_source kept = regex("kept"), lost = regex("lost");
    struct qr_grammar *first = get(shelf, &kept, BYTES_MAX);
    struct qr_grammar *second = get(shelf, &lost, BYTES_MAX);
    char text[16];
    bool whole;

    for (unsigned i = 0; i < QR_GRAMMAR_CACHE_N - 1; i++) {
        snprintf(text, sizeof text, "x%u", i);
        const struct qr_grammar_source other = regex(text);
        qr_grammar_drop(get(shelf, &other, BYTES_MAX));
        qr_grammar_drop(get(shelf, &kept, BYTES_MAX));
    }
    struct qr_grammar *again = get(shelf, &kept, BYTES_MAX);
    assert_ptr_equal(again, first);
    qr_grammar_drop(again);
    again = get(shelf, &lost, BYTES_MAX);
    assert_ptr_not_equal(again, second);
    assert_int_equal(qr_grammar_match(second, "lost", 4, &whole), 4);
    assert_true(whole);
    qr_grammar_drop(again);
    qr_grammar_drop(first);
    qr_grammar_drop(second);
}

/* Goal: a grammar that has used half of its bytes is compiled anew, and a refusal is not kept.
 * Method: texts of many different states grow the lexer. */
static void a_grown_grammar_is_compiled_anew(void **state)
{
    struct shelf *shelf = *state;
    const struct qr_grammar_source source = regex(".*a.{12}"), bad = regex("(?=a)");
    struct qr_grammar *grammar = get(shelf, &source, BYTES_MAX), *again;
    unsigned seed = 3;
    char text[2000];
    bool whole;

    for (int i = 0; i < 400 && qr_grammar_bytes(grammar) <= BYTES_MAX / 2; i++) {
        for (size_t j = 0; j < sizeof text; j++)
            text[j] = (char)('a' + rand_r(&seed) % 2);
        (void)qr_grammar_match(grammar, text, sizeof text, &whole);
    }
    assert_true(qr_grammar_bytes(grammar) > BYTES_MAX / 2);
    again = get(shelf, &source, BYTES_MAX);
    assert_ptr_not_equal(again, grammar);
    assert_true(qr_grammar_bytes(again) < BYTES_MAX / 2);
    qr_grammar_drop(again);
    qr_grammar_drop(grammar);

    for (int i = 0; i < 2; i++) {
        struct quire_error error;
        assert_int_equal(qr_grammar_cache_get(&shelf->cache, &again, &bad, &shelf->vocabulary,
                                              BYTES_MAX, &error),
                         QUIRE_UNSUPPORTED);
        assert_null(again);
    }
}

static void *use(void *argument)
{
    struct shelf *shelf = argument;
    char text[16];
    bool whole;

    for (unsigned i = 0; i < 400; i++) {
        snprintf(text, sizeof text, "y%u", i % 70);
        const struct qr_grammar_source source = regex(text);
        struct qr_grammar *grammar = get(shelf, &source, BYTES_MAX);
        assert_int_equal(qr_grammar_match(grammar, text, strlen(text), &whole), strlen(text));
        qr_grammar_drop(grammar);
    }
    return NULL;
}

/* Goal: threads may get, evict and use grammars at once.
 * Method: four threads over more sources than are kept; sanitizers watch. */
static void threads_share_the_cache(void **state)
{
    struct shelf *shelf = *state;
    pthread_t threads[4];
    const uint64_t before = shelf->cache.hits + shelf->cache.misses;

    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use, shelf), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(shelf->cache.hits + shelf->cache.misses, before + 1600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(equal_sources_share_a_grammar, setup, teardown),
        cmocka_unit_test_setup_teardown(the_oldest_entry_is_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(a_grown_grammar_is_compiled_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(threads_share_the_cache, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
