/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "scheduler/scheduler_internal.h"

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t remaining_n(const struct qr_scheduler *s, const struct qr_seq *seq)
{
    return seq->known_n - qr_seq_table(s, seq)->length;
}

/* Positions that n tokens from `position` on read: each all up to itself, at most its window. */
static uint64_t reads_of(const struct qr_scheduler *s, uint32_t position, uint32_t n)
{
    uint32_t window = s->limits.window, all_n = n; /* tokens whose window reaches position 0 */

    if (window != 0) all_n = position < window ? min_u32(n, window - position) : 0;
    return (uint64_t)all_n * position + (uint64_t)all_n * (all_n + 1) / 2 +
           (uint64_t)(n - all_n) * window;
}

static uint64_t cost_of(const struct qr_scheduler *s, uint64_t tokens_n, uint64_t reads_n)
{
    return tokens_n * s->budget.token_cost + reads_n * s->budget.read_cost;
}

/* How many of n prefill tokens from `position` on the step's budget allows, and at least as many as
 * the step lacks to QR_PREFILL_MIN prefill tokens. */
static uint32_t affordable_n(const struct qr_scheduler *s, uint32_t position, uint32_t n)
{
    uint32_t prefill_n = s->plan.tokens_n - s->decodes_n, least_n, most_n = n;

    if (s->decodes_n == 0) return n;
    least_n = prefill_n < QR_PREFILL_MIN ? min_u32(n, QR_PREFILL_MIN - prefill_n) : 0;
    while (least_n < most_n) { /* least_n is allowed, more than most_n is not */
        uint32_t middle_n = least_n + (most_n - least_n + 1) / 2;
        if (cost_of(s, (uint64_t)s->plan.tokens_n + middle_n,
                    s->plan.reads_n + reads_of(s, position, middle_n)) <= s->budget.cost_max)
            least_n = middle_n;
        else
            most_n = middle_n - 1;
    }
    return least_n;
}

static void add_item(struct qr_scheduler *s, qr_seq_id id, uint32_t tokens_n)
{
    const struct qr_seq *seq = &s->seqs[id];
    const struct qr_page_table *table = qr_seq_table(s, seq);

    assert(s->plan.items_n < s->limits.running_max);
    s->items[s->plan.items_n++] = (struct qr_plan_item){
        .seq = id,
        .position = table->length,
        .tokens_n = tokens_n,
        .wants_logits = table->length + tokens_n == seq->known_n,
        .pages = table->pages,
    };
    s->plan.tokens_n += tokens_n;
    s->plan.reads_n += reads_of(s, table->length, tokens_n);
}

/* The latest admitted sequence of the lowest priority that runs waits again. */
static qr_seq_id preempt_last(struct qr_scheduler *s)
{
    qr_seq_id id = s->running.tail;

    qr_seq_stop(s, id);
    qr_queue_return(s, id);
    s->plan.preempted_n++;
    s->stats.preemptions++;
    return id;
}

/* With a window: sequences in prefill are promised new pages for those that they dropped, in
 * order.  If there are too few pages the last sequences are preempted. */
static void renew_promises(struct qr_scheduler *s)
{
    s->leaving_n = 0;
    if (s->limits.window == 0) return;
    for (qr_seq_id id = s->running.head; id != QR_SEQ_NONE; id = s->seqs[id].next) {
        if (remaining_n(s, &s->seqs[id]) == 1) continue;
        while (!qr_seq_renew_promise(s, id))
            if (preempt_last(s) == id) return;
    }
}

/* Sequences with one token left, in order.  A preempted sequence comes after the one that grows, so
 * it has no item yet. */
static void plan_decodes(struct qr_scheduler *s)
{
    for (qr_seq_id id = s->running.head; id != QR_SEQ_NONE; id = s->seqs[id].next) {
        if (remaining_n(s, &s->seqs[id]) != 1) continue;
        while (!qr_seq_take_pages(s, id, 1))
            if (preempt_last(s) == id) return;
        add_item(s, id, 1);
    }
}

