/* SPDX-License-Identifier: MIT */
/* metrics -- writes the engine's and server's counters as Prometheus text (format 0.0.4).  Names
 * are vLLM's with the prefix quire_.  docs/metrics.md explains each.
 *
 * Thread: any.   Memory: the buffer's. */
#ifndef QR_SERVER_METRICS_H
#define QR_SERVER_METRICS_H

#include "runtime/server/buffer.h"
#include "runtime/server/state.h"

/* cancelled: [QR_CANCEL_REASONS_N]. */
void qr_metrics_put(struct qr_buffer *out, const struct quire_stats *stats,
                    const uint64_t *cancelled, const struct qr_memory_figure *figures,
                    size_t figures_n);

#endif
