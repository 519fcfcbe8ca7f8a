/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>

#include "runtime/text/tokenizer.h"
#include "text/ids.h"
#include "text/out_of_memory.h"
#include "text/tiny_vocabulary.h"

static const struct quire_allocator use_malloc = {NULL, NULL};

static struct qr_tokenizer *create(const struct tiny_vocabulary *v)
{
    struct qr_tokenizer *t;
    struct quire_error error;

    if (qr_tokenizer_create(&t, &v->source, &use_malloc, NULL, &error) != QUIRE_OK) {
        fprintf(stderr, "%s\n", error.text);
        fail();
    }
    return t;
}

static void assert_refused(const struct tiny_vocabulary *v, int status, const char *what)
{
    struct qr_tokenizer *t = (struct qr_tokenizer *)&t;
    struct quire_error error;

    assert_int_equal(qr_tokenizer_create(&t, &v->source, &use_malloc, NULL, &error), status);
    assert_null(t);
    assert_int_equal(error.status, status);
    if (!strstr(error.text, what)) {
        fprintf(stderr, "\"%s\" does not say \"%s\"\n", error.text, what);
        fail();
    }
}

static int32_t id_of(const struct qr_tokenizer *t, const char *text)
{
    int32_t id = qr_tokenizer_find(t, tiny_text(text));

    assert_true(id >= 0);
    return id;
}

/* Goal: an unsupported tokenizer has its own status, and the error names it.
 * Method: another model, and none. */
static void unsupported_models_are_named(void **state)
{
    (void)state;
    struct tiny_vocabulary v;

    tiny_vocabulary_init(&v, "qwen2");
    v.source.model = tiny_text("bert");
    assert_refused(&v, QUIRE_NO_TOKENIZER, "\"bert\"");
    v.source.model = (struct quire_text){NULL, 0};
    assert_refused(&v, QUIRE_NO_TOKENIZER, "no tokenizer.ggml.model");
}

/* Goal: an unknown pre-tokenizer is a warning that names it, and text is split by "default"; a
 *       known one gives no warning.
 * Method: both, and a file without the key; a text that the rules split differently. */
static void unknown_pre_tokenizers_are_warned_of(void **state)
{
    (void)state;
    static const char *const pres[] = {"no-such-pre", "", "gpt-2", "default"};
    struct tiny_vocabulary v;
    struct quire_error error;
    struct qr_tokenizer *t;

    for (int i = 0; i < 4; i++) {
        struct qr_warnings warnings = {.n = 0};
        tiny_vocabulary_init(&v, pres[i]);
        v.merges[v.source.merges_n++] = tiny_text("1 2");
        tiny_add(&v, "!a", QR_TOKEN_NORMAL);
        v.merges[v.source.merges_n++] = tiny_text("! a");
        assert_int_equal(qr_tokenizer_create(&t, &v.source, &use_malloc, &warnings, &error),
                         QUIRE_OK);
        assert_int_equal(warnings.n, i < 2);
        if (i == 0) assert_non_null(strstr(warnings.texts[0], "\"no-such-pre\""));
        if (i < 2) assert_non_null(strstr(warnings.texts[0], "\"default\""));
        assert_string_equal(qr_tokenizer_split_name(t), i == 2 ? "gpt-2" : "default");
        if (i == 2)
            ASSERT_IDS(t, "1212", 0, id_of(t, "12"), id_of(t, "12"));
        else
            ASSERT_IDS(t, "1212", 0, id_of(t, "12"), '1', '2'); /* three digits, then one */
        qr_tokenizer_destroy(t);
    }
}

/* Goal: the error about a malformed file names the key and the item.
 * Method: one fault at a time. */
