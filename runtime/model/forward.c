/* SPDX-License-Identifier: MIT */
#include "runtime/model/forward.h"

#include <assert.h>

#include "runtime/base/limits.h"
#include "runtime/base/memory.h"
#include "runtime/model/architecture.h"
#include "runtime/model/layout.h"
#include "runtime/model/matrices.h"
#include "runtime/model/rows.h"

/* What the stage that needs the most needs of a thread's scratch. */
static size_t scratch_bytes(const struct qr_model_shape *shape)
{
    const size_t needs[] = {qr_rows_scratch_bytes(shape), qr_matrices_scratch_bytes(),
                            qr_attention_scratch_bytes(), qr_head_scratch_bytes()};
    size_t most = 0;

    for (size_t i = 0; i < sizeof needs / sizeof needs[0]; i++)
        if (needs[i] > most) most = needs[i];
    return most;
}

struct qr_forward *qr_forward_create(const struct qr_model *model, struct qr_team *team,
                                     struct qr_kv_store *kv, uint32_t rows_max,
                                     uint32_t context_max, const struct quire_allocator *allocator)
{
    const struct qr_model_shape *shape = &model->shape;
    const uint32_t threads_n = qr_team_threads(team);
    const struct qr_activations_limits limits = {
        .model = model, .threads_n = threads_n, .rows_max = rows_max, .context_max = context_max};
    struct qr_layout l = {0};

    assert(rows_max > 0 && rows_max <= QR_CONTEXT_MAX);
    assert(context_max > 0 && context_max <= QR_CONTEXT_MAX);
    assert(kv->shape.layers_n == shape->layers_n && kv->shape.heads_n == shape->kv_heads_n &&
           kv->shape.head_dim == shape->head_dim);
    assert(!model->positions || context_max <= shape->context_max);
    const size_t activations_bytes = qr_activations_bytes(&limits);
    const size_t head_bytes = qr_head_bytes(shape, threads_n);
    (void)qr_layout_place(&l, 1, activations_bytes);
    (void)qr_layout_place(&l, 1, head_bytes);
    (void)qr_layout_place(&l, 1, qr_pass_bytes(threads_n, scratch_bytes(shape)));
    struct qr_forward *forward = qr_alloc_zero(allocator, 1, sizeof *forward);
    if (!forward) return NULL;
    if (l.bytes == SIZE_MAX || !qr_region_create(&forward->region, l.bytes)) {
        qr_free(allocator, forward);
        return NULL;
    }
    uint8_t *memory = forward->region.base;
    qr_activations_init(&forward->activations, memory, &limits, &forward->pass, kv);
    qr_head_init(&forward->head, memory + activations_bytes, shape, threads_n);
    qr_pass_init(&forward->pass, memory + activations_bytes + head_bytes, team,
                 scratch_bytes(shape));
    forward->rows_max = rows_max;
    forward->context_max = context_max;
    forward->allocator = *allocator;
    return forward;
}

void qr_forward_profile(struct qr_forward *forward, struct qr_phases *phases)
{
    forward->pass.phases = phases;
}

void qr_forward_destroy(struct qr_forward *forward)
{
    if (!forward) return;
    struct quire_allocator allocator = forward->allocator;
    qr_region_destroy(&forward->region);
    qr_free(&allocator, forward);
}

/* ---- a step --------------------------------------------------------------------------------- */

static void check_step(const struct qr_forward *f, const struct qr_step *step)
{
    uint32_t row = 0;

    assert(step->rows_n > 0 && step->rows_n <= f->rows_max);
    for (uint32_t i = 0; i < step->seqs_n; i++) {
        const struct qr_step_seq *seq = &step->seqs[i];
        assert(seq->row == row && seq->rows_n > 0 && seq->rows_n <= step->rows_n - row);
        assert(seq->position < f->context_max && seq->rows_n <= f->context_max - seq->position);
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
    struct qr_activations *a = &forward->activations;
    const struct qr_model *model = a->model;

    check_step(forward, step);
    forward->outputs_n = step->outputs_n;
    qr_activations_begin(a, step);
    for (uint32_t i = 0; i < model->shape.layers_n; i++)
        model->architecture->layer(a, i);
    qr_rows_finish(a);
    qr_activations_end(a);
}

void qr_forward_logits(struct qr_forward *forward, uint32_t first, uint32_t n,
                       struct qr_logits_row *rows)
{
    assert(n > 0 && n <= QR_LOGITS_ROWS);
    assert(first < forward->outputs_n && n <= forward->outputs_n - first);
    qr_head_run(&forward->head, &forward->activations, first, n, rows);
}
