/* SPDX-License-Identifier: MIT */
/* grammar -- a compiled grammar that requests share, and a request's place in it.
 *
 *     vocabulary (a model's)  <-  grammar (compiled once)  <-  constraint (one for each sequence)
 *
 * A grammar's lexer grows as texts are matched, so each call on a constraint holds the grammar's
 * lock: masks of one grammar are made one after the other, those of different
 * grammars at once.
 *
 * Thread: any; a constraint belongs to one at a time.
 * Memory: the allocator given, at most `bytes_max` a grammar with all its constraints. */
#ifndef QR_GRAMMAR_GRAMMAR_H
#define QR_GRAMMAR_GRAMMAR_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/grammar/schema.h"
#include "runtime/grammar/trie.h"

struct qr_grammar_vocabulary {
    struct qr_budget budget;
    struct qr_trie trie;
    struct qr_token_bytes *tokens; /* [vocab_n] */
    uint32_t vocab_n;
    char *bytes; /* what tokens point to */
};

/* bytes_of: writes a token's bytes (at most its return value for out NULL) and returns their
 * number; 0: the token is never part of a text.  False: no memory. */
bool qr_grammar_vocabulary_init(struct qr_grammar_vocabulary *v, uint32_t vocab_n,
                                size_t (*bytes_of)(const void *context, uint32_t id, char *out),
                                const void *context, const struct quire_allocator *allocator);
void qr_grammar_vocabulary_deinit(struct qr_grammar_vocabulary *v);

struct qr_grammar;

enum qr_grammar_kind {
    QR_GRAMMAR_SCHEMA,
    QR_GRAMMAR_REGEX,
    QR_GRAMMAR_CHOICES,
    QR_GRAMMAR_GBNF,
    QR_GRAMMAR_TAGS
};

struct qr_grammar_source {
    enum qr_grammar_kind kind;
    /* SCHEMA: JSON; REGEX: the whole text matches it; GBNF: gbnf.h; TAGS: JSON, tags.h */
    struct quire_text text;
    const struct quire_text *choices; /* [choices_n] */
    size_t choices_n;
    struct qr_schema_settings settings;
};

/* vocabulary outlives the grammar.  On success *grammar has one reference. */
int qr_grammar_create(struct qr_grammar **grammar, const struct qr_grammar_source *source,
                      const struct qr_grammar_vocabulary *vocabulary, size_t bytes_max,
                      const struct quire_allocator *allocator, struct quire_error *error);
struct qr_grammar *qr_grammar_share(struct qr_grammar *grammar);
void qr_grammar_drop(struct qr_grammar *grammar); /* NULL is allowed */
/* Bytes in use, with its constraints, when a call on it last ended. */
size_t qr_grammar_bytes(const struct qr_grammar *grammar);

/* A sequence's place. */
struct qr_constraint {
    struct qr_grammar *grammar; /* NULL: no constraint */
    struct qr_matcher matcher;
    struct qr_mask_cache cache;
};

enum qr_constraint_state {
    QR_CONSTRAINT_OPEN,  /* some token may come next, and maybe the end */
    QR_CONSTRAINT_DONE,  /* the text is complete, and nothing may follow */
    QR_CONSTRAINT_STUCK, /* no token of the vocabulary may come, and the text is not complete */
    QR_CONSTRAINT_MEMORY /* out of memory, or of the grammar's bytes or steps */
};

/* Takes a share of the grammar.  False: no memory. */
bool qr_constraint_init(struct qr_constraint *c, struct qr_grammar *grammar);
void qr_constraint_deinit(struct qr_constraint *c); /* of a zeroed one: nothing */

/* bits [(vocab_n + 63) / 64]: the tokens that may come next.  *may_end: the text may end here. */
enum qr_constraint_state qr_constraint_mask(struct qr_constraint *c, uint64_t *bits, bool *may_end);
/* bits [4]: the bytes that may come next.  False: no memory. */
bool qr_constraint_bytes(struct qr_constraint *c, uint64_t bits[4]);
/* One that the mask allows. */
enum qr_constraint_state qr_constraint_accept(struct qr_constraint *c, uint32_t token);
/* Whether these bytes may come next as one token. */
bool qr_constraint_allows_text(struct qr_constraint *c, const char *text, size_t n);
/* As qr_constraint_accept, of any bytes. */
enum qr_constraint_state qr_constraint_accept_bytes(struct qr_constraint *c, const char *bytes,
                                                    size_t n);
/* Any bytes, as if they were a token.  False: not allowed, or *no_memory; nothing has changed. */
bool qr_constraint_accept_text(struct qr_constraint *c, const char *text, size_t n,
                               bool *no_memory);
/* Takes back the last n tokens, at most QR_MATCHER_BACK_MAX. */
void qr_constraint_rollback(struct qr_constraint *c, uint32_t n);

/* How many bytes of a text the grammar accepts; *whole: all, and it may end there. */
size_t qr_grammar_match(struct qr_grammar *grammar, const char *text, size_t n, bool *whole);

#endif
