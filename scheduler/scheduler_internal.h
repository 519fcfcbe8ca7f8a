/* SPDX-License-Identifier: MIT */
/* scheduler_internal -- the memory that the scheduler's files share, and which file writes what.
 *
 *     check.c       the invariant and the dump
 *     plan.c        plan and commit, preemption
 *     admit.c       admission: cached pages, waiting for a prefix, pages needed
 *     sequence.c    a sequence's life: submit, attach, fork, cancel, end, room
 *     group.c       a leader and the sequences attached to it
 *     pages.c       what a running sequence holds: a slot, pages, promised pages
 *     queue.c       waiting sequences: which one is next, what a client is charged
 *     scheduler.c   memory, init, limits, figures
 *     fair_queue.c  the order of priorities, clients and users
 *     lists.c       linked lists of sequences
 *
 * Calls go down this list only.
 *
 * Thread, Memory: scheduler.h. */
#ifndef QR_SCHEDULER_INTERNAL_H
#define QR_SCHEDULER_INTERNAL_H

#include "scheduler/fair_queue.h"
#include "scheduler/scheduler.h"

#define QR_SLOT_NONE UINT32_MAX

/* What every step reads of a sequence: at most a cache line.  sequence.c sets every field of a new
 * sequence; afterwards a group is written by the files that it names.  A hand-over (group.c) copies
 * the whole struct to the new leader. */
struct qr_seq {
    /* pages.c: RUNNING.  queue.c: WAITING again.  sequence.c: the other states. */
    enum qr_seq_state state;

    /* lists.c */
    qr_seq_id prev, next; /* in the list of its state */

    /* sequence.c only, but for known_n: plan.c and group.c count the token of a commit */
    uint32_t known_n; /* tokens: prompt and generated; at most tokens_max */
    uint32_t tokens_max;
    int32_t priority;   /* lower goes first */
    uint32_t user_node; /* its user's node in the fair queue */

    /* queue.c */
    uint32_t preemptions_n;
    uint64_t order; /* until the first admission: the number of its submit; from then on: the number
                       of that admission */

    /* pages.c */
    uint32_t slot;         /* RUNNING: of its page table */
    uint32_t promised_n;   /* RUNNING: pages that only it may take */
    uint32_t computed_max; /* the most tokens that it ever had in pages */
};

/* A sequence's text and its group. */
struct qr_seq_source {
    /* sequence.c */
    const int32_t *const *tokens;
    struct qr_prefix_salt salt;
    bool fresh; /* takes no pages from the tree */

    /* pages.c */
    uint32_t published_n; /* RUNNING: its full pages, which are all in the tree */

    /* group.c */
    qr_seq_id attached, attached_last; /* of a leader: the list of its attached sequences, */
    uint32_t attached_n;               /* and their number */
    qr_seq_id attached_next;           /* ATTACHED: the next in that list */
    qr_seq_id leader;                  /* ATTACHED: its leader */
};

struct qr_scheduler {
    /* scheduler.c, at init */
    struct qr_scheduler_limits limits;
    struct qr_page_pool *pool;
    struct qr_kv_store *store;
    struct qr_prefix_tree *tree; /* NULL: nothing is shared */
    uint32_t page_tokens;
    uint32_t window_pages; /* pages that a sequence holds at most; without a window: no limit */
    struct qr_seq *seqs;   /* [seqs_n] */
    struct qr_seq_source *sources; /* [seqs_n] */
    uint32_t seqs_n;
    struct qr_page_table *tables; /* [running_max], by slot */

    /* sequence.c */
    qr_seq_id *free_seqs; /* [seqs_n] */
    uint32_t free_seqs_n;
    uint64_t arrivals_n;

    /* admit.c, sequence.c and group.c insert, pages.c removes.  In order (qr_seq_before). */
    struct qr_seq_list running;

    /* queue.c.  All running sequences come before all returning ones. */
    struct qr_seq_list returning; /* preempted, in order (qr_seq_before) */
    struct qr_fair_queue fair;    /* the other waiting sequences, in lists of their users */
    uint32_t fresh_n;             /* sequences in those lists */
    uint64_t admissions_n;

    /* group.c.  pages.c too changes promised_slots_n, when a leader starts or stops. */
    uint32_t attached_n;       /* sequences attached to any leader */
    uint32_t promised_slots_n; /* slots kept for those attached to running leaders */

    /* pages.c.  plan.c clears leaving_n before the promises are renewed. */
    uint32_t *free_slots; /* [running_max] */
    uint32_t free_slots_n;
    uint32_t promised_n; /* of all running sequences; at most the free and cached pages */
    uint32_t leaving_n;  /* pages that sequences in prefill will drop before it ends (admit.c) */
    uint64_t held_tokens, held_pages; /* of running sequences; a shared page counts for each */

    /* plan.c */
    struct qr_step_budget budget;
    struct qr_plan plan;
    struct qr_plan_item *items; /* [running_max] */
    uint32_t decodes_n;         /* the first items of the plan, which are no prefill */
    bool cut;                   /* the budget shortened the plan's last chunk: it is full */
    bool planned;               /* between plan and commit */

    /* check.c */
    uint32_t *readers; /* [pages_n] */

    /* each file counts what it does */
    struct qr_scheduler_stats stats;
};

static inline struct qr_page_table *qr_seq_table(const struct qr_scheduler *s,
                                                 const struct qr_seq *seq)
{
    return &s->tables[seq->slot];
}

/* Free and cached pages that are promised to no sequence. */
static inline uint32_t qr_scheduler_unpromised_n(const struct qr_scheduler *s)
{
    return s->pool->free_n + s->pool->cached_n - s->promised_n;
}

