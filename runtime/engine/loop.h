/* SPDX-License-Identifier: MIT */
/* loop -- the engine thread's event loop: a turn is one step of continuous batching.
 *
 * States: SLEEPING in poll until a wake; TURNING, one turn after another, while there is work. Only
 * this module of the engine knows libuv: an async handle carries wakes from any thread, and an idle
 * handle runs the turns.
 *
 * Thread: the engine's runs the loop.  Any thread may wake it from create to destroy, even when it
 * has ended.
 * Memory: the allocator given, and libuv's own.
 * Invariant: after every wake a whole turn begins. */
#ifndef QR_ENGINE_LOOP_H
#define QR_ENGINE_LOOP_H

#include "runtime/quire.h"

enum qr_turn {
    QR_TURN_AGAIN, /* there is more work */
    QR_TURN_SLEEP, /* there is no work until a wake */
    QR_TURN_END    /* leave qr_loop_run */
};
typedef enum qr_turn qr_turn_fn(void *context);

struct qr_loop;

/* NULL: no memory or no descriptors. */
struct qr_loop *qr_loop_create(const struct quire_allocator *allocator, qr_turn_fn *turn,
                               void *context);
/* Call after the engine thread has ended.  NULL is allowed. */
void qr_loop_destroy(struct qr_loop *loop);

/* Returns after a turn that returns QR_TURN_END. */
void qr_loop_run(struct qr_loop *loop);
void qr_loop_wake(struct qr_loop *loop);

#endif
