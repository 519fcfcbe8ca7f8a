/* SPDX-License-Identifier: MIT */
/* inbox -- requests on their way from the callers' threads to the engine thread.
 *
 * States: OPEN, then CLOSED for ever.  Many threads push, and one takes everything at once.  The
 * close takes all requests that were pushed before it.  A push after it fails.  So no request is
 * lost.
 *
 * Thread: any may push; the engine's takes and closes.
 * Memory: the requests' own link. */
#ifndef QR_ENGINE_INBOX_H
#define QR_ENGINE_INBOX_H

#include <stdatomic.h>
#include <stdbool.h>

struct qr_request;

struct qr_inbox {
    _Atomic(struct qr_request *) last; /* pushed last, linked to the one before it */
};

void qr_inbox_init(struct qr_inbox *inbox);
/* False: the inbox is closed, and the request is still the caller's. */
bool qr_inbox_push(struct qr_inbox *inbox, struct qr_request *request);
/* Takes all requests, in the order of pushing, linked by inbox_next.  NULL: the inbox is empty. */
struct qr_request *qr_inbox_take(struct qr_inbox *inbox);
/* The same, and closes the inbox. */
struct qr_request *qr_inbox_close(struct qr_inbox *inbox);

#endif
