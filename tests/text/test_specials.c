/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/memory.h"
#include "runtime/text/specials.h"
#include "runtime/text/tokenizer.h"
#include "text/tiny_vocabulary.h"

#define KINDS (1u << QR_TOKEN_CONTROL | 1u << QR_TOKEN_USER)

struct fixture {
    struct quire_allocator allocator;
    struct qr_vocabulary vocabulary;
    struct qr_specials specials;
};

static void open_specials(struct fixture *f, const struct quire_text *texts, const int32_t *kinds,
                          uint32_t n)
{
    f->allocator = qr_allocator((struct quire_allocator){NULL, NULL});
    assert_int_equal(
        qr_vocabulary_init(&f->vocabulary, QR_FORM_LETTERS, texts, kinds, n, &f->allocator, NULL),
        QUIRE_OK);
    assert_true(qr_specials_init(&f->specials, &f->vocabulary, KINDS, &f->allocator));
}

static void close_specials(struct fixture *f)
{
    qr_specials_deinit(&f->specials, &f->allocator);
    qr_vocabulary_deinit(&f->vocabulary, &f->allocator);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 16;
}

/* Goal: the first match counts, and of several at one position the longest.
 * Method: random texts of two letters and specials that are prefixes of each other, compared with
 *         trying every token at every position. */
static void the_longest_at_the_first_place(void **state)
{
    (void)state;
    struct quire_text texts[] = {tiny_text("ab"),   tiny_text("abb"), tiny_text("abbab"),
                                 tiny_text("bbbb"), tiny_text("aab"), tiny_text("ba")};
    int32_t kinds[] = {QR_TOKEN_CONTROL, QR_TOKEN_USER,    QR_TOKEN_CONTROL,
                       QR_TOKEN_USER,    QR_TOKEN_CONTROL, QR_TOKEN_NORMAL};
    const uint32_t n = sizeof texts / sizeof texts[0];
    struct fixture f;
    uint32_t seed = 1;

    open_specials(&f, texts, kinds, n);
    for (int round = 0; round < 20000; round++) {
        char text[16];
        size_t text_n = next_random(&seed) % sizeof text, at = 0, expected_at = text_n;
        uint32_t id = QR_ID_NONE, expected = QR_ID_NONE;
        for (size_t i = 0; i < text_n; i++)
            text[i] = "ab"[next_random(&seed) & 1];
        for (size_t i = 0; i < text_n && expected == QR_ID_NONE; i++) {
            for (uint32_t k = 0; k < n; k++) {
                if (kinds[k] == QR_TOKEN_NORMAL || texts[k].n > text_n - i) continue;
                if (memcmp(text + i, texts[k].data, texts[k].n) != 0) continue;
                if (expected == QR_ID_NONE || texts[k].n > texts[expected].n) expected = k;
                expected_at = i;
            }
        }
        bool found = qr_specials_next(&f.specials, text, text_n, 0, &at, &id);
        assert_int_equal(found, expected != QR_ID_NONE);
        if (!found) continue;
        assert_int_equal(id, expected);
        assert_int_equal(at, expected_at);
    }
    close_specials(&f);
}

/* Goal: a special text that is not UTF-8 never cuts a character in two.
 * Method: tokens that are a tail byte and half a character; a text made of them. */
static void half_characters_are_no_specials(void **state)
{
    (void)state;
    struct quire_text texts[] = {tiny_text("\xa9"), tiny_text("\xc3"), tiny_text("\xc3\xa9")};
    int32_t kinds[] = {QR_TOKEN_USER, QR_TOKEN_USER, QR_TOKEN_USER};
    struct fixture f;
    size_t at;
    uint32_t id;

    open_specials(&f, texts, kinds, 3);
    assert_true(qr_specials_next(&f.specials, "x\xc3\xa9", 3, 0, &at, &id));
    assert_int_equal(at, 1);
    assert_int_equal(id, 2);
    assert_false(qr_specials_next(&f.specials, "x\xc3\xa8", 3, 0, &at, &id));
    close_specials(&f);
}

/* Goal: empty texts never match; of equal texts the last id counts.
 * Method: both in one vocabulary. */
static void doubles_and_empty_texts(void **state)
{
    (void)state;
    struct quire_text texts[] = {tiny_text("<x>"), tiny_text(""), tiny_text("<x>"), {NULL, 0}};
    int32_t kinds[] = {QR_TOKEN_CONTROL, QR_TOKEN_CONTROL, QR_TOKEN_CONTROL, QR_TOKEN_USER};
    struct fixture f;
    size_t at;
    uint32_t id;

    open_specials(&f, texts, kinds, 4);
    assert_true(qr_specials_next(&f.specials, "<x>", 3, 0, &at, &id));
    assert_int_equal(id, 2);
    assert_false(qr_specials_next(&f.specials, "<x>", 3, 1, &at, &id));
    close_specials(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_at_the_first_place),
        cmocka_unit_test(half_characters_are_no_specials),
        cmocka_unit_test(doubles_and_empty_texts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
