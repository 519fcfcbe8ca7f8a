/* SPDX-License-Identifier: MIT */
/* speed -- prints the speed of an answer and how it ended, one line on standard error.
 *
 * Thread: any. */
#ifndef QR_QUIRE_SPEED_H
#define QR_QUIRE_SPEED_H

#include "tools/quire/answer.h"

/* max_tokens: the limit that the answer had, next to the context's. */
void qr_speed_print(const struct qr_answer *answer, uint32_t max_tokens);

#endif
