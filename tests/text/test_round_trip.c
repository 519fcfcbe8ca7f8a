/* SPDX-License-Identifier: MIT */
/* Properties of every text: encoding and decoding, streaming, long inputs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/base/memory.h"
#include "runtime/text/compose.h"
#include "runtime/text/utf8.h"
#include "text/tiny_vocabulary.h"
#include "text/tokenizer_file.h"

#define TEXT_MAX 512

enum which { TINY, QWEN2, GPT2, SPM, SMOLLM2, WHICH_N };
static struct tiny_vocabulary tiny, qwen2;
static struct tokenizer_file files[WHICH_N]; /* TINY and QWEN2: only the tokenizer is set */
static int rounds = 12000;                   /* QUIRE_TEXT_ROUNDS overrides it */

static int open_files(void **state)
{
    (void)state;
    const char *smollm2 = tokenizer_file_smollm2();

    if (getenv("QUIRE_TEXT_ROUNDS")) rounds = atoi(getenv("QUIRE_TEXT_ROUNDS"));
    tiny_vocabulary_init(&tiny, "llama-bpe");
    const struct quire_allocator allocator = {NULL, NULL};
    if (qr_tokenizer_create(&files[TINY].tokenizer, &tiny.source, &allocator, NULL, NULL))
        return -1;
    tiny_vocabulary_init(&qwen2, "qwen2");
    if (qr_tokenizer_create(&files[QWEN2].tokenizer, &qwen2.source, &allocator, NULL, NULL))
        return -1;
    if (!tokenizer_file_open(&files[GPT2], QUIRE_TEST_DATA "/gpt2-tiny-tokenizer.gguf")) return -1;
    if (!tokenizer_file_open(&files[SPM], QUIRE_TEST_DATA "/llama-tiny.q8_0.gguf")) return -1;
    return smollm2 && !tokenizer_file_open(&files[SMOLLM2], smollm2) ? -1 : 0;
}

static int close_files(void **state)
{
    (void)state;
    qr_tokenizer_destroy(files[TINY].tokenizer);
    qr_tokenizer_destroy(files[QWEN2].tokenizer);
    tokenizer_file_close(&files[GPT2]);
    tokenizer_file_close(&files[SPM]);
    tokenizer_file_close(&files[SMOLLM2]);
    return 0;
}

static const struct qr_tokenizer *wanted(void **state)
{
    const struct qr_tokenizer *t = files[(uintptr_t)*state].tokenizer;

    if (!t) skip();
    return t;
}

static uint32_t next_random(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*seed >> 33);
}

static bool is_spm(const struct qr_tokenizer *t)
{
    return t == files[SPM].tokenizer;
}

/* The text that decoding must give: composed if the tokenizer composes. */
static size_t as_read(const struct qr_tokenizer *t, char *text, size_t n, size_t room)
{
    const struct quire_allocator allocator = qr_allocator((struct quire_allocator){NULL, NULL});
    size_t composed_n;
    char *composed;

    if (t != files[QWEN2].tokenizer) return n;
    assert_true(qr_compose(text, n, &allocator, &composed, &composed_n));
    assert_true(composed_n <= room);
    memcpy(text, composed, composed_n);
    free(composed);
    return composed_n;
}

/* The token of a single byte, or -1. */
static int32_t byte_id(const struct qr_tokenizer *t, uint8_t byte)
{
    char text[8];
    size_t n = qr_vocabulary_letter(byte, text);

    if (is_spm(t)) n = (size_t)snprintf(text, sizeof text, "<0x%02X>", byte);
    return qr_tokenizer_find(t, (struct quire_text){text, n});
}

/* A random character: a common one, ASCII, below U+3000, or of any plane. */
static size_t random_character(uint64_t *seed, char *out)
{
    static const char common[] = "  \n\t'sdab019<|>_";
    uint32_t code, kind = next_random(seed) % 4;

    if (kind == 0) {
        *out = common[next_random(seed) % (sizeof common - 1)];
        return 1;
    }
    if (kind == 1) {
        *out = (char)(next_random(seed) % 128);
        return 1;
    }
    code = next_random(seed) % (kind == 2 ? 0x3000 : 0x110000);
    if ((code >= 0xd800 && code < 0xe000) || code == 0x2581) code = 0xfffd; /* not U+2581 */
    if (code < 0x80) {
        *out = (char)code;
        return 1;
    }
    size_t n = code < 0x800 ? 2 : (code < 0x10000 ? 3 : 4);
    for (size_t i = n - 1; i > 0; i--, code >>= 6)
        out[i] = (char)(0x80 | (code & 63));
    out[0] = (char)((0xf00 >> n & 0xff) | code); /* 110, 1110, 11110 in front */
    return n;
}

