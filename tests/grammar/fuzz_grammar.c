/* SPDX-License-Identifier: MIT */
/* fuzz_grammar -- compiles the input as a schema, regular expression, grammar in GBNF or structural
 * tag, and walks random texts of it.  The first byte selects the kind, the second seeds the walk.
 * Aborts where a mask and the matcher disagree, where a rollback changes a mask, or where a text
 * that was accepted so far has no next byte and may not end. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/memory.h"
#include "runtime/grammar/grammar.h"

#define VOCAB_N   300u
#define STEPS_MAX 24u
#define TEXT_MAX  4096u
#define BYTES_MAX ((size_t)8 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every byte, then pieces of JSON. */
static size_t token_bytes(const void *context, uint32_t id, char *out)
{
    static const char *const pieces[] = {"\"a\"", "\": ", "{\"", "true",     ", \"",
                                         "abc",   "12",   "]}",  "\xc3\xa9", "null"};
    (void)context;
    if (id < 256) {
        if (out) *out = (char)id;
        return 1;
    }
    const char *piece = pieces[id % (sizeof pieces / sizeof pieces[0])];
    if (out) memcpy(out, piece, strlen(piece));
    return strlen(piece);
}

static void must(int holds)
{
    if (!holds) abort();
}

static void walk(struct qr_grammar *grammar, unsigned seed)
{
    uint64_t bits[(VOCAB_N + 63) / 64], again[(VOCAB_N + 63) / 64];
    struct qr_constraint c;
    bool may_end;

    if (!qr_constraint_init(&c, grammar)) return;
    for (unsigned step = 0; step < STEPS_MAX; step++) {
        enum qr_constraint_state state = qr_constraint_mask(&c, bits, &may_end);
        if (state == QR_CONSTRAINT_MEMORY) break;
        must(state != QR_CONSTRAINT_STUCK);
        if (state == QR_CONSTRAINT_DONE) break;
        uint32_t token = (uint32_t)rand_r(&seed) % VOCAB_N, refused = token;
        for (uint32_t i = 0; i < VOCAB_N && !(bits[token >> 6] >> (token & 63) & 1); i++)
            token = (token + 1) % VOCAB_N;
        while (bits[refused >> 6] >> (refused & 63) & 1 && refused + 1 < VOCAB_N)
            refused++;
        if (!(bits[refused >> 6] >> (refused & 63) & 1)) {
            state = qr_constraint_accept(&c, refused);
            if (state == QR_CONSTRAINT_MEMORY) break;
            must(state == QR_CONSTRAINT_STUCK);
        }
        state = qr_constraint_accept(&c, token);
        if (state == QR_CONSTRAINT_MEMORY) break;
        must(state != QR_CONSTRAINT_STUCK);
        qr_constraint_rollback(&c, 1);
        if (qr_constraint_mask(&c, again, &may_end) == QR_CONSTRAINT_MEMORY) break;
        must(memcmp(bits, again, sizeof bits) == 0);
        if (qr_constraint_accept(&c, token) == QR_CONSTRAINT_MEMORY) break;
    }
    qr_constraint_deinit(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum qr_grammar_kind kinds[] = {QR_GRAMMAR_SCHEMA, QR_GRAMMAR_REGEX,
                                                 QR_GRAMMAR_GBNF, QR_GRAMMAR_TAGS};
    static struct qr_grammar_vocabulary vocabulary;
    const struct quire_allocator allocator = qr_allocator((struct quire_allocator){0});
    struct qr_grammar *grammar;
    struct quire_error error;

    if (size < 3 || size > TEXT_MAX) return 0;
    if (!vocabulary.vocab_n)
        must(qr_grammar_vocabulary_init(&vocabulary, VOCAB_N, token_bytes, NULL, &allocator));
    const struct qr_grammar_source source = {.kind = kinds[data[0] % 4],
                                             .text = {(const char *)data + 2, size - 2}};
    if (qr_grammar_create(&grammar, &source, &vocabulary, BYTES_MAX, &allocator, &error)) {
        must(error.text[0] != 0);
        return 0;
    }
    walk(grammar, data[1]);
    qr_grammar_drop(grammar);
    return 0;
}
