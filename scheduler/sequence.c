/* SPDX-License-Identifier: MIT */
/* A sequence's life: submit, attach, fork, cancel and end.  scheduler.h has the picture. */
#include <assert.h>

#include "scheduler/scheduler_internal.h"

uint32_t qr_scheduler_room_n(const struct qr_scheduler *s)
{
    uint32_t n = qr_scheduler_waiting_n(s) + s->attached_n;

    return n < s->limits.waiting_max ? s->limits.waiting_max - n : 0;
}

/* A WAITING sequence that is in no list yet.  QR_SEQ_NONE: the queue is full. */
static qr_seq_id new_seq(struct qr_scheduler *s, const struct qr_submission *submission)
{
    qr_seq_id id;

    assert(!s->planned);
    assert(submission->prompt_n >= 1 && submission->prompt_n <= submission->tokens_max);
    assert(qr_scheduler_fits(s, submission->tokens_max));
    assert(!s->tree || submission->tokens);
    if (qr_scheduler_room_n(s) == 0) return QR_SEQ_NONE;

    /* Fewer than waiting_max sequences wait or are attached, and at most running_max run. */
    assert(s->free_seqs_n > 0);
    id = s->free_seqs[--s->free_seqs_n];
    s->seqs[id] = (struct qr_seq){
        .state = QR_SEQ_WAITING,
        .known_n = submission->prompt_n,
        .tokens_max = submission->tokens_max,
        .priority = submission->priority,
        .user_node = qr_fair_queue_join(&s->fair, submission),
        .order = s->arrivals_n++,
        .slot = QR_SLOT_NONE,
    };
    s->sources[id] = (struct qr_seq_source){
        .tokens = submission->tokens,
        .salt = submission->salt,
        .fresh = submission->fresh,
        .attached = QR_SEQ_NONE,
        .leader = QR_SEQ_NONE,
    };
    return id;
}

qr_seq_id qr_scheduler_submit(struct qr_scheduler *s, const struct qr_submission *submission)
{
    qr_seq_id id = new_seq(s, submission);

    if (id != QR_SEQ_NONE) qr_queue_push(s, id);
    return id;
}

qr_seq_id qr_scheduler_attach(struct qr_scheduler *s, qr_seq_id leader,
                              const int32_t *const *tokens)
{
    const struct qr_seq *seq = &s->seqs[leader];
    const struct qr_seq_source *source = &s->sources[leader];
    struct qr_submission submission = {
        .tokens = tokens,
        .prompt_n = seq->known_n,
        .tokens_max = seq->tokens_max,
        .salt = source->salt,
        .fresh = source->fresh,
        .priority = seq->priority,
    };
    qr_seq_id id;

    assert(seq->state == QR_SEQ_WAITING);
    assert(seq->preemptions_n == 0 && seq->order + source->attached_n + 1 == s->arrivals_n);
    assert(source->attached_n + 1 < s->limits.running_max);
    qr_fair_queue_names(&s->fair, seq->user_node, &submission.client, &submission.user);
    id = new_seq(s, &submission);
    if (id == QR_SEQ_NONE) return id;
    s->seqs[id].state = QR_SEQ_ATTACHED;
    qr_group_attach(s, leader, id);
    return id;
}

/* A parent can be read at once if it runs and all its known tokens but the last are computed. */
static bool can_fork_now(const struct qr_scheduler *s, const struct qr_seq *parent)
{
    if (qr_scheduler_waiting_n(s) > 0 || s->free_slots_n == s->promised_slots_n) return false;
    return parent->state == QR_SEQ_RUNNING &&
           qr_seq_table(s, parent)->length + 1 >= parent->known_n;
}

qr_seq_id qr_scheduler_fork(struct qr_scheduler *s, qr_seq_id parent,
                            const struct qr_submission *submission)
{
    const struct qr_seq *seq = &s->seqs[parent];
    qr_seq_id id;

    assert(parent < s->seqs_n && seq->state != QR_SEQ_FREE);
    assert(submission->prompt_n == seq->known_n);
    if (submission->fresh || !can_fork_now(s, seq)) return qr_scheduler_submit(s, submission);
    id = new_seq(s, submission);
    if (id == QR_SEQ_NONE) return id;
    qr_queue_admit_new(s, id, qr_seq_table(s, seq)->length);
    qr_seq_start_forked(s, id, parent);
    qr_seq_list_insert(s, &s->running, id);
    return id;
}

void qr_seq_end(struct qr_scheduler *s, qr_seq_id id)
{
    if (s->sources[id].attached_n > 0)
        qr_group_hand_over(s, id);
    else if (s->seqs[id].state == QR_SEQ_ATTACHED)
        qr_group_detach(s, id);
    else if (s->seqs[id].state == QR_SEQ_RUNNING)
        qr_seq_stop(s, id);
    else
        qr_queue_remove(s, id);
    qr_fair_queue_leave(&s->fair, s->seqs[id].user_node);
    s->seqs[id].state = QR_SEQ_FREE;
    s->free_seqs[s->free_seqs_n++] = id;
}

void qr_scheduler_cancel(struct qr_scheduler *s, qr_seq_id seq)
{
    assert(seq < s->seqs_n && s->seqs[seq].state != QR_SEQ_FREE);
    assert(!s->planned || s->seqs[seq].state == QR_SEQ_ATTACHED);
    qr_seq_end(s, seq);
}
