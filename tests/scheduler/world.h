/* SPDX-License-Identifier: MIT */
/* world -- a scheduler with its pool, a small KV store and optionally a prefix tree, for the
 * programs of this folder.
 *
 * Each memory is exactly as long as its _bytes function says, so that a sanitizer notices an access
 * past it. */
#ifndef QR_TESTS_SCHEDULER_WORLD_H
#define QR_TESTS_SCHEDULER_WORLD_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "scheduler/scheduler.h"

#define WORLD_LAYERS   2u
#define WORLD_HEADS    2u
#define WORLD_HEAD_DIM 8u

struct world {
    struct qr_page_pool pool;
    struct qr_kv_store store;
    struct qr_prefix_tree tree;
    struct qr_scheduler *scheduler;
    void *pool_memory;
    void *tree_memory; /* NULL: no tree */
    void *scheduler_memory;
};

static inline void world_open(struct world *w, const struct qr_scheduler_limits *limits,
                              uint32_t pages_n, uint32_t page_tokens, bool has_tree)
{
    const struct qr_kv_shape shape = {QR_KV_F32, WORLD_LAYERS, WORLD_HEADS, WORLD_HEAD_DIM,
                                      page_tokens};
    size_t page_bytes;
    bool valid = qr_kv_shape_page_bytes(&shape, &page_bytes);
    void *base;

    assert(valid);
    base = aligned_alloc(64, pages_n * page_bytes);
    w->pool_memory = malloc(qr_page_pool_bytes(pages_n));
    const struct qr_prefix_limits of_tree = {
        .nodes_n = qr_scheduler_nodes_for(limits, pages_n, page_tokens),
        .page_tokens = page_tokens,
        .window = limits->window,
    };
    w->tree_memory = has_tree ? malloc(qr_prefix_tree_bytes(&of_tree, pages_n)) : NULL;
    assert(!has_tree || w->tree_memory);
    w->scheduler_memory = malloc(qr_scheduler_bytes(limits, pages_n, page_tokens));
    assert(base && w->pool_memory && w->scheduler_memory);
    memset(base, 0xff, pages_n * page_bytes);
    qr_page_pool_init(&w->pool, w->pool_memory, pages_n);
    qr_kv_store_init(&w->store, &shape, base, pages_n);
    if (has_tree) qr_prefix_tree_init(&w->tree, w->tree_memory, &w->pool, &of_tree);
    w->scheduler = qr_scheduler_init(w->scheduler_memory, limits, &w->pool, &w->store,
                                     has_tree ? &w->tree : NULL);
}

static inline void world_close(struct world *w)
{
    free(w->scheduler_memory);
    free(w->tree_memory);
    free(w->pool_memory);
    free(w->store.base);
}

#endif
