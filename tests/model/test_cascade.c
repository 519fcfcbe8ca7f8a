/* SPDX-License-Identifier: MIT */
/* Rows of sequences that begin alike go over their shared spans together, and each has the bits
 * that it has alone. */
#include <stdalign.h>

#include "among.h"
#include "late.h"

#define TINY     QUIRE_TEST_DATA "/llama-tiny.q8_0.gguf"
#define SEQS     9u
#define SPANS    2u
#define MORE     55u /* rows of other sequences: more than a query tile, and 64 with ours */
#define CONTEXT  800u
#define CHUNK    200u
#define ROWS_MAX 256u

/* The text of each of a sequence's spans, and the position of its last token. */
static const struct {
    uint8_t text[SPANS];
    uint16_t position;
} seqs[SEQS] = {
    {{0, 0}, 520}, {{0, 0}, 770}, {{0, 2}, 526}, {{0, 1}, 530}, {{0, 0}, 512},
    {{0, 1}, 540}, {{1, 0}, 525}, {{1, 0}, 527}, {{0, 0}, 300},
};

static uint32_t whole_spans(uint32_t seq)
{
    uint32_t n = seqs[seq].position / QR_KV_SPAN;

    return n < SPANS ? n : SPANS;
}

/* Spans that two sequences have in common. */
static uint32_t common(uint32_t a, uint32_t b)
{
    uint32_t n = 0;

    while (n < whole_spans(a) && n < whole_spans(b) && seqs[a].text[n] == seqs[b].text[n])
        n++;
    return n;
}

static int32_t token_at(uint32_t seq, uint32_t position, uint32_t vocab_n)
{
    uint32_t text = 1, span = position / QR_KV_SPAN;

    if (span >= whole_spans(seq)) return among_token(1000 + seq, position, vocab_n);
    for (uint32_t b = 0; b <= span; b++)
        text = text * 3 + seqs[seq].text[b];
    return among_token(text, position, vocab_n);
}

/* A sequence uses an earlier sequence's pages for the spans that they have in common. */
static void share_pages(struct rig *r)
{
    uint32_t block_pages = QR_KV_SPAN / r->settings.page_tokens;

    for (uint32_t i = 0; i < SEQS; i++)
        for (uint32_t j = 0; j < i; j++)
            for (uint32_t page = 0; page < common(i, j) * block_pages; page++)
                r->pages[i * r->pages_n + page] = r->pages[j * r->pages_n + page];
}

/* Runs all tokens but each sequence's last.  Tokens on an earlier sequence's pages are there
 * already. */
static void fill(struct rig *r)
{
    int32_t tokens[CHUNK];

    for (uint32_t seq = 0; seq < SEQS; seq++) {
        uint32_t done = 0;
        for (uint32_t j = 0; j < seq; j++)
            if (rig_pages(r, seq)[0] == rig_pages(r, j)[0] && common(seq, j) * QR_KV_SPAN > done)
                done = common(seq, j) * QR_KV_SPAN;
        for (uint32_t n; done < seqs[seq].position; done += n) {
            n = seqs[seq].position - done < CHUNK ? seqs[seq].position - done : CHUNK;
            for (uint32_t i = 0; i < n; i++)
                tokens[i] = token_at(seq, done + i, r->vocab_n);
            struct qr_step_seq s = {.rows_n = n, .position = done, .pages = rig_pages(r, seq)};
            struct qr_step step = {.tokens = tokens, .rows_n = n, .seqs = &s, .seqs_n = 1};
            qr_forward_run(r->forward, &step);
        }
    }
}

/* Runs the last token of each, alone on its own pages. */
static float *alone(struct rig_settings settings)
{
    struct rig r;

    settings.threads_n = 1;
    rig_open(&r, &settings);
    fill(&r);
    float *logits = malloc((size_t)SEQS * r.vocab_n * sizeof *logits);
    assert_non_null(logits);
    for (uint32_t seq = 0; seq < SEQS; seq++) {
        int32_t token = token_at(seq, seqs[seq].position, r.vocab_n);
        rig_run_chunks(&r,
                       &(struct rig_tokens){
                           .seq = seq, .tokens = &token, .n = 1, .position = seqs[seq].position},
                       1, logits + (size_t)seq * r.vocab_n);
        assert_int_equal(r.forward->activations.plan.cascade.bundles_n, 0);
    }
    rig_close(&r);
    return logits;
}

