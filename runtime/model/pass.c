/* SPDX-License-Identifier: MIT */
#include "runtime/model/pass.h"

#include <assert.h>
#include <stdalign.h>
#include <string.h>

#include "runtime/base/limits.h"
#include "runtime/model/architecture.h"

/* Waking the team and its barrier take 0.2 to 0.5 us, in which one core does some ten thousand
 * multiply-adds. */
#define ALONE_COST_MAX 16384u
#define CACHE_LINE     64u

/* ---- stages --------------------------------------------------------------------------------- */

/* One that waits, with what it works on. */
struct link {
    alignas(CACHE_LINE) uint8_t work[QR_WORK_BYTES];
    struct qr_pass *p;
    qr_team_fn *fn;
    enum qr_phase phase;
};

struct qr_chain {
    struct link links[QR_STAGES_MAX];
    struct qr_stage stages[QR_STAGES_MAX];
    uint32_t n;
    enum qr_phase entered; /* by the caller while they run */
    bool stolen;           /* any thread may have done items of the last stage */
};

void qr_pass_enter(struct qr_pass *p, enum qr_phase phase)
{
    p->phase = phase;
    if (p->phases && p->chain->n == 0) qr_phases_enter(p->phases, phase);
}

static void run_link(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    struct link *link = work;
    struct qr_chain *chain = link->p->chain;

    if (thread == 0 && link->p->phases && chain->entered != link->phase) {
        chain->entered = link->phase;
        qr_phases_enter(link->p->phases, link->phase);
    }
    link->fn(link->work, begin, end, thread);
}

static void run_now(struct qr_pass *p, const struct qr_work *work)
{
    /* Stages only read what they work on. */
    void *shared = (void *)(uintptr_t)work->work;

    if (work->cost <= ALONE_COST_MAX)
        work->fn(shared, 0, work->items_n, 0);
    else
        qr_team_run(p->team, work->fn, shared, work->items_n, work->grain);
}

/* A stage waits for all threads if it reads what another one may have written. */
static bool needs_barrier(const struct qr_pass *p, const struct qr_work *work)
{
    return work->reads == QR_READS_OTHER_ROWS || p->chain->stolen || p->barriers;
}

void qr_pass_run(struct qr_pass *p, const struct qr_work *work)
{
    struct qr_chain *chain = p->chain;

    assert(work->work_bytes <= QR_WORK_BYTES);
    if (p->own_rows == 0) {
        run_now(p, work);
        return;
    }
    if (work->items_n == 0) return;
    if (chain->n == QR_STAGES_MAX) qr_pass_flush(p);
    struct link *link = &chain->links[chain->n];
    memcpy(link->work, work->work, work->work_bytes);
    link->p = p;
    link->fn = work->fn;
    link->phase = p->phase;
    chain->stages[chain->n++] = (struct qr_stage){.fn = run_link,
                                                  .work = link,
                                                  .items_n = work->items_n,
                                                  .grain = work->grain,
                                                  .barrier = needs_barrier(p, work)};
    chain->stolen = work->grain != QR_GRAIN_OWNER;
}

void qr_pass_flush(struct qr_pass *p)
{
    struct qr_chain *chain = p->chain;

    if (chain->n == 0) return;
    chain->entered = chain->links[0].phase;
    if (p->phases) qr_phases_enter(p->phases, chain->entered); /* a chain may follow a full one */
    qr_team_run_stages(p->team, chain->stages, chain->n);
    chain->n = 0;
}

/* ---- one region, laid out twice: to measure it, then to fill in addresses ------------------- */

struct layout {
    uint8_t *base; /* NULL: measuring */
    size_t bytes;
    bool overflow;
};

static void *place(struct layout *l, size_t n, size_t bytes)
{
    size_t at = l->bytes;

    if (!qr_mul(n, bytes, &bytes) || !qr_add_size(bytes, CACHE_LINE - 1, &bytes) ||
        !qr_add_size(l->bytes, bytes / CACHE_LINE * CACHE_LINE, &l->bytes))
        l->overflow = true;
    return l->base ? l->base + at : NULL;
}