/* The next chunk of a sequence whose pages are promised; at least least_n tokens at any cost. */
static void plan_chunk(struct qr_scheduler *s, qr_seq_id id, uint32_t least_n)
{
    uint32_t position = qr_seq_table(s, &s->seqs[id])->length, wanted_n;
    uint32_t tokens_n = min_u32(remaining_n(s, &s->seqs[id]), s->limits.prefill_chunk);
    bool taken;

    wanted_n = min_u32(tokens_n, s->limits.step_tokens - s->plan.tokens_n);
    tokens_n = affordable_n(s, position, wanted_n);
    if (tokens_n < wanted_n) s->cut = true;
    if (tokens_n < least_n) tokens_n = least_n;
    if (tokens_n == 0) return;
    taken = qr_seq_take_pages(s, id, tokens_n);
    assert(taken);
    add_item(s, id, tokens_n);
}

static void plan_prefills(struct qr_scheduler *s)
{
    for (qr_seq_id id = s->running.head; id != QR_SEQ_NONE; id = s->seqs[id].next)
        if (remaining_n(s, &s->seqs[id]) > 1) plan_chunk(s, id, 0);
}

static void plan_admissions(struct qr_scheduler *s)
{
    while (s->plan.tokens_n < s->limits.step_tokens && !s->cut && affordable_n(s, 0, 1) > 0) {
        qr_seq_id id = qr_scheduler_admit(s);
        if (id == QR_SEQ_NONE) return;
        s->plan.admitted_n++;
        plan_chunk(s, id, 1); /* an admitted sequence computes at least one token */
    }
}

const struct qr_plan *qr_scheduler_plan(struct qr_scheduler *s)
{
    assert(!s->planned);
    s->plan = (struct qr_plan){.items = s->items};
    s->decodes_n = 0;
    s->cut = false;
    renew_promises(s);
    plan_decodes(s);
    /* init asserts step_tokens >= running_max + QR_PREFILL_MIN. */
    assert(s->plan.tokens_n + QR_PREFILL_MIN <= s->limits.step_tokens);
    s->decodes_n = s->plan.items_n;
    plan_prefills(s);
    /* Pages that a preemption freed are for running sequences.  An admission would take them. */
    if (s->plan.preempted_n == 0) plan_admissions(s);

    /* Progress: if there is a sequence, the plan has an item. */
    assert(s->plan.items_n > 0 || (s->running.n == 0 && qr_scheduler_waiting_n(s) == 0));
    s->planned = s->plan.items_n > 0;
    return &s->plan;
}

void qr_scheduler_commit(struct qr_scheduler *s, const struct qr_result *results,
                         uint32_t results_n)
{
    assert(s->planned && results_n == s->plan.items_n);
    for (uint32_t i = 0; i < results_n; i++)
        qr_seq_advance(s, s->items[i].seq, s->items[i].tokens_n);
    s->stats.steps++;
    s->stats.slots_held += (uint64_t)qr_page_pool_held_n(s->pool) * s->page_tokens;
    s->stats.slots_empty += s->held_pages * s->page_tokens - s->held_tokens;

    for (uint32_t i = 0; i < results_n; i++) {
        struct qr_seq *seq = &s->seqs[s->items[i].seq];
        if (s->items[i].wants_logits) {
            qr_queue_charge_output(s, s->items[i].seq);
            qr_group_fork(s, s->items[i].seq);
        }
        if (results[i].finished) {
            qr_seq_end(s, s->items[i].seq);
        } else if (s->items[i].wants_logits) {
            assert(seq->known_n < seq->tokens_max);
            seq->known_n++;
        }
    }
    s->planned = false;
    s->plan.items_n = 0;
}

void qr_scheduler_set_budget(struct qr_scheduler *s, const struct qr_step_budget *budget)
{
    assert(!s->planned);
    s->budget = *budget;
}
