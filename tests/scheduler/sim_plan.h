/* SPDX-License-Identifier: MIT */
/* sim_plan -- what a plan must be: its items, their order, how full it is, why the head waits, how
 * the first sequence progresses and how clients are served. */
#ifndef QR_TESTS_SCHEDULER_SIM_PLAN_H
#define QR_TESTS_SCHEDULER_SIM_PLAN_H

#include "sim_moves.h"

/* Each item by itself, and the order: decodes, then prefill, each in order, then admissions. */
static void sim_check_items(struct sim *sim, const struct qr_plan *plan)
{
    bool prefill_began = false;
    const struct sim_seq *last = NULL;
    uint32_t tokens_n = 0;

    for (uint32_t id = 0; id < SIM_SEQS_MAX; id++)
        sim->seqs[id].planned_n = 0;
    for (uint32_t i = 0; i < plan->items_n; i++) {
        const struct qr_plan_item *item = &plan->items[i];
        struct sim_seq *seq = &sim->seqs[item->seq];
        bool decode = seq->was_running && seq->known_n - seq->computed_n == 1;
        SIM_CHECK(sim, sim_runs(sim, item->seq) && seq->planned_n == 0);
        SIM_CHECK(sim, item->position == seq->computed_n);
        SIM_CHECK(sim, item->tokens_n >= 1 && item->tokens_n <= sim_chunk(sim));
        SIM_CHECK(sim, item->position + item->tokens_n <= seq->known_n);
        SIM_CHECK(sim, item->wants_logits == (item->position + item->tokens_n == seq->known_n));
        SIM_CHECK(sim, !(decode && prefill_began));
        for (uint32_t page = 0; page < sim_left_n(sim, item->position); page++)
            SIM_CHECK(sim, item->pages[page] == QR_PAGE_NONE);
        sim->n.left += sim_left_n(sim, item->position);
        if (!decode && !prefill_began) {
            prefill_began = true;
            last = NULL;
        }
        /* Admitted sequences come last, whatever their place in order. */
        if (last && seq->was_running) SIM_CHECK(sim, sim_before(last, seq));
        last = seq;
        seq->planned_n = item->tokens_n;
        tokens_n += item->tokens_n;
    }
    SIM_CHECK(sim, tokens_n == plan->tokens_n);
}

/* Every admitted sequence has an item.  If the last one had been preempted, there is still a page
 * for each running sequence. */
static void sim_check_admitted(struct sim *sim, const struct qr_plan *plan, uint32_t unpromised_n)
{
    uint32_t running_n = qr_scheduler_running_n(sim->world.scheduler), first;
    const struct sim_seq *last =
        plan->admitted_n > 0 ? &sim->seqs[plan->items[plan->items_n - 1].seq] : NULL;

    for (uint32_t id = 0; id < SIM_SEQS_MAX; id++) {
        const struct sim_seq *seq = &sim->seqs[id];
        if (seq->was_running || !sim_runs(sim, id)) continue;
        SIM_CHECK(sim, seq->planned_n > 0);
    }
    if (!last || running_n == 1) return;
    if (last->preemptions_n > 0) SIM_CHECK(sim, unpromised_n >= running_n);
    SIM_CHECK(sim, unpromised_n >= sim_attached_n(sim, (uint32_t)(last - sim->seqs), &first));
}

/* True: a running sequence computes a page in this step or later in its prefill, of which the
 * waiting one has at least half in common. */
static bool sim_waits(struct sim *sim, const struct sim_seq *waiter)
{
    if (!sim->has_tree || waiter->text->fresh) return false;
    for (uint32_t id = 0; id < SIM_SEQS_MAX; id++) {
        const struct sim_seq *leader = &sim->seqs[id];
        uint32_t begin_n, common_n;
        if (!sim_runs(sim, id) || leader->planned_n == 0) continue;
        if (leader->was_running && leader->known_n - leader->computed_n == 1) continue;
        begin_n = leader->computed_n - leader->computed_n % sim->page_tokens;
        common_n = sim_common(waiter, leader);
        if (common_n > waiter->known_n - 1) common_n = waiter->known_n - 1;
        if (common_n < begin_n + sim->page_tokens / 2) continue;
        if (leader->known_n < begin_n + sim->page_tokens) continue;
        sim->leader = leader->serial;
        return true;
    }
    return false;
}

