/* SPDX-License-Identifier: MIT */
/* scheduler_internal -- what the scheduler's files share: its memory and its lists.
 *
 *     scheduler.c   memory, submit, cancel, figures
 *     lists.c       the lists that sequences stand in
 *     queue.c       those that wait, and who of them is next
 *     fair_queue.c      whose turn it is: priorities, clients, their users
 *     pages.c       a sequence's pages: promised, taken, given back; preemption
 *     admit.c       admission: what the tree has, whom to wait for, what it takes
 *     fork.c        sequences that begin with another's pages
 *     plan.c        plan and commit
 *     check.c       the invariant, and the dump
 *
 * Thread, Memory: scheduler.h. */
#ifndef QR_SCHEDULER_INTERNAL_H
#define QR_SCHEDULER_INTERNAL_H

#include "scheduler/fair_queue.h"
#include "scheduler/scheduler.h"

#define QR_SLOT_NONE UINT32_MAX

/* At most a cache line's bytes: every step reads all that run. */
struct qr_seq {
    enum qr_seq_state state;
    qr_seq_id prev, next;  /* in its list */
    uint32_t slot;         /* RUNNING: of its page table */
    uint32_t known_n;      /* tokens: prompt and generated */
    uint32_t tokens_max;   /* known_n stays at or below it */
    uint32_t promised_n;   /* RUNNING: free pages that only it may take */
    uint32_t computed_max; /* the most tokens it ever had in pages */
    uint32_t preemptions_n;
    int32_t priority;   /* lower goes first */
    uint32_t user_node; /* its user's */
    uint64_t order;     /* never admitted: counts up with each submit; from then on: with each
                           sequence that is admitted for the first time */
};

/* What a sequence has to do with others: with the prefix tree, and with its group. */
struct qr_seq_source {
    const int32_t *const *tokens;
    struct qr_prefix_salt salt;
    uint32_t kept_n; /* RUNNING: its pages that are in the tree, the full ones */
    bool fresh;      /* takes nothing out of it */

    /* Those attached to it: a list by `attached_next`, in order of arrival. */
    qr_seq_id attached, attached_last, attached_next;
    uint32_t attached_n;
    qr_seq_id leader; /* ATTACHED: to whom */
};

struct qr_scheduler {
    struct qr_scheduler_limits limits;
    struct qr_page_pool *pool;
    struct qr_kv_store *store;
    struct qr_prefix_tree *tree; /* NULL: nothing is shared */
    uint32_t page_tokens;

    struct qr_seq *seqs;           /* [seqs_n] */
    struct qr_seq_source *sources; /* [seqs_n] */
    uint32_t seqs_n;
    qr_seq_id *free_seqs; /* [seqs_n] */
    uint32_t free_seqs_n;
    struct qr_page_table *tables; /* [running_max], by slot */
    uint32_t *free_slots;         /* [running_max] */
    uint32_t free_slots_n;

    /* By priority, then by order of first admission; all that run before all that return. */
    struct qr_seq_list running;
    struct qr_seq_list returning; /* preempted */
    struct qr_fair_queue fair;    /* the others that wait stand there, with their users: */
    uint32_t fresh_n;
    uint64_t arrivals_n, admissions_n;
    uint32_t window_pages; /* the most that a sequence with a window holds at once; without: all */
    uint32_t promised_n;   /* pages, of all running sequences; at most the free and cached ones */
    uint32_t leaving_n;  /* pages that those at their prompts have and are to let go before its end,
                            which others may come to read: see admit.c */
    uint32_t attached_n; /* sequences, of all leaders */
    uint32_t promised_slots_n;        /* for those attached to running leaders */
    uint64_t held_tokens, held_pages; /* of running sequences, shared ones once for each */

    struct qr_step_budget budget;
    struct qr_plan plan;
    struct qr_plan_item *items; /* [running_max] */
    uint32_t decodes_n;         /* items of the plan that are no prefill: the first */
    bool cut;                   /* the plan's last chunk is shorter than it could be: it is full */
    bool planned;               /* between plan and commit */
    uint32_t *readers;          /* [pages_n] for qr_scheduler_check only */
    struct qr_scheduler_stats stats;
};

static inline struct qr_page_table *qr_seq_table(const struct qr_scheduler *s,
                                                 const struct qr_seq *seq)
{
    return &s->tables[seq->slot];
}

/* Pages that are free, or can be made so, and that nobody is promised. */
static inline uint32_t qr_scheduler_unpromised_n(const struct qr_scheduler *s)
{
    return s->pool->free_n + s->pool->cached_n - s->promised_n;
}

/* Which of two that were admitted comes first: in the batch, and in the queue again. */
static inline bool qr_seq_before(const struct qr_seq *a, const struct qr_seq *b)
{
    return a->priority != b->priority ? a->priority < b->priority : a->order < b->order;
}

