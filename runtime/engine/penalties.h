/* SPDX-License-Identifier: MIT */
/* penalties -- what a request does to a row of logits before anything is drawn from it.
 *
 * In vLLM's order, each token's logit x by itself, in float:
 *   logit_bias          x + bias;
 *   repetition_penalty  of tokens of the prompt and generated ones: x / p where x > 0, else x * p
 *                       (Keskar et al. 2019);
 *   frequency_penalty   of generated tokens: x - p * how often each was generated;
 *   presence_penalty    of generated tokens: x - p.
 * So a row depends on the request and its known tokens alone, even after a preemption.
 *
 * Thread: any, each with its own counts.   Memory: the caller's.
 * Cost: O(biases + known tokens) a row where penalties are on, nothing where none is. */
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
