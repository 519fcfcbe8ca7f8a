/* SPDX-License-Identifier: MIT */
/* Which thread owns which rows, the order of rows in a pass, and the query tiles that attend
 * together.
 *
 * From OWN_ROWS_MIN rows a thread on, each thread owns rows, a partition of whole tiles of
 * activations, and does all of a layer's work on them.  It reads in one stage what it wrote in the
 * one before, so no cache line moves between cores.  Cores that share no cache pay for each line
 * that does (docs/notes/runtime-base.md).
 *
 * A row's matrices cost the same everywhere; its attention grows with the keys that it sees.  So
 * query tiles go, from a sequence's last to its first, to the thread with the fewest keys so far.
 * A tile that does not fit into the partition is cut.
 *
 *     step rows   a0 a1 a2 a3 | b0 b1 b2      as the scheduler ordered them
 *     pass rows   a2 a3 b0 .. | a0 a1 b1 b2   by partition; step_rows and pass_rows map both ways
 *
 * No row's bits depend on the order. */
#include <assert.h>
#include <string.h>

#include "runtime/model/pass.h"

#define OWN_ROWS_MIN 16u /* with fewer a panel is fetched for too little work */
/* The largest partition may exceed the mean by one row in so many. */
#define OWN_ROWS_UNEVEN 8u
#define KEYS_UNEVEN     8u /* the same for the keys that they see */

static uint32_t own_rows(const struct qr_pass *p)
{
    if (p->threads_n == 1 || p->rows_n < OWN_ROWS_MIN * p->threads_n) return 0;
    uint32_t partition = qr_whole_tiles((p->rows_n + p->threads_n - 1) / p->threads_n);
    return partition * p->threads_n - p->rows_n <= p->rows_n / OWN_ROWS_UNEVEN ? partition : 0;
}

/* Keys that a sequence's rows see from `position` on, all of them together. */
static uint64_t keys_of(const struct qr_pass *p, uint32_t position, uint32_t rows_n)
{
    const uint32_t window = p->model->shape.sliding_window;
    uint32_t seen = position + rows_n;

    if (window && seen > window) seen = window;
    return (uint64_t)rows_n * seen;
}

/* Rows [begin, begin + n) of a sequence as a query tile whose first pass row is `row`. */
static uint32_t add_tile(struct qr_pass *p, uint32_t seq, uint32_t begin, uint32_t n, uint32_t row)
{
    const struct qr_step_seq *s = &p->step->seqs[seq];

    for (uint32_t i = 0; i < n; i++) {
        p->step_rows[row + i] = s->row + begin + i;
        p->pass_rows[s->row + begin + i] = row + i;
    }
    p->tiles[p->tiles_n] = (struct qr_tile){
        .seq = seq, .row = row, .out_row = row, .rows_n = n, .position = s->position + begin};
    return p->tiles_n++;
}

/* The order of work of tiles in the order of the step: without partitions to keep, from each
 * stretch's last to its first, since the last ones see the most keys and short items at the end
 * even out the load. */
static void order_tiles(struct qr_pass *p)
{
    p->order_n = p->tiles_n;
    for (uint32_t i = 0; i < p->tiles_n; i++) {
        uint32_t partition = qr_partition_of(p->threads_n, i, p->tiles_n);
        uint32_t begin = qr_partition_begin(p->threads_n, partition, p->tiles_n);
        uint32_t end = qr_partition_end(p->threads_n, partition, p->tiles_n);
        p->order[i] = p->tiled ? begin + end - 1 - i : i;
    }
}

/* Tiles in the order of the step. */
static void cut(struct qr_pass *p)
{
    for (uint32_t i = 0; i < p->step->seqs_n; i++) {
        const struct qr_step_seq *seq = &p->step->seqs[i];
        for (uint32_t done = 0, n; done < seq->rows_n; done += n) {
            n = seq->rows_n - done;
            if (n > QR_ATTENTION_ROWS_MAX) n = QR_ATTENTION_ROWS_MAX;
            (void)add_tile(p, i, done, n, seq->row + done);
        }
    }
    order_tiles(p);
}

/* ---- dealing -------------------------------------------------------------------------------- */

static uint32_t room_of(const struct qr_pass *p, uint32_t partition)
{
    uint32_t begin = partition * p->own_rows;
    uint32_t end = begin + p->own_rows < p->rows_n ? begin + p->own_rows : p->rows_n;

    return end - begin - p->dealt[partition].rows_n;
}

/* Of the partitions that have room the one with the fewest keys. */
static uint32_t poorest(const struct qr_pass *p)
{
    uint32_t least = p->threads_n;

    for (uint32_t partition = 0; partition < p->threads_n; partition++) {
        if (room_of(p, partition) == 0) continue;
        if (least == p->threads_n || p->dealt[partition].keys < p->dealt[least].keys)
            least = partition;
    }
    assert(least < p->threads_n);
    return least;
}