/* The head of the queue was not admitted although the budget is not used up: there is a reason. */
static void sim_check_head(struct sim *sim, const struct sim_seq *head, uint32_t unpromised_n,
                           const struct qr_plan *plan)
{
    uint32_t running_n = qr_scheduler_running_n(sim->world.scheduler), slots_n = running_n, first;
    uint32_t attached_n = sim_attached_n(sim, (uint32_t)(head - sim->seqs), &first);
    uint32_t wants_n = sim_pages_for(sim, head->known_n), leaving_n = 0, shared_n = 0;

    if (wants_n > sim_held_max(sim)) wants_n = sim_held_max(sim);
    for (uint32_t id = 0; id < SIM_SEQS_MAX; id++) {
        const struct sim_seq *seq = &sim->seqs[id];
        if (!sim_runs(sim, id)) continue;
        slots_n += sim_attached_n(sim, id, &first);
        shared_n += sim_held_n(sim, seq->computed_n, seq->planned_n);
        if (sim->window > 0 && seq->known_n - seq->computed_n > 1)
            leaving_n += sim_leaving_n(sim, seq->computed_n, seq->known_n);
    }
    /* Pages that sequences in prefill drop while others read them do not become free. */
    shared_n -= qr_page_pool_held_n(&sim->world.pool);
    wants_n += leaving_n < shared_n ? leaving_n : shared_n;
    if (head->preemptions_n > 0 && running_n > 0) wants_n += slots_n + 1;
    if (running_n > 0) wants_n += attached_n;
    if (slots_n + attached_n >= sim->limits.running_max || wants_n > unpromised_n) return;
    if (plan->preempted_n > 0) return;
    SIM_CHECK(sim, sim_waits(sim, head));
    sim->waited = true;
    sim->waiter = head->serial;
    sim->n.waits++;
}

/* Counts a takeover: the head waited in the last plan for a sequence that ended, and now runs. */
static void sim_check_takeover(struct sim *sim)
{
    bool led = false;

    if (!sim->waited) return;
    for (uint32_t id = 0; id < SIM_SEQS_MAX; id++)
        led |= sim->seqs[id].live && sim->seqs[id].serial == sim->leader;
    for (uint32_t id = 0; id < SIM_SEQS_MAX; id++)
        if (sim->seqs[id].live && sim->seqs[id].serial == sim->waiter && sim_runs(sim, id))
            sim->n.takeovers += !led;
    sim->waited = false;
}

/* Positions that the token at `position` reads. */
static uint64_t sim_reads(const struct sim *sim, uint32_t position)
{
    return sim->window > 0 && position >= sim->window ? sim->window : position + 1;
}

/* A step with a decode and a budget costs no more than that, apart from QR_PREFILL_MIN tokens and
 * an admitted sequence's first token; and one more token would cost too much.  True: it is full. */
static bool sim_check_budget(struct sim *sim, const struct qr_plan *plan, uint32_t decodes_n,
                             uint32_t wanted_n)
{
    const struct qr_step_budget *of = &sim->budget;
    uint32_t prefill_n = plan->tokens_n - decodes_n;
    uint64_t reads_n = 0, cost;

    for (uint32_t i = 0; i < plan->items_n; i++)
        for (uint32_t k = 0; k < plan->items[i].tokens_n; k++)
            reads_n += sim_reads(sim, plan->items[i].position + k);
    SIM_CHECK(sim, reads_n == plan->reads_n);
    cost = plan->tokens_n * of->token_cost + reads_n * of->read_cost;
    if (decodes_n == 0 || (of->token_cost == 0 && of->read_cost == 0)) return false;
    if (cost > of->cost_max && prefill_n > QR_PREFILL_MIN) {
        const struct qr_plan_item *last = &plan->items[plan->items_n - 1];
        SIM_CHECK(sim, plan->admitted_n > 0 && last->tokens_n == 1);
        SIM_CHECK(sim, cost - of->token_cost - sim_reads(sim, last->position) * of->read_cost <=
                           of->cost_max);
    }
    SIM_CHECK(sim, prefill_n >= (wanted_n < QR_PREFILL_MIN ? wanted_n : QR_PREFILL_MIN));
    if (prefill_n < wanted_n && plan->tokens_n < sim->limits.step_tokens) {
        SIM_CHECK(sim, cost + of->token_cost + SIM_TOKENS_MAX * of->read_cost > of->cost_max);
        sim->n.cut++;
    }
    return prefill_n >= QR_PREFILL_MIN;
}

