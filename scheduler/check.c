/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <string.h>

#include "scheduler/scheduler_internal.h"

/* Every full page of the sequence is in the tree, as a child of the page before, with the
 * sequence's tokens. */
static void check_published(const struct qr_scheduler *s, qr_seq_id id)
{
    const struct qr_page_table *table = qr_seq_table(s, &s->seqs[id]);
    const struct qr_seq_source *source = &s->sources[id];
    const struct qr_prefix_tree *tree = s->tree;

    assert(source->published_n == table->length / s->page_tokens);
    for (uint32_t i = table->first; i < source->published_n; i++) {
        qr_node_id node = tree->node_of[table->pages[i]];
        size_t at = (size_t)i * s->page_tokens;
        assert(qr_page_pool_kept(s->pool, table->pages[i]));
        assert(tree->nodes[node].tokens_n == s->page_tokens);
        if (i == 0) assert(tree->nodes[node].parent == QR_NODE_NONE);
        if (i > table->first)
            assert(tree->nodes[node].parent == tree->node_of[table->pages[i - 1]]);
        assert(memcmp(tree->tokens + (size_t)node * s->page_tokens, *source->tokens + at,
                      s->page_tokens * sizeof(int32_t)) == 0);
    }
}

/* In prefill the sequence holds or is promised all pages of its known tokens.  With a window it is
 * as many as it can hold at once, and only between plan and commit. */
static void check_promise(const struct qr_scheduler *s, const struct qr_seq *seq)
{
    const struct qr_page_table *table = qr_seq_table(s, seq);
    uint32_t lacks_n = qr_pages_for(seq->known_n, s->page_tokens) - table->pages_n;
    uint32_t held_n = qr_page_table_held_n(table);

    assert(held_n <= s->window_pages);
    if (lacks_n > s->window_pages - held_n) lacks_n = s->window_pages - held_n;
    assert(seq->promised_n <= lacks_n);
    if (table->length + 1 < seq->known_n && (s->planned || s->limits.window == 0))
        assert(seq->promised_n == lacks_n);
}

static void check_running(const struct qr_scheduler *s, qr_seq_id id)
{
    const struct qr_seq *seq = &s->seqs[id];
    const struct qr_page_table *table = qr_seq_table(s, seq);

    assert(seq->state == QR_SEQ_RUNNING);
    assert(seq->slot < s->limits.running_max);
    qr_page_table_check(table, s->pool, s->page_tokens);
    assert(table->length < seq->known_n && table->reserved <= seq->known_n);
    assert(table->length <= seq->computed_max);
    assert(s->planned || table->reserved == table->length);
    /* It has dropped every page that no later token sees, except its last full page. */
    assert(table->first == qr_seq_first_page(s, table->length));
    check_promise(s, seq);
    if (s->tree) check_published(s, id);
    for (uint32_t i = table->first; i < table->pages_n; i++)
        s->readers[table->pages[i]]++;
}

/* The list of attached sequences is complete, in order of arrival, and the leader is still in their
 * common prompt. */
static void check_attached(const struct qr_scheduler *s, qr_seq_id leader, uint32_t *attached_n)
{
    const struct qr_seq_source *source = &s->sources[leader];
    qr_seq_id last = QR_SEQ_NONE;
    uint32_t n = 0;

    for (qr_seq_id id = source->attached; id != QR_SEQ_NONE; id = s->sources[id].attached_next) {
        const struct qr_seq *seq = &s->seqs[id];
        assert(n++ < source->attached_n);
        assert(id < s->seqs_n && seq->state == QR_SEQ_ATTACHED && s->sources[id].leader == leader);
        assert(s->sources[id].attached_n == 0 && s->sources[id].published_n == 0);
        assert(seq->slot == QR_SLOT_NONE && seq->promised_n == 0 && seq->preemptions_n == 0);
        assert(seq->known_n == s->seqs[leader].known_n);
        assert(seq->tokens_max == s->seqs[leader].tokens_max);
        assert(seq->priority == s->seqs[leader].priority &&
               seq->user_node == s->seqs[leader].user_node);
        assert(seq->order > s->seqs[last == QR_SEQ_NONE ? leader : last].order);
        last = id;
    }
    assert(n == source->attached_n && (n == 0 || source->attached_last == last));
    *attached_n += n;
}

static void check_waiting(const struct qr_scheduler *s, qr_seq_id id)
{
    const struct qr_seq *seq = &s->seqs[id];

    assert(seq->state == QR_SEQ_WAITING);
    assert(seq->slot == QR_SLOT_NONE && seq->promised_n == 0 && s->sources[id].published_n == 0);
    assert(seq->priority == qr_fair_queue_priority(&s->fair, seq->user_node));
}

/* The list is linked correctly and in order.  *last is a sequence that comes before the first one,
 * or NULL; it becomes the last one.  Adds the number of attached sequences to *attached_n. */
static void check_seq_list(const struct qr_scheduler *s, const struct qr_seq_list *list,
                           const struct qr_seq **last, uint32_t *attached_n)
{
    qr_seq_id prev = QR_SEQ_NONE;
    uint32_t n = 0;

    for (qr_seq_id id = list->head; id != QR_SEQ_NONE; id = s->seqs[id].next) {
        const struct qr_seq *seq = &s->seqs[id];
        assert(n++ < list->n);
        assert(id < s->seqs_n && seq->prev == prev);
        assert(!*last || qr_seq_before(*last, seq));
        *last = seq;
        assert(seq->known_n >= 1 && seq->known_n <= seq->tokens_max);
        if (list == &s->running)
            check_running(s, id);
        else
            check_waiting(s, id);
        check_attached(s, id, attached_n);
        prev = id;
    }
    assert(list->tail == prev && n == list->n);
}

