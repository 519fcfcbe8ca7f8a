/* SPDX-License-Identifier: MIT */
/* The checks of test_invariance.c for every type of quantised weights, each in a model of its own,
 * and for types mixed in one layer. */
#include "invariant.h"
#include "tiny.h"

static void expect_invariant_types(enum qr_type type, enum qr_type other, enum qr_type down)
{
    struct tiny t = tiny_defaults();
    struct gguf_writer w;
    size_t n;

    print_message("  %s, %s, %s\n", qr_type_traits(type)->name, qr_type_traits(other)->name,
                  qr_type_traits(down)->name);
    t.layers_n = 1;
    t.width = 256; /* rows that every type takes */
    t.head_dim = 64;
    t.rotary_n = 64;
    t.ffn_width = 256;
    t.type = t.embedding = type;
    t.other = other;
    t.down = down;
    tiny_write(&w, &t);
    const uint8_t *bytes = gguf_writer_finish(&w, &n);
    invariant_expect((struct rig_settings){.bytes = bytes, .bytes_n = n, .kv_type = QR_KV_F16});
    gguf_writer_free(&w);
}

/* Goal: with no type of weights do other rows, chunks, threads or pages change a row's bits.
 * Method: invariant_expect with a model of each type; kernels/gemm tests lower CPU levels. */
static void same_bits_with_every_type(void **state)
{
    (void)state;
    for (size_t i = 0; i < TYPE_BLOCKS_N; i++)
        expect_invariant_types(type_blocks_all[i], type_blocks_all[i], type_blocks_all[i]);
}

static void same_bits_with_mixed_types(void **state)
{
    (void)state;
    expect_invariant_types(QR_TYPE_Q2_K, QR_TYPE_Q4_K, QR_TYPE_Q3_K);
    expect_invariant_types(QR_TYPE_IQ4_XS, QR_TYPE_Q5_K, QR_TYPE_Q6_K);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bits_with_every_type),
        cmocka_unit_test(same_bits_with_mixed_types),
    };

    return cmocka_run_group_tests_name("model/invariance_types", tests, NULL, NULL);
}
