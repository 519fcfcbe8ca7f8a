/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/kernels.h"
#include "runtime/engine/sampler.h"

#define VOCAB 1000u

struct fixture {
    struct qr_kernels kernels;
    struct qr_sampler_scratch scratch;
    struct qr_sampler sampler;
    float logits[VOCAB];
};

static int make(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    qr_kernels_init(&f->kernels, qr_cpu_flags());
    f->scratch.best = aligned_alloc(64, (VOCAB * sizeof *f->scratch.best + 63) / 64 * 64);
    f->scratch.row = aligned_alloc(64, (VOCAB * sizeof(float) + 63) / 64 * 64);
    f->scratch.weights = aligned_alloc(64, (VOCAB * sizeof(float) + 63) / 64 * 64);
    f->scratch.counts = calloc(VOCAB, sizeof(uint32_t));
    f->sampler = (struct qr_sampler){&f->kernels.rows, &f->scratch, VOCAB};
    srand(1);
    for (uint32_t i = 0; i < VOCAB; i++)
        f->logits[i] = (float)(rand() % 20000) / 2000.0f - 5.0f;
    *state = f;
    return 0;
}

static int drop(void **state)
{
    struct fixture *f = *state;

    free(f->scratch.best);
    free(f->scratch.row);
    free(f->scratch.weights);
    free(f->scratch.counts);
    free(f);
    return 0;
}

static const struct qr_sampling plain = {.temperature = 1.0f, .top_p = 1.0f, .logprobs = -1};

/* Draws the token at `index`.  The prompt is empty: no setting here reads it. */
static struct qr_choice sample(struct fixture *f, const struct qr_sampling *s, uint32_t index,
                               const struct qr_banned *banned)
{
    const struct qr_known known = {NULL, 0, index};
    struct qr_choice choice;

    qr_sample(&f->sampler, s, f->logits, &known, banned, &choice);
    return choice;
}

/* The reference: probabilities by vLLM's order, in double; 0 for a dropped token. */
static void reference(const struct fixture *f, const struct qr_sampling *s, double *p)
{
    double top = -INFINITY, mass = 0.0;
    uint32_t order[VOCAB];

    for (uint32_t i = 0; i < VOCAB; i++) {
        order[i] = i;
        if ((double)f->logits[i] > top) top = (double)f->logits[i];
    }
    for (uint32_t i = 1; i < VOCAB; i++) { /* stable, descending */
        uint32_t id = order[i], at = i;
        while (at > 0 && f->logits[order[at - 1]] < f->logits[id]) {
            order[at] = order[at - 1];
            at--;
        }
        order[at] = id;
    }
    for (uint32_t i = 0; i < VOCAB; i++) {
        p[i] = exp(((double)f->logits[i] - top) / (double)s->temperature);
        if (p[i] < (double)s->min_p) p[i] = 0.0;
    }
    for (uint32_t i = s->top_k ? (uint32_t)s->top_k : VOCAB; i < VOCAB; i++)
        p[order[i]] = 0.0;
    for (uint32_t i = 0; i < VOCAB; i++)
        mass += p[i];
    double before = 0.0, kept = 0.0;
    for (uint32_t i = 0; i < VOCAB; i++) {
        double own = p[order[i]] / mass;
        if (before >= (double)s->top_p) p[order[i]] = 0.0;
        before += own;
        kept += p[order[i]];
    }
    for (uint32_t i = 0; i < VOCAB; i++)
        p[i] /= kept;
}

/* Goal: the generator is Philox4x32-10.
 * Method: the known answers of its authors' library for counter and key 0. */
static void draws_are_philox(void **state)
{
    (void)state;
    assert_int_equal(qr_draw(0, 0), 0xe169c58d6627e8d5u);
    assert_int_not_equal(qr_draw(0, 1), qr_draw(1, 0));
}

/* Goal: greedy takes the greatest logit, of equal ones the lowest id, for any top_k and top_p.
 * Method: a row with three equal maxima. */
static void greedy_takes_the_lowest_of_equals(void **state)
{
    struct fixture *f = *state;
    struct qr_sampling s = {.temperature = 0.0f, .top_p = 0.5f, .top_k = 3, .logprobs = -1};

    f->logits[700] = f->logits[850] = f->logits[999] = 9.5f;
    assert_int_equal(sample(f, &s, 0, NULL).token, 700);
    assert_true(isnan(sample(f, &s, 0, NULL).logprob));
}

/* Goal: draws have the distribution of vLLM's order.
 * Method: 4,000 draws for each setting.  A dropped token never comes.  The chi-square over bins of
 * about equal mass stays below a bound that chance exceeds once in a million. */
