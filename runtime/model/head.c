/* SPDX-License-Identifier: MIT */
/* The output head over the team, where some rows owe their best token only.
 *
 * An item is a unit of the vocabulary, for all rows: its logits go into the thread's own cache, and
 * from there each row takes what is asked of it.  A row whose best token is all that is wanted
 * folds them into the best that this thread has seen of it; any other has them copied to its place.
 * So one pass over the weights serves both, and a row's logits are the same bits in both. */
#include <string.h>

#include "runtime/base/limits.h"
#include "runtime/model/pass.h"

struct head_work {
    struct qr_pass *p;
    const struct qr_inputs *in;
    const struct qr_logits_row *rows;
    uint32_t rows_n;
};

static struct qr_scored *bests_of(const struct qr_pass *p, uint32_t thread)
{
    return p->bests + (size_t)thread * QR_LOGITS_ROWS;
}

static void head_unit(const struct head_work *w, uint32_t unit, uint32_t thread)
{
    const struct qr_pass *p = w->p;
    const struct qr_weights *head = &p->model->head;
    struct qr_scored *bests = bests_of(p, thread);
    float *from = qr_pass_scratch(p, thread);
    uint32_t column = unit * QR_HEAD_N;
    uint32_t n = head->n - column < QR_HEAD_N ? head->n - column : QR_HEAD_N;
    uint32_t panel = column / head->panel_n;
    uint32_t panels_n = (n + head->panel_n - 1) / head->panel_n;

    qr_weights_multiply(head, panel, panel + panels_n, w->in, 0, w->rows_n, from, QR_HEAD_STRIDE,
                        false);
    for (uint32_t row = 0; row < w->rows_n; row++, from += QR_HEAD_STRIDE) {
        if (w->rows[row].best_only)
            p->model->kernels->rows.best(&bests[row], from, n, column);
        else
            memcpy(qr_row(&p->logits, row) + column, from, n * sizeof(float));
    }
}

static void head_items(void *work, uint32_t begin, uint32_t end, uint32_t thread)
{
    for (uint32_t unit = begin; unit < end; unit++)
        head_unit(work, unit, thread);
}

/* The best of all threads' bests; of nothing but NaN token 0, as argmax. */
static uint32_t best_of_all(const struct qr_pass *p, uint32_t row)
{
    struct qr_scored best = QR_BEST_NONE;

    for (uint32_t thread = 0; thread < p->threads_n; thread++) {
        const struct qr_scored *other = &bests_of(p, thread)[row];
        p->model->kernels->rows.best(&best, &other->value, 1, other->index);
    }
    return best.index == QR_BEST_NONE.index ? 0 : best.index;
}

void qr_pass_head_best(struct qr_pass *p, const struct qr_inputs *in, uint32_t rows_n,
                       struct qr_logits_row *rows)
{
    const struct qr_weights *head = &p->model->head;
    struct head_work w = {.p = p, .in = in, .rows = rows, .rows_n = rows_n};

    qr_pass_enter(p, QR_PHASE_HEAD);
    for (uint32_t thread = 0; thread < p->threads_n; thread++)
        for (uint32_t row = 0; row < rows_n; row++)
            bests_of(p, thread)[row] = QR_BEST_NONE;
    qr_pass_prefetch(p, &head->prefetch);
    qr_pass_run(p, &(struct qr_work){.fn = head_items,
                                     .work = &w,
                                     .work_bytes = sizeof(w),
                                     .items_n = (head->n + QR_HEAD_N - 1) / QR_HEAD_N,
                                     .cost = (uint64_t)rows_n * head->n * head->k});
    for (uint32_t row = 0; row < rows_n; row++)
        if (rows[row].best_only) rows[row].best = best_of_all(p, row);
}
