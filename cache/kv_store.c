/* SPDX-License-Identifier: MIT */
#include "cache/kv_store.h"

#include <assert.h>
#include <string.h>

#define KV_ALIGN 64u /* a cache line, and the widest vector */

static bool page_tokens_valid(uint32_t n)
{
    return n == 16 || n == 32 || n == 64 || n == 128;
}

/* K, or V, of one head in one layer of one page. */
static size_t half_bytes(const struct qr_kv_shape *shape)
{
    return shape->page_tokens / QR_KV_PANEL * qr_kv_panel_bytes(shape->type, shape->head_dim);
}

bool qr_kv_shape_page_bytes(const struct qr_kv_shape *shape, size_t *page_bytes)
{
    size_t bytes;

    if ((unsigned)shape->type >= QR_KV_TYPES_N) return false;
    if (shape->layers_n == 0 || shape->heads_n == 0) return false;
    if (shape->head_dim == 0 || shape->head_dim % 8 != 0 || shape->head_dim > QR_HEAD_DIM_MAX)
        return false;
    if (!page_tokens_valid(shape->page_tokens)) return false;
    if (__builtin_mul_overflow(2 * half_bytes(shape), (size_t)shape->heads_n, &bytes)) return false;
    if (__builtin_mul_overflow(bytes, (size_t)shape->layers_n, &bytes)) return false;
    *page_bytes = bytes;
    return true;
}

void qr_kv_store_init(struct qr_kv_store *store, const struct qr_kv_shape *shape, void *base,
                      uint32_t pages_n)
{
    size_t page_bytes, all_bytes;
    bool shape_valid = qr_kv_shape_page_bytes(shape, &page_bytes);

    assert(shape_valid);
    assert(base && (uintptr_t)base % KV_ALIGN == 0);
    assert(pages_n >= 1 && pages_n < QR_PAGE_NONE);
    assert(!__builtin_mul_overflow(page_bytes, (size_t)pages_n, &all_bytes));
    *store = (struct qr_kv_store){
        .shape = *shape,
        .head_bytes = 2 * half_bytes(shape),
        .layer_bytes = 2 * half_bytes(shape) * shape->heads_n,
        .page_bytes = page_bytes,
        .base = base,
        .pages_n = pages_n,
    };
    assert(store->head_bytes % (2 * KV_ALIGN) == 0);
}

struct qr_kv_view qr_kv_store_view(const struct qr_kv_store *store, uint32_t layer, uint32_t head,
                                   const qr_page_id *pages)
{
    assert(layer < store->shape.layers_n && head < store->shape.heads_n);
    return (struct qr_kv_view){
        .type = store->shape.type,
        .head_dim = store->shape.head_dim,
        .page_tokens = store->shape.page_tokens,
        .page_bytes = store->page_bytes,
        .base = store->base + layer * store->layer_bytes + head * store->head_bytes,
        .v_offset = store->head_bytes / 2,
        .pages = pages,
    };
}

void qr_kv_store_copy(struct qr_kv_store *store, qr_page_id to, qr_page_id from)
{
    assert(to < store->pages_n && from < store->pages_n && to != from);
    memcpy(store->base + to * store->page_bytes, store->base + from * store->page_bytes,
           store->page_bytes);
}
