/* SPDX-License-Identifier: MIT */
/* team -- N threads that run stages of work together.  The caller is one of them.
 *
 *              stage 0        barrier   stage 1     stage 2
 *     thread 0 |==partition 0==|........|==p. 0==||==p. 0==|
 *     thread 1 |==partition 1=====|steal|==p. 1====||==p. 1|
 *                                        no barrier here: each thread goes on by itself
 *
 * qr_team_run runs one stage, qr_team_run_stages several that follow each other.  A thread works on
 * its own partition first and then helps others, so the caller never waits for a helper that has
 * taken no item: a core lost to another process costs the items in hand and little more.  Helpers
 * spin for a short while after work, then sleep.
 *
 * Thread: one caller at a time.   Memory: the allocator given. */
#ifndef QR_BASE_TEAM_H
#define QR_BASE_TEAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/machine.h"
#include "runtime/base/stage.h"
#include "runtime/quire.h"

struct qr_team;

/* threads_n counts the caller; 0: qr_cores_available().  NULL: out of memory or threads. */
struct qr_team *qr_team_create(const struct quire_allocator *allocator, uint32_t threads_n);
void qr_team_destroy(struct qr_team *team); /* NULL is allowed */

uint32_t qr_team_threads(const struct qr_team *team);

/* A hint: what the run after the next reads first.  A thread without work prefetches `bytes` at
 * data
 * + thread * stride.  It holds until it is changed.  Any address is safe.  NULL: none. */
void qr_team_prefetch(struct qr_team *team, const void *data, size_t stride, size_t bytes);

/* Runs one stage of items_n items. */
void qr_team_run(struct qr_team *team, qr_team_fn *fn, void *work, uint32_t items_n,
                 uint32_t grain);
/* Runs stages in order.  stages_n is at most QR_STAGES_MAX. */
void qr_team_run_stages(struct qr_team *team, const struct qr_stage *stages, uint32_t stages_n);

/* True if another process has used a thread's core for a good part of the last stages.  One thread
 * is then slow, and barriers after every stage share the work better. */
bool qr_team_is_shared(const struct qr_team *team);

/* Adds the time that the caller waits for items in other threads' hands to *waited_ns from now on.
 * NULL (the default): not measured. */
void qr_team_measure(struct qr_team *team, uint64_t *waited_ns);

#endif
