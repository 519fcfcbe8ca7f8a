/* SPDX-License-Identifier: MIT */
#include "runtime/text/bpe.h"

#include <string.h>

#include "runtime/base/error.h"
#include "runtime/base/limits.h"

static int bad_merge(struct quire_error *error, uint32_t rank, struct quire_text text,
                     const char *why)
{
    int shown = text.n < 80 ? (int)text.n : 80;

    return qr_error(error, QUIRE_BAD_FILE, "merge %u of tokenizer.ggml.merges, \"%.*s\", %s", rank,
                    shown, text.n ? text.data : "", why);
}

static int add_merge(struct qr_bpe *bpe, const struct qr_vocabulary *v, struct quire_text text,
                     uint32_t rank, struct quire_error *error)
{
    /* The first space with text on both sides.  No byte's letter is a space. */
    const char *space = text.n > 2 ? memchr(text.data + 1, ' ', text.n - 2) : NULL;
    if (!space) return bad_merge(error, rank, text, "must be two tokens with a space between them");
    struct quire_text left = {text.data, (size_t)(space - text.data)};
    struct quire_text right = {space + 1, text.n - left.n - 1};
    struct quire_text none = {NULL, 0};
    struct qr_merge merge = {.left = qr_vocabulary_find(v, left, none),
                             .right = qr_vocabulary_find(v, right, none),
                             .rank = rank,
                             .merged = qr_vocabulary_find(v, left, right)};
    if (merge.left == QR_ID_NONE || merge.right == QR_ID_NONE || merge.merged == QR_ID_NONE)
        return bad_merge(error, rank, text,
                         "names or makes a token that is not in tokenizer.ggml.tokens");
    qr_merges_add(&bpe->merges, merge);
    return QUIRE_OK;
}

int qr_bpe_init(struct qr_bpe *bpe, const struct qr_vocabulary *vocabulary,
                const struct quire_text *merges, uint32_t merges_n,
                const struct quire_allocator *allocator, struct quire_error *error)
{
    *bpe = (struct qr_bpe){0};
    if (merges_n > QR_MERGES_MAX)
        return qr_error(error, QUIRE_UNSUPPORTED,
                        "tokenizer.ggml.merges has %u merges; at most %u are supported", merges_n,
                        QR_MERGES_MAX);
    if (!qr_merges_init(&bpe->merges, merges_n, allocator))
        return qr_error(error, QUIRE_NO_MEMORY, "no memory for %u merges", merges_n);
    for (unsigned byte = 0; byte < 256; byte++) {
        char letter[2];
        struct quire_text text = {letter, qr_vocabulary_letter((uint8_t)byte, letter)};
        bpe->letters[byte] = qr_vocabulary_find(vocabulary, text, (struct quire_text){NULL, 0});
    }
    for (uint32_t rank = 0; rank < merges_n; rank++) {
        int status = add_merge(bpe, vocabulary, merges[rank], rank, error);
        if (status != QUIRE_OK) {
            qr_bpe_deinit(bpe, allocator);
            return status;
        }
    }
    return QUIRE_OK;
}

void qr_bpe_deinit(struct qr_bpe *bpe, const struct quire_allocator *allocator)
{
    qr_merges_deinit(&bpe->merges, allocator);
}

int qr_bpe_encode(const struct qr_bpe *bpe, struct qr_merge_scratch *scratch, const char *piece,
                  size_t piece_n, struct qr_ids *out)
{
    struct qr_symbol *symbols = qr_merge_room(scratch, piece_n);

    if (!symbols) return QUIRE_NO_MEMORY;
    for (size_t i = 0; i < piece_n; i++)
        symbols[i].id = bpe->letters[(uint8_t)piece[i]];
    int status = qr_merge(&bpe->merges, scratch, piece_n);
    if (status != QUIRE_OK) return status;
    for (size_t i = 0; i < piece_n; i = symbols[i].next)
        if (symbols[i].id != QR_ID_NONE) qr_ids_add(out, symbols[i].id);
    return QUIRE_OK;
}
