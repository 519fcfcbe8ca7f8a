/* SPDX-License-Identifier: MIT */
/* pace -- how long a step takes, learnt from the steps that were, so that prefill can be cut to a
 * target for the time between tokens.
 *
 * A step's time is taken to be  a + b * tokens + c * reads,  tokens being the rows that go through
 * the model and reads, summed over them, the positions whose keys and values each one reads.  a, b
 * and c are fitted by recursive least squares with forgetting: n = 1 / (1 - FORGET) steps count, so
 * the fit follows a machine that others use too.  An error above four times the usual error is cut
 * to that, so a single stall hardly moves the fit.  A cut error still raises the usual error, so a
 * lasting change soon counts in full.
 *
 * The caller gets a budget for the scheduler, which reads no clock: what the target leaves after a
 * and the usual error, and the costs b of a token and c of a read, all as whole numbers.  The
 * scheduler adds prefill tokens until the budget is spent.  The budget changes when an answer
 * comes, never the answer.
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
    double spread[3][3]; /* how little is known of them */
    double error_s;      /* what errors usually are, as an absolute value */
    uint64_t steps;      /* that were learnt from */
};

void qr_pace_init(struct qr_pace *p, double target_s);

/* One step took so long.  Times that are no times (NaN, negative, infinite, zero) are passed over.
 */
void qr_pace_learn(struct qr_pace *p, uint32_t tokens_n, uint64_t reads_n, double seconds);

/* What the next step may cost, in units of this module's own. */
struct qr_step_budget qr_pace_budget(const struct qr_pace *p);

/* What the fit says of a step, in seconds. */
double qr_pace_predict(const struct qr_pace *p, uint32_t tokens_n, uint64_t reads_n);

#endif
