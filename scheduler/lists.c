/* SPDX-License-Identifier: MIT */
/* Doubly linked lists by index: a cancelled sequence leaves from the middle in O(1). */
#include <assert.h>

#include "scheduler/scheduler_internal.h"

static void link_pair(struct qr_scheduler *s, struct qr_seq_list *list, qr_seq_id before,
                      qr_seq_id after)
{
    if (before == QR_SEQ_NONE)
        list->head = after;
    else
        s->seqs[before].next = after;
    if (after == QR_SEQ_NONE)
        list->tail = before;
    else
        s->seqs[after].prev = before;
}

void qr_seq_list_push_tail(struct qr_scheduler *s, struct qr_seq_list *list, qr_seq_id id)
{
    link_pair(s, list, list->tail, id);
    link_pair(s, list, id, QR_SEQ_NONE);
    list->n++;
}

void qr_seq_list_push_head(struct qr_scheduler *s, struct qr_seq_list *list, qr_seq_id id)
{
    link_pair(s, list, id, list->head);
    link_pair(s, list, QR_SEQ_NONE, id);
    list->n++;
}

void qr_seq_list_insert(struct qr_scheduler *s, struct qr_seq_list *list, qr_seq_id id)
{
    qr_seq_id before = list->tail, after = QR_SEQ_NONE;

    while (before != QR_SEQ_NONE && qr_seq_before(&s->seqs[id], &s->seqs[before])) {
        after = before;
        before = s->seqs[before].prev;
    }
    link_pair(s, list, before, id);
    link_pair(s, list, id, after);
    list->n++;
}

void qr_seq_list_insert_after(struct qr_scheduler *s, struct qr_seq_list *list, qr_seq_id after,
                              qr_seq_id id)
{
    link_pair(s, list, id, s->seqs[after].next);
    link_pair(s, list, after, id);
    list->n++;
}

void qr_seq_list_replace(struct qr_scheduler *s, struct qr_seq_list *list, qr_seq_id id,
                         qr_seq_id by)
{
    link_pair(s, list, s->seqs[id].prev, by);
    link_pair(s, list, by, s->seqs[id].next);
}

void qr_seq_list_remove(struct qr_scheduler *s, struct qr_seq_list *list, qr_seq_id id)
{
    assert(list->n > 0);
    link_pair(s, list, s->seqs[id].prev, s->seqs[id].next);
    list->n--;
}
