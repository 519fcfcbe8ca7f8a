/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/engine/stop.h"

#define PIECE_MAX 64

struct run {
    char text[512]; /* given out in all */
    int matched;
};

static struct quire_text text_of(const char *s)
{
    return (struct quire_text){s, strlen(s)};
}

/* Sends `text` in parts of `piece` bytes, unarmed for the first `quiet` bytes.  Flushes at the end
 * if nothing matched. */
static struct run run(const char *const *strings, size_t n, const char *text, size_t piece,
                      size_t quiet)
{
    struct quire_text stops[QR_STOP_STRINGS_MAX], certain;
    struct qr_stop stop;
    struct run out = {.matched = -1};
    size_t bytes = 0, length = strlen(text), used = 0;

    for (size_t i = 0; i < n; i++) {
        stops[i] = text_of(strings[i]);
        bytes += stops[i].n;
    }
    void *memory = malloc(qr_stop_bytes(bytes, PIECE_MAX));
    qr_stop_init(&stop, memory, stops, n, PIECE_MAX);
    for (size_t at = 0; at < length && out.matched < 0; at += piece) {
        size_t size = length - at < piece ? length - at : piece;
        out.matched = qr_stop_push(&stop, text + at, size, at >= quiet, &certain);
        memcpy(out.text + used, certain.data, certain.n);
        used += certain.n;
    }
    certain = qr_stop_flush(&stop);
    if (out.matched >= 0) assert_int_equal(certain.n, 0);
    memcpy(out.text + used, certain.data, certain.n);
    free(memory);
    return out;
}

/* Goal: a stop string ends the text before its first byte, for any division of the text.
 * Method: parts of one byte to all bytes give the same text. */
static void pieces_do_not_matter(void **state)
{
    const char *const strings[] = {"stop", "\n\n", "the end"};

    (void)state;
    for (size_t piece = 1; piece < 32; piece++) {
        struct run r = run(strings, 3, "sto sstop here\n\n", piece, 0);
        assert_int_equal(r.matched, 0);
        assert_string_equal(r.text, "sto s");
        r = run(strings, 3, "line\nline\n\nmore stop", piece, 0);
        assert_int_equal(r.matched, 1);
        assert_string_equal(r.text, "line\nline");
        r = run(strings, 3, "this is the en", piece, 0);
        assert_int_equal(r.matched, -1);
        assert_string_equal(r.text, "this is the en");
    }
}

/* Goal: the match that ends first counts; of those that end together, the first in the list.
 * Method: strings inside each other. */
static void the_match_that_ends_first_counts(void **state)
{
    const char *const inside[] = {"abcd", "bc"};
    const char *const together[] = {"bc", "abc"};

    (void)state;
    for (size_t piece = 1; piece < 8; piece++) {
        struct run r = run(inside, 2, "xabcd", piece, 0);
        assert_int_equal(r.matched, 1);
        assert_string_equal(r.text, "xa");
        r = run(together, 2, "xabc", piece, 0);
        assert_int_equal(r.matched, 0);
        assert_string_equal(r.text, "xa");
    }
}

/* Goal: a match is found after a false start that overlaps it.
 * Method: "aab" in "aaab" (a plain restart after the mismatch would miss it). */
static void overlapping_starts_are_followed(void **state)
{
    const char *const strings[] = {"aab", "ababc"};

    (void)state;
    struct run r = run(strings, 2, "aaab", 1, 0);
    assert_int_equal(r.matched, 0);
    assert_string_equal(r.text, "a");
    r = run(strings, 2, "abababc", 1, 0);
    assert_int_equal(r.matched, 1);
    assert_string_equal(r.text, "ab");
}

/* Goal: only text that may begin a stop string is held back, and no character is divided.
 * Method: push by hand; check the certain text. */
static void only_a_possible_beginning_is_held(void **state)
{
    struct quire_text strings[] = {text_of("\xc3\xa9!"), text_of("STOP")}, certain;
    struct qr_stop stop;
    void *memory = malloc(qr_stop_bytes(7, PIECE_MAX));

    (void)state;
    qr_stop_init(&stop, memory, strings, 2, PIECE_MAX);
    assert_int_equal(qr_stop_push(&stop, "a ST", 4, true, &certain), -1);
    assert_int_equal(certain.n, 2);
    assert_int_equal(qr_stop_push(&stop, "x", 1, true, &certain), -1);
    assert_int_equal(certain.n, 3);
    assert_memory_equal(certain.data, "STx", 3);
    assert_int_equal(qr_stop_push(&stop, "\xc3\xa9", 2, true, &certain), -1);
    assert_int_equal(certain.n, 0);
    assert_int_equal(qr_stop_push(&stop, ".", 1, true, &certain), -1);
    assert_int_equal(certain.n, 3);
    free(memory);
}

/* Goal: an unarmed match does not count, but a match may begin unarmed.
 * Method: the same text with more and more of it unarmed. */
static void unarmed_matches_do_not_count(void **state)
{
    const char *const strings[] = {"ab"};

    (void)state;
    struct run r = run(strings, 1, "ab.ab", 1, 2);
    assert_int_equal(r.matched, 0);
    assert_string_equal(r.text, "ab.");
    r = run(strings, 1, "ab", 1, 1); /* begins unarmed, ends armed */
    assert_int_equal(r.matched, 0);
    assert_string_equal(r.text, "");
    const char *const itself[] = {"aba"}; /* the end of one match begins the next */
    r = run(itself, 1, "ababa", 1, 3);
    assert_int_equal(r.matched, 0);
    assert_string_equal(r.text, "ab");
    r = run(strings, 1, "abab", 1, 4);
    assert_int_equal(r.matched, -1);
    assert_string_equal(r.text, "abab");
}

/* Goal: the automata agree with a plain search.
 * Method: random texts over two letters, random strings; the first end of any occurrence. */
static void it_agrees_with_a_plain_search(void **state)
{
    (void)state;
    srand(7);
    for (int round = 0; round < 3000; round++) {
        char letters[4][8], text[64];
        const char *strings[4];
        int n = 1 + rand() % 4, best_end = 1000, best = -1;

        for (int i = 0; i < n; i++) {
            int length = 1 + rand() % 6;
            for (int c = 0; c < length; c++)
                letters[i][c] = "ab"[rand() % 2];
            letters[i][length] = '\0';
            strings[i] = letters[i];
        }
        for (int c = 0; c < 40; c++)
            text[c] = "aab"[rand() % 3];
        text[40] = '\0';
        for (int i = 0; i < n; i++) {
            const char *found = strstr(text, strings[i]);
            int end = found ? (int)(found - text) + (int)strlen(strings[i]) : 1000;
            if (end < best_end) best_end = end, best = i;
        }
        struct run r = run(strings, (size_t)n, text, (size_t)(1 + rand() % 9), 0);
        assert_int_equal(r.matched, best);
        size_t kept = best < 0 ? 40 : (size_t)best_end - strlen(strings[best]);
        assert_int_equal(strlen(r.text), kept);
        assert_memory_equal(r.text, text, kept);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_do_not_matter),
        cmocka_unit_test(the_match_that_ends_first_counts),
        cmocka_unit_test(overlapping_starts_are_followed),
        cmocka_unit_test(only_a_possible_beginning_is_held),
        cmocka_unit_test(unarmed_matches_do_not_count),
        cmocka_unit_test(it_agrees_with_a_plain_search),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
