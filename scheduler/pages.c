/* SPDX-License-Identifier: MIT */
/* A sequence that is admitted is promised the pages for its known tokens and takes them chunk by
 * chunk, so no page is held before it is needed, and yet two long prompts cannot take each other's.
 * Growth past that comes out of the pages that nobody is promised. */
#include <assert.h>

#include "scheduler/scheduler_internal.h"

static uint32_t unpromised_n(const struct qr_scheduler *s)
{
    assert(s->promised_n <= s->pool->free_n);
    return s->pool->free_n - s->promised_n;
}

bool qr_seq_take_pages(struct qr_scheduler *s, qr_seq_id id, uint32_t n)
{
    struct qr_seq *seq = &s->seqs[id];
    struct qr_page_table *table = qr_seq_table(s, seq);
    uint32_t wants_n = qr_page_table_wants(table, s->pool, s->page_tokens, n);
    uint32_t own_n = wants_n < seq->promised_n ? wants_n : seq->promised_n;
    uint32_t copied;
    bool reserved;

    if (wants_n - own_n > unpromised_n(s)) return false;
    reserved = qr_page_table_reserve(table, s->pool, s->store, n, &copied);
    assert(reserved);
    seq->promised_n -= own_n;
    s->promised_n -= own_n;
    s->stats.page_copies += copied;
    return true;
}

bool qr_scheduler_admissible(const struct qr_scheduler *s)
{
    const struct qr_seq *seq;
    uint32_t wants_n;

    if (s->waiting.n == 0 || s->running.n == s->limits.running_max) return false;
    seq = &s->seqs[s->waiting.head];
    wants_n = qr_pages_for(seq->known_n, s->page_tokens);
    /* Room for every sequence to grow, or the one that was preempted would soon be so again. */
    if (seq->preemptions_n > 0 && s->running.n > 0) wants_n += s->running.n + 1;
    return wants_n <= unpromised_n(s);
}

qr_seq_id qr_scheduler_admit(struct qr_scheduler *s)
{
    qr_seq_id id = s->waiting.head;
    struct qr_seq *seq = &s->seqs[id];

    assert(seq->state == QR_SEQ_WAITING);
    qr_seq_list_remove(s, &s->waiting, id);
    qr_seq_list_push_tail(s, &s->running, id);
    assert(s->free_slots_n > 0);
    seq->slot = s->free_slots[--s->free_slots_n];
    seq->state = QR_SEQ_RUNNING;
    seq->promised_n = qr_pages_for(seq->known_n, s->page_tokens);
    s->promised_n += seq->promised_n;
    assert(s->promised_n <= s->pool->free_n);
    return id;
}

void qr_seq_stop(struct qr_scheduler *s, qr_seq_id id)
{
    struct qr_seq *seq = &s->seqs[id];

    assert(seq->state == QR_SEQ_RUNNING);
    s->held_tokens -= qr_seq_table(s, seq)->length;
    qr_page_table_clear(qr_seq_table(s, seq), s->pool);
    s->promised_n -= seq->promised_n;
    seq->promised_n = 0;
    s->free_slots[s->free_slots_n++] = seq->slot;
    seq->slot = QR_SLOT_NONE;
    qr_seq_list_remove(s, &s->running, id);
}

qr_seq_id qr_scheduler_preempt(struct qr_scheduler *s)
{
    qr_seq_id id = s->running.tail;

    qr_seq_stop(s, id);
    s->seqs[id].state = QR_SEQ_WAITING;
    s->seqs[id].preemptions_n++;
    qr_seq_list_push_head(s, &s->waiting, id);
    s->stats.preemptions++;
    return id;
}

void qr_seq_end(struct qr_scheduler *s, qr_seq_id id)
{
    if (s->seqs[id].state == QR_SEQ_RUNNING)
        qr_seq_stop(s, id);
    else
        qr_seq_list_remove(s, &s->waiting, id);
    s->seqs[id].state = QR_SEQ_FREE;
    s->free_seqs[s->free_seqs_n++] = id;
}
