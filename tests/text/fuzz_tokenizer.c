/* SPDX-License-Identifier: MIT */
/* fuzz_tokenizer -- encodes, decodes and streams the input with a small vocabulary, by each split
 * rule and by SentencePiece.  The first byte selects tokenizer and flags.  Aborts if a property
 * that tokenizer.h states does not hold. */
#include <stdint.h>
#include <stdlib.h>

#include "runtime/base/memory.h"
#include "runtime/text/compose.h"
#include "runtime/text/utf8.h"
#include "text/spm_vocabulary.h"
#include "text/tiny_vocabulary.h"

#define TEXT_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TOKENIZERS_N 13u /* the last two are SentencePiece */

static const char *const rules[] = {"gpt-2",      "smollm", "llama-bpe",    "qwen2",
                                    "tekken",     "gpt-4o", "deepseek-llm", "deepseek-coder",
                                    "seed-coder", "viking", "default"};

static struct qr_tokenizer *tokenizer_of(unsigned which)
{
    static struct tiny_vocabulary vocabularies[TOKENIZERS_N - 2];
    static struct spm_vocabulary spm[2];
    static struct qr_tokenizer *tokenizers[TOKENIZERS_N];
    const struct quire_allocator allocator = {NULL, NULL};
    const struct qr_tokenizer_source *source;

    if (tokenizers[which]) return tokenizers[which];
    if (which < TOKENIZERS_N - 2) {
        tiny_vocabulary_init(&vocabularies[which], rules[which]);
        source = &vocabularies[which].source;
    } else {
        struct spm_vocabulary *v = &spm[which - (TOKENIZERS_N - 2)];
        spm_vocabulary_init(v);
        v->source.add_space_prefix = which == TOKENIZERS_N - 1;
        source = &v->source;
    }
    if (qr_tokenizer_create(&tokenizers[which], source, &allocator, NULL, NULL)) abort();
    return tokenizers[which];
}

static void must(int holds)
{
    if (!holds) abort();
}

/* Removes spaces and U+2581 from a text.  SentencePiece decodes to the same bytes except for these:
 * it adds spaces, reads U+2581 as one, and a space inside invalid UTF-8 comes back as U+2581. */
static size_t without_spaces(char *text, size_t n)
{
    size_t out = 0;

    for (size_t i = 0; i < n; i++) {
        bool mark = n - i >= 3 && memcmp(text + i, QR_SPACE_MARK, QR_SPACE_MARK_N) == 0;
        if (mark) i += 2;
        if (!mark && text[i] != ' ') text[out++] = text[i];
    }
    return out;
}

/* Composes the text; composing again must not change it. */
static size_t compose_in_place(char *text, size_t n)
{
    const struct quire_allocator allocator = qr_allocator((struct quire_allocator){NULL, NULL});
    char *once, *twice;
    size_t once_n, twice_n;

    must(qr_compose(text, n, &allocator, &once, &once_n) && once_n <= 3 * n);
    must(qr_compose(once, once_n, &allocator, &twice, &twice_n));
    must(twice_n == once_n && memcmp(once, twice, once_n) == 0);
    memcpy(text, once, once_n);
    free(once);
    free(twice);
    return once_n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int32_t ids[9 * TEXT_MAX + 3];
    static char repaired[9 * TEXT_MAX], subject[9 * TEXT_MAX], back[30 * TEXT_MAX];
    static char composed[9 * TEXT_MAX], out[1024];
    size_t ids_n, back_n;

    if (size == 0 || size > TEXT_MAX) return 0;
    unsigned which = data[0] % TOKENIZERS_N, flags = data[0] / TOKENIZERS_N;
    bool spm = which >= TOKENIZERS_N - 2;
    const struct qr_tokenizer *t = tokenizer_of(which);
    flags &= QUIRE_TEXT_SPECIAL | QUIRE_TEXT_BOS | QUIRE_TEXT_EOS;
    const char *text = (const char *)data + 1;
    size_t n = size - 1;

    size_t repaired_n = qr_utf8_repaired_n(text, n);
    qr_utf8_repair(text, n, repaired, subject);
    must(qr_utf8_valid(subject, repaired_n) == repaired_n);
    must(qr_tokenizer_encode(t, text, n, flags, ids, 9 * TEXT_MAX + 3, &ids_n) == QUIRE_OK);
    must(ids_n <= 3 * n + 3);
    flags &= QUIRE_TEXT_SPECIAL;
    bool composes = !spm && strcmp(rules[which], "qwen2") == 0;
    if (composes) { /* decoding gives the composed text */
        n = repaired_n = compose_in_place(repaired, repaired_n);
        text = memcpy(composed, repaired, n);
    }
    must(qr_tokenizer_encode(t, text, n, flags, ids, 9 * TEXT_MAX + 3, &ids_n) == QUIRE_OK);
    must(qr_tokenizer_decode(t, ids, ids_n, QUIRE_TEXT_SPECIAL, back, sizeof back, &back_n) ==
         QUIRE_OK);
    if (spm) {
        memcpy(repaired, text, n);
        repaired_n = without_spaces(repaired, n);
        back_n = without_spaces(back, back_n);
    }
    must(back_n == repaired_n && memcmp(back, repaired, back_n) == 0);
    must(qr_detokenizer_room(t) <= sizeof out);
    struct qr_detokenizer d;
    qr_detokenizer_init(&d, t, flags);
    for (size_t i = 0; i + 1 < size;
         i++) { /* the input's bytes as ids give all kinds of broken characters */
        int32_t id = spm ? SPM_BYTES + data[1 + i] : data[1 + i];
        size_t emitted = qr_detokenizer_push(&d, id, out);
        must(emitted <= sizeof out && qr_utf8_valid(out, emitted) == emitted);
    }
    must(qr_detokenizer_flush(&d, out) <= 3);
    return 0;
}