static void broken_vocabularies_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *merge, *what;
    } merges[] = {
        {"ab", "must be two tokens"}, {"", "must be two tokens"}, {"a ", "must be two tokens"},
        {" b", "must be two tokens"}, {"a zz", "names or makes"}, {"zz a", "names or makes"},
        {"b a", "names or makes"},    {"a  b", "names or makes"},
    };
    struct tiny_vocabulary v;

    for (size_t i = 0; i < sizeof merges / sizeof merges[0]; i++) {
        tiny_vocabulary_init(&v, "gpt-2");
        v.merges[3] = tiny_text(merges[i].merge);
        assert_refused(&v, QUIRE_BAD_FILE, merges[i].what);
        assert_refused(&v, QUIRE_BAD_FILE, "merge 3 ");
    }
    tiny_vocabulary_init(&v, "gpt-2");
    v.source.eos_id = (int32_t)v.source.tokens_n;
    assert_refused(&v, QUIRE_BAD_FILE, "eos_token_id");
    v.source.eos_id = -1;
    v.source.bos_id = INT32_MAX;
    assert_refused(&v, QUIRE_BAD_FILE, "bos_token_id");
    tiny_vocabulary_init(&v, "gpt-2");
    v.kinds[7] = 7;
    assert_refused(&v, QUIRE_BAD_FILE, "token 7 ");
    tiny_vocabulary_init(&v, "gpt-2");
    v.tokens[9].n = (size_t)1 << 40;
    assert_refused(&v, QUIRE_BAD_FILE, "token 9 ");
    tiny_vocabulary_init(&v, "gpt-2");
    v.source.tokens_n = 0;
    v.source.bos_id = v.source.eos_id = -1;
    assert_refused(&v, QUIRE_BAD_FILE, "tokenizer.ggml.tokens is empty");
    v.source.tokens_n = UINT32_MAX;
    assert_refused(&v, QUIRE_UNSUPPORTED, "tokens");
}

/* Goal: empty tokens are never found and decode to nothing; of two tokens with one text the last
 *       counts; of two merges of one pair the first counts.
 * Method: a vocabulary with all three. */
static void doubles_and_empty_texts_have_rules(void **state)
{
    (void)state;
    struct tiny_vocabulary v;
    char text[8];
    size_t n;

    tiny_vocabulary_init(&v, "gpt-2");
    int32_t empty = tiny_add(&v, "", QR_TOKEN_NORMAL);
    int32_t twin = tiny_add(&v, "b", QR_TOKEN_NORMAL);
    tiny_add(&v, "", QR_TOKEN_CONTROL);
    v.merges[v.source.merges_n++] = tiny_text("a b");
    struct qr_tokenizer *t = create(&v);
    ASSERT_IDS(t, "b", QUIRE_TEXT_SPECIAL, twin);
    ASSERT_IDS(t, "abc", 0, id_of(t, "abc"));
    assert_int_equal(qr_tokenizer_find(t, tiny_text("")), -1);
    assert_int_equal(qr_tokenizer_decode(t, &empty, 1, 0, text, sizeof text, &n), QUIRE_OK);
    assert_int_equal(n, 0);
    qr_tokenizer_destroy(t);
}

/* Goal: a byte whose letter is not a token is left out, and the symbols around it do not merge.
 * Method: remove the letter of 0x04, which SmolLM2's vocabulary lacks. */
static void bytes_without_a_letter_are_left_out(void **state)
{
    (void)state;
    struct tiny_vocabulary v;

    tiny_vocabulary_init(&v, "gpt-2");
    v.tokens[4] = tiny_text("no letter");
    struct qr_tokenizer *t = create(&v);
    ASSERT_IDS(t, "\x05\x04\x05", 0, 5, 5);
    assert_int_equal(qr_tokenizer_find(t, tiny_text("Ą")), -1);
    char text[100];
    int32_t ids[100];
    size_t n;
    memset(text, 4, sizeof text); /* a long piece uses the queue */
    assert_int_equal(qr_tokenizer_encode(t, text, sizeof text, 0, ids, 100, &n), QUIRE_OK);
    assert_int_equal(n, 0);
    qr_tokenizer_destroy(t);
}

/* Goal: control tokens are text unless requested; user-defined tokens are always tokens; the
 *       longest match counts; normal text never makes a control token.
 * Method: each, with the flag and without it. */
