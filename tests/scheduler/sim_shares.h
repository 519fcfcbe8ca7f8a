/* SPDX-License-Identifier: MIT */
/* sim_shares -- whose turn it is, said a second time and as plainly as can be: arrays, and a look
 * at all of them for every question.  What scheduler/fair_queue.h promises is that it gives the
 * same answers. */
#ifndef QR_TESTS_SCHEDULER_SIM_SHARES_H
#define QR_TESTS_SCHEDULER_SIM_SHARES_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#define SIM_SHARES_MAX 256u
#define SIM_SHARE_NONE UINT32_MAX
#define SIM_LEVELS     3u /* priorities, their clients, their users */

struct sim_share {
    bool used;
    uint32_t level, parent;
    int64_t name;
    uint64_t counter, began, ceased, forgotten;
    uint32_t taken;
    uint32_t live_n, waiting_n;
};

struct sim_shares {
    struct sim_share shares[SIM_SHARES_MAX]; /* [0] is above all */
    uint32_t shares_max;                     /* as many may be known at once, [0] included */
    uint64_t time;
};

static void sim_shares_init(struct sim_shares *t, uint32_t seqs_n)
{
    *t = (struct sim_shares){.shares_max = 1 + 3 * seqs_n};
    assert(t->shares_max <= SIM_SHARES_MAX);
    t->shares[0] = (struct sim_share){.used = true, .taken = SIM_SHARE_NONE};
}

/* Room for one more: an unused one, or the one that ceased to be in use first. */
static uint32_t sim_share_room(struct sim_shares *t)
{
    uint32_t oldest = SIM_SHARE_NONE;
    struct sim_share *parent;

    for (uint32_t i = 1; i < t->shares_max; i++) {
        if (!t->shares[i].used) return i;
        if (t->shares[i].live_n > 0) continue;
        if (oldest == SIM_SHARE_NONE || t->shares[i].ceased < t->shares[oldest].ceased) oldest = i;
    }
    assert(oldest != SIM_SHARE_NONE);
    parent = &t->shares[t->shares[oldest].parent];
    if (parent->taken == oldest) {
        parent->taken = SIM_SHARE_NONE;
        parent->forgotten = t->shares[oldest].counter;
    }
    return oldest;
}

static uint32_t sim_share_find(struct sim_shares *t, uint32_t parent, int64_t name)
{
    uint32_t id;

    for (id = 1; id < t->shares_max; id++)
        if (t->shares[id].used && t->shares[id].parent == parent && t->shares[id].name == name)
            break;
    if (id == t->shares_max) {
        id = sim_share_room(t);
        t->shares[id] = (struct sim_share){.used = true,
                                           .level = t->shares[parent].level + 1,
                                           .parent = parent,
                                           .name = name,
                                           .taken = SIM_SHARE_NONE};
    }
    t->shares[id].live_n++;
    return id;
}

/* A request comes: its user's share. */
static uint32_t sim_shares_join(struct sim_shares *t, int32_t priority, uint32_t client,
                                uint32_t user)
{
    uint32_t id = sim_share_find(t, 0, priority);

    id = sim_share_find(t, id, client);
    return sim_share_find(t, id, user);
}

static void sim_shares_leave(struct sim_shares *t, uint32_t user)
{
    for (uint32_t id = user; id != 0; id = t->shares[id].parent)
        if (--t->shares[id].live_n == 0) t->shares[id].ceased = t->time++;
}

/* The child of `parent` whose turn it is. */
static uint32_t sim_share_least(const struct sim_shares *t, uint32_t parent)
{
    uint32_t best = SIM_SHARE_NONE;

    for (uint32_t i = 1; i < t->shares_max; i++) {
        const struct sim_share *a = &t->shares[i], *b = &t->shares[best % SIM_SHARES_MAX];
        if (!a->used || a->parent != parent || a->waiting_n == 0) continue;
        if (best == SIM_SHARE_NONE)
            best = i;
        else if (parent == 0
                     ? a->name < b->name
                     : a->counter < b->counter || (a->counter == b->counter && a->began < b->began))
            best = i;
    }
    return best;
}

static uint32_t sim_shares_next(const struct sim_shares *t)
{
    uint32_t id = 0;

    for (uint32_t level = 0; level < SIM_LEVELS && id != SIM_SHARE_NONE; level++)
        id = sim_share_least(t, id);
    return id;
}

/* One more of the user's requests waits. */
static void sim_shares_wait(struct sim_shares *t, uint32_t user)
{
    for (uint32_t id = user; id != 0; id = t->shares[id].parent) {
        struct sim_share *share = &t->shares[id];
        const struct sim_share *parent = &t->shares[share->parent];
        uint32_t other = sim_share_least(t, share->parent);
        uint64_t floor;
        if (share->waiting_n++ > 0) continue;
        if (other == SIM_SHARE_NONE) other = parent->taken;
        floor = other == SIM_SHARE_NONE ? parent->forgotten : t->shares[other].counter;
        if (share->counter < floor) share->counter = floor;
        share->began = t->time++;
    }
}

static void sim_shares_unwait(struct sim_shares *t, uint32_t user)
{
    for (uint32_t id = user; id != 0; id = t->shares[id].parent) {
        assert(t->shares[id].waiting_n > 0);
        t->shares[id].waiting_n--;
    }
}

static void sim_shares_charge(struct sim_shares *t, uint32_t user, uint64_t cost)
{
    t->shares[user].counter += cost;
    t->shares[t->shares[user].parent].counter += cost;
}

/* One of its requests is admitted. */
static void sim_shares_take(struct sim_shares *t, uint32_t user)
{
    for (uint32_t id = user; id != 0; id = t->shares[id].parent) {
        t->shares[id].began = t->time++;
        t->shares[t->shares[id].parent].taken = id;
    }
    sim_shares_unwait(t, user);
}

#endif
