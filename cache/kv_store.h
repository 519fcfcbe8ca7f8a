/* SPDX-License-Identifier: MIT */
/* kv_store -- the geometry of the KV memory: from a page id, layer and head to bytes.
 *
 * A page holds page_tokens tokens of every layer.  Its memory is base + id * page_bytes; inside,
 * [layer][KV head][K panels, then V panels] (kernels/attention.h).  One id names a page in every
 * layer, so copying a page is one memcpy.  Every head's K and V start on 64 bytes, as a panel of 16
 * tokens is a multiple of 64 bytes in every type.
 *
 * Thread: engine only for copy; views may be made anywhere.   Memory: the caller's region, 64-byte
 * aligned, pages_n * page_bytes. */
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

/* False: a field is outside what pages can hold (type, layers_n, heads_n, head_dim, page_tokens),
 * or a product overflows; *page_bytes is not touched. */
QR_MUST_CHECK bool qr_kv_shape_page_bytes(const struct qr_kv_shape *shape, size_t *page_bytes);
/* The shape is one that qr_kv_shape_page_bytes takes.  Does not touch the memory at base. */
void qr_kv_store_init(struct qr_kv_store *store, const struct qr_kv_shape *shape, void *base,
                      uint32_t pages_n);

/* The view of one layer and head that the attention kernels take; pages stay the caller's. */
struct qr_kv_view qr_kv_store_view(const struct qr_kv_store *store, uint32_t layer, uint32_t head,
                                   const qr_page_id *pages);
/* Copies one page's memory, every layer of it, onto another page. */
void qr_kv_store_copy(struct qr_kv_store *store, qr_page_id to, qr_page_id from);

#endif
