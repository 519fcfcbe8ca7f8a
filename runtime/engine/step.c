/* SPDX-License-Identifier: MIT */
/* step -- one step of continuous batching.  It makes rows of the scheduler's plan, runs the model,
 * draws tokens from the output rows, and gives the results to the scheduler. */
#include <assert.h>
#include <string.h>

#include "runtime/engine/engine.h"
#include "runtime/engine/group.h"
#include "runtime/engine/shown.h"

/* A group of output rows that the team samples. */
struct sampling {
    quire_engine *e;
    struct qr_logits_row rows[QR_LOGITS_ROWS];
};

static bool scores_prompt(const struct qr_request *r)
{
    return (r->flags & QUIRE_REQUEST_PROMPT_LOGPROBS) != 0;
}

/* Counts the start of a request and of those attached to it.  They hold batch slots from now on. */
static void admit(quire_engine *e, struct qr_request *r, uint32_t cached_tokens)
{
    for (struct qr_request *each = r; each; each = each->attached) {
        each->admitted = true;
        each->cached_tokens = cached_tokens;
        each->admitted_ns = e->now_ns;
        atomic_fetch_sub_explicit(&e->queued, 1, memory_order_relaxed);
    }
    e->stats.now.prompt_tokens += r->prompt_n;
    qr_histogram_add(&e->stats.now.queue_s, (double)(e->now_ns - r->submitted_ns) * 1e-9);
}

/* Adds one item's rows and outputs.  Each prompt token is scored once, even if a preempted sequence
 * is computed again. */
static void add_item(quire_engine *e, struct qr_step *step, const struct qr_plan_item *item)
{
    struct qr_request *r = e->by_seq[item->seq];

    assert(r && !r->ended);
    if (!r->admitted) admit(e, r, item->position);
    e->step.seqs[step->seqs_n++] = (struct qr_step_seq){.row = step->rows_n,
                                                        .rows_n = item->tokens_n,
                                                        .position = item->position,
                                                        .pages = item->pages};
    for (uint32_t i = 0; i < item->tokens_n; i++, step->rows_n++) {
        uint32_t next = item->position + i + 1;
        bool scored = scores_prompt(r) && next < r->prompt_n && next >= r->prompt_events;
        bool yields = item->wants_logits && i + 1 == item->tokens_n && r->max_tokens > 0;

        e->step.tokens[step->rows_n] = qr_request_token(r, next - 1);
        if (!scored && !yields) continue;
        e->step.outputs[step->outputs_n] = step->rows_n;
        e->step.meaning[step->outputs_n++] =
            (struct qr_output){.request = r, .prompt_index = scored ? next : 0};
    }
}

/* The tokens that min_tokens forbids: all that would end generation. */
static struct qr_banned banned_now(const quire_engine *e, const struct qr_request *r)
{
    struct qr_banned banned = {0};

    if (r->generated_n >= r->min_tokens) return banned;
    banned.stops = r->stop_ids;
    banned.stops_n = r->stop_ids_n;
    banned.ends = e->model->ends;
    banned.ends_n = r->flags & QUIRE_REQUEST_IGNORE_EOS ? 0 : e->model->ends_n;
    return banned;
}

/* Whether the draw needs only the best token of its row. */
static bool wants_best_only(const quire_engine *e, const struct qr_step_draw *draw)
{
    const struct qr_request *r = draw->request;

    if (draw->prompt_index || r->constraint.grammar || qr_restriction_any(&r->restriction))
        return false;
    const struct qr_banned banned = banned_now(e, r);
    return qr_sample_plainly_greedy(&r->sampling, &banned);
}

static void allow(uint64_t *allowed, const int32_t *ids, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        allowed[ids[i] >> 6] |= UINT64_C(1) << (ids[i] & 63);
}

/* Sets the bits of the tokens that the request's grammar allows next.  Tokens that end generation
 * are allowed where the grammar lets the text end. */
static enum qr_constraint_state mask_tokens(const quire_engine *e, struct qr_request *r,
                                            uint64_t *allowed)
{
    uint32_t vocab_n = qr_model_shape(e->model->weights)->vocab_n;
    bool may_end;

    memset(allowed, 0, ((size_t)vocab_n + 63) / 64 * sizeof *allowed);
    enum qr_constraint_state state = qr_constraint_mask(&r->constraint, allowed, &may_end);

    if (state != QR_CONSTRAINT_MEMORY && qr_shown_allow(r, allowed)) state = QR_CONSTRAINT_OPEN;
    if (!may_end) return state;
    if (!(r->flags & QUIRE_REQUEST_IGNORE_EOS)) allow(allowed, e->model->ends, e->model->ends_n);
    allow(allowed, r->stop_ids, r->stop_ids_n);
    return state;
}

static void forbid(uint64_t *allowed, const int32_t *ids, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        allowed[ids[i] >> 6] &= ~(UINT64_C(1) << (ids[i] & 63));
}

