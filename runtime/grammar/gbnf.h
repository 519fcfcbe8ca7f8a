/* SPDX-License-Identifier: MIT */
/* gbnf -- grammars in GBNF, the notation of llama.cpp's grammar files and of vLLM's `grammar`.
 *
 *     root  ::= item ("," item)*      # a comment
 *     item  ::= [a-z]+ | "\"" [^"\n]{0,9} "\""
 *
 * A rule ends where a later line begins another one; a line break elsewhere is a blank.  The start
 * is `root`.  Recursion of every kind is allowed.  Token elements (<think>, <[1000]>) are refused.
 *
 * A rule that refers to itself through no other rule, and is small, becomes an expression: its
 * references are then parts of one lexeme.  Other rules become nonterminals.
 *
 * Thread: one.   Memory: the rules' budget. */
#ifndef QR_GRAMMAR_GBNF_H
#define QR_GRAMMAR_GBNF_H

#include "runtime/grammar/rules.h"

/* Adds the grammar's rules.  Returns the symbol of `root`, QR_SYMBOL_NONE where it matches nothing.
 * *status is not QUIRE_OK where the grammar is refused; *error then names line and column. */
qr_symbol qr_gbnf_add(struct qr_rules *rules, const char *text, size_t n, int *status,
                      struct quire_error *error);

#endif
