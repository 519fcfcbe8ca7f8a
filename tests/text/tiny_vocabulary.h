/* SPDX-License-Identifier: MIT */
/* tiny_vocabulary -- a small byte-level vocabulary in memory for the tests: 256 letters, a few
 * merges and special tokens of every kind.
 *
 * Thread: one.   Memory: the struct's own. */
#ifndef QR_TESTS_TEXT_TINY_VOCABULARY_H
#define QR_TESTS_TEXT_TINY_VOCABULARY_H

#include <string.h>

#include "runtime/text/tokenizer.h"
#include "runtime/text/vocabulary.h"

#define TINY_TOKENS_MAX 320

struct tiny_vocabulary {
    char letters[256][2];
    struct quire_text tokens[TINY_TOKENS_MAX];
    int32_t kinds[TINY_TOKENS_MAX];
    struct quire_text merges[32];
    struct qr_tokenizer_source source;
};

static inline struct quire_text tiny_text(const char *string)
{
    return (struct quire_text){.data = string, .n = strlen(string)};
}

static inline int32_t tiny_add(struct tiny_vocabulary *v, const char *text, int32_t kind)
{
    uint32_t id = v->source.tokens_n++;

    v->tokens[id] = tiny_text(text);
    v->kinds[id] = kind;
    return (int32_t)id;
}

/* Ids 0 to 255 are the bytes; tiny_bos and tiny_eos follow, then merged tokens, then specials. */
static const int32_t tiny_bos = 256, tiny_eos = 257;

static inline void tiny_vocabulary_init(struct tiny_vocabulary *v, const char *pre)
{
    static const char *const merged[] = {"ab", "abc", "abab", "aa", "aaaa", "bc",
                                         "Ġa", "Ġab", "ĊĊ",   "ðŁ", "Ã©",   "12"};
    static const char *const merges[] = {"a b", "ab c", "ab ab", "a a", "aa aa", "b c",
                                         "Ġ a", "Ġa b", "Ċ Ċ",   "ð Ł", "Ã ©",   "1 2"};

    memset(v, 0, sizeof *v);
    v->source = (struct qr_tokenizer_source){.model = {"gpt2", 4},
                                             .pre = tiny_text(pre),
                                             .tokens = v->tokens,
                                             .kinds = v->kinds,
                                             .merges = v->merges,
                                             .merges_n = sizeof merges / sizeof merges[0],
                                             .bos_id = tiny_bos,
                                             .eos_id = tiny_eos,
                                             .eot_id = -1,
                                             .eom_id = -1,
                                             .add_bos = -1,
                                             .add_eos = -1,
                                             .add_space_prefix = -1};
    for (unsigned byte = 0; byte < 256; byte++) {
        v->tokens[byte].data = v->letters[byte];
        v->tokens[byte].n = qr_vocabulary_letter((uint8_t)byte, v->letters[byte]);
        v->kinds[byte] = QR_TOKEN_NORMAL;
    }
    v->source.tokens_n = 256;
    tiny_add(v, "<s>", QR_TOKEN_CONTROL);
    tiny_add(v, "</s>", QR_TOKEN_CONTROL);
    for (size_t i = 0; i < v->source.merges_n; i++) {
        tiny_add(v, merged[i], QR_TOKEN_NORMAL);
        v->merges[i] = tiny_text(merges[i]);
    }
    tiny_add(v, "<|im_end|>", QR_TOKEN_CONTROL);
    tiny_add(v, "<tool>", QR_TOKEN_USER);
    tiny_add(v, "<tool> <tool>", QR_TOKEN_USER);
    tiny_add(v, "<unk>", QR_TOKEN_UNKNOWN);
    tiny_add(v, "[PAD]", QR_TOKEN_UNUSED);
}

#endif
