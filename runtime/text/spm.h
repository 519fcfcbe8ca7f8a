/* SPDX-License-Identifier: MIT */
/* spm -- SentencePiece's BPE: of all neighbours whose joined text is a token, those whose token has
 * the highest score merge first, the leftmost of equals.  What is no token in the end comes out as
 * the byte tokens of its bytes.
 *
 * The text is escaped first: a space is U+2581, and one may be put in front.  Then it is cut into
 * characters, as long as their first byte says (llama.cpp's reading of bad UTF-8, which keeps
 * every byte).  There is no other splitting; but where two characters stand side by side in no
 * token no merge can join them, so that is where a text is cut, and words stay short.
 *
 * Which pairs merge is worked out once, from the tokens: each way to cut a token in two.
 * Source: Kudo and Richardson 2018, "SentencePiece"; its bpe_model.cc for the order.
 *
 * Thread: any once initialised, each with a scratch of its own.   Memory: the allocator given. */
#ifndef QR_TEXT_SPM_H
#define QR_TEXT_SPM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/text/merge.h"
#include "runtime/text/vocabulary.h"

/* 16 KiB: a vocabulary of 32,000 has some 10,000 pairs of characters.  Two that fall on one bit
 * only make a piece longer. */
#define QR_SPM_PAIR_BITS 17u

struct qr_spm {
    const struct qr_vocabulary *vocabulary;
    struct qr_merges merges;
    uint32_t ascii[128]; /* id of each character's symbol */
    uint32_t bytes[256]; /* id of each byte's token, QR_ID_NONE: none */
    uint32_t unknown_id; /* where a byte has no token; QR_ID_NONE: the character is left out */
    uint32_t *parts;     /* [parts_n] ascending: characters in tokens that are no tokens alone */
    uint32_t parts_n;    /* part i is symbol tokens_n + i */
    uint64_t pairs[(1u << QR_SPM_PAIR_BITS) / 64]; /* bits: these two are neighbours in a token */
};

/* scores: [tokens_n], NULL: all 0.  QUIRE_BAD_FILE: a score that is no number; QUIRE_UNSUPPORTED:
 * too many ways to cut the tokens; QUIRE_NO_MEMORY.  The vocabulary must outlive it. */
int qr_spm_init(struct qr_spm *spm, const struct qr_vocabulary *vocabulary, const float *scores,
                const struct quire_allocator *allocator, struct quire_error *error);
void qr_spm_deinit(struct qr_spm *spm, const struct quire_allocator *allocator);

/* Escapes a text, with a space in front or not: its length, out NULL: only that. */
size_t qr_spm_escape(const char *text, size_t text_n, bool space, char *out);

/* Adds the ids of an escaped text.  QUIRE_NO_MEMORY. */
int qr_spm_encode(const struct qr_spm *spm, struct qr_merge_scratch *scratch, const char *text,
                  size_t text_n, struct qr_ids *out);

#endif
