/* SPDX-License-Identifier: MIT */
/* Every form that a supported file can have, compared with the same model in plain double
 * (reference.h). */
#include "among.h"
#include "reference.h"

#define TOKENS 40u

/* limit: of the largest difference, as a share of the logits' spread. */
static void expect_reference(const struct tiny *t, double limit)
{
    struct gguf_writer w;
    struct rig r;
    size_t n;
    double worst = 0;
    double spread = 0;

    tiny_write(&w, t);
    const uint8_t *bytes = gguf_writer_finish(&w, &n);
    rig_open(&r, &(struct rig_settings){
                     .bytes = bytes, .bytes_n = n, .threads_n = 2, .kv_type = QR_KV_F32});
    assert_int_equal(r.vocab_n, t->vocab_n);
    int32_t *tokens = among_tokens(3, TOKENS, r.vocab_n);
    float *logits = malloc((size_t)TOKENS * r.vocab_n * sizeof(float));
    assert_non_null(logits);
    double *expected = reference_run(&r.file, t, tokens, TOKENS);
    rig_run(&r, 0, tokens, TOKENS - 3, logits);
    rig_run_chunks(
        &r, &(struct rig_tokens){.tokens = tokens + TOKENS - 3, .n = 3, .position = TOKENS - 3}, 1,
        logits + (size_t)(TOKENS - 3) * r.vocab_n);
    for (size_t i = 0; i < (size_t)TOKENS * r.vocab_n; i++) {
        double d = fabs((double)logits[i] - expected[i]);
        if (!(d <= worst)) worst = d;
        spread += expected[i] * expected[i];
    }
    spread = sqrt(spread / ((double)TOKENS * r.vocab_n));
    print_message("    worst difference %.2g of the logits' spread\n", worst / spread);
    if (!(worst <= limit * spread)) fail_msg("logits differ by %g, spread %g", worst, spread);
    free(expected);
    free(logits);
    free(tokens);
    rig_close(&r);
    gguf_writer_free(&w);
}

/* A float model differs by rounding.  A quantised one also differs where a value is rounded the
 * other way, which moves it by 1/127 of its block's largest. */
#define FLOAT_LIMIT     1e-4
#define QUANTISED_LIMIT 0.05

/* Goal: F32 weights, tied output, heads that fill the width.
 * Method: the defaults. */
static void plain_floats(void **state)
{
    struct tiny t = tiny_defaults();

    (void)state;
    expect_reference(&t, FLOAT_LIMIT);
}

/* Goal: every other shape: an output of its own, heads longer than width / heads, some values of a
 * head not rotated, scaled frequencies, one key head, as many key heads as heads, norms in F16.
 * Method: one model each. */
static void other_shapes(void **state)
{
    struct tiny t = tiny_defaults();

    (void)state;
    t.own_output = true;
    expect_reference(&t, FLOAT_LIMIT);
    t.says_key_length = true;
    t.head_dim = 24;
    t.rotary_n = 24;
    expect_reference(&t, FLOAT_LIMIT);
    t.rotary_n = 8;
    t.rope_base = 500000;
    expect_reference(&t, FLOAT_LIMIT);
    t.rope_freqs = true;
    t.kv_heads_n = 1;
    expect_reference(&t, FLOAT_LIMIT);
    t.kv_heads_n = 4;
    t.norm = QR_TYPE_F16;
    expect_reference(&t, FLOAT_LIMIT);
    t.layers_n = 1;
    t.width = 40;
    t.ffn_width = 296; /* more than a float panel, and not a multiple of 32 */
    t.vocab_n = 300;
    expect_reference(&t, FLOAT_LIMIT);
}

static struct tiny tiny_of(enum qr_type type, enum qr_type other, enum qr_type down,
                           enum qr_type embedding)
{
    struct tiny t = tiny_defaults();

    print_message("  %s\n", qr_type_traits(type)->name);
    t.type = type;
    t.other = other;
    t.down = down;
    t.embedding = embedding;
    t.width = 256; /* rows that every type takes */
    t.head_dim = 64;
    t.rotary_n = 64;
    t.ffn_width = 512;
    return t;
}

/* Goal: every type of weights.
 * Method: a model of each type, its embedding and head included. */
