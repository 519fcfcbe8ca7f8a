/* SPDX-License-Identifier: MIT */
/* completion -- events on their way from the engine thread to the caller.
 *
 *     ready -> request A -> request B -> ...     take gets A's first event; A goes to the end
 *              | events     | events             if it has more
 *
 * A request with events is in the queue once, and its events are in its own list.  So no request
 * can keep others waiting, and the engine never waits for the taker.
 *
 * Thread: the engine's publishes; one thread at a time takes.  The lock is held to move pointers
 * only.
 * Memory: the requests' links and event nodes.  The node that was taken stays until the next take.
 * Invariant: under the lock, the descriptor is readable if and only if `signalled` is true, and
 * `signalled` is true whenever a request is ready. */
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
    bool ended; /* no more events will be published */
    struct qr_request *ready, *ready_last;
    struct qr_event_node *taken;    /* freed at the next take */
    struct qr_request *taken_whole; /* the request of `taken`, if that is its terminal event */
};

/* QUIRE_OK or QUIRE_SYSTEM. */
int qr_completion_init(struct qr_completion *c, const struct quire_allocator *allocator);
/* Frees all events that were not taken. */
void qr_completion_deinit(struct qr_completion *c);

/* Moves the fresh events of every request in the list, which is linked by fresh_next, to the queue.
 */
void qr_completion_publish(struct qr_completion *c, struct qr_request *list);
/* No more events will come: wakes all waiting threads. */
void qr_completion_end(struct qr_completion *c);

/* False: there is no event.  *ended (may be NULL): and none will come. */
bool qr_completion_take(struct qr_completion *c, struct quire_event *event, bool *ended);

#endif
