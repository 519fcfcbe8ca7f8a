/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "runtime/base/memory.h"
#include "runtime/text/spm.h"
#include "text/ids.h"
#include "text/out_of_memory.h"
#include "text/spm_vocabulary.h"

static const struct quire_allocator use_malloc = {NULL, NULL};

static struct qr_tokenizer *create(const struct spm_vocabulary *v)
{
    struct qr_tokenizer *t;
    struct quire_error error;

    if (qr_tokenizer_create(&t, &v->source, &use_malloc, NULL, &error) != QUIRE_OK) {
        fprintf(stderr, "%s\n", error.text);
        fail();
    }
    return t;
}

static int32_t id_of(const struct qr_tokenizer *t, const char *text)
{
    int32_t id = qr_tokenizer_find(t, spm_text(text));

    assert_true(id >= 0);
    return id;
}

#define BYTE(b) (SPM_BYTES + (b))

static void assert_text(const struct qr_tokenizer *t, const int32_t *ids, size_t n, unsigned flags,
                        const char *expected)
{
    char text[256];
    size_t text_n;

    assert_int_equal(qr_tokenizer_decode(t, ids, n, flags, text, sizeof text, &text_n), QUIRE_OK);
    assert_int_equal(text_n, strlen(expected));
    assert_memory_equal(text, expected, text_n);
}

#define ASSERT_TEXT(t, flags, expected, ...)                                                       \
    assert_text(t, (const int32_t[]){__VA_ARGS__},                                                 \
                sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t), flags, expected)

static uint32_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33);
}

/* The definition, on texts of valid UTF-8: of all adjacent pairs whose joined text is a piece,
 * merge the one of the highest score, the leftmost of equal scores. */
static size_t merge_plainly(const struct spm_vocabulary *v, const char *text, size_t n,
                            int32_t *ids)
{
    struct quire_text parts[512];
    size_t parts_n = 0, ids_n = 0;

    for (size_t i = 0; i < n; parts_n++) {
        size_t bytes = 1;
        while (i + bytes < n && ((uint8_t)text[i + bytes] & 0xc0) == 0x80)
            bytes++;
        parts[parts_n] = (struct quire_text){text + i, bytes};
        i += bytes;
    }
    for (;;) {
        size_t best = parts_n;
        float best_score = -INFINITY;
        for (size_t i = 0; i + 1 < parts_n; i++) {
            for (uint32_t id = 0; id < v->source.tokens_n; id++) {
                struct quire_text token = v->tokens[id];
                if (v->kinds[id] != QR_TOKEN_NORMAL || v->scores[id] <= best_score ||
                    token.n != parts[i].n + parts[i + 1].n ||
                    memcmp(token.data, parts[i].data, token.n) != 0)
                    continue;
                best = i;
                best_score = v->scores[id];
            }
        }
        if (best == parts_n) break;
        parts[best].n += parts[best + 1].n;
        parts_n--;
        memmove(parts + best + 1, parts + best + 2, (parts_n - best - 1) * sizeof parts[0]);
    }
    for (size_t i = 0; i < parts_n; i++) {
        int32_t found = -1;
        for (uint32_t id = 0; id < v->source.tokens_n; id++)
            if (v->kinds[id] == QR_TOKEN_NORMAL && v->tokens[id].n == parts[i].n &&
                memcmp(v->tokens[id].data, parts[i].data, parts[i].n) == 0)
                found = (int32_t)id;
        if (found >= 0)
            ids[ids_n++] = found;
        else if (parts[i].n == 3 && memcmp(parts[i].data, "▁", 3) == 0) {
            ids[ids_n++] = BYTE(' '); /* U+2581 without a token is a space's byte */
            continue;
        }
        for (size_t k = 0; found < 0 && k < parts[i].n; k++)
            ids[ids_n++] = BYTE((uint8_t)parts[i].data[k]);
    }
    return ids_n;
}

/* Goal: texts merge as defined: by score, the leftmost of equals, also through characters that are
 *       not tokens, and regardless of where the text is cut.
 * Method: random pieces with many equal scores and some characters missing; random texts of 1 to
 *         200 characters, compared with a plain implementation. */
