/* SPDX-License-Identifier: MIT */
/* sim_model -- the fake model.  It writes a stamp of (salt, all tokens up to here, layer, head) as
 * each token's key and value.  In each step it reads a sequence's whole history back, or what the
 * window sees of it.  A page that two sequences own, that is lost, that is written while others
 * read it or that is found for another text shows as a wrong stamp.  Without a prefix tree the
 * stamp also names the sequence. */
#ifndef QR_TESTS_SCHEDULER_SIM_MODEL_H
#define QR_TESTS_SCHEDULER_SIM_MODEL_H

#include "sim_pages.h"

static uint32_t *sim_slot(const struct sim *sim, uint32_t layer, uint32_t head, bool is_value,
                          const qr_page_id *pages, uint32_t position)
{
    struct qr_kv_view view = qr_kv_store_view(&sim->world.store, layer, head, pages);
    uint32_t in_page = position % view.page_tokens;
    uint32_t panel = in_page / QR_KV_PANEL, token = in_page % QR_KV_PANEL;
    uint32_t dim = position % view.head_dim;
    uint32_t *half;

    half =
        (uint32_t *)(void *)(view.base + view.pages[position / view.page_tokens] * view.page_bytes +
                             (is_value ? view.v_offset : 0));
    half += panel * QR_KV_PANEL * view.head_dim;
    return half + (is_value ? token * view.head_dim + dim : dim * QR_KV_PANEL + token);
}

static uint32_t sim_stamp(const struct sim *sim, const struct sim_seq *seq, uint32_t position,
                          uint32_t stream)
{
    uint32_t past = seq->text->pasts[position];

    return (sim->has_tree ? past : past ^ ((uint32_t)seq->stamps_as * 2654435761u)) * 8u + stream;
}

/* Writes the item's tokens, then reads all tokens that the item's tokens see. */
static void sim_compute(struct sim *sim, const struct qr_plan_item *item)
{
    const struct sim_seq *seq = &sim->seqs[item->seq];
    uint32_t end = item->position + item->tokens_n;

    for (uint32_t stream = 0; stream < WORLD_LAYERS * WORLD_HEADS * 2; stream++) {
        uint32_t layer = stream / 2 / WORLD_HEADS, head = stream / 2 % WORLD_HEADS;
        for (uint32_t p = item->position; p < end; p++)
            *sim_slot(sim, layer, head, stream % 2, item->pages, p) =
                sim_stamp(sim, seq, p, stream);
    }
    for (uint32_t stream = 0; stream < WORLD_LAYERS * WORLD_HEADS * 2; stream++) {
        uint32_t layer = stream / 2 / WORLD_HEADS, head = stream / 2 % WORLD_HEADS;
        for (uint32_t p = sim_seen_from(sim, item->position); p < end; p++)
            SIM_CHECK(sim, *sim_slot(sim, layer, head, stream % 2, item->pages, p) ==
                               sim_stamp(sim, seq, p, stream));
    }
}

#endif
