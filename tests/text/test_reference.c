/* SPDX-License-Identifier: MIT */
/* Compares with the reference results of tests/data: tokenizers.json, chat.json, bpe_cases.json. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "runtime/template/chat.h"
#include "text/tokenizer_file.h"

#define IDS_MAX 4096

enum which { SMOLLM2, GPT2, SPM, LLAMA_BPE, FILES_N };
static const char *const names[FILES_N] = {"smollm2", "bpe-gpt2", "spm", "llama-bpe"};
static struct tokenizer_file files[FILES_N];
static json_t *cases, *chats;

static json_t *load(const char *name)
{
    char path[1024];
    json_error_t error;

    snprintf(path, sizeof path, "%s/%s", QUIRE_TEST_DATA, name);
    json_t *json = json_load_file(path, JSON_ALLOW_NUL, &error);
    if (!json) fprintf(stderr, "%s:%d: %s\n", path, error.line, error.text);
    return json;
}

static int open_files(void **state)
{
    (void)state;
    const char *smollm2 = tokenizer_file_smollm2();
    if (smollm2 && !tokenizer_file_open(&files[SMOLLM2], smollm2)) return -1;
    if (!tokenizer_file_open(&files[GPT2], QUIRE_TEST_DATA "/gpt2-tiny-tokenizer.gguf")) return -1;
    if (!tokenizer_file_open(&files[SPM], QUIRE_TEST_DATA "/llama-tiny.q8_0.gguf")) return -1;
    if (!tokenizer_file_open(&files[LLAMA_BPE], QUIRE_TEST_DATA "/llama-bpe-tokenizer.gguf"))
        return -1;
    cases = load("tokenizers.json");
    chats = load("chat.json");
    return cases && chats ? 0 : -1;
}

static int close_files(void **state)
{
    (void)state;
    for (int i = 0; i < FILES_N; i++)
        tokenizer_file_close(&files[i]);
    json_decref(cases);
    json_decref(chats);
    return 0;
}

/* The tokenizer that *state names; skips the test if its file is missing. */
static const struct qr_tokenizer *wanted(void **state)
{
    const struct tokenizer_file *file = &files[(uintptr_t)*state];

    if (!file->tokenizer) skip();
    return file->tokenizer;
}

static void assert_ids(const struct qr_tokenizer *t, const char *text, size_t n, unsigned flags,
                       const json_t *expected)
{
    int32_t ids[IDS_MAX];
    size_t ids_n;

    assert_int_equal(qr_tokenizer_encode(t, text, n, flags, ids, IDS_MAX, &ids_n), QUIRE_OK);
    bool same = ids_n == json_array_size(expected);
    for (size_t i = 0; same && i < ids_n; i++)
        same = ids[i] == json_integer_value(json_array_get(expected, i));
    if (same) return;
    char *dump = json_dumps(expected, 0);
    fprintf(stderr, "text \"%.*s\" (flags %u): expected %s, got", (int)n, text, flags, dump);
    for (size_t i = 0; i < ids_n; i++)
        fprintf(stderr, " %d", (int)ids[i]);
    fprintf(stderr, "\n");
    free(dump);
    fail();
}

static void assert_text(const struct qr_tokenizer *t, const json_t *ids, unsigned flags,
                        const char *expected, size_t expected_n)
{
    int32_t list[IDS_MAX];
    char text[IDS_MAX * 4];
    size_t n = json_array_size(ids), text_n;

    for (size_t i = 0; i < n; i++)
        list[i] = (int32_t)json_integer_value(json_array_get(ids, i));
    flags |= QUIRE_TEXT_SPECIAL;
    assert_int_equal(qr_tokenizer_decode(t, list, n, flags, text, sizeof text, &text_n), QUIRE_OK);
    assert_int_equal(text_n, expected_n);
    assert_memory_equal(text, expected, expected_n);
}

static size_t from_hex(const char *hex, char *out)
{
    size_t n = strlen(hex) / 2;

    for (size_t i = 0; i < n; i++) {
        unsigned byte;
        sscanf(hex + 2 * i, "%2x", &byte);
        out[i] = (char)byte;
    }
    return n;
}

/* The text that a string's ids decode to: the string; SentencePiece turns U+2581 into a space. */
static size_t expected_text(const json_t *s, bool spm, char *out)
{
    const char *text = json_string_value(s);
    size_t n = json_string_length(s), out_n = 0;

    assert_true(n <= 1024);
    for (size_t i = 0; i < n; i++) {
        bool mark = spm && n - i >= 3 && memcmp(text + i, "\xe2\x96\x81", 3) == 0;
        out[out_n++] = mark ? ' ' : text[i];
        if (mark) i += 2;
    }
    return out_n;
}

/* Goal: every string gives the reference's ids, as plain text and with special tokens, and its ids
 *       decode to the string.
 * Method: all strings of tokenizers.json; sp_ids are the ids with special tokens if they differ. */