static void texts_merge_as_defined(void **state)
{
    (void)state;
    static const char *const characters[] = {"a", "b", "c", "é", "中", "▁"};
    static char texts[100][32];
    static struct spm_vocabulary v;
    uint64_t seed = 1;

    for (int round = 0; round < 60; round++) {
        spm_vocabulary_begin(&v);
        size_t alphabet = 2 + next_random(&seed) % 5;
        for (int i = 0; i < 60; i++) {
            texts[i][0] = 0;
            for (uint32_t left = 1 + next_random(&seed) % 5; left > 0; left--)
                strcat(texts[i], characters[next_random(&seed) % alphabet]);
            spm_add(&v, texts[i], QR_TOKEN_NORMAL, -(float)(next_random(&seed) % 8));
            for (int k = 0; k < i; k++) /* equal texts share one score */
                if (strcmp(texts[k], texts[i]) == 0)
                    v.tokens[v.source.tokens_n - 1] = (struct quire_text){"unused", 6};
        }
        struct qr_tokenizer *t = create(&v);
        for (int k = 0; k < 40; k++) {
            char text[1024] = "▁";
            int32_t ids[1024], expected[1024];
            size_t n;
            for (uint32_t left = 1 + next_random(&seed) % (k % 4 ? 30 : 200); left > 0; left--)
                strcat(text, characters[next_random(&seed) % alphabet]);
            size_t expected_n = merge_plainly(&v, text, strlen(text), expected);
            assert_int_equal(qr_tokenizer_encode(t, text + 3, strlen(text) - 3, 0, ids, 1024, &n),
                             QUIRE_OK);
            assert_int_equal(n, expected_n);
            assert_memory_equal(ids, expected, n * sizeof ids[0]);
        }
        qr_tokenizer_destroy(t);
    }
}

/* Goal: a character without a piece becomes byte tokens; invalid UTF-8 is read as in llama.cpp; if
 *       a byte has no token, the character becomes the unknown token.
 * Method: cases by hand. */
static void what_is_no_piece_falls_back(void **state)
{
    (void)state;
    struct spm_vocabulary v;

    spm_vocabulary_init(&v);
    struct qr_tokenizer *t = create(&v);
    int32_t space = id_of(t, "▁");
    ASSERT_IDS(t, "d", 0, space, BYTE('d'));
    ASSERT_IDS(t, "文", 0, space, BYTE(0xe6), BYTE(0x96), BYTE(0x87));
    ASSERT_IDS(t, "\x80", 0, space, BYTE(0x80));
    ASSERT_IDS(t, "\xc3z", 0, space, BYTE(0xc3),
               BYTE('z')); /* c3 says two bytes, so z is part of it */
    ASSERT_IDS(t, "é\xe4\xb8", 0, space, id_of(t, "é"), BYTE(0xe4), BYTE(0xb8));
    qr_tokenizer_destroy(t);

    v.kinds[BYTE(0x96)] = QR_TOKEN_UNUSED;
    t = create(&v);
    ASSERT_IDS(t, "文d", 0, space, SPM_UNK, BYTE('d'));
    qr_tokenizer_destroy(t);
    v.kinds[SPM_UNK] = QR_TOKEN_UNUSED;
    t = create(&v);
    ASSERT_IDS(t, "文d", 0, space, BYTE('d'));
    qr_tokenizer_destroy(t);
}

/* Goal: a text gets a space in front and after each special token unless the file says no; an empty
 *       text gets none; BOS is added by default.
 * Method: cases by hand. */
static void a_space_goes_in_front(void **state)
{
    (void)state;
    const unsigned special = QUIRE_TEXT_SPECIAL;
    struct spm_vocabulary v;

    spm_vocabulary_init(&v);
    struct qr_tokenizer *t = create(&v);
    int32_t space_a = id_of(t, "▁a"), a = id_of(t, "a"), tool = id_of(t, "<tool>");
    int32_t two = id_of(t, "▁▁");
    assert_int_equal(qr_tokenizer_encode(t, "", 0, 0, NULL, 0, &(size_t){0}), QUIRE_OK);
    ASSERT_IDS(t, "", QUIRE_TEXT_BOS, SPM_BOS);
    ASSERT_IDS(t, "a", QUIRE_TEXT_BOS, SPM_BOS, space_a);
    ASSERT_IDS(t, " ", 0, two);
    ASSERT_IDS(t, "<s>a<s>a", special, SPM_BOS, space_a, SPM_BOS, space_a);
    ASSERT_IDS(t, "a<tool>a<tool>", 0, space_a, tool, space_a, tool);
    ASSERT_IDS(t, "<tool><tool>", 0, tool, tool);
    ASSERT_IDS(t, "\n\n", 0, id_of(t, "\n\n"));
    qr_tokenizer_destroy(t);

    v.source.add_space_prefix = 0;
    v.source.add_bos = 0;
    t = create(&v);
    ASSERT_IDS(t, "a", QUIRE_TEXT_BOS, a);
    ASSERT_IDS(t, " a", 0, space_a);
    ASSERT_IDS(t, "<s>a", special, SPM_BOS, a);
    ASSERT_TEXT(t, QUIRE_TEXT_BEGIN, " a", space_a);
    qr_tokenizer_destroy(t);
}