/* The step is as full as the budgets, the chunk, the slots and the pages allow. */
static void sim_check_fill(struct sim *sim, const struct qr_plan *plan)
{
    uint32_t decodes_n = 0, prefill_n = 0, wanted_n = 0, held_n = 0, promised_n = 0, budget;
    uint32_t room_n = sim->world.pool.free_n + sim->world.pool.cached_n;
    const struct sim_seq *head = sim_next(sim);
    bool full;

    for (uint32_t id = 0; id < SIM_SEQS_MAX; id++) {
        const struct sim_seq *seq = &sim->seqs[id];
        uint32_t left_n = seq->known_n - seq->computed_n;
        uint32_t pages_n = sim_pages_for(sim, seq->computed_n + seq->planned_n), lacks_n;
        uint32_t own_n = sim_held_n(sim, seq->computed_n, seq->planned_n);
        if (!seq->live) continue;
        if (!sim_runs(sim, id)) continue;
        SIM_CHECK(sim, own_n <= sim_held_max(sim));
        held_n += own_n;
        lacks_n = sim_pages_for(sim, seq->known_n) - pages_n;
        promised_n += lacks_n < sim_held_max(sim) - own_n ? lacks_n : sim_held_max(sim) - own_n;
        if (seq->was_running && left_n == 1) {
            SIM_CHECK(sim, seq->planned_n == 1);
            decodes_n++;
        } else {
            wanted_n += left_n < sim_chunk(sim) ? left_n : sim_chunk(sim);
            prefill_n += seq->planned_n;
        }
    }
    budget = sim->limits.step_tokens - decodes_n;
    SIM_CHECK(sim, plan->tokens_n <= sim->limits.step_tokens);
    SIM_CHECK(sim, budget >= QR_PREFILL_MIN);
    full = sim_check_budget(sim, plan, decodes_n, wanted_n);
    if (!full) SIM_CHECK(sim, prefill_n == (wanted_n < budget ? wanted_n : budget));
    /* Every held page has a token, and no page is lost.  Several sequences may read one. */
    SIM_CHECK(sim, held_n + room_n >= sim->pages_n);
    if (!sim->has_tree && sim->n.forks == 0) SIM_CHECK(sim, held_n + room_n == sim->pages_n);
    SIM_CHECK(sim, promised_n <= room_n);
    sim->n.promised += promised_n > 0;
    sim_check_admitted(sim, plan, room_n - promised_n);
    sim_check_takeover(sim);
    if (head && prefill_n < budget && !full) sim_check_head(sim, head, room_n - promised_n, plan);
}

/* The first running sequence computes in every step, and ends before its deadline. */
static void sim_check_first(struct sim *sim)
{
    const struct sim_seq *first = NULL;
    uint32_t chunk = sim_chunk(sim) < QR_PREFILL_MIN ? sim_chunk(sim) : QR_PREFILL_MIN;

    for (uint32_t id = 0; id < SIM_SEQS_MAX; id++)
        if (sim->seqs[id].runs && (!first || sim_before(&sim->seqs[id], first)))
            first = &sim->seqs[id];
    if (!first) return;
    SIM_CHECK(sim, first->planned_n > 0 || !first->was_running);
    if (first->serial != sim->first_serial) {
        sim->first_serial = first->serial;
        sim->first_deadline = sim->n.steps + (first->known_n + chunk - 1) / chunk +
                              (first->ends_at - first->known_n) +
                              !first->was_running; /* others may have used that step's budget */
    }
    SIM_CHECK(sim, sim->n.steps < sim->first_deadline);
}

/* While two clients both wait, the service that they get differs by at most 2 U.  U is the longest
 * prompt plus twice all tokens that a batch may still generate: the paper's bound, with a batch of
 * sequences instead of its batch of tokens. */
static void sim_check_service(struct sim *sim)
{
    int64_t longest = qr_scheduler_tokens_max(sim->world.scheduler);
    int64_t bound = 2 * (longest + 2 * longest * sim->limits.running_max);
    bool waits[SIM_PRIORITIES][SIM_CLIENTS] = {{0}};

    for (uint32_t id = 0; id < SIM_SEQS_MAX; id++)
        for (uint32_t p = 0; p < SIM_PRIORITIES; p++)
            if (sim->seqs[id].live && !sim->seqs[id].ran && sim->seqs[id].leader == QR_SEQ_NONE &&
                sim->seqs[id].priority == sim_priorities[p])
                waits[p][sim->seqs[id].client] = true;
    for (uint32_t p = 0; p < sim->priorities_n; p++)
        for (uint32_t a = 0; a < sim->clients_n; a++)
            for (uint32_t b = 0; b < a; b++) {
                struct sim_service *of = &sim->service[p][a];
                int64_t ahead = of->got - sim->service[p][b].got;
                bool both = waits[p][a] && waits[p][b];
                if (!both || !of->both[b]) of->ahead_min[b] = of->ahead_max[b] = ahead;
                of->both[b] = both;
                if (ahead < of->ahead_min[b]) of->ahead_min[b] = ahead;
                if (ahead > of->ahead_max[b]) of->ahead_max[b] = ahead;
                SIM_CHECK(sim, of->ahead_max[b] - of->ahead_min[b] <= bound);
                sim->n.backlogged += both;
            }
}

static void sim_check_twin(struct sim *sim, const struct qr_plan *plan)
{
    const struct qr_plan *twin = qr_scheduler_plan(sim->twin.scheduler);

    SIM_CHECK(sim, twin->items_n == plan->items_n && twin->tokens_n == plan->tokens_n);
    SIM_CHECK(sim, twin->admitted_n == plan->admitted_n && twin->preempted_n == plan->preempted_n);
    for (uint32_t i = 0; i < plan->items_n; i++) {
        const struct qr_plan_item *a = &plan->items[i], *b = &twin->items[i];
        uint32_t pages_n = sim_pages_for(sim, a->position + a->tokens_n);
        SIM_CHECK(sim, a->seq == b->seq && a->position == b->position);
        SIM_CHECK(sim, a->tokens_n == b->tokens_n && a->wants_logits == b->wants_logits);
        SIM_CHECK(sim, memcmp(a->pages, b->pages, pages_n * sizeof a->pages[0]) == 0);
    }
}

#endif
