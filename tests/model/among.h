/* SPDX-License-Identifier: MIT */
/* among -- runs one sequence in steps that hold 31 other sequences before and after its rows. */
#ifndef QR_TESTS_MODEL_AMONG_H
#define QR_TESTS_MODEL_AMONG_H

#include "rig.h"

#define AMONG_SEQS 32u
#define AMONG_OURS 17u

/* Tokens that look random and are the same everywhere. */
static inline int32_t among_token(uint32_t seq, uint32_t position, uint32_t vocab_n)
{
    uint32_t x = (seq * 7919u + position + 1) * 2654435761u;

    return (int32_t)((x ^ x >> 15) % vocab_n);
}

static inline int32_t *among_tokens(uint32_t seq, uint32_t n, uint32_t vocab_n)
{
    int32_t *tokens = malloc(n * sizeof tokens[0]);

    assert_non_null(tokens);
    for (uint32_t i = 0; i < n; i++)
        tokens[i] = among_token(seq, i, vocab_n);
    return tokens;
}

/* Runs our n tokens in chunks, in steps with 31 other sequences of 1 to 3 rows each.  Every row's
 * logits are requested.  logits: ours, [n][vocab_n]. */
static inline void among_run(struct rig *r, const int32_t *ours, uint32_t n, uint32_t chunk,
                             float *logits)
{
    struct qr_step_seq seqs[AMONG_SEQS];
    uint32_t lengths[AMONG_SEQS] = {0};
    const uint32_t rows_max = r->settings.rows_max;
    int32_t *tokens = malloc(rows_max * sizeof tokens[0]);
    uint32_t *outputs = malloc(rows_max * sizeof outputs[0]);
    float *all = malloc((size_t)rows_max * r->vocab_n * sizeof all[0]);

    assert_true(tokens && outputs && all);
    for (uint32_t i = 0; i < rows_max; i++)
        outputs[i] = i;
    while (lengths[AMONG_OURS] < n) {
        uint32_t row = 0;
        for (uint32_t i = 0; i < AMONG_SEQS; i++) {
            uint32_t rows_n = 1 + (i + lengths[AMONG_OURS]) % 3;
            if (i == AMONG_OURS) rows_n = n - lengths[i] < chunk ? n - lengths[i] : chunk;
            if (lengths[i] + rows_n > r->settings.context_max) lengths[i] = 0;
            seqs[i] = (struct qr_step_seq){
                .row = row, .rows_n = rows_n, .position = lengths[i], .pages = rig_pages(r, i)};
            assert_true(row + rows_n <= rows_max);
            for (uint32_t j = 0; j < rows_n; j++)
                tokens[row + j] = i == AMONG_OURS ? ours[lengths[i] + j]
                                                  : among_token(i, lengths[i] + j, r->vocab_n);
            row += rows_n;
        }
        struct qr_step step = {.tokens = tokens,
                               .rows_n = row,
                               .seqs = seqs,
                               .seqs_n = AMONG_SEQS,
                               .outputs = outputs,
                               .outputs_n = row};
        qr_forward_run(r->forward, &step);
        rig_take_logits(r, row, all);
        memcpy(logits + (size_t)lengths[AMONG_OURS] * r->vocab_n,
               all + (size_t)seqs[AMONG_OURS].row * r->vocab_n,
               (size_t)seqs[AMONG_OURS].rows_n * r->vocab_n * sizeof(float));
        for (uint32_t i = 0; i < AMONG_SEQS; i++)
            lengths[i] += seqs[i].rows_n;
    }
    free(tokens);
    free(outputs);
    free(all);
}

/* Fails if a bit differs. */
static inline void among_expect_same(const float *a, const float *b, uint32_t rows_n,
                                     uint32_t vocab_n, const char *what)
{
    for (uint32_t i = 0; i < rows_n; i++)
        if (memcmp(a + (size_t)i * vocab_n, b + (size_t)i * vocab_n, vocab_n * sizeof(float)) != 0)
            fail_msg("%s: the logits of position %u differ", what, i);
}

#endif