/* lists.c */
void qr_seq_list_push_tail(struct qr_scheduler *s, struct qr_seq_list *list, qr_seq_id id);
void qr_seq_list_push_head(struct qr_scheduler *s, struct qr_seq_list *list, qr_seq_id id);
/* In front of those at the tail that come after it. */
void qr_seq_list_insert(struct qr_scheduler *s, struct qr_seq_list *list, qr_seq_id id);
void qr_seq_list_insert_after(struct qr_scheduler *s, struct qr_seq_list *list, qr_seq_id after,
                              qr_seq_id id);
/* `by` stands where `id` stood. */
void qr_seq_list_replace(struct qr_scheduler *s, struct qr_seq_list *list, qr_seq_id id,
                         qr_seq_id by);
void qr_seq_list_remove(struct qr_scheduler *s, struct qr_seq_list *list, qr_seq_id id);

/* queue.c */
/* A new sequence waits; a preempted one does again. */
void qr_queue_push(struct qr_scheduler *s, qr_seq_id id);
void qr_queue_return(struct qr_scheduler *s, qr_seq_id id);
/* It waits no longer. */
void qr_queue_remove(struct qr_scheduler *s, qr_seq_id id);
/* `by` waits where `id` did. */
void qr_queue_replace(struct qr_scheduler *s, qr_seq_id id, qr_seq_id by);
/* The head of the queue: who is to be admitted next.  QR_SEQ_NONE: nobody waits. */
qr_seq_id qr_queue_next(struct qr_scheduler *s);
/* A sequence runs for the first time, with so many tokens computed: it gets its place in order, and
 * its client is charged for the rest. */
void qr_queue_place(struct qr_scheduler *s, qr_seq_id id, uint32_t computed_n);
/* The head of the queue leaves it because it is admitted, its first matched_n tokens computed: if
 * it never ran, it gets its place, and those attached the next ones. */
void qr_queue_take(struct qr_scheduler *s, qr_seq_id id, uint32_t matched_n);
/* It has one more token. */
void qr_queue_charge_output(struct qr_scheduler *s, qr_seq_id id);

/* admit.c */
/* The head of the queue runs, with a slot, the pages that the tree has for it and a promise of the
 * rest.  QR_SEQ_NONE: there is none, or it may not run now. */
qr_seq_id qr_scheduler_admit(struct qr_scheduler *s);

/* fork.c */
/* Those attached to a running sequence, which has computed the prompt, run from now on. */
void qr_seq_fork_attached(struct qr_scheduler *s, qr_seq_id leader);
/* The first of those attached takes the leader's place and all that it has; the leader is FREE. */
void qr_seq_hand_over(struct qr_scheduler *s, qr_seq_id leader);
/* Takes an attached sequence off its leader. */
void qr_seq_detach(struct qr_scheduler *s, qr_seq_id id);

/* scheduler.c */
/* A WAITING sequence that is in no list yet.  QR_SEQ_NONE: the queue is full. */
qr_seq_id qr_seq_new(struct qr_scheduler *s, const struct qr_submission *submission);

/* pages.c */
/* The first page that a sequence with so many tokens computed reads. */
uint32_t qr_seq_first_page(const struct qr_scheduler *s, uint32_t tokens_n);
/* Pages to promise to a sequence that has computed so many of its known tokens, for all of them. */
uint32_t qr_seq_promise_for(const struct qr_scheduler *s, const struct qr_seq *seq,
                            uint32_t computed_n);
/* Pages that a sequence with so many tokens computed has and lets go before its last known one. */
uint32_t qr_seq_leaving_n(const struct qr_scheduler *s, const struct qr_seq *seq,
                          uint32_t computed_n);
/* With a window: those at their prompts are promised again what they have let go, in order; where
 * there are no pages for it somebody is preempted.  Returns how many. */
uint32_t qr_scheduler_renew_promises(struct qr_scheduler *s);
/* Makes the running sequence's next n tokens writable: out of its promise, then out of pages that
 * nobody is promised.  False: there are none; nothing changed. */
QR_MUST_CHECK bool qr_seq_take_pages(struct qr_scheduler *s, qr_seq_id id, uint32_t n);
/* The running sequence's pages that have become full enter the tree. */
void qr_seq_publish_pages(struct qr_scheduler *s, qr_seq_id id);
/* The running sequence lets go the pages that no token to come sees, if it has a window. */
void qr_seq_drop_left_pages(struct qr_scheduler *s, qr_seq_id id);
/* Counts the pages that a running sequence has come to hold without computing them. */
void qr_seq_count_held(struct qr_scheduler *s, qr_seq_id id);
/* Of the lowest priority that runs, the latest admitted waits again. */
qr_seq_id qr_scheduler_preempt(struct qr_scheduler *s);
/* Leaves a running sequence's pages to the tree, gives back its promise and slot, and takes it off
 * the list. */
void qr_seq_stop(struct qr_scheduler *s, qr_seq_id id);
/* Forgets a sequence in any state. */
void qr_seq_end(struct qr_scheduler *s, qr_seq_id id);

#endif
