/* SPDX-License-Identifier: MIT */
/* tags -- structural tags: free text until a trigger, then a form, then free text again.
 *
 *     {"structures": [{"begin": "<f=a>", "schema": {...}, "end": "</f>"}], "triggers": ["<f="]}
 *
 *     I will look.  <f=a>{"x": 1}</f>  And now...
 *     free text     begin schema  end  free text
 *
 * The newer form is {"format": F}.  F is an object with a `type`: const_string, json_schema,
 * any_text, regex, grammar, sequence, or, tag, triggered_tags, tags_with_separator, optional, plus
 * or star.  Others, and keys that are not known, are refused by name.
 *
 * Free text ends at the first byte that completes a trigger (or the end of the tag around it):
 * one lexeme is all texts that end in a trigger and contain none before.
 *
 * Thread: one.   Memory: the rules' budget, and jansson's for the document. */
#ifndef QR_GRAMMAR_TAGS_H
#define QR_GRAMMAR_TAGS_H

#include "runtime/grammar/schema.h"

/* Adds the rules of a structural tag: JSON.  Returns the symbol of a whole text; *status is not
 * QUIRE_OK where it is refused. */
qr_symbol qr_tags_add(struct qr_rules *rules, const char *text, size_t n,
                      const struct qr_schema_settings *settings, int *status,
                      struct quire_error *error);

#endif