/* True if every byte of a character has a token; SmolLM2's vocabulary lacks some. */
static bool has_bytes(const struct qr_tokenizer *t, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (byte_id(t, (uint8_t)text[i]) < 0) return false;
    return true;
}

/* Goal: a valid text comes back, with special tokens and without, and has at most one id a byte.
 *       SentencePiece adds spaces after special tokens, so it is tested without these; its leading
 *       space may be one id more.
 * Method: random strings of all planes with texts of special tokens.  If the tokenizer composes,
 * the text and its composed form must give the same ids. */
static void valid_text_comes_back(void **state)
{
    const struct qr_tokenizer *t = wanted(state);
    uint64_t seed = 1;

    for (int round = 0; round < rounds; round++) {
        char text[TEXT_MAX], back[TEXT_MAX];
        int32_t ids[TEXT_MAX], given_ids[TEXT_MAX];
        size_t n = 0, ids_n, given_n, back_n, target = next_random(&seed) % 60;
        while (n < target) {
            size_t added = random_character(&seed, text + n);
            if (has_bytes(t, text + n, added)) n += added;
            if (next_random(&seed) % 40 == 0) {
                memcpy(text + n, "<|im_end|>", 10);
                n += 10;
            }
        }
        assert_int_equal(qr_utf8_valid(text, n), n);
        unsigned flags = round % 2 && !is_spm(t) ? QUIRE_TEXT_SPECIAL : 0;
        assert_int_equal(qr_tokenizer_encode(t, text, n, 0, given_ids, TEXT_MAX, &given_n),
                         QUIRE_OK);
        n = as_read(t, text, n, TEXT_MAX);
        assert_int_equal(qr_tokenizer_encode(t, text, n, 0, ids, TEXT_MAX, &ids_n), QUIRE_OK);
        assert_int_equal(ids_n, given_n);
        assert_memory_equal(ids, given_ids, ids_n * sizeof ids[0]);
        assert_int_equal(qr_tokenizer_encode(t, text, n, flags, ids, TEXT_MAX, &ids_n), QUIRE_OK);
        assert_true(ids_n <= n + is_spm(t));
        assert_int_equal(qr_tokenizer_decode(t, ids, ids_n, QUIRE_TEXT_SPECIAL | QUIRE_TEXT_BEGIN,
                                             back, TEXT_MAX, &back_n),
                         QUIRE_OK);
        assert_int_equal(back_n, n);
        assert_memory_equal(back, text, n);
    }
}

/* Goal: invalid UTF-8 decodes to the repaired text, by SentencePiece to the same bytes, and that
 *       text encodes to the same ids.
 * Method: random bytes, mostly leads and tails. */
static void any_bytes_can_be_encoded(void **state)
{
    const struct qr_tokenizer *t = wanted(state);
    uint64_t seed = 2;

    for (int round = 0; round < rounds; round++) {
        char text[64], repaired[3 * 64], subject[3 * 64], back[3 * 64];
        int32_t ids[3 * 64], again[3 * 64];
        size_t n = next_random(&seed) % sizeof text, ids_n, back_n, again_n;
        for (size_t i = 0; i < n;) {
            text[i] = (char)(next_random(&seed) % 4 ? 0x80 + next_random(&seed) % 128 : 'a');
            i += has_bytes(t, text + i, 1);
        }
        size_t repaired_n = qr_utf8_repaired_n(text, n);
        qr_utf8_repair(text, n, repaired, subject);
        repaired_n = as_read(t, repaired, repaired_n, sizeof repaired);
        if (is_spm(t)) {
            memcpy(repaired, text, n);
            repaired_n = n;
        }
        assert_int_equal(qr_tokenizer_encode(t, text, n, 0, ids, 3 * 64, &ids_n), QUIRE_OK);
        assert_true(ids_n <= 3 * n);
        assert_int_equal(
            qr_tokenizer_decode(t, ids, ids_n, QUIRE_TEXT_BEGIN, back, sizeof back, &back_n),
            QUIRE_OK);
        assert_int_equal(back_n, repaired_n);
        assert_memory_equal(back, repaired, back_n);
        assert_int_equal(qr_tokenizer_encode(t, back, back_n, 0, again, 3 * 64, &again_n),
                         QUIRE_OK);
        assert_int_equal(again_n, ids_n);
        assert_memory_equal(again, ids, ids_n * sizeof ids[0]);
    }
}

/* Replaces each maximal invalid part by U+FFFD.  Written from Unicode 15, section 3.9, D93b, and
 * not from the code under test: bytes begin a character if some bytes after them complete it. */