static void special_tokens_are_recognised_on_request(void **state)
{
    (void)state;
    struct tiny_vocabulary v;

    tiny_vocabulary_init(&v, "gpt-2");
    struct qr_tokenizer *t = create(&v);
    ASSERT_IDS(t, "a<s>b", QUIRE_TEXT_SPECIAL, 'a', tiny_bos, 'b');
    ASSERT_IDS(t, "a<s>b", 0, 'a', '<', 's', '>', 'b');
    ASSERT_IDS(t, "ab<tool>ab", 0, id_of(t, "ab"), id_of(t, "<tool>"), id_of(t, "ab"));
    ASSERT_IDS(t, "<tool> <tool>", 0, id_of(t, "<tool> <tool>"));
    ASSERT_IDS(t, "<tool> <tool", 0, id_of(t, "<tool>"), 0x20, '<', 't', 'o', 'o', 'l');
    ASSERT_IDS(t, "<unk>", QUIRE_TEXT_SPECIAL, id_of(t, "<unk>"));
    ASSERT_IDS(t, "<unk>", 0, '<', 'u', 'n', 'k', '>');
    ASSERT_IDS(t, "[PAD]", QUIRE_TEXT_SPECIAL, '[', 'P', 'A', 'D', ']');
    ASSERT_IDS(t, "<s>", QUIRE_TEXT_SPECIAL, tiny_bos);
    qr_tokenizer_destroy(t);

    tiny_vocabulary_init(&v, "llama-bpe");
    tiny_add(&v, "END", QR_TOKEN_CONTROL);
    int32_t word = tiny_add(&v, "WORD", QR_TOKEN_NORMAL);
    t = create(&v);
    ASSERT_IDS(t, "END", 0, 'E', 'N', 'D');
    ASSERT_IDS(t, "WORD", 0, word); /* a piece that is a token is not merged */
    ASSERT_IDS(t, "WORDS", 0, 'W', 'O', 'R', 'D', 'S');
    qr_tokenizer_destroy(t);
}

/* Goal: BOS is added once if the model and the caller ask for it.
 * Method: the file says yes, no, nothing; each default; no BOS id; a text that begins with it. */
static void bos_comes_once(void **state)
{
    (void)state;
    static const struct {
        const char *pre;
        int add_bos;
        bool adds;
    } cases[] = {{"gpt-2", -1, false},    {"gpt-2", 1, true},      {"gpt-2", 0, false},
                 {"llama-bpe", -1, true}, {"llama-bpe", 0, false}, {"smollm", -1, false}};
    const unsigned both = QUIRE_TEXT_BOS | QUIRE_TEXT_SPECIAL;
    struct tiny_vocabulary v;
    struct qr_tokenizer *t;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tiny_vocabulary_init(&v, cases[i].pre);
        v.source.add_bos = cases[i].add_bos;
        t = create(&v);
        assert_int_equal(qr_tokenizer_adds_bos(t), cases[i].adds);
        qr_tokenizer_destroy(t);
    }
    tiny_vocabulary_init(&v, "gpt-2");
    v.source.add_bos = 1;
    t = create(&v);
    ASSERT_IDS(t, "", QUIRE_TEXT_BOS, tiny_bos);
    ASSERT_IDS(t, "x", QUIRE_TEXT_BOS, tiny_bos, 'x');
    ASSERT_IDS(t, "x", 0, 'x');
    ASSERT_IDS(t, "<s>x", both, tiny_bos, 'x');
    ASSERT_IDS(t, "<s>", both, tiny_bos);
    ASSERT_IDS(t, "x<s>", both, tiny_bos, 'x', tiny_bos);
    ASSERT_IDS(t, "<s><s>", both, tiny_bos, tiny_bos);
    ASSERT_IDS(t, "</s>", both, tiny_bos, tiny_eos);
    ASSERT_IDS(t, "<s>", QUIRE_TEXT_BOS, tiny_bos, '<', 's', '>');
    qr_tokenizer_destroy(t);
    v.source.bos_id = -1;
    t = create(&v);
    assert_false(qr_tokenizer_adds_bos(t));
    ASSERT_IDS(t, "x", QUIRE_TEXT_BOS, 'x');
    qr_tokenizer_destroy(t);
}

/* Goal: EOS is added once at the end if the model and the caller ask for it.
 * Method: the file says yes, no, nothing; a text that ends with it; no EOS id. */