/* The order of admitted sequences, in the batch and in the list of returning ones. */
static inline bool qr_seq_before(const struct qr_seq *a, const struct qr_seq *b)
{
    return a->priority != b->priority ? a->priority < b->priority : a->order < b->order;
}

/* ---- lists.c ---------------------------------------------------------------------------- */

void qr_seq_list_push_tail(struct qr_scheduler *s, struct qr_seq_list *list, qr_seq_id id);
void qr_seq_list_push_head(struct qr_scheduler *s, struct qr_seq_list *list, qr_seq_id id);
/* Inserts by qr_seq_before.  O(sequences that come after it). */
void qr_seq_list_insert(struct qr_scheduler *s, struct qr_seq_list *list, qr_seq_id id);
void qr_seq_list_insert_after(struct qr_scheduler *s, struct qr_seq_list *list, qr_seq_id after,
                              qr_seq_id id);
/* `by` takes the place of `id` in the list. */
void qr_seq_list_replace(struct qr_scheduler *s, struct qr_seq_list *list, qr_seq_id id,
                         qr_seq_id by);
void qr_seq_list_remove(struct qr_scheduler *s, struct qr_seq_list *list, qr_seq_id id);

/* ---- queue.c ---------------------------------------------------------------------------- */

/* A new sequence waits. */
void qr_queue_push(struct qr_scheduler *s, qr_seq_id id);
/* The sequence that was last in the batch waits again. */
void qr_queue_return(struct qr_scheduler *s, qr_seq_id id);
/* A sequence stops waiting. */
void qr_queue_remove(struct qr_scheduler *s, qr_seq_id id);
/* `by` waits in the place of `id`. */
void qr_queue_replace(struct qr_scheduler *s, qr_seq_id id, qr_seq_id by);
/* The head of the queue: the sequence to admit next.  QR_SEQ_NONE: the queue is empty. */
qr_seq_id qr_queue_next(struct qr_scheduler *s);
/* A sequence's first admission, with so many tokens computed: numbers it and charges its client for
 * the other tokens. */
void qr_queue_admit_new(struct qr_scheduler *s, qr_seq_id id, uint32_t computed_n);
/* Admits the head of the queue, its first matched_n tokens computed.  If it never ran, numbers it
 * and then those attached to it. */
void qr_queue_take(struct qr_scheduler *s, qr_seq_id id, uint32_t matched_n);
/* Charges a sequence's client for a generated token. */
void qr_queue_charge_output(struct qr_scheduler *s, qr_seq_id id);

/* ---- pages.c ---------------------------------------------------------------------------- */

/* The first page that a sequence with so many computed tokens reads. */
uint32_t qr_seq_first_page(const struct qr_scheduler *s, uint32_t tokens_n);
/* Pages to promise to a sequence that has computed so many of its known tokens. */
uint32_t qr_seq_promise_for(const struct qr_scheduler *s, const struct qr_seq *seq,
                            uint32_t computed_n);
/* Pages that a sequence with so many computed tokens holds and will drop before it computes its
 * last known token. */
uint32_t qr_seq_leaving_n(const struct qr_scheduler *s, const struct qr_seq *seq,
                          uint32_t computed_n);

/* The page array of the table that the next sequence to start gets.  admit.c writes matched pages
 * into it before it knows whether the sequence starts. */
qr_page_id *qr_scheduler_next_pages(const struct qr_scheduler *s);
/* Starts an admitted sequence: gives it a slot, the matched pages in qr_scheduler_next_pages and a
 * promise of the others that it needs. */
void qr_seq_start_matched(struct qr_scheduler *s, qr_seq_id id, uint32_t matched_n);
/* Starts a sequence that reads all pages of a running parent.  It is promised none. */
void qr_seq_start_forked(struct qr_scheduler *s, qr_seq_id id, qr_seq_id parent);
/* Stops a running sequence: publishes its pages, returns slot and promise, and takes it off the
 * running list. */
void qr_seq_stop(struct qr_scheduler *s, qr_seq_id id);

/* Makes the sequence's next n tokens writable.  Takes promised pages first, then unpromised ones;
 * evicts cached pages as needed.  False: too few pages, which is possible for n = 1 only; nothing
 * changed. */
QR_MUST_CHECK bool qr_seq_take_pages(struct qr_scheduler *s, qr_seq_id id, uint32_t n);
/* The next n tokens are computed: publishes full pages, drops pages that left the window. */
void qr_seq_advance(struct qr_scheduler *s, qr_seq_id id, uint32_t n);
/* Promises new pages for those that a sequence in prefill dropped.  False: too few unpromised
 * pages; nothing changed. */
QR_MUST_CHECK bool qr_seq_renew_promise(struct qr_scheduler *s, qr_seq_id id);

/* ---- group.c ---------------------------------------------------------------------------- */

void qr_group_attach(struct qr_scheduler *s, qr_seq_id leader, qr_seq_id id);
void qr_group_detach(struct qr_scheduler *s, qr_seq_id id);
/* The leader has computed the prompt: all attached sequences run, each with one more token. */
void qr_group_fork(struct qr_scheduler *s, qr_seq_id leader);
/* The first attached sequence becomes the leader and takes over its state, place and pages. */
void qr_group_hand_over(struct qr_scheduler *s, qr_seq_id leader);

/* ---- sequence.c ------------------------------------------------------------------------- */

/* Ends a sequence in any state: it is FREE. */
void qr_seq_end(struct qr_scheduler *s, qr_seq_id id);

/* ---- admit.c ---------------------------------------------------------------------------- */

/* Admits the head of the queue, if it may run now.  QR_SEQ_NONE: it may not, or there is none. */
qr_seq_id qr_scheduler_admit(struct qr_scheduler *s);

#endif
