/* SPDX-License-Identifier: MIT */
/* penalties -- changes a row of logits by a request's biases and penalties, before the draw.
 *
 * In vLLM's order, for each token's logit x, in float:
 *   logit_bias          x + bias;
 *   repetition_penalty  for tokens of the prompt and generated tokens: x / p if x > 0, else x * p
 *                       (Keskar et al. 2019);
 *   frequency_penalty   for generated tokens: x - p * how often the token was generated;
 *   presence_penalty    for generated tokens: x - p.
 * So a row depends only on the request and its known tokens, even after a preemption.
 *
 * Thread: any, each with its own counts.   Memory: the caller's.
 * Cost: O(biases + known tokens) a row; nothing for a request without them. */
#ifndef QR_ENGINE_PENALTIES_H
#define QR_ENGINE_PENALTIES_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/engine/sampling.h"

struct qr_known {          /* a sequence's tokens so far */
    const int32_t *tokens; /* [tokens_n], the prompt's first */
    uint32_t prompt_n, tokens_n;
};

bool qr_penalties_any(const struct qr_sampling *s);

/* counts: one for each token of the vocabulary, all 0 before and after. */
void qr_penalize(const struct qr_sampling *s, const struct qr_known *known, float *row,
                 uint32_t *counts);

#endif
