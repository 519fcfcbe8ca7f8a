/* SPDX-License-Identifier: MIT */
/* kv_store -- the layout of the KV memory: maps a page id, layer and head to bytes.
 *
 *     base + id * page_bytes
 *     |
 *     v layer 0                            layer 1
 *     +----------------+----------------+--+----------------+--
 *     | head 0         | head 1         |..| head 0         |..
 *     | K panels, V p. | K panels, V p. |  | K panels, V p. |
 *     +----------------+----------------+--+----------------+--
 *     |<- head_bytes ->|
 *     |<----------- layer_bytes ---------->|
 *
 * A page holds page_tokens tokens of every layer, so copying a page is one memcpy.  Panels are laid
 * out as kernels/attention.h says.  A panel of 16 tokens is a multiple of 64 bytes in every type,
 * so every head's K and V start at a multiple of 64 bytes.
 *
 * Thread: only the engine copies; any thread makes views.
 * Memory: the caller's region of pages_n times page_bytes, 64-byte aligned.
 * Invariant: constant after init, except the memory at base. */
#ifndef QR_CACHE_KV_STORE_H
#define QR_CACHE_KV_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/page_pool.h"
#include "kernels/attention.h"

struct qr_kv_shape {
    enum qr_kv_type type;
    uint32_t layers_n;
    uint32_t heads_n;     /* KV heads */
    uint32_t head_dim;    /* a multiple of 8, at most QR_HEAD_DIM_MAX */
    uint32_t page_tokens; /* 16, 32, 64 or 128 */
};

struct qr_kv_store {
    struct qr_kv_shape shape;
    size_t head_bytes; /* K and V of one head in one layer of one page */
    size_t layer_bytes;
    size_t page_bytes;
    uint8_t *base;
    uint32_t pages_n;
};

/* The size of a page.  False: a field is out of its range, or a product overflows; *page_bytes is
 * unchanged. */
QR_MUST_CHECK bool qr_kv_shape_page_bytes(const struct qr_kv_shape *shape, size_t *page_bytes);
/* The shape must be valid (qr_kv_shape_page_bytes).  Does not touch the memory at base. */
void qr_kv_store_init(struct qr_kv_store *store, const struct qr_kv_shape *shape, void *base,
                      uint32_t pages_n);

/* One layer's and head's view for the attention kernels.  pages stays the caller's. */
struct qr_kv_view qr_kv_store_view(const struct qr_kv_store *store, uint32_t layer, uint32_t head,
                                   const qr_page_id *pages);
/* Copies the memory of page `from`, all layers, to page `to`. */
void qr_kv_store_copy(struct qr_kv_store *store, qr_page_id to, qr_page_id from);

#endif
