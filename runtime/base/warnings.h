/* SPDX-License-Identifier: MIT */
/* warnings -- sentences about faults of a file that is served nevertheless: the fault, and what
 * quire does about it.  The lower folders do not log, so the caller that opened the file reports
 * them.
 *
 * Thread: one.   Memory: the struct's own. */
#ifndef QR_BASE_WARNINGS_H
#define QR_BASE_WARNINGS_H

#include <stdint.h>

#include "runtime/quire.h"

#define QR_WARNINGS_MAX 8u /* more are usually one fault in many places */

struct qr_warnings {
    char texts[QR_WARNINGS_MAX][sizeof((struct quire_error *)0)->text];
    uint32_t n;
};

/* Adds a sentence: one printable line, cut to fit.  A sentence that was added before, or for which
 * there is no room, is dropped.  warnings may be NULL. */
__attribute__((format(printf, 2, 3))) void qr_warn(struct qr_warnings *warnings, const char *format,
                                                   ...);

#endif
