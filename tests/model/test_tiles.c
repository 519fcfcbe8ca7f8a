/* SPDX-License-Identifier: MIT */
/* Which thread owns which rows, their order, and the query tiles. */
#include "invariant.h"
#include "late.h"
#include "tiny.h"

#define TINY     QUIRE_TEST_DATA "/llama-tiny.q8_0.gguf"
#define ROWS_MAX 400u
#define SEQS_MAX 64u
#define CONTEXT  900u

/* A step of which only the shape counts. */
struct shape {
    struct qr_step step;
    struct qr_step_seq seqs[SEQS_MAX];
};

static void add_seq(struct shape *s, uint32_t rows_n, uint32_t position)
{
    s->seqs[s->step.seqs_n++] =
        (struct qr_step_seq){.row = s->step.rows_n, .rows_n = rows_n, .position = position};
    s->step.rows_n += rows_n;
    s->step.seqs = s->seqs;
}

static void tile(struct rig *r, struct shape *s)
{
    for (uint32_t i = 0; i < s->step.seqs_n; i++)
        s->seqs[i].pages = rig_pages(r, i);
    qr_activations_begin(&r->forward->activations, &s->step);
}

/* Every row of the step is in one place, in one query tile, at its position.  No query tile crosses
 * partitions.  The order of work has each once, in its partition's stretch. */
static void expect_whole(const struct rig *r, const struct shape *s)
{
    const struct qr_tiles *t = &r->forward->activations.tiles;
    uint32_t seen[ROWS_MAX] = {0}, ordered[ROWS_MAX] = {0}, tiles[SEQS_MAX] = {0}, in_order = 0;
    bool several = false;

    for (uint32_t row = 0; row < t->rows_n; row++)
        assert_int_equal(t->step_rows[t->pass_rows[row]], row);
    for (uint32_t i = 0; i < t->tiles_n; i++) {
        const struct qr_tile *tile = &t->tiles[i];
        const struct qr_step_seq *seq = &s->seqs[tile->seq];
        several |= ++tiles[tile->seq] > 1;
        assert_in_range(tile->rows_n, 1, QR_ATTENTION_ROWS_MAX);
        assert_int_equal(tile->out_row, tile->row);
        if (t->owned_n)
            assert_int_equal(tile->row / t->owned_n, (tile->row + tile->rows_n - 1) / t->owned_n);
        for (uint32_t j = 0; j < tile->rows_n; j++) {
            uint32_t row = t->step_rows[tile->row + j];
            seen[row]++;
            assert_in_range(row, seq->row, seq->row + seq->rows_n - 1);
            assert_int_equal(seq->position + (row - seq->row), tile->position + j);
        }
    }
    for (uint32_t row = 0; row < t->rows_n; row++)
        assert_int_equal(seen[row], 1);
    for (uint32_t i = 0; i < t->order_n; i++) {
        if (t->order[i] == QR_NO_TILE) continue;
        in_order++;
        assert_int_equal(ordered[t->order[i]]++, 0);
        if (t->owned_n)
            assert_int_equal(t->tiles[t->order[i]].row / t->owned_n,
                             i / (t->order_n / t->threads_n));
    }
    assert_int_equal(in_order, t->tiles_n);
    /* all keys are stored before any tile attends */
    assert_int_equal(!r->forward->activations.plan.whole, several);
    if (t->owned_n) assert_int_equal(t->order_n % t->threads_n, 0);
}

static uint64_t keys_of_partition(const struct qr_tiles *t, uint32_t partition)
{
    uint64_t keys = 0;

    for (uint32_t i = 0; i < t->tiles_n; i++)
        if (t->tiles[i].row / t->owned_n == partition)
            keys += (uint64_t)t->tiles[i].rows_n * (t->tiles[i].position + t->tiles[i].rows_n);
    return keys;
}

