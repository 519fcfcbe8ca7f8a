/* SPDX-License-Identifier: MIT */
/* sim_tree -- what the prefix tree has of a text, found by looking at every page. */
#ifndef QR_TESTS_SCHEDULER_SIM_TREE_H
#define QR_TESTS_SCHEDULER_SIM_TREE_H

#include "sim_pages.h"

/* How many of a kept page's tokens are the text's; 0 if a node above it has other tokens or the
 * salt differs.  *depth: the number of nodes above it. */
static uint32_t sim_common_in(const struct sim *sim, const struct sim_seq *seq, qr_page_id page,
                              uint32_t *depth)
{
    const struct qr_prefix_tree *tree = &sim->world.tree;
    qr_node_id ids[SIM_TOKENS_MAX];
    uint32_t n = 0, common_n = sim->page_tokens, page_tokens = sim->page_tokens;

    for (qr_node_id id = tree->node_of[page]; id != QR_NODE_NONE; id = tree->nodes[id].parent)
        ids[n++] = id;
    *depth = n - 1;
    if (memcmp(&tree->nodes[ids[n - 1]].salt, &seq->text->salt, sizeof seq->text->salt) != 0)
        return 0;
    for (uint32_t i = 0; i < n; i++) {
        const int32_t *tokens = tree->tokens + (size_t)ids[n - 1 - i] * page_tokens;
        const int32_t *own = seq->text->tokens + (size_t)i * page_tokens;
        if (common_n < page_tokens) return 0;
        common_n = 0;
        while (common_n < tree->nodes[ids[n - 1 - i]].tokens_n &&
               i * page_tokens + common_n < seq->known_n && tokens[common_n] == own[common_n])
            common_n++;
    }
    return common_n;
}

/* The longest prefix of the text, at most limit_n, for which every page that the next token reads
 * is there. */
static uint32_t sim_longest(const struct sim *sim, const struct sim_seq *seq, uint32_t limit_n)
{
    uint32_t has_n[SIM_TOKENS_MAX] = {0}, n;

    for (qr_page_id page = 0; page < sim->pages_n; page++) {
        uint32_t depth, common_n;
        if (!qr_page_pool_kept(&sim->world.pool, page)) continue;
        common_n = sim_common_in(sim, seq, page, &depth);
        if (common_n > has_n[depth]) has_n[depth] = common_n;
    }
    for (n = limit_n; n > 0; n--) {
        uint32_t last = (n - 1) / sim->page_tokens, i = sim_left_n(sim, n);
        while (i < last && has_n[i] == sim->page_tokens)
            i++;
        if (i == last && has_n[last] >= n - last * sim->page_tokens) break;
    }
    return n;
}

/* An admitted sequence matched all that the tree had.  That is at most what the tree had before the
 * plan and at least what it has now, since a plan only evicts.  If no page was left for the copy of
 * a partly matched page, it matched all that needs no copy. */
static void sim_check_taken(struct sim *sim, const struct sim_seq *seq, uint32_t taken_n)
{
    uint32_t least_n = sim_longest(sim, seq, seq->known_n - 1);

    SIM_CHECK(sim, taken_n <= seq->most_n);
    sim->n.exact += least_n == seq->most_n && taken_n > 0;
    sim->n.exact_holes += least_n == seq->most_n && sim_left_n(sim, taken_n) > 0;
    if (taken_n >= least_n || (sim->window > 0 && taken_n == 0)) return;
    SIM_CHECK(sim, taken_n % sim->page_tokens == 0 || sim->window > 0);
    least_n = sim_longest(sim, seq, least_n - least_n % sim->page_tokens);
    SIM_CHECK(sim, taken_n >= least_n);
}

#endif
