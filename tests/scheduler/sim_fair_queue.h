/* SPDX-License-Identifier: MIT */
/* sim_fair_queue -- a plain model of scheduler/fair_queue.h: an array of nodes that is searched
 * whole for every question.  The fair queue must give the same answers. */
#ifndef QR_TESTS_SCHEDULER_SIM_FAIR_QUEUE_H
#define QR_TESTS_SCHEDULER_SIM_FAIR_QUEUE_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#define SIM_FAIR_NODES_MAX 256u
#define SIM_FAIR_NODE_NONE UINT32_MAX
#define SIM_LEVELS         3u /* priorities, their clients, their users */

struct sim_fair_node {
    bool used;
    uint32_t level, parent;
    int64_t name;
    uint64_t counter, began, ceased, dropped_counter;
    uint32_t taken;
    uint32_t live_n, waiting_n;
};

struct sim_fair_queue {
    struct sim_fair_node nodes[SIM_FAIR_NODES_MAX]; /* [0] is the root */
    uint32_t nodes_max;                             /* nodes that may be remembered, [0] included */
    uint64_t time;
};

static void sim_fair_queue_init(struct sim_fair_queue *t, uint32_t seqs_n)
{
    *t = (struct sim_fair_queue){.nodes_max = 1 + 3 * seqs_n};
    assert(t->nodes_max <= SIM_FAIR_NODES_MAX);
    t->nodes[0] = (struct sim_fair_node){.used = true, .taken = SIM_FAIR_NODE_NONE};
}

/* A node for reuse: an unused one, or the one that has been idle longest. */
static uint32_t sim_fair_node_room(struct sim_fair_queue *t)
{
    uint32_t oldest = SIM_FAIR_NODE_NONE;
    struct sim_fair_node *parent;

    for (uint32_t i = 1; i < t->nodes_max; i++) {
        if (!t->nodes[i].used) return i;
        if (t->nodes[i].live_n > 0) continue;
        if (oldest == SIM_FAIR_NODE_NONE || t->nodes[i].ceased < t->nodes[oldest].ceased)
            oldest = i;
    }
    assert(oldest != SIM_FAIR_NODE_NONE);
    parent = &t->nodes[t->nodes[oldest].parent];
    if (parent->taken == oldest) {
        parent->taken = SIM_FAIR_NODE_NONE;
        parent->dropped_counter = t->nodes[oldest].counter;
    }
    return oldest;
}

static uint32_t sim_fair_node_find(struct sim_fair_queue *t, uint32_t parent, int64_t name)
{
    uint32_t id;

    for (id = 1; id < t->nodes_max; id++)
        if (t->nodes[id].used && t->nodes[id].parent == parent && t->nodes[id].name == name) break;
    if (id == t->nodes_max) {
        id = sim_fair_node_room(t);
        t->nodes[id] = (struct sim_fair_node){.used = true,
                                              .level = t->nodes[parent].level + 1,
                                              .parent = parent,
                                              .name = name,
                                              .taken = SIM_FAIR_NODE_NONE};
    }
    t->nodes[id].live_n++;
    return id;
}

/* Adds a request and returns its user's node. */
static uint32_t sim_fair_queue_join(struct sim_fair_queue *t, int32_t priority, uint32_t client,
                                    uint32_t user)
{
    uint32_t id = sim_fair_node_find(t, 0, priority);

    id = sim_fair_node_find(t, id, client);
    return sim_fair_node_find(t, id, user);
}

static void sim_fair_queue_leave(struct sim_fair_queue *t, uint32_t user)
{
    for (uint32_t id = user; id != 0; id = t->nodes[id].parent)
        if (--t->nodes[id].live_n == 0) t->nodes[id].ceased = t->time++;
}

/* The waiting child of `parent` with the least counter. */
static uint32_t sim_fair_node_least(const struct sim_fair_queue *t, uint32_t parent)
{
    uint32_t best = SIM_FAIR_NODE_NONE;

    for (uint32_t i = 1; i < t->nodes_max; i++) {
        const struct sim_fair_node *a = &t->nodes[i], *b = &t->nodes[best % SIM_FAIR_NODES_MAX];
        if (!a->used || a->parent != parent || a->waiting_n == 0) continue;
        if (best == SIM_FAIR_NODE_NONE)
            best = i;
        else if (parent == 0
                     ? a->name < b->name
                     : a->counter < b->counter || (a->counter == b->counter && a->began < b->began))
            best = i;
    }
    return best;
}

static uint32_t sim_fair_queue_next(const struct sim_fair_queue *t)
{
    uint32_t id = 0;

    for (uint32_t level = 0; level < SIM_LEVELS && id != SIM_FAIR_NODE_NONE; level++)
        id = sim_fair_node_least(t, id);
    return id;
}

/* One more of the user's requests waits. */
static void sim_fair_queue_wait(struct sim_fair_queue *t, uint32_t user)
{
    for (uint32_t id = user; id != 0; id = t->nodes[id].parent) {
        struct sim_fair_node *node = &t->nodes[id];
        const struct sim_fair_node *parent = &t->nodes[node->parent];
        uint32_t other = sim_fair_node_least(t, node->parent);
        uint64_t floor;
        if (node->waiting_n++ > 0) continue;
        if (other == SIM_FAIR_NODE_NONE) other = parent->taken;
        floor = other == SIM_FAIR_NODE_NONE ? parent->dropped_counter : t->nodes[other].counter;
        if (node->counter < floor) node->counter = floor;
        node->began = t->time++;
    }
}

static void sim_fair_queue_unwait(struct sim_fair_queue *t, uint32_t user)
{
    for (uint32_t id = user; id != 0; id = t->nodes[id].parent) {
        assert(t->nodes[id].waiting_n > 0);
        t->nodes[id].waiting_n--;
    }
}

static void sim_fair_queue_charge(struct sim_fair_queue *t, uint32_t user, uint64_t cost)
{
    t->nodes[user].counter += cost;
    t->nodes[t->nodes[user].parent].counter += cost;
}

/* One of its requests is admitted. */
static void sim_fair_queue_take(struct sim_fair_queue *t, uint32_t user)
{
    for (uint32_t id = user; id != 0; id = t->nodes[id].parent) {
        t->nodes[id].began = t->time++;
        t->nodes[t->nodes[id].parent].taken = id;
    }
    sim_fair_queue_unwait(t, user);
}

#endif
