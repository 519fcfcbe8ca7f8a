/* SPDX-License-Identifier: MIT */
/* fair_queue -- the order of waiting requests: by priority, then by fair share.
 *
 *     root -- priority 0 -- client A (counter 40) -- user x -- requests in order of arrival
 *          \              \- client B (counter 12) -- user y -- ...          <- next: B, y
 *           \- priority 5 -- ...
 *
 * A tree of four levels: priorities, clients, their users, requests.  Next is the lowest priority,
 * its client with the least counter, and that client's user with the least counter.
 *
 * Counters are the virtual token counters of Y. Sheng et al., "Fairness in Serving Large Language
 * Models", OSDI 2024.  Served tokens are added to the user's and the client's counter.  A node that
 * begins to wait again is lifted to the least counter of its waiting siblings, or to that of the
 * one taken last if none waits.  So nobody pays for service in an idle time, and nobody saves up
 * service. Equal counters: the node that has waited longer since it came or was taken.
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
    struct qr_party name; /* a class: its priority */
    uint64_t counter;     /* a class: its priority, above all a constant */
    uint64_t key;         /* in the heap: the counter as it was */
    uint64_t stamp;       /* when it began to wait or was last taken; orders equal keys */
    uint64_t forgotten;   /* the counter of the child taken last, once that is forgotten */
    uint32_t parent;
    uint32_t up, left, right, rank; /* in the heap; rank 0: not in it */
    uint32_t top;                   /* the heap of its children */
    uint32_t taken;                 /* the child taken last */
    uint32_t older, newer;          /* idle: its neighbours in that order */
    uint32_t chain;                 /* the next with the same hash */
    uint32_t live_n;                /* requests of it that wait or run */
    struct qr_seq_list waiting;     /* a user's */
};

struct qr_fair_queue {
    struct qr_fair_node *shares; /* [shares_n] */
    uint32_t *buckets;           /* [buckets_n] */
    uint32_t shares_n, buckets_n;
    uint32_t used_n;         /* the rest were never touched */
    uint32_t oldest, newest; /* idle */
    uint64_t stamps_n;
};

/* How many shares and hash buckets (a power of two) as many requests need. */
uint32_t qr_fair_queue_nodes_for(uint32_t seqs_n);
uint32_t qr_fair_queue_buckets_for(uint32_t seqs_n);
void qr_fair_queue_init(struct qr_fair_queue *s, struct qr_fair_node *shares, uint32_t *buckets,
                        uint32_t seqs_n);

/* A request comes: the share of its user, which is in use until it leaves. */
uint32_t qr_fair_queue_join(struct qr_fair_queue *s, const struct qr_submission *submission);
void qr_fair_queue_leave(struct qr_fair_queue *s, uint32_t user);

/* The first request of a user waits, after none did; and none does any more. */
void qr_fair_queue_enter(struct qr_fair_queue *s, uint32_t user);
void qr_fair_queue_exit(struct qr_fair_queue *s, uint32_t user);

/* The user that is next, and its priority.  QR_FAIR_NODE_NONE: nobody waits. */
uint32_t qr_fair_queue_next(struct qr_fair_queue *s);
int32_t qr_fair_queue_priority(const struct qr_fair_queue *s, uint32_t user);

/* Its request is taken; call before exit. */
void qr_fair_queue_take(struct qr_fair_queue *s, uint32_t user);
/* So much was served. */
void qr_fair_queue_charge(struct qr_fair_queue *s, uint32_t user, uint64_t cost);

/* Asserts the invariant.  O(shares). */
void qr_fair_queue_check(const struct qr_fair_queue *s);

#endif
