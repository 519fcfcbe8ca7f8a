/* SPDX-License-Identifier: MIT */
/* sim_pages -- how many pages tokens take, and which of them a window has left. */
#ifndef QR_TESTS_SCHEDULER_SIM_PAGES_H
#define QR_TESTS_SCHEDULER_SIM_PAGES_H

#include "sim_state.h"

static uint32_t sim_pages_for(const struct sim *sim, uint32_t tokens_n)
{
    return (tokens_n + sim->page_tokens - 1) / sim->page_tokens;
}

static uint32_t sim_chunk(const struct sim *sim)
{
    uint32_t chunk =
        sim->limits.prefill_chunk == 0 ? sim->limits.step_tokens : sim->limits.prefill_chunk;
    uint32_t most = sim->window > QR_PREFILL_MIN ? sim->window : QR_PREFILL_MIN;

    return sim->window > 0 && chunk > most ? most : chunk;
}

/* The first token that the one at `position` sees. */
static uint32_t sim_seen_from(const struct sim *sim, uint32_t position)
{
    return sim->window == 0 || position < sim->window ? 0 : position - sim->window + 1;
}

/* Pages that nobody with so many tokens computed needs any more; with a tree, the last full one is
 * needed by the next. */
static uint32_t sim_left_n(const struct sim *sim, uint32_t computed_n)
{
    uint32_t left_n = sim_seen_from(sim, computed_n) / sim->page_tokens;
    uint32_t full_n = computed_n / sim->page_tokens;

    return sim->has_tree && left_n > 0 && left_n == full_n ? left_n - 1 : left_n;
}

#endif
