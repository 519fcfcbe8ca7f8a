/* SPDX-License-Identifier: MIT */
/* refusals -- every reason why a file is not served.
 *
 * A check refuses by its status and a sentence in `last`.  A caller that makes several checks
 * passes each status to qr_refused and goes on where that allows it: a caller with a `tell` gets to
 * know all of them.  Without one the first ends the work.
 *
 * Thread: one.   Memory: the caller's. */
#ifndef QR_BASE_REFUSALS_H
#define QR_BASE_REFUSALS_H

#include "runtime/quire.h"

struct qr_refusals {
    struct quire_error *first;                         /* becomes the first refusal; may be NULL */
    void (*tell)(void *context, const char *sentence); /* NULL: the first is enough */
    void *context;
    struct quire_error last; /* where checks write */
    int status;              /* the first's; QUIRE_OK: nothing was refused */
};

/* Takes in what a check returned, `last` being its sentence.  QUIRE_OK: go on, there may be more;
 * else leave with it.  Taken in again on the way out, such a status changes nothing. */
int qr_refused(struct qr_refusals *refusals, int status);

#endif
