/* SPDX-License-Identifier: MIT */
/* Sequences that begin with another's pages.  A fork takes no page: each reads what it begins with,
 * and copies the last page when it first writes into it (qr_page_table_reserve), like any page that
 * more than one reads. */
#include <assert.h>

#include "scheduler/scheduler_internal.h"

/* `id` runs, and reads all that `parent` has computed. */
static void begin(struct qr_scheduler *s, qr_seq_id id, qr_seq_id parent)
{
    struct qr_seq *seq = &s->seqs[id];
    struct qr_page_table *table;

    assert(s->seqs[parent].state == QR_SEQ_RUNNING && s->free_slots_n > 0);
    seq->state = QR_SEQ_RUNNING;
    seq->slot = s->free_slots[--s->free_slots_n];
    table = qr_seq_table(s, seq);
    qr_page_table_fork(table, qr_seq_table(s, &s->seqs[parent]), s->pool);
    assert(table->length < seq->known_n);
    seq->computed_max = table->length;
    s->sources[id].kept_n = s->sources[parent].kept_n;
    qr_seq_count_held(s, id);
    s->stats.forks++;
}

void qr_seq_fork_attached(struct qr_scheduler *s, qr_seq_id leader)
{
    struct qr_seq_source *source = &s->sources[leader];
    qr_seq_id after = leader;

    s->promised_slots_n -= source->attached_n;
    s->attached_n -= source->attached_n;
    for (qr_seq_id id = source->attached; id != QR_SEQ_NONE; id = s->sources[id].attached_next) {
        assert(s->seqs[id].known_n < s->seqs[id].tokens_max);
        s->seqs[id].known_n++;
        s->sources[id].leader = QR_SEQ_NONE;
        begin(s, id, leader);
        qr_queue_charge_output(s, id);
        qr_seq_list_insert_after(s, &s->running, after, id);
        after = id;
    }
    source->attached = QR_SEQ_NONE;
    source->attached_n = 0;
}

void qr_seq_hand_over(struct qr_scheduler *s, qr_seq_id leader)
{
    struct qr_seq_source *from = &s->sources[leader];
    qr_seq_id id = from->attached;
    struct qr_seq_source *to = &s->sources[id];
    bool runs = s->seqs[leader].state == QR_SEQ_RUNNING;
    uint64_t order = s->seqs[id].order;

    to->attached = to->attached_next;
    to->attached_last = from->attached_last;
    to->attached_n = from->attached_n - 1;
    to->kept_n = from->kept_n;
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

void qr_seq_detach(struct qr_scheduler *s, qr_seq_id id)
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

qr_seq_id qr_scheduler_attach(struct qr_scheduler *s, qr_seq_id leader,
                              const int32_t *const *tokens)
{
    const struct qr_seq *seq = &s->seqs[leader];
    struct qr_seq_source *source = &s->sources[leader];
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
    id = qr_seq_new(s, &submission);
    if (id == QR_SEQ_NONE) return id;
    s->seqs[id].state = QR_SEQ_ATTACHED;
    s->sources[id].leader = leader;
    s->sources[id].attached_next = QR_SEQ_NONE;
    if (source->attached == QR_SEQ_NONE)
        source->attached = id;
    else
        s->sources[source->attached_last].attached_next = id;
    source->attached_last = id;
    source->attached_n++;
    s->attached_n++;
    return id;
}

qr_seq_id qr_scheduler_fork(struct qr_scheduler *s, qr_seq_id parent,
                            const struct qr_submission *submission)
{
    const struct qr_seq *seq = &s->seqs[parent];
    qr_seq_id id;

    assert(parent < s->seqs_n && seq->state != QR_SEQ_FREE);
    assert(submission->prompt_n == seq->known_n);
    if (submission->fresh || qr_scheduler_waiting_n(s) > 0 ||
        s->free_slots_n == s->promised_slots_n || seq->state != QR_SEQ_RUNNING ||
        qr_seq_table(s, seq)->length + 1 < seq->known_n)
        return qr_scheduler_submit(s, submission);
    id = qr_seq_new(s, submission);
    if (id == QR_SEQ_NONE) return id;
    begin(s, id, parent);
    qr_queue_place(s, id, qr_seq_table(s, &s->seqs[id])->length);
    qr_seq_list_insert(s, &s->running, id);
    return id;
}
