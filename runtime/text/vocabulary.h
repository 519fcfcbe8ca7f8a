/* SPDX-License-Identifier: MIT */
/* vocabulary -- token texts by id, and ids by text.
 *
 * In a byte-level vocabulary a text is written in 256 letters, one a byte (GPT-2's table: the
 * printable Latin-1 characters stand for themselves, the others from U+0100 on in order).  In
 * SentencePiece's a text is written as it is, but for the space, which is U+2581; a byte token is
 * written as "<0xE2>".  Control, unknown and user-defined tokens are written as they are in both.
 *
 * Where two tokens have one text, the last has it (as in llama.cpp).  An empty text belongs to no
 * token.
 *
 * Thread: any once initialised.   Memory: the allocator given; the texts stay the caller's. */
#ifndef QR_TEXT_VOCABULARY_H
#define QR_TEXT_VOCABULARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/quire.h"

#define QR_ID_NONE UINT32_MAX

/* One token's text.  The longest published is 512 spaces; room in a detokeniser is three times
 * the longest, so a file cannot make that large. */
#define QR_TOKEN_TEXT_MAX 65536u

enum qr_vocabulary_form { QR_FORM_LETTERS, QR_FORM_SPACES };

#define QR_SPACE_MARK   "\xe2\x96\x81" /* U+2581, a space in a text of QR_FORM_SPACES */
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

/* QUIRE_BAD_FILE: a text too long, or no tokens; QUIRE_UNSUPPORTED: more than QR_VOCAB_MAX. */
int qr_vocabulary_init(struct qr_vocabulary *v, enum qr_vocabulary_form form,
                       const struct quire_text *texts, const int32_t *kinds, uint32_t tokens_n,
                       const struct quire_allocator *allocator, struct quire_error *error);
void qr_vocabulary_deinit(struct qr_vocabulary *v, const struct quire_allocator *allocator);

/* The token whose text is left followed by right, QR_ID_NONE: there is none. */
uint32_t qr_vocabulary_find(const struct qr_vocabulary *v, struct quire_text left,
                            struct quire_text right);

/* A text's hash, from 0 on; it can be continued.  That of text[a, b) is h[b] - h[a] * power[b - a],
 * where h[i] is the hash of text[0, i) and power[i] is QR_HASH_FACTOR to the i: so a token can be
 * looked for at every place of a text without reading it again. */
#define QR_HASH_FACTOR UINT64_C(0x5851f42d4c957f2d)
uint64_t qr_vocabulary_hash(uint64_t hash, struct quire_text text);
uint32_t qr_vocabulary_find_hashed(const struct qr_vocabulary *v, struct quire_text text,
                                   uint64_t hash);

/* The normal token that stands for these bytes in letters, QR_ID_NONE: there is none. */
uint32_t qr_vocabulary_find_bytes(const struct qr_vocabulary *v, struct quire_text bytes);

/* The letter of a byte as UTF-8: its length, 1 or 2. */
size_t qr_vocabulary_letter(uint8_t byte, char letter[2]);

/* The byte of a byte token's text, "<0xE2>"; -1: it is none. */
int qr_token_byte_value(const struct qr_token *token);

/* Whether a decoder leaves this token out unless special tokens are asked for. */
bool qr_token_is_hidden(const struct qr_vocabulary *v, const struct qr_token *token);

/* The bytes that a token stands for, at most text_n.  out NULL: only their number.  What is no
 * letter of the table passes as it is. */
size_t qr_token_bytes(const struct qr_vocabulary *v, const struct qr_token *token, char *out);

#endif
