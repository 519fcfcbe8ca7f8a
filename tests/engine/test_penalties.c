/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/engine/penalties.h"

enum { VOCAB = 64, KNOWN = 100, BIASES = 5 };

struct given {
    float row[VOCAB], expected[VOCAB];
    int32_t tokens[KNOWN];
    struct quire_logit_bias bias[BIASES];
    struct qr_known known;
};

static void draw(struct given *g, unsigned seed)
{
    for (int i = 0; i < VOCAB; i++)
        g->row[i] = (float)(rand_r(&seed) % 2000) / 100.0f - 10.0f;
    for (int i = 0; i < KNOWN; i++)
        g->tokens[i] = rand_r(&seed) % (VOCAB / 2); /* the other half is never seen */
    for (int i = 0; i < BIASES; i++)
        g->bias[i] = (struct quire_logit_bias){.token = i * 11, .bias = (float)(i * 3 - 5)};
    g->known = (struct qr_known){g->tokens, (uint32_t)rand_r(&seed) % KNOWN, KNOWN};
}

/* vLLM's formulas (LogitBiasLogitsProcessor, apply_penalties), each over the whole row. */
static void reference(struct given *g, const struct qr_sampling *p)
{
    memcpy(g->expected, g->row, sizeof g->row);
    for (uint32_t i = 0; i < p->bias_n; i++)
        g->expected[p->bias[i].token] += p->bias[i].bias;
    for (int t = 0; t < VOCAB; t++) {
        float *x = &g->expected[t];
        uint32_t prompt_n = 0, output_n = 0;
        for (uint32_t i = 0; i < KNOWN; i++) {
            if (g->tokens[i] != t) continue;
            prompt_n += i < g->known.prompt_n;
            output_n += i >= g->known.prompt_n;
        }
        float repetition = prompt_n + output_n > 0 ? p->repetition_penalty : 1.0f;
        *x = *x > 0 ? *x / repetition : *x * repetition;
        *x -= p->frequency_penalty * (float)output_n;
        *x -= output_n > 0 ? p->presence_penalty : 0.0f;
    }
}

/* Goal: rows change by vLLM's formulas, bit for bit, and the counts are 0 afterwards.
 * Method: each penalty alone and all together, over random rows, prompts and answers. */
static void rows_follow_vllms_formulas(void **state)
{
    uint32_t counts[VOCAB] = {0};
    const uint32_t zeros[VOCAB] = {0};
    struct given g;

    (void)state;
    for (unsigned seed = 0; seed < 200; seed++) {
        struct qr_sampling p = {.repetition_penalty = 1.0f};
        draw(&g, seed);
        if (seed % 5 == 0 || seed % 5 == 4) p.repetition_penalty = seed % 2 ? 1.3f : 0.7f;
        if (seed % 5 == 1 || seed % 5 == 4) p.frequency_penalty = seed % 2 ? 0.4f : -1.5f;
        if (seed % 5 == 2 || seed % 5 == 4) p.presence_penalty = seed % 2 ? 1.1f : -0.3f;
        if (seed % 5 >= 3) {
            p.bias = g.bias;
            p.bias_n = BIASES;
        }
        assert_true(qr_penalties_any(&p));
        reference(&g, &p);
        qr_penalize(&p, &g.known, g.row, counts);
        for (int t = 0; t < VOCAB; t++)
            assert_true(g.row[t] == g.expected[t]);
        assert_memory_equal(counts, zeros, sizeof counts);
    }
}

/* Goal: settings that change nothing are recognised, so that they cost nothing.
 * Method: neutral values, then one that is not. */
static void none_is_none(void **state)
{
    struct qr_sampling p = {.repetition_penalty = 0.0f};

    (void)state;
    assert_false(qr_penalties_any(&p));
    p.repetition_penalty = 1.0f;
    assert_false(qr_penalties_any(&p));
    p.presence_penalty = -0.1f;
    assert_true(qr_penalties_any(&p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_follow_vllms_formulas),
        cmocka_unit_test(none_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
