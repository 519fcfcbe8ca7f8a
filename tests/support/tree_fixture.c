/* SPDX-License-Identifier: MIT */
#include "support/tree_fixture.h"

void tree_open_windowed(struct tree_fixture *f, uint32_t pages_n, uint32_t nodes_n, uint32_t window)
{
    const struct qr_prefix_limits limits = {nodes_n, PAGE, window};
    const struct qr_kv_shape shape = {QR_KV_F32, 1, 1, 8, PAGE};
    size_t page_bytes;

    assert_true(qr_kv_shape_page_bytes(&shape, &page_bytes));
    f->pool_memory = malloc(qr_page_pool_bytes(pages_n));
    f->tree_memory = malloc(qr_prefix_tree_bytes(&limits, pages_n));
    void *base = aligned_alloc(64, pages_n * page_bytes);
    assert_true(f->pool_memory && f->tree_memory && base);
    memset(base, 0xff, pages_n * page_bytes);
    qr_page_pool_init(&f->pool, f->pool_memory, pages_n);
    qr_kv_store_init(&f->store, &shape, base, pages_n);
    qr_prefix_tree_init(&f->tree, f->tree_memory, &f->pool, &limits);
}

void tree_open(struct tree_fixture *f, uint32_t pages_n)
{
    tree_open_windowed(f, pages_n, pages_n, 0);
}

void tree_check(const struct tree_fixture *f)
{
    qr_page_pool_check(&f->pool);
    qr_prefix_tree_check(&f->tree);
    assert_int_equal(f->pool.free_n + f->pool.cached_n + qr_page_pool_held_n(&f->pool),
                     f->pool.pages_n);
}

void tree_close(struct tree_fixture *f)
{
    tree_check(f);
    free(f->tree_memory);
    free(f->pool_memory);
    free(f->store.base);
}

static uint32_t *tree_slot(const struct tree_fixture *f, const struct tree_seq *seq, uint32_t i)
{
    return (uint32_t *)(void *)(f->store.base + seq->pages[i / PAGE] * f->store.page_bytes) +
           i % PAGE;
}

/* In place of a key: it depends on the salt and on every token up to it. */
static uint32_t tree_stamp(const struct tree_seq *seq, uint32_t i)
{
    uint32_t stamp = (uint32_t)seq->salt.words[0] * 31 + (uint32_t)seq->salt.words[1];

    for (uint32_t t = 0; t <= i; t++)
        stamp = (stamp ^ (uint32_t)seq->tokens[t]) * 16777619u + 1;
    return stamp;
}

void seq_begin(struct tree_fixture *f, struct tree_seq *seq)
{
    qr_page_id pages[TABLE_MAX];

    qr_page_table_init(&seq->table, seq->pages, TABLE_MAX);
    seq->matched_n =
        qr_prefix_tree_match(&f->tree, seq->salt, seq->tokens, seq->tokens_n - 1, pages);
    qr_prefix_tree_adopt(&f->tree, &seq->table, pages, seq->matched_n);
    seq->published_n = seq->matched_n / PAGE;
    seq->copied_n = 0;
    for (uint32_t i = seq->table.first * PAGE; i < seq->matched_n; i++)
        assert_int_equal(*tree_slot(f, seq, i), tree_stamp(seq, i));
}

void seq_compute(struct tree_fixture *f, struct tree_seq *seq, uint32_t end)
{
    uint32_t begin = seq->table.length, copied = 0;
    uint32_t wants_n = qr_page_table_wants(&seq->table, &f->pool, PAGE, end - begin);

    while (f->pool.free_n < wants_n)
        assert_true(qr_prefix_tree_evict(&f->tree));
    assert_true(qr_page_table_reserve(&seq->table, &f->pool, &f->store, end - begin, &copied));
    seq->copied_n += copied;
    for (uint32_t i = begin; i < end; i++)
        *tree_slot(f, seq, i) = tree_stamp(seq, i);
    qr_page_table_advance(&seq->table, PAGE, end - begin);
    seq->published_n =
        qr_prefix_tree_add(&f->tree, seq->salt, &seq->table, seq->tokens, seq->published_n);
    for (uint32_t i = seq->table.first * PAGE; i < end; i++)
        assert_int_equal(*tree_slot(f, seq, i), tree_stamp(seq, i));
}

void seq_drop_left(struct tree_fixture *f, struct tree_seq *seq)
{
    qr_page_table_drop_before(&seq->table, &f->pool, PAGE,
                              qr_prefix_tree_first(&f->tree, seq->table.length) * PAGE);
}

void seq_end(struct tree_fixture *f, struct tree_seq *seq)
{
    qr_prefix_tree_end(&f->tree, seq->salt, &seq->table, seq->tokens, seq->published_n);
}

void seq_text(struct tree_seq *seq, uint32_t tokens_n, int32_t first)
{
    memset(seq, 0, sizeof *seq);
    seq->tokens_n = tokens_n;
    for (uint32_t i = 0; i < tokens_n; i++)
        seq->tokens[i] = first + (int32_t)i;
}

uint32_t seq_run(struct tree_fixture *f, struct tree_seq *seq)
{
    seq_begin(f, seq);
    while (seq->table.length < seq->tokens_n) { /* page by page, so that a window needs few pages */
        uint32_t end = seq->table.length + PAGE;
        seq_compute(f, seq, end < seq->tokens_n ? end : seq->tokens_n);
        seq_drop_left(f, seq);
    }
    seq_end(f, seq);
    tree_check(f);
    return seq->matched_n;
}
