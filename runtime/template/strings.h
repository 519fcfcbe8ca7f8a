/* SPDX-License-Identifier: MIT */
/* strings -- operations on strings that methods, filters and operators share.
 *
 * Thread: the run's.   Memory: the run's arena. */
#ifndef QR_TEMPLATE_STRINGS_H
#define QR_TEMPLATE_STRINGS_H

#include "runtime/template/render.h"

enum qr_side { QR_FRONT = 1, QR_BACK = 2 };

/* Removes white space, or the characters of the string `chars`, from the given sides. */
struct qr_value qr_string_strip(struct qr_render *r, struct qr_value text, struct qr_value chars,
                                unsigned sides);
struct qr_value qr_string_upper(struct qr_render *r, struct qr_value text);
struct qr_value qr_string_lower(struct qr_render *r, struct qr_value text);
/* The first character in upper case, all others in lower case. */
struct qr_value qr_string_capitalize(struct qr_render *r, struct qr_value text);
/* The first character of each word in upper case, all others in lower case.  `begins` says whether
 * a new word begins after the character c. */
struct qr_value qr_string_title(struct qr_render *r, struct qr_value text,
                                bool (*begins)(uint32_t c));
/* True if the text has a cased character and `to` (upper or lower) changes none of them. */
bool qr_string_is_cased(struct qr_render *r, struct qr_value text, uint32_t (*to)(uint32_t));
/* Replaces & < > ' " by HTML entities and marks the result as safe. */
struct qr_value qr_string_escape(struct qr_render *r, struct qr_value text);
/* format % values: %s, %r, %d, %i, %f, %.Nf and %%.  Fails if the counts differ (format.c). */
struct qr_value qr_string_format(struct qr_render *r, struct qr_value format,
                                 const struct qr_value *values, size_t n);
/* Replaces the first `most` occurrences; negative: all. */
struct qr_value qr_string_replace(struct qr_render *r, struct qr_value text, struct qr_value from,
                                  struct qr_value to, int64_t most);
/* The list of lines; `ends`: with their line ends. */
struct qr_value qr_string_lines(struct qr_render *r, struct qr_value text, bool ends);
/* texts_only: fails on an item that is not a string; otherwise each item is printed. */
struct qr_value qr_string_join(struct qr_render *r, struct qr_value between,
                               const struct qr_list *list, bool texts_only);
/* False if the text is not a number. */
bool qr_string_parse_int(struct qr_value text, int64_t base, int64_t *out);
bool qr_string_parse_float(struct qr_value text, double *out);

#endif
