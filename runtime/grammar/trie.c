/* SPDX-License-Identifier: MIT */
#include "runtime/grammar/trie.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

/* ---- building ------------------------------------------------------------------------------- */

struct sorted {
    const char *bytes;
    size_t n;
    uint32_t id;
};

static int compare_tokens(const void *a, const void *b)
{
    const struct sorted *x = a, *y = b;
    size_t n = x->n < y->n ? x->n : y->n;
    int order = memcmp(x->bytes, y->bytes, n);

    if (order) return order;
    if (x->n != y->n) return x->n < y->n ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* The nodes of one token after the `common` bytes that it shares with the one before. */
static bool add_token(struct qr_trie *trie, struct qr_trie_band *band, const struct sorted *token,
                      size_t common, struct qr_budget *budget)
{
    for (size_t i = common; i < token->n; i++) {
        if (!QR_RESERVE(budget, band, nodes, band->nodes_n + 1)) return false;
        band->nodes[band->nodes_n++] = (struct qr_trie_node){.byte = (uint8_t)token->bytes[i],
                                                             .depth = (uint16_t)(i + 1),
                                                             .tokens = (uint32_t)band->ids_n};
    }
    if (!QR_RESERVE(budget, band, ids, band->ids_n + 1)) return false;
    struct qr_trie_node *node = &band->nodes[band->nodes_n - 1];
    node->tokens_n++;
    band->ids[band->ids_n++] = token->id;
    if (token->n > trie->depth_max) trie->depth_max = (uint32_t)token->n;
    band->mask[token->id >> 6] |= UINT64_C(1) << (token->id & 63);
    return true;
}

/* Where each node's part ends: at the next node that is not deeper. */
static bool find_ends(struct qr_trie_band *band, uint32_t depth_max, struct qr_budget *budget)
{
    struct {
        uint32_t *at; /* the node that is open at each depth */
        size_t at_capacity;
    } open = {0};
    uint32_t depth = 0;

    if (!QR_RESERVE(budget, &open, at, (size_t)depth_max + 2)) return false;
    for (uint32_t i = 0; i < band->nodes_n; i++) {
        for (; depth >= band->nodes[i].depth; depth--)
            band->nodes[open.at[depth]].end = i;
        depth = band->nodes[i].depth;
        open.at[depth] = i;
    }
    for (; depth > 0; depth--)
        band->nodes[open.at[depth]].end = (uint32_t)band->nodes_n;
    qr_array_free(budget, open.at);
    budget->bytes_left += open.at_capacity * sizeof *open.at;
    return true;
}

/* The longest token of each band, in characters; 0: what is not easy. */
static const uint32_t band_chars[QR_TRIE_BANDS] = {0, 2, 4, 8, 16, 32, UINT32_MAX - 1};

static uint32_t band_of(const struct qr_token_bytes *token)
{
    const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)token->bytes;
    size_t left = token->n;
    uint32_t chars_n = 0, band = 1;

    for (; left; chars_n++) {
        utf8proc_int32_t code;
        utf8proc_ssize_t used = utf8proc_iterate(at, (utf8proc_ssize_t)left, &code);
        if (used <= 0 || !qr_is_easy((uint32_t)code)) return 0;
        at += used;
        left -= (size_t)used;
    }
    while (chars_n > band_chars[band])
        band++;
    return band;
}

static bool fill_bands(struct qr_trie *trie, const struct qr_token_bytes *tokens,
                       const struct sorted *order, size_t n, struct qr_budget *budget)
{
    const struct sorted *last[QR_TRIE_BANDS] = {NULL};

    for (uint32_t b = 0; b < QR_TRIE_BANDS; b++) {
        struct qr_trie_band *band = &trie->bands[b];
        band->chars_max = band_chars[b];
        if (!QR_RESERVE(budget, band, mask, trie->words_n)) return false;
        memset(band->mask, 0, trie->words_n * sizeof *band->mask);
    }
    for (size_t i = 0; i < n; i++) {
        const struct sorted *token = &order[i];
        uint32_t b = band_of(&tokens[token->id]);
        size_t common = 0;
        if (last[b])
            while (common < token->n && common < last[b]->n &&
                   token->bytes[common] == last[b]->bytes[common])
                common++;
        if (!add_token(trie, &trie->bands[b], token, common, budget)) return false;
        last[b] = token;
    }
    for (uint32_t b = 0; b < QR_TRIE_BANDS; b++)
        if (!find_ends(&trie->bands[b], trie->depth_max, budget)) return false;
    return true;
}

