/* SPDX-License-Identifier: MIT */
/* sim_requests -- submits, groups, cancels and ends. */
#ifndef QR_TESTS_SCHEDULER_SIM_REQUESTS_H
#define QR_TESTS_SCHEDULER_SIM_REQUESTS_H

#include "sim_texts.h"

static bool sim_runs(const struct sim *sim, uint32_t id)
{
    return sim->seqs[id].live && qr_scheduler_state(sim->world.scheduler, id) == QR_SEQ_RUNNING;
}

/* A submission with a random priority, client and user. */
static struct qr_submission sim_submission(struct sim *sim, const struct sim_text *text,
                                           uint32_t prompt_n, uint32_t tokens_max)
{
    int32_t priority = sim_priorities[sim_choose(sim, sim->priorities_n)];
    uint32_t client = sim_choose(sim, sim->clients_n), user = sim_choose(sim, sim->users_n);

    if (sim->group_left > 0) { /* next to each other in the queue */
        priority = sim_priorities[sim->group % sim->priorities_n];
        client = sim->group % sim->clients_n;
        user = 0;
    }
    return (struct qr_submission){
        .tokens = &text->first,
        .prompt_n = prompt_n,
        .tokens_max = tokens_max,
        .salt = text->salt,
        .fresh = text->fresh,
        .priority = priority,
        .client = {{client, 0}},
        .user = {{0, user}},
    };
}

/* Records a sequence that the scheduler has accepted. */
static struct sim_seq *sim_put(struct sim *sim, qr_seq_id id, struct sim_text *text,
                               const struct qr_submission *of)
{
    uint32_t most_n = of->tokens_max - of->prompt_n + 1;
    uint32_t early_n = sim_choose(sim, 2) == 0 ? 0 : sim_choose(sim, most_n);
    uint32_t client = (uint32_t)of->client.words[0], user = (uint32_t)of->user.words[1];

    SIM_CHECK(sim, id < SIM_SEQS_MAX && !sim->seqs[id].live);
    sim->seqs[id] = (struct sim_seq){
        .live = true,
        .serial = sim->serials_n,
        .stamps_as = sim->serials_n,
        .priority = of->priority,
        .client = client,
        .user_node = sim_fair_queue_join(&sim->fair, of->priority, client, user),
        .known_n = of->prompt_n,
        .ends_at = of->tokens_max - early_n,
        .tokens_max = of->tokens_max,
        .leader = QR_SEQ_NONE,
        .text = text,
    };
    sim->serials_n++;
    sim->n.submitted++;
    return &sim->seqs[id];
}

static uint32_t sim_room_n(const struct sim *sim)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < SIM_SEQS_MAX; i++)
        n += sim->seqs[i].live && !sim_runs(sim, i);
    return n < sim->limits.waiting_max ? sim->limits.waiting_max - n : 0;
}

/* The number of sequences attached to a leader, and the first of them. */
static uint32_t sim_attached_n(const struct sim *sim, uint32_t leader, uint32_t *first)
{
    uint32_t n = 0;

    *first = QR_SEQ_NONE;
    for (uint32_t i = 0; i < SIM_SEQS_MAX; i++) {
        if (!sim->seqs[i].live || sim->seqs[i].leader != leader) continue;
        if (n++ == 0 || sim->seqs[i].serial < sim->seqs[*first].serial) *first = i;
    }
    return n;
}

static void sim_attach(struct sim *sim, uint32_t leader, const struct qr_submission *submission)
{
    struct sim_text *text = sim_copy_text(sim, sim->seqs[leader].text);
    qr_seq_id id = qr_scheduler_attach(sim->world.scheduler, leader, &text->first);
    struct sim_seq *seq;

    SIM_CHECK(sim, id != QR_SEQ_NONE);
    if (sim->has_twin)
        SIM_CHECK(sim, qr_scheduler_attach(sim->twin.scheduler, leader, &text->first) == id);
    SIM_CHECK(sim, qr_scheduler_state(sim->world.scheduler, id) == QR_SEQ_ATTACHED);
    seq = sim_put(sim, id, text, submission);
    seq->leader = leader;
    seq->stamps_as = sim->seqs[leader].stamps_as;
}

