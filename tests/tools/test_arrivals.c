/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "tools/client/numbers.h"
#include "tools/loadgen/arrivals.h"

#define N 20000

static double times[N], gaps[N];

static void draw(uint64_t seed, double rate, double burstiness)
{
    struct qr_random r;
    qr_random_seed(&r, seed);
    qr_arrivals_draw(&r, rate, burstiness, times, N);
    for (int i = 0; i < N; i++)
        gaps[i] = times[i] - (i ? times[i - 1] : 0);
}

/* Goal: gaps have the mean 1 / rate and the relative deviation 1 / sqrt(shape).
 * Method: 20,000 gaps for shapes below and above 1; bounds are over five standard errors. */
static void gaps_have_the_gammas_moments(void **state)
{
    (void)state;
    const double shapes[] = {0.25, 1, 4, 100};
    for (size_t i = 0; i < 4; i++) {
        draw(7, 50, shapes[i]);
        double mean = qr_numbers_mean(gaps, N), spread = qr_numbers_std(gaps, N) / mean;
        assert_true(fabs(mean - 0.02) < 1e-9);
        assert_true(fabs(spread * sqrt(shapes[i]) - 1) < 0.08);
        for (int k = 0; k < N; k++)
            assert_true(gaps[k] >= 0);
    }
}

/* Goal: with shape 1 the process is Poisson: gaps are exponential.
 * Method: the median is ln 2 times the mean; a tenth of the gaps is below -ln(0.9) times the mean.
 */
static void shape_one_is_poisson(void **state)
{
    (void)state;
    draw(11, 1, 1);
    qr_numbers_sort(gaps, N);
    assert_true(fabs(qr_numbers_percentile(gaps, N, 50) - log(2)) < 0.03);
    assert_true(fabs(qr_numbers_percentile(gaps, N, 10) + log(0.9)) < 0.01);
}

/* Goal: the last request is due at n / rate for every seed, as in vLLM.
 * Method: several seeds. */
static void the_offered_load_does_not_depend_on_the_seed(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 5; seed++) {
        draw(seed, 8, 1);
        assert_true(fabs(times[N - 1] - N / 8.0) < 1e-6);
    }
}

/* Goal: an infinite rate sends all requests at once; infinite burstiness sends them evenly.
 * Method: both extremes. */
static void infinities_are_the_ends(void **state)
{
    (void)state;
    draw(1, HUGE_VAL, 1);
    assert_true(times[N - 1] == 0);
    draw(1, 10, HUGE_VAL);
    assert_true(fabs(gaps[5] - 0.1) < 1e-9);
    assert_true(fabs(gaps[N - 1] - 0.1) < 1e-6);
}

/* Goal: a seed determines the sequence, and seeds differ.
 * Method: draw twice with one seed, once with another. */
static void seeds_repeat(void **state)
{
    (void)state;
    struct qr_random a, b, c;
    qr_random_seed(&a, 3);
    qr_random_seed(&b, 3);
    qr_random_seed(&c, 4);
    unsigned same = 0;
    for (int i = 0; i < 100; i++) {
        uint64_t x = qr_random_bits(&a);
        assert_true(x == qr_random_bits(&b));
        same += x == qr_random_bits(&c);
    }
    assert_int_equal(same, 0);
}

/* Goal: draws from a range include both bounds and nothing outside.
 * Method: many draws from a small range and from a range of one. */
static void ranges_hold_their_ends(void **state)
{
    (void)state;
    struct qr_random r;
    qr_random_seed(&r, 9);
    unsigned seen[4] = {0};
    for (int i = 0; i < 4000; i++) {
        uint32_t x = qr_random_range(&r, 10, 13);
        assert_in_range(x, 10, 13);
        seen[x - 10]++;
    }
    for (int i = 0; i < 4; i++)
        assert_in_range(seen[i], 800, 1200);
    assert_int_equal(qr_random_range(&r, 5, 5), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gaps_have_the_gammas_moments),
        cmocka_unit_test(shape_one_is_poisson),
        cmocka_unit_test(the_offered_load_does_not_depend_on_the_seed),
        cmocka_unit_test(infinities_are_the_ends),
        cmocka_unit_test(seeds_repeat),
        cmocka_unit_test(ranges_hold_their_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
