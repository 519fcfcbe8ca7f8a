/* SPDX-License-Identifier: MIT */
/* shares -- whose turn it is: by priority, then by fair share.
 *
 * A tree of four levels.  Under the root stands a class for each priority, under a class the
 * clients that have requests of it, under a client its users, and a user's requests wait in the
 * order in which they came.  Next is the class of the lowest priority, in it the client with the
 * least counter, in that the user with the least counter.
 *
 * Counters are the virtual token counters of Y. Sheng et al., "Fairness in Serving Large Language
 * Models", OSDI 2024: what was served is added to the user's and the client's, and one that begins
 * to wait again is lifted to the least counter among its siblings that wait; where none of them
 * does, to that of the one taken last.  So nobody is behind for having been served while nobody
 * else waited, and nobody saves up by staying away.  Equal counters: who has waited longer since it
 * came, or was last taken.
 *
 * In use is who has a request that waits or runs.  Others are remembered as long as there is room;
 * then the one that has been out of use the longest is forgotten, which loses what it was ahead.
 * With three shares a request there is always room for those in use.
 *
 * Siblings that wait stand in a leftist heap, its links in the shares.  A counter grows often and
 * is asked for seldom, so the heap goes by keys, the counters as they were, and the least is
 * brought up to date when it is looked at: O(1) a charge, O(log siblings) a look, each repair paid
 * by a charge before it.
 *
 * Thread: engine only.   Memory: the caller's, fixed at init.
 * Invariant: a share is in its parent's heap if and only if a request of it waits; keys are at most
 * the counters; idle is who is not in use, in the order in which they ceased to be. */
#ifndef QR_SCHEDULER_SHARES_H
#define QR_SCHEDULER_SHARES_H

#include "scheduler/scheduler.h"

#define QR_SHARE_NONE UINT32_MAX
#define QR_SHARE_ROOT 0u

struct qr_seq_list {
    qr_seq_id head, tail;
    uint32_t n;
};

struct qr_share {
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

struct qr_shares {
    struct qr_share *shares; /* [shares_n] */
    uint32_t *buckets;       /* [buckets_n] */
    uint32_t shares_n, buckets_n;
    uint32_t used_n;         /* the rest were never touched */
    uint32_t oldest, newest; /* idle */
    uint64_t stamps_n;
};

/* How many shares and hash buckets (a power of two) as many requests need. */
uint32_t qr_shares_for(uint32_t seqs_n);
uint32_t qr_share_buckets_for(uint32_t seqs_n);
void qr_shares_init(struct qr_shares *s, struct qr_share *shares, uint32_t *buckets,
                    uint32_t seqs_n);

/* A request comes: the share of its user, which is in use until it leaves. */
uint32_t qr_shares_join(struct qr_shares *s, const struct qr_submission *submission);
void qr_shares_leave(struct qr_shares *s, uint32_t user);

/* The first request of a user waits, after none did; and none does any more. */
void qr_shares_enter(struct qr_shares *s, uint32_t user);
void qr_shares_exit(struct qr_shares *s, uint32_t user);

/* The user that is next, and its priority.  QR_SHARE_NONE: nobody waits. */
uint32_t qr_shares_next(struct qr_shares *s);
int32_t qr_share_priority(const struct qr_shares *s, uint32_t user);

/* Its request is taken; call before exit. */
void qr_shares_take(struct qr_shares *s, uint32_t user);
/* So much was served. */
void qr_shares_charge(struct qr_shares *s, uint32_t user, uint64_t cost);

/* Asserts the invariant.  O(shares). */
void qr_shares_check(const struct qr_shares *s);

#endif
