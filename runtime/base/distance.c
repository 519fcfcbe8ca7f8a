/* SPDX-License-Identifier: MIT */
/* Two threads of a pair send numbers to each other: one word there, one word back.  Even pairs (0
 * and 1, 2 and 3) run at the same time, then odd pairs (1 and 2), so many threads take no longer
 * than three. */
#include "runtime/base/distance.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>

#include "runtime/base/machine.h"

/* A batch of round trips is much shorter than a time slice, so some batches are not interrupted. */
#define TRIPS   64u
#define BATCHES 16u
#define TIME_NS 10000000u
/* A thread that has its core answers sooner, so the clock is read only if it lost the core. */
#define SPINS_A_LOOK 4096u

/* Two cache lines: some cores prefetch lines in pairs, and would fetch a neighbour's word. */
struct word {
    alignas(64) _Atomic uint32_t n;
    uint8_t padding[124];
};

struct pair {
    struct word there, back;
    alignas(64) uint64_t batch_ns; /* of the fastest batch; 0: no batch was completed */
};

struct game {
    _Atomic uint32_t here; /* threads that have arrived */
    uint32_t threads_n;
    uint64_t end_ns;
    struct pair *pairs; /* [threads_n - 1] */
};

/* Waits until a word is at least n.  False: the time is over. */
static bool wait_for(_Atomic uint32_t *word, uint32_t n, uint64_t end_ns)
{
    for (uint32_t spins = 1; atomic_load_explicit(word, memory_order_acquire) < n; spins++) {
        if (spins % SPINS_A_LOOK) continue;
        if (qr_clock_ns() >= end_ns) return false;
    }
    return true;
}

static void call(struct pair *pair, uint64_t end_ns)
{
    uint64_t begin = qr_clock_ns();

    for (uint32_t n = 1; n <= TRIPS * BATCHES; n++) {
        atomic_store_explicit(&pair->there.n, n, memory_order_release);
        if (!wait_for(&pair->back.n, n, end_ns)) return;
        if (n % TRIPS) continue;
        uint64_t now = qr_clock_ns();
        if (now >= end_ns) return;
        if (!pair->batch_ns || now - begin < pair->batch_ns) pair->batch_ns = now - begin;
        begin = qr_clock_ns();
    }
}

static void answer(struct pair *pair, uint64_t end_ns)
{
    for (uint32_t n = 1; n <= TRIPS * BATCHES; n++) {
        if (!wait_for(&pair->there.n, n, end_ns)) return;
        atomic_store_explicit(&pair->back.n, n, memory_order_release);
    }
}

static void play(struct game *game, uint32_t seat)
{
    atomic_fetch_add(&game->here, 1);
    if (!wait_for(&game->here, game->threads_n, game->end_ns)) return;
    for (uint32_t parity = 0; parity < 2; parity++)
        if (seat % 2 == parity && seat + 1 < game->threads_n)
            call(&game->pairs[seat], game->end_ns);
        else if (seat % 2 != parity && seat > 0)
            answer(&game->pairs[seat - 1], game->end_ns);
}

/* A seat is an item.  Its thread stays in it until all threads have arrived, so no thread takes a
 * second seat before the time is over. */
static void take_seats(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    (void)thread;
    for (uint32_t seat = begin; seat < end; seat++)
        play(work, seat);
}

double qr_distance_measure(struct qr_team *team, const struct quire_allocator *allocator)
{
    struct game game = {.threads_n = qr_team_threads(team)};
    uint64_t longest_ns = 0;

    if (game.threads_n < 2) return 0.0;
    uint32_t pairs_n = game.threads_n - 1;
    game.pairs = qr_alloc_aligned(allocator, pairs_n * sizeof *game.pairs);
    if (!game.pairs) return 0.0;
    memset(game.pairs, 0, pairs_n * sizeof *game.pairs);
    game.end_ns = qr_clock_ns() + TIME_NS;
    qr_team_run(team, take_seats, &game, game.threads_n, 1);
    for (uint32_t i = 0; i < pairs_n; i++)
        if (game.pairs[i].batch_ns > longest_ns) longest_ns = game.pairs[i].batch_ns;
    qr_free_aligned(allocator, game.pairs);
    return (double)longest_ns / (2.0 * TRIPS);
}
