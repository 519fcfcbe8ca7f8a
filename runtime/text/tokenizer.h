/* SPDX-License-Identifier: MIT */
/* tokenizer -- converts text to token ids and back, as the model's file describes.
 *
 *     "gpt2"   text -> repair -> special tokens -> compose -> split -> merge by rank  -> ids
 *              utf8.h            specials.h        compose.h  split.h  bpe.h, merge.h
 *     "llama"  text -> special tokens -> escape -> cut -> merge by score -> byte tokens -> ids
 *                      specials.h        spm.h            merge.h           spm.h
 *
 *     ids -> bytes of each token (vocabulary.h) -> text, or whole characters if streamed
 *
 * Special tokens: the first match counts, and at one position the longest.  User-defined tokens
 * match in every text, control and unknown tokens only with QUIRE_TEXT_SPECIAL (as llama.cpp).
 *
 * BOS is added in front unless the text begins with it as a special token; EOS likewise at the end.
 *
 * Leading space: with SentencePiece, a text gets a space in front and after each special token,
 * unless the file says no.  Decoding with QUIRE_TEXT_BEGIN drops it from the first token; a
 * continuation keeps it.
 *
 * Bad UTF-8: byte-level BPE reads each invalid byte as U+FFFD and keeps a surrogate half written as
 * three bytes.  SentencePiece keeps all bytes.  Both are as in llama.cpp.  Streaming replaces each
 * maximal invalid part by one U+FFFD, as Unicode recommends and Python's 'replace' does.
 *
 * Thread: any after creation; each call allocates its scratch.   Memory: the allocator's; the texts
 * of tokens stay in the file. */
#ifndef QR_TEXT_TOKENIZER_H
#define QR_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/warnings.h"
#include "runtime/quire.h"

enum qr_token_kind { /* tokenizer.ggml.token_type */
                     QR_TOKEN_NORMAL = 1,
                     QR_TOKEN_UNKNOWN = 2,
                     QR_TOKEN_CONTROL = 3,
                     QR_TOKEN_USER = 4,
                     QR_TOKEN_UNUSED = 5,
                     QR_TOKEN_BYTE = 6
};

struct qr_tokenizer_source {
    struct quire_text model;         /* tokenizer.ggml.model: "gpt2" or "llama" */
    struct quire_text pre;           /* "gpt2" only: tokenizer.ggml.pre, a name of split.c */
    const struct quire_text *tokens; /* [tokens_n]; the texts must outlive the tokenizer */
    const int32_t *kinds;            /* [tokens_n] or NULL: all normal */
    uint32_t tokens_n;
    const struct quire_text *merges; /* "gpt2" only: [merges_n] "left right" */
    uint32_t merges_n;
    const float *scores;                    /* "llama" only: [tokens_n] or NULL: all 0 */
    int32_t bos_id, eos_id, eot_id, eom_id; /* -1: none */
    int add_bos;                            /* 1, 0; -1: the file does not say */
    int add_eos;
    int add_space_prefix;
};

struct qr_tokenizer;

/* The source's arrays may be freed afterwards.  An unknown pre-tokenizer is a warning (warnings may
 * be NULL), and the rule "default" is used.  QUIRE_NO_TOKENIZER: the model is not supported.
 * QUIRE_BAD_FILE: an id out of range, or a malformed merge, token or score; *error names it.
 * QUIRE_UNSUPPORTED: the vocabulary is too large; QUIRE_NO_MEMORY. */
int qr_tokenizer_create(struct qr_tokenizer **t, const struct qr_tokenizer_source *source,
                        const struct quire_allocator *allocator, struct qr_warnings *warnings,
                        struct quire_error *error);
void qr_tokenizer_destroy(struct qr_tokenizer *t); /* NULL is allowed */

/* As quire_tokenize and quire_detokenize; flags are QUIRE_TEXT_*.  Decoding hides control, unknown
 * and unused tokens unless QUIRE_TEXT_SPECIAL is given; user-defined tokens are text. */
int qr_tokenizer_encode(const struct qr_tokenizer *t, const char *text, size_t text_n,
                        unsigned flags, int32_t *ids, size_t capacity, size_t *ids_n);
int qr_tokenizer_decode(const struct qr_tokenizer *t, const int32_t *ids, size_t ids_n,
                        unsigned flags, char *text, size_t capacity, size_t *text_n);

bool qr_tokenizer_adds_bos(const struct qr_tokenizer *t);
bool qr_tokenizer_adds_eos(const struct qr_tokenizer *t);
/* The name of the split rule in use; "none" for SentencePiece. */
const char *qr_tokenizer_split_name(const struct qr_tokenizer *t);
uint32_t qr_tokenizer_vocab_n(const struct qr_tokenizer *t);
/* True if generation ends at this id: the file's eos, eot and eom, and control or user-defined
 * tokens with a well-known name ("<|im_end|>", "<|eot_id|>", "<|endoftext|>", ...). */
bool qr_tokenizer_is_end(const struct qr_tokenizer *t, int32_t id);
/* The id of the token with this text in the file, or -1. */
int32_t qr_tokenizer_find(const struct qr_tokenizer *t, struct quire_text token);
/* Writes the bytes of a token within a text and returns their number; 0 for a special token.
 * out may be NULL. */
size_t qr_tokenizer_token_bytes(const struct qr_tokenizer *t, uint32_t id, char *out);
/* The same; a special token has its name. */
size_t qr_tokenizer_shown_bytes(const struct qr_tokenizer *t, uint32_t id, char *out);
/* The length in bytes of the longest text that one token decodes to. */
size_t qr_tokenizer_token_bytes_max(const struct qr_tokenizer *t);

/* Streaming: ids in, whole characters out. */
struct qr_detokenizer {
    const struct qr_tokenizer *tokenizer;
    unsigned flags;  /* QUIRE_TEXT_SPECIAL: emit special tokens */
    uint8_t held[4]; /* an incomplete character */
    uint32_t held_n;
};
void qr_detokenizer_init(struct qr_detokenizer *d, const struct qr_tokenizer *t, unsigned flags);
/* Writes the characters that are complete to out, which needs qr_detokenizer_room() bytes, and
 * returns their length.  Bytes that cannot become valid UTF-8 are replaced by U+FFFD. */
size_t qr_detokenizer_room(const struct qr_tokenizer *t);
size_t qr_detokenizer_push(struct qr_detokenizer *d, int32_t id, char *out);
/* At the end: an incomplete character becomes U+FFFD. */
size_t qr_detokenizer_flush(struct qr_detokenizer *d, char *out);

#endif