static void strings_have_the_reference_ids(void **state)
{
    const struct qr_tokenizer *t = wanted(state);
    size_t i, checked = 0;
    json_t *one;

    json_array_foreach(json_object_get(cases, "strings"), i, one)
    {
        const json_t *s = json_object_get(one, "s");
        const json_t *answer = json_object_get(one, names[(uintptr_t)*state]);
        const json_t *ids = json_object_get(answer, "ids");
        const json_t *sp_ids = json_object_get(answer, "sp_ids");
        assert_non_null(ids);
        assert_ids(t, json_string_value(s), json_string_length(s), 0, ids);
        assert_ids(t, json_string_value(s), json_string_length(s), QUIRE_TEXT_SPECIAL,
                   sp_ids ? sp_ids : ids);
        char text[1024];
        size_t text_n = expected_text(s, (uintptr_t)*state == SPM, text);
        assert_text(t, ids, QUIRE_TEXT_BEGIN, text, text_n);
        checked++;
    }
    assert_int_equal(checked, 165);
}

/* Goal: invalid UTF-8 gives the reference's ids.
 * Method: all cases of invalid_utf8; the one that the reference refused is four invalid bytes. */
static void invalid_utf8_has_the_reference_ids(void **state)
{
    const struct qr_tokenizer *t = wanted(state);
    char bytes[256], pieces[256];
    size_t i;
    json_t *one;

    json_array_foreach(json_object_get(cases, "invalid_utf8"), i, one)
    {
        size_t n = from_hex(json_string_value(json_object_get(one, "hex")), bytes);
        const json_t *answer = json_object_get(one, names[(uintptr_t)*state]);
        const json_t *ids = json_object_get(answer, "ids");
        if (!ids) {
            int32_t got[64], expected[64];
            size_t got_n, expected_n;
            static const char four[] = "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd";
            assert_int_equal(n, 4);
            assert_int_equal(qr_tokenizer_encode(t, bytes, n, 0, got, 64, &got_n), QUIRE_OK);
            assert_int_equal(qr_tokenizer_encode(t, four, 12, 0, expected, 64, &expected_n),
                             QUIRE_OK);
            assert_int_equal(got_n, expected_n);
            assert_memory_equal(got, expected, got_n * sizeof got[0]);
            continue;
        }
        assert_ids(t, bytes, n, 0, ids);
        n = from_hex(json_string_value(json_object_get(answer, "pieces_hex")), pieces);
        assert_text(t, ids, 0, pieces, n);
    }
    assert_int_equal(i, 10);
}

/* Goal: streaming emits the reference's text after each token.
 * Method: all streaming cases: the ids, each token's bytes, each emission. */
static void streaming_emits_whole_characters(void **state)
{
    const struct qr_tokenizer *t = wanted(state);
    char *out = malloc(qr_detokenizer_room(t)), piece[256];
    size_t i, j, checked = 0;
    json_t *one, *id;

    json_array_foreach(json_object_get(cases, "streaming"), i, one)
    {
        const char *name = json_string_value(json_object_get(one, "tokenizer"));
        if (strcmp(name, names[(uintptr_t)*state]) != 0) continue;
        const json_t *text = json_object_get(one, "text"), *ids = json_object_get(one, "ids");
        const json_t *emit = json_object_get(one, "emit");
        const json_t *pieces = json_object_get(one, "pieces_hex");
        assert_ids(t, json_string_value(text), json_string_length(text), 0, ids);
        struct qr_detokenizer d;
        qr_detokenizer_init(&d, t, 0);
        json_array_foreach(ids, j, id)
        {
            const json_t *expected = json_array_get(emit, j);
            json_t *alone = json_pack("[O]", id);
            size_t n = from_hex(json_string_value(json_array_get(pieces, j)), piece);
            assert_text(t, alone, 0, piece, n);
            json_decref(alone);
            n = qr_detokenizer_push(&d, (int32_t)json_integer_value(id), out);
            assert_int_equal(n, json_string_length(expected));
            assert_memory_equal(out, json_string_value(expected), n);
        }
        assert_int_equal(qr_detokenizer_flush(&d, out), 0);
        checked++;
    }
    assert_true(checked >= 2);
    free(out);
}

static size_t messages_of(const json_t *conversation, struct quire_message *messages)
{
    const json_t *list = json_object_get(conversation, "messages");
    size_t i;
    json_t *one;

    json_array_foreach(list, i, one)
    {
        const json_t *role = json_object_get(one, "role"),
                     *content = json_object_get(one, "content");
        messages[i] = (struct quire_message){
            .role = {json_string_value(role), json_string_length(role)},
            .content = {json_string_value(content), json_string_length(content)}};
    }
    return i;
}

/* Renders a conversation with the file's template into `text`; returns its length. */
static size_t render(const struct quire_text source, const struct quire_message *messages,
                     size_t messages_n, bool prompt, char *text, size_t capacity)
{
    const struct quire_allocator memory = {NULL, NULL};
    const struct quire_conversation conversation = {.messages = messages,
                                                    .messages_n = messages_n,
                                                    .flags = prompt ? QUIRE_RENDER_GENERATION_PROMPT
                                                                    : 0};
    struct qr_template *t;
    size_t n;

    assert_int_equal(qr_template_create(&t, source, &memory, NULL), QUIRE_OK);
    assert_int_equal(qr_chat_render(t, &conversation, NULL, 0, text, capacity, &n, NULL), QUIRE_OK);
    qr_template_destroy(t);
    return n;
}

