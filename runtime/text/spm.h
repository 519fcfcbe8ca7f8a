/* SPDX-License-Identifier: MIT */
/* spm -- SentencePiece's BPE: of all adjacent symbols whose joined text is a token, the pair whose
 * token has the highest score merges first, the leftmost of equal scores.  A character that is not
 * part of a token at the end becomes the byte tokens of its bytes.
 *
 *     "a b"  --escape-->  "_a_b"  --cut-->  "_a" "_b"  --merge-->  ids       (_ is U+2581)
 *
 * Escaping writes a space as U+2581 and may add one in front.  Characters have the length that
 * their first byte says; this is how llama.cpp reads bad UTF-8, and it keeps every byte.  If no
 * token has two characters next to each other, no merge can join them, so the text is cut there and
 * pieces stay short.
 *
 * The merges are computed once: each way to cut a token into two tokens is a merge.
 * Source: Kudo and Richardson 2018, "SentencePiece"; its bpe_model.cc for the order.
 *
 * Thread: any after init, each with its own scratch.   Memory: the allocator's. */
#ifndef QR_TEXT_SPM_H
#define QR_TEXT_SPM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/text/merge.h"
#include "runtime/text/vocabulary.h"

/* 16 KiB of bits.  Two pairs of characters with one bit only make a piece longer. */
#define QR_SPM_PAIR_BITS 17u

struct qr_spm {
    const struct qr_vocabulary *vocabulary;
    struct qr_merges merges;
    uint32_t ascii[128]; /* symbol of each ASCII character */
    uint32_t bytes[256]; /* id of each byte's token, or QR_ID_NONE */
    uint32_t unknown_id; /* for bytes without a token; QR_ID_NONE: the character is left out */
    uint32_t *parts;     /* [parts_n] sorted: characters of tokens that are not tokens themselves */
    uint32_t parts_n;    /* part i is symbol tokens_n + i */
    uint64_t pairs[(1u << QR_SPM_PAIR_BITS) / 64]; /* bit set: some token has these two adjacent */
};

/* scores: [tokens_n], or NULL for all 0.  The vocabulary must outlive spm.  QUIRE_BAD_FILE: a score
 * is NaN; QUIRE_UNSUPPORTED: more than QR_MERGES_MAX merges; QUIRE_NO_MEMORY. */
int qr_spm_init(struct qr_spm *spm, const struct qr_vocabulary *vocabulary, const float *scores,
                const struct quire_allocator *allocator, struct quire_error *error);
void qr_spm_deinit(struct qr_spm *spm, const struct quire_allocator *allocator);

/* Escapes a text, with a space added in front if `space`.  Returns the length; writes only if out
 * is not NULL. */
size_t qr_spm_escape(const char *text, size_t text_n, bool space, char *out);

/* Appends the ids of an escaped text to `out`.  QUIRE_NO_MEMORY. */
int qr_spm_encode(const struct qr_spm *spm, struct qr_merge_scratch *scratch, const char *text,
                  size_t text_n, struct qr_ids *out);

#endif
