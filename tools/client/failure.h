/* SPDX-License-Identifier: MIT */
/* failure -- one sentence about a failure: what was given, where, and what was expected.
 *
 * Thread: any.   Memory: the caller's. */
#ifndef QR_CLIENT_FAILURE_H
#define QR_CLIENT_FAILURE_H

#include <stdbool.h>

struct qr_failure {
    char text[352]; /* room for a struct quire_error's sentence and a file name */
};

/* Writes the sentence, cut to fit; why may be NULL.  Returns false, for `return qr_failed(...)`. */
__attribute__((format(printf, 2, 3))) bool qr_failed(struct qr_failure *why, const char *format,
                                                     ...);

#endif
