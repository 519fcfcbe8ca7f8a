/* SPDX-License-Identifier: MIT */
/* sim_forks -- sequences that start with another's pages, and the copies that follow. */
#ifndef QR_TESTS_SCHEDULER_SIM_FORKS_H
#define QR_TESTS_SCHEDULER_SIM_FORKS_H

#include "sim_moves.h"

/* A sequence starts with what another has computed. */
static void sim_begin_forked(struct sim *sim, struct sim_seq *seq, const struct sim_seq *from)
{
    seq->leader = QR_SEQ_NONE;
    seq->computed_n = from->computed_n;
    seq->stamps_as = from->stamps_as;
    seq->last = from->last;
    seq->copies_n++;
    seq->ran = seq->runs = true;
    sim_bound_preemptions(sim, seq);
    sim->n.forks++;
}

/* The leader has computed the prompt: the attached sequences start. */
static void sim_fork_attached(struct sim *sim, uint32_t leader)
{
    uint32_t id, attached_n = sim_attached_n(sim, leader, &id);

    if (attached_n > 0) sim->seqs[leader].copies_n++;
    for (; attached_n > 0; attached_n = sim_attached_n(sim, leader, &id)) {
        SIM_CHECK(sim, qr_scheduler_state(sim->world.scheduler, id) == QR_SEQ_RUNNING);
        sim_serve(sim, &sim->seqs[id], 2);
        sim_begin_forked(sim, &sim->seqs[id], &sim->seqs[leader]);
    }
}

/* Forks a sequence.  It must run at once if it can, and wait otherwise. */
static void sim_fork(struct sim *sim)
{
    uint32_t parent = sim_choose(sim, sim->limits.running_max + sim->limits.waiting_max);
    struct sim_seq *from = &sim->seqs[parent], *seq;
    uint32_t longest = qr_scheduler_tokens_max(sim->world.scheduler), room_n = sim_room_n(sim);
    uint32_t slots_n = qr_scheduler_running_n(sim->world.scheduler), tokens_max, first;
    struct sim_text *text;
    qr_seq_id id;
    bool now;

    if (!from->live) return;
    for (uint32_t i = 0; i < SIM_SEQS_MAX; i++)
        if (sim_runs(sim, i)) slots_n += sim_attached_n(sim, i, &first);
    tokens_max = from->known_n + sim_choose(sim, longest - from->known_n + 1);
    text = sim_copy_text(sim, from->text);
    text->fresh = sim_choose(sim, 16) == 1;
    now = sim_runs(sim, parent) && from->known_n == from->computed_n + 1 && !text->fresh &&
          qr_scheduler_waiting_n(sim->world.scheduler) == 0 && slots_n < sim->limits.running_max;
    const struct qr_submission submission = sim_submission(sim, text, from->known_n, tokens_max);
    id = qr_scheduler_fork(sim->world.scheduler, parent, &submission);
    if (sim->has_twin)
        SIM_CHECK(sim, qr_scheduler_fork(sim->twin.scheduler, parent, &submission) == id);
    SIM_CHECK(sim, (id == QR_SEQ_NONE) == (room_n == 0));
    if (id == QR_SEQ_NONE) {
        free(text);
        return;
    }
    seq = sim_put(sim, id, text, &submission);
    SIM_CHECK(sim, sim_runs(sim, id) == now);
    sim->n.queued_forks += !now;
    if (!now) {
        sim_fair_queue_wait(&sim->fair, seq->user_node);
        return;
    }
    seq->place = sim->places_n++;
    sim_serve(sim, seq, 1);
    sim_begin_forked(sim, seq, from);
    /* The parent may now copy a page, which is growth for every sequence after it. */
    from->copies_n++;
    for (uint32_t i = 0; i < SIM_SEQS_MAX; i++)
        if (sim->seqs[i].live && sim->seqs[i].ran && !sim_before(&sim->seqs[i], from))
            sim->seqs[i].growth_n++;
}

/* A running sequence continues in the page of its last token, or in a copy of it. */
static void sim_count_copies(struct sim *sim, const struct qr_plan *plan)
{
    for (uint32_t i = 0; i < plan->items_n; i++) {
        const struct qr_plan_item *item = &plan->items[i];
        struct sim_seq *seq = &sim->seqs[item->seq];
        if (seq->was_running && item->position % sim->page_tokens != 0 &&
            item->pages[item->position / sim->page_tokens] != seq->last) {
            SIM_CHECK(sim, seq->copies_n > 0);
            seq->copies_n--;
            sim->n.fork_copies++;
        }
        seq->last = item->pages[(item->position + item->tokens_n - 1) / sim->page_tokens];
    }
}

#endif
