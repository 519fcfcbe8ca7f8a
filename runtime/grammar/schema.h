/* SPDX-License-Identifier: MIT */
/* schema -- compiles a JSON Schema (draft 2020-12, 2019-09, 7, 6, 4) into rules.
 *
 * The rules' texts are JSON texts of values that the schema accepts: properties in the order of
 * `properties`, then others; white space as the settings say; strings, numbers and literals as
 * json.dumps writes them.  A schema that asks for what rules cannot hold is refused by the name of
 * the keyword and its path; nothing is left out in silence.  Annotations are passed over.
 *
 * Not held: uniqueItems, unevaluated*, contains with other counts, minProperties that only names
 * which are not listed could fill, oneOf whose branches are not provably apart, `not` of lists.
 *
 * Thread: one.   Memory: the rules' budget. */
#ifndef QR_GRAMMAR_SCHEMA_H
#define QR_GRAMMAR_SCHEMA_H

#include "runtime/grammar/rules.h"

struct qr_schema_settings {
    const char *whitespace; /* a pattern for the space between tokens; NULL: one blank, or one or
                               two newlines and up to 20 blanks; "": none */
    bool no_additional_properties; /* where a schema with `properties` does not say */
};

/* text: a JSON document.  On success the rules have ended and can be matched. */
int qr_schema_compile(struct qr_rules *rules, const char *text, size_t n,
                      const struct qr_schema_settings *settings, struct quire_error *error);

#endif
