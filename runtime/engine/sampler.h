/* SPDX-License-Identifier: MIT */
/* sampler -- a row of logits to a token and its logprobs.
 *
 * In vLLM's order: logit_bias and penalties (penalties.h), tokens out that a grammar does not allow
 * or that are banned (min_tokens), which nothing brings back, temperature, min_p, top_k, top_p,
 * draw.  A temperature below QR_GREEDY_BELOW is greedy: the greatest logit, the lowest id of
 * equals.
 *
 *   - min_p keeps the tokens with at least min_p times the best token's probability.
 *   - top_k keeps the k best tokens; of equal ones those with the lowest ids.
 *   - top_p keeps the best tokens until they have at least top_p of the mass that min_p and top_k
 *     have left, and always one.
 *
 * All three keep a beginning of the tokens in descending order.  It is selected, not sorted.
 * Logprobs are the model's own: the log-softmax of the unchanged row (vLLM's raw_logprobs).
 *
 * A row is plainly greedy when its token is the greatest logit of the row as it came and no logprob
 * is asked for.  Such a row's logits need not exist: who computes them asks
 * qr_sample_plainly_greedy first, and may then keep the best token alone and give it to
 * qr_sample_best.
 *
 * The draw comes from a counter (Philox4x32-10, Salmon et al. 2011) keyed by the seed and the
 * token's index, never from a shared state; a row's result depends on that row and its request
 * alone.
 *
 * Thread: any, each with its own scratch.   Memory: the caller's. */
#ifndef QR_ENGINE_SAMPLER_H
#define QR_ENGINE_SAMPLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/rows.h"
#include "runtime/base/limits.h"
#include "runtime/engine/penalties.h"
#include "runtime/engine/sampling.h"
#include "runtime/quire.h"

#define QR_GREEDY_BELOW 1e-5f /* vLLM's */

struct qr_banned { /* tokens that may not be drawn */
    const int32_t *ids;
    uint32_t ids_n;
};

struct qr_choice {
    int32_t token;
    float logprob; /* NAN where not asked for */
    uint32_t top_n;
    struct quire_logprob top[QR_LOGPROBS_MAX];
};

struct qr_sampler_scratch {
    struct qr_scored *best; /* [vocab_n] */
    float *row;             /* [vocab_n] */
    float *weights;         /* [vocab_n] */
    uint32_t *counts;       /* [vocab_n], all 0 between two rows */
    uint64_t *allowed;      /* [(vocab_n + 63) / 64] */
};

/* 64 random bits for (key, counter). */
uint64_t qr_draw(uint64_t key, uint64_t counter);

/* The token after the known ones, from its row of vocab_n logits. */
void qr_sample(const struct qr_row_kernels *kernels, const struct qr_sampler_scratch *scratch,
               const struct qr_sampling *sampling, const float *logits, uint32_t vocab_n,
               const struct qr_known *known, const struct qr_banned *banned, uint32_t banned_n,
               struct qr_choice *choice);

/* Whether nothing but the best of the row's logits can matter to qr_sample: no penalty, no ban, no
 * draw and no logprob. */
bool qr_sample_plainly_greedy(const struct qr_sampling *sampling, const struct qr_banned *banned,
                              uint32_t banned_n);

/* What qr_sample makes of such a row, from argmax over its logits. */
void qr_sample_best(uint32_t best, struct qr_choice *choice);

/* Logprobs of a token that is given: a prompt's. */
void qr_score(const struct qr_row_kernels *kernels, const struct qr_sampler_scratch *scratch,
              const struct qr_sampling *sampling, const float *logits, uint32_t vocab_n,
              int32_t token, struct qr_choice *choice);

#endif
