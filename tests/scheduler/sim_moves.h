/* SPDX-License-Identifier: MIT */
/* sim_moves -- which sequences are admitted and preempted, in what order, what they start with, and
 * how often a sequence may be preempted. */
#ifndef QR_TESTS_SCHEDULER_SIM_MOVES_H
#define QR_TESTS_SCHEDULER_SIM_MOVES_H

#include "sim_pages.h"
#include "sim_requests.h"
#include "sim_tree.h"

/* The order of admitted sequences. */
static bool sim_before(const struct sim_seq *a, const struct sim_seq *b)
{
    return a->priority != b->priority ? a->priority < b->priority : a->place < b->place;
}

/* Charges a sequence's client and user. */
static void sim_serve(struct sim *sim, const struct sim_seq *seq, uint32_t cost)
{
    uint32_t p = 0;

    while (sim_priorities[p] != seq->priority)
        p++;
    sim->service[p][seq->client].got += cost;
    sim_fair_queue_charge(&sim->fair, seq->user_node, cost);
}

/* The sequence to admit next: the first preempted one, unless the fair queue's next one has a lower
 * priority.  NULL: none waits. */
static struct sim_seq *sim_next(struct sim *sim)
{
    struct sim_seq *returning = NULL, *fresh = NULL;
    uint32_t user = sim_fair_queue_next(&sim->fair);

    for (uint32_t id = 0; id < SIM_SEQS_MAX; id++) {
        struct sim_seq *seq = &sim->seqs[id];
        if (!seq->live || seq->runs || seq->leader != QR_SEQ_NONE) continue;
        if (seq->ran && (!returning || sim_before(seq, returning))) returning = seq;
        if (!seq->ran && seq->user_node == user && (!fresh || seq->serial < fresh->serial))
            fresh = seq;
    }
    SIM_CHECK(sim, (!fresh) == (user == SIM_FAIR_NODE_NONE));
    if (!returning || !fresh) return returning ? returning : fresh;
    return returning->priority <= fresh->priority ? returning : fresh;
}

/* A sequence starts with what the tree had of it, never with its last token. */
static void sim_begin(struct sim *sim, const struct qr_plan_item *item)
{
    struct sim_seq *seq = &sim->seqs[item->seq];

    SIM_CHECK(sim, seq->computed_n == 0);
    seq->computed_n = item->position;
    sim->n.hits += seq->computed_n;
    sim->n.readmissions += seq->preemptions_n > 0;
    sim->n.resumed += seq->preemptions_n > 0 && seq->computed_n > 0;
    sim->n.oversized += sim_pages_for(sim, seq->known_n) > sim->pages_n;
    SIM_CHECK(sim, seq->computed_n < seq->known_n);
    if (!sim->has_tree || seq->text->fresh)
        SIM_CHECK(sim, seq->computed_n == 0);
    else
        sim_check_taken(sim, seq, item->position);
}

/* Bounds a sequence's preemptions, at its first admission or fork.  growth_n: the pages by which it
 * and the sequences running before it can grow, copies after a fork included.  older_n: the number
 * of those.  A sequence that is admitted before it later adds all its pages and two, and counts as
 * one.  Sequences attached to a running one count too. */
static void sim_bound_preemptions(struct sim *sim, struct sim_seq *seq)
{
    for (uint32_t i = 0; i < SIM_SEQS_MAX; i++) {
        struct sim_seq *other = &sim->seqs[i];
        uint32_t first;
        if (!other->live) continue;
        if (other->leader != QR_SEQ_NONE && sim->seqs[other->leader].runs &&
            sim_before(other, seq)) {
            seq->growth_n +=
                sim_pages_for(sim, other->tokens_max) - sim_pages_for(sim, other->known_n) + 1;
            seq->older_n++;
        }
        if (!other->ran) continue;
        if (sim_before(seq, other)) {
            other->growth_n += sim_pages_for(sim, seq->tokens_max) + 2;
            other->older_n++;
        } else if (other->runs) {
            seq->growth_n +=
                sim_pages_for(sim, other->tokens_max) - sim_pages_for(sim, other->known_n);
            seq->growth_n += other->copies_n + (sim_attached_n(sim, i, &first) > 0);
            seq->older_n += other != seq;
        }
    }
}

static void sim_admit(struct sim *sim, const struct qr_plan_item *item)
{
    struct sim_seq *seq = &sim->seqs[item->seq];

    SIM_CHECK(sim, seq == sim_next(sim));
    sim_begin(sim, item);
    seq->runs = true;
    if (seq->ran) return;
    seq->ran = true;
    seq->place = sim->places_n++;
    for (uint64_t serial = seq->serial + 1; serial < sim->serials_n; serial++)
        for (uint32_t i = 0; i < SIM_SEQS_MAX; i++)
            if (sim->seqs[i].live && sim->seqs[i].leader == item->seq &&
                sim->seqs[i].serial == serial)
                sim->seqs[i].place = sim->places_n++;
    sim_fair_queue_take(&sim->fair, seq->user_node);
    sim_serve(sim, seq, seq->known_n - item->position);
    sim_bound_preemptions(sim, seq);
}

static void sim_preempt(struct sim *sim, struct sim_seq *seq)
{
    uint32_t most = (seq->growth_n + 2) / 3;

    SIM_CHECK(sim, !sim->planted);
    seq->runs = false;
    seq->preemptions_n++;
    seq->computed_n = 0;
    if (!sim->has_tree && sim->window == 0 && seq->older_n < most) most = seq->older_n;
    SIM_CHECK(sim, seq->preemptions_n <= most);
    sim->n.preemptions++;
}

/* Finds the preempted and the admitted sequences and checks their order: all running sequences come
 * before all preempted ones. */
static void sim_check_moves(struct sim *sim, const struct qr_plan *plan)
{
    uint32_t preempted_n = 0, admitted_n = 0;
    const struct sim_seq *last = NULL;

    for (uint32_t id = 0; id < SIM_SEQS_MAX; id++) {
        struct sim_seq *seq = &sim->seqs[id];
        seq->runs = seq->was_running;
        if (!seq->was_running || sim_runs(sim, id)) continue;
        preempted_n++;
        sim_preempt(sim, seq);
    }
    for (uint32_t i = 0; i < plan->items_n; i++) {
        if (sim->seqs[plan->items[i].seq].was_running) continue;
        admitted_n++;
        sim_admit(sim, &plan->items[i]);
    }
    for (uint32_t id = 0; id < SIM_SEQS_MAX; id++) {
        const struct sim_seq *seq = &sim->seqs[id];
        SIM_CHECK(sim, seq->runs == sim_runs(sim, id));
        if (seq->runs && (!last || sim_before(last, seq))) last = seq;
    }
    for (uint32_t id = 0; id < SIM_SEQS_MAX; id++) {
        const struct sim_seq *seq = &sim->seqs[id];
        if (seq->live && seq->ran && !seq->runs) SIM_CHECK(sim, !last || sim_before(last, seq));
    }
    SIM_CHECK(sim, plan->preempted_n == preempted_n);
    SIM_CHECK(sim, plan->admitted_n == admitted_n);
    SIM_CHECK(sim, preempted_n == 0 || admitted_n == 0);
}

#endif