static void draws_follow_the_distribution(void **state)
{
    static const struct qr_sampling settings[] = {
        {.temperature = 1.0f, .top_p = 1.0f},
        {.temperature = 0.7f, .top_p = 1.0f},
        {.temperature = 1.0f, .top_p = 1.0f, .top_k = 40},
        {.temperature = 1.0f, .top_p = 0.9f},
        {.temperature = 2.0f, .top_p = 0.5f},
        {.temperature = 0.3f, .top_p = 0.9f},
        {.temperature = 1.0f, .top_p = 1.0f, .min_p = 0.05f},
        {.temperature = 1.5f, .top_p = 0.8f, .min_p = 0.01f},
        {.temperature = 1.0f, .top_p = 0.8f, .top_k = 200, .min_p = 0.02f},
        {.temperature = 1.0f, .top_p = 1.0f, .top_k = VOCAB + 5},
    };
    struct fixture *f = *state;
    double *p = malloc(VOCAB * sizeof *p);
    uint32_t *seen = malloc(VOCAB * sizeof *seen);
    const int draws = 4000;

    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        struct qr_sampling s = settings[i];
        s.logprobs = -1;
        s.seed = 1000 + i;
        struct qr_sampling limited = s;
        if (limited.top_k > (int32_t)VOCAB) limited.top_k = 0;
        reference(f, &limited, p);
        memset(seen, 0, VOCAB * sizeof *seen);
        for (int d = 0; d < draws; d++)
            seen[sample(f, &s, (uint32_t)d, NULL).token]++;
        double chi = 0.0, expected = 0.0, count = 0.0;
        int bins = 0;
        for (uint32_t t = 0; t < VOCAB; t++) {
            if (p[t] == 0.0) assert_int_equal(seen[t], 0);
            expected += p[t] * draws;
            count += seen[t];
            if (expected < 50.0 && t + 1 < VOCAB) continue;
            if (expected > 0.0) chi += (count - expected) * (count - expected) / expected;
            bins++;
            expected = count = 0.0;
        }
        /* Wilson and Hilferty's approximation at 4.75 sigma. */
        double n = bins > 1 ? bins - 1 : 1,
               cube = 1.0 - 2.0 / (9.0 * n) + 4.75 * sqrt(2.0 / (9 * n));
        assert_true(chi < n * cube * cube * cube);
    }
    free(p);
    free(seen);
}

/* Goal: a draw depends on the seed and the index only.
 * Method: 50 indices; twice with one seed, once with another. */
static void a_seed_gives_the_same_tokens(void **state)
{
    struct fixture *f = *state;
    struct qr_sampling a = plain, b = plain;
    int differ = 0;

    a.seed = 5;
    b.seed = 6;
    for (uint32_t i = 0; i < 50; i++) {
        int32_t first = sample(f, &a, i, NULL).token;
        differ += first != sample(f, &b, i, NULL).token;
        assert_int_equal(first, sample(f, &a, i, NULL).token);
    }
    assert_true(differ > 25);
}

/* Goal: logprobs are those of the unchanged row, for any temperature, ban and limit.
 * Method: compare with a log-softmax in double. */
static void logprobs_are_raw(void **state)
{
    struct fixture *f = *state;
    struct qr_sampling s = {
        .temperature = 0.5f, .top_p = 0.9f, .top_k = 10, .seed = 3, .logprobs = 5};
    int32_t best[] = {0, 0};
    struct qr_banned banned = {.stops = best, .stops_n = 1};
    double mass = 0.0;

    for (uint32_t i = 0; i < VOCAB; i++) {
        mass += exp((double)f->logits[i]);
        if (f->logits[i] > f->logits[best[0]]) best[0] = (int32_t)i;
    }
    struct qr_choice c = sample(f, &s, 0, &banned);
    assert_int_equal(c.top_n, 5);
    assert_int_equal(c.top[0].token, best[0]);
    assert_int_not_equal(c.token, best[0]);
    assert_true(fabs((double)c.logprob - ((double)f->logits[c.token] - log(mass))) < 1e-5);
    for (uint32_t i = 0; i < 5; i++) {
        double raw = (double)f->logits[c.top[i].token] - log(mass);
        assert_true(fabs((double)c.top[i].logprob - raw) < 1e-5);
        if (i) assert_true(c.top[i].logprob <= c.top[i - 1].logprob);
    }
}

/* Goal: a banned token is never drawn, in any mode.
 * Method: ban the 20 best, draw in every mode. */
