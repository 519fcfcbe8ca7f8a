/* SPDX-License-Identifier: MIT */
/* lexer -- an automaton over all lexemes of a grammar at once, built as it is walked.
 *
 * A lexeme is a regular expression with a number.  A state is a set of (lexeme, expression of what
 * may follow); equal sets are one state.  A state accepts the lexemes whose expression matches the
 * empty text.  A lexeme never matches the empty text itself.
 *
 * Thread: one at a time.   Memory: the pool's budget. */
#ifndef QR_GRAMMAR_LEXER_H
#define QR_GRAMMAR_LEXER_H

#include "runtime/grammar/regex.h"

#define QR_LEX_DEAD    0u /* no lexeme can match any more */
#define QR_LEX_UNKNOWN UINT32_MAX

struct qr_lex_tag {
    uint32_t lexeme;
    qr_rx rx;
};

struct qr_lex_state {
    uint32_t tags, tags_n;       /* in qr_lexer.tags, sorted by lexeme */
    uint32_t accepts, accepts_n; /* in qr_lexer.accepts */
    uint32_t reach;              /* of qr_lexer_reach; QR_LEX_UNKNOWN: not asked yet */
    uint32_t hash, next;
};

struct qr_lexer {
    struct qr_rx_pool *pool;
    qr_rx *lexemes;
    size_t lexemes_n, lexemes_capacity;
    struct qr_lex_tag *tags;
    size_t tags_n, tags_capacity;
    uint32_t *accepts;
    size_t accepts_n, accepts_capacity;
    struct qr_lex_state *states;
    size_t states_n, states_capacity;
    uint32_t *moves; /* [states_n][classes_n] */
    size_t moves_capacity;
    uint32_t *buckets;
    size_t buckets_n, buckets_capacity;
    struct qr_lex_tag *scratch;
    size_t scratch_capacity;
    uint8_t class_of[256], byte_of[256];
    uint32_t classes_n;
    qr_rx easy; /* one easy character, see qr_lexer_reach */
};

/* The number of the lexeme; equal expressions have one number.  Before qr_lexer_begin only. */
uint32_t qr_lexer_add(struct qr_lexer *lexer, qr_rx rx);
/* All lexemes are there. */
bool qr_lexer_begin(struct qr_lexer *lexer);
void qr_lexer_deinit(struct qr_lexer *lexer);

/* Characters that most tokens are made of: those that a JSON string may hold as they are, but for
 * the separators of lines and paragraphs.  So many of them in a row, whichever they are, keep the
 * state alive: a lower bound. */
uint32_t qr_lexer_reach(struct qr_lexer *lexer, uint32_t state);
static inline bool qr_is_easy(uint32_t code)
{
    return code >= 0x20 && code != '"' && code != '\\' && code != 0x2028 && code != 0x2029;
}

/* The state that expects any of the lexemes (sorted, without duplicates). */
uint32_t qr_lexer_start(struct qr_lexer *lexer, const uint32_t *lexemes, size_t n);
/* As qr_lexer_next, where the move is not known yet. */
uint32_t qr_lexer_build(struct qr_lexer *lexer, uint32_t state, uint32_t class);

static inline uint32_t qr_lexer_next(struct qr_lexer *lexer, uint32_t state, uint8_t byte)
{
    uint32_t class = lexer->class_of[byte];
    uint32_t to = lexer->moves[(size_t)state * lexer->classes_n + class];

    return to == QR_LEX_UNKNOWN ? qr_lexer_build(lexer, state, class) : to;
}

#endif
