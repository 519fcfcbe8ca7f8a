/* SPDX-License-Identifier: MIT */
/* force -- the grammar that forces a call in a family's own format, so that arguments validate.
 *
 *     required, named   [reasoning] block            the answer is calls, and ends after them
 *     auto, strict      [reasoning] text {block text}   free until a marker begins a call
 *     block = open call {between call} close
 *
 * The result is a structural tag (runtime/grammar/tags.h): JSON for the `structural_tag` of
 * quire_grammar_settings.  A family without a format of its own is forced by the envelope
 * {"tool_call": {"name": N, "arguments": {..}}}: then the prompt needs a note, and the reader is
 * told by settings.envelope.
 *
 * Thread: any.   Memory: malloc, through jansson. */
#ifndef QR_PARSE_FORCE_H
#define QR_PARSE_FORCE_H

#include "runtime/parse/parse.h"

enum qr_parse_thinking {
    QR_THINKING_NONE,    /* the answer has no reasoning */
    QR_THINKING_ALLOWED, /* the model may begin with it */
    QR_THINKING_OPENED   /* the prompt has opened it */
};

struct qr_parse_force {
    const struct qr_parse_family *family;       /* NULL: none */
    const struct qr_parse_reasoning *reasoning; /* NULL: the family's own */
    const struct qr_parse_tool *tools; /* [tools_n]: those that may be called; one if it is named */
    size_t tools_n;                    /* at least one */
    bool single;                       /* one call only */
    bool automatic;                    /* tool_choice "auto": text is allowed */
    enum qr_parse_thinking thinking;
};

/* free().  NULL: *error says why.  QUIRE_UNSUPPORTED: a tool's parameters have a keyword that the
 * format cannot hold, or `automatic` where the family's calls begin without a marker. */
char *qr_parse_force(const struct qr_parse_force *force, struct quire_error *error);

/* Whether a forced call of the family (may be NULL) is an envelope. */
bool qr_parse_is_envelope(const struct qr_parse_family *family);
/* What the system message must say when an envelope is forced.  tools: the request's list, as it
 * came.  free(); NULL: no memory. */
char *qr_parse_envelope_note(const json_t *tools);

#endif
