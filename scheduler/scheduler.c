/* SPDX-License-Identifier: MIT */
#include <assert.h>
#include <stdalign.h>
#include <string.h>

#include "scheduler/scheduler_internal.h"

static_assert(sizeof(struct qr_seq) <= 64, "a sequence is no more than a cache line");

/* Offsets of the arrays in the caller's memory, strictest alignment first. */
struct scheduler_layout {
    size_t seqs, sources, fair_nodes, tables, items, free_seqs, free_slots, pages, readers, buckets,
        bytes;
    uint32_t seqs_n;
    uint32_t table_pages; /* of one sequence */
};

/* Appends an array of n elements to *bytes.  Returns its offset. */
static size_t layout_add(size_t *bytes, size_t n, size_t element_bytes, size_t alignment)
{
    size_t at = (*bytes + alignment - 1) / alignment * alignment;

    assert(n <= (SIZE_MAX - at) / element_bytes);
    *bytes = at + n * element_bytes;
    return at;
}

static struct scheduler_layout lay_out(const struct qr_scheduler_limits *limits, uint32_t pages_n,
                                       uint32_t page_tokens)
{
    struct scheduler_layout l = {.bytes = sizeof(struct qr_scheduler)};
    size_t running_n = limits->running_max;

    assert(limits->running_max >= 1 && limits->waiting_max >= 1 && limits->context_max >= 1);
    assert(limits->running_max < QR_SEQ_NONE - limits->waiting_max);
    assert(limits->step_tokens >= (uint64_t)limits->running_max + QR_PREFILL_MIN);
    assert(pages_n >= 1 && page_tokens >= 1 && (page_tokens & (page_tokens - 1)) == 0);

    l.seqs_n = limits->running_max + limits->waiting_max;
    l.table_pages = qr_pages_for(limits->context_max, page_tokens);
    if (l.table_pages > pages_n && limits->window == 0) l.table_pages = pages_n;
    l.seqs = layout_add(&l.bytes, l.seqs_n, sizeof(struct qr_seq), alignof(struct qr_seq));
    l.sources =
        layout_add(&l.bytes, l.seqs_n, sizeof(struct qr_seq_source), alignof(struct qr_seq_source));
    l.fair_nodes = layout_add(&l.bytes, qr_fair_queue_nodes_for(l.seqs_n),
                              sizeof(struct qr_fair_node), alignof(struct qr_fair_node));
    l.tables = layout_add(&l.bytes, running_n, sizeof(struct qr_page_table),
                          alignof(struct qr_page_table));
    l.items =
        layout_add(&l.bytes, running_n, sizeof(struct qr_plan_item), alignof(struct qr_plan_item));
    l.free_seqs = layout_add(&l.bytes, l.seqs_n, sizeof(qr_seq_id), alignof(qr_seq_id));
    l.free_slots = layout_add(&l.bytes, running_n, sizeof(uint32_t), alignof(uint32_t));
    l.pages =
        layout_add(&l.bytes, running_n * l.table_pages, sizeof(qr_page_id), alignof(qr_page_id));
    l.readers = layout_add(&l.bytes, pages_n, sizeof(uint32_t), alignof(uint32_t));
    l.buckets = layout_add(&l.bytes, qr_fair_queue_buckets_for(l.seqs_n), sizeof(uint32_t),
                           alignof(uint32_t));
    return l;
}

/* The most tokens of one sequence in a step. */
static uint32_t chunk_of(const struct qr_scheduler_limits *limits)
{
    uint32_t chunk = limits->prefill_chunk, most = limits->window;

    if (chunk == 0 || chunk > limits->step_tokens) chunk = limits->step_tokens;
    if (most < QR_PREFILL_MIN) most = QR_PREFILL_MIN;
    return limits->window != 0 && chunk > most ? most : chunk;
}

/* The most pages that a sequence holds at once: those of a chunk and of the window before its first
 * token.  n tokens in a row touch at most ceil((n - 1) / page_tokens) + 1 pages.  If the window is
 * within a page, the sequence still holds its last full page, a partly filled one and the chunk. */
static uint64_t window_pages(const struct qr_scheduler_limits *limits, uint32_t page_tokens)
{
    uint64_t chunk = chunk_of(limits), span = limits->window - 1 + chunk;
    uint64_t seen = (span - 1 + page_tokens - 1) / page_tokens + 1;
    uint64_t short_seen = (chunk + page_tokens - 2) / page_tokens + 2;

    if (limits->window == 0) return UINT32_MAX;
    return seen > short_seen ? seen : short_seen;
}

uint32_t qr_scheduler_pages_for(const struct qr_scheduler_limits *limits, uint32_t page_tokens,
                                uint32_t tokens_n)
{
    uint64_t pages_n = qr_pages_for(tokens_n, page_tokens);
    uint64_t most_n = window_pages(limits, page_tokens);

    return (uint32_t)(pages_n < most_n ? pages_n : most_n);
}

