/* SPDX-License-Identifier: MIT */
/* simulation -- runs the scheduler and the cache with a fake model, and checks every rule of
 * scheduler.h after every step against a second, plain model of sequences, tokens and pages.
 *
 *     sim_state.h       the state of that model
 *     sim_choices.h     choices from a seed or a fuzzer's bytes
 *     sim_fair_queue.h  the order of waiting requests
 *     sim_pages.h       pages by tokens, windows
 *     sim_texts.h       texts that have much in common
 *     sim_requests.h    submits, groups, cancels, ends
 *     sim_model.h       the fake model, which notices a wrong page
 *     sim_tree.h        what the tree has of a text
 *     sim_moves.h       admissions and preemptions
 *     sim_forks.h       forks
 *     sim_plan.h        what a plan must be
 *
 * A failure prints the condition that does not hold and the scheduler's state, and aborts. */
#ifndef QR_TESTS_SCHEDULER_SIMULATION_H
#define QR_TESTS_SCHEDULER_SIMULATION_H

#include "sim_forks.h"
#include "sim_model.h"
#include "sim_plan.h"

static void sim_open(struct sim *sim)
{
    sim_configure(sim);
    SIM_CHECK(sim, sim->limits.running_max + sim->limits.waiting_max <= SIM_SEQS_MAX);
    sim->first_serial = UINT64_MAX;
    sim_fair_queue_init(&sim->fair, sim->limits.running_max + sim->limits.waiting_max);
    world_open(&sim->world, &sim->limits, sim->pages_n, sim->page_tokens, sim->has_tree);
    if (sim->has_twin)
        world_open(&sim->twin, &sim->limits, sim->pages_n, sim->page_tokens, sim->has_tree);
}

static void sim_close(struct sim *sim)
{
    world_close(&sim->world);
    if (sim->has_twin) world_close(&sim->twin);
}

/* Each attached sequence gets its own first token, or ends with it. */
static void sim_answer_attached(struct sim *sim, uint32_t leader)
{
    for (uint32_t id = 0; id < SIM_SEQS_MAX; id++) {
        struct sim_seq *seq = &sim->seqs[id];
        if (!seq->live || seq->leader != leader) continue;
        if (seq->ends_at == seq->known_n || sim_choose(sim, 16) == 1) {
            sim->n.attached_ends++;
            sim_cancel(sim, id);
        } else {
            sim_answer(sim, seq);
        }
    }
}

static void sim_commit(struct sim *sim, const struct qr_plan *plan)
{
    struct qr_result results[SIM_SEQS_MAX] = {0};
    qr_seq_id ids[SIM_SEQS_MAX];
    bool yields[SIM_SEQS_MAX];
    uint32_t items_n = plan->items_n;

    for (uint32_t i = 0; i < items_n; i++) {
        const struct qr_plan_item *item = &plan->items[i];
        struct sim_seq *seq = &sim->seqs[item->seq];
        sim_compute(sim, item);
        seq->computed_n += item->tokens_n;
        ids[i] = item->seq;
        yields[i] = item->wants_logits;
        if (item->wants_logits) sim_answer_attached(sim, item->seq);
        results[i].finished = seq->computed_n == seq->ends_at || sim_choose(sim, sim->stop_in) == 1;
        if (item->wants_logits) sim_serve(sim, seq, 2);
        if (!results[i].finished && item->wants_logits) sim_answer(sim, seq);
    }
    qr_scheduler_commit(sim->world.scheduler, results, items_n);
    if (sim->has_twin) qr_scheduler_commit(sim->twin.scheduler, results, items_n);
    for (uint32_t i = 0; i < items_n; i++)
        if (yields[i]) sim_fork_attached(sim, ids[i]);
    for (uint32_t i = 0; i < items_n; i++)
        if (results[i].finished) {
            sim_promote(sim, ids[i]);
            sim_end(sim, ids[i]);
            sim->n.finished++;
        }
}

