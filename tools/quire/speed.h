/* SPDX-License-Identifier: MIT */
/* speed -- prints the speed of an answer, one line on standard error.
 *
 * Thread: any. */
#ifndef QR_QUIRE_SPEED_H
#define QR_QUIRE_SPEED_H

#include "tools/quire/answer.h"

void qr_speed_print(const struct qr_answer *answer);

#endif
