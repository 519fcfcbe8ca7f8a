/* SPDX-License-Identifier: MIT */
#include "runtime/model/head.h"

#include <string.h>

#include "runtime/base/limits.h"
#include "runtime/model/layout.h"
#include "runtime/model/matrices.h"
#include "runtime/model/rows.h"

/* Outputs in an item: 64 rows are 32 KB of a thread's cache.  The stride is an odd number of cache
 * lines, as a row's. */
#define ITEM_N      128u
#define ITEM_STRIDE (ITEM_N + 16u)

struct head_work {
    struct qr_head *h;
    const struct qr_activations *a;
    const struct qr_inputs *in;
    const struct qr_logits_row *rows;
    uint32_t rows_n;
};

static void lay_out(struct qr_head *h, const struct qr_model_shape *shape, struct qr_layout *l)
{
    h->logits = qr_rows_place(l, QR_LOGITS_ROWS, shape->vocab_n);
    h->bests = qr_layout_place(l, (size_t)h->threads_n * QR_LOGITS_ROWS, sizeof h->bests[0]);
}

size_t qr_head_bytes(const struct qr_model_shape *shape, uint32_t threads_n)
{
    struct qr_head h = {.threads_n = threads_n};
    struct qr_layout l = {0};

    lay_out(&h, shape, &l);
    return l.bytes;
}

void qr_head_init(struct qr_head *h, void *memory, const struct qr_model_shape *shape,
                  uint32_t threads_n)
{
    *h = (struct qr_head){.threads_n = threads_n};
    lay_out(h, shape, &(struct qr_layout){.base = memory});
}

size_t qr_head_scratch_bytes(void)
{
    return (size_t)QR_LOGITS_ROWS * ITEM_STRIDE * sizeof(float);
}

static struct qr_scored *bests_of(const struct qr_head *h, uint32_t thread)
{
    return h->bests + (size_t)thread * QR_LOGITS_ROWS;
}

static void head_item(const struct head_work *w, uint32_t item, uint32_t thread)
{
    const struct qr_model *m = w->a->model;
    struct qr_scored *bests = bests_of(w->h, thread);
    float *from = qr_pass_scratch(w->a->pass, thread);
    uint32_t column = item * ITEM_N;
    uint32_t n = m->head.n - column < ITEM_N ? m->head.n - column : ITEM_N;
    uint32_t panel = column / m->head.panel_n;
    uint32_t panels_n = (n + m->head.panel_n - 1) / m->head.panel_n;
    const struct qr_product product = {.in = w->in,
                                       .row_end = w->rows_n,
                                       .panel_begin = panel,
                                       .panel_end = panel + panels_n,
                                       .out = from,
                                       .out_stride = ITEM_STRIDE};

    qr_weights_multiply(&m->head, &product);
    for (uint32_t row = 0; row < w->rows_n; row++, from += ITEM_STRIDE)
        if (w->rows[row].best_only)
            m->kernels->rows.best(&bests[row], from, n, column);
        else
            memcpy(qr_row(&w->h->logits, row) + column, from, n * sizeof(float));
}

static void head_items(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    for (uint32_t item = begin; item < end; item++)
        head_item(work, item, thread);
}

/* The best of all threads' bests.  Of nothing but NaN it is token 0, as argmax says. */
static uint32_t best_of_all(const struct head_work *w, uint32_t row)
{
    struct qr_scored best = QR_BEST_NONE;

    for (uint32_t thread = 0; thread < w->h->threads_n; thread++) {
        const struct qr_scored *other = &bests_of(w->h, thread)[row];
        w->a->model->kernels->rows.best(&best, &other->value, 1, other->index);
    }
    return best.index == QR_BEST_NONE.index ? 0 : best.index;
}

/* Some rows want their best token only. */
static void run_bests(struct head_work *w, struct qr_logits_row *rows)
{
    const struct qr_weights *head = &w->a->model->head;

    for (uint32_t thread = 0; thread < w->h->threads_n; thread++)
        for (uint32_t row = 0; row < w->rows_n; row++)
            bests_of(w->h, thread)[row] = QR_BEST_NONE;
    qr_pass_run(w->a->pass, &(struct qr_work){.fn = head_items,
                                              .work = w,
                                              .work_bytes = sizeof *w,
                                              .items_n = (head->n + ITEM_N - 1) / ITEM_N,
                                              .phase = QR_PHASE_HEAD,
                                              .cost = (uint64_t)w->rows_n * head->n * head->k,
                                              .next = head->prefetch.data,
                                              .next_bytes = head->prefetch.bytes});
    for (uint32_t row = 0; row < w->rows_n; row++)
        if (rows[row].best_only) rows[row].best = best_of_all(w, row);
}

void qr_head_run(struct qr_head *h, struct qr_activations *a, uint32_t first, uint32_t n,
                 struct qr_logits_row *rows)
{
    struct qr_inputs in = a->normed; /* the memory of its quantised activations */
    uint32_t best_n = 0;

    in.floats = qr_row(&a->states, first);
    in.stride = a->states.stride;
    if (!a->model->head.is_float) qr_rows_quantize(a, &in, n);
    for (uint32_t i = 0; i < n; i++) {
        best_n += rows[i].best_only;
        rows[i].logits = rows[i].best_only ? NULL : qr_row(&h->logits, i);
    }
    if (best_n)
        run_bests(&(struct head_work){.h = h, .a = a, .in = &in, .rows = rows, .rows_n = n}, rows);
    else
        qr_matrices_head(a, &in, n, &h->logits);
}
