/* SPDX-License-Identifier: MIT */
#include "runtime/model/tiles.h"

#include <assert.h>
#include <string.h>

#include "kernels/attention.h"
#include "runtime/base/stage.h"
#include "runtime/model/layout.h"

#define OWN_ROWS_MIN 16u /* with fewer a panel is fetched for too little work */
/* The largest partition may exceed the mean by one row in so many. */
#define OWN_ROWS_UNEVEN 8u

static void lay_out(struct qr_tiles *t, struct qr_layout *l)
{
    t->step_rows = qr_layout_place(l, t->rows_max, sizeof t->step_rows[0]);
    t->pass_rows = qr_layout_place(l, t->rows_max, sizeof t->pass_rows[0]);
    t->tiles = qr_layout_place(l, t->rows_max, sizeof t->tiles[0]);
    t->order = qr_layout_place(l, 2 * (size_t)t->rows_max, sizeof t->order[0]);
    t->dealt = qr_layout_place(l, t->threads_n, sizeof t->dealt[0]);
}

size_t qr_tiles_bytes(uint32_t threads_n, uint32_t rows_max)
{
    struct qr_tiles t = {.threads_n = threads_n, .rows_max = rows_max};
    struct qr_layout l = {0};

    lay_out(&t, &l);
    return l.bytes;
}

void qr_tiles_init(struct qr_tiles *t, void *memory, uint32_t threads_n, uint32_t rows_max)
{
    *t = (struct qr_tiles){.threads_n = threads_n, .rows_max = rows_max};
    lay_out(t, &(struct qr_layout){.base = memory});
}

static uint32_t owned_rows(const struct qr_tiles *t)
{
    if (t->threads_n == 1 || t->rows_n < OWN_ROWS_MIN * t->threads_n) return 0;
    uint32_t partition = qr_whole_tiles((t->rows_n + t->threads_n - 1) / t->threads_n);
    return partition * t->threads_n - t->rows_n <= t->rows_n / OWN_ROWS_UNEVEN ? partition : 0;
}

/* Keys that a sequence's rows see from `position` on, all of them together. */
static uint64_t keys_of(const struct qr_tiles *t, uint32_t position, uint32_t rows_n)
{
    uint32_t seen = position + rows_n;

    if (t->window && seen > t->window) seen = t->window;
    return (uint64_t)rows_n * seen;
}

uint64_t qr_tiles_keys(const struct qr_tiles *t, const struct qr_tile *tile)
{
    return keys_of(t, tile->position, tile->rows_n);
}

/* Rows [begin, begin + n) of a sequence as a query tile whose first pass row is `row`. */
static uint32_t add_tile(struct qr_tiles *t, uint32_t seq, uint32_t begin, uint32_t n, uint32_t row)
{
    const struct qr_step_seq *s = &t->step->seqs[seq];

    for (uint32_t i = 0; i < n; i++) {
        t->step_rows[row + i] = s->row + begin + i;
        t->pass_rows[s->row + begin + i] = row + i;
    }
    t->tiles[t->tiles_n] = (struct qr_tile){
        .seq = seq, .row = row, .out_row = row, .rows_n = n, .position = s->position + begin};
    return t->tiles_n++;
}

/* ---- without partitions --------------------------------------------------------------------- */

/* The order of work.  backwards: each stretch from its last query tile to its first, since the last
 * ones see the most keys and short items at the end even out the load. */
static void order_tiles(struct qr_tiles *t, bool backwards)
{
    t->order_n = t->tiles_n;
    for (uint32_t i = 0; i < t->tiles_n; i++) {
        uint32_t partition = qr_partition_of(t->threads_n, i, t->tiles_n);
        uint32_t begin = qr_partition_begin(t->threads_n, partition, t->tiles_n);
        uint32_t end = qr_partition_end(t->threads_n, partition, t->tiles_n);
        t->order[i] = backwards ? begin + end - 1 - i : i;
    }
}

/* Query tiles in the order of the step. */
static void cut(struct qr_tiles *t)
{
    for (uint32_t i = 0; i < t->step->seqs_n; i++) {
        const struct qr_step_seq *seq = &t->step->seqs[i];
        for (uint32_t done = 0, n; done < seq->rows_n; done += n) {
            n = seq->rows_n - done;
            if (n > QR_ATTENTION_ROWS_MAX) n = QR_ATTENTION_ROWS_MAX;
            (void)add_tile(t, i, done, n, seq->row + done);
        }
    }
    order_tiles(t, t->tiles_n > t->step->seqs_n);
}

