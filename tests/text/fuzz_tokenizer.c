/* SPDX-License-Identifier: MIT */
/* fuzz_tokenizer -- any bytes through encode, decode and the streaming detokeniser of a small
 * vocabulary, by each split rule.  The first byte picks rule and flags.  Aborts where a promise of
 * tokenizer.h does not hold. */
#include <stdint.h>
#include <stdlib.h>

#include "runtime/text/utf8.h"
#include "text/tiny_vocabulary.h"

#define TEXT_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct qr_tokenizer *tokenizer_of(unsigned rule)
{
    static const char *const rules[] = {"gpt-2", "smollm", "llama-bpe"};
    static struct tiny_vocabulary vocabularies[3];
    static struct qr_tokenizer *tokenizers[3];
    const struct quire_allocator allocator = {NULL, NULL};

    if (!tokenizers[rule]) {
        tiny_vocabulary_init(&vocabularies[rule], rules[rule]);
        if (qr_tokenizer_create(&tokenizers[rule], &vocabularies[rule].source, &allocator, NULL)) {
            abort();
        }
    }
    return tokenizers[rule];
}

static void must(int holds)
{
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int32_t ids[3 * TEXT_MAX + 1];
    static char repaired[3 * TEXT_MAX], subject[3 * TEXT_MAX], back[3 * TEXT_MAX + 16];
    static char out[1024];
    size_t ids_n, back_n;

    if (size == 0 || size > TEXT_MAX) return 0;
    const struct qr_tokenizer *t = tokenizer_of(data[0] % 3);
    unsigned flags = data[0] / 3 % 4;
    const char *text = (const char *)data + 1;
    size_t n = size - 1;

    size_t repaired_n = qr_utf8_repaired_n(text, n);
    qr_utf8_repair(text, n, repaired, subject);
    must(qr_utf8_valid(subject, repaired_n) == repaired_n);
    must(qr_tokenizer_encode(t, text, n, flags & ~(unsigned)QUIRE_TEXT_BOS, ids, 3 * TEXT_MAX + 1,
                             &ids_n) == QUIRE_OK);
    must(ids_n <= 3 * n);
    must(qr_tokenizer_decode(t, ids, ids_n, QUIRE_TEXT_SPECIAL, back, sizeof(back), &back_n) ==
         QUIRE_OK);
    must(back_n == repaired_n && memcmp(back, repaired, back_n) == 0);
    must(qr_detokenizer_room(t) <= sizeof(out));
    struct qr_detokenizer d;
    qr_detokenizer_init(&d, t, flags);
    for (size_t i = 0; i < n; i++) { /* the input's bytes as ids: all kinds of broken characters */
        size_t emitted = qr_detokenizer_push(&d, data[1 + i], out);
        must(emitted <= sizeof(out) && qr_utf8_valid(out, emitted) == emitted);
    }
    must(qr_detokenizer_flush(&d, out) <= 3);
    return 0;
}
