/* SPDX-License-Identifier: MIT */
/* libFuzzer: the bytes choose the simulation's limits, arrivals, cancels and ends. */
#include "simulation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sim sim = {.bytes = data,
                      .bytes_n = size,
                      .has_twin = size % 8 == 0,
                      .has_tree = size % 4 < 3,
                      .window = size % 3 == 2 ? 1 + (uint32_t)(size % (size % 2 ? 120 : 32)) : 0};

    sim_run(&sim, 4096);
    return 0;
}
