/* SPDX-License-Identifier: MIT */
/* warnings -- sentences about a file that is served all the same: what was odd about it, and what
 * quire does instead.  The lower folders do not log; the caller that opened the file reports these.
 *
 * Thread: one.   Memory: the struct's own. */
#ifndef QR_BASE_WARNINGS_H
#define QR_BASE_WARNINGS_H

#include <stdint.h>

#include "runtime/quire.h"

#define QR_WARNINGS_MAX 8u /* more than that is one fault said often */

struct qr_warnings {
    char texts[QR_WARNINGS_MAX][sizeof(((struct quire_error *)0)->text)];
    uint32_t n;
};

/* Adds a sentence: one printable line, cut to fit.  warnings may be NULL.
 * What is said already, or does not fit any more, is dropped. */
__attribute__((format(printf, 2, 3))) void qr_warn(struct qr_warnings *warnings, const char *format,
                                                   ...);

#endif