/* Submits one sequence, or a group with one prompt. */
static void sim_submit(struct sim *sim)
{
    uint32_t longest = qr_scheduler_tokens_max(sim->world.scheduler);
    uint32_t tokens_max = 1 + sim_choose(sim, longest);
    bool is_short = sim_choose(sim, 4) > (sim->window > 0 ? 2 : 0); /* a window needs long ones */
    uint32_t prompt_max = is_short && tokens_max > 16 ? 16 : tokens_max;
    uint32_t prompt_n = sim->group_left > 0 ? tokens_max - sim_choose(sim, tokens_max / 2 + 1)
                                            : 1 + sim_choose(sim, prompt_max);
    uint32_t n = sim_choose(sim, 3) == 1 ? 1 + sim_choose(sim, sim->limits.running_max) : 1;
    uint32_t room_n = sim_room_n(sim);
    struct sim_text *text = sim_draw_text(sim, prompt_n);
    const struct qr_submission submission = sim_submission(sim, text, prompt_n, tokens_max);
    qr_seq_id id;

    if (prompt_n == tokens_max) n = 1; /* nothing would be generated */
    SIM_CHECK(sim, qr_scheduler_room_n(sim->world.scheduler) == room_n);
    if (room_n > 0 && n > room_n) n = room_n;
    id = qr_scheduler_submit(sim->world.scheduler, &submission);
    if (sim->trace)
        fprintf(stderr, "turn %llu: submit %d, %u of it: prompt %u, at most %u, priority %d\n",
                (unsigned long long)sim->turn, (int)id, n, prompt_n, tokens_max,
                submission.priority);
    if (sim->has_twin) SIM_CHECK(sim, qr_scheduler_submit(sim->twin.scheduler, &submission) == id);
    SIM_CHECK(sim, (id == QR_SEQ_NONE) == (room_n == 0));
    if (id == QR_SEQ_NONE) {
        sim->n.refused++;
        free(text);
        return;
    }
    SIM_CHECK(sim, qr_scheduler_state(sim->world.scheduler, id) == QR_SEQ_WAITING);
    sim_put(sim, id, text, &submission);
    sim_fair_queue_wait(&sim->fair, sim->seqs[id].user_node);
    sim->n.groups += n > 1;
    for (uint32_t i = 1; i < n; i++)
        sim_attach(sim, id, &submission);
}

static void sim_end(struct sim *sim, uint32_t id)
{
    SIM_CHECK(sim, sim->seqs[id].live);
    SIM_CHECK(sim, qr_scheduler_state(sim->world.scheduler, id) == QR_SEQ_FREE);
    if (!sim->seqs[id].ran && sim->seqs[id].leader == QR_SEQ_NONE)
        sim_fair_queue_unwait(&sim->fair, sim->seqs[id].user_node);
    sim_fair_queue_leave(&sim->fair, sim->seqs[id].user_node);
    sim->seqs[id].live = false;
    free(sim->seqs[id].text);
}

/* A leader has ended: the first attached sequence takes its place and what it has computed. */
static void sim_promote(struct sim *sim, uint32_t id)
{
    struct sim_seq *from = &sim->seqs[id], *to;
    uint32_t first;

    if (sim_attached_n(sim, id, &first) == 0) return;
    to = &sim->seqs[first];
    to->leader = QR_SEQ_NONE;
    to->was_running = from->was_running;
    to->runs = from->runs;
    to->ran = from->ran;
    to->computed_n = from->computed_n;
    to->last = from->last;
    to->preemptions_n = from->preemptions_n;
    to->growth_n = from->growth_n;
    to->older_n = from->older_n;
    from->ran = true; /* its user still waits, with the new leader */
    for (uint32_t i = 0; i < SIM_SEQS_MAX; i++)
        if (sim->seqs[i].live && sim->seqs[i].leader == id) sim->seqs[i].leader = first;
    sim->n.promoted++;
}

/* Submits a sequence, or some with a common new text. */
static void sim_submit_some(struct sim *sim)
{
    if (sim_choose(sim, sim->group_in) == 1) {
        sim->group_left = 2 + sim_choose(sim, 3);
        sim->group = 3 + (uint32_t)sim->serials_n;
    }
    do {
        sim_submit(sim);
    } while (sim->group_left > 0 && --sim->group_left > 0);
}

static void sim_cancel(struct sim *sim, uint32_t id)
{
    if (!sim->seqs[id].live) return;
    if (sim->trace) fprintf(stderr, "turn %llu: cancel %u\n", (unsigned long long)sim->turn, id);
    qr_scheduler_cancel(sim->world.scheduler, id);
    if (sim->has_twin) qr_scheduler_cancel(sim->twin.scheduler, id);
    sim_promote(sim, id);
    sim_end(sim, id);
    sim->n.cancelled++;
}

#endif