/* Sequences that never ran are in their users' lists, in order of arrival. */
static void check_queue(const struct qr_scheduler *s, uint32_t *attached_n)
{
    uint32_t fresh_n = 0, user = QR_FAIR_NODE_ROOT;

    qr_fair_queue_check(&s->fair);
    while ((user = qr_fair_queue_waiting_user(&s->fair, user)) != QR_FAIR_NODE_NONE) {
        const struct qr_seq_list *waiting = qr_fair_queue_list(&s->fair, user);
        const struct qr_seq *last = NULL;
        check_seq_list(s, waiting, &last, attached_n);
        fresh_n += waiting->n;
        for (qr_seq_id id = waiting->head; id != QR_SEQ_NONE; id = s->seqs[id].next)
            assert(s->seqs[id].user_node == user && s->seqs[id].preemptions_n == 0);
    }
    assert(fresh_n == s->fresh_n);
    for (qr_seq_id id = s->returning.head; id != QR_SEQ_NONE; id = s->seqs[id].next)
        assert(s->seqs[id].preemptions_n > 0);
}

static void check_sums(const struct qr_scheduler *s)
{
    uint64_t promised_n = 0, held_tokens = 0, held_pages = 0;
    uint32_t held_n = 0;

    for (qr_seq_id id = s->running.head; id != QR_SEQ_NONE; id = s->seqs[id].next) {
        promised_n += s->seqs[id].promised_n;
        const struct qr_page_table *table = qr_seq_table(s, &s->seqs[id]);
        held_tokens += table->length - (uint64_t)table->first * s->page_tokens;
        held_pages += qr_page_table_held_n(table);
    }
    assert(promised_n == s->promised_n);
    assert(promised_n <= (uint64_t)s->pool->free_n + s->pool->cached_n);
    assert(held_tokens == s->held_tokens && held_pages == s->held_pages);
    for (uint32_t page = 0; page < s->pool->pages_n; page++) {
        assert(s->readers[page] + qr_page_pool_kept(s->pool, page) ==
               qr_page_pool_refs(s->pool, page));
        held_n += s->readers[page] > 0;
    }
    assert(held_n + s->pool->free_n + s->pool->cached_n == s->pool->pages_n);
    assert(s->tree || s->pool->cached_n == 0);
}

void qr_scheduler_check(const struct qr_scheduler *s)
{
    const struct qr_seq *last = NULL;
    uint32_t attached_n = 0;

    memset(s->readers, 0, s->pool->pages_n * sizeof s->readers[0]);
    check_seq_list(s, &s->running, &last, &attached_n);
    assert(attached_n == s->promised_slots_n);
    check_seq_list(s, &s->returning, &last, &attached_n);
    check_queue(s, &attached_n);
    assert(attached_n == s->attached_n);
    assert(s->running.n + s->promised_slots_n <= s->limits.running_max);
    assert(s->running.n + qr_scheduler_waiting_n(s) + s->attached_n + s->free_seqs_n == s->seqs_n);
    assert(qr_fair_queue_live_n(&s->fair) + s->free_seqs_n == s->seqs_n);
    assert(s->running.n + s->free_slots_n == s->limits.running_max);
    for (uint32_t i = 0; i < s->free_seqs_n; i++)
        assert(s->seqs[s->free_seqs[i]].state == QR_SEQ_FREE);
    for (uint32_t i = 0; i < s->free_slots_n; i++)
        assert(s->tables[s->free_slots[i]].pages_n == 0);
    check_sums(s);
    qr_page_pool_check(s->pool);
    if (s->tree) qr_prefix_tree_check(s->tree);
}

static void dump_waiting(const struct qr_scheduler *s, const struct qr_seq_list *list, FILE *out)
{
    for (qr_seq_id id = list->head; id != QR_SEQ_NONE; id = s->seqs[id].next)
        fprintf(out, "  waiting %u, priority %d: tokens %u known, %u at most; preempted %u times\n",
                id, s->seqs[id].priority, s->seqs[id].known_n, s->seqs[id].tokens_max,
                s->seqs[id].preemptions_n);
}

void qr_scheduler_dump(const struct qr_scheduler *s, FILE *out)
{
    uint32_t user = QR_FAIR_NODE_ROOT;

    fprintf(out,
            "scheduler: %u running, %u waiting; pages: %u, %u free, %u cached, %u of them "
            "promised%s\n",
            s->running.n, qr_scheduler_waiting_n(s), s->pool->pages_n, s->pool->free_n,
            s->pool->cached_n, s->promised_n, s->planned ? "; planned" : "");
    if (s->attached_n > 0)
        fprintf(out, "  attached: %u; slots kept for %u\n", s->attached_n, s->promised_slots_n);
    for (qr_seq_id id = s->running.head; id != QR_SEQ_NONE; id = s->seqs[id].next) {
        const struct qr_seq *seq = &s->seqs[id];
        const struct qr_page_table *table = qr_seq_table(s, seq);
        fprintf(out,
                "  running %u, priority %d: tokens %u known, %u computed, %u at most; pages %u + "
                "%u\n",
                id, seq->priority, seq->known_n, table->length, seq->tokens_max,
                qr_page_table_held_n(table), seq->promised_n);
    }
    dump_waiting(s, &s->returning, out);
    while ((user = qr_fair_queue_waiting_user(&s->fair, user)) != QR_FAIR_NODE_NONE)
        dump_waiting(s, qr_fair_queue_list(&s->fair, user), out);
}
