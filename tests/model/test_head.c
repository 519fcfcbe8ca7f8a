/* SPDX-License-Identifier: MIT */
/* Rows that want their best token only: it is argmax of the row's logits, whatever other rows want,
 * at any CPU level and number of threads.  Everything here compares with ==. */
#include <math.h>

#include "among.h"
#include "tiny.h"

#define ROWS     40u
#define PERIOD   37u /* every token has equals in other panels and other items of the head */
#define RUNS     3u  /* threads divide the items differently each time */
#define ALL_BEST 1000u

/* A llama with an output head of this type. */
static uint8_t *write_model(struct gguf_writer *w, enum qr_type type, uint32_t vocab_n, size_t *n)
{
    struct tiny t = tiny_defaults();

    t.layers_n = 1;
    t.width = t.ffn_width = 256; /* rows that every type takes */
    t.head_dim = t.rotary_n = 64;
    t.vocab_n = vocab_n;
    t.type = type;
    t.own_output = true;
    tiny_write(w, &t);
    (void)gguf_writer_finish(w, n);
    return w->file.data;
}

/* The head's rows in a file that was written here. */
static uint8_t *head_of(const uint8_t *bytes, size_t n, size_t *row_bytes)
{
    struct quire_allocator allocator = qr_allocator((struct quire_allocator){0});
    struct quire_error error;
    struct qr_gguf g;

    assert_int_equal(qr_gguf_parse(&g, bytes, n, "memory", &allocator, &error), QUIRE_OK);
    const struct qr_gguf_tensor *t = qr_gguf_tensor(&g, "output.weight");
    const struct qr_type_traits *traits = qr_type_traits((enum qr_type)t->type);
    *row_bytes = (size_t)t->dims[0] / traits->block_n * traits->block_bytes;
    uint8_t *head = (uint8_t *)(uintptr_t)t->data;
    qr_gguf_close(&g);
    return head;
}

static void forward(struct rig *r)
{
    uint32_t outputs[ROWS];
    int32_t *tokens = among_tokens(3, ROWS, r->vocab_n);
    struct qr_step_seq seq = {.rows_n = ROWS, .pages = rig_pages(r, 0)};
    struct qr_step step = {.tokens = tokens,
                           .rows_n = ROWS,
                           .seqs = &seq,
                           .seqs_n = 1,
                           .outputs = outputs,
                           .outputs_n = ROWS};

    for (uint32_t i = 0; i < ROWS; i++)
        outputs[i] = i;
    qr_forward_run(r->forward, &step);
    free(tokens);
}

/* Outputs [first, first + n).  One in `whole` wants its logits, the others their best token. */
static void expect_rows(struct rig *r, const float *expected, uint32_t first, uint32_t n,
                        uint32_t whole)
{
    struct qr_logits_row rows[ROWS];
    const uint32_t vocab_n = r->vocab_n;

    for (uint32_t i = 0; i < n; i++)
        rows[i].best_only = i % whole != whole / 2;
    qr_forward_logits(r->forward, first, n, rows);
    for (uint32_t i = 0; i < n; i++) {
        const float *logits = expected + (size_t)(first + i) * vocab_n;
        if (rows[i].best_only)
            assert_int_equal(rows[i].best, r->kernels.rows.argmax(logits, vocab_n));
        else
            among_expect_same(logits, rows[i].logits, 1, vocab_n, "a row among bests");
    }
}

static void expect_bests(const struct rig_settings *settings)
{
    struct rig r;

    rig_open(&r, settings);
    float *expected = malloc((size_t)ROWS * r.vocab_n * sizeof(float));
    assert_non_null(expected);
    forward(&r);
    rig_take_logits(&r, ROWS, expected);
    for (uint32_t i = 0; i < RUNS; i++) {
        expect_rows(&r, expected, 0, ROWS, ALL_BEST);
        expect_rows(&r, expected, 0, ROWS, 3);
        expect_rows(&r, expected, 0, ROWS, 20);
        expect_rows(&r, expected, 9, 17, 5);
        expect_rows(&r, expected, ROWS - 1, 1, ALL_BEST);
    }
    free(expected);
    rig_close(&r);
}

/* Goal: a row's best token is argmax of its logits, the first of equals.  Logits of other rows in
 * the same call have the same bits. Method: heads of every kind, smaller than an item, ending
 * within an item and within a panel, with each row many times, at each CPU level and on 1 to 3
 * threads; all rows, a mix, a part, one. */
static void the_best_is_argmax_of_the_logits(void **state)
{
    static const char *const levels[] = {"scalar", "avx2", "avx512", "avx512vnni", "avx512bf16"};
    static const enum qr_type types[] = {QR_TYPE_F32,  QR_TYPE_F16,  QR_TYPE_BF16,
                                         QR_TYPE_Q8_0, QR_TYPE_Q4_1, QR_TYPE_Q4_K};
    static const uint32_t vocabs[] = {50, 300, 1024};
    unsigned flags;

    (void)state;
    for (size_t i = 0; i < 6 * 3; i++) {
        struct gguf_writer w;
        size_t n, row_bytes;
        uint32_t vocab_n = vocabs[i % 3];
        uint8_t *bytes = write_model(&w, types[i / 3], vocab_n, &n);
        uint8_t *head = head_of(bytes, n, &row_bytes);

        for (uint32_t token = PERIOD; token < vocab_n; token++)
            memcpy(head + token * row_bytes, head + token % PERIOD * row_bytes, row_bytes);
        for (size_t l = 0; l < sizeof levels / sizeof levels[0]; l++) {
            assert_true(qr_cpu_level_flags(levels[l], &flags));
            if ((flags & qr_cpu_flags()) != flags) continue;
            for (uint32_t threads_n = 1; threads_n <= 3; threads_n++)
                expect_bests(&(struct rig_settings){.bytes = bytes,
                                                    .bytes_n = n,
                                                    .cpu_level = levels[l],
                                                    .threads_n = threads_n,
                                                    .kv_type = QR_KV_F16});
        }
        gguf_writer_free(&w);
    }
}

/* Goal: NaN is never the best; if all logits are NaN, token 0 is.
 * Method: a float head whose first token's logit is NaN, then one where all are. */
static void nan_is_never_the_best(void **state)
{
    struct gguf_writer w;
    struct qr_logits_row rows[ROWS];
    struct rig r;
    size_t n, row_bytes;
    uint8_t *bytes = write_model(&w, QR_TYPE_F32, 300, &n);
    float *head = (float *)(void *)head_of(bytes, n, &row_bytes);

    (void)state;
    head[0] = NAN;
    struct rig_settings settings = {.bytes = bytes, .bytes_n = n, .threads_n = 2};
    expect_bests(&settings);

    for (uint32_t token = 0; token < 300; token++)
        head[token * row_bytes / sizeof(float)] = NAN;
    rig_open(&r, &settings);
    forward(&r);
    for (uint32_t i = 0; i < ROWS; i++)
        rows[i].best_only = true;
    qr_forward_logits(r.forward, 0, ROWS, rows);
    for (uint32_t i = 0; i < ROWS; i++)
        assert_int_equal(rows[i].best, 0);
    rig_close(&r);
    gguf_writer_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_best_is_argmax_of_the_logits),
        cmocka_unit_test(nan_is_never_the_best),
    };

    return cmocka_run_group_tests_name("model/head", tests, NULL, NULL);
}