/* One step with every sequence's last token and, between them, the first tokens of others_n other
 * sequences, MORE in all.  The logits of every `every`th single row are requested. */
static void expect_together(struct rig *r, uint32_t others_n, uint32_t every, const float *expected)
{
    struct qr_step_seq step_seqs[SEQS + MORE];
    int32_t tokens[SEQS + MORE];
    uint32_t outputs[SEQS], asked[SEQS], seqs_n = 0, outputs_n = 0, row = 0;
    float *logits = malloc((size_t)SEQS * r->vocab_n * sizeof *logits);

    assert_non_null(logits);
    for (uint32_t seq = 0; seq < SEQS; seq++) {
        for (uint32_t i = 0; i < others_n && seq == SEQS / 2; i++) {
            step_seqs[seqs_n++] = (struct qr_step_seq){
                .row = row, .rows_n = MORE / others_n, .pages = rig_pages(r, SEQS + i)};
            for (uint32_t j = 0; j < MORE / others_n; j++)
                tokens[row++] = among_token(77 + i, j, r->vocab_n);
        }
        step_seqs[seqs_n++] = (struct qr_step_seq){
            .row = row, .rows_n = 1, .position = seqs[seq].position, .pages = rig_pages(r, seq)};
        if (seq % every == 0) {
            asked[outputs_n] = seq;
            outputs[outputs_n++] = row;
        }
        tokens[row++] = token_at(seq, seqs[seq].position, r->vocab_n);
    }
    struct qr_step step = {.tokens = tokens,
                           .rows_n = row,
                           .seqs = step_seqs,
                           .seqs_n = seqs_n,
                           .outputs = outputs,
                           .outputs_n = outputs_n};
    qr_forward_run(r->forward, &step);
    assert_true(r->forward->activations.plan.cascade.bundles_n > 0);
    rig_take_logits(r, outputs_n, logits);
    for (uint32_t i = 0; i < outputs_n; i++)
        among_expect_same(expected + (size_t)asked[i] * r->vocab_n, logits + (size_t)i * r->vocab_n,
                          1, r->vocab_n, "over shared spans");
    free(logits);
}

static void expect_same_bits(struct rig_settings settings, uint32_t threads_max)
{
    settings.path = TINY;
    settings.seqs_n = SEQS + MORE;
    settings.rows_max = ROWS_MAX;
    settings.context_max = CONTEXT;
    float *expected = alone(settings);
    for (settings.threads_n = 1; settings.threads_n <= threads_max; settings.threads_n++) {
        struct rig r;
        rig_open(&r, &settings);
        share_pages(&r);
        fill(&r);
        expect_together(&r, 0, 1, expected);
        expect_together(&r, 0, 3, expected);
        expect_together(&r, 1, 1, expected);
        expect_together(&r, MORE, 1, expected);
        rig_close(&r);
    }
    free(expected);
}

/* Goal: rows that go over shared spans together have the bits that they have alone.
 * Method: nine sequences that share up to two spans, as a tree.  One ends at a span's end, one
 * within the second span.  They run alone on pages of their own, and in one step on shared pages;
 * also with a prompt or single rows in the same step, and where the last layer keeps few rows; one
 * to three threads, each type of keys, two sizes of pages. */
static void same_bits_over_shared_spans(void **state)
{
    (void)state;
    for (unsigned type = 0; type < QR_KV_TYPES_N; type++)
        expect_same_bits((struct rig_settings){.kv_type = (enum qr_kv_type)type,
                                               .page_tokens = type % 2 ? 128 : 32},
                         3);
}

/* Goal: a bundle of two threads' rows has a barrier before and after it.
 * Method: two threads that own 32 rows each; one is late with queries, with keys, or with its
 * attention. */