/* Removes the tokens that the request forbids from those that its grammar allows, or from all. Also
 * removes banned tokens, so that no token is left if these are the last. */
static enum qr_constraint_state restrict_tokens(const quire_engine *e, const struct qr_request *r,
                                                const struct qr_banned *banned, uint64_t *allowed)
{
    const uint32_t vocab_n = qr_model_shape(e->model->weights)->vocab_n;
    const uint32_t words_n = (vocab_n + 63) / 64;

    if (!r->constraint.grammar) {
        memset(allowed, 0xff, words_n * sizeof *allowed);
        if (vocab_n % 64) allowed[words_n - 1] = (UINT64_C(1) << vocab_n % 64) - 1;
    }
    forbid(allowed, banned->stops, banned->stops_n);
    forbid(allowed, banned->ends, banned->ends_n);
    return qr_restriction_apply(&r->restriction, r->generated, r->generated_n, allowed, vocab_n)
               ? QR_CONSTRAINT_OPEN
               : QR_CONSTRAINT_STUCK;
}

static void sample_row(const quire_engine *e, const struct qr_sampler_scratch *scratch,
                       const struct qr_logits_row *row, struct qr_step_draw *draw)
{
    const struct qr_sampler sampler = {.kernels = &e->model->kernels.rows,
                                       .scratch = scratch,
                                       .vocab_n = qr_model_shape(e->model->weights)->vocab_n};
    struct qr_request *r = draw->request;
    struct qr_sampling sampling = r->sampling;

    if (row->best_only) {
        qr_sample_best(row->best, &draw->choice);
    } else if (draw->prompt_index) {
        if (sampling.logprobs < 0) sampling.logprobs = 0;
        qr_score(&sampler, &sampling, row->logits, r->prompt[draw->prompt_index], &draw->choice);
    } else {
        const struct qr_known known = {r->prompt, r->prompt_n, r->prompt_n + r->generated_n};
        const struct qr_banned banned = banned_now(e, r);
        if (r->constraint.grammar) {
            draw->held = mask_tokens(e, r, scratch->allowed);
            if (draw->held != QR_CONSTRAINT_OPEN) return;
            sampling.allowed = scratch->allowed;
        }
        if (qr_restriction_any(&r->restriction)) {
            draw->held = restrict_tokens(e, r, &banned, scratch->allowed);
            if (draw->held != QR_CONSTRAINT_OPEN) return;
            sampling.allowed = scratch->allowed;
        }
        qr_sample(&sampler, &sampling, row->logits, &known, &banned, &draw->choice);
    }
}

static void sample_rows(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    const struct sampling *s = work;

    for (uint32_t i = begin; i < end; i++) {
        struct qr_step_draw *draw = &s->e->step.draws[i];
        sample_row(s->e, &s->e->scratch[thread], &s->rows[draw->output], draw);
    }
}

/* Lists the draws from a group of rows.  All requests of a chain share one score of a prompt token.
 * Each draws its own next token.  A row needs its logits if one of its draws needs more than the
 * best token. */
static uint32_t list_draws(quire_engine *e, uint32_t first, uint32_t n, struct qr_logits_row *rows)
{
    uint32_t draws_n = 0;

    for (uint32_t i = 0; i < n; i++) {
        const struct qr_output *output = &e->step.meaning[first + i];
        struct qr_request *r = output->request;

        rows[i].best_only = true;
        do {
            assert(draws_n < QR_LOGITS_ROWS + e->limits.running_max);
            struct qr_step_draw *draw = &e->step.draws[draws_n++];
            draw->request = r;
            draw->output = i;
            draw->prompt_index = output->prompt_index;
            draw->held = QR_CONSTRAINT_OPEN;
            rows[i].best_only &= wants_best_only(e, draw);
            r = r->attached;
        } while (r && !output->prompt_index);
    }
    return draws_n;
}

/* If one row wants its best token only, the head computes all rows in a thread's scratch and copies
 * the others to memory.  That copy costs more than it saves unless three rows in four are such.  So
 * with fewer, all rows ask for their logits, which changes no bit of any answer. */
static void spare_logits(struct qr_logits_row *rows, uint32_t n)
{
    uint32_t best_n = 0;

    for (uint32_t i = 0; i < n; i++)
        best_n += rows[i].best_only;
    if (4 * best_n >= 3 * n) return;
    for (uint32_t i = 0; i < n; i++)
        rows[i].best_only = false;
}

/* Removes an attached sequence that has ended, so that it is not forked when the prompt is done. */
static void forget_attached(quire_engine *e, const struct qr_request *r)
{
    if (!r->ended || qr_scheduler_state(e->scheduler, r->seq) != QR_SEQ_ATTACHED) return;
    qr_scheduler_cancel(e->scheduler, r->seq);
    e->by_seq[r->seq] = NULL;
}

