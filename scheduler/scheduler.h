/* SPDX-License-Identifier: MIT */
/* scheduler -- decides, step by step, which tokens of which sequences go through the model.
 *
 *     submit --> WAITING ------ admitted ------> RUNNING --- finished ---> FREE
 *                  ^ ^                            | ^ ^
 *                  | +--------- preempted --------+ | |
 *                  |                                | +-- fork, if it can run at once
 *                  | leader ended while WAITING     |     (otherwise as submit)
 *                  |                                |
 *     attach --> ATTACHED --------------------------+
 *                           leader has its first token, or ended while RUNNING
 *
 *     cancel: from any state to FREE
 *
 * WAITING and ATTACHED sequences hold no pages.  A RUNNING one computes its known tokens and then
 * one more in each step.  Every step:
 *     plan    Chooses what to compute within the token budget: first running sequences with one
 *             token left to compute, then prefill in chunks, each kind in order.  Then it admits
 *             waiting sequences while slots, pages and budget allow: by priority, then fair share
 *             (fair_queue.h), then arrival.
 *     (the engine computes)
 *     commit  Takes the results: each planned sequence that reached its last known token has one
 *             more token, or ends.
 * "In order" is by priority, the lower number first, then by first admission.
 *
 * Pages.  An admission counts the tokens known so far.  The sequence adopts the pages that the
 * prefix tree has for them, the last token excepted, which has to be computed.  It is promised the
 * other pages that its known tokens need: no other sequence may take promised pages.  It takes them
 * as it writes them.  A page is published in the tree as soon as it is full.  A sequence that ends
 * or is preempted publishes all of its pages.
 *
 * If no page is free, the coldest cached page is evicted.  If a running sequence must grow and all
 * free and cached pages are promised, the last sequence in order is preempted, possibly the growing
 * one.  It waits before all sequences of its priority that never ran.  It is admitted again when
 * the unpromised pages cover what it lacks and one page for every sequence that then runs.  It
 * starts from the pages that the tree still has.
 *
 * Compute once.  The head of the queue waits while a running sequence in prefill is about to fill a
 * page of which the head wants at least half.  The head holds nothing meanwhile.  It waits at most
 * for that sequence's remaining prefill, and computes the page itself if that sequence ends.
 *
 * Groups.  Sequences with the same prompt are submitted together: a leader and those attached to
 * it.  The leader is admitted when there is a slot for each of them, and computes the prompt.  The
 * commit that gives it its first token forks the others.  Each then runs with a first token of its
 * own and reads the leader's pages; a sequence that writes into a shared page copies it first.  If
 * the leader ends earlier, the first attached sequence takes its place and its pages.  A running
 * sequence can also be forked later, into a new one that reads its pages.
 *
 * Windows.  If a token sees only the last limits.window tokens, a running sequence drops a page as
 * soon as no later token sees any of it; the tree keeps that page cached.  So a sequence holds a
 * bounded number of pages, whatever its length, and an admission promises no more than that number.
 * For pages that it drops in prefill it is promised new ones in the next plan.  A dropped page
 * stays allocated while another sequence reads it, so admissions count such pages beforehand.
 *
 * Progress.  The first running sequence in order is never preempted.  It ends within
 * ceil(n / min(16, prefill_chunk)) + m steps of becoming the first, and one more if it was admitted
 * in that step; n is its known tokens then and m the tokens still to come.  Within one priority a
 * sequence is preempted at most (g + 2) / 3 times.  g is the pages by which it could still grow at
 * its first admission, together with the sequences that ran before it then or were attached to
 * those; copies after a fork count.  docs/notes/scheduler.md has the proofs, and the bounds with
 * several priorities.
 *
 * No clock, no allocation, no text: the same calls give the same plans.
 *
 * Thread: engine only.   Memory: the caller's, fixed at init.
 * Invariant: free + cached + held = all pages; promised <= free + cached.  A sequence is in exactly
 * one list, or attached to a leader that has its prompt still to compute.  Running sequences and
 * those attached to them are at most running_max.  Waiting and attached ones are at most
 * waiting_max, apart from preempted ones.  A plan has at most step_tokens, and at least
 * QR_PREFILL_MIN prefill tokens if so many can be prefilled under prefill_chunk. */
