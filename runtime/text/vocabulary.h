/* SPDX-License-Identifier: MIT */
/* vocabulary -- token texts by id, and ids by text.
 *
 *     form            " caf\xc3\xa9" is written    a byte token
 *     QR_FORM_LETTERS U+0120 c a f U+00C3 U+00A9   (none)
 *     QR_FORM_SPACES  U+2581 c a f U+00E9          "<0xE2>"
 *
 * A byte-level vocabulary writes each byte as one letter (GPT-2's table: printable Latin-1
 * characters are themselves, all other bytes are U+0100 and up, in order).  SentencePiece writes
 * only the space differently.  Both write control, unknown and user-defined tokens unchanged.
 *
 * If two tokens have the same text, it belongs to the last (as in llama.cpp).  An empty text is
 * never found.
 *
 * Thread: any after init.   Memory: the allocator's; the texts belong to the caller. */
#ifndef QR_TEXT_VOCABULARY_H
#define QR_TEXT_VOCABULARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/quire.h"

#define QR_ID_NONE UINT32_MAX

/* Bytes of one token's text.  A detokenizer needs three times the longest text, so this bounds the
 * memory that a file can demand.  Published vocabularies have at most 512. */
#define QR_TOKEN_TEXT_MAX 65536u

enum qr_vocabulary_form { QR_FORM_LETTERS, QR_FORM_SPACES };

#define QR_SPACE_MARK   "\xe2\x96\x81" /* U+2581, a space in QR_FORM_SPACES */
#define QR_SPACE_MARK_N 3u

struct qr_token {
    const char *text;
    uint32_t text_n;
    uint8_t kind; /* enum qr_token_kind */
    bool ends;    /* generation ends with it */
};

struct qr_vocabulary_slot {
    uint32_t hash;
    uint32_t id; /* QR_ID_NONE: free */
};

struct qr_vocabulary {
    enum qr_vocabulary_form form;
    struct qr_token *tokens; /* [tokens_n] */
    uint32_t tokens_n;
    struct qr_vocabulary_slot *slots; /* [mask + 1], at most half in use */
    uint32_t mask;
};

/* QUIRE_BAD_FILE: no tokens, a text that is too long, or an unknown type.  QUIRE_UNSUPPORTED: more
 * than QR_VOCAB_MAX tokens. */
int qr_vocabulary_init(struct qr_vocabulary *v, enum qr_vocabulary_form form,
                       const struct quire_text *texts, const int32_t *kinds, uint32_t tokens_n,
                       const struct quire_allocator *allocator, struct quire_error *error);
void qr_vocabulary_deinit(struct qr_vocabulary *v, const struct quire_allocator *allocator);

/* The token whose text is `left` followed by `right`, or QR_ID_NONE. */
uint32_t qr_vocabulary_find(const struct qr_vocabulary *v, struct quire_text left,
                            struct quire_text right);

/* Continues a hash, which begins at 0, with a text.  The hash of text[a, b) is
 * h[b] - h[a] * power[b - a], where h[i] is the hash of text[0, i) and power[i] is QR_HASH_FACTOR
 * to the i.  So every part of a text can be looked up without reading it again. */
#define QR_HASH_FACTOR UINT64_C(0x5851f42d4c957f2d)
uint64_t qr_vocabulary_hash(uint64_t hash, struct quire_text text);
uint32_t qr_vocabulary_find_hashed(const struct qr_vocabulary *v, struct quire_text text,
                                   uint64_t hash);

/* The normal token of these bytes, written in letters, or QR_ID_NONE. */
uint32_t qr_vocabulary_find_bytes(const struct qr_vocabulary *v, struct quire_text bytes);

/* Writes the letter of a byte as UTF-8 and returns its length, 1 or 2. */
size_t qr_vocabulary_letter(uint8_t byte, char letter[2]);

/* The byte of a byte token's text, such as "<0xE2>"; -1 for other texts. */
int qr_token_byte_value(const struct qr_token *token);

/* True if decoding leaves the token out unless QUIRE_TEXT_SPECIAL is given. */
bool qr_token_is_hidden(const struct qr_vocabulary *v, const struct qr_token *token);

/* Writes the bytes that a token decodes to, at most text_n, and returns their number; out may be
 * NULL.  A character that is not a letter of the table passes unchanged. */
size_t qr_token_bytes(const struct qr_vocabulary *v, const struct qr_token *token, char *out);

#endif
