/* SPDX-License-Identifier: MIT */
/* charset -- sets of code points, and the texts in which they are written.
 *
 * Thread: one at a time.   Memory: the budget's. */
#ifndef QR_GRAMMAR_CHARSET_H
#define QR_GRAMMAR_CHARSET_H

#include "runtime/grammar/regex.h"

struct qr_charset {
    struct qr_code_range *ranges; /* after qr_charset_tidy: sorted, apart, not adjacent */
    size_t n, ranges_capacity;
};

/* How characters are written: as themselves, or as inside a JSON string, where some have to be
 * escaped (those are written as json.dumps does: the short escape where there is one, else \uXXXX
 * in either case). */
enum qr_writing { QR_WRITING_PLAIN, QR_WRITING_JSON };

#define QR_CODE_MAX 0x10ffffu

void qr_charset_add(struct qr_budget *b, struct qr_charset *s, uint32_t first, uint32_t last);
void qr_charset_add_set(struct qr_budget *b, struct qr_charset *s, const struct qr_charset *other);
void qr_charset_tidy(struct qr_charset *s);
/* Tidy before and after. */
void qr_charset_complement(struct qr_budget *b, struct qr_charset *s);
/* A Unicode category by its one- or two-letter name ("L", "Lu"), or "Any", "ASCII".  False: the
 * name is not known. */
bool qr_charset_add_category(struct qr_budget *b, struct qr_charset *s, const char *name, size_t n);
void qr_charset_free(struct qr_budget *b, struct qr_charset *s);

/* One character of the (tidy) set. */
qr_rx qr_charset_write(struct qr_rx_pool *pool, const struct qr_charset *s,
                       enum qr_writing writing);
/* Any character.  In JSON also by escapes that are not needed: \/, \u0041, pairs of surrogates. */
qr_rx qr_any_char(struct qr_rx_pool *pool, enum qr_writing writing);

#endif
