/* SPDX-License-Identifier: MIT */
#include "runtime/engine/penalties.h"

#define OF_PROMPT (1u << 31) /* flag in a count: the token is in the prompt */

static bool repeats(const struct qr_sampling *s)
{
    return s->repetition_penalty != 0.0f && s->repetition_penalty != 1.0f;
}

static bool counts_generated(const struct qr_sampling *s)
{
    return s->frequency_penalty != 0.0f || s->presence_penalty != 0.0f;
}

bool qr_penalties_any(const struct qr_sampling *s)
{
    return s->bias_n || repeats(s) || counts_generated(s);
}

/* Applies a token's penalties.  count: how often it was generated, perhaps with OF_PROMPT. */
static float penalized(const struct qr_sampling *s, float x, uint32_t count)
{
    uint32_t generated_n = count & ~OF_PROMPT;

    if (repeats(s)) x = x > 0.0f ? x / s->repetition_penalty : x * s->repetition_penalty;
    if (generated_n) {
        x -= s->frequency_penalty * (float)generated_n;
        x -= s->presence_penalty;
    }
    return x;
}

void qr_penalize(const struct qr_sampling *s, const struct qr_known *known, float *row,
                 uint32_t *counts)
{
    /* Only repetition_penalty looks at the prompt. */
    uint32_t first = repeats(s) ? 0 : known->prompt_n;

    for (uint32_t i = 0; i < s->bias_n; i++)
        row[s->bias[i].token] += s->bias[i].bias;
    if (!repeats(s) && !counts_generated(s)) return;

    for (uint32_t i = first; i < known->prompt_n; i++)
        counts[known->tokens[i]] = OF_PROMPT;
    for (uint32_t i = known->prompt_n; i < known->tokens_n; i++)
        counts[known->tokens[i]]++;
    for (uint32_t i = first; i < known->tokens_n; i++) {
        int32_t token = known->tokens[i];
        if (!counts[token]) continue; /* done: it occurred earlier too */
        row[token] = penalized(s, row[token], counts[token]);
        counts[token] = 0;
    }
}
