/* SPDX-License-Identifier: MIT */
/* sim_pages -- how many pages tokens need, and which pages are before the window. */
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

static uint32_t sim_left_n_if(const struct sim *sim, uint32_t computed_n, bool has_tree)
{
    uint32_t left_n = sim_seen_from(sim, computed_n) / sim->page_tokens;
    uint32_t full_n = computed_n / sim->page_tokens;

    return has_tree && left_n > 0 && left_n == full_n ? left_n - 1 : left_n;
}

/* Pages that a sequence with so many computed tokens has dropped.  With a tree it keeps its last
 * full page, for the next one to be published below. */
static uint32_t sim_left_n(const struct sim *sim, uint32_t computed_n)
{
    return sim_left_n_if(sim, computed_n, sim->has_tree);
}

/* The most pages that one sequence holds at once: those that the first token of a chunk reads and
 * the chunk's.  Tries every first token. */
static uint32_t sim_held_max(const struct sim *sim)
{
    uint32_t chunk = sim_chunk(sim), most_n = 0;

    if (sim->window == 0) return UINT32_MAX;
    if (chunk > sim->limits.step_tokens) chunk = sim->limits.step_tokens;
    for (uint32_t at = 0; at < sim->window + 3 * sim->page_tokens; at++) {
        uint32_t n = sim_pages_for(sim, at + chunk) - sim_left_n_if(sim, at, true);
        if (n > most_n) most_n = n;
    }
    return most_n;
}

/* Pages that a sequence holds in a step that computes more_n tokens after computed_n. */
static uint32_t sim_held_n(const struct sim *sim, uint32_t computed_n, uint32_t more_n)
{
    return sim_pages_for(sim, computed_n + more_n) - sim_left_n(sim, computed_n);
}

/* Pages that a sequence holds and will drop before its last known token. */
static uint32_t sim_leaving_n(const struct sim *sim, uint32_t computed_n, uint32_t known_n)
{
    uint32_t left_n = sim_left_n(sim, computed_n), end_n = sim_left_n(sim, known_n - 1);
    uint32_t held_n = sim_held_n(sim, computed_n, 0);

    return end_n - left_n < held_n ? end_n - left_n : held_n;
}

#endif
