/* SPDX-License-Identifier: MIT */
/* scheduler -- decides, step by step, which tokens of which sequences go through the model.
 *
 * A sequence is WAITING (holds no pages), RUNNING (has pages; computes its known tokens, then one
 * more each step), ATTACHED (to a leader that computes their common prompt) or gone.  Every step:
 *     plan    what to compute: running sequences with one token left to compute first, then
 *             prefill in chunks, each in order of priority, then of admission, under the token
 *             budget; waiting sequences are admitted while slots, pages and budget allow, by
 *             priority, then fair share (fair_queue.h), then arrival;
 *     (the engine computes)
 *     commit  what came of it: for each planned sequence that reached its last known token, either
 *             one more token or its end.
 * Admission counts the tokens that are there, takes the pages that the prefix tree has for them
 * (for all but the last one, which has to be computed) and promises the sequence the rest; pages
 * are taken as they are written.  A page that is full is in the tree from then on, for everybody,
 * and a sequence that ends or is preempted leaves all of its own there.  Where there is no free
 * page the coldest one goes from the tree.  No page left there either, but promised ones, for a
 * running sequence that grows: of the lowest priority the latest admitted is preempted, possibly
 * itself.  It waits before all of its priority that never ran, and runs again, from what the tree
 * still has of it, once the free and cached pages cover what it lacks and one more page for every
 * sequence that would then run.
 *
 * Compute once: the head of the queue is not admitted while a running sequence is about to compute
 * a page of which it wants at least half.  It holds nothing meanwhile, waits at most that
 * sequence's remaining prefill steps, and is admitted in the next plan if that sequence goes.
 *
 * Groups.  Sequences with one prompt are submitted together: a leader and those attached to it. The
 * leader is admitted when there is a slot for each of them, and computes the prompt.  The commit
 * that gives it its first token forks the others: they run from there on, each with a first token
 * of its own, and read the leader's pages; whoever writes into the last one first copies it.  Each
 * is then a sequence like any other.  If the leader ends before, the next one takes its place, with
 * all that was computed.  A sequence that runs can also be forked later, into a new one that reads
 * its pages.
 *
 * Windows.  Where a token sees only the `window` last ones (limits.window), a running sequence lets
 * a page go as soon as no token to come sees any of it; the tree still has it, cached.  So it holds
 * a bounded number of pages at once, whatever its length, and admission counts, and promises, no
 * more: what it lets go at its prompt it is promised again in the next plan.  Pages that it lets go
 * while others read them are counted beforehand, as far as they are known.
 *
 * Progress.  The first of those that run is not preempted, and ends within
 * ceil(n / min(16, prefill_chunk)) + m steps of becoming so, n its tokens known by then and m those
 * still to come, one more if it has just been admitted.  Within one priority a sequence is
 * preempted at most (g + 2) / 3 times, g the pages by which it and those before it that ran at its
 * first admission (or were attached to such) could still grow, the copy after a fork included;
 * without a tree and a window also at most as often as there were such.
 * README.md has the proofs, and what lower priorities that come later add.
 *
 * No clock, no allocation, no text: the same calls give the same plans.
 *
 * Thread: engine only.   Memory: the caller's, fixed at init.
 * Invariant: free + cached + held pages = all, and promised <= free + cached; a sequence is in
 * exactly one list, or attached to one that is and has its prompt still to compute; no more than
 * running_max run, those attached to running ones included, and no more than waiting_max wait or
 * are attached (a preempted sequence may exceed waiting_max: it was admitted once); a plan's tokens
 * are at most step_tokens, and prefill gets at least QR_PREFILL_MIN of a step in which so much can
 * be prefilled under prefill_chunk. */
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

#define QR_PREFILL_MIN 16u /* tokens of every step that are kept for prefill */

struct qr_scheduler_limits {
    uint32_t running_max;   /* sequences in a batch, at least 1 */
    uint32_t waiting_max;   /* sequences in the queue, at least 1 */
    uint32_t step_tokens;   /* token budget of a step, at least running_max + QR_PREFILL_MIN */
    uint32_t prefill_chunk; /* most prompt tokens of one sequence in a step; 0: the budget */
    uint32_t context_max;   /* longest sequence, tokens, at least 1 */
    uint32_t window;        /* tokens that each one sees, itself among them; 0: all before it.  A
                               chunk is then at most the larger of it and QR_PREFILL_MIN */
};

/* What a step may cost beside step_tokens: its tokens, and the positions that they read keys and
 * values of (a token at position p reads p + 1), each at a price.  Less than 2^63 in all. */
struct qr_step_budget {
    uint64_t cost_max; /* 0 with both prices 0, as at first: no such budget */
    uint64_t token_cost, read_cost;
};

/* Index of a sequence, below running_max + waiting_max: reused after it is gone. */
typedef uint32_t qr_seq_id;
#define QR_SEQ_NONE UINT32_MAX

enum qr_seq_state { QR_SEQ_FREE, QR_SEQ_WAITING, QR_SEQ_RUNNING, QR_SEQ_ATTACHED };

/* One sequence's part of a step: tokens [position, position + tokens_n) of it, tokens_n at least 1.
 * wants_logits: the last of them is the last token known, so the step must yield the next one. */
struct qr_plan_item {
    qr_seq_id seq;
    uint32_t position;
    uint32_t tokens_n;
    bool wants_logits;
    const qr_page_id *pages; /* good until the next call into the scheduler; QR_PAGE_NONE for
                                those that are wholly before the window of token `position` */
};

/* A sequence has at most one item. */
struct qr_plan {
    const struct qr_plan_item *items;
    uint32_t items_n;
    uint32_t tokens_n;   /* in all */
    uint64_t reads_n;    /* positions that they read, in all; none more than its window */
    uint32_t admitted_n; /* of waiting sequences, in this step; preempted ones that resume too */
    uint32_t preempted_n;
};

