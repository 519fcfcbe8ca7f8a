/* SPDX-License-Identifier: MIT */
/* trie -- a vocabulary's tokens by their bytes, and the mask of those that a matcher allows.
 *
 * Nodes lie in the order of a walk, depth first:
 *
 *     byte   depth  end  tokens
 *     'a'      1     3     {a}          end: the node after the last one below
 *      'b'     2     2     {ab}
 *      'c'     2     3     {}
 *     ...
 *
 * so that passing over what cannot match is one jump.
 *
 * Thread: any, once built.   Memory: the budget's. */
#ifndef QR_GRAMMAR_TRIE_H
#define QR_GRAMMAR_TRIE_H

#include "runtime/grammar/matcher.h"

/* A token's bytes; n = 0: never allowed by a grammar (special tokens). */
struct qr_token_bytes {
    const char *bytes;
    size_t n;
};

struct qr_trie_node {
    uint32_t end;
    uint32_t tokens, tokens_n; /* in the band's ids, where those of a part follow each other */
    uint16_t depth;            /* 1: first bytes */
    uint8_t byte;
};

/* A part of the vocabulary with nodes of its own.  Tokens of easy characters alone (see
 * qr_lexer_reach) are in bands by their length: where a state's reach is a band's longest token,
 * the band is allowed as a whole, by its mask. */
struct qr_trie_band {
    struct qr_trie_node *nodes;
    size_t nodes_n, nodes_capacity;
    uint32_t *ids;
    size_t ids_n, ids_capacity;
    uint32_t chars_max; /* of its tokens; 0: of other tokens too, so it is always walked */
    uint64_t *mask;     /* [words_n] */
    size_t mask_capacity;
};
#define QR_TRIE_BANDS 7u

struct qr_trie {
    struct qr_trie_band bands[QR_TRIE_BANDS];
    uint32_t vocab_n;
    uint32_t words_n;   /* of a mask: 64 tokens each */
    uint32_t depth_max; /* bytes of the longest token */
};

/* Masks of threads that a matcher has asked for before: a text inside a string asks for the same
 * one again and again. */
struct qr_mask_cache {
    struct {
        uint32_t row, state;
        uint64_t serial; /* of the row */
        uint64_t used;
    } keys[8];
    uint64_t *masks; /* [8][words_n] */
    size_t masks_capacity;
    uint64_t used;
};

/* False: out of the budget's memory, or a token of more than 65,535 bytes. */
bool qr_trie_init(struct qr_trie *trie, const struct qr_token_bytes *tokens, uint32_t vocab_n,
                  struct qr_budget *budget);
void qr_trie_deinit(struct qr_trie *trie, struct qr_budget *budget);

/* bits [words_n]: bit id set where the token's bytes may come next.  cache: zeroed at first, one
 * for each matcher; its masks are freed by qr_array_free.  False: out of memory (the budget's
 * `failed`). */
bool qr_trie_mask(const struct qr_trie *trie, struct qr_matcher *m, struct qr_mask_cache *cache,
                  uint64_t *bits);

#endif