uint32_t qr_scheduler_nodes_for(const struct qr_scheduler_limits *limits, uint32_t pages_n,
                                uint32_t page_tokens)
{
    /* At worst no node above the pages that a sequence reads has a page, and there are as many of
     * these nodes as its text has pages. */
    uint64_t running_n = limits->running_max < pages_n ? limits->running_max : pages_n;
    uint64_t nodes_n = pages_n;

    if (limits->window != 0) nodes_n += running_n * qr_pages_for(limits->context_max, page_tokens);
    return nodes_n < QR_NODE_NONE ? (uint32_t)nodes_n : QR_NODE_NONE - 1;
}

size_t qr_scheduler_bytes(const struct qr_scheduler_limits *limits, uint32_t pages_n,
                          uint32_t page_tokens)
{
    return lay_out(limits, pages_n, page_tokens).bytes;
}

struct qr_scheduler *qr_scheduler_init(void *memory, const struct qr_scheduler_limits *limits,
                                       struct qr_page_pool *pool, struct qr_kv_store *store,
                                       struct qr_prefix_tree *tree)
{
    struct scheduler_layout l = lay_out(limits, pool->pages_n, store->shape.page_tokens);
    struct qr_scheduler *s = memory;
    uint8_t *base = memory;
    qr_page_id *pages = (qr_page_id *)(void *)(base + l.pages);

    assert(memory && (uintptr_t)memory % alignof(max_align_t) == 0);
    assert(pool->pages_n == store->pages_n && pool->free_n == pool->pages_n);
    if (tree) {
        assert(tree->pool == pool && tree->limits.page_tokens == store->shape.page_tokens);
        assert(tree->limits.window == limits->window);
        assert(tree->limits.nodes_n >=
               qr_scheduler_nodes_for(limits, pool->pages_n, store->shape.page_tokens));
    }
    *s = (struct qr_scheduler){
        .limits = *limits,
        .pool = pool,
        .store = store,
        .tree = tree,
        .page_tokens = store->shape.page_tokens,
        .seqs = (struct qr_seq *)(void *)(base + l.seqs),
        .sources = (struct qr_seq_source *)(void *)(base + l.sources),
        .seqs_n = l.seqs_n,
        .free_seqs = (qr_seq_id *)(void *)(base + l.free_seqs),
        .free_seqs_n = l.seqs_n,
        .tables = (struct qr_page_table *)(void *)(base + l.tables),
        .free_slots = (uint32_t *)(void *)(base + l.free_slots),
        .free_slots_n = limits->running_max,
        .running = {.head = QR_SEQ_NONE, .tail = QR_SEQ_NONE},
        .returning = {.head = QR_SEQ_NONE, .tail = QR_SEQ_NONE},
        .items = (struct qr_plan_item *)(void *)(base + l.items),
        .readers = (uint32_t *)(void *)(base + l.readers),
    };
    s->limits.prefill_chunk = chunk_of(limits);
    s->window_pages = (uint32_t)window_pages(limits, s->page_tokens);
    s->plan.items = s->items;
    qr_fair_queue_init(&s->fair, (struct qr_fair_node *)(void *)(base + l.fair_nodes),
                       (uint32_t *)(void *)(base + l.buckets), l.seqs_n);

    memset(s->seqs, 0, s->seqs_n * sizeof s->seqs[0]);
    for (uint32_t i = 0; i < s->seqs_n; i++)
        s->free_seqs[i] = s->seqs_n - 1 - i;
    for (uint32_t i = 0; i < limits->running_max; i++) {
        s->free_slots[i] = limits->running_max - 1 - i;
        qr_page_table_init(&s->tables[i], pages + (size_t)i * l.table_pages, l.table_pages);
    }
    return s;
}

uint32_t qr_scheduler_tokens_max(const struct qr_scheduler *s)
{
    uint64_t slots_n = (uint64_t)s->pool->pages_n * s->page_tokens;

    if (s->window_pages <= s->pool->pages_n) return s->limits.context_max;
    return slots_n < s->limits.context_max ? (uint32_t)slots_n : s->limits.context_max;
}

bool qr_scheduler_fits(const struct qr_scheduler *s, uint32_t tokens_n)
{
    return tokens_n <= qr_scheduler_tokens_max(s);
}

uint32_t qr_scheduler_running_n(const struct qr_scheduler *s)
{
    return s->running.n;
}

uint32_t qr_scheduler_attached_n(const struct qr_scheduler *s)
{
    return s->attached_n;
}

enum qr_seq_state qr_scheduler_state(const struct qr_scheduler *s, qr_seq_id seq)
{
    assert(seq < s->seqs_n);
    return s->seqs[seq].state;
}

void qr_scheduler_stats(const struct qr_scheduler *s, struct qr_scheduler_stats *stats)
{
    *stats = s->stats;
    if (s->tree) stats->evictions = s->tree->evictions;
}
