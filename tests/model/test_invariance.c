/* SPDX-License-Identifier: MIT */
/* A row's bits depend on its own sequence only: not on other rows of the step, on chunks, on the
 * number of threads, or on the order of pages.  Everything here compares with ==. */
#include "floats.h"
#include "invariant.h"

#define TINY   QUIRE_TEST_DATA "/llama-tiny.q8_0.gguf"
#define TOKENS INVARIANT_TOKENS
#define LONG   900u

/* Goal: quantised weights, keys in f16, at this machine's best level.
 * Method: see invariant_expect. */
static void same_bits_with_f16_keys(void **state)
{
    (void)state;
    invariant_expect((struct rig_settings){.path = TINY, .kv_type = QR_KV_F16});
}

static void same_bits_with_f32_keys(void **state)
{
    (void)state;
    invariant_expect((struct rig_settings){.path = TINY, .kv_type = QR_KV_F32});
}

static void same_bits_with_bf16_keys(void **state)
{
    (void)state;
    invariant_expect((struct rig_settings){.path = TINY, .kv_type = QR_KV_BF16});
}

/* Goal: the same with int8 keys, which are multiplied in two ways.
 * Method: at the best level, and in AVX2 where this machine has more. */
static void same_bits_with_q8_keys(void **state)
{
    unsigned flags;

    (void)state;
    invariant_expect((struct rig_settings){.path = TINY, .kv_type = QR_KV_Q8});
    assert_true(qr_cpu_level_flags("avx2", &flags));
    if ((flags & qr_cpu_flags()) == flags)
        invariant_expect(
            (struct rig_settings){.path = TINY, .kv_type = QR_KV_Q8, .cpu_level = "avx2"});
}

/* Goal: the same at every level below the best.
 * Method: force each level that this machine has. */
static void same_bits_at_each_level(void **state)
{
    static const char *const levels[] = {"scalar", "avx2", "avx512", "avx512vnni"};
    unsigned flags;

    (void)state;
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        assert_true(qr_cpu_level_flags(levels[i], &flags));
        if ((flags & qr_cpu_flags()) != flags) {
            print_message("  %s: not on this machine\n", levels[i]);
            continue;
        }
        print_message("  %s\n", levels[i]);
        invariant_expect(
            (struct rig_settings){.path = TINY, .kv_type = QR_KV_F16, .cpu_level = levels[i]});
    }
}

static void expect_invariant_floats(enum qr_type type)
{
    struct quire_allocator allocator = qr_allocator((struct quire_allocator){0});
    struct quire_error error;
    struct gguf_writer w;
    struct qr_gguf g;
    size_t n;

    assert_int_equal(qr_gguf_open(&g, TINY, &allocator, &error), QUIRE_OK);
    floats_rewrite(&w, &g, type);
    const uint8_t *bytes = gguf_writer_finish(&w, &n);
    invariant_expect((struct rig_settings){.bytes = bytes, .bytes_n = n, .kv_type = QR_KV_F16});
    gguf_writer_free(&w);
    qr_gguf_close(&g);
}

/* Goal: the same with float weights.
 * Method: the same weights as F32, F16 and BF16. */
static void same_bits_with_float_weights(void **state)
{
    (void)state;
    expect_invariant_floats(QR_TYPE_F32);
    expect_invariant_floats(QR_TYPE_F16);
    expect_invariant_floats(QR_TYPE_BF16);
}

/* Goal: a long sequence has the same bits when it is spread over threads by spans.
 * Method: 900 tokens in one chunk on one thread; on two and four threads all but the last 60 in
 * chunks, and the last 60 one by one. */