static void eos_comes_once(void **state)
{
    (void)state;
    const unsigned both = QUIRE_TEXT_EOS | QUIRE_TEXT_SPECIAL;
    struct tiny_vocabulary v;

    for (int says = -1; says <= 0; says++) {
        tiny_vocabulary_init(&v, "gpt-2");
        v.source.add_eos = says;
        struct qr_tokenizer *t = create(&v);
        assert_false(qr_tokenizer_adds_eos(t));
        ASSERT_IDS(t, "x", QUIRE_TEXT_EOS, 'x');
        qr_tokenizer_destroy(t);
    }
    v.source.add_eos = 1;
    v.source.add_bos = 1;
    struct qr_tokenizer *t = create(&v);
    assert_true(qr_tokenizer_adds_eos(t));
    ASSERT_IDS(t, "", QUIRE_TEXT_EOS, tiny_eos);
    ASSERT_IDS(t, "x", QUIRE_TEXT_EOS | QUIRE_TEXT_BOS, tiny_bos, 'x', tiny_eos);
    ASSERT_IDS(t, "x", 0, 'x');
    ASSERT_IDS(t, "x</s>", both, 'x', tiny_eos);
    ASSERT_IDS(t, "</s>x", both, tiny_eos, 'x', tiny_eos);
    ASSERT_IDS(t, "</s>", QUIRE_TEXT_EOS, '<', '/', 's', '>', tiny_eos);
    qr_tokenizer_destroy(t);
    v.source.eos_id = -1;
    t = create(&v);
    assert_false(qr_tokenizer_adds_eos(t));
    qr_tokenizer_destroy(t);
}

/* Goal: generation ends at the file's eos, eot and eom and at control or user-defined tokens with a
 *       well-known name; not at a normal token of such a name or an id out of range.
 * Method: all of them in one vocabulary. */
static void ends_are_the_file_s_and_the_known(void **state)
{
    (void)state;
    struct tiny_vocabulary v;

    tiny_vocabulary_init(&v, "gpt-2");
    int32_t user = tiny_add(&v, "<|eot_id|>", QR_TOKEN_USER);
    int32_t normal = tiny_add(&v, "<|endoftext|>", QR_TOKEN_NORMAL);
    v.source.eot_id = 'T';
    v.source.eom_id = 'M';
    struct qr_tokenizer *t = create(&v);
    assert_true(qr_tokenizer_is_end(t, tiny_eos));
    assert_true(qr_tokenizer_is_end(t, 'T'));
    assert_true(qr_tokenizer_is_end(t, 'M'));
    assert_true(qr_tokenizer_is_end(t, id_of(t, "<|im_end|>")));
    assert_true(qr_tokenizer_is_end(t, user));
    assert_false(qr_tokenizer_is_end(t, normal));
    assert_false(qr_tokenizer_is_end(t, tiny_bos));
    assert_false(qr_tokenizer_is_end(t, -1));
    assert_false(qr_tokenizer_is_end(t, (int32_t)qr_tokenizer_vocab_n(t)));
    qr_tokenizer_destroy(t);
}

/* Goal: <|end|> ends the text, but not where <|call|> and <|return|> do, as in gpt-oss: there it
 * ends one message of several, unless the file names it. Method: a vocabulary without the two, with
 * them, and with <|end|> as the file's eot. */
static void end_ends_a_message_in_gpt_oss(void **state)
{
    (void)state;

    for (int round = 0; round < 3; round++) {
        struct tiny_vocabulary v;
        tiny_vocabulary_init(&v, "gpt-2");
        int32_t end = tiny_add(&v, "<|end|>", QR_TOKEN_CONTROL);
        if (round) {
            (void)tiny_add(&v, "<|call|>", QR_TOKEN_CONTROL);
            (void)tiny_add(&v, "<|return|>", QR_TOKEN_CONTROL);
        }
        if (round == 2) v.source.eot_id = end;
        struct qr_tokenizer *t = create(&v);
        assert_int_equal(qr_tokenizer_is_end(t, end), round != 1);
        if (round) assert_true(qr_tokenizer_is_end(t, id_of(t, "<|call|>")));
        qr_tokenizer_destroy(t);
    }
}

/* Goal: decoding gives the bytes, hides control tokens unless requested, shows user-defined tokens,
 *       and passes characters that are not letters.
 * Method: one token of each kind. */
