/* SPDX-License-Identifier: MIT */
/* loop -- the engine thread's event loop: a turn is one step of continuous batching.
 *
 * SLEEPING in poll until somebody wakes it; TURNING, one turn after another, while there is work.
 * This is the only module of the engine that knows libuv: an async handle carries wakes from any
 * thread, an idle handle keeps the loop turning.
 *
 * Thread: run, the engine's; wake, any, from create to destroy, also when the loop has ended.
 * Memory: the allocator given, and libuv's own.
 * Invariant: a wake that comes at any moment is followed by a whole turn that begins after it. */
#ifndef QR_ENGINE_LOOP_H
#define QR_ENGINE_LOOP_H

#include "runtime/quire.h"

enum qr_turn {
    QR_TURN_AGAIN, /* there is more to do */
    QR_TURN_SLEEP, /* nothing to do until a wake */
    QR_TURN_END    /* leave qr_loop_run */
};
typedef enum qr_turn qr_turn_fn(void *context);

struct qr_loop;

/* NULL: no memory or no descriptors. */
struct qr_loop *qr_loop_create(const struct quire_allocator *allocator, qr_turn_fn *turn,
                               void *context);
/* After its thread has ended.  NULL is allowed. */
void qr_loop_destroy(struct qr_loop *loop);

/* Returns after the turn that said QR_TURN_END. */
void qr_loop_run(struct qr_loop *loop);
void qr_loop_wake(struct qr_loop *loop);

#endif