static void banned_tokens_never_come(void **state)
{
    struct fixture *f = *state;
    struct qr_scored best[20];
    int32_t ids[20];
    struct qr_banned banned = {.stops = ids, .stops_n = 20};
    struct qr_sampling modes[] = {plain, plain, plain, plain, plain};

    f->kernels.rows.topk(f->logits, VOCAB, 20, best);
    for (int i = 0; i < 20; i++)
        ids[i] = (int32_t)best[i].index;
    modes[0].temperature = 0.0f;
    modes[1].top_k = 5;
    modes[2].top_p = 0.3f;
    modes[3].min_p = 0.5f;
    modes[4].temperature = 0.6f;
    for (int m = 0; m < 5; m++)
        for (uint32_t i = 0; i < 300; i++) {
            int32_t token = sample(f, &modes[m], i, &banned).token;
            for (int b = 0; b < 20; b++)
                assert_int_not_equal(token, ids[b]);
        }
}

/* Goal: penalties and biases change the draw, in any mode, and no logprob.  A bias cannot bring a
 * banned token back.
 * Method: the best token was generated and is penalised: it is not drawn.  Another token's bias
 * makes it the only one.  With both banned, neither is drawn. */
static void penalties_come_before_the_draw(void **state)
{
    struct fixture *f = *state;
    const struct quire_logit_bias bias = {7, 100.0f};
    const int32_t seen[] = {3, 3, 5}, both[] = {3, 7};
    const struct qr_known known = {seen, 1, 3}; /* 3 is the prompt's and generated */
    const struct qr_banned banned = {
        .stops = &both[0], .stops_n = 1, .ends = &both[1], .ends_n = 1};
    struct qr_sampling modes[] = {plain, plain, plain, plain, plain};
    struct qr_choice raw, c;

    f->logits[3] = 40.0f;
    modes[0].temperature = 0.0f;
    modes[1].top_k = 5;
    modes[2].top_p = 0.3f;
    modes[3].min_p = 0.5f;
    modes[4].temperature = 0.6f;
    for (int m = 0; m < 5; m++) {
        struct qr_sampling s = modes[m];
        s.logprobs = 3;
        qr_sample(&f->sampler, &s, f->logits, &known, NULL, &raw);
        assert_int_equal(raw.token, 3);
        s.repetition_penalty = 40.0f;
        s.presence_penalty = s.frequency_penalty = 2.0f; /* 40 becomes 1 - 2 - 2 */
        s.bias = &bias;
        for (s.seed = 0; s.seed < 200; s.seed++) {
            s.bias_n = 0;
            qr_sample(&f->sampler, &s, f->logits, &known, NULL, &c);
            if (m != 4) assert_int_not_equal(c.token, 3);
            assert_memory_equal(c.top, raw.top, sizeof raw.top[0] * 3);
            s.bias_n = 1;
            qr_sample(&f->sampler, &s, f->logits, &known, NULL, &c);
            assert_int_equal(c.token, 7);
            qr_sample(&f->sampler, &s, f->logits, &known, &banned, &c);
            assert_true(c.token != 3 && c.token != 7);
        }
    }
}

/* Goal: a row of NaN or infinities still yields a token of the vocabulary.
 * Method: rows of one such value, in every mode. */
static void rows_without_numbers_are_survived(void **state)
{
    struct fixture *f = *state;
    struct qr_sampling modes[] = {plain, plain, plain, plain, plain};

    modes[0].temperature = 0.0f;
    modes[1].top_k = 5;
    modes[2].top_p = 0.3f;
    modes[3].min_p = 0.5f;
    modes[4].logprobs = 20;
    for (int kind = 0; kind < 3; kind++) {
        for (uint32_t i = 0; i < VOCAB; i++)
            f->logits[i] = kind == 0 ? NAN : kind == 1 ? -INFINITY : INFINITY;
        for (int m = 0; m < 5; m++) {
            struct qr_choice c = sample(f, &modes[m], 0, NULL);
            assert_in_range(c.token, 0, VOCAB - 1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draws_are_philox),
        cmocka_unit_test_setup_teardown(greedy_takes_the_lowest_of_equals, make, drop),
        cmocka_unit_test_setup_teardown(draws_follow_the_distribution, make, drop),
        cmocka_unit_test_setup_teardown(a_seed_gives_the_same_tokens, make, drop),
        cmocka_unit_test_setup_teardown(logprobs_are_raw, make, drop),
        cmocka_unit_test_setup_teardown(banned_tokens_never_come, make, drop),
        cmocka_unit_test_setup_teardown(penalties_come_before_the_draw, make, drop),
        cmocka_unit_test_setup_teardown(rows_without_numbers_are_survived, make, drop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
