/* SPDX-License-Identifier: MIT */
/* refusals -- every reason why a file is not served.
 *
 * A check that fails returns a status and writes a sentence into `last`.  Code that makes several
 * checks passes each status to qr_refused and goes on if that returns QUIRE_OK.  With a `tell`
 * function every refusal is reported; without one the first refusal ends the work.
 *
 * Thread: one.   Memory: the caller's. */
#ifndef QR_BASE_REFUSALS_H
#define QR_BASE_REFUSALS_H

#include "runtime/quire.h"

struct qr_refusals {
    struct quire_error *first;                         /* gets the first refusal; may be NULL */
    void (*tell)(void *context, const char *sentence); /* NULL: stop at the first refusal */
    void *context;
    struct quire_error last; /* checks write here */
    int status;              /* of the first refusal; QUIRE_OK: nothing was refused */
};

/* Records the status of a check, with its sentence in `last`.  QUIRE_OK: go on to the next check.
 * Otherwise: return this status.  Recording it again in a caller changes nothing. */
int qr_refused(struct qr_refusals *refusals, int status);

#endif
