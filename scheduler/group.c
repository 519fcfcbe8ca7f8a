/* SPDX-License-Identifier: MIT */
/* A leader and the sequences attached to it: a singly linked list in order of arrival.  The leader
 * computes their common prompt; then the attached sequences are forked from it. */
#include <assert.h>

#include "scheduler/scheduler_internal.h"

void qr_group_attach(struct qr_scheduler *s, qr_seq_id leader, qr_seq_id id)
{
    struct qr_seq_source *source = &s->sources[leader];

    s->sources[id].leader = leader;
    s->sources[id].attached_next = QR_SEQ_NONE;
    if (source->attached == QR_SEQ_NONE)
        source->attached = id;
    else
        s->sources[source->attached_last].attached_next = id;
    source->attached_last = id;
    source->attached_n++;
    s->attached_n++;
}

void qr_group_detach(struct qr_scheduler *s, qr_seq_id id)
{
    qr_seq_id leader = s->sources[id].leader, before = QR_SEQ_NONE;
    struct qr_seq_source *source = &s->sources[leader];
    qr_seq_id *link = &source->attached;

    while (*link != id) {
        before = *link;
        link = &s->sources[before].attached_next;
    }
    *link = s->sources[id].attached_next;
    if (source->attached_last == id) source->attached_last = before;
    source->attached_n--;
    s->attached_n--;
    s->promised_slots_n -= s->seqs[leader].state == QR_SEQ_RUNNING;
}

void qr_group_fork(struct qr_scheduler *s, qr_seq_id leader)
{
    struct qr_seq_source *source = &s->sources[leader];
    qr_seq_id after = leader;

    s->promised_slots_n -= source->attached_n;
    s->attached_n -= source->attached_n;
    for (qr_seq_id id = source->attached; id != QR_SEQ_NONE; id = s->sources[id].attached_next) {
        assert(s->seqs[id].known_n < s->seqs[id].tokens_max);
        s->seqs[id].known_n++;
        s->sources[id].leader = QR_SEQ_NONE;
        qr_seq_start_forked(s, id, leader);
        qr_queue_charge_output(s, id);
        qr_seq_list_insert_after(s, &s->running, after, id);
        after = id;
    }
    source->attached = QR_SEQ_NONE;
    source->attached_n = 0;
}

void qr_group_hand_over(struct qr_scheduler *s, qr_seq_id leader)
{
    struct qr_seq_source *from = &s->sources[leader];
    qr_seq_id id = from->attached;
    struct qr_seq_source *to = &s->sources[id];
    bool runs = s->seqs[leader].state == QR_SEQ_RUNNING;
    uint64_t order = s->seqs[id].order;

    to->attached = to->attached_next;
    to->attached_last = from->attached_last;
    to->attached_n = from->attached_n - 1;
    to->published_n = from->published_n;
    to->leader = QR_SEQ_NONE;
    for (qr_seq_id next = to->attached; next != QR_SEQ_NONE; next = s->sources[next].attached_next)
        s->sources[next].leader = id;
    from->attached = QR_SEQ_NONE;
    from->attached_n = 0;
    s->attached_n--;
    s->promised_slots_n -= runs;

    s->seqs[id] = s->seqs[leader];
    s->seqs[id].order = order;
    s->seqs[leader].slot = QR_SLOT_NONE;
    if (runs)
        qr_seq_list_replace(s, &s->running, leader, id);
    else
        qr_queue_replace(s, leader, id);
}
