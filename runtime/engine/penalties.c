/* SPDX-License-Identifier: MIT */
#include "runtime/engine/penalties.h"

#define OF_PROMPT (1u << 31) /* in a count: the prompt has the token */

static bool repeats(const struct qr_penalties *p)
{
    return p->repetition != 0.0f && p->repetition != 1.0f;
}

static bool counts_generated(const struct qr_penalties *p)
{
    return p->frequency != 0.0f || p->presence != 0.0f;
}

bool qr_penalties_any(const struct qr_penalties *p)
{
    return p->bias_n || repeats(p) || counts_generated(p);
}

/* A token's penalties; count: how often it was generated, and whether it is in the prompt. */
static float penalized(const struct qr_penalties *p, float x, uint32_t count)
{
    uint32_t generated_n = count & ~OF_PROMPT;

    if (repeats(p)) x = x > 0.0f ? x / p->repetition : x * p->repetition;
    if (generated_n) {
        x -= p->frequency * (float)generated_n;
        x -= p->presence;
    }
    return x;
}

void qr_penalize(const struct qr_penalties *p, const struct qr_known *known, float *row,
                 uint32_t *counts)
{
    /* The prompt matters to repetition alone. */
    uint32_t first = repeats(p) ? 0 : known->prompt_n;

    for (uint32_t i = 0; i < p->bias_n; i++)
        row[p->bias[i].token] += p->bias[i].bias;
    if (!repeats(p) && !counts_generated(p)) return;

    for (uint32_t i = first; i < known->prompt_n; i++)
        counts[known->tokens[i]] = OF_PROMPT;
    for (uint32_t i = known->prompt_n; i < known->tokens_n; i++)
        counts[known->tokens[i]]++;
    for (uint32_t i = first; i < known->tokens_n; i++) {
        int32_t token = known->tokens[i];
        if (!counts[token]) continue; /* it occurred earlier too */
        row[token] = penalized(p, row[token], counts[token]);
        counts[token] = 0;
    }
}