static void decoding_knows_each_kind(void **state)
{
    (void)state;
    struct tiny_vocabulary v;
    char text[64];
    size_t n;

    tiny_vocabulary_init(&v, "gpt-2");
    int32_t foreign = tiny_add(&v, "中Ġ", QR_TOKEN_NORMAL);
    int32_t broken = tiny_add(&v, "\xff", QR_TOKEN_NORMAL);
    int32_t literal = tiny_add(&v, "Ġ!", QR_TOKEN_USER);
    struct qr_tokenizer *t = create(&v);
    const int32_t ids[] = {0xff, 0, tiny_bos, foreign, id_of(t, "[PAD]"), literal, broken, 0x20};
    static const char plain[] = "\xff\0中 Ġ!\xff ", shown[] = "\xff\0<s>中 [PAD]Ġ!\xff ";

    assert_int_equal(qr_tokenizer_decode(t, ids, 8, 0, text, sizeof text, &n), QUIRE_OK);
    assert_int_equal(n, sizeof plain - 1);
    assert_memory_equal(text, plain, n);
    assert_int_equal(qr_tokenizer_decode(t, ids, 8, QUIRE_TEXT_SPECIAL, text, sizeof text, &n),
                     QUIRE_OK);
    assert_int_equal(n, sizeof shown - 1);
    assert_memory_equal(text, shown, n);
    assert_int_equal(qr_tokenizer_token_bytes_max(t), strlen("<tool> <tool>"));
    qr_tokenizer_destroy(t);
}

/* Goal: the needed size is returned, nothing is written past the capacity, and ids out of range are
 *       refused.
 * Method: every capacity below the needed one, with a guard after it. */
static void sizes_are_told(void **state)
{
    (void)state;
    struct tiny_vocabulary v;
    const int32_t ids[] = {'x', 'y', 'z'};
    int32_t out[4];
    char text[4];
    size_t n;

    tiny_vocabulary_init(&v, "gpt-2");
    struct qr_tokenizer *t = create(&v);
    for (size_t capacity = 0; capacity < 3; capacity++) {
        memset(out, 0x55, sizeof out);
        memset(text, '#', sizeof text);
        assert_int_equal(qr_tokenizer_encode(t, "xyz", 3, 0, out, capacity, &n),
                         QUIRE_BUFFER_SMALL);
        assert_int_equal(n, 3);
        assert_int_equal(out[capacity], 0x55555555);
        assert_int_equal(qr_tokenizer_decode(t, ids, 3, 0, text, capacity, &n), QUIRE_BUFFER_SMALL);
        assert_int_equal(n, 3);
        assert_int_equal(text[capacity], '#');
    }
    assert_int_equal(qr_tokenizer_encode(t, "xyz", 3, 0, NULL, 0, &n), QUIRE_BUFFER_SMALL);
    assert_int_equal(n, 3);
    assert_int_equal(qr_tokenizer_decode(t, ids, 3, 0, NULL, 0, &n), QUIRE_BUFFER_SMALL);
    assert_int_equal(qr_tokenizer_encode(t, NULL, 0, 0, NULL, 0, &n), QUIRE_OK);
    assert_int_equal(n, 0);
    const int32_t outside[] = {'x', (int32_t)qr_tokenizer_vocab_n(t)}, negative[] = {-1};
    assert_int_equal(qr_tokenizer_decode(t, outside, 2, 0, text, 4, &n), QUIRE_INVALID);
    assert_int_equal(qr_tokenizer_decode(t, negative, 1, 0, text, 4, &n), QUIRE_INVALID);
    qr_tokenizer_destroy(t);
}

/* Goal: each failed allocation is an error and leaks nothing.
 * Method: fail one allocation a run, in creation and encoding; the text needs every kind of memory:
 *         invalid UTF-8, composing, a surrogate half, a long piece. */
static void every_failed_allocation_is_an_error(void **state)
{
    (void)state;
    struct tiny_vocabulary v;
    char text[200];

    tiny_vocabulary_init(&v, "qwen2");
    memset(text, 'a', sizeof text);
    memcpy(text, "\xff\xed\xa0\x80", 4);
    every_allocation_may_fail(&v.source, text, sizeof text, 5, 6);
}

/* Goal: `qwen2` composes each part between special tokens; other rules keep the bytes.
 * Method: a letter and its mark; a mark after a special token, which must not join the token's last
 *         character; a surrogate half among marks. */
