/* SPDX-License-Identifier: MIT */
/* The logits of a plainly greedy row are not written.  Its tokens are those of the same request
 * with logprobs, which needs its logits. */
#include "support/engine.h"

#include "kernels/cpu.h"

enum { CROWD = 30, PLAIN = 24, LONGEST = 40, TOKENS = 24, CHOICES = 3 };

struct given {
    int32_t prompts[CROWD][LONGEST];
    int32_t stop_id;
    struct quire_logit_bias bias;
    struct quire_request requests[CROWD];
};

static quire_model *open_at(const char *level)
{
    struct quire_model_settings settings;
    struct quire_error error;
    quire_model *model;

    quire_model_settings_defaults(&settings);
    settings.path = TINY;
    settings.cpu_level = level;
    if (quire_model_open(&settings, &model, &error)) fail_msg("%s", error.text);
    return model;
}

/* Runs the request alone, on one thread, with logprobs, so that all logits are written. */
static struct answer *alone_with_logprobs(quire_engine *engine, struct quire_request request)
{
    if (request.logprobs < 0) request.logprobs = 2;
    request.n = 0;
    return run(engine, request);
}

/* Most are plainly greedy, the last of those with choices.  Then one of each other kind, which
 * changes its answer. */
static void make_requests(struct given *g, quire_engine *engine)
{
    unsigned seed = 5;

    for (uint32_t i = 0; i < CROWD; i++) {
        uint32_t prompt_n = 2 + (uint32_t)rand_r(&seed) % (LONGEST - 1);
        for (uint32_t t = 0; t < prompt_n; t++)
            g->prompts[i][t] = (int32_t)((uint32_t)rand_r(&seed) % 1024);
        g->requests[i] = greedy(g->prompts[i], prompt_n, TOKENS);
    }
    struct quire_request *r = &g->requests[PLAIN - 1];
    r->n = CHOICES;
    r++;
    r->temperature = 1;
    r->flags |= QUIRE_REQUEST_SEEDED;
    r++;
    r->repetition_penalty = 1.5f;
    r->frequency_penalty = 2;
    r++;
    struct answer *plain = alone_with_logprobs(engine, *r);
    g->stop_id = plain->ids[TOKENS / 4].token; /* in a step that has no prompt in it */
    free(plain);
    r->stop_ids = &g->stop_id;
    r->stop_ids_n = 1;
    r->min_tokens = TOKENS / 2;
    r++;
    r->flags |= QUIRE_REQUEST_PROMPT_LOGPROBS;
    r++;
    r->logprobs = 3;
    r++;
    g->bias = (struct quire_logit_bias){7, 100};
    r->logit_bias = &g->bias;
    r->logit_bias_n = 1;
    assert_ptr_equal(r, &g->requests[CROWD - 1]);
}

static void assert_same_tokens(const struct answer *expected, const struct answer *a)
{
    assert_int_equal(a->kind, QUIRE_EVENT_DONE);
    assert_int_equal(a->finish, expected->finish);
    assert_int_equal(a->prompt_n, expected->prompt_n);
    for (uint32_t i = 0; i < a->prompt_n; i++)
        assert_memory_equal(&a->prompt[i].logprob, &expected->prompt[i].logprob, sizeof(float));
    assert_int_equal(a->ids_n, expected->ids_n);
    for (uint32_t i = 0; i < a->ids_n; i++)
        assert_int_equal(a->ids[i].token, expected->ids[i].token);
    assert_int_equal(a->text_n, expected->text_n);
    assert_memory_equal(a->text, expected->text, a->text_n);
}

static void expect_crowd(quire_model *model, uint32_t threads_n, const struct given *g,
                         struct answer *const *expected)
{
    struct quire_engine_settings settings = engine_settings();
    struct answer *answers[CROWD];

    settings.threads = threads_n;
    quire_engine *engine = start_with(&settings, model);
    for (uint32_t i = 0; i < CROWD; i++)
        answers[i] = submit(engine, g->requests[i]);
    gather(engine, CROWD - 1 + CHOICES);
    for (uint32_t i = 0; i < CROWD; i++) {
        uint32_t choices_n = g->requests[i].n > 1 ? g->requests[i].n : 1;
        for (uint32_t c = 0; c < choices_n; c++) {
            assert_same_tokens(expected[i], &answers[i][c]);
            if (g->requests[i].logprobs >= 0)
                assert_same(expected[i], &answers[i][c]);
            else
                assert_true(isnan(answers[i][c].ids[0].logprob));
        }
        free(answers[i]);
    }
    stop_and_free(engine);
}

/* Goal: a request's tokens do not depend on whether its logits are written.
 * Method: plainly greedy requests and each other kind in one batch, at each level on 1 to 3
 * threads; compare each with the request alone with logprobs. */
static void greedy_tokens_need_no_logits(void **state)
{
    static const char *const levels[] = {"scalar", "avx2", "avx512", "avx512vnni"};
    struct quire_engine_settings settings = engine_settings();
    struct answer *expected[CROWD];
    unsigned flags;

    (void)state;
    settings.threads = 1;
    for (size_t l = 0; l < sizeof levels / sizeof levels[0]; l++) {
        assert_true(qr_cpu_level_flags(levels[l], &flags));
        if ((flags & qr_cpu_flags()) != flags) continue;
        struct given *g = calloc(1, sizeof *g);
        quire_model *model = open_at(levels[l]);
        quire_engine *engine = start_with(&settings, model);
        make_requests(g, engine);
        for (uint32_t i = 0; i < CROWD; i++)
            expected[i] = alone_with_logprobs(engine, g->requests[i]);
        stop_and_free(engine);
        for (uint32_t threads_n = 1; threads_n <= 3; threads_n++)
            expect_crowd(model, threads_n, g, expected);
        for (uint32_t i = 0; i < CROWD; i++)
            free(expected[i]);
        quire_model_close(model);
        free(g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(greedy_tokens_need_no_logits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
