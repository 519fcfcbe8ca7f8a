/* SPDX-License-Identifier: MIT */
/* sampler -- a row of logits to a token and its logprobs.
 *
 * In vLLM's order:
 *   logit_bias and penalties (penalties.h);
 *   mask: banned tokens (min_tokens) and tokens that a grammar does not allow are never drawn;
 *   temperature: below QR_GREEDY_BELOW it is greedy: the greatest logit, of equals the lowest id;
 *   min_p: keeps tokens with at least min_p times the probability of the best one;
 *   top_k: keeps the k best tokens, of equals the lowest ids;
 *   top_p: keeps the best tokens, at least one, until they have top_p of the mass that is left;
 *   draw.
 * min_p, top_k and top_p each keep the front of the tokens in descending order.  The front is
 * selected, not sorted.  Logprobs are the log-softmax of the original row (vLLM's raw_logprobs).
 *
 * A row is plainly greedy if its token is the greatest logit of the original row and no logprob is
 * wanted.  The logits of such a row need not be written.  A caller asks qr_sample_plainly_greedy,
 * keeps only the best token and passes it to qr_sample_best.
 *
 * The draw uses a counter-based generator (Philox4x32-10, Salmon et al. 2011) with the seed as key
 * and the token's index as counter.  It has no shared state, so a row's result depends only on that
 * row and its request.
 *
 * Thread: any, with a scratch of its own.   Memory: the caller's. */
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

struct qr_banned {        /* tokens that may not be drawn */
    const int32_t *stops; /* [stops_n] */
    const int32_t *ends;  /* [ends_n] */
    uint32_t stops_n, ends_n;
};

struct qr_choice {
    int32_t token;
    float logprob; /* NAN: not wanted */
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

struct qr_sampler {
    const struct qr_row_kernels *kernels;
    const struct qr_sampler_scratch *scratch; /* the thread's own */
    uint32_t vocab_n;
};

/* 64 random bits for (key, counter). */
uint64_t qr_draw(uint64_t key, uint64_t counter);

/* Chooses the token after the known ones, from its row of vocab_n logits.  banned may be NULL. */
void qr_sample(const struct qr_sampler *sampler, const struct qr_sampling *sampling,
               const float *logits, const struct qr_known *known, const struct qr_banned *banned,
               struct qr_choice *choice);

/* Whether qr_sample needs only the best token of the row: no penalty, ban, mask, draw or logprob.
 */
bool qr_sample_plainly_greedy(const struct qr_sampling *sampling, const struct qr_banned *banned);

/* The choice of a plainly greedy row.  best: argmax over its logits. */
void qr_sample_best(uint32_t best, struct qr_choice *choice);

/* Logprobs of a given token: one of the prompt. */
void qr_score(const struct qr_sampler *sampler, const struct qr_sampling *sampling,
              const float *logits, int32_t token, struct qr_choice *choice);

#endif
