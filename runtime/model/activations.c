/* SPDX-License-Identifier: MIT */
#include "runtime/model/activations.h"

#include <string.h>

#include "runtime/base/limits.h"
#include "runtime/base/memory.h"
#include "runtime/model/layout.h"

/* An odd number of cache lines. */
static size_t stride_of(size_t n)
{
    const size_t floats = QR_CACHE_LINE / sizeof(float);

    return (((n + floats - 1) / floats) | 1) * floats;
}

struct qr_rows qr_rows_place(struct qr_layout *l, size_t rows_n, size_t n)
{
    size_t stride = stride_of(n);

    return (struct qr_rows){.data = qr_layout_place(l, rows_n, stride * sizeof(float)),
                            .stride = stride};
}

/* floats: some stage needs them.  Quantised activations exist where k allows a packed matrix. */
static struct qr_inputs place_inputs(struct qr_layout *l, size_t rows_n, uint32_t k, bool floats)
{
    struct qr_inputs in = {0};

    if (floats) {
        struct qr_rows rows = qr_rows_place(l, rows_n, k);
        in.floats = rows.data;
        in.stride = rows.stride;
    }
    if (k % QR_ACT_BLOCK == 0) {
        void *memory = qr_layout_place(l, 1, qr_acts_bytes((uint32_t)rows_n, k));
        if (memory) qr_acts_init(&in.acts, memory, k);
    }
    return in;
}

static void lay_out(struct qr_activations *a, const struct qr_activations_limits *limits,
                    struct qr_layout *l)
{
    const struct qr_model_shape *s = &limits->model->shape;
    const bool any_float = limits->model->any_float;
    const uint32_t q_n = s->heads_n * s->head_dim;
    const size_t rows_n = limits->rows_max;
    const size_t normed_n = rows_n > QR_LOGITS_ROWS ? rows_n : QR_LOGITS_ROWS; /* the head's too */

    a->x = qr_rows_place(l, rows_n, s->width);
    a->qkv = qr_rows_place(l, rows_n, q_n + 2 * (size_t)s->kv_heads_n * s->head_dim);
    a->normed = place_inputs(l, normed_n, s->width, any_float);
    a->attended = place_inputs(l, rows_n, q_n, true);
    a->hidden = place_inputs(l, rows_n, s->ffn_width, any_float);
    a->cosines = qr_rows_place(l, rows_n, s->rotary_n / 2);
    a->sines = qr_rows_place(l, rows_n, s->rotary_n / 2);
    a->states = qr_rows_place(l, rows_n, s->width);
    void *tiles = qr_layout_place(l, 1, qr_tiles_bytes(limits->threads_n, limits->rows_max));
    void *plan = qr_layout_place(
        l, 1, qr_attend_plan_bytes(s, limits->threads_n, limits->rows_max, limits->context_max));
    if (!plan) return;
    qr_tiles_init(&a->tiles, tiles, limits->threads_n, limits->rows_max);
    qr_attend_plan_init(&a->plan, plan, s, limits->threads_n, limits->rows_max,
                        limits->context_max);
}

size_t qr_activations_bytes(const struct qr_activations_limits *limits)
{
    struct qr_activations a = {0};
    struct qr_layout l = {0};

    lay_out(&a, limits, &l);
    return l.bytes;
}

void qr_activations_init(struct qr_activations *a, void *memory,
                         const struct qr_activations_limits *limits, struct qr_pass *pass,
                         struct qr_kv_store *kv)
{
    *a = (struct qr_activations){.model = limits->model, .pass = pass, .kv = kv};
    lay_out(a, limits, &(struct qr_layout){.base = memory});
}

/* Goes on with other query tiles. */
static void take_tiles(struct qr_activations *a)
{
    qr_attend_plan_make(&a->plan, &a->tiles, a->kv->shape.page_tokens);
    qr_pass_begin(a->pass, a->tiles.owned_n > 0);
}

void qr_activations_begin(struct qr_activations *a, const struct qr_step *step)
{
    qr_tiles_cut(&a->tiles, step, a->model->shape.sliding_window);
    take_tiles(a);
}

/* No later stage needs states before the step has ended.  So the rows move there, and the two
 * change names. */
static void select_rows(void *work)
{
    struct qr_activations *a = work;
    struct qr_rows x = a->x;

    qr_tiles_select(&a->tiles);
    for (uint32_t i = 0; i < a->tiles.rows_n; i++)
        memcpy(qr_row(&a->states, i), qr_row(&a->x, a->tiles.tiles[i].row),
               a->model->shape.width * sizeof(float));
    a->x = a->states;
    a->states = x;
}

void qr_activations_select(struct qr_activations *a)
{
    qr_pass_run_alone(a->pass, QR_PHASE_STORE, select_rows, a);
    take_tiles(a);
}

void qr_activations_end(struct qr_activations *a)
{
    qr_pass_end(a->pass);
    a->tiles.step = NULL;
    a->tiles.owned_n = 0;
}