bool qr_trie_init(struct qr_trie *trie, const struct qr_token_bytes *tokens, uint32_t vocab_n,
                  struct qr_budget *budget)
{
    struct {
        struct sorted *all;
        size_t all_capacity;
    } order = {0};
    size_t n = 0;

    *trie = (struct qr_trie){.vocab_n = vocab_n, .words_n = (vocab_n + 63) / 64};
    if (!QR_RESERVE(budget, &order, all, vocab_n)) return false;
    for (uint32_t id = 0; id < vocab_n; id++)
        if (tokens[id].n > 0 && tokens[id].n <= UINT16_MAX)
            order.all[n++] = (struct sorted){tokens[id].bytes, tokens[id].n, id};
        else if (tokens[id].n)
            budget->failed = true;
    if (n) qsort(order.all, n, sizeof *order.all, compare_tokens);
    bool ok = !budget->failed && fill_bands(trie, tokens, order.all, n, budget);
    qr_array_free(budget, order.all);
    budget->bytes_left += order.all_capacity * sizeof *order.all;
    if (!ok) qr_trie_deinit(trie, budget);
    return ok;
}

void qr_trie_deinit(struct qr_trie *trie, struct qr_budget *budget)
{
    for (uint32_t b = 0; b < QR_TRIE_BANDS; b++) {
        qr_array_free(budget, trie->bands[b].nodes);
        qr_array_free(budget, trie->bands[b].ids);
        qr_array_free(budget, trie->bands[b].mask);
    }
    *trie = (struct qr_trie){0};
}

/* ---- the mask ------------------------------------------------------------------------------- */

/* The tokens [begin, end) of a band's ids. */
static inline void allow(const struct qr_trie_band *band, uint32_t begin, uint32_t end,
                         uint64_t *bits)
{
    for (uint32_t i = begin; i < end; i++)
        bits[band->ids[i] >> 6] |= UINT64_C(1) << (band->ids[i] & 63);
}

static inline void allow_node(const struct qr_trie_band *band, const struct qr_trie_node *node,
                              uint64_t *bits)
{
    allow(band, node->tokens, node->tokens + node->tokens_n, bits);
}

/* A node's tokens and those below it. */
static inline void allow_part(const struct qr_trie_band *band, const struct qr_trie_node *node,
                              uint64_t *bits)
{
    uint32_t end =
        node->end < band->nodes_n ? band->nodes[node->end].tokens : (uint32_t)band->ids_n;

    allow(band, node->tokens, end, bits);
}

/* Nodes [begin, end), of which the first is one byte deeper than the matcher is. */
static void walk(const struct qr_trie_band *band, struct qr_matcher *m, uint32_t begin,
                 uint32_t end, uint64_t *bits)
{
    const size_t base = m->frames_n;
    const uint32_t depth = begin < end ? band->nodes[begin].depth : 0;

    for (uint32_t i = begin; i < end && !m->budget->failed;) {
        const struct qr_trie_node *node = &band->nodes[i];
        qr_matcher_pop(m, m->frames_n - base - (node->depth - depth));
        if (qr_matcher_push(m, node->byte)) {
            allow_node(band, node, bits);
            i++;
        } else {
            i = node->end;
        }
    }
    qr_matcher_pop(m, m->frames_n - base);
}

#define FAST_DEPTH 128u

/* One band, from a frame with one thread.  While the text stays inside that thread's lexeme a byte
 * is one move of the lexer.  Where a lexeme may end the matcher takes over, for the nodes below. */
