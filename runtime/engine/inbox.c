/* SPDX-License-Identifier: MIT */
#include "runtime/engine/inbox.h"

#include <stddef.h>

#include "runtime/engine/request.h"

/* `last` of a closed inbox: an address that no request has. */
static struct qr_request closed;

static struct qr_request *in_order(struct qr_request *last)
{
    struct qr_request *first = NULL;

    while (last) {
        struct qr_request *before = last->inbox_next;
        last->inbox_next = first;
        first = last;
        last = before;
    }
    return first;
}

void qr_inbox_init(struct qr_inbox *inbox)
{
    atomic_init(&inbox->last, NULL);
}

bool qr_inbox_push(struct qr_inbox *inbox, struct qr_request *request)
{
    struct qr_request *last = atomic_load_explicit(&inbox->last, memory_order_relaxed);

    do {
        if (last == &closed) return false;
        request->inbox_next = last;
    } while (!atomic_compare_exchange_weak_explicit(&inbox->last, &last, request,
                                                    memory_order_release, memory_order_relaxed));
    return true;
}

struct qr_request *qr_inbox_take(struct qr_inbox *inbox)
{
    struct qr_request *last = atomic_load_explicit(&inbox->last, memory_order_relaxed);

    if (!last || last == &closed) return NULL;
    return in_order(atomic_exchange_explicit(&inbox->last, NULL, memory_order_acquire));
}

struct qr_request *qr_inbox_close(struct qr_inbox *inbox)
{
    struct qr_request *last = atomic_exchange_explicit(&inbox->last, &closed, memory_order_acq_rel);

    return last == &closed ? NULL : in_order(last);
}
