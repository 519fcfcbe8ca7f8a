/* SPDX-License-Identifier: MIT */
/* tokenizer -- text to token ids and back, as the model's file says.
 *
 * Byte-level BPE ("gpt2"): text is split by the pre-tokenizer's pattern (PCRE2, JIT), each piece is
 * turned into GPT-2's byte letters and merged by rank.  A byte whose letter is no token is left
 * out.  SentencePiece's BPE ("llama"): spaces become U+2581, characters are merged by score, and
 * what is no token comes out as byte tokens (spm.h).  Pieces of any length merge in O(n log n).
 *
 * Special tokens are found in the text first, the longest at each place: user-defined ones always,
 * control and unknown ones with QUIRE_TEXT_SPECIAL (as llama.cpp).  BOS is put in front once: not
 * where the text begins with it as a special token; EOS behind, likewise.
 *
 * The leading space: SentencePiece's text gets one in front and after each special token, where
 * the file does not say no.  Decoding leaves one out again, of a text's first token, with
 * QUIRE_TEXT_BEGIN; a continuation keeps it.
 *
 * Bad UTF-8: byte-level encoding reads each byte that belongs to no character as U+FFFD, and keeps
 * a surrogate half written as three bytes; SentencePiece's keeps all bytes (llama.cpp's readings,
 * tests/data/tokenizers.json).  Streaming puts one U+FFFD for each maximal bad part (as Unicode
 * advises and Python's 'replace' does).
 *
 * Thread: any once created; scratch is allocated for each call.   Memory: the allocator given;
 * token texts stay in the file. */
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
    struct quire_text pre;           /* of "gpt2", tokenizer.ggml.pre: a name of split.c */
    const struct quire_text *tokens; /* [tokens_n]; the texts (not the array) outlive it */
    const int32_t *kinds;            /* [tokens_n] or NULL: all normal */
    uint32_t tokens_n;
    const struct quire_text *merges; /* of "gpt2", [merges_n] "left right"; need not outlive it */
    uint32_t merges_n;
    const float *scores;                    /* of "llama", [tokens_n] or NULL: all 0 */
    int32_t bos_id, eos_id, eot_id, eom_id; /* -1: none */
    int add_bos;                            /* 1, 0; -1: the file does not say */
    int add_eos;
    int add_space_prefix;
};

struct qr_tokenizer;

/* QUIRE_NO_TOKENIZER: a model that is not supported, named in error.  QUIRE_BAD_FILE: ids outside,
 * a merge that is none or names no token, an odd token or score: error says which.
 * QUIRE_UNSUPPORTED: too large; QUIRE_NO_MEMORY.  A pre-tokenizer that is not known is a warning
 * (warnings may be NULL), and "default" stands in.  The source's arrays may go afterwards. */
int qr_tokenizer_create(struct qr_tokenizer **t, const struct qr_tokenizer_source *source,
                        const struct quire_allocator *allocator, struct qr_warnings *warnings,
                        struct quire_error *error);
void qr_tokenizer_destroy(struct qr_tokenizer *t); /* NULL is allowed */

/* As quire_tokenize and quire_detokenize, flags QUIRE_TEXT_*.  Decoding hides control, unknown and
 * unused tokens unless QUIRE_TEXT_SPECIAL is given; user-defined ones are text. */
int qr_tokenizer_encode(const struct qr_tokenizer *t, const char *text, size_t text_n,
                        unsigned flags, int32_t *ids, size_t capacity, size_t *ids_n);
int qr_tokenizer_decode(const struct qr_tokenizer *t, const int32_t *ids, size_t ids_n,
                        unsigned flags, char *text, size_t capacity, size_t *text_n);

bool qr_tokenizer_adds_bos(const struct qr_tokenizer *t);
bool qr_tokenizer_adds_eos(const struct qr_tokenizer *t);
/* How text is cut: the name of the split rule in use; "none" for SentencePiece. */
const char *qr_tokenizer_split_name(const struct qr_tokenizer *t);
uint32_t qr_tokenizer_vocab_n(const struct qr_tokenizer *t);
/* Whether generation ends at this id: the file's eos, eot and eom, and the known names of such
 * tokens ("<|im_end|>", "<|eot_id|>", "<|endoftext|>", ...) among control and user-defined ones. */
bool qr_tokenizer_is_end(const struct qr_tokenizer *t, int32_t id);
/* The id of a token by its text in the file, -1: none. */
int32_t qr_tokenizer_find(const struct qr_tokenizer *t, struct quire_text token);
/* The longest text one token can decode to, in bytes. */
size_t qr_tokenizer_token_bytes_max(const struct qr_tokenizer *t);

/* The streaming side: bytes of tokens in, whole characters out. */
struct qr_detokenizer {
    const struct qr_tokenizer *tokenizer;
    unsigned flags;  /* QUIRE_TEXT_SPECIAL: write special tokens out */
    uint8_t held[4]; /* the beginning of a character */
    uint32_t held_n;
};
void qr_detokenizer_init(struct qr_detokenizer *d, const struct qr_tokenizer *t, unsigned flags);
/* Writes what has become certain into out (qr_detokenizer_room() bytes are enough) and returns
 * its length.  Bytes that can no longer become valid UTF-8 come out as U+FFFD. */
size_t qr_detokenizer_room(const struct qr_tokenizer *t);
size_t qr_detokenizer_push(struct qr_detokenizer *d, int32_t id, char *out);
/* At the end: what is held comes out as U+FFFD. */
size_t qr_detokenizer_flush(struct qr_detokenizer *d, char *out);

#endif
