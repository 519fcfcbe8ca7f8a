/* SPDX-License-Identifier: MIT */
/* strings -- what methods and filters do alike to texts.
 *
 * Thread: the run's.   Memory: the run's. */
#ifndef QR_TEMPLATE_STRINGS_H
#define QR_TEMPLATE_STRINGS_H

#include "runtime/template/render.h"

enum qr_side { QR_FRONT = 1, QR_BACK = 2 };

/* Without white space, or without the characters of `chars` (a text), at the sides named. */
struct qr_value qr_string_strip(struct qr_render *r, struct qr_value text, struct qr_value chars,
                                unsigned sides);
struct qr_value qr_string_upper(struct qr_render *r, struct qr_value text);
struct qr_value qr_string_lower(struct qr_render *r, struct qr_value text);
/* The first character upper, the rest lower. */
struct qr_value qr_string_capitalize(struct qr_render *r, struct qr_value text);
/* The first of each word upper, the rest lower; `begins`: whether a word begins behind c. */
struct qr_value qr_string_title(struct qr_render *r, struct qr_value text,
                                bool (*begins)(uint32_t c));
/* The first `most` places (negative: all). */
struct qr_value qr_string_replace(struct qr_render *r, struct qr_value text, struct qr_value from,
                                  struct qr_value to, int64_t most);
/* A list of lines without their ends, or with them. */
struct qr_value qr_string_lines(struct qr_render *r, struct qr_value text, bool ends);
struct qr_value qr_string_join(struct qr_render *r, struct qr_value between,
                               const struct qr_list *list, bool texts_only);
/* text as a number.  False: it is none. */
bool qr_string_parse_int(struct qr_value text, int64_t base, int64_t *out);
bool qr_string_parse_float(struct qr_value text, double *out);

#endif
