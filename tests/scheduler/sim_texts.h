/* SPDX-License-Identifier: MIT */
/* sim_texts -- the simulation's texts.  They come from few families and differ from any token on,
 * so that much is shared, matches end inside pages and siblings are similar.  There are two salts.
 * The model's answer mostly follows from the text. */
#ifndef QR_TESTS_SCHEDULER_SIM_TEXTS_H
#define QR_TESTS_SCHEDULER_SIM_TEXTS_H

#include "sim_choices.h"

static uint32_t sim_hash(uint32_t a, uint32_t b)
{
    uint32_t h = (a ^ (b + 0x9e3779b9u)) * 2654435761u;

    return (h ^ (h >> 15)) * 2246822519u;
}

static void sim_put_token(struct sim_text *text, uint32_t at, int32_t token)
{
    uint32_t past = at > 0 ? text->pasts[at - 1]
                           : sim_hash((uint32_t)text->salt.words[0], (uint32_t)text->salt.words[1]);

    text->tokens[at] = token;
    text->pasts[at] = sim_hash(past, (uint32_t)token);
}

/* One family's text up to some token, another family's from there on. */
static struct sim_text *sim_draw_text(struct sim *sim, uint32_t tokens_n)
{
    struct sim_text *text = calloc(1, sizeof *text);
    uint32_t family = sim_choose(sim, 3), other = sim_choose(sim, 3);

    if (sim->group_left > 0) family = other = sim->group;
    uint32_t differ_at = sim_choose(sim, 2) == 0 ? tokens_n : sim_choose(sim, tokens_n);

    SIM_CHECK(sim, text);
    text->first = text->tokens;
    if (sim_choose(sim, 8) == 1 && sim->group_left == 0) text->salt.words[sim_choose(sim, 2)] = 1;
    text->fresh = sim_choose(sim, 16) == 1;
    for (uint32_t i = 0; i < tokens_n; i++)
        sim_put_token(text, i, (int32_t)(sim_hash(i < differ_at ? family : other, i) % 3));
    return text;
}

/* Appends an answer token, which mostly follows from the text. */
static void sim_answer(struct sim *sim, struct sim_seq *seq)
{
    uint32_t past = seq->text->pasts[seq->known_n - 1];

    sim_put_token(seq->text, seq->known_n, sim_choose(sim, 32) == 1 ? 3 : (int32_t)(past % 3));
    seq->known_n++;
}

static struct sim_text *sim_copy_text(struct sim *sim, const struct sim_text *from)
{
    struct sim_text *text = malloc(sizeof *text);

    SIM_CHECK(sim, text);
    *text = *from;
    text->first = text->tokens;
    return text;
}

/* The length of two texts' common prefix; 0 if their salts differ. */
static uint32_t sim_common(const struct sim_seq *a, const struct sim_seq *b)
{
    uint32_t i = 0;

    if (memcmp(&a->text->salt, &b->text->salt, sizeof a->text->salt) != 0) return 0;
    while (i < a->known_n && i < b->known_n && a->text->tokens[i] == b->text->tokens[i])
        i++;
    return i;
}

#endif
