/* SPDX-License-Identifier: MIT */
/* families -- the ways in which models write tool calls and reasoning, one table.
 *
 * A family is one row: its name, the names that vLLM, SGLang and llama.cpp give its parser, the
 * strings by which a chat template shows it, its markers, and the form in which a call is forced.
 * A new family is a row, and a file of its own where its syntax is new.
 *
 * Thread: any.   Memory: constant. */
#ifndef QR_PARSE_FAMILIES_H
#define QR_PARSE_FAMILIES_H

#include <stddef.h>

#include "runtime/quire.h"

struct qr_parse_family;
struct qr_parse_reasoning;

/* By a family's name or a peer's parser name: "hermes", "openai", "Llama 3.x".  Case, and which of
 * - . _ and space separates words, does not matter; "none" is a
 * family too.  NULL: unknown. */
const struct qr_parse_family *qr_parse_family_find(const char *name);
/* By a reasoning parser's name ("qwen3", "deepseek_r1", "none").  NULL: unknown. */
const struct qr_parse_reasoning *qr_parse_reasoning_find(const char *name);
/* By the source of a chat template; the family "none" where it shows no tools. */
const struct qr_parse_family *qr_parse_family_recognise(const char *source, size_t n);

/* How a template's model marks its reasoning: as the recognised family does, else by markers that
 * the template mentions; NULL: there are none. */
const struct qr_parse_reasoning *qr_parse_reasoning_recognise(const char *source, size_t n);

/* The i-th text that has to reach the reader even where it is a control token of the vocabulary,
 * which a decoder hides; NULL: no more.  reasoning NULL: the family's own. */
const char *qr_parse_marker_at(const struct qr_parse_family *family,
                               const struct qr_parse_reasoning *reasoning, size_t i);

const char *qr_parse_family_name(const struct qr_parse_family *family);
const char *qr_parse_reasoning_name(const struct qr_parse_reasoning *reasoning);
/* The i-th family's or reasoning parser's name, for help texts; NULL: no more. */
const char *qr_parse_family_name_at(size_t i);
const char *qr_parse_reasoning_name_at(size_t i);

#endif