static void walk_band(const struct qr_trie_band *band, struct qr_matcher *m, uint32_t state,
                      uint64_t *bits)
{
    struct qr_lexer *lexer = m->rules->lexer;
    uint32_t states[FAST_DEPTH], nodes_n = (uint32_t)band->nodes_n;
    uint8_t path[FAST_DEPTH];

    states[0] = state;
    for (uint32_t i = 0; i < nodes_n && !m->budget->failed;) {
        const struct qr_trie_node *node = &band->nodes[i];
        const uint32_t depth = node->depth;
        uint32_t to = qr_lexer_next(lexer, states[depth - 1], node->byte);
        path[depth - 1] = node->byte;
        if (to == QR_LEX_DEAD) {
            i = node->end;
        } else if (band->chars_max && qr_lexer_reach(lexer, to) >= band->chars_max) {
            allow_part(band, node,
                       bits); /* all tokens below are easy characters, and the reach covers them */
            i = node->end;
        } else if (lexer->states[to].accepts_n == 0 && depth + 1 < FAST_DEPTH) {
            states[depth] = to;
            allow_node(band, node, bits);
            i++;
        } else { /* the matcher follows to here, and walks what is below */
            size_t pushed = 0;
            while (pushed < depth && qr_matcher_push(m, path[pushed]))
                pushed++;
            if (pushed == depth) {
                allow_node(band, node, bits);
                walk(band, m, i + 1, node->end, bits);
            }
            qr_matcher_pop(m, pushed);
            i = node->end;
        }
    }
}

/* The mask of the i-th thread of the top frame, which stays as it is. */
static bool thread_mask(const struct qr_trie *trie, struct qr_matcher *m, uint32_t i,
                        uint64_t *bits)
{
    const struct qr_thread thread = m->threads[qr_matcher_top(m)->threads + i];

    memset(bits, 0, trie->words_n * sizeof *bits);
    if (!qr_matcher_push_thread(m, thread)) return false;
    for (uint32_t b = 0; b < QR_TRIE_BANDS && !m->budget->failed; b++) {
        const struct qr_trie_band *band = &trie->bands[b];
        if (band->chars_max && qr_lexer_reach(m->rules->lexer, thread.state) >= band->chars_max)
            for (uint32_t w = 0; w < trie->words_n; w++)
                bits[w] |= band->mask[w];
        else
            walk_band(band, m, thread.state, bits);
    }
    qr_matcher_pop(m, 1);
    return !m->budget->failed;
}

#define CACHED_N 8u

bool qr_trie_mask(const struct qr_trie *trie, struct qr_matcher *m, struct qr_mask_cache *cache,
                  uint64_t *bits)
{
    const uint32_t threads_n = qr_matcher_top(m)->threads_n;

    memset(bits, 0, trie->words_n * sizeof *bits);
    if (!QR_RESERVE(m->budget, cache, masks, (size_t)CACHED_N * trie->words_n)) return false;
    for (uint32_t i = 0; i < threads_n; i++) {
        const struct qr_thread thread = m->threads[qr_matcher_top(m)->threads + i];
        const uint64_t serial = m->rows[thread.row].serial;
        uint32_t at = CACHED_N, oldest = 0;
        for (uint32_t k = 0; k < CACHED_N; k++) {
            if (cache->keys[k].used && cache->keys[k].row == thread.row &&
                cache->keys[k].state == thread.state && cache->keys[k].serial == serial)
                at = k;
            if (cache->keys[k].used < cache->keys[oldest].used) oldest = k;
        }
        if (at == CACHED_N) {
            at = oldest;
            cache->keys[at].used = 0;
            if (!thread_mask(trie, m, i, cache->masks + (size_t)at * trie->words_n)) return false;
            cache->keys[at].row = thread.row;
            cache->keys[at].state = thread.state;
            cache->keys[at].serial = serial;
        }
        cache->keys[at].used = ++cache->used;
        for (uint32_t w = 0; w < trie->words_n; w++)
            bits[w] |= cache->masks[(size_t)at * trie->words_n + w];
    }
    return true;
}
