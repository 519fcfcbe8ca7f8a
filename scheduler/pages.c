/* SPDX-License-Identifier: MIT */
/* What a running sequence holds: a slot, pages, and a promise of pages.
 *
 * An admitted sequence is promised the pages for its known tokens and takes them chunk by chunk. It
 * holds no page before it needs it, and no other sequence can take the promised ones.  It grows
 * past its known tokens into unpromised pages.
 *
 * With a window it is promised at most what it can hold at once.  For pages that it drops it is
 * promised new ones. */
#include <assert.h>

#include "scheduler/scheduler_internal.h"

/* Publishes the sequence's pages that have become full. */
static void publish_pages(struct qr_scheduler *s, qr_seq_id id)
{
    struct qr_seq_source *source = &s->sources[id];
    struct qr_page_table *table = qr_seq_table(s, &s->seqs[id]);

    if (!s->tree) return;
    source->published_n =
        qr_prefix_tree_add(s->tree, source->salt, table, *source->tokens, source->published_n);
}

static void count_held(struct qr_scheduler *s, const struct qr_page_table *table)
{
    s->held_tokens += table->length - table->first * s->page_tokens;
    s->held_pages += qr_page_table_held_n(table);
}

static void uncount_held(struct qr_scheduler *s, const struct qr_page_table *table)
{
    s->held_tokens -= table->length - table->first * s->page_tokens;
    s->held_pages -= qr_page_table_held_n(table);
}

uint32_t qr_seq_first_page(const struct qr_scheduler *s, uint32_t tokens_n)
{
    if (s->tree) return qr_prefix_tree_first(s->tree, tokens_n);
    return qr_window_first(s->limits.window, s->page_tokens, tokens_n);
}

uint32_t qr_seq_promise_for(const struct qr_scheduler *s, const struct qr_seq *seq,
                            uint32_t computed_n)
{
    /* A partly matched page is copied, so only full matched pages need no new page. */
    uint32_t full_n = computed_n / s->page_tokens;
    uint32_t most_n = s->window_pages - (full_n - qr_seq_first_page(s, computed_n));
    uint32_t n = qr_pages_for(seq->known_n, s->page_tokens) - full_n;

    return n < most_n ? n : most_n;
}

uint32_t qr_seq_leaving_n(const struct qr_scheduler *s, const struct qr_seq *seq,
                          uint32_t computed_n)
{
    uint32_t first = qr_seq_first_page(s, computed_n);
    uint32_t end = qr_seq_first_page(s, seq->known_n - 1);
    uint32_t pages_n = qr_pages_for(computed_n, s->page_tokens);

    if (end > pages_n) end = pages_n;
    return end > first ? end - first : 0;
}

/* With a window: drops the pages that no later token sees. */
static void drop_left_pages(struct qr_scheduler *s, struct qr_page_table *table)
{
    if (s->limits.window == 0) return;
    uncount_held(s, table);
    qr_page_table_drop_before(table, s->pool, s->page_tokens,
                              qr_seq_first_page(s, table->length) * s->page_tokens);
    count_held(s, table);
}

bool qr_seq_renew_promise(struct qr_scheduler *s, qr_seq_id id)
{
    struct qr_seq *seq = &s->seqs[id];
    const struct qr_page_table *table = qr_seq_table(s, seq);
    uint32_t own_n = qr_page_table_held_n(table), n;

    n = qr_pages_for(seq->known_n, s->page_tokens) - table->pages_n;
    if (n > s->window_pages - own_n) n = s->window_pages - own_n;
    assert(n >= seq->promised_n);
    if (n - seq->promised_n > qr_scheduler_unpromised_n(s)) return false;
    s->promised_n += n - seq->promised_n;
    seq->promised_n = n;
    s->leaving_n += qr_seq_leaving_n(s, seq, table->length);
    return true;
}

