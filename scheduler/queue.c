/* SPDX-License-Identifier: MIT */
/* The queue.  Those that were preempted stand in a list of their own, in order: they were admitted
 * once, and of one priority they come before those that never were.  These wait with their users
 * (fair_queue.h), and are in order only as far as somebody asks: who is next. */
#include <assert.h>

#include "scheduler/scheduler_internal.h"

/* What a token costs, as in the paper that fair_queue.h names: an output token about twice an input
 * token.  Each is charged once: input when first admitted, without what the tree has of it, output
 * when it is there.  What a preemption makes us compute again is not the client's doing. */
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
    /* It was the last of the batch, and the batch comes before all that return. */
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
        /* Those attached run right behind it. */
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