static size_t replace_errors(const char *text, size_t n, char *out)
{
    static const char fillings[][4] = {"\x80\x80\x80", "\x90\x80\x80", "\xa0\x80\x80"};
    size_t out_n = 0;

    for (size_t at = 0; at < n;) {
        size_t valid = qr_utf8_character(text + at, n - at), longest = 1;
        if (valid) {
            memcpy(out + out_n, text + at, valid);
            out_n += valid;
            at += valid;
            continue;
        }
        for (size_t begin = 2; begin < 4 && begin <= n - at; begin++) {
            for (size_t f = 0; f < 3; f++) {
                char tried[8];
                memcpy(tried, text + at, begin);
                memcpy(tried + begin, fillings[f], 3);
                if (qr_utf8_character(tried, begin + 3) > begin) longest = begin;
            }
        }
        memcpy(out + out_n, QR_UTF8_REPLACEMENT, 3);
        out_n += 3;
        at += longest;
    }
    return out_n;
}

/* Goal: the streamed text is the tokens' bytes with errors replaced; each emission has whole
 *       characters only and fits qr_detokenizer_room.
 * Method: random ids, most of them single bytes of characters. */
static void streaming_is_decoding_with_replacement(void **state)
{
    const struct qr_tokenizer *t = wanted(state);
    size_t room = qr_detokenizer_room(t);
    char *out = malloc(room + 1);
    uint64_t seed = 3;

    for (int round = 0; round < rounds; round++) {
        int32_t ids[24];
        static char bytes[24 * 1024], expected[3 * 24 * 1024], streamed[3 * 24 * 1024];
        size_t n = next_random(&seed) % 24, bytes_n, streamed_n = 0;
        unsigned flags = round % 2 ? QUIRE_TEXT_SPECIAL : 0;
        for (size_t i = 0; i < n; i++) {
            ids[i] = byte_id(t, (uint8_t)(0x80 + next_random(&seed) % 128));
            if (ids[i] < 0 || next_random(&seed) % 5 == 0)
                ids[i] = (int32_t)(next_random(&seed) % qr_tokenizer_vocab_n(t));
        }
        assert_int_equal(qr_tokenizer_decode(t, ids, n, flags, bytes, sizeof bytes, &bytes_n),
                         QUIRE_OK);
        struct qr_detokenizer d;
        qr_detokenizer_init(&d, t, flags);
        for (size_t i = 0; i <= n; i++) {
            out[room] = '#';
            size_t got =
                i < n ? qr_detokenizer_push(&d, ids[i], out) : qr_detokenizer_flush(&d, out);
            assert_true(got <= room && out[room] == '#');
            assert_int_equal(qr_utf8_valid(out, got), got);
            memcpy(streamed + streamed_n, out, got);
            streamed_n += got;
        }
        assert_int_equal(qr_detokenizer_flush(&d, out), 0);
        size_t expected_n = replace_errors(bytes, bytes_n, expected);
        assert_int_equal(streamed_n, expected_n);
        assert_memory_equal(streamed, expected, expected_n);
    }
    free(out);
}

/* Goal: a long text without a split, and long runs, encode fast and come back.
 * Method: 300,000 letters, and runs of a million bytes of each kind. */
static void long_texts_come_back(void **state)
{
    const struct qr_tokenizer *t = wanted(state);
    static const char *const patterns[] = {"a", " ", "\n", "7", "'", "\xc3\xa9", "<|im_", " a"};
    const size_t max = 1000000, room = max + 1;
    char *text = malloc(max), *back = malloc(max);
    int32_t *ids = malloc(room * sizeof *ids);
    uint64_t seed = 4;

    for (size_t i = 0; i <= sizeof patterns / sizeof patterns[0]; i++) {
        size_t n = i ? max : 300000, ids_n, back_n;
        for (size_t k = 0; k < n; k++)
            text[k] = i ? patterns[i - 1][k % strlen(patterns[i - 1])]
                        : (char)('a' + next_random(&seed) % 26);
        assert_int_equal(qr_tokenizer_encode(t, text, n, QUIRE_TEXT_SPECIAL, ids, room, &ids_n),
                         QUIRE_OK);
        assert_int_equal(qr_tokenizer_decode(t, ids, ids_n, QUIRE_TEXT_BEGIN, back, max, &back_n),
                         QUIRE_OK);
        assert_int_equal(back_n, n);
        assert_memory_equal(back, text, n);
    }
    free(text);
    free(back);
    free(ids);
}

#define FOR(test, file)                                                                            \
    {                                                                                              \
#test "/" #file, test, NULL, NULL, (void *)(uintptr_t)file                                 \
    }
#define FOR_ALL(test)                                                                              \
    FOR(test, TINY), FOR(test, QWEN2), FOR(test, GPT2), FOR(test, SPM), FOR(test, SMOLLM2)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOR_ALL(valid_text_comes_back),
        FOR_ALL(any_bytes_can_be_encoded),
        FOR_ALL(streaming_is_decoding_with_replacement),
        FOR_ALL(long_texts_come_back),
    };

    return cmocka_run_group_tests(tests, open_files, close_files);
}