/* An odd number of cache lines. */
static size_t stride_of(size_t n)
{
    const size_t floats = CACHE_LINE / sizeof(float);

    return (((n + floats - 1) / floats) | 1) * floats;
}

static struct qr_rows place_rows(struct layout *l, size_t rows_n, size_t n)
{
    size_t stride = stride_of(n);

    return (struct qr_rows){.data = place(l, rows_n, stride * sizeof(float)), .stride = stride};
}

/* floats: whether somebody needs them; acts: where k allows a packed matrix at all. */
static struct qr_inputs place_inputs(struct layout *l, size_t rows_n, uint32_t k, bool floats)
{
    struct qr_inputs in = {0};

    if (floats) {
        struct qr_rows rows = place_rows(l, rows_n, k);
        in.floats = rows.data;
        in.stride = rows.stride;
    }
    if (k % QR_ACT_BLOCK == 0) {
        void *memory = place(l, 1, qr_acts_bytes((uint32_t)rows_n, k));
        if (memory) qr_acts_init(&in.acts, memory, k);
    }
    return in;
}

static size_t scratch_bytes(const struct qr_pass *p)
{
    const struct qr_model_shape *s = &p->model->shape;
    size_t bytes = s->width * sizeof(float);
    size_t other[3] = {qr_attention_scratch_bytes(),
                       2 * (size_t)QR_GATE_ROWS * QR_GATE_N * sizeof(float),
                       (size_t)QR_LOGITS_ROWS * QR_HEAD_STRIDE * sizeof(float)};

    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
        if (other[i] > bytes) bytes = other[i];
    return (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
}

static void lay_out(struct qr_pass *p, struct layout *l)
{
    const struct qr_model_shape *s = &p->model->shape;
    const size_t rows_n = p->rows_max;
    const size_t logits_n = rows_n > QR_LOGITS_ROWS ? rows_n : QR_LOGITS_ROWS;
    const uint32_t q_n = s->heads_n * s->head_dim;

    p->partial_bytes = qr_attention_partial_bytes(s->heads_n / s->kv_heads_n, s->head_dim);
    p->scratch_bytes = scratch_bytes(p);
    p->x = place_rows(l, rows_n, s->width);
    p->qkv = place_rows(l, rows_n, q_n + 2 * (size_t)s->kv_heads_n * s->head_dim);
    p->normed = place_inputs(l, logits_n, s->width, p->model->any_float);
    p->attended = place_inputs(l, rows_n, q_n, true);
    p->hidden = place_inputs(l, rows_n, s->ffn_width, p->model->any_float);
    p->cosines = place_rows(l, rows_n, s->rotary_n / 2);
    p->sines = place_rows(l, rows_n, s->rotary_n / 2);
    p->states = place_rows(l, rows_n, s->width);
    p->logits = place_rows(l, QR_LOGITS_ROWS, s->vocab_n);
    p->bests = place(l, (size_t)p->threads_n * QR_LOGITS_ROWS, sizeof(p->bests[0]));
    p->step_rows = place(l, rows_n, sizeof(p->step_rows[0]));
    p->pass_rows = place(l, rows_n, sizeof(p->pass_rows[0]));
    p->tiles = place(l, rows_n, sizeof(p->tiles[0]));
    p->order = place(l, 2 * rows_n, sizeof(p->order[0]));
    p->dealt = place(l, p->threads_n, sizeof(p->dealt[0]));
    p->blocks = place(l, qr_pass_spread_items(p) + 1, sizeof(p->blocks[0]));
    p->partials = place(l, 1, qr_pass_partials_bytes(p));
    p->shared.order = place(l, rows_n, sizeof(p->shared.order[0]));
    p->shared.chunks = place(l, rows_n / 2 + 1, sizeof(p->shared.chunks[0]));
    p->shared.alone = place(l, 2 * rows_n, sizeof(p->shared.alone[0]));
    p->shared.partials = place(l, p->threads_n, (size_t)qr_pass_chunk_rows(p) * p->partial_bytes);
    p->scratch = place(l, p->threads_n, p->scratch_bytes);
    p->chain = place(l, 1, sizeof(*p->chain));
}

struct qr_forward *qr_forward_create(const struct qr_model *model, struct qr_team *team,
                                     struct qr_kv_store *kv, uint32_t rows_max,
                                     uint32_t context_max, const struct quire_allocator *allocator)
{
    struct layout measure = {0};

    assert(rows_max > 0 && rows_max <= QR_CONTEXT_MAX);
    assert(context_max > 0 && context_max <= QR_CONTEXT_MAX);
    assert(kv->shape.layers_n == model->shape.layers_n &&
           kv->shape.heads_n == model->shape.kv_heads_n &&
           kv->shape.head_dim == model->shape.head_dim);
    assert(!model->positions || context_max <= model->shape.context_max);
    struct qr_forward *forward = qr_alloc_zero(allocator, 1, sizeof *forward);
    if (!forward) return NULL;
    struct qr_pass *p = &forward->pass;
    p->model = model;
    p->team = team;
    p->kv = kv;
    p->threads_n = qr_team_threads(team);
    p->rows_max = rows_max;
    p->context_max = context_max;
    p->allocator = *allocator;
    lay_out(p, &measure);
    if (measure.overflow || !qr_region_create(&p->region, measure.bytes)) {
        qr_free(allocator, forward);
        return NULL;
    }
    lay_out(p, &(struct layout){.base = p->region.base});
    return forward;
}

void qr_forward_profile(struct qr_forward *forward, struct qr_phases *phases)
{
    forward->pass.phases = phases;
}

void qr_forward_destroy(struct qr_forward *forward)
{
    if (!forward) return;
    struct quire_allocator allocator = forward->pass.allocator;
    qr_region_destroy(&forward->pass.region);
    qr_free(&allocator, forward);
}

/* ---- a step --------------------------------------------------------------------------------- */

static void check_step(const struct qr_pass *p, const struct qr_step *step)
{
    uint32_t row = 0;

    assert(step->rows_n > 0 && step->rows_n <= p->rows_max);
    for (uint32_t i = 0; i < step->seqs_n; i++) {
        const struct qr_step_seq *seq = &step->seqs[i];
        assert(seq->row == row && seq->rows_n > 0 && seq->rows_n <= step->rows_n - row);
        assert(seq->position < p->context_max && seq->rows_n <= p->context_max - seq->position);
        row += seq->rows_n;
    }
    assert(row == step->rows_n);
    assert(step->outputs_n <= step->rows_n);
    for (uint32_t i = 0; i < step->outputs_n; i++)
        assert(step->outputs[i] < step->rows_n &&
               (i == 0 || step->outputs[i - 1] < step->outputs[i]));
}

void qr_forward_run(struct qr_forward *forward, const struct qr_step *step)
{
    struct qr_pass *p = &forward->pass;

    check_step(p, step);
    p->step = step;
    p->rows_n = step->rows_n;
    p->outputs_n = step->outputs_n;
    p->barriers = qr_team_is_shared(p->team);
    p->chain->stolen = false;
    p->model->architecture->forward(p);
    qr_pass_flush(p);
    p->step = NULL;
    p->own_rows = 0;
}

void qr_forward_logits(struct qr_forward *forward, uint32_t first, uint32_t n,
                       struct qr_logits_row *rows)
{
    struct qr_pass *p = &forward->pass;
    struct qr_inputs in = p->normed;
    uint32_t best_n = 0;

    assert(n > 0 && n <= QR_LOGITS_ROWS);
    assert(first < p->outputs_n && n <= p->outputs_n - first);
    in.floats = qr_row(&p->states, first);
    in.stride = p->states.stride;
    if (!p->model->head.is_float) qr_pass_quantize(p, &in, n);
    for (uint32_t i = 0; i < n; i++) {
        best_n += rows[i].best_only;
        rows[i].logits = rows[i].best_only ? NULL : qr_row(&p->logits, i);
    }
    if (best_n)
        qr_pass_head_best(p, &in, n, rows);
    else
        qr_pass_head(p, &in, n);
}
