/* SPDX-License-Identifier: MIT */
#include "tools/loadgen/arrivals.h"

#include <assert.h>
#include <math.h>

static uint64_t rotate(uint64_t x, int n)
{
    return (x << n) | (x >> (64 - n));
}

void qr_random_seed(struct qr_random *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++) { /* splitmix64, as xoshiro's authors advise */
        uint64_t z = seed += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        r->state[i] = z ^ (z >> 31);
    }
}

uint64_t qr_random_bits(struct qr_random *r)
{
    uint64_t *s = r->state;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

double qr_random_unit(struct qr_random *r)
{
    return (double)(qr_random_bits(r) >> 11) * 0x1p-53;
}

uint32_t qr_random_range(struct qr_random *r, uint32_t low, uint32_t high)
{
    assert(low <= high);
    uint64_t span = (uint64_t)high - low + 1; /* the bias is below span / 2^64 */
    return low + (uint32_t)(qr_random_bits(r) % span);
}

/* By the polar method. */
static double normal(struct qr_random *r)
{
    for (;;) {
        double x = 2 * qr_random_unit(r) - 1, y = 2 * qr_random_unit(r) - 1;
        double s = x * x + y * y;
        if (s > 0 && s < 1) return x * sqrt(-2 * log(s) / s);
    }
}

double qr_random_gamma(struct qr_random *r, double shape)
{
    assert(shape > 0);
    if (shape < 1) {
        double u = 1 - qr_random_unit(r);
        return qr_random_gamma(r, shape + 1) * pow(u, 1 / shape);
    }
    double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = normal(r), v = 1 + c * x;
        if (v <= 0) continue;
        v = v * v * v;
        double u = 1 - qr_random_unit(r);
        if (log(u) < 0.5 * x * x + d - d * v + d * log(v)) return d * v;
    }
}

void qr_arrivals_draw(struct qr_random *r, double rate, double burstiness, double *times_s,
                      size_t n)
{
    assert(rate > 0 && burstiness > 0);
    double at = 0;
    for (size_t i = 0; i < n; i++) {
        if (isinf(rate))
            at = 0;
        else if (isinf(burstiness))
            at += 1 / rate;
        else
            at += qr_random_gamma(r, burstiness) / (rate * burstiness);
        times_s[i] = at;
    }
    if (at > 0)
        for (size_t i = 0; i < n; i++)
            times_s[i] *= (double)n / rate / at;
}