static void expect_even_keys(const struct rig *r, uint64_t apart_max)
{
    const struct qr_tiles *t = &r->forward->activations.tiles;

    for (uint32_t partition = 1; partition < t->threads_n; partition++) {
        uint64_t a = keys_of_partition(t, 0), b = keys_of_partition(t, partition);
        assert_true((a > b ? a - b : b - a) <= apart_max);
    }
}

static void open_rig(struct rig *r, uint32_t threads_n)
{
    const struct rig_settings settings = {.path = TINY,
                                          .threads_n = threads_n,
                                          .kv_type = QR_KV_F16,
                                          .seqs_n = SEQS_MAX,
                                          .rows_max = ROWS_MAX,
                                          .context_max = CONTEXT};

    rig_open(r, &settings);
}

/* Goal: each thread owns the same number of a prompt's rows, with about the same number of keys.
 * Method: 256 rows of one prompt, at its beginning and after 512 tokens, for two and four threads.
 * Dealt in order, one thread would have three times, or one and a half times, the other's keys. */
static void a_prompt_is_divided_evenly(void **state)
{
    (void)state;
    for (uint32_t threads_n = 2; threads_n <= 4; threads_n += 2) {
        struct rig r;
        open_rig(&r, threads_n);
        for (uint32_t position = 0; position <= 512; position += 512) {
            struct shape s = {0};
            add_seq(&s, 256, position);
            tile(&r, &s);
            expect_whole(&r, &s);
            assert_int_equal(r.forward->activations.tiles.owned_n, 256 / threads_n);
            assert_false(r.forward->activations.plan.whole);
            assert_true(r.forward->activations.plan.owned);
            expect_even_keys(&r, 32 * 32 * 2);
        }
        qr_activations_end(&r.forward->activations);
        rig_close(&r);
    }
}

/* Goal: a query tile's rows have one owner, for any mix of sequences.  Threads own no rows if these
 * would be too few or uneven.  If keys are uneven, any thread takes items of attention.
 * Method: prompts and single rows together, with each number of rows up to 400 and one to three
 * threads; 64 single rows, 16 of which see 40 times as many keys; then one that sees more than all
 * others. */
static void rows_are_owned_where_that_is_even(void **state)
{
    (void)state;
    for (uint32_t threads_n = 1; threads_n <= 3; threads_n++) {
        struct rig r;
        open_rig(&r, threads_n);
        for (uint32_t rows_n = 1; rows_n <= ROWS_MAX; rows_n++) {
            struct shape s = {0};
            for (uint32_t n, i = 0; s.step.rows_n < rows_n; i++) {
                static const uint32_t lengths[] = {1, 70, 1, 20, 1, 33, 1, 1, 128, 7};
                n = i % 2 && i < SEQS_MAX - 2 ? lengths[i % 10] : i < SEQS_MAX - 2 ? 1 : ROWS_MAX;
                if (n > rows_n - s.step.rows_n) n = rows_n - s.step.rows_n;
                add_seq(&s, n, i * 7 % 300);
            }
            tile(&r, &s);
            expect_whole(&r, &s);
            if (threads_n == 1 || rows_n < 16 * threads_n)
                assert_int_equal(r.forward->activations.tiles.owned_n, 0);
            else if (rows_n % (16 * threads_n) == 0)
                assert_int_equal(r.forward->activations.tiles.owned_n, rows_n / threads_n);
            if (r.forward->activations.tiles.owned_n)
                assert_true(r.forward->activations.tiles.owned_n * threads_n <=
                            rows_n + rows_n / 8);
        }
        qr_activations_end(&r.forward->activations);
        rig_close(&r);
    }
    struct rig r;
    struct shape s = {0};
    open_rig(&r, 2);
    for (uint32_t i = 0; i < 64; i++)
        add_seq(&s, 1, i < 16 ? 800 : 19);
    tile(&r, &s);
    expect_whole(&r, &s);
    expect_even_keys(&r, 801);
    assert_true(r.forward->activations.plan.owned);
    assert_true(r.forward->activations.plan.whole);
    s = (struct shape){0};
    for (uint32_t i = 0; i < 64; i++)
        add_seq(&s, 1, i == 5 ? 800 : 1);
    tile(&r, &s);
    expect_whole(&r, &s);
    assert_int_equal(r.forward->activations.tiles.owned_n, 32);
    assert_false(r.forward->activations.plan.owned);
    qr_activations_end(&r.forward->activations);
    rig_close(&r);
}