/* Goal: plain text never makes a hidden token, or a byte token by its name.
 * Method: pieces that lead to "<s>", "<0x41>" and "[PAD]". */
static void plain_text_makes_no_special_token(void **state)
{
    (void)state;
    static const char *const ways[] = {"<", "s",  ">",   "<s",   "0",     "x",   "4",
                                       "1", "<0", "<0x", "<0x4", "<0x41", "[",   "P",
                                       "A", "D",  "]",   "[P",   "[PA",   "[PAD"};
    struct spm_vocabulary v;

    spm_vocabulary_init(&v);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
        spm_add(&v, ways[i], QR_TOKEN_NORMAL, 1);
    struct qr_tokenizer *t = create(&v);
    int32_t space = id_of(t, "▁");
    ASSERT_IDS(t, "<s>", 0, space, id_of(t, "<s"), id_of(t, ">"));
    ASSERT_IDS(t, "<0x41>", QUIRE_TEXT_SPECIAL, space, id_of(t, "<0x41"), id_of(t, ">"));
    ASSERT_IDS(t, "[PAD]", QUIRE_TEXT_SPECIAL, space, id_of(t, "[PAD"), id_of(t, "]"));
    qr_tokenizer_destroy(t);
}

/* Goal: decoding turns U+2581 into a space and byte tokens into bytes, keeps user-defined texts,
 *       hides hidden tokens, and drops the leading space at the beginning of a text.
 * Method: one token of each kind; BEGIN after hidden and shown tokens; streaming keeps the space.
 */
static void decoding_knows_each_kind(void **state)
{
    (void)state;
    const unsigned begin = QUIRE_TEXT_BEGIN, special = QUIRE_TEXT_SPECIAL;
    struct spm_vocabulary v;
    char out[256];

    spm_vocabulary_init(&v);
    int32_t marked = spm_add(&v, "▁user", QR_TOKEN_USER, 0);
    int32_t odd = spm_add(&v, "<0xZZ>", QR_TOKEN_BYTE, 0);
    struct qr_tokenizer *t = create(&v);
    int32_t space_a = id_of(t, "▁a"), tool = id_of(t, "<tool>"), pad = id_of(t, "[PAD]");
    ASSERT_TEXT(t, 0, " a\xe4\xb8\xad", space_a, BYTE(0xe4), BYTE(0xb8), BYTE(0xad));
    ASSERT_TEXT(t, begin, "a a", space_a, space_a);
    ASSERT_TEXT(t, begin, "   ", id_of(t, "▁▁▁▁"));
    ASSERT_TEXT(t, begin, "a", SPM_BOS, space_a);
    ASSERT_TEXT(t, begin | special, "<s> a</s>", SPM_BOS, space_a, SPM_EOS);
    ASSERT_TEXT(t, begin, "<tool> a", tool, space_a);
    ASSERT_TEXT(t, begin, "\x41 a", BYTE(0x41), space_a);
    ASSERT_TEXT(t, 0, "a", id_of(t, "a"), pad, SPM_UNK);
    ASSERT_TEXT(t, special, "a[PAD]<unk>", id_of(t, "a"), pad, SPM_UNK);
    ASSERT_TEXT(t, begin, "▁user", marked); /* as llama.cpp */
    ASSERT_TEXT(t, 0, "<0xZZ>", odd);
    struct qr_detokenizer d;
    qr_detokenizer_init(&d, t, 0);
    assert_int_equal(qr_detokenizer_push(&d, space_a, out), 2);
    assert_memory_equal(out, " a", 2);
    assert_int_equal(qr_detokenizer_push(&d, BYTE(0xc3), out), 0);
    assert_int_equal(qr_detokenizer_push(&d, BYTE(0xa9), out), 2);
    assert_memory_equal(out, "é", 2);
    qr_tokenizer_destroy(t);
}

/* Goal: a score of NaN is refused; without scores the leftmost pair merges first.
 * Method: NaN; NULL. */
static void scores_are_checked(void **state)
{
    (void)state;
    struct spm_vocabulary v;
    struct qr_tokenizer *t;
    struct quire_error error;

    spm_vocabulary_init(&v);
    v.scores[270] = NAN;
    assert_int_equal(qr_tokenizer_create(&t, &v.source, &use_malloc, NULL, &error), QUIRE_BAD_FILE);
    assert_non_null(strstr(error.text, "the score of token 270"));
    v.source.scores = NULL;
    t = create(&v);
    ASSERT_IDS(t, "cabc", 0, id_of(t, "▁"), id_of(t, "cab"), id_of(t, "c"));
    qr_tokenizer_destroy(t);
}