#ifndef QR_SCHEDULER_SCHEDULER_H
#define QR_SCHEDULER_SCHEDULER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "cache/kv_store.h"
#include "cache/page_pool.h"
#include "cache/page_table.h"
#include "cache/prefix_tree.h"

#define QR_PREFILL_MIN 16u /* tokens of every step that decodes may not use */

struct qr_scheduler_limits {
    uint32_t running_max;   /* sequences in a batch, at least 1 */
    uint32_t waiting_max;   /* sequences in the queue, at least 1 */
    uint32_t step_tokens;   /* token budget of a step, at least running_max + QR_PREFILL_MIN */
    uint32_t prefill_chunk; /* most prompt tokens of one sequence in a step; 0: the budget */
    uint32_t context_max;   /* longest sequence, tokens, at least 1 */
    uint32_t window;        /* tokens that each token sees, itself included; 0: all.  With a window
                               a chunk is at most max(window, QR_PREFILL_MIN) tokens */
};

/* A second limit of a step, in addition to step_tokens: token_cost for each token and read_cost for
 * each position whose keys and values a token reads (a token at position p reads p + 1).  No sum
 * exceeds 2^63 - 1. */
struct qr_step_budget {
    uint64_t cost_max; /* all three 0, as after init: no such limit */
    uint64_t token_cost, read_cost;
};

/* Index of a sequence, below running_max + waiting_max.  Reused after the sequence is FREE. */
typedef uint32_t qr_seq_id;
#define QR_SEQ_NONE UINT32_MAX

enum qr_seq_state { QR_SEQ_FREE, QR_SEQ_WAITING, QR_SEQ_RUNNING, QR_SEQ_ATTACHED };

/* One sequence's part of a step: its tokens [position, position + tokens_n), at least one. */
struct qr_plan_item {
    qr_seq_id seq;
    uint32_t position;
    uint32_t tokens_n;
    bool wants_logits;       /* its last token is the last known one: the step computes the next */
    const qr_page_id *pages; /* of the whole sequence; QR_PAGE_NONE: dropped before the window.
                                Valid until the next call into the scheduler */
};

/* A step.  A sequence has at most one item. */
struct qr_plan {
    const struct qr_plan_item *items;
    uint32_t items_n;
    uint32_t tokens_n;    /* of all items */
    uint64_t reads_n;     /* positions that these tokens read, each token at most its window */
    uint32_t admitted_n;  /* sequences admitted in this step, resumed ones included */
    uint32_t preempted_n; /* sequences preempted in this step */
};

/* The result of one item. */
struct qr_result {
    bool finished; /* true: the sequence ends.  false: it has one more token if the item wanted
                      logits */
};

/* Identity of a client or user for fair shares, for example a hash.  Zero is an identity too. */
struct qr_party {
    uint64_t words[2];
};

/* A new sequence. */
struct qr_submission {
    /* *tokens: all known tokens of the sequence, the prompt and one more after each commit that
     * gave it one.  The caller keeps them until the sequence is FREE, and may move them between two
     * calls.  Not read without a prefix tree. */
    const int32_t *const *tokens;
    uint32_t prompt_n;          /* at least 1 */
    uint32_t tokens_max;        /* its longest length, the prompt included */
    struct qr_prefix_salt salt; /* sequences share pages only if their salts are equal */
    bool fresh;                 /* compute every token, also those that the tree has */
    int32_t priority;           /* lower goes first */
    struct qr_party client;     /* clients of a priority share it fairly */
    struct qr_party user;       /* users of a client share its part fairly */
};

struct qr_scheduler_stats {
    uint64_t steps;
    uint64_t computed_tokens;
    uint64_t preemptions;
    uint64_t recomputed_tokens; /* computed again after a preemption */
    uint64_t page_copies;
    uint64_t forks; /* sequences that started by reading another's pages */
    /* Tokens of sequences at their first admission, and how many of them the tree had.  Without
     * fresh sequences. */
    uint64_t prefix_queries, prefix_hits;
    uint64_t evictions;
    uint64_t waits; /* steps in which the head of the queue waited for a page of another sequence */
    /* Summed over steps: token slots in held pages, and those of them without a token. */
    uint64_t slots_held, slots_empty;
};

struct qr_scheduler; /* scheduler_internal.h */

/* The most pages that one sequence of so many tokens holds at once. */
uint32_t qr_scheduler_pages_for(const struct qr_scheduler_limits *limits, uint32_t page_tokens,
                                uint32_t tokens_n);
