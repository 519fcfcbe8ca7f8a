/* SPDX-License-Identifier: MIT */
/* invariant -- checks that a row's bits depend on its own sequence only.
 *
 * rig_settings name the model, its keys' type and the CPU level.  invariant_expect works for any
 * architecture and type. */
#ifndef QR_TESTS_MODEL_INVARIANT_H
#define QR_TESTS_MODEL_INVARIANT_H

#include "among.h"

#define INVARIANT_TOKENS 50u

static inline float *invariant_logits(uint32_t rows_n, uint32_t vocab_n)
{
    float *logits = malloc((size_t)rows_n * vocab_n * sizeof(float));

    assert_non_null(logits);
    return logits;
}

/* Runs the tokens alone with other settings, and compares. */
static inline void invariant_expect_alone(struct rig_settings settings, uint32_t chunk,
                                          const int32_t *tokens, const float *expected,
                                          const char *what)
{
    struct rig r;

    rig_open(&r, &settings);
    float *logits = invariant_logits(INVARIANT_TOKENS, r.vocab_n);
    rig_run_chunks(&r, &(struct rig_tokens){.tokens = tokens, .n = INVARIANT_TOKENS}, chunk,
                   logits);
    among_expect_same(expected, logits, INVARIANT_TOKENS, r.vocab_n, what);
    free(logits);
    rig_close(&r);
}

static inline void invariant_expect_among(struct rig_settings settings, uint32_t chunk,
                                          const int32_t *tokens, const float *expected,
                                          const char *what)
{
    struct rig r;

    settings.seqs_n = AMONG_SEQS;
    rig_open(&r, &settings);
    float *logits = invariant_logits(INVARIANT_TOKENS, r.vocab_n);
    among_run(&r, tokens, INVARIANT_TOKENS, chunk, logits);
    among_expect_same(expected, logits, INVARIANT_TOKENS, r.vocab_n, what);
    free(logits);
    rig_close(&r);
}

/* The reference is the sequence alone, on one thread, in one chunk.  Everything else must equal it.
 */
static inline void invariant_expect(struct rig_settings settings)
{
    static const uint32_t page_tokens[] = {16, 64, 128};
    struct rig r;

    settings.context_max = 128;
    settings.rows_max = 160;
    rig_open(&r, &settings);
    int32_t *tokens = among_tokens(AMONG_OURS, INVARIANT_TOKENS, r.vocab_n);
    float *expected = invariant_logits(INVARIANT_TOKENS, r.vocab_n);
    rig_run(&r, 0, tokens, INVARIANT_TOKENS, expected);
    rig_close(&r);

    invariant_expect_alone(settings, 1, tokens, expected, "one token a step");
    invariant_expect_alone(settings, 16, tokens, expected, "chunks of 16");
    invariant_expect_alone(settings, 33, tokens, expected, "chunks of 33");
    invariant_expect_among(settings, 1, tokens, expected, "among 32, one token a step");
    settings.threads_n = 2;
    invariant_expect_alone(settings, INVARIANT_TOKENS, tokens, expected, "2 threads");
    invariant_expect_alone(settings, 1, tokens, expected, "2 threads, one token a step");
    invariant_expect_among(settings, 16, tokens, expected, "2 threads, among 32, chunks of 16");
    invariant_expect_among(settings, INVARIANT_TOKENS, tokens, expected,
                           "2 threads, among 32, one piece");
    settings.threads_n = 3;
    invariant_expect_among(settings, 5, tokens, expected, "3 threads, among 32, chunks of 5");
    for (size_t i = 0; i < sizeof page_tokens / sizeof page_tokens[0]; i++) {
        settings.page_tokens = page_tokens[i];
        invariant_expect_among(settings, 16, tokens, expected, "other pages");
    }
    free(expected);
    free(tokens);
}

#endif
