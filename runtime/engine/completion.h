/* SPDX-License-Identifier: MIT */
/* completion -- events on their way from the engine thread to the caller.
 *
 * A request with events to be taken is in one queue, once; its events wait in its own list.
 * The taker gets one event of the first request, which then goes to the end if it has more: so no
 * request can keep others waiting.  The engine never waits for the taker.
 *
 * Thread: publish, the engine's; take, one at a time.  The lock is held to move pointers only.
 * Memory: the requests' links and event nodes.  The node last taken stays until the next take.
 * Invariant: under the lock, the descriptor is readable if and only if `signalled`, and it is
 * signalled whenever a request is ready. */
#ifndef QR_ENGINE_COMPLETION_H
#define QR_ENGINE_COMPLETION_H

#include <pthread.h>
#include <stdbool.h>

#include "runtime/quire.h"

struct qr_request;
struct qr_event_node;

struct qr_completion {
    struct quire_allocator allocator;
    pthread_mutex_t lock;
    int fd; /* an eventfd; -1 before init and after deinit */
    bool signalled;
    bool ended; /* nothing will be published any more */
    struct qr_request *ready, *ready_last;
    struct qr_event_node *taken;    /* freed at the next take */
    struct qr_request *taken_whole; /* the same, a request whose terminal event it is */
};

/* QUIRE_OK or QUIRE_SYSTEM. */
int qr_completion_init(struct qr_completion *c, const struct quire_allocator *allocator);
/* Frees what was not taken. */
void qr_completion_deinit(struct qr_completion *c);

/* Moves the fresh events of every request in the list (by fresh_next) into the queue. */
void qr_completion_publish(struct qr_completion *c, struct qr_request *list);
/* No more events will come: wakes all waiting threads. */
void qr_completion_end(struct qr_completion *c);

/* False: nothing there.  *ended (may be NULL): and nothing will be. */
bool qr_completion_take(struct qr_completion *c, struct quire_event *event, bool *ended);

#endif
