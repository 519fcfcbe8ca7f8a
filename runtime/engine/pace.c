/* SPDX-License-Identifier: MIT */
#include "runtime/engine/pace.h"

#include <math.h>
#include <string.h>

#define FORGET      0.96    /* factor of a step's weight for each later step: 25 steps count */
#define SPREAD_MAX  1e4     /* bound of the trace, for coefficients that no step determines */
#define SPREAD_NEW  1e3     /* at first: large, so that the first steps set the fit */
#define TOKENS_UNIT 64.0    /* the units keep the three features of similar size */
#define READS_UNIT  16384.0 /* 64 tokens at a position of 256 */

/* The fit before the first step: 1 ms a token, as a small model takes on one slow core. */
#define FIRST_TOKEN_S 1e-3

/* An error is cut to OUTLIER times the usual error, which counts as at least ERROR_MIN of the
 * predicted time: without a bound, a fit without errors could not follow a change. */
#define OUTLIER   4.0
#define ERROR_MIN 0.02
#define ERROR_NEW 0.05 /* weight of the newest error in the usual error */

/* The budget leaves the usual error free as a margin, up to this part of the target. */
#define MARGIN_MAX 0.25

/* Costs are whole numbers of 2^-40 s.  The bounds keep a step's sum below 2^63: 2^16 tokens of at
 * most 2^40 (1 s each) and 2^36 reads of at most 2^24 (15 us each). */
#define UNITS     1099511627776.0
#define TOKEN_MAX 1099511627776.0
#define READ_MAX  16777216.0
#define STEP_MAX  4611686018427387904.0 /* 2^62: 48 days */

void qr_pace_init(struct qr_pace *p, double target_s)
{
    *p = (struct qr_pace){.target_s = target_s, .fit = {0, FIRST_TOKEN_S * TOKENS_UNIT, 0}};
    for (int i = 0; i < 3; i++)
        p->spread[i][i] = SPREAD_NEW;
}

static void features(double x[3], uint32_t tokens_n, uint64_t reads_n)
{
    x[0] = 1;
    x[1] = (double)tokens_n / TOKENS_UNIT;
    x[2] = (double)reads_n / READS_UNIT;
}

double qr_pace_predict(const struct qr_pace *p, uint32_t tokens_n, uint64_t reads_n)
{
    double x[3];

    features(x, tokens_n, reads_n);
    return p->fit[0] * x[0] + p->fit[1] * x[1] + p->fit[2] * x[2];
}

/* The fit moves by gain * error.  The spread shrinks in the direction of x.  In all directions it
 * grows as older steps are forgotten, while its trace is at most SPREAD_MAX. */
static void update(struct qr_pace *p, const double x[3], double error)
{
    double px[3], scale = FORGET, trace = 0;

    for (int i = 0; i < 3; i++)
        px[i] = p->spread[i][0] * x[0] + p->spread[i][1] * x[1] + p->spread[i][2] * x[2];
    for (int i = 0; i < 3; i++)
        scale += x[i] * px[i];
    for (int i = 0; i < 3; i++)
        p->fit[i] += px[i] / scale * error;
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < 3; k++)
            p->spread[i][k] -= px[i] * px[k] / scale;
        trace += p->spread[i][i];
    }
    if (trace / FORGET > SPREAD_MAX) return;
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++)
            p->spread[i][k] /= FORGET;
}

void qr_pace_learn(struct qr_pace *p, uint32_t tokens_n, uint64_t reads_n, double seconds)
{
    double x[3], expected, error, most;

    if (!(seconds > 0) || isinf(seconds) || tokens_n == 0) return;
    features(x, tokens_n, reads_n);
    expected = qr_pace_predict(p, tokens_n, reads_n);
    error = seconds - expected;
    most = OUTLIER * fmax(p->error_s, ERROR_MIN * expected);
    if (p->steps++ < 8) { /* too few for a usual error */
        p->error_s += (fabs(error) - p->error_s) / (double)p->steps;
        update(p, x, error);
        return;
    }
    /* An error that is cut still raises the usual error, which may double in five steps. */
    p->error_s += ERROR_NEW * (fmin(fabs(error), most) - p->error_s);
    update(p, x, fmax(-most, fmin(most, error)));
}

static uint64_t whole(double seconds, double most)
{
    double units = seconds * UNITS;

    return !(units > 0) ? 0 : units < most ? (uint64_t)units : (uint64_t)most;
}

struct qr_step_budget qr_pace_budget(const struct qr_pace *p)
{
    double margin = fmin(p->error_s, MARGIN_MAX * p->target_s);

    return (struct qr_step_budget){
        .cost_max = whole(p->target_s - margin - fmax(p->fit[0], 0), STEP_MAX),
        .token_cost = whole(p->fit[1] / TOKENS_UNIT, TOKEN_MAX),
        .read_cost = whole(p->fit[2] / READS_UNIT, READ_MAX),
    };
}
