/* SPDX-License-Identifier: MIT */
/* Admission of the head of the queue.  It adopts the tree's pages and is promised the others that
 * it needs.  If a running sequence is about to compute a page that it can share, it waits. */
#include <assert.h>

#include "scheduler/scheduler_internal.h"

/* Matches a waiting sequence's first tokens_n tokens in the tree; writes the ids to pages. */
static uint32_t match(const struct qr_scheduler *s, qr_seq_id id, uint32_t tokens_n,
                      qr_page_id *pages)
{
    const struct qr_seq_source *source = &s->sources[id];

    if (!s->tree || source->fresh) return 0;
    return qr_prefix_tree_match(s->tree, source->salt, *source->tokens, tokens_n, pages);
}

/* How many more tokens of `id` would match if it waited for `other`.  Counts only the first page
 * that is not matched in full, and only if `other` will fill that page with its known tokens. */
static uint32_t gain(const struct qr_scheduler *s, qr_seq_id id, const qr_page_id *pages,
                     uint32_t matched_n, qr_seq_id other)
{
    const struct qr_seq_source *a = &s->sources[id], *b = &s->sources[other];
    const struct qr_page_table *table = qr_seq_table(s, &s->seqs[other]);
    uint32_t full_n = matched_n / s->page_tokens, at = full_n * s->page_tokens, end;

    if (a->salt.words[0] != b->salt.words[0] || a->salt.words[1] != b->salt.words[1]) return 0;
    /* `other` is past that page.  With a window the page may be evicted already. */
    if (table->length / s->page_tokens > full_n) return 0;
    /* The page before is the same page, so the texts are equal up to its end. */
    if (full_n > 0 && (table->pages_n < full_n || table->pages[full_n - 1] != pages[full_n - 1]))
        return 0;
    if (s->seqs[other].known_n - at < s->page_tokens) return 0;
    end = at + s->page_tokens;
    if (end > s->seqs[id].known_n - 1) end = s->seqs[id].known_n - 1;
    while (at < end && (*a->tokens)[at] == (*b->tokens)[at])
        at++;
    return at > matched_n ? at - matched_n : 0;
}

/* True: half a page or more would be computed twice if this sequence ran now. */
static bool must_wait(const struct qr_scheduler *s, qr_seq_id id, const qr_page_id *pages,
                      uint32_t matched_n)
{
    uint32_t half = s->page_tokens / 2;

    if (!s->tree || s->sources[id].fresh) return false;
    if (s->seqs[id].known_n - 1 - matched_n < half) return false;
    for (uint32_t i = s->decodes_n; i < s->plan.items_n; i++)
        if (gain(s, id, pages, matched_n, s->items[i].seq) >= half) return true;
    return false;
}

/* With a window, sequences in prefill drop pages and are promised new ones in return.  A dropped
 * page stays allocated while another sequence reads it.  So an admission counts one extra page for
 * each shared page that a running sequence or this one will drop. */
static uint32_t shared_pages_n(const struct qr_scheduler *s, qr_seq_id id, uint32_t matched_n,
                               uint32_t shared_n)
{
    uint64_t others_n = s->held_pages - qr_page_pool_held_n(s->pool);
    uint32_t leaving_n = s->leaving_n + qr_seq_leaving_n(s, &s->seqs[id], matched_n);

    if (others_n > s->leaving_n) others_n = s->leaving_n;
    return (uint32_t)others_n + (shared_n < leaving_n ? shared_n : leaving_n);
}

/* Unpromised pages that an admission uses: those that the sequence is promised, the cached ones
 * that it adopts, and reserves for sharing, growth and forks. */
static uint32_t admission_pages_n(const struct qr_scheduler *s, qr_seq_id id,
                                  const qr_page_id *pages, uint32_t matched_n)
{
    const struct qr_seq *seq = &s->seqs[id];
    uint32_t attached_n = s->sources[id].attached_n, shared_n = 0;
    uint32_t n = qr_seq_promise_for(s, seq, matched_n);

    for (uint32_t i = qr_seq_first_page(s, matched_n); i < qr_pages_for(matched_n, s->page_tokens);
         i++) {
        bool cached = qr_page_pool_refs(s->pool, pages[i]) == 1;
        n += cached;
        shared_n += !cached;
    }
    if (s->running.n == 0) return n;
    n += shared_pages_n(s, id, matched_n, shared_n);
    /* One page for every sequence to grow, or it would soon be preempted again. */
    if (seq->preemptions_n > 0) n += s->running.n + s->promised_slots_n + 1;
    /* When a group is forked, each sequence but one copies the last page. */
    return n + attached_n;
}

qr_seq_id qr_scheduler_admit(struct qr_scheduler *s)
{
    uint32_t unpromised_n = qr_scheduler_unpromised_n(s), matched_n;
    const struct qr_seq *seq;
    qr_page_id *pages;
    qr_seq_id id;

    if (unpromised_n == 0) return QR_SEQ_NONE;
    id = qr_queue_next(s);
    if (id == QR_SEQ_NONE) return QR_SEQ_NONE;
    /* A group is admitted whole: one slot for each of its sequences. */
    if (s->sources[id].attached_n >= s->free_slots_n - s->promised_slots_n) return QR_SEQ_NONE;
    seq = &s->seqs[id];
    pages = qr_scheduler_next_pages(s);
    matched_n = match(s, id, seq->known_n - 1, pages);
    if (must_wait(s, id, pages, matched_n)) {
        s->stats.waits++;
        return QR_SEQ_NONE;
    }
    /* Matching a part of a page needs one more page, for the copy.  If there is none, match full
     * pages only.  With a window a shorter match reads other pages and may again end inside one;
     * then match nothing. */
    for (bool again = false; matched_n % s->page_tokens > 0 &&
                             admission_pages_n(s, id, pages, matched_n) > unpromised_n;
         again = true)
        matched_n = again ? 0 : match(s, id, matched_n - matched_n % s->page_tokens, pages);
    if (admission_pages_n(s, id, pages, matched_n) > unpromised_n) return QR_SEQ_NONE;
    if (s->tree && !s->sources[id].fresh && seq->preemptions_n == 0) {
        s->stats.prefix_queries += seq->known_n;
        s->stats.prefix_hits += matched_n;
    }
    qr_queue_take(s, id, matched_n);
    qr_seq_list_insert(s, &s->running, id);
    qr_seq_start_matched(s, id, matched_n);
    return id;
}