static void every_type(void **state)
{
    const enum qr_type floats[] = {QR_TYPE_F16, QR_TYPE_BF16};

    (void)state;
    for (size_t i = 0; i < sizeof floats / sizeof floats[0]; i++) {
        struct tiny t = tiny_of(floats[i], floats[i], floats[i], floats[i]);
        expect_reference(&t, FLOAT_LIMIT);
    }
    for (size_t i = 0; i < TYPE_BLOCKS_N; i++) {
        enum qr_type type = type_blocks_all[i];
        struct tiny t = tiny_of(type, type, type, type);
        expect_reference(&t, QUANTISED_LIMIT);
    }
}

/* Goal: files as llama-quantize mixes types: some matrices of a layer in a better type, the tied
 * embedding in Q6_K, and another type where rows are not a multiple of 256.
 * Method: a model for each of its recipes; the last has ffn_down rows of 480. */
static void recipes(void **state)
{
    const struct {
        enum qr_type type, other, down, embedding, rows_of_32;
    } recipes[] = {
        {QR_TYPE_Q2_K, QR_TYPE_Q4_K, QR_TYPE_Q3_K, QR_TYPE_Q6_K, QR_TYPE_IQ4_NL},
        {QR_TYPE_Q3_K, QR_TYPE_Q5_K, QR_TYPE_Q4_K, QR_TYPE_Q6_K, QR_TYPE_IQ4_NL},
        {QR_TYPE_Q4_K, QR_TYPE_Q6_K, QR_TYPE_Q6_K, QR_TYPE_Q6_K, QR_TYPE_Q5_0},
        {QR_TYPE_Q5_K, QR_TYPE_Q6_K, QR_TYPE_Q6_K, QR_TYPE_Q6_K, QR_TYPE_Q5_1},
        {QR_TYPE_IQ4_XS, QR_TYPE_Q5_K, QR_TYPE_Q5_K, QR_TYPE_Q6_K, QR_TYPE_IQ4_NL},
        {QR_TYPE_Q6_K, QR_TYPE_Q6_K, QR_TYPE_Q6_K, QR_TYPE_Q8_0, QR_TYPE_Q8_0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof recipes / sizeof recipes[0]; i++) {
        struct tiny t =
            tiny_of(recipes[i].type, recipes[i].other, recipes[i].down, recipes[i].embedding);
        expect_reference(&t, QUANTISED_LIMIT);
        t.down = recipes[i].rows_of_32;
        t.ffn_width = 480;
        expect_reference(&t, QUANTISED_LIMIT);
    }
}

/* Goal: types mixed within one layer and within one product, in every way that takes another path:
 * packed and float, gate and up, another kind of down.
 * Method: pairs of types; also outputs that are not a multiple of 16 or 32. */
static void mixed_types(void **state)
{
    const enum qr_type pairs[][2] = {
        {QR_TYPE_Q4_1, QR_TYPE_Q8_0},
        {QR_TYPE_Q4_0, QR_TYPE_F32},
        {QR_TYPE_F16, QR_TYPE_Q8_0},
        {QR_TYPE_F32, QR_TYPE_BF16},
    };

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct tiny t = tiny_defaults();
        t.type = pairs[i][0];
        t.other = t.down = pairs[i][1];
        t.embedding = QR_TYPE_F16;
        t.own_output = true;
        t.ffn_width = 544; /* two float panels and a part, 17 items of 32 */
        t.vocab_n = 333;
        expect_reference(&t, QUANTISED_LIMIT);
        t.says_key_length = true; /* a key head's part of a row is not whole blocks */
        t.head_dim = 8;
        t.rotary_n = 8;
        expect_reference(&t, QUANTISED_LIMIT);
    }
}

/* Goal: packed gate and up, and a float down matrix with rows that a packed one cannot have.
 * Method: ffn_width 40: the last item is a single, half-filled panel. */
static void packed_gate_with_float_down(void **state)
{
    struct tiny t = tiny_defaults();

    (void)state;
    t.type = t.other = QR_TYPE_Q8_0;
    t.ffn_width = 40;
    expect_reference(&t, QUANTISED_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_floats), cmocka_unit_test(other_shapes),
        cmocka_unit_test(every_type),   cmocka_unit_test(recipes),
        cmocka_unit_test(mixed_types),  cmocka_unit_test(packed_gate_with_float_down),
    };

    return cmocka_run_group_tests_name("model/forms", tests, NULL, NULL);
}