/* ---- dealing query tiles to partitions ------------------------------------------------------ */

static uint32_t room_of(const struct qr_tiles *t, uint32_t partition)
{
    uint32_t begin = partition * t->owned_n;
    uint32_t end = begin + t->owned_n < t->rows_n ? begin + t->owned_n : t->rows_n;

    return end - begin - t->dealt[partition].rows_n;
}

/* Of the partitions that have room the one with the fewest keys. */
static uint32_t poorest(const struct qr_tiles *t)
{
    uint32_t least = t->threads_n;

    for (uint32_t partition = 0; partition < t->threads_n; partition++) {
        if (room_of(t, partition) == 0) continue;
        if (least == t->threads_n || t->dealt[partition].keys < t->dealt[least].keys)
            least = partition;
    }
    assert(least < t->threads_n);
    return least;
}

/* Rows [begin, end) of a sequence, the last ones first. */
static void deal_rows(struct qr_tiles *t, uint32_t seq, uint32_t begin, uint32_t end)
{
    while (begin < end) {
        uint32_t partition = poorest(t);
        struct qr_dealt *to = &t->dealt[partition];
        uint32_t n = room_of(t, partition) < end - begin ? room_of(t, partition) : end - begin;
        uint32_t position = t->step->seqs[seq].position + end - n;
        t->order[partition * t->owned_n + to->tiles_n++] =
            add_tile(t, seq, end - n, n, partition * t->owned_n + to->rows_n);
        to->rows_n += n;
        to->keys += keys_of(t, position, n);
        end -= n;
    }
}

/* Partitions become stretches of equal length, as the team divides items. */
static void close_up(struct qr_tiles *t)
{
    uint32_t most = 0;

    for (uint32_t partition = 0; partition < t->threads_n; partition++)
        if (t->dealt[partition].tiles_n > most) most = t->dealt[partition].tiles_n;
    for (uint32_t partition = 0; partition < t->threads_n; partition++) {
        uint32_t n = t->dealt[partition].tiles_n;
        uint32_t *to = t->order + (size_t)partition * most;
        memmove(to, t->order + (size_t)partition * t->owned_n, n * sizeof *to);
        for (uint32_t i = n; i < most; i++)
            to[i] = QR_NO_TILE;
    }
    t->order_n = most * t->threads_n;
}

static void deal(struct qr_tiles *t)
{
    memset(t->dealt, 0, t->threads_n * sizeof t->dealt[0]);
    for (uint32_t i = t->step->seqs_n; i-- > 0;) {
        for (uint32_t end = t->step->seqs[i].rows_n, begin; end > 0; end = begin) {
            begin = (end - 1) / QR_ATTENTION_ROWS_MAX * QR_ATTENTION_ROWS_MAX;
            deal_rows(t, i, begin, end);
        }
    }
    close_up(t);
}

/* ---- of a step, and of its last layer ------------------------------------------------------- */

void qr_tiles_cut(struct qr_tiles *t, const struct qr_step *step, uint32_t window)
{
    assert(step->rows_n <= t->rows_max);
    t->step = step;
    t->window = window;
    t->rows_n = step->rows_n;
    t->tiles_n = 0;
    t->owned_n = owned_rows(t);
    if (t->owned_n)
        deal(t);
    else
        cut(t);
}

void qr_tiles_select(struct qr_tiles *t)
{
    const struct qr_step *step = t->step;
    uint32_t seq = 0;

    t->tiles_n = 0;
    t->rows_n = step->outputs_n;
    t->owned_n = owned_rows(t);
    for (uint32_t i = 0; i < step->outputs_n; i++) {
        uint32_t row = step->outputs[i];
        while (row >= step->seqs[seq].row + step->seqs[seq].rows_n)
            seq++;
        t->tiles[t->tiles_n++] =
            (struct qr_tile){.seq = seq,
                             .row = t->pass_rows[row],
                             .out_row = i,
                             .rows_n = 1,
                             .position = step->seqs[seq].position + (row - step->seqs[seq].row)};
        t->pass_rows[row] = i;
    }
    order_tiles(t, false);
}
