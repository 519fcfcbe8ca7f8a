/* SPDX-License-Identifier: MIT */
/* sim_choices -- the simulation's choices, drawn from a seed or a fuzzer's bytes, and the limits
 * that they choose. */
#ifndef QR_TESTS_SCHEDULER_SIM_CHOICES_H
#define QR_TESTS_SCHEDULER_SIM_CHOICES_H

#include "sim_state.h"

/* One of [0, n). */
static uint32_t sim_choose(struct sim *sim, uint32_t n)
{
    uint32_t value = 0;

    if (!sim->bytes) {
        uint64_t z = sim->random += 0x9e3779b97f4a7c15u; /* splitmix64 */
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return (uint32_t)((z ^ (z >> 31)) % n);
    }
    for (uint32_t need = n > 256 ? 2 : 1; need > 0; need--) {
        if (sim->bytes_n == 0) {
            sim->over = true;
            return 0;
        }
        value = value << 8 | *sim->bytes++;
        sim->bytes_n--;
    }
    return value % n;
}

/* Gives each stretch of a simulation its own random numbers. */
static void sim_reseed(struct sim *sim, uint64_t stretch)
{
    if (sim->bytes) return;
    sim->random = (sim->seed << 32 | sim->seed) ^ (sim->turn * 4 + stretch) * 0xd1342543de82ef95u;
    (void)sim_choose(sim, 2);
}

static void sim_configure(struct sim *sim)
{
    uint32_t slots_n;

    sim->page_tokens = 16u << sim_choose(sim, 2);
    sim->pages_n = 1 + sim_choose(sim, 24);
    slots_n = sim->pages_n * sim->page_tokens;
    sim->limits.running_max = 1 + sim_choose(sim, 10);
    sim->limits.waiting_max = 1 + sim_choose(sim, 12);
    sim->limits.step_tokens = sim->limits.running_max + QR_PREFILL_MIN + sim_choose(sim, 48);
    sim->limits.prefill_chunk = sim_choose(sim, 3) == 0 ? 0 : 1 + sim_choose(sim, 40);
    sim->limits.context_max =
        sim_choose(sim, 2) == 0
            ? SIM_TOKENS_MAX
            : 1 + sim_choose(sim, slots_n < SIM_TOKENS_MAX ? slots_n : SIM_TOKENS_MAX);
    sim->limits.window = sim->window;
    sim->submit_in = 2 + sim_choose(sim, 12);
    sim->cancel_in = 4 << sim_choose(sim, 8);
    sim->stop_in = 16 << sim_choose(sim, 8);
    sim->fork_in = 2 << sim_choose(sim, 8);
    sim->group_in = 2 + sim_choose(sim, 4);
    if (sim_choose(sim, 3) == 1)
        sim->budget = (struct qr_step_budget){.cost_max = sim_choose(sim, 4000),
                                              .token_cost = sim_choose(sim, 60),
                                              .read_cost = sim_choose(sim, 3)};
    sim->priorities_n = sim_choose(sim, 2) == 0 ? 1 : 1 + sim_choose(sim, SIM_PRIORITIES);
    sim->clients_n = 1 + sim_choose(sim, SIM_CLIENTS);
    sim->users_n = 1 + sim_choose(sim, SIM_USERS);
}

#endif