/* Goal: the selected rows are in the order of the outputs.
 * Method: a prompt's rows 3, 40, 41 and 200, each marked by its number in x. */
static void selected_rows_keep_their_order(void **state)
{
    static const uint32_t outputs[] = {3, 40, 41, 200};
    struct shape s = {.step = {.outputs = outputs, .outputs_n = 4}};
    struct rig r;

    (void)state;
    open_rig(&r, 2);
    add_seq(&s, 256, 100);
    tile(&r, &s);
    assert_int_equal(r.forward->activations.tiles.owned_n, 128);
    for (uint32_t row = 0; row < 256; row++)
        qr_row(&r.forward->activations.x, r.forward->activations.tiles.pass_rows[row])[0] =
            (float)row;
    qr_activations_select(&r.forward->activations);
    assert_int_equal(r.forward->activations.tiles.rows_n, 4);
    assert_int_equal(r.forward->activations.tiles.tiles_n, 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_true(qr_row(&r.forward->activations.x, i)[0] == (float)outputs[i]);
        assert_int_equal(r.forward->activations.tiles.pass_rows[outputs[i]], i);
        assert_int_equal(r.forward->activations.tiles.tiles[i].out_row, i);
        assert_int_equal(r.forward->activations.tiles.tiles[i].position, 100 + outputs[i]);
        assert_int_equal(
            r.forward->activations.tiles.step_rows[r.forward->activations.tiles.tiles[i].row],
            outputs[i]);
    }
    qr_activations_end(&r.forward->activations);
    rig_close(&r);
}

/* ---- the same bits -------------------------------------------------------------------------- */

#define RAGGED      9u
#define RAGGED_ROWS 12u /* a sequence's first step; then 3 more */

/* Goal: a sequence whose rows two threads own has the bits that it has alone, though it is no
 * longer than a query tile. Method: nine sequences of 12 rows in one step, 3 more rows in the next,
 * one to four threads; all rows' logits against each sequence alone on one thread. */
static void same_bits_where_threads_share_a_sequence(void **state)
{
    const uint32_t n = RAGGED_ROWS + 3;
    uint32_t outputs[RAGGED * RAGGED_ROWS];
    int32_t tokens[RAGGED * RAGGED_ROWS];
    struct qr_step_seq seqs[RAGGED];
    float *expected[RAGGED];
    struct rig r;

    (void)state;
    open_rig(&r, 1);
    const uint32_t vocab_n = r.vocab_n;
    for (uint32_t i = 0; i < RAGGED; i++) {
        int32_t *ours = among_tokens(i, n, vocab_n);
        expected[i] = invariant_logits(n, vocab_n);
        rig_run(&r, i, ours, n, expected[i]);
        free(ours);
    }
    rig_close(&r);
    float *logits = invariant_logits(RAGGED * RAGGED_ROWS, vocab_n);
    for (uint32_t i = 0; i < RAGGED * RAGGED_ROWS; i++)
        outputs[i] = i;
    for (uint32_t threads_n = 1; threads_n <= 4; threads_n++) {
        open_rig(&r, threads_n);
        for (uint32_t position = 0, rows_n; position < n; position += rows_n) {
            rows_n = position ? n - RAGGED_ROWS : RAGGED_ROWS;
            for (uint32_t i = 0; i < RAGGED; i++) {
                seqs[i] = (struct qr_step_seq){.row = i * rows_n,
                                               .rows_n = rows_n,
                                               .position = position,
                                               .pages = rig_pages(&r, i)};
                for (uint32_t j = 0; j < rows_n; j++)
                    tokens[i * rows_n + j] = among_token(i, position + j, vocab_n);
            }
            struct qr_step step = {.tokens = tokens,
                                   .rows_n = RAGGED * rows_n,
                                   .seqs = seqs,
                                   .seqs_n = RAGGED,
                                   .outputs = outputs,
                                   .outputs_n = RAGGED * rows_n};
            qr_forward_run(r.forward, &step);
            rig_take_logits(&r, RAGGED * rows_n, logits);
            for (uint32_t i = 0; i < RAGGED; i++)
                among_expect_same(expected[i] + (size_t)position * vocab_n,
                                  logits + (size_t)i * rows_n * vocab_n, rows_n, vocab_n,
                                  "a sequence that is shared out");
        }
        rig_close(&r);
    }
    free(logits);
    for (uint32_t i = 0; i < RAGGED; i++)
        free(expected[i]);
}