static void sim_step(struct sim *sim)
{
    const struct qr_plan *plan;
    uint32_t live_n = 0;

    for (uint32_t id = 0; id < SIM_SEQS_MAX; id++) {
        sim->seqs[id].was_running = sim_runs(sim, id);
        live_n += sim->seqs[id].live;
        if (sim->has_tree && sim->seqs[id].live && !sim->seqs[id].was_running)
            sim->seqs[id].most_n = sim_longest(sim, &sim->seqs[id], sim->seqs[id].known_n - 1);
    }
    qr_scheduler_set_budget(sim->world.scheduler, &sim->budget);
    if (sim->has_twin) qr_scheduler_set_budget(sim->twin.scheduler, &sim->budget);
    plan = qr_scheduler_plan(sim->world.scheduler);
    qr_scheduler_check(sim->world.scheduler);
    if (sim->trace)
        fprintf(stderr, "turn %llu: step of %u items, %u tokens, %u admitted, %u preempted\n",
                (unsigned long long)sim->turn, plan->items_n, plan->tokens_n, plan->admitted_n,
                plan->preempted_n);
    SIM_CHECK(sim, (plan->items_n == 0) == (live_n == 0));
    if (sim->has_twin) sim_check_twin(sim, plan);
    sim_check_moves(sim, plan);
    sim_check_items(sim, plan);
    sim_count_copies(sim, plan);
    sim_check_fill(sim, plan);
    sim_check_first(sim);
    sim_check_service(sim);
    if (plan->items_n == 0) return;
    sim_commit(sim, plan);
    qr_scheduler_check(sim->world.scheduler);
    sim->n.steps++;
}

/* Cancels a random sequence, or the one for whose prefix the head waited in the last plan. */
static void sim_cancel_some(struct sim *sim)
{
    if (sim_choose(sim, sim->cancel_in) == 1)
        sim_cancel(sim, sim_choose(sim, sim->limits.running_max + sim->limits.waiting_max));
    if (!sim->waited || sim_choose(sim, 4) == 0) return;
    for (uint32_t id = 0; id < SIM_SEQS_MAX; id++)
        if (sim->seqs[id].live && sim->seqs[id].serial == sim->leader) sim_cancel(sim, id);
}

/* Runs so many turns, or until the bytes are used up; then steps until all sequences have ended. */
static void sim_run(struct sim *sim, uint64_t turns_n)
{
    struct qr_scheduler_stats stats;

    sim_reseed(sim, 0);
    sim_open(sim);
    for (; sim->turn < turns_n && !sim->over; sim->turn++) {
        uint8_t skip = sim->skips ? sim->skips[sim->turn] : 0;
        sim_reseed(sim, 1);
        while (!(skip & SIM_SKIP_CALLS) && sim_choose(sim, sim->submit_in) == 1)
            sim_submit_some(sim);
        if (!(skip & SIM_SKIP_CALLS)) sim_cancel_some(sim);
        if (!(skip & SIM_SKIP_CALLS) && sim_choose(sim, sim->fork_in) == 1) sim_fork(sim);
        sim_reseed(sim, 2);
        if (!(skip & SIM_SKIP_STEP)) sim_step(sim);
    }
    sim_reseed(sim, 3);
    while (qr_scheduler_running_n(sim->world.scheduler) > 0 ||
           qr_scheduler_waiting_n(sim->world.scheduler) > 0)
        sim_step(sim);
    SIM_CHECK(sim, sim->world.pool.free_n + sim->world.pool.cached_n == sim->pages_n);
    SIM_CHECK(sim, qr_page_pool_held_n(&sim->world.pool) == 0);
    SIM_CHECK(sim, sim->n.submitted == sim->n.finished + sim->n.cancelled);
    qr_scheduler_stats(sim->world.scheduler, &stats);
    SIM_CHECK(sim, stats.steps == sim->n.steps && stats.preemptions == sim->n.preemptions);
    SIM_CHECK(sim, stats.forks == sim->n.forks && stats.page_copies >= sim->n.fork_copies);
    SIM_CHECK(sim, stats.prefix_hits <= stats.prefix_queries && stats.prefix_hits <= sim->n.hits);
    sim->n.copies = stats.page_copies;
    sim->n.evictions = stats.evictions;
    sim_close(sim);
}

#endif
