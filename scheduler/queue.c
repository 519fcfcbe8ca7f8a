/* SPDX-License-Identifier: MIT */
/* The queue has two parts.  Preempted sequences are in one list, in order; within a priority they
 * come before sequences that were never admitted.  Those wait in lists of their users; the fair
 * queue finds the next one. */
#include <assert.h>

#include "scheduler/scheduler_internal.h"

/* Prices as in the paper that fair_queue.h names: an output token costs about two input tokens.
 * Each token is charged once: input at the first admission, without cached tokens; output at its
 * commit.  A client does not pay for tokens recomputed after a preemption. */
#define INPUT_COST  1u
#define OUTPUT_COST 2u

static struct qr_seq_list *waiting_list_of(struct qr_scheduler *s, qr_seq_id id)
{
    const struct qr_seq *seq = &s->seqs[id];

    return seq->preemptions_n > 0 ? &s->returning : qr_fair_queue_list(&s->fair, seq->user_node);
}

uint32_t qr_scheduler_waiting_n(const struct qr_scheduler *s)
{
    return s->fresh_n + s->returning.n;
}

void qr_queue_push(struct qr_scheduler *s, qr_seq_id id)
{
    struct qr_seq_list *list = waiting_list_of(s, id);

    assert(s->seqs[id].state == QR_SEQ_WAITING && s->seqs[id].preemptions_n == 0);
    qr_seq_list_push_tail(s, list, id);
    s->fresh_n++;
    if (list->n == 1) qr_fair_queue_enter(&s->fair, s->seqs[id].user_node);
}

void qr_queue_return(struct qr_scheduler *s, qr_seq_id id)
{
    s->seqs[id].state = QR_SEQ_WAITING;
    s->seqs[id].preemptions_n++;
    /* It was the last of the batch, and all of the batch comes before this list. */
    qr_seq_list_push_head(s, &s->returning, id);
}

void qr_queue_remove(struct qr_scheduler *s, qr_seq_id id)
{
    struct qr_seq_list *list = waiting_list_of(s, id);

    qr_seq_list_remove(s, list, id);
    if (list == &s->returning) return;
    s->fresh_n--;
    if (list->n == 0) qr_fair_queue_exit(&s->fair, s->seqs[id].user_node);
}

void qr_queue_replace(struct qr_scheduler *s, qr_seq_id id, qr_seq_id by)
{
    qr_seq_list_replace(s, waiting_list_of(s, id), id, by);
}

qr_seq_id qr_queue_next(struct qr_scheduler *s)
{
    qr_seq_id id = s->returning.head;
    uint32_t user = s->fresh_n > 0 ? qr_fair_queue_next(&s->fair) : QR_FAIR_NODE_NONE;

    if (user == QR_FAIR_NODE_NONE) return id;
    if (id != QR_SEQ_NONE && s->seqs[id].priority <= qr_fair_queue_priority(&s->fair, user))
        return id;
    return qr_fair_queue_list(&s->fair, user)->head;
}

void qr_queue_admit_new(struct qr_scheduler *s, qr_seq_id id, uint32_t computed_n)
{
    struct qr_seq *seq = &s->seqs[id];

    qr_fair_queue_charge(&s->fair, seq->user_node,
                         (uint64_t)INPUT_COST * (seq->known_n - computed_n));
    seq->order = s->admissions_n++;
}

void qr_queue_take(struct qr_scheduler *s, qr_seq_id id, uint32_t matched_n)
{
    struct qr_seq *seq = &s->seqs[id];

    if (seq->preemptions_n == 0) {
        qr_fair_queue_take(&s->fair, seq->user_node);
        qr_queue_admit_new(s, id, matched_n);
        /* Attached sequences come right after their leader. */
        for (qr_seq_id each = s->sources[id].attached; each != QR_SEQ_NONE;
             each = s->sources[each].attached_next)
            s->seqs[each].order = s->admissions_n++;
    }
    qr_queue_remove(s, id);
}

void qr_queue_charge_output(struct qr_scheduler *s, qr_seq_id id)
{
    qr_fair_queue_charge(&s->fair, s->seqs[id].user_node, OUTPUT_COST);
}
