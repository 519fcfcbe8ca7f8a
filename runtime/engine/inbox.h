/* SPDX-License-Identifier: MIT */
/* inbox -- requests on their way from the callers' threads to the engine thread.
 *
 * OPEN, then CLOSED for ever.  Many push, one takes all; what was pushed before the close is taken
 * by it, what comes after is refused, so no request falls between the two.
 *
 * Thread: push, any; take and close, the engine's.
 * Memory: the requests' own link. */
#ifndef QR_ENGINE_INBOX_H
#define QR_ENGINE_INBOX_H

#include <stdatomic.h>
#include <stdbool.h>

struct qr_request;

struct qr_inbox {
    _Atomic(struct qr_request *) last; /* the latest pushed, linked to the one before it */
};

void qr_inbox_init(struct qr_inbox *inbox);
/* False: closed; the request is still the caller's. */
bool qr_inbox_push(struct qr_inbox *inbox, struct qr_request *request);
/* All that is there, in the order of pushing, linked by inbox_next; NULL: nothing. */
struct qr_request *qr_inbox_take(struct qr_inbox *inbox);
/* The same, and closes it. */
struct qr_request *qr_inbox_close(struct qr_inbox *inbox);

#endif
