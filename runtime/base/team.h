/* SPDX-License-Identifier: MIT */
/* team -- N threads that run stages of work together.  The caller is one of them.
 *
 *              stage 0        barrier   stage 1     stage 2
 *     thread 0 |==partition 0==|........|==p. 0==||==p. 0==|
 *     thread 1 |==partition 1=====|steal|==p. 1====||==p. 1|
 *                                        no barrier here: each thread goes on by itself
 *
 * qr_team_run runs one stage, qr_team_run_stages a sequence of stages.  A thread works on its own
 * partition first and then helps others.  So the caller never waits for a helper that has taken no
 * item, and a core lost to another process delays only the items that its thread holds.  After work
 * helpers spin for a short while, then sleep.
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

/* A hint that names what the run after the next one reads first.  A thread that runs out of work
 * prefetches `bytes` bytes at data + thread * stride.  The hint stays until it is changed.  Any
 * address is safe.  NULL: no hint. */
void qr_team_prefetch(struct qr_team *team, const void *data, size_t stride, size_t bytes);

/* Runs one stage of items_n items. */
void qr_team_run(struct qr_team *team, qr_team_fn *fn, void *work, uint32_t items_n,
                 uint32_t grain);
/* Runs stages in order.  stages_n is at most QR_STAGES_MAX. */
void qr_team_run_stages(struct qr_team *team, const struct qr_stage *stages, uint32_t stages_n);

/* Whether another process has used the core of a thread for a large part of the last stages.  That
 * thread is then slow, and barriers after every stage divide the work better. */
bool qr_team_is_shared(const struct qr_team *team);

/* From now on, adds the time that the caller waits for items of other threads to *waited_ns.  NULL
 * (the default): not measured. */
void qr_team_measure(struct qr_team *team, uint64_t *waited_ns);

#endif
