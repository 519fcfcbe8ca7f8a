/* SPDX-License-Identifier: MIT */
/* fair_queue -- the order of waiting requests: by priority, then by fair share.
 *
 *     root -- priority 0 -- client A (counter 40) -- user x -- requests in order of arrival
 *          \              \- client B (counter 12) -- user y -- ...          <- next: B, y
 *           \- priority 5 -- ...
 *
 * A tree of four levels: priorities, clients, their users, requests.  Next is the lowest priority
 * number, its client with the least counter, and that client's user with the least counter.
 *
 * Counters are the virtual token counters of Y. Sheng et al., "Fairness in Serving Large Language
 * Models", OSDI 2024.  Served tokens are added to the user's and the client's counter.  A node that
 * begins to wait again is lifted to the least counter of its waiting siblings, or to that of the
 * one taken last if none waits.  So a client that was away has no advantage when it comes back.  A
 * client that was served while no other waited has no disadvantage later.  Of equal counters, the
 * node that came or was last taken earlier is next.
 *
 * Nodes with a waiting or running request are in use.  Idle nodes are remembered while there is
 * room; then the one that has been idle longest is dropped and loses its counter.  Three nodes for
 * each request are always enough for all that are in use.
 *
 * Waiting siblings are in a leftist heap, linked through the nodes.  Counters grow often and are
 * read seldom, so the heap is ordered by keys, older values of the counters.  A key is updated when
 * its node is looked at: O(1) a charge, O(log siblings) a look.
 *
 * Thread: engine only.   Memory: the caller's, fixed at init.
 * Invariant: a node is in its parent's heap if and only if a request below it waits.  Keys are at
 * most the counters.  The idle list is in the order in which nodes became idle. */
#ifndef QR_SCHEDULER_FAIR_QUEUE_H
#define QR_SCHEDULER_FAIR_QUEUE_H

#include "scheduler/scheduler.h"

#define QR_FAIR_NODE_NONE UINT32_MAX
#define QR_FAIR_NODE_ROOT 0u

struct qr_seq_list {
    qr_seq_id head, tail;
    uint32_t n;
};

struct qr_fair_node {
    struct qr_party name;     /* of a client or user; of a priority: its number */
    uint64_t counter;         /* tokens served; of a priority: its number, constant */
    uint64_t key;             /* in the heap: an older value of the counter */
    uint64_t stamp;           /* when it began to wait or was last taken; orders equal keys */
    uint64_t dropped_counter; /* the counter of the child taken last, if that child was dropped */
    uint32_t parent;
    uint32_t up, left, right, rank; /* links in the heap; rank 0: not in it */
    uint32_t top;                   /* the heap of its children */
    uint32_t taken;                 /* the child taken last */
    uint32_t older, newer;          /* idle: its neighbours in the idle list */
    uint32_t chain;                 /* the next node with the same hash */
    uint32_t live_n;                /* waiting and running requests below it */
    struct qr_seq_list waiting;     /* of a user */
};

struct qr_fair_queue {
    struct qr_fair_node *nodes; /* [nodes_n] */
    uint32_t *buckets;          /* [buckets_n] */
    uint32_t nodes_n, buckets_n;
    uint32_t used_n;         /* nodes from this one on have never been used */
    uint32_t oldest, newest; /* ends of the idle list */
    uint64_t stamps_n;
};

/* Nodes and hash buckets (a power of two) that so many requests need. */
uint32_t qr_fair_queue_nodes_for(uint32_t seqs_n);
uint32_t qr_fair_queue_buckets_for(uint32_t seqs_n);
void qr_fair_queue_init(struct qr_fair_queue *queue, struct qr_fair_node *nodes, uint32_t *buckets,
                        uint32_t seqs_n);

/* Adds a request and returns its user's node, which stays in use until the request leaves. */
uint32_t qr_fair_queue_join(struct qr_fair_queue *queue, const struct qr_submission *submission);
void qr_fair_queue_leave(struct qr_fair_queue *queue, uint32_t user);

/* The user begins to wait: call after its list gets its first request.  It stops waiting: call
 * after its list becomes empty. */
void qr_fair_queue_enter(struct qr_fair_queue *queue, uint32_t user);
void qr_fair_queue_exit(struct qr_fair_queue *queue, uint32_t user);

/* The user to serve next.  QR_FAIR_NODE_NONE: no request waits. */
uint32_t qr_fair_queue_next(struct qr_fair_queue *queue);
int32_t qr_fair_queue_priority(const struct qr_fair_queue *queue, uint32_t user);

/* A request of the user is admitted: the user and its client become the youngest among equal
 * counters.  Call before exit. */
void qr_fair_queue_take(struct qr_fair_queue *queue, uint32_t user);
/* Adds served tokens to the counters of the user and its client. */
void qr_fair_queue_charge(struct qr_fair_queue *queue, uint32_t user, uint64_t cost);

/* The user's waiting requests.  The caller links them. */
struct qr_seq_list *qr_fair_queue_list(const struct qr_fair_queue *queue, uint32_t user);
/* The names with which the user joined. */
void qr_fair_queue_names(const struct qr_fair_queue *queue, uint32_t user,
                         struct qr_party *client_name, struct qr_party *user_name);
uint64_t qr_fair_queue_counter(const struct qr_fair_queue *queue, uint32_t user);
/* Waiting and running requests in all. */
uint32_t qr_fair_queue_live_n(const struct qr_fair_queue *queue);
/* For check and dump: the first user after node `after` that has waiting requests, by index.
 * Begin with QR_FAIR_NODE_ROOT.  QR_FAIR_NODE_NONE: no more. */
uint32_t qr_fair_queue_waiting_user(const struct qr_fair_queue *queue, uint32_t after);

/* Asserts the invariant.  O(nodes). */
void qr_fair_queue_check(const struct qr_fair_queue *queue);

#endif
