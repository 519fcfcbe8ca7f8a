/* SPDX-License-Identifier: MIT */
/* stats -- the figures that quire_stats gives: counted by the engine thread, copied out once a
 * turn.
 *
 * Histograms have the bucket bounds of vLLM's metrics, so a dashboard made for vLLM shows them.
 *
 * Thread: the figures, the engine's; the copy, any, under its lock.   Memory: in the engine. */
#ifndef QR_ENGINE_STATS_H
#define QR_ENGINE_STATS_H

#include <pthread.h>
#include <stdbool.h>

#include "runtime/base/phases.h"
#include "runtime/quire.h"

struct qr_stats {
    struct quire_stats now; /* the engine thread's */
    pthread_mutex_t lock;
    struct quire_stats copied; /* under the lock, as all below */
    struct qr_phase_time phases[QR_PHASES_N];
};

/* False: cannot create the lock. */
bool qr_stats_init(struct qr_stats *s);
void qr_stats_deinit(struct qr_stats *s);

void qr_histogram_add(struct quire_histogram *h, double value);

/* Makes what was counted up to now visible. */
void qr_stats_publish(struct qr_stats *s);
void qr_stats_publish_phases(struct qr_stats *s, const struct qr_phases *phases);
void qr_stats_read(struct qr_stats *s, struct quire_stats *out);
void qr_stats_read_phases(struct qr_stats *s, struct qr_phase_time out[QR_PHASES_N]);

#endif
