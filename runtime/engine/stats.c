/* SPDX-License-Identifier: MIT */
#include "runtime/engine/stats.h"

#include <assert.h>
#include <math.h>
#include <string.h>

static const double first_token_s[] = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08,    0.1,
                                       0.25,  0.5,   0.75, 1,    2.5,  5,    7.5,     10,
                                       20,    40,    80,   160,  640,  2560, INFINITY};
static const double between_s[] = {0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5,
                                   0.75, 1,     2.5,  5,     7.5, 10,   20,  40,  80,  INFINITY};
static const double request_s[] = {0.3, 0.5, 0.8, 1,  1.5, 2,   2.5, 5,   10,   15,   20,
                                   30,  40,  50,  60, 120, 240, 480, 960, 1920, 7680, INFINITY};
static const double tokens[] = {1,   8,    16,   32,   64,   128,   256,
                                512, 1024, 2048, 4096, 8192, 16384, INFINITY};
/* vLLM has no histogram of step times.  The bounds range from a tiny model's step to a prefill on a
 * slow machine. */
static const double step_s[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,    0.025,
                                0.05,   0.1,     0.25,   0.5,   1,      2.5,   INFINITY};

#define SET_BOUNDS(histogram, array)                                                               \
    ((histogram).bounds = (array), (histogram).bins_n = sizeof(array) / sizeof *(array))

_Static_assert(sizeof first_token_s / sizeof *first_token_s <= QUIRE_HISTOGRAM_BINS, "bins");
_Static_assert(sizeof request_s / sizeof *request_s <= QUIRE_HISTOGRAM_BINS, "bins");

bool qr_stats_init(struct qr_stats *s)
{
    memset(s, 0, sizeof *s);
    if (pthread_mutex_init(&s->lock, NULL)) return false;
    SET_BOUNDS(s->now.time_to_first_token_s, first_token_s);
    SET_BOUNDS(s->now.inter_token_s, between_s);
    SET_BOUNDS(s->now.e2e_s, request_s);
    SET_BOUNDS(s->now.queue_s, request_s);
    SET_BOUNDS(s->now.prefill_s, request_s);
    SET_BOUNDS(s->now.decode_s, request_s);
    SET_BOUNDS(s->now.step_s, step_s);
    SET_BOUNDS(s->now.step_tokens, tokens);
    s->copied = s->now;
    return true;
}

void qr_stats_deinit(struct qr_stats *s)
{
    pthread_mutex_destroy(&s->lock);
}

void qr_histogram_add(struct quire_histogram *h, double value)
{
    uint32_t bin = 0;

    assert(h->bins_n > 0);
    while (bin + 1 < h->bins_n && value > h->bounds[bin])
        bin++;
    h->counts[bin]++;
    h->sum += value;
}

void qr_stats_publish(struct qr_stats *s)
{
    pthread_mutex_lock(&s->lock);
    s->copied = s->now;
    pthread_mutex_unlock(&s->lock);
}

void qr_stats_publish_phases(struct qr_stats *s, const struct qr_phases *phases)
{
    pthread_mutex_lock(&s->lock);
    memcpy(s->phases, phases->times, sizeof s->phases);
    pthread_mutex_unlock(&s->lock);
}

void qr_stats_read(struct qr_stats *s, struct quire_stats *out)
{
    pthread_mutex_lock(&s->lock);
    *out = s->copied;
    pthread_mutex_unlock(&s->lock);
}

void qr_stats_read_phases(struct qr_stats *s, struct qr_phase_time out[QR_PHASES_N])
{
    pthread_mutex_lock(&s->lock);
    memcpy(out, s->phases, sizeof s->phases);
    pthread_mutex_unlock(&s->lock);
}
