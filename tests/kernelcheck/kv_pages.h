/* SPDX-License-Identifier: MIT */
/* kv_pages -- one sequence's pages for tests of attention, shuffled and poisoned.
 *
 * Bytes that nothing has written are 0xff, which is NaN in every float type and in int8's scales.
 *
 * Thread: any.   Memory: malloc, freed by kv_pages_free; aborts if there is none. */
#ifndef QR_TESTS_KV_PAGES_H
#define QR_TESTS_KV_PAGES_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/attention.h"

struct kv_pages {
    struct qr_kv_view view; /* of KV head 0; head h's base is h * head_bytes further */
    size_t head_bytes;
    uint32_t *ids;
};

static inline uint32_t kv_pages_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33);
}

/* About normal. */
static inline void kv_pages_fill(float *x, size_t n, uint64_t *state)
{
    for (size_t i = 0; i < n; i++) {
        float sum = 0;

        for (unsigned j = 0; j < 4; j++)
            sum += (float)kv_pages_random(state) * 0x1p-30f - 1.0f;
        x[i] = sum * 0.8660254f;
    }
}

/* seed 0: pages in order; otherwise shuffled. */
static inline struct kv_pages kv_pages_make(enum qr_kv_type type, uint32_t head_dim,
                                            uint32_t heads_n, uint32_t page_tokens,
                                            uint32_t tokens_n, uint64_t seed)
{
    uint32_t pages_n = (tokens_n + page_tokens - 1) / page_tokens;
    size_t half = page_tokens / QR_KV_PANEL * qr_kv_panel_bytes(type, head_dim);
    struct kv_pages p = {.head_bytes = 2 * half, .ids = malloc(pages_n * sizeof *p.ids)};
    size_t bytes = pages_n * heads_n * p.head_bytes;
    uint8_t *base = aligned_alloc(64, (bytes + 63) / 64 * 64);

    if (!p.ids || !base) abort();
    memset(base, 0xff, bytes);
    for (uint32_t i = 0; i < pages_n; i++) {
        uint32_t j = seed ? kv_pages_random(&seed) % (i + 1) : i;

        p.ids[i] = p.ids[j];
        p.ids[j] = i;
    }
    p.view = (struct qr_kv_view){.type = type,
                                 .head_dim = head_dim,
                                 .page_tokens = page_tokens,
                                 .page_bytes = heads_n * p.head_bytes,
                                 .base = base,
                                 .v_offset = half,
                                 .pages = p.ids};
    return p;
}

static inline void kv_pages_free(struct kv_pages *p)
{
    free(p->view.base);
    free(p->ids);
}

#endif