static void answer_prompt(quire_engine *e, struct qr_request *r, const struct qr_choice *choice,
                          uint32_t index)
{
    for (struct qr_request *each = r, *next; each; each = next) {
        next = each->attached;
        if (each->ended) continue;
        qr_answer_prompt(e, each, choice, index);
        forget_attached(e, each);
    }
}

static void answer_draws(quire_engine *e, uint32_t draws_n)
{
    for (uint32_t i = 0; i < draws_n; i++) {
        const struct qr_step_draw *draw = &e->step.draws[i];

        if (draw->prompt_index) {
            answer_prompt(e, draw->request, &draw->choice, draw->prompt_index);
        } else if (!draw->request->ended) {
            if (draw->held == QR_CONSTRAINT_OPEN)
                qr_answer_token(e, draw->request, &draw->choice);
            else
                qr_answer_held(e, draw->request, draw->held);
            forget_attached(e, draw->request);
        }
    }
}

/* A scored prompt begins with an event for its first token, which no logits predict. */
static void answer_begin(quire_engine *e, struct qr_request *r)
{
    const struct qr_choice first = {.token = r->prompt[0], .logprob = __builtin_nanf("")};

    if (scores_prompt(r) && r->prompt_events == 0) answer_prompt(e, r, &first, 0);
}

/* Ends a request that generates nothing, when its prompt is computed. */
static void answer_scored(quire_engine *e, struct qr_request *r)
{
    for (struct qr_request *each = r, *next; each; each = next) {
        next = each->attached;
        if (each->ended) continue;
        qr_answer_finish(e, each, QUIRE_FINISH_LENGTH);
        forget_attached(e, each);
    }
}

static void compute(quire_engine *e, const struct qr_step *step)
{
    qr_phases_enter(&e->phases, QR_PHASE_PREFAULT);
    qr_prefault_make(&e->prefault, e->pool.taken_n);
    /* The pass begins with a plan of its own: which thread owns which rows. */
    qr_phases_enter(&e->phases, QR_PHASE_PLAN);
    assert(qr_prefault_n(&e->prefault) >= e->pool.taken_n);
    qr_forward_run(e->forward, step);
    for (uint32_t first = 0; first < step->outputs_n; first += QR_LOGITS_ROWS) {
        uint32_t left = step->outputs_n - first;
        uint32_t n = left < QR_LOGITS_ROWS ? left : QR_LOGITS_ROWS;
        struct sampling s = {.e = e};
        uint32_t draws_n = list_draws(e, first, n, s.rows);

        spare_logits(s.rows, n);
        qr_forward_logits(e->forward, first, n, s.rows);
        e->now_ns = qr_clock_ns();
        qr_phases_enter(&e->phases, QR_PHASE_SAMPLE);
        qr_team_run(e->team, sample_rows, &s, draws_n, 1);
        qr_phases_enter(&e->phases, QR_PHASE_ANSWER);
        answer_draws(e, draws_n);
        for (uint32_t i = first; i < first + n; i++)
            if (!e->step.meaning[i].prompt_index) qr_group_part(e->step.meaning[i].request);
    }
    if (!step->outputs_n) e->now_ns = qr_clock_ns();
}

static void pace(quire_engine *e)
{
    const struct qr_step_budget budget = qr_pace_budget(&e->pace);

    qr_scheduler_set_budget(e->scheduler, &budget);
}

bool qr_engine_step(quire_engine *e)
{
    qr_phases_enter(&e->phases, QR_PHASE_PLAN);
    if (e->pace.target_s > 0) pace(e);
    const struct qr_plan *plan = qr_scheduler_plan(e->scheduler);
    struct qr_step step = {
        .tokens = e->step.tokens, .seqs = e->step.seqs, .outputs = e->step.outputs};
    uint64_t begin = e->now_ns, reads_n = plan->reads_n;

    if (!plan->items_n) return false;
    for (uint32_t i = 0; i < plan->items_n; i++)
        add_item(e, &step, &plan->items[i]);
    assert(step.rows_n == plan->tokens_n);
    for (uint32_t i = 0; i < plan->items_n; i++)
        answer_begin(e, e->by_seq[plan->items[i].seq]);
    compute(e, &step);
    for (uint32_t i = 0; i < plan->items_n; i++) {
        const struct qr_plan_item *item = &plan->items[i];
        struct qr_request *r = e->by_seq[item->seq];

        if (item->wants_logits && !r->max_tokens) answer_scored(e, r);
        e->step.results[i].finished = r->ended;
        if (r->ended) e->by_seq[item->seq] = NULL;
    }
    qr_phases_enter(&e->phases, QR_PHASE_COMMIT);
    qr_scheduler_commit(e->scheduler, e->step.results, plan->items_n);
    qr_pace_learn(&e->pace, step.rows_n, reads_n, (double)(qr_clock_ns() - begin) * 1e-9);
    qr_histogram_add(&e->stats.now.step_s, (double)(e->now_ns - begin) * 1e-9);
    qr_histogram_add(&e->stats.now.step_tokens, (double)step.rows_n);
    return true;
}
