/* SPDX-License-Identifier: MIT */
/* stats -- the figures of quire_stats.  The engine thread counts them and publishes a copy once a
 * turn.
 *
 * Histograms have the bucket bounds of vLLM's metrics, so a dashboard made for vLLM shows them.
 *
 * Thread: the engine's counts and publishes; any may read the copy, under the lock.
 * Memory: in the engine. */
#ifndef QR_ENGINE_STATS_H
#define QR_ENGINE_STATS_H

#include <pthread.h>
#include <stdbool.h>

#include "runtime/base/phases.h"
#include "runtime/quire.h"

struct qr_stats {
    struct quire_stats now; /* only the engine thread */
    pthread_mutex_t lock;
    struct quire_stats copied;                /* under the lock */
    struct qr_phase_time phases[QR_PHASES_N]; /* under the lock */
};

/* False: cannot create the lock. */
bool qr_stats_init(struct qr_stats *s);
void qr_stats_deinit(struct qr_stats *s);

void qr_histogram_add(struct quire_histogram *h, double value);

/* Copies the figures for readers. */
void qr_stats_publish(struct qr_stats *s);
void qr_stats_publish_phases(struct qr_stats *s, const struct qr_phases *phases);
void qr_stats_read(struct qr_stats *s, struct quire_stats *out);
void qr_stats_read_phases(struct qr_stats *s, struct qr_phase_time out[QR_PHASES_N]);

#endif
