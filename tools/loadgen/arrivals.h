/* SPDX-License-Identifier: MIT */
/* arrivals -- seeded random numbers, and the times at which an open loop sends its requests.
 *
 * Gaps between requests are gamma distributed with shape `burstiness` and mean 1 / rate, as in
 * vLLM.  A shape of 1 is a Poisson process, less is burstier, more is more even, infinity gives
 * equal gaps.  Also as in vLLM, the times are scaled so that the last one is exactly n / rate.  So
 * every seed offers the same load.
 *
 * Sources: Blackman and Vigna, "Scrambled linear pseudorandom number generators" (xoshiro256**);
 * Marsaglia and Tsang, "A simple method for generating gamma variables" (2000).
 *
 * Thread: any.   Memory: the caller's. */
#ifndef QR_LOADGEN_ARRIVALS_H
#define QR_LOADGEN_ARRIVALS_H

#include <stddef.h>
#include <stdint.h>

struct qr_random {
    uint64_t state[4];
};

void qr_random_seed(struct qr_random *r, uint64_t seed);
uint64_t qr_random_bits(struct qr_random *r);
double qr_random_unit(struct qr_random *r);                                 /* [0, 1) */
uint32_t qr_random_range(struct qr_random *r, uint32_t low, uint32_t high); /* [low, high] */
double qr_random_gamma(struct qr_random *r, double shape);                  /* scale 1 */

/* Writes times_s[0..n): seconds after the start, ascending.  rate: requests a second; infinity
 * sends all at 0.  burstiness > 0. */
void qr_arrivals_draw(struct qr_random *r, double rate, double burstiness, double *times_s,
                      size_t n);

#endif