/* Goal: a prompt's rows wait for the keys that another thread stores.
 * Method: 256 rows of one prompt on two threads, one of which is late with its norms, its keys or
 * its attention; all rows' logits against one thread's. */
static void same_bits_though_a_thread_is_late(void **state)
{
    const uint32_t n = 256;
    struct rig r;

    (void)state;
    open_rig(&r, 1);
    const uint32_t vocab_n = r.vocab_n;
    int32_t *tokens = among_tokens(3, n, vocab_n);
    float *expected = invariant_logits(n, vocab_n);
    float *logits = invariant_logits(n, vocab_n);
    rig_run(&r, 0, tokens, n, expected);
    rig_close(&r);
    for (enum late kind = 0; kind < LATE_KINDS_N; kind++) {
        open_rig(&r, 2);
        late_begin(&r, kind);
        rig_run(&r, 0, tokens, n, logits);
        among_expect_same(expected, logits, n, vocab_n, "a prompt on two threads");
        rig_close(&r);
    }
    free(expected);
    free(logits);
    free(tokens);
}

/* Goal: a model with more stages than the team runs together has the same bits.
 * Method: 64 rows of one prompt through 90 layers, by one thread and by two. */
static void same_bits_through_many_layers(void **state)
{
    enum { ROWS = 64, LAYERS = 90 };
    struct tiny t = tiny_defaults();
    struct gguf_writer w;
    struct rig r;
    float *logits[2];
    uint32_t vocab_n = 0;

    (void)state;
    _Static_assert(6 * LAYERS > QR_STAGES_MAX, "a layer has at least six");
    t.layers_n = LAYERS;
    t.type = t.other = t.down = t.embedding = QR_TYPE_Q8_0;
    tiny_write(&w, &t);
    struct rig_settings settings = {.kv_type = QR_KV_F16, .rows_max = ROWS, .context_max = ROWS};
    settings.bytes = gguf_writer_finish(&w, &settings.bytes_n);
    for (uint32_t i = 0; i < 2; i++) {
        settings.threads_n = 1 + i;
        rig_open(&r, &settings);
        vocab_n = r.vocab_n;
        int32_t *tokens = among_tokens(3, ROWS, vocab_n);
        logits[i] = invariant_logits(ROWS, vocab_n);
        rig_run(&r, 0, tokens, ROWS, logits[i]);
        free(tokens);
        rig_close(&r);
    }
    among_expect_same(logits[0], logits[1], ROWS, vocab_n, "many layers on two threads");
    free(logits[0]);
    free(logits[1]);
    gguf_writer_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_prompt_is_divided_evenly),
        cmocka_unit_test(rows_are_owned_where_that_is_even),
        cmocka_unit_test(selected_rows_keep_their_order),
        cmocka_unit_test(same_bits_where_threads_share_a_sequence),
        cmocka_unit_test(same_bits_though_a_thread_is_late),
        cmocka_unit_test(same_bits_through_many_layers),
    };

    return cmocka_run_group_tests_name("model/tiles", tests, NULL, NULL);
}
