/* SPDX-License-Identifier: MIT */
/* A file that is refused for many reasons: a caller that passes `tell` gets all of them. */
#include "tiny.h"

#include "rig.h"

#define TOLD_MAX 32u

struct told {
    char sentences[TOLD_MAX][320];
    size_t n;
};

static void listen(void *context, const char *sentence)
{
    struct told *told = context;

    assert_true(told->n < TOLD_MAX);
    (void)snprintf(told->sentences[told->n++], sizeof told->sentences[0], "%s", sentence);
}

/* Loading the writer's file must tell exactly these reasons, in this order. */
static void expect_told(struct gguf_writer *w, int status, const char *const *reasons,
                        size_t reasons_n)
{
    struct quire_error error = {0};
    struct told told = {.n = 0};
    struct rig r;
    size_t n;
    const uint8_t *bytes = gguf_writer_finish(w, &n);
    const struct rig_settings settings = {
        .bytes = bytes, .bytes_n = n, .tell = listen, .context = &told};

    assert_int_equal(rig_load(&r, &settings, &error), status);
    assert_null(r.model);
    for (size_t i = 0; i < told.n; i++) {
        print_message("    %s\n", told.sentences[i]);
        if (i >= reasons_n) fail_msg("unexpected: '%s'", told.sentences[i]);
        if (!strstr(told.sentences[i], reasons[i]))
            fail_msg("'%s' does not say '%s'", told.sentences[i], reasons[i]);
    }
    assert_int_equal(told.n, reasons_n);
    assert_string_equal(error.text, told.sentences[0]);
    assert_int_equal(error.status, status);
    rig_close(&r);
    gguf_writer_free(w);
}

/* Goal: a mixture of experts is refused for each of its unsupported keys and tensors.
 * Method: two keys with unsupported values, an unknown key, an unsupported scaling, two unknown
 * tensors, one that is missing, one of another shape, and one of a type without a kernel. */
static void every_refusal_is_told(void **state)
{
    static const char *const reasons[] = {
        "key 'llama.attention.temperature_scale'",
        "llama.expert_count is 8",
        "llama.final_logit_softcapping is 30",
        "llama.rope.scaling.type is 'longrope'",
        "tensor blk.0.attn_q.weight is 64 x 65 x 1 x 1, expected 64 x 64",
        "tensor blk.1.ffn_norm.weight is missing",
        "rope_freqs.weight with rows of 8 is of type IQ2_XXS",
        "tensor 'blk.0.ffn_gate_exps.weight' is unknown in this architecture",
        "tensor 'blk.0.ffn_gate_inp.weight' is unknown in this architecture",
    };
    static const uint8_t zeros[4096];
    const uint64_t router[2] = {64, 8}, freqs = 8;
    struct tiny t = tiny_defaults();
    struct gguf_writer w;

    (void)state;
    t.instead = "blk.0.attn_q.weight";
    t.without = "blk.1.ffn_norm.weight";
    tiny_write(&w, &t);
    gguf_writer_u32(&w, "llama.expert_count", 8);
    gguf_writer_f32(&w, "llama.final_logit_softcapping", 30);
    gguf_writer_f32(&w, "llama.attention.temperature_scale", 0.1f);
    gguf_writer_string(&w, "llama.rope.scaling.type", "longrope");
    gguf_writer_tensor(&w, "blk.0.ffn_gate_inp.weight", QR_TYPE_F32, router, 2, zeros, 2048);
    gguf_writer_tensor(&w, "blk.0.ffn_gate_exps.weight", QR_TYPE_F32, router, 2, zeros, 2048);
    gguf_writer_tensor(&w, "rope_freqs.weight", 16, &freqs, 1, zeros, 66);
    expect_told(&w, QUIRE_UNSUPPORTED, reasons, sizeof reasons / sizeof reasons[0]);
}

/* Goal: if a size is missing, the refusals that do not depend on it are still told.
 * Method: no block_count, and a key with an unsupported value. */
static void without_sizes_the_keys_are_told(void **state)
{
    static const char *const reasons[] = {"llama.expert_count is 8",
                                          "key llama.block_count is missing"};
    struct tiny t = tiny_defaults();
    struct gguf_writer w;

    (void)state;
    t.without = "llama.block_count";
    tiny_write(&w, &t);
    gguf_writer_u32(&w, "llama.expert_count", 8);
    expect_told(&w, QUIRE_UNSUPPORTED, reasons, 2);
}

/* Goal: heads longer than the kernels support do no harm in the later steps of loading.
 * Method: a key length of 60,000, half of it rotated, with divisors for them. */
static void sizes_that_are_refused_do_no_harm(void **state)
{
    static const char *const reasons[] = {
        "heads are 60000 long", "tensor blk.0.attn_q.weight", "tensor blk.0.attn_k.weight",
        "tensor blk.0.attn_v.weight", "tensor blk.0.attn_output.weight"};
    static float divisors[30000];
    const uint64_t n = 30000;
    struct tiny t = tiny_defaults();
    struct gguf_writer w;

    (void)state;
    t.layers_n = 1;
    t.without = "llama.rope.dimension_count";
    tiny_write(&w, &t);
    gguf_writer_u32(&w, "llama.attention.key_length", 60000);
    gguf_writer_tensor(&w, "rope_freqs.weight", QR_TYPE_F32, &n, 1, divisors, sizeof divisors);
    expect_told(&w, QUIRE_UNSUPPORTED, reasons, sizeof reasons / sizeof reasons[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_refusal_is_told),
        cmocka_unit_test(without_sizes_the_keys_are_told),
        cmocka_unit_test(sizes_that_are_refused_do_no_harm),
    };

    return cmocka_run_group_tests_name("model/refusals", tests, NULL, NULL);
}
