/* SPDX-License-Identifier: MIT */
/* matcher -- how far one text has come in a grammar, byte by byte.
 *
 * Here a thread is a parse in progress, not an OS thread.  The words, from small to large:
 *
 *   item    a place within a rule, and the row where that rule began
 *   row     the items at a border between two lexemes (Earley's state set)
 *   thread  a lexeme in progress: the row where it began, and the lexer's state
 *   frame   all threads after one byte, and the row there if a lexeme may end
 *
 * An Earley recogniser over lexemes:
 *
 *      row 0        row 1   row 2
 *        |  "name"    |  :    |  "Ad...       frame: threads {(row 2, state)}, no row here
 *
 * Every way to cut the text into lexemes is followed, so the grammar is matched exactly; there is
 * no longest match.  A row depends on nothing but the rows and lexemes that lead to it, so equal
 * ones are found and used again, in different tokens of a vocabulary too.
 * J. Earley, "An Efficient Context-Free Parsing Algorithm", 1970; J. Aycock, R. N. Horspool,
 * "Practical Earley Parsing", 2002 (rules that may be empty).
 *
 * Frames are a stack: those at the bottom are after each of the last tokens that were accepted, so
 * that they can be taken back; those above are speculative.
 *
 * Thread: one at a time, and one for all matchers of a grammar (they share its lexer).
 * Memory: the budget's. */
#ifndef QR_GRAMMAR_MATCHER_H
#define QR_GRAMMAR_MATCHER_H

#include "runtime/grammar/rules.h"

#define QR_MATCHER_BACK_MAX 32u /* tokens that can be taken back */
#define QR_ROW_NONE         UINT32_MAX

struct qr_item {
    qr_symbol next; /* the symbol at place: sorted by it */
    uint32_t place; /* in rules.body */
    uint32_t origin;
};

struct qr_thread {
    uint32_t row;
    uint32_t state;
};

struct qr_row {
    uint32_t items, items_n;
    uint32_t sources, sources_n; /* (row, lexeme) pairs that lead here */
    uint32_t state;              /* the lexer's, before the first byte of what is expected */
    bool accepting;              /* the whole text may end here */
    uint64_t serial;             /* no two rows of a matcher have the same */
    uint32_t hash, next;
};

struct qr_frame {
    uint32_t threads, threads_n; /* in qr_matcher.threads; the last frame's are the last */
    uint32_t row;                /* the border here, or QR_ROW_NONE */
};

struct qr_seen {
    uint32_t stamp, place, origin;
};

struct qr_matcher {
    const struct qr_rules *rules;
    struct qr_budget *budget;
    struct qr_row *rows;
    size_t rows_n, rows_capacity;
    struct qr_item *items;
    size_t items_n, items_capacity;
    struct qr_thread *sources;
    size_t sources_n, sources_capacity;
    struct qr_thread *threads;
    size_t threads_n, threads_capacity;
    struct qr_frame *frames;
    size_t frames_n, frames_capacity;
    uint32_t tokens_n; /* frames [0, tokens_n] belong to accepted tokens */
    uint32_t *buckets;
    size_t buckets_n, buckets_capacity;
    struct qr_seen *seen; /* items of the row that is being made */
    size_t seen_n, seen_capacity;
    uint32_t *predicted; /* [nonterminals_n]: the stamp of the row that predicted it */
    size_t predicted_capacity;
    uint32_t *expected; /* lexemes of the row that is being made */
    size_t expected_capacity;
    uint32_t *expected_at; /* [lexemes_n]: a stamp */
    size_t expected_at_capacity;
    uint32_t stamp;
    uint64_t serials_n;
};

/* At the beginning of a text.  rules have ended. */
bool qr_matcher_init(struct qr_matcher *m, const struct qr_rules *rules, struct qr_budget *budget);
void qr_matcher_deinit(struct qr_matcher *m);
/* to: not initialised. */
bool qr_matcher_copy(struct qr_matcher *to, const struct qr_matcher *from);

/* Speculative: one byte more.  False: no text of the grammar goes on so; nothing changed. */
bool qr_matcher_push(struct qr_matcher *m, uint8_t byte);
/* Speculative: as if the text had come here by one of its threads alone.  False: no memory. */
bool qr_matcher_push_thread(struct qr_matcher *m, struct qr_thread thread);
/* Takes back n pushed bytes (or threads). */
void qr_matcher_pop(struct qr_matcher *m, size_t n);

/* A token's bytes.  False: not allowed, or no memory (budget->failed); nothing changed. */
bool qr_matcher_accept(struct qr_matcher *m, const char *bytes, size_t n);
/* Takes back the last n tokens, at most QR_MATCHER_BACK_MAX and at most as many as there were. */
void qr_matcher_rollback(struct qr_matcher *m, uint32_t n);

static inline const struct qr_frame *qr_matcher_top(const struct qr_matcher *m)
{
    return &m->frames[m->frames_n - 1];
}

/* The text may end here. */
static inline bool qr_matcher_may_end(const struct qr_matcher *m)
{
    uint32_t row = qr_matcher_top(m)->row;

    return row != QR_ROW_NONE && m->rows[row].accepting;
}

/* The text may go on. */
bool qr_matcher_may_go_on(const struct qr_matcher *m);

#endif