static void same_bits_though_a_thread_is_late(void **state)
{
    struct rig_settings settings = {.path = TINY,
                                    .kv_type = QR_KV_F16,
                                    .seqs_n = SEQS + MORE,
                                    .rows_max = ROWS_MAX,
                                    .context_max = CONTEXT};
    float *expected = alone(settings);

    (void)state;
    settings.threads_n = 2;
    for (enum late kind = 0; kind < LATE_KINDS_N; kind++) {
        struct rig r;
        rig_open(&r, &settings);
        share_pages(&r);
        fill(&r);
        late_begin(&r, kind);
        for (int i = 0; i < 4; i++)
            expect_together(&r, i % 2 ? 1 : MORE, 1, expected);
        rig_close(&r);
    }
    free(expected);
}

/* Goal: the same at other CPU levels (kernels/attention compares with scalar).
 * Method: force each level that this machine has. */
static void same_bits_at_each_level(void **state)
{
    static const char *const levels[] = {"avx2", "avx512"};
    unsigned flags;

    (void)state;
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        assert_true(qr_cpu_level_flags(levels[i], &flags));
        if ((flags & qr_cpu_flags()) != flags) {
            print_message("  %s: not on this machine\n", levels[i]);
            continue;
        }
        expect_same_bits(
            (struct rig_settings){.kv_type = i ? QR_KV_F16 : QR_KV_Q8, .cpu_level = levels[i]}, 1);
    }
}

/* ---- which rows share ----------------------------------------------------------------------- */

/* A step of which only the query tiles count; each row of `pages` is a sequence's first pages. */
struct fake {
    struct qr_model_shape shape;
    struct qr_step step;
    struct qr_step_seq seqs[8];
    struct qr_tile rows[8];
    qr_page_id pages[8][6];
    struct qr_tiles tiles;
    struct qr_cascade cascade;
    alignas(64) uint8_t memory[1024];
};

static void fake_make(struct fake *f, uint32_t threads_n)
{
    *f = (struct fake){.shape = {.heads_n = 9, .kv_heads_n = 3, .head_dim = 64}};
    f->step.seqs = f->seqs;
    f->tiles = (struct qr_tiles){.step = &f->step, .tiles = f->rows, .threads_n = threads_n};
    assert_true(qr_cascade_bytes(8) <= sizeof f->memory);
    qr_cascade_init(&f->cascade, f->memory, 8);
}

/* Pages of 128 tokens: two a span. */
static void fake_find(struct fake *f)
{
    qr_cascade_find(&f->cascade, &f->tiles, &f->shape, 128);
}

static void fake_add(struct fake *f, uint32_t position, uint32_t rows_n, const qr_page_id pages[6])
{
    uint32_t i = f->tiles.tiles_n++;

    memcpy(f->pages[i], pages, sizeof f->pages[i]);
    f->seqs[i].pages = f->pages[i];
    f->rows[i] = (struct qr_tile){.seq = i, .rows_n = rows_n, .position = position};
}

/* Goal: a bundle's rows begin alike.  Each shares as many spans as it has in common with the first
 * row, and no more than its own whole spans.
 * Method: rows of two texts mixed, a row that ends before its first whole span, a query tile of
 * several rows, a row that shares with no other. */
static void bundles_are_rows_that_begin_alike(void **state)
{
    struct fake f;

    (void)state;
    fake_make(&f, 1);
    fake_add(&f, 700, 1, (const qr_page_id[6]){1, 2, 3, 4, 5, 6});
    fake_add(&f, 700, 1, (const qr_page_id[6]){11, 12, 13, 14, 15, 16});
    fake_add(&f, 512, 1, (const qr_page_id[6]){1, 2, 3, 4, 0, 0});
    fake_add(&f, 600, 1, (const qr_page_id[6]){11, 12, 13, 20, 0, 0});
    fake_add(&f, 255, 1, (const qr_page_id[6]){1, 2, 0, 0, 0, 0});
    fake_add(&f, 600, 4, (const qr_page_id[6]){1, 2, 3, 4, 0, 0});
    fake_add(&f, 600, 1, (const qr_page_id[6]){1, 30, 3, 4, 0, 0});
    fake_find(&f);
    assert_int_equal(f.cascade.bundles_n, 2);
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(f.cascade.bundles[i].rows_n, 2);
    static const uint32_t summed[7] = {2, 1, 2, 1, 0, 0, 0};
    for (uint32_t i = 0; i < 7; i++)
        assert_int_equal(f.cascade.spans[i], summed[i]);
    /* a bundle's rows begin alike */
    for (uint32_t i = 0; i < 2; i++) {
        const uint32_t *rows = f.cascade.order + f.cascade.bundles[i].first;
        assert_int_equal(f.pages[rows[0]][0], f.pages[rows[1]][0]);
        assert_int_not_equal(rows[0], rows[1]);
    }
}

