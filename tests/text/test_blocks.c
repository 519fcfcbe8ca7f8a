/* SPDX-License-Identifier: MIT */
/* Compares 10,000 seeded random strings with other libraries by a checksum for each block of
 * strings: tests/data/text_blocks.json.  QUIRE_TEXT_BLOCKS names a larger file (made by
 * make_text_blocks.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "runtime/text/split.h"
#include "text/tokenizer_file.h"

#define TEXT_MAX 1024
#define IDS_MAX  4096

static json_t *blocks;

static int open_blocks(void **state)
{
    (void)state;
    const char *path = getenv("QUIRE_TEXT_BLOCKS");
    json_error_t error;

    if (!path) path = QUIRE_TEST_DATA "/text_blocks.json";
    blocks = json_load_file(path, JSON_ALLOW_NUL, &error);
    if (!blocks) fprintf(stderr, "%s:%d: %s\n", path, error.line, error.text);
    return blocks ? 0 : -1;
}

static int close_blocks(void **state)
{
    (void)state;
    json_decref(blocks);
    return 0;
}

/* ---- the generator of make_text_blocks.py ---------------------------------------------------- */

static uint32_t below(uint64_t *seed, size_t n)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((*seed >> 33) % n);
}

static size_t next_string(uint64_t *seed, char *out)
{
    const json_t *alphabets = json_object_get(blocks, "alphabets"), *mix[4];
    size_t n = 0, mix_n = 1 + below(seed, 4);

    for (size_t i = 0; i < mix_n; i++)
        mix[i] = json_array_get(alphabets, below(seed, json_array_size(alphabets)));
    for (uint32_t left = 1 + below(seed, 24); left > 0; left--) {
        const json_t *alphabet = mix[below(seed, mix_n)];
        const json_t *part = json_array_get(alphabet, below(seed, json_array_size(alphabet)));
        assert_true(n + json_string_length(part) <= TEXT_MAX);
        memcpy(out + n, json_string_value(part), json_string_length(part));
        n += json_string_length(part);
    }
    return n;
}

static void add_number(uint64_t *sum, int32_t number)
{
    for (int i = 0; i < 4; i++)
        *sum = (*sum ^ ((uint32_t)number >> (8 * i) & 0xff)) * UINT64_C(0x100000001b3);
}

static void add_ids(uint64_t *sum, const struct qr_tokenizer *t, const char *text, size_t n,
                    unsigned flags, int32_t end)
{
    int32_t ids[IDS_MAX];
    size_t ids_n;

    assert_int_equal(qr_tokenizer_encode(t, text, n, flags, ids, IDS_MAX, &ids_n), QUIRE_OK);
    for (size_t i = 0; i < ids_n; i++)
        add_number(sum, ids[i]);
    add_number(sum, end);
}

static int add_piece(void *sum, size_t begin, size_t end)
{
    add_number(sum, (int32_t)(end - begin));
    return QUIRE_OK;
}

/* Compares every block of a list.  splitter NULL: ids only. */
static void compare(const char *name, const json_t *list, const struct qr_tokenizer *t,
                    const struct qr_splitter *splitter)
{
    uint64_t seed = (uint64_t)json_integer_value(json_object_get(blocks, "seed"));
    json_int_t block_n = json_integer_value(json_object_get(blocks, "block"));
    struct qr_split_scratch scratch;
    char text[TEXT_MAX], hex[17];
    size_t i, wrong = 0;
    json_t *expected;

    if (splitter) assert_true(qr_split_scratch_init(&scratch, splitter));
    json_array_foreach(list, i, expected)
    {
        uint64_t sum = UINT64_C(0xcbf29ce484222325);
        for (json_int_t k = 0; k < block_n; k++) {
            size_t n = next_string(&seed, text);
            if (splitter) {
                assert_int_equal(qr_split(splitter, &scratch, text, n, add_piece, &sum), QUIRE_OK);
                add_number(&sum, -1);
            }
            add_ids(&sum, t, text, n, 0, -2);
            add_ids(&sum, t, text, n, QUIRE_TEXT_SPECIAL, -3);
        }
        snprintf(hex, sizeof hex, "%016llx", (unsigned long long)sum);
        if (strcmp(hex, json_string_value(expected)) != 0) {
            fprintf(stderr, "%s: strings %zu to %zu differ\n", name, i * (size_t)block_n,
                    (i + 1) * (size_t)block_n - 1);
            wrong++;
        }
    }
    if (splitter) qr_split_scratch_deinit(&scratch);
    assert_true(i >= 100);
    assert_int_equal(wrong, 0);
}

/* Goal: each split rule gives the pieces and ids of the PyPI package `tokenizers`.
 * Method: one vocabulary of Llama 3's kind with each rule. */
static void rules_cut_as_the_reference(void **state)
{
    (void)state;
    const struct quire_allocator allocator = qr_allocator((struct quire_allocator){NULL, NULL});
    struct tokenizer_file file;
    const char *name;
    json_t *list;
    size_t rules = 0;

    assert_true(tokenizer_file_open(&file, QUIRE_TEST_DATA "/llama-bpe-tokenizer.gguf"));
    json_object_foreach(json_object_get(blocks, "rules"), name, list)
    {
        struct qr_tokenizer *t;
        struct qr_splitter *splitter;
        file.source.pre = (struct quire_text){name, strlen(name)};
        const struct qr_split_rule *rule = qr_split_rule(file.source.pre);
        assert_non_null(rule);
        assert_int_equal(qr_tokenizer_create(&t, &file.source, &allocator, NULL, NULL), QUIRE_OK);
        assert_int_equal(qr_splitter_create(&splitter, rule, true, &allocator, NULL), QUIRE_OK);
        compare(name, list, t, splitter);
        qr_splitter_destroy(splitter);
        qr_tokenizer_destroy(t);
        rules++;
    }
    assert_int_equal(rules, 11);
    tokenizer_file_close(&file);
}

/* Goal: SentencePiece's ids are llama.cpp's, also with user-defined tokens.
 * Method: a trained vocabulary, and the same with user-defined tokens: words, spaces, newlines, a
 *         prefix of another, and the text of a piece. */
static void spm_ids_are_the_reference_s(void **state)
{
    (void)state;
    struct tokenizer_file file;
    char path[1024];
    const char *name;
    json_t *list;
    size_t files = 0;

    json_object_foreach(json_object_get(blocks, "spm"), name, list)
    {
        snprintf(path, sizeof path, "%s/%s", QUIRE_TEST_DATA, name);
        assert_true(tokenizer_file_open(&file, path));
        compare(name, list, file.tokenizer, NULL);
        tokenizer_file_close(&file);
        files++;
    }
    assert_int_equal(files, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_cut_as_the_reference),
        cmocka_unit_test(spm_ids_are_the_reference_s),
    };

    return cmocka_run_group_tests(tests, open_blocks, close_blocks);
}
