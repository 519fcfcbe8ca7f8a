/* SPDX-License-Identifier: MIT */
/* template -- a Jinja template, compiled once and rendered many times.
 *
 *     source --lexer--> tokens --parser--> tree            qr_template_create
 *                                           |
 *     variables --values--> scope --exec----+--> output    qr_template_render
 *                                  |
 *                            run: steps, memory, depth (limits.h)
 *
 * Thread: any; a compiled template is constant and shared.   Memory: the allocator's; a render
 * frees its arena before it returns. */
#ifndef QR_TEMPLATE_TEMPLATE_H
#define QR_TEMPLATE_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/quire.h"

struct qr_template;

/* Copies the source.  QUIRE_INVALID: *error names the line and says what was expected. */
int qr_template_create(struct qr_template **out, struct quire_text source,
                       const struct quire_allocator *memory, struct quire_error *error);
void qr_template_destroy(struct qr_template *t); /* NULL is allowed */

/* True if the template iterates over a message's content as a list of parts ("openai" in vLLM);
 * otherwise it expects each content as one string. */
bool qr_template_wants_parts(const struct qr_template *t);

/* Renders with the entries of a MAP as variables.  Sizes and errors as quire_render_conversation.
 */
int qr_template_render(const struct qr_template *t, const struct quire_value *variables,
                       int64_t now_s, char *text, size_t capacity, size_t *text_n,
                       struct quire_error *error);

#endif