/* The least number of nodes for the prefix tree. */
uint32_t qr_scheduler_nodes_for(const struct qr_scheduler_limits *limits, uint32_t pages_n,
                                uint32_t page_tokens);

/* The size of init's memory. */
size_t qr_scheduler_bytes(const struct qr_scheduler_limits *limits, uint32_t pages_n,
                          uint32_t page_tokens);
/* memory: aligned for any type.  pool and store have the same pages, all free.  tree is empty, over
 * that pool, with the limits' window and at least qr_scheduler_nodes_for nodes; NULL: sequences
 * share no prefixes.  Nothing else takes, drops or publishes pages while the scheduler is in use.
 * There is no deinit: the caller frees the memory.  limits is copied. */
struct qr_scheduler *qr_scheduler_init(void *memory, const struct qr_scheduler_limits *limits,
                                       struct qr_page_pool *pool, struct qr_kv_store *store,
                                       struct qr_prefix_tree *tree);

/* The longest sequence, in tokens, that context_max and the pages allow. */
uint32_t qr_scheduler_tokens_max(const struct qr_scheduler *s);
/* True: a sequence of so many tokens can run. */
bool qr_scheduler_fits(const struct qr_scheduler *s, uint32_t tokens_n);

/* Appends a sequence to the queue, after its user's others.  Its tokens_max must fit.  QR_SEQ_NONE:
 * the queue is full. */
QR_MUST_CHECK qr_seq_id qr_scheduler_submit(struct qr_scheduler *s,
                                            const struct qr_submission *submission);

/* Sequences that can be submitted before the queue is full. */
uint32_t qr_scheduler_room_n(const struct qr_scheduler *s);

/* Attaches a new sequence with the same submission as `leader`, apart from tokens.  Only other
 * attachments came after the leader's submit.  The group is at most running_max sequences.
 * QR_SEQ_NONE: the queue is full. */
QR_MUST_CHECK qr_seq_id qr_scheduler_attach(struct qr_scheduler *s, qr_seq_id leader,
                                            const int32_t *const *tokens);

/* A new sequence whose prompt is all known tokens of `parent`.  It runs at once and reads the
 * parent's pages if the parent is past its prefill, the queue is empty and a slot is free;
 * otherwise, or if it is fresh, it is submitted.  Call between commit and plan.  QR_SEQ_NONE: the
 * queue is full. */
QR_MUST_CHECK qr_seq_id qr_scheduler_fork(struct qr_scheduler *s, qr_seq_id parent,
                                          const struct qr_submission *submission);

/* Ends a sequence in any state, at once.  Call between commit and plan; an ATTACHED sequence may
 * also be cancelled between plan and commit. */
void qr_scheduler_cancel(struct qr_scheduler *s, qr_seq_id seq);

/* From the next plan on, prefill is cut in steps with a decoding sequence, so that they cost at
 * most the budget.  QR_PREFILL_MIN prefill tokens are always allowed.  Steps without a decoding
 * sequence delay no generated token and are not cut. */
void qr_scheduler_set_budget(struct qr_scheduler *s, const struct qr_step_budget *budget);

/* The next step.  It has no items if there is no sequence; otherwise commit must follow.  The plan
 * is valid until the next call that changes the scheduler. */
const struct qr_plan *qr_scheduler_plan(struct qr_scheduler *s);
/* results: one for each item, in the plan's order.  A sequence at its tokens_max that wanted logits
 * must finish.  An item may finish without logits, if its request ended meanwhile.  Sequences
 * attached to one that wanted logits start to run, with one token more than the prompt. */
void qr_scheduler_commit(struct qr_scheduler *s, const struct qr_result *results,
                         uint32_t results_n);

uint32_t qr_scheduler_running_n(const struct qr_scheduler *s);
uint32_t qr_scheduler_waiting_n(const struct qr_scheduler *s);
uint32_t qr_scheduler_attached_n(const struct qr_scheduler *s);
enum qr_seq_state qr_scheduler_state(const struct qr_scheduler *s, qr_seq_id seq);
void qr_scheduler_stats(const struct qr_scheduler *s, struct qr_scheduler_stats *stats);

/* Asserts the whole invariant, pages and tables included.  O(sequences + pages). */
void qr_scheduler_check(const struct qr_scheduler *s);
void qr_scheduler_dump(const struct qr_scheduler *s, FILE *out);

#endif
