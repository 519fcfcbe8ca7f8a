/* SPDX-License-Identifier: MIT */
/* template -- a Jinja template, compiled once and rendered as often as wanted.
 *
 * Thread: any; a compiled template is constant and shared.   Memory: the allocator's; a render
 * takes its own and gives it back. */
#ifndef QR_TEMPLATE_TEMPLATE_H
#define QR_TEMPLATE_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/quire.h"

struct qr_template;

/* QUIRE_INVALID: *error says in which line and what was expected.  The source is copied. */
int qr_template_create(struct qr_template **out, struct quire_text source,
                       const struct quire_allocator *memory, struct quire_error *error);
void qr_template_destroy(struct qr_template *t); /* NULL is allowed */

/* Whether it goes through a message's content as a list of parts ("openai"), by vLLM's rule;
 * otherwise a content is one text. */
bool qr_template_wants_parts(const struct qr_template *t);

/* Renders with the variables of a MAP.  As quire_render_conversation for sizes and errors. */
int qr_template_render(const struct qr_template *t, const struct quire_value *variables,
                       int64_t now_s, char *text, size_t capacity, size_t *text_n,
                       struct quire_error *error);

#endif
