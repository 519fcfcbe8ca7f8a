/* SPDX-License-Identifier: MIT */
#include <assert.h>

#include "scheduler/scheduler_internal.h"

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t remaining_n(const struct qr_scheduler *s, const struct qr_seq *seq)
{
    return seq->known_n - qr_seq_table(s, seq)->length;
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
}

/* Sequences with one token left, in order.  Whoever is preempted for one comes after it, so it has
 * no item yet. */
static void plan_decodes(struct qr_scheduler *s)
{
    for (qr_seq_id id = s->running.head; id != QR_SEQ_NONE; id = s->seqs[id].next) {
        if (remaining_n(s, &s->seqs[id]) != 1) continue;
        while (!qr_seq_take_pages(s, id, 1)) {
            s->plan.preempted_n++;
            if (qr_scheduler_preempt(s) == id) return;
        }
        add_item(s, id, 1);
    }
}

/* The next chunk of a sequence that is promised its pages. */
static void plan_chunk(struct qr_scheduler *s, qr_seq_id id)
{
    uint32_t tokens_n = least(remaining_n(s, &s->seqs[id]), s->limits.prefill_chunk);
    bool taken;

    tokens_n = least(tokens_n, s->limits.step_tokens - s->plan.tokens_n);
    if (tokens_n == 0) return;
    taken = qr_seq_take_pages(s, id, tokens_n);
    assert(taken);
    add_item(s, id, tokens_n);
}

static void plan_prefills(struct qr_scheduler *s)
{
    for (qr_seq_id id = s->running.head; id != QR_SEQ_NONE; id = s->seqs[id].next)
        if (remaining_n(s, &s->seqs[id]) > 1) plan_chunk(s, id);
}

static void plan_admissions(struct qr_scheduler *s)
{
    while (s->plan.tokens_n < s->limits.step_tokens) {
        qr_seq_id id = qr_scheduler_admit(s);
        if (id == QR_SEQ_NONE) return;
        s->plan.admitted_n++;
        plan_chunk(s, id);
    }
}

const struct qr_plan *qr_scheduler_plan(struct qr_scheduler *s)
{
    assert(!s->planned);
    s->plan = (struct qr_plan){.items = s->items};
    plan_decodes(s);
    /* What limits.step_tokens is checked for at init. */
    assert(s->plan.tokens_n + QR_PREFILL_MIN <= s->limits.step_tokens);
    s->decodes_n = s->plan.items_n;
    plan_prefills(s);
    /* Pages that a preemption freed are for those that run; who waits for no more than a slot would
     * take them. */
    if (s->plan.preempted_n == 0) plan_admissions(s);

    /* Progress: where there is a sequence, one moves. */
    assert(s->plan.items_n > 0 || (s->running.n == 0 && qr_scheduler_waiting_n(s) == 0));
    s->planned = s->plan.items_n > 0;
    return &s->plan;
}

static void count_item(struct qr_scheduler *s, const struct qr_plan_item *item)
{
    struct qr_seq *seq = &s->seqs[item->seq];
    uint32_t end = item->position + item->tokens_n;

    qr_page_table_advance(qr_seq_table(s, seq), s->page_tokens, item->tokens_n);
    s->held_tokens += item->tokens_n;
    qr_seq_keep_pages(s, item->seq);
    s->stats.computed_tokens += item->tokens_n;
    if (item->position < seq->computed_max)
        s->stats.recomputed_tokens += least(end, seq->computed_max) - item->position;
    if (end > seq->computed_max) seq->computed_max = end;
}

void qr_scheduler_commit(struct qr_scheduler *s, const struct qr_result *results,
                         uint32_t results_n)
{
    assert(s->planned && results_n == s->plan.items_n);
    for (uint32_t i = 0; i < results_n; i++)
        count_item(s, &s->items[i]);
    s->stats.steps++;
    s->stats.slots_held += (uint64_t)qr_page_pool_held_n(s->pool) * s->page_tokens;
    s->stats.slots_empty += s->held_pages * s->page_tokens - s->held_tokens;

    for (uint32_t i = 0; i < results_n; i++) {
        struct qr_seq *seq = &s->seqs[s->items[i].seq];
        if (s->items[i].wants_logits) {
            qr_queue_charge_output(s, s->items[i].seq);
            qr_seq_fork_attached(s, s->items[i].seq);
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