/* Goal: SmolLM2's conversations render and encode as in the reference.
 * Method: the conversations of chat.json, with the template of the model's file. */
static void conversations_render_as_the_template(void **state)
{
    const struct qr_tokenizer *t = wanted(state);
    struct quire_text template = {NULL, 0};
    struct quire_message messages[16];
    char text[8192];
    size_t i, n;
    json_t *one;

    assert_true(qr_gguf_string(&files[SMOLLM2].gguf, "tokenizer.chat_template", &template));
    json_array_foreach(json_object_get(chats, "conversations"), i, one)
    {
        size_t messages_n = messages_of(one, messages);
        bool prompt = json_is_true(json_object_get(one, "add_generation_prompt"));
        const json_t *expected = json_object_get(one, "text");
        n = render(template, messages, messages_n, prompt, text, sizeof text);
        assert_int_equal(n, json_string_length(expected));
        assert_memory_equal(text, json_string_value(expected), n);
        assert_ids(t, text, n, QUIRE_TEXT_SPECIAL, json_object_get(one, "ids"));
        assert_ids(t, text, n, QUIRE_TEXT_SPECIAL | QUIRE_TEXT_BOS, json_object_get(one, "ids"));
    }
    assert_int_equal(i, 4);
}

/* Goal: a plain ChatML template renders.
 * Method: gpt2-tiny's template with those of its conversations whose messages chat.json has. */
static void plain_chatml_renders(void **state)
{
    (void)state;
    struct quire_text template = {NULL, 0};
    struct quire_message messages[16];
    char text[8192];
    size_t i, j, n, checked = 0;
    json_t *one, *other;

    assert_true(qr_gguf_string(&files[GPT2].gguf, "tokenizer.chat_template", &template));
    const json_t *model = json_array_get(json_object_get(chats, "tiny"), 1);
    assert_string_equal(json_string_value(json_object_get(model, "file")), "gpt2-tiny.f16.gguf");
    json_array_foreach(json_object_get(model, "conversations"), i, one)
    {
        const char *name = json_string_value(json_object_get(one, "name"));
        const json_t *expected = json_object_get(one, "text");
        json_array_foreach(json_object_get(chats, "conversations"), j, other)
        {
            if (strcmp(name, json_string_value(json_object_get(other, "name"))) != 0) continue;
            size_t messages_n = messages_of(other, messages);
            n = render(template, messages, messages_n, true, text, sizeof text);
            assert_int_equal(n, json_string_length(expected));
            assert_memory_equal(text, json_string_value(expected), n);
            checked++;
        }
    }
    assert_int_equal(checked, 2);
}

/* Goal: Llama 3's pattern, ignore_merges and special tokens give another library's ids, and BOS is
 *       added by default.
 * Method: every case of bpe_cases.json with the tokenizer trained for it. */
static void llama_bpe_has_the_reference_ids(void **state)
{
    const struct qr_tokenizer *t = wanted(state);
    json_t *json = load("bpe_cases.json"), *one;
    size_t i, special = 0;

    assert_non_null(json);
    assert_true(qr_tokenizer_adds_bos(t));
    json_array_foreach(json_object_get(json, "cases"), i, one)
    {
        const json_t *s = json_object_get(one, "s"), *ids = json_object_get(one, "ids");
        const json_t *sp_ids = json_object_get(one, "sp_ids");
        assert_ids(t, json_string_value(s), json_string_length(s), 0, ids);
        assert_ids(t, json_string_value(s), json_string_length(s), QUIRE_TEXT_SPECIAL,
                   sp_ids ? sp_ids : ids);
        assert_text(t, ids, QUIRE_TEXT_BEGIN, json_string_value(s), json_string_length(s));
        special += sp_ids != NULL;
    }
    assert_true(i >= 1000 && special >= 100);
    json_decref(json);
}

#define FOR(test, file)                                                                            \
    {                                                                                              \
#test "/" #file, test, NULL, NULL, (void *)(uintptr_t)file                                 \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOR(strings_have_the_reference_ids, SMOLLM2),
        FOR(strings_have_the_reference_ids, GPT2),
        FOR(strings_have_the_reference_ids, SPM),
        FOR(invalid_utf8_has_the_reference_ids, SMOLLM2),
        FOR(invalid_utf8_has_the_reference_ids, GPT2),
        FOR(invalid_utf8_has_the_reference_ids, SPM),
        FOR(streaming_emits_whole_characters, SMOLLM2),
        FOR(streaming_emits_whole_characters, GPT2),
        FOR(streaming_emits_whole_characters, SPM),
        FOR(conversations_render_as_the_template, SMOLLM2),
        cmocka_unit_test(plain_chatml_renders),
        FOR(llama_bpe_has_the_reference_ids, LLAMA_BPE),
    };

    return cmocka_run_group_tests(tests, open_files, close_files);
}