/* True: the page of the sequence's next token has only the tree as another reader. */
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
        /* No page to copy into: the tree gives up the partly filled page. */
        qr_prefix_tree_release(s->tree, table->pages[table->length / s->page_tokens]);
        wants_n--;
        own_n = wants_n < seq->promised_n ? wants_n : seq->promised_n;
    }
    if (wants_n - own_n > qr_scheduler_unpromised_n(s)) return false;
    while (s->pool->free_n < wants_n) {
        bool evicted = qr_prefix_tree_evict(s->tree);
        assert(evicted);
    }
    bool reserved = qr_page_table_reserve(table, s->pool, s->store, n, &copied);
    assert(reserved);
    seq->promised_n -= own_n;
    s->promised_n -= own_n;
    s->held_pages += wants_n - copied;
    s->stats.page_copies += copied;
    return true;
}

void qr_seq_advance(struct qr_scheduler *s, qr_seq_id id, uint32_t n)
{
    struct qr_seq *seq = &s->seqs[id];
    struct qr_page_table *table = qr_seq_table(s, seq);
    uint32_t position = table->length, end = position + n;

    qr_page_table_advance(table, s->page_tokens, n);
    s->held_tokens += n;
    publish_pages(s, id);
    drop_left_pages(s, table);
    s->stats.computed_tokens += n;
    if (position < seq->computed_max)
        s->stats.recomputed_tokens +=
            (end < seq->computed_max ? end : seq->computed_max) - position;
    if (end > seq->computed_max) seq->computed_max = end;
}

/* The sequence gets a slot, and as a leader keeps one for each attached sequence. */
static struct qr_page_table *take_slot(struct qr_scheduler *s, qr_seq_id id)
{
    struct qr_seq *seq = &s->seqs[id];

    assert(seq->state != QR_SEQ_RUNNING && s->free_slots_n > 0);
    seq->state = QR_SEQ_RUNNING;
    seq->slot = s->free_slots[--s->free_slots_n];
    s->promised_slots_n += s->sources[id].attached_n;
    return qr_seq_table(s, seq);
}

qr_page_id *qr_scheduler_next_pages(const struct qr_scheduler *s)
{
    assert(s->free_slots_n > 0);
    return s->tables[s->free_slots[s->free_slots_n - 1]].pages;
}

void qr_seq_start_matched(struct qr_scheduler *s, qr_seq_id id, uint32_t matched_n)
{
    struct qr_page_table *table = take_slot(s, id);
    struct qr_seq *seq = &s->seqs[id];

    if (s->tree) qr_prefix_tree_adopt(s->tree, table, table->pages, matched_n);
    s->sources[id].published_n = matched_n / s->page_tokens;
    seq->promised_n = qr_seq_promise_for(s, seq, matched_n);
    s->promised_n += seq->promised_n;
    s->leaving_n += qr_seq_leaving_n(s, seq, matched_n);
    if (matched_n > seq->computed_max) seq->computed_max = matched_n;
    count_held(s, table);
    assert(s->promised_n <= s->pool->free_n + s->pool->cached_n);
}

void qr_seq_start_forked(struct qr_scheduler *s, qr_seq_id id, qr_seq_id parent)
{
    struct qr_page_table *table = take_slot(s, id);

    assert(s->seqs[parent].state == QR_SEQ_RUNNING);
    qr_page_table_fork(table, qr_seq_table(s, &s->seqs[parent]), s->pool);
    assert(table->length < s->seqs[id].known_n);
    s->seqs[id].computed_max = table->length;
    s->sources[id].published_n = s->sources[parent].published_n;
    count_held(s, table);
    s->stats.forks++;
}

void qr_seq_stop(struct qr_scheduler *s, qr_seq_id id)
{
    struct qr_seq *seq = &s->seqs[id];
    struct qr_seq_source *source = &s->sources[id];
    struct qr_page_table *table = qr_seq_table(s, seq);

    assert(seq->state == QR_SEQ_RUNNING);
    uncount_held(s, table);
    if (s->tree)
        qr_prefix_tree_end(s->tree, source->salt, table, *source->tokens, source->published_n);
    else
        qr_page_table_clear(table, s->pool);
    source->published_n = 0;
    s->promised_n -= seq->promised_n;
    s->promised_slots_n -= source->attached_n;
    seq->promised_n = 0;
    s->free_slots[s->free_slots_n++] = seq->slot;
    seq->slot = QR_SLOT_NONE;
    qr_seq_list_remove(s, &s->running, id);
}