/* Rows [begin, end) of a sequence, the last ones first. */
static void deal_rows(struct qr_pass *p, uint32_t seq, uint32_t begin, uint32_t end)
{
    while (begin < end) {
        uint32_t partition = poorest(p);
        struct qr_dealt *to = &p->dealt[partition];
        uint32_t n = room_of(p, partition) < end - begin ? room_of(p, partition) : end - begin;
        p->tiled |= n < end - begin; /* its rows see keys that another thread puts */
        uint32_t position = p->step->seqs[seq].position + end - n;
        p->order[partition * p->own_rows + to->tiles_n++] =
            add_tile(p, seq, end - n, n, partition * p->own_rows + to->rows_n);
        to->rows_n += n;
        to->keys += keys_of(p, position, n);
        end -= n;
    }
}

/* Whether threads come out even enough to wait for one another. */
static bool is_even(const struct qr_pass *p)
{
    uint64_t most = 0, all = 0;

    for (uint32_t partition = 0; partition < p->threads_n; partition++) {
        all += p->dealt[partition].keys;
        if (p->dealt[partition].keys > most) most = p->dealt[partition].keys;
    }
    return most * p->threads_n - all <= all / KEYS_UNEVEN;
}

/* Partitions become stretches of equal length, as the team divides items. */
static void close_up(struct qr_pass *p)
{
    uint32_t most = 0;

    for (uint32_t partition = 0; partition < p->threads_n; partition++)
        if (p->dealt[partition].tiles_n > most) most = p->dealt[partition].tiles_n;
    for (uint32_t partition = 0; partition < p->threads_n; partition++) {
        uint32_t n = p->dealt[partition].tiles_n;
        uint32_t *to = p->order + (size_t)partition * most;
        memmove(to, p->order + (size_t)partition * p->own_rows, n * sizeof(*to));
        for (uint32_t i = n; i < most; i++)
            to[i] = QR_NO_TILE;
    }
    p->order_n = most * p->threads_n;
}

static void deal(struct qr_pass *p)
{
    memset(p->dealt, 0, p->threads_n * sizeof(p->dealt[0]));
    for (uint32_t i = p->step->seqs_n; i-- > 0;) {
        for (uint32_t end = p->step->seqs[i].rows_n, begin; end > 0; end = begin) {
            begin = (end - 1) / QR_ATTENTION_ROWS_MAX * QR_ATTENTION_ROWS_MAX;
            deal_rows(p, i, begin, end);
        }
    }
    close_up(p);
    p->kept = is_even(p);
}

/* ---- of a step, and of its last layer ------------------------------------------------------- */

/* When there are new tiles. */
static void arrange(struct qr_pass *p)
{
    p->keys = 0;
    for (uint32_t i = 0; i < p->tiles_n; i++)
        p->keys += keys_of(p, p->tiles[i].position, p->tiles[i].rows_n);
    qr_pass_arrange(p);
}

void qr_pass_tile(struct qr_pass *p)
{
    const struct qr_step *step = p->step;

    p->tiles_n = 0;
    p->tiled = false;
    p->own_rows = own_rows(p);
    for (uint32_t i = 0; i < step->seqs_n; i++)
        p->tiled |= step->seqs[i].rows_n > QR_ATTENTION_ROWS_MAX;
    p->kept = false;
    if (p->own_rows)
        deal(p);
    else
        cut(p);
    arrange(p);
}

/* The kept rows come first from here on, in the order of the outputs.  No later stage needs
 * states before the pass has ended, so they are moved there, and the two change names. */
void qr_pass_select(struct qr_pass *p)
{
    const struct qr_step *step = p->step;
    uint32_t seq = 0;

    p->tiles_n = 0;
    p->tiled = false;
    p->kept = false;
    p->rows_n = p->outputs_n;
    p->own_rows = own_rows(p);
    for (uint32_t i = 0; i < p->outputs_n; i++) {
        uint32_t row = step->outputs[i];
        while (row >= step->seqs[seq].row + step->seqs[seq].rows_n)
            seq++;
        p->tiles[p->tiles_n++] =
            (struct qr_tile){.seq = seq,
                             .row = p->pass_rows[row],
                             .out_row = i,
                             .rows_n = 1,
                             .position = step->seqs[seq].position + (row - step->seqs[seq].row)};
        memcpy(qr_row(&p->states, i), qr_row(&p->x, p->pass_rows[row]),
               p->model->shape.width * sizeof(float));
        p->pass_rows[row] = i;
    }
    struct qr_rows x = p->x;
    p->x = p->states;
    p->states = x;
    order_tiles(p);
    arrange(p);
}