static void text_is_composed_where_the_rule_says(void **state)
{
    (void)state;
    struct tiny_vocabulary v;
    struct quire_error error;
    struct qr_tokenizer *t;

    tiny_vocabulary_init(&v, "gpt-2");
    assert_int_equal(qr_tokenizer_create(&t, &v.source, &use_malloc, NULL, &error), QUIRE_OK);
    ASSERT_IDS(t, "e\xcc\x81", 0, 'e', 0xcc, 0x81);
    qr_tokenizer_destroy(t);
    tiny_vocabulary_init(&v, "qwen2");
    assert_int_equal(qr_tokenizer_create(&t, &v.source, &use_malloc, NULL, &error), QUIRE_OK);
    ASSERT_IDS(t, "e\xcc\x81", 0, id_of(t, "Ã©"));
    ASSERT_IDS(t, "<|im_end|>\xcc\xb8", QUIRE_TEXT_SPECIAL, id_of(t, "<|im_end|>"), 0xcc, 0xb8);
    ASSERT_IDS(t, ">\xcc\xb8", 0, 0xe2, 0x89, 0xaf);
    ASSERT_IDS(t, "e\xcc\x81\xed\xa0\x80\xff", 0, id_of(t, "Ã©"), 0xed, 0xa0, 0x80, 0xef, 0xbf,
               0xbd);
    qr_tokenizer_destroy(t);
}

/* The text that all threads encode, and its ids. */
struct shared {
    const struct qr_tokenizer *t;
    const char *text;
    size_t text_n;
    int32_t *ids;
    size_t ids_n;
    int wrong; /* threads that got other ids */
};

static void *encode_again(void *context)
{
    struct shared *s = context;
    int32_t *ids = malloc((s->text_n + 1) * sizeof *ids);
    bool same = true;
    size_t n;

    for (int i = 0; i < 20; i++) {
        int status = qr_tokenizer_encode(s->t, s->text, s->text_n, QUIRE_TEXT_SPECIAL, ids,
                                         s->text_n + 1, &n);
        same = same && status == QUIRE_OK && n == s->ids_n &&
               memcmp(ids, s->ids, n * sizeof *ids) == 0;
    }
    free(ids);
    if (!same) __atomic_fetch_add(&s->wrong, 1, __ATOMIC_RELAXED);
    return NULL;
}

/* Goal: threads may use one tokenizer at the same time.
 * Method: four threads encode a text with long and short pieces; all get the ids of a single one.
 */
static void threads_share_a_tokenizer(void **state)
{
    (void)state;
    struct tiny_vocabulary v;
    pthread_t threads[4];
    char text[20000];

    tiny_vocabulary_init(&v, "llama-bpe");
    struct qr_tokenizer *t = create(&v);
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = "abc ab<s>1\n"[i % 11];
    memset(text + 5000, 'a', 5000);
    int32_t *ids = malloc((sizeof text + 1) * sizeof *ids);
    struct shared s = {.t = t, .text = text, .text_n = sizeof text, .ids = ids};
    assert_int_equal(qr_tokenizer_encode(t, text, sizeof text, QUIRE_TEXT_SPECIAL, ids,
                                         sizeof text + 1, &s.ids_n),
                     QUIRE_OK);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, encode_again, &s), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(s.wrong, 0);
    free(ids);
    qr_tokenizer_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unsupported_models_are_named),
        cmocka_unit_test(unknown_pre_tokenizers_are_warned_of),
        cmocka_unit_test(broken_vocabularies_are_refused),
        cmocka_unit_test(doubles_and_empty_texts_have_rules),
        cmocka_unit_test(bytes_without_a_letter_are_left_out),
        cmocka_unit_test(special_tokens_are_recognised_on_request),
        cmocka_unit_test(bos_comes_once),
        cmocka_unit_test(eos_comes_once),
        cmocka_unit_test(ends_are_the_file_s_and_the_known),
        cmocka_unit_test(end_ends_a_message_in_gpt_oss),
        cmocka_unit_test(decoding_knows_each_kind),
        cmocka_unit_test(sizes_are_told),
        cmocka_unit_test(every_failed_allocation_is_an_error),
        cmocka_unit_test(text_is_composed_where_the_rule_says),
        cmocka_unit_test(threads_share_a_tokenizer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