/* Goal: a row joins the rows that it shares the most with; rows that share more leave later.
 * Method: three rows that share one span, of which two share three. */
static void rows_join_the_most_similar_rows(void **state)
{
    struct fake f;

    (void)state;
    fake_make(&f, 1);
    fake_add(&f, 800, 1, (const qr_page_id[6]){1, 2, 3, 4, 5, 6});
    fake_add(&f, 800, 1, (const qr_page_id[6]){1, 2, 7, 8, 9, 10});
    fake_add(&f, 800, 1, (const qr_page_id[6]){1, 2, 7, 8, 9, 10});
    fake_find(&f);
    assert_int_equal(f.cascade.bundles_n, 1);
    assert_int_equal(f.cascade.spans[0], 0);
    assert_int_equal(f.cascade.spans[1], 3);
    assert_int_equal(f.cascade.spans[2], 3);
}

/* Goal: a row that shares less leaves its bundle earlier, and a short row does not shorten the
 * others.
 * Method: four rows that share one span; three of them share two; one of these ends there. */
static void rows_leave_where_they_share_no_more(void **state)
{
    struct fake f;

    (void)state;
    fake_make(&f, 1);
    f.shape.kv_heads_n = 9; /* so that all are one bundle */
    fake_add(&f, 800, 1, (const qr_page_id[6]){1, 2, 7, 8, 9, 10});
    fake_add(&f, 800, 1, (const qr_page_id[6]){1, 2, 3, 4, 5, 6});
    fake_add(&f, 512, 1, (const qr_page_id[6]){1, 2, 3, 4, 0, 0});
    fake_add(&f, 800, 1, (const qr_page_id[6]){1, 2, 3, 4, 5, 6});
    fake_find(&f);
    assert_int_equal(f.cascade.bundles_n, 1);
    assert_int_equal(f.cascade.bundles[0].rows_n, 4);
    static const uint32_t tiles[4] = {1, 3, 2, 0}, summed[4] = {3, 3, 2, 1};
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(f.cascade.order[i], tiles[i]);
        assert_int_equal(f.cascade.spans[tiles[i]], summed[i]);
    }
}

/* Goal: many rows make bundles for every thread; with a window nothing is shared.
 * Method: eight rows that begin alike, on one thread and on two. */
static void many_rows_are_several_bundles(void **state)
{
    struct fake f;

    (void)state;
    for (uint32_t threads_n = 1; threads_n <= 2; threads_n++) {
        fake_make(&f, threads_n);
        for (uint32_t i = 0; i < 8; i++)
            fake_add(&f, 256 + i, 1, (const qr_page_id[6]){1, 2});
        fake_find(&f);
        assert_int_equal(f.cascade.bundles_n, threads_n == 1 ? 2 : 4);
        uint32_t rows_n = 0;
        for (uint32_t i = 0; i < f.cascade.bundles_n; i++)
            rows_n += f.cascade.bundles[i].rows_n;
        assert_int_equal(rows_n, 8);
    }
    f.tiles.window = 4096;
    fake_find(&f);
    assert_int_equal(f.cascade.bundles_n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bits_over_shared_spans),
        cmocka_unit_test(same_bits_though_a_thread_is_late),
        cmocka_unit_test(same_bits_at_each_level),
        cmocka_unit_test(bundles_are_rows_that_begin_alike),
        cmocka_unit_test(rows_join_the_most_similar_rows),
        cmocka_unit_test(rows_leave_where_they_share_no_more),
        cmocka_unit_test(many_rows_are_several_bundles),
    };

    return cmocka_run_group_tests_name("model/cascade", tests, NULL, NULL);
}
