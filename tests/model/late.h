/* SPDX-License-Identifier: MIT */
/* late -- a team whose helpers are late with one kind of work.  A stage that does not wait for them
 * then reads old values, and its bits differ. */
#ifndef QR_TESTS_MODEL_LATE_H
#define QR_TESTS_MODEL_LATE_H

#include <pthread.h>
#include <time.h>

#include "rig.h"

enum late { LATE_NORMS, LATE_KEYS, LATE_ATTENTION, LATE_KINDS_N };

static struct qr_kernels late_real;
static pthread_t late_caller;

static inline void late_wait(void)
{
    if (!pthread_equal(pthread_self(), late_caller))
        (void)nanosleep(&(struct timespec){.tv_nsec = 1000}, NULL);
}

static QR_RMS_NORM_FN(late_norm)
{
    late_wait();
    late_real.rows.rms_norm(out, x, weight, eps, n);
}

static QR_KV_PUT_FN(late_put)
{
    late_wait();
    late_real.attention.put(kv, position, key, value);
}

static QR_ATTEND_FN(late_attend)
{
    late_wait();
    late_real.attention.attend(kv, a);
}

static inline void late_begin(struct rig *r, enum late kind)
{
    late_real = r->kernels;
    late_caller = pthread_self();
    if (kind == LATE_NORMS) r->kernels.rows.rms_norm = late_norm;
    if (kind == LATE_KEYS) r->kernels.attention.put = late_put;
    if (kind == LATE_ATTENTION) r->kernels.attention.attend = late_attend;
}

#endif
