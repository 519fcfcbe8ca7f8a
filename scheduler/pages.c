/* SPDX-License-Identifier: MIT */
/* A sequence that is admitted is promised the pages for its known tokens and takes them chunk by
 * chunk, so no page is held before it is needed, and yet two long prompts cannot take each other's.
 * Growth past that comes out of the pages that nobody is promised. */
#include <assert.h>

#include "scheduler/scheduler_internal.h"

void qr_seq_keep_pages(struct qr_scheduler *s, qr_seq_id id)
{
    struct qr_seq_source *source = &s->sources[id];
    struct qr_page_table *table = qr_seq_table(s, &s->seqs[id]);

    if (s->tree == NULL) return;
    source->kept_n =
        qr_prefix_tree_add(s->tree, source->salt, table, *source->tokens, source->kept_n);
}

void qr_seq_count_held(struct qr_scheduler *s, qr_seq_id id)
{
    const struct qr_page_table *table = qr_seq_table(s, &s->seqs[id]);

    s->held_tokens += table->length - table->first * s->page_tokens;
    s->held_pages += qr_page_table_held_n(table);
}

static void uncount_held(struct qr_scheduler *s, const struct qr_page_table *table)
{
    s->held_tokens -= table->length - table->first * s->page_tokens;
    s->held_pages -= qr_page_table_held_n(table);
}

void qr_seq_leave_pages(struct qr_scheduler *s, qr_seq_id id)
{
    struct qr_page_table *table = qr_seq_table(s, &s->seqs[id]);
    uint32_t token, full_n = table->length / s->page_tokens;

    if (s->limits.window == 0 || table->length < s->limits.window) return;
    token = table->length - s->limits.window + 1;
    /* The page that the next one hangs below in the tree; past a page's window it is held anyway.
     */
    if (s->tree != NULL && full_n > 0 && token >= full_n * s->page_tokens)
        token = (full_n - 1) * s->page_tokens;
    uncount_held(s, table);
    qr_page_table_drop_before(table, s->pool, s->page_tokens, token);
    qr_seq_count_held(s, id);
}

/* Whether only the tree reads, beside this sequence, the page that its next token goes into. */
static bool tree_alone_shares(const struct qr_scheduler *s, const struct qr_page_table *table)
{
    qr_page_id page;

    if (table->length % s->page_tokens == 0) return false;
    page = table->pages[table->length / s->page_tokens];
    return qr_page_pool_kept(s->pool, page) && qr_page_pool_refs(s->pool, page) == 2;
}

bool qr_seq_take_pages(struct qr_scheduler *s, qr_seq_id id, uint32_t n)
{
    struct qr_seq *seq = &s->seqs[id];
    struct qr_page_table *table = qr_seq_table(s, seq);
    uint32_t wants_n = qr_page_table_wants(table, s->pool, s->page_tokens, n);
    uint32_t own_n = wants_n < seq->promised_n ? wants_n : seq->promised_n;
    uint32_t copied;

    if (wants_n - own_n > qr_scheduler_unpromised_n(s) && tree_alone_shares(s, table)) {
        /* No page to copy into: what an ended one left in the middle of a page gives way. */
        qr_prefix_tree_release(s->tree, table->pages[table->length / s->page_tokens]);
        wants_n--;
        own_n = wants_n < seq->promised_n ? wants_n : seq->promised_n;
    }
    if (wants_n - own_n > qr_scheduler_unpromised_n(s)) return false;
    while (s->pool->free_n < wants_n) {
        bool evicted = qr_prefix_tree_evict(s->tree);
        assert(evicted);
        /* With a window that may have taken the page to copy out of the tree: it is the sequence's
         * own then, and what was promised for the copy is given back below. */
        wants_n = qr_page_table_wants(table, s->pool, s->page_tokens, n);
    }
    bool reserved = qr_page_table_reserve(table, s->pool, s->store, n, &copied);
    assert(reserved);
    seq->promised_n -= own_n;
    s->promised_n -= own_n;
    s->held_pages += wants_n - copied;
    s->stats.page_copies += copied;
    return true;
}

void qr_seq_stop(struct qr_scheduler *s, qr_seq_id id)
{
    struct qr_seq *seq = &s->seqs[id];
    struct qr_seq_source *source = &s->sources[id];
    struct qr_page_table *table = qr_seq_table(s, seq);
    qr_page_id first = QR_PAGE_NONE;

    assert(seq->state == QR_SEQ_RUNNING);
    if (s->tree != NULL)
        qr_prefix_tree_add_last(s->tree, source->salt, table, *source->tokens, source->kept_n);
    source->kept_n = 0;
    uncount_held(s, table);
    if (s->tree != NULL && table->first > 0) first = table->pages[table->first];
    qr_page_table_clear(table, s->pool);
    /* The pages before a window come after those behind them, as they do without one. */
    if (first != QR_PAGE_NONE && qr_page_pool_kept(s->pool, first))
        qr_prefix_tree_warm(s->tree, first);
    s->promised_n -= seq->promised_n;
    s->promised_slots_n -= source->attached_n;
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
    qr_queue_return(s, id);
    s->stats.preemptions++;
    return id;
}

void qr_seq_end(struct qr_scheduler *s, qr_seq_id id)
{
    if (s->sources[id].attached_n > 0)
        qr_seq_hand_over(s, id);
    else if (s->seqs[id].state == QR_SEQ_ATTACHED)
        qr_seq_detach(s, id);
    else if (s->seqs[id].state == QR_SEQ_RUNNING)
        qr_seq_stop(s, id);
    else
        qr_queue_remove(s, id);
    qr_shares_leave(&s->shares, s->seqs[id].share);
    s->seqs[id].state = QR_SEQ_FREE;
    s->free_seqs[s->free_seqs_n++] = id;
}