static void same_bits_where_a_sequence_is_spread(void **state)
{
    struct rig_settings settings = {
        .path = TINY, .kv_type = QR_KV_F16, .rows_max = LONG, .context_max = LONG};
    const uint32_t singles = 60;
    struct rig r;

    (void)state;
    rig_open(&r, &settings);
    const uint32_t vocab_n = r.vocab_n;
    int32_t *tokens = among_tokens(1, LONG, vocab_n);
    float *expected = invariant_logits(LONG, vocab_n);
    float *logits = invariant_logits(LONG, vocab_n);
    rig_run(&r, 0, tokens, LONG, expected);
    rig_close(&r);
    for (uint32_t threads_n = 1; threads_n <= 4; threads_n *= 2) {
        settings.threads_n = threads_n;
        rig_open(&r, &settings);
        rig_run_chunks(&r, &(struct rig_tokens){.tokens = tokens, .n = LONG - singles}, 100,
                       logits);
        rig_run_chunks(&r,
                       &(struct rig_tokens){.tokens = tokens + LONG - singles,
                                            .n = singles,
                                            .position = LONG - singles},
                       1, logits + (size_t)(LONG - singles) * vocab_n);
        among_expect_same(expected, logits, LONG, vocab_n,
                          threads_n == 1 ? "not spread" : "spread by blocks");
        rig_close(&r);
    }
    free(expected);
    free(logits);
    free(tokens);
}

/* Goal: requesting few rows' logits changes neither these nor the stored keys.
 * Method: a step that requests rows 3 and 29, one that requests none, and then a token whose logits
 * depend on every key. */
static void same_bits_where_few_rows_are_asked_for(void **state)
{
    const struct rig_settings settings = {.path = TINY, .threads_n = 2, .kv_type = QR_KV_F16};
    const uint32_t outputs[2] = {3, 29};
    struct rig r;
    struct qr_logits_row rows[2] = {0};

    (void)state;
    rig_open(&r, &settings);
    int32_t *tokens = among_tokens(2, TOKENS, r.vocab_n);
    float *expected = invariant_logits(TOKENS, r.vocab_n);
    rig_run(&r, 0, tokens, TOKENS, expected);
    memset(r.kv_memory.base, 0xff, r.kv_memory.bytes);

    struct qr_step_seq seq = {.rows_n = 40, .pages = rig_pages(&r, 0)};
    struct qr_step step = {.tokens = tokens,
                           .rows_n = 40,
                           .seqs = &seq,
                           .seqs_n = 1,
                           .outputs = outputs,
                           .outputs_n = 2};
    qr_forward_run(r.forward, &step);
    qr_forward_logits(r.forward, 0, 2, rows);
    among_expect_same(expected + 3 * r.vocab_n, rows[0].logits, 1, r.vocab_n, "row 3 of two");
    among_expect_same(expected + 29 * r.vocab_n, rows[1].logits, 1, r.vocab_n, "row 29 of two");
    qr_forward_logits(r.forward, 1, 1, rows);
    among_expect_same(expected + 29 * r.vocab_n, rows[0].logits, 1, r.vocab_n, "row 29 by itself");

    seq = (struct qr_step_seq){.rows_n = TOKENS - 41, .position = 40, .pages = rig_pages(&r, 0)};
    step =
        (struct qr_step){.tokens = tokens + 40, .rows_n = TOKENS - 41, .seqs = &seq, .seqs_n = 1};
    qr_forward_run(r.forward, &step);
    float *last = invariant_logits(1, r.vocab_n);
    rig_run_chunks(
        &r, &(struct rig_tokens){.tokens = tokens + TOKENS - 1, .n = 1, .position = TOKENS - 1}, 1,
        last);
    among_expect_same(expected + (TOKENS - 1) * r.vocab_n, last, 1, r.vocab_n, "the last token");
    free(last);
    free(expected);
    free(tokens);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bits_with_f16_keys),
        cmocka_unit_test(same_bits_with_f32_keys),
        cmocka_unit_test(same_bits_with_bf16_keys),
        cmocka_unit_test(same_bits_with_q8_keys),
        cmocka_unit_test(same_bits_at_each_level),
        cmocka_unit_test(same_bits_with_float_weights),
        cmocka_unit_test(same_bits_where_a_sequence_is_spread),
        cmocka_unit_test(same_bits_where_few_rows_are_asked_for),
    };

    return cmocka_run_group_tests_name("model/invariance", tests, NULL, NULL);
}