/* What came of one item, in the plan's order. */
struct qr_result {
    bool finished; /* the sequence ends here; otherwise, if the item wanted logits, it has one more
                      token now */
};

/* Whom a sequence is for, as the caller tells them apart: a hash, say.  Zero is a name as well. */
struct qr_party {
    uint64_t words[2];
};

/* What a sequence is when it comes. */
struct qr_submission {
    /* *tokens are its tokens, as many as are known: the prompt's, and after a commit that gave it
     * one more that one too.  The caller keeps them until the sequence is gone, and may move them
     * between two calls.  Without a prefix tree they are not looked at. */
    const int32_t *const *tokens;
    uint32_t prompt_n;          /* at least 1 */
    uint32_t tokens_max;        /* the most it may grow to, the prompt included */
    struct qr_prefix_salt salt; /* pages are shared between equal salts only */
    bool fresh;                 /* every token is to be computed, whatever the tree has */
    int32_t priority;           /* lower goes first */
    struct qr_party client;     /* within a priority clients have fair shares; */
    struct qr_party user;       /* within its client's share users have */
};

struct qr_scheduler_stats {
    uint64_t steps;
    uint64_t computed_tokens;
    uint64_t preemptions;
    uint64_t recomputed_tokens; /* computed once before, and again after a preemption */
    uint64_t page_copies;
    uint64_t forks; /* sequences that began to run by reading another's pages */
    uint64_t prefix_queries, prefix_hits; /* tokens of sequences when first admitted, and those of
                                             them that the tree had; fresh ones do not count */
    uint64_t evictions;
    uint64_t waits; /* steps in which the head of the queue waited for another's pages */
    uint64_t slots_held, slots_empty; /* summed over steps: slots of running sequences' pages, and
                                         those without a token (kv waste) */
};

struct qr_scheduler; /* scheduler_internal.h */

/* The most pages that one sequence of so many tokens holds at once, with the tree or without. */
uint32_t qr_scheduler_pages_for(const struct qr_scheduler_limits *limits, uint32_t page_tokens,
                                uint32_t tokens_n);
/* How many nodes the prefix tree must have at least. */
uint32_t qr_scheduler_nodes_for(const struct qr_scheduler_limits *limits, uint32_t pages_n,
                                uint32_t page_tokens);

/* memory: so many bytes, aligned as malloc's. */
size_t qr_scheduler_bytes(const struct qr_scheduler_limits *limits, uint32_t pages_n,
                          uint32_t page_tokens);
/* pool and store have the same pages, all free, and tree, NULL or empty, is over that pool, with
 * the limits' window and nodes; they stay the caller's and are used by nobody else meanwhile.
 * tree NULL: nothing is shared.  limits is copied.  There is no deinit: the memory may go when the
 * caller is done. */
struct qr_scheduler *qr_scheduler_init(void *memory, const struct qr_scheduler_limits *limits,
                                       struct qr_page_pool *pool, struct qr_kv_store *store,
                                       struct qr_prefix_tree *tree);

/* The longest sequence, in tokens, that could ever run: within the context, and all pages if it
 * comes to hold so many. */
uint32_t qr_scheduler_tokens_max(const struct qr_scheduler *s);
/* Whether a sequence of so many tokens could ever run. */
bool qr_scheduler_fits(const struct qr_scheduler *s, uint32_t tokens_n);

/* Puts a sequence into the queue, behind its user's others; its tokens_max fits.  QR_SEQ_NONE: the
 * queue is full. */
QR_MUST_CHECK qr_seq_id qr_scheduler_submit(struct qr_scheduler *s,
                                            const struct qr_submission *submission);

/* How many sequences more the queue takes. */
uint32_t qr_scheduler_room_n(const struct qr_scheduler *s);

/* One more sequence with the prompt of `leader`, which has just been submitted (others may have
 * been attached to it since), and no more of them than can run at once.  tokens: as a submission's;
 * all the rest is the leader's.  QR_SEQ_NONE: the queue is full. */
QR_MUST_CHECK qr_seq_id qr_scheduler_attach(struct qr_scheduler *s, qr_seq_id leader,
                                            const int32_t *const *tokens);

/* A sequence whose prompt is all that is known of `parent`, in any state; between commit and plan.
 * Where the parent generates, nobody waits and a slot is free it runs from now on and reads the
 * parent's pages, otherwise it is submitted like any other.  fresh ones are always submitted.
 * QR_SEQ_NONE: the queue is full. */
QR_MUST_CHECK qr_seq_id qr_scheduler_fork(struct qr_scheduler *s, qr_seq_id parent,
                                          const struct qr_submission *submission);

/* Ends a sequence in any state, between commit and plan (one that is attached, also between plan
 * and commit); its pages go back, or to the tree, at once. */
void qr_scheduler_cancel(struct qr_scheduler *s, qr_seq_id seq);

/* From the next plan on prefill is cut so that a step in which a sequence decodes costs at most the
 * budget, as far as QR_PREFILL_MIN tokens of it allow.  Where none does, nobody waits between two
 * tokens, and there is nothing to cut. */
void qr_scheduler_set_budget(struct qr_scheduler *s, const struct qr_step_budget *budget);

/* The next step; no items: there is no sequence.  Must be followed by commit, unless it has no
 * items.  The plan is good until the next call into the scheduler that changes it. */
const struct qr_plan *qr_scheduler_plan(struct qr_scheduler *s);
/* results_n is the plan's items_n.  A sequence at its tokens_max that wanted logits must finish; an
 * item may finish even though it wanted none (the request ended meanwhile).  Those attached to an
 * item that wanted logits run from now on, with one token more than the prompt. */
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
