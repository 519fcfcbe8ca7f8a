/* SPDX-License-Identifier: MIT */
/* thinking -- whether an answer may begin with reasoning, by the end of its prompt.
 *
 * A prompt opens the reasoning if its end has an opening marker without the closing one after it,
 * whatever the family.
 *
 * Thread: any.   Memory: none. */
#ifndef QR_PARSE_THINKING_H
#define QR_PARSE_THINKING_H

#include "runtime/parse/force.h"

/* The prompt's end opens this pair of markers and does not close it. */
bool qr_parse_is_opened(struct quire_text prompt_tail, const struct qr_parse_reasoning *reasoning,
                        size_t pair);
/* The markers that count: those given, the family's, or any that the prompt has opened; never NULL.
 * family and reasoning may be NULL. */
const struct qr_parse_reasoning *qr_parse_reasoning_in(const struct qr_parse_family *family,
                                                       const struct qr_parse_reasoning *reasoning,
                                                       struct quire_text prompt_tail);
/* The markers around an answer's reasoning: the pair that the prompt has opened, else the first.
 * NULL both: there is none. */
void qr_parse_thinking_pair(const struct qr_parse_family *family,
                            const struct qr_parse_reasoning *reasoning,
                            struct quire_text prompt_tail, const char **open, const char **close);
/* Whether an answer has reasoning, and whether the prompt, whose end is given, has opened it. */
enum qr_parse_thinking qr_parse_thinking_of(const struct qr_parse_family *family,
                                            const struct qr_parse_reasoning *reasoning,
                                            struct quire_text prompt_tail);

#endif
