/* SPDX-License-Identifier: MIT */
/* pace -- predicts how long a step takes, so that prefill can be cut to a target for the time
 * between tokens.
 *
 * The model is  time = a + b * tokens + c * reads.  tokens is the number of rows in the step. reads
 * is the number of positions with keys and values that these rows read, summed over the rows.
 * Recursive least squares with forgetting fits a, b and c.  About 1 / (1 - FORGET) steps count, so
 * the fit follows changes of other load.  The error of an outlier is cut to a few times the usual
 * error.  The usual error grows with every outlier, so a lasting change soon counts in full.
 *
 * The scheduler reads no clock.  It gets a budget in whole numbers: the target less a and the usual
 * error, and the costs b and c.  The budget changes when an answer comes, never the answer.
 *
 * The method: L. Ljung, "System Identification", 2nd edition, 1999, sections 11.2 and 11.6.
 *
 * Thread: engine only.   Memory: in itself. */
#ifndef QR_ENGINE_PACE_H
#define QR_ENGINE_PACE_H

#include <stdint.h>

#include "scheduler/scheduler.h"

struct qr_pace {
    double target_s;
    double fit[3];       /* seconds: of a step, of TOKENS_UNIT tokens, of READS_UNIT reads */
    double spread[3][3]; /* their covariance, up to a factor */
    double error_s;      /* the usual absolute error */
    uint64_t steps;      /* learnt so far */
};

void qr_pace_init(struct qr_pace *p, double target_s);

/* Learns the time of one step.  Ignores times that are NaN, infinite, zero or negative. */
void qr_pace_learn(struct qr_pace *p, uint32_t tokens_n, uint64_t reads_n, double seconds);

/* The most that the next step may cost, in units of this module's own. */
struct qr_step_budget qr_pace_budget(const struct qr_pace *p);

/* The predicted time of a step, in seconds. */
double qr_pace_predict(const struct qr_pace *p, uint32_t tokens_n, uint64_t reads_n);

#endif
