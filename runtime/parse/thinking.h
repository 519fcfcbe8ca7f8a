/* SPDX-License-Identifier: MIT */
/* thinking -- whether an answer may begin with reasoning, by the end of its prompt.
 *
 * Thread: any.   Memory: none. */
#ifndef QR_PARSE_THINKING_H
#define QR_PARSE_THINKING_H

#include "runtime/parse/force.h"

/* Whether an answer has reasoning, and whether the prompt, whose end is given, has opened it. */
enum qr_parse_thinking qr_parse_thinking_of(const struct qr_parse_family *family,
                                            const struct qr_parse_reasoning *reasoning,
                                            struct quire_text prompt_tail);

#endif
