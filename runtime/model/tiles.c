/* SPDX-License-Identifier: MIT */
/* Which rows are whose, where they stand, and the tiles that attend together.
 *
 * From OWN_ROWS_MIN rows a thread on each thread has rows of its own, a home of whole tiles of
 * activations, and does all of a layer's work on them: what it writes in one piece of work it reads
 * in the next, and no line goes from core to core.  Cores that share no cache pay for each that
 * does: reading what another has written takes three times as long as between cores that share
 * one, writing what another has read four times (runtime/base/README.md).
 *
 * A row's matrices cost the same wherever it stands, its attention grows with the keys that it
 * sees.  So tiles of sequences are dealt out, each to the thread with the fewest keys so far, from
 * a sequence's last tile to its first; a tile that finds less room in a home than it has rows is
 * cut.  Rows then stand in their buffers by homes and not in the step's order: `origins` and
 * `stands` say which is where.  No row's bits depend on that. */
#include <assert.h>
#include <string.h>

#include "runtime/model/pass.h"

#define OWN_ROWS_MIN 16u /* with fewer a panel is fetched for too little work */
/* Rows by which threads' own may exceed the mean, one in so many: more would be waited for. */
#define OWN_ROWS_UNEVEN 8u
#define KEYS_UNEVEN     8u /* the same of the keys that they see */

static uint32_t own_rows(const struct qr_pass *p)
{
    if (p->threads_n == 1 || p->rows_n < OWN_ROWS_MIN * p->threads_n) return 0;
    uint32_t home = qr_whole_tiles((p->rows_n + p->threads_n - 1) / p->threads_n);
    return home * p->threads_n - p->rows_n <= p->rows_n / OWN_ROWS_UNEVEN ? home : 0;
}

/* Keys that a sequence's rows see from `position` on, all of them together. */
static uint64_t keys_of(const struct qr_pass *p, uint32_t position, uint32_t rows_n)
{
    const uint32_t window = p->model->shape.sliding_window;
    uint32_t seen = position + rows_n;

    if (window && seen > window) seen = window;
    return (uint64_t)rows_n * seen;
}

/* Rows [begin, begin + n) of a sequence as a tile whose first row stands at `row`. */
static uint32_t add_tile(struct qr_pass *p, uint32_t seq, uint32_t begin, uint32_t n, uint32_t row)
{
    const struct qr_step_seq *s = &p->step->seqs[seq];

    for (uint32_t i = 0; i < n; i++) {
        p->origins[row + i] = s->row + begin + i;
        p->stands[s->row + begin + i] = row + i;
    }
    p->tiles[p->tiles_n] = (struct qr_tile){
        .seq = seq, .row = row, .out_row = row, .rows_n = n, .position = s->position + begin};
    return p->tiles_n++;
}

/* The order of work of tiles in the order of the step: without homes to keep, from each stretch's
 * last to its first, since the last ones see the most keys and short pieces at the end even out the
 * load. */
static void order_tiles(struct qr_pass *p)
{
    p->order_n = p->tiles_n;
    for (uint32_t i = 0; i < p->tiles_n; i++) {
        uint32_t home = qr_team_home_of(p->threads_n, i, p->tiles_n);
        uint32_t begin = qr_team_home_begin(p->threads_n, home, p->tiles_n);
        uint32_t end = qr_team_home_end(p->threads_n, home, p->tiles_n);
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

/* ---- dealing ----------------------------------------------------------------------------------
 */

static uint32_t room_of(const struct qr_pass *p, uint32_t home)
{
    uint32_t begin = home * p->own_rows;
    uint32_t end = begin + p->own_rows < p->rows_n ? begin + p->own_rows : p->rows_n;

    return end - begin - p->dealt[home].rows_n;
}

/* Of the homes that have room the one with the fewest keys. */
static uint32_t poorest(const struct qr_pass *p)
{
    uint32_t least = p->threads_n;

    for (uint32_t home = 0; home < p->threads_n; home++) {
        if (room_of(p, home) == 0) continue;
        if (least == p->threads_n || p->dealt[home].keys < p->dealt[least].keys) least = home;
    }
    assert(least < p->threads_n);
    return least;
}

/* Rows [begin, end) of a sequence, the last ones first. */
static void deal_rows(struct qr_pass *p, uint32_t seq, uint32_t begin, uint32_t end)
{
    while (begin < end) {
        uint32_t home = poorest(p);
        struct qr_dealt *to = &p->dealt[home];
        uint32_t n = room_of(p, home) < end - begin ? room_of(p, home) : end - begin;
        p->tiled |= n < end - begin; /* its rows see keys that another thread puts */
        uint32_t position = p->step->seqs[seq].position + end - n;
        p->order[home * p->own_rows + to->tiles_n++] =
            add_tile(p, seq, end - n, n, home * p->own_rows + to->rows_n);
        to->rows_n += n;
        to->keys += keys_of(p, position, n);
        end -= n;
    }
}

/* Whether threads come out even enough to wait for one another. */
static bool is_even(const struct qr_pass *p)
{
    uint64_t most = 0, all = 0;

    for (uint32_t home = 0; home < p->threads_n; home++) {
        all += p->dealt[home].keys;
        if (p->dealt[home].keys > most) most = p->dealt[home].keys;
    }
    return most * p->threads_n - all <= all / KEYS_UNEVEN;
}

/* Homes become stretches of equal length, as the team shares out pieces. */
static void close_up(struct qr_pass *p)
{
    uint32_t most = 0;

    for (uint32_t home = 0; home < p->threads_n; home++)
        if (p->dealt[home].tiles_n > most) most = p->dealt[home].tiles_n;
    for (uint32_t home = 0; home < p->threads_n; home++) {
        uint32_t n = p->dealt[home].tiles_n;
        uint32_t *to = p->order + (size_t)home * most;
        memmove(to, p->order + (size_t)home * p->own_rows, n * sizeof(*to));
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

/* ---- a step's, and those that its last layer keeps --------------------------------------------
 */

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

/* The rows kept stand first from here on, in the order in which they were asked for.  Nobody needs
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
                             .row = p->stands[row],
                             .out_row = i,
                             .rows_n = 1,
                             .position = step->seqs[seq].position + (row - step->seqs[seq].row)};
        memcpy(qr_row(&p->states, i), qr_row(&p->x, p->stands[row]),
               p->model->shape.width * sizeof(float));
        p->stands[row] = i;
    }
    struct qr_rows x = p->x;
    p->x = p->states;
    p->states = x;
    order_tiles(p);
    arrange(p);
}