/* Goal: a vocabulary of nested tokens loads fast, and one with too many merges is refused.
 * Method: 2,000 runs of one letter, which can be cut anywhere: 2 million merges; then 3,000 runs,
 *         4.5 million merges.  Hashing both sides of each cut would read 2.7 GB. */
static void nested_tokens_are_read_in_time(void **state)
{
    (void)state;
    const uint32_t most = 3000;
    struct quire_text *tokens = malloc(most * sizeof *tokens);
    char *letters = malloc(most);
    struct qr_vocabulary v;
    struct qr_spm *spm = malloc(sizeof *spm);
    const struct quire_allocator allocator = qr_allocator(use_malloc);
    struct quire_error error;

    memset(letters, 'a', most);
    for (uint32_t i = 0; i < most; i++)
        tokens[i] = (struct quire_text){letters, i + 1};
    for (int round = 0; round < 2; round++) {
        uint32_t n = round ? 3000 : 2000;
        assert_int_equal(
            qr_vocabulary_init(&v, QR_FORM_SPACES, tokens, NULL, n, &allocator, &error), QUIRE_OK);
        assert_int_equal(qr_spm_init(spm, &v, NULL, &allocator, &error),
                         round ? QUIRE_UNSUPPORTED : QUIRE_OK);
        qr_spm_deinit(spm, &allocator);
        qr_vocabulary_deinit(&v, &allocator);
    }
    free(spm);
    free(letters);
    free(tokens);
}

/* Goal: a long text of words is cut into short pieces, which need no queue; a text without a cut
 *       takes a bounded number of queue entries.
 * Method: 100,000 characters of each. */
static void a_text_is_cut_where_nothing_joins(void **state)
{
    (void)state;
    struct spm_vocabulary v;
    struct qr_vocabulary vocabulary;
    struct qr_spm *spm = malloc(sizeof *spm);
    const struct quire_allocator allocator = qr_allocator(use_malloc);
    struct qr_merge_scratch scratch = {.allocator = &allocator};
    struct qr_ids out = {.ids = NULL, .capacity = 0};
    const size_t n = 100000;
    char *text = malloc(3 * n + 3), *plain = malloc(n);

    spm_vocabulary_init(&v);
    assert_int_equal(qr_vocabulary_init(&vocabulary, QR_FORM_SPACES, v.tokens, v.kinds,
                                        v.source.tokens_n, &allocator, NULL),
                     QUIRE_OK);
    assert_int_equal(qr_spm_init(spm, &vocabulary, v.scores, &allocator, NULL), QUIRE_OK);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < n; i++)
            plain[i] = (round ? "abca" : "abc ")[i % 4];
        size_t text_n = qr_spm_escape(plain, n, true, text);
        assert_int_equal(text_n, 3 + (round ? n : n / 4 * 6));
        assert_int_equal(qr_spm_encode(spm, &scratch, text, text_n, &out), QUIRE_OK);
        if (round)
            assert_true(scratch.queued >= n / 2 && scratch.queued <= 3 * n);
        else
            assert_int_equal(scratch.queued, 0);
    }
    qr_merge_scratch_deinit(&scratch);
    qr_spm_deinit(spm, &allocator);
    qr_vocabulary_deinit(&vocabulary, &allocator);
    free(spm);
    free(plain);
    free(text);
}

/* Goal: each failed allocation is an error and leaks nothing.
 * Method: fail one allocation a run, in creation and encoding; one character of a piece is not a
 *         token, and the text has a long piece. */
static void every_failed_allocation_is_an_error(void **state)
{
    (void)state;
    struct spm_vocabulary v;
    char text[200];

    spm_vocabulary_init(&v);
    spm_add(&v, "xyx", QR_TOKEN_NORMAL, 0);
    memset(text, 'a', sizeof text);
    every_allocation_may_fail(&v.source, text, sizeof text, 8, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_merge_as_defined),
        cmocka_unit_test(what_is_no_piece_falls_back),
        cmocka_unit_test(a_space_goes_in_front),
        cmocka_unit_test(plain_text_makes_no_special_token),
        cmocka_unit_test(decoding_knows_each_kind),
        cmocka_unit_test(scores_are_checked),
        cmocka_unit_test(nested_tokens_are_read_in_time),
        cmocka_unit_test(a_text_is_cut_where_nothing_joins),
        cmocka_unit_test(every_failed_allocation_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
